// Legs side by side: each prints as if it were alone.

import { availableParallelism, totalmem } from "node:os";
import type { LegResult } from "./report.js";

export interface Leg {
  readonly name: string;
  /** Never rejects for what a test or a missing tool did: that is in the result. */
  readonly run: (print: (line: string) => void) => Promise<LegResult>;
}

/** What an emulated arm64 host takes of this machine: a processor, and its memory with QEMU's own. */
const hostBytes = 3 * 2 ** 30;

/** How many emulated hosts this machine can bear at once. */
export const legsAtOnce = (): number =>
  Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / hostBytes)));

/**
 * Runs legs, at most `atOnce` at a time, in their order. The first that has not ended prints at once; what those after it
 * print comes when it is their turn, so that no two are mixed.
 */
export async function runLegs(
  legs: readonly Leg[],
  atOnce: number,
  print: (line: string) => void,
): Promise<LegResult[]> {
  const results = new Map<number, LegResult>();
  const waiting = legs.map((): string[] => []);
  let turn = 0;
  const show = (): void => {
    for (; turn < legs.length; turn++) {
      for (const line of waiting[turn]?.splice(0) ?? []) print(line);
      if (!results.has(turn)) return;
    }
  };
  const queue = legs.entries();
  const work = async (): Promise<void> => {
    for (const [index, leg] of queue) {
      const tell = (line: string): void => {
        waiting[index]?.push(line);
        if (index === turn) show();
      };
      tell(`\n${leg.name}`);
      results.set(index, await leg.run(tell));
      show();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return legs.map((_, index) => results.get(index) as LegResult);
}
