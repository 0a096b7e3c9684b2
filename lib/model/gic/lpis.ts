// What LPIs and the ITS mean to the rest of a GICv3. A VM without an ITS has none.

import type { ErrnoName } from "../../uapi/errno.js";
import type { VcpuState } from "../vcpu-state.js";
import type { VmState } from "../vm-state.js";
import type { Gic, Ref } from "./gic.js";

/** The record of an LPI; 0: nobody has mapped it. Inside `gicLocked`. */
export function lpiRecord(_gic: Gic, _intid: number): Ref {
  return 0;
}

/** KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES. Inside `gicLocked`. */
export function savePendingTables(_gic: Gic): ErrnoName | null {
  return null;
}

/** GICR_CTLR.EnableLPIs of a VM with an ITS changes. Inside `gicLocked`. */
export function enableLpis(_gic: Gic, _vcpu: VcpuState, _enabled: boolean): void {}

/** GICR_INVLPIR and GICR_INVALLR, while LPIs are enabled. Inside `gicLocked`. */
export function invalidateLpis(_gic: Gic, _vcpu: VcpuState, _intid: number | "all"): void {}

/** An MSI as KVM_SIGNAL_MSI and routes have it; `devid` null: not said. */
export interface Msi {
  readonly address: bigint;
  readonly data: number;
  readonly devid: number | null;
}

/** A message arrives: whether it was delivered, or why it can not be. Not inside `gicLocked`. */
export function deliverMsi(_vm: VmState, _msi: Msi): boolean | ErrnoName {
  return "ENODEV";
}
