// Pointers that were signed or authenticated before, with what came of it: a cipher is slow, and code does the same again.
// The table lies in the memory; generated code looks into it, and the evaluator, which computes, fills it.

import { sysRegIndex, sysRegs } from "../../../arm64/sysregs.js";
import type { PacKey } from "../../a64/machine.js";
import { type CpuState, cells } from "../../cpu/state.js";
import { Code, I32 } from "./binary.js";

/** log2 of the entries. An entry: pointer, modifier, result (64 bits each), and a word for the kind. */
const BITS = 11;
const ENTRY = 32;
const RESULT = 16;
const KIND = 24;
export const POINTER_TABLE_BYTES = ENTRY << BITS;

export type PointerUse = "sign" | "alone" | "combined";

const keys: readonly PacKey[] = ["IA", "IB", "DA", "DB"];
const uses: readonly PointerUse[] = ["sign", "alone", "combined"];

/** Never 0: that is no entry. */
export function pointerKind(use: PointerUse, key: PacKey): number {
  return 1 + uses.indexOf(use) * keys.length + keys.indexOf(key);
}

/** What the results depend on. */
const registers: readonly number[] = sysRegs
  .filter(({ name }) => /^(AP[ID][AB]KEY(LO|HI)_EL1|SCTLR_EL1|TCR_EL1|ID_AA64ISAR1_EL1|ID_AA64MMFR2_EL1)$/.test(name))
  .map(({ name }) => cells.sysregs + sysRegIndex(name));

const MULTIPLIERS = [0x9e37_79b1, 0x85eb_ca6b, 0x27d4_eb2f] as const;

export class PointerTable {
  private readonly words: Int32Array;
  private readonly quads: BigUint64Array;
  private readonly seen = new BigUint64Array(registers.length);
  private isEmpty = true;

  constructor(
    private readonly state: CpuState,
    offset: number,
  ) {
    const { buffer } = state.memory;
    this.words = new Int32Array(buffer, offset, POINTER_TABLE_BYTES / 4);
    this.quads = new BigUint64Array(buffer, offset, POINTER_TABLE_BYTES / 8);
  }

  /** Looks whether the keys or what else counts have changed. */
  look(): void {
    const { quads } = this.state;
    if (registers.every((cell, n) => quads[cell] === this.seen[n])) return;
    for (const [n, cell] of registers.entries()) this.seen[n] = quads[cell]!;
    if (!this.isEmpty) this.clear();
  }

  clear(): void {
    this.words.fill(0);
    this.isEmpty = true;
  }

  remember(kind: number, pointer: bigint, modifier: bigint, result: bigint): void {
    const hash =
      Math.imul(Number((pointer >> 2n) & 0xffff_ffffn), MULTIPLIERS[0]) ^
      Math.imul(Number((modifier >> 4n) & 0xffff_ffffn), MULTIPLIERS[1]) ^
      Math.imul(kind, MULTIPLIERS[2]);
    const at = (hash >>> (32 - BITS)) * ENTRY;
    this.quads[at / 8] = pointer;
    this.quads[at / 8 + 1] = modifier;
    this.quads[(at + RESULT) / 8] = result;
    this.words[(at + KIND) / 4] = kind;
    this.isEmpty = false;
  }
}

/** Code of `pointer(table, kind, pointer, modifier)`: where the result is; 0: not known. */
export function pointerHelper(): Code {
  const code = new Code(4);
  const [table, kind, pointer, modifier] = [0, 1, 2, 3];
  const at = code.local(I32);
  code.get(pointer).i64(2).op(0x88, 0xa7).i32(MULTIPLIERS[0]).op(0x6c);
  code.get(modifier).i64(4).op(0x88, 0xa7).i32(MULTIPLIERS[1]).op(0x6c, 0x73);
  code.get(kind).i32(MULTIPLIERS[2]).op(0x6c, 0x73);
  code
    .i32(32 - BITS)
    .op(0x76)
    .i32(Math.log2(ENTRY))
    .op(0x74);
  code.get(table).op(0x6a).set(at);
  code.get(at).i32(RESULT).op(0x6a).i32(0);
  code.get(at).memory(0x29, 3).get(pointer).op(0x51);
  code.get(at).memory(0x29, 3, 8).get(modifier).op(0x51, 0x71);
  code.get(at).memory(0x28, 2, KIND).get(kind).op(0x46, 0x71);
  code.op(0x1b);
  return code;
}
