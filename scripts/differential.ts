// npm run test:differential: the same calls on a genuine kernel and on the model, compared one by one, on an emulated
// arm64 host for each kernel.

import { parseArgs } from "node:util";
import { Missing } from "./kvm/cache.js";
import { differentialLegs } from "./kvm/differential-leg.js";
import { machineOptions, machineUsage } from "./kvm/options.js";
import { legsAtOnce, runLegs } from "./test/legs.js";
import { summarize } from "./test/report.js";

const usage = `npm run test:differential -- [options]
${machineUsage}
  --ops N              calls to make on each kernel (default 60000; with no seed either: 50000 of seed 1, 10000 of a new one)
  --seed N|new         what they are made of
  --only N,N           of that seed, these sequences alone
  --shrink N           how often a sequence may be run to shrink it (default 400)
Without --kernel, every kernel.`;

const options = {
  ...machineOptions,
  ops: { type: "string" },
  seed: { type: "string" },
  only: { type: "string" },
  shrink: { type: "string" },
} as const;

try {
  const { values } = parseArgs({ options });
  if (values.help) {
    console.log(usage);
  } else {
    const results = await runLegs(differentialLegs(values), legsAtOnce(), console.log);
    process.exitCode = summarize(results, console.log) ? 0 : 1;
  }
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.error(`kvm-arm64: ${error.message}`);
  process.exitCode = 1;
}
