// From a word to its row. Two rows are disjoint, or one lies strictly inside the other (a test looks at all pairs), so
// "the most specific row wins" has no exceptions.

import type { Insn } from "./insn.js";

const BUCKETS = 4096;

/** Bits 31:22 and 11:10: what tells most rows apart. */
const KEY_MASK = 0xffc0_0c00;

function key(word: number): number {
  return ((word >>> 20) & 0xffc) | ((word >>> 10) & 3);
}

export type Decoder = (word: number) => Insn | undefined;

/** A decoder of these rows. */
export function decoder(rows: readonly Insn[]): Decoder {
  const bySpecificity = [...rows].sort((a, b) => fixedBits(b) - fixedBits(a));
  const buckets: Insn[][] = Array.from({ length: BUCKETS }, () => []);
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const probe = ((bucket >>> 2) << 22) | ((bucket & 3) << 10);
    for (const row of bySpecificity) {
      const { mask, value } = row.encoding;
      if (((probe ^ value) & mask & KEY_MASK) === 0) buckets[bucket]!.push(row);
    }
  }
  return (word) => {
    for (const row of buckets[key(word)]!) {
      if ((word & row.encoding.mask) >>> 0 === row.encoding.value) return row;
    }
    return undefined;
  };
}

/** How many bits a row fixes. */
export function fixedBits(row: Insn): number {
  let count = 0;
  for (let mask = row.encoding.mask; mask !== 0; mask = (mask & (mask - 1)) >>> 0) count++;
  return count;
}

/** How two rows lie to each other. "clash": they overlap, and neither lies inside the other. */
export function relation(a: Insn, b: Insn): "disjoint" | "inside" | "around" | "clash" {
  const common = a.encoding.mask & b.encoding.mask;
  if (((a.encoding.value ^ b.encoding.value) & common) !== 0) return "disjoint";
  if (common >>> 0 === b.encoding.mask && a.encoding.mask !== b.encoding.mask) return "inside";
  if (common >>> 0 === a.encoding.mask && a.encoding.mask !== b.encoding.mask) return "around";
  return "clash";
}
