// Conversions between formats, to integers and fixed-point numbers and back, and rounding to integers in a format.
// DDI 0487 J1, shared/functions/float.

import {
  type Control,
  double,
  type Format,
  Fpcr,
  Fpsr,
  infinity,
  isNan,
  Rounding,
  round,
  roundsUp,
  type Unpacked,
  unpack,
  zero,
} from "./format.js";

/** A finite number times 2^fractionBits, rounded to an integer. */
function toInteger(
  { sign, significand, exponent }: Unpacked,
  fractionBits: number,
  rounding: Rounding,
): { readonly magnitude: bigint; readonly inexact: boolean } {
  const shift = exponent + fractionBits;
  if (shift >= 0) return { magnitude: significand << BigInt(shift), inexact: false };
  const cut = BigInt(-shift);
  const whole = significand >> cut;
  const below = significand & ((1n << cut) - 1n);
  const middle = 1n << (cut - 1n);
  const rest = below < middle ? -1 : below > middle ? 1 : 0;
  const up = roundsUp(rounding, sign, (whole & 1n) === 1n, rest, below === 0n);
  return { magnitude: up ? whole + 1n : whole, inexact: below !== 0n };
}

/** FPConvert. */
export function convert(from: Format, to: Format, bits: bigint, control: Control, rounding: Rounding): bigint {
  const x = unpack(from, bits, control, "conversion");
  const alternative = to.bits === 16 && (control.fpcr & Fpcr.AHP) !== 0;
  if (isNan(x)) {
    if (x.kind === "signaling" || alternative) control.fpsr |= Fpsr.IOC;
    if (alternative) return zero(to, x.sign);
    return (control.fpcr & Fpcr.DN) !== 0 ? to.defaultNan : convertNan(from, to, x);
  }
  if (x.kind === "infinity") {
    if (!alternative) return infinity(to, x.sign);
    control.fpsr |= Fpsr.IOC;
    return zero(to, x.sign) | (to.signBit - 1n);
  }
  if (x.kind === "zero") return zero(to, x.sign);
  return round(to, x, control, rounding, "conversion");
}

/** FPConvertNaN: the upper bits of the payload stay. */
export function convertNan(from: Format, to: Format, { sign, significand }: Unpacked): bigint {
  const wider = to.fractionBits - from.fractionBits;
  const payload = wider >= 0 ? significand << BigInt(wider) : significand >> BigInt(-wider);
  return infinity(to, sign) | to.quiet | payload;
}

/** FPToFixed: an integer of `bits` bits, saturated. */
export function toFixed(
  f: Format,
  value: bigint,
  bits: 16 | 32 | 64,
  fractionBits: number,
  signedness: "signed" | "unsigned",
  control: Control,
  rounding: Rounding,
): bigint {
  const x = unpack(f, value, control, "arithmetic");
  if (isNan(x)) {
    control.fpsr |= Fpsr.IOC;
    return 0n;
  }
  const least = signedness === "signed" ? -(1n << BigInt(bits - 1)) : 0n;
  const most = signedness === "signed" ? (1n << BigInt(bits - 1)) - 1n : (1n << BigInt(bits)) - 1n;
  const saturate = (limit: bigint) => {
    control.fpsr |= Fpsr.IOC;
    return BigInt.asUintN(bits, limit);
  };
  if (x.kind === "infinity") return saturate(x.sign === 1 ? least : most);
  const { magnitude, inexact } = toInteger(x, fractionBits, rounding);
  const integer = x.sign === 1 ? -magnitude : magnitude;
  if (integer < least) return saturate(least);
  if (integer > most) return saturate(most);
  if (inexact) control.fpsr |= Fpsr.IXC;
  return BigInt.asUintN(bits, integer);
}

/** FixedToFP. `value` is an integer of `bits` bits. */
export function fromFixed(
  f: Format,
  value: bigint,
  bits: 16 | 32 | 64,
  fractionBits: number,
  signedness: "signed" | "unsigned",
  control: Control,
  rounding: Rounding,
): bigint {
  const integer = signedness === "signed" ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
  if (integer === 0n) return 0n;
  const exact = {
    sign: integer < 0n ? (1 as const) : (0 as const),
    significand: integer < 0n ? -integer : integer,
    exponent: -fractionBits,
  };
  return round(f, exact, control, rounding, "arithmetic");
}

/** FPRoundInt. `exactness` "signaled": a result that differs is Inexact (FRINTX). */
export function roundToInteger(
  f: Format,
  value: bigint,
  control: Control,
  rounding: Rounding,
  exactness: "signaled" | "ignored",
): bigint {
  const x = unpack(f, value, control, "arithmetic");
  if (isNan(x)) {
    if (x.kind === "signaling") control.fpsr |= Fpsr.IOC;
    return (control.fpcr & Fpcr.DN) !== 0 ? f.defaultNan : value | f.quiet;
  }
  if (x.kind === "infinity") return infinity(f, x.sign);
  if (x.kind === "zero") return zero(f, x.sign);
  const { magnitude, inexact } = toInteger(x, 0, rounding);
  if (inexact && exactness === "signaled") control.fpsr |= Fpsr.IXC;
  if (magnitude === 0n) return zero(f, x.sign);
  return round(f, { sign: x.sign, significand: magnitude, exponent: 0 }, control, Rounding.Zero, "arithmetic");
}

/** FPRoundIntN: to an integer that fits `bits` bits (FRINT32Z, FRINT64X, …). */
export function roundToSizedInteger(
  f: Format,
  value: bigint,
  bits: 32 | 64,
  control: Control,
  rounding: Rounding,
): bigint {
  const x = unpack(f, value, control, "arithmetic");
  if (x.kind === "zero") return zero(f, x.sign);
  const outside = () => {
    control.fpsr |= Fpsr.IOC;
    const field = BigInt(bits - 1 - f.leastExponent + 1);
    return f.signBit | (field << BigInt(f.fractionBits));
  };
  if (x.kind !== "finite") return outside();
  const { magnitude, inexact } = toInteger(x, 0, rounding);
  const limit = 1n << BigInt(bits - 1);
  if (x.sign === 1 ? magnitude > limit : magnitude >= limit) return outside();
  if (inexact) control.fpsr |= Fpsr.IXC;
  if (magnitude === 0n) return zero(f, x.sign);
  return round(f, { sign: x.sign, significand: magnitude, exponent: 0 }, control, Rounding.Zero, "arithmetic");
}

/** FPToFixedJS: the lower 32 bits of the integer, and whether that lost nothing. */
export function toJavaScriptInteger(value: bigint, control: Control): { result: number; exact: boolean } {
  const f = double;
  const x = unpack(f, value, control, "arithmetic");
  if (x.kind === "zero") {
    // -0 is not what the integer 0 converts back to; a denormal that was flushed is not exact either.
    return { result: 0, exact: x.sign === 0 && (value & (f.signBit - 1n)) === 0n };
  }
  if (x.kind !== "finite") {
    control.fpsr |= Fpsr.IOC;
    return { result: 0, exact: false };
  }
  const { magnitude, inexact } = toInteger(x, 0, Rounding.Zero);
  const integer = x.sign === 1 ? -magnitude : magnitude;
  const result = Number(BigInt.asIntN(32, integer));
  const overflow = BigInt(result) !== integer;
  if (overflow) control.fpsr |= Fpsr.IOC;
  else if (inexact) control.fpsr |= Fpsr.IXC;
  return { result, exact: !overflow && !inexact };
}
