// kvm-arm64/arm64: what the Arm ARM and asm/kvm.h say. Nothing here needs a VM.

export * from "./legacy.js";
export * from "./reg-id.js";
export * from "./registers.js";
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
export { kernels, onKernel, UNKNOWN } from "./sysreg-row.js";
export * from "./sysregs.js";
