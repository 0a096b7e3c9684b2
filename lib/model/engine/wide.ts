// The evaluator's 64-bit values. A value is the index of a cell's low word in the CPU state: registers are their own
// cells, results go to temporaries. So nothing is allocated, and a bigint appears only where 64 bits are needed at once.

import type { Width } from "../a64/machine.js";
import { type CpuState, cells, Pstate } from "../cpu/state.js";

/** Index of the low word of a cell. */
export type Cell = number;

const TEMPORARY = cells.temporary * 2;
const ZERO = cells.zero * 2;
const SP_EL0 = cells.spEl0 * 2;
const SP_EL1 = cells.spEl1 * 2;
const MODE = cells.flags * 2;
const NZCV = cells.flags * 2 + 1;

export const N = 0x8000_0000 | 0;
export const Z = 0x4000_0000;
export const C = 0x2000_0000;
export const V = 0x1000_0000;

/** ConditionHolds, for the sixteen conditions, as a bit for each value of NZCV. */
export const conditions = Uint16Array.from({ length: 16 }, (_, cond) => {
  let holds = 0;
  for (let nzcv = 0; nzcv < 16; nzcv++) {
    const n = (nzcv & 8) !== 0;
    const z = (nzcv & 4) !== 0;
    const c = (nzcv & 2) !== 0;
    const v = (nzcv & 1) !== 0;
    const result = [z, c, n, v, c && !z, n === v, n === v && !z, true][cond >> 1]!;
    if ((cond & 1) === 1 && cond !== 15 ? !result : result) holds |= 1 << nzcv;
  }
  return holds;
});

export class Wide implements Width<Cell, Cell, boolean> {
  readonly bits = 64;
  private readonly w: Int32Array;
  private readonly q: BigUint64Array;
  private top = TEMPORARY;

  constructor(state: CpuState) {
    this.w = state.words;
    this.q = state.quads;
  }

  /** Forgets the temporaries: a new instruction begins. */
  begin(): void {
    this.top = TEMPORARY;
  }

  /** A new temporary. */
  temporary(): Cell {
    const cell = this.top;
    this.top = cell + 2;
    return cell;
  }

  words(lo: number, hi: number): Cell {
    const t = this.temporary();
    this.w[t] = lo;
    this.w[t + 1] = hi;
    return t;
  }

  holds(cond: number): boolean {
    return ((conditions[cond]! >>> (this.w[NZCV]! >>> 28)) & 1) === 1;
  }

  /** The stack pointer that PSTATE selects. */
  sp(): Cell {
    return (this.w[MODE]! & (Pstate.EL | Pstate.SP)) === 5 ? SP_EL1 : SP_EL0;
  }

  x(n: number): Cell {
    return n << 1;
  }
  xsp(n: number): Cell {
    return n === 31 ? this.sp() : n << 1;
  }
  setX(n: number, v: Cell): void {
    if (n === 31) return;
    const w = this.w;
    w[n << 1] = w[v]!;
    w[(n << 1) + 1] = w[v + 1]!;
  }
  setXsp(n: number, v: Cell): void {
    const w = this.w;
    const cell = n === 31 ? this.sp() : n << 1;
    w[cell] = w[v]!;
    w[cell + 1] = w[v + 1]!;
  }

  constant(v: bigint): Cell {
    const t = this.temporary();
    this.q[t >> 1] = v;
    return t;
  }
  immediate(v: number): Cell {
    return this.words(v | 0, Math.floor(v / 0x1_0000_0000));
  }
  carry(): Cell {
    return this.words((this.w[NZCV]! >>> 29) & 1, 0);
  }

  add(a: Cell, b: Cell): Cell {
    const w = this.w;
    const lo = (w[a]! >>> 0) + (w[b]! >>> 0);
    return this.words(lo | 0, (w[a + 1]! + w[b + 1]! + (lo > 0xffff_ffff ? 1 : 0)) | 0);
  }
  sub(a: Cell, b: Cell): Cell {
    const w = this.w;
    const lo = (w[a]! >>> 0) - (w[b]! >>> 0);
    return this.words(lo | 0, (w[a + 1]! - w[b + 1]! - (lo < 0 ? 1 : 0)) | 0);
  }
  mul(a: Cell, b: Cell): Cell {
    const t = this.temporary();
    this.q[t >> 1] = BigInt.asUintN(64, this.q[a >> 1]! * this.q[b >> 1]!);
    return t;
  }
  and(a: Cell, b: Cell): Cell {
    const w = this.w;
    return this.words(w[a]! & w[b]!, w[a + 1]! & w[b + 1]!);
  }
  or(a: Cell, b: Cell): Cell {
    const w = this.w;
    return this.words(w[a]! | w[b]!, w[a + 1]! | w[b + 1]!);
  }
  xor(a: Cell, b: Cell): Cell {
    const w = this.w;
    return this.words(w[a]! ^ w[b]!, w[a + 1]! ^ w[b + 1]!);
  }
  not(a: Cell): Cell {
    const w = this.w;
    return this.words(~w[a]!, ~w[a + 1]!);
  }
  udiv(a: Cell, b: Cell): Cell {
    const w = this.w;
    if (w[b]! === 0 && w[b + 1]! === 0) return ZERO;
    if (w[a + 1]! === 0 && w[b + 1]! === 0) return this.words(((w[a]! >>> 0) / (w[b]! >>> 0)) | 0, 0);
    const t = this.temporary();
    this.q[t >> 1] = this.q[a >> 1]! / this.q[b >> 1]!;
    return t;
  }
  sdiv(a: Cell, b: Cell): Cell {
    const divisor = BigInt.asIntN(64, this.q[b >> 1]!);
    if (divisor === 0n) return ZERO;
    return this.constant(BigInt.asUintN(64, BigInt.asIntN(64, this.q[a >> 1]!) / divisor));
  }

  lsl(a: Cell, n: number): Cell {
    const lo = this.w[a]!;
    const hi = this.w[a + 1]!;
    if (n === 0) return a;
    if (n < 32) return this.words(lo << n, (hi << n) | (lo >>> (32 - n)));
    return this.words(0, lo << (n - 32));
  }
  lsr(a: Cell, n: number): Cell {
    const lo = this.w[a]!;
    const hi = this.w[a + 1]!;
    if (n === 0) return a;
    if (n < 32) return this.words((lo >>> n) | (hi << (32 - n)), hi >>> n);
    return this.words(hi >>> (n - 32), 0);
  }
  asr(a: Cell, n: number): Cell {
    const lo = this.w[a]!;
    const hi = this.w[a + 1]!;
    if (n === 0) return a;
    if (n < 32) return this.words((lo >>> n) | (hi << (32 - n)), hi >> n);
    return this.words(hi >> (n - 32), hi >> 31);
  }
  ror(a: Cell, n: number): Cell {
    const lo = this.w[a]!;
    const hi = this.w[a + 1]!;
    const m = n & 31;
    const first = n < 32 ? lo : hi;
    const second = n < 32 ? hi : lo;
    if (m === 0) return this.words(first, second);
    return this.words((first >>> m) | (second << (32 - m)), (second >>> m) | (first << (32 - m)));
  }
  lslv(a: Cell, b: Cell): Cell {
    return this.lsl(a, this.w[b]! & 63);
  }
  lsrv(a: Cell, b: Cell): Cell {
    return this.lsr(a, this.w[b]! & 63);
  }
  asrv(a: Cell, b: Cell): Cell {
    return this.asr(a, this.w[b]! & 63);
  }
  rorv(a: Cell, b: Cell): Cell {
    return this.ror(a, this.w[b]! & 63);
  }
  clz(a: Cell): Cell {
    const hi = this.w[a + 1]!;
    return this.words(hi !== 0 ? Math.clz32(hi) : 32 + Math.clz32(this.w[a]!), 0);
  }
  cls(a: Cell): Cell {
    // Bits that equal their upper neighbour: leading zeros of a XOR (a >> 1), less the sign's own.
    const lo = this.w[a]!;
    const hi = this.w[a + 1]!;
    const differsHigh = hi ^ (hi >> 1);
    const differsLow = lo ^ ((lo >>> 1) | (hi << 31));
    return this.words((differsHigh !== 0 ? Math.clz32(differsHigh) : 32 + Math.clz32(differsLow)) - 1, 0);
  }
  rbit(a: Cell): Cell {
    return this.words(reverseBits(this.w[a + 1]!), reverseBits(this.w[a]!));
  }
  rev(a: Cell, bytes: 2 | 4 | 8): Cell {
    const lo = reverseBytes(this.w[a]!, bytes);
    const hi = reverseBytes(this.w[a + 1]!, bytes);
    return bytes === 8 ? this.words(hi, lo) : this.words(lo, hi);
  }
  isZero(a: Cell): boolean {
    return (this.w[a]! | this.w[a + 1]!) === 0;
  }
  bit(a: Cell, n: number): boolean {
    return ((this.w[a + (n >> 5)]! >>> (n & 31)) & 1) === 1;
  }
  select(c: boolean, a: Cell, b: Cell): Cell {
    return c ? a : b;
  }
  from64(a: Cell): Cell {
    return a;
  }
  to64(a: Cell): Cell {
    return a;
  }

  setFlagsAdd(a: Cell, b: Cell, r: Cell): void {
    this.w[NZCV] = this.addFlags(a, b, r);
  }
  setFlagsSub(a: Cell, b: Cell, r: Cell): void {
    this.w[NZCV] = this.subFlags(a, b, r);
  }
  setFlagsLogic(r: Cell): void {
    this.w[NZCV] = this.nz(r);
  }
  conditionalCompare(kind: "add" | "sub", cond: number, a: Cell, b: Cell, nzcv: number): void {
    if (!this.holds(cond)) this.w[NZCV] = nzcv << 28;
    else if (kind === "add") this.setFlagsAdd(a, b, this.add(a, b));
    else this.setFlagsSub(a, b, this.sub(a, b));
  }

  private nz(r: Cell): number {
    const hi = this.w[r + 1]!;
    return (hi & N) | ((this.w[r]! | hi) === 0 ? Z : 0);
  }
  // Carry and overflow out of the top bit follow from the top bits of operands and result alone.
  private addFlags(a: Cell, b: Cell, r: Cell): number {
    const x = this.w[a + 1]!;
    const y = this.w[b + 1]!;
    const z = this.w[r + 1]!;
    return this.nz(r) | ((((x & y) | ((x | y) & ~z)) >>> 2) & C) | ((((x ^ z) & (y ^ z)) >>> 3) & V);
  }
  private subFlags(a: Cell, b: Cell, r: Cell): number {
    const x = this.w[a + 1]!;
    const y = ~this.w[b + 1]!;
    const z = this.w[r + 1]!;
    return this.nz(r) | ((((x & y) | ((x | y) & ~z)) >>> 2) & C) | ((((x ^ z) & (y ^ z)) >>> 3) & V);
  }
}

export function reverseBits(v: number): number {
  v = ((v >>> 1) & 0x5555_5555) | ((v & 0x5555_5555) << 1);
  v = ((v >>> 2) & 0x3333_3333) | ((v & 0x3333_3333) << 2);
  v = ((v >>> 4) & 0x0f0f_0f0f) | ((v & 0x0f0f_0f0f) << 4);
  return reverseBytes(v, 4);
}

/** Reverses bytes within halfwords (2) or within the word (4, 8). */
export function reverseBytes(v: number, bytes: 2 | 4 | 8): number {
  const halves = ((v >>> 8) & 0x00ff_00ff) | ((v & 0x00ff_00ff) << 8);
  return bytes === 2 ? halves : (halves >>> 16) | (halves << 16);
}
