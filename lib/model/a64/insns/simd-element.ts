// Advanced SIMD: a vector by one element of another. DDI 0487 C4.1.

import { composed, type Insn, type Semantics } from "../insn.js";
import type { V128 } from "../machine.js";
import { operand, type Simd, splatLane, totalOf } from "../simd.js";
import type { FpBits, LaneBits } from "../vector.js";
import { complexProduct } from "./simd-three.js";

// biome-ignore format: table
export const simdElement: readonly Insn[] = [
  ...same("MLA (by element)",  "1", "0000", "vector", (simd, d, n, e, bits) => simd.binary("add", bits, d, simd.binary("mul", bits, n, e))),
  ...same("MLS (by element)",  "1", "0100", "vector", (simd, d, n, e, bits) => simd.binary("sub", bits, d, simd.binary("mul", bits, n, e))),
  ...same("MUL (by element)",  "0", "1000", "vector", (simd, _, n, e, bits) => simd.binary("mul", bits, n, e)),
  ...same("SQDMULH (by element)",  "0", "1100", "both", (simd, _, n, e, bits) => simd.binary("sqdmulh", bits, n, e)),
  ...same("SQRDMULH (by element)", "0", "1101", "both", (simd, _, n, e, bits) => simd.binary("sqrdmulh", bits, n, e)),
  ...same("SQRDMLAH (by element)", "1", "1101", "both", (simd, d, n, e, bits) => simd.ternary("sqrdmlah", bits, d, n, e)),
  ...same("SQRDMLSH (by element)", "1", "1111", "both", (simd, d, n, e, bits) => simd.ternary("sqrdmlsh", bits, d, n, e)),

  ...long("SMLAL (by element)", "0", "0010", (simd, p, bits, d) => simd.binary("add", bits, d, p)),
  ...long("SMLSL (by element)", "0", "0110", (simd, p, bits, d) => simd.binary("sub", bits, d, p)),
  ...long("SMULL (by element)", "0", "1010", (_, p) => p),
  ...long("UMLAL (by element)", "1", "0010", (simd, p, bits, d) => simd.binary("add", bits, d, p)),
  ...long("UMLSL (by element)", "1", "0110", (simd, p, bits, d) => simd.binary("sub", bits, d, p)),
  ...long("UMULL (by element)", "1", "1010", (_, p) => p),
  ...doubling("SQDMLAL (by element)", "0011", (simd, p, bits, d) => simd.binary("sqadd", bits, d, p)),
  ...doubling("SQDMLSL (by element)", "0111", (simd, p, bits, d) => simd.binary("sqsub", bits, d, p)),
  ...doubling("SQDMULL (by element)", "1011", (_, p) => p),

  ...fp("FMLA (by element)",  "0", "0001", (simd, d, n, e, bits, lanes) => simd.fpMulAdd(bits, lanes, d, n, e)),
  ...fp("FMLS (by element)",  "0", "0101", (simd, d, n, e, bits, lanes) => simd.fpMulAdd(bits, lanes, d, simd.fpUnary("neg", bits, lanes, n), e)),
  ...fp("FMUL (by element)",  "0", "1001", (simd, _, n, e, bits, lanes) => simd.fpBinary("mul", bits, lanes, n, e)),
  ...fp("FMULX (by element)", "1", "1001", (simd, _, n, e, bits, lanes) => simd.fpBinary("mulx", bits, lanes, n, e)),

  composed("SDOT (by element)", "0 q 0 01111 10 l m rm:4 1110 h 0 rn:5 rd:5", dot("sdot"), "DotProd"),
  composed("USDOT (by element)", "0 q 0 01111 10 l m rm:4 1111 h 0 rn:5 rd:5", dot("usdot"), "I8MM"),
  composed("SUDOT (by element)", "0 q 0 01111 00 l m rm:4 1111 h 0 rn:5 rd:5", dot("sudot"), "I8MM"),
  composed("UDOT (by element)", "0 q 1 01111 10 l m rm:4 1110 h 0 rn:5 rd:5", dot("udot"), "DotProd"),
  composed("FMLAL (by element)",  "0 q 0 01111 10 l m rm:4 0000 h 0 rn:5 rd:5", multiplyLong("lower", "add"), "FHM"),
  composed("FMLSL (by element)",  "0 q 0 01111 10 l m rm:4 0100 h 0 rn:5 rd:5", multiplyLong("lower", "sub"), "FHM"),
  composed("FMLAL2 (by element)", "0 q 1 01111 10 l m rm:4 1000 h 0 rn:5 rd:5", multiplyLong("upper", "add"), "FHM"),
  composed("FMLSL2 (by element)", "0 q 1 01111 10 l m rm:4 1100 h 0 rn:5 rd:5", multiplyLong("upper", "sub"), "FHM"),
  composed("FCMLA (by element, half)",   "0 q 1 01111 01 l m rm:4 0 rot:2 1 h 0 rn:5 rd:5", complex(16), "FCMA", "FP16"),
  composed("FCMLA (by element)", "0 q 1 01111 10 l m rm:4 0 rot:2 1 h 0 rn:5 rd:5", complex(32), "FCMA"),
];

/** Which register and which of its lanes: L, M and H belong to one or the other, as the width has it. */
interface Element {
  readonly l: number;
  readonly m: number;
  readonly rm: number;
  readonly h: number;
}

function element(simd: Simd, { l, m, rm, h }: Element, bits: 16 | 32 | 64): V128 {
  if (bits === 16) return splatLane(simd, 16, simd.v(rm), (h << 2) | (l << 1) | m);
  return splatLane(simd, bits, simd.v((m << 4) | rm), bits === 32 ? (h << 1) | l : h);
}

type Fields = Element & { q?: number; size: number; rn: number; rd: number };

/** Lanes of 16 and 32 bits; other sizes are reserved. */
const widthOf = (size: number): 16 | 32 | null => (size === 1 ? 16 : size === 2 ? 32 : null);

function notation(opcode: string): string {
  return `size:2 l m rm:4 ${opcode} h 0 rn:5 rd:5`;
}

type Same = (simd: Simd, d: V128, n: V128, e: V128, bits: LaneBits) => V128;

function same(name: string, u: string, opcode: string, forms: "vector" | "both", result: Same): Insn[] {
  const run: Semantics<Fields> = (machine, fields) => {
    const bits = widthOf(fields.size);
    if (bits === null) return machine.undefined();
    const { simd } = machine;
    simd.checkFp();
    const n = operand(simd, fields, bits, fields.rn);
    const d = operand(simd, fields, bits, fields.rd);
    const r = result(simd, d, n, element(simd, fields, bits), bits);
    simd.setV(fields.rd, simd.low(fields.q === undefined ? bits : totalOf(fields.q), r));
  };
  const feature = name.startsWith("SQRDML") ? "RDM" : "AdvSIMD";
  const vector = composed(name, `0 q ${u} 01111 ${notation(opcode)}`, run, feature);
  if (forms === "vector") return [vector];
  return [vector, composed(`${name}, scalar`, `01 ${u} 11111 ${notation(opcode)}`, run, feature)];
}

type Long = (simd: Simd, product: V128, bits: LaneBits, d: V128) => V128;

function long(name: string, u: "0" | "1", opcode: string, result: Long): Insn[] {
  const run: Semantics<Fields & { q: number }> = (machine, fields) => {
    const bits = widthOf(fields.size);
    if (bits === null) return machine.undefined();
    const { simd } = machine;
    simd.checkFp();
    const sign = u === "0" ? "signed" : "unsigned";
    const to = (2 * bits) as LaneBits;
    const n = simd.widen(sign, bits, fields.q === 1 ? "upper" : "lower", simd.v(fields.rn));
    const e = simd.widen(sign, bits, "lower", element(simd, fields, bits));
    simd.setV(fields.rd, result(simd, simd.binary("mul", to, n, e), to, simd.v(fields.rd)));
  };
  return [composed(name, `0 q ${u} 01111 ${notation(opcode)}`, run, "AdvSIMD")];
}

/** `q` is absent from the scalar form. */
function doubling(name: string, opcode: string, result: Long): Insn[] {
  const run: Semantics<Fields> = (machine, fields) => {
    const bits = widthOf(fields.size);
    if (bits === null) return machine.undefined();
    const { simd } = machine;
    simd.checkFp();
    const to = (2 * bits) as 32 | 64;
    const half = fields.q === 1 ? "upper" : "lower";
    const whole = simd.v(fields.rn);
    const n = simd.widen("signed", bits, half, fields.q === undefined ? simd.low(bits, whole) : whole);
    const e = simd.widen("signed", bits, "lower", element(simd, fields, bits));
    const d = fields.q === undefined ? simd.low(to, simd.v(fields.rd)) : simd.v(fields.rd);
    simd.setV(fields.rd, result(simd, simd.binary("sqdmull", to, n, e), to, d));
  };
  return [
    composed(name, `0 q 0 01111 ${notation(opcode)}`, run, "AdvSIMD"),
    composed(`${name}, scalar`, `01 0 11111 ${notation(opcode)}`, run, "AdvSIMD"),
  ];
}

type OnFp = (simd: Simd, d: V128, n: V128, e: V128, bits: FpBits, lanes: number) => V128;

function fp(name: string, u: string, opcode: string, result: OnFp): Insn[] {
  type F = Element & { q?: number; sz?: number; rn: number; rd: number };
  const run: Semantics<F> = (machine, fields) => {
    const { q, sz, l, rn, rd } = fields;
    if (sz === 1 && (l === 1 || q === 0)) return machine.undefined();
    const { simd } = machine;
    simd.checkFp();
    const bits = sz === undefined ? 16 : sz === 1 ? 64 : 32;
    const lanes = q === undefined ? 1 : totalOf(q) / bits;
    simd.setV(rd, result(simd, simd.v(rd), simd.v(rn), element(simd, fields, bits), bits, lanes));
  };
  const rest = `1 sz l m rm:4 ${opcode} h 0 rn:5 rd:5`;
  const half = `00 l m rm:4 ${opcode} h 0 rn:5 rd:5`;
  return [
    composed(name, `0 q ${u} 01111 ${rest}`, run, "AdvSIMD"),
    composed(`${name} (half)`, `0 q ${u} 01111 ${half}`, run, "FP16"),
    composed(`${name}, scalar`, `01 ${u} 11111 ${rest}`, run, "AdvSIMD"),
    composed(`${name}, scalar (half)`, `01 ${u} 11111 ${half}`, run, "FP16"),
  ];
}

type Vector = Element & { q: number; rn: number; rd: number };

function dot(name: "sdot" | "udot" | "usdot" | "sudot"): Semantics<Vector> {
  return ({ simd }, fields) => {
    simd.checkFp();
    const { q, rn, rd } = fields;
    const e = element(simd, fields, 32);
    const n = simd.v(rn);
    const [op, a, b] = name === "sudot" ? (["usdot", e, n] as const) : ([name, n, e] as const);
    simd.setV(rd, simd.low(totalOf(q), simd.ternary(op, 32, simd.v(rd), a, b)));
  };
}

function multiplyLong(half: "lower" | "upper", how: "add" | "sub"): Semantics<Vector> {
  return ({ simd }, fields) => {
    simd.checkFp();
    const { q, rn, rd } = fields;
    const lanes = q === 1 ? 4 : 2;
    const first = half === "lower" ? 0 : 2 * lanes;
    const bytes = Array.from({ length: 16 }, (_, n) => (first + n) % 16);
    const n = simd.shuffle(simd.v(rn), simd.v(rn), bytes);
    const factor = how === "add" ? n : simd.fpUnary("neg", 16, lanes, n);
    simd.setV(rd, simd.fpMulAddLong(lanes, simd.v(rd), factor, element(simd, fields, 16)));
  };
}

function complex(bits: 16 | 32): Semantics<Vector & { rot: number }> {
  return (machine, { q, l, m, h, rot, rm, rn, rd }) => {
    // The element is a pair of lanes: of halves H:L says which (H must be 0 for 64 bits), of singles H alone.
    if (bits === 16 ? h === 1 && q === 0 : l === 1 || q === 0) return machine.undefined();
    const { simd } = machine;
    simd.checkFp();
    const pair = splatLane(simd, 2 * bits, simd.v((m << 4) | rm), bits === 16 ? (h << 1) | l : h);
    simd.setV(rd, complexProduct(simd, bits, totalOf(q) / bits, rot, simd.v(rd), simd.v(rn), pair));
  };
}
