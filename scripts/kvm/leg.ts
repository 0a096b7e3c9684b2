// A leg of the test run on a genuine /dev/kvm: mocha inside a KVM host, its report read out here.

import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { bootFiles } from "../boot/initramfs.js";
import type { Leg } from "../test/legs.js";
import { type LegResult, legFailed, reportVariable, Tally } from "../test/report.js";
import { boot, type Machine } from "./boot.js";
import { buildAddon } from "./build-addon.js";
import { Missing } from "./cache.js";
import { guestProject, projectFolder, reportPort } from "./initramfs.js";
import { kernelsFromOptions, type MachineValues, machineFromOptions, sanitizerEnvironment } from "./options.js";
import { type KernelSeries, kernelSeries } from "./packages.js";

/**
 * Where the tests that are run there lie by default: the contract on the genuine kernel, the addon's own, whole guests, the command,
 * those of the host. What is about the model alone runs on every machine and need not run there.
 */
const contractFolders = [
  { folder: "dist/test/contract", files: "**/*.test.js" },
  { folder: "dist/test/bad-input", files: "arguments.test.js" },
  { folder: "dist/test/bad-input", files: "exit.test.js" },
  { folder: "dist/test/bad-input", files: "life.test.js" },
  { folder: "dist/test/native", files: "**/*.test.js" },
  { folder: "dist/test/vmm", files: "machine.test.js" },
  { folder: "dist/test/vmm", files: "create-machine.test.js" },
  { folder: "dist/test/vmm", files: "kill.test.js" },
  { folder: "dist/test/guests", files: "run.test.js" },
  { folder: "dist/test/cli", files: "run.test.js" },
  { folder: "dist/test/cli", files: "boot.test.js" },
  { folder: "dist/test/cli", files: "hostile.test.js" },
  { folder: "dist/test/kvm", files: "*.inside.js" },
] as const;

/** A suite of tests, and what it needs there. */
export type Suite = "contract" | "boot";

const suites: Readonly<Record<Suite, readonly { readonly folder: string; readonly files: string }[]>> = {
  contract: contractFolders,
  boot: [{ folder: "dist/test/vmm", files: "boot.test.js" }],
};

/** No machine code made at run time: Node dies of that on the emulated host, now and then (docs/testing.md). */
const interpretOnly = ["--no-opt", "--no-sparkplug", "--regexp-interpret-all"];

/** How often a leg is run whose runner dies with no test failed. */
const attempts = 3;

interface LegRequest {
  readonly name: string;
  readonly suite: Suite;
  readonly machine: Machine;
  readonly addon: string | null;
  readonly environment: Readonly<Record<string, string>>;
  /** As mocha's --grep. */
  readonly only: string | null;
}

async function kvmLeg(request: LegRequest, print: (line: string) => void): Promise<LegResult> {
  const { name, suite, machine, only } = request;
  const tally = new Tally(print);
  const boots = suite === "boot" ? await bootContent(name) : undefined;
  const specs = suites[suite]
    .filter(({ folder }) => existsSync(join(projectFolder, folder)))
    .map(({ folder, files }) => `${folder}/${files}`);
  const mocha = [
    "node",
    ...interpretOnly,
    "node_modules/mocha/bin/mocha.js",
    "--no-config",
    "--timeout",
    "120000",
    "--exit",
  ];
  const command = [
    ...mocha,
    "--reporter",
    "dist/scripts/test/reporter.js",
    ...(only ? ["--grep", only] : []),
    ...specs,
  ];
  const outcome = await boot(
    machine,
    {
      command,
      environment: {
        KVM_ARM64_BACKENDS: "kvm",
        KVM_ARM64_KERNEL: machine.kernel,
        [reportVariable]: reportPort,
        NO_COLOR: "1",
        // Node then handles no SIGSEGV itself, and the kernel tells where a crash was.
        NODE_OPTIONS: "--disable-wasm-trap-handler",
        ...request.environment,
        ...boots?.environment,
      },
      workingFolder: guestProject,
      additions: boots?.additions ?? [],
      addon: request.addon,
    },
    { console: (line) => print(`    | ${line}`), report: (line) => tally.line(line), ...boots?.streams },
  );
  if (outcome.why === "timeout") tally.fail(name, `the host was stopped after ${machine.timeoutSeconds} s`);
  if (outcome.why === "no status") tally.fail(name, "the host went down before the test runner ended");
  return tally.result(name, outcome.seconds, outcome.status);
}

/** A kernel and its initial file system, for the guest's guest, and where its console's output comes home to. */
async function bootContent(name: string) {
  const { kernel, initrd } = await bootFiles("6.12");
  const [kernelThere, initrdThere] = ["/boot/vmlinuz", "/boot/initrd"];
  const artifacts = join(projectFolder, "dist/artifacts");
  mkdirSync(artifacts, { recursive: true });
  return {
    environment: { KVM_ARM64_BOOT_FILES: `${kernelThere}:${initrdThere}`, KVM_ARM64_ARTIFACTS: "/out" },
    additions: [
      { from: kernel, to: kernelThere },
      { from: initrd, to: initrdThere },
    ],
    streams: { outArchive: join(artifacts, `${name.replaceAll(" ", "-")}.tar`) },
  };
}

function legName(suite: Suite, kernel: KernelSeries, { cpu, gic, mte, asan }: MachineValues): string {
  const differences = [
    suite === "boot" ? "boot" : "",
    cpu ?? "",
    gic ? `GICv${gic}` : "",
    mte ? "mte" : "",
    asan ? "asan" : "",
  ].filter(Boolean);
  return ["kvm", kernel, ...differences].join(" ");
}

/**
 * One leg for each kernel that the options name; without any, for all. What is missing for one makes that leg fail, and
 * the others go on.
 */
export function kvmLegs(values: MachineValues, only: string | null, suite: Suite = "contract"): Leg[] {
  return kernelsFromOptions(values, kernelSeries).map((kernel) => {
    const name = legName(suite, kernel, values);
    return { name, run: (print) => runLeg(name, kernel, values, only, suite, print) };
  });
}

async function runLeg(
  name: string,
  kernel: KernelSeries,
  values: MachineValues,
  only: string | null,
  suite: Suite,
  print: (line: string) => void,
): Promise<LegResult> {
  try {
    const addon = values.addon ?? (await buildAddon(values.asan ? "asan" : "plain"));
    const machine = machineFromOptions(values, kernel);
    const request = { name, suite, machine, addon, environment: sanitizerEnvironment(values), only };
    let leg = await kvmLeg(request, print);
    // What dies of us dies again.
    for (let attempt = 1; leg.died && attempt < attempts; attempt++) {
      print(`\n${name}, once more: the run broke off with no test failed`);
      leg = await kvmLeg(request, print);
    }
    return leg;
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    print(`  ✖ ${error.message}`);
    return legFailed(name, error.message);
  }
}
