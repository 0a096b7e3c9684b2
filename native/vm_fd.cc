#include <sys/mman.h>

#include "fds.h"

napi_value CheckExtension(Object& self, Call& call);

namespace {

napi_value EnableCap(VmFd& self, Call& call) {
  auto cap = call.Struct<kvm_enable_cap>(0, "cap");
  call.Issue(kEnableCap, self.fd(), &cap);
  if (!call.failed() && (cap.cap == KVM_CAP_DIRTY_LOG_RING_ACQ_REL || cap.cap == KVM_CAP_DIRTY_LOG_RING)) {
    Lock lock(self.core->mutex);
    self.core->ring_bytes = static_cast<uint32_t>(cap.args[0]);
  }
  return nullptr;
}

napi_value CreateVcpu(VmFd& self, Call& call) {
  const uint32_t id = call.Uint32(0, "id");
  if (call.failed()) return nullptr;
  const int number = Ioctl(kCreateVcpu, self.fd(), id);
  if (number < 0) return call.Refuse(-number);
  Fd fd(number);
  const Ref<Mapped> page = Map(number, 0, self.core->run_bytes, PageBytes(), PROT_READ | PROT_WRITE, MAP_SHARED);
  if (!page) return call.Refuse(errno, "mmap");
  const Ref<VcpuCore> vcpu(new VcpuCore(self.core, std::move(fd), id, page));
  Registry::Get().Add(vcpu.get());
  return VcpuFd::Make(call, vcpu);
}

napi_value CreateDevice(VmFd& self, Call& call) {
  kvm_create_device device{};
  device.type = call.Uint32(0, "type");
  device.flags = call.Uint32(1, "flags");
  call.Issue(kCreateDevice, self.fd(), &device);
  if (call.failed()) return nullptr;
  if ((device.flags & KVM_CREATE_DEVICE_TEST) == 0) {
    return call.addon()->Wrap(new DeviceFd(call.addon(), Fd(static_cast<int>(device.fd)), self.core), Class::kDevice);
  }
  napi_value null = nullptr;
  napi_get_null(call.env(), &null);
  return null;
}

constexpr uint32_t kShared = 1;
constexpr uint32_t kWritable = 2;

// (fd, offset, bytes, pageBytes, flags): fd -1 is anonymous, in huge pages unless pageBytes is 0.
napi_value MapMemory(VmFd&, Call& call) {
  const int fd = call.Int32(0, "fd");
  const uint64_t offset = call.Size(1, "offset");
  const uint64_t bytes = call.Size(2, "bytes");
  const uint64_t huge_bytes = call.Size(3, "pageBytes");
  const uint32_t flags = call.Uint32(4, "flags");
  if (call.failed()) return nullptr;
  if ((huge_bytes & (huge_bytes - 1)) != 0) return call.OutOfRange("pageBytes must be a power of two");
  int how = flags & kShared ? MAP_SHARED : MAP_PRIVATE;
  if (fd < 0) how |= MAP_ANONYMOUS;
  // Huge pages are reserved: one that cannot be had is ENOMEM here, not SIGBUS when it is touched.
  how |= huge_bytes > 0 ? MAP_HUGETLB | (__builtin_ctzll(huge_bytes) << MAP_HUGE_SHIFT) : MAP_NORESERVE;
  const int protection = PROT_READ | (flags & kWritable ? PROT_WRITE : 0);
  const Ref<Mapped> mapped = Map(fd, offset, bytes, huge_bytes > 0 ? huge_bytes : PageBytes(), protection, how);
  return mapped ? Mapping::Make(call, mapped) : call.Refuse(errno);
}

// Both versions of the ioctl; the first 32 bytes of the newer structure are the older one.
template <class T>
T* VersionOf(const Request<T>&, kvm_userspace_memory_region2* region) {
  return reinterpret_cast<T*>(region);
}

template <const auto& request>
napi_value SetRegion(VmFd& self, Call& call) {
  kvm_userspace_memory_region2 region{};
  region.slot = call.Uint32(0, "slot");
  region.flags = call.Uint32(1, "flags");
  region.guest_phys_addr = call.Uint64(2, "guestAddress");
  region.memory_size = call.Uint64(3, "bytes");
  Object* mapping = call.IsNull(4) ? nullptr : call.Unwrap(call.argument(4), Class::kMapping, "mapping");
  region.userspace_addr = call.Uint64(5, "offset");
  if constexpr (request.number == KVM_SET_USER_MEMORY_REGION2) {
    region.guest_memfd = static_cast<uint32_t>(call.Int32(6, "guestMemfd"));
    region.guest_memfd_offset = call.Uint64(7, "guestMemfdOffset");
  }
  if (call.failed()) return nullptr;
  Ref<Mapped> mapped;
  if (mapping != nullptr) {
    mapped = static_cast<Mapping*>(mapping)->mapped();
    if (!mapped) return call.Refuse(EBADF);
    // SAFETY: the guest reaches no byte outside the mapping, which the slot keeps alive.
    const uint64_t offset = region.userspace_addr;
    if (offset > mapped->bytes() || region.memory_size > mapped->bytes() - offset) {
      return call.OutOfRange("a slot of %llu bytes at offset %lu does not lie inside its mapping of %lu bytes",
                             region.memory_size, offset, mapped->bytes());
    }
    region.userspace_addr += reinterpret_cast<uintptr_t>(mapped->address());
  } else if (region.memory_size != 0) {
    return call.OutOfRange("a slot that is not deleted needs a mapping");
  }
  Lock lock(self.core->mutex);
  call.Issue(request, self.fd(), VersionOf(request, &region));
  if (!call.failed()) self.core->Remember(region.slot, region.memory_size, mapped);
  return nullptr;
}

napi_value CreateGuestMemfd(VmFd& self, Call& call) {
  auto args = call.Struct<kvm_create_guest_memfd>(0, "args");
  if (call.failed()) return nullptr;
  const int number = Ioctl(kCreateGuestMemfd, self.fd(), &args);
  if (number < 0) return call.Refuse(-number);
  Lock lock(self.core->mutex);
  self.core->memfds = new VmCore::Memfd(self.core->memfds, number);
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
  log.dirty_bitmap = call.AtLeast(1, "bitmap", slot == nullptr ? 0 : BitmapBytes(slot->bytes / PageBytes())).data;
  return call.Issue(kGetDirtyLog, self.fd(), &log);
}

napi_value ClearDirtyLog(VmFd& self, Call& call) {
  kvm_clear_dirty_log log{};
  log.slot = call.Uint32(0, "slot");
  log.first_page = call.Uint64(1, "firstPage");
  log.num_pages = call.Uint32(2, "pages");
  log.dirty_bitmap = call.AtLeast(3, "bitmap", BitmapBytes(log.num_pages)).data;
  return call.Issue(kClearDirtyLog, self.fd(), &log);
}

template <const auto& request>
napi_value IrqLine(VmFd& self, Call& call) {
  kvm_irq_level line{};
  line.irq = call.Uint32(0, "irq");
  line.level = call.Uint32(1, "level");
  call.Issue(request, self.fd(), &line);
  return call.failed() || request.number == KVM_IRQ_LINE ? nullptr : call.Number(line.status);
}

napi_value SetGsiRouting(VmFd& self, Call& call) {
  kvm_irq_routing head{};
  const Bytes routing = call.AtLeast(0, "routing", sizeof head);
  if (call.failed()) return nullptr;
  memcpy(&head, routing.data, sizeof head);
  // SAFETY: the kernel reads as many entries as the header says. Only the address goes there, which needs no alignment.
  call.Exactly(0, "routing", sizeof head + uint64_t{head.nr} * sizeof(kvm_irq_routing_entry));
  return call.Issue(kSetGsiRouting, self.fd(), reinterpret_cast<kvm_irq_routing*>(routing.data));
}

napi_value SignalMsi(VmFd& self, Call& call) {
  auto msi = call.Struct<kvm_msi>(0, "msi");
  return call.Count(kSignalMsi, self.fd(), &msi);
}

napi_value ArmSetDeviceAddr(VmFd& self, Call& call) {
  kvm_arm_device_addr address{};
  address.id = call.Uint64(0, "id");
  address.addr = call.Uint64(1, "guestAddress");
  return call.Issue(kArmSetDeviceAddr, self.fd(), &address);
}

napi_value ArmMteCopyTags(VmFd& self, Call& call) {
  kvm_arm_copy_mte_tags copy{};
  copy.guest_ipa = call.Uint64(0, "guestAddress");
  copy.length = call.Uint64(1, "bytes");
  // SAFETY: the kernel copies a byte for every 16 bytes of guest memory.
  copy.addr = call.AtLeast(2, "tags", copy.length / 16).data;
  copy.flags = call.Uint64(3, "flags");
  return call.Count(kArmMteCopyTags, self.fd(), &copy);
}

napi_value ArmGetRegWritableMasks(VmFd& self, Call& call) {
  reg_mask_range range{};
  range.range = call.Uint32(0, "range");
  const Bytes masks = call.Array(1, "masks", napi_biguint64_array, "BigUint64Array");
  // SAFETY: the kernel writes that many words, whatever it is given.
  if (!call.failed() && masks.length < KVM_ARM_FEATURE_ID_RANGE_SIZE) {
    return call.OutOfRange("masks must be at least %d words, got %zu", KVM_ARM_FEATURE_ID_RANGE_SIZE, masks.length);
  }
  range.addr = reinterpret_cast<uintptr_t>(masks.data);
  return call.Issue(kArmGetRegWritableMasks, self.fd(), &range);
}

napi_value ReadStats(VmFd& self, Call& call) {
  Lock lock(self.core->mutex);
  return StatsOf(call, self.fd(), &self.core->stats);
}

}  // namespace

napi_value VmFd::Make(Call& call, const Ref<VmCore>& core) {
  napi_value object = call.addon()->Wrap(new VmFd(call.addon(), core), kClass);
  return object == nullptr ? nullptr
                           : SetValue(call.env(), object, "token", call.BigInt(Registry::TokenOf(core.get())));
}

void VmFd::Release() {
  if (core) Registry::Get().Leave(Ref<Core>(std::exchange(core, Ref<VmCore>()).get()));
}

bool VmFd::Define(Addon* addon, napi_value exports) {
  static constexpr Row kRows[] = {
      {kClass, "closed", nullptr, Closed},
      {kClass, "checkExtension", kCheckExtension.name, CheckExtension},
      {kClass, "enableCap", kEnableCap.name, On<VmFd, EnableCap>},
      {kClass, "createVcpu", kCreateVcpu.name, On<VmFd, CreateVcpu>},
      {kClass, "createDevice", kCreateDevice.name, On<VmFd, CreateDevice>},
      {kClass, "mapMemory", "mmap", On<VmFd, MapMemory>},
      {kClass, "setUserMemoryRegion", kSetUserMemoryRegion.name, On<VmFd, SetRegion<kSetUserMemoryRegion>>},
      {kClass, "setUserMemoryRegion2", kSetUserMemoryRegion2.name, On<VmFd, SetRegion<kSetUserMemoryRegion2>>},
      {kClass, "createGuestMemfd", kCreateGuestMemfd.name, On<VmFd, CreateGuestMemfd>},
      {kClass, "getDirtyLog", kGetDirtyLog.name, On<VmFd, GetDirtyLog>},
      {kClass, "clearDirtyLog", kClearDirtyLog.name, On<VmFd, ClearDirtyLog>},
      {kClass, "resetDirtyRings", kResetDirtyRings.name, Ask<kResetDirtyRings>},
      {kClass, "registerCoalescedMmio", kRegisterCoalescedMmio.name, Send<kRegisterCoalescedMmio>},
      {kClass, "unregisterCoalescedMmio", kUnregisterCoalescedMmio.name, Send<kUnregisterCoalescedMmio>},
      {kClass, "createIrqchip", kCreateIrqchip.name, Plain<kCreateIrqchip>},
      {kClass, "irqLine", kIrqLine.name, On<VmFd, IrqLine<kIrqLine>>},
      {kClass, "irqLineStatus", kIrqLineStatus.name, On<VmFd, IrqLine<kIrqLineStatus>>},
      {kClass, "setGsiRouting", kSetGsiRouting.name, On<VmFd, SetGsiRouting>},
      {kClass, "irqfd", kIrqfd.name, Send<kIrqfd>},
      {kClass, "ioeventfd", kIoeventfd.name, Send<kIoeventfd>},
      {kClass, "signalMsi", kSignalMsi.name, On<VmFd, SignalMsi>},
      {kClass, "armSetDeviceAddr", kArmSetDeviceAddr.name, On<VmFd, ArmSetDeviceAddr>},
      {kClass, "armPreferredTarget", kArmPreferredTarget.name, Fill<kArmPreferredTarget>},
      {kClass, "armMteCopyTags", kArmMteCopyTags.name, On<VmFd, ArmMteCopyTags>},
      {kClass, "armSetCounterOffset", kArmSetCounterOffset.name, Send<kArmSetCounterOffset>},
      {kClass, "armGetRegWritableMasks", kArmGetRegWritableMasks.name, On<VmFd, ArmGetRegWritableMasks>},
      {kClass, "readStats", kGetStatsFd.name, On<VmFd, ReadStats>},
      {kClass, "setDeviceAttr", kSetDeviceAttr.name, Attr<kSetDeviceAttr>},
      {kClass, "getDeviceAttr", kGetDeviceAttr.name, Attr<kGetDeviceAttr>},
      {kClass, "hasDeviceAttr", kHasDeviceAttr.name, Attr<kHasDeviceAttr>},
      {kClass, "close", nullptr, ::Release},
  };
  return addon->Define("VmFd", kRows, exports);
}
