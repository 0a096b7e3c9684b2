// The public names. Register ids and everything else about the architecture: `kvm-arm64/arm64`, re-exported here.
export * from "./arm64/index.js";
export type { Handle } from "./backend.js";
export type { HostCapture } from "./capture-format.js";
export { type AttrBits, type AttrValue, Device, type DeviceKind } from "./device.js";
export { KvmError } from "./errors.js";
export { EventFd } from "./eventfd.js";
export type * from "./exit.js";
export {
  type FeatureRefusal,
  type FeatureSelection,
  FeatureSelectionError,
  type RefusalReason,
} from "./feature-selection.js";
export type { FirmwareFeature, FirmwareFeatureRegister } from "./firmware-features.js";
export type { FieldRule, IdRegister, IdRegisterField } from "./id-registers.js";
export type { GsiRoute, Irqfd, IrqLine, Msi } from "./interrupts.js";
export { type Backend, type CreateVmOptions, Kvm, type OpenOptions } from "./kvm.js";
export type { GuestMemory } from "./memory.js";
export type { CoalescedZone, IoEvent } from "./mmio-zones.js";
export type { Statistic, Statistics } from "./stats.js";
export type { CapName } from "./uapi/caps.js";
export {
  type CoalescedWrite,
  type DebugRegister,
  type GuestDebug,
  type InitOptions,
  type MpState,
  Vcpu,
  type VcpuEvents,
} from "./vcpu.js";
export { type MemoryOptions, Vm } from "./vm.js";
