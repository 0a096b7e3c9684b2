// Reciprocal and reciprocal square root estimates: eight bits from an integer recipe. DDI 0487 J1,
// shared/functions/float: FPRecipEstimate, FPRSqrtEstimate, FPRecpX, RecipEstimate, RecipSqrtEstimate.

import {
  type Control,
  type Format,
  Fpcr,
  Fpsr,
  infinity,
  isNan,
  Rounding,
  roundingOf,
  unpack,
  zero,
} from "./format.js";

/** `a`: 0.5 to 1.0 in 9 bits (256 to 511). Gives 1/a as 1.0 to 2.0 in 9 bits. */
export function reciprocal(a: number): number {
  const b = Math.floor(2 ** 19 / (2 * a + 1));
  return (b + 1) >> 1;
}

/** `a`: 0.25 to 1.0 in 9 bits (128 to 511). Gives 1/sqrt(a) as 1.0 to 2.0 in 9 bits. */
export function reciprocalRoot(a: number): number {
  // Below 0.5 every value has an entry of its own; above, two share one.
  const middle = a < 256 ? 2 * a + 1 : 2 * (2 * (a >> 1) + 1);
  let b = 512;
  while (middle * (b + 1) * (b + 1) < 2 ** 28) b++;
  return (b + 1) >> 1;
}

function nan(f: Format, kind: string, value: bigint, control: Control): bigint {
  if (kind === "signaling") control.fpsr |= Fpsr.IOC;
  return (control.fpcr & Fpcr.DN) !== 0 ? f.defaultNan : value | f.quiet;
}

/** The fraction as 52 bits, whatever the format. */
const wide = (f: Format, value: bigint) => (value & f.fractionMask) << BigInt(52 - f.fractionBits);
const TOP = 1n << 51n;
const ALL = (1n << 52n) - 1n;

/** FPRecipEstimate. */
export function reciprocalEstimate(f: Format, value: bigint, control: Control): bigint {
  const x = unpack(f, value, control, "arithmetic");
  if (isNan(x)) return nan(f, x.kind, value, control);
  if (x.kind === "infinity") return zero(f, x.sign);
  if (x.kind === "zero") {
    control.fpsr |= Fpsr.DZC;
    return infinity(f, x.sign);
  }
  const field = Number((value & f.infinity) >> BigInt(f.fractionBits));
  let fraction = wide(f, value);
  let exponent = field;
  // Denormals whose reciprocal is too large: 2^-(bias + 1) and below.
  if (field === 0 && fraction >> 50n === 0n) {
    control.fpsr |= Fpsr.OFC | Fpsr.IXC;
    const rounding = roundingOf(control);
    const toInfinity =
      rounding === Rounding.TieEven ||
      (rounding === Rounding.PosInf && x.sign === 0) ||
      (rounding === Rounding.NegInf && x.sign === 1);
    return toInfinity ? infinity(f, x.sign) : zero(f, x.sign) | f.largest;
  }
  // The reciprocal of a large number is denormal, and flushed as such.
  const flush = f.bits === 16 ? (control.fpcr & Fpcr.FZ16) !== 0 : (control.fpcr & Fpcr.FZ) !== 0;
  const bias = 2 ** (f.exponentBits - 1) - 1;
  if (flush && field >= 2 * bias - 1) {
    control.fpsr |= Fpsr.UFC;
    return zero(f, x.sign);
  }
  if (field === 0) {
    if ((fraction & TOP) === 0n) {
      exponent = -1;
      fraction = (fraction << 2n) & ALL;
    } else fraction = (fraction << 1n) & ALL;
  }
  const scaled = 256 | Number(fraction >> 44n);
  let resultExponent = 2 * bias - 1 - exponent;
  const estimate = reciprocal(scaled);
  let result = BigInt(estimate & 0xff) << 44n;
  if (resultExponent === 0) result = TOP | (result >> 1n);
  else if (resultExponent === -1) {
    result = (1n << 50n) | (result >> 2n);
    resultExponent = 0;
  }
  return zero(f, x.sign) | (BigInt(resultExponent) << BigInt(f.fractionBits)) | (result >> BigInt(52 - f.fractionBits));
}

/** FPRSqrtEstimate. */
export function reciprocalRootEstimate(f: Format, value: bigint, control: Control): bigint {
  const x = unpack(f, value, control, "arithmetic");
  if (isNan(x)) return nan(f, x.kind, value, control);
  if (x.kind === "zero") {
    control.fpsr |= Fpsr.DZC;
    return infinity(f, x.sign);
  }
  if (x.sign === 1) {
    control.fpsr |= Fpsr.IOC;
    return f.defaultNan;
  }
  if (x.kind === "infinity") return 0n;
  let exponent = Number((value & f.infinity) >> BigInt(f.fractionBits));
  let fraction = wide(f, value);
  if (exponent === 0) {
    while ((fraction & TOP) === 0n) {
      fraction <<= 1n;
      exponent -= 1;
    }
    fraction = (fraction << 1n) & ALL;
  }
  const scaled = (exponent & 1) === 0 ? 256 | Number(fraction >> 44n) : 128 | Number(fraction >> 45n);
  const bias = 2 ** (f.exponentBits - 1) - 1;
  const resultExponent = Math.floor((3 * bias - 1 - exponent) / 2);
  const estimate = BigInt(reciprocalRoot(scaled) & 0xff);
  return (BigInt(resultExponent) << BigInt(f.fractionBits)) | (estimate << BigInt(f.fractionBits - 8));
}

/** FPRecpX: the reciprocal's exponent. */
export function reciprocalExponent(f: Format, value: bigint, control: Control): bigint {
  const x = unpack(f, value, control, "arithmetic");
  if (isNan(x)) return nan(f, x.kind, value, control);
  const field = value & f.infinity;
  const sign = value & f.signBit;
  if (field === 0n) return sign | (f.infinity - (1n << BigInt(f.fractionBits)));
  return sign | (~field & f.infinity);
}

/** UnsignedRecipEstimate and UnsignedRSqrtEstimate: URECPE, URSQRTE. */
export function unsignedReciprocal(value: number): number {
  return value >>> 31 === 0 ? 0xffff_ffff : (reciprocal(value >>> 23) << 23) >>> 0;
}
export function unsignedReciprocalRoot(value: number): number {
  return value >>> 30 === 0 ? 0xffff_ffff : (reciprocalRoot(value >>> 23) << 23) >>> 0;
}
