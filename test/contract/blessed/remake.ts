// node dist/test/contract/blessed/remake.js: asks each kernel for its register lists and its hypercalls, on a KVM host, and
// writes them down.

import { writeFileSync } from "node:fs";
import { boot, defaultMachine } from "../../../scripts/kvm/boot.js";
import { buildAddon } from "../../../scripts/kvm/build-addon.js";
import { guestProject } from "../../../scripts/kvm/initramfs.js";
import { kernelSeries } from "../../../scripts/kvm/packages.js";
import { hypercallFile } from "./hypercalls.js";
import { blessedFile, featureSets } from "./lists.js";

async function print(kernel: (typeof kernelSeries)[number], program: string): Promise<string[]> {
  const printed: string[] = [];
  const outcome = await boot(
    { ...defaultMachine, kernel },
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

for (const kernel of kernelSeries) {
  const lists = await print(kernel, "print");
  for (const name of Object.keys(featureSets)) {
    const lines = after(`${JSON.stringify(name)} `, lists);
    writeFileSync(blessedFile(kernel, name), `${lines.join("\n")}\n`);
    console.log(`${kernel} ${name}: ${lines.length} registers`);
  }
  const calls = after("hypercall ", await print(kernel, "print-hypercalls"));
  writeFileSync(hypercallFile(kernel), `${calls.join("\n")}\n`);
  console.log(`${kernel}: ${calls.length} hypercalls`);
}
