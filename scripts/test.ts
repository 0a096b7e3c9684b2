// npm test: every leg that this machine can run, one after the other, and their sum on the last line.
//
// KVM_ARM64_REQUIRE names, separated by commas, what must not be left out: the legs below, and "qemu": tests against
// QEMU's CPU fail instead of being skipped where QEMU is missing. What is on the command line goes to mocha on this
// machine.

import { differentialLegs } from "./kvm/differential-leg.js";
import { projectFolder } from "./kvm/initramfs.js";
import { kvmLegs } from "./kvm/leg.js";
import type { MachineValues } from "./kvm/options.js";
import { hostLeg } from "./test/host-leg.js";
import { type LegResult, legNotRun, summarize } from "./test/report.js";

/** The legs on emulated arm64 hosts: how KVM_ARM64_REQUIRE names them, and the options that npm run test:kvm takes. */
const kvmRuns: readonly { readonly requirement: string; readonly options: MachineValues; readonly command: string }[] =
  [
    { requirement: "kvm", options: {}, command: "npm run test:kvm" },
    {
      // KVM without VHE, and guests without SVE and pointer authentication.
      requirement: "kvm-a72",
      options: { kernel: ["6.12"], cpu: "cortex-a72" },
      command: "npm run test:kvm -- --kernel 6.12 --cpu cortex-a72",
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
  ];

const required = new Set((process.env["KVM_ARM64_REQUIRE"] ?? "").split(",").filter(Boolean));
const known = ["qemu", ...kvmRuns.map(({ requirement }) => requirement), "differential"];
for (const name of required) {
  if (!known.includes(name)) throw new Error(`KVM_ARM64_REQUIRE names ${name}: there are ${known.join(", ")}`);
}

const legs: LegResult[] = [await hostLeg(projectFolder, process.argv.slice(2))];
for (const { requirement, options, command } of kvmRuns) {
  if (required.has(requirement)) legs.push(...(await kvmLegs(options, null)));
  else legs.push(legNotRun(requirement, `${command} runs it, and so does KVM_ARM64_REQUIRE=${requirement}`));
}
if (required.has("differential")) legs.push(...(await differentialLegs({})));
else {
  const reason = "npm run test:differential runs it, and so does KVM_ARM64_REQUIRE=differential";
  legs.push(legNotRun("differential", reason));
}
process.exitCode = summarize(legs, console.log) ? 0 : 1;
