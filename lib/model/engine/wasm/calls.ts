// What generated code asks JavaScript for in the middle of an instruction, with its own state where it is. Operands and
// results stand in the block.

import type { Evaluator } from "../evaluator.js";
import { I32, type Module } from "./binary.js";
import type { CodeCache } from "./code-cache.js";
import { Block } from "./record.js";

export interface CallImports {
  /** CNTVCT_EL0 into the operand. */
  counter(): void;
  /** TLBI by the operand; 0: the evaluator does it. */
  invalidate(id: number): number;
  /** IC by address: `changed` is where the instructions of that page differ from their records, or 0. */
  instructions(changed: number): void;
  /** MSR of the operand; 0: the evaluator does it. */
  write(id: number): number;
}

/** Indices of functions. */
export type Calls = Readonly<Record<keyof CallImports, number>>;

export function importCalls(module: Module): Calls {
  return {
    counter: module.import("counter", [], []),
    invalidate: module.import("invalidate", [I32], [I32]),
    instructions: module.import("instructions", [I32], []),
    write: module.import("write", [I32], [I32]),
  };
}

export function callsOf(evaluator: Evaluator, code: CodeCache, block: Int32Array, refresh: () => void): CallImports {
  const operand = new BigUint64Array(block.buffer, block.byteOffset + Block.operand * 4, 1);
  const others = () => {
    evaluator.invalidateOthers();
    block[Block.invalidating] = evaluator.invalidating ? 1 : 0;
  };
  return {
    counter() {
      operand[0] = evaluator.counter();
    },
    invalidate(id) {
      if (!evaluator.invalidate(id, operand[0]!)) return 0;
      others();
      return 1;
    },
    instructions(changed) {
      if (changed !== 0) code.changed(changed >>> 0);
      others();
    },
    write(id) {
      if (!evaluator.writeSilently(id, operand[0]!)) return 0;
      refresh();
      return 1;
    },
  };
}
