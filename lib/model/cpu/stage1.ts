// Stage 1 address translation of the EL1&0 regime: DDI 0487 D8, and J1.1 AArch64.S1Translate, AArch64.S1Walk.

import { type CpuState, Pstate } from "./state.js";

/** Who accesses, and how. */
export interface Access {
  readonly kind: "read" | "write" | "fetch";
  /** As EL0: at EL0 itself, and unprivileged loads and stores of EL1. */
  readonly unprivileged: boolean;
  /** PSTATE.PAN counts. */
  readonly pan: boolean;
}

/** What a walk needs from the system registers; made anew when one of them changes. */
export interface Regime {
  /** SCTLR_EL1.M. */
  readonly enabled: boolean;
  /** SCTLR_EL1.WXN: what is writable is not executable. */
  readonly writeNeverExecutes: boolean;
  readonly tcr: bigint;
  readonly ttbr: readonly [bigint, bigint];
  readonly mair: bigint;
  /** log2 of the first address beyond ID_AA64MMFR0_EL1.PARange. */
  readonly physicalBits: number;
  /** log2 of the granules that ID_AA64MMFR0_EL1 promises. */
  readonly granules: ReadonlySet<number>;
  /** ID_AA64MMFR2_EL1.VARange: 52-bit addresses with 64 KiB granules. */
  readonly largeAddresses: boolean;
  /** ID_AA64MMFR2_EL1.ST: small tables, TxSZ up to 48. */
  readonly smallTables: boolean;
  /** ID_AA64MMFR1_EL1.HAFDBS: 1 the access flag, 2 dirty state too. */
  readonly hardwareFlags: number;
  /** ID_AA64MMFR1_EL1.HPDS. */
  readonly hierarchyOff: boolean;
  /** ID_AA64MMFR2_EL1.E0PD. */
  readonly el0Prevention: boolean;
}

export interface Translation {
  readonly kind: "page";
  /** Physical address of the byte. */
  readonly address: bigint;
  /** MAIR_EL1's byte for it. */
  readonly attributes: number;
  /** SH of the descriptor. */
  readonly shareability: number;
  /** GP of the descriptor: branches must land where they may (FEAT_BTI). */
  readonly guarded: boolean;
  /** log2 of the bytes that the descriptor maps. */
  readonly shift: number;
  /** For every address space. */
  readonly global: boolean;
}

/** A fault of stage 1, with its status code, level included. */
export interface Stage1Fault {
  readonly kind: "fault";
  readonly fsc: number;
}

/** A descriptor that stage 2 does not give. */
export interface WalkFault {
  readonly kind: "walk";
  readonly ipa: bigint;
  /** Of stage 2. */
  readonly fsc: number;
  /** Of the descriptor in stage 1. */
  readonly level: number;
  /** The hardware would have written (the access flag, dirty state). */
  readonly write: boolean;
}

/** Guest memory as a walk sees it: 64-bit words at intermediate physical addresses. A negative number: minus a status code. */
export interface Tables {
  read(ipa: bigint): bigint | number;
  /** Replaces `before` by `after` as one access; false: it had changed. */
  update(ipa: bigint, before: bigint, after: bigint): boolean | number;
}

const TRANSLATION = 0x04;
const ADDRESS_SIZE = 0x00;
const ACCESS_FLAG = 0x08;
const PERMISSION = 0x0c;

const fault = (kind: number, level: number): Stage1Fault => ({ kind: "fault", fsc: kind | level });

const field = (value: bigint, lsb: number, bits: number): number =>
  Number((value >> BigInt(lsb)) & ((1n << BigInt(bits)) - 1n));
const bit = (value: bigint, n: number): boolean => ((value >> BigInt(n)) & 1n) === 1n;

const PARANGE = [32, 36, 40, 42, 44, 48, 52, 56] as const;

/** The regime as the system registers and the ID registers say now. */
export function regimeOf(state: CpuState): Regime {
  const sctlr = state.get("SCTLR_EL1");
  const mmfr0 = state.get("ID_AA64MMFR0_EL1");
  const mmfr1 = state.get("ID_AA64MMFR1_EL1");
  const mmfr2 = state.get("ID_AA64MMFR2_EL1");
  const granules = new Set<number>();
  if (field(mmfr0, 28, 4) !== 15) granules.add(12);
  if (field(mmfr0, 20, 4) !== 0) granules.add(14);
  if (field(mmfr0, 24, 4) !== 15) granules.add(16);
  return {
    enabled: bit(sctlr, 0),
    writeNeverExecutes: bit(sctlr, 19),
    tcr: state.get("TCR_EL1"),
    ttbr: [state.get("TTBR0_EL1"), state.get("TTBR1_EL1")],
    mair: state.get("MAIR_EL1"),
    physicalBits: PARANGE[field(mmfr0, 0, 4)] ?? 48,
    granules,
    largeAddresses: field(mmfr2, 16, 4) !== 0,
    smallTables: field(mmfr2, 28, 4) !== 0,
    hardwareFlags: field(mmfr1, 0, 4),
    hierarchyOff: field(mmfr1, 12, 4) !== 0,
    el0Prevention: field(mmfr2, 60, 4) !== 0,
  };
}

/** The address space that translations which are not global belong to: TCR_EL1.A1 says where it stands, AS its size. */
export function asidOf({ tcr, ttbr }: Regime): number {
  return field(ttbr[bit(tcr, 22) ? 1 : 0], 48, bit(tcr, 36) ? 16 : 8);
}

/** log2 of the granule that TG0 or TG1 says; a reserved or missing one is taken for the smallest there is. */
function granuleOf({ tcr, granules }: Regime, high: boolean): number {
  const tg = high ? [0, 14, 12, 16][field(tcr, 30, 2)]! : [12, 16, 14, 0][field(tcr, 14, 2)]!;
  return granules.has(tg) ? tg : Math.min(...granules);
}

/** AArch64.S1Translate. `address` is virtual; `tables` gives the descriptors. */
export function translateStage1(
  regime: Regime,
  tables: Tables,
  address: bigint,
  access: Access,
): Translation | Stage1Fault | WalkFault {
  const high = bit(address, 55);
  if (!regime.enabled) return withoutTables(regime, address, high, access);
  const walk = walkOf(regime, high);
  if (walk === null || !inRange(regime, address, walk.size, high, access)) return fault(TRANSLATION, 0);
  if (noWalks(regime, high) || (access.unprivileged && keepsEl0Out(regime, high))) return fault(TRANSLATION, 0);

  const { granule, stride, outputBits } = walk;
  let { level, width, table } = walk;
  if (table >> BigInt(outputBits) !== 0n) return fault(ADDRESS_SIZE, 0);

  // What tables on the way take away: from EL0, writes, execution at EL0 and at EL1.
  const hierarchical = isHierarchical(regime, high);
  const taken = { el0: false, write: false, execute0: false, execute1: false };
  for (;;) {
    const shift = (3 - level) * stride + granule;
    const index = (address >> BigInt(shift)) & ((1n << BigInt(width)) - 1n);
    const at = table | (index << 3n);
    const read = tables.read(at);
    if (typeof read === "number") return { kind: "walk", ipa: at, fsc: -read, level, write: false };
    const descriptor = read;
    const type = Number(descriptor & 3n);
    const isLeaf = level === 3 ? type === 3 : type === 1;
    if ((type & 1) === 0 || (level === 3 && type !== 3) || (isLeaf && shift > largestBlock(granule))) {
      return fault(TRANSLATION, level);
    }
    if (!isLeaf) {
      table = outputAddress(descriptor, granule, granule);
      if (table >> BigInt(outputBits) !== 0n) return fault(ADDRESS_SIZE, level);
      if (hierarchical) {
        taken.write ||= bit(descriptor, 62);
        taken.el0 ||= bit(descriptor, 61);
        taken.execute0 ||= bit(descriptor, 60);
        taken.execute1 ||= bit(descriptor, 59);
      }
      level++;
      width = stride;
      continue;
    }
    const base = outputAddress(descriptor, shift, granule);
    if (base >> BigInt(outputBits) !== 0n) return fault(ADDRESS_SIZE, level);
    const allowed = finish(regime, tables, at, descriptor, level, access, taken);
    if (allowed !== null) return allowed;
    return {
      kind: "page",
      address: base | (address & ((1n << BigInt(shift)) - 1n)),
      attributes: field(regime.mair, 8 * field(descriptor, 2, 3), 8),
      shareability: field(descriptor, 8, 2),
      guarded: bit(descriptor, 50),
      shift,
      global: !bit(descriptor, 11),
    };
  }
}

/** Where the walks of a range begin, and of what size everything is. */
export interface Walk {
  /** log2 of a page, and of the entries of a table. */
  readonly granule: number;
  readonly stride: number;
  /** Bits of a virtual and of a physical address. */
  readonly size: number;
  readonly outputBits: number;
  /** The first level, log2 of the entries of its table, and the table. */
  readonly level: number;
  readonly width: number;
  readonly table: bigint;
}

/** null: TxSZ is none that there is. */
export function walkOf(regime: Regime, high: boolean): Walk | null {
  const { tcr } = regime;
  const granule = granuleOf(regime, high);
  const stride = granule - 3;
  const size = 64 - field(tcr, high ? 16 : 0, 6);
  const most = regime.largeAddresses && granule === 16 ? 52 : 48;
  const least = regime.smallTables ? (granule === 16 ? 17 : 16) : 25;
  if (size > most || size < least) return null;
  const outputBits = Math.min(PARANGE[field(tcr, 32, 3)] ?? 48, regime.physicalBits, granule === 16 ? 52 : 48);
  const level = 4 - Math.ceil((size - granule) / stride);
  const width = size - ((3 - level) * stride + granule);
  return {
    granule,
    stride,
    size,
    outputBits,
    level,
    width,
    table: tableBase(regime.ttbr[high ? 1 : 0], 3 + width, outputBits),
  };
}

/** EPD0, EPD1: no walks here. */
export const noWalks = ({ tcr }: Regime, high: boolean): boolean => bit(tcr, high ? 23 : 7);
/** E0PD0, E0PD1: none for EL0. */
export const keepsEl0Out = ({ tcr, el0Prevention }: Regime, high: boolean): boolean =>
  el0Prevention && bit(tcr, high ? 56 : 55);
/** HPD0, HPD1: what tables say of permissions does not count. */
export const isHierarchical = ({ tcr, hierarchyOff }: Regime, high: boolean): boolean =>
  !(hierarchyOff && bit(tcr, high ? 42 : 41));
/** HA and HD: the hardware keeps dirty state. */
export const keepsDirtyState = ({ tcr, hardwareFlags }: Regime): boolean =>
  hardwareFlags >= 2 && bit(tcr, 39) && bit(tcr, 40);
/** log2 of the largest block: 1 GiB (and 2 MiB) with 4 KiB granules, 32 MiB with 16 KiB, 512 MiB with 64 KiB. */
export const largestBlock = (granule: number): number => ({ 12: 30, 14: 25, 16: 29 })[granule]!;

/** With stage 1 off an address is its own translation, if there can be such a physical address. */
function withoutTables(regime: Regime, address: bigint, high: boolean, access: Access): Translation | Stage1Fault {
  const top = topByteIgnored(regime, high, access) ? 56n : 64n;
  const untagged = BigInt.asUintN(Number(top), address);
  if (untagged >> BigInt(regime.physicalBits) !== 0n) return fault(ADDRESS_SIZE, 0);
  // Data is Device-nGnRnE, instructions are Normal.
  return {
    kind: "page",
    address: untagged,
    attributes: access.kind === "fetch" ? 0xff : 0,
    shareability: 2,
    guarded: false,
    shift: 12,
    global: true,
  };
}

/** TBI0, TBI1, and for fetches without TBID0, TBID1. */
export function topByteIgnored({ tcr }: Regime, high: boolean, access: Pick<Access, "kind">): boolean {
  return bit(tcr, high ? 38 : 37) && !(access.kind === "fetch" && bit(tcr, high ? 52 : 51));
}

/** The bits above the size are all as bit 55, the top byte aside where it is ignored. */
function inRange(regime: Regime, address: bigint, size: number, high: boolean, access: Access): boolean {
  const top = topByteIgnored(regime, high, access) ? 56 : 64;
  const above = BigInt.asUintN(top, address) >> BigInt(size);
  return above === (high ? (1n << BigInt(top - size)) - 1n : 0n);
}

/** BADDR of TTBRn_EL1, aligned to the table; the upper bits of 52-bit addresses lie at 5:2. */
function tableBase(ttbr: bigint, bits: number, outputBits: number): bigint {
  const low = BigInt(Math.max(bits, outputBits === 52 ? 6 : bits));
  const base = ((ttbr & 0xffff_ffff_fffen) >> low) << low;
  return outputBits === 52 ? base | (BigInt(field(ttbr, 2, 4)) << 48n) : base;
}

/** The output address of a descriptor, from bit `low`; with 64 KiB granules bits 51:48 lie at 15:12. */
function outputAddress(descriptor: bigint, low: number, granule: number): bigint {
  const mask = ((1n << 48n) - 1n) & ~((1n << BigInt(low)) - 1n);
  const address = descriptor & mask;
  return granule === 16 ? address | (BigInt(field(descriptor, 12, 4)) << 48n) : address;
}

interface Taken {
  readonly el0: boolean;
  readonly write: boolean;
  readonly execute0: boolean;
  readonly execute1: boolean;
}

const AF = 1n << 10n;
const AP2 = 1n << 7n;

/** The access flag, permissions and dirty state of a leaf; null: the access may go on. */
function finish(
  regime: Regime,
  tables: Tables,
  at: bigint,
  descriptor: bigint,
  level: number,
  access: Access,
  taken: Taken,
): Stage1Fault | WalkFault | null {
  const setsAccess = regime.hardwareFlags >= 1 && bit(regime.tcr, 39);
  const setsDirty = keepsDirtyState(regime) && bit(descriptor, 51);
  if ((descriptor & AF) === 0n && !setsAccess) return fault(ACCESS_FLAG, level);
  const readOnly = (descriptor & AP2) !== 0n;
  const el0 = bit(descriptor, 6) && !taken.el0;
  const writable = (!readOnly || setsDirty) && !taken.write;
  if (!permitted(regime, descriptor, access, taken, el0, writable)) return fault(PERMISSION, level);
  let after = descriptor | AF;
  if (access.kind === "write" && readOnly) after &= ~AP2;
  if (after === descriptor) return null;
  const updated = tables.update(at, descriptor, after);
  if (typeof updated === "number") return { kind: "walk", ipa: at, fsc: -updated, level, write: true };
  // Somebody changed the descriptor: the next walk sees it.
  return null;
}

/** AArch64.S1DirectBasePermissions and what follows it. */
function permitted(
  regime: Regime,
  descriptor: bigint,
  access: Access,
  taken: Taken,
  el0: boolean,
  writable: boolean,
): boolean {
  if (access.kind !== "fetch") {
    if (access.unprivileged) return el0 && (access.kind === "read" || writable);
    if (access.pan && el0) return false;
    return access.kind === "read" || writable;
  }
  if (access.unprivileged) {
    if (bit(descriptor, 54) || taken.execute0) return false;
    return !(regime.writeNeverExecutes && el0 && writable);
  }
  // What EL0 may write, EL1 may not execute.
  if (bit(descriptor, 53) || taken.execute1 || (el0 && writable)) return false;
  return !(regime.writeNeverExecutes && writable);
}

/** A memory type of MAIR_EL1 that is Device: must be aligned, is not cached. */
export const isDevice = (attributes: number): boolean => (attributes & 0xf0) === 0;

/** How the CPU accesses memory now; `asUser`: an unprivileged load or store. */
export function accessOf(mode: number, kind: Access["kind"], asUser: boolean): Access {
  const unprivileged = asUser || (mode & Pstate.EL) === 0;
  return { kind, unprivileged, pan: !unprivileged && kind !== "fetch" && (mode & Pstate.PAN) !== 0 };
}
