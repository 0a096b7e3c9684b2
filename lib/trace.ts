// A decorator of the seam: a line for each ioctl, with its arguments, result and exit decoded by name, as strace prints
// system calls. It changes nothing about what the calls do.
import { formatRegId } from "./arm64/format.js";
import type { RegId } from "./arm64/reg-id.js";
import { vcpuFeatures } from "./arm64/vcpu-features.js";
import type { DeviceFd, MappingRequest, SystemFd, VcpuFd, VmFd } from "./backend.js";
import { isRefusal } from "./errors.js";
import { caps } from "./uapi/caps.js";
import {
  KVM_ARM_IRQ_TYPE,
  KVM_ARM_VCPU_GROUP,
  KVM_ARM_VGIC_GROUP,
  KVM_DEV_TYPE,
  KVM_EXIT,
  KVM_MEM,
  KVM_MP_STATE,
  KVM_SYSTEM_EVENT,
} from "./uapi/constants.js";
import { errnoName } from "./uapi/errno.js";
import { run, type Struct, structs, unpack } from "./uapi/structs.js";

/** Gets one line, without its end. */
export type TraceSink = (line: string) => void;

/** The same descriptor, and everything opened through it, with a line to `sink` for each call. */
export function traced(fd: SystemFd, sink: TraceSink): SystemFd {
  return decorate(fd, "", systemVerbs, sink);
}

/** How the calls of one method print. `fd` is what the method is called on, `a` its arguments. */
interface Verb<F, A extends unknown[], R> {
  readonly call: string;
  /** Before the call. */
  readonly args?: (fd: F, ...a: A) => string;
  /** After it, when it was not refused: what it wrote through its arguments. */
  readonly out?: (fd: F, ...a: A) => string;
  /** Default: "0". */
  readonly result?: (result: R, fd: F) => string;
  /** Instead of one line: many. */
  readonly lines?: (fd: F, self: string, result: R, ...a: A) => string[];
  /** Decorates the descriptor that the call gives. */
  readonly wrap?: (result: R, sink: TraceSink) => R;
}

// `handle` asks the kernel nothing.
type Methods<F> = { [K in keyof F]: F[K] extends (...a: never[]) => unknown ? K : never }[keyof F];
type Verbs<F> = {
  readonly [K in Exclude<Methods<F>, "handle">]: F[K] extends (...a: infer A) => infer R
    ? Verb<F, A, Awaited<R>>
    : never;
};

function decorate<F extends object>(fd: F, self: string, verbs: Verbs<F>, sink: TraceSink): F {
  const wrappers = new Map<PropertyKey, unknown>();
  // Not a proxy of `fd` itself: one may not answer otherwise than an object whose own methods can not be changed.
  return new Proxy({} as F, {
    has: (_target, key) => Reflect.has(fd, key),
    get(_target, key) {
      const known = wrappers.get(key);
      if (known !== undefined) return known;
      const value: unknown = Reflect.get(fd, key, fd);
      if (typeof value !== "function") return value;
      const verb = (verbs as Record<PropertyKey, Verb<F, unknown[], unknown> | undefined>)[key];
      const method = (...a: unknown[]): unknown =>
        verb === undefined ? Reflect.apply(value, fd, a) : traceCall(fd, self, verb, sink, value, a);
      wrappers.set(key, method);
      return method;
    },
  });
}

type AnyVerb<F> = Verb<F, unknown[], unknown>;

// biome-ignore lint/complexity/noBannedTypes: a method of either backend
function traceCall<F>(fd: F, self: string, verb: AnyVerb<F>, sink: TraceSink, method: Function, a: unknown[]): unknown {
  const before = [self, verb.args?.(fd, ...a) ?? ""];
  const print = (more: string, result: string): void =>
    sink(`${verb.call}(${[...before, more].filter((part) => part !== "").join(", ")}) = ${result}`);
  const succeeded = (result: unknown): unknown => {
    if (verb.lines) for (const line of verb.lines(fd, self, result, ...a)) sink(line);
    else print(verb.out?.(fd, ...a) ?? "", verb.result?.(result, fd) ?? "0");
    return verb.wrap?.(result, sink) ?? result;
  };
  const failed = (error: unknown): never => {
    print("", isRefusal(error) ? `-1 ${errnoName(error.errno)}` : `? ${String(error)}`);
    throw error;
  };
  let result: unknown;
  try {
    result = Reflect.apply(method, fd, a);
  } catch (error) {
    failed(error);
  }
  return result instanceof Promise ? result.then(succeeded, failed) : succeeded(result);
}

// --- words for values ---

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

const nameIn =
  (table: Readonly<Record<string, number>>, prefix = "") =>
  (value: number): string => {
    const name = Object.keys(table).find((key) => table[key] === value);
    return name === undefined ? String(value) : prefix + name;
  };

const capName = nameIn(caps, "KVM_CAP_");
const deviceName = nameIn(KVM_DEV_TYPE);
const mpStateName = nameIn(KVM_MP_STATE);
const systemEventName = nameIn(KVM_SYSTEM_EVENT);
const exitName = nameIn(KVM_EXIT);
const irqTypeName = nameIn(KVM_ARM_IRQ_TYPE);
const vcpuGroupName = nameIn(KVM_ARM_VCPU_GROUP);
const vgicGroupName = nameIn(KVM_ARM_VGIC_GROUP);
const featureName = (bit: number): string => vcpuFeatures[bit] ?? String(bit);

function flagNames(table: Readonly<Record<string, number>>, flags: number): string {
  const names = Object.keys(table).filter((key) => (flags & (table[key] as number)) !== 0);
  return names.length === 0 ? hex(flags) : names.join("|");
}

/** Little-endian bytes as one number; what is longer than a register as bytes. */
function bytesText(bytes: Uint8Array | null): string {
  if (bytes === null) return "NULL";
  if (bytes.length === 0) return "[]";
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"));
  if (bytes.length <= 8) return hex(BigInt(`0x${digits.toReversed().join("")}`));
  return `[${digits.slice(0, 32).join(" ")}${digits.length > 32 ? " …" : ""}]`;
}

/** The members of a structure that are not 0. */
function structText(struct: Struct, bytes: Uint8Array): string {
  const values: Record<string, unknown> = unpack(struct, bytes);
  const one = (v: unknown): string =>
    v instanceof Uint8Array
      ? bytesText(v)
      : Array.isArray(v)
        ? `[${v.slice(0, v.findLastIndex((w) => Number(w) !== 0) + 1).map((w) => hex(w as number))}]`
        : hex(v as number);
  const set = Object.entries(values).filter(([, v]) =>
    Array.isArray(v) ? v.some((w) => Number(w) !== 0) : Number(v) !== 0,
  );
  return `{${set.map(([name, v]) => `${name}=${one(v)}`).join(", ")}}`;
}

const structArg =
  (struct: Struct) =>
  (_fd: unknown, bytes: Uint8Array): string =>
    structText(struct, bytes);

function registerName(id: bigint): string {
  try {
    return formatRegId(id as RegId);
  } catch {
    return hex(id); // no id of any space: the number is all that there is
  }
}

function vcpuInitText(bytes: Uint8Array): string {
  const { target, features } = unpack(structs.kvm_vcpu_init, bytes);
  const set = features.flatMap((word, i) =>
    Array.from({ length: 32 }, (_, bit) => bit).flatMap((bit) => ((word >>> bit) & 1 ? [32 * i + bit] : [])),
  );
  return `target ${target}, features [${set.map(featureName).join(", ")}]`;
}

function mapText(request: MappingRequest): string {
  return request.kind === "file"
    ? `${request.bytes}, ${JSON.stringify(request.path)}`
    : `${request.bytes}, ${request.kind}`;
}

function slotText(slot: number, flags: number, guestAddress: bigint, bytes: bigint): string {
  return `slot ${slot}, flags ${flags === 0 ? "0" : flagNames(KVM_MEM, flags)}, ${hex(guestAddress)}, ${hex(bytes)} bytes`;
}

function irqText(irq: number, level: number): string {
  const vcpu = ((irq >>> 28) << 8) | ((irq >>> 16) & 0xff);
  const type = (irq >>> 24) & 0xf;
  const where = type === KVM_ARM_IRQ_TYPE.SPI ? "" : ` of vcpu ${vcpu}`;
  return `${irqTypeName(type)} ${irq & 0xffff}${where}, level ${level}`;
}

// --- exits ---

/** What the bytes of a run page say: "MMIO write 0x9000000 len 1 "H"". */
export function exitText(page: Uint8Array): string {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const u32 = (member: keyof typeof run): number => view.getUint32(run[member], true);
  const u64 = (member: keyof typeof run): string => hex(view.getBigUint64(run[member], true));
  const reason = u32("exit_reason");
  switch (reason) {
    case KVM_EXIT.MMIO: {
      const write = view.getUint8(run["mmio.is_write"]) !== 0;
      return `MMIO ${write ? "write" : "read"} ${u64("mmio.phys_addr")} len ${u32("mmio.len")}${write ? ` ${mmioData(page)}` : ""}`;
    }
    case KVM_EXIT.SYSTEM_EVENT: {
      const data = Array.from({ length: Math.min(u32("system_event.ndata"), 16) }, (_, i) =>
        hex(view.getBigUint64(run["system_event.data"] + 8 * i, true)),
      );
      return `SYSTEM_EVENT ${systemEventName(u32("system_event.type"))}${data.length > 0 ? ` data [${data.join(", ")}]` : ""}`;
    }
    case KVM_EXIT.HYPERCALL:
      return `HYPERCALL ${u64("hypercall.nr")} flags ${u64("hypercall.flags")}`;
    case KVM_EXIT.DEBUG:
      return `DEBUG ESR ${hex(u32("debug.arch.hsr"))} FAR ${u64("debug.arch.far")}`;
    case KVM_EXIT.FAIL_ENTRY:
      return `FAIL_ENTRY ${u64("fail_entry.hardware_entry_failure_reason")} cpu ${u32("fail_entry.cpu")}`;
    case KVM_EXIT.INTERNAL_ERROR:
      return `INTERNAL_ERROR ${u32("internal.suberror")}`;
    case KVM_EXIT.ARM_NISV:
    case KVM_EXIT.ARM_LDST64B:
      return `${exitName(reason)} ISS ${u64("arm_nisv.esr_iss")} IPA ${u64("arm_nisv.fault_ipa")}`;
    case KVM_EXIT.MEMORY_FAULT:
      return `MEMORY_FAULT ${u64("memory_fault.gpa")} ${u64("memory_fault.size")} bytes flags ${u64("memory_fault.flags")}`;
    case KVM_EXIT.ARM_SEA:
      return `ARM_SEA ESR ${u64("arm_sea.esr")} GVA ${u64("arm_sea.gva")} GPA ${u64("arm_sea.gpa")}`;
    default:
      return exitName(reason);
  }
}

function mmioData(page: Uint8Array): string {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const bytes = Math.min(view.getUint32(run["mmio.len"], true), 8);
  const data = page.subarray(run["mmio.data"], run["mmio.data"] + bytes);
  const printable =
    data[0] !== undefined && data[0] >= 0x20 && data[0] < 0x7f && data.subarray(1).every((b) => b === 0);
  return printable ? JSON.stringify(String.fromCharCode(data[0] as number)) : bytesText(data);
}

/** What the VMM answers a load with, and whether it wants the run to end at once. */
function runArgs({ runPage }: VcpuFd): string {
  const view = new DataView(runPage.buffer, runPage.byteOffset, runPage.byteLength);
  const loads = view.getUint32(run.exit_reason, true) === KVM_EXIT.MMIO && view.getUint8(run["mmio.is_write"]) === 0;
  return [
    loads ? `mmio.data ${mmioData(runPage)}` : "",
    view.getUint8(run.immediate_exit) !== 0 ? "immediate_exit" : "",
  ]
    .filter((part) => part !== "")
    .join(", ");
}

function runResult(positiveErrno: number, { runPage }: VcpuFd): string {
  if (positiveErrno === 0) return `0 → ${exitText(runPage)}`;
  const reason = new DataView(runPage.buffer, runPage.byteOffset).getUint32(run.exit_reason, true);
  const tells = reason === KVM_EXIT.MEMORY_FAULT || reason === KVM_EXIT.FAIL_ENTRY;
  return `-1 ${errnoName(positiveErrno)}${tells ? ` → ${exitText(runPage)}` : ""}`;
}

/** One line for each register that one call reads or writes, the last with the errno that ended it. */
const registerLines =
  (call: string) =>
  (
    _fd: VcpuFd,
    self: string,
    done: number,
    ids: BigUint64Array,
    values: Uint8Array,
    errnoOut: Int32Array,
  ): string[] => {
    let at = 0;
    return Array.from(ids.subarray(0, done + 1), (id, i) => {
      const bytes = 1 << (Number(id >> 52n) & 0xf);
      const value = bytesText(values.subarray(at, at + bytes));
      at += bytes;
      if (i < done) return `${call}(${self}, ${registerName(id)}, ${value}) = 0`;
      return `${call}(${self}, ${registerName(id)}) = -1 ${errnoName(errnoOut[0] ?? 0)}`;
    });
  };

// --- the verbs ---

const number = (value: number): string => String(value);

const attrVerbs = (groupName: (group: number) => string) => {
  const attr = (_fd: unknown, group: number, id: bigint): string => `group ${groupName(group)}, attr ${hex(id)}`;
  const value = (_fd: unknown, _group: number, _id: bigint, bytes: Uint8Array | null): string => bytesText(bytes);
  return {
    setDeviceAttr: {
      call: "KVM_SET_DEVICE_ATTR",
      args: (fd: unknown, group: number, id: bigint, bytes: Uint8Array | null) =>
        `${attr(fd, group, id)}, ${bytesText(bytes)}`,
    },
    getDeviceAttr: { call: "KVM_GET_DEVICE_ATTR", args: attr, out: value },
    hasDeviceAttr: { call: "KVM_HAS_DEVICE_ATTR", args: attr },
  } as const;
};

const deviceVerbs: Verbs<DeviceFd> = {
  ...attrVerbs(vgicGroupName),
  close: { call: "close" },
};

const vcpuVerbs: Verbs<VcpuFd> = {
  ...attrVerbs(vcpuGroupName),
  armVcpuInit: { call: "KVM_ARM_VCPU_INIT", args: (_fd, init) => vcpuInitText(init) },
  armVcpuFinalize: { call: "KVM_ARM_VCPU_FINALIZE", args: (_fd, feature) => featureName(feature) },
  getOneReg: {
    call: "KVM_GET_ONE_REG",
    args: (_fd, id) => registerName(id),
    out: (_fd, _id, value) => bytesText(value),
  },
  setOneReg: { call: "KVM_SET_ONE_REG", args: (_fd, id, value) => `${registerName(id)}, ${bytesText(value)}` },
  getRegs: { call: "KVM_GET_ONE_REG", lines: registerLines("KVM_GET_ONE_REG") },
  setRegs: { call: "KVM_SET_ONE_REG", lines: registerLines("KVM_SET_ONE_REG") },
  getRegList: { call: "KVM_GET_REG_LIST", result: (list) => `0 → ${list.length} registers` },
  runSync: { call: "KVM_RUN", args: runArgs, result: runResult },
  run: { call: "KVM_RUN", args: runArgs, result: runResult },
  kick: { call: "kick" },
  getMpState: { call: "KVM_GET_MP_STATE", result: (state) => `0 → ${mpStateName(state)}` },
  setMpState: { call: "KVM_SET_MP_STATE", args: (_fd, state) => mpStateName(state) },
  getVcpuEvents: { call: "KVM_GET_VCPU_EVENTS", out: structArg(structs.kvm_vcpu_events) },
  setVcpuEvents: { call: "KVM_SET_VCPU_EVENTS", args: structArg(structs.kvm_vcpu_events) },
  setGuestDebug: { call: "KVM_SET_GUEST_DEBUG", args: structArg(structs.kvm_guest_debug) },
  setSignalMask: { call: "KVM_SET_SIGNAL_MASK", args: (_fd, sigset) => bytesText(sigset) },
  dirtyRing: { call: "mmap", args: (_fd, bytes) => `dirty ring, ${bytes} bytes` },
  readStats: { call: "pread", args: (_fd, offset, into) => `stats, ${into.length}, ${offset}`, result: number },
  close: { call: "close" },
};

const vmVerbs: Verbs<VmFd> = {
  ...attrVerbs(hex),
  checkExtension: { call: "KVM_CHECK_EXTENSION", args: (_fd, cap) => capName(cap), result: number },
  enableCap: {
    call: "KVM_ENABLE_CAP",
    args: (_fd, bytes) => {
      const { cap, args } = unpack(structs.kvm_enable_cap, bytes);
      return `${capName(cap)}, [${args.map(hex).join(", ")}]`;
    },
  },
  createVcpu: {
    call: "KVM_CREATE_VCPU",
    args: (_fd, id) => String(id),
    result: (vcpu) => `vcpu ${vcpu.id}`,
    wrap: (vcpu, sink) => tracedVcpu(vcpu, sink),
  },
  createDevice: {
    call: "KVM_CREATE_DEVICE",
    args: (_fd, type, flags) => `${deviceName(type)}${flags & 1 ? ", TEST" : ""}`,
    result: (device) => (device === null ? "0" : "device"),
    wrap: (device, sink) => (device === null ? null : decorate(device, "device", deviceVerbs, sink)),
  },
  map: { call: "mmap", args: (_fd, request) => mapText(request) },
  setUserMemoryRegion: {
    call: "KVM_SET_USER_MEMORY_REGION",
    args: (_fd, slot, flags, at, bytes) => slotText(slot, flags, at, bytes),
  },
  setUserMemoryRegion2: {
    call: "KVM_SET_USER_MEMORY_REGION2",
    args: (_fd, slot, flags, at, bytes, _mapping, _offset, memfd, memfdOffset) =>
      `${slotText(slot, flags, at, bytes)}, guest_memfd ${memfd} at ${hex(memfdOffset)}`,
  },
  createGuestMemfd: { call: "KVM_CREATE_GUEST_MEMFD", args: structArg(structs.kvm_create_guest_memfd), result: number },
  getDirtyLog: {
    call: "KVM_GET_DIRTY_LOG",
    args: (_fd, slot) => `slot ${slot}`,
    out: (_fd, _slot, map) => bytesText(map),
  },
  clearDirtyLog: {
    call: "KVM_CLEAR_DIRTY_LOG",
    args: (_fd, slot, first, pages, map) => `slot ${slot}, ${pages} pages from ${first}, ${bytesText(map)}`,
  },
  resetDirtyRings: { call: "KVM_RESET_DIRTY_RINGS", result: number },
  registerCoalescedMmio: { call: "KVM_REGISTER_COALESCED_MMIO", args: structArg(structs.kvm_coalesced_mmio_zone) },
  unregisterCoalescedMmio: { call: "KVM_UNREGISTER_COALESCED_MMIO", args: structArg(structs.kvm_coalesced_mmio_zone) },
  createIrqchip: { call: "KVM_CREATE_IRQCHIP" },
  irqLine: { call: "KVM_IRQ_LINE", args: (_fd, irq, level) => irqText(irq, level) },
  irqLineStatus: { call: "KVM_IRQ_LINE_STATUS", args: (_fd, irq, level) => irqText(irq, level), result: number },
  setGsiRouting: { call: "KVM_SET_GSI_ROUTING", args: structArg(structs.kvm_irq_routing) },
  irqfd: { call: "KVM_IRQFD", args: structArg(structs.kvm_irqfd) },
  ioeventfd: { call: "KVM_IOEVENTFD", args: structArg(structs.kvm_ioeventfd) },
  signalMsi: { call: "KVM_SIGNAL_MSI", args: structArg(structs.kvm_msi), result: number },
  armSetDeviceAddr: { call: "KVM_ARM_SET_DEVICE_ADDR", args: (_fd, id, at) => `${hex(id)}, ${hex(at)}` },
  armPreferredTarget: { call: "KVM_ARM_PREFERRED_TARGET", out: (_fd, init) => vcpuInitText(init) },
  armMteCopyTags: {
    call: "KVM_ARM_MTE_COPY_TAGS",
    args: (_fd, at, bytes, _tags, flags) =>
      `${hex(at)}, ${hex(bytes)} bytes, ${flags & 1n ? "from guest" : "to guest"}`,
    result: number,
  },
  armSetCounterOffset: { call: "KVM_ARM_SET_COUNTER_OFFSET", args: structArg(structs.kvm_arm_counter_offset) },
  armGetRegWritableMasks: { call: "KVM_ARM_GET_REG_WRITABLE_MASKS", args: (_fd, range) => `range ${range}` },
  readStats: { call: "pread", args: (_fd, offset, into) => `stats, ${into.length}, ${offset}`, result: number },
  close: { call: "close" },
};

const systemVerbs: Verbs<SystemFd> = {
  getApiVersion: { call: "KVM_GET_API_VERSION", result: number },
  createVm: { call: "KVM_CREATE_VM", args: (_fd, type) => hex(type), result: () => "vm", wrap: tracedVm },
  checkExtension: { call: "KVM_CHECK_EXTENSION", args: (_fd, cap) => capName(cap), result: number },
  getVcpuMmapSize: { call: "KVM_GET_VCPU_MMAP_SIZE", result: number },
  eventfd: { call: "eventfd", args: (_fd, initial) => String(initial), result: ({ fd }) => String(fd) },
  attachVm: { call: "attach", result: () => "vm", wrap: tracedVm },
  attachVcpu: { call: "attach", result: (vcpu) => `vcpu ${vcpu.id}`, wrap: tracedVcpu },
  close: { call: "close", args: () => "kvm" },
};

function tracedVm(vm: VmFd, sink: TraceSink): VmFd {
  return decorate(vm, "vm", vmVerbs, sink);
}

function tracedVcpu(vcpu: VcpuFd, sink: TraceSink): VcpuFd {
  return decorate(vcpu, `vcpu ${vcpu.id}`, vcpuVerbs, sink);
}
