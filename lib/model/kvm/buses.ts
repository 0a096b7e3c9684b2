// What a guest's store meets before it becomes an exit: coalesced MMIO zones and ioeventfds.
// Documentation/virt/kvm/api.rst 4.59, 4.116.

import { Refused } from "../../errors.js";
import { KVM_IOEVENTFD_FLAG as IOEVENTFD, PAGE_BYTES } from "../../uapi/constants.js";
import type { EventFds } from "../eventfd.js";
import { vmCells } from "../layout.js";
import { allVcpus, type VcpuState } from "../vcpu-state.js";
import type { VmState } from "../vm-state.js";
import {
  addDevice,
  Bus,
  type BusNumber,
  type Device,
  deviceAt,
  devicesFor,
  devicesOf,
  Kind,
  removeDevice,
} from "./io-bus.js";

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const GUEST_BYTES = 1n << 64n;
const u64 = (value: bigint) => BigInt.asUintN(64, value);

/** coalesced_mmio_in_range: whether a range lies in a zone. */
function inZone(zone: Device, address: bigint, bytes: number): boolean {
  const end = u64(address + BigInt(bytes | 0));
  return (bytes | 0) >= 0 && end >= address && address >= zone.address && end <= u64(zone.address + BigInt(zone.bytes));
}

/** KVM_REGISTER_COALESCED_MMIO. Inside `locked`. */
export function registerZone(vm: VmState, zone: Uint8Array): void {
  const z = view(zone);
  const pio = z.getUint32(12, true);
  if (pio > 1) throw new Refused("EINVAL", "KVM_REGISTER_COALESCED_MMIO");
  const bus = pio === 1 ? Bus.pio : Bus.mmio;
  const [address, bytes] = [z.getBigUint64(0, true), z.getUint32(8, true)];
  const device = { bus, kind: Kind.zone, address, bytes, datamatch: undefined, fd: -1 };
  addDevice(vm, device, "KVM_REGISTER_COALESCED_MMIO");
  vm.put("zoneCount", vm.get("zoneCount") + 1);
}

/** KVM_UNREGISTER_COALESCED_MMIO: every zone that holds the given range; none is no error. Inside `locked`. */
export function unregisterZone(vm: VmState, zone: Uint8Array): void {
  const z = view(zone);
  const pio = z.getUint32(12, true);
  if (pio > 1) throw new Refused("EINVAL", "KVM_UNREGISTER_COALESCED_MMIO");
  const [address, bytes] = [z.getBigUint64(0, true), z.getUint32(8, true)];
  for (const { row, device } of devicesOf(vm, pio === 1 ? Bus.pio : Bus.mmio).reverse()) {
    if (device.kind !== Kind.zone || !inZone(device, address, bytes)) continue;
    removeDevice(vm, row);
    vm.put("zoneCount", vm.get("zoneCount") - 1);
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

/** Puts a store into the ring; false: the ring is full. Inside `locked`. */
function coalesce(vm: VmState, address: bigint, data: Uint8Array): boolean {
  const rings = allVcpus(vm).map(ringOf);
  gather(vm, rings);
  if (!hasRoom(vm)) return false;
  const last = vm.words[LAST]!;
  const next = (last + 1) % ENTRIES;
  for (const ring of rings) putEntry(ring, last, next, address, data);
  vm.words[LAST] = next;
  return true;
}

function putEntry(ring: DataView, entry: number, next: number, address: bigint, data: Uint8Array): void {
  const at = 8 + 24 * entry;
  ring.setBigUint64(at, address, true);
  ring.setUint32(at + 8, data.length, true);
  ring.setUint32(at + 12, 0, true);
  for (const [i, byte] of data.entries()) ring.setUint8(at + 16 + i, byte);
  ring.setUint32(4, next, true);
}

const busOf = (flags: number): BusNumber =>
  (flags & IOEVENTFD.PIO) !== 0 ? Bus.pio : (flags & IOEVENTFD.VIRTIO_CCW_NOTIFY) !== 0 ? Bus.ccw : Bus.mmio;

/** KVM_IOEVENTFD. Inside `locked`. */
export function ioeventfd(vm: VmState, eventFds: EventFds, args: Uint8Array): void {
  const call = "KVM_IOEVENTFD";
  const a = view(args);
  const [fd, flags] = [a.getInt32(20, true), a.getUint32(24, true)];
  const asked: Device = {
    bus: busOf(flags),
    kind: Kind.ioevent,
    address: a.getBigUint64(8, true),
    bytes: a.getUint32(16, true),
    datamatch: (flags & IOEVENTFD.DATAMATCH) === 0 ? undefined : a.getBigUint64(0, true),
    fd,
  };
  const others = devicesOf(vm, asked.bus).filter(({ device }) => device.kind === Kind.ioevent);
  if ((flags & IOEVENTFD.DEASSIGN) !== 0) {
    eventFds.check(fd, call);
    const found = others.find(({ device }) => same(device, asked));
    if (found === undefined) throw new Refused("ENOENT", call);
    removeDevice(vm, found.row);
    eventFds.release(fd);
    return;
  }
  const { address, bytes } = asked;
  if (![0, 1, 2, 4, 8].includes(bytes) || address + BigInt(bytes) >= GUEST_BYTES) throw new Refused("EINVAL", call);
  if ((flags & ~0x1f) !== 0 || (bytes === 0 && asked.datamatch !== undefined)) throw new Refused("EINVAL", call);
  eventFds.check(fd, call);
  if (others.some(({ device }) => collides(device, asked))) throw new Refused("EEXIST", call);
  addDevice(vm, asked, call);
  eventFds.retain(fd);
}

const same = (one: Device, other: Device): boolean =>
  one.address === other.address &&
  one.bytes === other.bytes &&
  one.datamatch === other.datamatch &&
  one.fd === other.fd;

/** The VM goes: it keeps no eventfd any more. */
export function releaseIoevents(vm: VmState, eventFds: EventFds): void {
  for (let row = 0; row < vm.get("ioDeviceCount"); row++) {
    const { kind, fd } = deviceAt(vm, row);
    if (kind === Kind.ioevent) eventFds.release(fd);
  }
  vm.put("ioDeviceCount", 0);
}

/** Two ioeventfds of one bus that one store could mean: lengths and data do not tell them apart. */
function collides(one: Device, other: Device): boolean {
  if (one.address !== other.address) return false;
  if (one.bytes === 0 || other.bytes === 0) return true;
  if (one.bytes !== other.bytes) return false;
  return one.datamatch === undefined || other.datamatch === undefined || one.datamatch === other.datamatch;
}

/** Whether an ioeventfd means a store. */
function means(ioevent: Device, address: bigint, data: Uint8Array): boolean {
  if (ioevent.address !== address) return false;
  if (ioevent.bytes === 0) return true;
  return ioevent.bytes === data.length && (ioevent.datamatch ?? littleEndian(data)) === littleEndian(data);
}

function littleEndian(data: Uint8Array): bigint {
  let value = 0n;
  for (let n = data.length - 1; n >= 0; n--) value = (value << 8n) | BigInt(data[n]!);
  return value;
}

/** Whether a store can meet anything but userspace. */
export const busIsEmpty = (vm: VmState): boolean => vm.get("ioDeviceCount") === 0;

/** Whether something in the kernel took a guest's store. */
export function storeToBus(vm: VmState, eventFds: EventFds, address: bigint, data: Uint8Array): boolean {
  const taker = vm.locked(() =>
    devicesFor(vm, { address, bytes: data.length }).find((device) =>
      device.kind === Kind.zone
        ? inZone(device, address, data.length) && coalesce(vm, address, data)
        : means(device, address, data),
    ),
  );
  // Not inside the lock: an eventfd may be an interrupt too.
  if (taker?.kind === Kind.ioevent) eventFds.signal(taker.fd);
  return taker !== undefined;
}
