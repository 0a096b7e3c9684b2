// From a region to its function. Registers are in locals from the entry to the exits; every exit leaves all state in memory.
//
// Counting: `quota` is 16 times the instructions left, plus 16 times the place in the page. Going on needs no counting;
// a branch adds 16 times what it skips.

import type { BranchKind } from "../../a64/machine.js";
import { cells } from "../../cpu/state.js";
import { GUARDED } from "../page-cache.js";
import { Code, I32, I64, type Label, type Local, type Module } from "../wasm/binary.js";
import type { Context, Helpers, Labels, Locals } from "../wasm/function.js";
import { HandlerEmitter } from "../wasm/handlers.js";
import { entryOf } from "../wasm/memory-access.js";
import { LONGEST_RUN, REGION_PARAMETERS, REGION_RESULTS } from "../wasm/module.js";
import { EPOCH, Handler, RECORD, RECORD_PAGE, RECORDS, Block as Shared, SLOT } from "../wasm/record.js";
import type { Effect } from "../wasm/trace.js";
import { RegionFlags } from "./flags.js";
import { FLAGS, type Registers as Mask, NONE } from "./instruction.js";
import { Liveness, numbersOf } from "./liveness.js";
import { Pages } from "./pages.js";
import { type Place, pageOf, type Region } from "./region.js";
import { Registers } from "./registers.js";
import { type Node, Structure } from "./structure.js";

const BASE = 0;
const BLOCK = 1;
const PC = 2;
const LEFT = 3;
const DEPTH = 4;
const LIMIT = LONGEST_RUN * RECORD;

export interface Surroundings {
  readonly module: Module;
  readonly helpers: Helpers;
  /** The function that finds the region of an address: see `finder`. */
  readonly find: () => number;
  /** The function that finds the page of an access: see pages.ts. */
  readonly page: () => number;
  /** Where the records of a page are: 0 is that of the entry, those beside it come before and after. */
  readonly records: (page: number) => number;
}

export class RegionEmitter {
  private readonly code = new Code(REGION_PARAMETERS.length);
  private readonly structure: Structure;
  private readonly liveness: Liveness;
  private readonly registers: Registers;
  private readonly flags: RegionFlags;
  private readonly emitter: HandlerEmitter;
  private readonly pages: Pages;
  private readonly labels: { step: Label } & Labels = { next: 0, step: 0, jump: 0, indirect: 0 };
  private readonly quota: Local;
  private readonly page: Local;
  /** Where an exit goes: a place of the page; an address. */
  private readonly where: Local;
  private readonly target: Local;
  private readonly slot: Local;
  /** Exits by what they store: the interpreter goes on; the region there goes on, if there is one. */
  private readonly exits = new Map<Mask, Label>();
  private readonly chains = new Map<Mask, Label>();
  private exitCount = 0;
  private readonly loops = new Map<Node, Label>();
  private readonly merges = new Map<Node, Label>();

  constructor(
    private readonly region: Region,
    private readonly surroundings: Surroundings,
  ) {
    const { code } = this;
    this.structure = new Structure(region);
    this.liveness = new Liveness(this.structure);
    this.page = code.local(I64);
    this.quota = code.local(I32);
    this.where = code.local(I32);
    this.target = code.local(I64);
    this.slot = code.local(I32);
    const locals: Locals = {
      base: BASE,
      block: BLOCK,
      page: this.page,
      reads: code.local(I32),
      writes: code.local(I32),
      flagsKind: code.local(I32),
      flagsA: code.local(I64),
      flagsB: code.local(I64),
      pc: this.target,
      quota: this.quota,
      left: LEFT,
      record: -1,
      target: -1,
      btype: -1,
      guarded: -1,
    };
    const { helpers } = surroundings;
    this.registers = new Registers(code, BASE, this.page);
    this.flags = new RegionFlags(code, locals, helpers, this.registers);
    const { flags, labels } = this;
    const plain: Context = { code, operands: this.registers, flags, locals, labels, helpers };
    this.pages = new Pages(plain, surroundings.page);
    this.emitter = new HandlerEmitter({ ...plain, locate: (access, place) => this.pages.locate(access, place) });
    this.begin(locals);
    this.tree(this.structure.order[0]!);
    code.op(0x00);
    this.stubs();
    this.pages.begin();
  }

  /** The function, of the type of all regions. */
  get function(): Code {
    return this.code;
  }

  private begin(locals: Locals): void {
    const { code } = this;
    code.get(LEFT).i32(LIMIT).op(0x4c);
    this.wanted();
    code.op(0x72).unlikely().if();
    code.get(PC).get(LEFT).return();
    code.end();
    code.get(PC).i64(-4096).op(0x83).set(this.page);
    for (const page of this.region.pages) if (page !== 0) this.mustBeBeside(page);
    code
      .get(LEFT)
      .i32(this.region.entry * RECORD)
      .op(0x6a)
      .set(this.quota);
    for (const table of ["reads", "writes"] as const)
      code
        .get(BLOCK)
        .memory(0x28, 2, Shared[table] * 4)
        .set(locals[table]);
    this.load(this.liveness.of(this.structure.order[0]!).live);
  }

  /** A page beside that of the entry is what it was: by the table of fetches. Otherwise nothing is done. */
  private mustBeBeside(page: number): void {
    const { code, slot, target } = this;
    const records = this.surroundings.records(page);
    code
      .get(this.page)
      .i64(page * 4 * RECORDS)
      .op(0x7c)
      .tee(target);
    entryOf(code);
    code
      .get(BLOCK)
      .memory(0x28, 2, Shared.fetches * 4)
      .op(0x6a)
      .tee(slot)
      .memory(0x29, 3)
      .get(target)
      .op(0x52);
    code.get(slot).memory(0x28, 2, 12).i32(-RECORD_PAGE).op(0x71).i32(records).op(0x47, 0x72);
    code.i32(0).memory(0x28, 2, records + EPOCH);
    code
      .get(BLOCK)
      .memory(0x28, 2, Shared.epoch * 4)
      .op(0x47, 0x72)
      .unlikely()
      .if();
    code.get(PC).get(LEFT).return();
    code.end();
  }

  /** Whether something wants attention. */
  private wanted(): void {
    const { code } = this;
    code.get(BASE).memory(0x28, 2, cells.attention * 8);
    code
      .get(BLOCK)
      .memory(0x28, 2, Shared.attention * 4)
      .op(0x71);
  }

  private load(live: Mask): void {
    for (const register of numbersOf(live)) this.registers.load(register);
    if ((live & FLAGS) !== 0n) this.flags.load();
  }
  private store(dirty: Mask): void {
    for (const register of numbersOf(dirty)) this.registers.store(register);
    if ((dirty & FLAGS) !== 0n) this.flags.store();
  }

  /** Where to branch to leave the region at `where`, with these registers to store. */
  private exit(dirty: Mask, exits = this.exits): Label {
    let label = exits.get(dirty);
    if (label === undefined) {
      label = -this.exitCount++;
      exits.set(dirty, label);
    }
    return label;
  }

  private stubs(): void {
    const { code, target } = this;
    code.around = this.exitCount;
    const all = [this.exits, this.chains].flatMap((exits) =>
      [...exits].map(([dirty, label]) => ({ dirty, label, chained: exits === this.chains })),
    );
    for (const { dirty, chained } of all.sort((a, b) => b.label - a.label)) {
      code.end();
      this.store(dirty);
      code.get(this.page).get(this.where).i32(2).op(0x74, 0xac, 0x7c).set(target);
      code.get(this.quota).get(this.where).i32(4).op(0x74, 0x6b).set(LEFT);
      if (chained) {
        code.i32(0).set(this.slot);
        this.chain();
      } else code.get(target).get(LEFT).return();
    }
    code.op(0x00);
  }

  /** Goes on at `target`, with BTYPE in `slot`. Nothing is in locals any more. */
  private chain(): void {
    const { code, target, slot } = this;
    code.get(BLOCK).get(target).get(slot).call(this.surroundings.find()).tee(slot).if();
    code.get(BASE).get(BLOCK).get(target).get(LEFT).get(DEPTH).get(slot);
    code.returnCallIndirect(this.type);
    code.end();
    code.get(target).get(LEFT).return();
  }

  private get type(): number {
    return this.surroundings.module.signature(REGION_PARAMETERS, REGION_RESULTS);
  }

  /** A block and all that it dominates. */
  private tree(node: Node): void {
    const merging = node.children.filter(({ forward }) => forward > 1).sort((a, b) => b.number - a.number);
    if (node.isLoop) this.loops.set(node, this.code.loop());
    if (node.isLoop || node.forward > 1) this.flags.known = null;
    for (const child of merging) this.merges.set(child, this.code.block());
    this.body(node);
    for (const child of merging.reverse()) {
      this.code.end();
      this.tree(child);
    }
    if (node.isLoop) this.code.end();
  }

  private body(node: Node): void {
    const { code, registers, emitter } = this;
    const { block } = node;
    const { end } = block;
    let { dirtyBefore: dirty } = this.liveness.of(node);
    this.pages.inLoop = node.inLoop;
    for (const [n, instruction] of block.instructions.entries()) {
      const place = block.first + n;
      registers.at = place;
      if (instruction.mayFail) this.mayStep(place, dirty);
      emitter.begin();
      emitter.effects(instruction.effects, (ending) => {
        if (ending.op === "branchTo") this.toAddress(ending);
      });
      dirty |= instruction.writes;
    }
    const last = block.first + block.instructions.length - 1;
    switch (end.kind) {
      case "leave":
        this.go(node, last, end.at);
        return;
      case "jump":
        this.go(node, last, end.to);
        return;
      case "fork": {
        const { way } = block.instructions.at(-1)!;
        if (way.kind !== "fork") throw new Error("a block forks at a branch with a condition");
        emitter.taken(way.ending);
        const { known } = this.flags;
        code.if();
        this.go(node, last, end.taken);
        code.else();
        this.flags.known = known;
        this.go(node, last, end.next);
        code.end();
        code.op(0x00);
        return;
      }
      case "call":
        this.call(node, last, end.to, end.next);
        return;
      case "register":
        this.toTarget(end.branch, last, dirty);
        return;
    }
  }

  /** The instruction at this place may have to be the interpreter's: nothing of it has happened then. */
  private mayStep(place: Place, dirty: Mask): void {
    this.code.i32(place).set(this.where);
    this.labels.step = this.exit(dirty);
  }

  /** From the instruction at `last` to a place, inside of the region or out of it. */
  private go(node: Node, last: Place, to: Place): void {
    const { code, quota } = this;
    const skipped = to - last - 1;
    if (skipped !== 0)
      code
        .get(quota)
        .i32(skipped * RECORD)
        .op(0x6a)
        .set(quota);
    const next = this.structure.target(node, to);
    const { dirtyAfter } = this.liveness.of(node);
    if (next === null) {
      const { end } = node.block;
      code
        .i32(to)
        .set(this.where)
        .branch(this.exit(dirtyAfter, end.kind === "leave" ? this.exits : this.chains));
      return;
    }
    if (next.number <= node.number) {
      this.poll(to, dirtyAfter);
      code.branch(this.loops.get(next)!);
    } else if (next.forward > 1) code.branch(this.merges.get(next)!);
    else this.tree(next);
  }

  /** Before a way back: leaves if few instructions are left, or something wants attention. */
  private poll(to: Place, dirty: Mask): void {
    const { code } = this;
    code.i32(to).set(this.where);
    code
      .get(this.quota)
      .i32(LIMIT + to * RECORD)
      .op(0x4c);
    this.wanted();
    code.op(0x72).unlikely().branchIf(this.exit(dirty));
  }

  /** A call: of another region, if there is one. */
  private call(node: Node, last: Place, to: Place | null, next: Place): void {
    const { code, slot, target, surroundings } = this;
    this.leaving(last, this.liveness.of(node).dirtyAfter);
    if (to === null) this.branchType("call", last);
    else {
      code.get(this.page).i64(to * 4).op(0x7c).set(target); // biome-ignore format: one line
      code.i32(0).set(slot);
    }
    if (to !== null && pageOf(to) === 0) {
      const records = surroundings.records(0);
      code
        .i32(0)
        .memory(0x2f, 1, records + to * RECORD)
        .i32(Handler.region)
        .op(0x46)
        .if(I32);
      code
        .i32(0)
        .memory(0x2f, 1, records + SLOT + 2 * to)
        .else()
        .i32(0)
        .end()
        .set(slot);
    } else code.get(BLOCK).get(target).get(slot).call(surroundings.find()).set(slot);
    code.get(slot).op(0x45).get(DEPTH).op(0x45, 0x72).unlikely().if();
    code.get(target).get(LEFT).return();
    code.end();
    code.get(BASE).get(BLOCK).get(target).get(LEFT).get(DEPTH).i32(1).op(0x6b).get(slot);
    code.callIndirect(this.type);
    code.set(LEFT).tee(target);
    code.get(this.page).i64(next * 4).op(0x7c, 0x52).unlikely().if(); // biome-ignore format: one line
    code.get(target).get(LEFT).return();
    code.end();
    this.returned(node, next);
  }

  /** Behind a call. */
  private returned(node: Node, next: Place): void {
    const { code, quota, target } = this;
    const after = this.structure.target(node, next);
    if (after === null) {
      code.get(target).get(LEFT).return();
      return;
    }
    code
      .get(LEFT)
      .i32(next * RECORD)
      .op(0x6a)
      .set(quota);
    this.flags.known = null;
    this.load(this.liveness.of(after).live);
    if (after.number <= node.number) {
      this.poll(next, NONE);
      code.branch(this.loops.get(after)!);
    } else if (after.forward > 1) code.branch(this.merges.get(after)!);
    else this.tree(after);
  }

  /** Everything into memory, and what is left after the instruction at `last`. */
  private leaving(last: Place, dirty: Mask): void {
    this.store(dirty);
    this.code
      .get(this.quota)
      .i32((last + 1) * RECORD)
      .op(0x6b)
      .set(LEFT);
  }

  /** PSTATE.BTYPE after a branch to a register, into `slot`, and to where the interpreter finds it. */
  private branchType(kind: Exclude<BranchKind, "return">, last: Place): void {
    const { code, slot } = this;
    code
      .get(BLOCK)
      .memory(0x28, 2, Shared[kind] * 4)
      .tee(slot)
      .unlikely()
      .if();
    if (kind === "jump") {
      code
        .get(BLOCK)
        .memory(0x28, 2, Shared.guardedJump * 4)
        .get(slot);
      code.get(this.page).i64(pageOf(last) * 4 * RECORDS).op(0x7c); // biome-ignore format: one line
      entryOf(code);
      code
        .get(BLOCK)
        .memory(0x28, 2, Shared.fetches * 4)
        .op(0x6a)
        .memory(0x28, 2, 12)
        .i32(GUARDED)
        .op(0x71, 0x1b)
        .set(slot);
    }
    code
      .get(BLOCK)
      .get(slot)
      .memory(0x36, 2, Shared.btype * 4);
    code
      .get(BLOCK)
      .get(LEFT)
      .memory(0x36, 2, Shared.btypeLeft * 4);
    code.end();
  }

  /** A branch to a register: where to, and what may be against it. */
  private toAddress({ args }: Effect): void {
    const { code, target, labels } = this;
    this.emitter.value(args[0]!);
    // An address with a tag, or with none of both halves, is the evaluator's.
    code.tee(target).get(target).i64(8).op(0x86).i64(8).op(0x87, 0x52).unlikely().branchIf(labels.step);
  }

  private toTarget(kind: BranchKind, last: Place, dirty: Mask): void {
    const { code, target } = this;
    this.leaving(last, dirty);
    if (kind === "return") code.get(target).get(LEFT).return();
    else {
      this.branchType(kind, last);
      this.chain();
    }
  }
}
