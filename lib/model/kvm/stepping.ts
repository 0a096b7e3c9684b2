// PSTATE.SS while userspace single-steps (KVM_SET_GUEST_DEBUG). In the guest it is the state of that step; the guest's own
// is put aside meanwhile. DDI 0487 D2, "Software Step exceptions": with SS 0 the exception comes before any instruction.

import { KVM_GUESTDBG } from "../../uapi/constants.js";
import { Pstate } from "../cpu/state.js";
import type { VcpuState } from "../vcpu-state.js";

/** Kernels change over either where KVM_RUN begins and ends, or at each entry to the guest and exit from it. */
export type Change = "run" | "guest";

const changes = (vcpu: VcpuState): Change => (vcpu.vm.profile.switches.stepKeptInRun ? "run" : "guest");
const steps = (vcpu: VcpuState): boolean => (vcpu.get("debugControl") & KVM_GUESTDBG.SINGLESTEP) !== 0;

/** Kernels that change at each entry put the guest's own aside with any guest debug. */
const putsAside = (vcpu: VcpuState, at: Change): boolean =>
  at === changes(vcpu) && (at === "run" ? steps(vcpu) : vcpu.get("debugControl") !== 0);

/** The step begins: one instruction, unless it is used up already and its exit is still to come. */
export function beginStep(vcpu: VcpuState, at: Change): void {
  const skipped = vcpu.exchange("skipped", 0) === 1;
  if (!putsAside(vcpu, at)) return;
  const { cpu } = vcpu;
  vcpu.put("guestSs", cpu.mode & Pstate.SS);
  if (!steps(vcpu)) return;
  if (skipped || vcpu.get("stepPending") === 1) cpu.mode &= ~Pstate.SS;
  else cpu.mode |= Pstate.SS;
}

/** What is left of the step is remembered. */
export function endStep(vcpu: VcpuState, at: Change): void {
  if (!putsAside(vcpu, at)) return;
  const { cpu } = vcpu;
  if (steps(vcpu)) {
    if ((cpu.mode & Pstate.SS) === 0) vcpu.put("stepPending", 1);
    else if (at === "run") vcpu.put("stepPending", 0);
  }
  cpu.mode = (cpu.mode & ~Pstate.SS) | vcpu.get("guestSs");
}

/** The exception of the step was taken. */
export function stepTaken(vcpu: VcpuState): void {
  if (changes(vcpu) === "run") vcpu.cpu.mode |= Pstate.SS;
  vcpu.put("stepPending", 0);
}
