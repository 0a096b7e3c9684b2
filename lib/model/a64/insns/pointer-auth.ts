// Pointer authentication (FEAT_PAuth): signing, authenticating and stripping pointers, and branches and loads through
// signed ones. DDI 0487 C4.1. Those among the hints do nothing where the CPU has no keys; the machine knows.

import { described } from "../access.js";
import { composed, type Insn, insn, type Semantics } from "../insn.js";
import type { I64, Machine, PacKey } from "../machine.js";

const instructionKeys = [
  { key: "IA", letter: "A", bit: "0" },
  { key: "IB", letter: "B", bit: "1" },
] as const;
const dataKeys = [
  { key: "DA", letter: "A", bit: "0" },
  { key: "DB", letter: "B", bit: "1" },
] as const;
const allKeys = [
  { key: "IA", bits: "00" },
  { key: "IB", bits: "01" },
  { key: "DA", bits: "10" },
  { key: "DB", bits: "11" },
] as const;

/** The stack pointer as a modifier, which nobody checks. */
const sp = (m: Machine): I64 => m.w64.xsp(31);
const zero = (m: Machine): I64 => m.w64.x(31);

// biome-ignore format: table
export const pointerAuth: readonly Insn[] = [
  ...allKeys.flatMap(({ key, bits }) => [
    composed(`PAC${key}`,  `1 1 0 11010110 00001 000 0 ${bits} rn:5 rd:5`,      sign(key),         "PAuth"),
    composed(`AUT${key}`,  `1 1 0 11010110 00001 000 1 ${bits} rn:5 rd:5`,      authenticate(key), "PAuth"),
    composed(`PACZ (${key})`,  `1 1 0 11010110 00001 001 0 ${bits} 11111 rd:5`, signZero(key),         "PAuth"),
    composed(`AUTZ (${key})`,  `1 1 0 11010110 00001 001 1 ${bits} 11111 rd:5`, authenticateZero(key), "PAuth"),
  ]),
  insn("XPACI",     "1 1 0 11010110 00001 010000 11111 rd:5",      (m, { rd }) => m.w64.setX(rd, m.stripPac("instruction", m.w64.x(rd))), "PAuth"),
  insn("XPACD",     "1 1 0 11010110 00001 010001 11111 rd:5",      (m, { rd }) => m.w64.setX(rd, m.stripPac("data", m.w64.x(rd))), "PAuth"),
  insn("PACGA",     "1 0 0 11010110 rm:5 001100 rn:5 rd:5",        (m, { rm, rn, rd }) => m.w64.setX(rd, m.genericPac(m.w64.x(rn), m.w64.xsp(rm))), "PAuth"),

  ...hints("1716",  { bits: "0001", a: "000", b: "010" }, 17, (m) => m.w64.x(16)),
  ...hints("Z",     { bits: "0011", a: "000", b: "010" }, 30, zero),
  ...hints("SP",    { bits: "0011", a: "001", b: "011" }, 30, sp),
  insn("XPACLRI",   "11010101000000110010 0000 111 11111",         (m) => m.w64.setX(30, m.stripPac("instruction", m.w64.x(30)))),

  ...instructionKeys.flatMap(({ key, letter, bit }) => [
    composed(`BRA${letter}`,    `1101011 1000 11111 00001 ${bit} rn:5 rm:5`,   branch(key, "jump", "register"), "PAuth"),
    composed(`BRA${letter}Z`,   `1101011 0000 11111 00001 ${bit} rn:5 11111`,  branch(key, "jump", "zero"),     "PAuth"),
    composed(`BLRA${letter}`,   `1101011 1001 11111 00001 ${bit} rn:5 rm:5`,   branch(key, "call", "register"), "PAuth"),
    composed(`BLRA${letter}Z`,  `1101011 0001 11111 00001 ${bit} rn:5 11111`,  branch(key, "call", "zero"),     "PAuth"),
    composed(`RETA${letter}`,   `1101011 0010 11111 00001 ${bit} 11111 11111`, returnBy(key), "PAuth"),
    composed(`ERETA${letter}`,  `1101011 0100 11111 00001 ${bit} 11111 11111`, (m: Machine) => m.eret(key), "PAuth"),
  ]),

  ...dataKeys.flatMap(({ key, letter, bit }) => [
    composed(`LDRA${letter}`,       `11 111 0 00 ${bit} s 1 imm9:9 0 1 rn:5 rt:5`, load(key, "offset"), "PAuth"),
    composed(`LDRA${letter} (pre)`, `11 111 0 00 ${bit} s 1 imm9:9 1 1 rn:5 rt:5`, load(key, "pre"),    "PAuth"),
  ]),
];

function sign(key: PacKey): Semantics<{ rn: number; rd: number }> {
  return (m, { rn, rd }) => m.w64.setX(rd, m.addPac(key, m.w64.x(rd), m.w64.xsp(rn)));
}

function authenticate(key: PacKey): Semantics<{ rn: number; rd: number }> {
  return (m, { rn, rd }) => m.w64.setX(rd, m.authenticate(key, m.w64.x(rd), m.w64.xsp(rn), "alone"));
}

function signZero(key: PacKey): Semantics<{ rd: number }> {
  return (m, { rd }) => m.w64.setX(rd, m.addPac(key, m.w64.x(rd), zero(m)));
}

function authenticateZero(key: PacKey): Semantics<{ rd: number }> {
  return (m, { rd }) => m.w64.setX(rd, m.authenticate(key, m.w64.x(rd), zero(m), "alone"));
}

/** The four hints of one register and modifier. */
function hints(
  suffix: string,
  { bits, a, b }: { bits: string; a: string; b: string },
  register: number,
  modifier: (m: Machine) => I64,
): Insn[] {
  const authenticating = (op2: string) => `1${op2.slice(1)}`;
  return instructionKeys.flatMap(({ key, letter }) => {
    const op2 = letter === "A" ? a : b;
    return [
      composed(`PACI${letter}${suffix}`, `11010101000000110010 ${bits} ${op2} 11111`, (m: Machine) =>
        m.w64.setX(register, m.addPac(key, m.w64.x(register), modifier(m))),
      ),
      composed(`AUTI${letter}${suffix}`, `11010101000000110010 ${bits} ${authenticating(op2)} 11111`, (m: Machine) =>
        m.w64.setX(register, m.authenticate(key, m.w64.x(register), modifier(m), "alone")),
      ),
    ];
  });
}

type Branch = { rn: number; rm: number };

function branch(key: PacKey, kind: "jump" | "call", modifier: "register" | "zero"): Semantics<Branch> {
  return (m, { rn, rm }) => {
    const by = modifier === "zero" ? zero(m) : m.w64.xsp(rm);
    const target = m.authenticate(key, m.w64.x(rn), by, "combined");
    if (kind === "jump") return m.branchTo(target, rn === 16 || rn === 17 ? "veneer" : "jump");
    const next = m.pcPlus(4);
    m.branchTo(target, "call");
    m.w64.setX(30, next);
  };
}

function returnBy(key: PacKey): (m: Machine) => void {
  return (m) => m.branchTo(m.authenticate(key, m.w64.x(30), sp(m), "combined"), "return");
}

type Load = { s: number; imm9: number; rn: number; rt: number };

function load(key: PacKey, mode: "offset" | "pre"): Semantics<Load> {
  const access = mode === "offset" ? described({ bytes: 8, rt: 0, sf: 1, signed: 0 }) : 0;
  return (m, { s, imm9, rn, rt }) => {
    const base = m.authenticate(key, m.w64.xsp(rn), zero(m), "combined");
    if (rn === 31) m.checkSpAlignment();
    const address = m.w64.add(base, m.w64.immediate((imm9 - (s === 1 ? 512 : 0)) * 8));
    m.w64.setX(rt, m.load(8, address, mode === "offset" ? access | (rt << 16) : 0));
    if (mode === "pre") m.w64.setXsp(rn, address);
  };
}
