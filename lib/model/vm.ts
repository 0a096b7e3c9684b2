// The VM descriptor of the model: one verb for each ioctl, with the kernel's errnos in the kernel's order.

import type { DeviceFd, Handle, Mapping, MappingRequest, VcpuFd, VmFd } from "../backend.js";
import { Refused } from "../errors.js";
import { KVM_ARM_IRQ_TYPE, KVM_ARM_TARGET_GENERIC_V8, KVM_ARM_VM_SMCCC, KVM_MEM } from "../uapi/constants.js";
import { writableMasks } from "./cpu/id-registers.js";
import { addFilter, FILTER_BYTES } from "./cpu/smccc-filter.js";
import { fixCounterOffset, rebaseCounters } from "./cpu/timer.js";
import type { EventFds } from "./eventfd.js";
import { ioeventfd, irqfd, registerZone, unregisterZone } from "./kvm/buses.js";
import { checkExtension, enableCap } from "./kvm/caps.js";
import { readVmStats } from "./kvm/stats.js";
import { Busy, VCPUS } from "./layout.js";
import { ModelMapping, map } from "./memory.js";
import { clearDirtyLog, getDirtyLog, setRegion } from "./slots.js";
import type { ModelHandle } from "./system.js";
import { ModelVcpu } from "./vcpu.js";
import { allVcpus, flushAll, VCPU_BYTES, VcpuState, vcpuById } from "./vcpu-state.js";
import type { VmState } from "./vm-state.js";

const VCPU_ID_MASK = 0xff;
/** KVM_ARM_IRQ_CPU_FIQ: the second of a CPU's two inputs. */
const CPU_FIQ = 1;

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export class ModelVm implements VmFd {
  readonly #vm: VmState;
  readonly #eventFds: EventFds;
  #closed = false;

  constructor(vm: VmState, eventFds: EventFds) {
    this.#vm = vm;
    this.#eventFds = eventFds;
    vm.add("open", 1);
  }

  get closed(): boolean {
    return this.#closed;
  }

  handle(): Handle {
    this.#check("handle");
    return this.#handleOf("vm", 0);
  }

  #handleOf(kind: ModelHandle["kind"], id: number): Handle {
    const { memory, profile } = this.#vm;
    const handle: ModelHandle = {
      backend: "model",
      kind,
      memory,
      eventFds: this.#eventFds.shared,
      options: profile.options,
      id,
    };
    return handle;
  }

  checkExtension(cap: number): number {
    this.#check("KVM_CHECK_EXTENSION");
    return checkExtension({ profile: this.#vm.profile, vm: this.#vm }, cap);
  }

  enableCap(cap: Uint8Array): void {
    this.#check("KVM_ENABLE_CAP");
    this.#vm.locked(() => enableCap(this.#vm, cap));
  }

  createVcpu(id: number): VcpuFd {
    const call = "KVM_CREATE_VCPU";
    this.#check(call);
    const vm = this.#vm;
    return vm.locked(() => {
      if (id >= VCPUS || vm.get("vcpuCount") >= VCPUS) throw new Refused("EINVAL", call);
      if (vm.quad("vcpus", id) !== 0n) throw new Refused("EEXIST", call);
      const base = vm.allocationOffset(vm.allocate(VCPU_BYTES, call));
      const vcpu = new VcpuState(vm, base);
      vcpu.put("id", id);
      vcpu.cpu.set("MPIDR_EL1", mpidr(id));
      vm.putQuad("vcpus", BigInt(base), id);
      vm.put("vcpuCount", vm.get("vcpuCount") + 1);
      rebaseCounters(vm);
      return ModelVcpu.attach(vm, this.#eventFds, base);
    });
  }

  createDevice(): DeviceFd | null {
    this.#check("KVM_CREATE_DEVICE");
    throw new Refused("ENODEV", "KVM_CREATE_DEVICE");
  }

  map(request: MappingRequest): Mapping {
    this.#check("mmap");
    return map(this.#vm, request);
  }

  setUserMemoryRegion(
    slot: number,
    flags: number,
    guestAddress: bigint,
    bytes: bigint,
    mapping: Mapping | null,
    offset: bigint,
  ): void {
    this.#setRegion("KVM_SET_USER_MEMORY_REGION", slot, flags, guestAddress, bytes, mapping, offset);
  }

  setUserMemoryRegion2(
    slot: number,
    flags: number,
    guestAddress: bigint,
    bytes: bigint,
    mapping: Mapping | null,
    offset: bigint,
  ): void {
    const call = "KVM_SET_USER_MEMORY_REGION2";
    this.#has("memoryRegion2", call);
    this.#setRegion(call, slot, flags, guestAddress, bytes, mapping, offset);
  }

  #setRegion(
    call: string,
    slot: number,
    flags: number,
    guestAddress: bigint,
    bytes: bigint,
    mapping: Mapping | null,
    offset: bigint,
  ): void {
    this.#check(call);
    const allocation = this.#backing(bytes, mapping, offset);
    if ((flags & ~(KVM_MEM.LOG_DIRTY_PAGES | KVM_MEM.READONLY)) !== 0) throw new Refused("EINVAL", call);
    const hostOffset = BigInt.asUintN(64, offset + BigInt(mapping?.offset ?? 0));
    const hostReadonly = mapping instanceof ModelMapping ? mapping.readonly : 0;
    const vm = this.#vm;
    const region = { slot: slot >>> 0, flags, guestAddress, bytes, hostOffset, allocation, hostReadonly };
    vm.locked(() => setRegion(vm, region, call));
    flushAll(vm);
  }

  /** The allocation behind a slot: its bytes lie in a mapping of this VM that is open. */
  #backing(bytes: bigint, mapping: Mapping | null, offset: bigint): number | null {
    if (mapping === null) {
      if (bytes !== 0n) throw new RangeError("setUserMemoryRegion: only a deletion needs no mapping");
      return null;
    }
    if (!(mapping instanceof ModelMapping) || mapping.vm.memory !== this.#vm.memory) {
      throw new TypeError("setUserMemoryRegion: mapping must be one of this VM");
    }
    if (offset < 0n || offset + bytes > BigInt(mapping.bytes)) {
      throw new RangeError(`setUserMemoryRegion: the slot does not lie inside its mapping of ${mapping.bytes} bytes`);
    }
    return mapping.allocation;
  }

  createGuestMemfd(): number {
    return this.#unknown("KVM_CREATE_GUEST_MEMFD");
  }

  getDirtyLog(slot: number, bitmap: Uint8Array): void {
    this.#check("KVM_GET_DIRTY_LOG");
    this.#vm.locked(() => getDirtyLog(this.#vm, slot, bitmap));
    this.#watchAgain();
  }

  clearDirtyLog(slot: number, firstPage: bigint, pages: number, bitmap: Uint8Array): void {
    this.#check("KVM_CLEAR_DIRTY_LOG");
    this.#vm.locked(() => clearDirtyLog(this.#vm, slot, firstPage, pages, bitmap));
    this.#watchAgain();
  }

  /** Pages that were clean may be written through what the CPUs remember: they must ask again. */
  #watchAgain(): void {
    this.#vm.add("slotGeneration", 1);
    flushAll(this.#vm);
  }

  resetDirtyRings(): number {
    return this.#unknown("KVM_RESET_DIRTY_RINGS");
  }

  registerCoalescedMmio(zone: Uint8Array): void {
    this.#check("KVM_REGISTER_COALESCED_MMIO");
    this.#vm.locked(() => registerZone(this.#vm, zone));
  }

  unregisterCoalescedMmio(zone: Uint8Array): void {
    this.#check("KVM_UNREGISTER_COALESCED_MMIO");
    this.#vm.locked(() => unregisterZone(this.#vm, zone));
  }

  createIrqchip(): void {
    this.#check("KVM_CREATE_IRQCHIP");
    throw new Refused("ENXIO", "KVM_CREATE_IRQCHIP");
  }

  irqLine(irq: number, level: number): void {
    this.#irqLine(irq, level, "KVM_IRQ_LINE");
  }

  irqLineStatus(irq: number, level: number): number {
    this.#irqLine(irq, level, "KVM_IRQ_LINE_STATUS");
    // arm64 leaves the member alone that `irq` and `status` share.
    return irq;
  }

  #irqLine(irq: number, level: number, call: string): void {
    this.#check(call);
    const type = (irq >>> 24) & 0xf;
    if (type === KVM_ARM_IRQ_TYPE.SPI || type === KVM_ARM_IRQ_TYPE.PPI) throw new Refused("ENXIO", call);
    if (type !== KVM_ARM_IRQ_TYPE.CPU) throw new Refused("EINVAL", call);
    const line = irq & 0xffff;
    const vcpu = vcpuById(this.#vm, (irq >>> 28) * 256 + ((irq >>> 16) & VCPU_ID_MASK));
    if (vcpu === null || line > CPU_FIQ) throw new Refused("EINVAL", call);
    vcpu.cpu.setLine(line === CPU_FIQ ? "fiq" : "irq", level === 0 ? 0 : 1);
    vcpu.wake();
  }

  setGsiRouting(): void {
    this.#unknown("KVM_SET_GSI_ROUTING");
  }

  irqfd(args: Uint8Array): void {
    this.#check("KVM_IRQFD");
    irqfd(this.#eventFds, args);
  }

  ioeventfd(args: Uint8Array): void {
    this.#check("KVM_IOEVENTFD");
    this.#vm.locked(() => ioeventfd(this.#vm, this.#eventFds, args));
  }

  signalMsi(): number {
    return this.#unknown("KVM_SIGNAL_MSI");
  }

  armSetDeviceAddr(id: bigint): void {
    const call = "KVM_ARM_SET_DEVICE_ADDR";
    this.#check(call);
    throw new Refused(((id >> 16n) & 0xffffn) === 0n ? "ENXIO" : "ENODEV", call);
  }

  armPreferredTarget(init: Uint8Array): void {
    this.#check("KVM_ARM_PREFERRED_TARGET");
    init.fill(0);
    view(init).setUint32(0, KVM_ARM_TARGET_GENERIC_V8, true);
  }

  armMteCopyTags(): number {
    return this.#unknown("KVM_ARM_MTE_COPY_TAGS");
  }

  armSetCounterOffset(args: Uint8Array): void {
    const call = "KVM_ARM_SET_COUNTER_OFFSET";
    this.#check(call);
    this.#has("counterOffset", call);
    if (view(args).getBigUint64(8, true) !== 0n) throw new Refused("EINVAL", call);
    const vm = this.#vm;
    vm.locked(() => {
      if (allVcpus(vm).some((vcpu) => vcpu.peek("busy") !== Busy.free)) throw new Refused("EBUSY", call);
      fixCounterOffset(vm, view(args).getBigUint64(0, true));
    });
  }

  armGetRegWritableMasks(range: number, masks: BigUint64Array): void {
    const call = "KVM_ARM_GET_REG_WRITABLE_MASKS";
    this.#check(call);
    this.#has("writableMasks", call);
    if (range !== 0) throw new Refused("EINVAL", call);
    writableMasks(this.#vm, masks);
  }

  setDeviceAttr(group: number, attr: bigint, value: Uint8Array | null): void {
    const call = "KVM_SET_DEVICE_ATTR";
    this.hasDeviceAttr(group, attr, call);
    if (value === null) throw new Refused("EFAULT", call);
    if (value.length < FILTER_BYTES) throw new RangeError(`setDeviceAttr: value needs ${FILTER_BYTES} bytes`);
    const refused = this.#vm.locked(() => addFilter(this.#vm, value));
    if (refused !== null) throw new Refused(refused, call);
  }

  getDeviceAttr(): void {
    this.#unknown("KVM_GET_DEVICE_ATTR");
  }

  hasDeviceAttr(group: number, attr: bigint, call = "KVM_HAS_DEVICE_ATTR"): void {
    this.#check(call);
    this.#has("vmAttributes", call);
    const known = group === KVM_ARM_VM_SMCCC.CTRL && attr === BigInt(KVM_ARM_VM_SMCCC.FILTER);
    if (!known) throw new Refused("ENXIO", call);
  }

  readStats(offset: number, into: Uint8Array): number {
    this.#check("KVM_GET_STATS_FD");
    return readVmStats(offset, into);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#vm.add("open", -1);
  }

  #check(call: string): void {
    if (this.#closed) throw new Refused("EBADF", call);
    if (this.#vm.peek("dead") === 1) throw new Refused("EIO", call);
  }

  /** An ioctl that this kernel does not have. */
  #has(name: "memoryRegion2" | "counterOffset" | "writableMasks" | "vmAttributes", call: string): void {
    if (!this.#vm.profile.switches[name]) throw new Refused("EINVAL", call);
  }

  /** What a VM refuses with EINVAL whatever the arguments: no such ioctl, or it needs what the VM has not. */
  #unknown(call: string): never {
    this.#check(call);
    throw new Refused("EINVAL", call);
  }
}

/** MPIDR_EL1 of a vCPU: 16 to a cluster, as a GICv3's SGIs can address them. */
function mpidr(id: number): bigint {
  return BigInt(((1 << 31) | (id & 15) | (((id >> 4) & 255) << 8) | (((id >> 12) & 255) << 16)) >>> 0);
}
