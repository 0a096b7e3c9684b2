// npm run test:kvm: the contract suite on a genuine /dev/kvm, on one emulated arm64 host for each kernel.

import { parseArgs } from "node:util";
import { legsAtOnce, runLegs } from "../test/legs.js";
import { summarize } from "../test/report.js";
import { Missing } from "./cache.js";
import { kvmLegs } from "./leg.js";
import { machineOptions, machineUsage } from "./options.js";
import { kernelSeries } from "./packages.js";

const usage = `npm run test:kvm -- [options]
${machineUsage}
  --only PATTERN       only tests whose title matches
  --boot               the tests that boot a Debian kernel there, instead of the contract
Without --kernel, every kernel: ${kernelSeries.join(", ")}.`;

try {
  const { values } = parseArgs({ options: { ...machineOptions, only: { type: "string" }, boot: { type: "boolean" } } });
  if (values.help) {
    console.log(usage);
  } else {
    const legs = kvmLegs(values, values.only ?? null, values.boot ? "boot" : "contract");
    process.exitCode = summarize(await runLegs(legs, legsAtOnce(), console.log), console.log) ? 0 : 1;
  }
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.error(`kvm-arm64: ${error.message}`);
  process.exitCode = 1;
}
