// What the model's verbs are given, checked before each: a TypeError or RangeError that names the argument, where the
// addon has one too. The verbs themselves check only what the kernel checks.

import { FEATURE_ID_SPACE_SIZE } from "../arm64/feature-id-space.js";
import { structs } from "../uapi/structs.js";
import { ModelDevice } from "./device.js";
import { ModelEventFd } from "./eventfd.js";
import { ModelSystem } from "./system.js";
import { ModelVcpu } from "./vcpu.js";
import { ModelVm } from "./vm.js";

/** `args`: all that the verb is given, those before this one checked. */
type Check = (what: string, value: unknown, args: readonly unknown[]) => void;
type Argument = readonly [name: string, check: Check];
type Verbs = Readonly<Record<string, readonly Argument[]>>;

const TAG_GRANULE_BYTES = 16n;

const kindOf = (value: unknown): string => (value === null ? "null" : typeof value);

function integer(least: number, most: number): Check {
  return (what, value) => {
    if (typeof value !== "number") throw new TypeError(`${what} must be a number, got ${kindOf(value)}`);
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new RangeError(`${what} must be an integer from ${least} to ${most}, got ${value}`);
    }
  };
}

const u32 = integer(0, 0xffff_ffff);
const i32 = integer(-0x8000_0000, 0x7fff_ffff);
const size = integer(0, Number.MAX_SAFE_INTEGER);

const u64: Check = (what, value) => {
  if (typeof value !== "bigint") throw new TypeError(`${what} must be a bigint, got ${kindOf(value)}`);
  if (value < 0n || value > 0xffff_ffff_ffff_ffffn)
    throw new RangeError(`${what} must be an unsigned 64-bit value, got ${value}`);
};

const bytes: Check = (what, value) => {
  if (!(value instanceof Uint8Array)) throw new TypeError(`${what} must be a Uint8Array, got ${kindOf(value)}`);
};

function struct(name: keyof typeof structs): Check {
  const wanted = structs[name].bytes;
  return (what, value, args) => {
    bytes(what, value, args);
    const { length } = value as Uint8Array;
    if (length !== wanted) throw new RangeError(`${what} must be ${wanted} bytes, got ${length}`);
  };
}

const words =
  (kind: typeof BigUint64Array | typeof Int32Array, least: number): Check =>
  (what, value) => {
    if (!(value instanceof kind)) throw new TypeError(`${what} must be a ${kind.name}, got ${kindOf(value)}`);
    if (value.length < least) throw new RangeError(`${what} must have at least ${least} words, got ${value.length}`);
  };

const orNull =
  (check: Check): Check =>
  (what, value, args) => {
    if (value !== null) check(what, value, args);
  };

const object: Check = (what, value) => {
  if (typeof value !== "object" || value === null)
    throw new TypeError(`${what} must be an object, got ${kindOf(value)}`);
};

/** struct kvm_irq_routing with as many entries as its head says. */
const routing: Check = (what, value, args) => {
  bytes(what, value, args);
  const given = value as Uint8Array;
  const { bytes: head } = structs.kvm_irq_routing;
  if (given.length < head) throw new RangeError(`${what} must be at least ${head} bytes, got ${given.length}`);
  const count = new DataView(given.buffer, given.byteOffset).getUint32(0, true);
  const wanted = head + count * structs.kvm_irq_routing_entry.bytes;
  if (given.length !== wanted) throw new RangeError(`${what} must be ${wanted} bytes, got ${given.length}`);
};

/** A tag for each granule of the bytes that are the argument before. */
const tags: Check = (what, value, args) => {
  bytes(what, value, args);
  const wanted = (args[1] as bigint) / TAG_GRANULE_BYTES;
  const { length } = value as Uint8Array;
  if (BigInt(length) < wanted) throw new RangeError(`${what} must be at least ${wanted} bytes, got ${length}`);
};

/** What `map` takes. */
const request: Check = (what, value, args) => {
  object(what, value, args);
  const { kind, bytes: count, ...rest } = value as Record<string, unknown>;
  const members = requests[kind as keyof typeof requests];
  if (typeof kind !== "string" || !Object.hasOwn(requests, kind) || members === undefined) {
    throw new TypeError(`${what}.kind must be one of ${Object.keys(requests).join(", ")}`);
  }
  size(`${what}.bytes`, count, args);
  for (const [name, check] of members) check(`${what}.${name}`, rest[name], args);
};

const path: Check = (what, value) => {
  if (typeof value !== "string") throw new TypeError(`${what} must be a string, got ${kindOf(value)}`);
  if (value.includes("\0")) throw new TypeError(`${what} must have no null bytes`);
};
const flag: Check = (what, value) => {
  if (typeof value !== "boolean") throw new TypeError(`${what} must be a boolean, got ${kindOf(value)}`);
};

const requests: Readonly<Record<string, readonly Argument[]>> = {
  anonymous: [],
  hugetlb: [["pageBytes", size]],
  file: [
    ["path", path],
    ["offset", size],
    ["shared", flag],
    ["writable", flag],
  ],
  "guest-memfd": [
    ["fd", i32],
    ["offset", size],
  ],
};

const attribute: readonly Argument[] = [
  ["group", u32],
  ["attr", u64],
  ["value", orNull(bytes)],
];
const attributes: Verbs = {
  setDeviceAttr: attribute,
  getDeviceAttr: attribute,
  hasDeviceAttr: attribute.slice(0, 2),
};
const stats: Verbs = {
  readStats: [
    ["offset", size],
    ["into", bytes],
  ],
};
const slot: readonly Argument[] = [
  ["slot", u32],
  ["flags", u32],
  ["guestAddress", u64],
  ["bytes", u64],
  ["mapping", orNull(object)],
  ["offset", u64],
];
const registers: readonly Argument[] = [
  ["ids", words(BigUint64Array, 0)],
  ["values", bytes],
  ["errnoOut", words(Int32Array, 1)],
];
const register: readonly Argument[] = [
  ["id", u64],
  ["value", bytes],
];
const line: readonly Argument[] = [
  ["irq", u32],
  ["level", u32],
];

/** Every verb that takes something, by the descriptor that has it. */
// biome-ignore format: table
export const seam = {
  system: {
    createVm: [["type", u64]],
    checkExtension: [["cap", u32]],
    eventfd: [["initial", u32]],
    attachVm: [["handle", object]],
    attachVcpu: [["handle", object]],
  },
  vm: {
    ...attributes,
    ...stats,
    checkExtension: [["cap", u32]],
    enableCap: [["cap", struct("kvm_enable_cap")]],
    createVcpu: [["id", u32]],
    createDevice: [["type", u32], ["flags", u32]],
    map: [["request", request]],
    setUserMemoryRegion: slot,
    setUserMemoryRegion2: [...slot, ["guestMemfd", i32], ["guestMemfdOffset", u64]],
    createGuestMemfd: [["args", struct("kvm_create_guest_memfd")]],
    getDirtyLog: [["slot", u32], ["bitmap", bytes]],
    clearDirtyLog: [["slot", u32], ["firstPage", u64], ["pages", u32], ["bitmap", bytes]],
    registerCoalescedMmio: [["zone", struct("kvm_coalesced_mmio_zone")]],
    unregisterCoalescedMmio: [["zone", struct("kvm_coalesced_mmio_zone")]],
    irqLine: line,
    irqLineStatus: line,
    setGsiRouting: [["routing", routing]],
    irqfd: [["args", struct("kvm_irqfd")]],
    ioeventfd: [["args", struct("kvm_ioeventfd")]],
    signalMsi: [["msi", struct("kvm_msi")]],
    armSetDeviceAddr: [["id", u64], ["guestAddress", u64]],
    armPreferredTarget: [["init", struct("kvm_vcpu_init")]],
    armMteCopyTags: [["guestAddress", u64], ["bytes", u64], ["tags", tags], ["flags", u64]],
    armSetCounterOffset: [["args", struct("kvm_arm_counter_offset")]],
    armGetRegWritableMasks: [["range", u32], ["masks", words(BigUint64Array, FEATURE_ID_SPACE_SIZE)]],
  },
  vcpu: {
    ...attributes,
    ...stats,
    armVcpuInit: [["init", struct("kvm_vcpu_init")]],
    armVcpuFinalize: [["feature", i32]],
    getOneReg: register,
    setOneReg: register,
    getRegs: registers,
    setRegs: registers,
    setMpState: [["state", u32]],
    getVcpuEvents: [["events", struct("kvm_vcpu_events")]],
    setVcpuEvents: [["events", struct("kvm_vcpu_events")]],
    setGuestDebug: [["debug", struct("kvm_guest_debug")]],
    setSignalMask: [["sigset", orNull(bytes)]],
    dirtyRing: [["bytes", size]],
  },
  device: attributes,
  event: { signal: [["value", u64]] },
} as const satisfies Readonly<Record<string, Verbs>>;

const prototypes: Readonly<Record<keyof typeof seam, object>> = {
  system: ModelSystem.prototype,
  vm: ModelVm.prototype,
  vcpu: ModelVcpu.prototype,
  device: ModelDevice.prototype,
  event: ModelEventFd.prototype,
};

type Verb = (this: unknown, ...args: unknown[]) => unknown;

/** Puts the checks before the verbs. A descriptor that is closed says EBADF whatever it is given. */
export function checkSeam(): void {
  for (const [descriptor, verbs] of Object.entries(seam)) {
    const methods = prototypes[descriptor as keyof typeof seam] as Record<string, Verb>;
    for (const [name, takes] of Object.entries<readonly Argument[]>(verbs)) {
      methods[name] = checked(name, takes, methods[name] as Verb);
    }
  }
}

function checked(name: string, takes: readonly Argument[], verb: Verb): Verb {
  const checks = takes.map(([, check]) => check);
  const whats = takes.map(([argument]) => `${name}: ${argument}`);
  const [first, second] = checks as [Check, Check];
  const [firstWhat, secondWhat] = whats as [string, string];
  // Registers are read and written by the thousand: no list of arguments for two (half the time, measured).
  if (takes.length === 2) {
    return function checkedTwo(a, b) {
      if ((this as { closed?: boolean }).closed !== true) {
        first(firstWhat, a, NONE);
        second(secondWhat, b, NONE);
      }
      return verb.call(this, a, b);
    };
  }
  return function checkedAll(...args) {
    if ((this as { closed?: boolean }).closed !== true) {
      for (let i = 0; i < checks.length; i++) checks[i]?.(whats[i] as string, args[i], args);
    }
    return verb.apply(this, args);
  };
}

const NONE: readonly unknown[] = [];
