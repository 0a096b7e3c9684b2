// Data Processing -- Register. DDI 0487 C4.1.

import { insn, type Semantics, todo } from "../insn.js";
import type { AccessBytes, Machine } from "../machine.js";
import { type AtWidth, ExtendReg, ShiftReg } from "../pseudocode.js";

// biome-ignore format: table
export const dataRegister = [
  // Data-processing (2 source)
  insn("UDIV",    "sf 0 0 11010110 rm:5 000010 rn:5 rd:5",            twoSource((w, a, b) => w.udiv(a, b))),
  insn("SDIV",    "sf 0 0 11010110 rm:5 000011 rn:5 rd:5",            twoSource((w, a, b) => w.sdiv(a, b))),
  insn("LSLV",    "sf 0 0 11010110 rm:5 001000 rn:5 rd:5",            twoSource((w, a, b) => w.lslv(a, b))),
  insn("LSRV",    "sf 0 0 11010110 rm:5 001001 rn:5 rd:5",            twoSource((w, a, b) => w.lsrv(a, b))),
  insn("ASRV",    "sf 0 0 11010110 rm:5 001010 rn:5 rd:5",            twoSource((w, a, b) => w.asrv(a, b))),
  insn("RORV",    "sf 0 0 11010110 rm:5 001011 rn:5 rd:5",            twoSource((w, a, b) => w.rorv(a, b))),
  insn("CRC32B",  "0 0 0 11010110 rm:5 010000 rn:5 rd:5",             crc("04C11DB7", 1), "CRC32"),
  insn("CRC32H",  "0 0 0 11010110 rm:5 010001 rn:5 rd:5",             crc("04C11DB7", 2), "CRC32"),
  insn("CRC32W",  "0 0 0 11010110 rm:5 010010 rn:5 rd:5",             crc("04C11DB7", 4), "CRC32"),
  insn("CRC32X",  "1 0 0 11010110 rm:5 010011 rn:5 rd:5",             crc("04C11DB7", 8), "CRC32"),
  insn("CRC32CB", "0 0 0 11010110 rm:5 010100 rn:5 rd:5",             crc("1EDC6F41", 1), "CRC32"),
  insn("CRC32CH", "0 0 0 11010110 rm:5 010101 rn:5 rd:5",             crc("1EDC6F41", 2), "CRC32"),
  insn("CRC32CW", "0 0 0 11010110 rm:5 010110 rn:5 rd:5",             crc("1EDC6F41", 4), "CRC32"),
  insn("CRC32CX", "1 0 0 11010110 rm:5 010111 rn:5 rd:5",             crc("1EDC6F41", 8), "CRC32"),
  todo("SUBP",    "1 0 0 11010110 rm:5 000000 rn:5 rd:5",             "MTE"),
  todo("SUBPS",   "1 0 1 11010110 rm:5 000000 rn:5 rd:5",             "MTE"),
  todo("IRG",     "1 0 0 11010110 rm:5 000100 rn:5 rd:5",             "MTE"),
  todo("GMI",     "1 0 0 11010110 rm:5 000101 rn:5 rd:5",             "MTE"),
  todo("SMAX/UMAX/SMIN/UMIN (register)", "sf 0 0 11010110 rm:5 0110 opc:2 rn:5 rd:5", "CSSC"),

  // Data-processing (1 source)
  insn("RBIT",    "sf 1 0 11010110 00000 000000 rn:5 rd:5",           oneSource((w, a) => w.rbit(a))),
  insn("REV16",   "sf 1 0 11010110 00000 000001 rn:5 rd:5",           oneSource((w, a) => w.rev(a, 2))),
  insn("REV32",   "sf 1 0 11010110 00000 000010 rn:5 rd:5",           oneSource((w, a) => w.rev(a, 4))),
  insn("REV",     "1 1 0 11010110 00000 000011 rn:5 rd:5",            reverseAll),
  insn("CLZ",     "sf 1 0 11010110 00000 000100 rn:5 rd:5",           oneSource((w, a) => w.clz(a))),
  insn("CLS",     "sf 1 0 11010110 00000 000101 rn:5 rd:5",           oneSource((w, a) => w.cls(a))),
  todo("CTZ",     "sf 1 0 11010110 00000 000110 rn:5 rd:5",           "CSSC"),
  todo("CNT",     "sf 1 0 11010110 00000 000111 rn:5 rd:5",           "CSSC"),
  todo("ABS",     "sf 1 0 11010110 00000 001000 rn:5 rd:5",           "CSSC"),

  // Logical (shifted register)
  insn("AND (shifted register)",  "sf 00 01010 shift:2 0 rm:5 imm6:6 rn:5 rd:5", logical("and", {})),
  insn("BIC (shifted register)",  "sf 00 01010 shift:2 1 rm:5 imm6:6 rn:5 rd:5", logical("and", { invert: true })),
  insn("ORR (shifted register)",  "sf 01 01010 shift:2 0 rm:5 imm6:6 rn:5 rd:5", logical("or", {})),
  insn("ORN (shifted register)",  "sf 01 01010 shift:2 1 rm:5 imm6:6 rn:5 rd:5", logical("or", { invert: true })),
  insn("EOR (shifted register)",  "sf 10 01010 shift:2 0 rm:5 imm6:6 rn:5 rd:5", logical("xor", {})),
  insn("EON (shifted register)",  "sf 10 01010 shift:2 1 rm:5 imm6:6 rn:5 rd:5", logical("xor", { invert: true })),
  insn("ANDS (shifted register)", "sf 11 01010 shift:2 0 rm:5 imm6:6 rn:5 rd:5", logical("and", { flags: true })),
  insn("BICS (shifted register)", "sf 11 01010 shift:2 1 rm:5 imm6:6 rn:5 rd:5", logical("and", { invert: true, flags: true })),

  // Add/subtract (shifted register), (extended register), (with carry)
  insn("ADD (shifted register)",  "sf 0 0 01011 shift:2 0 rm:5 imm6:6 rn:5 rd:5", addSubShifted({})),
  insn("ADDS (shifted register)", "sf 0 1 01011 shift:2 0 rm:5 imm6:6 rn:5 rd:5", addSubShifted({ flags: true })),
  insn("SUB (shifted register)",  "sf 1 0 01011 shift:2 0 rm:5 imm6:6 rn:5 rd:5", addSubShifted({ sub: true })),
  insn("SUBS (shifted register)", "sf 1 1 01011 shift:2 0 rm:5 imm6:6 rn:5 rd:5", addSubShifted({ sub: true, flags: true })),
  insn("ADD (extended register)",  "sf 0 0 01011 00 1 rm:5 option:3 imm3:3 rn:5 rd:5", addSubExtended({})),
  insn("ADDS (extended register)", "sf 0 1 01011 00 1 rm:5 option:3 imm3:3 rn:5 rd:5", addSubExtended({ flags: true })),
  insn("SUB (extended register)",  "sf 1 0 01011 00 1 rm:5 option:3 imm3:3 rn:5 rd:5", addSubExtended({ sub: true })),
  insn("SUBS (extended register)", "sf 1 1 01011 00 1 rm:5 option:3 imm3:3 rn:5 rd:5", addSubExtended({ sub: true, flags: true })),
  insn("ADC",     "sf 0 0 11010000 rm:5 000000 rn:5 rd:5",            addSubCarry({})),
  insn("ADCS",    "sf 0 1 11010000 rm:5 000000 rn:5 rd:5",            addSubCarry({ flags: true })),
  insn("SBC",     "sf 1 0 11010000 rm:5 000000 rn:5 rd:5",            addSubCarry({ sub: true })),
  insn("SBCS",    "sf 1 1 11010000 rm:5 000000 rn:5 rd:5",            addSubCarry({ sub: true, flags: true })),
  todo("ADDPT/SUBPT", "1 op 0 11010000 rm:5 001 imm3:3 rn:5 rd:5",    "CPA"),

  // Rotate right into flags, evaluate into flags
  insn("RMIF",    "1 0 1 11010000 imm6:6 00001 rn:5 0 mask:4",        rmif, "FlagM"),
  insn("SETF8",   "0 0 1 11010000 000000 0 0010 rn:5 0 1101",         setf(8), "FlagM"),
  insn("SETF16",  "0 0 1 11010000 000000 1 0010 rn:5 0 1101",         setf(16), "FlagM"),

  // Conditional compare, conditional select
  insn("CCMN (register)",  "sf 0 1 11010010 rm:5 cond:4 0 0 rn:5 0 nzcv:4",   compare("add", "register")),
  insn("CCMP (register)",  "sf 1 1 11010010 rm:5 cond:4 0 0 rn:5 0 nzcv:4",   compare("sub", "register")),
  insn("CCMN (immediate)", "sf 0 1 11010010 rm:5 cond:4 1 0 rn:5 0 nzcv:4",   compare("add", "immediate")),
  insn("CCMP (immediate)", "sf 1 1 11010010 rm:5 cond:4 1 0 rn:5 0 nzcv:4",   compare("sub", "immediate")),
  insn("CSEL",    "sf 0 0 11010100 rm:5 cond:4 0 0 rn:5 rd:5",        select({})),
  insn("CSINC",   "sf 0 0 11010100 rm:5 cond:4 0 1 rn:5 rd:5",        select({ increment: true })),
  insn("CSINV",   "sf 1 0 11010100 rm:5 cond:4 0 0 rn:5 rd:5",        select({ invert: true })),
  insn("CSNEG",   "sf 1 0 11010100 rm:5 cond:4 0 1 rn:5 rd:5",        select({ invert: true, increment: true })),

  // Data-processing (3 source)
  insn("MADD",    "sf 00 11011 000 rm:5 0 ra:5 rn:5 rd:5",            multiplyAdd("add")),
  insn("MSUB",    "sf 00 11011 000 rm:5 1 ra:5 rn:5 rd:5",            multiplyAdd("sub")),
  insn("SMADDL",  "1 00 11011 001 rm:5 0 ra:5 rn:5 rd:5",             multiplyAddLong("add", "signExtend")),
  insn("SMSUBL",  "1 00 11011 001 rm:5 1 ra:5 rn:5 rd:5",             multiplyAddLong("sub", "signExtend")),
  insn("SMULH",   "1 00 11011 010 rm:5 0 ..... rn:5 rd:5",            multiplyHigh("smulh")),
  insn("UMADDL",  "1 00 11011 101 rm:5 0 ra:5 rn:5 rd:5",             multiplyAddLong("add", "zeroExtend")),
  insn("UMSUBL",  "1 00 11011 101 rm:5 1 ra:5 rn:5 rd:5",             multiplyAddLong("sub", "zeroExtend")),
  insn("UMULH",   "1 00 11011 110 rm:5 0 ..... rn:5 rd:5",            multiplyHigh("umulh")),
  todo("MADDPT/MSUBPT", "1 00 11011 011 rm:5 o0 ra:5 rn:5 rd:5",      "CPA"),
];

type Value = ReturnType<AtWidth["x"]>;
type Three = { rm: number; rn: number; rd: number };

function twoSource(op: (w: AtWidth, a: Value, b: Value) => Value): Semantics<Three & { sf: number }> {
  return (m, { sf, rm, rn, rd }) => {
    const w = m.at(sf);
    w.setX(rd, op(w, w.x(rn), w.x(rm)));
  };
}

function oneSource(op: (w: AtWidth, a: Value) => Value): Semantics<{ sf: number; rn: number; rd: number }> {
  return (m, { sf, rn, rd }) => {
    const w = m.at(sf);
    w.setX(rd, op(w, w.x(rn)));
  };
}

function reverseAll(m: Machine, { rn, rd }: { rn: number; rd: number }) {
  m.w64.setX(rd, m.w64.rev(m.w64.x(rn), 8));
}

function crc(poly: "04C11DB7" | "1EDC6F41", bytes: AccessBytes): Semantics<Three> {
  return (m, { rm, rn, rd }) => m.w32.setX(rd, m.crc32(poly, m.w32.x(rn), m.w64.x(rm), bytes));
}

type Shifted = { sf: number; shift: number; rm: number; imm6: number; rn: number; rd: number };

function logical(op: "and" | "or" | "xor", { invert, flags }: { invert?: true; flags?: true }): Semantics<Shifted> {
  return (m, { sf, shift, rm, imm6, rn, rd }) => {
    if (sf === 0 && imm6 >= 32) return m.undefined();
    const w = m.at(sf);
    const b = ShiftReg(w, rm, shift, imm6);
    const r = w[op](w.x(rn), invert ? w.not(b) : b);
    if (flags) w.setFlagsLogic(r);
    w.setX(rd, r);
  };
}

interface AddSub {
  readonly sub?: true;
  readonly flags?: true;
}

function addSubShifted({ sub, flags }: AddSub): Semantics<Shifted> {
  return (m, { sf, shift, rm, imm6, rn, rd }) => {
    if (shift === 3 || (sf === 0 && imm6 >= 32)) return m.undefined();
    const w = m.at(sf);
    const a = w.x(rn);
    const b = ShiftReg(w, rm, shift, imm6);
    const r = sub ? w.sub(a, b) : w.add(a, b);
    if (flags) setFlags(w, sub, a, b, r);
    w.setX(rd, r);
  };
}

type Extended = { sf: number; rm: number; option: number; imm3: number; rn: number; rd: number };

function addSubExtended({ sub, flags }: AddSub): Semantics<Extended> {
  return (m, { sf, rm, option, imm3, rn, rd }) => {
    if (imm3 > 4) return m.undefined();
    const w = m.at(sf);
    const a = w.xsp(rn);
    const b = ExtendReg(m, w, rm, option, imm3);
    const r = sub ? w.sub(a, b) : w.add(a, b);
    if (!flags) return w.setXsp(rd, r);
    setFlags(w, sub, a, b, r);
    w.setX(rd, r);
  };
}

function addSubCarry({ sub, flags }: AddSub): Semantics<Three & { sf: number }> {
  return (m, { sf, rm, rn, rd }) => {
    const w = m.at(sf);
    const a = w.x(rn);
    const b = w.x(rm);
    // a - b - !C is a + NOT(b) + C.
    const r = w.add(w.add(a, sub ? w.not(b) : b), w.carry());
    if (flags) setFlags(w, sub, a, b, r);
    w.setX(rd, r);
  };
}

function setFlags(w: AtWidth, sub: true | undefined, a: Value, b: Value, r: Value) {
  if (sub) w.setFlagsSub(a, b, r);
  else w.setFlagsAdd(a, b, r);
}

function rmif(m: Machine, { imm6, rn, mask }: { imm6: number; rn: number; mask: number }) {
  const { w32, w64 } = m;
  const rotated = imm6 === 0 ? w64.x(rn) : w64.ror(w64.x(rn), imm6);
  const taken = w32.and(w32.lsl(w32.from64(rotated), 28), w32.immediate(mask * 0x1000_0000));
  m.setNzcv(w32.or(w32.and(m.nzcv(), w32.immediate((15 - mask) * 0x1000_0000)), taken));
}

// N and Z of the low bits, V where the bit above them differs from their sign; C stays.
function setf(bits: 8 | 16): Semantics<{ rn: number }> {
  return (m, { rn }) => {
    const { w32 } = m;
    const v = w32.x(rn);
    const top = w32.lsl(v, 32 - bits);
    const n = w32.and(top, w32.constant(0x8000_0000n));
    const z = w32.select(w32.isZero(top), w32.immediate(0x4000_0000), w32.immediate(0));
    const differs = w32.xor(top, w32.lsl(v, 31 - bits));
    const overflow = w32.lsl(w32.lsr(differs, 31), 28);
    const c = w32.and(m.nzcv(), w32.immediate(0x2000_0000));
    m.setNzcv(w32.or(w32.or(n, z), w32.or(overflow, c)));
  };
}

type Compare = { sf: number; rm: number; cond: number; rn: number; nzcv: number };

function compare(kind: "add" | "sub", operand: "register" | "immediate"): Semantics<Compare> {
  return (m, { sf, rm, cond, rn, nzcv }) => {
    const w = m.at(sf);
    w.conditionalCompare(kind, cond, w.x(rn), operand === "register" ? w.x(rm) : w.immediate(rm), nzcv);
  };
}

type Select = { sf: number; rm: number; cond: number; rn: number; rd: number };

function select({ invert, increment }: { invert?: true; increment?: true }): Semantics<Select> {
  return (m, { sf, rm, cond, rn, rd }) => {
    const w = m.at(sf);
    let otherwise = w.x(rm);
    if (invert) otherwise = w.not(otherwise);
    if (increment) otherwise = w.add(otherwise, w.immediate(1));
    w.setX(rd, w.select(m.condition(cond), w.x(rn), otherwise));
  };
}

type Multiply = { rm: number; ra: number; rn: number; rd: number };

function multiplyAdd(op: "add" | "sub"): Semantics<Multiply & { sf: number }> {
  return (m, { sf, rm, ra, rn, rd }) => {
    const w = m.at(sf);
    w.setX(rd, w[op](w.x(ra), w.mul(w.x(rn), w.x(rm))));
  };
}

function multiplyAddLong(op: "add" | "sub", extension: "signExtend" | "zeroExtend"): Semantics<Multiply> {
  return (m, { rm, ra, rn, rd }) => {
    const { w64 } = m;
    const product = w64.mul(m[extension](w64.x(rn), 32), m[extension](w64.x(rm), 32));
    w64.setX(rd, w64[op](w64.x(ra), product));
  };
}

function multiplyHigh(op: "smulh" | "umulh"): Semantics<Three> {
  return (m, { rm, rn, rd }) => m.w64.setX(rd, m[op](m.w64.x(rn), m.w64.x(rm)));
}
