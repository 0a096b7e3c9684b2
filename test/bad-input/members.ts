// Every public method and accessor: how it is called well, which of its arguments can be wrong and in which ways, and
// what it says when its descriptor is closed.

import { pc, x } from "../../lib/arm64/registers.js";
import type { Device } from "../../lib/device.js";
import type { EventFd } from "../../lib/eventfd.js";
import type { Kvm } from "../../lib/kvm.js";
import type { GuestMemory } from "../../lib/memory.js";
import type { Vcpu } from "../../lib/vcpu.js";
import type { Vm } from "../../lib/vm.js";
import * as wrong from "./wrong-values.js";

/** One of each, for a test to break. */
export interface Subject {
  readonly kvm: Kvm;
  readonly vm: Vm;
  readonly cpu: Vcpu;
  readonly memory: GuestMemory;
  readonly event: EventFd;
  /** undefined: the host has no vGICv3. */
  readonly device: Device | undefined;
}

/** Where the argument is ("0": the first; "0.at": a member of it), what the message calls it, what is wrong for it. */
type Argument = readonly [path: string, name: string, wrong: wrong.Wrong];

export interface Member {
  /** Arguments of a call that reaches the kernel. */
  readonly good?: (subject: Subject) => unknown[];
  readonly takes?: readonly Argument[];
  /**
   * What it does once its descriptor is closed: EBADF, nothing harmful, or that it ends the descriptor itself.
   * "own": it asks no descriptor.
   */
  readonly closed?: "EBADF" | "own";
  /** What it does while its vCPU runs. Default: EBUSY. */
  readonly running?: "own";
  /** What it does when its VM is dead. Default: EIO. */
  readonly dead?: "own";
}

export type Members = Readonly<Record<string, Member>>;

const attrs = {
  setAttr: {
    // More bytes than any attribute has: the kernel takes what it needs.
    good: () => [0, 0n, new Uint8Array(64)],
    takes: [
      ["0", "group", wrong.u32],
      ["1", "attr", wrong.u64],
      [
        "2",
        "value",
        {
          "a string": "1",
          null: null,
          "an object": {},
          NaN: Number.NaN,
          "1.5": 1.5,
          "-1n": -1n,
          "2n**64n": 2n ** 64n,
          "2^32": 2 ** 32,
        },
      ],
    ],
  },
  getAttr: {
    good: () => [0, 0n, 32],
    takes: [
      ["0", "group", wrong.u32],
      ["1", "attr", wrong.u64],
      ["2", "bits", { ...wrong.u32, "16": 16, "128": 128 }],
    ],
  },
  getAttrBytes: {
    good: () => [0, 0n, 64],
    takes: [
      ["0", "group", wrong.u32],
      ["1", "attr", wrong.u64],
      ["2", "bytes", wrong.byteCount],
    ],
  },
  hasAttr: {
    good: () => [0, 0n],
    takes: [
      ["0", "group", wrong.u32],
      ["1", "attr", wrong.u64],
    ],
  },
} as const satisfies Members;

const ends = {
  closed: { closed: "own", running: "own", dead: "own" },
  close: { closed: "own", dead: "own" },
  "[Symbol.dispose]": { closed: "own", dead: "own" },
} as const satisfies Members;

export const kvmStatics: Members = {
  open: {
    good: () => [{}],
    takes: [
      ["0", "Kvm.open", wrong.options],
      ["0.backend", "backend", wrong.optional(wrong.name)],
      ["0.trace", "trace", { "a number": 1, null: null, "a string": "trace" }],
    ],
  },
  attachVm: {
    good: ({ vm }) => [vm.handle],
    takes: [
      ["0", "handle", wrong.requiredOptions],
      ["0.backend", "handle.backend", wrong.name],
    ],
  },
  attachVcpu: {
    good: ({ cpu }) => [cpu.handle],
    takes: [
      ["0", "handle", wrong.requiredOptions],
      ["0.backend", "handle.backend", wrong.name],
    ],
  },
};

export const kvmMembers: Members = {
  ...ends,
  apiVersion: {},
  runPageBytes: {},
  has: { good: () => ["USER_MEMORY"], takes: [["0", "cap", wrong.nameOrNumber]] },
  createVm: {
    good: () => [{ ipaBits: 40 }],
    takes: [
      ["0", "createVm", wrong.options],
      ["0.ipaBits", "ipaBits", { ...wrong.optional(wrong.u32), "256": 256 }],
      ["0.type", "type", wrong.optional(wrong.u64)],
    ],
  },
  createEventFd: { good: () => [0], takes: [["0", "initial", wrong.optional(wrong.u32)]] },
};

const ioEvent = {
  good: ({ event }: Subject) => [{ eventFd: event, at: 0n, bytes: 4, match: 1n }],
  takes: [
    ["0", "event", wrong.requiredOptions],
    ["0.eventFd", "eventFd", wrong.eventFd],
    ["0.at", "at", wrong.u64],
    ["0.bytes", "bytes", wrong.u32],
    ["0.match", "match", wrong.optional(wrong.u64)],
  ],
} as const satisfies Member;

const zone = {
  good: () => [{ at: 0n, bytes: 8 }],
  takes: [
    ["0", "zone", wrong.requiredOptions],
    ["0.at", "at", wrong.u64],
    ["0.bytes", "bytes", wrong.u32],
  ],
} as const satisfies Member;

const irqLine = {
  good: () => [{ type: "ppi", vcpu: 0, number: 20 }, true],
  takes: [
    ["0", "line", wrong.requiredOptions],
    ["0.type", "line.type", wrong.name],
    ["0.vcpu", "line.vcpu", { ...wrong.u32, "4096": 4096 }],
    ["0.number", "line.number", { ...wrong.u32, "65536": 65536 }],
    ["1", "level", wrong.flag],
  ],
} as const satisfies Member;

export const vmMembers: Members = {
  ...attrs,
  ...ends,
  has: { good: () => ["USER_MEMORY"], takes: [["0", "cap", wrong.nameOrNumber]] },
  enableCap: {
    good: () => ["ARM_NISV_TO_USER", [0n], 0],
    takes: [
      ["0", "cap", wrong.nameOrNumber],
      ["1", "args", wrong.optional(wrong.array)],
      ["1.0", "args", wrong.u64],
      ["2", "flags", wrong.optional(wrong.u32)],
    ],
  },
  addMemory: {
    good: () => [{ at: 0x8000_0000n, bytes: 4096, slot: 7, readonly: false, logDirty: false }],
    takes: [
      ["0", "addMemory", wrong.requiredOptions],
      ["0.at", "at", wrong.u64],
      ["0.bytes", "bytes", { ...wrong.byteCount, "0": 0, "a part of a page": 100 }],
      ["0.slot", "slot", wrong.optional(wrong.u32)],
      ["0.readonly", "readonly", wrong.optional(wrong.flag)],
      ["0.logDirty", "logDirty", wrong.optional(wrong.flag)],
      ["0.from", "from", { ...wrong.options, "an empty object": {}, "a file that is no path": { file: 1 } }],
    ],
  },
  selectFeatures: { good: () => [{}], takes: [["0", "selectFeatures", wrong.requiredOptions]] },
  createVcpu: { good: () => [5], takes: [["0", "id", wrong.optional(wrong.u32)]] },
  createDevice: { good: () => ["vfio"], takes: [["0", "kind", wrong.nameOrNumber]] },
  offersDevice: { good: () => ["vgic-v3"], takes: [["0", "kind", wrong.nameOrNumber]] },
  createIrqchip: {},
  setDeviceAddr: {
    good: () => [0n, 0n],
    takes: [
      ["0", "id", wrong.u64],
      ["1", "guestAddress", wrong.u64],
    ],
  },
  setIrqLine: irqLine,
  setIrqLineStatus: irqLine,
  setGsiRouting: {
    good: () => [
      [
        { gsi: 0, pin: 0, irqchip: 0 },
        { gsi: 1, address: 0n, data: 0, deviceId: 0 },
      ],
    ],
    takes: [
      ["0", "routes", wrong.array],
      ["0.0", "routes", wrong.requiredOptions],
      ["0.0.gsi", "gsi", wrong.u32],
      ["0.0.pin", "pin", wrong.u32],
      ["0.0.irqchip", "irqchip", wrong.optional(wrong.u32)],
      ["0.1.address", "address", wrong.u64],
      ["0.1.data", "data", wrong.u32],
      ["0.1.deviceId", "deviceId", wrong.optional(wrong.u32)],
    ],
  },
  addIrqfd: {
    good: ({ event }) => [{ eventFd: event, gsi: 0, resample: event }],
    takes: [
      ["0", "irqfd", wrong.requiredOptions],
      ["0.eventFd", "eventFd", wrong.eventFd],
      ["0.gsi", "gsi", wrong.u32],
      ["0.resample", "resample", wrong.optional(wrong.eventFd)],
    ],
  },
  removeIrqfd: {
    good: ({ event }) => [{ eventFd: event, gsi: 0 }],
    takes: [
      ["0", "irqfd", wrong.requiredOptions],
      ["0.eventFd", "eventFd", wrong.eventFd],
      ["0.gsi", "gsi", wrong.u32],
    ],
  },
  addIoEvent: ioEvent,
  removeIoEvent: ioEvent,
  signalMsi: {
    good: () => [{ address: 0n, data: 0, deviceId: 0 }],
    takes: [
      ["0", "msi", wrong.requiredOptions],
      ["0.address", "address", wrong.u64],
      ["0.data", "data", wrong.u32],
      ["0.deviceId", "deviceId", wrong.optional(wrong.u32)],
    ],
  },
  addCoalescedMmio: zone,
  removeCoalescedMmio: zone,
  preferredTarget: {},
  setCounterOffset: { good: () => [0n], takes: [["0", "offset", wrong.u64]] },
  writableMasks: { good: () => [0], takes: [["0", "range", wrong.optional(wrong.u32)]] },
  copyMteTags: {
    good: () => [{ direction: "to-guest", at: 0n, bytes: 4096n, tags: new Uint8Array(256) }],
    takes: [
      ["0", "request", wrong.requiredOptions],
      ["0.direction", "direction", wrong.name],
      ["0.at", "at", wrong.u64],
      ["0.bytes", "bytes", wrong.u64],
      ["0.tags", "tags", wrong.bytes],
    ],
  },
  createGuestMemfd: {
    good: () => [{ bytes: 4096n, flags: 0n }],
    takes: [
      ["0", "createGuestMemfd", wrong.requiredOptions],
      ["0.bytes", "bytes", wrong.u64],
      ["0.flags", "flags", wrong.optional(wrong.u64)],
    ],
  },
  resetDirtyRings: {},
  filterHypercalls: {
    good: () => [{ base: 0x8600_1000, functions: 1, action: "deny" }],
    takes: [
      ["0", "range", wrong.requiredOptions],
      ["0.base", "base", wrong.u32],
      ["0.functions", "functions", wrong.u32],
      ["0.action", "action", wrong.name],
    ],
  },
  statistics: {},
  handle: { dead: "own" },
  fd: { closed: "own", dead: "own" },
};

export const vcpuMembers: Members = {
  ...attrs,
  ...ends,
  init: {
    good: () => [{ target: 5, features: [] }],
    takes: [
      ["0", "init", wrong.options],
      ["0.target", "target", wrong.optional(wrong.u32)],
      ["0.features", "features", wrong.optional(wrong.array)],
      ["0.features.0", "feature", { ...wrong.nameOrNumber, "224": 224 }],
    ],
  },
  finalize: { good: () => ["sve"], takes: [["0", "feature", { ...wrong.nameOrNumber, "2^31": 2 ** 31 }]] },
  initialised: { closed: "own", running: "own", dead: "own" },
  idRegisters: {},
  getReg: { good: () => [pc], takes: [["0", "register id", wrong.registerId]] },
  setReg: {
    good: () => [x(0), 0n],
    takes: [
      ["0", "register id", wrong.registerId],
      ["1", "x0", wrong.u64],
    ],
  },
  regList: {},
  getRegs: {
    good: () => [[pc]],
    takes: [
      ["0", "ids", wrong.array],
      ["0.0", "register id", wrong.registerId],
    ],
  },
  setRegs: {
    good: () => [[[x(0), 0n]]],
    takes: [
      ["0", "registers", wrong.array],
      ["0.0", "register", { "a number": 1, null: null, "an empty array": [], undefined: undefined }],
      ["0.0.0", "register id", wrong.registerId],
      ["0.0.1", "x0", wrong.u64],
    ],
  },
  getRegBytes: {
    good: () => [BigUint64Array.of(pc), new Uint8Array(8)],
    takes: [
      ["0", "ids", { ...wrong.array, "a size field of 15": BigUint64Array.of(0x60f0_0000_0010_0000n) }],
      ["1", "values", { ...wrong.bytes, "a byte too many": new Uint8Array(9) }],
    ],
  },
  setRegBytes: {
    good: () => [BigUint64Array.of(x(0)), new Uint8Array(8)],
    takes: [
      ["0", "ids", { ...wrong.array, "a size field of 15": BigUint64Array.of(0x60f0_0000_0010_0000n) }],
      ["1", "values", { ...wrong.bytes, "a byte too many": new Uint8Array(9) }],
    ],
  },
  firmwareFeatures: {},
  runSync: {},
  run: {},
  kick: { running: "own", dead: "own" },
  runPage: { closed: "own", running: "own", dead: "own" },
  immediateExit: {
    good: () => [true],
    takes: [["0", "immediateExit", wrong.flag]],
    closed: "own",
    running: "own",
    dead: "own",
  },
  deviceIrqLevel: { closed: "own", running: "own", dead: "own" },
  mpState: { good: () => ["runnable"], takes: [["0", "mpState", wrong.nameOrNumber]] },
  getEvents: {},
  setEvents: {
    good: () => [{ serrorPending: false }],
    takes: [
      ["0", "setEvents", wrong.requiredOptions],
      ["0.serrorPending", "serrorPending", wrong.optional(wrong.flag)],
      ["0.serrorEsr", "serrorEsr", wrong.optional(wrong.u64)],
      ["0.externalAbortPending", "externalAbortPending", wrong.optional(wrong.flag)],
    ],
  },
  setGuestDebug: {
    good: () => [{ breakpoints: [{ control: 0n, value: 0n }], watchpoints: [{ control: 0n, value: 0n }] }],
    takes: [
      ["0", "setGuestDebug", wrong.options],
      ["0.singleStep", "singleStep", wrong.optional(wrong.flag)],
      ["0.softwareBreakpoints", "softwareBreakpoints", wrong.optional(wrong.flag)],
      [
        "0.breakpoints",
        "breakpoints",
        { ...wrong.optional(wrong.array), "17 of them": Array(17).fill({ control: 0n, value: 0n }) },
      ],
      ["0.breakpoints.0", "breakpoints", wrong.requiredOptions],
      ["0.breakpoints.0.control", "breakpoints", wrong.u64],
      ["0.breakpoints.0.value", "breakpoints", wrong.u64],
      ["0.watchpoints", "watchpoints", wrong.optional(wrong.array)],
      ["0.watchpoints.0.control", "watchpoints", wrong.u64],
      ["0.watchpoints.0.value", "watchpoints", wrong.u64],
    ],
  },
  setSignalMask: {
    good: () => [new Uint8Array(8)],
    // Of bytes that are too few, the kernel is the judge.
    takes: [["0", "sigset", { "a number": 1, "a string": "mask", "an array": [1], undefined: undefined }]],
  },
  takeCoalescedWrites: { closed: "own", running: "own", dead: "own" },
  dirtyRing: { good: () => [4096], takes: [["0", "bytes", { ...wrong.u32, "0": 0 }]], dead: "own" },
  statistics: { running: "own" },
  handle: { running: "own", dead: "own" },
};

export const deviceMembers: Members = { ...attrs, ...ends };

export const memoryMembers: Members = {
  at: { closed: "own", dead: "own" },
  logDirty: { good: () => [false], takes: [["0", "logDirty", wrong.flag]] },
  move: { good: () => [0x9000_0000n], takes: [["0", "at", wrong.u64]] },
  dirtyLog: {},
  clearDirtyLog: {
    good: () => [0, 1, new Uint8Array(8)],
    takes: [
      ["0", "firstPage", wrong.byteCount],
      ["1", "pages", wrong.u32],
      ["2", "bitmap", wrong.bytes],
    ],
  },
  dirtyPages: {},
  remove: { closed: "own" },
};

export const eventFdMembers: Members = {
  fd: { closed: "own" },
  signal: { good: () => [1n], takes: [["0", "value", wrong.optional(wrong.u64)]] },
  take: {},
  wait: { closed: "own" },
  close: { closed: "own" },
  "[Symbol.dispose]": { closed: "own" },
};
