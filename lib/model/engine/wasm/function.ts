// What the code of every handler may count on: the locals of the interpreter's function, its labels, and the helpers
// that are functions of their own.

import type { Code, Label, Local } from "./binary.js";

export interface Locals {
  /** Byte of the vCPU's state, and of the block that is shared with JavaScript. */
  readonly base: Local;
  readonly block: Local;
  /** The record of this instruction, and the virtual address of its page. */
  readonly record: Local;
  readonly page: Local;
  /** 16 times the instructions left, plus `record`: going on to the next record counts by itself. */
  readonly quota: Local;
  /** A branch's target: as a record of this page, or as an address. */
  readonly target: Local;
  readonly pc: Local;
  /** 16 times the instructions left, where no record is at hand. */
  readonly left: Local;
  /** PSTATE.NZCV, not yet computed: see flags.ts. */
  readonly flagsKind: Local;
  readonly flagsA: Local;
  readonly flagsB: Local;
  /** PSTATE.BTYPE after a branch to a register that is under way. */
  readonly btype: Local;
  /** 1: this page is guarded. */
  readonly guarded: Local;
  /** Tables of translations for reads and writes. */
  readonly reads: Local;
  readonly writes: Local;
}

export interface Labels {
  /** Runs the instruction at `record`. */
  readonly next: Label;
  /** The evaluator does this instruction: nothing of it may have happened. */
  readonly step: Label;
  /** To `target`; to the address `pc`. */
  readonly jump: Label;
  readonly indirect: Label;
}

/** Indices of functions. */
export interface Helpers {
  readonly nzcv: number;
  readonly carryFlags: number;
  readonly place: number;
  readonly pointer: number;
  readonly umulh: number;
  readonly smulh: number;
  readonly rbit: number;
  readonly rev: number;
}

export interface Context {
  readonly code: Code;
  readonly locals: Locals;
  readonly labels: Labels;
  readonly helpers: Helpers;
}
