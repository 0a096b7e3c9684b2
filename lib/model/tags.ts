// Allocation tags of guest memory (FEAT_MTE2): KVM_ARM_MTE_COPY_TAGS, Documentation/virt/kvm/api.rst 4.130. Tags belong to the
// pages, not to the slots: an allocation that was ever tagged has one of its own beside it, a byte for each 16.

import { Refused } from "../errors.js";
import { KVM_MEM, PAGE_BYTES } from "../uapi/constants.js";
import { VmCap, vmCells } from "./layout.js";
import { loggedSlots, SlotMap, type SlotView } from "./slots.js";
import type { VmState } from "./vm-state.js";

const FROM_GUEST = 1n;
const PAGE = BigInt(PAGE_BYTES);
const INT_MAX = 0x7fff_ffffn;
/** Bytes that share a tag (DDI 0487 D10.2). */
const GRANULE = 16;
const TAG = 15;
const PAGE_TAGS = PAGE_BYTES / GRANULE;

export interface TagCopy {
  readonly guestAddress: bigint;
  readonly bytes: bigint;
  readonly tags: Uint8Array;
  readonly flags: bigint;
}

/** Gives how many bytes of guest memory were covered: less than asked for where a page in the middle is missing. */
export function copyTags(vm: VmState, { guestAddress, bytes, tags, flags }: TagCopy): number {
  const call = "KVM_ARM_MTE_COPY_TAGS";
  const { switches } = vm.profile;
  if ((vm.peek("caps") & VmCap.mte) === 0 || (flags & ~FROM_GUEST) !== 0n) throw new Refused("EINVAL", call);
  if (bytes % PAGE !== 0n || guestAddress % PAGE !== 0n || (switches.tagCopyBounded && bytes > INT_MAX))
    throw new Refused("EINVAL", call);
  const toGuest = (flags & FROM_GUEST) === 0n;
  const slots = new SlotMap(vm);
  if (toGuest && switches.tagsRefusedWhileLogged && loggedSlots(vm) > 0) throw new Refused("EBUSY", call);
  for (let done = 0; done < Number(bytes); done += PAGE_BYTES) {
    const address = Number(guestAddress) + done;
    const slot = slots.find(address);
    if (slot === undefined || (toGuest && !takesWrites(slot))) {
      if (done > 0) return done;
      throw new Refused("EFAULT", call);
    }
    const part = tags.subarray(done / GRANULE, done / GRANULE + PAGE_TAGS);
    vm.locked(() => (toGuest ? putTags(vm, slot, address, part, call) : takeTags(vm, slot, address, part)));
  }
  return Number(bytes);
}

const takesWrites = (slot: SlotView) => (slot.flags & KVM_MEM.READONLY) === 0 && slot.hostReadonly === 0;

/** The word that names the tags of an allocation: 0, or their own allocation plus 1. */
const wordOf = (allocation: number) => vmCells.tags * 2 + allocation;

/** The tags of the page of a slot that holds `address`, if it has any. */
function pageTags(vm: VmState, slot: SlotView, address: number): Uint8Array | null {
  const named = vm.words[wordOf(slot.allocation)]!;
  if (named === 0) return null;
  const offset = slot.hostOffset + (address - slot.first) - vm.allocationOffset(slot.allocation);
  return vm.view(vm.allocationOffset(named - 1) + offset / GRANULE, PAGE_TAGS);
}

function takeTags(vm: VmState, slot: SlotView, address: number, into: Uint8Array): void {
  const tags = pageTags(vm, slot, address);
  if (tags === null) into.fill(0);
  else into.set(tags);
}

function putTags(vm: VmState, slot: SlotView, address: number, from: Uint8Array, call: string): void {
  const { allocation } = slot;
  if (vm.words[wordOf(allocation)] === 0) {
    vm.words[wordOf(allocation)] = vm.allocate(vm.allocationBytes(allocation) / GRANULE, call) + 1;
  }
  const tags = pageTags(vm, slot, address)!;
  for (const [n, tag] of from.entries()) tags[n] = tag & TAG;
}
