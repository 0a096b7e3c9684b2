// The fuzz of the evaluator against QEMU's user mode, row by row and in blocks.

import { extract } from "../../../lib/model/a64/bits.js";
import { vectorFeatures } from "../../../lib/model/a64/features.js";
import type { Insn } from "../../../lib/model/a64/insn.js";
import { decodeA64 } from "../../../lib/model/a64/table.js";
import type { EngineName } from "../engines.js";
import { agree, type Case, differences } from "./case.js";
import { block, hole, landing, single, userRows } from "./generate.js";
import { OurUser } from "./ours.js";
import { Random } from "./random.js";
import { knownDisagreement } from "./unjudged.js";
import { askUserJudge } from "./user-judge.js";

export interface Fuzzed {
  readonly instructions: number;
  /** How often each row was met in a case that both machines agree on. */
  readonly met: ReadonlyMap<Insn, number>;
  /** Readable reports, each of one smallest case. */
  readonly mismatches: readonly string[];
}

const BATCH = 4000;
const MOST_REPORTS = 10;

/**
 * Judges at least `count` instructions, as they are executed: most in blocks, every row in turn alone, and words that
 * are no instruction.
 */
export function fuzz(seed: number, count: number, engine: EngineName = "evaluator"): Fuzzed {
  const ours = new OurUser(engine);
  const met = new Map<Insn, number>(userRows.map((row) => [row, 0]));
  const mismatches: string[] = [];
  let instructions = 0;
  let number = 0;
  let singles = 0;
  while (instructions < count && mismatches.length < MOST_REPORTS) {
    const cases = Array.from({ length: BATCH }, () => {
      const random = new Random(Math.imul(seed, 0x85eb_ca6b) + number);
      const name = `seed ${seed}, case ${number}`;
      number++;
      if (number % 3 !== 0) return { name, ...block(random) };
      if (number % 11 === 0) return { name, case: hole(random), rows: [] };
      if (number % 37 === 0) return { name, case: landing(random), rows: [] };
      const row = userRows[singles++ % userRows.length]!;
      return { name, case: single(random, row), rows: [row] };
    });
    const theirs = askUserJudge(cases.map(({ case: c }) => c));
    for (const [n, { name, case: c, rows }] of cases.entries()) {
      const before = ours.engine.executed;
      const result = ours.run(c);
      instructions += ours.engine.executed - before;
      if (agree(result, theirs[n]!)) {
        for (const row of rows) met.set(row, met.get(row)! + 1);
        continue;
      }
      const smallest = shrink(ours, c);
      const [known] = askUserJudge([smallest]);
      if (knownDisagreement(smallest, ours.run(smallest), known!) !== undefined) continue;
      mismatches.push(report(name, ours, smallest));
      if (mismatches.length === MOST_REPORTS) break;
    }
  }
  return { instructions, met, mismatches };
}

/** The shortest beginning of the case that still differs; only its last instruction, if that differs alone. */
function shrink(ours: OurUser, c: Case): Case {
  const prefixes = c.code.map((_, n) => ({ ...c, code: c.code.slice(0, n + 1) }));
  const results = askUserJudge(prefixes);
  const first = prefixes.findIndex((prefix, n) => !agree(ours.run(prefix), results[n]!));
  const prefix = prefixes[first] ?? c;
  const before = results[first - 1];
  if (before === undefined) return prefix;
  const alone = { ...before, code: prefix.code.slice(-1), passes: 0 };
  return agree(ours.run(alone), askUserJudge([alone])[0]!) ? prefix : alone;
}

function report(name: string, ours: OurUser, c: Case): string {
  const theirs = askUserJudge([c])[0]!;
  const code = c.code.map((word) => `${word.toString(16).padStart(8, "0")} ${decodeA64(word)?.name ?? "unallocated"}`);
  const used = new Set(c.code.flatMap((word) => registersOf(word)));
  const vectors = [...used]
    .flatMap((n) => [c.v.words[2 * n + 1]!, c.v.words[2 * n]!].map((w) => w.toString(16).padStart(16, "0")))
    .map((text, n) => (n % 2 === 0 ? ` v${[...used][n >> 1]}=` : "") + text);
  const registers = [...used].map((n) => (n === 31 ? `sp=${c.sp.toString(16)}` : `x${n}=${c.x[n]!.toString(16)}`));
  return [
    name,
    ...code,
    `before: nzcv=${c.nzcv.toString(16)} fpcr=${c.v.fpcr.toString(16)} fpsr=${c.v.fpsr.toString(16)} ${registers.join(" ")}`,
    ...(usesVectors(c) ? [vectors.join("")] : []),
    `  ${"ours".padEnd(44)}QEMU`,
    ...differences(ours.run(c), theirs),
  ].join("\n");
}

const usesVectors = (c: Case): boolean =>
  c.code.some((word) => decodeA64(word)?.needs.some((feature) => vectorFeatures.has(feature)));

/** The general registers that an instruction names. */
function registersOf(word: number): number[] {
  const row = decodeA64(word);
  if (row === undefined) return [];
  return Object.entries(extract(row.encoding, word)).flatMap(([name, n]) => (/^r[dnmats]2?$/.test(name) ? [n] : []));
}
