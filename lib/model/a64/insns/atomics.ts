// Atomic memory operations, compare and swap (FEAT_LSE). DDI 0487 C4.1.

import { ORDERED } from "../access.js";
import { type Insn, insn, type Semantics, todo } from "../insn.js";
import type { AccessBytes, AtomicOperation } from "../machine.js";
import { base } from "../pseudocode.js";

const sizes = [
  { size: "00", suffix: "B Wt", bytes: 1 },
  { size: "01", suffix: "H Wt", bytes: 2 },
  { size: "10", suffix: " Wt", bytes: 4 },
  { size: "11", suffix: " Xt", bytes: 8 },
] as const;

const operations = [
  { name: "LDADD", op: "add", o3opc: "0 000" },
  { name: "LDCLR", op: "clear", o3opc: "0 001" },
  { name: "LDEOR", op: "eor", o3opc: "0 010" },
  { name: "LDSET", op: "set", o3opc: "0 011" },
  { name: "LDSMAX", op: "smax", o3opc: "0 100" },
  { name: "LDSMIN", op: "smin", o3opc: "0 101" },
  { name: "LDUMAX", op: "umax", o3opc: "0 110" },
  { name: "LDUMIN", op: "umin", o3opc: "0 111" },
  { name: "SWP", op: "swap", o3opc: "1 000" },
] as const;

// Acquire (a, l) and release (r, o0) order nothing that this machine reorders: atomics are sequentially consistent.
// biome-ignore format: table
export const atomics: readonly Insn[] = [
  ...operations.flatMap(({ name, op, o3opc }) =>
    sizes.map(({ size, suffix, bytes }) =>
      insn(`${name}${suffix}`, `${size} 111 0 00 a r 1 rs:5 ${o3opc} 00 rn:5 rt:5`, atomic(op, bytes), "LSE"))),

  ...sizes.map(({ size, suffix, bytes }) =>
    insn(`CAS${suffix}`,     `${size} 001000 1 l 1 rs:5 o0 11111 rn:5 rt:5`,      compareAndSwap(bytes), "LSE")),
  insn("CASP Wt",            "0 0 001000 0 l 1 rs:5 o0 11111 rn:5 rt:5",          compareAndSwapPair(4), "LSE"),
  insn("CASP Xt",            "0 1 001000 0 l 1 rs:5 o0 11111 rn:5 rt:5",          compareAndSwapPair(8), "LSE"),

  todo("ST64B",              "11 111 0 00 0 0 1 11111 1 001 00 rn:5 rt:5",        "LS64"),
  todo("ST64BV",             "11 111 0 00 0 0 1 rs:5 1 011 00 rn:5 rt:5",         "LS64"),
  todo("ST64BV0",            "11 111 0 00 0 0 1 rs:5 1 010 00 rn:5 rt:5",         "LS64"),
  todo("LD64B",              "11 111 0 00 0 0 1 11111 1 101 00 rn:5 rt:5",        "LS64"),
  todo("LDCLRP/LDSETP/SWPP", "0 0 011001 a r 1 rt2:5 o3 opc:3 00 rn:5 rt:5",      "LSE128"),
  todo("RCWCAS",             "0 s 011001 a r 1 rs:5 0 000 10 rn:5 rt:5",          "THE"),
];

type Fields = { rs: number; rn: number; rt: number };

function atomic(op: AtomicOperation, bytes: AccessBytes): Semantics<Fields> {
  return (m, { rs, rn, rt }) => m.w64.setX(rt, m.atomic(op, bytes, base(m, rn), m.w64.x(rs), ORDERED));
}

function compareAndSwap(bytes: AccessBytes): Semantics<Fields> {
  return (m, { rs, rn, rt }) => m.w64.setX(rs, m.compareAndSwap(bytes, base(m, rn), m.w64.x(rs), m.w64.x(rt), ORDERED));
}

function compareAndSwapPair(bytes: 4 | 8): Semantics<Fields> {
  return (m, { rs, rn, rt }) => {
    if ((rs & 1) !== 0 || (rt & 1) !== 0) return m.undefined();
    const { w64 } = m;
    const expected = [w64.x(rs), w64.x(rs + 1)] as const;
    const desired = [w64.x(rt), w64.x(rt + 1)] as const;
    const [first, second] = m.compareAndSwapPair(bytes, base(m, rn), expected, desired, ORDERED);
    w64.setX(rs, first);
    w64.setX(rs + 1, second);
  };
}
