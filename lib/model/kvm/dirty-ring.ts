// The dirty rings: Documentation/virt/kvm/api.rst 8.29, 4.128. One for each vCPU, in an allocation of its own.

import { PAGE_BYTES } from "../../uapi/constants.js";
import { structs } from "../../uapi/structs.js";
import { forgetAll } from "../shootdown.js";
import { dirtyWordsOf, type SlotView } from "../slots.js";
import { allVcpus, type VcpuState } from "../vcpu-state.js";
import type { VmState } from "../vm-state.js";

const ENTRY_BYTES = structs.kvm_dirty_gfn.bytes;
export const MOST_RING_BYTES = 65536 * ENTRY_BYTES;
/** Entries that stay free for what a vCPU writes on its way out (KVM_DIRTY_RING_RSVD_ENTRIES). */
const RESERVED = 64;
const DIRTY = 1;
const RESET = 2;

/** Gives a new vCPU its ring, where the VM has rings. Inside `locked`. */
export function makeRing(vcpu: VcpuState, call: string): void {
  const bytes = vcpu.vm.get("ringBytes");
  if (bytes > 0) vcpu.put("dirtyRing", vcpu.vm.allocationOffset(vcpu.vm.allocate(bytes, call)));
}

/** The ring's bytes; null where the VM has none. */
export function ringBytes(vcpu: VcpuState): Uint8Array | null {
  const bytes = vcpu.vm.get("ringBytes");
  return bytes === 0 ? null : vcpu.vm.view(vcpu.get("dirtyRing") >>> 0, bytes);
}

const wordsOf = (ring: Uint8Array) => new Int32Array(ring.buffer, ring.byteOffset, ring.byteLength / 4);

/** A vCPU writes to a page of a logged slot: one entry until the page is reset, whoever writes to it. */
export function pushDirty(vcpu: VcpuState, slot: SlotView, address: number): void {
  const page = Math.floor((address - slot.first) / PAGE_BYTES);
  const bit = 1 << (page & 31);
  if ((Atomics.or(slot.dirty!, page >> 5, bit) & bit) === 0) pushPage(vcpu, slot, page);
}

/** The kernel writes to a page of a logged slot for a vCPU: an entry each time. */
export function pushWritten(vcpu: VcpuState, slot: SlotView, address: number): void {
  pushPage(vcpu, slot, Math.floor((address - slot.first) / PAGE_BYTES));
}

function pushPage(vcpu: VcpuState, slot: SlotView, page: number): void {
  const ring = wordsOf(ringBytes(vcpu)!);
  const index = vcpu.get("ringPushed");
  const at = ((index >>> 0) % (ring.length / 4)) * 4;
  ring[at + 1] = slot.slot;
  ring[at + 2] = page;
  ring[at + 3] = 0;
  Atomics.store(ring, at, DIRTY);
  vcpu.put("ringPushed", index + 1);
  // The engine is to stop before the reserve is used up.
  if (ringIsFull(vcpu)) vcpu.cpu.kick();
}

/** Full but for the reserve: KVM_RUN ends with KVM_EXIT_DIRTY_RING_FULL. */
export function ringIsFull(vcpu: VcpuState): boolean {
  const bytes = vcpu.vm.get("ringBytes");
  return bytes > 0 && vcpu.get("ringPushed") - vcpu.get("ringReset") >= bytes / ENTRY_BYTES - RESERVED;
}

/** KVM_RESET_DIRTY_RINGS: takes back what userspace has harvested, and watches those pages again. */
export function resetRings(vm: VmState): number {
  const count = vm.locked(() => allVcpus(vm).reduce((sum, vcpu) => sum + resetRing(vcpu), 0));
  vm.add("slotGeneration", 1);
  forgetAll(vm);
  return count;
}

function resetRing(vcpu: VcpuState): number {
  const ring = wordsOf(ringBytes(vcpu)!);
  let count = 0;
  for (; count < ring.length / 4; count++) {
    const index = vcpu.get("ringReset");
    const at = ((index >>> 0) % (ring.length / 4)) * 4;
    if ((Atomics.load(ring, at) & RESET) === 0) break;
    const page = ring[at + 2]! >>> 0;
    const words = dirtyWordsOf(vcpu.vm, ring[at + 1]! >>> 0);
    if (words !== null && page >> 5 < words.length) Atomics.and(words, page >> 5, ~(1 << (page & 31)));
    Atomics.store(ring, at, 0);
    vcpu.put("ringReset", index + 1);
  }
  return count;
}
