// Branch Target Identification: what PSTATE.BTYPE says of the branch that went here, and which instructions of a guarded
// page may be its target. DDI 0487 D8, "PSTATE.BTYPE", and J1.1 BTypeCompatible_BTI, BTypeCompatible_PACIXSP.

import type { CpuState } from "./state.js";

/** PSTATE.BTYPE after a branch: by its kind, and after a jump out of a guarded page. */
export const Btype = { lsb: 10, jump: 1, veneer: 1, call: 2, guardedJump: 3, return: 0 } as const;

/** SCTLR_EL1.BT0 and BT1: PACIASP and PACIBSP are no target of such jumps at EL0, at EL1. */
const BT = [1n << 35n, 1n << 36n] as const;

const BTI_ANY = 0xd503_241f | 0;
const PACIASP = 0xd503_233f | 0;
const PACIBSP = 0xd503_237f | 0;

/** Whether an instruction of a guarded page (as a signed number) may be where a branch of type 1 to 3 goes. */
export function landsAt(word: number, type: number, state: CpuState): boolean {
  // BRK and HLT have exceptions of their own.
  if ((word & 0xffe0_001f) === (0xd420_0000 | 0) || (word & 0xffe0_001f) === (0xd440_0000 | 0)) return true;
  if (word === PACIASP || word === PACIBSP) {
    return type !== Btype.guardedJump || (state.get("SCTLR_EL1") & BT[state.el === 0 ? 0 : 1]) === 0n;
  }
  if ((word & ~0xc0) !== BTI_ANY) return false;
  const targets = (word >>> 6) & 3; // bit 0: of calls, bit 1: of jumps
  if (type === Btype.guardedJump) return (targets & 2) !== 0;
  if (type === Btype.call) return (targets & 1) !== 0;
  return targets !== 0;
}
