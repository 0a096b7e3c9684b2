// A64 instruction words for the few instructions that contract guests are made of. DDI 0487 C6.2.

/** Register 31: XZR, or SP as a base. */
export const XZR = 31;

const word = (value: number): number => value >>> 0;

function field(what: string, value: number, bits: number): number {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits) {
    throw new RangeError(`${what} must be an integer of ${bits} bits, got ${value}`);
  }
  return value;
}

const reg = (n: number): number => field("register", n, 5);

/** A signed offset in units of 4 bytes. */
function wordOffset(bytes: number, bits: number): number {
  const words = bytes / 4;
  if (!Number.isInteger(words) || words < -(2 ** (bits - 1)) || words >= 2 ** (bits - 1)) {
    throw new RangeError(`offset must be a multiple of 4 that fits in ${bits} bits of words, got ${bytes}`);
  }
  return words & (2 ** bits - 1);
}

export type Width = 1 | 2 | 4 | 8;
const sizeOf = (width: Width): number => Math.log2(width);

/** LDR/STR (immediate, unsigned offset) and their byte and halfword forms. */
const scaled = (width: Width, opc: number, rt: number, rn: number, offset: number): number =>
  word(
    0x3900_0000 |
      (sizeOf(width) << 30) |
      (opc << 22) |
      (field("offset", offset / width, 12) << 10) |
      (reg(rn) << 5) |
      reg(rt),
  );

const moveWide = (opc: number, rd: number, value: number, shift: number): number =>
  word(0x9280_0000 | (opc << 29) | (field("shift", shift / 16, 2) << 21) | (field("value", value, 16) << 5) | reg(rd));

const exception = (opc: number, low: number, immediate: number): number =>
  word(0xd400_0000 | (opc << 21) | (field("immediate", immediate, 16) << 5) | low);

/** A system register as MRS and MSR name it: op0, op1, CRn, CRm, op2. */
export type SystemRegister = readonly [number, number, number, number, number];

const system = (load: number, [op0, op1, crn, crm, op2]: SystemRegister, rt: number): number =>
  word(0xd500_0000 | (load << 21) | (op0 << 19) | (op1 << 16) | (crn << 12) | (crm << 8) | (op2 << 5) | reg(rt));

/** MOVZ Xd, #value, LSL #shift */
export const movz = (rd: number, value: number, shift = 0): number => moveWide(2, rd, value, shift);
/** MOVK Xd, #value, LSL #shift */
export const movk = (rd: number, value: number, shift = 0): number => moveWide(3, rd, value, shift);

/** The MOVZ and MOVKs that make a 64-bit value. */
export function mov64(rd: number, value: bigint): number[] {
  const words = [movz(rd, Number(value & 0xffffn))];
  for (let shift = 16; shift < 64; shift += 16) {
    const part = Number((value >> BigInt(shift)) & 0xffffn);
    if (part !== 0) words.push(movk(rd, part, shift));
  }
  return words;
}

/** ADD Xd, Xn, #value */
export const addImmediate = (rd: number, rn: number, value: number): number =>
  word(0x9100_0000 | (field("value", value, 12) << 10) | (reg(rn) << 5) | reg(rd));
/** SUBS Xd, Xn, #value */
export const subsImmediate = (rd: number, rn: number, value: number): number =>
  word(0xf100_0000 | (field("value", value, 12) << 10) | (reg(rn) << 5) | reg(rd));

/** LDR Xt / LDR Wt / LDRH / LDRB, [Xn, #offset] */
export const load = (width: Width, rt: number, rn: number, offset = 0): number => scaled(width, 1, rt, rn, offset);
/** STR Xt / STR Wt / STRH / STRB, [Xn, #offset] */
export const store = (width: Width, rt: number, rn: number, offset = 0): number => scaled(width, 0, rt, rn, offset);
/** LDRSB / LDRSH / LDRSW Xt, [Xn]; with `into` 32 the W form */
export const loadSigned = (width: 1 | 2 | 4, into: 32 | 64, rt: number, rn: number): number =>
  scaled(width, into === 64 ? 2 : 3, rt, rn, 0);

/** LDR Xt, [Xn], #offset (post-index: no syndrome) */
export const loadPost = (rt: number, rn: number, offset: number): number =>
  word(0xf840_0400 | (field("offset", offset, 8) << 12) | (reg(rn) << 5) | reg(rt));
/** STR Xt, [Xn], #offset (post-index: no syndrome) */
export const storePost = (rt: number, rn: number, offset: number): number =>
  word(0xf800_0400 | (field("offset", offset, 8) << 12) | (reg(rn) << 5) | reg(rt));
/** STP Xt, Xt2, [Xn] */
export const storePair = (rt: number, rt2: number, rn: number): number =>
  word(0xa900_0000 | (reg(rt2) << 10) | (reg(rn) << 5) | reg(rt));

/** LDP Xt, Xt2, [Xn] */
export const loadPair = (rt: number, rt2: number, rn: number): number =>
  word(0xa940_0000 | (reg(rt2) << 10) | (reg(rn) << 5) | reg(rt));
/** LDXR Xt, [Xn] */
export const loadExclusive = (rt: number, rn: number): number => word(0xc85f_7c00 | (reg(rn) << 5) | reg(rt));
/** STXR Ws, Xt, [Xn] */
export const storeExclusive = (rs: number, rt: number, rn: number): number =>
  word(0xc800_7c00 | (reg(rs) << 16) | (reg(rn) << 5) | reg(rt));
/** CAS Xs, Xt, [Xn] */
export const compareAndSwap = (rs: number, rt: number, rn: number): number =>
  word(0xc8a0_7c00 | (reg(rs) << 16) | (reg(rn) << 5) | reg(rt));

/** ADD Xd, Xn, Xm */
export const add = (rd: number, rn: number, rm: number): number =>
  word(0x8b00_0000 | (reg(rm) << 16) | (reg(rn) << 5) | reg(rd));
/** SUB Xd, Xn, Xm */
export const sub = (rd: number, rn: number, rm: number): number =>
  word(0xcb00_0000 | (reg(rm) << 16) | (reg(rn) << 5) | reg(rd));

/** B offset */
export const branch = (offset: number): number => word(0x1400_0000 | wordOffset(offset, 26));
/** CBNZ Xt, offset */
export const branchNonZero = (rt: number, offset: number): number =>
  word(0xb500_0000 | (wordOffset(offset, 19) << 5) | reg(rt));

/** CBZ Xt, offset */
export const branchZero = (rt: number, offset: number): number =>
  word(0xb400_0000 | (wordOffset(offset, 19) << 5) | reg(rt));
/** TBZ Xt, #bit, offset */
export const branchBitZero = (rt: number, bit: number, offset: number): number =>
  word(
    0x3600_0000 | ((field("bit", bit, 6) >> 5) << 31) | ((bit & 31) << 19) | (wordOffset(offset, 14) << 5) | reg(rt),
  );

export const hvc = (immediate = 0): number => exception(0, 2, immediate);
export const smc = (immediate = 0): number => exception(0, 3, immediate);
export const brk = (immediate = 0): number => exception(1, 0, immediate);

/** MRS Xt, register */
export const mrs = (rt: number, register: SystemRegister): number => system(1, register, rt);
/** MSR register, Xt; with an op0 of 1 it is SYS: DC, IC, TLBI, AT */
export const msr = (register: SystemRegister, rt: number): number => system(0, register, rt);
/** MSR DAIFClr, #mask (D 8, A 4, I 2, F 1) */
export const daifClear = (mask: number): number => word(0xd503_40ff | (field("mask", mask, 4) << 8));

/** MSR DAIFSet, #mask */
export const daifSet = (mask: number): number => word(0xd503_40df | (field("mask", mask, 4) << 8));

export const eret = 0xd69f_03e0;
export const isb = 0xd503_3fdf;
export const nop = 0xd503_201f;
export const wfi = 0xd503_207f;
/** B to itself. */
export const spin = branch(0);
