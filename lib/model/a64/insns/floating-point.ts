// Data Processing -- Scalar Floating-Point. DDI 0487 C4.1.

import { composed, type Insn, insn, type Semantics } from "../insn.js";
import type { Machine, V128 } from "../machine.js";
import type { FpBinary, FpBits, FpRounding, FpUnary, Signedness } from "../vector.js";

// biome-ignore format: table
export const floatingPoint: readonly Insn[] = [
  // Conversion between floating-point and fixed-point
  ...fixed("SCVTF (fixed-point)",  "00 010", fromFixed("signed")),
  ...fixed("UCVTF (fixed-point)",  "00 011", fromFixed("unsigned")),
  ...fixed("FCVTZS (fixed-point)", "11 000", toFixed("signed")),
  ...fixed("FCVTZU (fixed-point)", "11 001", toFixed("unsigned")),

  // Conversion between floating-point and integer
  ...integer("FCVTNS", "00 000", toInteger("signed", "even")),
  ...integer("FCVTNU", "00 001", toInteger("unsigned", "even")),
  ...integer("SCVTF",  "00 010", fromInteger("signed")),
  ...integer("UCVTF",  "00 011", fromInteger("unsigned")),
  ...integer("FCVTAS", "00 100", toInteger("signed", "away")),
  ...integer("FCVTAU", "00 101", toInteger("unsigned", "away")),
  ...integer("FCVTPS", "01 000", toInteger("signed", "posinf")),
  ...integer("FCVTPU", "01 001", toInteger("unsigned", "posinf")),
  ...integer("FCVTMS", "10 000", toInteger("signed", "neginf")),
  ...integer("FCVTMU", "10 001", toInteger("unsigned", "neginf")),
  ...integer("FCVTZS", "11 000", toInteger("signed", "zero")),
  ...integer("FCVTZU", "11 001", toInteger("unsigned", "zero")),
  insn("FMOV Wd, Sn",    "0 0 0 11110 00 1 00 110 000000 rn:5 rd:5",  moveToGeneral(32), "FP"),
  insn("FMOV Sd, Wn",    "0 0 0 11110 00 1 00 111 000000 rn:5 rd:5",  moveFromGeneral(32), "FP"),
  insn("FMOV Xd, Dn",    "1 0 0 11110 01 1 00 110 000000 rn:5 rd:5",  moveToGeneral(64), "FP"),
  insn("FMOV Dd, Xn",    "1 0 0 11110 01 1 00 111 000000 rn:5 rd:5",  moveFromGeneral(64), "FP"),
  insn("FMOV Xd, Vn.D[1]", "1 0 0 11110 10 1 01 110 000000 rn:5 rd:5", moveUpperToGeneral, "FP"),
  insn("FMOV Vd.D[1], Xn", "1 0 0 11110 10 1 01 111 000000 rn:5 rd:5", moveUpperFromGeneral, "FP"),
  insn("FMOV Rd, Hn",    "sf 0 0 11110 11 1 00 110 000000 rn:5 rd:5", moveToGeneral(16), "FP16"),
  insn("FMOV Hd, Rn",    "sf 0 0 11110 11 1 00 111 000000 rn:5 rd:5", moveFromGeneral(16), "FP16"),
  insn("FJCVTZS",        "0 0 0 11110 01 1 11 110 000000 rn:5 rd:5",  toJavaScript, "JSCVT"),

  // Data-processing (1 source)
  ...scalar("FMOV (register)", "1 000000 10000 rn:5 rd:5", move),
  ...scalar("FABS",            "1 000001 10000 rn:5 rd:5", oneSource("abs")),
  ...scalar("FNEG",            "1 000010 10000 rn:5 rd:5", oneSource("neg")),
  ...scalar("FSQRT",           "1 000011 10000 rn:5 rd:5", oneSource("sqrt")),
  insn("FCVT Dd, Sn",          "0 0 0 11110 00 1 000101 10000 rn:5 rd:5", convert(32, 64), "FP"),
  insn("FCVT Hd, Sn",          "0 0 0 11110 00 1 000111 10000 rn:5 rd:5", convert(32, 16), "FP"),
  insn("FCVT Sd, Dn",          "0 0 0 11110 01 1 000100 10000 rn:5 rd:5", convert(64, 32), "FP"),
  insn("FCVT Hd, Dn",          "0 0 0 11110 01 1 000111 10000 rn:5 rd:5", convert(64, 16), "FP"),
  insn("FCVT Sd, Hn",          "0 0 0 11110 11 1 000100 10000 rn:5 rd:5", convert(16, 32), "FP"),
  insn("FCVT Dd, Hn",          "0 0 0 11110 11 1 000101 10000 rn:5 rd:5", convert(16, 64), "FP"),
  ...scalar("FRINTN",          "1 001000 10000 rn:5 rd:5", roundTo("even")),
  ...scalar("FRINTP",          "1 001001 10000 rn:5 rd:5", roundTo("posinf")),
  ...scalar("FRINTM",          "1 001010 10000 rn:5 rd:5", roundTo("neginf")),
  ...scalar("FRINTZ",          "1 001011 10000 rn:5 rd:5", roundTo("zero")),
  ...scalar("FRINTA",          "1 001100 10000 rn:5 rd:5", roundTo("away")),
  ...scalar("FRINTX",          "1 001110 10000 rn:5 rd:5", roundTo("fpcr", "signaled")),
  ...scalar("FRINTI",          "1 001111 10000 rn:5 rd:5", roundTo("fpcr")),
  insn("FRINT32Z",             "0 0 0 11110 0 d 1 010000 10000 rn:5 rd:5", roundSized(32, "zero"), "FRINTTS"),
  insn("FRINT32X",             "0 0 0 11110 0 d 1 010001 10000 rn:5 rd:5", roundSized(32, "fpcr"), "FRINTTS"),
  insn("FRINT64Z",             "0 0 0 11110 0 d 1 010010 10000 rn:5 rd:5", roundSized(64, "zero"), "FRINTTS"),
  insn("FRINT64X",             "0 0 0 11110 0 d 1 010011 10000 rn:5 rd:5", roundSized(64, "fpcr"), "FRINTTS"),

  // Compare
  ...scalar("FCMP",            "1 rm:5  00 1000 rn:5 00 000", compare("quiet", "register")),
  ...scalar("FCMP (zero)",     "1 ..... 00 1000 rn:5 01 000", compare("quiet", "zero")),
  ...scalar("FCMPE",           "1 rm:5  00 1000 rn:5 10 000", compare("signaling", "register")),
  ...scalar("FCMPE (zero)",    "1 ..... 00 1000 rn:5 11 000", compare("signaling", "zero")),

  ...scalar("FMOV (scalar, immediate)", "1 imm8:8 100 00000 rd:5", moveImmediate),

  // Conditional compare, conditional select
  ...scalar("FCCMP",           "1 rm:5 cond:4 01 rn:5 0 nzcv:4", conditionalCompare("quiet")),
  ...scalar("FCCMPE",          "1 rm:5 cond:4 01 rn:5 1 nzcv:4", conditionalCompare("signaling")),
  ...scalar("FCSEL",           "1 rm:5 cond:4 11 rn:5 rd:5", select),

  // Data-processing (2 source)
  ...scalar("FMUL",            "1 rm:5 0000 10 rn:5 rd:5", twoSource("mul")),
  ...scalar("FDIV",            "1 rm:5 0001 10 rn:5 rd:5", twoSource("div")),
  ...scalar("FADD",            "1 rm:5 0010 10 rn:5 rd:5", twoSource("add")),
  ...scalar("FSUB",            "1 rm:5 0011 10 rn:5 rd:5", twoSource("sub")),
  ...scalar("FMAX",            "1 rm:5 0100 10 rn:5 rd:5", twoSource("max")),
  ...scalar("FMIN",            "1 rm:5 0101 10 rn:5 rd:5", twoSource("min")),
  ...scalar("FMAXNM",          "1 rm:5 0110 10 rn:5 rd:5", twoSource("maxnm")),
  ...scalar("FMINNM",          "1 rm:5 0111 10 rn:5 rd:5", twoSource("minnm")),
  ...scalar("FNMUL",           "1 rm:5 1000 10 rn:5 rd:5", multiplyNegate),

  // Data-processing (3 source)
  ...threeSource("FMADD",  "0 rm:5 0", {}),
  ...threeSource("FMSUB",  "0 rm:5 1", { negate: "product" }),
  ...threeSource("FNMADD", "1 rm:5 0", { negate: "both" }),
  ...threeSource("FNMSUB", "1 rm:5 1", { negate: "addend" }),
];

type Meaning<F> = (m: Machine, fields: F, bits: FpBits) => void;

/** The rows of single and double precision, and of half precision. What follows ptype is `rest`. */
function rows<F>(name: string, first: string, rest: string, meaning: Meaning<F>): Insn[] {
  const either: Semantics<F & { d: number }> = (m, fields) => meaning(m, fields, fields.d === 1 ? 64 : 32);
  return [
    composed(name, `${first} 0 d ${rest}`, either, "FP"),
    composed(`${name} (half)`, `${first} 11 ${rest}`, (m, fields: F) => meaning(m, fields, 16), "FP16"),
  ];
}

/** `meaning` comes after CheckFPEnabled64. */
function scalar<F>(name: string, rest: string, meaning: Meaning<F>): Insn[] {
  return rows(name, "0 0 0 11110", rest, checked(meaning));
}

function checked<F>(meaning: Meaning<F>): Meaning<F> {
  return (m, fields, bits) => {
    m.simd.checkFp();
    meaning(m, fields, bits);
  };
}

function move({ simd }: Machine, { rn, rd }: Move, bits: FpBits) {
  simd.setV(rd, simd.low(bits, simd.v(rn)));
}

function oneSource(op: FpUnary): Meaning<{ rn: number; rd: number }> {
  return ({ simd }, { rn, rd }, bits) => simd.setV(rd, simd.fpUnary(op, bits, 1, simd.v(rn)));
}

function twoSource(op: FpBinary): Meaning<{ rm: number; rn: number; rd: number }> {
  return ({ simd }, { rm, rn, rd }, bits) => simd.setV(rd, simd.fpBinary(op, bits, 1, simd.v(rn), simd.v(rm)));
}

function multiplyNegate({ simd }: Machine, { rm, rn, rd }: { rm: number; rn: number; rd: number }, bits: FpBits) {
  const product = simd.fpBinary("mul", bits, 1, simd.v(rn), simd.v(rm));
  simd.setV(rd, simd.fpUnary("neg", bits, 1, product));
}

/** "product": a - n × m; "addend": n × m - a; "both": -(a + n × m), each rounded once. */
type Negation = { negate?: "product" | "addend" | "both" };

function threeSource(name: string, middle: string, { negate }: Negation): Insn[] {
  const meaning: Meaning<{ rm: number; ra: number; rn: number; rd: number }> = ({ simd }, { rm, ra, rn, rd }, bits) => {
    const negated = (v: V128) => simd.fpUnary("neg", bits, 1, v);
    const addend = negate === "addend" || negate === "both" ? negated(simd.v(ra)) : simd.v(ra);
    const factor = negate === "product" || negate === "both" ? negated(simd.v(rn)) : simd.v(rn);
    simd.setV(rd, simd.fpMulAdd(bits, 1, addend, factor, simd.v(rm)));
  };
  return rows(name, "0 0 0 11111", `${middle} ra:5 rn:5 rd:5`, checked(meaning));
}

function roundTo(
  rounding: FpRounding,
  inexact: "signaled" | "ignored" = "ignored",
): Meaning<{ rn: number; rd: number }> {
  return ({ simd }, { rn, rd }, bits) => simd.setV(rd, simd.fpRound(bits, 1, simd.v(rn), rounding, inexact));
}

function roundSized(size: 32 | 64, rounding: FpRounding): Semantics<{ d: number; rn: number; rd: number }> {
  return ({ simd }, { d, rn, rd }) => {
    simd.checkFp();
    simd.setV(rd, simd.fpRoundSized(d === 1 ? 64 : 32, 1, simd.v(rn), size, rounding));
  };
}

function convert(from: FpBits, to: FpBits): Semantics<{ rn: number; rd: number }> {
  return ({ simd }, { rn, rd }) => {
    simd.checkFp();
    simd.setV(rd, simd.fpConvert(from, to, 1, simd.v(rn), "fpcr"));
  };
}

function compare(nans: "quiet" | "signaling", operand: "register" | "zero"): Meaning<{ rn: number; rm?: number }> {
  return (m, { rn, rm = 0 }, bits) => {
    const { simd } = m;
    const other = operand === "zero" ? simd.vectorConstant(0n, 0n) : simd.v(rm);
    m.setNzcv(simd.fpFlags(bits, simd.v(rn), other, nans));
  };
}

type Conditional = { rm: number; cond: number; rn: number; nzcv: number };

function conditionalCompare(nans: "quiet" | "signaling"): Meaning<Conditional> {
  return (m, { rm, cond, rn, nzcv }, bits) => {
    // Without the condition nothing is compared, so nothing is signaled either.
    m.setNzcv(m.simd.fpFlagsIf(m.condition(cond), bits, m.simd.v(rn), m.simd.v(rm), nans, nzcv));
  };
}

function select(m: Machine, { rm, cond, rn, rd }: { rm: number; cond: number; rn: number; rd: number }, bits: FpBits) {
  const { simd, w64 } = m;
  const chosen = w64.select(m.condition(cond), simd.lane(bits, 0, simd.v(rn)), simd.lane(bits, 0, simd.v(rm)));
  simd.setV(rd, simd.vector(chosen, w64.immediate(0)));
}

/** VFPExpandImm. */
export function expandImmediate(imm8: number, bits: FpBits): bigint {
  const exponentBits = { 16: 5, 32: 8, 64: 11 }[bits];
  const fractionBits = bits - exponentBits - 1;
  const sign = BigInt(imm8 >> 7);
  const high = (imm8 >> 6) & 1;
  const exponent =
    ((1 - high) << (exponentBits - 1)) | ((high === 1 ? (1 << (exponentBits - 3)) - 1 : 0) << 2) | ((imm8 >> 4) & 3);
  const fraction = BigInt(imm8 & 15) << BigInt(fractionBits - 4);
  return (sign << BigInt(bits - 1)) | (BigInt(exponent) << BigInt(fractionBits)) | fraction;
}

function moveImmediate({ simd }: Machine, { imm8, rd }: { imm8: number; rd: number }, bits: FpBits) {
  simd.setV(rd, simd.vectorConstant(expandImmediate(imm8, bits), 0n));
}

type ToOrFrom = (m: Machine, fields: { sf: number; rn: number; rd: number; scale?: number }, bits: FpBits) => void;

function integer(name: string, opcode: string, meaning: ToOrFrom): Insn[] {
  const rest = `1 ${opcode} 000000 rn:5 rd:5`;
  return rows(name, "sf 0 0 11110", rest, checked(meaning));
}

function fixed(name: string, opcode: string, meaning: ToOrFrom): Insn[] {
  const rest = `0 ${opcode} scale:6 rn:5 rd:5`;
  const reservedFirst: ToOrFrom = (m, fields, bits) => {
    // A fraction of more bits than the register has.
    if (fields.sf === 0 && (fields.scale ?? 0) < 32) return m.undefined();
    checked(meaning)(m, fields, bits);
  };
  return rows(name, "sf 0 0 11110", rest, reservedFirst);
}

function toInteger(signedness: Signedness, rounding: FpRounding): ToOrFrom {
  return (m, { sf, rn, rd, scale }, bits) => {
    const fraction = scale === undefined ? 0 : 64 - scale;
    const result = m.simd.fpToFixed(bits, sf === 1 ? 64 : 32, 1, m.simd.v(rn), fraction, signedness, rounding);
    m.w64.setX(rd, m.simd.lane(64, 0, result));
  };
}

function toFixed(signedness: Signedness): ToOrFrom {
  return toInteger(signedness, "zero");
}

function fromInteger(signedness: Signedness): ToOrFrom {
  return (m, { sf, rn, rd, scale }, bits) => {
    const { simd, w64 } = m;
    const fraction = scale === undefined ? 0 : 64 - scale;
    const value = simd.vector(w64.x(rn), w64.immediate(0));
    simd.setV(rd, simd.fpFromFixed(sf === 1 ? 64 : 32, bits, 1, value, fraction, signedness));
  };
}

function fromFixed(signedness: Signedness): ToOrFrom {
  return fromInteger(signedness);
}

type Move = { rn: number; rd: number };

function moveToGeneral(bits: FpBits): Semantics<Move> {
  return (m, { rn, rd }) => {
    m.simd.checkFp();
    m.w64.setX(rd, m.simd.lane(bits, 0, m.simd.v(rn)));
  };
}

function moveFromGeneral(bits: FpBits): Semantics<Move> {
  return ({ simd, w64 }, { rn, rd }) => {
    simd.checkFp();
    simd.setV(rd, simd.low(bits, simd.vector(w64.x(rn), w64.immediate(0))));
  };
}

function moveUpperToGeneral(m: Machine, { rn, rd }: Move) {
  m.simd.checkFp();
  m.w64.setX(rd, m.simd.lane(64, 1, m.simd.v(rn)));
}

function moveUpperFromGeneral({ simd, w64 }: Machine, { rn, rd }: Move) {
  simd.checkFp();
  simd.setV(rd, simd.withLane(64, 1, simd.v(rd), w64.x(rn)));
}

// PSTATE.Z says whether the conversion was exact; the other flags are 0.
function toJavaScript(m: Machine, { rn, rd }: Move) {
  m.simd.checkFp();
  const [result, exact] = m.simd.fpToJavaScript(m.simd.v(rn));
  m.w32.setX(rd, result);
  m.setNzcv(m.w32.select(exact, m.w32.immediate(0x4000_0000), m.w32.immediate(0)));
}
