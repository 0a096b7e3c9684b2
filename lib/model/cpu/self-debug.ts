// What the guest's own debug registers ask of the CPU: debug exceptions that go to EL1. DDI 0487 D2, "AArch64
// Self-hosted Debug", and the pseudocode functions AArch64.BreakpointMatch, AArch64.WatchpointMatch, AArch64.StateMatch.

import { decode } from "../../arm64/fields.js";
import type { SysRegName } from "../../arm64/sysregs.js";
import { breakpointHit, type Levels, levels, meant, type Point, type Watchpoint, watchpointOf } from "./guest-debug.js";
import { type CpuState, Pstate } from "./state.js";

export interface SelfDebug {
  /** MDSCR_EL1.SS: Software Step is enabled. */
  readonly step: boolean;
  /** MDSCR_EL1.KDE: debug exceptions at EL1 too, where PSTATE.D is 0. */
  readonly atEl1: boolean;
  readonly breakpoints: readonly (Point & Levels)[];
  readonly watchpoints: readonly (Watchpoint & Levels)[];
}

export const noSelfDebug: SelfDebug = { step: false, atEl1: false, breakpoints: [], watchpoints: [] };

const [SS, KDE, MDE] = [1n, 1n << 13n, 1n << 15n]; // of MDSCR_EL1
const OSLK = 2n; // of OSLSR_EL1
const ENABLED = 1n;
const Bt = { address: 0n, linkedAddress: 1n, contextId: 2n, linkedContextId: 3n } as const;
const WATCHPOINT_LINKED = 1n << 20n;

const register = (state: CpuState, family: string, n: number): bigint => state.get(`${family}${n}_EL1` as SysRegName);

/** What the registers say now. */
export function selfDebug(state: CpuState): SelfDebug {
  const mdscr = state.get("MDSCR_EL1");
  if ((mdscr & (SS | MDE)) === 0n || (state.get("OSLSR_EL1") & OSLK) !== 0n) return noSelfDebug;
  const monitor = (mdscr & MDE) !== 0n;
  const { BRPs, WRPs, CTX_CMPs } = decode("ID_AA64DFR0_EL1", state.get("ID_AA64DFR0_EL1")).fields;
  /** Whether the context breakpoint that a control links to matches. */
  const linked = (control: bigint): boolean => {
    const n = Number((control >> 16n) & 15n);
    if (n < BRPs - CTX_CMPs || n > BRPs) return false;
    const context = register(state, "DBGBCR", n);
    return (context & ENABLED) !== 0n && ((context >> 20n) & 15n) === Bt.linkedContextId && inContext(state, n);
  };
  return {
    step: (mdscr & SS) !== 0n,
    atEl1: (mdscr & KDE) !== 0n,
    breakpoints: monitor ? numbers(BRPs).flatMap((n) => breakpoint(state, n, linked)) : [],
    watchpoints: monitor ? numbers(WRPs).flatMap((n) => watchpoint(state, n, linked)) : [],
  };
}

const numbers = (last: number): number[] => Array.from({ length: last + 1 }, (_, n) => n);

const inContext = (state: CpuState, n: number): boolean =>
  ((register(state, "DBGBVR", n) ^ state.get("CONTEXTIDR_EL1")) & 0xffff_ffffn) === 0n;

type Linked = (control: bigint) => boolean;

function breakpoint(state: CpuState, n: number, linked: Linked): (Point & Levels)[] {
  const control = register(state, "DBGBCR", n);
  if ((control & ENABLED) === 0n) return [];
  const type = (control >> 20n) & 15n;
  if (type === Bt.contextId) {
    // Every instruction in the context.
    return inContext(state, n) ? [{ address: 0n, bytes: Number.POSITIVE_INFINITY, ...levels(control) }] : [];
  }
  if (type !== Bt.address && !(type === Bt.linkedAddress && linked(control))) return [];
  return [{ address: register(state, "DBGBVR", n) & ~3n, bytes: 4, ...levels(control) }];
}

function watchpoint(state: CpuState, n: number, linked: Linked): (Watchpoint & Levels)[] {
  const control = register(state, "DBGWCR", n);
  const point = watchpointOf(register(state, "DBGWVR", n), control);
  if (point === undefined || ((control & WATCHPOINT_LINKED) !== 0n && !linked(control))) return [];
  return [{ ...point, ...levels(control) }];
}

/** AArch64.GenerateDebugExceptions, in a PSTATE. */
export function debugEnabled(debug: SelfDebug, mode: number): boolean {
  return (mode & Pstate.EL) === 0 || (debug.atEl1 && (mode & Pstate.D) === 0);
}

/** Whether the instruction at `pc` meets a breakpoint. */
export function ownBreakpointHit(debug: SelfDebug, mode: number, pc: bigint): boolean {
  return debugEnabled(debug, mode) && breakpointHit(debug.breakpoints, mode, pc);
}

/** The watchpoints that count now. */
export function ownWatchpoints(debug: SelfDebug, mode: number): readonly Watchpoint[] {
  return debugEnabled(debug, mode) ? debug.watchpoints.filter((point) => meant(point, mode)) : [];
}

/** DebugExceptionReturnSS: PSTATE.SS after an exception return from `mode` to `spsr`. */
export function stepAfterReturn(debug: SelfDebug, mode: number, spsr: number): 0 | 1 {
  if (!debug.step || debugEnabled(debug, mode) || !debugEnabled(debug, spsr)) return 0;
  return (spsr & Pstate.SS) !== 0 ? 1 : 0;
}
