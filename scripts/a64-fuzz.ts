// Fuzzes an engine against QEMU for as long as one likes:
//   node dist/scripts/a64-fuzz.js [--seed N] [--count INSTRUCTIONS] [--engine interpreter]      in user mode
//   node dist/scripts/a64-fuzz.js --system [--seed N] [--count CASES]    in system mode

import { parseArgs } from "node:util";
import { engineName } from "../test/a64/engines.js";
import { fuzz } from "../test/a64/qemu/fuzz.js";
import { systemFuzz } from "../test/a64/qemu/system-fuzz.js";
import { whyNoSystemJudge } from "../test/a64/qemu/system-judge.js";
import { whyNoUserJudge } from "../test/a64/qemu/user-judge.js";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    count: { type: "string", default: "100000" },
    engine: { type: "string", default: "evaluator" },
    system: { type: "boolean", default: false },
  },
});
const seed = Number(values.seed);
const count = Number(values.count);
const why = values.system ? whyNoSystemJudge() : whyNoUserJudge();
if (why !== null) throw new Error(why);

const started = performance.now();
const mismatches = values.system ? system() : await user();
for (const mismatch of mismatches) console.log(`${mismatch}\n`);
console.log(`${mismatches.length} mismatches`);
process.exitCode = mismatches.length > 0 ? 1 : 0;

async function user(): Promise<readonly string[]> {
  const { instructions, met, mismatches } = await fuzz(seed, count, engineName(values.engine));
  const unmet = [...met].filter(([, times]) => times === 0).map(([row]) => row.name);
  if (unmet.length > 0) console.log(`never met: ${unmet.join(", ")}`);
  console.log(`${instructions} instructions ${rate(instructions)}`);
  return mismatches;
}

function system(): readonly string[] {
  const { cases, met, mismatches } = systemFuzz(seed, count);
  console.log(`met: ${[...met].sort().join(", ")}`);
  console.log(`${cases} cases ${rate(cases)}`);
  return mismatches;
}

function rate(done: number): string {
  const seconds = (performance.now() - started) / 1000;
  return `in ${seconds.toFixed(1)} s, ${Math.round(done / seconds)} a second`;
}
