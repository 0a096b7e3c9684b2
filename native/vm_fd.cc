#include <sys/mman.h>

#include "fds.h"

namespace {

struct VmFd : public CoreFd<VmCore> {
  static constexpr Class kClass = Class::kVm;
  using CoreFd::CoreFd;
};

napi_value EnableCap(VmFd& self, Call& call) {
  auto cap = call.Struct<kvm_enable_cap>(0, "cap");
  call.Issue<KVM_ENABLE_CAP>(self.fd(), &cap);
  if (!call.failed() && (cap.cap == KVM_CAP_DIRTY_LOG_RING_ACQ_REL || cap.cap == KVM_CAP_DIRTY_LOG_RING)) {
    Lock lock(self.core->mutex);
    self.core->ring_bytes = static_cast<uint32_t>(cap.args[0]);
  }
  return nullptr;
}

napi_value CreateVcpu(VmFd& self, Call& call) {
  const uint32_t id = call.Uint32(0, "id");
  if (call.failed()) return nullptr;
  const int number = Ioctl<KVM_CREATE_VCPU>(self.fd(), id);
  if (number < 0) return call.Refuse(-number);
  Fd fd(number);
  const Ref<Mapped> page = Map(number, 0, self.core->run_bytes, PageBytes(), PROT_READ | PROT_WRITE, MAP_SHARED);
  if (!page) return call.Refuse(errno, "mmap");
  const Ref<VcpuCore> vcpu(new VcpuCore(self.core, std::move(fd), id, page));
  Registry::Get().Add(vcpu.get());
  return MakeVcpu(call, vcpu);
}

napi_value CreateDevice(VmFd& self, Call& call) {
  kvm_create_device device{call.Uint32(0, "type"), 0, call.Uint32(1, "flags")};
  call.Issue<KVM_CREATE_DEVICE>(self.fd(), &device);
  if (call.failed()) return nullptr;
  if ((device.flags & KVM_CREATE_DEVICE_TEST) != 0) return Napi::Env(call.env).Null();
  return MakeDevice(call, Fd(static_cast<int>(device.fd)), self.core);
}

// (fd, offset, bytes, pageBytes, protection, flags) as mmap(2) takes them; pageBytes is 0 unless the pages are huge.
napi_value MapMemory(VmFd&, Call& call) {
  const int fd = call.Int32(0, "fd");
  const uint64_t offset = call.Size(1, "offset");
  const uint64_t bytes = call.Size(2, "bytes");
  const uint64_t huge_bytes = call.Size(3, "pageBytes");
  const int protection = call.Int32(4, "protection");
  int flags = call.Int32(5, "flags");
  if (call.failed()) return nullptr;
  if ((huge_bytes & (huge_bytes - 1)) != 0) return call.Slip<Napi::RangeError>("pageBytes must be a power of two");
  if (huge_bytes > 0) flags |= MAP_HUGETLB | (__builtin_ctzll(huge_bytes) << MAP_HUGE_SHIFT);
  const Ref<Mapped> mapped = Map(fd, offset, bytes, huge_bytes > 0 ? huge_bytes : PageBytes(), protection, flags);
  if (!mapped) return call.Refuse(errno);
  if (fd >= 0 && !mapped->Touchable()) return call.Refuse(EFAULT);
  return MakeMapping(call, mapped);
}

// Both versions of the ioctl; the first 32 bytes of the newer structure are the older one.
template <uint32_t request>
napi_value SetRegion(VmFd& self, Call& call) {
  constexpr bool newer = request == KVM_SET_USER_MEMORY_REGION2;
  using Version = std::conditional_t<newer, kvm_userspace_memory_region2, kvm_userspace_memory_region>;
  kvm_userspace_memory_region2 region{};
  region.slot = call.Uint32(0, "slot");
  region.flags = call.Uint32(1, "flags");
  region.guest_phys_addr = call.Uint64(2, "guestAddress");
  region.memory_size = call.Uint64(3, "bytes");
  Object* mapping = call.IsNull(4) ? nullptr : call.Unwrap(call.argument(4), Class::kMapping, "mapping");
  region.userspace_addr = call.Uint64(5, "offset");
  if (newer) {
    region.guest_memfd = static_cast<uint32_t>(call.Int32(6, "guestMemfd"));
    region.guest_memfd_offset = call.Uint64(7, "guestMemfdOffset");
  }
  if (call.failed()) return nullptr;
  Ref<Mapped> mapped;
  if (mapping != nullptr) {
    mapped = static_cast<Mapping*>(mapping)->mapped;
    if (!mapped) return call.Refuse(EBADF);
    // SAFETY: the guest reaches no byte outside the mapping, which the slot keeps alive.
    const uint64_t offset = region.userspace_addr;
    if (offset > mapped->bytes || region.memory_size > mapped->bytes - offset) {
      return call.Slip<Napi::RangeError>(
          "a slot of %llu bytes at offset %lu does not lie inside its mapping of %lu bytes", region.memory_size, offset,
          mapped->bytes);
    }
    region.userspace_addr += reinterpret_cast<uintptr_t>(mapped->address);
  } else if (region.memory_size != 0) {
    return call.Slip<Napi::RangeError>("a slot that is not deleted needs a mapping");
  }
  Lock lock(self.core->mutex);
  call.Issue<request>(self.fd(), reinterpret_cast<Version*>(&region));
  if (!call.failed()) self.core->Remember(region.slot, region.memory_size, mapped);
  return nullptr;
}

napi_value CreateGuestMemfd(VmFd& self, Call& call) {
  auto args = call.Struct<kvm_create_guest_memfd>(0, "args");
  if (call.failed()) return nullptr;
  const int number = Ioctl<KVM_CREATE_GUEST_MEMFD>(self.fd(), &args);
  if (number < 0) return call.Refuse(-number);
  Lock lock(self.core->mutex);
  self.core->memfds = new VmCore::Memfd{self.core->memfds, Fd(number)};
  self.core->memfds->fd.CloseOnExec();
  return call.Number(number);
}

// How many bytes the bitmap of `pages` pages takes.
uint64_t BitmapBytes(uint64_t pages) { return (pages + 63) / 64 * 8; }

napi_value GetDirtyLog(VmFd& self, Call& call) {
  kvm_dirty_log log{};
  log.slot = call.Uint32(0, "slot");
  // Held, so that the slot does not grow between the check and the call.
  Lock lock(self.core->mutex);
  const VmCore::Slot* slot = *self.core->Find(log.slot);
  // SAFETY: the kernel writes as many bits as the slot has pages; a slot that is unknown here it has not either.
  log.dirty_bitmap = call.Uint8s(1, "bitmap", slot == nullptr ? 0 : BitmapBytes(slot->bytes / PageBytes())).data;
  return call.Issue<KVM_GET_DIRTY_LOG>(self.fd(), &log);
}

napi_value ClearDirtyLog(VmFd& self, Call& call) {
  kvm_clear_dirty_log log{};
  log.slot = call.Uint32(0, "slot");
  log.first_page = call.Uint64(1, "firstPage");
  log.num_pages = call.Uint32(2, "pages");
  log.dirty_bitmap = call.Uint8s(3, "bitmap", BitmapBytes(log.num_pages)).data;
  return call.Issue<KVM_CLEAR_DIRTY_LOG>(self.fd(), &log);
}

template <uint32_t request>
napi_value IrqLine(VmFd& self, Call& call) {
  kvm_irq_level line{{call.Uint32(0, "irq")}, call.Uint32(1, "level")};
  call.Issue<request>(self.fd(), &line);
  // A status below 0 is no errno.
  return call.failed() || request == KVM_IRQ_LINE ? nullptr : napi_value(Napi::Number::New(call.env, line.status));
}

napi_value SetGsiRouting(VmFd& self, Call& call) {
  kvm_irq_routing head;
  const Bytes routing = call.Uint8s(0, "routing", sizeof head);
  if (call.failed()) return nullptr;
  memcpy(&head, routing.data, sizeof head);
  // SAFETY: the kernel reads as many entries as the header says. Only the address goes there, which needs no alignment.
  call.Exactly(0, "routing", sizeof head + uint64_t{head.nr} * sizeof(kvm_irq_routing_entry));
  return call.Issue<KVM_SET_GSI_ROUTING>(self.fd(), reinterpret_cast<kvm_irq_routing*>(routing.data));
}

napi_value SignalMsi(VmFd& self, Call& call) {
  auto msi = call.Struct<kvm_msi>(0, "msi");
  return call.failed() ? nullptr : call.Number(Ioctl<KVM_SIGNAL_MSI>(self.fd(), &msi));
}

napi_value ArmSetDeviceAddr(VmFd& self, Call& call) {
  kvm_arm_device_addr address{call.Uint64(0, "id"), call.Uint64(1, "guestAddress")};
  return call.Issue<KVM_ARM_SET_DEVICE_ADDR>(self.fd(), &address);
}

napi_value ArmMteCopyTags(VmFd& self, Call& call) {
  kvm_arm_copy_mte_tags copy{};
  copy.guest_ipa = call.Uint64(0, "guestAddress");
  copy.length = call.Uint64(1, "bytes");
  // SAFETY: the kernel copies a byte for every 16 bytes of guest memory.
  copy.addr = call.Uint8s(2, "tags", copy.length / 16).data;
  copy.flags = call.Uint64(3, "flags");
  return call.failed() ? nullptr : call.Number(Ioctl<KVM_ARM_MTE_COPY_TAGS>(self.fd(), &copy));
}

napi_value ArmGetRegWritableMasks(VmFd& self, Call& call) {
  reg_mask_range range{};
  range.range = call.Uint32(0, "range");
  const Bytes masks = call.Array(1, "masks", napi_biguint64_array, "BigUint64Array");
  // SAFETY: the kernel writes that many words, whatever it is given.
  if (!call.failed() && masks.length < KVM_ARM_FEATURE_ID_RANGE_SIZE) {
    return call.Slip<Napi::RangeError>("masks must be at least %d words, got %zu", KVM_ARM_FEATURE_ID_RANGE_SIZE,
                                       masks.length);
  }
  range.addr = reinterpret_cast<uintptr_t>(masks.data);
  return call.Issue<KVM_ARM_GET_REG_WRITABLE_MASKS>(self.fd(), &range);
}

}  // namespace

napi_value MakeVm(Call& call, const Ref<VmCore>& core) {
  napi_value token = Napi::BigInt::New(call.env, core->token);
  return SetValue(call.env, call.addon()->Wrap(new VmFd(call.addon(), core), VmFd::kClass), "token", token);
}

bool DefineVmFd(Addon* addon, napi_value exports) {
  static constexpr Row kRows[] = {
      {"closed", nullptr, Closed},
      IOCTL("checkExtension", KVM_CHECK_EXTENSION, AskOf),
      {"enableCap", "KVM_ENABLE_CAP", On<EnableCap>},
      {"createVcpu", "KVM_CREATE_VCPU", On<CreateVcpu>},
      {"createDevice", "KVM_CREATE_DEVICE", On<CreateDevice>},
      {"mapMemory", "mmap", On<MapMemory>},
      {"setUserMemoryRegion", "KVM_SET_USER_MEMORY_REGION", On<SetRegion<KVM_SET_USER_MEMORY_REGION>>},
      {"setUserMemoryRegion2", "KVM_SET_USER_MEMORY_REGION2", On<SetRegion<KVM_SET_USER_MEMORY_REGION2>>},
      {"createGuestMemfd", "KVM_CREATE_GUEST_MEMFD", On<CreateGuestMemfd>},
      {"getDirtyLog", "KVM_GET_DIRTY_LOG", On<GetDirtyLog>},
      {"clearDirtyLog", "KVM_CLEAR_DIRTY_LOG", On<ClearDirtyLog>},
      IOCTL("resetDirtyRings", KVM_RESET_DIRTY_RINGS, Ask),
      IOCTL("registerCoalescedMmio", KVM_REGISTER_COALESCED_MMIO, Send, kvm_coalesced_mmio_zone),
      IOCTL("unregisterCoalescedMmio", KVM_UNREGISTER_COALESCED_MMIO, Send, kvm_coalesced_mmio_zone),
      IOCTL("createIrqchip", KVM_CREATE_IRQCHIP, Plain),
      {"irqLine", "KVM_IRQ_LINE", On<IrqLine<KVM_IRQ_LINE>>},
      {"irqLineStatus", "KVM_IRQ_LINE_STATUS", On<IrqLine<KVM_IRQ_LINE_STATUS>>},
      {"setGsiRouting", "KVM_SET_GSI_ROUTING", On<SetGsiRouting>},
      IOCTL("irqfd", KVM_IRQFD, Send, kvm_irqfd),
      IOCTL("ioeventfd", KVM_IOEVENTFD, Send, kvm_ioeventfd),
      {"signalMsi", "KVM_SIGNAL_MSI", On<SignalMsi>},
      {"armSetDeviceAddr", "KVM_ARM_SET_DEVICE_ADDR", On<ArmSetDeviceAddr>},
      IOCTL("armPreferredTarget", KVM_ARM_PREFERRED_TARGET, Fill, kvm_vcpu_init),
      {"armMteCopyTags", "KVM_ARM_MTE_COPY_TAGS", On<ArmMteCopyTags>},
      IOCTL("armSetCounterOffset", KVM_ARM_SET_COUNTER_OFFSET, Send, kvm_arm_counter_offset),
      {"armGetRegWritableMasks", "KVM_ARM_GET_REG_WRITABLE_MASKS", On<ArmGetRegWritableMasks>},
      {"readStats", "KVM_GET_STATS_FD", On<ReadStats<VmCore>>},
      DEVICE_ATTR_ROWS,
      {"close", nullptr, Release},
  };
  return addon->Define<VmFd>("VmFd", kRows, exports);
}
