// A leg of the test run: the model against a genuine /dev/kvm (test/differential). An emulated arm64 host is asked, and a
// process on this machine compares its answers with the model's.

import { join } from "node:path";
import type { Told } from "../../test/differential/run.js";
import { startChild, withScratchFolder } from "../children.js";
import type { Leg } from "../test/legs.js";
import { type LegResult, legFailed, Tally } from "../test/report.js";
import { boot } from "./boot.js";
import { buildAddon } from "./build-addon.js";
import { Missing } from "./cache.js";
import { dialoguePort, guestProject, projectFolder } from "./initramfs.js";
import { kernelsFromOptions, type MachineValues, machineFromOptions } from "./options.js";
import { type KernelSeries, kernelSeries } from "./packages.js";

export interface DifferentialValues extends MachineValues {
  readonly ops?: string | undefined;
  readonly seed?: string | undefined;
  readonly only?: string | undefined;
  readonly shrink?: string | undefined;
}

/** The calls of seed 1, which are the same each time. */
export const fixedRun = { seed: "1", ops: "50000" } as const;
/** Calls that nobody made before. */
export const freshRun = { seed: "new", ops: "10000" } as const;
/** With fewer calls than this, what was not met says nothing. */
const COVERAGE_OPS = 50_000;
/** A sequence takes less than a second, on the host and on the model; the host has its own patience, which is shorter. */
const patienceMs = 240_000;

const newSeed = (): string => String(2 + Math.floor(Math.random() * (2 ** 31 - 2)));

function runArguments({ seed, ops, only, shrink }: DifferentialValues): string[] {
  const runs =
    seed === undefined && ops === undefined ? [fixedRun, freshRun] : [{ seed: seed ?? "new", ops: ops ?? "60000" }];
  const calls = runs.reduce((sum, run) => sum + Number(run.ops), 0);
  return [
    ...runs.flatMap((run) => ["--run", `${run.seed === "new" ? newSeed() : run.seed}:${run.ops}`]),
    ...(only === undefined ? [] : ["--only", only]),
    ...(shrink === undefined ? [] : ["--shrink", shrink]),
    ...(calls >= COVERAGE_OPS && only === undefined ? ["--coverage"] : []),
  ];
}

/** Compares, in a process of its own: the model may not come to an end. Gives what went wrong with that process. */
function compare(socket: string, values: DifferentialValues, tell: (told: Told) => void): Promise<string | null> {
  const program = join(projectFolder, "dist/test/differential/run.js");
  const args = [program, "--socket", socket, ...runArguments(values)];
  return new Promise((resolve, reject) => {
    const child = startChild(process.execPath, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    let at = "the beginning";
    let lost = false;
    let timer: NodeJS.Timeout | undefined;
    const watch = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        lost = true;
        child.kill("SIGKILL");
      }, patienceMs);
    };
    watch();
    child.on("message", (told: Told) => {
      watch();
      if (told.kind === "at") at = told.what;
      tell(told);
    });
    child.on("error", reject);
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      if (lost) resolve(`${at}: there was no end to it within ${patienceMs / 1000} s`);
      else resolve(status === 0 ? null : `${at}: the comparison ended with ${signal ?? status}`);
    });
  });
}

async function differentialLeg(
  name: string,
  values: DifferentialValues,
  kernel: KernelSeries,
  print: (line: string) => void,
): Promise<LegResult> {
  const tally = new Tally(print);
  // Guests do all that a kernel complains of, and each line of its console takes time.
  const append = `${values.append ?? ""} loglevel=2`;
  const machine = machineFromOptions({ timeout: "7200", ...values, append }, kernel);
  const addon = values.addon ?? (await buildAddon("plain"));
  let tests = 0;
  const take = (told: Told): void => {
    if (told.kind === "line") print(`    | ${told.text}`);
    else if (told.kind === "test") {
      tests++;
      tally.line(JSON.stringify(told.event));
    }
  };
  return withScratchFolder(async (scratch) => {
    const stop = new AbortController();
    const dialogueSocket = join(scratch, "dialogue");
    const host = boot(
      machine,
      {
        command: ["node", "dist/test/differential/on-host.js", dialoguePort],
        environment: { NO_COLOR: "1" },
        workingFolder: guestProject,
        additions: [],
        addon,
      },
      { console: (line) => print(`    | ${line}`), dialogueSocket, stop: stop.signal },
    );
    const trouble = await compare(dialogueSocket, values, take);
    if (trouble === null) tally.line(JSON.stringify({ kind: "end", tests }));
    else {
      tally.fail(name, trouble);
      stop.abort();
    }
    const outcome = await host;
    if (outcome.why === "timeout") tally.fail(name, `the host was stopped after ${machine.timeoutSeconds} s`);
    if (outcome.why === "no status" && trouble === null) tally.fail(name, "the host went down before the run ended");
    return tally.result(name, outcome.seconds, outcome.status);
  });
}

/** One leg for each kernel that the options name; without any, for all. */
export function differentialLegs(values: DifferentialValues): Leg[] {
  return kernelsFromOptions(values, kernelSeries).map((kernel) => {
    const name = `differential ${kernel}${values.seed === "new" ? " fresh" : ""}`;
    const run: Leg["run"] = async (print) => {
      try {
        return await differentialLeg(name, values, kernel, print);
      } catch (error) {
        if (!(error instanceof Missing)) throw error;
        print(`  ✖ ${error.message}`);
        return legFailed(name, error.message);
      }
    };
    return { name, run };
  });
}
