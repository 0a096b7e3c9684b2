// What there is to say about a register, and about a value of it. Pure: text and JSON come from the same description.
import {
  bitsOf,
  decodeEsr,
  decodeFirmwareBitmap,
  exceptionClasses,
  type Field,
  fieldsOf,
  firmwareBitmapById,
  formatEncoding,
  formatFaultStatus,
  formatMidr,
  formatPstate,
  formatRegId,
  kernels,
  maskOf,
  onKernel,
  type PerKernel,
  parseRegId,
  type RegId,
  regId,
  type SysReg,
  sysRegById,
} from "../arm64/index.js";
import { idMeaning } from "./id-meanings.js";

export interface FieldDescription {
  readonly name: string;
  readonly msb: number;
  readonly lsb: number;
  readonly value?: bigint;
  readonly meaning?: string;
}

export interface Description {
  readonly name: string;
  readonly id: bigint;
  readonly bits: number;
  /** What can be said of the register itself, in order. */
  readonly about: readonly (readonly [what: string, text: string])[];
  readonly value?: bigint;
  /** The value in a few words, where the register has such. */
  readonly summary?: string;
  readonly fields: readonly FieldDescription[];
  /** Bits that are set and have no name. */
  readonly rest?: bigint;
}

/** What a word of the command line asks for. */
export interface Question {
  readonly id: RegId;
  readonly value?: bigint;
}

const NUMBER = /^(0x[\da-f_]+|0b[01_]+|\d[\d_]*)$/i;

function parseNumber(text: string): bigint | undefined {
  if (!NUMBER.test(text)) return undefined;
  try {
    return BigInt(text.replaceAll("_", ""));
  } catch {
    return undefined;
  }
}

/** No architecture has ids below: such a number is a value. */
const LEAST_ID = 1n << 56n;

function parseRegister(text: string): RegId {
  const number = parseNumber(text);
  if (number === undefined) return parseRegId(text);
  if (number < LEAST_ID) throw new RangeError(`${text} is too small for a register id; a value is given as NAME=VALUE`);
  return regId(number);
}

/**
 * Words such as "x7", "0x603000000013c080", "SCTLR_EL1=0x30d00800", or a name and then its value. RangeError or
 * TypeError names the word that is none of these.
 */
export function parseQuestions(words: readonly string[]): Question[] {
  const questions: Question[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    const equals = word.indexOf("=");
    const id = parseRegister((equals < 0 ? word : word.slice(0, equals)).trim());
    const next = equals < 0 ? parseNumber(words[i + 1] ?? "") : undefined;
    // A number behind a name is its value, unless it is an id.
    const isValue = next !== undefined && !(next >= LEAST_ID && isId(next));
    const text = equals < 0 ? (isValue ? (words[++i] as string) : undefined) : word.slice(equals + 1).trim();
    if (text === undefined) questions.push({ id });
    else questions.push({ id, value: parseValue(text, id) });
  }
  return questions;
}

function isId(number: bigint): boolean {
  try {
    return regId(number) === number;
  } catch {
    return false;
  }
}

function parseValue(text: string, id: RegId): bigint {
  const value = parseNumber(text);
  if (value === undefined) throw new RangeError(`${formatRegId(id)}: ${JSON.stringify(text)} is no number`);
  if (value >> BigInt(bitsOf(id)) !== 0n) {
    throw new RangeError(`${formatRegId(id)} has ${bitsOf(id)} bits; ${text} does not fit`);
  }
  return value;
}

export function describeRegister({ id, value }: Question): Description {
  const name = formatRegId(id);
  const reg = sysRegById(id);
  const common = { name, id, bits: bitsOf(id), about: reg === undefined ? [] : aboutSysReg(reg) };
  const fields = fieldsOf(name === "pstate" ? "PSTATE" : name);
  if (value === undefined) return { ...common, fields: fields.map(placeOf) };
  const summary = summaryOf(id, name, value);
  const described = fields.map((field): FieldDescription => {
    const part = (value & maskOf(field)) >> BigInt(field.lsb);
    const meaning =
      field.name === "EC" && isSyndrome(name) ? decodeEsr(value).name : idMeaning(name, field.name, Number(part));
    return { ...placeOf(field), value: part, ...(meaning !== undefined && { meaning }) };
  });
  return {
    ...common,
    value,
    ...(summary !== undefined && { summary }),
    fields: [...described, ...syndromeFields(name, value)],
    rest: fields.reduce((left, field) => left & ~maskOf(field), value),
  };
}

const placeOf = ({ name, lsb, width }: Field): FieldDescription => ({ name, msb: lsb + width - 1, lsb });

const isSyndrome = (name: string): boolean => /^ESR_EL\d+$/.test(name);

function summaryOf(id: RegId, name: string, value: bigint): string | undefined {
  const bitmap = firmwareBitmapById(id);
  if (bitmap !== undefined) {
    const { services, rest } = decodeFirmwareBitmap(bitmap.name, value);
    return [...services, ...(rest === 0n ? [] : [`0x${rest.toString(16)}`])].join(", ") || "no services";
  }
  if (name === "MIDR_EL1") return formatMidr(value);
  if (name === "pstate" || /^SPSR_EL\d$/.test(name)) return formatPstate(value);
  if (!isSyndrome(name)) return undefined;
  const { text, fields } = decodeEsr(value);
  const status = fields["DFSC"] ?? fields["IFSC"];
  return status === undefined ? text : `${text}: ${formatFaultStatus(status)}`;
}

/** The fields of ESR.ISS, which depend on the exception class. */
function syndromeFields(name: string, value: bigint): FieldDescription[] {
  if (!isSyndrome(name)) return [];
  const syndrome = decodeEsr(value);
  if (syndrome.name === undefined) return [];
  const layout: Readonly<Record<string, number | readonly [number, number]>> = exceptionClasses[syndrome.name].iss;
  return Object.entries(layout).map(([field, place]) => {
    const [msb, lsb] = typeof place === "number" ? [place, place] : place;
    const part = syndrome.fields[field] as number;
    const meaning = field === "DFSC" || field === "IFSC" ? { meaning: formatFaultStatus(part) } : {};
    return { name: `ISS.${field}`, msb, lsb, value: BigInt(part), ...meaning };
  });
}

/** A fact that may differ between kernels: once, or kernel by kernel. */
function perKernel<T>(fact: PerKernel<T>, text: (value: T) => string): string {
  const texts = kernels.map((kernel) => text(onKernel(fact, kernel)));
  if (texts.every((one) => one === texts[0])) return texts[0] as string;
  return kernels.map((kernel, i) => `${texts[i]} (${kernel})`).join(", ");
}

function aboutSysReg(reg: SysReg): [string, string][] {
  const [op0, op1, crn, crm, op2] = reg.encoding;
  const access = (level: "el0" | "el1" | "el2"): string => reg[level] || "UNDEFINED";
  const rows: [string, string][] = [
    ["encoding", `${formatEncoding(reg.encoding)}: op0 ${op0}, op1 ${op1}, CRn ${crn}, CRm ${crm}, op2 ${op2}`],
    ["guest", `EL0 ${access("el0")}, EL1 ${access("el1")}, EL2 ${access("el2")}`],
    ["listed by", reg.kernels.length > 0 ? `Linux ${reg.kernels.join(", ")}` : "no kernel"],
  ];
  const conditions = perKernel(reg.when, (list) => list.join(" and ") || "nothing");
  if (conditions !== "nothing") rows.push(["needs", conditions]);
  if (reg.kernels.length > 0) {
    rows.push(["one_reg", perKernel(reg.access, String)]);
    rows.push([
      "reset",
      perKernel(reg.reset, (reset) => (typeof reset === "bigint" ? `0x${reset.toString(16)}` : reset)),
    ]);
  }
  return rows;
}
