// Stage 1 in generated code: walks the guest's tables and fills a table of translations, as cpu/stage1.ts and
// GuestMemory do, where nothing is amiss. What faults, what must be written back, what the bus has not said yet: theirs.

import {
  BLOCKS,
  CacheKind,
  CODE,
  ENTRIES,
  GUARDED,
  HASHES,
  KIND,
  LOCAL,
  LOCALS,
  MUST_ALIGN,
  ROOM,
  SIZES,
  TRANSLATIONS,
} from "../page-cache.js";
import { PHYSICAL_ENTRIES, PhysicalAccess, RANGE_BYTES, RANGES, SINGLE_PAGES } from "../physical-pages.js";
import { Code, I32, I64, type Local } from "./binary.js";
import { findCodePage } from "./code-pages.js";
import { atomicLoad, i32, i64, select } from "./opcodes.js";
import { Room } from "./room.js";
import { Flag, Walk } from "./walks.js";

/** Bits of descriptors. */
const Bit = {
  el0: 6,
  readOnly: 7,
  accessed: 10,
  notGlobal: 11,
  guarded: 50,
  dirty: 51,
  execute1: 53,
  execute0: 54,
} as const;
const Table = { execute1: 59, execute0: 60, el0: 61, write: 62 } as const;
const ADDRESS = 0xffff_ffff_f000n;
/** Where 64 KiB granules have bits 51:48 of an address. */
const HIGH_ADDRESS = 0xf000n;

/** Code of `physical(room, address, access)`: where the bytes of its page are; 0: not known. */
export function physicalHelper(): Code {
  const code = new Code(3);
  const [room, address, access] = [0, 1, 2];
  const at = code.local(I32);
  const number = code.local(I64);
  code.get(address).i64(12).op(i64.shr).set(number);
  for (let n = 0; n < RANGES; n++) {
    const range = Room.physicalPages + n * RANGE_BYTES;
    const first = () => code.get(number).get(room).memory(i64.load32, 2, range).op(i64.sub);
    first();
    code
      .get(room)
      .memory(i64.load32, 2, range + 4)
      .op(i64.ltU)
      .if();
    code
      .get(room)
      .memory(i32.load, 2, range + 12)
      .get(access)
      .op(i32.and)
      .if();
    first();
    code
      .op(i32.wrap)
      .i32(12)
      .op(i32.shl)
      .get(room)
      .memory(i32.load, 2, range + 8)
      .op(i32.add)
      .return();
    code.end().end();
  }
  code
    .get(number)
    .op(i32.wrap)
    .i32(PHYSICAL_ENTRIES - 1)
    .op(i32.and)
    .i32(3)
    .op(i32.shl)
    .get(room)
    .op(i32.add)
    .set(at);
  // The number beside it has 32 bits: a larger one is not there.
  code
    .get(at)
    .memory(i64.load32, 2, Room.physicalPages + SINGLE_PAGES)
    .get(number)
    .op(i64.eq)
    .if();
  code
    .get(at)
    .memory(i32.load, 2, Room.physicalPages + SINGLE_PAGES + 4)
    .tee(at)
    .get(access)
    .op(i32.and)
    .if();
  code.get(at).i32(-4096).op(i32.and).return();
  code.end().end();
  return code.i32(0);
}

/** Code of `fill(cache, address)`: puts the translation of an address into its entry. 0: that is JavaScript's. */
export function fillHelper(physical: number): Code {
  const code = new Code(2);
  const [cache, address] = [0, 1];
  const word = () => code.local(I32);
  const [room, walk, flags, kind, high, granule, shift] = [word(), word(), word(), word(), word(), word(), word()];
  const [host, el0, writable, tag, more, at, records] = [word(), word(), word(), word(), word(), word(), word()];
  const quad = () => code.local(I64);
  const [table, mask, descriptor, taken, place] = [quad(), quad(), quad(), quad(), quad()];

  /** Gives up if what is on the stack is not 0. */
  const giveUpIf = () => {
    code.if();
    code.i32(0).return().end();
  };
  const flag = (bit: number) => code.get(flags).i32(bit).op(i32.and, i32.eqz, i32.eqz);
  const isKind = (bit: number) => code.get(kind).i32(bit).op(i32.and);
  const bit = (local: Local, n: number) => code.get(local).i64(n).op(i64.shr, i32.wrap).i32(1).op(i32.and);
  const output = (from: Local) => {
    // Addresses of 52 bits are rare.
    code.get(granule).i32(16).op(i32.eq).get(descriptor).i64(HIGH_ADDRESS).op(i64.and, i64.eqz, i32.eqz, i32.and);
    giveUpIf();
    code.get(descriptor).i64(ADDRESS).op(i64.and).i64(-1).get(from).op(i64.extend, i64.shl, i64.and).tee(table);
    code.get(walk).memory(i64.load32, 2, Walk.outputBits).op(i64.shr, i64.eqz, i32.eqz);
    giveUpIf();
  };

  bit(address, 55);
  code.set(high);
  code.get(cache).memory(i32.load, 2, ROOM).tee(room);
  code.get(high).i32(Math.log2(Walk.bytes)).op(i32.shl, i32.add).i32(Room.walks).op(i32.add).tee(walk);
  code.memory(i32.load, 2, Walk.flags).tee(flags).i32(Flag.walks).op(i32.and, i32.eqz);
  giveUpIf();
  code.get(cache).memory(i32.load, 2, KIND).set(kind);

  // Above the size all bits are as bit 55, a tag aside.
  code.get(walk).memory(i64.load32, 2, Walk.fetchTag);
  code.get(walk).memory(i64.load32, 2, Walk.tag);
  isKind(CacheKind.fetch);
  code.op(select).set(place);
  code.get(address).i64(0).get(high).op(i64.extend, i64.sub, i64.xor).get(place).op(i64.shl);
  code.get(place).get(walk).memory(i64.load32, 2, Walk.size).op(i64.add, i64.shr, i64.eqz, i32.eqz);
  giveUpIf();
  flag(Flag.keepsEl0Out);
  isKind(CacheKind.unprivileged);
  code.op(i32.eqz, i32.eqz, i32.and);
  giveUpIf();

  code.get(walk).memory(i32.load, 2, Walk.granule).set(granule);
  code.get(walk).memory(i32.load, 2, Walk.shift).set(shift);
  code.get(walk).memory(i64.load, 3, Walk.table).set(table);
  code.get(walk).memory(i64.load, 3, Walk.mask).set(mask);
  const leaf = code.block();
  const next = code.loop();
  code.get(table).get(address).get(shift).op(i64.extend, i64.shr).get(mask).op(i64.and).i64(3).op(i64.shl, i64.or);
  code.set(place);
  code.get(room).get(place).i32(PhysicalAccess.read).call(physical).tee(host).op(i32.eqz);
  giveUpIf();
  code.get(host).get(place).op(i32.wrap).i32(4095).op(i32.and, i32.add).memory(atomicLoad, 3).set(descriptor);
  bit(descriptor, 0);
  code.op(i32.eqz);
  giveUpIf();
  code.get(shift).get(granule).op(i32.eq).if();
  bit(descriptor, 1);
  code.op(i32.eqz);
  giveUpIf();
  code.branch(leaf).end();
  bit(descriptor, 1);
  code.op(i32.eqz).if();
  code.get(shift).get(walk).memory(i32.load, 2, Walk.largest).op(i32.gtU);
  giveUpIf();
  code.branch(leaf).end();
  output(granule);
  flag(Flag.hierarchical);
  code.if();
  code.get(taken).get(descriptor).op(i64.or).set(taken).end();
  code.get(shift).get(granule).op(i32.sub).i32(3).op(i32.add).set(shift);
  code.i64(-1).get(granule).i32(3).op(i32.sub, i64.extend, i64.shl).i64(-1).op(i64.xor).set(mask);
  code.branch(next).end().end();

  output(shift);
  bit(descriptor, Bit.accessed);
  code.op(i32.eqz);
  giveUpIf();
  // Hardware that keeps dirty state lets write what is read-only, and then says so in the descriptor.
  flag(Flag.dirtyState);
  bit(descriptor, Bit.dirty);
  bit(descriptor, Bit.readOnly);
  code.op(i32.and, i32.and).tee(writable);
  isKind(CacheKind.write);
  code.op(i32.and);
  giveUpIf();
  bit(descriptor, Bit.el0);
  bit(taken, Table.el0);
  code.op(i32.eqz, i32.and).set(el0);
  bit(descriptor, Bit.readOnly);
  code.op(i32.eqz).get(writable).op(i32.or);
  bit(taken, Table.write);
  code.op(i32.eqz, i32.and).set(writable);

  isKind(CacheKind.fetch);
  code.if();
  isKind(CacheKind.unprivileged);
  code.if(I32);
  bit(descriptor, Bit.execute0);
  bit(taken, Table.execute0);
  code.op(i32.or).get(el0).get(writable).op(i32.and);
  flag(Flag.writeNeverExecutes);
  code.op(i32.and, i32.or).else();
  bit(descriptor, Bit.execute1);
  bit(taken, Table.execute1);
  code.op(i32.or).get(writable).get(el0);
  flag(Flag.writeNeverExecutes);
  code.op(i32.or, i32.and, i32.or).end();
  giveUpIf();
  bit(descriptor, Bit.guarded);
  code.i32(GUARDED).op(i32.mul).set(more);
  code.else();
  isKind(CacheKind.unprivileged);
  code.op(i32.eqz, i32.eqz).get(el0).op(i32.eqz, i32.and);
  isKind(CacheKind.pan);
  code.op(i32.eqz, i32.eqz).get(el0).op(i32.and, i32.or);
  isKind(CacheKind.write);
  code.op(i32.eqz, i32.eqz).get(writable).op(i32.eqz, i32.and, i32.or);
  giveUpIf();
  // Device memory.
  code.get(walk).memory(i64.load, 3, Walk.mair);
  code.get(descriptor).i64(2).op(i64.shr).i64(7).op(i64.and).i64(3).op(i64.shl, i64.shr);
  code.i64(0xf0).op(i64.and, i64.eqz).tee(more);
  flag(Flag.aligned);
  code.op(i32.or).i32(MUST_ALIGN).op(i32.mul).set(tag);
  code.end();

  code.get(table).get(address).i64(-1).get(shift).op(i64.extend, i64.shl).i64(-1).op(i64.xor, i64.and);
  code.i64(-4096).op(i64.and, i64.or).set(place);
  code.get(room).get(place).i32(1);
  isKind(CacheKind.write | CacheKind.fetch);
  code.op(i32.shl).call(physical).tee(host).op(i32.eqz);
  giveUpIf();
  isKind(CacheKind.write);
  code.if();
  findCodePage(code, host, () => code.get(room).i32(Room.codePages).op(i32.add), at, records);
  code.get(tag).get(records).op(i32.eqz, i32.eqz).i32(CODE).op(i32.mul, i32.or).set(tag);
  code.end();

  code
    .get(address)
    .i64(12)
    .op(i64.shr, i32.wrap)
    .i32(ENTRIES - 1)
    .op(i32.and)
    .set(at);
  code.get(cache).get(at).op(i32.add).get(shift);
  bit(descriptor, Bit.notGlobal);
  code.i32(LOCAL).op(i32.mul, i32.or).memory(i32.store8, 0, TRANSLATIONS);
  bit(descriptor, Bit.notGlobal);
  code.if();
  code.get(cache).i32(1).memory(i32.store, 2, LOCALS).end();
  code.get(shift).i32(12).op(i32.gtU).if();
  code.get(cache).get(cache).memory(i32.load, 2, SIZES);
  code.i32(1).get(shift).i32(12).op(i32.sub, i32.shl, i32.or).memory(i32.store, 2, SIZES);
  code.get(address).i64(8).op(i64.shl).i64(8).op(i64.shr).get(shift).op(i64.extend, i64.shr, i32.wrap);
  code
    .i32(HASHES - 1)
    .op(i32.and)
    .get(shift)
    .op(i32.xor)
    .set(records);
  code.get(records).i32(5).op(i32.shr).i32(2).op(i32.shl).get(cache).op(i32.add).tee(room);
  code.get(room).memory(i32.load, 2, BLOCKS).i32(1).get(records).op(i32.shl, i32.or).memory(i32.store, 2, BLOCKS);
  code.end();
  code.get(at).i32(4).op(i32.shl).get(cache).op(i32.add).tee(at);
  code.get(address).i64(-4096).op(i64.and).get(tag).op(i64.extend, i64.or).memory(i64.store, 3);
  code.get(at).get(host).get(address).op(i32.wrap).i32(-4096).op(i32.and, i32.sub).memory(i32.store, 2, 8);
  code.get(at).get(more).memory(i32.store, 2, 12);
  return code.i32(1);
}
