#include "fds.h"

napi_value DeviceAttr(Call& call, const Fd& fd, const Request<kvm_device_attr>& request) {
  kvm_device_attr attr{};
  attr.group = call.Uint32(0, "group");
  attr.attr = call.Uint64(1, "attr");
  Bytes value;
  const bool has = request.number == kHasDeviceAttr.number;
  if (!has && !call.IsNull(2)) {
    value = call.Uint8s(2, "value");
    if (!call.failed() && value.length > PageBytes()) return call.OutOfRange("value must be at most a page");
    // SAFETY: only the kernel knows how many bytes it takes for an attribute. They pass through the end of a page that
    // an inaccessible one follows, so that a value that is too short is EFAULT instead of corruption.
    uint8_t* edge = call.failed() ? nullptr : call.addon()->Edge(value.length);
    if (edge == nullptr) return call.failed() ? nullptr : call.Refuse(ENOMEM, "mmap");
    if (value.length > 0) memcpy(edge, value.data, value.length);
    attr.addr = reinterpret_cast<uintptr_t>(edge);
  }
  call.Issue(request, fd, &attr);
  if (!call.failed() && request.number == kGetDeviceAttr.number && value.length > 0) {
    memcpy(value.data, reinterpret_cast<const void*>(attr.addr), value.length);
  }
  return nullptr;
}

napi_value StatsOf(Call& call, const Fd& fd, Fd* stats) {
  const uint64_t offset = call.Size(0, "offset");
  const Bytes into = call.Uint8s(1, "into");
  if (call.failed()) return nullptr;
  if (!stats->open()) {
    const int number = Ioctl(kGetStatsFd, fd);
    if (number < 0) return call.Refuse(-number, kGetStatsFd.name);
    *stats = Fd(number);
    stats->CloseOnExec();
  }
  const ssize_t count = pread(stats->number(), into.data, into.length, static_cast<off_t>(offset));
  return count < 0 ? call.Refuse(errno, "pread") : call.Number(count);
}

void DeviceFd::Release() {
  fd_.Close();
  vm_ = Ref<VmCore>();
}

bool DeviceFd::Define(Addon* addon, napi_value exports) {
  static constexpr Row kRows[] = {
      {kClass, "closed", nullptr, Closed},
      {kClass, "setDeviceAttr", kSetDeviceAttr.name, Attr<kSetDeviceAttr>},
      {kClass, "getDeviceAttr", kGetDeviceAttr.name, Attr<kGetDeviceAttr>},
      {kClass, "hasDeviceAttr", kHasDeviceAttr.name, Attr<kHasDeviceAttr>},
      {kClass, "close", nullptr, ::Release},
  };
  return addon->Define("DeviceFd", kRows, exports);
}
