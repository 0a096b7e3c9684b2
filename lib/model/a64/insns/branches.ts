// Branches. DDI 0487 C4.1.

import { insn, type Semantics, todo } from "../insn.js";
import type { Machine } from "../machine.js";

// biome-ignore format: table
export const branches = [
  // Conditional branch (immediate)
  insn("B.cond",  "0101010 0 imm19:s19 0 cond:4",                     branchConditional),
  todo("BC.cond", "0101010 0 imm19:s19 1 cond:4",                     "HBC"),

  // Unconditional branch (register)
  insn("BR",      "1101011 0000 11111 000000 rn:5 00000",             branchRegister("jump")),
  insn("BLR",     "1101011 0001 11111 000000 rn:5 00000",             branchRegister("call")),
  insn("RET",     "1101011 0010 11111 000000 rn:5 00000",             branchRegister("return")),
  insn("ERET",    "1101011 0100 11111 000000 11111 00000",            (m) => m.eret(null)),
  insn("DRPS",    "1101011 0101 11111 000000 11111 00000",            (m) => m.undefined()),

  // Unconditional branch (immediate)
  insn("B",       "0 00101 imm26:s26",                                (m, { imm26 }) => m.branch(imm26 * 4)),
  insn("BL",      "1 00101 imm26:s26",                                branchWithLink),

  // Compare and branch (immediate), test and branch (immediate)
  insn("CBZ",     "sf 011010 0 imm19:s19 rt:5",                       compareAndBranch("zero")),
  insn("CBNZ",    "sf 011010 1 imm19:s19 rt:5",                       compareAndBranch("nonzero")),
  insn("TBZ",     "b5 011011 0 b40:5 imm14:s14 rt:5",                 testAndBranch("zero")),
  insn("TBNZ",    "b5 011011 1 b40:5 imm14:s14 rt:5",                 testAndBranch("nonzero")),
];

function branchConditional(m: Machine, { imm19, cond }: { imm19: number; cond: number }) {
  m.branchIf(m.condition(cond), imm19 * 4);
}

function branchWithLink(m: Machine, { imm26 }: { imm26: number }) {
  m.w64.setX(30, m.pcPlus(4));
  m.branch(imm26 * 4);
}

function branchRegister(kind: "jump" | "call" | "return"): Semantics<{ rn: number }> {
  return (m, { rn }) => {
    if (kind === "jump") return m.branchTo(m.w64.x(rn), rn === 16 || rn === 17 ? "veneer" : "jump");
    if (kind === "return") return m.branchTo(m.w64.x(rn), kind);
    // BLR X30 jumps to what X30 was: the branch only writes PC, so it comes first.
    const next = m.pcPlus(4);
    m.branchTo(m.w64.x(rn), kind);
    m.w64.setX(30, next);
  };
}

function compareAndBranch(on: "zero" | "nonzero"): Semantics<{ sf: number; imm19: number; rt: number }> {
  return (m, { sf, imm19, rt }) => {
    const w = m.at(sf);
    const zero = w.isZero(w.x(rt));
    m.branchIf(on === "zero" ? zero : m.not(zero), imm19 * 4);
  };
}

function testAndBranch(on: "zero" | "nonzero"): Semantics<{ b5: number; b40: number; imm14: number; rt: number }> {
  return (m, { b5, b40, imm14, rt }) => {
    const set = m.w64.bit(m.w64.x(rt), b5 * 32 + b40);
    m.branchIf(on === "nonzero" ? set : m.not(set), imm14 * 4);
  };
}
