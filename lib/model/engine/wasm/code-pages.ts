// Which pages of the memory have records, and where: a table that generated code looks into, too.

import type { Code, Local } from "./binary.js";
import { i32 } from "./opcodes.js";

/** log2 of the entries, of which most stay empty. An entry is two 32-bit words: the page with bit 0 set, its records. */
const BITS = 12;
export const CODE_PAGES_BYTES = 8 << BITS;
const MASK = (1 << BITS) - 1;
const MULTIPLIER = 0x9e37_79b1;
/** So many fit. */
export const MOST_CODE_PAGES = 3 << (BITS - 2);

export class CodePages {
  count = 0;

  constructor(private readonly words: Int32Array) {
    this.clear();
  }

  clear(): void {
    this.words.fill(0);
    this.count = 0;
  }

  /** Index of the entry of a page, or of the empty one that it would have. */
  private place(page: number): number {
    const key = page | 1;
    for (let n = Math.imul(page >>> 12, MULTIPLIER) >>> (32 - BITS); ; n = (n + 1) & MASK) {
      const found = this.words[2 * n]!;
      if (found === key || found === 0) return 2 * n;
    }
  }

  /** 0: it has none. */
  get(page: number): number {
    return this.words[this.place(page) + 1]! >>> 0;
  }

  set(page: number, records: number): void {
    const at = this.place(page);
    if (this.words[at] === 0) this.count++;
    this.words[at] = page | 1;
    this.words[at + 1] = records;
  }
}

/** Code of the loop: the records of `page` into `found`, 0 if it has none. `table` is where the entries are. */
export function findCodePage(code: Code, page: Local, table: () => void, at: Local, found: Local): void {
  const begin = () => {
    table();
    code.set(found);
  };
  begin();
  code.get(page).i32(12).op(i32.shr).i32(MULTIPLIER).op(i32.mul);
  code
    .i32(32 - BITS)
    .op(i32.shr)
    .i32(3)
    .op(i32.shl)
    .set(at);
  const done = code.block();
  const again = code.loop();
  code.get(found).get(at).op(i32.add).memory(i32.load, 2).get(page).i32(1).op(i32.or, i32.eq).if();
  code.get(found).get(at).op(i32.add).memory(i32.load, 2, 4).set(found).branch(done);
  code.end();
  code.get(found).get(at).op(i32.add).memory(i32.load, 2).op(i32.eqz).if();
  code.i32(0).set(found).branch(done);
  code.end();
  code.get(at).i32(8).op(i32.add);
  code
    .i32(MASK << 3)
    .op(i32.and)
    .set(at);
  code.branch(again).end().end();
}
