// An instruction as the translator sees it: the trace of its meaning, and what that reads, writes and may fail in.

import { extract } from "../../a64/bits.js";
import type { Feature } from "../../a64/features.js";
import type { BranchKind } from "../../a64/machine.js";
import { decodeA64 } from "../../a64/table.js";
import { cells } from "../../cpu/state.js";
import { endings } from "../wasm/handlers.js";
import { traceOfRow } from "../wasm/library.js";
import { RECORD } from "../wasm/record.js";
import type { Effect, Node } from "../wasm/trace.js";

/** Registers as bits: X0 to X30, the stack pointer, and PSTATE.NZCV. */
export type Registers = bigint;
export const SP = 31;
export const FLAGS: Registers = 1n << 32n;
export const NONE: Registers = 0n;

/** Where an instruction leads. Distances are in instructions, from itself. */
export type Way =
  | { readonly kind: "next" }
  | { readonly kind: "jump"; readonly distance: number }
  | { readonly kind: "fork"; readonly distance: number; readonly ending: Effect }
  | { readonly kind: "call"; readonly distance: number }
  | { readonly kind: "register"; readonly branch: BranchKind };

export interface Instruction {
  readonly effects: readonly Effect[];
  readonly reads: Registers;
  readonly writes: Registers;
  /** It may turn out that the interpreter must do it. */
  readonly mayFail: boolean;
  readonly way: Way;
}

/** Effects that regions have code for. The rest is the interpreter's. */
const effects: ReadonlySet<string> = new Set(
  [
    "write load store storePair checkSp fence needs mask zero pointer",
    "addFlags subFlags logicFlags addCarryFlags subCarryFlags addFlagsIf subFlagsIf setNzcv",
    "clearExclusive loadExclusive storeExclusive add clear set eor swap compareAndSwap",
    "branch branchOn branchIf branchTo",
  ].flatMap((line) => line.split(" ")),
);
const values: ReadonlySet<string> = new Set(
  [
    "const amount read cell pc add sub mul and or xor shl sar shr rotr clz not wrap widen extendS extendU isZero bit",
    "select condition nzcv pstate carry udiv sdiv cls rbit rev umulh smulh loaded result",
  ].flatMap((line) => line.split(" ")),
);
const neverFail: ReadonlySet<string> = new Set(
  [
    "write addFlags subFlags logicFlags addCarryFlags subCarryFlags addFlagsIf subFlagsIf setNzcv clearExclusive mask",
    "branch branchOn branchIf",
  ].flatMap((line) => line.split(" ")),
);
const readFlags: ReadonlySet<string> = new Set(["condition", "nzcv", "carry"]);
const writeFlags = /Flags|^setNzcv$/;
/** Of conditions: it holds always. */
const ALWAYS = 14;

/** The register whose cell this is, by its bit; null: none that has a local. */
export function registerOf(cell: Node): number | null {
  const n = Number(cell.value) / 8;
  if (n === cells.stackPointer) return SP;
  return n >= cells.x && n < cells.x + 31 ? n - cells.x : null;
}

const bit = (register: number): Registers => 1n << BigInt(register);

/** By words: what is known of each; null: the interpreter does it. */
export class Instructions {
  private readonly promised = new Map<Feature, boolean>();

  constructor(private readonly promises: (feature: Feature) => boolean) {}

  /** What was asked may be answered otherwise now. */
  clear(): void {
    this.promised.clear();
  }

  private has(feature: Feature): boolean {
    const known = this.promised.get(feature);
    if (known !== undefined) return known;
    const promised = this.promises(feature);
    this.promised.set(feature, promised);
    return promised;
  }

  /** Made anew each time: code that is made of it marks its nodes. */
  of(word: number): Instruction | null {
    const row = decodeA64(word >>> 0);
    if (row === undefined || !row.needs.every((feature) => this.has(feature))) return null;
    const trace = traceOfRow(row, extract(row.encoding, word));
    return trace === null ? null : instructionOf(trace.effects);
  }
}

function instructionOf(all: readonly Effect[]): Instruction | null {
  let reads = NONE;
  let writes = NONE;
  let known = true;
  const visit = (node: Node): void => {
    node.uses++;
    if (node.uses > 1) return;
    if (!values.has(node.op)) known = false;
    if (node.op === "const") node.operand = "code";
    if (readFlags.has(node.op)) reads |= FLAGS;
    if (node.op === "read") {
      const register = registerOf(node.args[0]!);
      if (register !== null) reads |= bit(register);
    }
    for (const arg of node.args) visit(arg);
  };
  for (const { op, args, extra, target } of all) {
    if (!effects.has(op)) return null;
    for (const arg of args) visit(arg);
    const register = target === null ? null : registerOf(target);
    if (register !== null) writes |= bit(register);
    if (writeFlags.test(op)) writes |= FLAGS;
    if (op === "branchOn" && Number(extra) < ALWAYS) reads |= FLAGS;
    if (op === "checkSp") reads |= bit(SP);
  }
  const way = wayOf(all, writes);
  if (!known || way === null) return null;
  return { effects: all, reads, writes, mayFail: all.some(({ op }) => !neverFail.has(op)), way };
}

function wayOf(all: readonly Effect[], writes: Registers): Way | null {
  const last = all.find(({ op }) => endings.has(op));
  if (last === undefined) return { kind: "next" };
  if (last.op === "branchTo") return { kind: "register", branch: last.extra as BranchKind };
  const distance = Number(BigInt.asIntN(32, last.args.at(-1)!.value)) / RECORD;
  if (last.op !== "branch") return { kind: "fork", distance, ending: last };
  // Nothing but a call names the place that it returns to.
  return { kind: writes === bit(30) ? "call" : "jump", distance };
}
