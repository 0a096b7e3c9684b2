// Device attributes of a vCPU: Documentation/virt/kvm/devices/vcpu.rst.

import { Refused } from "../../errors.js";
import { KVM_ARM_VCPU_GROUP } from "../../uapi/constants.js";
import type { ErrnoName } from "../../uapi/errno.js";
import { placeStolenTime, stolenTimeRecord } from "../cpu/stolen-time.js";
import { setTimerIntid, timerIntid, timersAreSettled } from "../cpu/timer.js";
import type { VcpuState } from "../vcpu-state.js";
import { irqchipOf } from "./irqchip.js";
import { pmuAttributes } from "./pmu-attributes.js";

/** The caller's buffer, `bytes` long; null: the address is not the caller's. */
type Argument = (bytes: number) => DataView | null;

interface Answer {
  readonly bytes: 4 | 8;
  readonly value: bigint;
}

export interface AttributeGroup {
  has(vcpu: VcpuState, attr: bigint): ErrnoName | null;
  get(vcpu: VcpuState, attr: bigint): Answer | ErrnoName;
  set(vcpu: VcpuState, attr: bigint, argument: Argument): ErrnoName | null;
}

const FIRST_PPI = 16;
const PPIS_END = 32;

const timers: AttributeGroup = {
  has(vcpu, attr) {
    return attr < BigInt(vcpu.vm.profile.switches.timerAttributes) ? null : "ENXIO";
  },
  get(vcpu, attr) {
    const refused = this.has(vcpu, attr);
    return refused ?? { bytes: 4, value: BigInt(timerIntid(vcpu, Number(attr))) };
  },
  set(vcpu, attr, argument) {
    if (irqchipOf(vcpu.vm) === null) return "EINVAL";
    const bytes = argument(4);
    if (bytes === null) return "EFAULT";
    const intid = bytes.getInt32(0, true);
    if (intid < FIRST_PPI || intid >= PPIS_END) return "EINVAL";
    if (timersAreSettled(vcpu)) return "EBUSY";
    const refused = this.has(vcpu, attr);
    if (refused === null) setTimerIntid(vcpu.vm, Number(attr), intid);
    return refused;
  },
};

const IPA = 0n;

const stolenTime: AttributeGroup = {
  has(vcpu, attr) {
    return vcpu.vm.profile.host.stolenTime && attr === IPA ? null : "ENXIO";
  },
  get(vcpu, attr) {
    return this.has(vcpu, attr) ?? { bytes: 8, value: stolenTimeRecord(vcpu) };
  },
  set(vcpu, attr, argument) {
    const refused = this.has(vcpu, attr);
    if (refused !== null) return refused;
    const bytes = argument(8);
    return bytes === null ? "EFAULT" : placeStolenTime(vcpu, bytes.getBigUint64(0, true));
  },
};

const groups = new Map<number, AttributeGroup>([
  [KVM_ARM_VCPU_GROUP.PMU_V3, pmuAttributes],
  [KVM_ARM_VCPU_GROUP.TIMER, timers],
  [KVM_ARM_VCPU_GROUP.PVTIME, stolenTime],
]);

function bufferOf(value: Uint8Array | null, bytes: number): DataView | null {
  // Behind a value that is too short there is no memory.
  if (value === null || value.length < bytes) return null;
  return new DataView(value.buffer, value.byteOffset, bytes);
}

export const attributes = {
  has(vcpu: VcpuState, group: number, attr: bigint): void {
    const refused = groups.get(group)?.has(vcpu, attr);
    if (refused !== null) throw new Refused(refused ?? "ENXIO", "KVM_HAS_DEVICE_ATTR");
  },

  get(vcpu: VcpuState, group: number, attr: bigint, value: Uint8Array | null): void {
    const call = "KVM_GET_DEVICE_ATTR";
    const answer = groups.get(group)?.get(vcpu, attr) ?? "ENXIO";
    if (typeof answer === "string") throw new Refused(answer, call);
    const to = bufferOf(value, answer.bytes);
    if (to === null) throw new Refused("EFAULT", call);
    if (answer.bytes === 4) to.setUint32(0, Number(answer.value), true);
    else to.setBigUint64(0, answer.value, true);
  },

  set(vcpu: VcpuState, group: number, attr: bigint, value: Uint8Array | null): void {
    const refused = groups.get(group)?.set(vcpu, attr, (bytes) => bufferOf(value, bytes));
    if (refused !== null) throw new Refused(refused ?? "ENXIO", "KVM_SET_DEVICE_ATTR");
  },
};
