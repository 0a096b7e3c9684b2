// Device attributes of a vCPU: Documentation/virt/kvm/devices/vcpu.rst. The host has no PMU, no stolen time and no
// in-kernel interrupt controller.

import { Refused } from "../../errors.js";
import { KVM_ARM_VCPU_GROUP } from "../../uapi/constants.js";
import type { VcpuState } from "../vcpu-state.js";

/** INTIDs of the timers: virtual, physical, and those of EL2, hypervisor virtual and physical. */
const TIMER_INTIDS = [27, 30, 28, 26] as const;

const PMU_IRQ = 0n;

const timerIntid = (vcpu: VcpuState, attr: bigint) =>
  attr < BigInt(vcpu.vm.profile.switches.timerAttributes) ? TIMER_INTIDS[Number(attr)] : undefined;

export const attributes = {
  has(vcpu: VcpuState, group: number, attr: bigint): void {
    if (group === KVM_ARM_VCPU_GROUP.TIMER && timerIntid(vcpu, attr) !== undefined) return;
    throw new Refused("ENXIO", "KVM_HAS_DEVICE_ATTR");
  },

  get(vcpu: VcpuState, group: number, attr: bigint, value: Uint8Array | null): void {
    const call = "KVM_GET_DEVICE_ATTR";
    // The PMU's interrupt needs a controller before anything else.
    if (group === KVM_ARM_VCPU_GROUP.PMU_V3 && attr === PMU_IRQ) throw new Refused("EINVAL", call);
    const intid = group === KVM_ARM_VCPU_GROUP.TIMER ? timerIntid(vcpu, attr) : undefined;
    if (intid === undefined) throw new Refused("ENXIO", call);
    if (value === null) throw new Refused("EFAULT", call);
    if (value.length < 4) throw new RangeError(`getDeviceAttr: value needs 4 bytes, got ${value.length}`);
    new DataView(value.buffer, value.byteOffset, 4).setInt32(0, intid, true);
  },

  set(_vcpu: VcpuState, group: number, _attr: bigint): void {
    const call = "KVM_SET_DEVICE_ATTR";
    if (group === KVM_ARM_VCPU_GROUP.PMU_V3) throw new Refused("ENODEV", call);
    throw new Refused(group === KVM_ARM_VCPU_GROUP.TIMER ? "EINVAL" : "ENXIO", call);
  },
};
