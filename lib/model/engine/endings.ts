// How an instruction ends other than by going on to the next: exceptions to EL1, and stops, which are exceptions to EL2.

import { Ec, Fsc, syndrome, takeSynchronous } from "../cpu/exceptions.js";
import { breakpointHit, type GuestDebug, meant, noGuestDebug, type Point, watchpointHit } from "../cpu/guest-debug.js";
import { noSelfDebug, ownBreakpointHit, ownWatchpoints, type SelfDebug, selfDebug } from "../cpu/self-debug.js";
import { type CpuState, cells } from "../cpu/state.js";
import type { Faults } from "./memory.js";
import { type Stop, unwind } from "./stop.js";

const PC = cells.pc * 2;

export class Endings implements Faults {
  /** What KVM_SET_GUEST_DEBUG asks for. */
  debug: GuestDebug = noGuestDebug;
  /** What the guest's own debug registers ask for. */
  own: SelfDebug = noSelfDebug;
  /** Breakpoints and watchpoints that go to EL2. */
  private points: Pick<GuestDebug, "breakpoints" | "watchpoints"> = noGuestDebug;
  /** There are breakpoints, of either. */
  breaks = false;
  /** There are watchpoints, of either. */
  watches = false;
  /** The PSTATE bits that this CPU has. */
  implemented = 0;
  /** Instructions executed since the beginning, and those that this run may still execute. */
  executed = 0;
  left = 0;
  /** The instruction has set PC itself. */
  jumped = false;
  /** Set: the run ends with this. */
  stop: Stop | null = null;
  /** A debug register changed: the run pauses for `armDebug`, with so many instructions still to do. */
  paused = false;
  later = 0;
  /** An instruction was stepped by the guest itself, and its exception is still to come. */
  stepped = false;
  /** A Load-Exclusive was executed. */
  exclusive = false;
  /** A step was used up otherwise than by an instruction that ran to its end. */
  unstepped = false;

  constructor(private readonly state: CpuState) {}

  /** Synchronous exception to EL1, preferred return address this instruction. */
  exception(esr: number, far: bigint | null): void {
    this.take(esr, this.state.pc, far);
  }

  /** Synchronous exception to EL1. */
  take(esr: number, returnAddress: bigint, far: bigint | null): void {
    takeSynchronous(this.state, esr, returnAddress, far, this.implemented);
    this.jumped = true;
    this.unstepped = true;
  }

  /** The same from a place that cannot return. */
  raise(esr: number, far: bigint | null): never {
    this.exception(esr, far);
    throw unwind;
  }

  halt(stop: Stop): void {
    this.stop = stop;
    this.jumped = true;
  }

  /** An exception to EL2, with the cells of the state that it writes. */
  toEl2(esr: number, far: bigint, ipa: bigint): Stop {
    const { state } = this;
    state.esrEl2 = BigInt(esr);
    if (far !== 0n) state.farEl2 = far;
    if (ipa !== 0n) state.hpfarEl2 = (ipa >> 12n) << 4n;
    return { kind: "el2", esr, far, ipa };
  }

  /** UNDEFINED at EL0. */
  privileged(): void {
    if (this.state.el === 0) this.raise(syndrome(Ec.unknown, 0), null);
  }

  illegalState(): never {
    this.raise(syndrome(Ec.illegalState, 0), null);
  }

  misalignedPc(): never {
    this.raise(syndrome(Ec.pcAlignment, 0), this.state.pc);
  }

  /** PC to the next instruction. */
  advance(): void {
    const { words } = this.state;
    const next = (words[PC]! + 4) | 0;
    words[PC] = next;
    if (next === 0) words[PC + 1] = words[PC + 1]! + 1;
  }

  /** The instruction at PC did not happen after all. */
  notExecuted(): void {
    this.executed--;
    this.left++;
  }

  /** Looks at the debug registers again: before a run, and after the guest wrote one. */
  armDebug(): void {
    const { debug } = this;
    this.paused = false;
    this.later = 0;
    const own = selfDebug(this.state);
    this.own = debug.enabled ? noSelfDebug : own;
    this.points = debug.ownPoints === "taken" ? own : debug;
    this.breaks = this.points.breakpoints.length + this.own.breakpoints.length > 0;
    this.watches = this.points.watchpoints.length + this.own.watchpoints.length > 0;
  }

  /** Lets the run go on only after `armDebug`. */
  pause(): void {
    this.paused = true;
    this.later = this.left;
    this.left = 0;
  }

  checkBreakpoints(): void {
    const { pc, mode } = this.state;
    if (breakpointHit(this.points.breakpoints, mode, pc))
      this.stopBefore(syndrome(Ec.breakpointLower, Fsc.debug), 0n, 0n);
    if (ownBreakpointHit(this.own, mode, pc)) this.ownDebugException(Ec.breakpointLower, 0, null);
  }

  /** A debug exception to EL1. */
  ownDebugException(ec: number, iss: number, far: bigint | null): never {
    this.notExecuted();
    this.raise(syndrome(ec + this.state.el, iss | Fsc.debug), far);
  }

  stage2Data(address: bigint, ipa: bigint, fsc: number, iss: number): never {
    this.stopBefore(syndrome(Ec.dataAbortLower, iss | fsc), address, ipa);
  }

  stage2Fetch(address: bigint, ipa: bigint, fsc: number): never {
    this.stopBefore(syndrome(Ec.instructionAbortLower, fsc), address, ipa);
  }

  stage1Data(address: bigint, fsc: number, iss: number): never {
    this.raise(syndrome(Ec.dataAbortLower + this.state.el, iss | fsc), address);
  }

  stage1Fetch(address: bigint, fsc: number): never {
    this.raise(syndrome(Ec.instructionAbortLower + this.state.el, fsc), address);
  }

  watched(address: bigint): boolean {
    if (!this.watches) return false;
    const onPage = (point: Point) => (point.address ^ address) >> 12n === 0n || point.bytes > 4096;
    return this.points.watchpoints.some(onPage) || this.own.watchpoints.some(onPage);
  }

  watch(address: bigint, bytes: number, write: boolean): void {
    const iss = write ? 1 << 6 : 0;
    const { mode } = this.state;
    const theirs = this.points.watchpoints.filter((point) => meant(point, mode));
    const hit = watchpointHit(theirs, address, bytes, write);
    if (hit !== undefined) this.stopBefore(syndrome(Ec.watchpointLower, Fsc.debug | iss), firstOf(hit, address), 0n);
    const own = watchpointHit(ownWatchpoints(this.own, mode), address, bytes, write);
    if (own !== undefined) this.ownDebugException(Ec.watchpointLower, iss, firstOf(own, address));
  }

  private stopBefore(esr: number, far: bigint, ipa: bigint): never {
    this.notExecuted();
    this.halt(this.toEl2(esr, far, ipa));
    throw unwind;
  }
}

/** Of the bytes of an access from `address` on, the first that is watched: what FAR says. */
const firstOf = (point: Point, address: bigint): bigint => (point.address > address ? point.address : address);
