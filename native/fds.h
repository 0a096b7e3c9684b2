// The descriptors as JavaScript has them, one class for each kind. Their methods are the rows of a table, one for each
// ioctl, in the file of the kind.
#pragma once

#include "core.h"

struct SystemFd : public Object {
  static constexpr Class kClass = Class::kSystem;
  SystemFd(Addon* addon, Fd fd) : Object(addon), fd_(std::move(fd)) {}
  static bool Define(Addon* addon, napi_value exports);
  static napi_value Open(Call& call);
  const Fd& fd() const override { return fd_; }
  void Release() override { fd_.Close(); }

 private:
  Fd fd_;
};

struct VmFd : public Object {
  static constexpr Class kClass = Class::kVm;
  VmFd(Addon* addon, Ref<VmCore> core) : Object(addon), core(std::move(core)) {}
  ~VmFd() override { VmFd::Release(); }
  static bool Define(Addon* addon, napi_value exports);
  // Takes over one open of the core.
  static napi_value Make(Call& call, const Ref<VmCore>& core);
  const Fd& fd() const override { return core ? core->fd : none_; }
  void Release() override;

  // Empty once closed.
  Ref<VmCore> core;
};

struct VcpuFd : public Object {
  static constexpr Class kClass = Class::kVcpu;
  VcpuFd(Addon* addon, Ref<VcpuCore> core) : Object(addon), core(std::move(core)) {}
  ~VcpuFd() override { VcpuFd::Release(); }
  static bool Define(Addon* addon, napi_value exports);
  // Takes over one open of the core.
  static napi_value Make(Call& call, const Ref<VcpuCore>& core);
  // The threadsafe function's, on the environment's thread.
  static void Deliver(napi_env env, napi_value, void*, void* completion);
  const Fd& fd() const override { return core ? core->fd : none_; }
  int Begin() override { return !core ? EBADF : core->BeginVerb() ? 0 : EBUSY; }
  void End() override { core->EndVerb(); }
  void Release() override;

  Ref<VcpuCore> core;
  Completion* pending = nullptr;
  // Its Worker is being terminated: it runs no more, so that JavaScript comes to notice.
  bool terminating = false;
};

struct DeviceFd : public Object {
  static constexpr Class kClass = Class::kDevice;
  DeviceFd(Addon* addon, Fd fd, Ref<VmCore> vm) : Object(addon), fd_(std::move(fd)), vm_(std::move(vm)) {}
  static bool Define(Addon* addon, napi_value exports);
  const Fd& fd() const override { return fd_; }
  void Release() override;

 private:
  Fd fd_;
  // The device keeps the kernel's VM alive, and an ITS writes guest memory: the slots must not be unmapped before.
  Ref<VmCore> vm_;
};

struct EventFd : public Object {
  static constexpr Class kClass = Class::kEventFd;
  EventFd(Addon* addon, Fd fd) : Object(addon), fd_(std::move(fd)) {}
  ~EventFd() override { EventFd::Release(); }
  static bool Define(Addon* addon, napi_value exports);
  static napi_value Make(Call& call, Fd fd);
  const Fd& fd() const override { return fd_; }
  void Release() override;
  // A promise of true once the counter is not 0, or false when it closes.
  napi_value Wait(Call& call);
  void Resolve(bool value);

 private:
  struct Poll : Allocated {
    explicit Poll(EventFd* owner) : addon(owner->addon()), owner(owner) {}
    uv_poll_t handle{};
    const Ref<Addon> addon;
    EventFd* owner;
  };
  static void Readable(uv_poll_t* handle, int status, int events);

  Fd fd_;
  Poll* poll_ = nullptr;
  // While somebody waits: what they all wait for, and this object's JavaScript half.
  napi_deferred deferred_ = nullptr;
  napi_ref promise_ = nullptr;
  napi_ref self_ = nullptr;
};

// KVM_{SET,GET,HAS}_DEVICE_ATTR with the arguments (group, attr, value).
napi_value DeviceAttr(Call& call, const Fd& fd, const Request<kvm_device_attr>& request);
template <const auto& request>
napi_value Attr(Object& self, Call& call) {
  return DeviceAttr(call, self.fd(), request);
}
// readStats(offset, into): opens `stats` on first use.
napi_value StatsOf(Call& call, const Fd& fd, Fd* stats);
