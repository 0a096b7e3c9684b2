// What a host can give the CPUs of a guest beyond the least: features of KVM_ARM_VCPU_INIT, by the capability that offers
// them. Documentation/virt/kvm/api.rst 4.82.
import type { CapName, Kvm, Vcpu, VcpuFeature } from "../index.js";
import { KVM_ARM_VCPU_GROUP } from "../uapi/constants.js";
import { PMU_PPI } from "./board.js";

// biome-ignore format: table
const rows: readonly { readonly cap: CapName; readonly features: readonly VcpuFeature[] }[] = [
  { cap: "ARM_PMU_V3",          features: ["pmu-v3"] },
  { cap: "ARM_SVE",             features: ["sve"] },
  // Both or none: a guest cannot tell the keys apart.
  { cap: "ARM_PTRAUTH_GENERIC", features: ["ptrauth-address", "ptrauth-generic"] },
];

/** All of them. */
export const hostFeatures = (kvm: Kvm): VcpuFeature[] =>
  rows.filter(({ cap }) => kvm.has(cap) > 0).flatMap(({ features }) => features);

const PMU_IRQ = 0n;
const PMU_INIT = 1n;
const FIRST_PPI = 16;

/** What is to be done after `init`, before the CPU runs, and after the interrupt controller is initialised. */
export function finishCpu(vcpu: Vcpu, features: readonly VcpuFeature[]): void {
  if (features.includes("sve")) vcpu.finalize("sve");
  if (features.includes("pmu-v3")) {
    vcpu.setAttr(KVM_ARM_VCPU_GROUP.PMU_V3, PMU_IRQ, FIRST_PPI + PMU_PPI);
    vcpu.setAttr(KVM_ARM_VCPU_GROUP.PMU_V3, PMU_INIT);
  }
}
