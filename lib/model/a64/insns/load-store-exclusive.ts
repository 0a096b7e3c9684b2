// Exclusive and ordered loads and stores. DDI 0487 C4.1, "Load/store exclusive", "Load/store ordered", and
// "LDAPR/STLR (unscaled immediate)".

import { described, ORDERED } from "../access.js";
import { type Insn, insn, type Semantics, todo } from "../insn.js";
import type { AccessBytes } from "../machine.js";
import { base } from "../pseudocode.js";
import { type Transfer, transfer, transfers } from "./load-store.js";

const sizes = [
  { size: "00", suffix: "B Wt", bytes: 1 },
  { size: "01", suffix: "H Wt", bytes: 2 },
  { size: "10", suffix: " Wt", bytes: 4 },
  { size: "11", suffix: " Xt", bytes: 8 },
] as const;

const pairSizes = [
  { size: "10", suffix: " Wt", bytes: 4 },
  { size: "11", suffix: " Xt", bytes: 8 },
] as const;

// Rs and Rt2 of loads and of ordered stores should be ones, and nobody looks.
// biome-ignore format: table
export const loadStoreExclusive: readonly Insn[] = [
  ...sizes.map(({ size, suffix, bytes }) => insn(`STXR${suffix}`,  `${size} 001000 0 0 0 rs:5 0 ..... rn:5 rt:5`, storeExclusive(bytes))),
  ...sizes.map(({ size, suffix, bytes }) => insn(`STLXR${suffix}`, `${size} 001000 0 0 0 rs:5 1 ..... rn:5 rt:5`, storeExclusive(bytes))),
  ...sizes.map(({ size, suffix, bytes }) => insn(`LDXR${suffix}`,  `${size} 001000 0 1 0 ..... 0 ..... rn:5 rt:5`, loadExclusive(bytes))),
  ...sizes.map(({ size, suffix, bytes }) => insn(`LDAXR${suffix}`, `${size} 001000 0 1 0 ..... 1 ..... rn:5 rt:5`, loadExclusive(bytes))),
  ...pairSizes.map(({ size, suffix, bytes }) => insn(`STXP${suffix}`,  `${size} 001000 0 0 1 rs:5 0 rt2:5 rn:5 rt:5`, storeExclusivePair(bytes))),
  ...pairSizes.map(({ size, suffix, bytes }) => insn(`STLXP${suffix}`, `${size} 001000 0 0 1 rs:5 1 rt2:5 rn:5 rt:5`, storeExclusivePair(bytes))),
  ...pairSizes.map(({ size, suffix, bytes }) => insn(`LDXP${suffix}`,  `${size} 001000 0 1 1 ..... 0 rt2:5 rn:5 rt:5`, loadExclusivePair(bytes))),
  ...pairSizes.map(({ size, suffix, bytes }) => insn(`LDAXP${suffix}`, `${size} 001000 0 1 1 ..... 1 rt2:5 rn:5 rt:5`, loadExclusivePair(bytes))),

  ...sizes.map(({ size, suffix, bytes }) => insn(`STLLR${suffix}`, `${size} 001000 1 0 0 ..... 0 ..... rn:5 rt:5`, ordered("store", bytes), "LOR")),
  ...sizes.map(({ size, suffix, bytes }) => insn(`STLR${suffix}`,  `${size} 001000 1 0 0 ..... 1 ..... rn:5 rt:5`, ordered("store", bytes))),
  ...sizes.map(({ size, suffix, bytes }) => insn(`LDLAR${suffix}`, `${size} 001000 1 1 0 ..... 0 ..... rn:5 rt:5`, ordered("load", bytes), "LOR")),
  ...sizes.map(({ size, suffix, bytes }) => insn(`LDAR${suffix}`,  `${size} 001000 1 1 0 ..... 1 ..... rn:5 rt:5`, ordered("load", bytes))),
  ...sizes.map(({ size, suffix, bytes }) => insn(`LDAPR${suffix}`, `${size} 111 0 00 1 0 1 11111 1 100 00 rn:5 rt:5`, ordered("load", bytes), "LRCPC")),

  ...transfers.map((t) => insn(unscaledTitle(t), `${t.size} 011001 ${t.opc} 0 imm9:s9 00 rn:5 rt:5`, orderedUnscaled(t), "LRCPC2")),
  todo("LDIAPP/STILP",             "1 sz 011001 0 l 0 rt2:5 opc2:4 10 rn:5 rt:5",   "LRCPC3"),
  todo("LDAPR (post)/STLR (pre)",  "1 sz 011001 1 l 0 00000 0000 10 rn:5 rt:5",     "LRCPC3"),
  todo("LDAPUR/STLUR (SIMD&FP)",   "size:2 011101 opc:2 0 imm9:s9 10 rn:5 rt:5",    "LRCPC3"),
];

function unscaledTitle(t: Transfer): string {
  return `${t.load === "load" ? "LDAPUR" : "STLUR"}${t.suffix} ${t.sf === 1 ? "Xt" : "Wt"}`;
}

function loadExclusive(bytes: AccessBytes): Semantics<{ rn: number; rt: number }> {
  return (m, { rn, rt }) => m.w64.setX(rt, m.loadExclusive(bytes, base(m, rn), ORDERED));
}

function storeExclusive(bytes: AccessBytes): Semantics<{ rs: number; rn: number; rt: number }> {
  return (m, { rs, rn, rt }) => m.w32.setX(rs, m.storeExclusive(bytes, base(m, rn), m.w64.x(rt), ORDERED));
}

function loadExclusivePair(bytes: 4 | 8): Semantics<{ rt2: number; rn: number; rt: number }> {
  return (m, { rt2, rn, rt }) => {
    const [first, second] = m.loadExclusivePair(bytes, base(m, rn), ORDERED);
    m.w64.setX(rt, first);
    m.w64.setX(rt2, second);
  };
}

type StorePair = { rs: number; rt2: number; rn: number; rt: number };

function storeExclusivePair(bytes: 4 | 8): Semantics<StorePair> {
  return (m, { rs, rt2, rn, rt }) =>
    m.w32.setX(rs, m.storeExclusivePair(bytes, base(m, rn), m.w64.x(rt), m.w64.x(rt2), ORDERED));
}

function ordered(load: "load" | "store", bytes: AccessBytes): Semantics<{ rn: number; rt: number }> {
  const sf = bytes === 8 ? 1 : 0;
  const access = described({ bytes, rt: 0, sf, signed: 0, ordered: 1 });
  return (m, { rn, rt }) => {
    const address = base(m, rn);
    if (load === "load") m.w64.setX(rt, m.load(bytes, address, access | (rt << 16)));
    else m.store(bytes, address, m.w64.x(rt), access | (rt << 16));
  };
}

function orderedUnscaled(t: Transfer): Semantics<{ imm9: number; rn: number; rt: number }> {
  const access = described({ ...t, rt: 0, ordered: 1 });
  return (m, { imm9, rn, rt }) => {
    const address = m.w64.add(base(m, rn), m.w64.immediate(imm9));
    transfer(m, t, rt, address, access | (rt << 16));
  };
}
