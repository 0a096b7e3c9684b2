// What real kernels list: one "id name" a line, a file for each kernel and feature set, captured on QEMU's CPU "max".

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type RegId, regId } from "../../../lib/arm64/reg-id.js";
import type { Kernel } from "../../../lib/arm64/sysreg-row.js";
import type { VcpuFeature } from "../../../lib/arm64/vcpu-features.js";
import { projectFolder } from "../../../scripts/kvm/initramfs.js";

type FeatureSets = Readonly<Record<string, readonly VcpuFeature[]>>;

/** The feature sets of the kernel's get-reg-list selftest. */
const selftestSets = {
  "no feature": [],
  pmu: ["pmu-v3"],
  sve: ["sve"],
  "sve pmu": ["sve", "pmu-v3"],
  ptrauth: ["ptrauth-address", "ptrauth-generic"],
  "ptrauth pmu": ["ptrauth-address", "ptrauth-generic", "pmu-v3"],
} as const satisfies FeatureSets;

const withFeatures = (name: string, more: readonly VcpuFeature[]): FeatureSets =>
  Object.fromEntries(
    Object.entries(selftestSets).map(([other, features]) => [
      other === "no feature" ? name : `${name} ${other}`,
      [...more, ...features],
    ]),
  );

/** The same at EL2, on hosts with nested virtualisation. */
export const nestedSets: FeatureSets = {
  ...withFeatures("el2", ["el2"]),
  ...withFeatures("el2 e2h0", ["el2", "el2-e2h0"]),
};

/** The kernels that have them. */
export const nestedKernels: readonly Kernel[] = ["7.2"];

/** The vCPUs whose lists are captured everywhere. */
export const featureSets: FeatureSets = {
  ...selftestSets,
  all: ["psci-0.2", "pmu-v3", "sve", "ptrauth-address", "ptrauth-generic"],
};

export const remakeCommand = "node dist/test/contract/blessed/remake.js";

/** The file of a list. */
export const blessedFile = (kernel: Kernel, featureSet: string): string =>
  join(projectFolder, "test/contract/blessed", `${kernel}-${featureSet.replaceAll(" ", "-")}.txt`);

/** The ids of a list, in the kernel's order. */
export function blessedList(kernel: Kernel, featureSet: string): RegId[] {
  const lines = readFileSync(blessedFile(kernel, featureSet), "utf8").trimEnd().split("\n");
  return lines.map((line) => regId(BigInt(line.split(" ", 1)[0] ?? "")));
}
