// The evaluator's guest memory: virtual addresses to bytes of the shared memory, by way of stage 1 and the bus.
//
// What stage 1 says of a page is remembered for each kind of access, until a TLBI names it or a register of the
// translation regime changes. Of the registers with the tables' addresses, only what is not global.
//
// What must be aligned (DDI 0487 B2, "Alignment support"): exclusives, acquire and release, atomics, always; everything
// when SCTLR_EL1.A is set; and everything in Device memory, which all data is while stage 1 is off, unless the environment
// says that it does as QEMU before 9.0 does. FEAT_LSE2 is not there.
//
// Data is big-endian where SCTLR_EL1 says so, E0E at EL0 and EE at EL1: each element of an access for itself. The tables
// of stage 1 are as EE says, whoever accesses. Instructions are little-endian always.

import { sysRegIndex } from "../../arm64/sysregs.js";
import { ISS_BITS, ORDERED, UNPRIVILEGED } from "../a64/access.js";
import type { AccessBytes } from "../a64/machine.js";
import { EE, isBigEndian, reversed } from "../cpu/data-order.js";
import { Fsc } from "../cpu/exceptions.js";
import {
  type Access,
  asidOf,
  isDevice,
  type Regime,
  regimeOf,
  type Tables,
  type Translation,
  translateStage1,
} from "../cpu/stage1.js";
import { type CpuState, cells, Pstate } from "../cpu/state.js";
import type { Invalidation } from "../cpu/tlb.js";
import { CODE, GUARDED, MUST_ALIGN, NOTHING, PAGE, PAGE_CACHE_BYTES, PageCache, place, ROOM } from "./page-cache.js";
import { PHYSICAL_BYTES, PhysicalPages } from "./physical-pages.js";
import type { Bus, BusAccess } from "./stop.js";
import type { Cell, Wide } from "./wide.js";

/** ISS.CM, in the description of an access. */
const CACHE_MAINTENANCE = 1 << 8;
/** ISS.S1PTW. */
const S1PTW = 1 << 7;
const WNR = 1 << 6;
const SCTLR_A = 2;
/** MAIR_EL1: Normal, neither inner nor outer cacheable. */
const NON_CACHEABLE = 0x44;
const MODE = cells.flags * 2;

/** Who settles what goes wrong; none of them returns. */
export interface Faults {
  /** `fsc` of stage 2: an exception to EL2. */
  stage2Data(address: bigint, ipa: bigint, fsc: number, iss: number): never;
  /** A fault of stage 1, or of alignment: an exception to EL1. */
  stage1Data(address: bigint, fsc: number, iss: number): never;
  stage2Fetch(address: bigint, ipa: bigint, fsc: number): never;
  stage1Fetch(address: bigint, fsc: number): never;
  /** Called before each access of a page that has a watchpoint on it. */
  watch(address: bigint, bytes: number, write: boolean): void;
  watched(address: bigint): boolean;
}

/** The registers that translation depends on, by cell: when one changes, all that is remembered goes. */
const CONTROLS = (["SCTLR_EL1", "TCR_EL1", "TTBR0_EL1", "TTBR1_EL1", "MAIR_EL1"] as const).map(
  (name) => cells.sysregs + sysRegIndex(name),
);

const SCTLR = cells.sysregs + sysRegIndex("SCTLR_EL1");
/** Of SCTLR_EL1: M, A, WXN, E0E, EE. */
const SCTLR_TRANSLATES = 0x308_0003n;

const TABLE_BASES: ReadonlySet<number> = new Set(
  (["TTBR0_EL1", "TTBR1_EL1"] as const).map((name) => cells.sysregs + sysRegIndex(name)),
);

/** The pages of one way to access memory. */
interface Context {
  readonly reads: PageCache;
  readonly writes: PageCache;
  readonly fetches: PageCache;
}

/** Room for the tables of all contexts in the memory, where generated code finds them; without it they lie elsewhere. */
export interface TablesRoom {
  readonly buffer: ArrayBufferLike;
  readonly offset: number;
}
export const TABLES_BYTES = 9 * PAGE_CACHE_BYTES + PHYSICAL_BYTES;
/** In that room: what the bus has said. */
export const PHYSICAL_PAGES = 9 * PAGE_CACHE_BYTES;

function context(unprivileged: boolean, pan: boolean, room: TablesRoom | null, n: number): Context {
  const cache = (kind: Access["kind"], k: number) => {
    const offset = room === null ? 0 : room.offset + (3 * n + k) * PAGE_CACHE_BYTES;
    const words = room === null ? undefined : new Int32Array(room.buffer, offset, PAGE_CACHE_BYTES / 4);
    return new PageCache({ kind, unprivileged, pan: pan && kind !== "fetch" }, words);
  };
  return { reads: cache("read", 0), writes: cache("write", 1), fetches: cache("fetch", 2) };
}

/** Who wants to know of writes to memory that instructions were decoded from. */
export interface CodeWatch {
  isCode(page: number): boolean;
  /** Called before the bytes at this offset of the memory change. */
  written(offset: number, bytes: number): void;
}

export class GuestMemory {
  user = context(true, false, null, 0);
  private kernel = context(false, false, null, 1);
  private kernelWithPan = context(false, true, null, 2);
  reads = this.kernel.reads;
  writes = this.kernel.writes;
  fetches = this.kernel.fetches;
  code: CodeWatch | null = null;
  /** The bits of PSTATE that the context depends on, as they were when it was chosen. */
  mode = -1;
  private readonly w: Int32Array;
  private readonly q: BigUint64Array;
  private buffer: ArrayBufferLike;
  /** The whole shared memory; new ones when it has grown. */
  m8!: Uint8Array;
  m16!: Uint16Array;
  m32!: Int32Array;
  m64!: BigUint64Array;
  private generation: number;
  private readonly controls = new BigUint64Array(CONTROLS.length);
  private regime!: Regime;
  private physical = new PhysicalPages();
  /** Called with what a walk needs to know, when that has changed. */
  regimeChanged: ((regime: Regime, sctlr: number) => void) | undefined;
  private sctlr = 0;
  /** The address space of what is remembered and not global. */
  private asid = 0;
  /** Data accesses are big-endian now. */
  bigEndian = false;
  /** Of addresses of instructions: bit 0 in the lower range, bit 1 in the upper. */
  private topByteIgnored = 0;
  private readonly tables: Tables = {
    read: (ipa) => {
      const at = this.page(ipa, "read");
      if (at < 0) return at;
      return this.descriptor(Atomics.load(this.m64, (at + Number(ipa & 4095n)) / 8));
    },
    update: (ipa, before, after) => {
      const at = this.page(ipa, "write");
      if (at < 0) return at;
      const was = this.descriptor(before);
      const index = (at + Number(ipa & 4095n)) / 8;
      return Atomics.compareExchange(this.m64, index, was, this.descriptor(after)) === was;
    },
  };

  constructor(
    private readonly state: CpuState,
    private readonly bus: Bus,
    private readonly wide: Wide,
    private readonly faults: Faults,
    private readonly unalignedDevice: "fault" | "allow",
  ) {
    this.w = state.words;
    this.q = state.quads;
    this.generation = bus.generation;
    this.buffer = state.memory.buffer;
    this.views();
    this.idRegistersChanged();
  }

  /** From now on the tables lie in the memory; `engine` is where the engine's room is. */
  moveTables(room: TablesRoom, engine: number): void {
    this.user = context(true, false, room, 0);
    this.kernel = context(false, false, room, 1);
    this.kernelWithPan = context(false, true, room, 2);
    for (const { reads, writes, fetches } of this.contexts) {
      for (const { words } of [reads, writes, fetches]) words[ROOM / 4] = engine;
    }
    this.physical = new PhysicalPages(new Int32Array(room.buffer, room.offset + PHYSICAL_PAGES, PHYSICAL_BYTES / 4));
    this.modeChanged(this.mode);
  }

  /** Tells generated code all that it must know. */
  tellRegime(): void {
    this.regimeChanged?.(this.regime, this.sctlr);
  }

  /** The bytes of a page may be decoded from now on: writes to it are told. */
  pageIsCode(at: number): void {
    for (const { writes } of this.contexts) writes.markCode(at);
  }
  /** Whatever is remembered of the pages' code. */
  forgetCode(): void {
    for (const { fetches } of this.contexts) fetches.forgetRecords();
  }

  private get contexts(): readonly Context[] {
    return [this.user, this.kernel, this.kernelWithPan];
  }

  /** Looks again at what translation depends on: called when `run` begins and after the guest wrote a register. */
  controlChanged(): void {
    const { controls, q } = this;
    const is = (cell: number) => (cell === SCTLR ? q[cell]! & SCTLR_TRANSLATES : q[cell]!);
    if (CONTROLS.every((cell, n) => is(cell) === controls[n])) return;
    const onlyTables = CONTROLS.every((cell, n) => is(cell) === controls[n] || TABLE_BASES.has(cell));
    for (const [n, cell] of CONTROLS.entries()) controls[n] = is(cell);
    if (onlyTables) this.tablesChanged();
    else this.idRegistersChanged();
  }

  /** Other tables: what is global stays until a TLBI, and so would the rest, were address spaces told apart. */
  private tablesChanged(): void {
    this.regime = regimeOf(this.state);
    this.asid = asidOf(this.regime);
    this.tellRegime();
    for (const { reads, writes, fetches } of this.contexts) {
      reads.dropLocals();
      writes.dropLocals();
      fetches.dropLocals();
    }
  }

  /** TLBI. */
  invalidate(what: Invalidation): void {
    for (const { reads, writes, fetches } of this.contexts) {
      reads.invalidate(what, this.asid);
      writes.invalidate(what, this.asid);
      fetches.invalidate(what, this.asid);
    }
  }

  /** The same after the ID registers changed. */
  idRegistersChanged(): void {
    this.regime = regimeOf(this.state);
    this.asid = asidOf(this.regime);
    this.sctlr = Number(this.state.get("SCTLR_EL1") & 0xffff_ffffn);
    const { tcr } = this.regime;
    this.topByteIgnored = Number((tcr >> 37n) & ~(tcr >> 51n) & 3n);
    this.tellRegime();
    this.orderChanged();
    this.flush();
  }

  /** PSTATE.EL or PAN changed. */
  modeChanged(mode: number): void {
    this.mode = mode & (Pstate.EL | Pstate.PAN);
    const { reads, writes, fetches } =
      (mode & Pstate.EL) === 0 ? this.user : (mode & Pstate.PAN) === 0 ? this.kernel : this.kernelWithPan;
    this.reads = reads;
    this.writes = writes;
    this.fetches = fetches;
    this.orderChanged();
  }

  private orderChanged(): void {
    this.bigEndian = isBigEndian(this.sctlr, this.mode);
  }

  /** Between the order of the guest's data now and the order of the memory, which is little-endian. */
  ordered(value: Cell, bytes: AccessBytes): Cell {
    return this.bigEndian && bytes !== 1 ? this.wide.rev(value, bytes) : value;
  }

  private descriptor(value: bigint): bigint {
    return (this.sctlr & EE) === 0 ? value : reversed(value, 8);
  }

  /** LDTR and STTR access as EL0 does, unless PSTATE.UAO says otherwise. */
  private asUser(access: number): boolean {
    return (access & UNPRIVILEGED) !== 0 && (this.w[MODE]! & Pstate.UAO) === 0;
  }

  /** Forgets pages if the bus says so, and looks for a grown memory. */
  busChanged(): void {
    if (this.buffer !== this.state.memory.buffer) this.views();
    if (this.generation === this.bus.generation) return;
    this.generation = this.bus.generation;
    this.flush();
  }

  /** Forgets all translations, and what the bus said. */
  flush(): void {
    this.physical.clear();
    for (const { reads, writes, fetches } of this.contexts) {
      reads.clear();
      writes.clear();
      fetches.clear();
    }
  }

  /** Views of the whole memory as it is now. */
  views(): void {
    const buffer = this.state.memory.buffer;
    this.buffer = buffer;
    this.m8 = new Uint8Array(buffer);
    this.m16 = new Uint16Array(buffer);
    this.m32 = new Int32Array(buffer);
    this.m64 = new BigUint64Array(buffer);
  }

  /** The instruction at the address in the cell, which is a multiple of 4. */
  fetch(address: Cell): number {
    const lo = this.w[address]!;
    const hi = this.w[address + 1]!;
    const i = place(lo);
    const { words } = this.fetches;
    if (words[i] !== (lo & PAGE) || words[i + 1] !== hi) this.fetchPage(lo, hi);
    return this.m32[(words[i + 2]! + lo) >>> 2]!;
  }

  load(bytes: AccessBytes, address: Cell, access: number): Cell {
    const lo = this.w[address]!;
    const hi = this.w[address + 1]!;
    const i = place(lo);
    const cache = this.asUser(access) ? this.user.reads : this.reads;
    const { words } = cache;
    if ((words[i]! & ~MUST_ALIGN) !== (lo & PAGE) || words[i + 1] !== hi || (lo & (bytes - 1)) !== 0) {
      if (this.prepare(cache, lo, hi, bytes, access)) return this.ordered(this.loadBytes(cache, lo, hi, bytes), bytes);
    }
    const offset = (words[i + 2]! + lo) >>> 0;
    const t = this.wide.temporary();
    if (bytes === 8) this.q[t >> 1] = this.m64[offset / 8]!;
    else {
      this.w[t] = bytes === 4 ? this.m32[offset >>> 2]! : bytes === 1 ? this.m8[offset]! : this.m16[offset >>> 1]!;
      this.w[t + 1] = 0;
    }
    return this.bigEndian ? this.ordered(t, bytes) : t;
  }

  store(bytes: AccessBytes, address: Cell, data: Cell, access: number): void {
    const value = this.bigEndian ? this.ordered(data, bytes) : data;
    const lo = this.w[address]!;
    const hi = this.w[address + 1]!;
    const i = place(lo);
    const cache = this.asUser(access) ? this.user.writes : this.writes;
    const { words } = cache;
    if ((words[i]! & ~MUST_ALIGN) !== (lo & PAGE) || words[i + 1] !== hi || (lo & (bytes - 1)) !== 0) {
      if (this.prepare(cache, lo, hi, bytes, access)) {
        this.storeBytes(cache, lo, hi, bytes, value);
        return;
      }
    }
    const offset = (words[i + 2]! + lo) >>> 0;
    if (bytes === 8) this.m64[offset / 8] = this.q[value >> 1]!;
    else if (bytes === 4) this.m32[offset >>> 2] = this.w[value]!;
    else if (bytes === 1) this.m8[offset] = this.w[value]!;
    else this.m16[offset >>> 1] = this.w[value]!;
  }

  storePair(bytes: 4 | 8, address: Cell, first: Cell, second: Cell, access: number): void {
    const next = this.wide.add(address, this.wide.words(bytes, 0));
    // Both places are known to be writable before either is written.
    this.prepare(this.writes, this.w[address]!, this.w[address + 1]!, bytes, access);
    this.prepare(this.writes, this.w[next]!, this.w[next + 1]!, bytes, access);
    this.store(bytes, address, first, access);
    this.store(bytes, next, second, access);
  }

  /** DC ZVA: `bytes` is the block size, `address` anywhere in the block. */
  zero(address: Cell, bytes: number): void {
    const start = this.wide.and(address, this.wide.immediate(-bytes));
    const lo = this.w[start]!;
    this.prepare(this.writes, lo, this.w[start + 1]!, bytes, 0);
    // DC ZVA to Device memory is an alignment fault; its FAR is the address that was given.
    if (this.deviceFaults(this.writes, lo)) this.alignmentFault(this.w[address]!, this.w[address + 1]!, true);
    const offset = this.writes.offset(lo);
    this.m8.fill(0, offset, offset + bytes);
  }

  /** What is checked of an access to 16 bytes as a whole, before it is made in two halves. */
  prepareQuad(address: Cell, access: number, mode: "read" | "write"): void {
    const lo = this.w[address]!;
    const hi = this.w[address + 1]!;
    this.prepare(mode === "read" ? this.reads : this.writes, lo, hi, 16, access);
  }

  /** Offset of an aligned access that reads, writes or does both; it may fault, as a read where that would fault, too. */
  locate(address: Cell, bytes: number, access: number, mode: "read" | "write" | "both"): number {
    const lo = this.w[address]!;
    const hi = this.w[address + 1]!;
    if (mode !== "write") this.prepare(this.reads, lo, hi, bytes, access | ORDERED);
    if (mode !== "read") this.prepare(this.writes, lo, hi, bytes, access | ORDERED);
    return (mode === "read" ? this.reads : this.writes).offset(lo);
  }

  // The slow paths. Each leaves the page of the first byte in the cache (unless it is watched or out of line) and tells
  // whether the access must go byte by byte.

  private prepare(cache: PageCache, lo: number, hi: number, bytes: number, access: number): boolean {
    const write = cache.access.kind === "write";
    const unaligned = (lo & (bytes - 1)) !== 0;
    if (unaligned && this.mustAlign(access)) this.alignmentFault(lo, hi, write);
    this.dataPage(cache, lo, hi, bytes, access);
    if (unaligned && this.deviceFaults(cache, lo)) this.alignmentFault(lo, hi, write);
    const last = (lo & 4095) + bytes > 4096;
    if (last) {
      const next = ((((lo & PAGE) >>> 0) + 4096) % 0x1_0000_0000) | 0;
      this.dataPage(cache, next, next === 0 ? (hi + 1) | 0 : hi, 1, access);
    }
    return unaligned;
  }

  private mustAlign(access: number): boolean {
    return (access & ORDERED) !== 0 || (this.sctlr & SCTLR_A) !== 0;
  }

  /** The page of this address, which is in the cache, is Device memory and such memory must be aligned. */
  private deviceFaults(cache: PageCache, lo: number): boolean {
    return cache.isDevice(lo) && (this.regime.enabled || this.unalignedDevice === "fault");
  }

  private dataPage(cache: PageCache, lo: number, hi: number, bytes: number, access: number): void {
    const write = cache.access.kind === "write";
    if (cache.has(lo, hi)) {
      if (write && (cache.flags(lo) & CODE) !== 0) this.code?.written(cache.offset(lo), bytes);
      return;
    }
    const address = join(lo, hi);
    const watched = this.faults.watched(address);
    if (watched) this.faults.watch(address, bytes, write);
    const maintenance = (access & CACHE_MAINTENANCE) !== 0;
    const direction = maintenance || write ? WNR : 0;
    const translation = this.stage1(cache.access, address, (access & CACHE_MAINTENANCE) | direction);
    const ipa = translation.address;
    const at = this.page(ipa, write ? "write" : "read");
    if (at < 0) {
      this.faults.stage2Data(address, ipa, -at, (access & (ISS_BITS | CACHE_MAINTENANCE)) | direction);
    }
    const device = isDevice(translation.attributes);
    const isCode = write && this.code?.isCode(at) === true;
    const aligned = device || (this.sctlr & SCTLR_A) !== 0 ? MUST_ALIGN : 0;
    // A watched page must be asked for again.
    cache.put(lo, hi, aligned | (isCode ? CODE : 0) | (watched ? NOTHING : 0), at, device ? 1 : 0, translation);
    if (isCode) this.code?.written(cache.offset(lo), bytes);
  }

  /** Stage 1 of a data access; a fault ends the instruction. `iss`: CM and WnR. */
  private stage1(access: Access, address: bigint, iss: number): Translation {
    const found = translateStage1(this.regime, this.tables, address, access);
    if (found.kind === "page") return found;
    if (found.kind === "fault") this.faults.stage1Data(address, found.fsc, iss);
    this.faults.stage2Data(address, found.ipa, found.fsc, S1PTW | (found.write ? WNR : 0));
  }

  private fetchPage(lo: number, hi: number): void {
    const address = join(lo, hi);
    const found = translateStage1(this.regime, this.tables, address, this.fetches.access);
    if (found.kind === "fault") this.faults.stage1Fetch(address, found.fsc);
    if (found.kind === "walk") this.faults.stage2Fetch(address, found.ipa, S1PTW | found.fsc);
    const at = this.page(found.address, "fetch");
    if (at < 0) this.faults.stage2Fetch(address, found.address, -at);
    this.fetches.put(lo, hi, 0, at, found.guarded ? GUARDED : 0, found);
  }

  /** What generated code may know of the bus. */
  private remember(page: bigint, access: BusAccess, at: number): void {
    const range = this.bus.range?.(page);
    if (range?.access.includes(access)) this.physical.putRange(range);
    else this.physical.put(page, access, at);
  }

  /** Whether the page of this address, which was fetched from last, is guarded. */
  guarded(address: Cell): boolean {
    return this.fetches.isGuarded(this.w[address]!);
  }

  /** The bus's answer for the page of an address. */
  private page(ipa: bigint, access: BusAccess): number {
    const page = ipa & ~4095n;
    const at = this.bus.page(page, access);
    if (at < 0) return at;
    if (this.regimeChanged !== undefined) this.remember(page, access, at);
    if (this.buffer !== this.state.memory.buffer) this.views();
    return at;
  }

  /** Cache maintenance by address: finds the page, as hardware must; a fault has ISS.CM and WnR set. */
  maintain(address: Cell): void {
    this.dataPage(this.reads, this.w[address]!, this.w[address + 1]!, 1, CACHE_MAINTENANCE);
  }

  /** AT: PAR_EL1 of a translation for an access of this kind. */
  translate(address: Cell, access: Access): bigint {
    const found = translateStage1(this.regime, this.tables, this.q[address >> 1]!, access);
    // F = 1; bit 11 is RES1.
    if (found.kind === "fault") return (1n << 11n) | (BigInt(found.fsc) << 1n) | 1n;
    if (found.kind === "walk") {
      this.faults.stage2Data(this.q[address >> 1]!, found.ipa, found.fsc, S1PTW | CACHE_MAINTENANCE);
    }
    const { attributes, shareability } = found;
    // Device memory and what is not cached at all are Outer Shareable.
    const shown = isDevice(attributes) || attributes === NON_CACHEABLE ? 2 : shareability;
    const page = found.address & 0x000f_ffff_ffff_f000n;
    return (BigInt(attributes) << 56n) | page | (1n << 11n) | (BigInt(shown) << 7n);
  }

  /** Drops pages that came into the cache before there was a watchpoint on them. */
  flushWatched(watching: boolean): void {
    if (watching) this.flush();
  }

  /** AArch64.BranchAddr: TCR_EL1.TBI0 and TBI1, without TBID0 and TBID1, count even while stage 1 is off. */
  withoutTag(address: bigint): bigint {
    const high = Number((address >> 55n) & 1n);
    if (((this.topByteIgnored >> high) & 1) === 0) return address;
    return high === 1 ? address | (0xffn << 56n) : address & ~(0xffn << 56n);
  }

  alignmentFault(lo: number, hi: number, write: boolean): never {
    this.faults.stage1Data(join(lo, hi), Fsc.alignment, write ? WNR : 0);
  }

  private loadBytes(cache: PageCache, lo: number, hi: number, bytes: number): Cell {
    let low = 0;
    let high = 0;
    for (let n = 0; n < bytes; n++) {
      const byte = this.m8[this.byteAt(cache, lo, hi, n)]!;
      if (n < 4) low |= byte << (n * 8);
      else high |= byte << (n * 8 - 32);
    }
    return this.wide.words(low, high);
  }

  private storeBytes(cache: PageCache, lo: number, hi: number, bytes: number, value: Cell): void {
    for (let n = 0; n < bytes; n++) {
      const byte = n < 4 ? this.w[value]! >>> (n * 8) : this.w[value + 1]! >>> (n * 8 - 32);
      this.m8[this.byteAt(cache, lo, hi, n)] = byte;
    }
  }

  // Two pages may share a cache entry: the page is looked up again where it has changed.
  private byteAt(cache: PageCache, lo: number, hi: number, n: number): number {
    const at = (lo + n) | 0;
    const carried = at >>> 0 < lo >>> 0 ? (hi + 1) | 0 : hi;
    this.dataPage(cache, at, carried, 1, 0);
    return cache.offset(at);
  }
}

function join(lo: number, hi: number): bigint {
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
}
