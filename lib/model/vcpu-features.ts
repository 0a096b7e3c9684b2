// Bits of features[0] of KVM_ARM_VCPU_INIT.

export const Feature = {
  powerOff: 1 << 0,
  el1_32bit: 1 << 1,
  psci02: 1 << 2,
  pmuV3: 1 << 3,
  sve: 1 << 4,
  ptrauthAddress: 1 << 5,
  ptrauthGeneric: 1 << 6,
  hasEl2: 1 << 7,
  hasEl2E2h0: 1 << 8,
} as const;
