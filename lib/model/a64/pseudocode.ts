// The manual's shared functions, under the manual's names. DDI 0487 appendix J1.

import type { Bool, I64, Machine, Sized, Width } from "./machine.js";

/** Integer operations at either width. */
export type AtWidth = Width<Sized, I64, Bool>;

/** DecodeBitMasks: wmask and tmask of 64 bits, or null where the encoding is reserved. */
export function DecodeBitMasks(
  immN: number,
  imms: number,
  immr: number,
  immediate: "logical" | "bitfield",
): { wmask: bigint; tmask: bigint } | null {
  const key = ((immediate === "logical" ? 1 : 0) << 13) | (immN << 12) | (imms << 6) | immr;
  let masks = bitMasks[key];
  if (masks === undefined) {
    masks = computeBitMasks(immN, imms, immr, immediate);
    bitMasks[key] = masks;
  }
  return masks;
}

// Meanings run again and again in the evaluator; the 16384 answers are remembered.
const bitMasks: ({ wmask: bigint; tmask: bigint } | null | undefined)[] = [];

function computeBitMasks(
  immN: number,
  imms: number,
  immr: number,
  immediate: "logical" | "bitfield",
): { wmask: bigint; tmask: bigint } | null {
  const length = 31 - Math.clz32((immN << 6) | (~imms & 0x3f));
  if (length < 1) return null;
  const levels = (1 << length) - 1;
  if (immediate === "logical" && (imms & levels) === levels) return null;
  const s = imms & levels;
  const r = immr & levels;
  const size = 1 << length;
  const ones = (bits: number) => (1n << BigInt(bits)) - 1n;
  const element = ones(s + 1);
  const rotated = ((element >> BigInt(r)) | (element << BigInt(size - r))) & ones(size);
  const difference = (s - r) & levels;
  return { wmask: replicate(rotated, size), tmask: replicate(ones(difference + 1), size) };
}

function replicate(element: bigint, size: number): bigint {
  let all = 0n;
  for (let at = 0; at < 64; at += size) all |= element << BigInt(at);
  return all;
}

/** ShiftReg: the shift types are LSL, LSR, ASR, ROR. */
export function ShiftReg(w: AtWidth, n: number, type: number, amount: number): Sized {
  const v = w.x(n);
  if (amount === 0) return v;
  return [w.lsl, w.lsr, w.asr, w.ror][type]!.call(w, v, amount);
}

/** ExtendReg: UXTB, UXTH, UXTW, UXTX, SXTB, SXTH, SXTW, SXTX, then a shift left. */
export function ExtendReg(m: Machine, w: AtWidth, n: number, option: number, shift: number): Sized {
  return w.lsl(w.from64(extend(m, m.w64.x(n), option)), shift);
}

/** The 64-bit form, as addresses need it. */
export function extend(m: Machine, v: I64, option: number): I64 {
  const size = option & 3;
  if (size === 3) return v;
  const bits = ([8, 16, 32] as const)[size]!;
  return option < 4 ? m.zeroExtend(v, bits) : m.signExtend(v, bits);
}

/** The base of an address: a register, or the stack pointer, checked. */
export function base(m: Machine, n: number): I64 {
  if (n === 31) m.checkSpAlignment();
  return m.w64.xsp(n);
}
