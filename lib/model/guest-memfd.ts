// guest_memfd: memory that belongs to one VM and is bound to its slots by a descriptor. Documentation/virt/kvm/api.rst
// 4.140 (KVM_SET_USER_MEMORY_REGION2) and 4.142 (KVM_CREATE_GUEST_MEMFD).

import { Refused } from "../errors.js";
import { GUEST_MEMFD_FLAG, PAGE_BYTES } from "../uapi/constants.js";
import { structs, unpack } from "../uapi/structs.js";
import type { EventFds } from "./eventfd.js";
import { GUEST_MEMFDS, vmCells } from "./layout.js";
import type { VmState } from "./vm-state.js";

const PAGE = BigInt(PAGE_BYTES);
export const GUEST_MEMFD_FLAGS = GUEST_MEMFD_FLAG.MMAP | GUEST_MEMFD_FLAG.INIT_SHARED;
/** Sizes are loff_t. */
const MOST_BYTES = (1n << 63n) - 1n;

/** One of the VM's guest_memfds: its place in the table. */
export type GuestMemfd = number & { readonly guestMemfd: true };

// A row: 0 bytes · 1 descriptor, flags · 2 allocation + 1, which is made when somebody first needs the bytes
const cell = (row: number, n: number) => vmCells.guestMemfds + 3 * row + n;
const word = (row: number, n: number, half = 0) => cell(row, n) * 2 + half;

/** KVM_CREATE_GUEST_MEMFD: the descriptor. Inside `locked`. */
export function createGuestMemfd(vm: VmState, fds: EventFds, args: Uint8Array): number {
  const call = "KVM_CREATE_GUEST_MEMFD";
  const { size, flags } = unpack(structs.kvm_create_guest_memfd, args);
  if ((flags & ~BigInt(GUEST_MEMFD_FLAGS)) !== 0n) throw new Refused("EINVAL", call);
  if (size === 0n || size > MOST_BYTES || size % PAGE !== 0n) throw new Refused("EINVAL", call);
  const row = vm.get("guestMemfdCount");
  if (row === GUEST_MEMFDS) throw new Refused("EMFILE", call);
  const fd = fds.takeNumber(call);
  vm.quads[cell(row, 0)] = size;
  vm.words[word(row, 1)] = fd;
  vm.words[word(row, 1, 1)] = Number(flags);
  vm.put("guestMemfdCount", row + 1);
  return fd;
}

/** The guest_memfd behind a descriptor; null: it is none of this VM's. */
export function findGuestMemfd(vm: VmState, fd: number): GuestMemfd | null {
  for (let row = 0; row < vm.get("guestMemfdCount"); row++) {
    if (vm.words[word(row, 1)] === fd) return row as GuestMemfd;
  }
  return null;
}

export const guestMemfdBytes = (vm: VmState, memfd: GuestMemfd): bigint => vm.quads[cell(memfd, 0)]!;
export const guestMemfdHas = (vm: VmState, memfd: GuestMemfd, flag: keyof typeof GUEST_MEMFD_FLAG): boolean =>
  (vm.words[word(memfd, 1, 1)]! & GUEST_MEMFD_FLAG[flag]) !== 0;

/** The allocation that holds the bytes; its reference is the guest_memfd's own. Inside `locked`. */
export function guestMemfdAllocation(vm: VmState, memfd: GuestMemfd, call: string): number {
  const made = vm.words[word(memfd, 2)]!;
  if (made !== 0) return made - 1;
  const bytes = guestMemfdBytes(vm, memfd);
  if (bytes > BigInt(vm.profile.memoryBytes)) throw new Refused("ENOMEM", call);
  const allocation = vm.allocate(Number(bytes), call);
  vm.words[word(memfd, 2)] = allocation + 1;
  return allocation;
}

/** Part of a guest_memfd for a slot: what kvm_gmem_bind finds wrong with a descriptor and a range. Inside `locked`. */
export function bindable(
  vm: VmState,
  fds: EventFds,
  asked: { readonly fd: number; readonly offset: bigint; readonly bytes: bigint },
  call: string,
): { readonly allocation: number; readonly hostOffset: bigint; readonly mappable: boolean } {
  const memfd = findGuestMemfd(vm, asked.fd);
  if (memfd === null) throw new Refused(fds.isDescriptor(asked.fd) ? "EINVAL" : "EBADF", call);
  if (asked.offset + asked.bytes > guestMemfdBytes(vm, memfd)) throw new Refused("EINVAL", call);
  const allocation = guestMemfdAllocation(vm, memfd, call);
  const hostOffset = BigInt(vm.allocationOffset(allocation)) + asked.offset;
  return { allocation, hostOffset, mappable: guestMemfdHas(vm, memfd, "MMAP") };
}

/** When the VM's last descriptor closes. */
export function closeGuestMemfds(vm: VmState, fds: EventFds): void {
  for (let row = 0; row < vm.get("guestMemfdCount"); row++) fds.releaseNumber(vm.words[word(row, 1)]!);
  vm.put("guestMemfdCount", 0);
}
