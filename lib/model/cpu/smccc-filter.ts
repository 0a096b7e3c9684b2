// The SMCCC filter of a VM: Documentation/virt/kvm/devices/vm.rst, KVM_ARM_VM_SMCCC_FILTER.

import { KVM_SMCCC_FILTER } from "../../uapi/constants.js";
import type { ErrnoName } from "../../uapi/errno.js";
import { SMCCC_FILTERS, vmCells } from "../layout.js";
import type { VmState } from "../vm-state.js";

export const FILTER_BYTES = 24;
const ACTIONS = 3;

/** The architecture's own services cannot be filtered. */
const reserved = [
  [0x8000_0000, 0x8000_ffff],
  [0xc000_0000, 0xc000_ffff],
] as const;

const word = (n: number, cell: number, half: number) => (vmCells.smcccFilters + 2 * n + cell) * 2 + half;

function overlaps(vm: VmState, first: number, last: number): boolean {
  if (reserved.some(([a, b]) => first <= b && last >= a)) return true;
  for (let n = 0; n < vm.get("smcccCount"); n++) {
    if (first <= vm.words[word(n, 0, 1)]! >>> 0 && last >= vm.words[word(n, 0, 0)]! >>> 0) return true;
  }
  return false;
}

/** KVM_SET_DEVICE_ATTR: struct kvm_smccc_filter. Inside `locked`. */
export function addFilter(vm: VmState, filter: Uint8Array): ErrnoName | null {
  const view = new DataView(filter.buffer, filter.byteOffset, FILTER_BYTES);
  const first = view.getUint32(0, true);
  const functions = view.getUint32(4, true);
  const action = view.getUint8(8);
  if (filter.subarray(9, FILTER_BYTES).some((byte) => byte !== 0)) return "EINVAL";
  const last = (first + functions - 1) >>> 0;
  if (vm.profile.switches.smcccFilterRejectsEmpty && functions === 0) return "EINVAL";
  if (last < first || action >= ACTIONS) return "EINVAL";
  if (vm.peek("ran") === 1) return "EBUSY";
  if (overlaps(vm, first, last)) return "EEXIST";
  const count = vm.get("smcccCount");
  if (count === SMCCC_FILTERS) return "ENOMEM";
  vm.words[word(count, 0, 0)] = first;
  vm.words[word(count, 0, 1)] = last;
  vm.words[word(count, 1, 0)] = action;
  vm.put("smcccCount", count + 1);
  return null;
}

/** What is to happen to a call: KVM_SMCCC_FILTER. */
export function filterAction(vm: VmState, functionId: number): number {
  for (let n = 0; n < vm.get("smcccCount"); n++) {
    if (functionId >= vm.words[word(n, 0, 0)]! >>> 0 && functionId <= vm.words[word(n, 0, 1)]! >>> 0) {
      return vm.words[word(n, 1, 0)]!;
    }
  }
  return KVM_SMCCC_FILTER.HANDLE;
}
