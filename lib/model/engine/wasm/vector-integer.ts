// Advanced SIMD's integer operations, put together of WebAssembly's. Node "simd" is one of these, by its name.

import type {
  LaneBits,
  Signedness,
  VectorBinary,
  VectorNarrow,
  VectorReduce,
  VectorShift,
  VectorTernary,
  VectorUnary,
} from "../../a64/vector.js";
import { I32, V128 } from "./binary.js";
import { integerShape } from "./simd-opcodes.js";
import { type Node, refuse, type Trace } from "./trace.js";

const most = (bits: number): bigint => (1n << BigInt(bits - 1)) - 1n;
const least = (bits: number): bigint => 1n << BigInt(bits - 1);
const ones = (bits: number): bigint => (1n << BigInt(bits)) - 1n;

export class VectorInteger {
  constructor(private readonly trace: () => Trace) {}

  simd(name: string, ...args: readonly Node[]): Node {
    return this.trace().node("simd", V128, args, name);
  }
  /** Lane by lane. */
  lanes(bits: LaneBits, name: string, ...args: readonly Node[]): Node {
    return this.simd(`${integerShape(bits)}.${name}`, ...args);
  }
  zero(): Node {
    return this.trace().node("zeroV", V128);
  }
  /** A constant of the code, in every lane. */
  every(bits: number, value: bigint): Node {
    let word = 0n;
    for (let at = 0; at < 64; at += bits) word |= BigInt.asUintN(bits, value) << BigInt(at);
    return this.constant(word, word);
  }
  constant(low: bigint, high: bigint): Node {
    return this.trace().node("constantV", V128, [], `${low.toString(16)}:${high.toString(16)}`);
  }
  /** Shifts by an amount of the code. */
  private by(bits: LaneBits, name: "shl" | "shr_s" | "shr_u", a: Node, amount: number): Node {
    return amount === 0 ? a : this.lanes(bits, name, a, this.trace().node("number", I32, [], amount));
  }
  private sign(bits: LaneBits, a: Node): Node {
    return this.by(bits, "shr_s", a, bits - 1);
  }
  private and(a: Node, b: Node): Node {
    return this.simd("v128.and", a, b);
  }
  private or(a: Node, b: Node): Node {
    return this.simd("v128.or", a, b);
  }
  private xor(a: Node, b: Node): Node {
    return this.simd("v128.xor", a, b);
  }
  /** a & ~b */
  private without(a: Node, b: Node): Node {
    return this.simd("v128.andnot", a, b);
  }
  /** Bits of `a` where `mask` has ones, of `b` elsewhere. */
  private choose(mask: Node, a: Node, b: Node): Node {
    return this.simd("v128.bitselect", a, b, mask);
  }
  /** `result`; FPSR.QC is set if anything of `difference` is not zero. */
  private saturated(result: Node, difference: Node): Node {
    return this.trace().node("saturated", V128, [result, difference]);
  }
  shuffle(a: Node, b: Node, bytes: readonly number[]): Node {
    const args = bytes.every((n) => n < 16) ? [a] : bytes.every((n) => n >= 16) ? [b] : [a, b];
    return this.trace().node("shuffle", V128, args, bytes.map((n) => (args[0] === a ? n : n - 16)).join());
  }

  private greaterUnsigned(bits: LaneBits, a: Node, b: Node): Node {
    if (bits < 64) return this.lanes(bits, "gt_u", a, b);
    const flip = this.every(64, least(64));
    return this.lanes(64, "gt_s", this.xor(a, flip), this.xor(b, flip));
  }

  unary(op: VectorUnary, bits: LaneBits, a: Node): Node {
    switch (op) {
      case "neg":
      case "abs":
        return this.lanes(bits, op, a);
      case "not":
        return this.simd("v128.not", a);
      case "cnt":
        return this.simd("i8x16.popcnt", a);
      case "sqabs": {
        const r = this.lanes(bits, "abs", a);
        const overflown = this.sign(bits, r);
        return this.saturated(this.lanes(bits, "add", r, overflown), overflown);
      }
      case "sqneg": {
        const r = this.lanes(bits, "neg", a);
        const overflown = this.sign(bits, this.and(a, r));
        return this.saturated(this.lanes(bits, "add", r, overflown), overflown);
      }
      case "clz":
        return this.leadingZeros(bits, a);
      case "cls":
        return this.lanes(
          bits,
          "add",
          this.leadingZeros(bits, this.xor(a, this.by(bits, "shr_s", a, 1))),
          this.every(bits, -1n),
        );
      case "rbit": {
        const reversed = (of: number) => [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15][of]!;
        const table = (shift: number) => {
          const half = (first: number) =>
            Array.from({ length: 8 }, (_, n) => BigInt(reversed(first + n) << shift) << BigInt(8 * n)).reduce(
              (x, y) => x | y,
            );
          return this.constant(half(0), half(8));
        };
        const low = this.simd("i8x16.swizzle", table(4), this.and(a, this.every(8, 15n)));
        return this.or(low, this.simd("i8x16.swizzle", table(0), this.by(8, "shr_u", a, 4)));
      }
      case "saddlp":
      case "uaddlp": {
        const s = op === "saddlp" ? "s" : "u";
        if (bits < 32) return this.lanes((2 * bits) as LaneBits, `extadd_pairwise_${s}`, a);
        const upper = this.by(64, `shr_${s}`, a, 32);
        return this.lanes(64, "add", this.by(64, `shr_${s}`, this.by(64, "shl", a, 32), 32), upper);
      }
      default:
        return refuse();
    }
  }

  private leadingZeros(bits: LaneBits, a: Node): Node {
    let filled = a;
    for (let by = 1; by < bits; by *= 2) filled = this.or(filled, this.by(bits, "shr_u", filled, by));
    let count = this.simd("i8x16.popcnt", this.simd("v128.not", filled));
    for (let width = 16; width <= bits; width *= 2) count = this.lanes(width as LaneBits, "extadd_pairwise_u", count);
    return count;
  }

  binary(op: VectorBinary, bits: LaneBits, a: Node, b: Node): Node {
    switch (op) {
      case "add":
      case "sub":
        return this.lanes(bits, op, a, b);
      case "mul":
        return bits === 8 ? this.multiplyBytes(a, b) : this.lanes(bits, "mul", a, b);
      case "pmul":
        return this.polynomial(8, a, b);
      case "and":
        return this.and(a, b);
      case "orr":
        return this.or(a, b);
      case "eor":
        return this.xor(a, b);
      case "bic":
        return this.without(a, b);
      case "shadd":
      case "uhadd":
      case "srhadd":
      case "urhadd": {
        const half = this.by(bits, op === "shadd" || op === "srhadd" ? "shr_s" : "shr_u", this.xor(a, b), 1);
        if (op.includes("rh")) return this.lanes(bits, "sub", this.or(a, b), half);
        return this.lanes(bits, "add", this.and(a, b), half);
      }
      case "shsub":
      case "uhsub": {
        const half = this.by(bits, op === "shsub" ? "shr_s" : "shr_u", this.xor(a, b), 1);
        return this.lanes(bits, "sub", half, this.without(b, a));
      }
      case "smax":
      case "umax":
      case "smin":
      case "umin":
        return this.lanes(bits, `${op.slice(1)}_${op[0]!}`, a, b);
      case "sabd":
      case "uabd": {
        const s = op[0]!;
        if (bits < 64) {
          return this.lanes(bits, "sub", this.lanes(bits, `max_${s}`, a, b), this.lanes(bits, `min_${s}`, a, b));
        }
        const greater = s === "s" ? this.lanes(64, "gt_s", a, b) : this.greaterUnsigned(64, a, b);
        return this.choose(greater, this.lanes(64, "sub", a, b), this.lanes(64, "sub", b, a));
      }
      case "cmeq":
        return this.lanes(bits, "eq", a, b);
      case "cmgt":
        return this.lanes(bits, "gt_s", a, b);
      case "cmge":
        return this.lanes(bits, "ge_s", a, b);
      case "cmhi":
        return this.greaterUnsigned(bits, a, b);
      case "cmhs":
        return this.simd("v128.not", this.greaterUnsigned(bits, b, a));
      case "cmtst":
        return this.simd("v128.not", this.lanes(bits, "eq", this.and(a, b), this.zero()));
      case "sshl":
      case "ushl":
        return this.shiftBy(op, bits, a, b);
      case "sqadd":
      case "sqsub":
      case "uqadd":
      case "uqsub":
      case "suqadd":
      case "usqadd":
        return this.saturating(op, bits, a, b);
      case "sqdmulh":
      case "sqrdmulh":
        return this.doublingHigh(op, bits, a, b);
      case "sqdmull": {
        const product = this.lanes(bits, "mul", a, b);
        const doubled = this.lanes(bits, "add", product, product);
        const overflown = this.lanes(bits, "eq", product, this.every(bits, 1n << BigInt(bits - 2)));
        return this.saturated(this.xor(doubled, overflown), overflown);
      }
      default:
        return refuse();
    }
  }

  private multiplyBytes(a: Node, b: Node): Node {
    const even = this.and(this.lanes(16, "mul", a, b), this.every(16, 0xffn));
    const odd = this.lanes(16, "mul", this.by(16, "shr_u", a, 8), this.by(16, "shr_u", b, 8));
    return this.or(even, this.by(16, "shl", odd, 8));
  }

  /** Products of polynomials of 8 bits, in lanes of `bits`. */
  private polynomial(bits: 8 | 16, a: Node, b: Node): Node {
    let product = this.zero();
    for (let n = 0; n < 8; n++) {
      const has = this.sign(bits, this.by(bits, "shl", b, bits - 1 - n));
      product = this.xor(product, this.and(this.by(bits, "shl", a, n), has));
    }
    return product;
  }
  polynomialProduct(bits: 8 | 64, half: "lower" | "upper", a: Node, b: Node): Node {
    if (bits === 64) return refuse();
    return this.polynomial(16, this.widen("unsigned", 8, half, a), this.widen("unsigned", 8, half, b));
  }

  /** SSHL and USHL: by the signed lowest byte of the other lane, step by step. */
  private shiftBy(op: "sshl" | "ushl", bits: LaneBits, a: Node, b: Node): Node {
    const right = op === "sshl" ? "shr_s" : "shr_u";
    const amount = this.by(bits, "shr_s", this.by(bits, "shl", b, bits - 8), bits - 8);
    const negative = this.sign(bits, amount);
    const distance = this.lanes(bits, "abs", amount);
    let [l, r] = [a, a];
    for (let n = 0; 1 << n < bits; n++) {
      const has = this.sign(bits, this.by(bits, "shl", distance, bits - 1 - n));
      l = this.choose(has, this.by(bits, "shl", l, 1 << n), l);
      r = this.choose(has, this.by(bits, right, r, 1 << n), r);
    }
    const beyond = this.greaterUnsigned(bits, distance, this.every(bits, BigInt(bits - 1)));
    l = this.without(l, beyond);
    r = op === "sshl" ? this.choose(beyond, this.sign(bits, a), r) : this.without(r, beyond);
    return this.choose(negative, r, l);
  }

  private unsignedSum(bits: LaneBits, a: Node, b: Node): Node {
    if (bits < 32) return this.lanes(bits, "add_sat_u", a, b);
    const r = this.lanes(bits, "add", a, b);
    return this.or(r, this.greaterUnsigned(bits, a, r));
  }
  private unsignedDifference(bits: LaneBits, a: Node, b: Node): Node {
    if (bits < 32) return this.lanes(bits, "sub_sat_u", a, b);
    return this.without(this.lanes(bits, "sub", a, b), this.greaterUnsigned(bits, b, a));
  }

  private saturating(
    op: "sqadd" | "sqsub" | "uqadd" | "uqsub" | "suqadd" | "usqadd",
    bits: LaneBits,
    a: Node,
    b: Node,
  ): Node {
    const how = op.endsWith("add") ? "add" : "sub";
    const exact = this.lanes(bits, how, a, b);
    const result = (): Node => {
      switch (op) {
        case "uqadd":
          return this.unsignedSum(bits, a, b);
        case "uqsub":
          return this.unsignedDifference(bits, a, b);
        case "suqadd": {
          // From 0 on, where the least was.
          const flip = this.every(bits, least(bits));
          return this.xor(this.unsignedSum(bits, this.xor(a, flip), b), flip);
        }
        case "usqadd": {
          const negative = this.sign(bits, b);
          const more = this.unsignedSum(bits, a, this.without(b, negative));
          return this.unsignedDifference(bits, more, this.and(this.lanes(bits, "neg", b), negative));
        }
        default: {
          if (bits < 32) return this.lanes(bits, `${how}_sat_s`, a, b);
          const signs = this.xor(a, exact);
          const overflown = this.sign(bits, this.and(signs, this.xor(how === "add" ? exact : a, b)));
          const limit = this.xor(this.sign(bits, a), this.every(bits, most(bits)));
          return this.choose(overflown, limit, exact);
        }
      }
    };
    const cut = result();
    return this.saturated(cut, this.xor(cut, exact));
  }

  private doublingHigh(op: "sqdmulh" | "sqrdmulh", bits: LaneBits, a: Node, b: Node): Node {
    const smallest = this.every(bits, least(bits));
    const overflown = this.and(this.lanes(bits, "eq", a, smallest), this.lanes(bits, "eq", b, smallest));
    if (bits === 16 && op === "sqrdmulh") return this.saturated(this.simd("i16x8.q15mulr_sat_s", a, b), overflown);
    const to = (2 * bits) as LaneBits;
    const part = (half: "low" | "high") => {
      const product = this.lanes(to, `extmul_${half}_s`, a, b);
      const rounding = this.every(to, 1n << BigInt(bits - 2));
      return this.by(to, "shr_u", op === "sqrdmulh" ? this.lanes(to, "add", product, rounding) : product, bits - 1);
    };
    const wrapped = this.everySecond(bits, part("low"), part("high"));
    return this.saturated(this.xor(wrapped, overflown), overflown);
  }

  /** The lower halves of lanes twice as wide as `bits`. */
  private everySecond(bits: LaneBits, a: Node, b: Node): Node {
    const bytes = bits / 8;
    return this.shuffle(
      a,
      b,
      Array.from({ length: 16 }, (_, n) => 2 * bytes * Math.floor(n / bytes) + (n % bytes)),
    );
  }

  ternary(op: VectorTernary, accumulator: Node, a: Node, b: Node): Node {
    if (op !== "sdot" && op !== "udot" && op !== "usdot") return refuse();
    const products = (half: "low" | "high") => {
      const s = op === "sdot" ? "s" : "u";
      if (op !== "usdot") return this.lanes(16, `extmul_${half}_${s}`, a, b);
      return this.lanes(16, "mul", this.lanes(16, `extend_${half}_u`, a), this.lanes(16, `extend_${half}_s`, b));
    };
    const pairs = (half: "low" | "high") =>
      this.lanes(32, `extadd_pairwise_${op === "udot" ? "u" : "s"}`, products(half));
    const [low, high] = [pairs("low"), pairs("high")];
    const lanes = (first: number) => [0, 1, 2, 3].flatMap((n) => [0, 1, 2, 3].map((k) => 4 * (2 * n + first) + k));
    const sum = this.lanes(32, "add", this.shuffle(low, high, lanes(0)), this.shuffle(low, high, lanes(1)));
    return this.lanes(32, "add", accumulator, sum);
  }

  shift(op: VectorShift, bits: LaneBits, a: Node, amount: number): Node {
    const operand = (value: number) => this.trace().amount(value);
    const shr = (name: "shr_s" | "shr_u", by: number) => {
      if (by < bits) return this.lanes(bits, name, a, operand(by));
      return name === "shr_s" ? this.sign(bits, a) : this.zero();
    };
    switch (op) {
      case "shl":
        return this.lanes(bits, "shl", a, operand(amount));
      case "sshr":
        return shr("shr_s", amount);
      case "ushr":
        return shr("shr_u", amount);
      case "srshr":
      case "urshr": {
        const name = op === "srshr" ? "shr_s" : "shr_u";
        if (amount === 0) return a;
        return this.lanes(bits, "add", shr(name, amount), this.and(shr("shr_u", amount - 1), this.every(bits, 1n)));
      }
      case "sqshl":
      case "uqshl":
      case "sqshlu": {
        const by = operand(amount);
        const shifted = this.lanes(bits, "shl", a, by);
        const lost = this.xor(this.lanes(bits, op === "sqshl" ? "shr_s" : "shr_u", shifted, by), a);
        const fits = this.lanes(bits, "eq", lost, this.zero());
        if (op === "sqshl") {
          const limit = this.xor(this.sign(bits, a), this.every(bits, most(bits)));
          return this.saturated(this.choose(fits, shifted, limit), lost);
        }
        const limited = this.or(shifted, this.simd("v128.not", fits));
        if (op === "uqshl") return this.saturated(limited, lost);
        const negative = this.sign(bits, a);
        return this.saturated(this.without(limited, negative), this.or(lost, negative));
      }
    }
  }

  widen(signedness: Signedness, bits: 8 | 16 | 32, half: "lower" | "upper", a: Node): Node {
    const name = `extend_${half === "lower" ? "low" : "high"}_${signedness === "signed" ? "s" : "u"}`;
    return this.lanes((2 * bits) as LaneBits, name, a);
  }

  narrow(op: VectorNarrow, bits: 16 | 32 | 64, a: Node): Node {
    const to = (bits / 2) as LaneBits;
    const cut = (v: Node) => this.everySecond(to, v, this.zero());
    if (op === "xtn") return cut(a);
    if (op === "uqxtn" && bits === 64) {
      const above = this.by(64, "shr_u", a, 32);
      const fits = this.lanes(64, "eq", above, this.zero());
      return this.saturated(cut(this.or(a, this.simd("v128.not", fits))), above);
    }
    const limited = this.limited(op, bits, a);
    return this.saturated(cut(limited), this.xor(limited, a));
  }

  /** To what half the width can hold. */
  private limited(op: Exclude<VectorNarrow, "xtn">, bits: 16 | 32 | 64, a: Node): Node {
    const to = bits / 2;
    const greatest = this.every(bits, op === "sqxtn" ? most(to) : ones(to));
    if (op === "uqxtn") return this.lanes(bits, "min_u", a, greatest);
    const smallest = this.every(bits, op === "sqxtn" ? -least(to) : 0n);
    if (bits < 64) return this.lanes(bits, "min_s", this.lanes(bits, "max_s", a, smallest), greatest);
    const above = this.choose(this.lanes(64, "gt_s", a, greatest), greatest, a);
    return this.choose(this.lanes(64, "gt_s", smallest, a), smallest, above);
  }

  /** Over so many lanes; what is above the result's lane is of no meaning. */
  reduce(op: VectorReduce, bits: LaneBits, lanes: number, a: Node): { value: Node; bits: LaneBits } {
    if (op === "saddlv" || op === "uaddlv") {
      const pairs = this.unary(op === "saddlv" ? "saddlp" : "uaddlp", bits, a);
      return this.reduce("addv", (2 * bits) as LaneBits, lanes / 2, pairs);
    }
    const each = op === "addv" ? "add" : (`${op.slice(0, 4)}` as "smax" | "umax" | "smin" | "umin");
    let value = a;
    for (let left = lanes / 2; left >= 1; left /= 2) {
      const bytes = (left * bits) / 8;
      const upper = this.shuffle(
        value,
        value,
        Array.from({ length: 16 }, (_, n) => (n + bytes) % 16),
      );
      value = this.binary(each, bits, value, upper);
    }
    return { value, bits };
  }

  lookUp(tables: readonly Node[], indices: Node, otherwise: Node | null): Node {
    const found = tables.map((table, n) =>
      this.simd(
        "i8x16.swizzle",
        table,
        n === 0 ? indices : this.lanes(8, "sub", indices, this.every(8, BigInt(16 * n))),
      ),
    );
    const all = found.reduce((a, b) => this.or(a, b));
    if (otherwise === null) return all;
    const inside = this.greaterUnsigned(8, this.every(8, BigInt(16 * tables.length)), indices);
    return this.or(all, this.without(otherwise, inside));
  }
}
