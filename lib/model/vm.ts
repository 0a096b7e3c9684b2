// The VM descriptor of the model: one verb for each ioctl, with the kernel's errnos in the kernel's order.

import type { DeviceFd, Handle, Mapping, MappingRequest, VcpuFd, VmFd } from "../backend.js";
import { Refused } from "../errors.js";
import { KVM_ARM_TARGET_GENERIC_V8, KVM_ARM_VM_SMCCC, KVM_MEM } from "../uapi/constants.js";
import { writableMasks } from "./cpu/id-registers.js";
import { addFilter, FILTER_BYTES } from "./cpu/smccc-filter.js";
import { fixCounterOffset, rebaseCounters } from "./cpu/timer.js";
import { letGoOfVm } from "./descriptors.js";
import { createDevice } from "./device.js";
import type { EventFds } from "./eventfd.js";
import { welcomeVcpu } from "./gic/frames.js";
import { gicOf } from "./gic/gic.js";
import { irqfd, irqfdSignalled } from "./gic/irqfd.js";
import { signalMsi } from "./gic/its.js";
import { irqLine } from "./gic/lines.js";
import { createIrqchip, mostVcpus, setDeviceAddress } from "./gic/v2.js";
import { createGuestMemfd } from "./guest-memfd.js";
import { handleOf } from "./handle.js";
import { copyRing, ioeventfd, registerZone, unregisterZone } from "./kvm/buses.js";
import { checkExtension, enableCap } from "./kvm/caps.js";
import { makeRing, resetRings } from "./kvm/dirty-ring.js";
import { setRouting } from "./kvm/routing.js";
import { readVmStats } from "./kvm/stats.js";
import { Busy } from "./layout.js";
import { ModelMapping, map } from "./memory.js";
import { forgetAll } from "./shootdown.js";
import { clearDirtyLog, getDirtyLog, setRegion } from "./slots.js";
import { copyTags } from "./tags.js";
import { ModelVcpu } from "./vcpu.js";
import { allVcpus, VCPU_BYTES, VcpuState } from "./vcpu-state.js";
import type { VmState } from "./vm-state.js";

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The arguments of KVM_SET_USER_MEMORY_REGION. */
interface AskedRegion {
  readonly slot: number;
  readonly flags: number;
  readonly guestAddress: bigint;
  readonly bytes: bigint;
  readonly mapping: Mapping | null;
  readonly offset: bigint;
  readonly guestMemfd: { readonly fd: number; readonly offset: bigint } | null;
}

export class ModelVm implements VmFd {
  #state: VmState | null;
  readonly #eventFds: EventFds;

  constructor(vm: VmState, eventFds: EventFds) {
    this.#state = vm;
    this.#eventFds = eventFds;
    vm.add("open", 1);
    vm.add("vmDescriptors", 1);
    eventFds.listen(vm.memory, (fd) => irqfdSignalled(vm, eventFds, fd));
  }

  get closed(): boolean {
    return this.#state === null;
  }

  handle(): Handle {
    return handleOf(this.#here("handle"), this.#eventFds, "vm", 0);
  }

  checkExtension(cap: number): number {
    const vm = this.#open("KVM_CHECK_EXTENSION");
    return checkExtension({ profile: vm.profile, vm: vm }, cap);
  }

  enableCap(cap: Uint8Array): void {
    const vm = this.#open("KVM_ENABLE_CAP");
    vm.locked(() => enableCap(vm, cap));
  }

  createVcpu(argument: number): VcpuFd {
    const id = argument >>> 0;
    const call = "KVM_CREATE_VCPU";
    const vm = this.#open(call);
    return vm.locked(() => {
      const most = mostVcpus(vm);
      if (id >= most || vm.get("vcpuCount") >= most) throw new Refused("EINVAL", call);
      if (gicOf(vm)?.get("initialised") === 1) throw new Refused("EBUSY", call);
      if (vm.quad("vcpus", id) !== 0n) throw new Refused("EEXIST", call);
      const base = vm.allocationOffset(vm.allocate(VCPU_BYTES, call));
      const vcpu = new VcpuState(vm, base);
      vcpu.put("id", id);
      vcpu.put("place", vm.get("vcpuCount"));
      welcomeVcpu(vcpu, call);
      makeRing(vcpu, call);
      const [first] = allVcpus(vm);
      if (first !== undefined) copyRing(first, vcpu);
      vm.putQuad("vcpus", BigInt(base), id);
      vm.put("vcpuCount", vm.get("vcpuCount") + 1);
      vm.put("affinityTable", 0);
      rebaseCounters(vm);
      return ModelVcpu.attach(vm, this.#eventFds, base);
    });
  }

  createDevice(type: number, flags: number): DeviceFd | null {
    return createDevice(this.#open("KVM_CREATE_DEVICE"), this.#eventFds, type, flags);
  }

  map(request: MappingRequest): Mapping {
    return map(this.#here("mmap"), this.#eventFds, request);
  }

  setUserMemoryRegion(
    slot: number,
    flags: number,
    guestAddress: bigint,
    bytes: bigint,
    mapping: Mapping | null,
    offset: bigint,
  ): void {
    const call = "KVM_SET_USER_MEMORY_REGION";
    const possible = KVM_MEM.LOG_DIRTY_PAGES | KVM_MEM.READONLY;
    this.#setRegion(call, possible, { slot, flags, guestAddress, bytes, mapping, offset, guestMemfd: null });
  }

  setUserMemoryRegion2(
    slot: number,
    flags: number,
    guestAddress: bigint,
    bytes: bigint,
    mapping: Mapping | null,
    offset: bigint,
    fd: number,
    memfdOffset: bigint,
  ): void {
    const call = "KVM_SET_USER_MEMORY_REGION2";
    // Before the kernel is asked, which may not know the ioctl.
    backing(this.#here(call), { bytes, mapping, offset }, call);
    const { guestMemfd: exists } = this.#has("memoryRegion2", call).profile.switches;
    const wanted = exists && (flags & KVM_MEM.GUEST_MEMFD) !== 0;
    // Neither is its dirtying logged nor can it be read-only.
    const possible = wanted ? KVM_MEM.GUEST_MEMFD : KVM_MEM.LOG_DIRTY_PAGES | KVM_MEM.READONLY;
    const guestMemfd = wanted ? { fd, offset: memfdOffset } : null;
    this.#setRegion(call, possible, { slot, flags, guestAddress, bytes, mapping, offset, guestMemfd });
  }

  #setRegion(call: string, possible: number, asked: AskedRegion): void {
    const { slot, flags, guestAddress, bytes, mapping, offset, guestMemfd } = asked;
    // Before the kernel is asked, which may refuse for a dead VM.
    const allocation = backing(this.#here(call), asked, call);
    const vm = this.#open(call);
    if ((flags & ~possible) !== 0) throw new Refused("EINVAL", call);
    const hostOffset = BigInt.asUintN(64, offset + BigInt(mapping?.offset ?? 0));
    const hostReadonly = mapping instanceof ModelMapping ? mapping.readonly : 0;
    const untaggable = mapping instanceof ModelMapping ? mapping.untaggable : 0;
    const backed = { hostOffset, allocation, hostReadonly, untaggable, guestMemfd };
    const region = { slot: slot >>> 0, flags, guestAddress, bytes, ...backed };
    // Inside both locks: either is enough to look at the slots.
    const unused = vm.locked(() => vm.gicLocked(() => setRegion(vm, this.#eventFds, region, call)));
    forgetAll(vm);
    if (unused.length > 0) vm.locked(() => unused.map((allocation) => vm.release(allocation)));
  }

  createGuestMemfd(args: Uint8Array): number {
    const vm = this.#has("guestMemfd", "KVM_CREATE_GUEST_MEMFD");
    return vm.locked(() => createGuestMemfd(vm, this.#eventFds, args));
  }

  getDirtyLog(slot: number, bitmap: Uint8Array): void {
    const vm = this.#open("KVM_GET_DIRTY_LOG");
    vm.locked(() => getDirtyLog(vm, slot, bitmap));
    watchAgain(vm);
  }

  clearDirtyLog(slot: number, firstPage: bigint, pages: number, bitmap: Uint8Array): void {
    const vm = this.#open("KVM_CLEAR_DIRTY_LOG");
    vm.locked(() => clearDirtyLog(vm, slot, firstPage, pages, bitmap));
    watchAgain(vm);
  }

  resetDirtyRings(): number {
    const vm = this.#open("KVM_RESET_DIRTY_RINGS");
    if (vm.get("ringBytes") === 0) throw new Refused("EINVAL", "KVM_RESET_DIRTY_RINGS");
    return resetRings(vm);
  }

  registerCoalescedMmio(zone: Uint8Array): void {
    const vm = this.#open("KVM_REGISTER_COALESCED_MMIO");
    vm.locked(() => registerZone(vm, zone));
  }

  unregisterCoalescedMmio(zone: Uint8Array): void {
    const vm = this.#open("KVM_UNREGISTER_COALESCED_MMIO");
    vm.locked(() => unregisterZone(vm, zone));
  }

  createIrqchip(): void {
    const vm = this.#open("KVM_CREATE_IRQCHIP");
    vm.locked(() => createIrqchip(vm));
  }

  irqLine(irq: number, level: number): void {
    this.#irqLine(irq, level, "KVM_IRQ_LINE");
  }

  irqLineStatus(irq: number, level: number): number {
    this.#irqLine(irq, level, "KVM_IRQ_LINE_STATUS");
    // arm64 leaves the member alone that `irq` and `status`, a signed one, share.
    return irq | 0;
  }

  #irqLine(irq: number, level: number, call: string): void {
    irqLine(this.#open(call), irq, level !== 0, call);
  }

  setGsiRouting(routing: Uint8Array): void {
    setRouting(this.#open("KVM_SET_GSI_ROUTING"), routing);
  }

  irqfd(args: Uint8Array): void {
    irqfd(this.#open("KVM_IRQFD"), this.#eventFds, args);
  }

  ioeventfd(args: Uint8Array): void {
    const vm = this.#open("KVM_IOEVENTFD");
    vm.locked(() => ioeventfd(vm, this.#eventFds, args));
  }

  signalMsi(args: Uint8Array): number {
    return signalMsi(this.#open("KVM_SIGNAL_MSI"), args);
  }

  armSetDeviceAddr(id: bigint, address: bigint): void {
    setDeviceAddress(this.#open("KVM_ARM_SET_DEVICE_ADDR"), id, address);
  }

  armPreferredTarget(init: Uint8Array): void {
    this.#open("KVM_ARM_PREFERRED_TARGET");
    init.fill(0);
    view(init).setUint32(0, KVM_ARM_TARGET_GENERIC_V8, true);
  }

  armMteCopyTags(guestAddress: bigint, bytes: bigint, tags: Uint8Array, flags: bigint): number {
    const vm = this.#open("KVM_ARM_MTE_COPY_TAGS");
    if (BigInt(tags.length) * 16n < bytes) {
      throw new RangeError(`armMteCopyTags: tags must have a byte for each 16, ${bytes / 16n}, got ${tags.length}`);
    }
    return copyTags(vm, { guestAddress, bytes, tags, flags });
  }

  armSetCounterOffset(args: Uint8Array): void {
    const call = "KVM_ARM_SET_COUNTER_OFFSET";
    const vm = this.#has("counterOffset", call);
    if (view(args).getBigUint64(8, true) !== 0n) throw new Refused("EINVAL", call);
    vm.locked(() => {
      if (allVcpus(vm).some((vcpu) => vcpu.peek("busy") !== Busy.free)) throw new Refused("EBUSY", call);
      fixCounterOffset(vm, view(args).getBigUint64(0, true));
    });
  }

  armGetRegWritableMasks(range: number, masks: BigUint64Array): void {
    const call = "KVM_ARM_GET_REG_WRITABLE_MASKS";
    const vm = this.#has("writableMasks", call);
    if (range !== 0) throw new Refused("EINVAL", call);
    writableMasks(vm, masks);
  }

  setDeviceAttr(group: number, attr: bigint, value: Uint8Array | null): void {
    const call = "KVM_SET_DEVICE_ATTR";
    const vm = this.#attribute(group, attr, call);
    if (value === null || value.length < FILTER_BYTES) throw new Refused("EFAULT", call);
    const refused = vm.locked(() => addFilter(vm, value));
    if (refused !== null) throw new Refused(refused, call);
  }

  getDeviceAttr(): void {
    this.#unknown("KVM_GET_DEVICE_ATTR");
  }

  hasDeviceAttr(group: number, attr: bigint): void {
    this.#attribute(group, attr, "KVM_HAS_DEVICE_ATTR");
  }

  #attribute(group: number, attr: bigint, call: string): VmState {
    const vm = this.#has("vmAttributes", call);
    if (group !== KVM_ARM_VM_SMCCC.CTRL || attr !== BigInt(KVM_ARM_VM_SMCCC.FILTER)) throw new Refused("ENXIO", call);
    return vm;
  }

  readStats(offset: number, into: Uint8Array): number {
    const vm = this.#here("KVM_GET_STATS_FD");
    if (vm.peek("statistics") === 0) this.#open("KVM_GET_STATS_FD").put("statistics", 1);
    return readVmStats(offset, into);
  }

  close(): void {
    if (this.#state === null) return;
    letGoOfVm(this.#state, this.#eventFds);
    this.#state = null;
  }

  #here(call: string): VmState {
    if (this.#state === null) throw new Refused("EBADF", call);
    return this.#state;
  }

  /** For ioctls: a dead VM refuses them all. */
  #open(call: string): VmState {
    const vm = this.#here(call);
    if (vm.peek("dead") === 1) throw new Refused("EIO", call);
    return vm;
  }

  /** The VM, for an ioctl that not every kernel has. */
  #has(
    name: "memoryRegion2" | "guestMemfd" | "counterOffset" | "writableMasks" | "vmAttributes",
    call: string,
  ): VmState {
    const vm = this.#open(call);
    if (!vm.profile.switches[name]) throw new Refused("EINVAL", call);
    return vm;
  }

  /** What a VM refuses with EINVAL whatever the arguments: no such ioctl, or it needs what the VM has not. */
  #unknown(call: string): never {
    this.#open(call);
    throw new Refused("EINVAL", call);
  }
}

/** The allocation behind a slot: its bytes lie in a mapping of this VM that is open. */
function backing(
  vm: VmState,
  { bytes, mapping, offset }: Pick<AskedRegion, "bytes" | "mapping" | "offset">,
  call: string,
): number | null {
  if (mapping === null) {
    if (bytes !== 0n) throw new RangeError("setUserMemoryRegion: only a deletion needs no mapping");
    return null;
  }
  if (!(mapping instanceof ModelMapping) || mapping.vm.memory !== vm.memory) {
    throw new TypeError("setUserMemoryRegion: mapping must be one of this VM");
  }
  if (mapping.bytes === 0) throw new Refused("EBADF", call);
  if (offset < 0n || offset + bytes > BigInt(mapping.bytes)) {
    throw new RangeError(`setUserMemoryRegion: the slot does not lie inside its mapping of ${mapping.bytes} bytes`);
  }
  return mapping.allocation;
}

/** Pages that were clean may be written through what the CPUs remember: they must ask again. */
function watchAgain(vm: VmState): void {
  vm.add("slotGeneration", 1);
  forgetAll(vm);
}
