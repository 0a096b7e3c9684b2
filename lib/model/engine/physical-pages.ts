// What the bus has said of pages, for as long as its generation stays the same: generated code finds them here when it
// walks the guest's tables. An entry is two 32-bit words: the page's number, and the offset of its bytes in the memory with
// the accesses that were asked for in its low bits.

import type { BusAccess } from "./stop.js";

/** A power of two. */
export const PHYSICAL_ENTRIES = 8192;
export const PHYSICAL_BYTES = PHYSICAL_ENTRIES * 8;
export const PhysicalAccess = { read: 1, write: 2, fetch: 4 } as const satisfies Record<BusAccess, number>;

export class PhysicalPages {
  constructor(private readonly words: Int32Array = new Int32Array(PHYSICAL_BYTES / 4)) {
    this.clear();
  }

  clear(): void {
    this.words.fill(0);
  }

  /** Where a page's bytes are; 0: nobody has asked for it. `ipa` is a multiple of 4 KiB. */
  find(ipa: bigint, access: BusAccess): number {
    const i = Number((ipa >> 12n) & BigInt(PHYSICAL_ENTRIES - 1)) * 2;
    const [number, offset] = [this.words[i]! >>> 0, this.words[i + 1]!];
    return BigInt(number) === ipa >> 12n && (offset & PhysicalAccess[access]) !== 0 ? (offset & -4096) >>> 0 : 0;
  }

  put(ipa: bigint, access: BusAccess, offset: number): void {
    // Offset 0 is no entry, and the number of a page has 32 bits.
    if (offset === 0 || ipa >> 44n !== 0n) return;
    const number = Number(ipa >> 12n);
    const i = (number & (PHYSICAL_ENTRIES - 1)) * 2;
    const { words } = this;
    const known = words[i] === (number | 0) && (words[i + 1]! & -4096) === (offset | 0) ? words[i + 1]! : offset;
    words[i] = number;
    words[i + 1] = known | PhysicalAccess[access];
  }
}
