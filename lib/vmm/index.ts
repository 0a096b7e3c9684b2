// The parts of a small VMM, written against the public API only. `createMachine` puts them together.

export { LineCollector } from "./console.js";
export { hostFeatures } from "./cpu-features.js";
export { type BootMachine, type CreateMachineOptions, createMachine } from "./create-machine.js";
export type { Device, DeviceHost, DeviceNode } from "./device.js";
export { flattenTree, type PropertyValue, type TreeNode } from "./device-tree.js";
export { type Disk, type DiskOptions, openDisk } from "./disk.js";
export { LoadError, MachineError } from "./errors.js";
export { type LinuxBoot, Machine, type MachineOptions, modelMemory, type Outcome } from "./machine.js";
export { PL011_AT, PL031_AT, RAM_AT, VIRTIO_AT, VIRTIO_BYTES } from "./memory-map.js";
export { Pl011, type Pl011Options } from "./pl011.js";
export { Pl031, type Pl031Options } from "./pl031.js";
export { type Program, parseProgram, type Segment } from "./program.js";
export type { Ram, RamRange } from "./ram.js";
export { type GuestSymbol, SymbolTable } from "./symbols.js";
export { virtioBlock } from "./virtio/block.js";
export { virtioEntropy } from "./virtio/entropy.js";
export { type VirtioDevice, VirtioMmio } from "./virtio/mmio.js";
export { type Chain, Queue, QueueError } from "./virtio/queue.js";
