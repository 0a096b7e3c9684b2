// What the code of every handler may count on: the locals of the interpreter's function, its labels, and the helpers
// that are functions of their own.

import type { Code, Label, Local, ValueType } from "./binary.js";
import type { Calls } from "./calls.js";
import type { FloatHelpers } from "./float-helpers.js";
import type { Node } from "./trace.js";

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
export interface Helpers extends FloatHelpers {
  readonly nzcv: number;
  readonly carryFlags: number;
  readonly place: number;
  readonly pointer: number;
  readonly strip: number;
  readonly umulh: number;
  readonly smulh: number;
  readonly rbit: number;
  readonly rev: number;
  readonly crc32: number;
  readonly crc32c: number;
}

/** How code gets at what an instruction names: by its record, or known while the code is made. */
export interface Operands {
  /** The place of a cell that has no local, on the stack. */
  place(cell: Node): void;
  read(cell: Node, type: ValueType): void;
  /** Sets a cell to the 64 bits that `value` leaves on the stack. */
  write(cell: Node, value: () => void): void;
  constant(node: Node): void;
  /** 16 bits, at the width of what they are used with. */
  amount(node: Node, type: ValueType): void;
  pc(): void;
  /** The lower half of the stack pointer. */
  stackPointer(): void;
}

/** PSTATE.NZCV, computed when somebody asks: see flags.ts. */
export interface Flags {
  /** What they are computed of. */
  lazy(kind: number, a: () => void, b: () => void): void;
  /** The same if a condition holds; otherwise 16 bits, NZCV in the upper four. */
  lazyIf(condition: Node, kind: number, operands: { a: () => void; b: () => void }, otherwise: Node): void;
  /** To bits 31:28 of what is on the stack. */
  set(value: () => void): void;
  /** In bits 31:28, on the stack. */
  nzcv(): void;
  /** Whether the condition of an instruction holds; one that is a part of the code. */
  condition(node: Node): void;
  holds(condition: number): void;
}

/** An access to guest memory. */
export interface Access {
  readonly table: "reads" | "writes" | "userReads" | "userWrites";
  readonly address: Node;
  /** The local that has the address. */
  readonly at: Local;
  readonly bytes: number;
  /** What must be aligned in it, where that matters. */
  readonly element: number;
}

export interface Context {
  readonly code: Code;
  /** Puts the place of an access in the memory into a local, or goes to `labels.step`. Default: by the table. */
  readonly locate?: (access: Access, place: Local) => void;
  readonly operands: Operands;
  readonly flags: Flags;
  readonly locals: Locals;
  readonly labels: Labels;
  readonly helpers: Helpers;
  /** In the interpreter's own function: what JavaScript does, and whether a page of code has changed. */
  readonly calls?: Calls & { readonly changed: number };
}
