// node dist/test/contract/blessed/remake.js: asks each kernel for its register lists, on a KVM host, and writes them down.

import { writeFileSync } from "node:fs";
import { boot, defaultMachine } from "../../../scripts/kvm/boot.js";
import { buildAddon } from "../../../scripts/kvm/build-addon.js";
import { guestProject } from "../../../scripts/kvm/initramfs.js";
import { kernelSeries } from "../../../scripts/kvm/packages.js";
import { blessedFile, featureSets } from "./lists.js";

for (const kernel of kernelSeries) {
  const printed: string[] = [];
  const outcome = await boot(
    { ...defaultMachine, kernel },
    {
      command: ["node", "dist/test/contract/blessed/print.js"],
      environment: {},
      workingFolder: guestProject,
      additions: [],
      addon: await buildAddon("plain"),
    },
    { console: (line) => printed.push(line) },
  );
  if (outcome.status !== 0) throw new Error(`kernel ${kernel}: ${outcome.why}\n${printed.join("\n")}`);
  for (const name of Object.keys(featureSets)) {
    const prefix = `${JSON.stringify(name)} `;
    const lines = printed.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length));
    writeFileSync(blessedFile(kernel, name), `${lines.join("\n")}\n`);
    console.log(`${kernel} ${name}: ${lines.length} registers`);
  }
}
