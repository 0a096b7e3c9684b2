// Pages of records, by the page of memory that they were decoded from. A record is made when it is first run. Who writes
// to such a page, on this CPU, says so first (GuestMemory), and the records of the words that change are made again.
// What others write is found when the page is next entered in a new epoch: at each KVM_RUN, and with every IC.

import { extract } from "../../a64/bits.js";
import type { Feature } from "../../a64/features.js";
import { decodeA64 } from "../../a64/table.js";
import type { CodeWatch, GuestMemory } from "../memory.js";
import type { Environment } from "../stop.js";
import { type CodePages, MOST_CODE_PAGES } from "./code-pages.js";
import { shapeOfRow } from "./library.js";
import {
  Block,
  EPOCH,
  Handler,
  HEAT,
  HOST,
  MOST_CHUNKS,
  RECORD,
  RECORD_PAGE,
  RECORDS,
  RECORDS_END,
  TOLD,
  WIDE,
  WORDS,
} from "./record.js";
import type { Shape } from "./trace.js";

/** As many bytes of records are taken from the memory at a time. When all chunks are used up, all records are forgotten. */
const CHUNK_BYTES = 1 << 20;

/** Instructions that are decoded at once. */
const AHEAD = 24;

const PAGE_MASK = ~4095;
/** Epochs count from 1. */
const NO_EPOCH = 0;

/** Who made code of several records at once. */
export interface Regions {
  /** The word of this record of a page of records is another. */
  changed(page: number, record: number): void;
  /** No page of records is what it was. */
  forgotten(): void;
}

/** Offset of zeroed bytes of the memory for the engine; null: there are no more. */
export type Allocate = (bytes: number) => number | null;

/** The number of a shape's handler; undefined: it has none. */
export interface Handlers {
  of(shape: Shape): number | undefined;
}

export class CodeCache implements CodeWatch {
  regions: Regions | null = null;
  /** Pages of records that no code has yet; all that there are. */
  private free: number[] = [];
  private all: number[] = [];
  /** Words of a record by the instruction: four for each, from this index. */
  private readonly known = new Map<number, number>();
  private made = new Int32Array(4096);
  private madeEnd = 0;
  private readonly promised = new Map<Feature, boolean>();
  private readonly scratch = new DataView(new ArrayBuffer(RECORD));

  constructor(
    private readonly memory: GuestMemory,
    private readonly block: Int32Array,
    private readonly pages: CodePages,
    private readonly handlers: Handlers,
    private readonly allocate: Allocate,
    private readonly environment: Environment,
  ) {}

  /** All records are as if they had never been made: what the CPU promises has changed. */
  clear(): void {
    this.known.clear();
    this.promised.clear();
    this.madeEnd = 0;
    this.forgetPages();
  }

  /** Takes the chunks over that another engine of this CPU may have used. */
  adopt(): void {
    this.all = [];
    for (let n = 0; n < MOST_CHUNKS && this.block[Block.chunks + n] !== 0; n++)
      this.addChunk(this.block[Block.chunks + n]! >>> 0);
    this.forgetPages();
  }

  private addChunk(chunk: number): void {
    const first = Math.ceil(chunk / RECORD_PAGE) * RECORD_PAGE;
    for (let at = first; at + RECORD_PAGE <= chunk + CHUNK_BYTES; at += RECORD_PAGE) this.all.push(at);
  }

  private forgetPages(): void {
    this.pages.clear();
    this.free = [...this.all];
    this.memory.forgetCode();
    this.regions?.forgotten();
  }

  isCode(page: number): boolean {
    return this.pages.get(page) !== 0;
  }

  written(offset: number, bytes: number): void {
    const page = (offset & PAGE_MASK) >>> 0;
    const at = this.pages.get(page);
    if (at === 0) return;
    const last = Math.min(offset + bytes - 1 - page, 4095) >>> 2;
    for (let n = (offset - page) >>> 2; n <= last; n++) this.stale(at, n);
  }

  private stale(at: number, n: number): void {
    this.memory.m16[(at + n * RECORD) >>> 1] = Handler.decode;
    this.regions?.changed(at, n);
  }

  /** The page of this offset may have changed. */
  changed(offset: number): void {
    const page = (offset & PAGE_MASK) >>> 0;
    const at = this.pages.get(page);
    if (at !== 0) this.compare(page, at);
  }

  /** The page of records of a page of the memory, as it is in this epoch; 0: there is no room. */
  records(page: number, epoch: number): number {
    const at = this.pages.get(page) || this.newPage(page);
    if (at === 0) return 0;
    const { m32 } = this.memory;
    if (m32[(at + EPOCH) >>> 2] === epoch) return at;
    this.compare(page, at);
    m32[(at + EPOCH) >>> 2] = epoch;
    return at;
  }

  /** Words that are no longer what they were are decoded again. */
  private compare(page: number, at: number): void {
    const { m32 } = this.memory;
    const words = (at + WORDS) >>> 2;
    const host = page >>> 2;
    for (let n = 0; n < RECORDS; n++) {
      if (m32[words + n] === m32[host + n]) continue;
      m32[words + n] = m32[host + n]!;
      this.stale(at, n);
    }
  }

  private newPage(page: number): number {
    if (this.pages.count === MOST_CODE_PAGES) this.forgetPages();
    const at = this.free.pop() ?? this.take();
    if (at === 0) return 0;
    this.memory.views();
    const { m8, m16, m32 } = this.memory;
    m8.fill(0, at, at + RECORDS_END);
    m8.fill(0, at + HEAT, at + RECORD_PAGE);
    m16[(at + RECORDS_END) >>> 1] = Handler.pageEnd;
    m32[(at + HOST) >>> 2] = page;
    m32[(at + EPOCH) >>> 2] = NO_EPOCH;
    m32[(at + TOLD) >>> 2] = 0;
    this.pages.set(page, at);
    this.memory.pageIsCode(page);
    return at;
  }

  private take(): number {
    const chunks = this.block.subarray(Block.chunks);
    const n = chunks.indexOf(0);
    const chunk = n < 0 ? null : this.allocate(CHUNK_BYTES);
    if (chunk !== null) {
      chunks[n] = chunk;
      const known = this.all.length;
      this.addChunk(chunk);
      this.free.push(...this.all.slice(known));
    } else if (this.all.length > 0) this.forgetPages();
    return this.free.pop() ?? 0;
  }

  /** Makes a record, and those that follow it up to where the code goes elsewhere. */
  decode(record: number): void {
    const { m16, m32 } = this.memory;
    const at = record - (record % RECORD_PAGE);
    const host = m32[(at + HOST) >>> 2]! >>> 2;
    const first = (record - at) / RECORD;
    const end = Math.min(RECORDS, first + AHEAD);
    for (let n = first; n < end; n++) {
      const place = at + n * RECORD;
      if (m16[place >>> 1] !== Handler.decode) return;
      const word = m32[host + n]!;
      m32[((at + WORDS) >>> 2) + n] = word;
      const from = this.known.get(word) ?? this.make(word);
      for (let k = 0; k < 4; k++) m32[(place >>> 2) + k] = this.made[from + k]!;
      // B; BR, BLR, RET, ERET
      if ((word & 0xfc00_0000) === 0x1400_0000 || word >>> 25 === 0x6b) return;
    }
  }

  private promises(needs: readonly Feature[]): boolean {
    return needs.every((feature) => {
      const known = this.promised.get(feature);
      if (known !== undefined) return known;
      const promised = this.environment.promises(feature);
      this.promised.set(feature, promised);
      return promised;
    });
  }

  private make(word: number): number {
    const view = this.scratch;
    for (let n = 0; n < RECORD; n += 4) view.setInt32(n, 0, true);
    view.setUint16(0, Handler.step, true);
    const row = decodeA64(word >>> 0);
    const shape = row !== undefined && this.promises(row.needs) ? shapeOfRow(row, extract(row.encoding, word)) : null;
    const handler = shape === null ? undefined : this.handlers.of(shape);
    if (shape !== null && handler !== undefined) {
      view.setUint16(0, handler, true);
      for (const [n, value] of shape.narrow.entries()) view.setUint16(2 + 2 * n, value, true);
      if (shape.wide !== null) view.setBigUint64(WIDE, shape.wide, true);
    }
    const from = this.madeEnd;
    if (from + 4 > this.made.length) {
      const larger = new Int32Array(this.made.length * 2);
      larger.set(this.made);
      this.made = larger;
    }
    for (let k = 0; k < 4; k++) this.made[from + k] = view.getInt32(4 * k, true);
    this.madeEnd += 4;
    this.known.set(word, from);
    return from;
  }
}
