// What an instruction may do with the SIMD&FP registers. A value has 128 bits; lanes count from bit 0. A scalar is a
// vector of one lane: its other bits are zero.
//
// Integer operations work on all lanes of 128 bits; `low` clears what a shorter vector has not got. Floating-point
// operations may leave flags, so they are told how many lanes there are; the lanes beyond come out as zero.

export type LaneBits = 8 | 16 | 32 | 64;
export type FpBits = 16 | 32 | 64;
export type Signedness = "signed" | "unsigned";

/** saddlp and uaddlp add pairs of lanes into lanes twice as wide. */
export type VectorUnary =
  | "neg"
  | "abs"
  | "not"
  | "cls"
  | "clz"
  | "cnt"
  | "rbit"
  | "sqabs"
  | "sqneg"
  | "saddlp"
  | "uaddlp"
  | "urecpe"
  | "ursqrte";

/**
 * As the instructions of these names do, lane by lane. sq… and uq… saturate and set FPSR.QC. sqdmull: twice the product
 * of lanes that hold sign-extended halves, saturated.
 */
export type VectorBinary =
  | "add"
  | "sub"
  | "mul"
  | "pmul"
  | "and"
  | "orr"
  | "eor"
  | "bic"
  | "shadd"
  | "uhadd"
  | "srhadd"
  | "urhadd"
  | "shsub"
  | "uhsub"
  | "smax"
  | "umax"
  | "smin"
  | "umin"
  | "sabd"
  | "uabd"
  | "cmeq"
  | "cmgt"
  | "cmge"
  | "cmhi"
  | "cmhs"
  | "cmtst"
  | "sqadd"
  | "uqadd"
  | "sqsub"
  | "uqsub"
  | "suqadd"
  | "usqadd"
  | "sshl"
  | "ushl"
  | "srshl"
  | "urshl"
  | "sqshl"
  | "uqshl"
  | "sqrshl"
  | "uqrshl"
  | "sqdmulh"
  | "sqrdmulh"
  | "sqdmull";

/**
 * The first operand is the accumulator. sdot, udot and usdot: four products of bytes into each lane of 32 bits. smmla,
 * ummla and usmmla: of matrices of 2 × 8 bytes, the second by its columns. us…: unsigned by signed.
 */
export type VectorTernary = "sqrdmlah" | "sqrdmlsh" | ByteProducts;
export type ByteProducts = "sdot" | "udot" | "usdot" | "smmla" | "ummla" | "usmmla";

/** Shifts by a known amount; srshr and urshr round. */
export type VectorShift = "shl" | "sshr" | "ushr" | "srshr" | "urshr" | "sqshl" | "uqshl" | "sqshlu";

/** To lanes of half the width: cut, or saturated (signed, unsigned, signed to unsigned). */
export type VectorNarrow = "xtn" | "sqxtn" | "uqxtn" | "sqxtun";

/** Over the lanes of a vector into one, for saddlv and uaddlv twice as wide. */
export type VectorReduce = "addv" | "smaxv" | "umaxv" | "sminv" | "uminv" | "saddlv" | "uaddlv";

export type Crypto1 = "aesmc" | "aesimc" | "sha1h";
export type Crypto2 = "sm4e" | "sm4ekey" | "aese" | "aesd" | "sha1su1" | "sha256su0" | "sha512su0";
/** sm3tt…: the third operand has the word of the message in every lane. */
export type Crypto3 =
  | "sm3partw1"
  | "sm3partw2"
  | "sm3ss1"
  | "sm3tt1a"
  | "sm3tt1b"
  | "sm3tt2a"
  | "sm3tt2b"
  | "sha1c"
  | "sha1p"
  | "sha1m"
  | "sha1su0"
  | "sha256h"
  | "sha256h2"
  | "sha256su1"
  | "sha512h"
  | "sha512h2"
  | "sha512su1";

export type FpUnary = "abs" | "neg" | "sqrt" | "recpe" | "rsqrte" | "recpx";
export type FpBinary =
  | "add"
  | "sub"
  | "mul"
  | "mulx"
  | "div"
  | "max"
  | "min"
  | "maxnm"
  | "minnm"
  | "abd"
  | "recps"
  | "rsqrts";
/** All ones where it holds. */
export type FpComparison = "eq" | "ge" | "gt" | "absge" | "absgt";
/** How a result is rounded; "fpcr": as FPCR.RMode says. */
export type FpRounding = "even" | "posinf" | "neginf" | "zero" | "away" | "odd" | "fpcr";

export interface VectorOperations<V, W64, W32, B> {
  /** CheckFPAdvSIMDEnabled64: an exception where CPACR_EL1 traps. */
  checkFp(): void;
  v(n: number): V;
  setV(n: number, value: V): void;

  /** Lanes of 64 bits from general values: the lower and the upper. */
  vector(low: W64, high: W64): V;
  vectorConstant(low: bigint, high: bigint): V;
  /** One lane, zero-extended. */
  lane(bits: LaneBits, index: number, v: V): W64;
  /** The lower bits of `value` in every lane. */
  splat(bits: LaneBits, value: W64): V;
  /** `v` with another lane. */
  withLane(bits: LaneBits, index: number, v: V, value: W64): V;
  /** The lower bits, the others zero. */
  low(bits: 8 | 16 | 32 | 64 | 128, v: V): V;

  unary(op: VectorUnary, bits: LaneBits, a: V): V;
  binary(op: VectorBinary, bits: LaneBits, a: V, b: V): V;
  ternary(op: VectorTernary, bits: LaneBits, accumulator: V, a: V, b: V): V;
  shift(op: VectorShift, bits: LaneBits, a: V, amount: number): V;
  /** Lanes of `bits` from the lower or upper half of `a`, extended to twice that. */
  widen(signedness: Signedness, bits: 8 | 16 | 32, half: "lower" | "upper", a: V): V;
  /** Lanes of `bits` to half of that, in the lower half; the upper is zero. */
  narrow(op: VectorNarrow, bits: 16 | 32 | 64, a: V): V;
  /** Polynomial product of the lower or upper lanes of 8 or 64 bits, twice as wide. */
  polynomialProduct(bits: 8 | 64, half: "lower" | "upper", a: V, b: V): V;
  reduce(op: VectorReduce, bits: 8 | 16 | 32, lanes: number, a: V): V;
  /** Byte n of the result is byte `bytes[n]` of `a` (0 to 15) or of `b` (16 to 31). */
  shuffle(a: V, b: V, bytes: readonly number[]): V;
  /** Bytes of the tables by index; an index beyond them gives the byte of `otherwise`, or zero. */
  lookUp(tables: readonly V[], indices: V, otherwise: V | null): V;

  crypto1(op: Crypto1, a: V): V;
  crypto2(op: Crypto2, a: V, b: V): V;
  crypto3(op: Crypto3, a: V, b: V, c: V): V;

  fpUnary(op: FpUnary, bits: FpBits, lanes: number, a: V): V;
  fpBinary(op: FpBinary, bits: FpBits, lanes: number, a: V, b: V): V;
  /** addend + a × b, rounded once. */
  fpMulAdd(bits: FpBits, lanes: number, addend: V, a: V, b: V): V;
  /** The same with factors of 16 bits and sums of 32. */
  fpMulAddLong(lanes: number, addend: V, a: V, b: V): V;
  fpCompare(op: FpComparison, bits: FpBits, lanes: number, a: V, b: V): V;
  /** PSTATE.NZCV in bits 31:28. "signaling": any NaN is an Invalid Operation. */
  fpFlags(bits: FpBits, a: V, b: V, nans: "quiet" | "signaling"): W32;
  /** The same where `c` holds, else `nzcv` (0 to 15): then nothing is compared, and nothing signaled. */
  fpFlagsIf(c: B, bits: FpBits, a: V, b: V, nans: "quiet" | "signaling", nzcv: number): W32;
  /** To an integer in the same format; "signaled": a result that differs is Inexact. */
  fpRound(bits: FpBits, lanes: number, a: V, rounding: FpRounding, inexact: "signaled" | "ignored"): V;
  /** To an integer of `size` bits in the same format. */
  fpRoundSized(bits: 32 | 64, lanes: number, a: V, size: 32 | 64, rounding: FpRounding): V;
  fpConvert(from: FpBits, to: FpBits, lanes: number, a: V, rounding: FpRounding): V;
  fpToFixed(
    bits: FpBits,
    to: 16 | 32 | 64,
    lanes: number,
    a: V,
    fractionBits: number,
    signedness: Signedness,
    rounding: FpRounding,
  ): V;
  fpFromFixed(from: 16 | 32 | 64, bits: FpBits, lanes: number, a: V, fractionBits: number, signedness: Signedness): V;
  /** FPToFixedJS: the integer, and whether nothing was lost. */
  fpToJavaScript(a: V): readonly [W32, B];

  /** `access`: see access.ts. The upper bits are zero. */
  loadVector(bytes: 1 | 2 | 4 | 8 | 16, address: W64, access: number): V;
  storeVector(bytes: 1 | 2 | 4 | 8 | 16, address: W64, value: V, access: number): void;
  storeVectorPair(bytes: 4 | 8 | 16, address: W64, first: V, second: V, access: number): void;
  /** `count` vectors of `lanes` lanes whose elements lie in turn in memory; count 1: one vector. */
  loadStructures(count: 1 | 2 | 3 | 4, bits: LaneBits, lanes: number, address: W64): readonly V[];
  storeStructures(bits: LaneBits, lanes: number, address: W64, vectors: readonly V[]): void;
}
