// Every verb of the seam as the ops name it: which ioctl it is, and what of its answer is compared.

import type { AttrFd, DeviceFd, EventFd, Mapping, SystemFd, VcpuFd, VmFd } from "../../lib/backend.js";

/** What a verb gives: a number, bytes, an object that it made (which the op names), or nothing. */
export type Answer = number | bigint | Uint8Array | BigUint64Array | Made | undefined;
export interface Made {
  readonly made: object;
}

interface Verb<T> {
  /** The ioctl, or the system call, for coverage. */
  readonly call: string;
  // biome-ignore lint/suspicious/noExplicitAny: the generator knows what each verb takes; both sides get the same.
  readonly perform: (object: T, ...args: any[]) => unknown;
}

const verb = <T>(call: string, perform: Verb<T>["perform"]): Verb<T> => ({ call, perform });

/** Bytes that a verb leaves alone stay recognisable. */
const UNTOUCHED = 0xa5;

function into(length: number, fill: (bytes: Uint8Array) => unknown): Uint8Array {
  const bytes = new Uint8Array(length).fill(UNTOUCHED);
  fill(bytes);
  return bytes;
}

/** What was written, and behind it the number that was returned. */
function counted(length: number, fill: (bytes: Uint8Array) => number): Uint8Array {
  const bytes = new Uint8Array(length + 8).fill(UNTOUCHED);
  const result = fill(bytes.subarray(0, length));
  new DataView(bytes.buffer).setFloat64(length, result);
  return bytes;
}

const made = (object: object | null): Made | undefined => (object === null ? undefined : { made: object });

const attributes = (kind: string) => ({
  [`${kind}.setDeviceAttr`]: verb<AttrFd>("KVM_SET_DEVICE_ATTR", (on, group, attr, value) =>
    on.setDeviceAttr(group, attr, value),
  ),
  /** `given`: how many bytes there are for the answer, or what stands there before. */
  [`${kind}.getDeviceAttr`]: verb<AttrFd>(
    "KVM_GET_DEVICE_ATTR",
    (on, group, attr, given: number | Uint8Array | null) => {
      if (given === null) return on.getDeviceAttr(group, attr, null);
      return into(typeof given === "number" ? given : given.length, (value) => {
        if (typeof given !== "number") value.set(given);
        on.getDeviceAttr(group, attr, value);
      });
    },
  ),
  [`${kind}.hasDeviceAttr`]: verb<AttrFd>("KVM_HAS_DEVICE_ATTR", (on, group, attr) => on.hasDeviceAttr(group, attr)),
});

const system = {
  "kvm.getApiVersion": verb<SystemFd>("KVM_GET_API_VERSION", (kvm) => kvm.getApiVersion()),
  "kvm.createVm": verb<SystemFd>("KVM_CREATE_VM", (kvm, type) => made(kvm.createVm(type))),
  "kvm.checkExtension": verb<SystemFd>("KVM_CHECK_EXTENSION", (kvm, cap) => kvm.checkExtension(cap)),
  "kvm.getVcpuMmapSize": verb<SystemFd>("KVM_GET_VCPU_MMAP_SIZE", (kvm) => kvm.getVcpuMmapSize()),
  "kvm.eventfd": verb<SystemFd>("eventfd", (kvm, initial) => made(kvm.eventfd(initial))),
  "kvm.attachVm": verb<SystemFd>("attach", (kvm, vm: VmFd) => made(kvm.attachVm(vm.handle()))),
  "kvm.attachVcpu": verb<SystemFd>("attach", (kvm, cpu: VcpuFd) => made(kvm.attachVcpu(cpu.handle()))),
};

const vm = {
  "vm.checkExtension": verb<VmFd>("KVM_CHECK_EXTENSION", (vm, cap) => vm.checkExtension(cap)),
  "vm.enableCap": verb<VmFd>("KVM_ENABLE_CAP", (vm, cap) => vm.enableCap(cap)),
  "vm.createVcpu": verb<VmFd>("KVM_CREATE_VCPU", (vm, id) => made(vm.createVcpu(id))),
  "vm.createDevice": verb<VmFd>("KVM_CREATE_DEVICE", (vm, type, flags) => made(vm.createDevice(type, flags))),
  "vm.map": verb<VmFd>("mmap", (vm, bytes) => made(vm.map({ kind: "anonymous", bytes }))),
  "vm.mapGuestMemfd": verb<VmFd>("mmap", (vm, bytes, fd, offset) =>
    made(vm.map({ kind: "guest-memfd", bytes, fd, offset })),
  ),
  "vm.setUserMemoryRegion": verb<VmFd>("KVM_SET_USER_MEMORY_REGION", (vm, slot, flags, address, bytes, map, offset) =>
    vm.setUserMemoryRegion(slot, flags, address, bytes, map, offset),
  ),
  "vm.setUserMemoryRegion2": verb<VmFd>(
    "KVM_SET_USER_MEMORY_REGION2",
    (vm, slot, flags, address, bytes, map, offset, memfd, memfdOffset) =>
      vm.setUserMemoryRegion2(slot, flags, address, bytes, map, offset, memfd, memfdOffset),
  ),
  "vm.createGuestMemfd": verb<VmFd>("KVM_CREATE_GUEST_MEMFD", (vm, args) => {
    const fd = vm.createGuestMemfd(args);
    return made({ fd });
  }),
  "vm.getDirtyLog": verb<VmFd>("KVM_GET_DIRTY_LOG", (vm, slot, bytes) =>
    into(bytes, (bitmap) => vm.getDirtyLog(slot, bitmap)),
  ),
  "vm.clearDirtyLog": verb<VmFd>("KVM_CLEAR_DIRTY_LOG", (vm, slot, first, pages, bitmap) =>
    vm.clearDirtyLog(slot, first, pages, bitmap),
  ),
  "vm.resetDirtyRings": verb<VmFd>("KVM_RESET_DIRTY_RINGS", (vm) => vm.resetDirtyRings()),
  "vm.registerCoalescedMmio": verb<VmFd>("KVM_REGISTER_COALESCED_MMIO", (vm, zone) => vm.registerCoalescedMmio(zone)),
  "vm.unregisterCoalescedMmio": verb<VmFd>("KVM_UNREGISTER_COALESCED_MMIO", (vm, zone) =>
    vm.unregisterCoalescedMmio(zone),
  ),
  "vm.createIrqchip": verb<VmFd>("KVM_CREATE_IRQCHIP", (vm) => vm.createIrqchip()),
  "vm.irqLine": verb<VmFd>("KVM_IRQ_LINE", (vm, irq, level) => vm.irqLine(irq, level)),
  "vm.irqLineStatus": verb<VmFd>("KVM_IRQ_LINE_STATUS", (vm, irq, level) => vm.irqLineStatus(irq, level)),
  "vm.setGsiRouting": verb<VmFd>("KVM_SET_GSI_ROUTING", (vm, routing) => vm.setGsiRouting(routing)),
  "vm.irqfd": verb<VmFd>("KVM_IRQFD", (vm, args) => vm.irqfd(args)),
  "vm.ioeventfd": verb<VmFd>("KVM_IOEVENTFD", (vm, args) => vm.ioeventfd(args)),
  "vm.signalMsi": verb<VmFd>("KVM_SIGNAL_MSI", (vm, msi) => vm.signalMsi(msi)),
  "vm.armSetDeviceAddr": verb<VmFd>("KVM_ARM_SET_DEVICE_ADDR", (vm, id, address) => vm.armSetDeviceAddr(id, address)),
  "vm.armPreferredTarget": verb<VmFd>("KVM_ARM_PREFERRED_TARGET", (vm) =>
    into(32, (init) => vm.armPreferredTarget(init)),
  ),
  "vm.armMteCopyTags": verb<VmFd>("KVM_ARM_MTE_COPY_TAGS", (vm, address, bytes, tags: Uint8Array, flags) => {
    const copy = tags.slice();
    return counted(copy.length, (at) => {
      const result = vm.armMteCopyTags(address, bytes, copy, flags);
      at.set(copy);
      return result;
    });
  }),
  "vm.armSetCounterOffset": verb<VmFd>("KVM_ARM_SET_COUNTER_OFFSET", (vm, args) => vm.armSetCounterOffset(args)),
  "vm.armGetRegWritableMasks": verb<VmFd>("KVM_ARM_GET_REG_WRITABLE_MASKS", (vm, range) => {
    const masks = new BigUint64Array(192);
    vm.armGetRegWritableMasks(range, masks);
    return masks;
  }),
  "vm.readStats": verb<VmFd>("KVM_GET_STATS_FD", (vm, offset, bytes) =>
    counted(bytes, (at) => vm.readStats(offset, at)),
  ),
  "vm.close": verb<VmFd>("close", (vm) => vm.close()),
  ...attributes("vm"),
};

/** Registers that are looked at after every run; all of them are every so often. */
const many = (cpu: VcpuFd, ids: BigUint64Array, bytes: number) =>
  counted(bytes + 4, (at) => {
    const errno = new Int32Array(1);
    const done = cpu.getRegs(ids, at.subarray(0, bytes), errno);
    new DataView(at.buffer).setInt32(bytes, done < ids.length ? errno[0]! : 0);
    return done;
  });

const cpu = {
  "cpu.armVcpuInit": verb<VcpuFd>("KVM_ARM_VCPU_INIT", (cpu, init) => cpu.armVcpuInit(init)),
  "cpu.armVcpuFinalize": verb<VcpuFd>("KVM_ARM_VCPU_FINALIZE", (cpu, feature) => cpu.armVcpuFinalize(feature)),
  "cpu.getOneReg": verb<VcpuFd>("KVM_GET_ONE_REG", (cpu, id: bigint) =>
    into(1 << Number((id >> 52n) & 15n), (value) => cpu.getOneReg(id, value)),
  ),
  "cpu.setOneReg": verb<VcpuFd>("KVM_SET_ONE_REG", (cpu, id, value) => cpu.setOneReg(id, value)),
  /** Adds to a field of a register: what the field's value should be, the generator does not know. */
  "cpu.alterReg": verb<VcpuFd>("KVM_SET_ONE_REG", (cpu, id: bigint, shift: number, bits: number, delta: number) => {
    const bytes = new Uint8Array(Math.max(8, 1 << Number((id >> 52n) & 15n)));
    const value = bytes.subarray(0, 1 << Number((id >> 52n) & 15n));
    const low = new BigUint64Array(bytes.buffer, 0, 1);
    cpu.getOneReg(id, value);
    const mask = ((1n << BigInt(bits)) - 1n) << BigInt(shift);
    const field = (low[0]! + (BigInt(delta) << BigInt(shift))) & mask;
    low[0] = (low[0]! & ~mask) | field;
    cpu.setOneReg(id, value);
    return low[0];
  }),
  "cpu.getRegs": verb<VcpuFd>("KVM_GET_ONE_REG", (cpu, ...ids: bigint[]) =>
    many(
      cpu,
      BigUint64Array.from(ids),
      ids.reduce((sum, id) => sum + (1 << Number((id >> 52n) & 15n)), 0),
    ),
  ),
  "cpu.getRegList": verb<VcpuFd>("KVM_GET_REG_LIST", (cpu) => cpu.getRegList()),
  "cpu.kick": verb<VcpuFd>("kick", (cpu) => cpu.kick()),
  "cpu.getMpState": verb<VcpuFd>("KVM_GET_MP_STATE", (cpu) => cpu.getMpState()),
  "cpu.setMpState": verb<VcpuFd>("KVM_SET_MP_STATE", (cpu, state) => cpu.setMpState(state)),
  "cpu.getVcpuEvents": verb<VcpuFd>("KVM_GET_VCPU_EVENTS", (cpu) => into(64, (events) => cpu.getVcpuEvents(events))),
  "cpu.setVcpuEvents": verb<VcpuFd>("KVM_SET_VCPU_EVENTS", (cpu, events) => cpu.setVcpuEvents(events)),
  "cpu.setGuestDebug": verb<VcpuFd>("KVM_SET_GUEST_DEBUG", (cpu, debug) => cpu.setGuestDebug(debug)),
  "cpu.setSignalMask": verb<VcpuFd>("KVM_SET_SIGNAL_MASK", (cpu, sigset) => cpu.setSignalMask(sigset)),
  /** The ring's entries. */
  "cpu.dirtyRing": verb<VcpuFd>("mmap", (cpu, bytes) => cpu.dirtyRing(bytes)),
  /** Marks entries of the ring as harvested. */
  "cpu.harvest": verb<VcpuFd>("mmap", (cpu, bytes, most) => {
    const ring = cpu.dirtyRing(bytes);
    const view = new DataView(ring.buffer, ring.byteOffset, ring.byteLength);
    let harvested = 0;
    for (let at = 0; at < bytes && harvested < most; at += 16) {
      if (view.getUint32(at, true) !== 1) continue;
      view.setUint32(at, 2, true);
      harvested++;
    }
    return harvested;
  }),
  "cpu.readStats": verb<VcpuFd>("KVM_GET_STATS_FD", (cpu, offset, bytes) =>
    counted(bytes, (at) => cpu.readStats(offset, at)),
  ),
  "cpu.runPage": verb<VcpuFd>("mmap", (cpu) => (cpu.closed ? undefined : cpu.runPage)),
  /** Empties the ring of coalesced MMIO. */
  "cpu.emptyZoneRing": verb<VcpuFd>("mmap", (cpu) => {
    if (cpu.closed) return;
    const ring = new DataView(cpu.runPage.buffer, cpu.runPage.byteOffset + 4096, 8);
    ring.setUint32(0, ring.getUint32(4, true), true);
  }),
  "cpu.close": verb<VcpuFd>("close", (cpu) => cpu.close()),
  ...attributes("cpu"),
};

const rest = {
  ...attributes("device"),
  "device.close": verb<DeviceFd>("close", (device) => device.close()),
  "map.read": verb<Mapping>("read", (map, offset, bytes) => new Uint8Array(map.buffer, map.offset + offset, bytes)),
  "map.write": verb<Mapping>("write", (map, offset, bytes: Uint8Array) =>
    new Uint8Array(map.buffer, map.offset + offset, bytes.length).set(bytes),
  ),
  "map.close": verb<Mapping>("munmap", (map) => map.close()),
  "eventfd.signal": verb<EventFd>("write", (eventfd, value) => eventfd.signal(value)),
  "eventfd.take": verb<EventFd>("read", (eventfd) => eventfd.take()),
  "eventfd.close": verb<EventFd>("close", (eventfd) => eventfd.close()),
};

export const verbs: Readonly<Record<string, Verb<never>>> = { ...system, ...vm, ...cpu, ...rest };

/** Verbs that run a guest: running.ts has them. */
export const runVerbs = ["cpu.run", "cpu.runImmediate", "cpu.launch", "cpu.dump"] as const;
