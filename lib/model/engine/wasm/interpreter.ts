// The interpreter: what the evaluator does, by generated code. The evaluator is inside: it does what has no handler, one
// instruction at a time, and whole runs in which every instruction must be looked at.

import type { Feature } from "../../a64/features.js";
import { Btype } from "../../cpu/branch-target.js";
import type { GuestDebug } from "../../cpu/guest-debug.js";
import { Attention, type CpuState, Pstate } from "../../cpu/state.js";
import { Evaluator } from "../evaluator.js";
import { GUARDED } from "../page-cache.js";
import type { Bus, Environment, Stop } from "../stop.js";
import { Translator } from "../translator/translator.js";
import { callsOf } from "./calls.js";
import { CodeCache } from "./code-cache.js";
import { CODE_PAGES_BYTES, CodePages } from "./code-pages.js";
import { library } from "./library.js";
import { type Exports, type Imports, LONGEST_RUN, type Variant } from "./module.js";
import { OutlinedHandlers } from "./outlined.js";
import { PointerTable } from "./pointer-table.js";
import { Block } from "./record.js";
import { Room as Parts } from "./room.js";
import type { Shape } from "./trace.js";
import { writeWalks } from "./walks.js";

/** Where generated code cannot go, the evaluator goes so far before anybody looks again. */
const STRIDE = 1000;
/** `left` counts in records of 16 bytes, with a sign. */
const MOST_AT_ONCE = 1 << 26;
/** SCTLR_EL1.EnIA, EnIB, EnDA and EnDB. */
const SIGNS_POINTERS = (1 << 31) | (1 << 30) | (1 << 27) | (1 << 13);

/** Zeroed memory of the VM for a CPU's engine; null: there is no more. */
export interface Room {
  /** The same for each engine of the CPU. */
  block(bytes: number): number | null;
  chunk(bytes: number): number | null;
}

export class Interpreter {
  readonly evaluator: Evaluator;
  private code: CodeCache | null = null;
  private block!: Int32Array;
  private hasNoRoom = false;
  /** Branches to a place before the translator is asked. With 2000 a boot of Linux takes half as long again (measured). */
  hot = 16_000;
  /** There is one when code has run, if it was asked for. */
  translator: Translator | null = null;
  private readonly identity = 1 + Math.floor(Math.random() * 0x7fff_ffff);
  private pointers!: PointerTable;
  private pointersAt = 0;
  private enter!: () => void;
  private stop: Stop | null = null;
  /** Generated code can go on in this mode. */
  private mayEnter = false;
  /** What `refresh` has seen. */
  private seenMode = -1;
  private seenWrites = -1;
  /** Instructions that were left when they were last counted. */
  private counted = 0;

  constructor(
    private readonly state: CpuState,
    private readonly bus: Bus,
    private readonly environment: Environment,
    private readonly room: Room,
    /** So many instructions the evaluator does before there is generated code: for short guests it is quicker. */
    private readonly warmUp = 0,
    private readonly variant: Variant = "alone",
  ) {
    this.evaluator = new Evaluator(state, bus, environment);
  }

  get debug(): GuestDebug {
    return this.evaluator.debug;
  }
  set debug(debug: GuestDebug) {
    this.evaluator.debug = debug;
  }

  get executed(): number {
    return this.evaluator.executed;
  }

  idRegistersChanged(): void {
    this.evaluator.idRegistersChanged();
    this.code?.clear();
  }

  /** Runs at most `budget` instructions. What is in memory may have been changed by anybody. */
  run(budget: number): Stop {
    if (this.code !== null) this.newEpoch();
    return this.runWith(budget, 0);
  }

  /** Goes on where only the guest and its devices had the memory; a few instructions more than `budget` are as good. */
  goOn(budget: number): Stop {
    return this.runWith(budget, LONGEST_RUN);
  }

  private runWith(budget: number, more: number): Stop {
    const { evaluator } = this;
    if (this.code === null && !this.prepare()) return evaluator.run(budget);
    this.own();
    evaluator.begin();
    if (this.isWatched()) return evaluator.run(budget);
    this.seenMode = -1;
    this.stop = null;
    for (let left = budget + more; left > more; ) {
      const before = evaluator.executed;
      const stop = this.part(left);
      if (stop !== null) return stop;
      left -= evaluator.executed - before;
      if (evaluator.ends.paused) {
        evaluator.begin();
        if (this.isWatched()) return evaluator.run(Math.max(left - more, 1));
      }
    }
    return { kind: "budget" };
  }

  /** A part of a run; null: it goes on. */
  private part(left: number): Stop | null {
    const { evaluator } = this;
    if ((this.state.attention & this.urgent()) !== 0) {
      const stop = evaluator.attend();
      if (stop !== null) return stop;
    }
    this.refresh();
    if (left <= LONGEST_RUN || !this.mayEnter) {
      const stop = evaluator.proceed(Math.min(left, STRIDE));
      return stop.kind === "budget" ? null : stop;
    }
    this.counted = Math.min(left, MOST_AT_ONCE);
    this.block[Block.left] = this.counted;
    this.enter();
    this.count();
    return this.stop;
  }

  /** Every instruction must be looked at: for breakpoints, watchpoints, steps. */
  private isWatched(): boolean {
    const { ends } = this.evaluator;
    return this.debug.singleStep || ends.own.step || ends.breaks || ends.watches;
  }

  /** The attention bits that are not masked. */
  private urgent(): number {
    const { mode } = this.state;
    let bits: number = Attention.kick | Attention.flush;
    if ((mode & Pstate.I) === 0) bits |= Attention.irq;
    if ((mode & Pstate.F) === 0) bits |= Attention.fiq;
    if ((mode & Pstate.A) === 0) bits |= Attention.serror;
    return bits;
  }

  private newEpoch(): void {
    this.block[Block.epoch]!++;
  }

  /** What generated code must know that a mode or a register may have changed. */
  private refresh(): void {
    const { block, evaluator } = this;
    const { memory } = evaluator;
    const { mode } = this.state;
    block[Block.attention] = this.urgent();
    block[Block.invalidating] = evaluator.invalidating ? 1 : 0;
    if (mode === this.seenMode && evaluator.registersWritten === this.seenWrites) return;
    this.seenMode = mode;
    this.seenWrites = evaluator.registersWritten;
    memory.modeChanged(mode);
    this.mayEnter = !memory.bigEndian && (mode & Pstate.IL) === 0;
    block[Block.reads] = memory.reads.words.byteOffset;
    block[Block.writes] = memory.writes.words.byteOffset;
    block[Block.fetches] = memory.fetches.words.byteOffset;
    const uao = (mode & Pstate.UAO) !== 0;
    block[Block.userReads] = (uao ? memory.reads : memory.user.reads).words.byteOffset;
    block[Block.userWrites] = (uao ? memory.writes : memory.user.writes).words.byteOffset;
    block[Block.zeroBytes] = evaluator.zeroBytes;
    const keys = SIGNS_POINTERS & Number(this.state.get("SCTLR_EL1") & 0xffff_ffffn);
    this.pointers.look();
    block[Block.authentication] = this.pointersAt;
    block[Block.pointers] = keys !== 0 && this.environment.promises("PAuth") ? this.pointersAt : 0;
    const hasBtype = (evaluator.ends.implemented & Pstate.BTYPE) !== 0;
    for (const kind of ["call", "jump", "veneer", "guardedJump"] as const)
      block[Block[kind]] = hasBtype ? Btype[kind] << Btype.lsb : 0;
    block[Block.fpTrapped] = evaluator.fpTrapped ? 1 : 0;
  }

  /** Adds what generated code executed. */
  private count(): void {
    const left = this.block[Block.left]!;
    this.evaluator.ends.executed += this.counted - left;
    this.counted = left;
  }

  /** By instruction: how often the evaluator had to do it. null: nobody counts. */
  profile: Map<number, number> | null = null;

  private step(): number {
    const { evaluator } = this;
    this.count();
    if (this.profile !== null) this.countStep(this.profile);
    const before = evaluator.ends.executed;
    const stop = evaluator.proceed(1);
    this.counted -= evaluator.ends.executed - before;
    this.block[Block.left] = this.counted;
    if (stop.kind !== "budget") {
      this.stop = stop;
      return 1;
    }
    this.refresh();
    return evaluator.ends.paused || !this.mayEnter ? 1 : 0;
  }

  private countStep(profile: Map<number, number>): void {
    const { memory } = this.evaluator;
    const { pc } = this.state;
    const [lo, hi] = [Number(BigInt.asIntN(32, pc)), Number(BigInt.asIntN(32, pc >> 32n))];
    const word = memory.fetches.has(lo, hi) ? memory.m32[memory.fetches.offset(lo) >>> 2]! >>> 0 : 0;
    profile.set(word, (profile.get(word) ?? 0) + 1);
  }

  /** What is in the block may be another engine's, which ran this CPU on another thread. */
  private own(): void {
    const { block } = this;
    if (block[Block.owner] === this.identity) return;
    block[Block.owner] = this.identity;
    this.evaluator.memory.flush();
    this.evaluator.memory.tellRegime();
    this.pointers.clear();
    this.code!.adopt();
  }

  /** Room in the memory, and the module; false: there is none, or it is too early. */
  private prepare(): boolean {
    const { evaluator, state } = this;
    const { memory } = evaluator;
    if (this.hasNoRoom || evaluator.executed < this.warmUp) return false;
    const at = this.room.block(Parts.bytes);
    if (at === null) {
      this.hasNoRoom = true;
      return false;
    }
    const { buffer } = state.memory;
    this.block = new Int32Array(buffer, at, Block.words);
    this.block[Block.pairLock] = this.bus.pairLock ?? 0;
    memory.moveTables({ buffer, offset: at + Parts.tables }, at);
    const walks = new DataView(buffer);
    memory.regimeChanged = (regime, sctlr) => writeWalks(walks, at + Parts.walks, regime, sctlr);
    memory.tellRegime();
    this.pointersAt = at + Parts.pointers;
    const pages = new CodePages(new Int32Array(buffer, at + Parts.codePages, CODE_PAGES_BYTES / 4));
    this.pointers = new PointerTable(state, this.pointersAt);
    const made = library(this.variant);
    const outlined = new OutlinedHandlers(state.memory, made.firstOutlined);
    const handlers = { of: (shape: Shape) => made.handlers.get(shape.key) ?? outlined.of(shape) };
    const code = new CodeCache(
      memory,
      this.block,
      pages,
      handlers,
      (bytes) => this.room.chunk(bytes),
      this.environment,
    );
    memory.code = code;
    evaluator.instructionsChanged = (offset) => {
      if (offset === undefined) this.newEpoch();
      else code.changed(offset);
    };
    const imports: Imports = {
      step: () => this.step(),
      decode: (record) => code.decode(record >>> 0),
      records: (entry) => this.records(entry >>> 0),
      ...callsOf(evaluator, code, this.block, () => this.refresh()),
    };
    let table: WebAssembly.Table | undefined;
    if (this.variant === "translating") {
      const promises = (feature: Feature) => this.environment.promises(feature);
      const translator = new Translator(state.memory, {
        memory,
        code,
        promises,
        epoch: () => this.block[Block.epoch]!,
      });
      code.regions = translator;
      imports.hot = (record, page) => translator.hot(record >>> 0, page);
      table = translator.table;
      this.translator = translator;
      this.block[Block.hot] = this.hot;
    }
    const env = { memory: state.memory, ...imports, ...(table === undefined ? {} : { table }) };
    const instance = new WebAssembly.Instance(made.module, { env });
    const exports = instance.exports as unknown as Exports;
    const { run } = exports;
    outlined.exports = exports;
    const block = at;
    this.enter = () => run(state.base, block);
    this.code = code;
    this.newEpoch();
    return true;
  }

  /** Of an entry of the table of fetches. */
  private records(entry: number): number {
    const { fetches } = this.evaluator.memory;
    const i = (entry - fetches.words.byteOffset) >>> 2;
    const { words } = fetches;
    const page = (words[i + 2]! + words[i]!) >>> 0;
    const at = this.code!.records(page, this.block[Block.epoch]!);
    words[i + 3] = at | (words[i + 3]! & GUARDED);
    return at;
  }
}
