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
import { finder, RegionEmitter } from "./emitter.js";
import { Instructions } from "./instruction.js";
import { PAGE_PARAMETERS, PAGE_RESULTS, pageFinder } from "./pages.js";
import { discover, type Place } from "./region.js";

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
  readonly page: number;
  readonly entry: Place;
  readonly slot: number;
  readonly places: ReadonlySet<Place>;
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
  /** By page of records. */
  private readonly made = new Map<number, Made[]>();
  private readonly free: number[] = [];
  private slots = 1;
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
    private readonly guest: GuestMemory,
    private readonly code: CodeCache,
    promises: (feature: Feature) => boolean,
  ) {
    this.instructions = new Instructions(promises);
    askForBranchHints();
  }

  get statistics(): TranslatorStatistics {
    return { ...this.counts };
  }

  /** Code goes to this record again and again. */
  hot(record: number): void {
    const { m16, m32 } = this.guest;
    const page = record - (record % RECORD_PAGE);
    const entry = (record - page) / RECORD;
    if (m16[record >>> 1] === Handler.decode) this.code.decode(record);
    const beneath = m16[record >>> 1]!;
    if (beneath === Handler.region) return;
    const began = performance.now();
    const host = m32[(page + HOST) >>> 2]! >>> 2;
    const words = m32.subarray(host, host + RECORDS);
    const region = beneath === Handler.step ? null : discover(words, entry, this.instructions);
    const slot = region === null ? null : this.takeSlot();
    if (region === null || slot === null) {
      this.counts.refused++;
      return;
    }
    const module = new Module(MOST_PAGES);
    module.hasTable = true;
    const helpers = neededHelpers(module);
    let find: number | null = null;
    let pageFinderAt: number | null = null;
    const emitter = new RegionEmitter(region, {
      module,
      helpers,
      find: () => {
        find ??= module.function([I32, I64], [I32], null, finder());
        return find;
      },
      page: () => {
        pageFinderAt ??= module.function(PAGE_PARAMETERS, PAGE_RESULTS, null, pageFinder(helpers.place));
        return pageFinderAt;
      },
      records: page,
    });
    module.function(REGION_PARAMETERS, REGION_RESULTS, "region", emitter.function);
    const bytes = module.bytes();
    const between = performance.now();
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
      env: { memory: this.memory, table: this.table },
    });
    this.table.set(slot, instance.exports["region"] as () => void);
    m16[(page + BENEATH) / 2 + entry] = beneath;
    m16[(page + SLOT) / 2 + entry] = slot;
    m16[record >>> 1] = Handler.region;
    m32[(page + TOLD) / 4] = 1;
    // What changes later is found by comparing these.
    for (const place of region.places) m32[(page + WORDS) / 4 + place] = words[place]!;
    const there = this.made.get(page) ?? [];
    this.made.set(page, there);
    there.push({ page, entry, slot, places: region.places });
    const { counts } = this;
    counts.made++;
    counts.regions++;
    for (const { instructions } of region.blocks.values()) counts.instructions += instructions.length;
    counts.bytes += bytes.length;
    this.liveBytes += bytes.length;
    counts.makingMs += between - began;
    counts.compilingMs += performance.now() - between;
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
    const left = there.filter((region) => {
      if (!region.places.has(record)) return true;
      this.counts.stale++;
      this.drop(region);
      return false;
    });
    if (left.length === 0) this.made.delete(page);
    else this.made.set(page, left);
  }

  private drop({ page, entry, slot }: Made): void {
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
    for (const there of this.made.values()) for (const region of there) this.drop(region);
    this.made.clear();
    this.liveBytes = 0;
  }

  forgotten(): void {
    for (const there of this.made.values()) for (const { slot } of there) this.release(slot);
    this.made.clear();
    this.liveBytes = 0;
    this.instructions.clear();
  }
}
