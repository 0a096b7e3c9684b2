// npm test: every leg that this machine can run, one after the other, and their sum on the last line.
//
// KVM_ARM64_REQUIRE names what must not be left out: "kvm" (the contract on a genuine kernel, one emulated arm64 host for
// each), "asan" (the same with the addon built with AddressSanitizer), "qemu" (tests against QEMU's CPU fail instead of
// being skipped where QEMU is missing). What is on the command line goes to mocha on this machine.

import { projectFolder } from "./kvm/initramfs.js";
import { kvmLegs } from "./kvm/leg.js";
import { hostLeg } from "./test/host-leg.js";
import { type LegResult, legNotRun, summarize } from "./test/report.js";

const required = new Set((process.env["KVM_ARM64_REQUIRE"] ?? "").split(",").filter(Boolean));

const legs: LegResult[] = [await hostLeg(projectFolder, process.argv.slice(2))];
legs.push(
  ...(required.has("kvm")
    ? await kvmLegs({}, null)
    : [legNotRun("kvm", "npm run test:kvm runs it, and so does npm test with KVM_ARM64_REQUIRE=kvm")]),
);
legs.push(
  ...(required.has("asan")
    ? await kvmLegs({ asan: true, kernel: ["6.12"] }, null)
    : [legNotRun("kvm asan", "npm run test:kvm -- --asan runs it, and so does npm test with KVM_ARM64_REQUIRE=asan")]),
);
process.exitCode = summarize(legs, console.log) ? 0 : 1;
