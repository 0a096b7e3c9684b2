// Advanced SIMD: three registers of the same kind, three different, pairwise. DDI 0487 C4.1.

import { composed, type Insn, type Semantics } from "../insn.js";
import type { Machine, V128 } from "../machine.js";
import {
  ALL,
  BYTES,
  DOUBLES,
  everyLane,
  everySecond,
  MIDDLE,
  onFpLanes,
  onLanes,
  operand,
  type Simd,
  type Sizes,
  setHalf,
  UP_TO_32,
} from "../simd.js";
import type { FpBinary, FpBits, FpComparison, LaneBits, Signedness, VectorBinary } from "../vector.js";

/** What the S and U forms of an instruction differ in: letter, U, extension. */
const signs = [
  ["S", "0", "signed"],
  ["U", "1", "unsigned"],
] as const;

// biome-ignore format: table
export const simdThree: readonly Insn[] = [
  // Three same, integer                        scalars of
  ...same("SHADD",    0, "00000", UP_TO_32, null,    op("shadd")),
  ...same("SQADD",    0, "00001", ALL,      ALL,     op("sqadd")),
  ...same("SRHADD",   0, "00010", UP_TO_32, null,    op("srhadd")),
  ...same("SHSUB",    0, "00100", UP_TO_32, null,    op("shsub")),
  ...same("SQSUB",    0, "00101", ALL,      ALL,     op("sqsub")),
  ...same("CMGT (register)", 0, "00110", ALL, DOUBLES, op("cmgt")),
  ...same("CMGE (register)", 0, "00111", ALL, DOUBLES, op("cmge")),
  ...same("SSHL",     0, "01000", ALL,      DOUBLES, op("sshl")),
  ...same("SQSHL (register)", 0, "01001", ALL, ALL,  op("sqshl")),
  ...same("SRSHL",    0, "01010", ALL,      DOUBLES, op("srshl")),
  ...same("SQRSHL",   0, "01011", ALL,      ALL,     op("sqrshl")),
  ...same("SMAX",     0, "01100", UP_TO_32, null,    op("smax")),
  ...same("SMIN",     0, "01101", UP_TO_32, null,    op("smin")),
  ...same("SABD",     0, "01110", UP_TO_32, null,    op("sabd")),
  ...same("SABA",     0, "01111", UP_TO_32, null,    accumulated("add", "sabd")),
  ...same("ADD (vector)", 0, "10000", ALL,  DOUBLES, op("add")),
  ...same("CMTST",    0, "10001", ALL,      DOUBLES, op("cmtst")),
  ...same("MLA (vector)", 0, "10010", UP_TO_32, null, accumulated("add", "mul")),
  ...same("MUL (vector)", 0, "10011", UP_TO_32, null, op("mul")),
  ...same("SMAXP",    0, "10100", UP_TO_32, null,    pairwise("smax")),
  ...same("SMINP",    0, "10101", UP_TO_32, null,    pairwise("smin")),
  ...same("SQDMULH (vector)", 0, "10110", MIDDLE, MIDDLE, op("sqdmulh")),
  ...same("ADDP (vector)", 0, "10111", ALL, null,    pairwise("add")),
  ...same("UHADD",    1, "00000", UP_TO_32, null,    op("uhadd")),
  ...same("UQADD",    1, "00001", ALL,      ALL,     op("uqadd")),
  ...same("URHADD",   1, "00010", UP_TO_32, null,    op("urhadd")),
  ...same("UHSUB",    1, "00100", UP_TO_32, null,    op("uhsub")),
  ...same("UQSUB",    1, "00101", ALL,      ALL,     op("uqsub")),
  ...same("CMHI",     1, "00110", ALL,      DOUBLES, op("cmhi")),
  ...same("CMHS",     1, "00111", ALL,      DOUBLES, op("cmhs")),
  ...same("USHL",     1, "01000", ALL,      DOUBLES, op("ushl")),
  ...same("UQSHL (register)", 1, "01001", ALL, ALL,  op("uqshl")),
  ...same("URSHL",    1, "01010", ALL,      DOUBLES, op("urshl")),
  ...same("UQRSHL",   1, "01011", ALL,      ALL,     op("uqrshl")),
  ...same("UMAX",     1, "01100", UP_TO_32, null,    op("umax")),
  ...same("UMIN",     1, "01101", UP_TO_32, null,    op("umin")),
  ...same("UABD",     1, "01110", UP_TO_32, null,    op("uabd")),
  ...same("UABA",     1, "01111", UP_TO_32, null,    accumulated("add", "uabd")),
  ...same("SUB (vector)", 1, "10000", ALL,  DOUBLES, op("sub")),
  ...same("CMEQ (register)", 1, "10001", ALL, DOUBLES, op("cmeq")),
  ...same("MLS (vector)", 1, "10010", UP_TO_32, null, accumulated("sub", "mul")),
  ...same("PMUL",     1, "10011", BYTES,    null,    op("pmul")),
  ...same("UMAXP",    1, "10100", UP_TO_32, null,    pairwise("umax")),
  ...same("UMINP",    1, "10101", UP_TO_32, null,    pairwise("umin")),
  ...same("SQRDMULH (vector)", 1, "10110", MIDDLE, MIDDLE, op("sqrdmulh")),

  // Three same, logical
  logical("AND (vector)", "0", "00", (simd, n, m) => simd.binary("and", 64, n, m)),
  logical("BIC (vector, register)", "0", "01", (simd, n, m) => simd.binary("bic", 64, n, m)),
  logical("ORR (vector, register)", "0", "10", (simd, n, m) => simd.binary("orr", 64, n, m)),
  logical("ORN (vector)", "0", "11", (simd, n, m) => simd.binary("orr", 64, n, simd.unary("not", 64, m))),
  logical("EOR (vector)", "1", "00", (simd, n, m) => simd.binary("eor", 64, n, m)),
  logical("BSL",          "1", "01", (simd, n, m, d) => choose(simd, d, n, m)),
  logical("BIT",          "1", "10", (simd, n, m, d) => choose(simd, m, n, d)),
  logical("BIF",          "1", "11", (simd, n, m, d) => choose(simd, m, d, n)),

  // Three same extra
  ...extra("SQRDMLAH (vector)", "1", "0000", (simd, d, n, m, bits) => simd.ternary("sqrdmlah", bits, d, n, m)),
  ...extra("SQRDMLSH (vector)", "1", "0001", (simd, d, n, m, bits) => simd.ternary("sqrdmlsh", bits, d, n, m)),
  composed("SDOT (vector)", "0 q 0 01110 10 0 rm:5 1 0010 1 rn:5 rd:5", dot("sdot"), "DotProd"),
  composed("USDOT (vector)", "0 q 0 01110 10 0 rm:5 1 0011 1 rn:5 rd:5", dot("usdot"), "I8MM"),
  composed("SMMLA", "0 1 0 01110 10 0 rm:5 1 0100 1 rn:5 rd:5", matrices("smmla"), "I8MM"),
  composed("UMMLA", "0 1 1 01110 10 0 rm:5 1 0100 1 rn:5 rd:5", matrices("ummla"), "I8MM"),
  composed("USMMLA", "0 1 0 01110 10 0 rm:5 1 0101 1 rn:5 rd:5", matrices("usmmla"), "I8MM"),
  composed("UDOT (vector)", "0 q 1 01110 10 0 rm:5 1 0010 1 rn:5 rd:5", dot("udot"), "DotProd"),

  // Three same, floating-point                 a scalar form
  ...fpSame("FMAXNM (vector)", "0", "0", "000", "vector", fp("maxnm")),
  ...fpSame("FMLA (vector)",   "0", "0", "001", "vector", (simd, d, n, m, bits, lanes) => simd.fpMulAdd(bits, lanes, d, n, m)),
  ...fpSame("FADD (vector)",   "0", "0", "010", "vector", fp("add")),
  ...fpSame("FMULX",           "0", "0", "011", "both",   fp("mulx")),
  ...fpSame("FCMEQ (register)", "0", "0", "100", "both",  fpCompare("eq")),
  ...fpSame("FMAX (vector)",   "0", "0", "110", "vector", fp("max")),
  ...fpSame("FRECPS",          "0", "0", "111", "both",   fp("recps")),
  ...fpSame("FMINNM (vector)", "0", "1", "000", "vector", fp("minnm")),
  ...fpSame("FMLS (vector)",   "0", "1", "001", "vector", (simd, d, n, m, bits, lanes) => simd.fpMulAdd(bits, lanes, d, simd.fpUnary("neg", bits, lanes, n), m)),
  ...fpSame("FSUB (vector)",   "0", "1", "010", "vector", fp("sub")),
  ...fpSame("FMIN (vector)",   "0", "1", "110", "vector", fp("min")),
  ...fpSame("FRSQRTS",         "0", "1", "111", "both",   fp("rsqrts")),
  ...fpSame("FMAXNMP (vector)", "1", "0", "000", "vector", fpPairwise("maxnm")),
  ...fpSame("FADDP (vector)",  "1", "0", "010", "vector", fpPairwise("add")),
  ...fpSame("FMUL (vector)",   "1", "0", "011", "vector", fp("mul")),
  ...fpSame("FCMGE (register)", "1", "0", "100", "both",  fpCompare("ge")),
  ...fpSame("FACGE",           "1", "0", "101", "both",   fpCompare("absge")),
  ...fpSame("FMAXP (vector)",  "1", "0", "110", "vector", fpPairwise("max")),
  ...fpSame("FDIV (vector)",   "1", "0", "111", "vector", fp("div")),
  ...fpSame("FMINNMP (vector)", "1", "1", "000", "vector", fpPairwise("minnm")),
  ...fpSame("FABD",            "1", "1", "010", "both",   fp("abd")),
  ...fpSame("FCMGT (register)", "1", "1", "100", "both",  fpCompare("gt")),
  ...fpSame("FACGT",           "1", "1", "101", "both",   fpCompare("absgt")),
  ...fpSame("FMINP (vector)",  "1", "1", "110", "vector", fpPairwise("min")),
  composed("FMLAL (vector)",  "0 q 0 01110 0 0 1 rm:5 11101 1 rn:5 rd:5", multiplyLong("lower", "add"), "FHM"),
  composed("FMLSL (vector)",  "0 q 0 01110 1 0 1 rm:5 11101 1 rn:5 rd:5", multiplyLong("lower", "sub"), "FHM"),
  composed("FMLAL2 (vector)", "0 q 1 01110 0 0 1 rm:5 11001 1 rn:5 rd:5", multiplyLong("upper", "add"), "FHM"),
  composed("FMLSL2 (vector)", "0 q 1 01110 1 0 1 rm:5 11001 1 rn:5 rd:5", multiplyLong("upper", "sub"), "FHM"),
  ...complex(),

  // Pairwise, scalar
  composed("ADDP (scalar)", "01 0 11110 11 11000 11011 10 rn:5 rd:5", addPair, "AdvSIMD"),
  ...fpPairs("FMAXNMP (scalar)", "0", "01100", "maxnm"),
  ...fpPairs("FADDP (scalar)",   "0", "01101", "add"),
  ...fpPairs("FMAXP (scalar)",   "0", "01111", "max"),
  ...fpPairs("FMINNMP (scalar)", "1", "01100", "minnm"),
  ...fpPairs("FMINP (scalar)",   "1", "01111", "min"),

  // Three different
  ...long("ADDL",   "0000", (simd, n, m, bits) => simd.binary("add", bits, n, m)),
  ...wide("ADDW",   "0001", "add"),
  ...long("SUBL",   "0010", (simd, n, m, bits) => simd.binary("sub", bits, n, m)),
  ...wide("SUBW",   "0011", "sub"),
  ...high("ADDHN",  "0100", "add"),
  ...long("ABAL",   "0101", (simd, n, m, bits, d, sign) => simd.binary("add", bits, d, simd.binary(sign === "signed" ? "sabd" : "uabd", bits, n, m))),
  ...high("SUBHN",  "0110", "sub"),
  ...long("ABDL",   "0111", (simd, n, m, bits, _, sign) => simd.binary(sign === "signed" ? "sabd" : "uabd", bits, n, m)),
  ...long("MLAL (vector)", "1000", (simd, n, m, bits, d) => simd.binary("add", bits, d, simd.binary("mul", bits, n, m))),
  ...long("MLSL (vector)", "1010", (simd, n, m, bits, d) => simd.binary("sub", bits, d, simd.binary("mul", bits, n, m))),
  ...long("MULL (vector)", "1100", (simd, n, m, bits) => simd.binary("mul", bits, n, m)),
  ...doubling("SQDMLAL (vector)", "1001", (simd, p, bits, d) => simd.binary("sqadd", bits, d, p)),
  ...doubling("SQDMLSL (vector)", "1011", (simd, p, bits, d) => simd.binary("sqsub", bits, d, p)),
  ...doubling("SQDMULL (vector)", "1101", (_, p) => p),
  composed("PMULL (8 bits)",  "0 q 0 01110 00 1 rm:5 1110 00 rn:5 rd:5", polynomial(8), "AdvSIMD"),
  composed("PMULL (64 bits)", "0 q 0 01110 11 1 rm:5 1110 00 rn:5 rd:5", polynomial(64), "PMULL"),
];

interface Three {
  readonly q?: number;
  readonly size: number;
  readonly rm: number;
  readonly rn: number;
  readonly rd: number;
}

type OnLanes = (simd: Simd, fields: Three, bits: LaneBits, total: 64 | 128) => V128;

function op(name: VectorBinary): OnLanes {
  return (simd, fields, bits) =>
    simd.binary(name, bits, operand(simd, fields, bits, fields.rn), operand(simd, fields, bits, fields.rm));
}

function accumulated(how: "add" | "sub", name: VectorBinary): OnLanes {
  return (simd, { rn, rm, rd }, bits) =>
    simd.binary(how, bits, simd.v(rd), simd.binary(name, bits, simd.v(rn), simd.v(rm)));
}

function pairwise(name: VectorBinary): OnLanes {
  return (simd, { rn, rm }, bits, total) => {
    const even = everySecond(simd, bits, total, 0, simd.v(rn), simd.v(rm));
    return simd.binary(name, bits, even, everySecond(simd, bits, total, 1, simd.v(rn), simd.v(rm)));
  };
}

function same(name: string, u: 0 | 1, opcode: string, sizes: Sizes, scalars: Sizes | null, result: OnLanes): Insn[] {
  const rest = `size:2 1 rm:5 ${opcode} 1 rn:5 rd:5`;
  const vector = composed(name, `0 q ${u} 01110 ${rest}`, onLanes(sizes, result), "AdvSIMD");
  if (scalars === null) return [vector];
  return [vector, composed(`${name}, scalar`, `01 ${u} 11110 ${rest}`, onLanes(scalars, result), "AdvSIMD")];
}

type Logical = (simd: Simd, n: V128, m: V128, d: V128) => V128;

function logical(name: string, u: string, size: string, result: Logical): Insn {
  const run: Semantics<{ q: number; rm: number; rn: number; rd: number }> = ({ simd }, { q, rm, rn, rd }) => {
    simd.checkFp();
    simd.setV(rd, simd.low(q === 1 ? 128 : 64, result(simd, simd.v(rn), simd.v(rm), simd.v(rd))));
  };
  return composed(name, `0 q ${u} 01110 ${size} 1 rm:5 00011 1 rn:5 rd:5`, run, "AdvSIMD");
}

/** Bits of `a` where `mask` is set, of `b` elsewhere. */
function choose(simd: Simd, mask: V128, a: V128, b: V128): V128 {
  return simd.binary("orr", 64, simd.binary("and", 64, a, mask), simd.binary("bic", 64, b, mask));
}

type Accumulating = (simd: Simd, d: V128, n: V128, m: V128, bits: LaneBits) => V128;

function extra(name: string, u: string, opcode: string, result: Accumulating): Insn[] {
  const run = onLanes<Three>(MIDDLE, (simd, fields, bits) => {
    const [d, n, m] = [fields.rd, fields.rn, fields.rm].map((r) => operand(simd, fields, bits, r));
    return result(simd, d!, n!, m!, bits);
  });
  const rest = `size:2 0 rm:5 1 ${opcode} 1 rn:5 rd:5`;
  return [
    composed(name, `0 q ${u} 01110 ${rest}`, run, "RDM"),
    composed(`${name}, scalar`, `01 ${u} 11110 ${rest}`, run, "RDM"),
  ];
}

type Registers = { q: number; rm: number; rn: number; rd: number };

function dot(name: "sdot" | "udot" | "usdot"): Semantics<Registers> {
  return ({ simd }, { q, rm, rn, rd }) => {
    simd.checkFp();
    simd.setV(rd, simd.low(q === 1 ? 128 : 64, simd.ternary(name, 32, simd.v(rd), simd.v(rn), simd.v(rm))));
  };
}

function matrices(name: "smmla" | "ummla" | "usmmla"): Semantics<Omit<Registers, "q">> {
  return ({ simd }, { rm, rn, rd }) => {
    simd.checkFp();
    simd.setV(rd, simd.ternary(name, 32, simd.v(rd), simd.v(rn), simd.v(rm)));
  };
}

type OnFp = (simd: Simd, d: V128, n: V128, m: V128, bits: FpBits, lanes: number) => V128;

function fpSame(name: string, u: string, a: string, opcode: string, forms: "vector" | "both", result: OnFp): Insn[] {
  type F = { q?: number; sz?: number; rm: number; rn: number; rd: number };
  const run = onFpLanes<F>((simd, { rm, rn, rd }, bits, lanes) =>
    result(simd, simd.v(rd), simd.v(rn), simd.v(rm), bits, lanes),
  );
  const rest = `${a} sz 1 rm:5 11${opcode} 1 rn:5 rd:5`;
  const half = `${a} 10 rm:5 00${opcode} 1 rn:5 rd:5`;
  return [
    composed(name, `0 q ${u} 01110 ${rest}`, run, "AdvSIMD"),
    composed(`${name} (half)`, `0 q ${u} 01110 ${half}`, run, "FP16"),
    ...(forms === "both"
      ? [
          composed(`${name}, scalar`, `01 ${u} 11110 ${rest}`, run, "AdvSIMD"),
          composed(`${name}, scalar (half)`, `01 ${u} 11110 ${half}`, run, "FP16"),
        ]
      : []),
  ];
}

function fp(name: FpBinary): OnFp {
  return (simd, _, n, m, bits, lanes) => simd.fpBinary(name, bits, lanes, n, m);
}

function fpCompare(name: FpComparison): OnFp {
  return (simd, _, n, m, bits, lanes) => simd.fpCompare(name, bits, lanes, n, m);
}

function fpPairwise(name: FpBinary): OnFp {
  return (simd, _, n, m, bits, lanes) => {
    const total = (lanes * bits) as 64 | 128;
    const even = everySecond(simd, bits, total, 0, n, m);
    return simd.fpBinary(name, bits, lanes, even, everySecond(simd, bits, total, 1, n, m));
  };
}

function multiplyLong(half: "lower" | "upper", how: "add" | "sub"): Semantics<Registers> {
  return ({ simd }, { q, rm, rn, rd }) => {
    simd.checkFp();
    const lanes = q === 1 ? 4 : 2;
    // The upper part of a vector of 64 bits is its upper 32.
    const part = (v: V128) => {
      if (half === "lower") return v;
      return q === 1 ? simd.shuffle(v, v, upperBytes(8)) : simd.shuffle(v, v, upperBytes(4));
    };
    const n = part(simd.v(rn));
    const factor = how === "add" ? n : simd.fpUnary("neg", 16, lanes, n);
    simd.setV(rd, simd.fpMulAddLong(lanes, simd.v(rd), factor, part(simd.v(rm))));
  };
}

const upperBytes = (first: number): number[] => Array.from({ length: 16 }, (_, n) => (first + n) % 16);

/** FCADD and FCMLA: pairs of lanes are complex numbers. */
function complex(): Insn[] {
  type Add = { q: number; sz?: number; rot: number; rm: number; rn: number; rd: number };
  const add = onFpLanes<Add>((simd, { rot, rm, rn }, bits, lanes) => {
    // Rotated by 90 or 270 degrees: the parts change places, one of them its sign.
    const turned = negateLanes(simd, bits, swapPairs(simd, bits, simd.v(rm)), rot === 0 ? "even" : "odd");
    return simd.fpBinary("add", bits, lanes, simd.v(rn), turned);
  });
  const multiply = onFpLanes<Add>((simd, { rot, rm, rn, rd }, bits, lanes) =>
    complexProduct(simd, bits, lanes, rot, simd.v(rd), simd.v(rn), simd.v(rm)),
  );
  return [
    composed("FCMLA", "0 q 1 01110 1 sz 0 rm:5 110 rot:2 1 rn:5 rd:5", multiply, "FCMA"),
    composed("FCMLA (half)", "0 q 1 01110 01 0 rm:5 110 rot:2 1 rn:5 rd:5", multiply, "FCMA", "FP16"),
    composed("FCADD", "0 q 1 01110 1 sz 0 rm:5 111 rot 0 1 rn:5 rd:5", add, "FCMA"),
    composed("FCADD (half)", "0 q 1 01110 01 0 rm:5 111 rot 0 1 rn:5 rd:5", add, "FCMA", "FP16"),
  ];
}

/** d + n × m, rotated by `rot` × 90 degrees, the part of the product that one FCMLA makes. */
export function complexProduct(simd: Simd, bits: FpBits, lanes: number, rot: number, d: V128, n: V128, m: V128): V128 {
  const part = everyPair(simd, bits, n, (rot & 1) as 0 | 1);
  const turned = (rot & 1) === 0 ? m : swapPairs(simd, bits, m);
  const negated = rot === 0 ? null : rot === 1 ? "even" : rot === 2 ? "both" : "odd";
  const factor = negated === null ? turned : negateLanes(simd, bits, turned, negated);
  return simd.fpMulAdd(bits, lanes, d, part, factor);
}

const pairsOf = (bits: number, chosen: (pair: number, which: number) => number): number[] =>
  Array.from({ length: 16 }, (_, n) => {
    const lane = Math.floor((n * 8) / bits);
    return (chosen(lane >> 1, lane & 1) * bits) / 8 + (n % (bits / 8));
  });

function swapPairs(simd: Simd, bits: number, v: V128): V128 {
  return simd.shuffle(
    v,
    v,
    pairsOf(bits, (pair, which) => 2 * pair + 1 - which),
  );
}

/** The first or second lane of each pair in both. */
function everyPair(simd: Simd, bits: number, v: V128, which: 0 | 1): V128 {
  return simd.shuffle(
    v,
    v,
    pairsOf(bits, (pair) => 2 * pair + which),
  );
}

function negateLanes(simd: Simd, bits: FpBits, v: V128, which: "even" | "odd" | "both"): V128 {
  let signs = 0n;
  for (let lane = 0; lane * bits < 128; lane++) {
    if (which === "both" || (lane % 2 === 0) === (which === "even")) signs |= 1n << BigInt(bits * (lane + 1) - 1);
  }
  return simd.binary("eor", 64, v, simd.vectorConstant(BigInt.asUintN(64, signs), signs >> 64n));
}

function addPair({ simd }: Machine, { rn, rd }: { rn: number; rd: number }) {
  simd.checkFp();
  const upper = simd.shuffle(simd.v(rn), simd.v(rn), upperBytes(8));
  simd.setV(rd, simd.low(64, simd.binary("add", 64, simd.v(rn), upper)));
}

function fpPairs(name: string, a: string, opcode: string, operation: FpBinary): Insn[] {
  const run: Semantics<{ sz?: number; rn: number; rd: number }> = ({ simd }, { sz, rn, rd }) => {
    simd.checkFp();
    const bits = sz === undefined ? 16 : sz === 1 ? 64 : 32;
    const second = simd.shuffle(simd.v(rn), simd.v(rn), upperBytes(bits / 8));
    simd.setV(rd, simd.fpBinary(operation, bits, 1, simd.v(rn), second));
  };
  return [
    composed(name, `01 1 11110 ${a} sz 11000 ${opcode} 10 rn:5 rd:5`, run, "AdvSIMD"),
    composed(`${name} (half)`, `01 0 11110 ${a} 0 11000 ${opcode} 10 rn:5 rd:5`, run, "FP16"),
  ];
}

type Different = { q: number; size: number; rm: number; rn: number; rd: number };
type Long = (simd: Simd, n: V128, m: V128, bits: LaneBits, d: V128, sign: Signedness) => V128;

const half = (q: number) => (q === 1 ? "upper" : "lower");
/** Both operands are widened first. */
function long(name: string, opcode: string, result: Long): Insn[] {
  return signs.map(([letter, u, sign]) => {
    const run: Semantics<Different> = (m, { q, size, rm, rn, rd }) => {
      if (size === 3) return m.undefined();
      const { simd } = m;
      simd.checkFp();
      const bits = (8 << size) as 8 | 16 | 32;
      const n = simd.widen(sign, bits, half(q), simd.v(rn));
      const m2 = simd.widen(sign, bits, half(q), simd.v(rm));
      simd.setV(rd, result(simd, n, m2, (2 * bits) as LaneBits, simd.v(rd), sign));
    };
    return composed(`${letter}${name}`, `0 q ${u} 01110 size:2 1 rm:5 ${opcode} 00 rn:5 rd:5`, run, "AdvSIMD");
  });
}

/** Only the second operand is. */
function wide(name: string, opcode: string, how: "add" | "sub"): Insn[] {
  return signs.map(([letter, u, sign]) => {
    const run: Semantics<Different> = (m, { q, size, rm, rn, rd }) => {
      if (size === 3) return m.undefined();
      const { simd } = m;
      simd.checkFp();
      const bits = (8 << size) as 8 | 16 | 32;
      const widened = simd.widen(sign, bits, half(q), simd.v(rm));
      simd.setV(rd, simd.binary(how, (2 * bits) as LaneBits, simd.v(rn), widened));
    };
    return composed(`${letter}${name}`, `0 q ${u} 01110 size:2 1 rm:5 ${opcode} 00 rn:5 rd:5`, run, "AdvSIMD");
  });
}

/** The upper halves of sums or differences, cut or rounded. */
function high(name: string, opcode: string, how: "add" | "sub"): Insn[] {
  return (["0", "1"] as const).map((u) => {
    const run: Semantics<Different> = (m, { q, size, rm, rn, rd }) => {
      if (size === 3) return m.undefined();
      const { simd } = m;
      simd.checkFp();
      const bits = (16 << size) as 16 | 32 | 64;
      const sum = simd.binary(how, bits, simd.v(rn), simd.v(rm));
      const rounding = everyLane(simd, bits, 1n << BigInt(bits / 2 - 1));
      const rounded = u === "1" ? simd.binary("add", bits, sum, rounding) : sum;
      setHalf(m, q, rd, simd.narrow("xtn", bits, simd.shift("ushr", bits, rounded, bits / 2)));
    };
    return composed(
      `${u === "1" ? "R" : ""}${name}`,
      `0 q ${u} 01110 size:2 1 rm:5 ${opcode} 00 rn:5 rd:5`,
      run,
      "AdvSIMD",
    );
  });
}

type Doubling = (simd: Simd, product: V128, bits: LaneBits, d: V128) => V128;

/** SQDMULL and kin: `q` is absent from the scalar form. */
function doubling(name: string, opcode: string, result: Doubling): Insn[] {
  const run: Semantics<Omit<Different, "q"> & { q?: number }> = (m, { q, size, rm, rn, rd }) => {
    if (size === 0 || size === 3) return m.undefined();
    const { simd } = m;
    simd.checkFp();
    const bits = (8 << size) as 16 | 32;
    const to = (2 * bits) as LaneBits;
    // What a scalar has not got must not saturate either.
    const factor = (v: V128) => simd.widen("signed", bits, half(q ?? 0), q === undefined ? simd.low(bits, v) : v);
    const d = q === undefined ? simd.low(to as 32 | 64, simd.v(rd)) : simd.v(rd);
    const product = simd.binary("sqdmull", to, factor(simd.v(rn)), factor(simd.v(rm)));
    simd.setV(rd, result(simd, product, to, d));
  };
  const rest = `size:2 1 rm:5 ${opcode} 00 rn:5 rd:5`;
  return [
    composed(name, `0 q 0 01110 ${rest}`, run, "AdvSIMD"),
    composed(`${name}, scalar`, `01 0 11110 ${rest}`, run, "AdvSIMD"),
  ];
}

function polynomial(bits: 8 | 64): Semantics<Registers> {
  return ({ simd }, { q, rm, rn, rd }) => {
    simd.checkFp();
    simd.setV(rd, simd.polynomialProduct(bits, half(q), simd.v(rn), simd.v(rm)));
  };
}
