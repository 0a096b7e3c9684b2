// What real kernels list: one "id name" a line, a file for each kernel and feature set, captured on QEMU's CPU "max".

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type RegId, regId } from "../../../lib/arm64/reg-id.js";
import type { Kernel } from "../../../lib/arm64/sysreg-row.js";
import type { VcpuFeature } from "../../../lib/arm64/vcpu-features.js";
import { projectFolder } from "../../../scripts/kvm/initramfs.js";

/** The vCPUs whose lists are captured. */
export const featureSets = {
  "no feature": [],
  pmu: ["pmu-v3"],
  sve: ["sve"],
  ptrauth: ["ptrauth-address", "ptrauth-generic"],
  all: ["psci-0.2", "pmu-v3", "sve", "ptrauth-address", "ptrauth-generic"],
} as const satisfies Readonly<Record<string, readonly VcpuFeature[]>>;

export const remakeCommand = "node dist/test/contract/blessed/remake.js";

/** The file of a list. */
export const blessedFile = (kernel: Kernel, featureSet: string): string =>
  join(projectFolder, "test/contract/blessed", `${kernel}-${featureSet.replaceAll(" ", "-")}.txt`);

/** The ids of a list, in the kernel's order. */
export function blessedList(kernel: Kernel, featureSet: string): RegId[] {
  const lines = readFileSync(blessedFile(kernel, featureSet), "utf8").trimEnd().split("\n");
  return lines.map((line) => regId(BigInt(line.split(" ", 1)[0] ?? "")));
}
