// Small enumerations and flag words of include/uapi/linux/kvm.h and asm/kvm.h, under the kernel's names.

export const KVM_API_VERSION = 12;
export const PAGE_BYTES = 4096;

// biome-ignore format: table
export const KVM_EXIT = {
  UNKNOWN: 0, HYPERCALL: 3, DEBUG: 4, MMIO: 6, FAIL_ENTRY: 9, INTR: 10, INTERNAL_ERROR: 17, SYSTEM_EVENT: 24,
  ARM_NISV: 28, DIRTY_RING_FULL: 31, MEMORY_FAULT: 39, ARM_SEA: 41, ARM_LDST64B: 42,
} as const;

export const KVM_SYSTEM_EVENT = { SHUTDOWN: 1, RESET: 2, CRASH: 3, WAKEUP: 4, SUSPEND: 5, SEV_TERM: 6 } as const;

export const KVM_MP_STATE = { RUNNABLE: 0, STOPPED: 5, SUSPENDED: 10 } as const;

export const KVM_MEM = { LOG_DIRTY_PAGES: 1, READONLY: 2, GUEST_MEMFD: 4 } as const;

/** Flags of KVM_CREATE_GUEST_MEMFD. */
export const GUEST_MEMFD_FLAG = { MMAP: 1, INIT_SHARED: 2 } as const;

export const KVM_GUESTDBG = { ENABLE: 1, SINGLESTEP: 2, USE_SW_BP: 1 << 16, USE_HW: 1 << 17 } as const;

export const KVM_IRQFD_FLAG = { DEASSIGN: 1, RESAMPLE: 2 } as const;
export const KVM_IOEVENTFD_FLAG = { DATAMATCH: 1, PIO: 2, DEASSIGN: 4, VIRTIO_CCW_NOTIFY: 8, FAST_MMIO: 16 } as const;

export const KVM_ARM_IRQ_TYPE = { CPU: 0, SPI: 1, PPI: 2 } as const;

// biome-ignore format: table
export const KVM_DEV_TYPE = {
  VFIO: 4, ARM_VGIC_V2: 5, ARM_VGIC_V3: 7, ARM_VGIC_ITS: 8, ARM_PV_TIME: 10, ARM_VGIC_V5: 16,
} as const;

export const KVM_CREATE_DEVICE_TEST = 1;

export const KVM_IRQ_ROUTING = { IRQCHIP: 1, MSI: 2 } as const;
export const KVM_MSI_VALID_DEVID = 1;

// biome-ignore format: table
export const KVM_ARM_VGIC_GROUP = {
  ADDR: 0, DIST_REGS: 1, CPU_REGS: 2, NR_IRQS: 3, CTRL: 4, REDIST_REGS: 5, CPU_SYSREGS: 6, LEVEL_INFO: 7, ITS_REGS: 8,
  MAINT_IRQ: 9,
} as const;
// biome-ignore format: table
export const KVM_VGIC_ADDR_TYPE = {
  V2_DIST: 0, V2_CPU: 1, V3_DIST: 2, V3_REDIST: 3, ITS: 4, V3_REDIST_REGION: 5,
} as const;
// biome-ignore format: table
export const KVM_ARM_VGIC_CTRL = {
  INIT: 0, ITS_SAVE_TABLES: 1, ITS_RESTORE_TABLES: 2, SAVE_PENDING_TABLES: 3, ITS_RESET: 4,
} as const;

export const KVM_ARM_VM_SMCCC = { CTRL: 0, FILTER: 0 } as const;
export const KVM_SMCCC_FILTER = { HANDLE: 0, DENY: 1, FWD_TO_USER: 2 } as const;

export const KVM_ARM_VCPU_GROUP = { PMU_V3: 0, TIMER: 1, PVTIME: 2 } as const;

/** KVM_ARM_TARGET_GENERIC_V8: the only target that today's kernels prefer. */
export const KVM_ARM_TARGET_GENERIC_V8 = 5;

/** Bits of kvm_run.hypercall.flags: the guest used SMC, not HVC; a 16-bit instruction. */
export const KVM_HYPERCALL_EXIT = { SMC: 1, BIT16: 2 } as const;

/** Bit 0 of kvm_run.flags on a debug exit: hsr_high is valid. */
export const KVM_DEBUG_ARCH_HSR_HIGH_VALID = 1;

/** Where in the vCPU's descriptor the rings are mapped, in pages. */
export const KVM_COALESCED_MMIO_PAGE_OFFSET = 1;
export const KVM_DIRTY_LOG_PAGE_OFFSET = 64;
