// Cases from the rows of the table: the row's own fields, random, and registers that make it interesting.

import { encode } from "../../../lib/model/a64/bits.js";
import type { Insn } from "../../../lib/model/a64/insn.js";
import { atomics } from "../../../lib/model/a64/insns/atomics.js";
import { branches } from "../../../lib/model/a64/insns/branches.js";
import { loadStore } from "../../../lib/model/a64/insns/load-store.js";
import { loadStoreExclusive } from "../../../lib/model/a64/insns/load-store-exclusive.js";
import { loadStoreVector } from "../../../lib/model/a64/insns/load-store-vector.js";
import { a64, decodeA64 } from "../../../lib/model/a64/table.js";
import { type Case, CODE, DATA, DATA_BYTES, type Vectors } from "./case.js";
import { Random } from "./random.js";
import { killsTheJudge, notForUserMode, wronglyAllocated } from "./unjudged.js";

type Values = Record<string, number>;

const memoryRows = new Set<Insn>([...loadStore, ...loadStoreExclusive, ...atomics, ...loadStoreVector]);
const branchRows = new Set<Insn>(branches);

/** Rows that user mode can judge. */
export const userRows: readonly Insn[] = a64.filter((row) => row.run !== null && !(row.name in notForUserMode));

/** Rows that never go on. */
const ends: ReadonlySet<string> = new Set(["UDF", "HVC", "SMC", "BRK", "HLT", "DCPS", "ERET", "SYSL"]);

/** Rows of which a judge says otherwise now and then (unjudged.ts): they are judged alone, not amidst others. */
const onlyAlone = /^(FJCVTZS|FCVTZS \(vector, fixed-point\) H, scalar)$/;
/** Loads and stores that must be aligned. */
const mustBeAligned = /^(LDA?X|STL?X|LDAPR)/;

/** Rows that can stand in the middle of a block: those that go on, and branches by an offset, over one instruction. */
const blockRows = userRows.filter(
  ({ name, encoding }) =>
    (!ends.has(name) && !onlyAlone.test(name) && !name.startsWith("MSR ") && !/^(B|BL|RET|ERET)(R|A|$)/.test(name)) ||
    (/^BL?$/.test(name) && encoding.fields.length === 1),
);
/** Registers of a block that hold addresses and small indices: only write-back changes them. */
const POINTERS = [20, 21, 22, 23, 24, 25, 26, 27] as const;
/** One that nothing writes back to: it stays aligned. */
const ALIGNED = 29;
const INDEX = 28;
const BLOCK_WORDS = 56;

/** One instruction of `row`, with its registers. */
export function single(random: Random, row: Insn): Case {
  const registers = values(random);
  const code = instruction(random, row, registers);
  return { ...registers, code, passes: 0 };
}

/** Many instructions of any rows. */
export function block(random: Random): { readonly code: readonly number[]; readonly rows: readonly Insn[] } {
  const rows: Insn[] = [];
  const code: number[] = [];
  while (code.length < BLOCK_WORDS) {
    const row = random.pick(blockRows);
    const word = blockInstruction(random, row);
    if (word === null) continue;
    const load = exclusiveLoad(random, row, { rn: (word >>> 5) & 31, rs: (word >>> 16) & 31 });
    if (load !== null) {
      rows.push(decodeA64(load)!);
      code.push(load);
    }
    rows.push(row);
    code.push(word);
    // A Store-Exclusive later on has its own Load-Exclusive: after another one it may do either.
    if (/^LDA?X/.test(row.name)) code.push(encode(rowOf("CLREX").encoding, { crm: 15 }));
  }
  return { code, rows };
}

/** A block with registers that it can begin with. */
export function trial(random: Random, code: readonly number[]): Case {
  const registers = values(random);
  for (const n of POINTERS) registers.x[n] = DATA + BigInt(1024 + (random.below(DATA_BYTES - 2048) & ~15));
  registers.sp = registers.x[POINTERS[0]]!;
  registers.x[ALIGNED] = registers.x[POINTERS[1]]!;
  registers.x[INDEX] = BigInt(random.below(64));
  return { ...registers, code, passes: BLOCK_WORDS };
}

/** One that keeps to the registers of blocks; null: that row's word of this moment does not. */
function blockInstruction(random: Random, row: Insn): number | null {
  const fields = randomFields(random, row);
  for (const name of ["rd", "rt", "rt2", "rs"]) if (fields[name] !== undefined) fields[name] %= POINTERS[0];
  if (row.name === "SYS") Object.assign(fields, random.pick(userOperations), { rt: random.pick(POINTERS) });
  if (row.name === "MRS" || row.name === "MSR") Object.assign(fields, random.pick(userRegisters));
  for (const name of ["imm26", "imm19", "imm14"]) if (fields[name] !== undefined) fields[name] = 2;
  if (memoryRows.has(row)) {
    if (fields["rn"] !== undefined) fields["rn"] = random.chance(10) ? 31 : random.pick(POINTERS);
    if (mustBeAligned.test(row.name)) fields["rn"] = ALIGNED;
    if (fields["rm"] !== undefined) fields["rm"] = random.chance(5) ? 31 : INDEX;
    if (fields["imm12"] !== undefined) fields["imm12"] &= 15;
    if (fields["option"] !== undefined) fields["option"] |= 2;
    // What is loaded is code, near by.
    if (fields["imm19"] !== undefined) fields["imm19"] = random.below(4);
  }
  const word = encode(row.encoding, fields, random.word());
  return decodeA64(word) === row ? word : null;
}

/** A branch to a register, and at its target an instruction that may be one or not. */
export function landing(random: Random): Case {
  const registers = values(random);
  const rn = random.pick([5, 16, 17]);
  const at = 1 + random.below(4);
  registers.x[rn] = CODE + BigInt(4 * at);
  const code = Array.from({ length: 6 }, () => encode(rowOf("HINT").encoding, { crm: 0, op2: 0 }));
  code[0] = encode(rowOf(random.pick(["BR", "BLR", "RET"])).encoding, { rn });
  const pad = rowOf(
    random.pick(["BTI", "BTI", "BTI", "PACIASP", "PACIBSP", "PACIAZ", "BRK", "B", "SB", "LDR Xt (literal)"]),
  );
  code[at] = encode(pad.encoding, { ...randomFields(random, pad), imm26: 2, imm19: 2 });
  return { ...registers, code, passes: 0 };
}

function rowOf(name: string): Insn {
  const row = a64.find((one) => one.name === name);
  if (row === undefined) throw new Error(`no row ${name}`);
  return row;
}

/** A word near a row that no row matches: it must be undefined on both machines. */
export function hole(random: Random): Case {
  for (;;) {
    const { encoding } = random.pick(a64);
    let word = encode(encoding, {}, random.word()) | (random.word() & ~encoding.mask);
    for (let flips = 1 + random.below(3); flips > 0; flips--) word ^= 1 << random.below(32);
    if (killsTheJudge(word) || wronglyAllocated(word)) continue;
    if (decodeA64(word >>> 0) === undefined) return { ...values(random), code: [word >>> 0], passes: 0 };
  }
}

interface Registers {
  x: bigint[];
  sp: bigint;
  nzcv: bigint;
  v: Vectors;
}

/** FZ16, RMode, FZ, DN, AHP. */
const FPCR_BITS = 0x07c8_0000;

/** Vector lanes to choose from: to make them anew for each case takes most of its time (measured). */
const pool = Array.from(
  { length: 1 << 14 },
  (() => {
    const random = new Random(0x1a9e5);
    return () => random.lanes();
  })(),
);

function vectors(random: Random): Vectors {
  const words = Array.from({ length: 64 }, () => random.pick(pool));
  const fpcr = random.chance(50) ? 0 : random.word() & FPCR_BITS;
  return { words, fpcr, fpsr: random.chance(80) ? 0 : random.word() & 0x0800_009f };
}

function values(random: Random): Registers {
  const x = Array.from({ length: 31 }, () => (random.chance(15) ? pointer(random) : random.value()));
  return { x, sp: pointer(random) & ~15n, nzcv: BigInt(random.below(16)) << 28n, v: vectors(random) };
}

/** An address in the data, mostly aligned, rarely at the edge of its pages. */
function pointer(random: Random): bigint {
  const offset = random.chance(8)
    ? random.pick([0, 4088, 4092, 4095, 8176, 8184, 8188, 8191])
    : random.below(DATA_BYTES);
  return DATA + BigInt(random.chance(75) ? offset & ~15 : offset);
}

/** The words of one instruction; a Store-Exclusive mostly gets its Load-Exclusive first. */
function instruction(random: Random, row: Insn, registers: Registers): number[] {
  const ignored = random.word();
  for (;;) {
    const fields = randomFields(random, row);
    if (row.name === "HLT" && fields["imm16"] === SEMIHOSTING) continue;
    if (row.name === "SYS") Object.assign(fields, random.pick(userOperations));
    if (row.name === "MRS" || row.name === "MSR") Object.assign(fields, random.pick(userRegisters));
    if (branchRows.has(row) && !aimBranch(random, fields, registers)) continue;
    const address = memoryRows.has(row) || row.name === "SYS";
    if (address) aimMemory(random, row, fields, registers);
    const word = encode(row.encoding, fields, ignored);
    // A narrower row may have taken this word.
    if (decodeA64(word) !== row) continue;
    const load = exclusiveLoad(random, row, fields);
    return load === null ? [word] : [load, word];
  }
}

function randomFields(random: Random, row: Insn): Values {
  const fields: Values = {};
  for (const { name, bits } of row.encoding.fields) {
    const corner = random.chance(20) ? random.pick([0, -1, 1, 1 << (bits - 1), (1 << (bits - 1)) - 1]) : random.word();
    fields[name] = corner & (bits === 32 ? -1 : (1 << bits) - 1);
  }
  return fields;
}

/** QEMU's user mode takes HLT #0xf000 for a semihosting call. */
const SEMIHOSTING = 0xf000;

const offsetFields: Readonly<Record<string, number>> = { imm26: 26, imm19: 19, imm14: 14 };

/** Aims at the breakpoints behind the code, or where nothing is; false: would run into the case itself. */
function aimBranch(random: Random, fields: Values, { x }: Registers): boolean {
  for (const [name, bits] of Object.entries(offsetFields)) {
    if (fields[name] === undefined) continue;
    if (random.chance(60)) fields[name] = 16 + random.below(1000);
    const offset = (fields[name] << (32 - bits)) >> (32 - bits);
    return offset >= 16 || offset < 0;
  }
  const rn = fields["rn"];
  if (rn === undefined || rn === 31) return true;
  const target = CODE + BigInt(64 + random.below(4000));
  x[rn] = random.chance(80) ? target & ~3n : random.pick(elsewhere(random, target));
  return true;
}

/** Targets that are not a breakpoint. Misaligned ones have memory: QEMU fetches before it looks at the alignment. */
function elsewhere(random: Random, target: bigint): bigint[] {
  return [target, (target & ~3n) | (0x5an << 56n), pointer(random) & ~3n, random.quad() & ~3n];
}

function aimMemory(random: Random, row: Insn, fields: Values, registers: Registers): void {
  const { x } = registers;
  const set = (n: number | undefined, value: bigint) => {
    if (n === 31) registers.sp = value & ~15n;
    else if (n !== undefined) x[n] = BigInt.asUintN(64, value);
  };
  if (row.name === "SYS") {
    if (fields["rt"] !== 31 && random.chance(90)) set(fields["rt"], pointer(random));
    return;
  }
  if (fields["imm19"] !== undefined) {
    if (random.chance(85)) fields["imm19"] = random.below(1000);
    return;
  }
  if (random.chance(3)) return;
  const size = Math.max(0, (row.encoding.value >>> 30) & 3);
  let aligned = random.chance(85) ? pointer(random) & ~15n : pointer(random);
  if (random.chance(3)) aligned |= 0x3cn << 56n;
  if (fields["imm12"] !== undefined) aligned -= BigInt(fields["imm12"] << size);
  if (fields["rm"] !== undefined && fields["rm"] !== 31 && fields["rm"] !== fields["rn"]) {
    x[fields["rm"]] = random.chance(80) ? BigInt(random.below(64)) : BigInt.asUintN(64, -BigInt(random.below(64)));
  }
  set(fields["rn"], aligned);
  // Compare and swap mostly finds something else than it expects: sometimes it shall not.
  if (row.name.startsWith("CAS") && random.chance(50)) set(fields["rs"] === 31 ? undefined : fields["rs"], 0n);
}

/** The Load-Exclusive that makes a Store-Exclusive succeed. */
function exclusiveLoad(random: Random, row: Insn, { rn, rs }: Values): number | null {
  if (!/^STL?X/.test(row.name) || rn === undefined || random.chance(15)) return null;
  const name = row.name.replace(/^STL?X/, random.chance(50) ? "LDX" : "LDAX");
  const load = a64.find((other) => other.name === name);
  if (load === undefined) throw new Error(`no row ${name} for ${row.name}`);
  const free = Array.from({ length: POINTERS[0] }, (_, n) => n).filter((n) => n !== rn && n !== rs);
  return encode(load.encoding, { rn, rt: random.pick(free), rt2: random.pick(free) }, 0xffff_ffff);
}

type SystemFields = { op1: number; crn: number; crm: number; op2: number };

// biome-ignore format: table
const userOperations: readonly SystemFields[] = [
  { op1: 3, crn: 7, crm: 4,  op2: 1 },  // DC ZVA
  { op1: 3, crn: 7, crm: 4,  op2: 1 },
  { op1: 3, crn: 7, crm: 10, op2: 1 },  // DC CVAC
  { op1: 3, crn: 7, crm: 11, op2: 1 },  // DC CVAU
  { op1: 3, crn: 7, crm: 14, op2: 1 },  // DC CIVAC
  { op1: 0, crn: 7, crm: 6,  op2: 1 },  // DC IVAC
  { op1: 0, crn: 8, crm: 7,  op2: 0 },  // TLBI VMALLE1
  { op1: 0, crn: 7, crm: 8,  op2: 0 },  // AT S1E1R
  { op1: 7, crn: 3, crm: 3,  op2: 7 },  // nothing
];

// biome-ignore format: table
const userRegisters: readonly (SystemFields & { o0: number })[] = [
  { o0: 1, op1: 3, crn: 4,  crm: 2, op2: 0 },  // NZCV
  { o0: 1, op1: 3, crn: 4,  crm: 2, op2: 0 },
  { o0: 1, op1: 3, crn: 4,  crm: 2, op2: 1 },  // DAIF
  { o0: 1, op1: 3, crn: 4,  crm: 2, op2: 5 },  // DIT
  { o0: 1, op1: 3, crn: 4,  crm: 2, op2: 6 },  // SSBS
  { o0: 1, op1: 0, crn: 4,  crm: 2, op2: 2 },  // CurrentEL
  { o0: 1, op1: 0, crn: 1,  crm: 0, op2: 0 },  // SCTLR_EL1
  { o0: 1, op1: 3, crn: 0,  crm: 0, op2: 7 },  // DCZID_EL0
  { o0: 1, op1: 3, crn: 15, crm: 9, op2: 4 },  // nothing
  { o0: 0, op1: 0, crn: 0,  crm: 2, op2: 2 },  // MDSCR_EL1
];
