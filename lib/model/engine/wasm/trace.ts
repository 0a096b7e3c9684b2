// What a meaning does, written down: values as nodes, and effects in their order. Two words whose traces differ in
// nothing but operands (registers, immediates, amounts) have one shape, and one handler.

import { F32, F64, I32, I64, V128, type ValueType } from "./binary.js";

/** Where a number that the trace knows comes from when the handler runs. */
export type Operand =
  /** Not settled yet. */
  | null
  /** A part of the handler's code. */
  | "code"
  /** 64 bits (of which a value of 32 bits takes the lower) at `WIDE` of the record, or their complement. */
  | "wide"
  | "notWide"
  /** The 16 bits of the record at this offset. */
  | number;

export interface Node {
  readonly op: string;
  readonly type: ValueType;
  readonly args: readonly Node[];
  /** Numbers that belong to the handler's code: a width, a lane. */
  readonly extra: string | number;
  /** Of "const": its value. Of "x", "amount": the 16 bits. */
  readonly value: bigint;
  /** When it was made. */
  readonly made: number;
  operand: Operand;
  /** How many nodes and effects use it; how it is numbered in the key; the local that holds it while code is made. */
  uses: number;
  number: number;
  local: number;
}

export interface Effect {
  readonly op: string;
  readonly args: readonly Node[];
  readonly extra: string | number;
  /** The register that is written. */
  readonly target: Node | null;
}

/** Thrown by recorders: this word is the evaluator's. */
export const unsupported = new Error("no handler can do this");

export function refuse(): never {
  throw unsupported;
}

/** Types in keys. */
const letters: Readonly<Record<ValueType, string>> = { [I32]: "w", [I64]: "", [F32]: "s", [F64]: "d", [V128]: "v" };

const NONE: readonly Node[] = [];

export class Trace {
  readonly effects: Effect[] = [];
  private made = 0;

  node(op: string, type: ValueType, args: readonly Node[] = NONE, extra: string | number = "", value = 0n): Node {
    return { op, type, args, extra, value, made: this.made++, operand: null, uses: 0, number: -1, local: -1 };
  }

  constant(type: ValueType, value: bigint): Node {
    return this.node("const", type, NONE, "", BigInt.asUintN(type === I64 ? 64 : 32, value));
  }

  /** 16 bits of the record, as a value of 32. */
  amount(value: number): Node {
    return this.node("amount", I32, NONE, "", BigInt(value));
  }

  effect(op: string, args: readonly Node[], extra: string | number = "", target: Node | null = null): void {
    this.effects.push({ op, args, extra, target });
  }
}

/** A trace with its operands settled. */
export interface Shape {
  readonly key: string;
  readonly effects: readonly Effect[];
  /** The record's 16-bit operands, in their order, and its wide one. */
  readonly narrow: readonly number[];
  readonly wide: bigint | null;
}

/** Of a record, see record.ts: most 16-bit operands, and most beside a wide one. */
const MOST_NARROW = 7;
const MOST_BESIDE_WIDE = 3;

/** Constants that belong to the code where there is another: the mask of a page, and the hole of MOVK. */
const CODE_BESIDE_ANOTHER: ReadonlySet<bigint> = new Set([
  0xffff_ffff_ffff_f000n,
  ...[0n, 16n, 32n, 48n].map((shift) => BigInt.asUintN(64, ~(0xffffn << shift))),
  ...[0n, 16n].map((shift) => BigInt.asUintN(32, ~(0xffffn << shift))),
]);

/** Settles the operands and gives the key; null: the record has no room for so many. */
export function shapeOf(trace: Trace): Shape | null {
  const constants: Node[] = [];
  const places: Node[] = [];
  const order: Node[] = [];
  const visit = (node: Node): void => {
    node.uses++;
    if (node.number >= 0) return;
    for (const arg of node.args) visit(arg);
    node.number = order.length;
    order.push(node);
    if (node.op === "const") constants.push(node);
    else if (node.op === "amount" || node.op === "cell") places.push(node);
  };
  for (const { args, target } of trace.effects) {
    for (const arg of args) visit(arg);
    if (target !== null) visit(target);
  }
  // What increments and negates adds 1, always.
  const varies = constants.some(({ value }) => value !== 1n);
  const narrow = settleNarrow(places, varies ? MOST_BESIDE_WIDE : MOST_NARROW);
  if (narrow.length > MOST_NARROW) return null;
  const wide = settleConstants(constants, narrow.length <= MOST_BESIDE_WIDE);
  let key = "";
  for (const { op, type, args, extra, operand, value } of order) {
    key += `${op}${extra}${letters[type]}`;
    if (operand === "code") key += value;
    else if (operand !== null) key += operand;
    for (const arg of args) key += `,${arg.number}`;
    key += ";";
  }
  for (const { op, args, extra, target } of trace.effects) {
    key += `${op}${extra}`;
    for (const arg of args) key += `,${arg.number}`;
    if (target !== null) key += `>${target.number}`;
    key += ";";
  }
  return { key, effects: trace.effects, narrow, wide };
}

/** Places of the 16-bit operands. If there are too many, those that name the same register share one. */
function settleNarrow(places: readonly Node[], room: number): readonly number[] {
  const narrow: number[] = [];
  for (const node of places) {
    const value = Number(node.value);
    const same = places.length > room && node.op === "cell" ? narrow.indexOf(value) : -1;
    node.operand = 2 + 2 * (same >= 0 ? same : narrow.push(value) - 1);
  }
  return narrow;
}

/** Which constant the record holds: the first that was made. Others are in the code, or its complement. */
function settleConstants(constants: Node[], room: boolean): bigint | null {
  let wide: bigint | null = null;
  let width: ValueType = I64;
  constants.sort((a, b) => a.made - b.made);
  for (const node of constants) {
    if (!room || (constants.length > 1 && CODE_BESIDE_ANOTHER.has(node.value))) node.operand = "code";
    else if (wide === null) {
      wide = node.value;
      width = node.type;
      node.operand = "wide";
    } else if (node.type === width && node.value === BigInt.asUintN(width === I64 ? 64 : 32, ~wide)) {
      node.operand = "notWide";
    } else node.operand = "code";
  }
  return wide;
}
