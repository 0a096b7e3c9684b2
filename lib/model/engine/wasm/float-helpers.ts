// Functions that floating point calls: whether a result is exact, and fused multiplication and addition out of plain ones.
//
// All values are doubles; singles are widened first, which loses nothing.

import { cells } from "../../cpu/state.js";
import { Fpcr, Fpsr } from "../../fp/format.js";
import { Code, F64, I32, type Local, type ValueType } from "./binary.js";

/** Byte offset of FPSR (the lower 32 bits) and FPCR (the upper). */
export const FPSR_FPCR = cells.fpsrFpcr * 8;
const FPCR = FPSR_FPCR + 4;
export const IXC = BigInt(Fpsr.IXC);
/** Of the 64 bits of both: results that are not exact are rounded to the nearest, and small operands are as they are. */
export const MODES = BigInt(Fpcr.RMode | Fpcr.FZ) << 32n;

export function f64(code: Code, value: number): Code {
  const bytes = new Uint8Array(new Float64Array([value]).buffer);
  return code.op(0x44, ...bytes);
}

const ADD = 0xa0;
const SUB = 0xa1;
const MUL = 0xa2;
const EQ = 0x61;

/** Indices of functions. */
export interface FloatHelpers {
  /** (state, x, y, r): r is x + y, and nothing was lost, and FPCR does not matter to that. */
  readonly exactAdd: number;
  /** The same for products and quotients; 0, too, where it is not known. A root is r / r of its operand. */
  readonly exactMul: number;
  readonly exactDiv: number;
  /** (state, addend, x, y, r) */
  readonly exactMulAdd: number;
  /** (addend, x, y): addend + x * y, rounded once; a NaN where it is not known. */
  readonly mulAdd64: number;
  /** Of singles: not rounded to a single yet, but so that it can be. */
  readonly mulAdd32: number;
}

interface Signature {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
}
const EXACT: Signature = { parameters: [I32, F64, F64, F64], results: [I32] };
const FUSED: Signature = { parameters: [F64, F64, F64], results: [F64] };

// biome-ignore format: table
export const floatHelpers: Readonly<Record<keyof FloatHelpers, Signature & { code: () => Code }>> = {
  exactAdd:    { ...EXACT, code: exactAdd },
  exactMul:    { ...EXACT, code: exactMul },
  exactDiv:    { ...EXACT, code: exactDiv },
  exactMulAdd: { parameters: [I32, F64, F64, F64, F64], results: [I32], code: exactMulAdd },
  mulAdd64:    { ...FUSED, code: mulAdd64 },
  mulAdd32:    { ...FUSED, code: mulAdd32 },
};

/** On the stack: FPCR is as MODES wants it. */
function modes(code: Code, state: Local): void {
  code
    .get(state)
    .memory(0x28, 2, FPCR)
    .i32(Fpcr.RMode | Fpcr.FZ)
    .op(0x71, 0x45);
}

/** The rounded sum into `sum`, what it lacks into `error`: by Knuth, exact where nothing overflows. */
function twoSum(code: Code, a: Local, b: Local, sum: Local, error: Local): void {
  const other = code.local(F64);
  code.get(a).get(b).op(ADD).set(sum);
  code.get(sum).get(a).op(SUB).set(other);
  code.get(a).get(sum).get(other).op(SUB, SUB);
  code.get(b).get(other).op(SUB, ADD).set(error);
}

function exactAdd(): Code {
  const code = new Code(4);
  const [state, x, y, r] = [0, 1, 2, 3];
  const [sum, error] = [code.local(F64), code.local(F64)];
  twoSum(code, x, y, sum, error);
  modes(code, state);
  f64(code.get(error), 0).op(EQ, 0x71);
  return code.get(sum).get(r).op(EQ, 0x71);
}

/** On the stack: the product of these has at most 53 bits. */
function productFits(code: Code, x: Local, y: Local): void {
  for (const n of [x, y])
    code
      .get(n)
      .op(0xbd)
      .i64(1n << 52n)
      .op(0x84, 0x7a);
  code.op(0x7c).i64(53).op(0x59);
}

function exactMul(): Code {
  const code = new Code(4);
  const [state, x, y, r] = [0, 1, 2, 3];
  modes(code, state);
  // Of zero, the caller makes sure.
  productFits(code, x, y);
  f64(code.get(r), 0).op(EQ, 0x72);
  code.op(0x71);
  return code.get(x).get(y).op(MUL).get(r).op(EQ, 0x71);
}

function exactDiv(): Code {
  const code = new Code(4);
  const [state, x, y, r] = [0, 1, 2, 3];
  modes(code, state);
  productFits(code, r, y);
  f64(code.get(r), 0).op(EQ, 0x72);
  code.op(0x71);
  return code.get(r).get(y).op(MUL).get(x).op(EQ, 0x71);
}

function exactMulAdd(): Code {
  const code = new Code(5);
  const [state, addend, x, y, r] = [0, 1, 2, 3, 4];
  const [product, sum, error] = [code.local(F64), code.local(F64), code.local(F64)];
  code.get(x).get(y).op(MUL).set(product);
  twoSum(code, product, addend, sum, error);
  modes(code, state);
  productFits(code, x, y);
  // Zero by zero factors: mulAdd knows of no other.
  f64(code.get(product), 0).op(EQ, 0x72, 0x71);
  f64(code.get(error), 0).op(EQ, 0x71);
  return code.get(sum).get(r).op(EQ, 0x71);
}

/** Rounds sum + error to odd: what is lost leaves the last bit set. */
function toOdd(code: Code, sum: Local, error: Local): void {
  f64(code.get(error), 0).op(0x62);
  code.get(sum).op(0xbd).i64(1).op(0x83, 0x50, 0x71).if();
  code.get(sum).op(0xbd);
  code.i64(1).i64(-1);
  f64(code.get(error), 0).op(0x64);
  f64(code.get(sum), 0).op(0x64, 0x46);
  code.op(0x1b, 0x7c, 0xbf).set(sum).end();
}

/** Whether a magnitude lies in [2^from, 2^to): an i32 on the stack. */
function within(code: Code, x: Local, from: number, to: number): void {
  const bits = (exponent: number) => BigInt(1023 + exponent) << 52n;
  code
    .get(x)
    .op(0xbd)
    .i64((1n << 63n) - 1n)
    .op(0x83)
    .i64(bits(from))
    .op(0x7d);
  code.i64(bits(to) - bits(from)).op(0x54);
}

/**
 * By S. Boldo and G. Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd"
 * (IEEE Transactions on Computers, 2008). Where something could overflow or be denormal it is not known.
 */
function mulAdd64(): Code {
  const code = new Code(3);
  const [addend, x, y] = [0, 1, 2];
  const local = () => code.local(F64);
  const [product, rest, xHigh, xLow, yHigh, yLow] = [local(), local(), local(), local(), local(), local()];
  const [high, low, sum, error, small, smallError] = [local(), local(), local(), local(), local(), local()];
  const unknown = () => f64(code, Number.NaN).return();
  code.get(x).get(y).op(MUL).set(product);
  // Zero factors; by an addend of zero only a product that is known to be right.
  f64(code.get(x), 0).op(EQ);
  f64(code.get(y), 0).op(EQ, 0x72).if();
  code.get(product).get(addend).op(ADD).return().end();
  within(code, x, -450, 450);
  within(code, y, -450, 450);
  code.op(0x71);
  f64(code.get(addend).op(0x99), 2 ** 1000)
    .op(0x63, 0x71, 0x45)
    .if();
  unknown();
  code.end();
  // Dekker's product, halves by Veltkamp.
  for (const [whole, upper, lower] of [
    [x, xHigh, xLow],
    [y, yHigh, yLow],
  ] as const) {
    f64(code.get(whole), 2 ** 27 + 1)
      .op(MUL)
      .tee(upper);
    code.get(upper).get(whole).op(SUB, SUB).tee(upper);
    code.get(whole).op(SUB, 0x9a).set(lower);
  }
  code.get(xHigh).get(yHigh).op(MUL).get(product).op(SUB);
  code.get(xHigh).get(yLow).op(MUL, ADD);
  code.get(xLow).get(yHigh).op(MUL, ADD);
  code.get(xLow).get(yLow).op(MUL, ADD).set(rest);
  twoSum(code, addend, rest, high, low);
  twoSum(code, product, high, sum, error);
  twoSum(code, low, error, small, smallError);
  toOdd(code, small, smallError);
  return code.get(sum).get(small).op(ADD);
}

/** The product of singles is exact as a double; the sum is rounded to odd, so that rounding again does no harm. */
function mulAdd32(): Code {
  const code = new Code(3);
  const [addend, x, y] = [0, 1, 2];
  const [product, sum, error] = [code.local(F64), code.local(F64), code.local(F64)];
  code.get(x).get(y).op(MUL).set(product);
  twoSum(code, product, addend, sum, error);
  toOdd(code, sum, error);
  // Too small for a normal single, and not zero: not known.
  f64(code.get(sum).op(0x99), 2 ** -126).op(0x65);
  f64(code.get(sum), 0).op(0x62, 0x71).if();
  f64(code, Number.NaN).return().end();
  return code.get(sum);
}
