// Cases for the system-mode judge, by kind: what user mode cannot show.

import { type SysRegName, sysRegByName } from "../../../lib/arm64/sysregs.js";
import { encode } from "../../../lib/model/a64/bits.js";
import type { Insn } from "../../../lib/model/a64/insn.js";
import { a64, decodeA64 } from "../../../lib/model/a64/table.js";
import { maintenanceOperations } from "../../../lib/model/cpu/maintenance.js";
import { DATA_BYTES } from "./case.js";
import type { Random } from "./random.js";
import { SYSTEM_CODE, SYSTEM_DATA, type SystemCase } from "./system-case.js";

type Values = Record<string, number>;
type Draft = { -readonly [K in keyof SystemCase]: SystemCase[K] } & { x: bigint[]; code: number[] };

const rows: ReadonlyMap<string, Insn> = new Map(a64.map((row) => [row.name, row]));

function word(name: string, fields: Values): number {
  const row = rows.get(name);
  if (row === undefined) throw new Error(`no row ${name}`);
  return encode(row.encoding, fields);
}

function move(kind: "MRS" | "MSR", name: SysRegName, rt: number): number {
  const [op0, op1, crn, crm, op2] = sysRegByName(name).encoding;
  return word(kind, { o0: op0 & 1, op1, crn, crm, op2, rt });
}

const SCTLR_RES1 = 0x3050_0800n;
/** A, UMA, DZE, UCT, nTWE, SPAN, E0E, EE, UCI, DSSBS; and nTWI, without which WFI at EL0 is an exception. */
const SCTLR_BITS = [1n, 9n, 14n, 15n, 18n, 23n, 24n, 25n, 26n, 44n];
const NTWI = 1n << 16n;
const BOTH_BIG_ENDIAN = 3n << 24n;
const CNTKCTL_BITS = 0x303n;
const FPEN = 3n << 20n;
/** NZCV, DIT, UAO, PAN, SSBS, DAIF. */
const PSTATE_BITS = 0xf1c0_13c0n;
const KEEP_ALL = (1n << 64n) - 1n;

/** Registers that a case may write anything to, or only these bits. */
const writable: Partial<Record<SysRegName, bigint>> = {
  TTBR0_EL1: KEEP_ALL,
  TTBR1_EL1: KEEP_ALL,
  TPIDR_EL0: KEEP_ALL,
  TPIDRRO_EL0: KEEP_ALL,
  TPIDR_EL1: KEEP_ALL,
  PAR_EL1: KEEP_ALL,
  CONTEXTIDR_EL1: 0xffff_ffffn,
  CSSELR_EL1: 0xfn,
  FAR_EL1: KEEP_ALL,
  ESR_EL1: 0xffff_ffffn,
  ELR_EL1: KEEP_ALL,
  SP_EL0: KEEP_ALL,
  SPSR_EL1: PSTATE_BITS | 5n,
  NZCV: KEEP_ALL,
  DAIF: KEEP_ALL,
  SPSel: KEEP_ALL,
  PAN: KEEP_ALL,
  UAO: KEEP_ALL,
  DIT: KEEP_ALL,
  SSBS: KEEP_ALL,
  CPACR_EL1: FPEN,
  CNTKCTL_EL1: CNTKCTL_BITS,
  PMUSERENR_EL0: 0xfn,
};

const readable = [...Object.keys(writable), "CurrentEL", "ISR_EL1", "DCZID_EL0", "VBAR_EL1"] as SysRegName[];

/** Registers that only EL0 is asked for, whether it may: their values are the machine's. */
const gated: readonly SysRegName[] = [
  "CTR_EL0",
  "CNTFRQ_EL0",
  "CNTV_CTL_EL0",
  "CNTV_CVAL_EL0",
  "CNTP_CTL_EL0",
  "CNTP_CVAL_EL0",
  "CNTVCT_EL0",
  "CNTPCT_EL0",
  "PMCCNTR_EL0",
  "PMSELR_EL0",
  "PMCR_EL0",
  "PMCNTENSET_EL0",
  "PMXEVCNTR_EL0",
  "SCTLR_EL1",
  "MIDR_EL1",
  "MDSCR_EL1",
];

const EL0 = 0n;
const EL1T = 4n;
const EL1H = 5n;

function draft(random: Random, el: bigint): Draft {
  let sctlr = SCTLR_RES1 | NTWI;
  for (const bit of SCTLR_BITS) if (random.chance(50)) sctlr |= 1n << bit;
  return {
    x: Array.from({ length: 31 }, () => random.value()),
    spEl0: pointer(random, 16),
    spEl1: pointer(random, 16),
    pstate: (random.quad() & PSTATE_BITS) | el,
    sctlr,
    cpacr: random.quad() & FPEN,
    cntkctl: random.quad() & CNTKCTL_BITS,
    code: [],
  };
}

/** An address in the middle of the data. */
function pointer(random: Random, align: number): bigint {
  return (SYSTEM_DATA + BigInt(1024 + random.below(DATA_BYTES - 2048))) & ~BigInt(align - 1);
}

type Kind = (random: Random) => Draft;

/** SCTLR_EL1.EnIA, EnIB, EnDA, EnDB. */
const ENABLES = [31n, 30n, 27n, 13n];
const keyRegisters = ["APIA", "APIB", "APDA", "APDB", "APGA"] as const;
/** The target of branches and the base of loads, and what they are signed with. */
const [POINTER, MODIFIER] = [5, 6];

/** Keys, and instructions that sign a pointer and use it; at EL0 after a return there. */
function pointerAuthentication(random: Random): Draft {
  const c = draft(random, EL1H);
  for (const bit of ENABLES) if (random.chance(85)) c.sctlr |= 1n << bit;
  const key = random.pick(keyRegisters);
  const code: number[] = [];
  const set = (name: SysRegName, rt: number, value: bigint) => {
    c.x[rt] = value;
    code.push(move("MSR", name, rt));
  };
  const use = random.pick(key.startsWith("API") ? instructionUses : dataUses);
  // A pointer that is used keeps the address that it had.
  set("TCR_EL1", 0, translationControl(random, usesAddress.has(use) ? "small" : "any"));
  set(`${key}KEYLO_EL1`, 1, random.value());
  set(`${key}KEYHI_EL1`, 2, random.value());
  c.x[POINTER] = random.pick([random.quad(), 0n, -1n]) << BigInt(random.below(56));
  c.x[POINTER] = BigInt.asUintN(64, c.x[POINTER] ^ (random.chance(20) ? random.quad() : random.value()));
  c.x[MODIFIER] = random.value();
  if (key === "APGA") code.push(word("PACGA", { rn: POINTER, rm: random.pick([MODIFIER, 31]), rd: 7 }));
  else {
    if (random.chance(30)) {
      set("ELR_EL1", 3, SYSTEM_CODE + BigInt(4 * (code.length + 3)));
      set("SPSR_EL1", 4, random.quad() & PSTATE_BITS);
      code.push(word("ERET", {}));
    }
    const name = key.slice(2) as "IA" | "IB" | "DA" | "DB";
    code.push(...use(random, c, name));
  }
  c.code = code;
  return c;
}

/** T0SZ, TG0, TBI0, TBID0, and the same for the other range: QEMU looks at bit 55 for them even where bit 63 decides. */
function translationControl(random: Random, sizes: "any" | "small"): bigint {
  const size = BigInt(sizes === "small" || random.chance(90) ? 16 + random.below(16) : random.below(64));
  const granules = random.pick([(0n << 14n) | (2n << 30n), (2n << 14n) | (1n << 30n), (1n << 14n) | (3n << 30n)]);
  const tags = (random.chance(50) ? 3n << 37n : 0n) | (random.chance(50) ? 3n << 51n : 0n);
  return size | (size << 16n) | granules | tags;
}

type Use = (random: Random, c: Draft, key: "IA" | "IB" | "DA" | "DB") => number[];

/** Perhaps another bit in the pointer. */
function spoilt(random: Random, lowest = 0): number[] {
  if (random.chance(60)) return [];
  const bit = lowest + random.below(64 - lowest);
  // EOR X5, X5, #1 << bit
  return [word("EOR (immediate)", { sf: 1, n: 1, immr: (64 - bit) & 63, imms: 0, rn: POINTER, rd: POINTER })];
}

const signed: Use = (random, _c, key) => {
  if (random.chance(70)) return [word(`PAC${key}`, { rd: POINTER, rn: MODIFIER })];
  return [word(`PACZ (${key})`, { rd: POINTER })];
};

const signedAndBack: Use = (random, c, key) => {
  const rn = random.pick([MODIFIER, MODIFIER, 31]);
  const zero = random.chance(25);
  const sign = zero ? word(`PACZ (${key})`, { rd: POINTER }) : word(`PAC${key}`, { rd: POINTER, rn });
  const back = zero ? word(`AUTZ (${key})`, { rd: POINTER }) : word(`AUT${key}`, { rd: POINTER, rn });
  return [...(random.chance(80) ? [sign] : signed(random, c, key)), ...spoilt(random), back];
};

const stripped: Use = (random, c, key) => [
  ...signed(random, c, key),
  word(key[0] === "I" ? "XPACI" : "XPACD", { rd: POINTER }),
];

/** PACIASP, AUTIASP and the other hints: X30 and SP, or X17 and X16. */
const hinted: Use = (random, c, key) => {
  const suffix = random.pick(["1716", "Z", "SP"]);
  c.x[30] = c.x[POINTER]!;
  c.x[17] = c.x[POINTER]!;
  const last = random.pick([`AUT${key}${suffix}`, "XPACLRI"]);
  return [word(`PAC${key}${suffix}`, {}), word(last, {})];
};

const branched: Use = (random, c, key) => {
  const letter = key[1]!;
  const to = SYSTEM_CODE + BigInt(4 * (20 + random.below(900)));
  c.x[POINTER] = to;
  c.x[30] = to;
  const zero = random.chance(50);
  if (random.chance(30)) return [word(`PAC${key}`, { rd: 30, rn: 31 }), word(`RETA${letter}`, {})];
  const sign = zero ? word(`PACZ (${key})`, { rd: POINTER }) : word(`PAC${key}`, { rd: POINTER, rn: MODIFIER });
  const row = `${random.pick(["BRA", "BLRA"])}${letter}${zero ? "Z" : ""}`;
  return [sign, ...spoilt(random, 52), word(row, { rn: POINTER, rm: MODIFIER })];
};

const returned: Use = (random, c, key) => {
  c.x[POINTER] = SYSTEM_CODE + BigInt(4 * (20 + random.below(900)));
  c.x[4] = random.quad() & PSTATE_BITS;
  return [
    word(`PAC${key}`, { rd: POINTER, rn: 31 }),
    ...spoilt(random, 52),
    move("MSR", "ELR_EL1", POINTER),
    move("MSR", "SPSR_EL1", 4),
    word(`ERETA${key[1]}`, {}),
  ];
};

const loaded: Use = (random, c, key) => {
  c.x[POINTER] = pointer(random, 8);
  const row = `LDRA${key[1]}${random.pick(["", " (pre)"])}`;
  const fields = { rn: POINTER, rt: 7, s: random.below(2), imm9: random.below(16) };
  if (fields.s === 1) fields.imm9 += 496;
  return [word(`PACZ (${key})`, { rd: POINTER }), ...spoilt(random, 52), word(row, fields)];
};

const instructionUses: readonly Use[] = [signed, signedAndBack, signedAndBack, stripped, hinted, branched, returned];
const dataUses: readonly Use[] = [signed, signedAndBack, signedAndBack, stripped, loaded];
const usesAddress: ReadonlySet<Use> = new Set([branched, returned, loaded]);

const kinds: readonly Kind[] = [
  function registers(random) {
    const c = draft(random, random.pick([EL0, EL1T, EL1H, EL1H]));
    for (let n = 0; n < 4; n++) {
      const name = random.pick(readable);
      const mask = writable[name];
      if (mask !== undefined && random.chance(70)) {
        c.x[n] = c.x[n]! & mask;
        c.code.push(move("MSR", name, n));
      }
      c.code.push(move("MRS", name, 8 + n));
    }
    return c;
  },
  function pstateImmediates(random) {
    const c = draft(random, random.pick([EL0, EL1T, EL1H, EL1H]));
    for (let n = 0; n < 3; n++) {
      const row = random.pick(["UAO", "PAN", "SPSel", "SSBS", "DIT", "DAIFSet", "DAIFClr"]);
      c.code.push(word(`MSR ${row}`, { imm4: random.below(16) }));
    }
    const names = ["NZCV", "DAIF", "PAN", "UAO", "DIT", "SSBS", "SPSel"] as const;
    for (const [n, name] of names.entries()) c.code.push(move("MRS", name, 8 + n));
    return c;
  },
  function exceptions(random) {
    const c = draft(random, random.pick([EL0, EL1T, EL1H]));
    const name = random.pick(["SVC", "BRK", "UDF", "HLT", "DCPS", "SYSL", "DRPS"]);
    const imm16 = name === "HLT" ? random.below(0xf000) : random.below(0x10000);
    c.code.push(word(name, { imm16, ll: random.below(4), op1: 3, crn: 7, crm: 1, op2: 2, rt: 0 }));
    return c;
  },
  function exceptionReturns(random) {
    const c = draft(random, random.pick([EL0, EL1T, EL1H, EL1H]));
    c.x[0] = SYSTEM_CODE + BigInt(4 * (20 + random.below(900)) + (random.chance(10) ? random.below(4) : 0));
    // Mode 16 would be AArch32, which QEMU has.
    const mode = random.pick([0, 4, 5, 0, 4, 5, 1, 2, 3, 6, 7, 8, 9, 10, 12, 13, 15]);
    c.x[1] = (random.quad() & (PSTATE_BITS | (1n << 20n))) | BigInt(mode);
    c.code.push(move("MSR", "ELR_EL1", 0), move("MSR", "SPSR_EL1", 1), word("ERET", {}));
    return c;
  },
  function gates(random) {
    const c = draft(random, EL0);
    const rt = random.below(31);
    const name = random.pick(gated);
    c.x[rt] = 0n;
    c.code.push(move(random.chance(70) ? "MRS" : "MSR", name, rt));
    // Where it may, what it reads is the machine's.
    c.code.push(word("MOVZ", { sf: 1, hw: 0, imm16: 0, rd: rt }));
    return c;
  },
  function maintenance(random) {
    const el = random.pick([EL0, EL1H]);
    const c = draft(random, el);
    const ids = [...maintenanceOperations].filter(
      ([, { effect, needs }]) => typeof effect !== "object" && !needs.includes("XS"),
    );
    const [id] = random.pick(ids);
    const rt = random.below(31);
    c.x[rt] = pointer(random, 1);
    c.code.push(word("SYS", { op1: (id >> 11) & 7, crn: (id >> 7) & 15, crm: (id >> 3) & 15, op2: id & 7, rt }));
    return c;
  },
  function alignment(random) {
    const c = draft(random, random.pick([EL0, EL1T, EL1H]));
    const fields = {
      rn: 1,
      rm: 2,
      rt: 3,
      rt2: 4,
      rs: 5,
      imm9: random.below(16),
      imm12: random.below(8),
      imm7: random.below(8),
      option: 3,
    };
    c.x[1] = pointer(random, random.pick([1, 2, 4, 16]));
    c.x[2] = BigInt(random.below(32));
    const row = random.pick(memoryRows);
    const encoded = encode(row.encoding, { ...fields, o0: 1, l: 1, a: 1, r: 1, s: 0 });
    if (decodeA64(encoded) === row) c.code.push(encoded);
    return c;
  },
  function dataOrder(random) {
    const c = draft(random, random.pick([EL0, EL1T, EL1H]));
    c.sctlr = (c.sctlr & ~2n) | BOTH_BIG_ENDIAN;
    if (random.chance(20)) c.sctlr ^= random.pick([1n << 24n, 1n << 25n]);
    c.cpacr = FPEN;
    c.x[1] = pointer(random, random.pick([16, 16, 64, 1]));
    // FMOV D3, X20 · FMOV V3.D[1], X21 · FMOV D4, X22 · FMOV V4.D[1], X23 · DUP V5.2D, X24 · DUP V6.2D, X25
    c.code.push(0x9e67_0283, 0x9eaf_02a3, 0x9e67_02c4, 0x9eaf_02e4, 0x4e08_0f05, 0x4e08_0f26);
    c.code.push(...random.pick(ordered)(random));
    // FMOV X8, D3 · FMOV X9, V3.D[1] · FMOV X10, D4 · FMOV X11, V4.D[1]
    c.code.push(0x9e66_0068, 0x9eae_0069, 0x9e66_008a, 0x9eae_008b);
    return c;
  },
  function floatingPoint(random) {
    const c = draft(random, random.pick([EL0, EL1T, EL1H]));
    // FADD D0, D1, D2 · LDR Q0, [X0] · MOVI V0.2D, #0 · FMOV D0, X0 · MRS X0, FPCR
    const words = [0x1e62_2820, 0x3dc0_0000, 0x6f00_e400, 0x9e67_0000, move("MRS", "FPCR", 0)];
    c.cpacr = c.pstate & 4n ? random.pick([0n, 2n << 20n]) : random.pick([0n, 1n << 20n, 2n << 20n]);
    c.code.push(random.pick(words));
    return c;
  },
  pointerAuthentication,
  function waiting(random) {
    const c = draft(random, EL0);
    c.sctlr &= ~NTWI;
    // Not WFE, which QEMU takes for a YIELD.
    c.code.push(word("WFI", {}));
    return c;
  },
];

/** Rows that touch memory by Rn, but for those that user mode and QEMU see otherwise. */
const memoryRows = a64.filter(
  (row) => row.run !== null && /^(LD|ST|CAS|SWP)/.test(row.name) && !/literal|^LDAPR|^STL?X/.test(row.name),
);

type Words = (random: Random) => number[];

/** Rows of the list with a form for each size, by what stands for the register in their names. */
const sized = (random: Random, name: string) => `${name}${random.pick(["B Wt", "H Wt", " Wt", " Xt"])}`;
const paired = (random: Random, name: string) => `${name} ${random.pick(["Wt", "Xt"])}`;

/** What finds its own order in big-endian data: addresses in X1, data in X2 to X6, or in V3 and V4. */
const ordered: readonly Words[] = [
  function anyAccess(random) {
    const fields = { rn: 1, rm: 7, rt: 3, rt2: 4, rs: 5, option: 3, s: 0, o0: 1, l: 1, a: 1, r: 1 };
    const shapes = { size: random.below(4), q: random.below(2), imm9: random.below(16), imm12: 1, imm7: 1 };
    const words: number[] = [];
    while (words.length < 3) {
      const row = random.pick(memoryRows);
      const encoded = encode(row.encoding, { ...fields, ...shapes });
      if (decodeA64(encoded) === row) words.push(encoded);
    }
    // X7, an index, is small.
    return [word("MOVZ", { sf: 1, hw: 0, imm16: random.below(32), rd: 7 }), ...words];
  },
  function literals(random) {
    const row = random.pick(["LDR Wt", "LDR Xt", "LDRSW Xt", "LDR St", "LDR Dt", "LDR Qt"]);
    return [word(`${row} (literal)`, { imm19: 2 * random.below(2), rt: 3 })];
  },
  function exclusives(random) {
    const size = sized(random, "");
    return [word(`LDXR${size}`, { rn: 1, rt: 3 }), word(`STXR${size}`, { rn: 1, rt: 4, rs: 5 })];
  },
  function exclusivePairs(random) {
    const size = paired(random, "");
    return [word(`LDXP${size}`, { rn: 1, rt: 3, rt2: 4 }), word(`STXP${size}`, { rn: 1, rt: 6, rt2: 3, rs: 5 })];
  },
  function swaps(random) {
    const size = sized(random, "");
    // LDAR tells CAS what is there; every second time.
    const expect = random.chance(50) ? [word(`LDAR${size}`, { rn: 1, rt: 2 })] : [];
    return [...expect, word(`CAS${size}`, { rn: 1, rt: 3, rs: 2, l: 1, o0: 1 })];
  },
  function swapPairs(random) {
    const size = paired(random, "");
    const expect = random.chance(50) ? [word(`LDXP${size}`, { rn: 1, rt: 2, rt2: 3 })] : [];
    return [...expect, word(`CASP${size}`, { rn: 1, rt: 4, rs: 2, l: 1, o0: 1 })];
  },
];

/** Case `number` of a run with `seed`, and which kind it is. */
export function systemCase(random: Random, number: number): { kind: string; case: SystemCase } {
  const kind = kinds[number % kinds.length]!;
  return { kind: kind.name, case: kind(random) };
}
