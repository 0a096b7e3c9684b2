// What a device is to its machine: registers at a place on the guest's bus, and perhaps an interrupt line and a look at
// the guest's memory. docs/vmm.md shows how to write one.
import type { PropertyValue } from "./device-tree.js";
import type { Ram } from "./ram.js";

export interface Device {
  readonly name: string;
  /** Guest physical address of the first register. */
  readonly at: bigint;
  readonly bytes: number;
  /** Its node in the device tree, without `reg` and `interrupts`, which the machine knows. Absent: it is not described. */
  readonly node?: DeviceNode;
  /** The register at `offset`, a multiple of 4. */
  read(offset: number): number;
  write(offset: number, value: number): void;
  /** Called once, before the guest runs. */
  connect?(host: DeviceHost): void;
  /** Resolves when nothing that the guest asked for is still under way. No CPU runs any more. */
  settle?(): Promise<void>;
  /** The machine is closed: files are let go. */
  close?(): void;
}

export interface DeviceNode {
  /** Without the unit address. */
  readonly name: string;
  readonly properties: Readonly<Record<string, PropertyValue>>;
}

/** What a machine gives to each of its devices. */
export interface DeviceHost {
  readonly memory: Ram;
  /** The device's own interrupt line, level-triggered. Of a machine without interrupt controller it goes nowhere. */
  setInterrupt(level: boolean): void;
  /** The device cannot go on: the machine stops, and its `run()` rejects with this. */
  fail(error: Error): void;
}

/** What a load of `data.length` bytes at `offset` gives. Registers beyond the first of a wide load read 0. */
export function readDevice(device: Device, offset: number, data: Uint8Array): void {
  const register = device.read(offset & ~3);
  for (let i = 0; i < data.length; i++) data[i] = i < 4 ? register >>> (8 * ((offset & 3) + i)) : 0;
}

/** A store of `data` at `offset`: the bytes that a store does not have are 0, as on a bus without byte strobes. */
export function writeDevice(device: Device, offset: number, data: Uint8Array): void {
  let value = 0;
  for (let i = 0; i < Math.min(data.length, 4); i++) value |= (data[i] as number) << (8 * ((offset & 3) + i));
  device.write(offset & ~3, value >>> 0);
}

/** The identification registers of a PrimeCell at 0xfe0: part number, designer Arm, and the constant at 0xff0. */
export function primeCellId(offset: number, part: number, revision: number): number | undefined {
  if (offset < 0xfe0 || offset > 0xffc) return undefined;
  const ids = [part & 0xff, 0x10 | (part >> 8), (revision << 4) | 0x4, 0x00, 0x0d, 0xf0, 0x05, 0xb1];
  return ids[(offset - 0xfe0) >> 2];
}
