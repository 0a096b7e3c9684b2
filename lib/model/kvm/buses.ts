// What a guest's store meets before it becomes an exit: coalesced MMIO zones and ioeventfds.
// Documentation/virt/kvm/api.rst 4.59, 4.116.

import { Refused } from "../../errors.js";
import { KVM_IOEVENTFD_FLAG as IOEVENTFD, PAGE_BYTES } from "../../uapi/constants.js";
import type { EventFds } from "../eventfd.js";
import { BUS_DEVICES, IOEVENTFDS, vmCells } from "../layout.js";
import { allVcpus, type VcpuState } from "../vcpu-state.js";
import type { VmState } from "../vm-state.js";

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const GUEST_BYTES = 1n << 64n;

// Coalesced MMIO. A zone: address, then bytes and pio.

const zoneWord = (n: number, half: number) => (vmCells.zones + 2 * n + 1) * 2 + half;

/** KVM_REGISTER_COALESCED_MMIO. Inside `locked`. */
export function registerZone(vm: VmState, zone: Uint8Array): void {
  const z = view(zone);
  const pio = z.getUint32(12, true);
  if (pio > 1) throw new Refused("EINVAL", "KVM_REGISTER_COALESCED_MMIO");
  const count = vm.get("zoneCount");
  const onBus = Array.from({ length: count }, (_, n) => vm.words[zoneWord(n, 1)]).filter((p) => p === pio).length;
  if (onBus >= BUS_DEVICES || count >= BUS_DEVICES) throw new Refused("ENOSPC", "KVM_REGISTER_COALESCED_MMIO");
  vm.quads[vmCells.zones + 2 * count] = z.getBigUint64(0, true);
  vm.words[zoneWord(count, 0)] = z.getInt32(8, true);
  vm.words[zoneWord(count, 1)] = pio;
  vm.put("zoneCount", count + 1);
}

/** KVM_UNREGISTER_COALESCED_MMIO: every zone inside the range; none is no error. Inside `locked`. */
export function unregisterZone(vm: VmState, zone: Uint8Array): void {
  const z = view(zone);
  const pio = z.getUint32(12, true);
  if (pio > 1) throw new Refused("EINVAL", "KVM_UNREGISTER_COALESCED_MMIO");
  const address = z.getBigUint64(0, true);
  const bytes = BigInt(z.getUint32(8, true));
  for (let n = vm.get("zoneCount") - 1; n >= 0; n--) {
    const first = vm.quads[vmCells.zones + 2 * n]!;
    const length = BigInt(vm.words[zoneWord(n, 0)]! >>> 0);
    // The kernel asks its zones whether they hold the given range.
    if (vm.words[zoneWord(n, 1)] !== pio || address < first || address + bytes > first + length) continue;
    const last = vm.get("zoneCount") - 1;
    vm.quads.copyWithin(vmCells.zones + 2 * n, vmCells.zones + 2 * last, vmCells.zones + 2 * last + 2);
    vm.put("zoneCount", last);
  }
}

// The ring: first, last (words), then entries of 24 bytes: phys_addr, len, pio, data. The VM has one; every vCPU's run
// pages end with a copy of it, and the copies are brought together whenever KVM has its hands on one.
const ENTRIES = Math.floor((PAGE_BYTES - 8) / 24);
const FIRST = vmCells.ring * 2;
const LAST = vmCells.ring * 2 + 1;

const ringOf = (vcpu: VcpuState) => new DataView(vcpu.runPage.buffer, vcpu.runPage.byteOffset + PAGE_BYTES, PAGE_BYTES);

/** Userspace takes entries through any copy: the one that it moved on says how far. Inside `locked`. */
function gather(vm: VmState, rings: readonly DataView[]): void {
  const moved = rings.find((ring) => ring.getInt32(0, true) !== vm.words[FIRST]);
  if (moved === undefined) return;
  vm.words[FIRST] = moved.getInt32(0, true);
  for (const ring of rings) ring.setInt32(0, vm.words[FIRST]!, true);
}

/** A new vCPU's copy of the ring. */
export function copyRing(from: VcpuState, to: VcpuState): void {
  to.runPage.set(from.runPage.subarray(PAGE_BYTES), PAGE_BYTES);
}

/** The copies agree before and after a run. */
export function shareRing(vm: VmState): void {
  if (vm.get("zoneCount") === 0) return;
  vm.locked(() => gather(vm, allVcpus(vm).map(ringOf)));
}

/** Whether the ring has room; one entry always stays free. */
function hasRoom(vm: VmState): boolean {
  const room = vm.words[FIRST]! - vm.words[LAST]! - 1;
  const counted = vm.profile.switches.ringRoomWraps ? room >>> 0 : room;
  return counted % ENTRIES !== 0;
}

/** Puts a store into the ring; false: no zone holds it, or the ring is full. */
function coalesce(vm: VmState, address: bigint, data: Uint8Array): boolean {
  return vm.locked(() => {
    const inZone = (n: number) => {
      const first = vm.quads[vmCells.zones + 2 * n]!;
      const length = BigInt(vm.words[zoneWord(n, 0)]! >>> 0);
      return vm.words[zoneWord(n, 1)] === 0 && address >= first && address + BigInt(data.length) <= first + length;
    };
    let zone = 0;
    while (zone < vm.get("zoneCount") && !inZone(zone)) zone++;
    if (zone === vm.get("zoneCount")) return false;
    const rings = allVcpus(vm).map(ringOf);
    gather(vm, rings);
    if (!hasRoom(vm)) return false;
    const last = vm.words[LAST]!;
    const next = (last + 1) % ENTRIES;
    for (const ring of rings) putEntry(ring, last, next, address, data);
    vm.words[LAST] = next;
    return true;
  });
}

function putEntry(ring: DataView, entry: number, next: number, address: bigint, data: Uint8Array): void {
  const at = 8 + 24 * entry;
  ring.setBigUint64(at, address, true);
  ring.setUint32(at + 8, data.length, true);
  ring.setUint32(at + 12, 0, true);
  for (const [i, byte] of data.entries()) ring.setUint8(at + 16 + i, byte);
  ring.setUint32(4, next, true);
}

// Ioeventfds: address; datamatch; len, flags; eventfd.

const ioeventWord = (n: number, cell: number, half: number) => (vmCells.ioevents + 4 * n + cell) * 2 + half;
const BUS = IOEVENTFD.PIO | IOEVENTFD.VIRTIO_CCW_NOTIFY;

/** KVM_IOEVENTFD. Inside `locked`. */
export function ioeventfd(vm: VmState, eventFds: EventFds, args: Uint8Array): void {
  const call = "KVM_IOEVENTFD";
  const a = view(args);
  const [datamatch, address] = [a.getBigUint64(0, true), a.getBigUint64(8, true)];
  const [bytes, fd, flags] = [a.getUint32(16, true), a.getInt32(20, true), a.getUint32(24, true)];
  const matches = (n: number, sameFd: number) =>
    vm.quads[vmCells.ioevents + 4 * n] === address &&
    (vm.words[ioeventWord(n, 2, 1)]! & BUS) === (flags & BUS) &&
    vm.words[ioeventWord(n, 2, 0)] === bytes &&
    (vm.words[ioeventWord(n, 2, 1)]! & IOEVENTFD.DATAMATCH) === (flags & IOEVENTFD.DATAMATCH) &&
    ((flags & IOEVENTFD.DATAMATCH) === 0 || vm.quads[vmCells.ioevents + 4 * n + 1] === datamatch) &&
    (sameFd < 0 || vm.words[ioeventWord(n, 3, 0)] === sameFd);
  const count = vm.get("ioeventCount");
  if ((flags & IOEVENTFD.DEASSIGN) !== 0) {
    eventFds.check(fd, call);
    for (let n = 0; n < count; n++) {
      if (!matches(n, fd)) continue;
      eventFds.release(fd);
      const last = count - 1;
      vm.quads.copyWithin(vmCells.ioevents + 4 * n, vmCells.ioevents + 4 * last, vmCells.ioevents + 4 * count);
      vm.put("ioeventCount", last);
      return;
    }
    throw new Refused("ENOENT", call);
  }
  if (![0, 1, 2, 4, 8].includes(bytes) || address + BigInt(bytes) >= GUEST_BYTES) throw new Refused("EINVAL", call);
  if ((flags & ~0x1f) !== 0 || (bytes === 0 && (flags & IOEVENTFD.DATAMATCH) !== 0)) throw new Refused("EINVAL", call);
  eventFds.check(fd, call);
  for (let n = 0; n < count; n++)
    if (collides(vm, n, address, bytes, flags, datamatch)) throw new Refused("EEXIST", call);
  if (count === IOEVENTFDS) throw new Refused("ENOSPC", call);
  eventFds.retain(fd);
  vm.quads[vmCells.ioevents + 4 * count] = address;
  vm.quads[vmCells.ioevents + 4 * count + 1] = datamatch;
  vm.words[ioeventWord(count, 2, 0)] = bytes;
  vm.words[ioeventWord(count, 2, 1)] = flags;
  vm.words[ioeventWord(count, 3, 0)] = fd;
  vm.put("ioeventCount", count + 1);
}

/** The VM goes: it keeps no eventfd any more. */
export function releaseIoevents(vm: VmState, eventFds: EventFds): void {
  for (let n = 0; n < vm.get("ioeventCount"); n++) eventFds.release(vm.words[ioeventWord(n, 3, 0)]!);
  vm.put("ioeventCount", 0);
}

/** Two ioeventfds that one store could mean: same bus and address, and lengths and data that do not tell them apart. */
function collides(vm: VmState, n: number, address: bigint, bytes: number, flags: number, datamatch: bigint): boolean {
  const otherFlags = vm.words[ioeventWord(n, 2, 1)]!;
  const otherBytes = vm.words[ioeventWord(n, 2, 0)]!;
  if (vm.quads[vmCells.ioevents + 4 * n] !== address || (otherFlags & BUS) !== (flags & BUS)) return false;
  if (otherBytes !== 0 && bytes !== 0 && otherBytes !== bytes) return false;
  if (otherBytes === 0 || bytes === 0) return true;
  const wildcard = ((otherFlags | 0) & IOEVENTFD.DATAMATCH) === 0 || (flags & IOEVENTFD.DATAMATCH) === 0;
  return wildcard || vm.quads[vmCells.ioevents + 4 * n + 1] === datamatch;
}

/** Signals the ioeventfd that a store means; false: none. */
function signalIoevent(vm: VmState, eventFds: EventFds, address: bigint, data: Uint8Array): boolean {
  const count = vm.get("ioeventCount");
  if (count === 0) return false;
  const fd = vm.locked(() => {
    for (let n = 0; n < vm.get("ioeventCount"); n++) {
      const flags = vm.words[ioeventWord(n, 2, 1)]!;
      const bytes = vm.words[ioeventWord(n, 2, 0)]!;
      if ((flags & BUS) !== 0 || vm.quads[vmCells.ioevents + 4 * n] !== address) continue;
      if (bytes !== 0 && bytes !== data.length) continue;
      if ((flags & IOEVENTFD.DATAMATCH) !== 0 && vm.quads[vmCells.ioevents + 4 * n + 1] !== littleEndian(data))
        continue;
      return vm.words[ioeventWord(n, 3, 0)]!;
    }
    return null;
  });
  // Not inside the lock: an eventfd may be an interrupt too.
  if (fd !== null) eventFds.signal(fd);
  return fd !== null;
}

function littleEndian(data: Uint8Array): bigint {
  let value = 0n;
  for (let n = data.length - 1; n >= 0; n--) value = (value << 8n) | BigInt(data[n]!);
  return value;
}

/** Whether a store can meet anything but userspace. */
export const busIsEmpty = (vm: VmState): boolean => vm.get("ioeventCount") === 0 && vm.get("zoneCount") === 0;

/** Whether something in the kernel took a guest's store. */
export function storeToBus(vm: VmState, eventFds: EventFds, address: bigint, data: Uint8Array): boolean {
  return signalIoevent(vm, eventFds, address, data) || (vm.get("zoneCount") > 0 && coalesce(vm, address, data));
}
