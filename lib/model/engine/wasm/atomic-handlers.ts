// Exclusives and atomics, by those of WebAssembly: see atomic-memory.ts for what they mean.

import { cells } from "../../cpu/state.js";
import type { HandlerEmitter } from "./handlers.js";
import type { Effect } from "./trace.js";

type AccessBytes = 1 | 2 | 4 | 8;

/** Opcodes (0xfe) of read-modify-writes of 64-bit values, by the bytes in memory. */
// biome-ignore format: table
const modifications: Readonly<Record<string, Readonly<Record<AccessBytes, number>>>> = {
  add:   { 1: 0x22, 2: 0x23, 4: 0x24, 8: 0x1f },
  clear: { 1: 0x30, 2: 0x31, 4: 0x32, 8: 0x2d },
  set:   { 1: 0x37, 2: 0x38, 4: 0x39, 8: 0x34 },
  eor:   { 1: 0x3e, 2: 0x3f, 4: 0x40, 8: 0x3b },
  swap:  { 1: 0x45, 2: 0x46, 4: 0x47, 8: 0x42 },
};
const exchanges: Readonly<Record<AccessBytes, number>> = { 1: 0x4c, 2: 0x4d, 4: 0x4e, 8: 0x49 };
const loads: Readonly<Record<AccessBytes, number>> = { 1: 0x14, 2: 0x15, 4: 0x16, 8: 0x11 };

/** The exclusive monitor: bytes, address, value. */
const BYTES = cells.monitor * 8;
const ADDRESS = BYTES + 8;
const VALUE = BYTES + 16;
const SECOND = BYTES + 24;

/** The code of an effect; false: it is none of these. */
export function atomicEffect(emitter: HandlerEmitter, { op, args, extra }: Effect): boolean {
  const { code, locals, labels } = emitter.context;
  if (op === "clearExclusive") {
    code.get(locals.base).i32(0).memory(0x36, 2, BYTES);
    return true;
  }
  const [result] = args;
  if (result?.op !== "result") return false;
  const bytes = extra as AccessBytes;
  const align = Math.log2(bytes);
  const [address, first, second] = result.args;
  const place = (table: "reads" | "writes") => {
    const at = emitter.located(table, address!, bytes);
    emitter.mustAlign(at, bytes);
    return at;
  };
  const kept = () => {
    result.local = emitter.temporary(result.type);
    code.set(result.local);
  };
  if (op === "loadExclusive") {
    const at = place("reads");
    code.get(at).memory([0xfe, loads[bytes]], align);
    kept();
    code.get(locals.base).i32(bytes).memory(0x36, 2, BYTES);
    code.get(locals.base).get(emitter.address(address!)).memory(0x37, 3, ADDRESS);
    for (const offset of [VALUE, SECOND]) code.get(locals.base).get(result.local).memory(0x37, 3, offset);
    return true;
  }
  if (op === "storeExclusive") {
    // A monitor that does not cover the access is the evaluator's.
    code.get(locals.base).memory(0x28, 2, BYTES).i32(bytes).op(0x47);
    code.get(locals.base).memory(0x29, 3, ADDRESS).get(emitter.address(address!)).op(0x52, 0x72);
    code.branchIf(labels.step);
    const at = place("writes");
    code.get(at).get(locals.base).memory(0x29, 3, VALUE);
    emitter.value(first!);
    code.memory([0xfe, exchanges[bytes]], align);
    code.get(locals.base).memory(0x29, 3, VALUE).op(0x52);
    kept();
    code.get(locals.base).i32(0).memory(0x36, 2, BYTES);
    return true;
  }
  const at = place("writes");
  code.get(at);
  emitter.value(first!);
  if (op === "compareAndSwap") {
    if (bytes < 8) code.i64((1n << BigInt(bytes * 8)) - 1n).op(0x83);
    emitter.value(second!);
    code.memory([0xfe, exchanges[bytes]], align);
  } else {
    if (op === "clear") code.i64(-1).op(0x85);
    code.memory([0xfe, modifications[op]![bytes]], align);
  }
  kept();
  return true;
}
