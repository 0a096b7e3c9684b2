// KVM's I/O buses: coalesced MMIO zones and ioeventfds, ordered and searched as the kernel does it. What lies over
// something else is found, or not, by that order: so it is kept.

import { Refused } from "../../errors.js";
import { framesOnBus } from "../gic/frames.js";
import { gicOf } from "../gic/gic.js";
import { BUS_DEVICES, IO_DEVICES, vmCells } from "../layout.js";
import type { VmState } from "../vm-state.js";

/** Stores of arm64 guests reach the first only. */
export const Bus = { mmio: 0, pio: 1, ccw: 2 } as const;
export type BusNumber = (typeof Bus)[keyof typeof Bus];
/** A frame is one of an ITS: who handles its accesses does not look here. */
export const Kind = { zone: 0, ioevent: 1, frame: 2 } as const;

export interface Device {
  readonly bus: BusNumber;
  readonly kind: (typeof Kind)[keyof typeof Kind];
  readonly address: bigint;
  /** 32 bits; those of 2^31 and above count as negative where KVM searches. */
  readonly bytes: number;
  /** Of an ioeventfd; undefined: any data. */
  readonly datamatch: bigint | undefined;
  readonly fd: number;
}

// A row: 0 address · 1 datamatch · 2 bytes, bus and kind · 3 descriptor, 1 with datamatch
const cell = (row: number, n: number) => vmCells.ioDevices + 4 * row + n;
const word = (row: number, n: number, half = 0) => cell(row, n) * 2 + half;

export function deviceAt(vm: VmState, row: number): Device {
  const what = vm.words[word(row, 2, 1)]!;
  return {
    bus: (what & 0xff) as BusNumber,
    kind: (what >> 8) as Device["kind"],
    address: vm.quads[cell(row, 0)]!,
    bytes: vm.words[word(row, 2)]! >>> 0,
    datamatch: vm.words[word(row, 3, 1)] === 1 ? vm.quads[cell(row, 1)]! : undefined,
    fd: vm.words[word(row, 3)]!,
  };
}

/** The rows of one bus follow each other in its order. */
export function devicesOf(vm: VmState, bus: BusNumber): { readonly row: number; readonly device: Device }[] {
  const all = Array.from({ length: vm.get("ioDeviceCount") }, (_, row) => ({ row, device: deviceAt(vm, row) }));
  return all.filter(({ device }) => device.bus === bus);
}

type Range = Pick<Device, "address" | "bytes">;
const u64 = (value: bigint) => BigInt.asUintN(64, value);

/** kvm_io_bus_cmp: an order that is none where ranges overlap. */
function compare(one: Range, other: Range): number {
  if (one.address < other.address) return -1;
  const wide = (other.bytes | 0) !== 0;
  const end = (range: Range) => (wide ? u64(range.address + BigInt(range.bytes | 0)) : range.address);
  return end(one) > end(other) ? 1 : 0;
}

/** ENOSPC: the bus is full of devices that are no ioeventfds. Inside `locked`. */
export function addDevice(vm: VmState, device: Device, call: string): void {
  const count = vm.get("ioDeviceCount");
  const others = devicesOf(vm, device.bus);
  const gic = device.bus === Bus.mmio ? gicOf(vm) : null;
  const full = BUS_DEVICES - (gic === null ? 0 : framesOnBus(gic));
  if (others.filter((other) => other.device.kind !== Kind.ioevent).length >= full || count === IO_DEVICES) {
    throw new Refused("ENOSPC", call);
  }
  const at = others.find((other) => compare(other.device, device) > 0)?.row ?? count;
  vm.quads.copyWithin(cell(at + 1, 0), cell(at, 0), cell(count, 0));
  vm.quads[cell(at, 0)] = device.address;
  vm.quads[cell(at, 1)] = device.datamatch ?? 0n;
  vm.words[word(at, 2)] = device.bytes;
  vm.words[word(at, 2, 1)] = device.bus | (device.kind << 8);
  vm.words[word(at, 3)] = device.fd;
  vm.words[word(at, 3, 1)] = device.datamatch === undefined ? 0 : 1;
  vm.put("ioDeviceCount", count + 1);
}

/** Inside `locked`. */
export function removeDevice(vm: VmState, row: number): void {
  const count = vm.get("ioDeviceCount");
  vm.quads.copyWithin(cell(row, 0), cell(row + 1, 0), cell(count, 0));
  vm.put("ioDeviceCount", count - 1);
}

/** The devices that KVM asks about a store, in turn: those next to one that a binary search finds, or none. */
export function devicesFor(vm: VmState, store: Range): readonly Device[] {
  const devices = devicesOf(vm, Bus.mmio).map(({ device }) => device);
  const matches = (place: number) => devices[place] !== undefined && compare(store, devices[place]) === 0;
  let first = search(devices, store);
  if (first < 0) return [];
  while (matches(first - 1)) first--;
  let end = first;
  while (matches(end)) end++;
  return devices.slice(first, end);
}

/** The kernel's bsearch. */
function search(devices: readonly Device[], store: Range): number {
  let base = 0;
  for (let left = devices.length; left > 0; left >>= 1) {
    const pivot = base + (left >> 1);
    const order = compare(store, devices[pivot]!);
    if (order === 0) return pivot;
    if (order < 0) continue;
    base = pivot + 1;
    left--;
  }
  return -1;
}
