// The code of floating point. WebAssembly's arithmetic rounds to the nearest, and is exact then, but knows neither FPCR nor
// FPSR, and which NaN comes out is the host's choice. So a result is looked at: what is infinite, a NaN, denormal, or might
// be rounded another way or leave a flag that is not set yet, the evaluator does.
//
// "Inexact" is left by nearly every result: where FPSR.IXC is set already, nobody has to know. Where it is not, a helper
// says whether something was lost (float-helpers.ts).

import { double, Fpcr, Fpsr, single } from "../../fp/format.js";
import { type Code, F32, F64, I64, type Local } from "./binary.js";
import { FPSR_FPCR, f64, IXC, MODES } from "./float-helpers.js";
import type { Node } from "./trace.js";
import type { TraceCode } from "./vector-handlers.js";

export type Bits = 32 | 64;
const FPCR = FPSR_FPCR + 4;

/** Opcodes for single and double precision. */
// biome-ignore format: table
const opcodes = {
  add:      [0x92, 0xa0],
  sub:      [0x93, 0xa1],
  mul:      [0x94, 0xa2],
  div:      [0x95, 0xa3],
  min:      [0x96, 0xa4],
  max:      [0x97, 0xa5],
  copysign: [0x98, 0xa6],
  abs:      [0x8b, 0x99],
  neg:      [0x8c, 0x9a],
  ceil:     [0x8d, 0x9b],
  floor:    [0x8e, 0x9c],
  trunc:    [0x8f, 0x9d],
  nearest:  [0x90, 0x9e],
  sqrt:     [0x91, 0x9f],
  eq:       [0x5b, 0x61],
  ne:       [0x5c, 0x62],
  lt:       [0x5d, 0x63],
  gt:       [0x5e, 0x64],
  ge:       [0x60, 0x66],
  convert_s: [0xb4, 0xb9],
  convert_u: [0xb5, 0xba],
} as const;
type Operation = keyof typeof opcodes;

export const opcode = (operation: Operation, bits: Bits): number => opcodes[operation][bits === 64 ? 1 : 0];
export const bitsOf = (node: Node): Bits => (node.type === F64 ? 64 : 32);
export const typeOf = (bits: Bits) => (bits === 64 ? F64 : F32);

/** Patterns of a format: the smallest normal number and infinity. */
export const smallest = { 32: 0x0080_0000n, 64: 0x0010_0000_0000_0000n } as const;
export const infinite = { 32: 0x7f80_0000n, 64: 0x7ff0_0000_0000_0000n } as const;

export function constant(code: Code, bits: Bits, value: number): void {
  if (bits === 64) f64(code, value);
  else code.op(0x43, ...new Uint8Array(new Float32Array([value]).buffer));
}

/** Code of floating-point nodes. */
export class FloatCode {
  private readonly code: Code;

  constructor(private readonly emitter: TraceCode) {
    this.code = emitter.context.code;
  }

  /** The evaluator does it if the stack's top is not zero. */
  private stepIf(): void {
    this.code.branchIf(this.emitter.context.labels.step);
  }
  stepUnless(): void {
    this.code.op(0x45);
    this.stepIf();
  }

  /** A value in a local. */
  held(node: Node): Local {
    if (node.local < 0) {
      this.emitter.value(node);
      if (node.local < 0) {
        node.local = this.emitter.temporary(node.type);
        this.code.set(node.local);
      } else this.code.op(0x1a);
    }
    return node.local;
  }
  private result(bits: Bits): Local {
    const r = this.emitter.temporary(typeOf(bits));
    this.code.set(r);
    return r;
  }

  /** Some of these bits of FPCR are set: the evaluator's. */
  needsClear(bits: number): void {
    this.code.get(this.emitter.context.locals.base).memory(0x28, 2, FPCR).i32(bits).op(0x71);
    this.stepIf();
  }
  /** On the stack: what is rounded must be looked at. */
  mayTell(): void {
    this.code.get(this.emitter.context.locals.base).memory(0x29, 3, FPSR_FPCR);
    this.code
      .i64(MODES | IXC)
      .op(0x83)
      .i64(IXC)
      .op(0x52);
  }

  /** Onto the stack, as a double. */
  widened(local: Local, bits: Bits): void {
    this.code.get(local);
    if (bits === 32) this.code.op(0xbb);
  }
  exactly(helper: "exactAdd" | "exactMul" | "exactDiv" | "exactMulAdd", push: () => void): void {
    this.code.get(this.emitter.context.locals.base);
    push();
    this.code.call(this.emitter.context.helpers[helper]);
    this.stepUnless();
  }

  /** On the stack: neither zero nor denormal, infinite or a NaN; nor what might have been denormal before it was rounded. */
  private isNormal(r: Local, bits: Bits): void {
    const { code } = this;
    const first = smallest[bits] + 1n;
    const count = infinite[bits] - first;
    if (bits === 64)
      code
        .get(r)
        .op(0xbd)
        .i64((1n << 63n) - 1n)
        .op(0x83)
        .i64(first)
        .op(0x7d)
        .i64(count)
        .op(0x54);
    else {
      code.get(r).op(0xbc).i32(0x7fff_ffff).op(0x71);
      code.i32(Number(first)).op(0x6b).i32(Number(count)).op(0x49);
    }
  }
  private isFinite(r: Local, bits: Bits): void {
    this.code.get(r).op(opcode("abs", bits));
    constant(this.code, bits, Number.POSITIVE_INFINITY);
    this.code.op(opcode("lt", bits));
  }
  private isZero(r: Local, bits: Bits): void {
    this.code.get(r);
    constant(this.code, bits, 0);
    this.code.op(opcode("eq", bits));
  }
  private isNumber(r: Local, bits: Bits): void {
    this.code.get(r).get(r).op(opcode("eq", bits));
  }

  two(node: Node): void {
    const { code } = this;
    const bits = bitsOf(node);
    const how = node.extra as "add" | "sub" | "mul" | "div";
    const [x, y] = [this.held(node.args[0]!), this.held(node.args[1]!)];
    code.get(x).get(y).op(opcode(how, bits));
    const r = this.result(bits);
    this.mayTell();
    code.if();
    this.exactTwo(how, bits, x, y, r);
    code.end();
    if (how === "add" || how === "sub") {
      this.isFinite(r, bits);
      this.stepUnless();
    } else {
      this.isNormal(r, bits);
      code.op(0x45).if();
      // Zero without a loss.
      this.isZero(r, bits);
      this.isZero(x, bits);
      if (how === "mul") {
        this.isZero(y, bits);
        code.op(0x72);
      }
      code.op(0x71);
      this.stepUnless();
      code.end();
    }
    code.get(r);
  }
  exactTwo(how: "add" | "sub" | "mul" | "div", bits: Bits, x: Local, y: Local, r: Local): void {
    const helper = ({ add: "exactAdd", sub: "exactAdd", mul: "exactMul", div: "exactDiv" } as const)[how];
    this.exactly(helper, () => {
      this.widened(x, bits);
      this.widened(y, bits);
      if (how === "sub") this.code.op(0x9a);
      this.widened(r, bits);
    });
  }

  sqrt(node: Node): void {
    const bits = bitsOf(node);
    const x = this.held(node.args[0]!);
    this.code.get(x).op(opcode("sqrt", bits));
    const r = this.result(bits);
    this.mayTell();
    this.code.if();
    this.exactly("exactDiv", () => {
      for (const local of [x, r, r]) this.widened(local, bits);
    });
    this.code.end();
    this.isFinite(r, bits);
    this.stepUnless();
    this.code.get(r);
  }

  extreme(node: Node): void {
    const bits = bitsOf(node);
    this.needsClear(Fpcr.FZ);
    for (const arg of node.args) this.emitter.value(arg);
    this.code.op(opcode(node.extra as "min" | "max", bits));
    const r = this.result(bits);
    this.isNumber(r, bits);
    this.stepUnless();
    this.code.get(r);
  }

  mulAdd(node: Node): void {
    const { code } = this;
    const { helpers } = this.emitter.context;
    const bits = bitsOf(node);
    const three = node.args.map((arg) => this.held(arg));
    for (const local of three) this.widened(local, bits);
    code.call(bits === 64 ? helpers.mulAdd64 : helpers.mulAdd32);
    if (bits === 32) code.op(0xb6);
    const r = this.result(bits);
    this.mayTell();
    code.if();
    this.exactly("exactMulAdd", () => {
      for (const local of [...three, r]) this.widened(local, bits);
    });
    code.end();
    this.isNormal(r, bits);
    code.op(0x45).if();
    this.isZero(r, bits);
    this.stepUnless();
    code.end().get(r);
  }

  widen(node: Node): void {
    this.needsClear(Fpcr.FZ);
    this.emitter.value(node.args[0]!);
    this.code.op(0xbb);
    const r = this.result(64);
    this.isNumber(r, 64);
    this.stepUnless();
    this.code.get(r);
  }

  narrow(node: Node): void {
    const { code } = this;
    const x = this.held(node.args[0]!);
    code.get(x).op(0xb6);
    const r = this.result(32);
    code.get(r).op(0xbb).get(x).op(opcode("eq", 64)).if();
    this.needsClear(Fpcr.FZ);
    code.else();
    this.mayTell();
    this.stepIf();
    this.isNormal(r, 32);
    this.stepUnless();
    code.end().get(r);
  }

  /** Onto the stack: what is in a local, rounded to an integer. */
  private rounded(how: string, x: Local, bits: Bits): void {
    const { code } = this;
    if (how !== "away") {
      code.get(x).op(opcode(how as "nearest" | "ceil" | "floor" | "trunc", bits));
      return;
    }
    const cut = this.emitter.temporary(typeOf(bits));
    code.get(x).op(opcode("trunc", bits)).tee(cut);
    constant(code, bits, 1);
    code.get(x).op(opcode("copysign", bits), opcode("add", bits)).get(cut);
    code.get(x).get(cut).op(opcode("sub", bits), opcode("abs", bits));
    constant(code, bits, 0.5);
    code.op(opcode("ge", bits), 0x1b);
  }

  /** Steps if two numbers differ and nobody has been told of a loss yet. */
  private differ(a: Local, b: Local, bits: Bits): void {
    const { code } = this;
    code.get(a).get(b).op(opcode("ne", bits));
    code.get(this.emitter.context.locals.base).memory(0x28, 2, FPSR_FPCR).i32(Fpsr.IXC).op(0x71, 0x45, 0x71);
    this.stepIf();
  }

  round(node: Node): void {
    const bits = bitsOf(node);
    const [how, rounding, inexact] = String(node.extra).split("/");
    this.needsClear(Fpcr.FZ | (rounding === "fpcr" ? Fpcr.RMode : 0));
    const x = this.held(node.args[0]!);
    this.rounded(how!, x, bits);
    const r = this.result(bits);
    this.isNumber(r, bits);
    this.stepUnless();
    if (inexact === "signaled") this.differ(r, x, bits);
    this.code.get(r);
  }

  toFixed({ args, extra }: Node): void {
    const { code } = this;
    const [how, rounding, to, signedness] = String(extra).split("/");
    this.needsClear(Fpcr.FZ | (rounding === "fpcr" ? Fpcr.RMode : 0));
    this.emitter.value(args[0]!);
    if (args[0]!.type === F32) code.op(0xbb);
    if (args.length > 1) {
      this.emitter.value(args[1]!);
      code.op(0xad).i64(1023).op(0x7c).i64(52).op(0x86, 0xbf, 0xa2);
    }
    const x = this.result(64);
    this.rounded(how!, x, 64);
    const r = this.result(64);
    const top = 2 ** (Number(to) - (signedness === "signed" ? 1 : 0));
    f64(code.get(r), signedness === "signed" ? -top : 0).op(opcode("ge", 64));
    f64(code.get(r), top).op(opcode("lt", 64), 0x71);
    this.stepUnless();
    this.differ(r, x, 64);
    code.get(r).op(0xfc, signedness === "signed" ? 6 : 7);
    if (to === "32") code.i64(0xffff_ffff).op(0x83);
  }

  fromFixed(node: Node): void {
    const { code } = this;
    const bits = bitsOf(node);
    const [signedness, from] = String(node.extra).split("/");
    const value = this.held(node.args[0]!);
    code.get(value).op(opcode(signedness === "signed" ? "convert_s" : "convert_u", bits));
    const r = this.result(bits);
    if (bits === 32 || from === "64") {
      code.get(r).op(0xfc, (bits === 32 ? 4 : 6) + (signedness === "signed" ? 0 : 1));
      code.get(value).op(0x51).get(r);
      constant(code, bits, signedness === "signed" ? 2 ** 63 : 2 ** 64);
      code.op(opcode("lt", bits), 0x71, 0x45).if();
      this.mayTell();
      this.stepIf();
      code.end();
    }
    code.get(r);
    if (node.args.length === 1) return;
    if (bits === 64) {
      code.i64(1023);
      this.emitter.value(node.args[1]!);
      code.op(0xad, 0x7d).i64(52).op(0x86, 0xbf, 0xa2);
    } else {
      code.i32(127);
      this.emitter.value(node.args[1]!);
      code.op(0x6b).i32(23).op(0x74, 0xbe, 0x94);
    }
  }

  flags({ args, extra }: Node): void {
    const { code } = this;
    const bits = bitsOf(args[0]!);
    const operands = [this.held(args[0]!), this.held(args[1]!)] as const;
    const [x, y] = operands;
    this.needsClear(Fpcr.FZ);
    this.isNumber(x, bits);
    this.isNumber(y, bits);
    code.op(0x71);
    if (extra === "signaling") this.stepUnless();
    else {
      code.op(0x45).if();
      for (const local of operands) this.isSignaling(local, bits);
      code.op(0x72);
      this.stepIf();
      code.end();
    }
    code.i32(0x8000_0000).i32(0x6000_0000).i32(0x2000_0000).i32(0x3000_0000);
    code.get(x).get(y).op(opcode("gt", bits), 0x1b);
    code.get(x).get(y).op(opcode("eq", bits), 0x1b);
    code.get(x).get(y).op(opcode("lt", bits), 0x1b);
  }
  private isSignaling(local: Local, bits: Bits): void {
    const { code } = this;
    code.get(local).get(local).op(opcode("ne", bits)).get(local);
    if (bits === 64) code.op(0xbd).i64(double.quiet).op(0x83, 0x50, 0x71);
    else code.op(0xbc).i32(Number(single.quiet)).op(0x71, 0x45, 0x71);
  }

  toJavaScript({ args }: Node): void {
    const { code } = this;
    const { base } = this.emitter.context.locals;
    this.needsClear(Fpcr.FZ);
    const x = this.held(args[0]!);
    code.get(x).op(opcode("trunc", 64));
    const cut = this.result(64);
    f64(code.get(cut).op(opcode("abs", 64)), 2 ** 63).op(opcode("lt", 64));
    this.stepUnless();
    const integer = this.emitter.temporary(I64);
    code.get(cut).op(0xfc, 6).tee(integer).get(integer).op(0xc4, 0x52).if();
    code.get(base).memory(0x28, 2, FPSR_FPCR).i32(Fpsr.IOC).op(0x71);
    this.stepUnless();
    code.else();
    this.differ(cut, x, 64);
    code.end().get(integer).op(0xa7);
  }
  /** The integer is the number, and no zero of the other sign. */
  isJavaScript({ args }: Node): void {
    const { code } = this;
    const x = this.held(args[0]!);
    this.emitter.value(args[1]!);
    code.op(0xb7).get(x).op(opcode("eq", 64));
    code
      .get(x)
      .op(0xbd)
      .i64(1n << 63n)
      .op(0x52, 0x71);
  }
}
