// Request numbers of the ioctls that arm64 KVM has: include/uapi/linux/kvm.h. The number is
// dir << 30 | size << 16 | 0xae << 8 | nr; the kernel compares all 32 bits of it.

export type IoctlFd = "system" | "vm" | "vcpu" | "device";

interface Ioctl {
  readonly request: number;
  readonly on: readonly IoctlFd[];
}

const io = (request: number, ...on: IoctlFd[]): Ioctl => ({ request, on });

// biome-ignore format: table
export const ioctls = {
  KVM_GET_API_VERSION:            io(0x0000ae00, "system"),
  KVM_CREATE_VM:                  io(0x0000ae01, "system"),
  KVM_CHECK_EXTENSION:            io(0x0000ae03, "system", "vm"),
  KVM_GET_VCPU_MMAP_SIZE:         io(0x0000ae04, "system"),
  KVM_CREATE_VCPU:                io(0x0000ae41, "vm"),
  KVM_GET_DIRTY_LOG:              io(0x4010ae42, "vm"),
  KVM_SET_USER_MEMORY_REGION:     io(0x4020ae46, "vm"),
  KVM_SET_USER_MEMORY_REGION2:    io(0x40a0ae49, "vm"),
  KVM_CREATE_IRQCHIP:             io(0x0000ae60, "vm"),
  KVM_IRQ_LINE:                   io(0x4008ae61, "vm"),
  KVM_IRQ_LINE_STATUS:            io(0xc008ae67, "vm"),
  KVM_REGISTER_COALESCED_MMIO:    io(0x4010ae67, "vm"),
  KVM_UNREGISTER_COALESCED_MMIO:  io(0x4010ae68, "vm"),
  KVM_SET_GSI_ROUTING:            io(0x4008ae6a, "vm"),
  KVM_IRQFD:                      io(0x4020ae76, "vm"),
  KVM_IOEVENTFD:                  io(0x4040ae79, "vm"),
  KVM_RUN:                        io(0x0000ae80, "vcpu"),
  KVM_SET_SIGNAL_MASK:            io(0x4004ae8b, "vcpu"),
  KVM_GET_MP_STATE:               io(0x8004ae98, "vcpu"),
  KVM_SET_MP_STATE:               io(0x4004ae99, "vcpu"),
  KVM_SET_GUEST_DEBUG:            io(0x4208ae9b, "vcpu"),
  KVM_GET_VCPU_EVENTS:            io(0x8040ae9f, "vcpu"),
  KVM_SET_VCPU_EVENTS:            io(0x4040aea0, "vcpu"),
  KVM_ENABLE_CAP:                 io(0x4068aea3, "vm"),
  KVM_SIGNAL_MSI:                 io(0x4020aea5, "vm"),
  KVM_ARM_SET_DEVICE_ADDR:        io(0x4010aeab, "vm"),   // the number of KVM_GET_ONE_REG: the kind of fd decides
  KVM_GET_ONE_REG:                io(0x4010aeab, "vcpu"),
  KVM_SET_ONE_REG:                io(0x4010aeac, "vcpu"),
  KVM_ARM_VCPU_INIT:              io(0x4020aeae, "vcpu"),
  KVM_ARM_PREFERRED_TARGET:       io(0x8020aeaf, "vm"),
  KVM_GET_REG_LIST:               io(0xc008aeb0, "vcpu"),
  KVM_ARM_MTE_COPY_TAGS:          io(0x8030aeb4, "vm"),
  KVM_ARM_SET_COUNTER_OFFSET:     io(0x4010aeb5, "vm"),
  KVM_ARM_GET_REG_WRITABLE_MASKS: io(0x8040aeb6, "vm"),
  KVM_CLEAR_DIRTY_LOG:            io(0xc018aec0, "vm"),
  KVM_ARM_VCPU_FINALIZE:          io(0x4004aec2, "vcpu"),
  KVM_RESET_DIRTY_RINGS:          io(0x0000aec7, "vm"),
  KVM_GET_STATS_FD:               io(0x0000aece, "vm", "vcpu"),
  KVM_CREATE_GUEST_MEMFD:         io(0xc040aed4, "vm"),
  KVM_CREATE_DEVICE:              io(0xc00caee0, "vm"),
  KVM_SET_DEVICE_ATTR:            io(0x4018aee1, "vm", "vcpu", "device"),
  KVM_GET_DEVICE_ATTR:            io(0x4018aee2, "vm", "vcpu", "device"),
  KVM_HAS_DEVICE_ATTR:            io(0x4018aee3, "vm", "vcpu", "device"),
} as const;

export type IoctlName = keyof typeof ioctls;
