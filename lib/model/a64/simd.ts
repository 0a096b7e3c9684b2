// What the meanings of Advanced SIMD instructions share.

import type { Semantics } from "./insn.js";
import type { Bool, I32, I64, Machine, V128 } from "./machine.js";
import type { FpBits, LaneBits, VectorOperations } from "./vector.js";

export type Simd = VectorOperations<V128, I64, I32, Bool>;

/** A vector of Q and a lane width. `total`: its bits. */
export interface Shape {
  readonly bits: LaneBits;
  readonly total: 64 | 128;
}

export const totalOf = (q: number): 64 | 128 => (q === 1 ? 128 : 64);

/** The lane widths that an encoding's size field may say; others are reserved. */
export type Sizes = readonly LaneBits[];
export const ALL: Sizes = [8, 16, 32, 64];
export const UP_TO_32: Sizes = [8, 16, 32];
export const MIDDLE: Sizes = [16, 32];
export const BYTES: Sizes = [8];
export const DOUBLES: Sizes = [64];

type Sized = { readonly q?: number; readonly size: number };

/**
 * A meaning on lanes of `size`, after the checks that all of them have. No Q: a scalar, whose result is one lane. The
 * result goes to Rd, the bits beyond the vector zero.
 */
export function onLanes<F extends Sized>(
  sizes: Sizes,
  result: (simd: Simd, fields: F, bits: LaneBits, total: 64 | 128) => V128,
): Semantics<F & { rd: number }> {
  return (m, fields) => {
    const { q, size, rd } = fields;
    const bits = (8 << size) as LaneBits;
    // One lane of 64 bits is a scalar, not a vector.
    if (!sizes.includes(bits) || (q === 0 && bits === 64)) return m.undefined();
    m.simd.checkFp();
    const total = totalOf(q ?? 0);
    m.simd.setV(rd, m.simd.low(q === undefined ? bits : total, result(m.simd, fields, bits, total)));
  };
}

/** A register without the bits that the vector (or scalar: no Q) has not got: they must not saturate. */
export function operand(simd: Simd, { q }: { readonly q?: number }, bits: LaneBits, n: number): V128 {
  return simd.low(q === undefined ? bits : totalOf(q), simd.v(n));
}

/** The width of floating-point lanes: `sz` as encodings have it, or half precision where there is none. */
export const fpBitsOf = (sz: number | undefined): FpBits => (sz === undefined ? 16 : sz === 1 ? 64 : 32);

type FpSized = { readonly q?: number; readonly sz?: number };

/** The same for floating-point lanes: the operation is told how many there are. */
export function onFpLanes<F extends FpSized>(
  result: (simd: Simd, fields: F, bits: FpBits, lanes: number) => V128,
): Semantics<F & { rd: number }> {
  return (m, fields) => {
    const { q, sz, rd } = fields;
    const bits = fpBitsOf(sz);
    if (q === 0 && bits === 64) return m.undefined();
    m.simd.checkFp();
    const lanes = q === undefined ? 1 : totalOf(q) / bits;
    m.simd.setV(rd, result(m.simd, fields, bits, lanes));
  };
}

/** Bytes of a shuffle that takes whole lanes: lane n of the result is lane `lanes[n]` of the two operands together. */
export function lanesToBytes(bits: number, lanes: readonly number[]): number[] {
  const bytes = bits / 8;
  return lanes.flatMap((lane) => Array.from({ length: bytes }, (_, n) => lane * bytes + n));
}

/** Every second lane of two vectors of `total` bits, one after the other; then zeros, where `total` is 64. */
export function everySecond(simd: Simd, bits: number, total: 64 | 128, first: 0 | 1, a: V128, b: V128): V128 {
  const lanes = total / bits;
  const from = (n: number) => (n < lanes / 2 ? 2 * n + first : 128 / bits + 2 * n - lanes + first);
  const chosen = Array.from({ length: 128 / bits }, (_, n) => (n < lanes ? from(n) : 0));
  return simd.low(total, simd.shuffle(a, b, lanesToBytes(bits, chosen)));
}

/** Lane `index` in every lane. */
export function splatLane(simd: Simd, bits: number, v: V128, index: number): V128 {
  return simd.shuffle(
    v,
    v,
    lanesToBytes(
      bits,
      Array.from({ length: 128 / bits }, () => index),
    ),
  );
}

/** The upper half of `v` in the lower, for the instructions whose name ends in 2. */
export function upperHalf(simd: Simd, v: V128): V128 {
  return simd.shuffle(v, v, lanesToBytes(64, [1, 1]));
}

/** A result of 64 bits goes to the lower half of Rd, or (Q) to the upper half beside what is in the lower. */
export function setHalf(m: Machine, q: number, rd: number, half: V128): void {
  const { simd } = m;
  if (q === 0) simd.setV(rd, simd.low(64, half));
  else simd.setV(rd, simd.shuffle(simd.v(rd), half, lanesToBytes(64, [0, 2])));
}

export const zeros = (simd: Simd): V128 => simd.vectorConstant(0n, 0n);

/** A constant in every lane. */
export function everyLane(simd: Simd, bits: number, value: bigint): V128 {
  let word = 0n;
  for (let at = 0; at < 64; at += bits) word |= BigInt.asUintN(bits, value) << BigInt(at);
  return simd.vectorConstant(word, word);
}
