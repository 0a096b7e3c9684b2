// Decoded instructions. A word means the same wherever it stands, so they are kept by word: no write to memory, by the
// guest, another CPU or the host, makes one stale.

import { extract } from "../a64/bits.js";
import type { Insn } from "../a64/insn.js";
import type { Machine } from "../a64/machine.js";
import { decodeA64 } from "../a64/table.js";
import type { Environment } from "./stop.js";

/** A word's meaning, ready to run. */
export interface Decoded {
  readonly word: number;
  readonly fields: Readonly<Record<string, number>>;
  readonly run: (m: Machine, fields: Readonly<Record<string, number>>) => void;
}

const BITS = 14;
/** -1 would be a word; no word is a fraction. */
const NOTHING: Decoded = { word: 0.5, fields: {}, run: () => {} };

export class DecodeCache {
  private readonly entries: Decoded[] = new Array<Decoded>(1 << BITS).fill(NOTHING);

  /** `lacks` is what a row without a meaning does when it is promised. */
  constructor(
    private readonly environment: Environment,
    private readonly lacks: (row: Insn, word: number) => void,
  ) {}

  /** `word` as a signed 32-bit number. */
  find(word: number): Decoded {
    // Fibonacci hashing: neighbours in code differ in all kinds of bits.
    const slot = Math.imul(word, 0x9e37_79b1) >>> (32 - BITS);
    const entry = this.entries[slot]!;
    return entry.word === word ? entry : this.decode(word, slot);
  }

  clear(): void {
    this.entries.fill(NOTHING);
  }

  private decode(word: number, slot: number): Decoded {
    const row = decodeA64(word >>> 0);
    const fields = row === undefined ? {} : extract(row.encoding, word);
    const decoded: Decoded = { word, fields, run: this.meaning(row, word) };
    this.entries[slot] = decoded;
    return decoded;
  }

  private meaning(row: Insn | undefined, word: number): Decoded["run"] {
    if (row === undefined || !row.needs.every((feature) => this.environment.promises(feature))) {
      return (m) => m.undefined();
    }
    return row.run ?? (() => this.lacks(row, word));
  }
}
