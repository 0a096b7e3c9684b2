// KVM_ARM_VCPU_INIT: which feature sets there are, and what a second INIT keeps. Documentation/virt/kvm/api.rst 4.82.

import assert from "node:assert/strict";
import { elrEl1, fpcr, pc, pstate, sp, spEl1, spsr, sysReg, v, x } from "../../lib/arm64/registers.js";
import { needs, needsVcpus, onEveryBackend, onHost } from "../support/backends.js";
import { makeGuest } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

onEveryBackend("KVM_ARM_VCPU_INIT", (host) => {
  const makeVcpu = () => host.keep(host.keep(host.kvm.createVm()).createVcpu());

  it("a target other than the preferred one is EINVAL, before the features are looked at", () => {
    const cpu = makeVcpu();
    assertRefused("EINVAL", () => cpu.init({ target: 99 }));
    assertRefused("EINVAL", () => cpu.init({ target: 99, features: [200] }));
    assertRefused("EINVAL", () => cpu.init({ target: 0xffff_ffff }));
  });

  it("a feature bit that the kernel does not know is ENOENT", () => {
    const cpu = makeVcpu();
    assertRefused("ENOENT", () => cpu.init({ features: [9] }));
    assertRefused("ENOENT", () => cpu.init({ features: [31] }));
    assertRefused("ENOENT", () => cpu.init({ features: [32] }));
    assertRefused("ENOENT", () => cpu.init({ features: [223] }));
  });

  it("EL2, which 6.12 does not know, is EINVAL where the kernel knows it and the host has none", () => {
    const cpu = makeVcpu();
    if (host.kvm.has("ARM_EL2")) return cpu.init({ features: ["el2"] });
    assertRefused(onHost(host, { "6.1": "ENOENT", "6.12": "ENOENT", "7.2": "EINVAL" } as const), () =>
      cpu.init({ features: ["el2"] }),
    );
  });

  for (const [feature, cap] of [
    ["sve", "ARM_SVE"],
    ["pmu-v3", "ARM_PMU_V3"],
    ["el1-32bit", "ARM_EL1_32BIT"],
  ] as const) {
    it(`${feature} is accepted where the capability ${cap} is there, and EINVAL elsewhere`, () => {
      const cpu = makeVcpu();
      assert.equal(
        answer(() => cpu.init({ features: [feature] })),
        host.kvm.has(cap) ? "OK" : "EINVAL",
      );
    });
  }

  it("one half of pointer authentication without the other is EINVAL", () => {
    const cpu = makeVcpu();
    assertRefused("EINVAL", () => cpu.init({ features: ["ptrauth-address"] }));
    assertRefused("EINVAL", () => cpu.init({ features: ["ptrauth-generic"] }));
  });

  it("both halves of pointer authentication are accepted where the host has it", function () {
    needs(this, host, "ARM_PTRAUTH_ADDRESS");
    makeVcpu().init({ features: ["ptrauth-address", "ptrauth-generic"] });
  });

  it("a refused INIT leaves nothing behind: other features may follow", function () {
    needs(this, host, "ARM_PTRAUTH_ADDRESS");
    const cpu = makeVcpu();
    assertRefused("EINVAL", () => cpu.init({ features: ["ptrauth-address"] }));
    assertRefused("ENOEXEC", () => cpu.getReg(pc));
    cpu.init({ features: ["psci-0.2"] });
  });

  it("the features before one that is unknown stay on 6.1, until an INIT comes through or is EINVAL", () => {
    const cpu = makeVcpu();
    assertRefused("ENOENT", () => cpu.init({ features: ["power-off", 9] }));
    cpu.init({ features: ["psci-0.2"] });
    const stopped = onHost(host, { "6.1": true, "6.12": false, "7.2": false });
    assert.equal(cpu.mpState, stopped ? "stopped" : "runnable");
    assert.equal(
      answer(() => cpu.init({ features: ["psci-0.2"] })),
      stopped ? "EINVAL" : "OK",
    );
    const other = makeVcpu();
    assertRefused("ENOENT", () => other.init({ features: ["power-off", 9] }));
    assertRefused("EINVAL", () => other.init({ features: ["ptrauth-address"] }));
    other.init({ features: ["psci-0.2"] });
    assert.equal(other.mpState, "runnable");
  });

  it("a second INIT of the same vCPU with other features is EINVAL", () => {
    const cpu = makeVcpu();
    cpu.init({ features: ["psci-0.2"] });
    assertRefused("EINVAL", () => cpu.init());
    cpu.init({ features: ["psci-0.2"] });
  });

  it("a second vCPU with other features is EINVAL, since 6.12 keeps them for the whole VM", () => {
    const vm = host.keep(host.kvm.createVm());
    const [first, second] = [host.keep(vm.createVcpu()), host.keep(vm.createVcpu())];
    first.init({ features: ["psci-0.2"] });
    const said = answer(() => second.init());
    assert.equal(said, onHost(host, { "6.1": "OK", "6.12": "EINVAL", "7.2": "EINVAL" }));
  });

  it("power-off is no feature of the VM: each vCPU chooses, and may choose again since 6.12", () => {
    const vm = host.keep(host.kvm.createVm());
    const [first, second] = [host.keep(vm.createVcpu()), host.keep(vm.createVcpu())];
    first.init({ features: ["psci-0.2"] });
    second.init({ features: ["psci-0.2", "power-off"] });
    assert.deepEqual([first.mpState, second.mpState], ["runnable", "stopped"]);
    const said = answer(() => first.init({ features: ["psci-0.2", "power-off"] }));
    assert.equal(said, onHost(host, { "6.1": "EINVAL", "6.12": "OK", "7.2": "OK" }));
  });

  it("a fresh vCPU is at EL1h with interrupts masked, and everything else of the core is 0", () => {
    const cpu = makeVcpu();
    cpu.init();
    assert.equal(cpu.getReg(pstate), 0x3c5n);
    assert.deepEqual(
      [pc, sp, x(0), x(30), spEl1, elrEl1, spsr("EL1"), spsr("fiq")].map((id) => cpu.getReg(id)),
      Array(8).fill(0n),
    );
    assert.deepEqual(cpu.getReg(v(31)), new Uint8Array(16));
    assert.equal(cpu.getReg(fpcr), 0);
  });

  it("a second INIT resets the general registers, PSTATE, vectors and system registers", () => {
    const { cpu } = makeGuest(host);
    cpu.setReg(x(7), 7n);
    cpu.setReg(pstate, 0x3c4n);
    cpu.setReg(v(3), new Uint8Array(16).fill(3));
    cpu.setReg(sysReg("VBAR_EL1"), 0x1000n);
    cpu.setReg(spsr("und"), 5n);
    cpu.init();
    assert.deepEqual([cpu.getReg(x(7)), cpu.getReg(pc), cpu.getReg(pstate)], [0n, 0n, 0x3c5n]);
    assert.deepEqual(cpu.getReg(v(3)), new Uint8Array(16));
    assert.deepEqual([cpu.getReg(sysReg("VBAR_EL1")), cpu.getReg(spsr("und"))], [0n, 0n]);
  });

  it("a second INIT keeps SP_EL1, ELR_EL1 and SPSR_EL1", () => {
    const { cpu } = makeGuest(host);
    cpu.setReg(spEl1, 0x11n);
    cpu.setReg(elrEl1, 0x22n);
    cpu.setReg(spsr("EL1"), 0x33n);
    cpu.init();
    assert.deepEqual([cpu.getReg(spEl1), cpu.getReg(elrEl1), cpu.getReg(spsr("EL1"))], [0x11n, 0x22n, 0x33n]);
  });

  it("a second INIT keeps MPIDR_EL1 as it was written, since 6.12", () => {
    const { cpu } = makeGuest(host);
    cpu.setReg(sysReg("MPIDR_EL1"), 0x8000_0102n);
    cpu.init();
    const kept = onHost(host, { "6.1": 0x8000_0000n, "6.12": 0x8000_0102n, "7.2": 0x8000_0102n });
    assert.equal(cpu.getReg(sysReg("MPIDR_EL1")), kept);
  });

  it("a second INIT makes a stopped vCPU runnable", () => {
    const { cpu } = makeGuest(host);
    cpu.mpState = "stopped";
    cpu.init();
    assert.equal(cpu.mpState, "runnable");
  });

  it("a second INIT is allowed after a run", () => {
    const { cpu } = makeGuest(host);
    cpu.immediateExit = true;
    cpu.runSync();
    cpu.init();
    assert.equal(cpu.getReg(pc), 0n);
  });

  it("MPIDR_EL1 follows from the vCPU id: 16 in Aff0, 256 in Aff1", function () {
    needsVcpus(this, host, 262);
    const vm = host.keep(host.kvm.createVm());
    const mpidrOf = (id: number) => {
      const cpu = host.keep(vm.createVcpu(id));
      cpu.init();
      return cpu.getReg(sysReg("MPIDR_EL1"));
    };
    assert.deepEqual([0, 15, 16, 261].map(mpidrOf), [0x8000_0000n, 0x8000_000fn, 0x8000_0100n, 0x8000_1005n]);
  });
});

onEveryBackend("the register width of a VM's vCPUs", (host) => {
  const pair = () => {
    const vm = host.keep(host.kvm.createVm());
    return [host.keep(vm.createVcpu()), host.keep(vm.createVcpu())] as const;
  };

  it("two vCPUs of 64 bits are accepted", () => {
    for (const cpu of pair()) cpu.init();
  });

  it("two vCPUs of 32 bits are accepted where the host has AArch32 at EL1", function () {
    needs(this, host, "ARM_EL1_32BIT");
    for (const cpu of pair()) cpu.init({ features: ["el1-32bit"] });
  });

  it("a vCPU of 32 bits after one of 64 is EINVAL", function () {
    needs(this, host, "ARM_EL1_32BIT");
    const [first, second] = pair();
    first.init();
    assertRefused("EINVAL", () => second.init({ features: ["el1-32bit"] }));
  });

  it("a vCPU of 64 bits after one of 32 is EINVAL", function () {
    needs(this, host, "ARM_EL1_32BIT");
    const [first, second] = pair();
    first.init({ features: ["el1-32bit"] });
    assertRefused("EINVAL", () => second.init());
  });

  it("a vCPU of 32 bits is EINVAL where the host has no AArch32 at EL1, and the VM stays of 64", () => {
    const [first, second] = pair();
    if (host.kvm.has("ARM_EL1_32BIT")) return first.init({ features: ["el1-32bit"] });
    assertRefused("EINVAL", () => first.init({ features: ["el1-32bit"] }));
    second.init();
  });
});
