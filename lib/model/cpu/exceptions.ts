// Exceptions taken to EL1 in AArch64 state, and the return from them. DDI 0487 D1.3 (exception entry and return) and the
// pseudocode functions AArch64.TakeException, AArch64.ExceptionReturn, SetPSTATEFromPSR.

import { Attention, type CpuState, cells, Pstate } from "./state.js";

/** Exception classes, ESR_ELx.EC. */
export const Ec = {
  unknown: 0x00,
  wfx: 0x01,
  fpAccess: 0x07,
  branchTarget: 0x0d,
  illegalState: 0x0e,
  svc64: 0x15,
  hvc64: 0x16,
  smc64: 0x17,
  system: 0x18,
  sve: 0x19,
  pac: 0x1c,
  instructionAbortLower: 0x20,
  instructionAbort: 0x21,
  pcAlignment: 0x22,
  dataAbortLower: 0x24,
  dataAbort: 0x25,
  spAlignment: 0x26,
  serror: 0x2f,
  breakpointLower: 0x30,
  breakpoint: 0x31,
  stepLower: 0x32,
  step: 0x33,
  watchpointLower: 0x34,
  watchpoint: 0x35,
  brk: 0x3c,
} as const;

/** ESR_ELx.IL: a 32-bit instruction. Set for everything that this CPU reports. */
export const IL = 1 << 25;

/** Fault status codes, ISS.DFSC and ISS.IFSC. */
export const Fsc = {
  addressSize0: 0x00,
  translation3: 0x07,
  permission3: 0x0f,
  syncExternal: 0x10,
  syncExternalOnWalk0: 0x14,
  alignment: 0x21,
  debug: 0x22,
} as const;

/** An ESR value as an unsigned 32-bit number. */
export function syndrome(ec: number, iss: number): number {
  return ((ec << 26) | IL | iss) >>> 0;
}

/** Offset in the vector table of each kind of exception. */
const vectors = { synchronous: 0x000, irq: 0x080, fiq: 0x100, serror: 0x180 } as const;
export type ExceptionKind = keyof typeof vectors;

/** PSTATE bits that exist on every Armv8.0 CPU. */
const BASE_PSTATE = Pstate.NZCV | Pstate.DAIF | Pstate.SS | Pstate.IL | Pstate.EL | Pstate.SP;

/** PSTATE bits that come with a feature. */
const optionalPstate = {
  SSBS: Pstate.SSBS,
  PAN: Pstate.PAN,
  UAO: Pstate.UAO,
  DIT: Pstate.DIT,
  MTE2: Pstate.TCO,
  BTI: Pstate.BTYPE,
} as const;

/** The PSTATE bits that a CPU with these features has. */
export function implementedPstate(promises: (feature: keyof typeof optionalPstate) => boolean): number {
  let bits = BASE_PSTATE;
  for (const [feature, bit] of Object.entries(optionalPstate)) {
    if (promises(feature as keyof typeof optionalPstate)) bits |= bit;
  }
  return bits;
}

const SPAN = 23n;
const DSSBS = 44n;

/** AArch64.TakeException to EL1. `implemented`: the CPU's PSTATE bits. ESR and FAR are the caller's. */
export function takeException(
  state: CpuState,
  kind: ExceptionKind,
  returnAddress: bigint,
  implemented = ALL_PSTATE,
): void {
  state.beforeModeChange?.();
  const old = state.mode;
  const from =
    (old & Pstate.EL) === 0 ? ((old & Pstate.nRW) === 0 ? 0x400 : 0x600) : (old & Pstate.SP) === 0 ? 0 : 0x200;
  const sctlr = state.get("SCTLR_EL1");
  state.setSpsr(0, state.pstate);
  state.elrEl1 = returnAddress;
  // DIT and PAN keep their values; everything that is not named here becomes 0.
  let mode = Pstate.DAIF | 5 | (old & (Pstate.DIT | Pstate.PAN));
  if (((sctlr >> SPAN) & 1n) === 0n) mode |= Pstate.PAN;
  if (((sctlr >> DSSBS) & 1n) === 1n) mode |= Pstate.SSBS;
  mode |= Pstate.TCO;
  state.mode = mode & implemented;
  state.pc = BigInt.asUintN(64, (state.get("VBAR_EL1") & ~0x7ffn) + BigInt(from + vectors[kind]));
}

const ALL_PSTATE = BASE_PSTATE | Pstate.SSBS | Pstate.PAN | Pstate.UAO | Pstate.DIT | Pstate.TCO | Pstate.BTYPE;

/** A synchronous exception to EL1 with its syndrome; `far` only for those that write FAR_EL1. */
export function takeSynchronous(
  state: CpuState,
  esr: number,
  returnAddress: bigint,
  far: bigint | null,
  implemented = ALL_PSTATE,
): void {
  state.set("ESR_EL1", BigInt(esr));
  if (far !== null) state.set("FAR_EL1", far);
  takeException(state, "synchronous", returnAddress, implemented);
}

/** Undefined Instruction exception at the current instruction. */
export function injectUndefined(state: CpuState, implemented = ALL_PSTATE): void {
  takeSynchronous(state, syndrome(Ec.unknown, 0), state.pc, null, implemented);
}

/** Makes a virtual SError pending: it is taken when PSTATE.A allows. `iss`: ESR_EL1 bits 24:0. */
export function injectSError(state: CpuState, iss: number): void {
  state.pendingSError = iss & 0x1ff_ffff;
}

/**
 * Takes the pending interrupt of highest priority that PSTATE does not mask; false if there is none. The architecture leaves
 * their order to the implementation (DDI 0487 D1.3.5); this is that of QEMU's CPUs.
 */
export function takePendingInterrupt(state: CpuState, implemented = ALL_PSTATE): boolean {
  const attention = state.attention;
  const { mode } = state;
  if ((attention & Attention.irq) !== 0 && (mode & Pstate.I) === 0) {
    takeException(state, "irq", state.pc, implemented);
    return true;
  }
  if ((attention & Attention.fiq) !== 0 && (mode & Pstate.F) === 0) {
    takeException(state, "fiq", state.pc, implemented);
    return true;
  }
  return takeSError(state, implemented);
}

/** Takes the pending SError; false: there is none, or PSTATE masks it. */
export function takeSError(state: CpuState, implemented = ALL_PSTATE): boolean {
  const iss = state.pendingSError;
  if (iss === null || (state.mode & Pstate.A) !== 0) return false;
  state.pendingSError = null;
  state.set("ESR_EL1", BigInt(syndrome(Ec.serror, iss)));
  takeException(state, "serror", state.pc, implemented);
  return true;
}

/** ISR_EL1: which interrupts are pending, masked or not. */
export function interruptStatus(state: CpuState): bigint {
  const attention = state.attention;
  return BigInt(
    ((attention & Attention.serror) !== 0 ? 1 << 8 : 0) |
      ((attention & Attention.irq) !== 0 ? 1 << 7 : 0) |
      ((attention & Attention.fiq) !== 0 ? 1 << 6 : 0),
  );
}

/**
 * Whether a return to this SPSR is illegal from EL1 (DDI 0487 D1, "Illegal exception returns from AArch64 state").
 * AArch32 does not exist here.
 */
export function illegalReturn(spsr: number): boolean {
  const mode = spsr & Pstate.M;
  return mode !== 0 && mode !== 4 && mode !== 5;
}

/** AArch64.ExceptionReturn from EL1. `ss`: what DebugExceptionReturnSS gives. */
export function exceptionReturn(state: CpuState, target: bigint, implemented = ALL_PSTATE, ss: 0 | 1 = 0): void {
  const spsr = Number(BigInt.asIntN(32, state.spsr(0))) & (implemented | Pstate.M);
  state.beforeModeChange?.();
  const old = state.mode;
  const always = Pstate.DAIF | Pstate.PAN;
  let mode: number;
  if (illegalReturn(spsr)) {
    // What becomes UNKNOWN (SSBS, UAO, DIT, TCO) keeps its value here.
    mode = (old & ~(always | Pstate.SS)) | (spsr & always) | Pstate.IL;
  } else {
    mode = spsr & ~(Pstate.NZCV | Pstate.SS);
  }
  if (ss === 1) mode |= Pstate.SS;
  state.mode = mode;
  state.words[cells.flags * 2 + 1] = spsr & Pstate.NZCV;
  state.pc = target;
  state.clearExclusive();
}
