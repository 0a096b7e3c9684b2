// Fuzzes the evaluator against QEMU's user mode for as long as one likes:
//   node dist/scripts/a64-fuzz.js [--seed N] [--count INSTRUCTIONS]

import { parseArgs } from "node:util";
import { fuzz } from "../test/a64/qemu/fuzz.js";
import { whyNoUserJudge } from "../test/a64/qemu/user-judge.js";

const { values } = parseArgs({
  options: { seed: { type: "string", default: "1" }, count: { type: "string", default: "1000000" } },
});
const why = whyNoUserJudge();
if (why !== null) throw new Error(why);

const started = performance.now();
const { instructions, met, mismatches } = fuzz(Number(values.seed), Number(values.count));
const seconds = (performance.now() - started) / 1000;
for (const mismatch of mismatches) console.log(`${mismatch}\n`);
const unmet = [...met].filter(([, times]) => times === 0).map(([row]) => row.name);
if (unmet.length > 0) console.log(`never met: ${unmet.join(", ")}`);
const rate = Math.round(instructions / seconds);
console.log(
  `${instructions} instructions in ${seconds.toFixed(1)} s (${rate} a second), ${mismatches.length} mismatches`,
);
process.exitCode = mismatches.length > 0 || unmet.length > 0 ? 1 : 0;
