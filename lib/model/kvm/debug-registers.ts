// When the guest's own breakpoints and watchpoints are in the CPU, which has not all bits of them. KVM loads them if they
// may matter or are asked for, and saves what has become of them; while userspace debugs, they may wait in memory.

import { type SysRegName, sysRegIndex, sysRegs } from "../../arm64/sysregs.js";
import { KVM_GUESTDBG } from "../../uapi/constants.js";
import type { VcpuState } from "../vcpu-state.js";

/** DBGWVR<n>_EL1, bits 1:0: RES0. */
const WATCHPOINT_RES0 = 3n;
const WATCHPOINTS = Array.from({ length: 16 }, (_, n) => sysRegIndex(`DBGWVR${n}_EL1` as SysRegName));

/** Those whose access tells KVM that the guest debugs. */
const DEBUG_REGISTERS: ReadonlySet<string> = new Set(
  sysRegs.map(({ name }) => name).filter((name) => /^(DBG[BW][CV]R\d+|MDSCR|MDCCINT)_EL1$/.test(name)),
);

/** MDSCR_EL1.KDE and MDE: the guest's debug exceptions are on. */
const ENABLES = (1n << 13n) | (1n << 15n);
const OSLK = 2n; // of OSLSR_EL1

/** Whether the CPU has those of somebody else while the guest runs, or none. */
function areElsewhere(vcpu: VcpuState): boolean {
  const control = vcpu.get("debugControl");
  if (!vcpu.vm.profile.switches.debugRegistersOwned) return (control & KVM_GUESTDBG.USE_HW) !== 0;
  return control !== 0 || (vcpu.cpu.get("OSLSR_EL1") & OSLK) !== 0n;
}

/** They go through the CPU. */
function pass(vcpu: VcpuState): void {
  if (areElsewhere(vcpu)) return;
  const { watchpoints } = vcpu.vm.profile.host;
  for (const cell of WATCHPOINTS.slice(0, watchpoints)) {
    const value = vcpu.cpu.sysreg(cell);
    if ((value & WATCHPOINT_RES0) !== 0n) vcpu.cpu.setSysreg(cell, value & ~WATCHPOINT_RES0);
  }
}

/** The guest is about to run. */
export function loadDebugRegisters(vcpu: VcpuState): void {
  if ((vcpu.cpu.get("MDSCR_EL1") & ENABLES) !== 0n) pass(vcpu);
}

/** MRS of one; undefined: it is something else. */
export function readDebugRegister(vcpu: VcpuState, name: string): bigint | undefined {
  if (!DEBUG_REGISTERS.has(name)) return undefined;
  const value = vcpu.cpu.get(name as SysRegName);
  if (vcpu.vm.profile.switches.debugRegistersOwned) pass(vcpu);
  return value;
}

/** The guest has written a register. */
export function debugRegisterWritten(vcpu: VcpuState, name: string): void {
  if (DEBUG_REGISTERS.has(name)) pass(vcpu);
}
