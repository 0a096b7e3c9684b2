// What real kernels answer to the sweep of test/support/hypercalls.ts: for each of its callers "# NAME", then the calls
// that are not NOT_SUPPORTED, a file for each kernel, captured on QEMU's CPU "max".

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Kernel } from "../../../lib/arm64/sysreg-row.js";
import { projectFolder } from "../../../scripts/kvm/initramfs.js";

export const hypercallFile = (kernel: Kernel): string =>
  join(projectFolder, "test/contract/blessed", `${kernel}-hypercalls.txt`);

/** The answers to each caller. */
export function blessedHypercalls(kernel: Kernel): Map<string, string[]> {
  const callers = new Map<string, string[]>();
  let lines: string[] = [];
  for (const line of readFileSync(hypercallFile(kernel), "utf8").trimEnd().split("\n")) {
    if (line.startsWith("# ")) {
      lines = [];
      callers.set(line.slice(2), lines);
    } else lines.push(line);
  }
  return callers;
}
