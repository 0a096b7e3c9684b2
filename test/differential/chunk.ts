// One process's share of a differential run. Prints a line of JSON for each thing that happened; what it was at when it
// died is the last line.

import { writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openNative } from "../../lib/native.js";
import { Coverage } from "./coverage.js";
import { factsOf, runningKernel } from "./facts.js";
import { makeSequence } from "./generate/sequences.js";
import { knownHits } from "./known.js";
import { type Difference, runSequence, type Sides } from "./lockstep.js";
import { type Op, type Sequence, toJson } from "./op.js";
import { shrink } from "./shrink.js";
import { openSubject, servedFacts, writeCapture } from "./subject.js";

export type Line =
  | { readonly kind: "begin"; readonly sequence: number }
  | { readonly kind: "done"; readonly sequence: number; readonly ops: number }
  | {
      readonly kind: "difference";
      readonly sequence: number;
      readonly at: number;
      readonly verb: string;
      readonly what: string;
      readonly reference: string;
      readonly subject: string;
      /** The shrunk sequence; empty where it was not shrunk, since one like it was. */
      readonly shrunk: string;
    }
  | {
      readonly kind: "end";
      readonly coverage: Readonly<Record<string, number>>;
      readonly known: Readonly<Record<string, number>>;
    };

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    from: { type: "string" },
    ops: { type: "string" },
    only: { type: "string" },
    /** The capture of this host. */
    host: { type: "string" },
    /** How often a sequence may be run to shrink it. */
    shrink: { type: "string" },
    /** Says each op and what the reference answered, before the subject is asked. */
    trace: { type: "boolean" },
  },
});

Error.stackTraceLimit = 0;

const tell = (line: Line): void => {
  writeSync(1, `${JSON.stringify(line)}\n`);
};

const seed = Number(values.seed ?? 1);
const wanted = Number(values.ops ?? 5000);
const most = Number(values.shrink ?? 400);
const kernel = runningKernel();
const reference = openNative();
const host = values.host ?? join(tmpdir(), `kvm-arm64-host-${process.pid}.json`);
if (values.host === undefined) writeCapture(host, kernel);
const sides: Sides = { reference, subject: openSubject(kernel, host) };
const facts = servedFacts(factsOf(reference, kernel));
const coverage = new Coverage();
const seenBefore = new Set<string>();

/** Differences that probably have one cause. */
const signature = ({ op, what, reference, subject }: Difference): string =>
  [
    op.verb,
    what,
    ...[reference, subject].map((text) => (what === "answer" ? text : text.replace(/(0x)?[0-9a-f]{2,}.*/, ""))),
  ].join(" ");

function report(number: number, sequence: Sequence, difference: Difference): void {
  const like = signature(difference);
  let shrunk: Sequence = [];
  let shown = difference;
  if (!seenBefore.has(like) && most > 0) {
    seenBefore.add(like);
    shrunk = shrink(
      sequence.slice(0, difference.at + 1),
      (candidate) => {
        // A sign of life: who waits does so for single sequences.
        tell({ kind: "begin", sequence: number });
        const found = runSequence(sides, candidate);
        if (found === null || found.known !== null || signature(found) !== like) return false;
        shown = found;
        return true;
      },
      { most },
    );
  }
  const { op, what, reference, subject, at } = shown;
  tell({
    kind: "difference",
    sequence: number,
    at: shrunk.length ? shrunk.length - 1 : at,
    verb: op.verb,
    what,
    reference,
    subject,
    shrunk: shrunk.length ? toJson(shrunk) : "",
  });
}

let done = 0;
for (let number = Number(values.only ?? values.from ?? 0); done < wanted; number++) {
  tell({ kind: "begin", sequence: number });
  const sequence = makeSequence(seed, number, facts);
  if (values.trace) for (const [n, op] of sequence.entries()) writeSync(2, `${n} ${toJson([op])}\n`);
  let ops = 0;
  const difference = runSequence(sides, sequence, (op: Op, outcome) => {
    if (values.trace) writeSync(2, `${ops} ${op.verb} ${outcome.threw ?? outcome.value}\n`);
    ops++;
    coverage.take(op, outcome);
  });
  done += ops;
  if (difference !== null && difference.known === null) report(number, sequence, difference);
  tell({ kind: "done", sequence: number, ops });
  if (values.only !== undefined) break;
}
tell({ kind: "end", coverage: coverage.counts(), known: Object.fromEntries(knownHits()) });
process.exit(0);
