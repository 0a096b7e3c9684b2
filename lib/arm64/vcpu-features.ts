// Features of KVM_ARM_VCPU_INIT, bits of kvm_vcpu_init.features. Documentation/virt/kvm/api.rst 4.82.

import { shown } from "./argument.js";

/** In order of the bits. */
export const vcpuFeatures = [
  "power-off",
  "el1-32bit",
  "psci-0.2",
  "pmu-v3",
  "sve",
  "ptrauth-address",
  "ptrauth-generic",
  "el2",
  "el2-e2h0",
] as const;

export type VcpuFeature = (typeof vcpuFeatures)[number];

/** The bit of a feature. */
export function vcpuFeatureBit(feature: VcpuFeature): number {
  const bit = vcpuFeatures.indexOf(feature);
  if (bit < 0) throw new TypeError(`vCPU features are ${vcpuFeatures.join(", ")}, got ${shown(feature)}`);
  return bit;
}

/** kvm_vcpu_init.features[0] for a list of features. */
export function packVcpuFeatures(features: Iterable<VcpuFeature>): number {
  let word = 0;
  for (const feature of features) word |= 1 << vcpuFeatureBit(feature);
  return word;
}

/** The features that a word asks for, and the bits of it that mean nothing. */
export function unpackVcpuFeatures(word: number): { readonly features: VcpuFeature[]; readonly rest: number } {
  const features = vcpuFeatures.filter((_, bit) => (word >>> bit) & 1);
  return { features, rest: (word & -(1 << vcpuFeatures.length)) >>> 0 };
}
