// What the kernel's headers of a cross toolchain may be too old to know: numbers and layouts of include/uapi/linux/kvm.h
// and arch/arm64/include/uapi/asm/kvm.h up to Linux 7.2, each only where <linux/kvm.h> lacks it.
#pragma once

#include <linux/kvm.h>

#ifndef KVM_CREATE_GUEST_MEMFD  // Linux 6.8
struct kvm_userspace_memory_region2 {
  __u32 slot, flags;
  __u64 guest_phys_addr, memory_size, userspace_addr, guest_memfd_offset;
  __u32 guest_memfd, pad1;
  __u64 pad2[14];
};
#define KVM_SET_USER_MEMORY_REGION2 _IOW(KVMIO, 0x49, struct kvm_userspace_memory_region2)
struct kvm_create_guest_memfd {
  __u64 size, flags, reserved[6];
};
#define KVM_CREATE_GUEST_MEMFD _IOWR(KVMIO, 0xd4, struct kvm_create_guest_memfd)
#endif

#ifndef KVM_ARM_SET_COUNTER_OFFSET  // Linux 6.4
struct kvm_arm_counter_offset {
  __u64 counter_offset, reserved;
};
#define KVM_ARM_SET_COUNTER_OFFSET _IOW(KVMIO, 0xb5, struct kvm_arm_counter_offset)
#endif

#ifndef KVM_ARM_GET_REG_WRITABLE_MASKS  // Linux 6.7
struct reg_mask_range {
  __u64 addr;
  __u32 range, reserved[13];
};
#define KVM_ARM_GET_REG_WRITABLE_MASKS _IOR(KVMIO, 0xb6, struct reg_mask_range)
#define KVM_ARM_FEATURE_ID_RANGE_SIZE (3 * 8 * 8)
#endif
