// The code of floating-point vectors: as of scalars (float-code.ts), of all lanes at once.

import { Fpcr } from "../../fp/format.js";
import { type Code, type Local, V128 } from "./binary.js";
import { type Bits, type FloatCode, infinite, smallest, typeOf } from "./float-code.js";
import { floatShape, simdOpcode } from "./simd-opcodes.js";
import type { Node } from "./trace.js";
import { type TraceCode, vectorConstant } from "./vector-handlers.js";

export class FloatVectorCode {
  private readonly code: Code;

  constructor(
    private readonly emitter: TraceCode,
    private readonly scalars: FloatCode,
  ) {
    this.code = emitter.context.code;
  }

  private simd(bits: Bits, name: string): Code {
    return this.code.vector(simdOpcode(`${floatShape(bits)}.${name}`));
  }
  private every(bits: Bits, pattern: bigint): void {
    const word = bits === 64 ? pattern : pattern | (pattern << 32n);
    vectorConstant(this.code, word, word);
  }
  private allTrue(bits: Bits): void {
    this.code.vector(bits === 64 ? 0xc3 : 0xa3);
    this.scalars.stepUnless();
  }
  private laneOf(vector: Local, bits: Bits, lane: number): void {
    this.code.get(vector).vector(bits === 64 ? 0x21 : 0x1f, lane);
  }

  vectorArithmetic({ op, args, extra }: Node): void {
    const { code } = this;
    const [how, width, count] = String(extra).split("/");
    const [bits, lanes] = [Number(width) as Bits, Number(count)];
    const operands = args.map((arg) => this.scalars.held(arg));
    if (op === "fpExtremeV") this.scalars.needsClear(Fpcr.FZ);
    for (const local of operands) code.get(local);
    this.simd(bits, how!);
    this.beyond(bits, lanes, "zero");
    const r = this.emitter.temporary(V128);
    code.set(r);
    if (op === "fpExtremeV") {
      code.get(r).get(r);
      this.simd(bits, "eq");
      this.allTrue(bits);
      code.get(r);
      return;
    }
    this.scalars.mayTell();
    code.if();
    const ofLane = [...operands, r].map(() => this.emitter.temporary(typeOf(bits)));
    for (let lane = 0; lane < lanes; lane++) {
      for (const [n, vector] of [...operands, r].entries()) {
        this.laneOf(vector, bits, lane);
        code.set(ofLane[n]!);
      }
      const [x, y, z] = ofLane;
      if (op === "fpSqrtV") {
        this.scalars.exactly("exactDiv", () => {
          for (const local of [x!, y!, y!]) this.scalars.widened(local, bits);
        });
      } else this.scalars.exactTwo(how as "add", bits, x!, y!, z!);
    }
    code.end();
    code.get(r);
    this.simd(bits, "abs");
    this.every(bits, infinite[bits]);
    this.simd(bits, "lt");
    if (how === "mul" || how === "div") this.normalOrZero(bits, how, operands as [Local, Local], r);
    this.beyond(bits, lanes, "ones");
    this.allTrue(bits);
    code.get(r);
  }
  private normalOrZero(bits: Bits, how: "mul" | "div", [x, y]: readonly [Local, Local], r: Local): void {
    const { code } = this;
    code.get(r);
    this.simd(bits, "abs");
    this.every(bits, smallest[bits]);
    this.simd(bits, "gt").vector(simdOpcode("v128.and"));
    const zero = (local: Local) => {
      code.get(local);
      this.every(bits, 0n);
      this.simd(bits, "eq");
    };
    zero(r);
    zero(x);
    if (how === "mul") {
      zero(y);
      code.vector(simdOpcode("v128.or"));
    }
    code.vector(simdOpcode("v128.and")).vector(simdOpcode("v128.or"));
  }

  vectorCompare({ args, extra }: Node): void {
    const { code } = this;
    const [how, width, count] = String(extra).split("/");
    const [bits, lanes] = [Number(width) as Bits, Number(count)];
    const [x, y] = [this.scalars.held(args[0]!), this.scalars.held(args[1]!)];
    this.scalars.needsClear(Fpcr.FZ);
    for (const local of [x, y]) {
      code.get(local).get(local);
      this.simd(bits, "eq");
    }
    code.vector(simdOpcode("v128.and"));
    this.beyond(bits, lanes, "ones");
    this.allTrue(bits);
    code.get(x).get(y);
    this.simd(bits, how!);
    this.beyond(bits, lanes, "zero");
  }
  /** The lanes beyond are zero, or (ones) left out of account. */
  private beyond(bits: Bits, lanes: number, what: "zero" | "ones"): void {
    if (bits * lanes === 128) return;
    const inside = (1n << BigInt(bits * lanes)) - 1n;
    const low = BigInt.asUintN(64, inside);
    const high = inside >> 64n;
    if (what === "zero") vectorConstant(this.code, low, high);
    else vectorConstant(this.code, BigInt.asUintN(64, ~low), BigInt.asUintN(64, ~high));
    this.code.vector(simdOpcode(what === "zero" ? "v128.and" : "v128.or"));
  }
}
