// A leg of the test run: the model against a genuine /dev/kvm (test/differential), on an emulated arm64 host.

import { type LegResult, legFailed, reportVariable, Tally } from "../test/report.js";
import { boot } from "./boot.js";
import { buildAddon } from "./build-addon.js";
import { Missing } from "./cache.js";
import { guestProject, reportPort } from "./initramfs.js";
import { kernelsFromOptions, type MachineValues, machineFromOptions } from "./options.js";
import { type KernelSeries, kernelSeries } from "./packages.js";

export interface DifferentialValues extends MachineValues {
  readonly ops?: string | undefined;
  readonly seed?: string | undefined;
  readonly only?: string | undefined;
  readonly shrink?: string | undefined;
}

const DEFAULT_OPS = 60_000;
/** Of the calls that are made without a seed being named, those of a new seed. */
const FRESH_OPS = 10_000;
/** With fewer calls than this, what was not met says nothing. */
const COVERAGE_OPS = 60_000;

function programArguments(values: DifferentialValues): string[] {
  const ops = Number(values.ops ?? DEFAULT_OPS);
  const fresh = 2 + Math.floor(Math.random() * (2 ** 31 - 2));
  const runs =
    values.seed !== undefined ? [`${values.seed}:${ops}`] : [`1:${ops - FRESH_OPS}`, `${fresh}:${FRESH_OPS}`];
  return [
    ...runs.flatMap((run) => ["--run", run]),
    ...(values.only === undefined ? [] : ["--only", values.only]),
    ...(values.shrink === undefined ? [] : ["--shrink", values.shrink]),
    ...(ops >= COVERAGE_OPS && values.only === undefined ? ["--coverage"] : []),
  ];
}

async function differentialLeg(name: string, values: DifferentialValues, kernel: KernelSeries): Promise<LegResult> {
  const tally = new Tally(console.log);
  const machine = machineFromOptions({ timeout: "7200", ...values }, kernel);
  const outcome = await boot(
    machine,
    {
      command: ["node", "--no-opt", "--no-sparkplug", "dist/test/differential/inside.js", ...programArguments(values)],
      environment: { [reportVariable]: reportPort, NO_COLOR: "1" },
      workingFolder: guestProject,
      additions: [],
      addon: values.addon ?? (await buildAddon("plain")),
    },
    { console: (line) => console.log(`    | ${line}`), report: (line) => tally.line(line) },
  );
  if (outcome.why === "timeout") tally.fail(name, `the host was stopped after ${machine.timeoutSeconds} s`);
  if (outcome.why === "no status") tally.fail(name, "the host went down before the run ended");
  return tally.result(name, outcome.seconds, outcome.status);
}

/** One leg for each kernel that the options name; without any, for all. */
export async function differentialLegs(values: DifferentialValues): Promise<LegResult[]> {
  const legs: LegResult[] = [];
  for (const kernel of kernelsFromOptions(values, kernelSeries)) {
    const name = `differential ${kernel}`;
    console.log(`\n${name}`);
    try {
      legs.push(await differentialLeg(name, values, kernel));
    } catch (error) {
      if (!(error instanceof Missing)) throw error;
      console.log(`  ✖ ${error.message}`);
      legs.push(legFailed(name, error.message));
    }
  }
  return legs;
}
