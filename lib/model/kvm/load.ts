// What KVM_RUN does to registers before anything else on hosts whose kernel runs at EL2 (VHE): they are loaded into the CPU,
// and bits that it has not are gone when they are read again.

import { decode } from "../../arm64/fields.js";
import type { SysRegName } from "../../arm64/sysregs.js";
import type { VcpuState } from "../vcpu-state.js";

/** The bits that the CPU has. IMPLEMENTATION DEFINED registers have none. */
const kept: readonly (readonly [SysRegName, bigint])[] = [
  ["AFSR0_EL1", 0n],
  ["AFSR1_EL1", 0n],
  ["AMAIR_EL1", 0n],
  ["VBAR_EL1", ~0x1fn],
];

/** SCTLR_EL1.ITFSB, TCF0, TCF, ATA0 and ATA come with FEAT_MTE2. */
const SCTLR_MTE = 0xfe0_0000_0000n;
const MTE2 = 2;
const CSSELR = 0xfn;

export function loadRegisters(vcpu: VcpuState): void {
  const { cpu, vm } = vcpu;
  const { host, switches } = vm.profile;
  if (decode("ID_AA64MMFR1_EL1", host.value("ID_AA64MMFR1_EL1")).fields.VH === 0) return;
  for (const [name, bits] of kept) cpu.set(name, cpu.get(name) & bits);
  if (switches.csselrIsLoaded) cpu.set("CSSELR_EL1", cpu.get("CSSELR_EL1") & CSSELR);
  if (decode("ID_AA64PFR1_EL1", host.value("ID_AA64PFR1_EL1")).fields.MTE >= MTE2) return;
  cpu.set("SCTLR_EL1", cpu.get("SCTLR_EL1") & ~SCTLR_MTE);
}

/** The guest wrote a register: CSSELR_EL1 is the CPU's where it is loaded, otherwise KVM keeps it. */
export function selectionWritten({ cpu, vm }: VcpuState, name: string): void {
  if (name !== "CSSELR_EL1" || !vm.profile.switches.csselrIsLoaded) return;
  cpu.set(name, cpu.get(name) & CSSELR);
}
