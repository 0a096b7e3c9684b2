// Stolen time: how long a vCPU wanted to run and did not. Arm DEN 0057; Documentation/virt/kvm/arm/pvtime.rst.
//
// On the model that is the time for which a run lets its thread's event loop have its turn between two slices of guest
// time. A thread that blocks in `runSync` gives none away.

import { KVM_MEM } from "../../uapi/constants.js";
import type { ErrnoName } from "../../uapi/errno.js";
import { pushWritten } from "../kvm/dirty-ring.js";
import { markDirty, SlotMap } from "../slots.js";
import type { VcpuState } from "../vcpu-state.js";

/** The record: revision 0, attributes 0 (words), stolen nanoseconds; the rest is reserved. */
const RECORD_BYTES = 64;
const STOLEN = 8;
const NOWHERE = 0xffff_ffff_ffff_ffffn;

/** Where the record is; all ones: nowhere. */
export const stolenTimeRecord = (vcpu: VcpuState): bigint => BigInt.asUintN(64, vcpu.quad("pvtime") - 1n);
export const hasStolenTime = (vcpu: VcpuState): boolean => stolenTimeRecord(vcpu) !== NOWHERE;

/** KVM_ARM_VCPU_PVTIME_IPA. */
export function placeStolenTime(vcpu: VcpuState, guestAddress: bigint): ErrnoName | null {
  if (guestAddress % BigInt(RECORD_BYTES) !== 0n) return "EINVAL";
  if (hasStolenTime(vcpu)) return "EEXIST";
  const slot = new SlotMap(vcpu.vm).find(Number(guestAddress));
  if (slot === undefined || (slot.flags & KVM_MEM.READONLY) !== 0) return "EINVAL";
  vcpu.putQuad("pvtime", guestAddress + 1n);
  return null;
}

/** The record, which is about to be written; null: there is no memory any more. */
function recordAt(vcpu: VcpuState, slots: SlotMap): DataView | null {
  const { vm } = vcpu;
  const address = Number(stolenTimeRecord(vcpu));
  const slot = slots.find(address);
  if (slot === undefined || (slot.flags & KVM_MEM.READONLY) !== 0 || slot.hostReadonly === 1) return null;
  if (slot.dirty !== null) {
    if (vm.get("ringBytes") > 0) pushWritten(vcpu, slot, address);
    else markDirty(slot, address);
  }
  const bytes = vm.view(slot.hostOffset + (address - slot.first), RECORD_BYTES);
  return new DataView(bytes.buffer, bytes.byteOffset, RECORD_BYTES);
}

/** PV_TIME_ST: the guest asks where the record is, which begins with no time stolen. All ones: nowhere. */
export function beginStolenTime(vcpu: VcpuState): bigint {
  if (!hasStolenTime(vcpu)) return NOWHERE;
  const record = recordAt(vcpu, new SlotMap(vcpu.vm));
  if (record !== null) new Uint8Array(record.buffer, record.byteOffset, RECORD_BYTES).fill(0);
  return stolenTimeRecord(vcpu);
}

/** Adds what was stolen since the record was last written, where there is one. */
export function tellStolenTime(vcpu: VcpuState, slots: SlotMap): void {
  const record = recordAt(vcpu, slots);
  record?.setBigUint64(STOLEN, record.getBigUint64(STOLEN, true) + vcpu.quad("stolen"), true);
  vcpu.putQuad("stolen", 0n);
}
