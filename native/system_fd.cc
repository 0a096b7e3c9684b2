#include <fcntl.h>
#include <sys/eventfd.h>

#include "fds.h"

namespace {

napi_value CreateVm(Object& self, Call& call) {
  const uint64_t type = call.Uint64(0, "type");
  if (call.failed()) return nullptr;
  const int run_bytes = Ioctl(kGetVcpuMmapSize, self.fd());
  if (run_bytes < 0) return call.Refuse(-run_bytes, kGetVcpuMmapSize.name);
  const int number = Ioctl(kCreateVm, self.fd(), type);
  if (number < 0) return call.Refuse(-number);
  const Ref<VmCore> core(new VmCore(Fd(number), static_cast<uint32_t>(run_bytes)));
  Registry::Get().Add(core.get());
  return VmFd::Make(call, core);
}

napi_value Eventfd(Object&, Call& call) {
  const uint32_t initial = call.Uint32(0, "initial");
  if (call.failed()) return nullptr;
  Fd fd(eventfd(initial, EFD_CLOEXEC | EFD_NONBLOCK));
  return fd.open() ? EventFd::Make(call, std::move(fd)) : call.Refuse(errno);
}

// SAFETY: the registry gives only what is open and has the kind that was asked for.
template <class T, class U, Core::Kind kind>
napi_value Attach(Object&, Call& call) {
  const uint64_t token = call.Uint64(0, "handle.token");
  if (call.failed()) return nullptr;
  const Ref<Core> core = Registry::Get().Attach(token, kind);
  return core ? T::Make(call, Ref<U>(static_cast<U*>(core.get()))) : call.Refuse(ENOENT);
}

}  // namespace

napi_value CheckExtension(Object& self, Call& call) {
  const uint32_t cap = call.Uint32(0, "cap");
  return call.failed() ? nullptr : call.Number(Ioctl(kCheckExtension, self.fd(), cap));
}

napi_value SystemFd::Open(Call& call) {
  const int claimed = ClaimSignal();
  if (claimed != 0) return call.Refuse(claimed, "sigaction");
  Fd fd(open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!fd.open()) return call.Refuse(errno, "open /dev/kvm");
  return call.addon()->Wrap(new SystemFd(call.addon(), std::move(fd)), kClass);
}

bool SystemFd::Define(Addon* addon, napi_value exports) {
  static constexpr Row kRows[] = {
      {kClass, "closed", nullptr, Closed},
      {kClass, "getApiVersion", kGetApiVersion.name, Ask<kGetApiVersion>},
      {kClass, "createVm", kCreateVm.name, CreateVm},
      {kClass, "checkExtension", kCheckExtension.name, CheckExtension},
      {kClass, "getVcpuMmapSize", kGetVcpuMmapSize.name, Ask<kGetVcpuMmapSize>},
      {kClass, "eventfd", "eventfd", Eventfd},
      {kClass, "attachVmToken", "attachVm", Attach<VmFd, VmCore, Core::Kind::kVm>},
      {kClass, "attachVcpuToken", "attachVcpu", Attach<VcpuFd, VcpuCore, Core::Kind::kVcpu>},
      {kClass, "close", nullptr, ::Release},
  };
  return addon->Define("SystemFd", kRows, exports);
}
