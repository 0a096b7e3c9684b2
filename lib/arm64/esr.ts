// Syndromes: ESR_EL1, ESR_EL2 and what KVM reports of them. DDI 0487 D24.2.40.

import { shown } from "./argument.js";

type Layout = Readonly<Record<string, number | readonly [msb: number, lsb: number]>>;

const NONE = {} as const;
// biome-ignore-start format: tables
const CONDITION = { CV: 24, COND: [23, 20] } as const;
const IMMEDIATE = { imm16: [15, 0] } as const;
const TRANSFER = { Rt: [9, 5], CRm: [4, 1], Direction: 0 } as const;
const COPROCESSOR = { ...CONDITION, Opc2: [19, 17], Opc1: [16, 14], CRn: [13, 10], ...TRANSFER } as const;
const COPROCESSOR_64 = { ...CONDITION, Opc1: [19, 16], Rt2: [14, 10], ...TRANSFER } as const;
const SYSTEM = { Op0: [21, 20], Op2: [19, 17], Op1: [16, 14], CRn: [13, 10], ...TRANSFER } as const;
const FP_EXCEPTION = { TFV: 23, VECITR: [10, 8], IDF: 7, IXF: 4, UFF: 3, OFF: 2, DZF: 1, IOF: 0 } as const;
const INSTRUCTION_ABORT = { SET: [12, 11], FnV: 10, EA: 9, S1PTW: 7, IFSC: [5, 0] } as const;
const DATA_ABORT = {
  ISV: 24,
  SAS: [23, 22],
  SSE: 21,
  SRT: [20, 16],
  SF: 15,
  AR: 14,
  VNCR: 13,
  SET: [12, 11],
  FnV: 10,
  EA: 9,
  CM: 8,
  S1PTW: 7,
  WnR: 6,
  DFSC: [5, 0],
} as const;
const BREAKPOINT = { IFSC: [5, 0] } as const;
const STEP = { ISV: 24, EX: 6, IFSC: [5, 0] } as const;
const WATCHPOINT = {
  WPT: [23, 18],
  WPTV: 17,
  WPF: 16,
  FnP: 15,
  VNCR: 13,
  FnV: 10,
  CM: 8,
  WnR: 6,
  DFSC: [5, 0],
} as const;
const MEMORY_COPY = {
  MemInst: 24,
  isSETG: 23,
  Options: [22, 19],
  FromEpilogue: 18,
  WrongOption: 17,
  OptionA: 16,
  destreg: [14, 10],
  srcreg: [9, 5],
  sizereg: [4, 0],
} as const;
// biome-ignore-end format: tables

/** Exception classes: the kernel's name after ESR_ELx_EC_, the code in ESR.EC, what it is, the fields of ESR.ISS. */
// biome-ignore format: table
export const exceptionClasses = {
  UNKNOWN:     { code: 0x00, text: "unknown reason",                              iss: NONE },
  WFx:         { code: 0x01, text: "trapped WFI or WFE",                          iss: { ...CONDITION, RN: [9, 5], RV: 2, TI: [1, 0] } },
  CP15_32:     { code: 0x03, text: "trapped MCR or MRC (cp15)",                   iss: COPROCESSOR },
  CP15_64:     { code: 0x04, text: "trapped MCRR or MRRC (cp15)",                 iss: COPROCESSOR_64 },
  CP14_MR:     { code: 0x05, text: "trapped MCR or MRC (cp14)",                   iss: COPROCESSOR },
  CP14_LS:     { code: 0x06, text: "trapped LDC or STC (cp14)",                   iss: { ...CONDITION, imm8: [19, 12], Rn: [9, 5], Offset: 4, AM: [3, 1], Direction: 0 } },
  FP_ASIMD:    { code: 0x07, text: "trapped SVE, SIMD or floating point",         iss: CONDITION },
  CP10_ID:     { code: 0x08, text: "trapped VMRS",                                iss: COPROCESSOR },
  PAC:         { code: 0x09, text: "trapped pointer authentication",              iss: NONE },
  OTHER:       { code: 0x0a, text: "trapped LD64B, ST64B and others",             iss: { ISS: [24, 0] } },
  CP14_64:     { code: 0x0c, text: "trapped MRRC (cp14)",                         iss: COPROCESSOR_64 },
  BTI:         { code: 0x0d, text: "branch target exception",                     iss: { BTYPE: [1, 0] } },
  ILL:         { code: 0x0e, text: "illegal execution state",                     iss: NONE },
  SVC32:       { code: 0x11, text: "SVC in AArch32",                              iss: IMMEDIATE },
  HVC32:       { code: 0x12, text: "HVC in AArch32",                              iss: IMMEDIATE },
  SMC32:       { code: 0x13, text: "SMC in AArch32",                              iss: { ...CONDITION, CCKNOWNPASS: 19 } },
  SYSREG128:   { code: 0x14, text: "trapped MSRR or MRRS",                        iss: SYSTEM },
  SVC64:       { code: 0x15, text: "SVC",                                         iss: IMMEDIATE },
  HVC64:       { code: 0x16, text: "HVC",                                         iss: IMMEDIATE },
  SMC64:       { code: 0x17, text: "SMC",                                         iss: IMMEDIATE },
  SYS64:       { code: 0x18, text: "trapped MSR, MRS or system instruction",      iss: SYSTEM },
  SVE:         { code: 0x19, text: "trapped SVE",                                 iss: NONE },
  ERET:        { code: 0x1a, text: "trapped ERET",                                iss: { ERET: 1, ERETA: 0 } },
  TSTART:      { code: 0x1b, text: "trapped TSTART",                              iss: { Rd: [9, 5] } },
  FPAC:        { code: 0x1c, text: "pointer authentication failed",               iss: { data: 1, keyB: 0 } },
  SME:         { code: 0x1d, text: "trapped SME",                                 iss: { SMTC: [2, 0] } },
  IMP_DEF:     { code: 0x1f, text: "IMPLEMENTATION DEFINED, to EL3",              iss: NONE },
  IABT_LOW:    { code: 0x20, text: "instruction abort from a lower level",        iss: INSTRUCTION_ABORT },
  IABT_CUR:    { code: 0x21, text: "instruction abort from the same level",       iss: INSTRUCTION_ABORT },
  PC_ALIGN:    { code: 0x22, text: "PC alignment fault",                          iss: NONE },
  DABT_LOW:    { code: 0x24, text: "data abort from a lower level",               iss: DATA_ABORT },
  DABT_CUR:    { code: 0x25, text: "data abort from the same level",              iss: DATA_ABORT },
  SP_ALIGN:    { code: 0x26, text: "SP alignment fault",                          iss: NONE },
  MOPS:        { code: 0x27, text: "memory copy or memory set",                   iss: MEMORY_COPY },
  FP_EXC32:    { code: 0x28, text: "trapped floating-point exception in AArch32", iss: FP_EXCEPTION },
  FP_EXC64:    { code: 0x2c, text: "trapped floating-point exception",            iss: FP_EXCEPTION },
  GCS:         { code: 0x2d, text: "guarded control stack exception",             iss: { ExType: [23, 20], Raddr: [14, 10], Rn: [9, 5], IT: [4, 0] } },
  SERROR:      { code: 0x2f, text: "SError",                                      iss: { IDS: 24, IESB: 13, AET: [12, 10], EA: 9, DFSC: [5, 0] } },
  BREAKPT_LOW: { code: 0x30, text: "breakpoint from a lower level",               iss: BREAKPOINT },
  BREAKPT_CUR: { code: 0x31, text: "breakpoint from the same level",              iss: BREAKPOINT },
  SOFTSTP_LOW: { code: 0x32, text: "software step from a lower level",            iss: STEP },
  SOFTSTP_CUR: { code: 0x33, text: "software step from the same level",           iss: STEP },
  WATCHPT_LOW: { code: 0x34, text: "watchpoint from a lower level",               iss: WATCHPOINT },
  WATCHPT_CUR: { code: 0x35, text: "watchpoint from the same level",              iss: WATCHPOINT },
  BKPT32:      { code: 0x38, text: "BKPT in AArch32",                             iss: IMMEDIATE },
  VECTOR32:    { code: 0x3a, text: "vector catch in AArch32",                     iss: BREAKPOINT },
  BRK64:       { code: 0x3c, text: "BRK",                                         iss: IMMEDIATE },
  PMU:         { code: 0x3d, text: "profiling exception",                         iss: NONE },
} as const satisfies Readonly<Record<string, { readonly code: number; readonly text: string; readonly iss: Layout }>>;

export type ExceptionClassName = keyof typeof exceptionClasses;

/** The fields of ESR.ISS for an exception class. */
export type IssFields<N extends ExceptionClassName> = {
  -readonly [F in keyof (typeof exceptionClasses)[N]["iss"]]: number;
};

/**
 * Fault status codes, ESR.ISS.DFSC and IFSC. Those with levels are for level 0: add the level. Of level -1 the codes are
 * elsewhere.
 */
export const FaultStatus = {
  addressSize: 0x00,
  translation: 0x04,
  accessFlag: 0x08,
  permission: 0x0c,
  external: 0x10,
  tagCheck: 0x11,
  externalOnWalk: 0x14,
  parity: 0x18,
  parityOnWalk: 0x1c,
  alignment: 0x21,
  debug: 0x22,
  addressSizeLevelMinus1: 0x29,
  translationLevelMinus1: 0x2b,
  externalOnWalkLevelMinus1: 0x13,
  tlbConflict: 0x30,
  unsupportedAtomicUpdate: 0x31,
  lockdown: 0x34,
  exclusive: 0x35,
} as const;

const levelled: Readonly<Record<number, string>> = {
  [FaultStatus.addressSize]: "address size fault",
  [FaultStatus.translation]: "translation fault",
  [FaultStatus.accessFlag]: "access flag fault",
  [FaultStatus.permission]: "permission fault",
  [FaultStatus.externalOnWalk]: "external abort on a table walk",
  [FaultStatus.parityOnWalk]: "parity or ECC error on a table walk",
};

const single: Readonly<Record<number, string>> = {
  [FaultStatus.external]: "external abort",
  [FaultStatus.parity]: "parity or ECC error",
  [FaultStatus.tagCheck]: "tag check fault",
  [FaultStatus.alignment]: "alignment fault",
  [FaultStatus.debug]: "debug exception",
  [FaultStatus.addressSizeLevelMinus1]: "address size fault, level -1",
  [FaultStatus.translationLevelMinus1]: "translation fault, level -1",
  [FaultStatus.externalOnWalkLevelMinus1]: "external abort on a table walk, level -1",
  [FaultStatus.tlbConflict]: "TLB conflict abort",
  [FaultStatus.unsupportedAtomicUpdate]: "unsupported atomic hardware update",
  [FaultStatus.lockdown]: "lockdown",
  [FaultStatus.exclusive]: "unsupported exclusive or atomic access",
};

/** A fault status code in words. */
export function formatFaultStatus(code: number): string {
  const kind = levelled[code & ~3];
  if (kind !== undefined) return `${kind}, level ${code & 3}`;
  return single[code] ?? `fault status 0x${code.toString(16)}`;
}

/** A syndrome taken apart. */
export interface Syndrome {
  /** Undefined: ESR.EC is reserved. */
  readonly name: ExceptionClassName | undefined;
  readonly text: string;
  readonly EC: number;
  /** 1: the instruction has 32 bits, or there is none to speak of. */
  readonly IL: number;
  readonly ISS: number;
  readonly ISS2: number;
  /** The named fields of ISS. */
  readonly fields: Readonly<Record<string, number>>;
}

let names: ReadonlyMap<number, ExceptionClassName> | undefined;

/** The exception class with this code. */
export function exceptionClassName(code: number): ExceptionClassName | undefined {
  names ??= new Map(Object.entries(exceptionClasses).map(([name, one]) => [one.code, name as ExceptionClassName]));
  return names.get(code);
}

/** Takes ESR_ELx apart. */
export function decodeEsr(esr: bigint): Syndrome {
  if (typeof esr !== "bigint") throw new TypeError(`decodeEsr: esr must be a bigint, got ${shown(esr)}`);
  const EC = Number((esr >> 26n) & 0x3fn);
  const ISS = Number(esr & 0x1ff_ffffn);
  const name = exceptionClassName(EC);
  const layout: Layout = name === undefined ? NONE : exceptionClasses[name].iss;
  const fields: Record<string, number> = {};
  for (const [field, place] of Object.entries(layout)) {
    const [msb, lsb] = typeof place === "number" ? [place, place] : place;
    fields[field] = (ISS >> lsb) & (2 ** (msb - lsb + 1) - 1);
  }
  return {
    name,
    text: name === undefined ? `exception class 0x${EC.toString(16)}` : exceptionClasses[name].text,
    EC,
    IL: Number((esr >> 25n) & 1n),
    ISS,
    ISS2: Number((esr >> 32n) & 0xff_ffffn),
    fields,
  };
}

/** Puts ESR_ELx together. `il`: 0 for a 16-bit instruction. */
export function encodeEsr<N extends ExceptionClassName>(
  name: N,
  fields: Partial<IssFields<N>> = {},
  il: 0 | 1 = 1,
): bigint {
  const one = Object.hasOwn(exceptionClasses, name) ? exceptionClasses[name] : undefined;
  if (one === undefined) throw new TypeError(`encodeEsr: name must be an exception class, got ${shown(name)}`);
  const layout: Layout = one.iss;
  let iss = 0;
  for (const [field, value] of Object.entries(fields as Record<string, number>)) {
    const place = Object.hasOwn(layout, field) ? layout[field] : undefined;
    if (place === undefined)
      throw new TypeError(
        `encodeEsr: ${name} has no field ${field}; it has ${Object.keys(layout).join(", ") || "none"}`,
      );
    const [msb, lsb] = typeof place === "number" ? [place, place] : place;
    const most = 2 ** (msb - lsb + 1) - 1;
    if (!Number.isInteger(value) || value < 0 || value > most)
      throw new RangeError(`encodeEsr: ${name}.${field} must be 0 to ${most}, got ${String(value)}`);
    iss |= value << lsb;
  }
  return (BigInt(one.code) << 26n) | (BigInt(il) << 25n) | BigInt(iss);
}
