// A virtual machine. One method, one ioctl; Documentation/virt/kvm/api.rst.
import {
  byteCount,
  bytes as bytesArgument,
  describe,
  flag,
  oneOf,
  options as optionsArgument,
  record,
  u32,
  u64,
} from "./arguments.js";
import type { Handle, MappingRequest, VmFd } from "./backend.js";
import {
  type AttrBits,
  type AttrValue,
  Device,
  type DeviceKind,
  deviceKinds,
  getAttr,
  getAttrBytes,
  hasAttr,
  setAttr,
} from "./device.js";
import { isRefusal, KvmError, refuse } from "./errors.js";
import { type FeatureSelection, selectFeatures } from "./feature-selection.js";
import { IdHistory } from "./id-registers.js";
import {
  type GsiRoute,
  type Irqfd,
  type IrqLine,
  irqWord,
  type Msi,
  packIrqfd,
  packMsi,
  packRoutes,
} from "./interrupts.js";
import { GuestMemory } from "./memory.js";
import { type CoalescedZone, type IoEvent, packIoEvent, packZone } from "./mmio-zones.js";
import { readStatistics, type Statistics } from "./stats.js";
import { type CapName, caps } from "./uapi/caps.js";
import { KVM_ARM_VM_SMCCC, KVM_CREATE_DEVICE_TEST, KVM_SMCCC_FILTER, PAGE_BYTES } from "./uapi/constants.js";
import { errno } from "./uapi/errno.js";
import { pack, structs, unpack } from "./uapi/structs.js";
import { Vcpu } from "./vcpu.js";

export interface MemoryOptions {
  /** Guest physical address of the first byte. */
  readonly at: bigint;
  /** A multiple of 4096 (and of the host's page size). */
  readonly bytes: number;
  /** Slot number; default: the lowest that this object has not used. */
  readonly slot?: number;
  /** The guest's stores become MMIO exits. */
  readonly readonly?: boolean;
  readonly logDirty?: boolean;
  /** What backs it; default: anonymous memory. */
  readonly from?:
    | {
        readonly file: string;
        readonly offset?: number;
        /** The guest's writes reach the file. Default: a private copy. */
        readonly shared?: boolean;
        /** Default: true. */
        readonly writable?: boolean;
      }
    | { readonly hugePageBytes: number }
    | { readonly guestMemfd: number; readonly offset?: bigint };
}

const smcccActions = {
  handle: KVM_SMCCC_FILTER.HANDLE,
  deny: KVM_SMCCC_FILTER.DENY,
  forward: KVM_SMCCC_FILTER.FWD_TO_USER,
} as const;

const hex = (value: bigint): string => `0x${value.toString(16)}`;

export class Vm implements Disposable {
  readonly #fd: VmFd;
  readonly #slots = new Set<number>();
  readonly #history: IdHistory;
  /** The vCPUs that this object made: one of them is asked for ID registers. */
  #vcpus: WeakRef<Vcpu>[] = [];
  #nextVcpu = 0;

  /** Made by `kvm.createVm` or `Kvm.attachVm`. */
  constructor(fd: VmFd, origin: "created" | "attached" = "attached") {
    this.#fd = fd;
    this.#history = new IdHistory(origin, () => this.writableMasks());
  }

  /** KVM_CHECK_EXTENSION on the VM: 0 when the capability is absent. */
  has(cap: CapName | number): number {
    return checkCap(this.#fd, cap);
  }

  /** KVM_ENABLE_CAP. */
  enableCap(cap: CapName | number, args: readonly bigint[] = [], flags = 0): void {
    const bytes = pack(structs.kvm_enable_cap, { cap: capNumber(cap), flags: u32("flags", flags), args });
    this.#do({ what: String(cap) }, () => this.#fd.enableCap(bytes));
    this.#history.capabilities.add(typeof cap === "string" ? cap : (capNames.get(cap) ?? String(cap)));
  }

  /** Maps host memory and gives it to the guest as a slot: mmap(2) and KVM_SET_USER_MEMORY_REGION. */
  addMemory(options: MemoryOptions): GuestMemory {
    const {
      at,
      bytes,
      slot = this.#freeSlot(),
      readonly = false,
      logDirty = false,
      from,
    } = optionsArgument("addMemory", options);
    u64("addMemory: at", at);
    byteCount("addMemory: bytes", bytes, 1);
    if (bytes % PAGE_BYTES !== 0) {
      throw new RangeError(`addMemory: bytes must be a multiple of ${PAGE_BYTES}, got ${bytes}`);
    }
    u32("addMemory: slot", slot);
    flag("addMemory: readonly", readonly);
    flag("addMemory: logDirty", logDirty);
    const request = mappingRequest(bytes, from);
    const mapping = this.#do({ what: `${bytes} bytes` }, () => this.#fd.map(request));
    const guestMemfd = request.kind === "guest-memfd" ? { fd: request.fd, offset: BigInt(request.offset) } : undefined;
    try {
      const memory = new GuestMemory(this.#fd, mapping, { slot, at, readonly, logDirty, guestMemfd }, () =>
        this.#slots.delete(slot),
      );
      this.#slots.add(slot);
      return memory;
    } catch (error) {
      mapping.close();
      throw error;
    }
  }

  /** KVM_CREATE_VCPU. Default id: the number of vCPUs that this object has created. */
  createVcpu(id = this.#nextVcpu): Vcpu {
    u32("createVcpu: id", id);
    const vcpu = this.#do({ what: `vCPU ${id}` }, () => this.#fd.createVcpu(id));
    this.#nextVcpu = Math.max(this.#nextVcpu, id + 1);
    const made = new Vcpu(vcpu, this.#history);
    this.#vcpus = [...this.#vcpus.filter((ref) => ref.deref()?.closed === false), new WeakRef(made)];
    return made;
  }

  /**
   * What the guest may have: fields of ID registers, such as `{ "ID_AA64ISAR0_EL1.RNDR": 0 }`. To be called when the
   * first vCPU is initialised, before any other register is written: what registers there are, and what they hold, may
   * depend on it. The whole selection is judged first; `vcpu.idRegisters()` shows by what. KVM_SET_ONE_REG.
   * FeatureSelectionError: all that is refused, and why; nothing was changed.
   */
  selectFeatures(fields: FeatureSelection): void {
    for (const ref of this.#vcpus) {
      const vcpu = ref.deref();
      if (vcpu?.initialised === true && !vcpu.closed) {
        selectFeatures(vcpu, this.#history, fields);
        return;
      }
    }
    const help = "initialise a vCPU of this Vm object first: vm.createVcpu().init()";
    throw new KvmError(errno("ENOEXEC"), "KVM_SET_ONE_REG", { what: "selectFeatures", help });
  }

  /** KVM_CREATE_DEVICE. ENODEV: the host does not offer it. */
  createDevice(kind: DeviceKind | number): Device {
    const fd = this.#do({ what: String(kind) }, () => this.#fd.createDevice(deviceType(kind), 0));
    if (fd === null) throw new KvmError(errno("ENODEV"), "KVM_CREATE_DEVICE", { what: String(kind) });
    return new Device(fd, kind);
  }

  /** KVM_CREATE_DEVICE with KVM_CREATE_DEVICE_TEST: whether the host offers it. */
  offersDevice(kind: DeviceKind | number): boolean {
    try {
      this.#fd.createDevice(deviceType(kind), KVM_CREATE_DEVICE_TEST);
      return true;
    } catch (error) {
      if (isRefusal(error) && error.errno === errno("ENODEV")) return false;
      refuse(error, { what: String(kind) });
    }
  }

  /** KVM_CREATE_IRQCHIP: a vGICv2. */
  createIrqchip(): void {
    this.#do({}, () => this.#fd.createIrqchip());
  }

  /** KVM_ARM_SET_DEVICE_ADDR: the old way to place a vGICv2. */
  setDeviceAddr(id: bigint, guestAddress: bigint): void {
    u64("id", id);
    u64("guestAddress", guestAddress);
    this.#do({ what: `${hex(id)} at ${hex(guestAddress)}` }, () => this.#fd.armSetDeviceAddr(id, guestAddress));
  }

  /** KVM_IRQ_LINE. */
  setIrqLine(line: IrqLine, level: boolean): void {
    const irq = irqWord(line);
    flag("level", level);
    this.#do({ what: JSON.stringify(line) }, () => this.#fd.irqLine(irq, level ? 1 : 0));
  }

  /** KVM_IRQ_LINE_STATUS: as `setIrqLine`, and gives the status that the kernel writes back. */
  setIrqLineStatus(line: IrqLine, level: boolean): number {
    const irq = irqWord(line);
    flag("level", level);
    return this.#do({ what: JSON.stringify(line) }, () => this.#fd.irqLineStatus(irq, level ? 1 : 0));
  }

  /** KVM_SET_GSI_ROUTING: replaces the whole table. */
  setGsiRouting(routes: readonly GsiRoute[]): void {
    const bytes = packRoutes(routes);
    this.#do({ what: `${routes.length} routes` }, () => this.#fd.setGsiRouting(bytes));
  }

  /** KVM_IRQFD: signalling `eventFd` raises the interrupt; with `resample`, an EOI signals that one. */
  addIrqfd(irqfd: Irqfd): void {
    const args = packIrqfd(irqfd, "assign");
    this.#do({ what: `gsi ${irqfd.gsi}` }, () => this.#fd.irqfd(args));
  }

  /** KVM_IRQFD with DEASSIGN. */
  removeIrqfd(irqfd: Irqfd): void {
    const args = packIrqfd(irqfd, "deassign");
    this.#do({ what: `gsi ${irqfd.gsi}` }, () => this.#fd.irqfd(args));
  }

  /** KVM_IOEVENTFD: a store to the address signals the eventfd instead of exiting. */
  addIoEvent(event: IoEvent): void {
    const args = packIoEvent(event, "assign");
    this.#do({ what: `at ${hex(event.at)}` }, () => this.#fd.ioeventfd(args));
  }

  /** KVM_IOEVENTFD with DEASSIGN. */
  removeIoEvent(event: IoEvent): void {
    const args = packIoEvent(event, "deassign");
    this.#do({ what: `at ${hex(event.at)}` }, () => this.#fd.ioeventfd(args));
  }

  /** KVM_SIGNAL_MSI: whether it was delivered; false when the guest blocks it. */
  signalMsi(msi: Msi): boolean {
    const args = packMsi(msi);
    return this.#do({ what: `at ${hex(msi.address)}` }, () => this.#fd.signalMsi(args)) > 0;
  }

  /** KVM_REGISTER_COALESCED_MMIO: stores there go into the ring of `vcpu.takeCoalescedWrites()` instead of exiting. */
  addCoalescedMmio(zone: CoalescedZone): void {
    const args = packZone(zone);
    this.#do({ what: `at ${hex(zone.at)}` }, () => this.#fd.registerCoalescedMmio(args));
  }

  /** KVM_UNREGISTER_COALESCED_MMIO. */
  removeCoalescedMmio(zone: CoalescedZone): void {
    const args = packZone(zone);
    this.#do({ what: `at ${hex(zone.at)}` }, () => this.#fd.unregisterCoalescedMmio(args));
  }

  /** KVM_ARM_PREFERRED_TARGET. */
  preferredTarget(): number {
    const init = new Uint8Array(structs.kvm_vcpu_init.bytes);
    this.#do({}, () => this.#fd.armPreferredTarget(init));
    return unpack(structs.kvm_vcpu_init, init).target;
  }

  /** KVM_ARM_SET_COUNTER_OFFSET: of the virtual and the physical counter of every vCPU, for good. */
  setCounterOffset(offset: bigint): void {
    const args = pack(structs.kvm_arm_counter_offset, { counter_offset: u64("offset", offset) });
    this.#do({}, () => this.#fd.armSetCounterOffset(args));
  }

  /** KVM_ARM_GET_REG_WRITABLE_MASKS: 192 words, indexed by `featureIdSpaceIndex`. Range 0 is the feature-ID space. */
  writableMasks(range = 0): BigUint64Array {
    const masks = new BigUint64Array(192);
    this.#do({ what: `range ${u32("range", range)}` }, () => this.#fd.armGetRegWritableMasks(range, masks));
    return masks;
  }

  /**
   * KVM_ARM_MTE_COPY_TAGS: one byte of `tags` (low nibble) for each 16 bytes of guest memory. Gives how many bytes of
   * guest memory were covered.
   */
  copyMteTags(request: { direction: "to-guest" | "from-guest"; at: bigint; bytes: bigint; tags: Uint8Array }): number {
    const { direction, at, bytes, tags } = record("request", request);
    const flags = oneOf("direction", direction, { "to-guest": 0, "from-guest": 1 }) === "to-guest" ? 0n : 1n;
    u64("at", at);
    u64("bytes", bytes);
    bytesArgument("tags", tags, { atLeast: Number(bytes / 16n) });
    return this.#do({ what: `at ${hex(at)}` }, () => this.#fd.armMteCopyTags(at, bytes, tags, flags));
  }

  /** KVM_CREATE_GUEST_MEMFD: a descriptor for `addMemory({ from: { guestMemfd } })`, closed with the VM. */
  createGuestMemfd(request: { bytes: bigint; flags?: bigint }): number {
    const { bytes, flags = 0n } = record("createGuestMemfd: request", request);
    const args = pack(structs.kvm_create_guest_memfd, { size: u64("bytes", bytes), flags: u64("flags", flags) });
    return this.#do({ what: `${bytes} bytes` }, () => this.#fd.createGuestMemfd(args));
  }

  /** KVM_RESET_DIRTY_RINGS: how many entries were reset. */
  resetDirtyRings(): number {
    return this.#do({}, () => this.#fd.resetDirtyRings());
  }

  /** KVM_ARM_VM_SMCCC_FILTER: what happens to the hypercalls of a range of function ids. EBUSY: a vCPU has run. */
  filterHypercalls(range: { base: number; functions: number; action: keyof typeof smcccActions }): void {
    const { base, functions, action } = record("range", range);
    const filter = pack(structs.kvm_smccc_filter, {
      base: u32("base", base),
      nr_functions: u32("functions", functions),
      action: smcccActions[oneOf("action", action, smcccActions)],
    });
    this.setAttr(KVM_ARM_VM_SMCCC.CTRL, BigInt(KVM_ARM_VM_SMCCC.FILTER), filter);
  }

  /** KVM_SET_DEVICE_ATTR on the VM. */
  setAttr(group: number, attr: bigint, value?: AttrValue): void {
    setAttr(this.#fd, "VM", group, attr, value);
  }

  /** KVM_GET_DEVICE_ATTR on the VM. */
  getAttr<B extends 32 | 64>(group: number, attr: bigint, bits: B): AttrBits<B> {
    return getAttr(this.#fd, "VM", group, attr, bits);
  }

  /** KVM_GET_DEVICE_ATTR on the VM, of any size; 0 passes a null pointer. */
  getAttrBytes(group: number, attr: bigint, size: number): Uint8Array {
    return getAttrBytes(this.#fd, "VM", group, attr, size);
  }

  /** KVM_HAS_DEVICE_ATTR on the VM. */
  hasAttr(group: number, attr: bigint): boolean {
    return hasAttr(this.#fd, "VM", group, attr);
  }

  /** KVM_GET_STATS_FD and what it reads. */
  statistics(): Statistics {
    return this.#do({}, () => readStatistics((offset, into) => this.#fd.readStats(offset, into)));
  }

  /** For `Kvm.attachVm` on another thread of this process; `postMessage` and `workerData` carry it. */
  get handle(): Handle {
    return this.#do({}, () => this.#fd.handle());
  }

  /** The seam itself: every verb with the kernel's own arguments. For tests of the ABI. */
  get fd(): VmFd {
    return this.#fd;
  }

  get closed(): boolean {
    return this.#fd.closed;
  }

  /** The VM goes when its vCPUs and devices are closed too. A second call does nothing. */
  close(): void {
    this.#fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #freeSlot(): number {
    let slot = 0;
    while (this.#slots.has(slot)) slot++;
    return slot;
  }

  #do<T>(subject: { what?: string }, verb: () => T): T {
    try {
      return verb();
    } catch (error) {
      refuse(error, subject);
    }
  }
}

const capNames: ReadonlyMap<number, string> = new Map(Object.entries(caps).map(([name, number]) => [number, name]));

/** KVM_CAP_* number of a capability. */
export function capNumber(cap: CapName | number): number {
  return typeof cap === "number" ? u32("cap", cap) : caps[oneOf("cap", cap, caps)];
}

/** KVM_CHECK_EXTENSION on any descriptor that has it. */
export function checkCap(fd: { checkExtension(cap: number): number }, cap: CapName | number): number {
  const number = capNumber(cap);
  try {
    return fd.checkExtension(number);
  } catch (error) {
    refuse(error, { what: String(cap) });
  }
}

function deviceType(kind: DeviceKind | number): number {
  return typeof kind === "number" ? u32("kind", kind) : deviceKinds[oneOf("kind", kind, deviceKinds)];
}

function mappingRequest(bytes: number, from: MemoryOptions["from"]): MappingRequest {
  if (from === undefined) return { kind: "anonymous", bytes };
  optionsArgument("addMemory: from", from);
  if ("file" in from) {
    if (typeof from.file !== "string") throw new TypeError(`from.file must be a path, got ${describe(from.file)}`);
    return {
      kind: "file",
      bytes,
      path: from.file,
      offset: byteCount("from.offset", from.offset ?? 0),
      shared: flag("from.shared", from.shared ?? false),
      writable: flag("from.writable", from.writable ?? true),
    };
  }
  if ("hugePageBytes" in from) {
    return { kind: "hugetlb", bytes, pageBytes: byteCount("from.hugePageBytes", from.hugePageBytes, 1) };
  }
  if ("guestMemfd" in from) {
    const offset = u64("from.offset", from.offset ?? 0n);
    return { kind: "guest-memfd", bytes, fd: u32("from.guestMemfd", from.guestMemfd), offset: Number(offset) };
  }
  throw new TypeError("addMemory: from must name a file, hugePageBytes or a guestMemfd");
}
