// Pages that answer without asking: what stage 1 and the bus said of a virtual page, for one kind of access. An entry is
// four 32-bit words, as generated code reads them: the page's virtual address (low and high word), what added to the low
// word of an address in it gives the offset of the byte in the memory, and one more word.

import type { Access, Translation } from "../cpu/stage1.js";
import { type Invalidation, invalidates } from "../cpu/tlb.js";

/** A power of two. */
export const ENTRIES = 1024;
const WORDS = 4;
/** So many pages are looked for one by one. */
const FEW = 64;

/** Behind the entries, in bytes: of each its translation, log2 of its bytes, and `LOCAL` where it is one address space's. */
export const TRANSLATIONS = ENTRIES * WORDS * 4;
export const LOCAL = 0x80;
/** How the pages are accessed, see `CacheKind`; where the engine's room is, for generated code. */
export const KIND = TRANSLATIONS + ENTRIES;
export const ROOM = KIND + 4;
/** 1: there may be entries of one address space. */
export const LOCALS = KIND + 8;
/** Of translations larger than a page that there may be entries of: a bit by log2 of their bytes, less 12. */
export const SIZES = KIND + 12;
/** And a bit for each of them by `blockHash`. */
export const BLOCKS = KIND + 16;
export const HASHES = 1024;
export const PAGE_CACHE_BYTES = BLOCKS + HASHES / 8;

export const CacheKind = { write: 1, fetch: 2, unprivileged: 4, pan: 8 } as const;

// Bits below the page in the low word of the tag.
/** Generated code must not access it unaligned. */
export const MUST_ALIGN = 1;
/** Instructions were decoded from it: who writes says so. */
export const CODE = 2;
/** There is no such page, or it must be asked for each time. */
export const NOTHING = 4;
export const PAGE = -4096;
/** Of a page of instructions: it is guarded (FEAT_BTI). Beside it the last word holds where its records are. */
export const GUARDED = 1;

export class PageCache {
  /** By `place`; and what stands behind the entries. */
  readonly words: Int32Array;
  private readonly translations: Uint8Array;

  constructor(
    readonly access: Access,
    words?: Int32Array,
  ) {
    this.words = words ?? new Int32Array(PAGE_CACHE_BYTES / 4);
    this.translations = new Uint8Array(this.words.buffer, this.words.byteOffset + TRANSLATIONS, ENTRIES);
    this.words[KIND / 4] =
      (access.kind === "write" ? CacheKind.write : access.kind === "fetch" ? CacheKind.fetch : 0) |
      (access.unprivileged ? CacheKind.unprivileged : 0) |
      (access.pan ? CacheKind.pan : 0);
    this.clear();
  }

  clear(): void {
    this.words.fill(NOTHING, 0, ENTRIES * WORDS);
    this.words.fill(0, LOCALS / 4);
  }

  /** Forgets what a TLBI names; `asid` is the address space of the entries that are not global. */
  invalidate(what: Invalidation, asid: number): void {
    if (what.by === "everything") this.clear();
    else if (what.by === "asid") {
      if (what.asid === asid) this.dropLocals();
    } else if (what.last - what.first < FEW && !this.areInBlocks(what.first, what.last)) {
      for (let page = what.first; page <= what.last; page++) this.invalidateEntry(page % ENTRIES, what, asid);
    } else {
      for (let n = 0; n < ENTRIES; n++) this.invalidateEntry(n, what, asid);
    }
  }

  private areInBlocks(first: number, last: number): boolean {
    let sizes = this.words[SIZES / 4]!;
    for (let shift = 12; sizes !== 0; shift++, sizes >>>= 1) {
      if ((sizes & 1) === 0) continue;
      const pages = 2 ** (shift - 12);
      for (let n = Math.floor(first / pages); n <= Math.floor(last / pages); n++) {
        const hash = blockHash(n, shift);
        if ((this.words[BLOCKS / 4 + (hash >>> 5)]! & (1 << (hash & 31))) !== 0) return true;
      }
    }
    return false;
  }

  private addBlock(lo: number, hi: number, shift: number): void {
    const hash = blockHash(Math.floor(pageNumber(lo, hi) / 2 ** (shift - 12)), shift);
    this.words[SIZES / 4]! |= 1 << (shift - 12);
    this.words[BLOCKS / 4 + (hash >>> 5)]! |= 1 << (hash & 31);
  }

  /** Forgets what is not global: another address space. */
  dropLocals(): void {
    if (this.words[LOCALS / 4] === 0) return;
    this.words[LOCALS / 4] = 0;
    for (let n = 0; n < ENTRIES; n++) if (this.translations[n]! >= LOCAL) this.words[n * WORDS] = NOTHING;
  }

  private invalidateEntry(n: number, what: Invalidation, asid: number): void {
    const tag = this.words[n * WORDS]!;
    if ((tag & NOTHING) !== 0) return;
    const page = pageNumber(tag, this.words[n * WORDS + 1]!);
    const translation = this.translations[n]!;
    const entry = { page, shift: translation & ~LOCAL, global: translation < LOCAL };
    if (invalidates(what, entry, asid)) this.words[n * WORDS] = NOTHING;
  }

  /** Whether the page of this address is there; whatever is to be minded of it. */
  has(lo: number, hi: number): boolean {
    const i = place(lo);
    return (this.words[i]! & (PAGE | NOTHING)) === (lo & PAGE) && this.words[i + 1] === hi;
  }

  /** A page of a translation. `at`: offset of the page in the memory; `more`: of data, 1 is Device memory; of instructions, see GUARDED. */
  put(lo: number, hi: number, flags: number, at: number, more: number, { shift, global }: Translation): void {
    const i = place(lo);
    this.translations[i / WORDS] = shift | (global ? 0 : LOCAL);
    if (shift > 12) this.addBlock(lo, hi, shift);
    if (!global) this.words[LOCALS / 4] = 1;
    this.words[i] = (lo & PAGE) | flags;
    this.words[i + 1] = hi;
    this.words[i + 2] = at - (lo & PAGE);
    this.words[i + 3] = more;
  }

  /** The page of this address is not there any more. */
  drop(lo: number): void {
    this.words[place(lo)] = NOTHING;
  }

  /** Of an address whose page is there. */
  flags(lo: number): number {
    return this.words[place(lo)]! & ~PAGE;
  }
  offset(lo: number): number {
    return (this.words[place(lo) + 2]! + lo) >>> 0;
  }
  isDevice(lo: number): boolean {
    return this.words[place(lo) + 3] === 1;
  }

  isGuarded(lo: number): boolean {
    return (this.words[place(lo) + 3]! & GUARDED) !== 0;
  }

  /** Marks the entries of a page of the memory as code. */
  markCode(at: number): void {
    const { words } = this;
    for (let i = 0; i < ENTRIES * WORDS; i += WORDS) {
      const tag = words[i]!;
      if ((tag & NOTHING) === 0 && (words[i + 2]! + (tag & PAGE)) >>> 0 === at) words[i] = tag | CODE;
    }
  }

  /** Forgets where records of instructions are. */
  forgetRecords(): void {
    for (let i = 3; i < ENTRIES * WORDS; i += WORDS) this.words[i]! &= GUARDED;
  }
}

/** Bits 55:12 of an address. */
function pageNumber(lo: number, hi: number): number {
  return (hi & 0xff_ffff) * 0x10_0000 + (lo >>> 12);
}

/** Where a translation larger than a page has its bit: the number of the block among those of its size. */
function blockHash(number: number, shift: number): number {
  return (number % HASHES) ^ shift;
}

/** Index of an address's entry. */
export function place(lo: number): number {
  return ((lo >>> 12) & (ENTRIES - 1)) * WORDS;
}
