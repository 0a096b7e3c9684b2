// The parts of a small VMM, written against the public API only.
export type { Device } from "./device.js";
export { LoadError, type Program, parseProgram, type RamRange, type Segment } from "./loader.js";
export { Machine, MachineError, type MachineOptions, type Outcome, RAM_AT } from "./machine.js";
export { PL011_AT, Pl011 } from "./pl011.js";
export { PL031_AT, Pl031 } from "./pl031.js";
