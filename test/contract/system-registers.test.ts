// System registers as KVM_GET_ONE_REG and KVM_SET_ONE_REG see them: what they are after INIT, and what they keep.
// Each row of the table of system registers that this kernel lists is tried.

import assert from "node:assert/strict";
import type { RegId } from "../../lib/arm64/reg-id.js";
import { sysReg } from "../../lib/arm64/registers.js";
import { onKernel, UNKNOWN } from "../../lib/arm64/sysreg-row.js";
import { sysRegById, sysRegId, sysRegs } from "../../lib/arm64/sysregs.js";
import type { Vcpu } from "../../lib/vcpu.js";
import { type Host, needs, onEveryBackend, onHost } from "../support/backends.js";
import { completeExit, makeGuest } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

/** A vCPU with every feature that the host has, but SVE: its V registers are others' business. */
function fullVcpu(host: Host): Vcpu {
  const pmu = host.kvm.has("ARM_PMU_V3") ? (["pmu-v3"] as const) : [];
  const auth = host.kvm.has("ARM_PTRAUTH_ADDRESS") ? (["ptrauth-address", "ptrauth-generic"] as const) : [];
  return makeGuest(host, [], { features: ["psci-0.2", ...pmu, ...auth] }).cpu;
}

const listedRows = (cpu: Vcpu) => {
  const listed = new Set<bigint>(cpu.regList());
  return sysRegs.filter((row) => listed.has(sysRegId(row)) && sysRegId(row) >> 52n === 0x603n);
};
const idOf = (row: (typeof sysRegs)[number]): RegId<64> => sysRegId(row) as RegId<64>;
const hex = (value: bigint): string => `0x${value.toString(16)}`;

onEveryBackend("system registers", (host) => {
  it("are after INIT what the table says, where it is a number or KVM's unknown", () => {
    const cpu = fullVcpu(host);
    const wrong = listedRows(cpu).flatMap((row) => {
      const reset = onKernel(row.reset, host.kernel);
      const expected = reset === "unknown" ? UNKNOWN : reset;
      // What the guest's timer and counters read depends on when they are read.
      if (typeof expected !== "bigint" || ["timer", "pmcr"].includes(onKernel(row.access, host.kernel))) return [];
      const value = cpu.getReg(idOf(row));
      // Bits 15:10 of an event number came with PMUv3.1.
      const mask = row.name.startsWith("PMEVTYPER") ? ~0xfc00n : ~0n;
      return (value & mask) === (expected & mask) ? [] : [`${row.name} is ${hex(value)}, expected ${hex(expected)}`];
    });
    assert.deepEqual(wrong, []);
  });

  for (const when of ["before the first run", "after it"] as const) {
    it(`keep any 64 bits, those that are plain cells, ${when}`, () => {
      const cpu = fullVcpu(host);
      const plain = listedRows(cpu).filter((row) => ["raw", "debug"].includes(onKernel(row.access, host.kernel)));
      if (host.kvm.has("ARM_PMU_V3")) cpu.setAttr(0, 1n);
      if (when === "after it") completeExit(cpu);
      const wrong = plain.flatMap((row) =>
        [0xffff_ffff_ffff_ffffn, 0x0123_4567_89ab_cdefn, 0n].flatMap((value) => {
          const said = answer(() => cpu.setReg(idOf(row), value));
          const read = cpu.getReg(idOf(row));
          return said === "OK" && read === value ? [] : [`${row.name} = ${hex(value)}: ${said}, reads ${hex(read)}`];
        }),
      );
      assert.ok(plain.length > 80);
      assert.deepEqual(wrong, []);
    });
  }

  it("are not guest registers of KVM's own making: those that only guests see are ENOENT", () => {
    const cpu = fullVcpu(host);
    const listed = new Set<bigint>(cpu.regList());
    const hidden = sysRegs.filter((row) => row.kernels.length === 0 && sysRegId(row) >> 52n === 0x603n);
    const said = new Set(
      hidden.filter((row) => !listed.has(sysRegId(row))).map((row) => answer(() => cpu.getReg(idOf(row)))),
    );
    assert.deepEqual([...said], ["ENOENT"]);
  });

  it("OSLSR_EL1 takes the OS lock, and nothing else", () => {
    const { cpu } = makeGuest(host);
    const oslsr = sysReg("OSLSR_EL1");
    assert.equal(cpu.getReg(oslsr), 8n);
    cpu.setReg(oslsr, 0xan);
    assert.equal(cpu.getReg(oslsr), 0xan);
    cpu.setReg(oslsr, 8n);
    for (const value of [0n, 2n, 0xcn, 0x18n]) assertRefused("EINVAL", () => cpu.setReg(oslsr, value));
  });

  it("of the PMU, a SET register adds and a CLR register takes away before 7.2, both assign since", function () {
    needs(this, host, "ARM_PMU_V3");
    const cpu = fullVcpu(host);
    const [set, clear] = [sysReg("PMCNTENSET_EL0"), sysReg("PMCNTENCLR_EL0")];
    cpu.setReg(clear, onHost(host, { "6.1": 0x8000_0000n, "6.12": 0x8000_0000n, "7.2": 0n }));
    const before = cpu.getReg(set);
    cpu.setReg(set, 0x8000_0000n);
    const added = onHost(host, { "6.1": before | 0x8000_0000n, "6.12": before | 0x8000_0000n, "7.2": 0x8000_0000n });
    assert.deepEqual([cpu.getReg(set), cpu.getReg(clear)], [added, added]);
  });

  it("PMSWINC_EL0 reads 0 and takes anything", function () {
    needs(this, host, "ARM_PMU_V3");
    const cpu = fullVcpu(host);
    cpu.setReg(sysReg("PMSWINC_EL0"), 0xffn);
    assert.equal(cpu.getReg(sysReg("PMSWINC_EL0")), 0n);
  });

  it("every register of the list has the id that the table gives its name", () => {
    const cpu = fullVcpu(host);
    for (const row of listedRows(cpu)) assert.equal(sysRegById(sysRegId(row))?.name, row.name);
  });
});
