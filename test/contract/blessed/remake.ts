// node dist/test/contract/blessed/remake.js: asks each kernel for its register lists and its hypercalls, on a KVM host, and
// writes them down.

import { writeFileSync } from "node:fs";
import { boot, defaultMachine } from "../../../scripts/kvm/boot.js";
import { buildAddon } from "../../../scripts/kvm/build-addon.js";
import { guestProject } from "../../../scripts/kvm/initramfs.js";
import { kernelSeries } from "../../../scripts/kvm/packages.js";
import { el2MasksFile } from "./el2-masks.js";
import { hypercallFile } from "./hypercalls.js";
import { blessedFile, featureSets, nestedKernels, nestedSets } from "./lists.js";

async function print(kernel: (typeof kernelSeries)[number], program: string, append = ""): Promise<string[]> {
  const printed: string[] = [];
  const outcome = await boot(
    { ...defaultMachine, kernel, append },
    {
      command: ["node", `dist/test/contract/blessed/${program}.js`],
      environment: {},
      workingFolder: guestProject,
      additions: [],
      addon: await buildAddon("plain"),
    },
    { console: (line) => printed.push(line) },
  );
  if (outcome.status !== 0) throw new Error(`kernel ${kernel}: ${outcome.why}\n${printed.join("\n")}`);
  return printed;
}

/** The printed lines that begin so, without it. */
const after = (prefix: string, lines: readonly string[]) =>
  lines.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length));

function keep(kernel: (typeof kernelSeries)[number], sets: object, lists: readonly string[]): void {
  for (const name of Object.keys(sets)) {
    const lines = after(`${JSON.stringify(name)} `, lists);
    if (lines.length === 0) {
      console.log(`${kernel} ${name}: not on this host, the file is left as it is`);
      continue;
    }
    writeFileSync(blessedFile(kernel, name), `${lines.join("\n")}\n`);
    console.log(`${kernel} ${name}: ${lines.length} registers`);
  }
}

for (const kernel of kernelSeries) {
  keep(kernel, featureSets, await print(kernel, "print"));
  // Nested virtualisation needs a newer QEMU than Debian 12 has: KVM_ARM64_QEMU names it.
  if (nestedKernels.includes(kernel)) {
    const nested = "kvm-arm.mode=nested";
    keep(kernel, nestedSets, await print(kernel, "print", nested));
    const masks = after("mask ", await print(kernel, "print-el2-masks", nested));
    writeFileSync(el2MasksFile, `${masks.join("\n")}\n`);
    console.log(`${kernel}: ${masks.length} masks of registers of EL2`);
  }
  const calls = after("hypercall ", await print(kernel, "print-hypercalls"));
  writeFileSync(hypercallFile(kernel), `${calls.join("\n")}\n`);
  console.log(`${kernel}: ${calls.length} hypercalls`);
}
