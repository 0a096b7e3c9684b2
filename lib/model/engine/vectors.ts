// The evaluator's SIMD&FP registers. A value is the index of the first of four words in the CPU state: registers are
// their own cells, results go to temporaries.

import type {
  ByteProducts,
  Crypto1,
  Crypto2,
  Crypto3,
  FpBinary,
  FpBits,
  FpComparison,
  FpRounding,
  FpUnary,
  LaneBits,
  Signedness,
  VectorBinary,
  VectorNarrow,
  VectorOperations,
  VectorReduce,
  VectorShift,
  VectorTernary,
  VectorUnary,
} from "../a64/vector.js";
import { type CpuState, cells } from "../cpu/state.js";
import * as arithmetic from "../fp/arithmetic.js";
import * as conversions from "../fp/conversions.js";
import * as estimates from "../fp/estimates.js";
import { type Control, double, type Format, half, Rounding, roundingOf, single } from "../fp/format.js";
import * as crypto from "./crypto.js";
import {
  binary,
  polynomialProduct,
  roundingDoublingMultiply,
  saturateSigned,
  saturateUnsigned,
  shift,
  unary,
} from "./lanes.js";
import type { GuestMemory } from "./memory.js";
import * as sm from "./sm.js";
import type { Cell, Wide } from "./wide.js";

/** Index of the first word of 128 bits. */
type Vector = number;

const V0 = cells.v * 2;
const FPSR = cells.fpsrFpcr * 2;
const FPCR = FPSR + 1;
const QC = 1 << 27;

const formats: Readonly<Record<FpBits, Format>> = { 16: half, 32: single, 64: double };

type FpOne = (f: Format, a: bigint, control: Control) => bigint;
type FpTwo = (f: Format, a: bigint, b: bigint, control: Control) => bigint;

const fpUnary: Readonly<Record<FpUnary, FpOne>> = {
  abs: arithmetic.absolute,
  neg: arithmetic.negate,
  sqrt: arithmetic.sqrt,
  recpe: estimates.reciprocalEstimate,
  rsqrte: estimates.reciprocalRootEstimate,
  recpx: estimates.reciprocalExponent,
};

// biome-ignore format: table
const fpBinary: Readonly<Record<FpBinary, FpTwo>> = {
  add:    arithmetic.add,
  sub:    arithmetic.sub,
  mul:    arithmetic.mul,
  mulx:   (f, a, b, control) => arithmetic.mul(f, a, b, control, "extended"),
  div:    arithmetic.div,
  max:    (f, a, b, control) => arithmetic.extreme(f, "max", a, b, control),
  min:    (f, a, b, control) => arithmetic.extreme(f, "min", a, b, control),
  maxnm:  (f, a, b, control) => arithmetic.extremeNumber(f, "max", a, b, control),
  minnm:  (f, a, b, control) => arithmetic.extremeNumber(f, "min", a, b, control),
  abd:    (f, a, b, control) => arithmetic.absolute(f, arithmetic.sub(f, a, b, control)),
  recps:  (f, a, b, control) => arithmetic.step(f, a, b, control, "reciprocal"),
  rsqrts: (f, a, b, control) => arithmetic.step(f, a, b, control, "root"),
};

const roundings: Readonly<Record<Exclude<FpRounding, "fpcr">, Rounding>> = {
  even: Rounding.TieEven,
  posinf: Rounding.PosInf,
  neginf: Rounding.NegInf,
  zero: Rounding.Zero,
  away: Rounding.TieAway,
  odd: Rounding.Odd,
};

/** PSTATE.NZCV of FPCompare: less, equal, greater; unordered. */
const ORDER = [0x8000_0000 | 0, 0x6000_0000, 0x2000_0000] as const;
const UNORDERED = 0x3000_0000;

export class Vectors implements VectorOperations<Vector, Cell, number, boolean> {
  private readonly w: Int32Array;
  private readonly q: BigUint64Array;
  private readonly bytes: Uint8Array;
  private readonly halves: Uint16Array;
  private readonly words: Uint32Array;
  private readonly control: Control;
  private readonly saturated = () => {
    this.w[FPSR] = this.w[FPSR]! | QC;
  };

  constructor(
    state: CpuState,
    private readonly wide: Wide,
    private readonly memory: GuestMemory,
    /** CheckFPAdvSIMDEnabled64. */
    readonly checkFp: () => void,
  ) {
    const w = state.words;
    const { buffer, byteOffset, byteLength } = w;
    this.w = w;
    this.q = state.quads;
    this.bytes = new Uint8Array(buffer, byteOffset, byteLength);
    this.halves = new Uint16Array(buffer, byteOffset, byteLength / 2);
    this.words = new Uint32Array(buffer, byteOffset, byteLength / 4);
    this.control = {
      get fpcr() {
        return w[FPCR]!;
      },
      get fpsr() {
        return w[FPSR]!;
      },
      set fpsr(value: number) {
        w[FPSR] = value;
      },
    };
  }

  private temporary(): Vector {
    const at = this.wide.temporary();
    this.wide.temporary();
    this.w.fill(0, at, at + 4);
    return at;
  }

  private get(bits: LaneBits, v: Vector, index: number): bigint {
    switch (bits) {
      case 8:
        return BigInt(this.bytes[4 * v + index]!);
      case 16:
        return BigInt(this.halves[2 * v + index]!);
      case 32:
        return BigInt(this.words[v + index]!);
      default:
        return this.q[(v >> 1) + index]!;
    }
  }

  private put(bits: LaneBits, v: Vector, index: number, value: bigint): void {
    switch (bits) {
      case 8:
        this.bytes[4 * v + index] = Number(BigInt.asUintN(8, value));
        break;
      case 16:
        this.halves[2 * v + index] = Number(BigInt.asUintN(16, value));
        break;
      case 32:
        this.words[v + index] = Number(BigInt.asUintN(32, value));
        break;
      default:
        this.q[(v >> 1) + index] = value;
    }
  }

  /** Each of `lanes` lanes of a new value. */
  private map(bits: LaneBits, lanes: number, lane: (index: number) => bigint): Vector {
    const t = this.temporary();
    for (let n = 0; n < lanes; n++) this.put(bits, t, n, lane(n));
    return t;
  }

  private four(v: Vector): number[] {
    return [...this.w.subarray(v, v + 4)];
  }
  private two(v: Vector): bigint[] {
    return [this.q[v >> 1]!, this.q[(v >> 1) + 1]!];
  }
  private sixteen(v: Vector): Uint8Array {
    return this.bytes.slice(4 * v, 4 * v + 16);
  }
  private ofFour(values: readonly number[]): Vector {
    const t = this.temporary();
    this.w.set(values, t);
    return t;
  }
  private ofTwo([low, high]: readonly bigint[]): Vector {
    return this.vectorConstant(low!, high!);
  }
  private ofSixteen(values: ArrayLike<number>): Vector {
    const t = this.temporary();
    this.bytes.set(values, 4 * t);
    return t;
  }

  v(n: number): Vector {
    return V0 + 4 * n;
  }
  setV(n: number, value: Vector): void {
    this.w.copyWithin(V0 + 4 * n, value, value + 4);
  }

  vector(low: Cell, high: Cell): Vector {
    return this.vectorConstant(this.q[low >> 1]!, this.q[high >> 1]!);
  }
  vectorConstant(low: bigint, high: bigint): Vector {
    const t = this.temporary();
    this.q[t >> 1] = low;
    this.q[(t >> 1) + 1] = high;
    return t;
  }
  lane(bits: LaneBits, index: number, v: Vector): Cell {
    return this.wide.constant(this.get(bits, v, index));
  }
  splat(bits: LaneBits, value: Cell): Vector {
    const each = BigInt.asUintN(bits, this.q[value >> 1]!);
    return this.map(bits, 128 / bits, () => each);
  }
  withLane(bits: LaneBits, index: number, v: Vector, value: Cell): Vector {
    const t = this.ofFour(this.four(v));
    this.put(bits, t, index, this.q[value >> 1]!);
    return t;
  }
  low(bits: 8 | 16 | 32 | 64 | 128, v: Vector): Vector {
    if (bits === 128) return v;
    return this.map(bits, 1, () => this.get(bits, v, 0));
  }

  unary(op: VectorUnary, bits: LaneBits, a: Vector): Vector {
    if (op === "urecpe" || op === "ursqrte") {
      const estimate = op === "urecpe" ? estimates.unsignedReciprocal : estimates.unsignedReciprocalRoot;
      return this.map(32, 4, (n) => BigInt(estimate(this.words[a + n]!)));
    }
    if (op === "saddlp" || op === "uaddlp") {
      const extended = (n: number) => {
        const value = this.get(bits, a, n);
        return op === "saddlp" ? BigInt.asIntN(bits, value) : value;
      };
      return this.map((2 * bits) as LaneBits, 64 / bits, (n) =>
        BigInt.asUintN(2 * bits, extended(2 * n) + extended(2 * n + 1)),
      );
    }
    const each = unary[op];
    return this.map(bits, 128 / bits, (n) => BigInt.asUintN(bits, each(this.get(bits, a, n), bits, this.saturated)));
  }
  binary(op: VectorBinary, bits: LaneBits, a: Vector, b: Vector): Vector {
    const each = binary[op];
    return this.map(bits, 128 / bits, (n) =>
      BigInt.asUintN(bits, each(this.get(bits, a, n), this.get(bits, b, n), bits, this.saturated)),
    );
  }
  private byteProducts(op: ByteProducts, accumulator: Vector, a: Vector, b: Vector): Vector {
    const unsigned = (v: Vector, n: number) => this.bytes[4 * v + n]!;
    const signed = (v: Vector, n: number) => (this.bytes[4 * v + n]! << 24) >> 24;
    const first = op.startsWith("u") ? unsigned : signed;
    const second = op === "udot" || op === "ummla" ? unsigned : signed;
    const matrices = op.endsWith("mmla");
    return this.map(32, 4, (n) => {
      let sum = this.w[accumulator + n]!;
      const [i, j, count] = matrices ? [8 * (n >> 1), 8 * (n & 1), 8] : [4 * n, 4 * n, 4];
      for (let k = 0; k < count; k++) sum = (sum + first(a, i + k) * second(b, j + k)) | 0;
      return BigInt.asUintN(32, BigInt(sum));
    });
  }
  ternary(op: VectorTernary, bits: LaneBits, accumulator: Vector, a: Vector, b: Vector): Vector {
    if (op !== "sqrdmlah" && op !== "sqrdmlsh") return this.byteProducts(op, accumulator, a, b);
    const kind = op === "sqrdmlah" ? "add" : "sub";
    return this.map(bits, 128 / bits, (n) =>
      BigInt.asUintN(
        bits,
        roundingDoublingMultiply(
          kind,
          this.get(bits, accumulator, n),
          this.get(bits, a, n),
          this.get(bits, b, n),
          bits,
          this.saturated,
        ),
      ),
    );
  }
  shift(op: VectorShift, bits: LaneBits, a: Vector, amount: number): Vector {
    const each = shift[op];
    return this.map(bits, 128 / bits, (n) =>
      BigInt.asUintN(bits, each(this.get(bits, a, n), amount, bits, this.saturated)),
    );
  }
  widen(signedness: Signedness, bits: 8 | 16 | 32, half: "lower" | "upper", a: Vector): Vector {
    const lanes = 64 / bits;
    const first = half === "upper" ? lanes : 0;
    return this.map((2 * bits) as LaneBits, lanes, (n) => {
      const value = this.get(bits, a, first + n);
      return signedness === "signed" ? BigInt.asUintN(2 * bits, BigInt.asIntN(bits, value)) : value;
    });
  }
  narrow(op: VectorNarrow, bits: 16 | 32 | 64, a: Vector): Vector {
    const to = (bits / 2) as LaneBits;
    return this.map(to, 128 / bits, (n) => {
      const value = this.get(bits, a, n);
      if (op === "xtn") return value;
      if (op === "uqxtn") return saturateUnsigned(value, to, this.saturated);
      const whole = BigInt.asIntN(bits, value);
      return op === "sqxtn" ? saturateSigned(whole, to, this.saturated) : saturateUnsigned(whole, to, this.saturated);
    });
  }
  polynomialProduct(bits: 8 | 64, half: "lower" | "upper", a: Vector, b: Vector): Vector {
    const lanes = 64 / bits;
    const first = half === "upper" ? lanes : 0;
    const product = (n: number) => polynomialProduct(this.get(bits, a, first + n), this.get(bits, b, first + n));
    if (bits === 8) return this.map(16, lanes, product);
    const whole = product(0);
    return this.vectorConstant(BigInt.asUintN(64, whole), whole >> 64n);
  }
  reduce(op: VectorReduce, bits: 8 | 16 | 32, lanes: number, a: Vector): Vector {
    const long = op === "saddlv" || op === "uaddlv";
    const signedLanes = op === "saddlv" || op === "smaxv" || op === "sminv";
    const values = Array.from({ length: lanes }, (_, n) => {
      const value = this.get(bits, a, n);
      return signedLanes ? BigInt.asIntN(bits, value) : value;
    });
    const least = op === "sminv" || op === "uminv";
    const result = values.reduce((x, y) => {
      if (long || op === "addv") return x + y;
      return (least ? x < y : x > y) ? x : y;
    });
    const to = (long ? 2 * bits : bits) as LaneBits;
    return this.map(to, 1, () => BigInt.asUintN(to, result));
  }
  shuffle(a: Vector, b: Vector, bytes: readonly number[]): Vector {
    const from = (n: number) => (n < 16 ? this.bytes[4 * a + n]! : this.bytes[4 * b + n - 16]!);
    return this.ofSixteen(bytes.map(from));
  }
  lookUp(tables: readonly Vector[], indices: Vector, otherwise: Vector | null): Vector {
    return this.ofSixteen(
      Array.from({ length: 16 }, (_, n) => {
        const index = this.bytes[4 * indices + n]!;
        const table = tables[index >> 4];
        if (table !== undefined) return this.bytes[4 * table + (index & 15)]!;
        return otherwise === null ? 0 : this.bytes[4 * otherwise + n]!;
      }),
    );
  }

  crypto1(op: Crypto1, a: Vector): Vector {
    if (op === "sha1h") return this.ofFour([crypto.sha1h(this.w[a]!)]);
    return this.ofSixteen(crypto.aesMixColumns(this.sixteen(a), op === "aesmc" ? "encrypt" : "decrypt"));
  }
  crypto2(op: Crypto2, a: Vector, b: Vector): Vector {
    switch (op) {
      case "sm4e":
        return this.ofFour(sm.sm4e(this.four(a), this.four(b)));
      case "sm4ekey":
        return this.ofFour(sm.sm4ekey(this.four(a), this.four(b)));
      case "aese":
      case "aesd": {
        const key = this.sixteen(b);
        const state = this.sixteen(a).map((byte, n) => byte ^ key[n]!);
        return this.ofSixteen(crypto.aesRound(state, op === "aese" ? "encrypt" : "decrypt"));
      }
      case "sha1su1":
        return this.ofFour(crypto.sha1su1(this.four(a), this.four(b)));
      case "sha256su0":
        return this.ofFour(crypto.sha256su0(this.four(a), this.four(b)));
      case "sha512su0":
        return this.ofTwo(crypto.sha512su0(this.two(a), this.two(b)));
    }
  }
  crypto3(op: Crypto3, a: Vector, b: Vector, c: Vector): Vector {
    switch (op) {
      case "sm3partw1":
        return this.ofFour(sm.sm3partw1(this.four(a), this.four(b), this.four(c)));
      case "sm3partw2":
        return this.ofFour(sm.sm3partw2(this.four(a), this.four(b), this.four(c)));
      case "sm3ss1":
        return this.ofFour(sm.sm3ss1(this.four(a), this.four(b), this.four(c)));
      case "sm3tt1a":
      case "sm3tt1b":
        return this.ofFour(sm.sm3tt1(op === "sm3tt1a" ? "a" : "b", this.four(a), this.four(b), this.w[c]!));
      case "sm3tt2a":
      case "sm3tt2b":
        return this.ofFour(sm.sm3tt2(op === "sm3tt2a" ? "a" : "b", this.four(a), this.four(b), this.w[c]!));
      case "sha1c":
      case "sha1p":
      case "sha1m":
        return this.ofFour(crypto.sha1Rounds(op, this.four(a), this.w[b]!, this.four(c)));
      case "sha1su0":
        return this.ofFour(crypto.sha1su0(this.four(a), this.four(b), this.four(c)));
      case "sha256h":
        return this.ofFour(crypto.sha256Rounds(this.four(a), this.four(b), this.four(c), "abcd"));
      case "sha256h2":
        return this.ofFour(crypto.sha256Rounds(this.four(b), this.four(a), this.four(c), "efgh"));
      case "sha256su1":
        return this.ofFour(crypto.sha256su1(this.four(a), this.four(b), this.four(c)));
      case "sha512h":
        return this.ofTwo(crypto.sha512h(this.two(a), this.two(b), this.two(c)));
      case "sha512h2":
        return this.ofTwo(crypto.sha512h2(this.two(a), this.two(b), this.two(c)));
      case "sha512su1":
        return this.ofTwo(crypto.sha512su1(this.two(a), this.two(b), this.two(c)));
    }
  }

  private rounding(rounding: FpRounding): Rounding {
    return rounding === "fpcr" ? roundingOf(this.control) : roundings[rounding];
  }

  fpUnary(op: FpUnary, bits: FpBits, lanes: number, a: Vector): Vector {
    const each = fpUnary[op];
    return this.map(bits, lanes, (n) => each(formats[bits], this.get(bits, a, n), this.control));
  }
  fpBinary(op: FpBinary, bits: FpBits, lanes: number, a: Vector, b: Vector): Vector {
    const each = fpBinary[op];
    return this.map(bits, lanes, (n) => each(formats[bits], this.get(bits, a, n), this.get(bits, b, n), this.control));
  }
  fpMulAdd(bits: FpBits, lanes: number, addend: Vector, a: Vector, b: Vector): Vector {
    const f = formats[bits];
    return this.map(bits, lanes, (n) =>
      arithmetic.mulAdd(f, this.get(bits, addend, n), this.get(bits, a, n), this.get(bits, b, n), this.control),
    );
  }
  fpMulAddLong(lanes: number, addend: Vector, a: Vector, b: Vector): Vector {
    return this.map(32, lanes, (n) =>
      arithmetic.mulAddLong(this.get(32, addend, n), this.get(16, a, n), this.get(16, b, n), this.control),
    );
  }
  fpCompare(op: FpComparison, bits: FpBits, lanes: number, a: Vector, b: Vector): Vector {
    const f = formats[bits];
    const operand = (v: Vector, n: number) => {
      const value = this.get(bits, v, n);
      return op.startsWith("abs") ? arithmetic.absolute(f, value) : value;
    };
    return this.map(bits, lanes, (n) => {
      const order = arithmetic.compare(
        f,
        operand(a, n),
        operand(b, n),
        this.control,
        op === "eq" ? "quiet" : "signaling",
      );
      const holds = order !== null && (op === "eq" ? order === 0 : op.endsWith("ge") ? order >= 0 : order > 0);
      return holds ? BigInt.asUintN(bits, -1n) : 0n;
    });
  }
  fpFlags(bits: FpBits, a: Vector, b: Vector, nans: "quiet" | "signaling"): number {
    const order = arithmetic.compare(formats[bits], this.get(bits, a, 0), this.get(bits, b, 0), this.control, nans);
    return order === null ? UNORDERED : ORDER[order + 1]!;
  }
  fpFlagsIf(c: boolean, bits: FpBits, a: Vector, b: Vector, nans: "quiet" | "signaling", nzcv: number): number {
    return c ? this.fpFlags(bits, a, b, nans) : nzcv << 28;
  }
  fpRound(bits: FpBits, lanes: number, a: Vector, rounding: FpRounding, inexact: "signaled" | "ignored"): Vector {
    const mode = this.rounding(rounding);
    return this.map(bits, lanes, (n) =>
      conversions.roundToInteger(formats[bits], this.get(bits, a, n), this.control, mode, inexact),
    );
  }
  fpRoundSized(bits: 32 | 64, lanes: number, a: Vector, size: 32 | 64, rounding: FpRounding): Vector {
    const mode = this.rounding(rounding);
    return this.map(bits, lanes, (n) =>
      conversions.roundToSizedInteger(formats[bits], this.get(bits, a, n), size, this.control, mode),
    );
  }
  fpConvert(from: FpBits, to: FpBits, lanes: number, a: Vector, rounding: FpRounding): Vector {
    const mode = this.rounding(rounding);
    return this.map(to, lanes, (n) =>
      conversions.convert(formats[from], formats[to], this.get(from, a, n), this.control, mode),
    );
  }
  fpToFixed(
    bits: FpBits,
    to: 16 | 32 | 64,
    lanes: number,
    a: Vector,
    fractionBits: number,
    signedness: Signedness,
    rounding: FpRounding,
  ): Vector {
    const mode = this.rounding(rounding);
    return this.map(to, lanes, (n) =>
      conversions.toFixed(formats[bits], this.get(bits, a, n), to, fractionBits, signedness, this.control, mode),
    );
  }
  fpFromFixed(
    from: 16 | 32 | 64,
    bits: FpBits,
    lanes: number,
    a: Vector,
    fractionBits: number,
    signedness: Signedness,
  ): Vector {
    const mode = this.rounding("fpcr");
    return this.map(bits, lanes, (n) =>
      conversions.fromFixed(formats[bits], this.get(from, a, n), from, fractionBits, signedness, this.control, mode),
    );
  }
  fpToJavaScript(a: Vector): readonly [number, boolean] {
    const { result, exact } = conversions.toJavaScriptInteger(this.get(64, a, 0), this.control);
    return [result, exact];
  }

  private plus(address: Cell, offset: number): Cell {
    return offset === 0 ? address : this.wide.add(address, this.wide.immediate(offset));
  }

  loadVector(bytes: 1 | 2 | 4 | 8 | 16, address: Cell, access: number): Vector {
    if (bytes < 16) {
      const value = this.memory.load(bytes as 1 | 2 | 4 | 8, address, access);
      return this.vectorConstant(this.q[value >> 1]!, 0n);
    }
    this.memory.prepareQuad(address, access, "read");
    const first = this.memory.load(8, address, access);
    const second = this.memory.load(8, this.plus(address, 8), access);
    return this.memory.bigEndian ? this.vector(second, first) : this.vector(first, second);
  }
  storeVector(bytes: 1 | 2 | 4 | 8 | 16, address: Cell, value: Vector, access: number): void {
    if (bytes < 16) {
      this.memory.store(bytes as 1 | 2 | 4 | 8, address, value, access);
      return;
    }
    this.memory.prepareQuad(address, access, "write");
    const [first, second] = this.memory.bigEndian ? [value + 2, value] : [value, value + 2];
    this.memory.storePair(8, address, first, second, access);
  }
  storeVectorPair(bytes: 4 | 8 | 16, address: Cell, first: Vector, second: Vector, access: number): void {
    if (bytes < 16) {
      this.memory.storePair(bytes as 4 | 8, address, first, second, access);
      return;
    }
    this.storeVector(16, address, first, access);
    this.storeVector(16, this.plus(address, 16), second, access);
  }
  loadStructures(count: 1 | 2 | 3 | 4, bits: LaneBits, lanes: number, address: Cell): readonly Vector[] {
    const vectors = Array.from({ length: count }, () => this.temporary());
    const bytes = (bits / 8) as 1 | 2 | 4 | 8;
    for (let n = 0; n < lanes * count; n++) {
      const value = this.memory.load(bytes, this.plus(address, n * bytes), 0);
      this.put(bits, vectors[n % count]!, Math.floor(n / count), this.q[value >> 1]!);
    }
    return vectors;
  }
  storeStructures(bits: LaneBits, lanes: number, address: Cell, vectors: readonly Vector[]): void {
    const bytes = (bits / 8) as 1 | 2 | 4 | 8;
    for (let n = 0; n < lanes * vectors.length; n++) {
      const value = this.lane(bits, Math.floor(n / vectors.length), vectors[n % vectors.length]!);
      this.memory.store(bytes, this.plus(address, n * bytes), value, 0);
    }
  }
}
