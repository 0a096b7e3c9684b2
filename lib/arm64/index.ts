// kvm-arm64/arm64: what the Arm ARM and asm/kvm.h say. Nothing here needs a VM.

export * from "./esr.js";
export * from "./feature-id-space.js";
export type { SafeRule } from "./field-layouts.js";
export * from "./fields.js";
export * from "./firmware-features.js";
export * from "./format.js";
export * from "./id-fields.js";
export * from "./legacy.js";
export * from "./midr.js";
export * from "./pstate.js";
export * from "./reg-id.js";
export * from "./registers.js";
export * from "./sve.js";
export type {
  AccessClass,
  Condition,
  Encoding,
  GuestAccess,
  GuestBehaviour,
  Kernel,
  PerKernel,
  Reset,
  SysReg,
} from "./sysreg-row.js";
export { contractOf, kernels, onKernel, UNKNOWN } from "./sysreg-row.js";
export * from "./sysregs.js";
export * from "./vcpu-features.js";
