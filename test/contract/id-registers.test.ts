// ID registers are limits: what KVM_SET_ONE_REG takes, and what KVM_ARM_GET_REG_WRITABLE_MASKS promises.
// Documentation/virt/kvm/api.rst 4.139; Documentation/arch/arm64/cpu-feature-registers.rst.

import assert from "node:assert/strict";
import { featureIdIndex } from "../../lib/arm64/feature-id-space.js";
import type { RegId } from "../../lib/arm64/reg-id.js";
import { sysReg, x } from "../../lib/arm64/registers.js";
import { onKernel } from "../../lib/arm64/sysreg-row.js";
import { sysRegId, sysRegs } from "../../lib/arm64/sysregs.js";
import { mrs } from "../support/assemble.js";
import { needs, onEveryBackend } from "../support/backends.js";
import { finish, makeGuest, runToFinish } from "../support/guest.js";
import { fieldIn, floorOf, hasAArch32, idOf, idRows, lowerableFields, withField } from "../support/id-fields.js";
import { answer, assertRefused } from "../support/refusal.js";

const PFR0 = sysReg("ID_AA64PFR0_EL1");
const ISAR0 = sysReg("ID_AA64ISAR0_EL1");

/** ID_AA64ISAR0_EL1 with the lowest feature that it has taken away. */
function lowered(isar0: bigint): bigint {
  const field = Array.from({ length: 15 }, (_, i) => 0xfn << BigInt(4 * (i + 1))).find((mask) => (isar0 & mask) !== 0n);
  assert.ok(field !== undefined, "the host has none of the features of ID_AA64ISAR0_EL1");
  return isar0 & ~field;
}

onEveryBackend("ID registers", (host) => {
  const writable = (context: Mocha.Context) => needs(context, host, "ARM_SUPPORTED_REG_MASK_RANGES");

  for (const row of idRows) {
    const id = idOf(row);

    it(`${row.name} takes its own value`, () => {
      const { cpu } = makeGuest(host);
      const limit = cpu.getReg(id);
      cpu.setReg(id, limit);
      assert.equal(cpu.getReg(id), limit);
    });

    if (lowerableFields(host.kernel, row).length === 0) continue;

    it(`${row.name} takes lower values of its fields, keeps them, and takes the limit again`, function () {
      writable(this);
      const { cpu } = makeGuest(host);
      const limit = cpu.getReg(id);
      for (const field of lowerableFields(host.kernel, row)) {
        const floor = floorOf(row, field);
        if (fieldIn(limit, field) <= floor) continue;
        const lower = withField(limit, field, floor);
        assert.equal(
          answer(() => cpu.setReg(id, lower)),
          "OK",
          `${field.name} = ${floor}`,
        );
        // RAZ/WI on hosts without AArch32.
        assert.equal(
          cpu.getReg(id),
          onKernel(row.access, host.kernel) === "id32" && !hasAArch32(cpu) ? 0n : lower,
          field.name,
        );
        cpu.setReg(id, limit);
      }
      assert.equal(cpu.getReg(id), limit);
    });

    it(`${row.name} with a field above its limit is EINVAL, and stays`, function () {
      writable(this);
      const { cpu } = makeGuest(host);
      const ignored = onKernel(row.access, host.kernel) === "id32" && !hasAArch32(cpu);
      const limit = cpu.getReg(id);
      for (const field of lowerableFields(host.kernel, row)) {
        const above = fieldIn(limit, field) + 1n;
        if (above >= 1n << BigInt(field.width)) continue;
        const raised = withField(limit, field, above);
        assert.equal(
          answer(() => cpu.setReg(id, raised)),
          ignored ? "OK" : "EINVAL",
          `${field.name} = ${above}`,
        );
        assert.equal(cpu.getReg(id), limit, field.name);
      }
    });
  }

  for (const row of sysRegs.filter(
    (one) => onKernel(one.access, host.kernel) === "raz" && one.kernels.includes(host.kernel),
  )) {
    it(`${row.name} reads 0 and takes only 0`, () => {
      const { cpu } = makeGuest(host);
      const id = sysRegId(row) as RegId<64>;
      assert.equal(cpu.getReg(id), 0n);
      cpu.setReg(id, 0n);
      assertRefused("EINVAL", () => cpu.setReg(id, 1n));
    });
  }

  it("the AArch32 registers read 0 and ignore writes on hosts without AArch32", function () {
    writable(this);
    const { cpu } = makeGuest(host);
    const rows = sysRegs.filter((row) => onKernel(row.access, host.kernel) === "id32");
    const values = rows.map((row) => cpu.getReg(sysRegId(row) as RegId<64>));
    assert.ok(hasAArch32(cpu) ? values.some((value) => value !== 0n) : values.every((value) => value === 0n));
    const said = new Set(rows.map((row) => answer(() => cpu.setReg(sysRegId(row) as RegId<64>, 0x9999_9999n))));
    assert.deepEqual([...said], [hasAArch32(cpu) ? "EINVAL" : "OK"]);
  });

  it("a bit outside the writable mask is EINVAL to change", function () {
    writable(this);
    const { cpu } = makeGuest(host);
    const limit = cpu.getReg(ISAR0);
    assertRefused("EINVAL", () => cpu.setReg(ISAR0, limit ^ 1n));
    assertRefused("EINVAL", () => cpu.setReg(PFR0, cpu.getReg(PFR0) ^ (0xfn << 44n)));
  });

  it("values are the whole VM's: what one vCPU sets, the other reads", function () {
    writable(this);
    const { cpus } = makeGuest(host, [], { vcpus: 2 });
    const limit = cpus[0]?.getReg(ISAR0) ?? 0n;
    cpus[0]?.setReg(ISAR0, lowered(limit));
    assert.equal(cpus[1]?.getReg(ISAR0), lowered(limit));
  });

  it("values stay over a second INIT", function () {
    writable(this);
    const { cpu } = makeGuest(host);
    const value = lowered(cpu.getReg(ISAR0));
    cpu.setReg(ISAR0, value);
    cpu.init();
    assert.equal(cpu.getReg(ISAR0), value);
  });

  it("after the first run the same value is taken, and another is EBUSY", function () {
    writable(this);
    const { cpu } = makeGuest(host);
    cpu.immediateExit = true;
    cpu.runSync();
    const limit = cpu.getReg(ISAR0);
    cpu.setReg(ISAR0, limit);
    assertRefused("EBUSY", () => cpu.setReg(ISAR0, lowered(limit)));
    assertRefused("EBUSY", () => cpu.setReg(ISAR0, limit ^ 1n));
  });

  it("kernels without writable ID registers take only the value that is there", () => {
    const { cpu } = makeGuest(host);
    const value = lowered(cpu.getReg(ISAR0));
    assert.equal(
      answer(() => cpu.setReg(ISAR0, value)),
      host.kvm.has("ARM_SUPPORTED_REG_MASK_RANGES") ? "OK" : "EINVAL",
    );
  });

  it("the guest reads what was set", async function () {
    writable(this);
    const { cpu } = makeGuest(host, [
      mrs(0, [3, 0, 0, 6, 0]), // mrs x0, id_aa64isar0_el1
      ...finish,
    ]);
    const value = lowered(cpu.getReg(ISAR0));
    cpu.setReg(ISAR0, value);
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), value);
  });

  it("a VM that runs without an interrupt controller promises no GIC", function () {
    writable(this);
    const { cpu } = makeGuest(host);
    cpu.immediateExit = true;
    cpu.runSync();
    assert.equal((cpu.getReg(PFR0) >> 24n) & 0xfn, 0n);
  });

  it("lowering ID_AA64MMFR3_EL1.TCRX takes TCR2_EL1 out of the list on kernels that gate it", () => {
    const { cpu } = makeGuest(host);
    const [mmfr3, tcr2] = [sysReg("ID_AA64MMFR3_EL1"), sysReg("TCR2_EL1")];
    const gated = cpu.regList().includes(tcr2) && (cpu.getReg(mmfr3) & 0xfn) !== 0n && host.kernel === "7.2";
    cpu.setReg(mmfr3, gated ? cpu.getReg(mmfr3) & ~0xfn : cpu.getReg(mmfr3));
    assert.equal(cpu.regList().includes(tcr2), host.kernel === "6.12");
  });

  for (const name of ["MIDR_EL1", "REVIDR_EL1", "AIDR_EL1"] as const) {
    it(`${name} takes its own value, and another is EINVAL without ARM_WRITABLE_IMP_ID_REGS`, () => {
      const { cpu } = makeGuest(host);
      const value = cpu.getReg(sysReg(name));
      cpu.setReg(sysReg(name), value);
      assertRefused("EINVAL", () => cpu.setReg(sysReg(name), value + 1n));
    });

    it(`${name} can be replaced with ARM_WRITABLE_IMP_ID_REGS, until the first run`, function () {
      needs(this, host, "ARM_WRITABLE_IMP_ID_REGS");
      const { cpu } = makeGuest(host, [], { prepare: (vm) => vm.enableCap("ARM_WRITABLE_IMP_ID_REGS") });
      cpu.setReg(sysReg(name), 0x1234n);
      assert.equal(cpu.getReg(sysReg(name)), 0x1234n);
      cpu.immediateExit = true;
      cpu.runSync();
      assertRefused("EBUSY", () => cpu.setReg(sysReg(name), 0x1235n));
      cpu.setReg(sysReg(name), 0x1234n);
    });
  }

  it("MIDR_EL1 has 32 bits even with ARM_WRITABLE_IMP_ID_REGS", function () {
    needs(this, host, "ARM_WRITABLE_IMP_ID_REGS");
    const { cpu } = makeGuest(host, [], { prepare: (vm) => vm.enableCap("ARM_WRITABLE_IMP_ID_REGS") });
    assertRefused("EINVAL", () => cpu.setReg(sysReg("MIDR_EL1"), 1n << 32n));
  });

  it("MPIDR_EL1 is any value, at any time", () => {
    const { cpu } = makeGuest(host);
    cpu.immediateExit = true;
    cpu.runSync();
    cpu.setReg(sysReg("MPIDR_EL1"), 0xdead_beef_0123_4567n);
    assert.equal(cpu.getReg(sysReg("MPIDR_EL1")), 0xdead_beef_0123_4567n);
  });

  it("CLIDR_EL1 takes another cache level, and no RES0 bits, where ID registers can be written", function () {
    writable(this);
    const { cpu } = makeGuest(host);
    const clidr = cpu.getReg(sysReg("CLIDR_EL1"));
    const level = [0n, 1n, 2n, 3n, 4n, 5n, 6n].find((n) => ((clidr >> (3n * n)) & 7n) === 0n) ?? 6n;
    const deeper = clidr | (4n << (3n * level));
    cpu.setReg(sysReg("CLIDR_EL1"), deeper);
    assert.equal(cpu.getReg(sysReg("CLIDR_EL1")), deeper);
    assertRefused("EINVAL", () => cpu.setReg(sysReg("CLIDR_EL1"), 1n << 63n));
  });

  it("CTR_EL0 takes a smaller minimum line and no DIC, where ID registers can be written", function () {
    writable(this);
    const { cpu } = makeGuest(host);
    const ctr = cpu.getReg(sysReg("CTR_EL0"));
    const smaller = (ctr & ~(1n << 29n)) - 1n; // DIC 0, IminLine one less
    cpu.setReg(sysReg("CTR_EL0"), smaller);
    assert.equal(cpu.getReg(sysReg("CTR_EL0")), smaller);
  });
});

onEveryBackend("KVM_ARM_GET_REG_WRITABLE_MASKS", (host) => {
  it("is EINVAL on kernels without it, whatever the range", () => {
    const vm = host.keep(host.kvm.createVm());
    const there = host.kvm.has("ARM_SUPPORTED_REG_MASK_RANGES") !== 0;
    assert.deepEqual(
      [answer(() => vm.writableMasks()), answer(() => vm.writableMasks(1))],
      [there ? "OK" : "EINVAL", "EINVAL"],
    );
  });

  it("gives the mask of each register of the table, and 0 for the rest of the space", function () {
    needs(this, host, "ARM_SUPPORTED_REG_MASK_RANGES");
    const { vm, cpu } = makeGuest(host);
    const masks = vm.writableMasks();
    const expected = new BigUint64Array(masks.length);
    for (const row of sysRegs) {
      const index = featureIdIndex(row.encoding);
      const access = onKernel(row.access, host.kernel);
      if (index < 0 || !["id", "id32", "impid", "clidr"].includes(access)) continue;
      if (access === "id32" && !hasAArch32(cpu)) continue;
      expected[index] = onKernel(row.userWritable, host.kernel);
    }
    const text = (words: BigUint64Array) => Array.from(words, (word, i) => `${i} 0x${word.toString(16)}`);
    assert.deepEqual(text(masks), text(expected));
  });

  it("does not need a vCPU, and is the same with one", function () {
    needs(this, host, "ARM_SUPPORTED_REG_MASK_RANGES");
    const empty = host.keep(host.kvm.createVm());
    assert.deepEqual(empty.writableMasks(), makeGuest(host).vm.writableMasks());
  });
});
