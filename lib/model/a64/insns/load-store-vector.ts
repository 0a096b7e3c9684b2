// Loads and stores of the SIMD&FP registers. DDI 0487 C4.1.

import { composed, type Insn, insn, type Semantics } from "../insn.js";
import type { I64, Machine } from "../machine.js";
import { base, extend } from "../pseudocode.js";
import type { LaneBits } from "../vector.js";

type Bytes = 1 | 2 | 4 | 8 | 16;

/** What LDR and STR move: the register's letter, size and the upper bit of opc. */
const sizes = [
  { letter: "B", bytes: 1, size: "00", high: "0" },
  { letter: "H", bytes: 2, size: "01", high: "0" },
  { letter: "S", bytes: 4, size: "10", high: "0" },
  { letter: "D", bytes: 8, size: "11", high: "0" },
  { letter: "Q", bytes: 16, size: "00", high: "1" },
] as const;

interface Transfer {
  readonly bytes: Bytes;
  readonly load: "load" | "store";
}

const transfers = sizes.flatMap(({ letter, bytes, size, high }) =>
  (["store", "load"] as const).map((load) => ({
    load,
    bytes,
    size,
    opc: `${high}${load === "load" ? 1 : 0}`,
    title: (how: string, unscaled: "" | "U" = "") => `${load === "load" ? "LD" : "ST"}${unscaled}R ${letter}t (${how})`,
  })),
);

// Q, S and size hold the lane's number, as far as the lane's width leaves room for it.
const widths = [
  { letter: "B", bits: 8, opcode: "00", s: "s", size: "size:2" },
  { letter: "H", bits: 16, opcode: "01", s: "s", size: "high 0" },
  { letter: "S", bits: 32, opcode: "10", s: "s", size: "0 0" },
  { letter: "D", bits: 64, opcode: "10", s: "0", size: "0 1" },
] as const;

// biome-ignore format: table
export const loadStoreVector: readonly Insn[] = [
  insn("LDR St (literal)", "00 011 1 00 imm19:s19 rt:5", literal(4), "FP"),
  insn("LDR Dt (literal)", "01 011 1 00 imm19:s19 rt:5", literal(8), "FP"),
  insn("LDR Qt (literal)", "10 011 1 00 imm19:s19 rt:5", literal(16), "FP"),

  // Load/store pair: no-allocate, post-indexed, offset, pre-indexed
  ...pairs("NP", "000", "no-allocate"),
  ...pairs("P", "001", "post"),
  ...pairs("P", "010", "offset"),
  ...pairs("P", "011", "pre"),

  // Load/store register: unscaled, post-indexed, pre-indexed, register offset, unsigned immediate
  ...transfers.map((t) => composed(t.title("unscaled", "U"), `${t.size} 111 1 00 ${t.opc} 0 imm9:s9 00 rn:5 rt:5`, indexed(t, "offset"), "FP")),
  ...transfers.map((t) => composed(t.title("post"),          `${t.size} 111 1 00 ${t.opc} 0 imm9:s9 01 rn:5 rt:5`, indexed(t, "post"), "FP")),
  ...transfers.map((t) => composed(t.title("pre"),           `${t.size} 111 1 00 ${t.opc} 0 imm9:s9 11 rn:5 rt:5`, indexed(t, "pre"), "FP")),
  ...transfers.map((t) => composed(t.title("register"),      `${t.size} 111 1 00 ${t.opc} 1 rm:5 option:3 s 10 rn:5 rt:5`, registerOffset(t), "FP")),
  ...transfers.map((t) => composed(t.title("immediate"),     `${t.size} 111 1 01 ${t.opc} imm12:12 rn:5 rt:5`, unsignedOffset(t), "FP")),

  // Advanced SIMD load/store multiple structures
  ...multiple("LD4/ST4", "0000", { registers: 4, structure: 4 }),
  ...multiple("LD1/ST1 (four registers)", "0010", { registers: 4, structure: 1 }),
  ...multiple("LD3/ST3", "0100", { registers: 3, structure: 3 }),
  ...multiple("LD1/ST1 (three registers)", "0110", { registers: 3, structure: 1 }),
  ...multiple("LD1/ST1 (one register)", "0111", { registers: 1, structure: 1 }),
  ...multiple("LD2/ST2", "1000", { registers: 2, structure: 2 }),
  ...multiple("LD1/ST1 (two registers)", "1010", { registers: 2, structure: 1 }),

  // Advanced SIMD load/store single structure: opcode<2:1> is log2 of the lane's bytes, 11 replicates
  ...single("LD1/ST1 (single)", { r: 0, odd: 0, structure: 1 }),
  ...single("LD2/ST2 (single)", { r: 1, odd: 0, structure: 2 }),
  ...single("LD3/ST3 (single)", { r: 0, odd: 1, structure: 3 }),
  ...single("LD4/ST4 (single)", { r: 1, odd: 1, structure: 4 }),
  ...replicating("LD1R", { r: 0, odd: 0, structure: 1 }),
  ...replicating("LD2R", { r: 1, odd: 0, structure: 2 }),
  ...replicating("LD3R", { r: 0, odd: 1, structure: 3 }),
  ...replicating("LD4R", { r: 1, odd: 1, structure: 4 }),
];

// Hardware does not describe these accesses (ISV = 0).
function transfer({ simd }: Machine, { bytes, load }: Transfer, rt: number, address: I64): void {
  if (load === "store") simd.storeVector(bytes, address, simd.v(rt), 0);
  else simd.setV(rt, simd.loadVector(bytes, address, 0));
}

function literal(bytes: Bytes): Semantics<{ imm19: number; rt: number }> {
  return (m, { imm19, rt }) => {
    m.simd.checkFp();
    transfer(m, { bytes, load: "load" }, rt, m.pcPlus(imm19 * 4));
  };
}

type Mode = "offset" | "post" | "pre";

function indexed(t: Transfer, mode: Mode): Semantics<{ imm9: number; rn: number; rt: number }> {
  return (m, { imm9, rn, rt }) => {
    m.simd.checkFp();
    const before = base(m, rn);
    const after = m.w64.add(before, m.w64.immediate(imm9));
    transfer(m, t, rt, mode === "post" ? before : after);
    if (mode !== "offset") m.w64.setXsp(rn, after);
  };
}

function unsignedOffset(t: Transfer): Semantics<{ imm12: number; rn: number; rt: number }> {
  return (m, { imm12, rn, rt }) => {
    m.simd.checkFp();
    transfer(m, t, rt, m.w64.add(base(m, rn), m.w64.immediate(imm12 * t.bytes)));
  };
}

type RegisterOffset = { rm: number; option: number; s: number; rn: number; rt: number };

function registerOffset(t: Transfer): Semantics<RegisterOffset> {
  const scale = Math.log2(t.bytes);
  return (m, { rm, option, s, rn, rt }) => {
    if ((option & 2) === 0) return m.undefined();
    m.simd.checkFp();
    const index = m.w64.lsl(extend(m, m.w64.x(rm), option), s === 1 ? scale : 0);
    transfer(m, t, rt, m.w64.add(base(m, rn), index));
  };
}

function pairs(letters: "NP" | "P", mode: string, how: "no-allocate" | Mode): Insn[] {
  const addressing = how === "no-allocate" ? "offset" : how;
  const row = (size: { letter: string; opc: string; bytes: 4 | 8 | 16 }, load: "load" | "store") =>
    composed(
      `${load === "load" ? "LD" : "ST"}${letters} ${size.letter}t (${how})`,
      `${size.opc} 101 1 ${mode} ${load === "load" ? "1" : "0"} imm7:s7 rt2:5 rn:5 rt:5`,
      pair(size.bytes, load, addressing),
      "FP",
    );
  const pairSizes = [
    { letter: "S", opc: "00", bytes: 4 },
    { letter: "D", opc: "01", bytes: 8 },
    { letter: "Q", opc: "10", bytes: 16 },
  ] as const;
  return pairSizes.flatMap((size) => [row(size, "store"), row(size, "load")]);
}

type Pair = { imm7: number; rt2: number; rn: number; rt: number };

function pair(bytes: 4 | 8 | 16, load: "load" | "store", mode: Mode): Semantics<Pair> {
  return (m, { imm7, rt2, rn, rt }) => {
    const { simd, w64 } = m;
    simd.checkFp();
    const before = base(m, rn);
    const after = w64.add(before, w64.immediate(imm7 * bytes));
    const address = mode === "post" ? before : after;
    if (load === "store") simd.storeVectorPair(bytes, address, simd.v(rt), simd.v(rt2), 0);
    else {
      const first = simd.loadVector(bytes, address, 0);
      const second = simd.loadVector(bytes, w64.add(address, w64.immediate(bytes)), 0);
      simd.setV(rt, first);
      simd.setV(rt2, second);
    }
    if (mode !== "offset") w64.setXsp(rn, after);
  };
}

interface Multiple {
  readonly registers: 1 | 2 | 3 | 4;
  /** Elements in turn: 1 for LD1 and ST1. */
  readonly structure: 1 | 2 | 3 | 4;
}

function names(pairOfNames: string): readonly [load: string, store: string] {
  const [load, rest = ""] = pairOfNames.split("/");
  const [store, ...suffix] = rest.split(" ");
  return [[load, ...suffix].join(" "), [store, ...suffix].join(" ")];
}

function multiple(title: string, opcode: string, how: Multiple): Insn[] {
  const [load, store] = names(title);
  const bits = (l: 0 | 1) => `0 q 0011000 ${l} 000000 ${opcode} size:2 rn:5 rt:5`;
  const post = (l: 0 | 1) => `0 q 0011001 ${l} 0 rm:5 ${opcode} size:2 rn:5 rt:5`;
  return [
    composed(store, bits(0), structures("store", how), "AdvSIMD"),
    composed(load, bits(1), structures("load", how), "AdvSIMD"),
    composed(`${store} (post)`, post(0), structures("store", how), "AdvSIMD"),
    composed(`${load} (post)`, post(1), structures("load", how), "AdvSIMD"),
  ];
}

type Structures = { q: number; size: number; rn: number; rt: number; rm?: number };

function structures(load: "load" | "store", { registers, structure }: Multiple): Semantics<Structures> {
  return (m, { q, size, rn, rt, rm }) => {
    if (structure > 1 && size === 3 && q === 0) return m.undefined();
    const { simd, w64 } = m;
    simd.checkFp();
    const bits = (8 << size) as LaneBits;
    const bytes = q === 1 ? 16 : 8;
    const lanes = (bytes * 8) / bits;
    const before = base(m, rn);
    const list = Array.from({ length: registers }, (_, n) => (rt + n) % 32);
    const at = (n: number) => w64.add(before, w64.immediate(n * bytes));
    if (load === "store") {
      const vectors = list.map((n) => simd.v(n));
      if (structure > 1) simd.storeStructures(bits, lanes, before, vectors);
      else for (const [n, vector] of vectors.entries()) simd.storeStructures(bits, lanes, at(n), [vector]);
    } else {
      const loaded =
        structure > 1
          ? simd.loadStructures(structure, bits, lanes, before)
          : list.flatMap((_, n) => simd.loadStructures(1, bits, lanes, at(n)));
      for (const [n, vector] of loaded.entries()) simd.setV(list[n]!, vector);
    }
    postIndex(m, before, rn, rm, registers * bytes);
  };
}

/** Rm of 31 stands for the number of bytes moved; no Rm: no write-back. */
function postIndex({ w64 }: Machine, before: I64, rn: number, rm: number | undefined, bytes: number): void {
  if (rm === undefined) return;
  w64.setXsp(rn, w64.add(before, rm === 31 ? w64.immediate(bytes) : w64.x(rm)));
}

interface Single {
  readonly r: 0 | 1;
  readonly odd: 0 | 1;
  readonly structure: 1 | 2 | 3 | 4;
}

type Lane = { q: number; s?: number; size?: number; high?: number; rn: number; rt: number; rm?: number };

function laneOf(bits: LaneBits, { q, s = 0, size = 0, high = 0 }: Lane): number {
  if (bits === 8) return (q << 3) | (s << 2) | size;
  if (bits === 16) return (q << 2) | (s << 1) | high;
  return bits === 32 ? (q << 1) | s : q;
}

function single(title: string, { r, odd, structure }: Single): Insn[] {
  const [load, store] = names(title);
  return widths.flatMap(({ letter, bits, opcode, s, size }) => {
    const row = (l: 0 | 1, post: boolean) =>
      composed(
        `${l === 1 ? load : store} ${letter}${post ? " (post)" : ""}`,
        `0 q 001101 ${post ? 1 : 0} ${l} ${r} ${post ? "rm:5" : "00000"} ${opcode}${odd} ${s} ${size} rn:5 rt:5`,
        oneLane(l === 1 ? "load" : "store", bits, structure),
        "AdvSIMD",
      );
    return [row(0, false), row(1, false), row(0, true), row(1, true)];
  });
}

function oneLane(load: "load" | "store", bits: LaneBits, structure: number): Semantics<Lane> {
  const bytes = (bits / 8) as 1 | 2 | 4 | 8;
  return (m, fields) => {
    const { simd, w64 } = m;
    simd.checkFp();
    const { rn, rt, rm } = fields;
    const lane = laneOf(bits, fields);
    const before = base(m, rn);
    const list = Array.from({ length: structure }, (_, n) => (rt + n) % 32);
    const at = (n: number) => w64.add(before, w64.immediate(n * bytes));
    if (load === "store") {
      for (const [n, v] of list.entries()) m.store(bytes, at(n), simd.lane(bits, lane, simd.v(v)), 0);
    } else {
      const changed = list.map((v, n) => simd.withLane(bits, lane, simd.v(v), m.load(bytes, at(n), 0)));
      for (const [n, vector] of changed.entries()) simd.setV(list[n]!, vector);
    }
    postIndex(m, before, rn, rm, structure * bytes);
  };
}

function replicating(name: string, { r, odd, structure }: Single): Insn[] {
  return [
    composed(name, `0 q 0011010 1 ${r} 00000 11${odd} 0 size:2 rn:5 rt:5`, replicate(structure), "AdvSIMD"),
    composed(`${name} (post)`, `0 q 0011011 1 ${r} rm:5 11${odd} 0 size:2 rn:5 rt:5`, replicate(structure), "AdvSIMD"),
  ];
}

function replicate(structure: number): Semantics<{ q: number; size: number; rn: number; rt: number; rm?: number }> {
  return (m, { q, size, rn, rt, rm }) => {
    const { simd, w64 } = m;
    simd.checkFp();
    const bits = (8 << size) as LaneBits;
    const bytes = (bits / 8) as 1 | 2 | 4 | 8;
    const before = base(m, rn);
    const vectors = Array.from({ length: structure }, (_, n) => {
      const value = m.load(bytes, w64.add(before, w64.immediate(n * bytes)), 0);
      return simd.low(q === 1 ? 128 : 64, simd.splat(bits, value));
    });
    for (const [n, vector] of vectors.entries()) simd.setV((rt + n) % 32, vector);
    postIndex(m, before, rn, rm, structure * bytes);
  };
}
