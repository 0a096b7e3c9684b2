// Text of a word for traces: common forms as an assembler writes them, all others by name and fields.

import { extract } from "./bits.js";
import { vectorFeatures } from "./features.js";
import { conditions } from "./printer.js";
import { DecodeBitMasks } from "./pseudocode.js";
import { decodeA64 } from "./table.js";

type Fields = Readonly<Record<string, number>>;

/** The instruction at `pc`. */
export function disassemble(word: number, pc: bigint): string {
  const row = decodeA64(word >>> 0);
  if (row === undefined) return `.inst 0x${(word >>> 0).toString(16).padStart(8, "0")}`;
  const fields = extract(row.encoding, word);
  const [mnemonic, form] = split(row.name);
  // The forms below are those of general registers.
  const write = row.needs.some((feature) => vectorFeatures.has(feature))
    ? undefined
    : (forms[`${mnemonic} (${form})`] ?? forms[mnemonic] ?? forms[shape(fields)] ?? forms[form]);
  if (write !== undefined) {
    const shown = mnemonic === "B.cond" ? `b.${conditions[fields["cond"]!]}` : mnemonic.toLowerCase();
    return `${shown} ${write(new Operands(fields, pc, row.name))}`.trimEnd();
  }
  const named = Object.entries(fields).map(([name, value]) => `${name}=${value}`);
  return [row.name, ...named].join(" ");
}

/** "LDR Xt (immediate)" is LDR, "immediate". */
function split(name: string): [mnemonic: string, form: string] {
  const [, mnemonic, form] = /^([A-Z0-9.a-z]+)(?: [XW]t)?(?: \((.*)\))?$/.exec(name) ?? [];
  return [mnemonic ?? name, form ?? ""];
}

function shape(fields: Fields): string {
  return Object.keys(fields).join(" ");
}

class Operands {
  constructor(
    readonly f: Fields,
    readonly pc: bigint,
    private readonly name: string,
  ) {}
  private get letter(): "x" | "w" {
    if (this.name.includes(" Wt")) return "w";
    return this.f["sf"] === 0 ? "w" : "x";
  }
  x(field: string): string {
    const n = this.f[field]!;
    return n === 31 ? `${this.letter}zr` : `${this.letter}${n}`;
  }
  xsp(field: string, letter: "x" | "w" = this.letter): string {
    const n = this.f[field]!;
    return n === 31 ? (letter === "x" ? "sp" : "wsp") : `${letter}${n}`;
  }
  n(field: string): number {
    return this.f[field]!;
  }
  target(field: string): string {
    return `0x${BigInt.asUintN(64, this.pc + BigInt(this.n(field) * 4)).toString(16)}`;
  }
  /** The bytes that one step of a scaled offset is. */
  get scale(): number {
    const [, suffix] = /^(?:LD|ST)[A-Z]*R(S?[BH])? /.exec(this.name) ?? [];
    if (suffix?.endsWith("B")) return 1;
    if (suffix?.endsWith("H")) return 2;
    return this.letter === "x" && !this.name.startsWith("LDRSW") && !this.name.startsWith("LDPSW") ? 8 : 4;
  }
}

const shifts = ["lsl", "lsr", "asr", "ror"];
const extensions = ["uxtb", "uxth", "uxtw", "uxtx", "sxtb", "sxth", "sxtw", "sxtx"];
const amount = (n: number) => (n === 0 ? "" : `, #${n}`);
const base = (o: Operands, offset: number) =>
  offset === 0 ? `[${o.xsp("rn", "x")}]` : `[${o.xsp("rn", "x")}, #${offset}]`;

const shifted = (o: Operands) =>
  `${o.x("rd")}, ${o.x("rn")}, ${o.x("rm")}${o.n("imm6") === 0 ? "" : `, ${shifts[o.n("shift")]} #${o.n("imm6")}`}`;
const three = (o: Operands) => `${o.x("rd")}, ${o.x("rn")}, ${o.x("rm")}`;
const two = (o: Operands) => `${o.x("rd")}, ${o.x("rn")}`;
const four = (o: Operands) => `${three(o)}, ${o.x("ra")}`;
const select = (o: Operands) => `${three(o)}, ${conditions[o.n("cond")]}`;
const compare = (o: Operands, second: string) => `${o.x("rn")}, ${second}, #${o.n("nzcv")}, ${conditions[o.n("cond")]}`;
const wide = (o: Operands) =>
  `${o.x("rd")}, #0x${o.n("imm16").toString(16)}${o.n("hw") === 0 ? "" : `, lsl #${o.n("hw") * 16}`}`;
const pair = (o: Operands, address: string) => `${o.x("rt")}, ${o.x("rt2")}, ${address}`;
const exception = (o: Operands) => `#0x${o.n("imm16").toString(16)}`;

const forms: Readonly<Record<string, (o: Operands) => string>> = {
  // by shape: the names of the fields, in order
  "sf sh imm12 rn rd": (o) =>
    `${o.xsp("rd")}, ${o.xsp("rn")}, #0x${o.n("imm12").toString(16)}${o.n("sh") === 1 ? ", lsl #12" : ""}`,
  "sf n immr imms rn rd": (o) => `${two(o)}, #${o.n("immr")}, #${o.n("imms")}`,
  "sf hw imm16 rd": wide,
  "sf shift rm imm6 rn rd": shifted,
  "sf rm option imm3 rn rd": (o) =>
    `${o.xsp("rd")}, ${o.xsp("rn")}, ${o.x("rm")}, ${extensions[o.n("option")]}${amount(o.n("imm3")).slice(1)}`,
  "sf rm rn rd": three,
  "sf rn rd": two,
  "rm rn rd": three,
  "rn rd": two,
  "sf rm ra rn rd": four,
  "rm ra rn rd": four,
  "sf rm cond rn rd": select,
  "immlo immhi rd": (o) => `${o.x("rd")}, #${o.n("immhi") * 4 + o.n("immlo")}`,
  "sf imm19 rt": (o) => `${o.x("rt")}, ${o.target("imm19")}`,
  "b5 b40 imm14 rt": (o) => `${o.x("rt")}, #${o.n("b5") * 32 + o.n("b40")}, ${o.target("imm14")}`,
  "imm19 rt": (o) => `${o.x("rt")}, ${o.target("imm19")}`,
  imm26: (o) => o.target("imm26"),
  imm16: exception,
  // by addressing mode
  immediate: (o) => `${o.x("rt")}, ${base(o, o.n("imm12") * o.scale)}`,
  unscaled: (o) => `${o.x("rt")}, ${base(o, o.n("imm9"))}`,
  unprivileged: (o) => `${o.x("rt")}, ${base(o, o.n("imm9"))}`,
  post: (o) =>
    o.f["imm7"] === undefined
      ? `${o.x("rt")}, [${o.xsp("rn", "x")}], #${o.n("imm9")}`
      : pair(o, `[${o.xsp("rn", "x")}], #${o.n("imm7") * o.scale}`),
  pre: (o) =>
    o.f["imm7"] === undefined
      ? `${o.x("rt")}, [${o.xsp("rn", "x")}, #${o.n("imm9")}]!`
      : pair(o, `[${o.xsp("rn", "x")}, #${o.n("imm7") * o.scale}]!`),
  offset: (o) => pair(o, base(o, o.n("imm7") * o.scale)),
  "no-allocate": (o) => pair(o, base(o, o.n("imm7") * o.scale)),
  // by name
  ADRP: (o) => `${o.x("rd")}, 0x${(((o.pc >> 12n) + BigInt(o.n("immhi") * 4 + o.n("immlo"))) << 12n).toString(16)}`,
  ADR: (o) => `${o.x("rd")}, 0x${(o.pc + BigInt(o.n("immhi") * 4 + o.n("immlo"))).toString(16)}`,
  "AND (immediate)": logicalImmediate,
  "ORR (immediate)": logicalImmediate,
  "EOR (immediate)": logicalImmediate,
  "ANDS (immediate)": logicalImmediate,
  "CCMP (register)": (o) => compare(o, o.x("rm")),
  "CCMN (register)": (o) => compare(o, o.x("rm")),
  "CCMP (immediate)": (o) => compare(o, `#${o.n("rm")}`),
  "CCMN (immediate)": (o) => compare(o, `#${o.n("rm")}`),
  "B.cond": (o) => o.target("imm19"),
  BR: (o) => o.x("rn"),
  BLR: (o) => o.x("rn"),
  RET: (o) => (o.n("rn") === 30 ? "" : o.x("rn")),
  EXTR: (o) => `${three(o)}, #${o.n("imms")}`,
  MRS: (o) => `${o.x("rt")}, ${system(o)}`,
  MSR: (o) => `${system(o)}, ${o.x("rt")}`,
  ERET: () => "",
};

function logicalImmediate(o: Operands): string {
  const masks = DecodeBitMasks(o.n("n"), o.n("imms"), o.n("immr"), "logical");
  const mask = masks === null ? "reserved" : `0x${BigInt.asUintN(o.n("sf") === 1 ? 64 : 32, masks.wmask).toString(16)}`;
  return `${o.xsp("rd")}, ${o.x("rn")}, #${mask}`;
}

function system(o: Operands): string {
  return `S${2 + o.n("o0")}_${o.n("op1")}_C${o.n("crn")}_C${o.n("crm")}_${o.n("op2")}`;
}
