// The descriptors as JavaScript has them: one class for each kind, in a file of its own, whose methods are the rows of a
// table, one for each ioctl.
#pragma once

#include "core.h"

bool DefineSystemFd(Addon* addon, napi_value exports);
bool DefineVmFd(Addon* addon, napi_value exports);
bool DefineVcpuFd(Addon* addon, napi_value exports);
bool DefineDeviceFd(Addon* addon, napi_value exports);
bool DefineEventFd(Addon* addon, napi_value exports);

// /dev/kvm.
napi_value OpenSystem(Call& call);
// Take over one open of the core.
napi_value MakeVm(Call& call, const Ref<VmCore>& core);
napi_value MakeVcpu(Call& call, const Ref<VcpuCore>& core);
napi_value MakeDevice(Call& call, Fd fd, const Ref<VmCore>& vm);
napi_value MakeEventFd(Call& call, Fd fd);

// The end of a run(): the threadsafe function's, on the environment's thread.
void Deliver(napi_env env, napi_value, void*, void* completion);

// The JavaScript half of a VM or vCPU. Several may share the core, on several threads.
template <class C>
struct CoreFd : public Object {
  CoreFd(Addon* addon, Ref<C> core) : Object(addon), core(std::move(core)) {}
  ~CoreFd() override { Leave(); }
  const Fd& fd() const override { return core ? core->fd : own; }
  void Release() override { Leave(); }
  void Leave() {
    if (core) Registry::Get().Leave(Ref<Core>(std::exchange(core, Ref<C>()).get()));
  }

  // Empty once closed.
  Ref<C> core;
};

// KVM_{SET,GET,HAS}_DEVICE_ATTR with the arguments (group, attr, value).
template <uint32_t request>
napi_value Attr(Object& self, Call& call);
#define DEVICE_ATTR_ROWS                                  \
  IOCTL("setDeviceAttr", KVM_SET_DEVICE_ATTR, Attr),      \
      IOCTL("getDeviceAttr", KVM_GET_DEVICE_ATTR, Attr),  \
      IOCTL("hasDeviceAttr", KVM_HAS_DEVICE_ATTR, Attr)
// readStats(offset, into): opens the descriptor of the statistics on first use.
napi_value StatsOf(Call& call, Core& core);
template <class C>
napi_value ReadStats(CoreFd<C>& self, Call& call) {
  return StatsOf(call, *self.core.get());
}
