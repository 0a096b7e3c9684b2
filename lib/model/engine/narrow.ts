// The evaluator's 32-bit values: plain int32 numbers.

import type { Width } from "../a64/machine.js";
import { type CpuState, cells } from "../cpu/state.js";
import { C, type Cell, N, reverseBits, reverseBytes, V, type Wide, Z } from "./wide.js";

const NZCV = cells.flags * 2 + 1;

export class Narrow implements Width<number, Cell, boolean> {
  readonly bits = 32;
  private readonly w: Int32Array;
  private readonly wide: Wide;

  constructor(state: CpuState, wide: Wide) {
    this.w = state.words;
    this.wide = wide;
  }

  x(n: number): number {
    return this.w[n << 1]!;
  }
  xsp(n: number): number {
    return this.w[this.wide.xsp(n)]!;
  }
  setX(n: number, v: number): void {
    if (n === 31) return;
    this.w[n << 1] = v;
    this.w[(n << 1) + 1] = 0;
  }
  setXsp(n: number, v: number): void {
    const cell = this.wide.xsp(n);
    this.w[cell] = v;
    this.w[cell + 1] = 0;
  }
  constant(v: bigint): number {
    return Number(BigInt.asIntN(32, v));
  }
  immediate(v: number): number {
    return v | 0;
  }
  carry(): number {
    return (this.w[NZCV]! >>> 29) & 1;
  }
  add(a: number, b: number): number {
    return (a + b) | 0;
  }
  sub(a: number, b: number): number {
    return (a - b) | 0;
  }
  mul(a: number, b: number): number {
    return Math.imul(a, b);
  }
  and(a: number, b: number): number {
    return a & b;
  }
  or(a: number, b: number): number {
    return a | b;
  }
  xor(a: number, b: number): number {
    return a ^ b;
  }
  not(a: number): number {
    return ~a;
  }
  udiv(a: number, b: number): number {
    return b === 0 ? 0 : ((a >>> 0) / (b >>> 0)) | 0;
  }
  sdiv(a: number, b: number): number {
    return b === 0 ? 0 : (a / b) | 0;
  }
  lsl(a: number, n: number): number {
    return a << n;
  }
  lsr(a: number, n: number): number {
    return (a >>> n) | 0;
  }
  asr(a: number, n: number): number {
    return a >> n;
  }
  ror(a: number, n: number): number {
    return (a >>> n) | (a << (32 - n));
  }
  lslv(a: number, b: number): number {
    return a << b;
  }
  lsrv(a: number, b: number): number {
    return (a >>> b) | 0;
  }
  asrv(a: number, b: number): number {
    return a >> b;
  }
  rorv(a: number, b: number): number {
    return this.ror(a, b & 31);
  }
  clz(a: number): number {
    return Math.clz32(a);
  }
  cls(a: number): number {
    return Math.clz32(a ^ (a >> 1)) - 1;
  }
  rbit(a: number): number {
    return reverseBits(a);
  }
  rev(a: number, bytes: 2 | 4 | 8): number {
    return reverseBytes(a, bytes);
  }
  isZero(a: number): boolean {
    return a === 0;
  }
  bit(a: number, n: number): boolean {
    return ((a >>> n) & 1) === 1;
  }
  select(c: boolean, a: number, b: number): number {
    return c ? a : b;
  }
  from64(a: Cell): number {
    return this.w[a]!;
  }
  to64(a: number): Cell {
    return this.wide.words(a, 0);
  }
  setFlagsAdd(a: number, b: number, r: number): void {
    this.w[NZCV] = flags(a, b, r);
  }
  setFlagsSub(a: number, b: number, r: number): void {
    this.w[NZCV] = flags(a, ~b, r);
  }
  setFlagsLogic(r: number): void {
    this.w[NZCV] = (r & N) | (r === 0 ? Z : 0);
  }
  conditionalCompare(kind: "add" | "sub", cond: number, a: number, b: number, nzcv: number): void {
    if (!this.wide.holds(cond)) this.w[NZCV] = nzcv << 28;
    else if (kind === "add") this.setFlagsAdd(a, b, (a + b) | 0);
    else this.setFlagsSub(a, b, (a - b) | 0);
  }
}

function flags(x: number, y: number, r: number): number {
  return (r & N) | (r === 0 ? Z : 0) | ((((x & y) | ((x | y) & ~r)) >>> 2) & C) | ((((x ^ r) & (y ^ r)) >>> 3) & V);
}
