// The code of what a trace does with the SIMD&FP registers.

import { cells } from "../../cpu/state.js";
import { type Code, type Local, V128, type ValueType } from "./binary.js";
import { floatValue } from "./float-handlers.js";
import type { Context } from "./function.js";
import type { Table } from "./memory-access.js";
import { Block } from "./record.js";
import { simdOpcode } from "./simd-opcodes.js";
import type { Effect, Node } from "./trace.js";

/** Who makes the code of a trace: where values come from is its matter. */
export interface TraceCode {
  readonly context: Context;
  /** Onto the stack. */
  value(node: Node): void;
  temporary(type: ValueType): Local;
  /** Where `bytes` bytes of guest memory are. */
  located(table: Table, address: Node, bytes: number, element: number): Local;
}

/** Of v128: what loads the lower bytes, the others zero; 0xfd. */
const LOAD_ZERO = { 4: 0x5c, 8: 0x5d } as const;
const LOAD = 0x00;
const STORE = 0x0b;
const LOAD_LANE = { 1: 0x54, 2: 0x55, 4: 0x56, 8: 0x57 } as const;
const STORE_LANE = { 1: 0x58, 2: 0x59, 4: 0x5a, 8: 0x5b } as const;
const SPLAT = { 8: 0x0f, 16: 0x10, 32: 0x11, 64: 0x12 } as const;
const EXTRACT = { 8: 0x16, 16: 0x19, 32: 0x1b, 64: 0x1d } as const;
const AND = 0x4e;
/** Loads into, and stores of, general values of 64 bits. */
const WIDE_LOAD = { 1: 0x31, 2: 0x33, 4: 0x35, 8: 0x29 } as const;
const WIDE_STORE = { 1: 0x3c, 2: 0x3d, 4: 0x3e, 8: 0x37 } as const;

const FPSR = cells.fpsrFpcr * 8;
const QC = 1 << 27;

type PartBytes = 1 | 2 | 4 | 8;
type Bits = 8 | 16 | 32 | 64;

/** v128.const */
export function vectorConstant(code: Code, low: bigint, high: bigint): void {
  code.vector(0x0c);
  for (const half of [low, high]) for (let n = 0n; n < 64n; n += 8n) code.op(Number((half >> n) & 0xffn));
}

/** The lower `bytes` bytes from the address on the stack, the others zero. */
function loadLow(code: Code, bytes: number, offset = 0): void {
  if (bytes === 16) code.memory([0xfd, LOAD], 0, offset);
  else if (bytes === 8 || bytes === 4) code.memory([0xfd, LOAD_ZERO[bytes]], 0, offset);
  else {
    vectorConstant(code, 0n, 0n);
    code.memory([0xfd, LOAD_LANE[bytes as 1 | 2]], 0, offset).op(0);
  }
}

/** The code of an effect; false: it is none of these. */
export function vectorEffect(emitter: TraceCode, { op, args, extra, target }: Effect): boolean {
  const { code, locals, labels } = emitter.context;
  switch (op) {
    case "checkFp":
      code
        .get(locals.block)
        .memory(0x28, 2, Block.fpTrapped * 4)
        .branchIf(labels.step);
      return true;
    case "writeV":
      emitter.context.operands.place(target!);
      emitter.value(args[0]!);
      code.memory([0xfd, STORE], 3);
      return true;
    case "writeLane":
      emitter.context.operands.place(target!);
      emitter.value(args[0]!);
      code.memory(WIDE_STORE[((extra as Bits) / 8) as PartBytes], 0);
      return true;
    case "loadV": {
      const { bytes, element } = accessOf(extra);
      const at = emitter.located("reads", args[0]!.args[0]!, bytes * args.length, element);
      for (const [n, node] of args.entries()) {
        code.get(at);
        loadLow(code, bytes, n * bytes);
        node.local = emitter.temporary(V128);
        code.set(node.local);
      }
      return true;
    }
    case "storeV": {
      const { bytes, element } = accessOf(extra);
      const [address, ...values] = args;
      // What is stored may be the evaluator's to compute: nothing is stored before.
      if (values.length > 1) for (const value of values) keep(emitter, value);
      const at = emitter.located("writes", address!, bytes * values.length, element);
      for (const [n, value] of values.entries()) {
        code.get(at);
        storeLow(emitter, bytes, value, n * bytes);
      }
      return true;
    }
    default:
      return false;
  }
}

function accessOf(extra: string | number): { bytes: number; element: number } {
  const [bytes, element] = String(extra).split("/").map(Number);
  return { bytes: bytes!, element: element! };
}

/** Computed now, if it is more than a register. */
function keep(emitter: TraceCode, node: Node): void {
  if (node.local >= 0 || node.op === "readV") return;
  emitter.value(node);
  const { code } = emitter.context;
  if (node.local < 0) {
    node.local = emitter.temporary(node.type);
    code.set(node.local);
  } else code.op(0x1a);
}

/** Stores the lower bytes of a vector at the address on the stack. */
function storeLow(emitter: TraceCode, bytes: number, value: Node, offset: number): void {
  const { code } = emitter.context;
  if (bytes === 16) {
    emitter.value(value);
    code.memory([0xfd, STORE], 0, offset);
  } else if (value.op === "readV" && value.local < 0) {
    emitter.context.operands.place(value.args[0]!);
    code.memory(WIDE_LOAD[bytes as PartBytes], 0).memory(WIDE_STORE[bytes as PartBytes], 0, offset);
  } else {
    emitter.value(value);
    code.memory([0xfd, STORE_LANE[bytes as PartBytes]], 0, offset).op(0);
  }
}

/** The code of a value; false: it is none of these. */
export function vectorValue(emitter: TraceCode, node: Node): boolean {
  const { code, locals } = emitter.context;
  const { op, args, extra } = node;
  switch (op) {
    case "readV":
      emitter.context.operands.place(args[0]!);
      code.memory([0xfd, LOAD], 3);
      return true;
    case "readLow":
      emitter.context.operands.place(args[0]!);
      loadLow(code, (extra as Bits) / 8);
      return true;
    case "readLane":
      emitter.context.operands.place(args[0]!);
      code.memory(WIDE_LOAD[((extra as Bits) / 8) as PartBytes], 0);
      return true;
    case "lane": {
      const [bits, index] = String(extra).split(".").map(Number) as [Bits, number];
      emitter.value(args[0]!);
      code.vector(EXTRACT[bits], index);
      if (bits < 64) code.op(0xad);
      return true;
    }
    case "simd":
      for (const arg of args) emitter.value(arg);
      code.vector(simdOpcode(String(extra)));
      return true;
    case "word":
      emitter.value(args[0]!);
      code.vector(0x1b, extra as number);
      return true;
    case "number":
      code.i32(extra as number);
      return true;
    case "constantV": {
      const [low, high] = String(extra).split(":");
      vectorConstant(code, BigInt(`0x${low}`), BigInt(`0x${high}`));
      return true;
    }
    case "shuffle": {
      for (const arg of args) emitter.value(arg);
      if (args.length === 1) {
        const twice = emitter.temporary(V128);
        code.tee(twice).get(twice);
      }
      code.vector(0x0d, ...String(extra).split(",").map(Number));
      return true;
    }
    case "saturated": {
      emitter.value(args[0]!);
      emitter.value(args[1]!);
      code.vector(0x53).if();
      code.get(locals.base).get(locals.base).memory(0x28, 2, FPSR).i32(QC).op(0x72).memory(0x36, 2, FPSR).end();
      return true;
    }
    case "zeroV":
      vectorConstant(code, 0n, 0n);
      return true;
    case "lowV":
      vectorConstant(code, 0n, 0n);
      emitter.value(args[0]!);
      code.vector(0x1e, 0);
      return true;
    case "splat":
      emitter.value(args[0]!);
      if (extra !== 64) code.op(0xa7);
      code.vector(SPLAT[extra as Bits]);
      return true;
    case "low":
      emitter.value(args[0]!);
      vectorConstant(code, (1n << BigInt(extra)) - 1n, 0n);
      code.vector(AND);
      return true;
    default:
      return floatValue(emitter, node);
  }
}
