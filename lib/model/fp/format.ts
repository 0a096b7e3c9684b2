// The binary formats of IEEE 754 that A64 has, and how a bit pattern becomes a number and back.
// DDI 0487 J1, shared/functions/float: FPUnpackBase, FPRoundBase.

/** A binary interchange format. */
export interface Format {
  readonly bits: 16 | 32 | 64;
  readonly exponentBits: number;
  readonly fractionBits: number;
  /** Exponent of the smallest normal number. */
  readonly leastExponent: number;
  readonly signBit: bigint;
  readonly fractionMask: bigint;
  /** The exponent field of infinities and NaNs, at its place. */
  readonly infinity: bigint;
  /** The top bit of the fraction: a NaN that has it is quiet. */
  readonly quiet: bigint;
  readonly defaultNan: bigint;
  readonly largest: bigint;
}

function format(bits: 16 | 32 | 64, exponentBits: number): Format {
  const fractionBits = bits - 1 - exponentBits;
  const infinity = ((1n << BigInt(exponentBits)) - 1n) << BigInt(fractionBits);
  const quiet = 1n << BigInt(fractionBits - 1);
  return {
    bits,
    exponentBits,
    fractionBits,
    leastExponent: 2 - 2 ** (exponentBits - 1),
    signBit: 1n << BigInt(bits - 1),
    fractionMask: (1n << BigInt(fractionBits)) - 1n,
    infinity,
    quiet,
    defaultNan: infinity | quiet,
    largest: infinity - 1n,
  };
}

export const half = format(16, 5);
export const single = format(32, 8);
export const double = format(64, 11);

/** Bits of FPCR. */
export const Fpcr = { FZ16: 1 << 19, RMode: 3 << 22, FZ: 1 << 24, DN: 1 << 25, AHP: 1 << 26 } as const;

/** Cumulative bits of FPSR. */
export const Fpsr = { IOC: 1, DZC: 2, OFC: 4, UFC: 8, IXC: 16, IDC: 128 } as const;

/** FPRounding, the first four as FPCR.RMode has them. */
export const Rounding = { TieEven: 0, PosInf: 1, NegInf: 2, Zero: 3, TieAway: 4, Odd: 5 } as const;
export type Rounding = (typeof Rounding)[keyof typeof Rounding];

export type Kind = "zero" | "finite" | "infinity" | "quiet" | "signaling";

/** A number taken apart: (-1)^sign × significand × 2^exponent where finite. */
export interface Unpacked {
  readonly kind: Kind;
  readonly sign: 0 | 1;
  readonly significand: bigint;
  readonly exponent: number;
}

export const isNan = ({ kind }: Unpacked): boolean => kind === "quiet" || kind === "signaling";

/** What an operation needs to know, and where it leaves its exceptions. */
export interface Control {
  readonly fpcr: number;
  /** Exceptions are or-ed in. */
  fpsr: number;
}

/** FPUnpack (`alternative` false) and FPUnpackCV (FPCR.AHP holds, FPCR.FZ16 does not). */
export function unpack(f: Format, bits: bigint, control: Control, use: "arithmetic" | "conversion"): Unpacked {
  const sign = (bits & f.signBit) === 0n ? 0 : 1;
  const fraction = bits & f.fractionMask;
  const field = Number((bits & f.infinity) >> BigInt(f.fractionBits));
  if (field === 0) {
    if (fraction === 0n) return { kind: "zero", sign, significand: 0n, exponent: 0 };
    if (f.bits === 16 ? use === "arithmetic" && (control.fpcr & Fpcr.FZ16) !== 0 : (control.fpcr & Fpcr.FZ) !== 0) {
      // A half that is flushed leaves no trace in FPSR.
      if (f.bits !== 16) control.fpsr |= Fpsr.IDC;
      return { kind: "zero", sign, significand: 0n, exponent: 0 };
    }
    return { kind: "finite", sign, significand: fraction, exponent: f.leastExponent - f.fractionBits };
  }
  const alternative = f.bits === 16 && use === "conversion" && (control.fpcr & Fpcr.AHP) !== 0;
  if (field === 2 ** f.exponentBits - 1 && !alternative) {
    const kind = fraction === 0n ? "infinity" : (fraction & f.quiet) === 0n ? "signaling" : "quiet";
    return { kind, sign, significand: fraction, exponent: 0 };
  }
  return {
    kind: "finite",
    sign,
    significand: fraction | (f.fractionMask + 1n),
    exponent: f.leastExponent - f.fractionBits + field - 1,
  };
}

export const zero = (f: Format, sign: 0 | 1): bigint => (sign === 1 ? f.signBit : 0n);
export const infinity = (f: Format, sign: 0 | 1): bigint => zero(f, sign) | f.infinity;

export const roundingOf = ({ fpcr }: Control): Rounding => ((fpcr >>> 22) & 3) as Rounding;

/** How many bits a positive number has. */
export const bitLength = (n: bigint): number => {
  // toString is the only length that BigInt tells.
  const hex = n.toString(16);
  return 4 * hex.length - (Math.clz32(Number.parseInt(hex[0]!, 16)) - 28);
};

/** Whether a magnitude is rounded up, given what is cut off: below, at or above one half of the last bit. */
export function roundsUp(rounding: Rounding, sign: 0 | 1, odd: boolean, rest: -1 | 0 | 1, exact: boolean): boolean {
  if (exact) return false;
  switch (rounding) {
    case Rounding.TieEven:
      return rest > 0 || (rest === 0 && odd);
    case Rounding.TieAway:
      return rest >= 0;
    case Rounding.PosInf:
      return sign === 0;
    case Rounding.NegInf:
      return sign === 1;
    default:
      return false;
  }
}

/** A number that is not zero, before it is rounded; `sticky`: it has more bits below the significand's. */
export interface Exact {
  readonly sign: 0 | 1;
  readonly significand: bigint;
  readonly exponent: number;
  readonly sticky?: boolean;
}

/** FPRound (use "arithmetic") and FPRoundCV ("conversion"). */
export function round(
  f: Format,
  exact: Exact,
  control: Control,
  rounding: Rounding,
  use: "arithmetic" | "conversion",
): bigint {
  const { sign, sticky = false } = exact;
  let { significand, exponent } = exact;
  const length = bitLength(significand);
  const top = exponent + length - 1;
  const flush =
    f.bits === 16 ? use === "arithmetic" && (control.fpcr & Fpcr.FZ16) !== 0 : (control.fpcr & Fpcr.FZ) !== 0;
  if (flush && top < f.leastExponent) {
    control.fpsr |= Fpsr.UFC;
    return zero(f, sign);
  }
  // The last bit that the result has.
  const last = Math.max(top, f.leastExponent) - f.fractionBits;
  const cut = last - exponent;
  let rest: -1 | 0 | 1 = -1;
  let inexact = sticky;
  if (cut > 0) {
    const below = significand & ((1n << BigInt(cut)) - 1n);
    const middle = 1n << BigInt(cut - 1);
    inexact ||= below !== 0n;
    rest = below < middle ? -1 : below > middle || sticky ? 1 : 0;
    significand >>= BigInt(cut);
  } else {
    significand <<= BigInt(-cut);
  }
  exponent = last;
  const denormal = top < f.leastExponent;
  if (denormal && inexact) control.fpsr |= Fpsr.UFC;
  if (roundsUp(rounding, sign, (significand & 1n) === 1n, rest, !inexact)) significand += 1n;
  if (rounding === Rounding.Odd && inexact) significand |= 1n;
  // A carry into the next binade leaves a power of two: its fraction is zero either way.
  let field = denormal ? 0 : exponent + f.fractionBits - f.leastExponent + 1;
  const hidden = f.fractionMask + 1n;
  if (significand >= 2n * hidden) {
    significand >>= 1n;
    field += 1;
  } else if (denormal && significand >= hidden) field = 1;
  const alternative = f.bits === 16 && use === "conversion" && (control.fpcr & Fpcr.AHP) !== 0;
  if (alternative) {
    if (field >= 2 ** f.exponentBits) {
      control.fpsr |= Fpsr.IOC;
      return zero(f, sign) | (f.signBit - 1n);
    }
  } else if (field >= 2 ** f.exponentBits - 1) {
    control.fpsr |= Fpsr.OFC | Fpsr.IXC;
    const toInfinity =
      rounding === Rounding.TieEven ||
      rounding === Rounding.TieAway ||
      (rounding === Rounding.PosInf && sign === 0) ||
      (rounding === Rounding.NegInf && sign === 1);
    return toInfinity ? infinity(f, sign) : zero(f, sign) | f.largest;
  }
  if (inexact) control.fpsr |= Fpsr.IXC;
  return zero(f, sign) | (BigInt(field) << BigInt(f.fractionBits)) | (significand & f.fractionMask);
}
