// Which registers are in locals where: loaded at the entry if their value there counts, stored at exits if they may have
// been written. An exit counts what it stores.

import { FLAGS, NONE, type Registers } from "./instruction.js";
import { successors } from "./region.js";
import type { Node, Structure } from "./structure.js";

export interface Known {
  /** Written since the entry or the last call, perhaps, when the block begins; and when it ends. */
  dirtyBefore: Registers;
  dirtyAfter: Registers;
  /** Whose values count when the block begins. */
  live: Registers;
}

export class Liveness {
  private readonly known: Known[];

  constructor(private readonly structure: Structure) {
    this.known = structure.order.map(() => ({ dirtyBefore: NONE, dirtyAfter: NONE, live: NONE }));
    while (this.spread());
    while (this.gather());
  }

  of(node: Node): Known {
    return this.known[node.number]!;
  }

  /** What may be dirty, forward. */
  private spread(): boolean {
    let changed = false;
    for (const node of this.structure.order) {
      const known = this.of(node);
      known.dirtyAfter = known.dirtyBefore;
      for (const { writes } of node.block.instructions) known.dirtyAfter |= writes;
      // A call finds everything in memory.
      const out = node.block.end.kind === "call" ? NONE : known.dirtyAfter;
      for (const to of successors(node.block)) {
        const next = this.structure.target(node, to);
        if (next === null) continue;
        const there = this.of(next);
        if ((there.dirtyBefore | out) === there.dirtyBefore) continue;
        there.dirtyBefore |= out;
        changed = true;
      }
    }
    return changed;
  }

  /** What counts, backward. */
  private gather(): boolean {
    let changed = false;
    for (const node of this.structure.order.toReversed()) {
      const known = this.of(node);
      const live = this.liveBefore(node, known);
      if (live === known.live) continue;
      known.live = live;
      changed = true;
    }
    return changed;
  }

  private liveBefore(node: Node, { dirtyBefore, dirtyAfter }: Known): Registers {
    const { block } = node;
    let live = NONE;
    let leaves = block.end.kind === "leave" || block.end.kind === "register" || block.end.kind === "call";
    if (block.end.kind !== "call") {
      for (const to of successors(block)) {
        const next = this.structure.target(node, to);
        if (next !== null) live |= this.of(next).live;
        // Where it goes back, it may have to leave.
        if (next === null || next.number <= node.number) leaves = true;
      }
    }
    if (leaves) live |= dirtyAfter;
    const dirtyAt: Registers[] = [];
    let dirty = dirtyBefore;
    for (const { writes } of block.instructions) {
      dirtyAt.push(dirty);
      dirty |= writes;
    }
    for (const [n, { reads, writes, mayFail }] of [...block.instructions.entries()].reverse()) {
      live = (live & ~writes) | reads;
      if (mayFail) live |= dirtyAt[n]!;
    }
    return live;
  }
}

/** The numbers of the registers of a set, without the flags. */
export function numbersOf(registers: Registers): number[] {
  const out: number[] = [];
  for (let rest = registers & ~FLAGS, n = 0; rest !== 0n; rest >>= 1n, n++) if ((rest & 1n) === 1n) out.push(n);
  return out;
}
