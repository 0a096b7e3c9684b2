// An instruction is one row: name, bits, meaning.

import { type Encoding, type Fields, parseBits } from "./bits.js";
import type { Feature } from "./features.js";
import type { Machine } from "./machine.js";

/** A meaning: fields are known when translating, what `m` hands out only when running. */
export type Semantics<F> = (m: Machine, fields: F) => void;

/** A row of the table. */
export interface Insn {
  /** As in the Arm ARM, with the variant in parentheses. */
  readonly name: string;
  /** The row as it is written. */
  readonly bits: string;
  readonly encoding: Encoding;
  /** The word is UNDEFINED where the ID registers do not promise all of these. */
  readonly needs: readonly Feature[];
  /** null: not written yet. */
  readonly run: Semantics<Readonly<Record<string, number>>> | null;
}

/** An instruction whose meaning is there. */
export function insn<const Bits extends string>(
  name: string,
  bits: Bits,
  run: Semantics<Fields<Bits>>,
  ...needs: Feature[]
): Insn {
  // The decoder hands every meaning exactly the fields that its own row names.
  return { name, bits, encoding: parseBits(bits), needs, run: run as unknown as NonNullable<Insn["run"]> };
}

/** The same for notation that is put together from parts, which the compiler cannot read: `F` is what it names. */
export function composed<F>(name: string, bits: string, run: Semantics<F>, ...needs: Feature[]): Insn {
  return { name, bits, encoding: parseBits(bits), needs, run: run as unknown as NonNullable<Insn["run"]> };
}

/** An instruction, or a whole encoding space, whose meaning is not written yet: listed and counted. */
export function todo(name: string, bits: string, ...needs: Feature[]): Insn {
  return { name, bits, encoding: parseBits(bits), needs, run: null };
}
