#include "fds.h"

namespace {

struct DeviceFd : public Object {
  static constexpr Class kClass = Class::kDevice;
  DeviceFd(Addon* addon, Fd fd, const Ref<VmCore>& vm) : Object(addon, std::move(fd)), vm(vm) {}
  void Release() override {
    own.Close();
    vm = Ref<VmCore>();
  }

  // The device keeps the kernel's VM alive, and an ITS writes guest memory: the slots must not be unmapped before.
  Ref<VmCore> vm;
};

}  // namespace

template <uint32_t request>
napi_value Attr(Object& self, Call& call) {
  kvm_device_attr attr{0, call.Uint32(0, "group"), call.Uint64(1, "attr"), 0};
  Bytes value;
  if (request != KVM_HAS_DEVICE_ATTR && !call.IsNull(2)) {
    value = call.Uint8s(2, "value", 0, PageBytes());
    // SAFETY: only the kernel knows how many bytes it takes for an attribute. They pass through the end of a page that
    // an inaccessible one follows, so that a value that is too short is EFAULT instead of corruption.
    uint8_t* edge = call.failed() ? nullptr : call.addon()->Edge(value.length);
    if (edge == nullptr) return call.failed() ? nullptr : call.Refuse(ENOMEM, "mmap");
    if (value.length > 0) memcpy(edge, value.data, value.length);
    attr.addr = reinterpret_cast<uintptr_t>(edge);
  }
  call.Issue<request>(self.fd(), &attr);
  if (!call.failed() && request == KVM_GET_DEVICE_ATTR && value.length > 0) {
    memcpy(value.data, reinterpret_cast<const void*>(attr.addr), value.length);
  }
  return nullptr;
}
template napi_value Attr<KVM_SET_DEVICE_ATTR>(Object&, Call&);
template napi_value Attr<KVM_GET_DEVICE_ATTR>(Object&, Call&);
template napi_value Attr<KVM_HAS_DEVICE_ATTR>(Object&, Call&);

napi_value StatsOf(Call& call, Core& core) {
  const uint64_t offset = call.Size(0, "offset");
  const Bytes into = call.Uint8s(1, "into");
  if (call.failed()) return nullptr;
  Lock lock(core.mutex);
  if (!core.stats.open()) {
    const int number = Ioctl<KVM_GET_STATS_FD>(core.fd);
    if (number < 0) return call.Refuse(-number, "KVM_GET_STATS_FD");
    core.stats = Fd(number);
    core.stats.CloseOnExec();
  }
  const ssize_t count = pread(core.stats.number(), into.data, into.length, static_cast<off_t>(offset));
  return count < 0 ? call.Refuse(errno, "pread") : call.Number(count);
}

napi_value MakeDevice(Call& call, Fd fd, const Ref<VmCore>& vm) {
  return call.addon()->Wrap(new DeviceFd(call.addon(), std::move(fd), vm), DeviceFd::kClass);
}

bool DefineDeviceFd(Addon* addon, napi_value exports) {
  static constexpr Row kRows[] = {{"closed", nullptr, Closed}, DEVICE_ATTR_ROWS, {"close", nullptr, Release}};
  return addon->Define<DeviceFd>("DeviceFd", kRows, exports);
}
