// The seam. Types only: both backends implement these interfaces, everything above them is written once.
//
// The seam is KVM's own: one interface for each kind of file descriptor, one method for each ioctl. Only numbers and
// bytes cross it: register ids and 64-bit words are bigint, 32-bit words are number, structures without pointers are
// their own little-endian bytes (lib/uapi/structs.ts knows the offsets), exits are the bytes of the kvm_run page.
// Whoever implements it checks nothing that KVM does not check, except what would be unsafe in memory.
//
// Errors. What the kernel refuses is thrown as a `Refusal` (lib/errors.ts makes one for the model; the addon throws an
// Error of the same shape). A closed descriptor refuses every verb with EBADF. A vCPU that is inside KVM_RUN, on any
// thread, refuses every other verb with EBUSY instead of blocking the caller's event loop.

/** What a verb throws when the kernel, or the model in its place, says no. */
export interface Refusal extends Error {
  /** Positive Linux errno. */
  readonly errno: number;
  /** Name of the ioctl or system call, e.g. "KVM_GET_ONE_REG". */
  readonly call: string;
}

/** Exactly the bytes of one kernel structure. */
export type StructBytes = Uint8Array;

/** Something that `structuredClone` can carry to another thread of this process. */
export type Handle = { readonly backend: string } & Record<string, unknown>;

/**
 * Host memory that can back memory slots. The bytes live until this is closed, no slot uses it and no view is left; the model,
 * which cannot see views, keeps them while it has other memory to give.
 */
export interface Mapping {
  /** ArrayBuffer over the mmap (kvm), or the model's shared memory. */
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  /** Where in `buffer` the mapping begins. */
  readonly offset: number;
  readonly bytes: number;
  close(): void;
}

/** What backs a mapping. `bytes` is a multiple of the host's page size. */
export type MappingRequest =
  | { readonly kind: "anonymous"; readonly bytes: number }
  | { readonly kind: "hugetlb"; readonly bytes: number; readonly pageBytes: number }
  | {
      readonly kind: "file";
      readonly bytes: number;
      readonly path: string;
      readonly offset: number;
      /** MAP_SHARED: the guest's writes reach the file. */
      readonly shared: boolean;
      readonly writable: boolean;
    }
  | { readonly kind: "guest-memfd"; readonly bytes: number; readonly fd: number; readonly offset: number };

/** An eventfd(2), or the model's counterpart: a 64-bit counter. */
export interface EventFd {
  /** The number that kvm_irqfd and kvm_ioeventfd take. */
  readonly fd: number;
  /** Adds to the counter. */
  signal(value: bigint): void;
  /** Takes the counter's value and resets it to 0; 0n when nothing was signalled. */
  take(): bigint;
  /** Resolves when the counter is not 0, or with false when the eventfd is closed. Does not take. */
  wait(): Promise<boolean>;
  close(): void;
}

/** GET_DEVICE_ATTR and its kin, the same on VM, vCPU and device descriptors. */
export interface AttrFd {
  /** KVM_SET_DEVICE_ATTR. `value`: the bytes that kvm_device_attr.addr points at, or null for a null pointer. */
  setDeviceAttr(group: number, attr: bigint, value: Uint8Array | null): void;
  /** KVM_GET_DEVICE_ATTR, into `value`. */
  getDeviceAttr(group: number, attr: bigint, value: Uint8Array | null): void;
  /** KVM_HAS_DEVICE_ATTR. */
  hasDeviceAttr(group: number, attr: bigint): void;
}

/** /dev/kvm. */
export interface SystemFd {
  readonly closed: boolean;
  /** KVM_GET_API_VERSION. */
  getApiVersion(): number;
  /** KVM_CREATE_VM. `type`: the machine type, bits 7:0 the size of the IPA space (0: 40). */
  createVm(type: bigint): VmFd;
  /** KVM_CHECK_EXTENSION. */
  checkExtension(cap: number): number;
  /** KVM_GET_VCPU_MMAP_SIZE, in bytes. */
  getVcpuMmapSize(): number;
  /** eventfd(2), EFD_CLOEXEC | EFD_NONBLOCK. */
  eventfd(initial: number): EventFd;
  /** Reopens a VM or a vCPU of this process from another thread. ENOENT: no longer open. */
  attachVm(handle: Handle): VmFd;
  attachVcpu(handle: Handle): VcpuFd;
  close(): void;
}

/** A virtual machine. */
export interface VmFd extends AttrFd {
  readonly closed: boolean;
  /** For `SystemFd.attachVm` on another thread. */
  handle(): Handle;
  /** KVM_CHECK_EXTENSION on the VM. */
  checkExtension(cap: number): number;
  /** KVM_ENABLE_CAP: struct kvm_enable_cap (104 bytes). */
  enableCap(cap: StructBytes): void;
  /** KVM_CREATE_VCPU. */
  createVcpu(id: number): VcpuFd;
  /** KVM_CREATE_DEVICE. `flags` bit 0 (TEST) only asks whether the type exists, and gives null. */
  createDevice(type: number, flags: number): DeviceFd | null;
  /** mmap(2), for memory slots. */
  map(request: MappingRequest): Mapping;
  /**
   * KVM_SET_USER_MEMORY_REGION. userspace_addr is `offset` bytes into `mapping`; with null it is `offset` itself, which
   * only a deletion (`bytes` 0) may use. The VM keeps the mapping alive as long as the slot exists.
   * RangeError: the slot does not lie inside its mapping.
   */
  setUserMemoryRegion(
    slot: number,
    flags: number,
    guestAddress: bigint,
    bytes: bigint,
    mapping: Mapping | null,
    offset: bigint,
  ): void;
  /** KVM_SET_USER_MEMORY_REGION2: the same, with guest_memfd. */
  setUserMemoryRegion2(
    slot: number,
    flags: number,
    guestAddress: bigint,
    bytes: bigint,
    mapping: Mapping | null,
    offset: bigint,
    guestMemfd: number,
    guestMemfdOffset: bigint,
  ): void;
  /** KVM_CREATE_GUEST_MEMFD: struct kvm_create_guest_memfd (64 bytes). Gives a descriptor, closed with the VM. */
  createGuestMemfd(args: StructBytes): number;
  /** KVM_GET_DIRTY_LOG, into `bitmap`. RangeError: the bitmap is shorter than the slot needs. */
  getDirtyLog(slot: number, bitmap: Uint8Array): void;
  /** KVM_CLEAR_DIRTY_LOG. RangeError: the bitmap is shorter than `pages` needs. */
  clearDirtyLog(slot: number, firstPage: bigint, pages: number, bitmap: Uint8Array): void;
  /** KVM_RESET_DIRTY_RINGS: how many entries were reset. */
  resetDirtyRings(): number;
  /** KVM_REGISTER_COALESCED_MMIO, KVM_UNREGISTER_COALESCED_MMIO: struct kvm_coalesced_mmio_zone (16 bytes). */
  registerCoalescedMmio(zone: StructBytes): void;
  unregisterCoalescedMmio(zone: StructBytes): void;
  /** KVM_CREATE_IRQCHIP. */
  createIrqchip(): void;
  /** KVM_IRQ_LINE. `irq` as the kernel packs it: vcpu2 31:28, type 27:24, vcpu 23:16, number 15:0. */
  irqLine(irq: number, level: number): void;
  /** KVM_IRQ_LINE_STATUS: the same, and the status that the kernel writes back. */
  irqLineStatus(irq: number, level: number): number;
  /** KVM_SET_GSI_ROUTING: struct kvm_irq_routing with its entries (8 + 48 n bytes). */
  setGsiRouting(routing: StructBytes): void;
  /** KVM_IRQFD: struct kvm_irqfd (32 bytes). */
  irqfd(args: StructBytes): void;
  /** KVM_IOEVENTFD: struct kvm_ioeventfd (64 bytes). */
  ioeventfd(args: StructBytes): void;
  /** KVM_SIGNAL_MSI: struct kvm_msi (32 bytes). 1: delivered, 0: blocked by the guest. */
  signalMsi(msi: StructBytes): number;
  /** KVM_ARM_SET_DEVICE_ADDR. */
  armSetDeviceAddr(id: bigint, guestAddress: bigint): void;
  /** KVM_ARM_PREFERRED_TARGET: fills struct kvm_vcpu_init (32 bytes). */
  armPreferredTarget(init: StructBytes): void;
  /** KVM_ARM_MTE_COPY_TAGS: how many bytes of guest memory were covered. One byte of `tags` for 16 bytes of guest. */
  armMteCopyTags(guestAddress: bigint, bytes: bigint, tags: Uint8Array, flags: bigint): number;
  /** KVM_ARM_SET_COUNTER_OFFSET: struct kvm_arm_counter_offset (16 bytes). */
  armSetCounterOffset(args: StructBytes): void;
  /** KVM_ARM_GET_REG_WRITABLE_MASKS, into 192 words. */
  armGetRegWritableMasks(range: number, masks: BigUint64Array): void;
  /** KVM_GET_STATS_FD and pread(2): reads up to `into.length` bytes of the binary statistics from `offset`. */
  readStats(offset: number, into: Uint8Array): number;
  close(): void;
}

/** A vCPU. */
export interface VcpuFd extends AttrFd {
  readonly closed: boolean;
  readonly id: number;
  /** For `SystemFd.attachVcpu` on another thread. */
  handle(): Handle;
  /** struct kvm_run, then the coalesced MMIO ring: KVM_GET_VCPU_MMAP_SIZE bytes, shared with KVM. */
  readonly runPage: Uint8Array;
  /** KVM_ARM_VCPU_INIT: struct kvm_vcpu_init (32 bytes). */
  armVcpuInit(init: StructBytes): void;
  /** KVM_ARM_VCPU_FINALIZE. */
  armVcpuFinalize(feature: number): void;
  /**
   * KVM_GET_ONE_REG, into `value`. Its length is what the size field of the id says; RangeError otherwise, since the
   * kernel trusts the id.
   */
  getOneReg(id: bigint, value: Uint8Array): void;
  /** KVM_SET_ONE_REG, from `value`. */
  setOneReg(id: bigint, value: Uint8Array): void;
  /**
   * KVM_GET_ONE_REG of each id in turn, values packed one after the other. Gives the number of registers read: less
   * than `ids.length` when one was refused, and then `errnoOut[0]` is its errno. RangeError: `values` too short.
   */
  getRegs(ids: BigUint64Array, values: Uint8Array, errnoOut: Int32Array): number;
  /** KVM_SET_ONE_REG of each id in turn; otherwise as `getRegs`. */
  setRegs(ids: BigUint64Array, values: Uint8Array, errnoOut: Int32Array): number;
  /** KVM_GET_REG_LIST, by its E2BIG protocol. */
  getRegList(): BigUint64Array;
  /**
   * KVM_RUN on the calling thread. Gives 0, or the positive errno of the refusal: EINTR is ordinary, and EFAULT may
   * come with an exit reason. Throws only for a closed descriptor or a vCPU that already runs.
   */
  runSync(): number;
  /** KVM_RUN away from the event loop; resolves with what `runSync` gives. */
  run(): Promise<number>;
  /** Ends the current KVM_RUN, or else the next one, with EINTR. Callable while the vCPU runs, from any thread. */
  kick(): void;
  /** KVM_GET_MP_STATE, KVM_SET_MP_STATE: kvm_mp_state.mp_state. */
  getMpState(): number;
  setMpState(state: number): void;
  /** KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS: struct kvm_vcpu_events (64 bytes). */
  getVcpuEvents(events: StructBytes): void;
  setVcpuEvents(events: StructBytes): void;
  /** KVM_SET_GUEST_DEBUG: struct kvm_guest_debug (520 bytes). */
  setGuestDebug(debug: StructBytes): void;
  /** KVM_SET_SIGNAL_MASK: a sigset (the kernel wants 8 bytes), or null to clear. */
  setSignalMask(sigset: Uint8Array | null): void;
  /** mmap(2) of the dirty ring: `bytes` as given to KVM_CAP_DIRTY_LOG_RING_ACQ_REL. */
  dirtyRing(bytes: number): Uint8Array;
  /** KVM_GET_STATS_FD and pread(2). */
  readStats(offset: number, into: Uint8Array): number;
  close(): void;
}

/** A device made by KVM_CREATE_DEVICE. */
export interface DeviceFd extends AttrFd {
  readonly closed: boolean;
  close(): void;
}
