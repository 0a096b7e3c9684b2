// Pointers that were signed or authenticated before, with what came of it: a cipher is slow, and code does the same again.
// The table lies in the memory, and generated code fills it; behind it stands what the results depend on.

import { type SysRegName, sysRegIndex } from "../../../arm64/sysregs.js";
import type { PacKey } from "../../a64/machine.js";
import { Level, PointerAuth, pacKeys } from "../../cpu/pointer-auth.js";
import { type CpuState, cells } from "../../cpu/state.js";
import { Code, I32, I64, type Local, type Module } from "./binary.js";
import { i32, i64, select } from "./opcodes.js";
import { qarmaHelper } from "./qarma.js";

/** log2 of the entries. An entry: pointer, modifier, result (64 bits each), and a word for the kind. */
const BITS = 11;
const ENTRY = 32;
const RESULT = 16;
const KIND = 24;
const ENTRIES_BYTES = ENTRY << BITS;

/** Behind the entries: the bits of a pointer that are not address, and below a tag; words; keys. */
const Known = {
  /** By the range of the pointer. */
  above: ENTRIES_BYTES,
  /** By the range, for instructions and then for data. */
  below: ENTRIES_BYTES + 16,
  /** The bit that says the range of a pointer to be signed: of instructions, of data. */
  rangeBit: ENTRIES_BYTES + 48,
  level: ENTRIES_BYTES + 64,
  /** Of each key, 1 where it is enabled. */
  enabled: ENTRIES_BYTES + 68,
  /** Of each key its upper and its lower half. */
  keys: ENTRIES_BYTES + 88,
  /** What signing gives, for whoever asked. */
  signed: ENTRIES_BYTES + 152,
  /** Of each key what entries made with it have beside their kind. */
  ids: ENTRIES_BYTES + 160,
} as const;
export const POINTER_TABLE_BYTES = Known.ids + 16;
const ID_SHIFT = 8;
/** When there are so many, all is forgotten. */
const MOST_IDS = 1 << 20;

export type PointerUse = "sign" | "alone" | "combined";

const keys: readonly PacKey[] = ["IA", "IB", "DA", "DB"];
const uses: readonly PointerUse[] = ["sign", "alone", "combined"];

/** Never 0: that is no entry. */
export function pointerKind(use: PointerUse, key: PacKey): number {
  return 1 + uses.indexOf(use) * keys.length + keys.indexOf(key);
}

const cellOf = (name: SysRegName): number => cells.sysregs + sysRegIndex(name);
/** What all results depend on. */
const registers = (["TCR_EL1", "ID_AA64ISAR1_EL1", "ID_AA64ISAR2_EL1", "ID_AA64MMFR2_EL1"] as const).map(cellOf);
const SCTLR = cellOf("SCTLR_EL1");
/** And what those of one key depend on: two cells, and a bit of SCTLR_EL1. */
const keyCells = keys.map((key) => {
  const { low, high, enable } = pacKeys[key];
  return { low: cellOf(low), high: cellOf(high), enable };
});

const MULTIPLIERS = [0x9e37_79b1, 0x85eb_ca6b, 0x27d4_eb2f] as const;

export class PointerTable {
  private readonly view: DataView;
  private readonly seen = new BigUint64Array(registers.length);
  /** Of each key: its halves, and whether it is enabled. */
  private readonly seenKeys = new BigUint64Array(3 * keys.length);
  private readonly ids = new Map<string, number>();
  private readonly authentication: PointerAuth;

  constructor(
    private readonly state: CpuState,
    offset: number,
  ) {
    this.view = new DataView(state.memory.buffer, offset, POINTER_TABLE_BYTES);
    this.authentication = new PointerAuth(state);
    this.clear();
  }

  /** Looks whether the keys or what else counts have changed. */
  look(): void {
    const { quads } = this.state;
    for (let n = 0; n < registers.length; n++) {
      if (quads[registers[n]!] === this.seen[n]) continue;
      this.clear();
      return;
    }
    for (let n = 0; n < keyCells.length; n++) this.lookAtKey(n, "changed");
  }

  private lookAtKey(n: number, which: "changed" | "any"): void {
    const { view, seenKeys } = this;
    const { quads } = this.state;
    const { low, high, enable } = keyCells[n]!;
    const enabled = (quads[SCTLR]! & enable) === 0n ? 0n : 1n;
    const [lower, upper] = [quads[low]!, quads[high]!];
    const at = 3 * n;
    if (which === "changed" && lower === seenKeys[at] && upper === seenKeys[at + 1] && enabled === seenKeys[at + 2])
      return;
    seenKeys[at] = lower;
    seenKeys[at + 1] = upper;
    seenKeys[at + 2] = enabled;
    view.setInt32(Known.enabled + 4 * n, Number(enabled), true);
    view.setBigUint64(Known.keys + 16 * n, upper, true);
    view.setBigUint64(Known.keys + 16 * n + 8, lower, true);
    view.setInt32(Known.ids + 4 * n, this.id(enabled === 0n ? "" : `${upper},${lower}`) << ID_SHIFT, true);
  }

  /** A number for a key: what was made with it is known again when it comes back. */
  private id(key: string): number {
    let id = this.ids.get(key);
    if (id === undefined) {
      if (this.ids.size === MOST_IDS) {
        this.ids.clear();
        this.forget();
      }
      id = this.ids.size + 1;
      this.ids.set(key, id);
    }
    return id;
  }

  private forget(): void {
    new Uint8Array(this.view.buffer, this.view.byteOffset, ENTRIES_BYTES).fill(0);
  }

  /** Forgets all pointers, and writes down what counts now. */
  clear(): void {
    const { state, view, authentication } = this;
    for (const [n, cell] of registers.entries()) this.seen[n] = state.quads[cell]!;
    this.forget();
    for (const upper of [0, 1] as const) {
      view.setBigUint64(Known.above + 8 * upper, authentication.above(upper), true);
      for (const [n, kind] of (["instruction", "data"] as const).entries())
        view.setBigUint64(Known.below + 16 * n + 8 * upper, authentication.below(upper, kind), true);
    }
    for (const [n, kind] of (["instruction", "data"] as const).entries())
      view.setBigUint64(Known.rangeBit + 8 * n, BigInt(authentication.rangeBit(kind)), true);
    view.setInt32(Known.level, authentication.level, true);
    for (let n = 0; n < keyCells.length; n++) this.lookAtKey(n, "any");
  }
}

/** Where the entry of a pointer is. */
function entryAt(code: Code, table: Local, kind: Local, pointer: Local, modifier: Local): void {
  code.get(pointer).i64(2).op(i64.shr, i32.wrap).i32(MULTIPLIERS[0]).op(i32.mul);
  code.get(modifier).i64(4).op(i64.shr, i32.wrap).i32(MULTIPLIERS[1]).op(i32.mul, i32.xor);
  code.get(kind).i32(MULTIPLIERS[2]).op(i32.mul, i32.xor);
  code
    .i32(32 - BITS)
    .op(i32.shr)
    .i32(Math.log2(ENTRY))
    .op(i32.shl);
  code.get(table).op(i32.add);
}

/** On the stack: the kind, with what belongs to its key. */
function keyedKind(code: Code, table: Local, kind: Local): void {
  code.get(kind).get(table).get(kind).i32(1).op(i32.sub).i32(3).op(i32.and).i32(2).op(i32.shl, i32.add);
  code.memory(i32.load, 2, Known.ids).op(i32.or);
}

/** On the stack: where the result is, or 0. */
function lookedUp(code: Code, at: Local, table: Local, kind: Local, pointer: Local, modifier: Local): void {
  code.get(at).i32(RESULT).op(i32.add).i32(0);
  code.get(at).memory(i64.load, 3).get(pointer).op(i64.eq);
  code.get(at).memory(i64.load, 3, 8).get(modifier).op(i64.eq, i32.and);
  code.get(at).memory(i32.load, 2, KIND);
  keyedKind(code, table, kind);
  code.op(i32.eq, i32.and);
  code.op(select);
}

/** Code of `pointer(table, kind, pointer, modifier)`: where the result is; 0: not known. */
export function pointerHelper(): Code {
  const code = new Code(4);
  const at = code.local(I32);
  entryAt(code, 0, 1, 2, 3);
  code.set(at);
  lookedUp(code, at, 0, 1, 2, 3);
  return code;
}

/** The same where what is not known is computed; 0: the authentication fails with an exception. */
export function pointerFunction(module: Module): number {
  const qarma = module.function([I64, I64, I64, I64], [I64], null, qarmaHelper());
  const sign = module.function([I32, I32, I64, I64], [I32], null, computed(qarma));
  const code = new Code(4);
  const at = code.local(I32);
  entryAt(code, 0, 1, 2, 3);
  code.set(at);
  lookedUp(code, at, 0, 1, 2, 3);
  code.tee(at).op(i32.eqz).if();
  code.get(0).get(1).get(2).get(3).call(sign).set(at).end();
  return module.function([I32, I32, I64, I64], [I32], null, code.get(at));
}

const BIT55 = 1n << 55n;

/** AddPAC and Auth of cpu/pointer-auth.ts, into the table. */
function computed(qarma: number): Code {
  const code = new Code(4);
  const [table, kind, pointer, modifier] = [0, 1, 2, 3];
  const word = () => code.local(I32);
  const quad = () => code.local(I64);
  const [key, use, data, high, upper, level, at] = [word(), word(), word(), word(), word(), word(), word()];
  const [mask, bits, original, pac, result] = [quad(), quad(), quad(), quad(), quad()];
  const inverse = (local: Local) => code.get(local).i64(-1).op(i64.xor);
  /** From an array of `1 << log2` bytes each, by an index. */
  const element = (index: () => void, log2: number) => {
    code.get(table);
    index();
    return code.i32(log2).op(i32.shl, i32.add);
  };
  const remember = () => {
    code.get(at).get(pointer).memory(i64.store, 3);
    code.get(at).get(modifier).memory(i64.store, 3, 8);
    code.get(at).get(result).memory(i64.store, 3, RESULT);
    code.get(at);
    keyedKind(code, table, kind);
    code.memory(i32.store, 2, KIND);
  };

  /** The result is remembered, and returned. */
  const inEntry = () => {
    entryAt(code, table, kind, pointer, modifier);
    code.set(at);
    remember();
    code.get(at).i32(RESULT).op(i32.add).return();
  };

  code.get(kind).i32(1).op(i32.sub).tee(key).i32(2).op(i32.shr).set(use);
  code.get(key).i32(3).op(i32.and).tee(key).i32(1).op(i32.shr).set(data);
  code.get(table).memory(i32.load, 2, Known.level).set(level);
  element(() => code.get(key), 2).memory(i32.load, 2, Known.enabled);
  code.op(i32.eqz).get(level).op(i32.eqz, i32.or).if();
  code.get(pointer).set(result);
  inEntry();
  code.end();
  code.get(pointer).i64(55).op(i64.shr, i32.wrap).i32(1).op(i32.and).tee(high);
  code.get(pointer);
  element(() => code.get(data), 3).memory(i64.load, 3, Known.rangeBit);
  code.op(i64.shr, i32.wrap).i32(1).op(i32.and);
  code.get(use).op(select).set(upper);
  element(() => code.get(data).i32(1).op(i32.shl).get(high).op(i32.add), 3).memory(i64.load, 3, Known.below);
  element(() => code.get(upper), 3).memory(i64.load, 3, Known.above);
  code.op(i64.and).tee(mask).i64(~BIT55).op(i64.and).set(bits);
  inverse(mask);
  code.get(pointer).op(i64.and).get(mask).i64(0).get(upper).op(select, i64.or).tee(original).get(modifier);
  for (const half of [0, 8]) element(() => code.get(key), 4).memory(i64.load, 3, Known.keys + half);
  code.call(qarma).set(pac);

  code.get(use).op(i32.eqz).if();
  // A pointer that is not one gives a code that is not right.
  code.get(pointer).get(mask).op(i64.and).tee(result).op(i64.eqz, i32.eqz);
  code.get(result).get(mask).op(i64.ne, i32.and).if();
  code.get(level).i32(Level.zeroCode).op(i32.eq).if();
  code.i64(0).set(pac).else();
  code.get(level).i32(Level.exclusiveOr).op(i32.ltU).if();
  code
    .get(pac)
    .i64(1n << 62n)
    .i64(1n << 54n)
    .get(mask)
    .i64(63)
    .op(i64.shr, i32.wrap, select, i64.xor)
    .set(pac)
    .end();
  code.end().end();
  code.get(pac).get(pac).get(pointer).op(i64.xor).get(level).i32(Level.exclusiveOr).op(i32.ltU, select);
  code.get(bits).op(i64.and);
  inverse(mask);
  code.get(pointer).op(i64.and, i64.or).i64(BIT55).i64(0).get(upper).op(select, i64.or).set(result);
  entryAt(code, table, kind, pointer, modifier);
  code.set(at);
  remember();
  // What an address was signed for follows.
  code.get(pointer).get(original).op(i64.eq).get(upper).get(high).op(i32.eq, i32.and).if();
  code.get(result).set(original).get(pointer).set(result).get(original).set(pointer);
  code.get(kind).i32(keys.length).op(i32.add).set(kind);
  entryAt(code, table, kind, pointer, modifier);
  code.set(at);
  remember();
  code.get(original).set(result).end();
  code.get(table).get(result).memory(i64.store, 3, Known.signed).get(table).i32(Known.signed).op(i32.add).return();
  code.else();

  code.get(level).i32(Level.exclusiveOr).op(i32.ltU).if();
  code.get(pac).get(pointer).op(i64.xor).get(bits).op(i64.and, i64.eqz).if();
  code.get(original).set(result).else();
  code.i64(61).i64(53).get(mask).i64(63).op(i64.shr, i32.wrap, select).set(pac);
  code.get(original).i64(3).get(pac).op(i64.shl).i64(-1).op(i64.xor, i64.and);
  code.get(key).i32(1).op(i32.and).i32(1).op(i32.add, i64.extend).get(pac).op(i64.shl, i64.or).set(result);
  code.end().else();
  code.get(pointer).get(pac).get(bits).op(i64.and, i64.xor).tee(result).get(original).op(i64.ne);
  code.get(level).i32(Level.combinedFault).op(i32.geU);
  code.get(level).i32(Level.faults).op(i32.eq).get(use).i32(uses.indexOf("alone")).op(i32.eq, i32.and, i32.or);
  code.op(i32.and).if();
  code.i32(0).return().end();
  code.end().end();
  inEntry();
  return code.i32(0);
}

/** Code of `strip(table, data, pointer)`; `data`: 1, a pointer to data. */
export function stripHelper(): Code {
  const code = new Code(3);
  const [table, data, pointer] = [0, 1, 2];
  const high = code.local(I32);
  const mask = code.local(I64);
  code.get(table).memory(i32.load, 2, Known.level).op(i32.eqz).if();
  code.get(pointer).return().end();
  code.get(pointer).i64(55).op(i64.shr, i32.wrap).i32(1).op(i32.and).set(high);
  code.get(table).get(data).i32(1).op(i32.shl).get(high).op(i32.add).i32(3).op(i32.shl, i32.add);
  code.memory(i64.load, 3, Known.below);
  code.get(table).get(high).i32(3).op(i32.shl, i32.add).memory(i64.load, 3, Known.above);
  code.op(i64.and).set(mask);
  code.get(pointer).get(mask).i64(-1).op(i64.xor, i64.and);
  code.get(mask).i64(0).get(high).op(select);
  return code.op(i64.or);
}
