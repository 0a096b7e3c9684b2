// What the evaluator does with one lane of a vector: unsigned bigints in, an unsigned bigint out, modulo the lane's
// width. DDI 0487 C7.2; shared functions of appendix J1 under their names.

import type { VectorBinary, VectorShift, VectorUnary } from "../a64/vector.js";

/** Notes that something was saturated: FPSR.QC. */
export type Saturated = () => void;

type One = (a: bigint, bits: number, saturated: Saturated) => bigint;
type Two = (a: bigint, b: bigint, bits: number, saturated: Saturated) => bigint;

const signed = (v: bigint, bits: number) => BigInt.asIntN(bits, v);
const ones = (bits: number) => (1n << BigInt(bits)) - 1n;
const most = (bits: number) => (1n << BigInt(bits - 1)) - 1n;
const least = (bits: number) => -(1n << BigInt(bits - 1));

/** SignedSat and UnsignedSat. */
export function saturateSigned(v: bigint, bits: number, saturated: Saturated): bigint {
  if (v >= least(bits) && v <= most(bits)) return v;
  saturated();
  return v < 0n ? least(bits) : most(bits);
}
export function saturateUnsigned(v: bigint, bits: number, saturated: Saturated): bigint {
  if (v >= 0n && v <= ones(bits)) return v;
  saturated();
  return v < 0n ? 0n : ones(bits);
}

/** The place of the highest set bit, -1 for none. */
const highest = (v: bigint) => v.toString(2).length - (v === 0n ? 2 : 1);

const absolute = (v: bigint) => (v < 0n ? -v : v);

// biome-ignore format: table
export const unary: Readonly<Record<Exclude<VectorUnary, "saddlp" | "uaddlp">, One>> = {
  neg:     (a) => -a,
  not:     (a) => ~a,
  abs:     (a, bits) => absolute(signed(a, bits)),
  sqabs:   (a, bits, saturated) => saturateSigned(absolute(signed(a, bits)), bits, saturated),
  sqneg:   (a, bits, saturated) => saturateSigned(-signed(a, bits), bits, saturated),
  clz:     (a, bits) => BigInt(bits - 1 - highest(a)),
  cls:     (a, bits) => BigInt(bits - 2 - highest((a ^ (a >> 1n)) & most(bits))),
  cnt:     (a) => { let n = 0n; for (let v = a; v !== 0n; v &= v - 1n) n++; return n; },
  rbit:    (a, bits) => BigInt(`0b${[...a.toString(2).padStart(bits, "0")].reverse().join("")}`),
  urecpe:  () => { throw new Error("urecpe is floating point's"); },
  ursqrte: () => { throw new Error("ursqrte is floating point's"); },
};

/** A shift by a signed amount, rounded on request; exact, not yet cut to the lane. */
function shifted(v: bigint, amount: number, rounding: "rounded" | "cut"): bigint {
  if (amount >= 0) return v << BigInt(amount);
  const right = BigInt(-amount);
  return (rounding === "rounded" ? v + (1n << (right - 1n)) : v) >> right;
}

/** The amount of a shift by register: the lowest byte, signed. Beyond the width it makes no difference by how much. */
const amountOf = (b: bigint) => Number(BigInt.asIntN(8, b));

const truth = (holds: boolean) => (holds ? -1n : 0n);

const doubled = (a: bigint, b: bigint, bits: number) => 2n * signed(a, bits) * signed(b, bits);

// biome-ignore format: table
export const binary: Readonly<Record<VectorBinary, Two>> = {
  add:     (a, b) => a + b,
  sub:     (a, b) => a - b,
  mul:     (a, b) => a * b,
  pmul:    (a, b) => polynomialProduct(a, b),
  and:     (a, b) => a & b,
  orr:     (a, b) => a | b,
  eor:     (a, b) => a ^ b,
  bic:     (a, b) => a & ~b,
  shadd:   (a, b, bits) => (signed(a, bits) + signed(b, bits)) >> 1n,
  uhadd:   (a, b) => (a + b) >> 1n,
  srhadd:  (a, b, bits) => (signed(a, bits) + signed(b, bits) + 1n) >> 1n,
  urhadd:  (a, b) => (a + b + 1n) >> 1n,
  shsub:   (a, b, bits) => (signed(a, bits) - signed(b, bits)) >> 1n,
  uhsub:   (a, b) => (a - b) >> 1n,
  smax:    (a, b, bits) => (signed(a, bits) > signed(b, bits) ? a : b),
  umax:    (a, b) => (a > b ? a : b),
  smin:    (a, b, bits) => (signed(a, bits) < signed(b, bits) ? a : b),
  umin:    (a, b) => (a < b ? a : b),
  sabd:    (a, b, bits) => absolute(signed(a, bits) - signed(b, bits)),
  uabd:    (a, b) => absolute(a - b),
  cmeq:    (a, b) => truth(a === b),
  cmgt:    (a, b, bits) => truth(signed(a, bits) > signed(b, bits)),
  cmge:    (a, b, bits) => truth(signed(a, bits) >= signed(b, bits)),
  cmhi:    (a, b) => truth(a > b),
  cmhs:    (a, b) => truth(a >= b),
  cmtst:   (a, b) => truth((a & b) !== 0n),
  sqadd:   (a, b, bits, saturated) => saturateSigned(signed(a, bits) + signed(b, bits), bits, saturated),
  uqadd:   (a, b, bits, saturated) => saturateUnsigned(a + b, bits, saturated),
  sqsub:   (a, b, bits, saturated) => saturateSigned(signed(a, bits) - signed(b, bits), bits, saturated),
  uqsub:   (a, b, bits, saturated) => saturateUnsigned(a - b, bits, saturated),
  suqadd:  (a, b, bits, saturated) => saturateSigned(signed(a, bits) + b, bits, saturated),
  usqadd:  (a, b, bits, saturated) => saturateUnsigned(a + signed(b, bits), bits, saturated),
  sshl:    (a, b, bits) => shifted(signed(a, bits), amountOf(b), "cut"),
  ushl:    (a, b) => shifted(a, amountOf(b), "cut"),
  srshl:   (a, b, bits) => shifted(signed(a, bits), amountOf(b), "rounded"),
  urshl:   (a, b) => shifted(a, amountOf(b), "rounded"),
  sqshl:   (a, b, bits, saturated) => saturateSigned(shifted(signed(a, bits), amountOf(b), "cut"), bits, saturated),
  uqshl:   (a, b, bits, saturated) => saturateUnsigned(shifted(a, amountOf(b), "cut"), bits, saturated),
  sqrshl:  (a, b, bits, saturated) => saturateSigned(shifted(signed(a, bits), amountOf(b), "rounded"), bits, saturated),
  uqrshl:  (a, b, bits, saturated) => saturateUnsigned(shifted(a, amountOf(b), "rounded"), bits, saturated),
  sqdmulh: (a, b, bits, saturated) => saturateSigned(doubled(a, b, bits) >> BigInt(bits), bits, saturated),
  sqrdmulh: (a, b, bits, saturated) =>
    saturateSigned((doubled(a, b, bits) + (1n << BigInt(bits - 1))) >> BigInt(bits), bits, saturated),
  sqdmull: (a, b, bits, saturated) => saturateSigned(doubled(a, b, bits), bits, saturated),
};

/** SQRDMLAH ("add") and SQRDMLSH ("sub"). */
export function roundingDoublingMultiply(
  kind: "add" | "sub",
  accumulator: bigint,
  a: bigint,
  b: bigint,
  bits: number,
  saturated: Saturated,
): bigint {
  const product = doubled(a, b, bits);
  const start = (signed(accumulator, bits) << BigInt(bits)) + (1n << BigInt(bits - 1));
  return saturateSigned((kind === "add" ? start + product : start - product) >> BigInt(bits), bits, saturated);
}

type Shift = (a: bigint, amount: number, bits: number, saturated: Saturated) => bigint;

// biome-ignore format: table
export const shift: Readonly<Record<VectorShift, Shift>> = {
  shl:    (a, amount) => a << BigInt(amount),
  sshr:   (a, amount, bits) => signed(a, bits) >> BigInt(amount),
  ushr:   (a, amount) => a >> BigInt(amount),
  srshr:  (a, amount, bits) => shifted(signed(a, bits), -amount, amount === 0 ? "cut" : "rounded"),
  urshr:  (a, amount) => shifted(a, -amount, amount === 0 ? "cut" : "rounded"),
  sqshl:  (a, amount, bits, saturated) => saturateSigned(signed(a, bits) << BigInt(amount), bits, saturated),
  uqshl:  (a, amount, bits, saturated) => saturateUnsigned(a << BigInt(amount), bits, saturated),
  sqshlu: (a, amount, bits, saturated) => saturateUnsigned(signed(a, bits) << BigInt(amount), bits, saturated),
};

/** PolynomialMult. */
export function polynomialProduct(a: bigint, b: bigint): bigint {
  let product = 0n;
  for (let at = 0n, rest = b; rest !== 0n; at++, rest >>= 1n) if ((rest & 1n) !== 0n) product ^= a << at;
  return product;
}
