// The interpreter's module: one function that runs records, made of the handlers of all shapes.
//
// It is left, with all state in memory, when few instructions are left, when something wants attention, or when the
// evaluator, which does by `step` whatever has no handler, says so.

import { cells, Pstate } from "../../cpu/state.js";
import { GUARDED } from "../page-cache.js";
import { Code, I32, I64, type Local, Module } from "./binary.js";
import { type CallImports, importCalls } from "./calls.js";
import { KindInLocal, NZCV } from "./flags.js";
import type { Context, Locals } from "./function.js";
import { HandlerEmitter } from "./handlers.js";
import { allHelpers } from "./helpers.js";
import { entryOf } from "./memory-access.js";
import { missFunctions } from "./misses.js";
import { MOST_OUTLINED, MOST_PAGES, OUTLINED_PARAMETERS, OUTLINED_RESULTS, PLACE_PARAMETERS } from "./outlined.js";
import { pointerFunction } from "./pointer-table.js";
import { BENEATH, Block, EPOCH, Handler, HEAT, RECORD, RECORD_PAGE, RECORDS, RECORDS_END, SLOT } from "./record.js";
import { RecordOperands } from "./record-operands.js";
import type { Shape } from "./trace.js";

/** What the module asks of JavaScript. */
export interface Imports extends CallImports {
  /** The evaluator does one instruction. 1: the run is over. */
  step(): number;
  /** Makes the record at this address, and some that follow it. */
  decode(record: number): void;
  /** The page of records of an entry of the table of fetches; 0: there can be none. */
  records(entry: number): number;
  /** A region is wanted at this record; the virtual address of its page. */
  hot?: (record: number, page: bigint) => void;
}

export interface Exports {
  /** `base`: the vCPU's state; `block`: see record.ts. */
  run(base: number, block: number): void;
  /** Of handlers that are functions of modules of their own: see outlined.ts. */
  outlined: WebAssembly.Table;
  /** The helper that finds the place of an access, for them. */
  place: unknown;
}

/** No straight run of instructions is longer: that many may be over before anybody counts. */
export const LONGEST_RUN = RECORDS;

const PC = cells.pc * 8;
const MODE = cells.flags * 8;
const SP = cells.stackPointer * 8;
const PLACE = RECORDS_END - 1;

/** Alone, or with a translator: then it counts where branches go, and enters regions. */
export type Variant = "alone" | "translating";

/** A region of translated code: state, block, PC, 16 times the instructions left, and how deep calls may nest. */
export const REGION_PARAMETERS = [I32, I32, I64, I32, I32] as const;
/** PC, and 16 times the instructions left. If those are the same, nothing was done, and the interpreter does the first. */
export const REGION_RESULTS = [I64, I32] as const;
/** So many calls of regions may nest. */
const MOST_CALLS = 200;

/** The module for these shapes: shape n has handler `Handler.first + n`. */
export function interpreterModule(shapes: readonly Shape[], variant: Variant): Uint8Array {
  const module = new Module(MOST_PAGES);
  const translating = variant === "translating";
  const step = module.import("step", [], [I32]);
  const decode = module.import("decode", [I32], []);
  const records = module.import("records", [I32], [I32]);
  const calls = importCalls(module);
  const hot = translating ? module.import("hot", [I32, I64], []) : 0;
  module.hasTable = translating;
  const misses = missFunctions(module, records);
  module.function(PLACE_PARAMETERS, [I32], "place", calling(misses.place, PLACE_PARAMETERS.length));
  const helpers = allHelpers(module, { place: misses.place, pointer: pointerFunction(module) });
  const outlined = module.signature(OUTLINED_PARAMETERS, OUTLINED_RESULTS);
  module.exportTable("outlined", MOST_OUTLINED);

  const code = new Code(2);
  const local = (type: typeof I32 | typeof I64) => code.local(type);
  const locals: Locals = {
    base: 0,
    block: 1,
    record: local(I32),
    page: local(I64),
    quota: local(I32),
    target: local(I32),
    pc: local(I64),
    left: local(I32),
    flagsKind: local(I32),
    flagsA: local(I64),
    flagsB: local(I64),
    btype: local(I32),
    guarded: local(I32),
    reads: local(I32),
    writes: local(I32),
  };
  const operands = new RecordOperands(code, locals);
  const flags = new KindInLocal(code, locals, helpers, operands);
  /** The record that a branch to a register went to, and PSTATE.BTYPE there. */
  const landed = local(I32);
  const landedType = local(I32);
  const entry = local(I32);
  const found = local(I32);
  const { base, block, record, page, quota, target, pc, left, btype, guarded } = locals;

  const enter = code.loop();
  fromMemory(code, locals);
  const look = code.loop();
  const stepAtPc = code.block();

  // Few instructions are left, or somebody wants something: out.
  polled(code, locals, () => code.get(left));
  code.if();
  toMemory(code, locals, flags);
  code.return().end();

  // By the table of fetches to the records.
  code.get(pc);
  entryOf(code);
  code
    .get(block)
    .memory(0x28, 2, Block.fetches * 4)
    .op(0x6a)
    .tee(entry)
    .memory(0x29, 3);
  code.get(pc).i64(-4093).op(0x83, 0x52).if();
  code.get(pc).op(0xa7).i32(3).op(0x71).branchIf(stepAtPc);
  code
    .get(block)
    .memory(0x28, 2, Block.fetches * 4)
    .get(pc)
    .call(misses.fill)
    .op(0x45)
    .branchIf(stepAtPc);
  code.end();
  code.get(entry).memory(0x28, 2, 12).tee(found).i32(GUARDED).op(0x71).tee(guarded);
  // Where such a branch may land in a guarded page, the evaluator knows.
  code.get(btype).i32(0).op(0x47, 0x71).branchIf(stepAtPc);
  code.get(found).i32(-RECORD_PAGE).op(0x71).tee(found).op(0x45).if(I32);
  code.i32(1).else();
  code
    .get(found)
    .memory(0x28, 2, EPOCH)
    .get(block)
    .memory(0x28, 2, Block.epoch * 4)
    .op(0x47)
    .end();
  code.if();
  code.get(block).get(entry).call(misses.records).tee(found).op(0x45).branchIf(stepAtPc);
  code.end();
  code.get(pc).i64(-4096).op(0x83).set(page);
  code.get(found).get(pc).op(0xa7).i32(4095).op(0x71).i32(2).op(0x74, 0x6a).tee(record);
  code.get(left).op(0x6a).set(quota);
  // PSTATE.BTYPE is there while the first instruction runs; only the evaluator could tell.
  code.i32(0).set(landed);
  code.get(btype).if();
  code.get(record).set(landed).get(btype).set(landedType).i32(0).set(btype);
  code.get(base).get(base).memory(0x28, 2, MODE).i32(~Pstate.BTYPE).op(0x71).memory(0x36, 2, MODE);
  code.end();
  if (translating) countBranch(code, locals, { record, at: found, count: entry }, hot);

  const next = code.loop();
  const stepHere = code.block();
  const indirect = code.block();
  const jump = code.block();
  const labels = { next, step: stepHere, jump, indirect };
  const context: Context = {
    code,
    operands,
    flags,
    locals,
    labels,
    helpers,
    calls: { ...calls, changed: misses.changed },
  };

  const places: number[] = [];
  for (let n = Handler.first + shapes.length + 1; n > 0; n--) places.unshift(code.block());
  const region = code.block();
  code.get(record).memory(0x2f, 1).branchTable(places.with(Handler.region, region));
  code.end();
  if (translating) {
    enterRegion(module, context, found);
    code.if();
    // A region may have ended in a branch to a register.
    code
      .get(block)
      .memory(0x28, 2, Block.btype * 4)
      .tee(btype)
      .if();
    code
      .get(block)
      .i32(0)
      .memory(0x36, 2, Block.btype * 4);
    code
      .get(block)
      .memory(0x28, 2, Block.btypeLeft * 4)
      .get(left)
      .op(0x46)
      .if();
    orMode(code, locals, btype);
    code.else().i32(0).set(btype).end().end();
    code.branch(look);
    code.end();
    // The instruction beneath.
    atRecord(code, record, found).memory(0x2f, 1, BENEATH).branchTable(places);
  }
  code.end();
  // decode
  code.get(record).call(decode).branch(next);
  code.end();
  // step
  code.branch(stepHere);
  code.end();
  // pageEnd: the counting goes on from the end of this page.
  code.get(page).i64(4096).op(0x7c).set(pc);
  code.get(quota).get(record).op(0x6b).set(left).branch(look);
  code.end();
  // region: seen to before.
  code.op(0x00);
  const emitter = new HandlerEmitter(context);
  for (const shape of shapes) {
    code.end();
    emitter.emit(shape);
  }
  code.end();
  // outlined: all numbers beyond
  code.get(base).get(block).get(record);
  code
    .get(record)
    .memory(0x2f, 1)
    .i32(Handler.first + shapes.length)
    .op(0x6b)
    .callIndirect(outlined, translating ? 1 : 0)
    .branchIf(stepHere);
  code.get(record).i32(RECORD).op(0x6a).set(record).branch(next);
  code.end(); // jump: a branch whose target's record is known if it lies in this page

  code.i32(0).set(landed);
  code.get(quota).get(target).op(0x6a).get(record).op(0x6b).i32(RECORD).op(0x6b).set(quota);
  code.get(target).get(record).op(0x73).i32(~PLACE).op(0x71, 0x45).if();
  if (translating) {
    code.get(target).get(record).op(0x4d).if();
    countBranch(code, locals, { record: target, at: found, count: entry }, hot);
    code.end();
  }
  code.get(target).set(record);
  code.get(quota).get(target).op(0x6b).set(left);
  polled(code, locals, () => code.get(left));
  code.op(0x45).branchIf(next);
  code.get(page).get(record).i32(PLACE).op(0x71).i32(2).op(0x76, 0xad, 0x7c).set(pc);
  code.branch(look);
  code.end();
  code.get(quota).get(target).op(0x6b).set(left);
  code.get(page);
  code.get(target).get(record).op(0x6b).get(record).i32(PLACE).op(0x71, 0x6a).i32(2).op(0x75, 0xac, 0x7c).set(pc);
  code.branch(look);
  code.end(); // indirect: to any address

  code.get(btype).if();
  orMode(code, locals, btype);
  code.end();
  code.get(quota).get(record).op(0x6b).i32(RECORD).op(0x6b).set(left);
  code.branch(look);
  code.end(); // step: at the record

  code.get(record).get(landed).op(0x46).if();
  orMode(code, locals, landedType);
  code.end();
  code.get(page).get(record).i32(PLACE).op(0x71).i32(2).op(0x76, 0xad, 0x7c).set(pc);
  code.get(quota).get(record).op(0x6b).set(left);
  code.end(); // next
  code.end(); // step: at the address

  toMemory(code, locals, flags);
  code.call(step).op(0x45).branchIf(enter);
  code.return();
  code.end().end();
  module.function([I32, I32], [], "run", code);
  void base;
  return module.bytes();
}

/** Code that gives its parameters on. */
function calling(index: number, parameters: number): Code {
  const code = new Code(parameters);
  for (let n = 0; n < parameters; n++) code.get(n);
  return code.call(index);
}

/** The place of 16 bits that belong to a record, before an offset, on the stack and in `at`. */
function atRecord(code: Code, record: Local, at: Local): Code {
  code.get(record).i32(-RECORD_PAGE).op(0x71);
  code.get(record).i32(PLACE).op(0x71).i32(3).op(0x76);
  return code.op(0x6a).tee(at);
}

/** A branch goes to a record. */
function countBranch(
  code: Code,
  { page, block }: Locals,
  { record, at, count }: { record: Local; at: Local; count: Local },
  hot: number,
): void {
  atRecord(code, record, at).get(at).memory(0x2f, 1, HEAT).i32(1).op(0x6a).tee(count).memory(0x3b, 1, HEAT);
  code
    .get(count)
    .get(block)
    .memory(0x28, 2, Block.hot * 4)
    .op(0x46)
    .if();
  code.get(record).get(page).call(hot).end();
}

/** Runs the region at the record; on the stack, whether anything was done. */
function enterRegion(module: Module, { code, locals, operands }: Context, at: Local): void {
  const { base, block, record, quota, pc, left, flagsKind, flagsA, flagsB } = locals;
  const kept = [
    { local: flagsKind, load: 0x28, store: 0x36, align: 2, word: Block.flagsKind },
    { local: flagsA, load: 0x29, store: 0x37, align: 3, word: Block.flagsA },
    { local: flagsB, load: 0x29, store: 0x37, align: 3, word: Block.flagsB },
  ];
  for (const { local, store, align, word } of kept)
    code
      .get(block)
      .get(local)
      .memory(store, align, word * 4);
  code.get(base).get(block);
  operands.pc();
  code.get(quota).get(record).op(0x6b).i32(MOST_CALLS);
  atRecord(code, record, at).memory(0x2f, 1, SLOT).callIndirect(module.signature(REGION_PARAMETERS, REGION_RESULTS));
  code.set(left).set(pc);
  for (const { local, load, align, word } of kept)
    code
      .get(block)
      .memory(load, align, word * 4)
      .set(local);
  code.get(left).get(quota).get(record).op(0x6b, 0x47);
}

function orMode(code: Code, { base }: Locals, bits: Local): void {
  code.get(base).get(base).memory(0x28, 2, MODE).get(bits).op(0x72).memory(0x36, 2, MODE);
}

/** Whether few instructions are left, or something wants attention. */
function polled(code: Code, { base, block }: Locals, left: () => void): void {
  left();
  code.i32(LONGEST_RUN * RECORD).op(0x4c);
  code.get(base).memory(0x28, 2, cells.attention * 8);
  code
    .get(block)
    .memory(0x28, 2, Block.attention * 4)
    .op(0x71);
  code.op(0x72);
}

/** What the state has in memory, into the locals. */
function fromMemory(code: Code, locals: Locals): void {
  const { base, block, pc, left, flagsKind, btype, reads, writes } = locals;
  // Not what it was before a step: the evaluator may have been where the branch went.
  code.get(base).memory(0x28, 2, MODE).i32(Pstate.BTYPE).op(0x71).set(btype);
  code.get(base).memory(0x29, 3, PC).set(pc);
  code.get(base);
  stackPointerCell(code, locals);
  code.memory(0x29, 3).memory(0x37, 3, SP);
  code.i32(0).set(flagsKind);
  code
    .get(block)
    .memory(0x28, 2, Block.left * 4)
    .i32(4)
    .op(0x74)
    .set(left);
  code
    .get(block)
    .memory(0x28, 2, Block.reads * 4)
    .set(reads);
  code
    .get(block)
    .memory(0x28, 2, Block.writes * 4)
    .set(writes);
}

/** And back. */
function toMemory(code: Code, locals: Locals, flags: KindInLocal): void {
  const { base, block, pc, left, flagsKind } = locals;
  code.get(base).get(pc).memory(0x37, 3, PC);
  stackPointerCell(code, locals);
  code.get(base).memory(0x29, 3, SP).memory(0x37, 3);
  code.get(flagsKind).if();
  code.get(base);
  flags.nzcv();
  code.memory(0x36, 2, NZCV).end();
  code
    .get(block)
    .get(left)
    .i32(4)
    .op(0x75)
    .memory(0x36, 2, Block.left * 4);
}

/** Where the stack pointer that PSTATE selects is kept. */
function stackPointerCell(code: Code, { base }: Locals): void {
  code.get(base);
  code.i32(cells.spEl1 * 8).i32(cells.spEl0 * 8);
  code
    .get(base)
    .memory(0x28, 2, MODE)
    .i32(Pstate.EL | Pstate.SP)
    .op(0x71)
    .i32(5)
    .op(0x46, 0x1b);
  code.op(0x6a);
}
