// What generated code does where the tables of translations, of pages of code, or of pointers have no entry, before it
// asks JavaScript.

import { CODE, ENTRIES, GUARDED, MUST_ALIGN, ROOM } from "../page-cache.js";
import { Code, I32, I64, type Label, type Local, type Module, V128 } from "./binary.js";
import { findCodePage } from "./code-pages.js";
import { i32, i64, v128 } from "./opcodes.js";
import { Block, EPOCH, Handler, RECORD, TOLD, WORDS } from "./record.js";
import { Room } from "./room.js";
import { fillHelper, physicalHelper } from "./walker.js";

/** Indices of functions. */
export interface Misses {
  /** Like the helper of that name (memory-access.ts), which only looks. */
  readonly place: number;
  /** `fill(cache, address)`: see walker.ts. */
  readonly fill: number;
  /** `changed(room, host)`: the offset, if instructions of its page differ from what its records were made of; 0: not so. */
  readonly changed: number;
  /** `records(room, entry)`: the page of records of an entry of the table of fetches; 0: there can be none. */
  readonly records: number;
}

/** `records`: the import of that name. */
export function missFunctions(module: Module, records: number): Misses {
  const helper = (parameters: readonly (typeof I32 | typeof I64)[], code: Code) =>
    module.function(parameters, [I32], null, code);
  const physical = helper([I32, I64, I32], physicalHelper());
  const fill = helper([I32, I64], fillHelper(physical));
  const written = helper([I32, I32, I32], writtenHelper());
  return {
    fill,
    place: helper([I32, I64, I64, I64], placeOrFill(fill, written)),
    changed: helper([I32, I32], changedHelper()),
    records: helper([I32, I32], recordsHelper(records)),
  };
}

/** Code of `place(entry, address, bytes - 1, element - 1)`: where the bytes are; 0: the evaluator does it. */
function placeOrFill(fill: number, written: number): Code {
  const code = new Code(4);
  const [entry, address, last, mask] = [0, 1, 2, 3];
  const cache = code.local(I32);
  const host = code.local(I32);
  const tag = code.local(I64);
  const giveUpIf = () => {
    code.if();
    code.i32(0).return().end();
  };
  // Two pages.
  code.get(address).i64(4095).op(i64.and).get(last).op(i64.add).i64(12).op(i64.shr, i32.wrap);
  giveUpIf();
  code.get(entry).get(address).i64(8).op(i64.shr, i32.wrap);
  code
    .i32((ENTRIES - 1) << 4)
    .op(i32.and, i32.sub)
    .set(cache);
  code.get(entry).memory(i64.load, 3).tee(tag);
  code
    .i64(~BigInt(MUST_ALIGN | CODE))
    .op(i64.and)
    .get(address)
    .i64(-4096)
    .op(i64.and, i64.ne)
    .if();
  code.get(cache).get(address).call(fill).op(i32.eqz);
  giveUpIf();
  code.get(entry).memory(i64.load, 3).set(tag).end();
  code.get(tag).i64(MUST_ALIGN).op(i64.and, i64.eqz, i32.eqz);
  code.get(address).get(mask).op(i64.and, i64.eqz, i32.eqz, i32.and);
  giveUpIf();
  code.get(entry).memory(i32.load, 2, 8).get(address).op(i32.wrap, i32.add).set(host);
  code.get(tag).i64(CODE).op(i64.and, i64.eqz, i32.eqz).if();
  code.get(cache).get(host).get(last).op(i32.wrap).call(written).op(i32.eqz);
  giveUpIf();
  code.end();
  return code.get(host);
}

/** Code of `written(cache, host, bytes - 1)`: the records of what is about to change are made again. 0: JavaScript's. */
function writtenHelper(): Code {
  const code = new Code(3);
  const [cache, host, last] = [0, 1, 2];
  const [page, at, records] = [code.local(I32), code.local(I32), code.local(I32)];
  code.get(host).i32(-4096).op(i32.and).set(page);
  findCodePage(
    code,
    page,
    () => code.get(cache).memory(i32.load, 2, ROOM).i32(Room.codePages).op(i32.add),
    at,
    records,
  );
  code.get(records).op(i32.eqz).if();
  code.i32(1).return().end();
  code.get(records).memory(i32.load, 2, TOLD).if();
  code.i32(0).return().end();
  const record = () => code.i32(2).op(i32.shr).i32(RECORD).op(i32.mul).get(records).op(i32.add);
  code.get(host).get(page).op(i32.sub);
  record().set(at);
  code.get(host).get(page).op(i32.sub).get(last).op(i32.add);
  record().set(page);
  const again = code.loop();
  code.get(at).i32(Handler.decode).memory(i32.store16, 1);
  code.get(at).i32(RECORD).op(i32.add).tee(at).get(page).op(i32.leU).branchIf(again).end();
  return code.i32(1);
}

/** Bytes that are compared at once. */
const STRIDE = 64;

/** Branches away if a page of memory is not what its records were made of. */
function compare(code: Code, page: Local, records: Local, at: Local, different: Label): void {
  const difference = code.local(V128);
  code.i32(0).set(at);
  const again = code.loop();
  for (let n = 0; n < STRIDE; n += 16) {
    code.get(page).get(at).op(i32.add).memory(v128.load, 4, n);
    code.get(records).get(at).op(i32.add);
    code.memory(v128.load, 4, WORDS + n).vector(v128.xor);
    if (n > 0) code.get(difference).vector(v128.or);
    code.set(difference);
  }
  code.get(difference).vector(v128.anyTrue).branchIf(different);
  code.get(at).i32(STRIDE).op(i32.add).tee(at).i32(4096).op(i32.ltU).branchIf(again).end();
}

function changedHelper(): Code {
  const code = new Code(2);
  const [room, host] = [0, 1];
  const [page, at, found] = [code.local(I32), code.local(I32), code.local(I32)];
  code.get(host).i32(-4096).op(i32.and).set(page);
  findCodePage(code, page, () => code.get(room).i32(Room.codePages).op(i32.add), at, found);
  const different = code.block();
  code.get(found).if();
  compare(code, page, found, at, different);
  code.end();
  code.i32(0).return().end();
  return code.get(host);
}

function recordsHelper(records: number): Code {
  const code = new Code(2);
  const [room, entry] = [0, 1];
  const [page, at, found] = [code.local(I32), code.local(I32), code.local(I32)];
  code.get(entry).memory(i32.load, 2).i32(-4096).op(i32.and);
  code.get(entry).memory(i32.load, 2, 8).op(i32.add).set(page);
  findCodePage(code, page, () => code.get(room).i32(Room.codePages).op(i32.add), at, found);
  const javaScript = code.block();
  code.get(found).op(i32.eqz).branchIf(javaScript);
  code
    .get(found)
    .memory(i32.load, 2, EPOCH)
    .get(room)
    .memory(i32.load, 2, Block.epoch * 4)
    .op(i32.ne)
    .if();
  compare(code, page, found, at, javaScript);
  code
    .get(found)
    .get(room)
    .memory(i32.load, 2, Block.epoch * 4)
    .memory(i32.store, 2, EPOCH);
  code.end();
  code
    .get(entry)
    .get(found)
    .get(entry)
    .memory(i32.load, 2, 12)
    .i32(GUARDED)
    .op(i32.and, i32.or)
    .memory(i32.store, 2, 12);
  code.get(found).return().end();
  return code.get(entry).call(records);
}
