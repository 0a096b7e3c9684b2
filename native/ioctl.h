// Descriptors, and the only ioctl(2) of the project.
#pragma once

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdint>
#include <type_traits>
#include <utility>

#include "uapi_compat.h"

// Owner of one descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int number) : number_(number) {}
  Fd(Fd&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Fd() { Close(); }

  int number() const { return number_; }
  bool open() const { return number_ >= 0; }
  // For those few that KVM makes without it.
  void CloseOnExec() const { ::ioctl(number_, FIOCLEX); }
  void Close() {
    if (number_ >= 0) close(std::exchange(number_, -1));
  }

 private:
  int number_ = -1;
};

// An ioctl that takes a T*, or a plain number where T is void.
template <class T>
struct Request {
  using Argument = T;
  uint32_t number;
  const char* name;
};

// musl declares the request as int, glibc as unsigned long.
template <class R>
R RequestTypeOf(int (*)(int, R, ...));
using RequestType = decltype(RequestTypeOf(&::ioctl));

// What the ioctl returned, or the negative errno.
template <class T>
int Ioctl(const Request<T>& request, const Fd& fd, T* argument) {
  // SAFETY: the request's size field is sizeof(T), asserted in the table below; *argument outlives the call.
  const int result = ::ioctl(fd.number(), static_cast<RequestType>(request.number), argument);
  return result < 0 ? -errno : result;
}

inline int Ioctl(const Request<void>& request, const Fd& fd, unsigned long argument = 0) {
  const int result = ::ioctl(fd.number(), static_cast<RequestType>(request.number), argument);
  return result < 0 ? -errno : result;
}

template <class T>
constexpr bool SizeFits(uint32_t number) {
  if constexpr (std::is_void_v<T>) {
    return _IOC_SIZE(number) == 0;
  } else {
    return _IOC_SIZE(number) == sizeof(T);
  }
}

#define IOCTL(constant, request, type)                                              \
  static_assert(SizeFits<type>(request), #request " takes a structure of another size"); \
  inline constexpr Request<type> constant{request, #request}

// /dev/kvm
IOCTL(kGetApiVersion, KVM_GET_API_VERSION, void);
IOCTL(kCreateVm, KVM_CREATE_VM, void);
IOCTL(kCheckExtension, KVM_CHECK_EXTENSION, void);
IOCTL(kGetVcpuMmapSize, KVM_GET_VCPU_MMAP_SIZE, void);
// VM
IOCTL(kEnableCap, KVM_ENABLE_CAP, kvm_enable_cap);
IOCTL(kCreateVcpu, KVM_CREATE_VCPU, void);
IOCTL(kCreateDevice, KVM_CREATE_DEVICE, kvm_create_device);
IOCTL(kSetUserMemoryRegion, KVM_SET_USER_MEMORY_REGION, kvm_userspace_memory_region);
IOCTL(kSetUserMemoryRegion2, KVM_SET_USER_MEMORY_REGION2, kvm_userspace_memory_region2);
IOCTL(kCreateGuestMemfd, KVM_CREATE_GUEST_MEMFD, kvm_create_guest_memfd);
IOCTL(kGetDirtyLog, KVM_GET_DIRTY_LOG, kvm_dirty_log);
IOCTL(kClearDirtyLog, KVM_CLEAR_DIRTY_LOG, kvm_clear_dirty_log);
IOCTL(kResetDirtyRings, KVM_RESET_DIRTY_RINGS, void);
IOCTL(kRegisterCoalescedMmio, KVM_REGISTER_COALESCED_MMIO, kvm_coalesced_mmio_zone);
IOCTL(kUnregisterCoalescedMmio, KVM_UNREGISTER_COALESCED_MMIO, kvm_coalesced_mmio_zone);
IOCTL(kCreateIrqchip, KVM_CREATE_IRQCHIP, void);
IOCTL(kIrqLine, KVM_IRQ_LINE, kvm_irq_level);
IOCTL(kIrqLineStatus, KVM_IRQ_LINE_STATUS, kvm_irq_level);
IOCTL(kSetGsiRouting, KVM_SET_GSI_ROUTING, kvm_irq_routing);
IOCTL(kIrqfd, KVM_IRQFD, kvm_irqfd);
IOCTL(kIoeventfd, KVM_IOEVENTFD, kvm_ioeventfd);
IOCTL(kSignalMsi, KVM_SIGNAL_MSI, kvm_msi);
IOCTL(kArmSetDeviceAddr, KVM_ARM_SET_DEVICE_ADDR, kvm_arm_device_addr);
IOCTL(kArmPreferredTarget, KVM_ARM_PREFERRED_TARGET, kvm_vcpu_init);
IOCTL(kArmMteCopyTags, KVM_ARM_MTE_COPY_TAGS, kvm_arm_copy_mte_tags);
IOCTL(kArmSetCounterOffset, KVM_ARM_SET_COUNTER_OFFSET, kvm_arm_counter_offset);
IOCTL(kArmGetRegWritableMasks, KVM_ARM_GET_REG_WRITABLE_MASKS, reg_mask_range);
// vCPU
IOCTL(kRun, KVM_RUN, void);
IOCTL(kArmVcpuInit, KVM_ARM_VCPU_INIT, kvm_vcpu_init);
IOCTL(kArmVcpuFinalize, KVM_ARM_VCPU_FINALIZE, int);
IOCTL(kGetOneReg, KVM_GET_ONE_REG, kvm_one_reg);
IOCTL(kSetOneReg, KVM_SET_ONE_REG, kvm_one_reg);
IOCTL(kGetRegList, KVM_GET_REG_LIST, kvm_reg_list);
IOCTL(kGetMpState, KVM_GET_MP_STATE, kvm_mp_state);
IOCTL(kSetMpState, KVM_SET_MP_STATE, kvm_mp_state);
IOCTL(kGetVcpuEvents, KVM_GET_VCPU_EVENTS, kvm_vcpu_events);
IOCTL(kSetVcpuEvents, KVM_SET_VCPU_EVENTS, kvm_vcpu_events);
IOCTL(kSetGuestDebug, KVM_SET_GUEST_DEBUG, kvm_guest_debug);
IOCTL(kSetSignalMask, KVM_SET_SIGNAL_MASK, kvm_signal_mask);
// VM, vCPU, device
IOCTL(kGetStatsFd, KVM_GET_STATS_FD, void);
IOCTL(kSetDeviceAttr, KVM_SET_DEVICE_ATTR, kvm_device_attr);
IOCTL(kGetDeviceAttr, KVM_GET_DEVICE_ATTR, kvm_device_attr);
IOCTL(kHasDeviceAttr, KVM_HAS_DEVICE_ATTR, kvm_device_attr);
#undef IOCTL
