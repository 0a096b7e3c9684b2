// Loads and stores of general registers, but for exclusive, ordered and atomic ones. DDI 0487 C4.1.

import { described, UNPRIVILEGED } from "../access.js";
import { type Insn, insn, type Semantics, todo } from "../insn.js";
import type { AccessBytes, I64, Machine } from "../machine.js";
import { base, extend } from "../pseudocode.js";

type TwoBits = "00" | "01" | "10" | "11";

/** What a load or store moves; every addressing mode below has all of these. */
export interface Transfer {
  readonly load: "load" | "store";
  /** What follows LDR or STR in the name. */
  readonly suffix: "B" | "H" | "SB" | "SH" | "SW" | "";
  readonly size: TwoBits;
  readonly opc: TwoBits;
  readonly bytes: AccessBytes;
  readonly signed: 0 | 1;
  /** Width of the register. */
  readonly sf: 0 | 1;
}

// biome-ignore format: table
export const transfers: readonly Transfer[] = [
  { load: "store", suffix: "B",  size: "00", opc: "00", bytes: 1, signed: 0, sf: 0 },
  { load: "load",  suffix: "B",  size: "00", opc: "01", bytes: 1, signed: 0, sf: 0 },
  { load: "load",  suffix: "SB", size: "00", opc: "10", bytes: 1, signed: 1, sf: 1 },
  { load: "load",  suffix: "SB", size: "00", opc: "11", bytes: 1, signed: 1, sf: 0 },
  { load: "store", suffix: "H",  size: "01", opc: "00", bytes: 2, signed: 0, sf: 0 },
  { load: "load",  suffix: "H",  size: "01", opc: "01", bytes: 2, signed: 0, sf: 0 },
  { load: "load",  suffix: "SH", size: "01", opc: "10", bytes: 2, signed: 1, sf: 1 },
  { load: "load",  suffix: "SH", size: "01", opc: "11", bytes: 2, signed: 1, sf: 0 },
  { load: "store", suffix: "",   size: "10", opc: "00", bytes: 4, signed: 0, sf: 0 },
  { load: "load",  suffix: "",   size: "10", opc: "01", bytes: 4, signed: 0, sf: 0 },
  { load: "load",  suffix: "SW", size: "10", opc: "10", bytes: 4, signed: 1, sf: 1 },
  { load: "store", suffix: "",   size: "11", opc: "00", bytes: 8, signed: 0, sf: 1 },
  { load: "load",  suffix: "",   size: "11", opc: "01", bytes: 8, signed: 0, sf: 1 },
];

/** "LDURSB Xt (unscaled)": the register's width is a part of the name where the mnemonic leaves it open. */
function title(t: Transfer, letter: "" | "U" | "T", mode: string): string {
  return `${t.load === "load" ? "LD" : "ST"}${letter}R${t.suffix} ${t.sf === 1 ? "Xt" : "Wt"} (${mode})`;
}

// biome-ignore format: table
export const loadStore: readonly Insn[] = [
  // Load register (literal)
  insn("LDR Wt (literal)",   "00 011 0 00 imm19:s19 rt:5",                        literal(0, 4, 0)),
  insn("LDR Xt (literal)",   "01 011 0 00 imm19:s19 rt:5",                        literal(1, 8, 0)),
  insn("LDRSW Xt (literal)", "10 011 0 00 imm19:s19 rt:5",                        literal(1, 4, 1)),
  insn("PRFM (literal)",     "11 011 0 00 imm19:s19 rt:5",                        () => {}),

  // Load/store pair: no-allocate, post-indexed, offset, pre-indexed
  ...pairs("NP", "000", "offset"),
  ...pairs("P", "001", "post"),
  ...pairs("P", "010", "offset"),
  ...pairs("P", "011", "pre"),
  insn("LDPSW (post)",       "01 101 0 001 1 imm7:s7 rt2:5 rn:5 rt:5",            loadPairSigned("post")),
  insn("LDPSW (offset)",     "01 101 0 010 1 imm7:s7 rt2:5 rn:5 rt:5",            loadPairSigned("offset")),
  insn("LDPSW (pre)",        "01 101 0 011 1 imm7:s7 rt2:5 rn:5 rt:5",            loadPairSigned("pre")),
  todo("STGP (post)",        "01 101 0 001 0 imm7:s7 rt2:5 rn:5 rt:5",            "MTE"),
  todo("STGP (offset)",      "01 101 0 010 0 imm7:s7 rt2:5 rn:5 rt:5",            "MTE"),
  todo("STGP (pre)",         "01 101 0 011 0 imm7:s7 rt2:5 rn:5 rt:5",            "MTE"),

  // Load/store register: unscaled, post-indexed, unprivileged, pre-indexed, register offset, unsigned immediate
  ...transfers.map((t) => insn(title(t, "U", "unscaled"),         `${t.size} 111 0 00 ${t.opc} 0 imm9:s9 00 rn:5 rt:5`, unscaled(t, 0))),
  ...transfers.map((t) => insn(title(t, "", "post"),              `${t.size} 111 0 00 ${t.opc} 0 imm9:s9 01 rn:5 rt:5`, indexed(t, "post"))),
  ...transfers.map((t) => insn(title(t, "T", "unprivileged"),     `${t.size} 111 0 00 ${t.opc} 0 imm9:s9 10 rn:5 rt:5`, unscaled(t, UNPRIVILEGED))),
  ...transfers.map((t) => insn(title(t, "", "pre"),               `${t.size} 111 0 00 ${t.opc} 0 imm9:s9 11 rn:5 rt:5`, indexed(t, "pre"))),
  ...transfers.map((t) => insn(title(t, "", "register"),          `${t.size} 111 0 00 ${t.opc} 1 rm:5 option:3 s 10 rn:5 rt:5`, registerOffset(t))),
  ...transfers.map((t) => insn(title(t, "", "immediate"),         `${t.size} 111 0 01 ${t.opc} imm12:12 rn:5 rt:5`, unsignedOffset(t))),
  insn("PRFUM",              "11 111 0 00 10 0 imm9:s9 00 rn:5 rt:5",             () => {}),
  insn("PRFM (register)",    "11 111 0 00 10 1 rm:5 option:3 s 10 rn:5 rt:5",     prefetchRegister),
  insn("PRFM (immediate)",   "11 111 0 01 10 imm12:12 rn:5 rt:5",                 () => {}),

  // Memory tagging, memory copy and set
  todo("LDG/STG and kin",    "11 011001 opc:2 1 imm9:9 op2:2 rn:5 rt:5",          "MTE"),
  todo("CPY/SET",            "size:2 011 o0 01 op1:2 0 rs:5 op2:4 01 rn:5 rd:5",  "MOPS"),
];

/** Moves one register; ISS.ISV is 1 where the hardware describes the access. */
export function transfer(m: Machine, t: Transfer, rt: number, address: I64, access: number): void {
  if (t.load === "store") {
    m.store(t.bytes, address, m.w64.x(rt), access);
    return;
  }
  setLoaded(m, t, rt, m.load(t.bytes, address, access));
}

/** Writes a loaded value as the instruction extends it. */
export function setLoaded(
  m: Machine,
  { bytes, signed, sf }: Pick<Transfer, "bytes" | "signed" | "sf">,
  rt: number,
  data: I64,
): void {
  if (signed === 0 || bytes === 8) {
    m.w64.setX(rt, data);
    return;
  }
  const extended = m.signExtend(data, (bytes * 8) as 8 | 16 | 32);
  if (sf === 1) m.w64.setX(rt, extended);
  else m.w32.setX(rt, m.w32.from64(extended));
}

function literal(sf: 0 | 1, bytes: 4 | 8, signed: 0 | 1): Semantics<{ imm19: number; rt: number }> {
  const access = described({ bytes, rt: 0, sf, signed });
  return (m, { imm19, rt }) => {
    const data = m.load(bytes, m.pcPlus(imm19 * 4), access | (rt << 16));
    setLoaded(m, { bytes, signed, sf }, rt, data);
  };
}

function unscaled(t: Transfer, how: number): Semantics<{ imm9: number; rn: number; rt: number }> {
  const access = described({ ...t, rt: 0 }) | how;
  return (m, { imm9, rn, rt }) => {
    const address = m.w64.add(base(m, rn), m.w64.immediate(imm9));
    transfer(m, t, rt, address, access | (rt << 16));
  };
}

function unsignedOffset(t: Transfer): Semantics<{ imm12: number; rn: number; rt: number }> {
  const access = described({ ...t, rt: 0 });
  return (m, { imm12, rn, rt }) => {
    const address = m.w64.add(base(m, rn), m.w64.immediate(imm12 * t.bytes));
    transfer(m, t, rt, address, access | (rt << 16));
  };
}

// With write-back, hardware does not describe the access (ISV = 0).
function indexed(t: Transfer, mode: "post" | "pre"): Semantics<{ imm9: number; rn: number; rt: number }> {
  return (m, { imm9, rn, rt }) => {
    const before = base(m, rn);
    const after = m.w64.add(before, m.w64.immediate(imm9));
    transfer(m, t, rt, mode === "pre" ? after : before, 0);
    m.w64.setXsp(rn, after);
  };
}

type RegisterOffset = { rm: number; option: number; s: number; rn: number; rt: number };

function registerOffset(t: Transfer): Semantics<RegisterOffset> {
  const access = described({ ...t, rt: 0 });
  const scale = Math.log2(t.bytes);
  return (m, { rm, option, s, rn, rt }) => {
    if ((option & 2) === 0) return m.undefined();
    const index = m.w64.lsl(extend(m, m.w64.x(rm), option), s === 1 ? scale : 0);
    transfer(m, t, rt, m.w64.add(base(m, rn), index), access | (rt << 16));
  };
}

function prefetchRegister(m: Machine, { option }: RegisterOffset) {
  if ((option & 2) === 0) m.undefined();
}

type Pair = { imm7: number; rt2: number; rn: number; rt: number };
type Mode = "offset" | "post" | "pre";

function pairs(letters: "NP" | "P", mode: "000" | "001" | "010" | "011", addressing: Mode): Insn[] {
  const how = letters === "NP" ? "no-allocate" : addressing;
  return [
    insn(`ST${letters} Wt (${how})`, `00 101 0 ${mode} 0 imm7:s7 rt2:5 rn:5 rt:5`, storePair(4, addressing)),
    insn(`LD${letters} Wt (${how})`, `00 101 0 ${mode} 1 imm7:s7 rt2:5 rn:5 rt:5`, loadPair(4, addressing)),
    insn(`ST${letters} Xt (${how})`, `10 101 0 ${mode} 0 imm7:s7 rt2:5 rn:5 rt:5`, storePair(8, addressing)),
    insn(`LD${letters} Xt (${how})`, `10 101 0 ${mode} 1 imm7:s7 rt2:5 rn:5 rt:5`, loadPair(8, addressing)),
  ];
}

function storePair(bytes: 4 | 8, mode: Mode): Semantics<Pair> {
  return (m, { imm7, rt2, rn, rt }) => {
    const before = base(m, rn);
    const after = m.w64.add(before, m.w64.immediate(imm7 * bytes));
    m.storePair(bytes, mode === "post" ? before : after, m.w64.x(rt), m.w64.x(rt2), 0);
    if (mode !== "offset") m.w64.setXsp(rn, after);
  };
}

function loadPair(bytes: 4 | 8, mode: Mode, signed: 0 | 1 = 0): Semantics<Pair> {
  return (m, { imm7, rt2, rn, rt }) => {
    const before = base(m, rn);
    const after = m.w64.add(before, m.w64.immediate(imm7 * bytes));
    const address = mode === "post" ? before : after;
    const first = m.load(bytes, address, 0);
    const second = m.load(bytes, m.w64.add(address, m.w64.immediate(bytes)), 0);
    setLoaded(m, { bytes, signed, sf: 1 }, rt2, second);
    setLoaded(m, { bytes, signed, sf: 1 }, rt, first);
    if (mode !== "offset") m.w64.setXsp(rn, after);
  };
}

function loadPairSigned(mode: Mode): Semantics<Pair> {
  return loadPair(4, mode, 1);
}
