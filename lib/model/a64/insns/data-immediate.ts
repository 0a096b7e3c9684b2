// Data Processing -- Immediate. DDI 0487 C4.1.

import { insn, type Semantics, todo } from "../insn.js";
import type { Machine, Sized } from "../machine.js";
import { type AtWidth, DecodeBitMasks } from "../pseudocode.js";

// biome-ignore format: table
export const dataImmediate = [
  // PC-relative addressing
  insn("ADR",               "0 immlo:2 10000 immhi:s19 rd:5",                     adr),
  insn("ADRP",              "1 immlo:2 10000 immhi:s19 rd:5",                     adrp),

  // Add/subtract (immediate)
  insn("ADD (immediate)",   "sf 0 0 100010 sh imm12:12 rn:5 rd:5",                addSubImmediate({})),
  insn("ADDS (immediate)",  "sf 0 1 100010 sh imm12:12 rn:5 rd:5",                addSubImmediate({ flags: true })),
  insn("SUB (immediate)",   "sf 1 0 100010 sh imm12:12 rn:5 rd:5",                addSubImmediate({ sub: true })),
  insn("SUBS (immediate)",  "sf 1 1 100010 sh imm12:12 rn:5 rd:5",                addSubImmediate({ sub: true, flags: true })),
  todo("ADDG",              "1 0 0 100011 0 imm6:6 .. imm4:4 rn:5 rd:5",          "MTE"),
  todo("SUBG",              "1 1 0 100011 0 imm6:6 .. imm4:4 rn:5 rd:5",          "MTE"),
  todo("SMAX/UMAX/SMIN/UMIN (immediate)", "sf 0 0 100011 1 00 opc:2 imm8:8 rn:5 rd:5", "CSSC"),

  // Logical (immediate)
  insn("AND (immediate)",   "sf 00 100100 n immr:6 imms:6 rn:5 rd:5",             logicalImmediate("and")),
  insn("ORR (immediate)",   "sf 01 100100 n immr:6 imms:6 rn:5 rd:5",             logicalImmediate("or")),
  insn("EOR (immediate)",   "sf 10 100100 n immr:6 imms:6 rn:5 rd:5",             logicalImmediate("xor")),
  insn("ANDS (immediate)",  "sf 11 100100 n immr:6 imms:6 rn:5 rd:5",             logicalImmediate("ands")),

  // Move wide (immediate)
  insn("MOVN",              "sf 00 100101 hw:2 imm16:16 rd:5",                    moveWide("not")),
  insn("MOVZ",              "sf 10 100101 hw:2 imm16:16 rd:5",                    moveWide("zero")),
  insn("MOVK",              "sf 11 100101 hw:2 imm16:16 rd:5",                    moveWide("keep")),

  // Bitfield
  insn("SBFM",              "sf 00 100110 n immr:6 imms:6 rn:5 rd:5",             bitfield("signed")),
  insn("BFM",               "sf 01 100110 n immr:6 imms:6 rn:5 rd:5",             bitfield("insert")),
  insn("UBFM",              "sf 10 100110 n immr:6 imms:6 rn:5 rd:5",             bitfield("unsigned")),

  // Extract
  insn("EXTR",              "sf 00 100111 n 0 rm:5 imms:6 rn:5 rd:5",             extr),
];

function adr(m: Machine, { immlo, immhi, rd }: { immlo: number; immhi: number; rd: number }) {
  m.w64.setX(rd, m.pcPlus(immhi * 4 + immlo));
}

function adrp(m: Machine, { immlo, immhi, rd }: { immlo: number; immhi: number; rd: number }) {
  const page = m.w64.and(m.pcPlus(0), m.w64.immediate(-4096));
  m.w64.setX(rd, m.w64.add(page, m.w64.immediate((immhi * 4 + immlo) * 4096)));
}

interface AddSub {
  readonly sub?: true;
  readonly flags?: true;
}

function addSubImmediate({
  sub,
  flags,
}: AddSub): Semantics<{ sf: number; sh: number; imm12: number; rn: number; rd: number }> {
  return (m, { sf, sh, imm12, rn, rd }) => {
    const w = m.at(sf);
    const a = w.xsp(rn);
    const b = w.immediate(sh === 1 ? imm12 * 4096 : imm12);
    const r = sub ? w.sub(a, b) : w.add(a, b);
    if (!flags) return w.setXsp(rd, r);
    if (sub) w.setFlagsSub(a, b, r);
    else w.setFlagsAdd(a, b, r);
    w.setX(rd, r);
  };
}

type Logical = { sf: number; n: number; immr: number; imms: number; rn: number; rd: number };

function logicalImmediate(op: "and" | "or" | "xor" | "ands"): Semantics<Logical> {
  return (m, { sf, n, immr, imms, rn, rd }) => {
    const masks = DecodeBitMasks(n, imms, immr, "logical");
    if (masks === null || (sf === 0 && n === 1)) return m.undefined();
    const w = m.at(sf);
    const mask = w.constant(masks.wmask);
    if (op === "ands") {
      const r = w.and(w.x(rn), mask);
      w.setFlagsLogic(r);
      return w.setX(rd, r);
    }
    w.setXsp(rd, w[op](w.x(rn), mask));
  };
}

function moveWide(kind: "not" | "zero" | "keep"): Semantics<{ sf: number; hw: number; imm16: number; rd: number }> {
  return (m, { sf, hw, imm16, rd }) => {
    if (sf === 0 && hw >= 2) return m.undefined();
    const w = m.at(sf);
    const shifted = w.lsl(w.immediate(imm16), hw * 16);
    if (kind === "zero") return w.setX(rd, shifted);
    if (kind === "not") return w.setX(rd, w.not(shifted));
    const hole = w.not(w.lsl(w.immediate(0xffff), hw * 16));
    w.setX(rd, w.or(w.and(w.x(rd), hole), shifted));
  };
}

type Bitfield = { sf: number; n: number; immr: number; imms: number; rn: number; rd: number };

function bitfield(kind: "signed" | "insert" | "unsigned"): Semantics<Bitfield> {
  return (m, { sf, n, immr, imms, rn, rd }) => {
    if (n !== sf || (sf === 0 && (immr >= 32 || imms >= 32))) return m.undefined();
    const w = m.at(sf);
    if (kind === "insert") return insertBits(w, immr, imms, rn, rd);
    const shift = kind === "signed" ? "asr" : "lsr";
    // Extract when imms >= immr, else insert in zeros (or below the copied sign): two shifts either way.
    const up = w.bits - 1 - imms;
    if (imms >= immr) return w.setX(rd, w[shift](w.lsl(w.x(rn), up), up + immr));
    w.setX(rd, w[shift](w.lsl(w.x(rn), up), immr - imms - 1));
  };
}

function insertBits(w: AtWidth, immr: number, imms: number, rn: number, rd: number): void {
  const masks = DecodeBitMasks(w.bits === 64 ? 1 : 0, imms, immr, "bitfield");
  if (masks === null) return;
  const { wmask, tmask } = masks;
  const inserted = w.and(rotate(w, w.x(rn), immr), w.constant(wmask & tmask));
  w.setX(rd, w.or(w.and(w.x(rd), w.constant(~(wmask & tmask))), inserted));
}

function rotate(w: AtWidth, v: Sized, amount: number): Sized {
  return amount === 0 ? v : w.ror(v, amount);
}

type Extract = { sf: number; n: number; rm: number; imms: number; rn: number; rd: number };

function extr(m: Machine, { sf, n, rm, imms, rn, rd }: Extract) {
  if (n !== sf || (sf === 0 && imms >= 32)) return m.undefined();
  const w = m.at(sf);
  if (imms === 0) return w.setX(rd, w.x(rm));
  w.setX(rd, w.or(w.lsr(w.x(rm), imms), w.lsl(w.x(rn), w.bits - imms)));
}
