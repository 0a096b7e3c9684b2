// npm test: every leg that this machine can run, and their sum on the last line. This machine's own tests run alone, then
// the emulated hosts, as many at once as it can bear.
//
// KVM_ARM64_REQUIRE names, separated by commas, what must not be left out: the legs below, and "qemu": tests against
// QEMU's CPU fail instead of being skipped where QEMU is missing; "dtc": so do those that need the device tree compiler;
// "boot" and "boot-model": a Debian kernel is fetched, and booted in the leg of KVM 6.12 and on the model. What is on the
// command line goes to mocha on this machine.

import { bootFiles } from "./boot/initramfs.js";
import { differentialLegs, fixedRun, freshRun } from "./kvm/differential-leg.js";
import { projectFolder } from "./kvm/initramfs.js";
import { kvmLegs, type Suite } from "./kvm/leg.js";
import type { MachineValues } from "./kvm/options.js";
import { hostLeg } from "./test/host-leg.js";
import { type Leg, legsAtOnce, runLegs } from "./test/legs.js";
import { type LegResult, legNotRun, summarize } from "./test/report.js";

/** The legs on emulated arm64 hosts: how KVM_ARM64_REQUIRE names them, and the options that npm run test:kvm takes. */
const kvmRuns: readonly {
  readonly requirement: string;
  readonly options: MachineValues;
  readonly suite?: Suite;
  /** Of the suite, the tests whose titles match. */
  readonly only?: string;
  readonly command: string;
}[] = [
  { requirement: "kvm", options: {}, command: "npm run test:kvm" },
  {
    // KVM without VHE, and guests without SVE and pointer authentication.
    requirement: "kvm-a72",
    options: { kernel: ["6.12"], cpu: "cortex-a72" },
    command: "npm run test:kvm -- --kernel 6.12 --cpu cortex-a72",
  },
  {
    // A host whose GIC is a GICv2, which its guests then have too.
    requirement: "kvm-gicv2",
    options: { kernel: ["6.12"], cpu: "cortex-a72", gic: "2" },
    only: "GICv2|KVM_IRQ_LINE without",
    command: "npm run test:kvm -- --kernel 6.12 --cpu cortex-a72 --gic 2 --only 'GICv2|KVM_IRQ_LINE without'",
  },
  {
    requirement: "kvm-mte",
    options: { kernel: ["7.2"], mte: true },
    command: "npm run test:kvm -- --kernel 7.2 --mte",
  },
  {
    requirement: "asan",
    options: { kernel: ["6.12"], asan: true },
    command: "npm run test:kvm -- --kernel 6.12 --asan",
  },
  {
    requirement: "boot",
    options: { kernel: ["6.12"] },
    suite: "boot",
    command: "npm run test:kvm -- --kernel 6.12 --boot",
  },
];

/** The model against the three kernels, call by call: the same calls each time, and calls that nobody made before. */
const differentialRuns = [
  { requirement: "differential", run: fixedRun, command: "npm run test:differential" },
  { requirement: "differential-fresh", run: freshRun, command: "npm run test:differential -- --seed new --ops 10000" },
] as const;

const required = new Set((process.env["KVM_ARM64_REQUIRE"] ?? "").split(",").filter(Boolean));
const known = [
  ...["qemu", "dtc", "boot-model"],
  ...[...kvmRuns, ...differentialRuns].map(({ requirement }) => requirement),
];
for (const name of required) {
  if (!known.includes(name)) throw new Error(`KVM_ARM64_REQUIRE names ${name}: there are ${known.join(", ")}`);
}

if (required.has("boot-model")) {
  const { kernel, initrd } = await bootFiles("6.12");
  process.env["KVM_ARM64_BOOT_FILES"] = `${kernel}:${initrd}`;
}

const legs: Leg[] = [];
const notRun: LegResult[] = [];
const leaveOut = (requirement: string, command: string) =>
  notRun.push(legNotRun(requirement, `${command} runs it, and so does KVM_ARM64_REQUIRE=${requirement}`));
for (const { requirement, options, suite = "contract", only = null, command } of kvmRuns) {
  if (required.has(requirement)) legs.push(...kvmLegs(options, only, suite));
  else leaveOut(requirement, command);
}
for (const { requirement, run, command } of differentialRuns) {
  if (required.has(requirement)) legs.push(...differentialLegs(run));
  else leaveOut(requirement, command);
}
const results = [
  ...(await runLegs([hostLeg(projectFolder, process.argv.slice(2))], 1, console.log)),
  ...(await runLegs(legs, legsAtOnce(), console.log)),
  ...notRun,
];
process.exitCode = summarize(results, console.log) ? 0 : 1;
