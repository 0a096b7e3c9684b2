// What meanings do with the SIMD&FP registers, written down; see recorder.ts.

import type { LaneBits, VectorOperations } from "../../a64/vector.js";
import { cells } from "../../cpu/state.js";
import { F32, I32, I64, V128 } from "./binary.js";
import type { Recorder } from "./recorder.js";
import { type Effect, type Node, refuse, unsupported } from "./trace.js";
import { VectorCrypto } from "./vector-crypto.js";
import { VectorFloat } from "./vector-float.js";
import { VectorInteger } from "./vector-integer.js";

type Vectors = VectorOperations<Node, Node, Node, Node>;

const VECTOR_BYTES = 16;

/** A node of 128 bits. */
export type MakeVector = (op: string, args: readonly Node[], extra?: string | number) => Node;

/** The operations that have code; all others are refused. */
function operations(machine: Recorder): Partial<Vectors> {
  const make: MakeVector = (op, args, extra = "") => machine.trace.node(op, V128, args, extra);
  const integer = new VectorInteger(() => machine.trace);
  const crypto = new VectorCrypto(() => machine.trace, integer);
  const float = new VectorFloat(() => machine.trace, integer);
  /** The cell of a part of a register. */
  const cell = (n: number, byte = 0): Node =>
    machine.trace.node("cell", I32, [], "", BigInt(cells.v * 8 + n * VECTOR_BYTES + byte));
  /** Of "readV": which byte of the state. */
  const placeOf = (v: Node): bigint => v.args[0]!.value;

  /** Joins an access to the one before it, if it goes on where that ended: both are made, or none. */
  const joined = (op: "loadV" | "storeV", extra: string, address: Node, bytes: number): Effect | null => {
    const last = machine.trace.effects.at(-1);
    if (last?.op !== op || last.extra !== extra) return null;
    const count = op === "loadV" ? last.args.length : last.args.length - 1;
    const first = op === "loadV" ? last.args[0]!.args[0]! : last.args[0]!;
    const known = startOf(first);
    const next = startOf(address);
    const sameBase = next.base === known.base || (next.base === first && known.offset === null);
    const start = next.base === first ? 0n : (known.offset ?? 0n);
    return sameBase && (next.offset ?? 0n) - start === BigInt(count * bytes) ? last : null;
  };
  const replaceLast = (effect: Effect): void => {
    machine.trace.effects[machine.trace.effects.length - 1] = effect;
  };
  const load = (bytes: number, element: number, address: Node): Node => {
    const extra = `${bytes}/${element}`;
    const before = joined("loadV", extra, address, bytes);
    const from = before === null ? withoutZero(address) : before.args[0]!.args[0]!;
    const node = make("loadedV", [from], `${bytes}@${before?.args.length ?? 0}`);
    if (before === null) machine.trace.effect("loadV", [node], extra);
    else replaceLast({ ...before, args: [...before.args, node] });
    return node;
  };
  const store = (bytes: number, element: number, address: Node, value: Node): void => {
    const extra = `${bytes}/${element}`;
    const before = joined("storeV", extra, address, bytes);
    if (before === null) machine.trace.effect("storeV", [withoutZero(address), value], extra);
    else replaceLast({ ...before, args: [...before.args, value] });
  };

  /** Byte n of the result is byte `place(n)` of the lower `bytes` bytes of all parts, one after the other. */
  const gather = (parts: readonly Node[], bytes: number, place: (n: number) => number): Node => {
    const from = Array.from({ length: bytes }, (_, n) => {
      const at = place(n);
      return { part: Math.floor(at / bytes), byte: at % bytes };
    });
    let all = parts[0]!;
    for (let part = 1; part < parts.length; part++) {
      const chosen = Array.from({ length: 16 }, (_, n) => {
        const known = from[n];
        if (known === undefined) return n;
        if (known.part === part) return 16 + known.byte;
        return part === 1 && known.part === 0 ? known.byte : n;
      });
      all = integer.shuffle(all, parts[part]!, chosen);
    }
    return bytes === 16 ? all : make("low", [all], 8 * bytes);
  };

  const lane = (bits: LaneBits, index: number, v: Node): Node => {
    const { trace } = machine;
    if (v.op === "lowV" && index === 0 && bits === 64) return v.args[0]!;
    if (v.op !== "readV") return trace.node("lane", I64, [v], `${bits}.${index}`);
    const at = trace.node("cell", I32, [], "", placeOf(v) + BigInt((index * bits) / 8));
    return trace.node("readLane", I64, [at], bits);
  };

  return {
    checkFp: () => machine.trace.effect("checkFp", []),
    v: (n) => make("readV", [cell(n)]),
    setV(n, value) {
      const { trace } = machine;
      if (value.op !== "withLane") return trace.effect("writeV", [value], "", cell(n));
      const [old, lane] = value.args;
      const [bits, index] = String(value.extra).split(".").map(Number);
      if (old!.op !== "readV" || placeOf(old!) !== cell(n).value) return refuse();
      trace.effect("writeLane", [lane!], bits!, cell(n, (index! * bits!) / 8));
    },

    unary: (op, bits, a) => integer.unary(op, bits, a),
    binary: (op, bits, a, b) => integer.binary(op, bits, a, b),
    ternary: (op, _bits, accumulator, a, b) => integer.ternary(op, accumulator, a, b),
    shift: (op, bits, a, amount) => integer.shift(op, bits, a, amount),
    widen: (signedness, bits, half, a) => integer.widen(signedness, bits, half, a),
    narrow: (op, bits, a) => integer.narrow(op, bits, a),
    polynomialProduct: (bits, half, a, b) => integer.polynomialProduct(bits, half, a, b),
    reduce(op, bits, lanes, a) {
      const reduced = integer.reduce(op, bits, lanes, a);
      return make("low", [reduced.value], reduced.bits);
    },
    shuffle: (a, b, bytes) => integer.shuffle(a, b, bytes),
    lookUp: (tables, indices, otherwise) => integer.lookUp(tables, indices, otherwise),

    vectorConstant(low, high) {
      if (low === 0n && high === 0n) return make("zeroV", []);
      if (high === 0n) return make("lowV", [machine.trace.constant(I64, low)]);
      return low === high ? make("splat", [machine.trace.constant(I64, low)], 64) : refuse();
    },
    vector: (low, high) => (high.op === "const" && high.value === 0n ? make("lowV", [low]) : refuse()),
    lane,
    withLane: (bits, index, v, value) => make("withLane", [v, value], `${bits}.${index}`),
    splat: (bits, value) => make("splat", [value], bits),
    low(bits, v) {
      if (bits === 128) return v;
      if (v.op === "readV") return make("readLow", [...v.args], bits);
      return isShort(v, bits) ? v : make("low", [v], bits);
    },

    crypto1: (op, a) => crypto.one(op, a),
    crypto2: (op, a, b) => crypto.two(op, a, b),
    crypto3: (op, a, b, c) => crypto.three(op, a, b, c),

    fpUnary: (op, bits, lanes, a) => float.unary(op, bits, lanes, a),
    fpBinary: (op, bits, lanes, a, b) => float.binary(op, bits, lanes, a, b),
    fpMulAdd: (bits, lanes, addend, a, b) => float.mulAdd(bits, lanes, addend, a, b),
    fpCompare: (op, bits, lanes, a, b) => float.compare(op, bits, lanes, a, b),
    fpFlags: (bits, a, b, nans) => float.flags(bits, a, b, nans),
    fpFlagsIf: (c, bits, a, b, nans, nzcv) => float.flagsIf(c, bits, a, b, nans, nzcv),
    fpToJavaScript: (a) => float.toJavaScript(a),
    fpRound: (bits, lanes, a, rounding, inexact) => float.round(bits, lanes, a, rounding, inexact),
    fpConvert: (from, to, lanes, a, rounding) => float.convert(from, to, lanes, a, rounding),
    fpToFixed: (bits, to, lanes, a, fractionBits, signedness, rounding) =>
      float.toFixed(bits, to, lanes, a, fractionBits, signedness, rounding),
    fpFromFixed: (from, bits, lanes, a, fractionBits, signedness) =>
      float.fromFixed(
        from,
        bits,
        lanes,
        (n) => (a.op === "lowV" ? a.args[0]! : lane(from, n, a)),
        fractionBits,
        signedness,
      ),

    loadVector: (bytes, address) => load(bytes, bytes, address),
    storeVector: (bytes, address, value) => store(bytes, bytes, address, value),
    storeVectorPair(bytes, address, first, second) {
      store(bytes, bytes, address, first);
      const { effects } = machine.trace;
      replaceLast({ ...effects.at(-1)!, args: [...effects.at(-1)!.args, second] });
    },
    loadStructures(count, bits, lanes, address) {
      const bytes = (lanes * bits) / 8;
      if (count === 1) return [load(bytes, bits / 8, address)];
      const parts = Array.from({ length: count }, (_, n) =>
        load(bytes, bits / 8, machine.w64.add(address, machine.w64.immediate(n * bytes))),
      );
      const element = bits / 8;
      return parts.map((_, vector) =>
        gather(parts, bytes, (n) => element * (count * Math.floor(n / element) + vector) + (n % element)),
      );
    },
    storeStructures(bits, lanes, address, vectors) {
      const bytes = (lanes * bits) / 8;
      const element = bits / 8;
      const count = vectors.length;
      for (let part = 0; part < count; part++) {
        const at = part === 0 ? address : machine.w64.add(address, machine.w64.immediate(part * bytes));
        const place = (n: number) => {
          const lane = Math.floor((part * bytes + n) / element);
          return bytes * (lane % count) + element * Math.floor(lane / count) + (n % element);
        };
        store(bytes, element, at, count === 1 ? vectors[0]! : gather(vectors, bytes, place));
      }
    },
  };
}

/** An address as a base and what is added to it, if that is known. */
function startOf(address: Node): { base: Node; offset: bigint | null } {
  const [base, offset] = address.args;
  if (address.op !== "add" || offset!.op !== "const") return { base: address, offset: null };
  return { base: base!, offset: offset!.value };
}

function withoutZero(address: Node): Node {
  const { base, offset } = startOf(address);
  return offset === 0n ? base : address;
}

/** Nothing is above the lower `bits` bits. */
function isShort(v: Node, bits: LaneBits): boolean {
  if (v.op === "zeroV") return true;
  if (v.op === "loadedV") return Number.parseInt(String(v.extra), 10) * 8 <= bits;
  if (v.op === "scalarV") return bits === 64 || v.args[0]!.type === F32;
  return v.op === "lowV" && bits === 64;
}

export function vectorRecorder(machine: Recorder): Vectors {
  const there = operations(machine) as Record<string, unknown>;
  return new Proxy(there, {
    get(target, name) {
      const operation = target[name as string];
      if (operation === undefined) throw unsupported;
      return operation;
    },
  }) as unknown as Vectors;
}
