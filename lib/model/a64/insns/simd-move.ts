// Advanced SIMD: copies between lanes and registers, permutations, tables, immediates. DDI 0487 C4.1.

import { composed, type Insn, insn, type Semantics } from "../insn.js";
import type { Machine, V128 } from "../machine.js";
import { lanesToBytes, type Simd, splatLane, totalOf } from "../simd.js";
import type { LaneBits } from "../vector.js";
import { expandImmediate } from "./floating-point.js";

// biome-ignore format: table
export const simdMove: readonly Insn[] = [
  // Copy
  insn("DUP (element)",         "0 q 0 01110000 imm5:5 0 0000 1 rn:5 rd:5", duplicateElement, "AdvSIMD"),
  insn("DUP (element), scalar", "01 0 11110000 imm5:5 0 0000 1 rn:5 rd:5",  takeElement, "AdvSIMD"),
  insn("DUP (general)",         "0 q 0 01110000 imm5:5 0 0001 1 rn:5 rd:5", duplicateGeneral, "AdvSIMD"),
  insn("INS (general)",         "0 1 0 01110000 imm5:5 0 0011 1 rn:5 rd:5", insertGeneral, "AdvSIMD"),
  insn("SMOV",                  "0 q 0 01110000 imm5:5 0 0101 1 rn:5 rd:5", moveSigned, "AdvSIMD"),
  insn("UMOV",                  "0 q 0 01110000 imm5:5 0 0111 1 rn:5 rd:5", moveUnsigned, "AdvSIMD"),
  insn("INS (element)",         "0 1 1 01110000 imm5:5 0 imm4:4 1 rn:5 rd:5", insertElement, "AdvSIMD"),

  // Permute, extract, table lookup
  permute("UZP1", "001", (n) => 2 * n),
  permute("TRN1", "010", (n, lanes) => (n % 2 === 0 ? n : lanes + n - 1)),
  permute("ZIP1", "011", (n, lanes) => (n >> 1) + (n % 2) * lanes),
  permute("UZP2", "101", (n) => 2 * n + 1),
  permute("TRN2", "110", (n, lanes) => (n % 2 === 0 ? n + 1 : lanes + n)),
  permute("ZIP2", "111", (n, lanes) => (lanes >> 1) + (n >> 1) + (n % 2) * lanes),
  insn("EXT", "0 q 1 01110 00 0 rm:5 0 imm4:4 0 rn:5 rd:5", extract, "AdvSIMD"),
  insn("TBL", "0 q 0 01110 00 0 rm:5 0 len:2 0 00 rn:5 rd:5", lookUp("zero"), "AdvSIMD"),
  insn("TBX", "0 q 0 01110 00 0 rm:5 0 len:2 1 00 rn:5 rd:5", lookUp("keep"), "AdvSIMD"),

  // Modified immediate
  modified("MOVI (32-bit shifted)", "0", "0 amount:2 0", 0, (imm8, amount) => replicate(imm8 << BigInt(8 * amount), 32), "move"),
  modified("ORR (vector, immediate, 32-bit)", "0", "0 amount:2 1", 0, (imm8, amount) => replicate(imm8 << BigInt(8 * amount), 32), "or"),
  modified("MOVI (16-bit shifted)", "0", "10 amount 0", 0, (imm8, amount) => replicate(imm8 << BigInt(8 * amount), 16), "move"),
  modified("ORR (vector, immediate, 16-bit)", "0", "10 amount 1", 0, (imm8, amount) => replicate(imm8 << BigInt(8 * amount), 16), "or"),
  modified("MOVI (32-bit shifting ones)", "0", "110 amount", 0, (imm8, amount) => replicate(shiftOnes(imm8, amount), 32), "move"),
  modified("MOVI (8-bit)", "0", "1110", 0, (imm8) => replicate(imm8, 8), "move"),
  modified("FMOV (vector, immediate)", "0", "1111", 0, (imm8) => replicate(expandImmediate(Number(imm8), 32), 32), "move"),
  modified("FMOV (vector, immediate, half)", "0", "1111", 1, (imm8) => replicate(expandImmediate(Number(imm8), 16), 16), "move"),
  modified("MVNI (32-bit shifted)", "1", "0 amount:2 0", 0, (imm8, amount) => replicate(~(imm8 << BigInt(8 * amount)), 32), "move"),
  modified("BIC (vector, immediate, 32-bit)", "1", "0 amount:2 1", 0, (imm8, amount) => replicate(imm8 << BigInt(8 * amount), 32), "clear"),
  modified("MVNI (16-bit shifted)", "1", "10 amount 0", 0, (imm8, amount) => replicate(~(imm8 << BigInt(8 * amount)), 16), "move"),
  modified("BIC (vector, immediate, 16-bit)", "1", "10 amount 1", 0, (imm8, amount) => replicate(imm8 << BigInt(8 * amount), 16), "clear"),
  modified("MVNI (32-bit shifting ones)", "1", "110 amount", 0, (imm8, amount) => replicate(~shiftOnes(imm8, amount), 32), "move"),
  modified("MOVI (64-bit)", "1", "1110", 0, everyByte, "move"),
  composed("FMOV (vector, immediate, double)", "0 1 1 0111100000 high:3 1111 0 1 low:5 rd:5", moveDouble, "AdvSIMD"),
];

interface Copy {
  readonly imm5: number;
  readonly rn: number;
  readonly rd: number;
}

/** The lowest bit of imm5 that is set says how wide the lane is, those above which one; null: reserved. */
function laneOf(imm5: number): { bits: LaneBits; index: number } | null {
  const size = Math.clz32(imm5 & -imm5) ^ 31;
  return (imm5 & 15) === 0 ? null : { bits: (8 << size) as LaneBits, index: imm5 >> (size + 1) };
}

function duplicateElement(m: Machine, { q, imm5, rn, rd }: Copy & { q: number }) {
  const lane = laneOf(imm5);
  if (lane === null || (lane.bits === 64 && q === 0)) return m.undefined();
  m.simd.checkFp();
  m.simd.setV(rd, m.simd.low(totalOf(q), splatLane(m.simd, lane.bits, m.simd.v(rn), lane.index)));
}

function takeElement(m: Machine, { imm5, rn, rd }: Copy) {
  const lane = laneOf(imm5);
  if (lane === null) return m.undefined();
  m.simd.checkFp();
  m.simd.setV(rd, m.simd.low(lane.bits, splatLane(m.simd, lane.bits, m.simd.v(rn), lane.index)));
}

function duplicateGeneral(m: Machine, { q, imm5, rn, rd }: Copy & { q: number }) {
  const lane = laneOf(imm5);
  if (lane === null || (lane.bits === 64 && q === 0)) return m.undefined();
  m.simd.checkFp();
  m.simd.setV(rd, m.simd.low(totalOf(q), m.simd.splat(lane.bits, m.w64.x(rn))));
}

function insertGeneral(m: Machine, { imm5, rn, rd }: Copy) {
  const lane = laneOf(imm5);
  if (lane === null) return m.undefined();
  m.simd.checkFp();
  m.simd.setV(rd, m.simd.withLane(lane.bits, lane.index, m.simd.v(rd), m.w64.x(rn)));
}

function insertElement(m: Machine, { imm5, imm4, rn, rd }: Copy & { imm4: number }) {
  const lane = laneOf(imm5);
  if (lane === null) return m.undefined();
  const { simd } = m;
  simd.checkFp();
  const from = (imm4 * 8) / lane.bits;
  const value = simd.lane(lane.bits, Math.floor(from), simd.v(rn));
  simd.setV(rd, simd.withLane(lane.bits, lane.index, simd.v(rd), value));
}

function moveSigned(m: Machine, { q, imm5, rn, rd }: Copy & { q: number }) {
  const lane = laneOf(imm5);
  if (lane === null || lane.bits === 64 || (lane.bits === 32 && q === 0)) return m.undefined();
  m.simd.checkFp();
  const value = m.signExtend(m.simd.lane(lane.bits, lane.index, m.simd.v(rn)), lane.bits);
  if (q === 1) m.w64.setX(rd, value);
  else m.w32.setX(rd, m.w32.from64(value));
}

function moveUnsigned(m: Machine, { q, imm5, rn, rd }: Copy & { q: number }) {
  const lane = laneOf(imm5);
  // The 64-bit form is for lanes of 64 bits only.
  if (lane === null || (q === 1) !== (lane.bits === 64)) return m.undefined();
  m.simd.checkFp();
  m.w64.setX(rd, m.simd.lane(lane.bits, lane.index, m.simd.v(rn)));
}

/** Lane n of the result is lane `from(n, lanes)` of both operands together, each of `lanes` lanes. */
function permute(name: string, opcode: string, from: (n: number, lanes: number) => number): Insn {
  const run: Semantics<{ q: number; size: number; rm: number; rn: number; rd: number }> = (m, fields) => {
    const { q, size, rm, rn, rd } = fields;
    if (size === 3 && q === 0) return m.undefined();
    m.simd.checkFp();
    const bits = 8 << size;
    const total = totalOf(q);
    const lanes = total / bits;
    const beyond = 128 / bits;
    const chosen = Array.from({ length: beyond }, (_, n) => {
      const lane = n < lanes ? from(n, lanes) : 0;
      return lane < lanes ? lane : beyond + lane - lanes;
    });
    const v = m.simd.shuffle(m.simd.v(rn), m.simd.v(rm), lanesToBytes(bits, chosen));
    m.simd.setV(rd, m.simd.low(total, v));
  };
  return composed(name, `0 q 0 01110 size:2 0 rm:5 0 ${opcode} 10 rn:5 rd:5`, run, "AdvSIMD");
}

function extract(m: Machine, { q, rm, imm4, rn, rd }: { q: number; rm: number; imm4: number; rn: number; rd: number }) {
  if (q === 0 && imm4 > 7) return m.undefined();
  m.simd.checkFp();
  const bytes = q === 1 ? 16 : 8;
  const chosen = Array.from({ length: 16 }, (_, n) => {
    const at = imm4 + (n % bytes);
    return at < bytes ? at : 16 + at - bytes;
  });
  m.simd.setV(rd, m.simd.low(totalOf(q), m.simd.shuffle(m.simd.v(rn), m.simd.v(rm), chosen)));
}

type Table = { q: number; rm: number; len: number; rn: number; rd: number };

function lookUp(outside: "zero" | "keep"): Semantics<Table> {
  return ({ simd }, { q, rm, len, rn, rd }) => {
    simd.checkFp();
    const tables = Array.from({ length: len + 1 }, (_, n) => simd.v((rn + n) % 32));
    const found = simd.lookUp(tables, simd.v(rm), outside === "keep" ? simd.v(rd) : null);
    simd.setV(rd, simd.low(totalOf(q), found));
  };
}

/** 64 bits of copies of a value of `bits` bits. */
function replicate(value: bigint, bits: number): bigint {
  let word = 0n;
  for (let at = 0; at < 64; at += bits) word |= BigInt.asUintN(bits, value) << BigInt(at);
  return word;
}

/** The bits that are shifted in are ones. */
function shiftOnes(imm8: bigint, amount: number): bigint {
  const by = BigInt(8 * (amount + 1));
  return (imm8 << by) | ((1n << by) - 1n);
}

/** Every bit of the immediate fills a byte. */
function everyByte(imm8: bigint): bigint {
  let word = 0n;
  for (let n = 0n; n < 8n; n++) if (((imm8 >> n) & 1n) === 1n) word |= 0xffn << (8n * n);
  return word;
}

type Use = "move" | "or" | "clear";
type Immediate = { q: number; high: number; low: number; amount?: number; rd: number };

const used: Readonly<Record<Use, (simd: Simd, d: V128, constant: V128) => V128>> = {
  move: (_, __, constant) => constant,
  or: (simd, d, constant) => simd.binary("orr", 64, d, constant),
  clear: (simd, d, constant) => simd.binary("bic", 64, d, constant),
};

function modified(
  name: string,
  op: string,
  cmode: string,
  o2: 0 | 1,
  word: (imm8: bigint, amount: number) => bigint,
  use: Use,
): Insn {
  const run: Semantics<Immediate> = ({ simd }, { q, high, low, amount = 0, rd }) => {
    simd.checkFp();
    const constant = word(BigInt((high << 5) | low), amount);
    const v = used[use](simd, simd.v(rd), simd.vectorConstant(constant, constant));
    simd.setV(rd, simd.low(totalOf(q), v));
  };
  const feature = o2 === 1 ? "FP16" : "AdvSIMD";
  return composed(name, `0 q ${op} 0111100000 high:3 ${cmode} ${o2} 1 low:5 rd:5`, run, feature);
}

function moveDouble({ simd }: Machine, { high, low, rd }: { high: number; low: number; rd: number }) {
  simd.checkFp();
  const word = expandImmediate((high << 5) | low, 64);
  simd.setV(rd, simd.vectorConstant(word, word));
}
