// Guest memory as the kernel itself reads and writes it for its devices: through the memory slots, whatever they are
// logged for, and never where a slot is read-only.

import { KVM_MEM, PAGE_BYTES } from "../uapi/constants.js";
import { pushDirty } from "./kvm/dirty-ring.js";
import { markDirty, type SlotView, slotAt } from "./slots.js";
import type { VcpuState } from "./vcpu-state.js";
import type { VmState } from "./vm-state.js";

/** Calls `part` for each stretch of a range that lies in one page; false: some byte has no slot, or `part` said no. */
function eachPage(
  vm: VmState,
  address: bigint,
  bytes: number,
  part: (slot: SlotView, address: number, done: number, bytes: number) => boolean,
): boolean {
  for (let done = 0; done < bytes; ) {
    const at = address + BigInt(done);
    const slot = slotAt(vm, at);
    if (slot === undefined) return false;
    const length = Math.min(bytes - done, PAGE_BYTES - Number(at % BigInt(PAGE_BYTES)));
    if (!part(slot, Number(at), done, length)) return false;
    done += length;
  }
  return true;
}

/** Whether a guest address has a slot. Inside `locked`. */
export const isBacked = (vm: VmState, address: bigint): boolean => slotAt(vm, address) !== undefined;

/** Reads guest memory; null: not all of it has a slot. Inside `locked`. */
export function readGuest(vm: VmState, address: bigint, bytes: number): DataView | null {
  const into = new Uint8Array(bytes);
  const whole = eachPage(vm, address, bytes, (slot, at, done, length) => {
    into.set(vm.view(slot.hostOffset + (at - slot.first), length), done);
    return true;
  });
  return whole ? new DataView(into.buffer) : null;
}

/**
 * Writes guest memory; false: not all of it can be written. `runner`: the vCPU whose dirty ring takes what is written,
 * if one is running. Inside `locked`.
 */
export function writeGuest(vm: VmState, address: bigint, bytes: Uint8Array, runner: VcpuState | null): boolean {
  return eachPage(vm, address, bytes.length, (slot, at, done, length) => {
    if ((slot.flags & KVM_MEM.READONLY) !== 0 || slot.hostReadonly === 1) return false;
    vm.view(slot.hostOffset + (at - slot.first), length).set(bytes.subarray(done, done + length));
    if (slot.dirty === null) return true;
    if (runner !== null && vm.get("ringBytes") > 0) pushDirty(runner, slot, at);
    else markDirty(slot, at);
    return true;
  });
}
