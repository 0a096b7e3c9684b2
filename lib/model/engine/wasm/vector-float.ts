// What meanings do with floating-point lanes, written down: scalars and vectors of single and double precision. Nodes whose
// code may find that the host's arithmetic does not agree are those of float-code.ts.

import type { FpBinary, FpBits, FpComparison, FpRounding, FpUnary, Signedness } from "../../a64/vector.js";
import { F32, F64, I32, I64, V128 } from "./binary.js";
import { floatShape } from "./simd-opcodes.js";
import { type Node, refuse, type Trace } from "./trace.js";
import type { VectorInteger } from "./vector-integer.js";

type Bits = 32 | 64;
type Nans = "quiet" | "signaling";

const known = (bits: FpBits): Bits => (bits === 16 ? refuse() : bits);
const typeOf = (bits: Bits) => (bits === 64 ? F64 : F32);

/** WebAssembly's operation by ours; beyond what needs more. */
const binary: Partial<Record<FpBinary, "add" | "sub" | "mul" | "div" | "min" | "max">> = {
  add: "add",
  sub: "sub",
  mul: "mul",
  mulx: "mul",
  div: "div",
  min: "min",
  max: "max",
  minnm: "min",
  maxnm: "max",
  abd: "sub",
};

const roundings: Partial<Record<FpRounding, string>> = {
  even: "nearest",
  fpcr: "nearest",
  posinf: "ceil",
  neginf: "floor",
  zero: "trunc",
  away: "away",
};

export class VectorFloat {
  constructor(
    private readonly trace: () => Trace,
    private readonly integer: VectorInteger,
  ) {}

  private node(op: string, type: typeof F32 | typeof F64, args: readonly Node[], extra: string | number = ""): Node {
    return this.trace().node(op, type, args, extra);
  }

  /** A lane as a number; `lane` null: of a vector that has but one. */
  private scalar(bits: Bits, v: Node, lane: number | null = null): Node {
    const type = typeOf(bits);
    if (lane === null) {
      if (v.op === "scalarV" && v.args[0]!.type === type) return v.args[0]!;
      if (v.op === "readV") return this.node("readF", type, v.args);
      if (v.op === "zeroV") return this.node("zeroF", type, []);
    }
    return this.node("laneF", type, [v], lane ?? 0);
  }
  private vector(scalar: Node): Node {
    return this.trace().node("scalarV", V128, [scalar]);
  }
  /** Of each lane by itself. */
  private each(bits: Bits, lanes: number, make: (lane: number | null) => Node): Node {
    if (lanes === 1) return this.vector(make(null));
    const parts = Array.from({ length: lanes }, (_, lane) => make(lane));
    return this.trace().node("lanesV", V128, parts, bits);
  }
  private shortened(bits: Bits, lanes: number, v: Node): Node {
    return bits * lanes === 128 ? v : this.trace().node("low", V128, [v], bits * lanes);
  }
  private simd(bits: Bits, name: string, ...args: readonly Node[]): Node {
    return this.integer.simd(`${floatShape(bits)}.${name}`, ...args);
  }
  private guarded(op: string, bits: Bits, lanes: number, args: readonly Node[], extra: string): Node {
    if (lanes === 1) {
      return this.vector(
        this.node(
          op,
          typeOf(bits),
          args.map((arg) => this.scalar(bits, arg)),
          extra,
        ),
      );
    }
    return this.trace().node(`${op}V`, V128, args, `${extra}/${bits}/${lanes}`);
  }

  unary(op: FpUnary, fpBits: FpBits, lanes: number, a: Node): Node {
    const bits = known(fpBits);
    if (op === "sqrt") return this.guarded("fpSqrt", bits, lanes, [a], "sqrt");
    if (op !== "abs" && op !== "neg") return refuse();
    if (lanes > 1) return this.shortened(bits, lanes, this.simd(bits, op, a));
    return this.vector(this.node("fpSign", typeOf(bits), [this.scalar(bits, a)], op));
  }

  binary(op: FpBinary, fpBits: FpBits, lanes: number, a: Node, b: Node): Node {
    const bits = known(fpBits);
    const name = binary[op];
    if (name === undefined) return refuse();
    const result = this.guarded(name === "min" || name === "max" ? "fpExtreme" : "fpTwo", bits, lanes, [a, b], name);
    return op === "abd" ? this.unary("abs", bits, lanes, result) : result;
  }

  mulAdd(fpBits: FpBits, lanes: number, addend: Node, a: Node, b: Node): Node {
    const bits = known(fpBits);
    return this.each(bits, lanes, (lane) =>
      this.node(
        "fpMulAdd",
        typeOf(bits),
        [addend, a, b].map((v) => this.scalar(bits, v, lane)),
      ),
    );
  }

  compare(op: FpComparison, fpBits: FpBits, lanes: number, a: Node, b: Node): Node {
    const bits = known(fpBits);
    const operand = (v: Node) => (op.startsWith("abs") ? this.simd(bits, "abs", v) : v);
    return this.trace().node("fpCompareV", V128, [operand(a), operand(b)], `${op.replace("abs", "")}/${bits}/${lanes}`);
  }

  flags(fpBits: FpBits, a: Node, b: Node, nans: Nans): Node {
    const bits = known(fpBits);
    return this.trace().node("fpFlags", I32, [this.scalar(bits, a), this.scalar(bits, b)], nans);
  }
  flagsIf(c: Node, bits: FpBits, a: Node, b: Node, nans: Nans, nzcv: number): Node {
    const trace = this.trace();
    return trace.node("fpFlagsIf", I32, [c, this.flags(bits, a, b, nans), trace.amount(nzcv << 12)]);
  }

  toJavaScript(a: Node): readonly [Node, Node] {
    const x = this.scalar(64, a);
    const integer = this.trace().node("fpToJavaScript", I32, [x]);
    return [integer, this.trace().node("fpIsJavaScript", I32, [x, integer])];
  }

  round(fpBits: FpBits, lanes: number, a: Node, rounding: FpRounding, inexact: "signaled" | "ignored"): Node {
    const bits = known(fpBits);
    const name = roundings[rounding];
    if (name === undefined) return refuse();
    const extra = `${name}/${rounding}/${inexact}`;
    return this.each(bits, lanes, (lane) => this.node("fpRound", typeOf(bits), [this.scalar(bits, a, lane)], extra));
  }

  convert(from: FpBits, to: FpBits, lanes: number, a: Node, rounding: FpRounding): Node {
    if (rounding !== "fpcr" || known(from) === known(to)) return refuse();
    const [wide, narrow] = [known(from), known(to)];
    return this.each(narrow, lanes, (lane) =>
      this.node(narrow === 64 ? "fpWiden" : "fpNarrow", typeOf(narrow), [this.scalar(wide, a, lane)]),
    );
  }

  /** The power of two that a fixed-point number is divided by, if it is not 1. */
  private fraction(bits: number): readonly Node[] {
    return bits === 0 ? [] : [this.trace().amount(bits)];
  }

  toFixed(
    fpBits: FpBits,
    to: 16 | 32 | 64,
    lanes: number,
    a: Node,
    fractionBits: number,
    signedness: Signedness,
    rounding: FpRounding,
  ): Node {
    const bits = known(fpBits);
    const name = roundings[rounding];
    if (name === undefined || to === 16) return refuse();
    const extra = `${name}/${rounding}/${to}/${signedness}`;
    const integers = Array.from({ length: lanes }, (_, lane) =>
      this.trace().node(
        "fpToFixed",
        I64,
        [this.scalar(bits, a, lanes === 1 ? null : lane), ...this.fraction(fractionBits)],
        extra,
      ),
    );
    if (lanes === 1) return this.trace().node("lowV", V128, integers);
    return this.trace().node("lanesV", V128, integers, to);
  }

  fromFixed(
    from: 16 | 32 | 64,
    fpBits: FpBits,
    lanes: number,
    integer: (lane: number) => Node,
    fractionBits: number,
    signedness: Signedness,
  ): Node {
    const bits = known(fpBits);
    if (from === 16) return refuse();
    return this.each(bits, lanes, (lane) => {
      const value = integer(lane ?? 0);
      const extended =
        from === 32 ? this.trace().node(signedness === "signed" ? "extendS" : "extendU", I64, [value], 32) : value;
      return this.node(
        "fpFromFixed",
        typeOf(bits),
        [extended, ...this.fraction(fractionBits)],
        `${signedness}/${from}`,
      );
    });
  }
}
