// What KVM_SET_GUEST_DEBUG asks of a running CPU: debug exceptions that go to EL2 instead of to the guest.
// DDI 0487 D2, "AArch64 Self-hosted Debug".

import { Ec, Fsc, syndrome } from "./exceptions.js";
import { Pstate } from "./state.js";

/** A range of addresses that stops the CPU when it is fetched from, or read or written. */
export interface Point {
  readonly address: bigint;
  readonly bytes: number;
}

/** At which exception levels a breakpoint or watchpoint is meant. */
export interface Levels {
  readonly el0: boolean;
  readonly el1: boolean;
}

export interface Watchpoint extends Point {
  readonly on: "read" | "write" | "both";
}

export interface GuestDebug {
  /** All debug exceptions go to EL2, BRK among them, and the guest does not step itself. */
  readonly enabled: boolean;
  /** Software step: PSTATE.SS = 1 lets one instruction run, then EC 0x32. */
  readonly singleStep: boolean;
  /** What the guest's own registers say: also goes to EL2, or is not there. */
  readonly ownPoints: "taken" | "hidden";
  readonly breakpoints: readonly (Point & Levels)[];
  readonly watchpoints: readonly (Watchpoint & Levels)[];
}

export const noGuestDebug: GuestDebug = {
  enabled: false,
  singleStep: false,
  ownPoints: "hidden",
  breakpoints: [],
  watchpoints: [],
};

const ENABLED = 1n;
const SECURE_ONLY = 2n;

/** SSC and PMC of a control register: the guest is in Non-secure state. */
export function levels(control: bigint): Levels {
  const there = ((control >> 14n) & 3n) !== SECURE_ONLY;
  return { el1: there && (control & 2n) !== 0n, el0: there && (control & 4n) !== 0n };
}

export const meant = (levels: Levels, mode: number): boolean => ((mode & Pstate.EL) === 0 ? levels.el0 : levels.el1);

/** The points that pairs of DBGBVR and DBGBCR describe: unlinked address breakpoints, those that are enabled. */
export function breakpointsOf(values: readonly bigint[], controls: readonly bigint[]): (Point & Levels)[] {
  return values.flatMap((value, n) => {
    const control = controls[n] ?? 0n;
    return (control & ENABLED) === 0n ? [] : [{ address: value & ~3n, bytes: 4, ...levels(control) }];
  });
}

/** The range that a DBGWVR and its DBGWCR describe: BAS selects bytes of a doubleword, or MASK a power of two. */
export function watchpointOf(value: bigint, control: bigint): Watchpoint | undefined {
  if ((control & ENABLED) === 0n) return undefined;
  const on = ([undefined, "read", "write", "both"] as const)[Number((control >> 3n) & 3n)];
  if (on === undefined) return undefined;
  const mask = (control >> 24n) & 31n;
  if (mask >= 3n) return { address: (value >> mask) << mask, bytes: 2 ** Number(mask), on };
  const bas = Number((control >> 5n) & 255n);
  if (bas === 0) return undefined;
  const first = 31 - Math.clz32(bas & -bas);
  const last = 31 - Math.clz32(bas);
  return { address: (value & ~7n) + BigInt(first), bytes: last - first + 1, on };
}

/** The ranges that pairs of DBGWVR and DBGWCR describe, those that are enabled. */
export function watchpointsOf(values: readonly bigint[], controls: readonly bigint[]): (Watchpoint & Levels)[] {
  return values.flatMap((value, n) => {
    const control = controls[n] ?? 0n;
    const point = watchpointOf(value, control);
    return point === undefined ? [] : [{ ...point, ...levels(control) }];
  });
}

/** The watchpoint that an access meets. */
export function watchpointHit(
  watchpoints: readonly Watchpoint[],
  address: bigint,
  bytes: number,
  write: boolean,
): Watchpoint | undefined {
  return watchpoints.find(
    (point) =>
      (point.on === "both" || (point.on === "write") === write) &&
      address < point.address + BigInt(point.bytes) &&
      point.address < address + BigInt(bytes),
  );
}

/** Whether the instruction at `pc` meets a breakpoint. One without an end is for every instruction. */
export function breakpointHit(breakpoints: readonly (Point & Levels)[], mode: number, pc: bigint): boolean {
  return breakpoints.some(
    (point) => meant(point, mode) && (point.bytes === Number.POSITIVE_INFINITY || point.address === pc),
  );
}

/** ESR_EL2 of a Software Step exception: ISV says that an instruction was stepped, EX that it was a Load-Exclusive. */
export function stepSyndrome(what: "stepped" | "exclusive" | "pending"): number {
  const isv = what === "pending" ? 0 : 1 << 24;
  const ex = what === "exclusive" ? 1 << 6 : 0;
  return syndrome(Ec.stepLower, isv | ex | Fsc.debug);
}
