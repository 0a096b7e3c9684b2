// Advanced SIMD: two registers, comparisons with zero, across lanes. DDI 0487 C4.1.

import { composed, type Insn, type Semantics } from "../insn.js";
import type { Machine, V128 } from "../machine.js";
import {
  ALL,
  BYTES,
  DOUBLES,
  everySecond,
  fpBitsOf,
  lanesToBytes,
  onFpLanes,
  onLanes,
  operand,
  type Simd,
  type Sizes,
  setHalf,
  totalOf,
  UP_TO_32,
  upperHalf,
  zeros,
} from "../simd.js";
import type {
  FpBinary,
  FpBits,
  FpComparison,
  FpRounding,
  FpUnary,
  LaneBits,
  Signedness,
  VectorBinary,
  VectorNarrow,
  VectorReduce,
  VectorUnary,
} from "../vector.js";

// biome-ignore format: table
export const simdTwo: readonly Insn[] = [
  // Two-register miscellaneous, integer       scalars of
  ...misc("REV64",   0, "00000", UP_TO_32, null,    reverse(64)),
  ...misc("REV16 (vector)", 0, "00001", BYTES, null, reverse(16)),
  ...misc("SADDLP",  0, "00010", UP_TO_32, null,    (simd, { rn }, bits) => simd.unary("saddlp", bits, simd.v(rn))),
  ...misc("SUQADD",  0, "00011", ALL,      ALL,     accumulate("suqadd")),
  ...misc("CLS (vector)", 0, "00100", UP_TO_32, null, unary("cls")),
  ...misc("CNT (vector)",     0, "00101", BYTES,    null,    unary("cnt")),
  ...misc("SADALP",  0, "00110", UP_TO_32, null,    pairsAdded("saddlp")),
  ...misc("SQABS",   0, "00111", ALL,      ALL,     unary("sqabs")),
  ...misc("CMGT (zero)", 0, "01000", ALL,  DOUBLES, withZero("cmgt", "first")),
  ...misc("CMEQ (zero)", 0, "01001", ALL,  DOUBLES, withZero("cmeq", "first")),
  ...misc("CMLT (zero)", 0, "01010", ALL,  DOUBLES, withZero("cmgt", "second")),
  ...misc("ABS (vector)",     0, "01011", ALL,      DOUBLES, unary("abs")),
  ...narrow("XTN",   0, "10010", "xtn",    "vector"),
  ...narrow("SQXTN", 0, "10100", "sqxtn",  "both"),
  ...misc("REV32 (vector)", 1, "00000", [8, 16], null, reverse(32)),
  ...misc("UADDLP",  1, "00010", UP_TO_32, null,    (simd, { rn }, bits) => simd.unary("uaddlp", bits, simd.v(rn))),
  ...misc("USQADD",  1, "00011", ALL,      ALL,     accumulate("usqadd")),
  ...misc("CLZ (vector)", 1, "00100", UP_TO_32, null, unary("clz")),
  composed("NOT",  "0 q 1 01110 00 10000 00101 10 rn:5 rd:5", bitwise("not"), "AdvSIMD"),
  composed("RBIT (vector)", "0 q 1 01110 01 10000 00101 10 rn:5 rd:5", bitwise("rbit"), "AdvSIMD"),
  ...misc("UADALP",  1, "00110", UP_TO_32, null,    pairsAdded("uaddlp")),
  ...misc("SQNEG",   1, "00111", ALL,      ALL,     unary("sqneg")),
  ...misc("CMGE (zero)", 1, "01000", ALL,  DOUBLES, withZero("cmge", "first")),
  ...misc("CMLE (zero)", 1, "01001", ALL,  DOUBLES, withZero("cmge", "second")),
  ...misc("NEG (vector)", 1, "01011", ALL, DOUBLES, unary("neg")),
  ...narrow("SQXTUN", 1, "10010", "sqxtun", "both"),
  composed("SHLL", "0 q 1 01110 size:2 10000 10011 10 rn:5 rd:5", shiftLeftLong, "AdvSIMD"),
  ...narrow("UQXTN", 1, "10100", "uqxtn",  "both"),

  // Two-register miscellaneous, floating-point   a scalar form
  ...fpMisc("FRINTN (vector)", "0", "0", "11000", "vector", rounded("even")),
  ...fpMisc("FRINTM (vector)", "0", "0", "11001", "vector", rounded("neginf")),
  ...fpMisc("FCVTNS (vector)", "0", "0", "11010", "both",   toInteger("signed", "even")),
  ...fpMisc("FCVTMS (vector)", "0", "0", "11011", "both",   toInteger("signed", "neginf")),
  ...fpMisc("FCVTAS (vector)", "0", "0", "11100", "both",   toInteger("signed", "away")),
  ...fpMisc("SCVTF (vector)",  "0", "0", "11101", "both",   fromInteger("signed")),
  ...fpMisc("FCMGT (zero)",    "0", "1", "01100", "both",   fpWithZero("gt", "first")),
  ...fpMisc("FCMEQ (zero)",    "0", "1", "01101", "both",   fpWithZero("eq", "first")),
  ...fpMisc("FCMLT (zero)",    "0", "1", "01110", "both",   fpWithZero("gt", "second")),
  ...fpMisc("FABS (vector)",   "0", "1", "01111", "vector", fpUnary("abs")),
  ...fpMisc("FRINTP (vector)", "0", "1", "11000", "vector", rounded("posinf")),
  ...fpMisc("FRINTZ (vector)", "0", "1", "11001", "vector", rounded("zero")),
  ...fpMisc("FCVTPS (vector)", "0", "1", "11010", "both",   toInteger("signed", "posinf")),
  ...fpMisc("FCVTZS (vector)", "0", "1", "11011", "both",   toInteger("signed", "zero")),
  composed("URECPE", "0 q 0 01110 10 10000 11100 10 rn:5 rd:5", bitwise("urecpe"), "AdvSIMD"),
  ...fpMisc("FRECPE",          "0", "1", "11101", "both",   fpUnary("recpe")),
  ...fpMisc("FRECPX",          "0", "1", "11111", "scalar", fpUnary("recpx")),
  ...fpMisc("FRINTA (vector)", "1", "0", "11000", "vector", rounded("away")),
  ...fpMisc("FRINTX (vector)", "1", "0", "11001", "vector", rounded("fpcr", "signaled")),
  ...fpMisc("FCVTNU (vector)", "1", "0", "11010", "both",   toInteger("unsigned", "even")),
  ...fpMisc("FCVTMU (vector)", "1", "0", "11011", "both",   toInteger("unsigned", "neginf")),
  ...fpMisc("FCVTAU (vector)", "1", "0", "11100", "both",   toInteger("unsigned", "away")),
  ...fpMisc("UCVTF (vector)",  "1", "0", "11101", "both",   fromInteger("unsigned")),
  ...fpMisc("FCMGE (zero)",    "1", "1", "01100", "both",   fpWithZero("ge", "first")),
  ...fpMisc("FCMLE (zero)",    "1", "1", "01101", "both",   fpWithZero("ge", "second")),
  ...fpMisc("FNEG (vector)",   "1", "1", "01111", "vector", fpUnary("neg")),
  ...fpMisc("FRINTI (vector)", "1", "1", "11001", "vector", rounded("fpcr")),
  ...fpMisc("FCVTPU (vector)", "1", "1", "11010", "both",   toInteger("unsigned", "posinf")),
  ...fpMisc("FCVTZU (vector)", "1", "1", "11011", "both",   toInteger("unsigned", "zero")),
  composed("URSQRTE", "0 q 1 01110 10 10000 11100 10 rn:5 rd:5", bitwise("ursqrte"), "AdvSIMD"),
  ...fpMisc("FRSQRTE",         "1", "1", "11101", "both",   fpUnary("rsqrte")),
  ...fpMisc("FSQRT (vector)",  "1", "1", "11111", "vector", fpUnary("sqrt")),
  sized("FRINT32Z (vector)", "0", "11110", 32, "zero"),
  sized("FRINT32X (vector)", "1", "11110", 32, "fpcr"),
  sized("FRINT64Z (vector)", "0", "11111", 64, "zero"),
  sized("FRINT64X (vector)", "1", "11111", 64, "fpcr"),
  composed("FCVTN",  "0 q 0 01110 0 sz 10000 10110 10 rn:5 rd:5", convertNarrow("fpcr"), "AdvSIMD"),
  composed("FCVTL",  "0 q 0 01110 0 sz 10000 10111 10 rn:5 rd:5", convertLong, "AdvSIMD"),
  composed("FCVTXN", "0 q 1 01110 0 1 10000 10110 10 rn:5 rd:5", convertNarrow("odd"), "AdvSIMD"),
  composed("FCVTXN, scalar", "01 1 11110 0 1 10000 10110 10 rn:5 rd:5", convertOdd, "AdvSIMD"),

  // Across lanes
  across("SADDLV", 0, "00011", "saddlv"),
  across("SMAXV",  0, "01010", "smaxv"),
  across("SMINV",  0, "11010", "sminv"),
  across("ADDV",   0, "11011", "addv"),
  across("UADDLV", 1, "00011", "uaddlv"),
  across("UMAXV",  1, "01010", "umaxv"),
  across("UMINV",  1, "11010", "uminv"),
  ...fpAcross("FMAXNMV", "0", "01100", "maxnm"),
  ...fpAcross("FMAXV",   "0", "01111", "max"),
  ...fpAcross("FMINNMV", "1", "01100", "minnm"),
  ...fpAcross("FMINV",   "1", "01111", "min"),
];

interface Two {
  readonly q?: number;
  readonly size: number;
  readonly rn: number;
  readonly rd: number;
}

type OnLanes = (simd: Simd, fields: Two, bits: LaneBits, total: 64 | 128) => V128;

function misc(name: string, u: 0 | 1, opcode: string, sizes: Sizes, scalars: Sizes | null, result: OnLanes): Insn[] {
  const rest = `size:2 10000 ${opcode} 10 rn:5 rd:5`;
  const vector = composed(name, `0 q ${u} 01110 ${rest}`, onLanes(sizes, result), "AdvSIMD");
  if (scalars === null) return [vector];
  return [vector, composed(`${name}, scalar`, `01 ${u} 11110 ${rest}`, onLanes(scalars, result), "AdvSIMD")];
}

function unary(name: VectorUnary): OnLanes {
  return (simd, fields, bits) => simd.unary(name, bits, operand(simd, fields, bits, fields.rn));
}

function reverse(container: 16 | 32 | 64): OnLanes {
  return (simd, { rn }, bits) => {
    const each = container / bits;
    const lanes = Array.from({ length: 128 / bits }, (_, n) => n - (n % each) + each - 1 - (n % each));
    return simd.shuffle(simd.v(rn), simd.v(rn), lanesToBytes(bits, lanes));
  };
}

function accumulate(name: VectorBinary): OnLanes {
  return (simd, fields, bits) =>
    simd.binary(name, bits, operand(simd, fields, bits, fields.rd), operand(simd, fields, bits, fields.rn));
}

function pairsAdded(name: VectorUnary): OnLanes {
  return (simd, { rn, rd }, bits) =>
    simd.binary("add", (2 * bits) as LaneBits, simd.v(rd), simd.unary(name, bits, simd.v(rn)));
}

function withZero(name: VectorBinary, place: "first" | "second"): OnLanes {
  return (simd, { rn }, bits) => {
    const [a, b] = place === "first" ? [simd.v(rn), zeros(simd)] : [zeros(simd), simd.v(rn)];
    return simd.binary(name, bits, a, b);
  };
}

function bitwise(name: "not" | "rbit" | "urecpe" | "ursqrte"): Semantics<{ q: number; rn: number; rd: number }> {
  return ({ simd }, { q, rn, rd }) => {
    simd.checkFp();
    const bits = name === "not" || name === "rbit" ? 8 : 32;
    simd.setV(rd, simd.low(totalOf(q), simd.unary(name, bits, simd.v(rn))));
  };
}

function narrow(name: string, u: 0 | 1, opcode: string, how: VectorNarrow, forms: "vector" | "both"): Insn[] {
  const rest = `size:2 10000 ${opcode} 10 rn:5 rd:5`;
  const vector: Semantics<Two & { q: number }> = (m, { q, size, rn, rd }) => {
    if (size === 3) return m.undefined();
    m.simd.checkFp();
    setHalf(m, q, rd, m.simd.narrow(how, (16 << size) as 16 | 32 | 64, m.simd.v(rn)));
  };
  const rows = [composed(name, `0 q ${u} 01110 ${rest}`, vector, "AdvSIMD")];
  if (forms === "vector") return rows;
  const scalar: Semantics<Two> = (m, { size, rn, rd }) => {
    if (size === 3) return m.undefined();
    const { simd } = m;
    simd.checkFp();
    const bits = (16 << size) as 16 | 32 | 64;
    simd.setV(rd, simd.narrow(how, bits, simd.low(bits, simd.v(rn))));
  };
  return [...rows, composed(`${name}, scalar`, `01 ${u} 11110 ${rest}`, scalar, "AdvSIMD")];
}

function shiftLeftLong(m: Machine, { q, size, rn, rd }: { q: number; size: number; rn: number; rd: number }) {
  if (size === 3) return m.undefined();
  const { simd } = m;
  simd.checkFp();
  const bits = (8 << size) as 8 | 16 | 32;
  const widened = simd.widen("unsigned", bits, q === 1 ? "upper" : "lower", simd.v(rn));
  simd.setV(rd, simd.shift("shl", (2 * bits) as LaneBits, widened, bits));
}

type OnFp = (simd: Simd, v: V128, bits: FpBits, lanes: number) => V128;

function fpMisc(
  name: string,
  u: string,
  a: string,
  opcode: string,
  forms: "vector" | "scalar" | "both",
  result: OnFp,
): Insn[] {
  type F = { q?: number; sz?: number; rn: number; rd: number };
  const run = onFpLanes<F>((simd, { rn }, bits, lanes) => result(simd, simd.v(rn), bits, lanes));
  const rest = `${a} sz 10000 ${opcode} 10 rn:5 rd:5`;
  const half = `${a} 111100 ${opcode} 10 rn:5 rd:5`;
  const rows: Insn[] = [];
  if (forms !== "scalar") {
    rows.push(composed(name, `0 q ${u} 01110 ${rest}`, run, "AdvSIMD"));
    rows.push(composed(`${name} (half)`, `0 q ${u} 01110 ${half}`, run, "FP16"));
  }
  if (forms !== "vector") {
    rows.push(composed(`${name}, scalar`, `01 ${u} 11110 ${rest}`, run, "AdvSIMD"));
    rows.push(composed(`${name}, scalar (half)`, `01 ${u} 11110 ${half}`, run, "FP16"));
  }
  return rows;
}

function fpUnary(name: FpUnary): OnFp {
  return (simd, v, bits, lanes) => simd.fpUnary(name, bits, lanes, v);
}

function rounded(rounding: FpRounding, inexact: "signaled" | "ignored" = "ignored"): OnFp {
  return (simd, v, bits, lanes) => simd.fpRound(bits, lanes, v, rounding, inexact);
}

function toInteger(signedness: Signedness, rounding: FpRounding): OnFp {
  return (simd, v, bits, lanes) => simd.fpToFixed(bits, bits, lanes, v, 0, signedness, rounding);
}

function fromInteger(signedness: Signedness): OnFp {
  return (simd, v, bits, lanes) => simd.fpFromFixed(bits, bits, lanes, v, 0, signedness);
}

function fpWithZero(name: FpComparison, place: "first" | "second"): OnFp {
  return (simd, v, bits, lanes) => {
    const [a, b] = place === "first" ? [v, zeros(simd)] : [zeros(simd), v];
    return simd.fpCompare(name, bits, lanes, a, b);
  };
}

function sized(name: string, u: string, opcode: string, size: 32 | 64, rounding: FpRounding): Insn {
  type F = { q: number; sz: number; rn: number };
  const run = onFpLanes<F>((simd, { sz, rn }, _, lanes) =>
    simd.fpRoundSized(sz === 1 ? 64 : 32, lanes, simd.v(rn), size, rounding),
  );
  return composed(name, `0 q ${u} 01110 0 sz 10000 ${opcode} 10 rn:5 rd:5`, run, "FRINTTS");
}

type Convert = { q: number; sz?: number; rn: number; rd: number };

function convertNarrow(rounding: FpRounding): Semantics<Convert> {
  return (m, { q, sz, rn, rd }) => {
    m.simd.checkFp();
    // FCVTXN has no sz: it is from doubles.
    const [from, to] = sz === 0 ? ([32, 16] as const) : ([64, 32] as const);
    setHalf(m, q, rd, m.simd.fpConvert(from, to, 64 / to, m.simd.v(rn), rounding));
  };
}

function convertOdd({ simd }: Machine, { rn, rd }: { rn: number; rd: number }) {
  simd.checkFp();
  simd.setV(rd, simd.fpConvert(64, 32, 1, simd.v(rn), "odd"));
}

function convertLong(m: Machine, { q, sz, rn, rd }: Required<Convert>) {
  const { simd } = m;
  simd.checkFp();
  const [from, to] = sz === 0 ? ([16, 32] as const) : ([32, 64] as const);
  const half = q === 1 ? upperHalf(simd, simd.v(rn)) : simd.v(rn);
  simd.setV(rd, simd.fpConvert(from, to, 128 / to, half, "fpcr"));
}

function across(name: string, u: 0 | 1, opcode: string, how: VectorReduce): Insn {
  const run: Semantics<{ q: number; size: number; rn: number; rd: number }> = (m, { q, size, rn, rd }) => {
    // Two lanes of 32 bits are what the pairwise instructions are for.
    if (size === 3 || (size === 2 && q === 0)) return m.undefined();
    m.simd.checkFp();
    const bits = (8 << size) as 8 | 16 | 32;
    m.simd.setV(rd, m.simd.reduce(how, bits, totalOf(q) / bits, m.simd.v(rn)));
  };
  return composed(name, `0 q ${u} 01110 size:2 11000 ${opcode} 10 rn:5 rd:5`, run, "AdvSIMD");
}

/** In pairs, the pairs' results in pairs again: the order decides which NaN is left. */
function fpAcross(name: string, a: string, opcode: string, operation: FpBinary): Insn[] {
  const run: Semantics<{ q?: number; sz?: number; rn: number; rd: number }> = ({ simd }, { q = 1, sz, rn, rd }) => {
    simd.checkFp();
    const bits = fpBitsOf(sz);
    let v = simd.v(rn);
    for (let lanes = totalOf(q) / bits; lanes > 1; lanes /= 2) {
      const even = everySecond(simd, bits, 128, 0, v, v);
      v = simd.fpBinary(operation, bits, lanes / 2, even, everySecond(simd, bits, 128, 1, v, v));
    }
    simd.setV(rd, v);
  };
  const ofSingles: typeof run = (m, fields) => run(m, { ...fields, sz: 0 });
  return [
    composed(name, `0 1 1 01110 ${a} 0 11000 ${opcode} 10 rn:5 rd:5`, ofSingles, "AdvSIMD"),
    composed(`${name} (half)`, `0 q 0 01110 ${a} 0 11000 ${opcode} 10 rn:5 rd:5`, run, "FP16"),
  ];
}
