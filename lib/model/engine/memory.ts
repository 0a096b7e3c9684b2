// The evaluator's guest memory, stage 1 off: a virtual address is the intermediate physical address.
//
// What must be aligned (DDI 0487 B2, "Alignment support"): exclusives, acquire and release, atomics, always; everything
// when SCTLR_EL1.A is set; and everything while stage 1 is off, since then all data is Device memory, unless the
// environment says that it does as QEMU before 9.0 does. FEAT_LSE2 changes nothing for Device memory. All of it is
// decided in `mustAlign`.

import { ISS_BITS, ORDERED, READ_WRITE } from "../a64/access.js";
import type { AccessBytes } from "../a64/machine.js";
import { Fsc } from "../cpu/exceptions.js";
import type { CpuState } from "../cpu/state.js";
import type { Bus } from "./stop.js";
import type { Cell, Wide } from "./wide.js";

const ENTRIES = 512;
const PAGE = -4096;
/** No page has this tag: the low bits of a page's address are zero. */
const NO_PAGE = 1;
/** ISS.CM, in the description of an access. */
const CACHE_MAINTENANCE = 1 << 8;
const SCTLR_M = 1;
/** EE and E0E. */
const SCTLR_ENDIAN = (1 << 25) | (1 << 24);
const SCTLR_A = 2;

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

/** Pages that answer without asking the bus: tags (low and high word of the address) and where the bytes are. */
class PageCache {
  readonly tags = new Int32Array(ENTRIES * 2).fill(NO_PAGE);
  readonly at = new Float64Array(ENTRIES);
  clear(): void {
    this.tags.fill(NO_PAGE);
  }
}

export class GuestMemory {
  private readonly reads = new PageCache();
  private readonly writes = new PageCache();
  private readonly fetches = new PageCache();
  private readonly w: Int32Array;
  private readonly q: BigUint64Array;
  private buffer: ArrayBufferLike;
  /** The whole shared memory; new ones when it has grown. */
  m8!: Uint8Array;
  m16!: Uint16Array;
  m32!: Int32Array;
  m64!: BigUint64Array;
  private generation: number;
  /** log2 of the first address beyond ID_AA64MMFR0_EL1.PARange. */
  private physicalBits = 48n;
  private sctlr = 0;
  private topByteIgnored = 0;

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
  }

  /** Reads again what translation depends on: called when `run` begins and after the guest changed such a register. */
  controlChanged(): void {
    const parange = Number(this.state.get("ID_AA64MMFR0_EL1") & 15n);
    this.physicalBits = BigInt([32, 36, 40, 42, 44, 48, 52, 56][parange] ?? 48);
    const sctlr = Number(this.state.get("SCTLR_EL1") & 0xffff_ffffn);
    const tcr = this.state.get("TCR_EL1");
    const topByteIgnored = Number((tcr >> 37n) & 3n);
    if (sctlr !== this.sctlr || topByteIgnored !== this.topByteIgnored) this.flush();
    this.sctlr = sctlr;
    this.topByteIgnored = topByteIgnored;
  }

  /** What the guest has turned on in SCTLR_EL1 and this memory has not got, or null. */
  get lacks(): string | null {
    if ((this.sctlr & SCTLR_M) !== 0) return "stage 1 address translation (SCTLR_EL1.M)";
    return (this.sctlr & SCTLR_ENDIAN) !== 0 ? "big-endian data (SCTLR_EL1.EE, E0E)" : null;
  }

  /** Forgets pages if the bus says so, and looks for a grown memory. */
  busChanged(): void {
    if (this.buffer !== this.state.memory.buffer) this.views();
    if (this.generation === this.bus.generation) return;
    this.generation = this.bus.generation;
    this.flush();
  }

  flush(): void {
    this.reads.clear();
    this.writes.clear();
    this.fetches.clear();
  }

  private views(): void {
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
    const i = ((lo >>> 12) & (ENTRIES - 1)) << 1;
    const { tags, at } = this.fetches;
    if (tags[i] !== (lo & PAGE) || tags[i + 1] !== hi) this.fetchPage(lo, hi);
    return this.m32[(at[i >> 1]! + (lo & 4095)) >>> 2]!;
  }

  load(bytes: AccessBytes, address: Cell, access: number): Cell {
    const lo = this.w[address]!;
    const hi = this.w[address + 1]!;
    const i = ((lo >>> 12) & (ENTRIES - 1)) << 1;
    const { tags, at } = this.reads;
    if (tags[i] !== (lo & PAGE) || tags[i + 1] !== hi || (lo & (bytes - 1)) !== 0) {
      if (this.prepareRead(lo, hi, bytes, access)) return this.loadBytes(lo, hi, bytes);
    }
    const offset = at[i >> 1]! + (lo & 4095);
    if (bytes === 8) {
      const t = this.wide.temporary();
      this.q[t >> 1] = this.m64[offset / 8]!;
      return t;
    }
    if (bytes === 4) return this.wide.words(this.m32[offset >>> 2]!, 0);
    return this.wide.words(bytes === 1 ? this.m8[offset]! : this.m16[offset >>> 1]!, 0);
  }

  store(bytes: AccessBytes, address: Cell, value: Cell, access: number): void {
    const lo = this.w[address]!;
    const hi = this.w[address + 1]!;
    const i = ((lo >>> 12) & (ENTRIES - 1)) << 1;
    const { tags, at } = this.writes;
    if (tags[i] !== (lo & PAGE) || tags[i + 1] !== hi || (lo & (bytes - 1)) !== 0) {
      if (this.prepareWrite(lo, hi, bytes, access)) {
        this.storeBytes(lo, hi, bytes, value);
        return;
      }
    }
    const offset = at[i >> 1]! + (lo & 4095);
    if (bytes === 8) this.m64[offset / 8] = this.q[value >> 1]!;
    else if (bytes === 4) this.m32[offset >>> 2] = this.w[value]!;
    else if (bytes === 1) this.m8[offset] = this.w[value]!;
    else this.m16[offset >>> 1] = this.w[value]!;
  }

  storePair(bytes: 4 | 8, address: Cell, first: Cell, second: Cell, access: number): void {
    const next = this.wide.add(address, this.wide.words(bytes, 0));
    // Both places are known to be writable before either is written.
    this.prepareWrite(this.w[address]!, this.w[address + 1]!, bytes, access);
    this.prepareWrite(this.w[next]!, this.w[next + 1]!, bytes, access);
    this.store(bytes, address, first, access);
    this.store(bytes, next, second, access);
  }

  /** DC ZVA: `bytes` is the block size, `address` anywhere in the block. */
  zero(address: Cell, bytes: number): void {
    const start = this.wide.and(address, this.wide.immediate(-bytes));
    // DC ZVA to Device memory is an alignment fault; its FAR is the address that was given.
    if (this.mustAlignDevice()) this.alignmentFault(this.w[address]!, this.w[address + 1]!, 0, true);
    this.prepareWrite(this.w[start]!, this.w[start + 1]!, bytes, 0);
    const offset = this.offset(this.writes, this.w[start]!);
    this.m8.fill(0, offset, offset + bytes);
  }

  /** What is checked of an access to 16 bytes as a whole, before it is made in two halves. */
  prepareQuad(address: Cell, access: number, mode: "read" | "write"): void {
    const lo = this.w[address]!;
    const hi = this.w[address + 1]!;
    if (mode === "read") this.prepareRead(lo, hi, 16, access);
    else this.prepareWrite(lo, hi, 16, access);
  }

  /** Offset of an aligned access that reads, writes or does both; it may fault. */
  locate(address: Cell, bytes: number, access: number, mode: "read" | "write" | "both"): number {
    const lo = this.w[address]!;
    const hi = this.w[address + 1]!;
    if (mode !== "write") this.prepareRead(lo, hi, bytes, access | ORDERED);
    if (mode !== "read") this.prepareWrite(lo, hi, bytes, access | ORDERED);
    return this.offset(mode === "read" ? this.reads : this.writes, lo);
  }

  /** Offset of a byte whose page is in the cache. */
  private offset(cache: PageCache, lo: number): number {
    return cache.at[(lo >>> 12) & (ENTRIES - 1)]! + (lo & 4095);
  }

  // The slow paths. Each leaves the page of the first byte in the cache (unless it is watched or out of line) and tells
  // whether the access must go byte by byte.

  private prepareRead(lo: number, hi: number, bytes: number, access: number): boolean {
    return this.prepare(this.reads, lo, hi, bytes, access, false);
  }

  private prepareWrite(lo: number, hi: number, bytes: number, access: number): boolean {
    return this.prepare(this.writes, lo, hi, bytes, access, true);
  }

  private prepare(cache: PageCache, lo: number, hi: number, bytes: number, access: number, write: boolean): boolean {
    const unaligned = (lo & (bytes - 1)) !== 0;
    if (unaligned && this.mustAlign(access)) this.alignmentFault(lo, hi, access, write);
    this.dataPage(cache, lo, hi, bytes, access, write);
    const last = (lo & 4095) + bytes > 4096;
    if (last) {
      const next = ((((lo & PAGE) >>> 0) + 4096) % 0x1_0000_0000) | 0;
      this.dataPage(cache, next, next === 0 ? (hi + 1) | 0 : hi, 1, access, write);
    }
    return unaligned;
  }

  private mustAlign(access: number): boolean {
    return (access & ORDERED) !== 0 || (this.sctlr & SCTLR_A) !== 0 || this.mustAlignDevice();
  }

  private mustAlignDevice(): boolean {
    return this.unalignedDevice === "fault";
  }

  private dataPage(cache: PageCache, lo: number, hi: number, bytes: number, access: number, write: boolean): void {
    const i = ((lo >>> 12) & (ENTRIES - 1)) << 1;
    if (cache.tags[i] === (lo & PAGE) && cache.tags[i + 1] === hi) return;
    const address = join(lo, hi);
    const watched = this.faults.watched(address);
    if (watched) this.faults.watch(address, bytes, write);
    const ipa = this.physical(address);
    // WnR of an atomic is 0 where its read would have faulted, too.
    const iss = (access & (ISS_BITS | CACHE_MAINTENANCE)) | (write && (access & READ_WRITE) === 0 ? 1 << 6 : 0);
    if (ipa === null) this.faults.stage1Data(address, Fsc.addressSize0, iss & (1 << 6));
    const at = this.bus.page(ipa & ~4095n, write ? "write" : "read");
    const maintenance = (access & CACHE_MAINTENANCE) !== 0;
    if (at < 0) this.faults.stage2Data(address, ipa, -at, write || maintenance ? iss | (1 << 6) : iss);
    this.busChangedDuringLookup();
    // A watched page must be asked for again.
    cache.tags[i] = watched ? NO_PAGE : lo & PAGE;
    cache.tags[i + 1] = hi;
    cache.at[i >> 1] = at;
  }

  private fetchPage(lo: number, hi: number): void {
    const address = join(lo, hi);
    const ipa = this.physical(address);
    if (ipa === null) this.faults.stage1Fetch(address, Fsc.addressSize0);
    const at = this.bus.page(ipa & ~4095n, "fetch");
    if (at < 0) this.faults.stage2Fetch(address, ipa, -at);
    this.busChangedDuringLookup();
    const i = ((lo >>> 12) & (ENTRIES - 1)) << 1;
    this.fetches.tags[i] = lo & PAGE;
    this.fetches.tags[i + 1] = hi;
    this.fetches.at[i >> 1] = at;
  }

  private busChangedDuringLookup(): void {
    if (this.buffer !== this.state.memory.buffer) this.views();
  }

  /** Cache maintenance by address: finds the page, as hardware must; a fault of stage 2 has ISS.CM and WnR set. */
  maintain(address: Cell): void {
    this.dataPage(this.reads, this.w[address]!, this.w[address + 1]!, 1, CACHE_MAINTENANCE, false);
  }

  /** AT: PAR_EL1 of a translation with stage 1 off (Device-nGnRnE, Outer Shareable). */
  translate(address: Cell): bigint {
    const physical = this.physical(this.q[address >> 1]!);
    // F = 1, FST = address size fault at level 0, bit 11 is RES1.
    if (physical === null) return (1n << 11n) | 1n;
    return (physical & 0x000f_ffff_ffff_f000n) | (1n << 11n) | (0b10n << 7n);
  }

  /** Drops pages that came into the cache before there was a watchpoint on them. */
  flushWatched(watching: boolean): void {
    if (watching) this.flush();
  }

  /** AArch64.TranslateAddress with stage 1 off; null: beyond the physical address size. */
  private physical(address: bigint): bigint | null {
    const untagged = this.withoutTag(address);
    return untagged >> this.physicalBits === 0n ? untagged : null;
  }

  /** AArch64.BranchAddr, and the same for data: TCR_EL1.TBI0 and TBI1 count even while stage 1 is off. */
  withoutTag(address: bigint): bigint {
    const high = Number((address >> 55n) & 1n);
    if (((this.topByteIgnored >> high) & 1) === 0) return address;
    return high === 1 ? address | (0xffn << 56n) : address & ~(0xffn << 56n);
  }

  alignmentFault(lo: number, hi: number, access: number, write: boolean): never {
    // Where the read of an atomic faults as well, WnR is 0.
    const wnr = write && (access & READ_WRITE) === 0 ? 1 << 6 : 0;
    this.faults.stage1Data(join(lo, hi), Fsc.alignment, wnr);
  }

  private loadBytes(lo: number, hi: number, bytes: number): Cell {
    let low = 0;
    let high = 0;
    for (let n = 0; n < bytes; n++) {
      const byte = this.m8[this.byteAt(this.reads, lo, hi, n, false)]!;
      if (n < 4) low |= byte << (n * 8);
      else high |= byte << (n * 8 - 32);
    }
    return this.wide.words(low, high);
  }

  private storeBytes(lo: number, hi: number, bytes: number, value: Cell): void {
    for (let n = 0; n < bytes; n++) {
      const byte = n < 4 ? this.w[value]! >>> (n * 8) : this.w[value + 1]! >>> (n * 8 - 32);
      this.m8[this.byteAt(this.writes, lo, hi, n, true)] = byte;
    }
  }

  // Two pages may share a cache entry: the page is looked up again where it has changed.
  private byteAt(cache: PageCache, lo: number, hi: number, n: number, write: boolean): number {
    const at = (lo + n) | 0;
    const carried = at >>> 0 < lo >>> 0 ? (hi + 1) | 0 : hi;
    this.dataPage(cache, at, carried, 1, 0, write);
    return this.offset(cache, at);
  }
}

function join(lo: number, hi: number): bigint {
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
}
