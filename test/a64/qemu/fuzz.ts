// The fuzz of the evaluator against QEMU's user mode, row by row and in blocks.

import { extract } from "../../../lib/model/a64/bits.js";
import { vectorFeatures } from "../../../lib/model/a64/features.js";
import type { Insn } from "../../../lib/model/a64/insn.js";
import { decodeA64 } from "../../../lib/model/a64/table.js";
import type { EngineName } from "../engines.js";
import { agree, type Case, differences, type Result } from "./case.js";
import { block, hole, landing, single, trial, userRows } from "./generate.js";
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
/** How often a block is run, each time with other registers: to make one takes longer than to run it (measured). */
const TRIALS = 4;
const MOST_REPORTS = 10;

interface Drawn {
  readonly name: string;
  readonly case: Case;
  readonly rows: readonly Insn[];
}

/**
 * Judges at least `count` instructions, as they are executed: most in blocks, every row in turn alone, and words that
 * are no instruction. QEMU does one batch of cases while ours does the batch before.
 */
export async function fuzz(seed: number, count: number, engine: EngineName = "evaluator"): Promise<Fuzzed> {
  const ours = new OurUser(engine);
  const met = new Map<Insn, number>(userRows.map((row) => [row, 0]));
  const mismatches: string[] = [];
  const draw = drawer(seed);
  let instructions = 0;
  while (instructions < count && mismatches.length < MOST_REPORTS) {
    const drawn = Array.from({ length: BATCH }, draw);
    const asked = askUserJudge(drawn.map((one) => one.case));
    const before = ours.engine.executed;
    const results = drawn.map((one) => ours.run(one.case));
    instructions += ours.engine.executed - before;
    const theirs = await asked;
    const suspects: Drawn[] = [];
    for (const [n, one] of drawn.entries()) {
      if (!agree(results[n]!, theirs[n]!)) suspects.push(one);
      else for (const row of one.rows) met.set(row, met.get(row)! + 1);
    }
    const found = await unexplained(ours, suspects);
    mismatches.push(...found.slice(0, MOST_REPORTS - mismatches.length));
  }
  return { instructions, met, mismatches };
}

/** Draws case after case. */
function drawer(seed: number): () => Drawn {
  let number = 0;
  let singles = 0;
  let one: ReturnType<typeof block>;
  return () => {
    const random = new Random(Math.imul(seed, 0x85eb_ca6b) + number);
    const name = `seed ${seed}, case ${number}`;
    const turn = number++ % (TRIALS + 1);
    if (turn === 0) one = block(random);
    if (turn < TRIALS) return { name, case: trial(random, one.code), rows: one.rows };
    const at = Math.floor(number / (TRIALS + 1));
    if (at % 11 === 0) return { name, case: hole(random), rows: [] };
    if (at % 37 === 0) return { name, case: landing(random), rows: [] };
    const row = userRows[singles++ % userRows.length]!;
    return { name, case: single(random, row), rows: [row] };
  };
}

/** Reports of those of the cases that no known disagreement explains. */
async function unexplained(ours: OurUser, suspects: readonly Drawn[]): Promise<string[]> {
  if (suspects.length === 0) return [];
  const smallest = await shrink(
    ours,
    suspects.map((one) => one.case),
  );
  const theirs = await askUserJudge(smallest);
  return smallest.flatMap((c, n) =>
    knownDisagreement(c, ours.run(c), theirs[n]!) === undefined ? [report(suspects[n]!.name, ours, c, theirs[n]!)] : [],
  );
}

/** The shortest beginnings of the cases that still differ; only the last instruction, where that differs alone. */
async function shrink(ours: OurUser, cases: readonly Case[]): Promise<Case[]> {
  const prefixes = cases.map((c) => c.code.map((_, n) => ({ ...c, code: c.code.slice(0, n + 1) })));
  const results = await askUserJudge(prefixes.flat());
  const shortest = prefixes.map((all, i) => {
    const of = results.splice(0, all.length);
    const first = all.findIndex((prefix, n) => !agree(ours.run(prefix), of[n]!));
    const prefix = all[first] ?? cases[i]!;
    const before = of[first - 1];
    return { prefix, alone: before && { ...before, code: prefix.code.slice(-1), passes: 0 } };
  });
  const alone = shortest.flatMap((one) => one.alone ?? []);
  const ofAlone = await askUserJudge(alone);
  const differs = new Set(alone.filter((c, n) => !agree(ours.run(c), ofAlone[n]!)));
  return shortest.map((one) => (one.alone && differs.has(one.alone) ? one.alone : one.prefix));
}

function report(name: string, ours: OurUser, c: Case, theirs: Result): string {
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
