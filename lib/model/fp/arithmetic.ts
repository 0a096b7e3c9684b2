// Exact floating-point arithmetic on bit patterns: every rounding mode, flushing, NaN and cumulative flag as the Arm
// ARM has it (DDI 0487 J1, shared/functions/float). Readable rather than quick: engines have paths of their own where
// the host's arithmetic provably agrees.

import { convertNan } from "./conversions.js";
import {
  bitLength,
  type Control,
  type Exact,
  type Format,
  Fpcr,
  Fpsr,
  half,
  infinity,
  isNan,
  Rounding,
  round,
  roundingOf,
  single,
  type Unpacked,
  unpack,
  zero,
} from "./format.js";

const take = (f: Format, bits: bigint, control: Control) => unpack(f, bits, control, "arithmetic");

function invalid(f: Format, control: Control): bigint {
  control.fpsr |= Fpsr.IOC;
  return f.defaultNan;
}

/** FPProcessNaN. */
function processNan(f: Format, { kind }: Unpacked, bits: bigint, control: Control): bigint {
  if (kind === "signaling") control.fpsr |= Fpsr.IOC;
  return (control.fpcr & Fpcr.DN) !== 0 ? f.defaultNan : bits | f.quiet;
}

/** FPProcessNaNs, FPProcessNaNs3: signaling ones first, each kind in order of the operands. null: no NaN. */
function processNans(f: Format, operands: readonly (readonly [Unpacked, bigint])[], control: Control): bigint | null {
  for (const kind of ["signaling", "quiet"] as const) {
    const found = operands.find(([operand]) => operand.kind === kind);
    if (found !== undefined) return processNan(f, found[0], found[1], control);
  }
  return null;
}

/** Both operands of an operation, and what it gives where one is a NaN. */
function operands(f: Format, a: bigint, b: bigint, control: Control): { x: Unpacked; y: Unpacked; nan: bigint | null } {
  const x = take(f, a, control);
  const y = take(f, b, control);
  const nan = processNans(
    f,
    [
      [x, a],
      [y, b],
    ],
    control,
  );
  return { x, y, nan };
}

/** The sum of two finite numbers; null: exactly zero. */
function sum(a: Exact, b: Exact): Exact | null {
  const exponent = Math.min(a.exponent, b.exponent);
  const value = (n: Exact) => {
    const magnitude = n.significand << BigInt(n.exponent - exponent);
    return n.sign === 1 ? -magnitude : magnitude;
  };
  const total = value(a) + value(b);
  if (total === 0n) return null;
  return total < 0n ? { sign: 1, significand: -total, exponent } : { sign: 0, significand: total, exponent };
}

const product = (a: Unpacked, b: Unpacked): Exact => ({
  sign: (a.sign ^ b.sign) as 0 | 1,
  significand: a.significand * b.significand,
  exponent: a.exponent + b.exponent,
});

/** A sum that is exactly zero has the sign that the rounding mode says. */
const zeroSum = (f: Format, control: Control) => zero(f, roundingOf(control) === Rounding.NegInf ? 1 : 0);

const arithmetic = (f: Format, exact: Exact, control: Control) =>
  round(f, exact, control, roundingOf(control), "arithmetic");

export const negate = (f: Format, a: bigint): bigint => a ^ f.signBit;
export const absolute = (f: Format, a: bigint): bigint => a & (f.signBit - 1n);

/** FPAdd. */
export function add(f: Format, a: bigint, b: bigint, control: Control): bigint {
  const { x, y, nan } = operands(f, a, b, control);
  if (nan !== null) return nan;
  if (x.kind === "infinity" || y.kind === "infinity") {
    if (x.kind === y.kind && x.sign !== y.sign) return invalid(f, control);
    return infinity(f, x.kind === "infinity" ? x.sign : y.sign);
  }
  if (x.kind === "zero" && y.kind === "zero" && x.sign === y.sign) return zero(f, x.sign);
  const exact = sum(x, y);
  return exact === null ? zeroSum(f, control) : arithmetic(f, exact, control);
}

/** FPSub. A NaN keeps its sign, so this is not the sum with the negated operand. */
export function sub(f: Format, a: bigint, b: bigint, control: Control): bigint {
  const y = unpack(f, b, { fpcr: control.fpcr, fpsr: 0 }, "arithmetic");
  return add(f, a, isNan(y) ? b : negate(f, b), control);
}

type Extended = "plain" | "extended";

/** FPMul, and FPMulX ("extended"), where infinity times zero is 2. */
export function mul(f: Format, a: bigint, b: bigint, control: Control, variant: Extended = "plain"): bigint {
  const { x, y, nan } = operands(f, a, b, control);
  if (nan !== null) return nan;
  const sign = (x.sign ^ y.sign) as 0 | 1;
  if (x.kind === "infinity" || y.kind === "infinity") {
    if (x.kind !== "zero" && y.kind !== "zero") return infinity(f, sign);
    return variant === "extended" ? constant(f, sign, 1n, 1) : invalid(f, control);
  }
  if (x.kind === "zero" || y.kind === "zero") return zero(f, sign);
  return arithmetic(f, product(x, y), control);
}

/** FPDiv. */
export function div(f: Format, a: bigint, b: bigint, control: Control): bigint {
  const { x, y, nan } = operands(f, a, b, control);
  if (nan !== null) return nan;
  const sign = (x.sign ^ y.sign) as 0 | 1;
  if (x.kind === y.kind && x.kind !== "finite") return invalid(f, control);
  if (x.kind === "infinity") return infinity(f, sign);
  if (y.kind === "zero") {
    control.fpsr |= Fpsr.DZC;
    return infinity(f, sign);
  }
  if (x.kind === "zero" || y.kind === "infinity") return zero(f, sign);
  // Enough bits for rounding, and one that says whether more follow.
  const shift = BigInt(f.fractionBits + 3 + Math.max(0, bitLength(y.significand) - bitLength(x.significand)));
  const dividend = x.significand << shift;
  const significand = dividend / y.significand;
  return arithmetic(
    f,
    {
      sign,
      significand,
      exponent: x.exponent - y.exponent - Number(shift),
      sticky: significand * y.significand !== dividend,
    },
    control,
  );
}

/** FPSqrt. */
export function sqrt(f: Format, a: bigint, control: Control): bigint {
  const x = take(f, a, control);
  if (isNan(x)) return processNan(f, x, a, control);
  if (x.kind === "zero") return zero(f, x.sign);
  if (x.sign === 1) return invalid(f, control);
  if (x.kind === "infinity") return infinity(f, 0);
  // An even exponent, and a root of at least two bits more than the result has.
  let shift = Math.max(0, 2 * (f.fractionBits + 3) - bitLength(x.significand));
  if (((x.exponent - shift) & 1) !== 0) shift += 1;
  const radicand = x.significand << BigInt(shift);
  const significand = integerSqrt(radicand);
  const exponent = (x.exponent - shift) / 2;
  return arithmetic(f, { sign: 0, significand, exponent, sticky: significand * significand !== radicand }, control);
}

function integerSqrt(n: bigint): bigint {
  let root = 1n << BigInt((bitLength(n) + 1) >> 1);
  for (;;) {
    const next = (root + n / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** FPMulAdd: addend + a * b, rounded once. */
export function mulAdd(f: Format, addend: bigint, a: bigint, b: bigint, control: Control): bigint {
  const s = take(f, addend, control);
  const x = take(f, a, control);
  const y = take(f, b, control);
  const three = [
    [s, addend],
    [x, a],
    [y, b],
  ] as const;
  const nan = processNans(f, three, control);
  if (s.kind === "quiet" && noProduct(x, y)) return invalid(f, control);
  return nan ?? addProduct(f, s, x, y, control);
}

const noProduct = (x: Unpacked, y: Unpacked): boolean =>
  (x.kind === "infinity" && y.kind === "zero") || (x.kind === "zero" && y.kind === "infinity");

/** The fused sum of operands of which none is a NaN. */
function addProduct(f: Format, s: Unpacked, x: Unpacked, y: Unpacked, control: Control): bigint {
  const sign = (x.sign ^ y.sign) as 0 | 1;
  const infinite = x.kind === "infinity" || y.kind === "infinity";
  if (noProduct(x, y) || (s.kind === "infinity" && infinite && s.sign !== sign)) return invalid(f, control);
  if (s.kind === "infinity") return infinity(f, s.sign);
  if (infinite) return infinity(f, sign);
  const nothing = x.kind === "zero" || y.kind === "zero";
  if (s.kind === "zero" && nothing && s.sign === sign) return zero(f, sign);
  const exact = sum(s, product(x, y));
  return exact === null ? zeroSum(f, control) : arithmetic(f, exact, control);
}

/** FPMulAddH: addend + a * b with factors of half precision and a sum of single precision. */
export function mulAddLong(addend: bigint, a: bigint, b: bigint, control: Control): bigint {
  const s = take(single, addend, control);
  const x = take(half, a, control);
  const y = take(half, b, control);
  const three = [
    [s, addend],
    [x, widened(x)],
    [y, widened(y)],
  ] as const;
  const nan = processNans(single, three, control);
  if (s.kind === "quiet" && noProduct(x, y)) return invalid(single, control);
  return nan ?? addProduct(single, s, x, y, control);
}

/** A NaN of half precision in single precision, as quiet as it was. */
function widened(x: Unpacked): bigint {
  if (!isNan(x)) return 0n;
  const quieted = convertNan(half, single, x);
  return x.kind === "signaling" ? quieted & ~single.quiet : quieted;
}

/** An exact constant: (-1)^sign × significand × 2^exponent. */
function constant(f: Format, sign: 0 | 1, significand: bigint, exponent: number): bigint {
  return round(f, { sign, significand, exponent }, { fpcr: 0, fpsr: 0 }, Rounding.TieEven, "arithmetic");
}

/** FPRecipStepFused ("reciprocal": 2 - a * b) and FPRSqrtStepFused ("root": (3 - a * b) / 2). */
export function step(f: Format, a: bigint, b: bigint, control: Control, kind: "reciprocal" | "root"): bigint {
  const negated = negate(f, a);
  const { x, y, nan } = operands(f, negated, b, control);
  if (nan !== null) return nan;
  const infinite = x.kind === "infinity" || y.kind === "infinity";
  if (infinite && (x.kind === "zero" || y.kind === "zero")) {
    return kind === "reciprocal" ? constant(f, 0, 1n, 1) : constant(f, 0, 3n, -1);
  }
  if (infinite) return infinity(f, (x.sign ^ y.sign) as 0 | 1);
  const from: Exact = { sign: 0, significand: kind === "reciprocal" ? 2n : 3n, exponent: 0 };
  const exact = sum(from, product(x, y));
  if (exact === null) return zeroSum(f, control);
  return arithmetic(f, kind === "reciprocal" ? exact : { ...exact, exponent: exact.exponent - 1 }, control);
}

/** -1, 0, 1, or null where one is a NaN. */
function order(x: Unpacked, y: Unpacked): -1 | 0 | 1 | null {
  if (isNan(x) || isNan(y)) return null;
  const rank = (n: Unpacked) => (n.kind === "zero" ? 0 : n.kind === "infinity" ? 2 : 1) * (n.sign === 1 ? -1 : 1);
  const difference = rank(x) - rank(y);
  if (difference !== 0) return difference < 0 ? -1 : 1;
  if (x.kind !== "finite") return 0;
  const exact = sum(x, { ...y, sign: (1 - y.sign) as 0 | 1 });
  return exact === null ? 0 : exact.sign === 1 ? -1 : 1;
}

/** When a comparison says that an operand is a NaN: for any ("signaling"), or for signaling NaNs only ("quiet"). */
export type Signal = "signaling" | "quiet";

/** -1: less, 0: equal, 1: greater, null: unordered. FPCompare, FPCompareEQ, FPCompareGE, FPCompareGT. */
export function compare(f: Format, a: bigint, b: bigint, control: Control, signal: Signal): -1 | 0 | 1 | null {
  const x = take(f, a, control);
  const y = take(f, b, control);
  const found = order(x, y);
  if (found !== null) return found;
  if (signal === "signaling" || x.kind === "signaling" || y.kind === "signaling") control.fpsr |= Fpsr.IOC;
  return null;
}

/** FPMax, FPMin. */
export function extreme(f: Format, which: "max" | "min", a: bigint, b: bigint, control: Control): bigint {
  const { x, y, nan } = operands(f, a, b, control);
  if (nan !== null) return nan;
  const found = order(x, y);
  const first = which === "max" ? found === 1 : found === -1;
  const [chosen, bits] = first ? [x, a] : [y, b];
  if (chosen.kind !== "zero") return bits;
  const both = which === "max" ? x.sign & y.sign : x.sign | y.sign;
  // The other operand may be a number of the other sign: then the zero that won keeps its own.
  const zeros = x.kind === "zero" && y.kind === "zero";
  return zero(f, zeros ? (both as 0 | 1) : chosen.sign);
}

/** FPMaxNum, FPMinNum: a single quiet NaN is as good as absent. */
export function extremeNumber(f: Format, which: "max" | "min", a: bigint, b: bigint, control: Control): bigint {
  const quietly = { fpcr: control.fpcr, fpsr: 0 };
  const x = unpack(f, a, quietly, "arithmetic");
  const y = unpack(f, b, quietly, "arithmetic");
  const absent = infinity(f, which === "max" ? 1 : 0);
  if (x.kind === "quiet" && !isNan(y)) return extreme(f, which, absent, b, control);
  if (y.kind === "quiet" && !isNan(x)) return extreme(f, which, a, absent, control);
  return extreme(f, which, a, b, control);
}
