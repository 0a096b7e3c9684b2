// Advanced SIMD: shifts by immediate, and the fixed-point conversions among them. DDI 0487 C4.1.

import { composed, type Insn, type Semantics } from "../insn.js";
import type { V128 } from "../machine.js";
import { everyLane, operand, type Simd, setHalf, totalOf } from "../simd.js";
import type { LaneBits, Signedness, VectorNarrow, VectorShift } from "../vector.js";

/** immh begins with the lane's width; the bits behind it, with immb, are the amount. */
const widths = [
  { letter: "B", bits: 8, imm: "0001 imm:3" },
  { letter: "H", bits: 16, imm: "001 imm:4" },
  { letter: "S", bits: 32, imm: "01 imm:5" },
  { letter: "D", bits: 64, imm: "1 imm:6" },
] as const;

// biome-ignore format: table
export const simdShift: readonly Insn[] = [
  //                                 scalars of
  ...right("SSHR",   "0", "00000", "doubles", (simd, v, bits, n) => simd.shift("sshr", bits, v, n)),
  ...right("SSRA",   "0", "00010", "doubles", accumulate("sshr")),
  ...right("SRSHR",  "0", "00100", "doubles", (simd, v, bits, n) => simd.shift("srshr", bits, v, n)),
  ...right("SRSRA",  "0", "00110", "doubles", accumulate("srshr")),
  ...left("SHL",     "0", "01010", "doubles", (simd, v, bits, n) => simd.shift("shl", bits, v, n)),
  ...left("SQSHL (immediate)", "0", "01110", "all", (simd, v, bits, n) => simd.shift("sqshl", bits, v, n)),
  ...right("USHR",   "1", "00000", "doubles", (simd, v, bits, n) => simd.shift("ushr", bits, v, n)),
  ...right("USRA",   "1", "00010", "doubles", accumulate("ushr")),
  ...right("URSHR",  "1", "00100", "doubles", (simd, v, bits, n) => simd.shift("urshr", bits, v, n)),
  ...right("URSRA",  "1", "00110", "doubles", accumulate("urshr")),
  ...right("SRI",    "1", "01000", "doubles", insertRight),
  ...left("SLI",     "1", "01010", "doubles", insertLeft),
  ...left("SQSHLU",  "1", "01100", "all",     (simd, v, bits, n) => simd.shift("sqshlu", bits, v, n)),
  ...left("UQSHL (immediate)", "1", "01110", "all", (simd, v, bits, n) => simd.shift("uqshl", bits, v, n)),

  ...narrow("SHRN",     "0", "10000", "vector", "ushr",  "xtn"),
  ...narrow("RSHRN",    "0", "10001", "vector", "urshr", "xtn"),
  ...narrow("SQSHRN",   "0", "10010", "both",   "sshr",  "sqxtn"),
  ...narrow("SQRSHRN",  "0", "10011", "both",   "srshr", "sqxtn"),
  ...narrow("SQSHRUN",  "1", "10000", "both",   "sshr",  "sqxtun"),
  ...narrow("SQRSHRUN", "1", "10001", "both",   "srshr", "sqxtun"),
  ...narrow("UQSHRN",   "1", "10010", "both",   "ushr",  "uqxtn"),
  ...narrow("UQRSHRN",  "1", "10011", "both",   "urshr", "uqxtn"),

  ...long("SSHLL", "0", "signed"),
  ...long("USHLL", "1", "unsigned"),

  ...fixed("SCVTF (vector, fixed-point)",  "0", "11100", (simd, v, bits, lanes, n) => simd.fpFromFixed(bits, bits, lanes, v, n, "signed")),
  ...fixed("FCVTZS (vector, fixed-point)", "0", "11111", (simd, v, bits, lanes, n) => simd.fpToFixed(bits, bits, lanes, v, n, "signed", "zero")),
  ...fixed("UCVTF (vector, fixed-point)",  "1", "11100", (simd, v, bits, lanes, n) => simd.fpFromFixed(bits, bits, lanes, v, n, "unsigned")),
  ...fixed("FCVTZU (vector, fixed-point)", "1", "11111", (simd, v, bits, lanes, n) => simd.fpToFixed(bits, bits, lanes, v, n, "unsigned", "zero")),
];

interface Shift {
  readonly q?: number;
  readonly imm: number;
  readonly rn: number;
  readonly rd: number;
}

type Result = (simd: Simd, v: V128, bits: LaneBits, amount: number, d: V128) => V128;
type Scalars = "doubles" | "all";

function right(name: string, u: string, opcode: string, scalars: Scalars, result: Result): Insn[] {
  return shifts(name, u, opcode, scalars, result, (bits, imm) => bits - imm);
}

function left(name: string, u: string, opcode: string, scalars: Scalars, result: Result): Insn[] {
  return shifts(name, u, opcode, scalars, result, (_, imm) => imm);
}

function shifts(
  name: string,
  u: string,
  opcode: string,
  scalars: Scalars,
  result: Result,
  amountOf: (bits: number, imm: number) => number,
): Insn[] {
  return widths.flatMap(({ letter, bits, imm }) => {
    const run: Semantics<Shift> = (m, fields) => {
      const { q, rn, rd } = fields;
      if (q === 0 && bits === 64) return m.undefined();
      const { simd } = m;
      simd.checkFp();
      const r = result(simd, operand(simd, fields, bits, rn), bits, amountOf(bits, fields.imm), simd.v(rd));
      simd.setV(rd, simd.low(q === undefined ? bits : totalOf(q), r));
    };
    const rest = `${imm} ${opcode} 1 rn:5 rd:5`;
    const vector = composed(`${name} ${letter}`, `0 q ${u} 011110 ${rest}`, run, "AdvSIMD");
    if (scalars === "doubles" && bits !== 64) return [vector];
    return [vector, composed(`${name} ${letter}, scalar`, `01 ${u} 111110 ${rest}`, run, "AdvSIMD")];
  });
}

function accumulate(shift: VectorShift): Result {
  return (simd, v, bits, amount, d) => simd.binary("add", bits, d, simd.shift(shift, bits, v, amount));
}

/** The shifted value takes the place of the bits that it covers; the others stay. */
function insertRight(simd: Simd, v: V128, bits: LaneBits, amount: number, d: V128): V128 {
  const covered = amount === bits ? 0n : (1n << BigInt(bits - amount)) - 1n;
  const kept = simd.binary("bic", 64, d, everyLane(simd, bits, covered));
  return simd.binary("orr", 64, kept, simd.shift("ushr", bits, v, amount));
}

function insertLeft(simd: Simd, v: V128, bits: LaneBits, amount: number, d: V128): V128 {
  const kept = simd.binary("and", 64, d, everyLane(simd, bits, (1n << BigInt(amount)) - 1n));
  return simd.binary("orr", 64, kept, simd.shift("shl", bits, v, amount));
}

/** The width is that of the narrow lanes. */
function narrow(
  name: string,
  u: string,
  opcode: string,
  forms: "vector" | "both",
  shift: VectorShift,
  how: VectorNarrow,
): Insn[] {
  return widths.slice(0, 3).flatMap(({ letter, bits: to, imm }) => {
    const bits = (2 * to) as 16 | 32 | 64;
    const run: Semantics<Shift> = (m, fields) => {
      const { simd } = m;
      simd.checkFp();
      const { q, rn, rd } = fields;
      const v = q === undefined ? simd.low(bits, simd.v(rn)) : simd.v(rn);
      const half = simd.narrow(how, bits, simd.shift(shift, bits, v, to - fields.imm));
      if (q === undefined) simd.setV(rd, half);
      else setHalf(m, q, rd, half);
    };
    const rest = `${imm} ${opcode} 1 rn:5 rd:5`;
    const vector = composed(`${name} ${letter}`, `0 q ${u} 011110 ${rest}`, run, "AdvSIMD");
    if (forms === "vector") return [vector];
    return [vector, composed(`${name} ${letter}, scalar`, `01 ${u} 111110 ${rest}`, run, "AdvSIMD")];
  });
}

function long(name: string, u: string, sign: Signedness): Insn[] {
  return widths.slice(0, 3).map(({ letter, bits, imm }) => {
    const run: Semantics<Shift & { q: number }> = ({ simd }, fields) => {
      simd.checkFp();
      const half = fields.q === 1 ? "upper" : "lower";
      const widened = simd.widen(sign, bits as 8 | 16 | 32, half, simd.v(fields.rn));
      simd.setV(fields.rd, simd.shift("shl", (2 * bits) as LaneBits, widened, fields.imm));
    };
    return composed(`${name} ${letter}`, `0 q ${u} 011110 ${imm} 10100 1 rn:5 rd:5`, run, "AdvSIMD");
  });
}

type Fixed = (simd: Simd, v: V128, bits: 16 | 32 | 64, lanes: number, fractionBits: number) => V128;

function fixed(name: string, u: string, opcode: string, result: Fixed): Insn[] {
  return widths.slice(1).flatMap(({ letter, bits: width, imm }) => {
    const bits = width as 16 | 32 | 64;
    const run: Semantics<Shift> = (m, fields) => {
      const { q, rn, rd } = fields;
      if (q === 0 && bits === 64) return m.undefined();
      m.simd.checkFp();
      const lanes = q === undefined ? 1 : totalOf(q) / bits;
      m.simd.setV(rd, result(m.simd, m.simd.v(rn), bits, lanes, bits - fields.imm));
    };
    const rest = `${imm} ${opcode} 1 rn:5 rd:5`;
    const feature = bits === 16 ? "FP16" : "AdvSIMD";
    return [
      composed(`${name} ${letter}`, `0 q ${u} 011110 ${rest}`, run, feature),
      composed(`${name} ${letter}, scalar`, `01 ${u} 111110 ${rest}`, run, feature),
    ];
  });
}
