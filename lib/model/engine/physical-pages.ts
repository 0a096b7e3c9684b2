// What the bus has said of pages, for as long as its generation stays the same: generated code finds them here when it
// walks the guest's tables. Of a few ranges: first page, how many, the offset of their bytes in the memory, accesses, in
// 32-bit words. Then of single pages: the page's number, and the offset with the accesses that were asked for in its low bits.

import type { BusAccess, BusRange } from "./stop.js";

/** A power of two. */
export const PHYSICAL_ENTRIES = 8192;
export const RANGES = 4;
export const RANGE_BYTES = 16;
/** Where the single pages begin. */
export const SINGLE_PAGES = RANGES * RANGE_BYTES;
export const PHYSICAL_BYTES = SINGLE_PAGES + PHYSICAL_ENTRIES * 8;
export const PhysicalAccess = { read: 1, write: 2, fetch: 4 } as const satisfies Record<BusAccess, number>;

export class PhysicalPages {
  private nextRange = 0;

  constructor(private readonly words: Int32Array = new Int32Array(PHYSICAL_BYTES / 4)) {
    this.clear();
  }

  clear(): void {
    this.words.fill(0);
  }

  /** Where a page's bytes are; 0: nobody has asked for it. `ipa` is a multiple of 4 KiB. */
  find(ipa: bigint, access: BusAccess): number {
    const i = SINGLE_PAGES / 4 + Number((ipa >> 12n) & BigInt(PHYSICAL_ENTRIES - 1)) * 2;
    const [number, offset] = [this.words[i]! >>> 0, this.words[i + 1]!];
    return BigInt(number) === ipa >> 12n && (offset & PhysicalAccess[access]) !== 0 ? (offset & -4096) >>> 0 : 0;
  }

  put(ipa: bigint, access: BusAccess, offset: number): void {
    // Offset 0 is no entry, and the number of a page has 32 bits.
    if (offset === 0 || ipa >> 44n !== 0n) return;
    const number = Number(ipa >> 12n);
    const i = SINGLE_PAGES / 4 + (number & (PHYSICAL_ENTRIES - 1)) * 2;
    const { words } = this;
    const known = words[i] === (number | 0) && (words[i + 1]! & -4096) === (offset | 0) ? words[i + 1]! : offset;
    words[i] = number;
    words[i + 1] = known | PhysicalAccess[access];
  }

  /** All pages of a range, for any access that it allows. */
  putRange({ first, pages, offset, access }: BusRange): void {
    const i = (this.nextRange * RANGE_BYTES) / 4;
    this.nextRange = (this.nextRange + 1) % RANGES;
    const flags = access.reduce((bits, kind) => bits | PhysicalAccess[kind], 0);
    this.words.set([first, pages, offset, flags], i);
  }
}
