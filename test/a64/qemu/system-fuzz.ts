// The fuzz of the evaluator against QEMU's system mode, kind by kind.

import { decodeA64 } from "../../../lib/model/a64/table.js";
import { OurSystem } from "./our-system.js";
import { Random } from "./random.js";
import { type SystemCase, systemDifferences } from "./system-case.js";
import { systemCase } from "./system-generate.js";
import { askSystemJudge } from "./system-judge.js";
import { systemDisagreement } from "./unjudged.js";

export interface SystemFuzzed {
  readonly cases: number;
  /** Names of the rows that were met in cases that both machines agree on. */
  readonly met: ReadonlySet<string>;
  readonly mismatches: readonly string[];
}

const MOST_REPORTS = 10;

const BATCH = 5000;

/** Judges `count` cases, kind by kind in turn. */
export function systemFuzz(seed: number, count: number): SystemFuzzed {
  const met = new Set<string>();
  const mismatches: string[] = [];
  let cases = 0;
  while (cases < count && mismatches.length < MOST_REPORTS) {
    const first = cases;
    const drawn = Array.from({ length: Math.min(BATCH, count - first) }, (_, n) =>
      systemCase(new Random(Math.imul(seed, 0x85eb_ca6b) + first + n), first + n),
    );
    // The vector registers begin as zero on both machines, and are handed on from case to case.
    const ours = new OurSystem();
    const theirs = askSystemJudge(drawn.map(({ case: c }) => c));
    for (const [n, { kind, case: c }] of drawn.entries()) {
      const result = ours.run(c);
      const rows = systemDifferences(result, theirs[n]!);
      const names = c.code.map((word) => decodeA64(word)?.name ?? "unallocated");
      if (rows.length === 0) for (const name of names) met.add(name);
      else if (systemDisagreement(c, result, theirs[n]!) === undefined && mismatches.length < MOST_REPORTS) {
        mismatches.push([`seed ${seed}, case ${first + n}, ${kind}`, ...before(c, names), ...rows].join("\n"));
      }
    }
    cases += drawn.length;
  }
  return { cases, met, mismatches };
}

function before(c: SystemCase, names: string[]): string[] {
  return [
    ...c.code.map((word, n) => `${word.toString(16).padStart(8, "0")} ${names[n]}`),
    `pstate=${c.pstate.toString(16)} sctlr=${c.sctlr.toString(16)} cpacr=${c.cpacr.toString(16)} cntkctl=${c.cntkctl.toString(16)}`,
    `x0-x5: ${c.x
      .slice(0, 6)
      .map((v) => v.toString(16))
      .join(" ")}`,
    `  ${"ours".padEnd(36)}QEMU`,
  ];
}
