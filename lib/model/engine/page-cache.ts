// Pages that answer without asking: what stage 1 and the bus said of a virtual page, for one kind of access. An entry is
// four 32-bit words, as generated code reads them: the page's virtual address (low and high word), what added to the low
// word of an address in it gives the offset of the byte in the memory, and one more word.

import type { Access } from "../cpu/stage1.js";

/** A power of two. */
export const ENTRIES = 1024;
const WORDS = 4;
export const PAGE_CACHE_BYTES = ENTRIES * WORDS * 4;

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
  /** By `place`. */
  readonly words: Int32Array;

  constructor(
    readonly access: Access,
    words?: Int32Array,
  ) {
    this.words = words ?? new Int32Array(ENTRIES * WORDS);
    this.clear();
  }

  clear(): void {
    this.words.fill(NOTHING);
  }

  /** Whether the page of this address is there; whatever is to be minded of it. */
  has(lo: number, hi: number): boolean {
    const i = place(lo);
    return (this.words[i]! & (PAGE | NOTHING)) === (lo & PAGE) && this.words[i + 1] === hi;
  }

  /** `at`: offset of the page in the memory; `more`: of data, 1 is Device memory; of instructions, see GUARDED. */
  put(lo: number, hi: number, flags: number, at: number, more: number): void {
    const i = place(lo);
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
    for (let i = 0; i < words.length; i += WORDS) {
      const tag = words[i]!;
      if ((tag & NOTHING) === 0 && (words[i + 2]! + (tag & PAGE)) >>> 0 === at) words[i] = tag | CODE;
    }
  }

  /** Forgets where records of instructions are. */
  forgetRecords(): void {
    for (let i = 3; i < this.words.length; i += WORDS) this.words[i]! &= GUARDED;
  }
}

/** Index of an address's entry. */
export function place(lo: number): number {
  return ((lo >>> 12) & (ENTRIES - 1)) * WORDS;
}
