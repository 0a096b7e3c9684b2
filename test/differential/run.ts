// A differential run, on this machine: it makes the sequences, has the emulated host asked (line.ts), replays the answers
// on the model and judges what was met. Its parent is told by messages what happens (Told).

import { parseArgs } from "node:util";
import type { SystemFd } from "../../lib/backend.js";
import type { TestEvent } from "../../scripts/test/report.js";
import { type Difference, judgeAnswers, lastDifference } from "./compare.js";
import { Coverage } from "./coverage.js";
import type { HostFacts } from "./generate/maker.js";
import { makeSequence } from "./generate/sequences.js";
import { knownHits } from "./known.js";
import { Line } from "./line.js";
import type { Sequence } from "./op.js";
import { printedTest } from "./printed-test.js";
import { judge } from "./promised.js";
import type { Answers } from "./reference.js";
import { shrink } from "./shrink.js";
import { openSubject, servedFacts } from "./subject.js";

/** `at`: a sign of life. */
export type Told =
  | { readonly kind: "at"; readonly what: string }
  | { readonly kind: "line"; readonly text: string }
  | { readonly kind: "test"; readonly event: TestEvent };

const { values } = parseArgs({
  options: {
    /** The socket of the host's port. */
    socket: { type: "string" },
    /** SEED:CALLS, repeatable. */
    run: { type: "string", multiple: true },
    /** Of the only seed, these sequences alone, by commas. */
    only: { type: "string" },
    /** How often a sequence may be run to shrink it. */
    shrink: { type: "string" },
    /** Fails for what was not met. */
    coverage: { type: "boolean" },
  },
});

/** Sequences that were asked for and not judged yet. */
const AHEAD = 40;
/** Calls that make one test of the report. */
const SHARE = 10_000;
/** Of more there is nothing to learn. */
const MOST_FAILURES = 500;
/** What is left of a sequence may be a guest that comes to no end, which takes minutes each time. */
const MOST_ENDLESS = 2;
const most = Number(values.shrink ?? 400);

const tell = (told: Told): void => {
  process.send?.(told);
};
const say = (text: string): void => tell({ kind: "line", text });

const { line, hello } = await Line.open(values.socket ?? "");
const { kernel } = hello;
const facts: HostFacts = servedFacts(hello.facts);
const subject: SystemFd = openSubject(kernel, hello.capture ?? "{}");
const coverage = new Coverage();
const shrunkBefore = new Set<string>();
const suite = `differential ${kernel}`;
let failures = 0;
let unsteady = 0;

/** Differences that probably have one cause. */
const signature = ({ op, what, reference, subject }: Difference): string =>
  [
    op.verb,
    what,
    ...[reference, subject].map((text) => (what === "answer" ? text : text.replace(/(0x)?[0-9a-f]{2,}.*/, ""))),
  ].join(" ");

async function shrunk(sequence: Sequence, difference: Difference): Promise<string> {
  const like = signature(difference);
  if (shrunkBefore.has(like) || most === 0) return "";
  shrunkBefore.add(like);
  let shown = difference;
  let endless = 0;
  const failing = sequence.slice(0, difference.at + 1);
  const shortest = await shrink(
    failing,
    async (candidate) => {
      tell({ kind: "at", what: "shrinking" });
      if (endless === MOST_ENDLESS) return false;
      const found = await lastDifference(line, subject, candidate).catch(() => {
        endless++;
        return null;
      });
      if (found === null || found.known !== null || found.at !== candidate.length - 1) return false;
      if (signature(found) !== like) return false;
      shown = found;
      return true;
    },
    { most },
  );
  return printedTest(shortest, { ...shown, kernel });
}

async function describe(seed: number, number: number, sequence: Sequence, found: Difference): Promise<string> {
  const { at, op, what, reference, subject } = found;
  const text = [
    `seed ${seed}, sequence ${number}, op ${at}: ${op.verb}, ${what}: the kernel ${reference}, the model ${subject}`,
    `again: npm run test:differential -- --kernel ${kernel} --seed ${seed} --only ${number}`,
    await shrunk(sequence, found),
  ];
  return text.filter((part) => part !== "").join("\n");
}

interface Asked {
  readonly number: number;
  readonly sequence: Sequence;
  readonly answers: Promise<Answers | Error>;
}

/** The numbers of the sequences: those that are named, or all. */
function* numbers(): Generator<number> {
  if (values.only !== undefined) yield* values.only.split(",").map(Number);
  else for (let number = 0; ; number++) yield number;
}

/** Makes sequences and asks for them, some ahead of what is judged. */
function* asked(seed: number, calls: number): Generator<Asked> {
  const ahead: Asked[] = [];
  let planned = 0;
  for (const number of numbers()) {
    const sequence = makeSequence(seed, number, facts);
    ahead.push({ number, sequence, answers: line.ask(sequence, null).catch((error: Error) => error) });
    planned += sequence.length;
    if (planned >= calls) break;
    if (ahead.length >= AHEAD) yield ahead.shift()!;
  }
  yield* ahead;
}

/** Judges one sequence: how many calls were compared, and the error if there is one. */
async function judgeOne(seed: number, { number, sequence, answers }: Asked): Promise<{ calls: number; error: string }> {
  tell({ kind: "at", what: `seed ${seed}, sequence ${number}` });
  const got = await answers;
  if (got instanceof Error) return { calls: 0, error: `seed ${seed}, sequence ${number}: ${got.message}` };
  let calls = 0;
  const verdict = await judgeAnswers(line, subject, sequence, got, (op, outcome) => {
    calls++;
    coverage.take(op, outcome);
  }).catch((error: Error) => error);
  if (verdict instanceof Error) return { calls, error: `seed ${seed}, sequence ${number}: ${verdict.message}` };
  if (verdict.unsteady !== null) {
    unsteady++;
    say(`! seed ${seed}, sequence ${number}: differed once, and not when it was asked again: ${verdict.unsteady}`);
  }
  const { difference } = verdict;
  const failed = difference !== null && difference.known === null;
  return { calls, error: failed ? await describe(seed, number, sequence, difference) : "" };
}

async function runSeed(seed: number, wanted: number): Promise<number> {
  let calls = 0;
  let share = { from: 0, calls: 0, begun: performance.now(), errors: [] as string[] };
  const endShare = (next: number): void => {
    const ms = performance.now() - share.begun;
    const titles = [suite, `seed ${seed}: sequences ${share.from} to ${next - 1} agree`];
    const rate = ((share.calls / ms) * 1000).toFixed(0);
    say(`seed ${seed}: ${calls} calls, ${next} sequences, ${rate} calls/s, ${share.errors.length} differences`);
    if (share.errors.length === 0) tell({ kind: "test", event: { kind: "pass", titles, ms } });
    else tell({ kind: "test", event: { kind: "fail", titles, ms, error: share.errors.slice(0, 20).join("\n\n") } });
    failures += share.errors.length;
    share = { from: next, calls: 0, begun: performance.now(), errors: [] };
  };
  let next = 0;
  for (const one of asked(seed, wanted)) {
    const judged = await judgeOne(seed, one);
    next = one.number + 1;
    calls += judged.calls;
    share.calls += judged.calls;
    if (judged.error !== "") {
      share.errors.push(judged.error);
      say(`✖ ${judged.error}`);
    }
    if (share.calls >= SHARE) endShare(next);
    if (failures + share.errors.length >= MOST_FAILURES) break;
  }
  if (share.from < next) endShare(next);
  return calls;
}

function judgeCoverage(): void {
  if (!values.coverage) return;
  for (const { title, missing } of judge(facts, coverage.counts())) {
    const error = `never met: ${missing.join(", ")}`;
    const titles = [suite, title];
    if (missing.length === 0) tell({ kind: "test", event: { kind: "pass", titles, ms: 0 } });
    else {
      failures++;
      tell({ kind: "test", event: { kind: "fail", titles, ms: 0, error } });
    }
  }
}

const started = performance.now();
let calls = 0;
for (const run of values.run ?? ["1:10000"]) {
  const [seed = 1, wanted = SHARE] = run.split(":").map(Number);
  calls += await runSeed(seed, wanted);
}
for (const [name, count] of knownHits()) say(`known difference, ${count} times: ${name}`);
judgeCoverage();
const seconds = (performance.now() - started) / 1000;
say(
  `${calls} calls, ${failures} failures, ${unsteady} differed once only, ${seconds.toFixed(0)} s, ${(calls / seconds).toFixed(0)} calls/s`,
);
line.close();
process.disconnect?.();
