// What no two hosts say alike even where they do the same: the named list of what is left out of the comparison.

import { crc32 } from "node:zlib";
import { KVM_EXIT } from "../../lib/uapi/constants.js";
import { run as runOffsets } from "../../lib/uapi/structs.js";
import type { Op } from "./op.js";
import { nameOfRegister } from "./register-names.js";
import { watched } from "./running.js";
import type { Outcome } from "./world.js";

const ALL = 0xffff_ffff_ffff_ffffn;

/** Registers whose value depends on when they are read. */
// biome-ignore format: table
export const volatileRegisters: readonly (readonly [id: bigint, reason: string])[] = [
  [0x6030_0000_0013_df1an, "TIMER_CNT: the virtual counter goes on between the two reads"],
  [0x6030_0000_0013_df01n, "PTIMER_CNT: so does the physical one"],
  [0x6030_0000_0013_dce8n, "PMCCNTR_EL0: cycles are time"],
];

/** Parts of an answer, by verb. */
interface Mask {
  readonly verb: string;
  readonly part: string;
  readonly reason: string;
  readonly apply: (bytes: Uint8Array, op: Op) => void;
}

const timeIds = new Set(volatileRegisters.map(([id]) => id));

/** Bits that a register of the emulated host's CPU does not keep as the architecture says: there they are 0 or anything. */
// biome-ignore format: table
export const hostsOwn: readonly (readonly [id: bigint, bits: bigint, reason: string])[] = [
  [0x6030_0000_0010_0042n, 0xf000_0000n, "PSTATE.NZCV: QEMU clears them when it takes an exception (DDI 0487 D1.3.1 leaves them)"],
  [0x6030_0000_0010_0048n, 0xf000_0000n, "SPSR_EL1.NZCV: what an exception within an exception saves of them"],
  [0x6030_0000_0013_c288n, ALL, "AFSR0_EL1: RAZ/WI on QEMU's CPUs, from the first run on"],
  [0x6030_0000_0013_c289n, ALL, "AFSR1_EL1: the same"],
  [0x6030_0000_0013_c518n, ALL, "AMAIR_EL1: the same"],
  [0x6030_0000_0013_c080n, 0xfe0_0000_0000n, "SCTLR_EL1: bits of features that QEMU's CPU lacks do not stay there"],
  [0x6030_0000_0013_a038n, ALL, "DBGVCR32_EL2: the same, after a run of AArch32"],
  [0x6030_0000_0013_8010n, ALL, "MDCCINT_EL1: QEMU's CPUs read no value, so that KVM saves whatever was there"],
];

/** DBGBCRn_EL1.BAS: QEMU's CPUs copy the even bits of what the guest writes into the odd ones. */
const BREAKPOINT_BYTES = 0x140n;
const breakpoints = Array.from({ length: 16 }, (_, n) => 0x6030_0000_0013_8005n + BigInt(8 * n));

const ownBits = new Map([
  ...hostsOwn.map(([id, bits]) => [id, bits] as const),
  ...breakpoints.map((id) => [id, BREAKPOINT_BYTES] as const),
]);

const registerBytes = (id: bigint): number => 1 << Number((id >> 52n) & 15n);

/** Takes what cannot be compared out of a register's value. */
function blank(id: bigint, bytes: Uint8Array): void {
  if (timeIds.has(id)) bytes.fill(0);
  const bits = ownBits.get(id);
  if (bits === undefined) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  view.setBigUint64(0, view.getBigUint64(0, true) & ~bits, true);
}

const HEADER_BYTES = 24;
const DESC_OFFSET = 72;
const DESC_BYTES = 64;

export const masks: readonly Mask[] = [
  {
    verb: "cpu.getOneReg",
    part: "bytes",
    reason: "counters go on between the two reads",
    apply: (bytes, op) => blank(op.args[0] as bigint, bytes),
  },
  {
    verb: "cpu.readStats",
    part: "bytes",
    reason: "statistics count what the host did: how often it had to leave the guest, how long it polled",
    // The data begins behind header, id and descriptors; what is at which place is the reader's.
    apply: (bytes, op) => statistics(bytes, Number(op.args[0]), 18),
  },
  {
    verb: "vm.readStats",
    part: "bytes",
    reason: "statistics count what the host did: TLB flushes",
    apply: (bytes, op) => statistics(bytes, Number(op.args[0]), 2),
  },
  ...["cpu.run", "cpu.launch", "cpu.runImmediate", "cpu.runPage"].map((verb) => ({
    verb,
    part: verb === "cpu.runPage" ? "bytes" : "run",
    reason:
      "immediate_exit is also how the addon ends a run that was kicked; whether the kernel's walk finds no page or one that is read-only, and at which level it ends, depends on what it has mapped until then",
    apply: runPage,
  })),
];

/** ESR_ELx.ISS.DFSC: bits 1:0, the level, and what tells a translation fault from a permission fault. */
const WALK = 0b1011;

function runPage(page: Uint8Array): void {
  page[runOffsets.immediate_exit] = 0;
  if (page[runOffsets.exit_reason] === KVM_EXIT.ARM_NISV) page[runOffsets["arm_nisv.esr_iss"]]! &= ~WALK;
}

/** Leaves the header, names and descriptors, and blanks the data and the number of the process. */
function statistics(bytes: Uint8Array, offset: number, descriptors: number): void {
  const end = bytes.length - 8;
  const dataAt = DESC_OFFSET + DESC_BYTES * descriptors - offset;
  if (dataAt < end) bytes.fill(0, Math.max(0, dataAt), end);
  if (offset > HEADER_BYTES) return;
  const id = bytes.subarray(HEADER_BYTES - offset, Math.min(DESC_OFFSET - offset, end));
  const nameless = Buffer.from(id)
    .toString("latin1")
    .replace(/^kvm-\d+/, "kvm-");
  id.set(Buffer.from(nameless.padEnd(id.length, "\0"), "latin1"));
}

const maskOf = new Map(masks.map((mask) => [`${mask.verb} ${mask.part}`, mask]));

/** Where in the values of registers there is one that is not compared whole. */
type Blanks = readonly { readonly id: bigint; readonly at: number; readonly bytes: number }[];

function blanksOf(ids: Iterable<bigint>): Blanks {
  const blanks: { id: bigint; at: number; bytes: number }[] = [];
  let at = 0;
  for (const id of ids) {
    const bytes = registerBytes(id);
    if (timeIds.has(id) || ownBits.has(id)) blanks.push({ id, at, bytes });
    at += bytes;
  }
  return blanks;
}

const watchedBlanks = blanksOf(watched);
/** By the CRC of the list: there are few, and each vCPU is dumped again and again. */
const listBlanks = new Map<number, Blanks>();

function blanksOfList(outcome: Outcome): Blanks {
  const list = outcome.parts.find(({ name }) => name === "list")?.bytes ?? new Uint8Array(0);
  const key = crc32(list);
  const known = listBlanks.get(key);
  if (known !== undefined) return known;
  const blanks = blanksOf(new BigUint64Array(list.slice().buffer));
  listBlanks.set(key, blanks);
  return blanks;
}

function blanksFor(op: Op, part: string, outcome: Outcome): Blanks {
  if (part === "registers") return watchedBlanks;
  if (op.verb === "cpu.dump" && part === "values") return blanksOfList(outcome);
  return op.verb === "cpu.getRegs" ? blanksOf(op.args as readonly bigint[]) : [];
}

/** What is compared of a value: that of a register has bits that are not. */
export function maskedValue(op: Op, value: number | bigint): number | bigint {
  if (op.verb !== "cpu.alterReg" || typeof value !== "bigint") return value;
  const id = op.args[0] as bigint;
  return timeIds.has(id) ? 0n : value & ~(ownBits.get(id) ?? 0n);
}

/** What is compared of a part: itself where nothing is left out. */
export function masked(op: Op, part: string, bytes: Uint8Array, outcome: Outcome): Uint8Array {
  const mask = maskOf.get(`${op.verb} ${part}`);
  const blanks = blanksFor(op, part, outcome);
  if (mask === undefined && blanks.length === 0) return bytes;
  const copy = bytes.slice();
  mask?.apply(copy, op);
  for (const { id, at, bytes: length } of blanks) {
    if (at + length <= copy.length) blank(id, copy.subarray(at, at + length));
  }
  return copy;
}

function forEachRegister(outcome: Outcome, visit: (id: bigint, at: number, bytes: number) => void): void {
  const list = outcome.parts.find(({ name }) => name === "list")?.bytes ?? new Uint8Array(0);
  let at = 0;
  for (const id of new BigUint64Array(list.slice().buffer)) {
    visit(id, at, registerBytes(id));
    at += registerBytes(id);
  }
}

const value = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).reverse().toString("hex")}`;

/** The registers of a part that consists of them, as they are printed, by name. */
export function registersOf(op: Op, part: string, bytes: Uint8Array, outcome: Outcome): Map<string, string> {
  const found = new Map<string, string>();
  const look = (id: bigint, at: number, length: number): void => {
    const name = nameOfRegister(id);
    if (at + length <= bytes.length) found.set(name, `${name} ${value(bytes.subarray(at, at + length))}`);
  };
  if (part === "registers") for (const [n, id] of watched.entries()) look(id, 8 * n, 8);
  else if (op.verb === "cpu.dump" && part === "values") forEachRegister(outcome, look);
  return found;
}

/** More say no more. */
const MOST_SHOWN = 5;

/** The first registers that differ, by name. */
export function describeRegisters(op: Op, part: string, a: Uint8Array, b: Uint8Array, outcome: Outcome) {
  if (part === "list" || op.verb === "cpu.getRegList") return describeLists(a, b);
  const mine = registersOf(op, part, a, outcome);
  const other = registersOf(op, part, b, outcome);
  const differing = [...mine.keys()].filter((name) => mine.get(name) !== other.get(name)).slice(0, MOST_SHOWN);
  if (differing.length === 0) return null;
  const text = (values: Map<string, string>) => differing.map((name) => values.get(name) ?? `no ${name}`).join(", ");
  return { reference: text(mine), subject: text(other) };
}

function describeLists(a: Uint8Array, b: Uint8Array) {
  const ids = (bytes: Uint8Array) => [...new BigUint64Array(bytes.slice().buffer)];
  const [mine, other] = [ids(a), ids(b)];
  const only = (these: bigint[], those: bigint[]) =>
    these
      .filter((id) => !those.includes(id))
      .slice(0, 12)
      .map(nameOfRegister)
      .join(" ");
  return {
    reference: `${mine.length} registers, of its own: ${only(mine, other)}`,
    subject: `${other.length} registers, of its own: ${only(other, mine)}`,
  };
}
