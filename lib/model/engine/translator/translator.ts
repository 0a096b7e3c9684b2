// The translator: makes regions of code that is hot, compiles them, and puts them where the interpreter finds them: a
// record at which a region begins has the handler `region`, and the region's place in the table beside it.

import { setFlagsFromString } from "node:v8";
import type { Feature } from "../../a64/features.js";
import type { GuestMemory } from "../memory.js";
import { I32, I64, Module } from "../wasm/binary.js";
import type { CodeCache, Regions } from "../wasm/code-cache.js";
import { neededHelpers } from "../wasm/helpers.js";
import { REGION_PARAMETERS, REGION_RESULTS } from "../wasm/module.js";
import { BENEATH, Handler, HEAT, HOST, RECORD, RECORD_PAGE, RECORDS, SLOT, TOLD, WORDS } from "../wasm/record.js";
import { RegionEmitter, type Surroundings } from "./emitter.js";
import { finder } from "./finder.js";
import { Instructions } from "./instruction.js";
import { PAGE_PARAMETERS, PAGE_RESULTS, pageFinder } from "./pages.js";
import { discover, type Place, pageOf, type Region } from "./region.js";

/** A record names a place of the table in 16 bits; 0 is none. */
const MOST_REGIONS = 0xffff;
const MOST_PAGES = 65536;
/** So many bytes of modules are kept: then all are forgotten. */
const MOST_BYTES = 64 << 20;

/** What the translator did so far. */
export interface TranslatorStatistics {
  /** Regions that were made, and that there are now. */
  readonly made: number;
  readonly regions: number;
  /** Instructions of the guest in those that were made, and bytes of WebAssembly. */
  readonly instructions: number;
  readonly bytes: number;
  /** Regions that were given up because their code changed. */
  readonly stale: number;
  /** Places that were hot, but whose first instruction is the interpreter's. */
  readonly refused: number;
  /** Milliseconds of making code, and of having it compiled. */
  readonly makingMs: number;
  readonly compilingMs: number;
}

interface Made {
  /** The page of records of the entry, and of the pages beside that it looked at. */
  readonly page: number;
  readonly beside: ReadonlyMap<number, number>;
  readonly entry: Place;
  readonly slot: number;
  readonly places: ReadonlySet<Place>;
}

/** What the translator asks of the interpreter. */
export interface Around {
  readonly memory: GuestMemory;
  readonly code: CodeCache;
  readonly promises: (feature: Feature) => boolean;
  readonly epoch: () => number;
}

let hinted = false;

/** V8 looks at branch hints by itself since version 14; before, it may be asked to. */
function askForBranchHints(): void {
  if (hinted) return;
  hinted = true;
  const version = Number.parseInt(process.versions["v8"] ?? "", 10);
  if (version >= 11 && version < 14) setFlagsFromString("--experimental-wasm-branch-hinting");
}

export class Translator implements Regions {
  readonly table = new WebAssembly.Table({ element: "anyfunc", initial: 256, maximum: MOST_REGIONS + 1 });
  private readonly instructions: Instructions;
  private readonly guest: GuestMemory;
  /** By page of records. */
  private readonly made = new Map<number, Set<Made>>();
  private readonly free: number[] = [];
  private slots = 1;
  /** How often all pages of records were forgotten. */
  private generation = 0;
  private liveBytes = 0;
  private readonly counts = {
    made: 0,
    regions: 0,
    instructions: 0,
    bytes: 0,
    stale: 0,
    refused: 0,
    makingMs: 0,
    compilingMs: 0,
  };

  constructor(
    private readonly memory: WebAssembly.Memory,
    private readonly around: Around,
  ) {
    this.guest = around.memory;
    this.instructions = new Instructions(around.promises);
    askForBranchHints();
  }

  get statistics(): TranslatorStatistics {
    return { ...this.counts };
  }

  /** Code goes to this record again and again; `address`: of its page. */
  hot(record: number, address: bigint): void {
    const { m16 } = this.guest;
    const page = record - (record % RECORD_PAGE);
    const entry = (record - page) / RECORD;
    if (m16[record >>> 1] === Handler.decode) this.around.code.decode(record);
    const beneath = m16[record >>> 1]!;
    if (beneath === Handler.region) return;
    const began = performance.now();
    const { generation } = this;
    const pages = new Pages(page, address, this.around);
    const region = beneath === Handler.step ? null : discover((place) => pages.word(place), entry, this.instructions);
    // To have looked at a page beside may have cost all pages of records.
    const slot = region === null || this.generation !== generation ? null : this.takeSlot();
    if (region === null || slot === null) {
      this.counts.refused++;
      return;
    }
    const bytes = moduleOf(region, pages);
    const between = performance.now();
    const env = { memory: this.memory, table: this.table };
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env });
    this.table.set(slot, instance.exports["region"]);
    m16[(page + BENEATH) / 2 + entry] = beneath;
    m16[(page + SLOT) / 2 + entry] = slot;
    m16[record >>> 1] = Handler.region;
    for (const place of region.places) pages.remember(place);
    this.add({ page, beside: pages.known, entry, slot, places: region.places });
    const { counts } = this;
    counts.made++;
    counts.regions++;
    for (const { instructions } of region.blocks.values()) counts.instructions += instructions.length;
    counts.bytes += bytes.length;
    this.liveBytes += bytes.length;
    counts.makingMs += between - began;
    counts.compilingMs += performance.now() - between;
  }

  private add(region: Made): void {
    for (const at of region.beside.values()) {
      const there = this.made.get(at) ?? new Set();
      this.made.set(at, there.add(region));
      this.guest.m32[(at + TOLD) >>> 2] = 1;
    }
  }

  private takeSlot(): number | null {
    if (this.liveBytes > MOST_BYTES) this.dropAll();
    const slot = this.free.pop() ?? this.slots++;
    if (slot > MOST_REGIONS) {
      this.slots--;
      return null;
    }
    if (slot >= this.table.length) this.table.grow(Math.min(this.table.length, MOST_REGIONS + 1 - this.table.length));
    return slot;
  }

  changed(page: number, record: number): void {
    const there = this.made.get(page);
    if (there === undefined) return;
    for (const region of there) {
      for (const [number, at] of region.beside) {
        if (at !== page || !region.places.has(number * RECORDS + record)) continue;
        this.counts.stale++;
        this.drop(region);
        break;
      }
    }
  }

  private drop(region: Made): void {
    const { page, entry, slot } = region;
    for (const at of region.beside.values()) this.made.get(at)?.delete(region);
    const { m16 } = this.guest;
    const record = (page + entry * RECORD) >>> 1;
    if (m16[record] === Handler.region) m16[record] = m16[(page + BENEATH) / 2 + entry]!;
    m16[(page + HEAT) / 2 + entry] = 0;
    this.release(slot);
  }

  private release(slot: number): void {
    this.table.set(slot, null);
    this.free.push(slot);
    this.counts.regions--;
  }

  private dropAll(): void {
    for (const region of this.all()) this.drop(region);
    this.made.clear();
    this.liveBytes = 0;
  }

  private all(): ReadonlySet<Made> {
    return new Set([...this.made.values()].flatMap((there) => [...there]));
  }

  forgotten(): void {
    this.generation++;
    for (const { slot } of this.all()) this.release(slot);
    this.made.clear();
    this.liveBytes = 0;
    this.instructions.clear();
  }
}

/** The pages of records around an entry, as far as the table of fetches has them. */
class Pages {
  /** By their number: 0 is that of the entry. */
  readonly known = new Map<number, number>();

  constructor(
    page: number,
    private readonly address: bigint,
    private readonly around: Around,
  ) {
    this.known.set(0, page);
  }

  /** 0: it is not at hand, or too far away. */
  records(number: number): number {
    const known = this.known.get(number);
    if (known !== undefined) return known;
    if (Math.abs(number) > 1) return 0;
    const { memory, code, epoch } = this.around;
    const address = BigInt.asUintN(64, this.address + BigInt(number * RECORDS * 4));
    const [lo, hi] = [Number(BigInt.asIntN(32, address)), Number(BigInt.asIntN(32, address >> 32n))];
    const { fetches } = memory;
    if (!fetches.has(lo, hi)) return 0;
    const at = code.records(fetches.offset(lo), epoch());
    if (at !== 0) this.known.set(number, at);
    return at;
  }

  private indexIn(page: number, place: Place): number {
    return page / 4 + (place - pageOf(place) * RECORDS);
  }

  /** The instruction at a place; null: it is not at hand, or was never run, so that a region does without it. */
  word(place: Place): number | null {
    const { m16, m32 } = this.around.memory;
    const page = this.records(pageOf(place));
    if (page === 0 || m16[(page + (place - pageOf(place) * RECORDS) * RECORD) >>> 1] === Handler.decode) return null;
    return m32[this.indexIn(m32[(page + HOST) >>> 2]! >>> 0, place)]!;
  }

  /** What changes later is found by comparing with this. */
  remember(place: Place): void {
    const page = this.records(pageOf(place));
    this.around.memory.m32[this.indexIn(page + WORDS, place)] = this.word(place)!;
  }
}

/** A module with the function of a region, `region`. */
function moduleOf(region: Region, pages: Pages): Uint8Array {
  const module = new Module(MOST_PAGES);
  module.hasTable = true;
  const helpers = neededHelpers(module);
  const once = (make: () => number) => {
    let made: number | null = null;
    return () => {
      made ??= make();
      return made;
    };
  };
  const surroundings: Surroundings = {
    module,
    helpers,
    find: once(() => module.function([I32, I64, I32], [I32], null, finder())),
    page: once(() => module.function(PAGE_PARAMETERS, PAGE_RESULTS, null, pageFinder(helpers.place))),
    records: (number) => pages.records(number),
  };
  const { function: code } = new RegionEmitter(region, surroundings);
  module.function(REGION_PARAMETERS, REGION_RESULTS, "region", code);
  return module.bytes();
}
