// SVE: vector lengths, KVM_ARM_VCPU_FINALIZE, Z and P registers. Documentation/virt/kvm/api.rst 4.68, 4.119.

import assert from "node:assert/strict";
import { type RegId, regId } from "../../lib/arm64/reg-id.js";
import { fpsr, sve, sysReg, v } from "../../lib/arm64/registers.js";
import { packVqs, unpackVqs } from "../../lib/arm64/sve.js";
import { mrs } from "../support/assemble.js";
import { needs, onEveryBackend } from "../support/backends.js";
import { exceptionClass, makeGuest, runToFinish } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";
import { setVectors } from "../support/vectors.js";

onEveryBackend("KVM_ARM_VCPU_FINALIZE", (host) => {
  const makeVcpu = () => host.keep(host.keep(host.kvm.createVm()).createVcpu());

  it("of SVE on a vCPU without it is EINVAL", () => {
    const cpu = makeVcpu();
    cpu.init();
    assertRefused("EINVAL", () => cpu.finalize("sve"));
  });

  it("of anything but SVE is EINVAL", () => {
    const cpu = makeVcpu();
    cpu.init();
    assertRefused("EINVAL", () => cpu.finalize("pmu-v3"));
    assertRefused("EINVAL", () => cpu.finalize(0));
    assertRefused("EINVAL", () => cpu.finalize(0x7fff_ffff));
  });

  it("before INIT is ENOEXEC", () => {
    assertRefused("ENOEXEC", () => makeVcpu().finalize("sve"));
  });
});

onEveryBackend("ZCR_EL1 on a vCPU without SVE", (host) => {
  for (const [cpacr, what, ec] of [
    // FPEN and ZEN
    [3n << 20n, "is trapped by CPACR_EL1.ZEN first, where the CPU has SVE", 0x19n],
    [1n << 16n, "is trapped by CPACR_EL1.FPEN then", 0x07n],
    [(3n << 20n) | (1n << 16n), "is UNDEFINED where they allow it", 0n],
  ] as const) {
    it(what, async () => {
      const guest = makeGuest(host, [mrs(0, [3, 0, 1, 2, 0])]); // mrs x0, zcr_el1
      setVectors(guest);
      guest.cpu.setReg(sysReg("CPACR_EL1"), cpacr);
      await runToFinish(guest.cpu);
      assert.equal(exceptionClass(guest.cpu), host.kvm.has("ARM_SVE") ? ec : 0n);
    });
  }
});

onEveryBackend("SVE", (host) => {
  beforeEach(function () {
    needs(this, host, "ARM_SVE");
  });
  const makeVcpu = () => {
    const cpu = host.keep(host.keep(host.kvm.createVm()).createVcpu());
    cpu.init({ features: ["sve"] });
    return cpu;
  };
  const finalized = () => {
    const cpu = makeVcpu();
    cpu.finalize("sve");
    return cpu;
  };

  it("finalizing twice is EPERM, the second time and ever after", () => {
    const cpu = finalized();
    assertRefused("EPERM", () => cpu.finalize("sve"));
    cpu.init({ features: ["sve"] });
    assertRefused("EPERM", () => cpu.finalize("sve"));
  });

  it("before finalizing, the register list and the run are EPERM", () => {
    const cpu = makeVcpu();
    assertRefused("EPERM", () => cpu.regList());
    cpu.immediateExit = true;
    assertRefused("EPERM", () => cpu.runSync());
  });

  it("before finalizing, Z, P and FFR are EPERM, to read and to write", () => {
    const cpu = makeVcpu();
    for (const id of [sve.z(0), sve.p(15), sve.ffr()] as RegId[]) {
      assertRefused("EPERM", () => cpu.getReg(id));
      assertRefused("EPERM", () => cpu.setReg(id, new Uint8Array(id === sve.z(0) ? 256 : 32)));
    }
  });

  it("before finalizing, the other registers are there", () => {
    const cpu = makeVcpu();
    cpu.setReg(fpsr, 1);
    assert.equal(cpu.getReg(fpsr), 1);
    assert.equal(cpu.getReg(sysReg("ZCR_EL1")), 0n);
  });

  it("VLS begins as all lengths of the host, 128 bits among them", () => {
    const vqs = unpackVqs(makeVcpu().getReg(sve.vls));
    assert.equal(vqs[0], 1);
    assert.ok(vqs.every((vq) => vq <= 16));
  });

  it("VLS takes the host's lengths cut off anywhere, and reads back as written", () => {
    const cpu = makeVcpu();
    const host128 = unpackVqs(cpu.getReg(sve.vls));
    for (let count = 1; count <= host128.length; count++) {
      cpu.setReg(sve.vls, packVqs(host128.slice(0, count)));
      assert.deepEqual(unpackVqs(cpu.getReg(sve.vls)), host128.slice(0, count));
    }
  });

  it("VLS that is empty, lacks a length in between or has one too long is EINVAL", () => {
    const cpu = makeVcpu();
    const vqs = unpackVqs(cpu.getReg(sve.vls));
    assertRefused("EINVAL", () => cpu.setReg(sve.vls, packVqs([])));
    assertRefused("EINVAL", () => cpu.setReg(sve.vls, packVqs([...vqs, 17])));
    assertRefused("EINVAL", () => cpu.setReg(sve.vls, packVqs([512])));
    const gap = vqs.length > 1 ? vqs.slice(1) : [2];
    assertRefused("EINVAL", () => cpu.setReg(sve.vls, packVqs(gap)));
  });

  it("VLS is EPERM to write once finalized, even its own value", () => {
    const cpu = finalized();
    assertRefused("EPERM", () => cpu.setReg(sve.vls, cpu.getReg(sve.vls)));
  });

  it("VLS goes back to the host's by a second INIT before finalizing, and stays after", () => {
    const cpu = makeVcpu();
    const all = cpu.getReg(sve.vls);
    cpu.setReg(sve.vls, packVqs([1]));
    cpu.init({ features: ["sve"] });
    assert.deepEqual(cpu.getReg(sve.vls), all);
    cpu.setReg(sve.vls, packVqs([1]));
    cpu.finalize("sve");
    cpu.init({ features: ["sve"] });
    assert.deepEqual(unpackVqs(cpu.getReg(sve.vls)), [1]);
  });

  it("V registers vanish, from the list and from access", () => {
    const cpu = finalized();
    assertRefused("EINVAL", () => cpu.getReg(v(0)));
    assertRefused("EINVAL", () => cpu.setReg(v(0), new Uint8Array(16)));
    assert.ok(!cpu.regList().includes(v(0)));
  });

  it("VLS, 32 Z, 16 P and FFR are listed together, VLS first", () => {
    const listed = finalized()
      .regList()
      .filter((id) => ((id >> 16n) & 0xfffn) === 0x15n);
    assert.equal(listed.length, 50);
    assert.deepEqual([listed[0], listed[1], listed[33], listed[49]], [sve.vls, sve.z(0), sve.p(0), sve.ffr()]);
  });

  it("a Z register keeps as many bytes as the vector is long, and reads 0 above", () => {
    const cpu = makeVcpu();
    cpu.setReg(sve.vls, packVqs([1]));
    cpu.finalize("sve");
    cpu.setReg(sve.z(9), new Uint8Array(256).fill(0xa5));
    const expected = new Uint8Array(256);
    expected.fill(0xa5, 0, 16);
    assert.deepEqual(cpu.getReg(sve.z(9)), expected);
  });

  it("a P register and FFR keep an eighth of it", () => {
    const cpu = makeVcpu();
    cpu.setReg(sve.vls, packVqs([1]));
    cpu.finalize("sve");
    const expected = new Uint8Array(32);
    expected.fill(0xff, 0, 2);
    for (const id of [sve.p(3), sve.ffr()]) {
      cpu.setReg(id, new Uint8Array(32).fill(0xff));
      assert.deepEqual(cpu.getReg(id), expected);
    }
  });

  it("slices beyond the first are ENOENT", () => {
    const cpu = finalized();
    assertRefused("ENOENT", () => cpu.getReg(sve.z(0, 1)));
    assertRefused("ENOENT", () => cpu.getReg(sve.p(0, 31)));
    assertRefused("ENOENT", () => cpu.getReg(sve.ffr(1)));
  });

  it("ids of the space that are no register, or have another width, are EINVAL", () => {
    const cpu = finalized();
    for (const id of [0x6060_0000_0015_0000n, 0x6080_0000_0015_0400n, 0x6050_0000_0015_0800n, 0x6060_0000_0015_fffen]) {
      assertRefused("EINVAL", () => cpu.getReg(regId(id)));
    }
  });

  it("ids of the space are ENOENT on a vCPU without SVE", () => {
    const cpu = host.keep(host.keep(host.kvm.createVm()).createVcpu());
    cpu.init();
    for (const id of [sve.z(0), sve.p(0), sve.ffr(), sve.vls] as RegId[]) {
      assertRefused("ENOENT", () => cpu.getReg(id));
    }
  });

  it("ID_AA64PFR0_EL1 says SVE on vCPUs with it, and ID_AA64ZFR0_EL1 takes 0 only on those without", () => {
    const without = host.keep(host.keep(host.kvm.createVm()).createVcpu());
    without.init();
    const field = (cpu: typeof without) => (cpu.getReg(sysReg("ID_AA64PFR0_EL1")) >> 32n) & 0xfn;
    assert.deepEqual([field(without), without.getReg(sysReg("ID_AA64ZFR0_EL1"))], [0n, 0n]);
    assertRefused("EINVAL", () => without.setReg(sysReg("ID_AA64ZFR0_EL1"), 1n));
    assert.equal(field(makeVcpu()), 1n);
  });

  it("ZCR_EL1 is ENOENT without SVE", () => {
    const cpu = host.keep(host.keep(host.kvm.createVm()).createVcpu());
    cpu.init();
    assert.equal(
      answer(() => cpu.getReg(sysReg("ZCR_EL1"))),
      "ENOENT",
    );
  });
});
