// What timers and PMU ask of the in-kernel interrupt controller.

import type { ErrnoName } from "../../uapi/errno.js";
import { gicOf } from "../gic/gic.js";
import { ownLine, setOwnedLine } from "../gic/lines.js";
import type { VcpuState } from "../vcpu-state.js";
import type { VmState } from "../vm-state.js";

/** The interrupt controller of a VM, as the devices inside a vCPU see it. */
export interface Irqchip {
  /** KVM_DEV_ARM_VGIC_CTRL_INIT was done. */
  readonly initialised: boolean;
  /** INTIDs end here. */
  readonly intids: number;
  /** An interrupt gets an owner, who alone may move its line: EEXIST if it has another. */
  own(vcpu: VcpuState, intid: number): ErrnoName | null;
  /** The owner moves the line. */
  setLine(vcpu: VcpuState, intid: number, level: 0 | 1): void;
}

/** null: the VM has none. */
export function irqchipOf(vm: VmState): Irqchip | null {
  const gic = gicOf(vm);
  if (gic === null) return null;
  return {
    initialised: gic.get("initialised") === 1,
    intids: gic.intids,
    own: (vcpu, intid) => (ownLine(vcpu, intid) ? null : "EEXIST"),
    setLine: (vcpu, intid, level) => setOwnedLine(vcpu, intid, level === 1),
  };
}
