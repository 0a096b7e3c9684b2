#include <fcntl.h>
#include <sys/eventfd.h>

#include "fds.h"

namespace {

struct SystemFd : public Object {
  static constexpr Class kClass = Class::kSystem;
  using Object::Object;
};

napi_value CreateVm(Object& self, Call& call) {
  const uint64_t type = call.Uint64(0, "type");
  if (call.failed()) return nullptr;
  const int run_bytes = Ioctl<KVM_GET_VCPU_MMAP_SIZE>(self.fd());
  if (run_bytes < 0) return call.Refuse(-run_bytes, "KVM_GET_VCPU_MMAP_SIZE");
  const int number = Ioctl<KVM_CREATE_VM>(self.fd(), type);
  if (number < 0) return call.Refuse(-number);
  const Ref<VmCore> core(new VmCore(Fd(number), static_cast<uint32_t>(run_bytes)));
  Registry::Get().Add(core.get());
  return MakeVm(call, core);
}

napi_value Eventfd(Object&, Call& call) {
  const uint32_t initial = call.Uint32(0, "initial");
  if (call.failed()) return nullptr;
  Fd fd(eventfd(initial, EFD_CLOEXEC | EFD_NONBLOCK));
  return fd.open() ? MakeEventFd(call, std::move(fd)) : call.Refuse(errno);
}

// SAFETY: the registry gives only what is open and has the kind that was asked for.
template <class C, napi_value (*make)(Call&, const Ref<C>&)>
napi_value Attach(Object&, Call& call) {
  const uint64_t token = call.Uint64(0, "handle.token");
  if (call.failed()) return nullptr;
  const Ref<Core> core = Registry::Get().Attach(token, C::kKind);
  return core ? make(call, Ref<C>(static_cast<C*>(core.get()))) : call.Refuse(ENOENT);
}

}  // namespace

napi_value OpenSystem(Call& call) {
  // Without a signal no run could be kicked.
  if (KickSignal() == 0) return call.Refuse(EBUSY, "sigaction");
  Fd fd(open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!fd.open()) return call.Refuse(errno, "open /dev/kvm");
  return call.addon()->Wrap(new SystemFd(call.addon(), std::move(fd)), SystemFd::kClass);
}

bool DefineSystemFd(Addon* addon, napi_value exports) {
  static constexpr Row kRows[] = {
      {"closed", nullptr, Closed},
      IOCTL("getApiVersion", KVM_GET_API_VERSION, Ask),
      {"createVm", "KVM_CREATE_VM", CreateVm},
      IOCTL("checkExtension", KVM_CHECK_EXTENSION, AskOf),
      IOCTL("getVcpuMmapSize", KVM_GET_VCPU_MMAP_SIZE, Ask),
      {"eventfd", "eventfd", Eventfd},
      {"attachVmToken", "attachVm", Attach<VmCore, MakeVm>},
      {"attachVcpuToken", "attachVcpu", Attach<VcpuCore, MakeVcpu>},
      {"close", nullptr, Release},
  };
  return addon->Define<SystemFd>("SystemFd", kRows, exports);
}
