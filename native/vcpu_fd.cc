#include <sys/mman.h>

#include "fds.h"

namespace {

struct VcpuFd : public CoreFd<VcpuCore> {
  static constexpr Class kClass = Class::kVcpu;
  using CoreFd::CoreFd;
  ~VcpuFd() override { VcpuFd::Release(); }
  int Begin() override { return !core ? EBADF : core->BeginVerb() ? 0 : EBUSY; }
  void End() override { core->EndVerb(); }
  void Release() override {
    // An environment ends with a run pending: the promise is never settled, its references go with the environment.
    if (pending != nullptr && core->Abandon(pending)) delete pending;
    pending = nullptr;
    Leave();
  }

  Completion* pending = nullptr;
  // Its Worker is being terminated: it runs no more, so that JavaScript comes to notice.
  bool terminating = false;
};

constexpr uint64_t kDirtyRingPage = 64;  // KVM_DIRTY_LOG_PAGE_OFFSET of arm64

// How many bytes the value of a register takes: the size field of its id.
uint64_t RegBytes(uint64_t id) { return uint64_t{1} << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT); }

napi_value ArmVcpuFinalize(VcpuFd& self, Call& call) {
  int feature = call.Int32(0, "feature");
  return call.Issue<KVM_ARM_VCPU_FINALIZE>(self.fd(), &feature);
}

template <uint32_t request>
napi_value OneReg(VcpuFd& self, Call& call) {
  kvm_one_reg reg{call.Uint64(0, "id"), 0};
  // SAFETY: the kernel reads or writes as many bytes as the id says.
  reg.addr = reinterpret_cast<uintptr_t>(call.Exactly(1, "value", RegBytes(reg.id)).data);
  return call.Issue<request>(self.fd(), &reg);
}

template <uint32_t request>
napi_value Regs(VcpuFd& self, Call& call) {
  const Bytes ids = call.Array(0, "ids", napi_biguint64_array, "BigUint64Array");
  const Bytes values = call.Uint8s(1, "values");
  const Bytes error = call.Array(2, "errnoOut", napi_int32_array, "Int32Array");
  if (call.failed()) return nullptr;
  if (error.length == 0) return call.Slip<Napi::RangeError>("errnoOut must have an element");
  // SAFETY: the arrays are JavaScript's and aligned for their elements. Shared memory may change under us: each id is
  // read once, and its room checked with the very value that goes to the kernel.
  const auto* id = reinterpret_cast<const volatile uint64_t*>(ids.data);
  uint64_t at = 0;
  for (size_t i = 0; i < ids.length; i++) {
    kvm_one_reg reg{id[i], reinterpret_cast<uintptr_t>(values.data + at)};
    const uint64_t bytes = RegBytes(reg.id);
    if (bytes > values.length - at) {
      return call.Slip<Napi::RangeError>("values is too short: register %zu ends at byte %lu of %zu", i, at + bytes,
                                         values.length);
    }
    const int result = Ioctl<request>(self.fd(), &reg);
    if (result < 0) {
      *reinterpret_cast<int32_t*>(error.data) = -result;
      return call.Number(static_cast<int64_t>(i));
    }
    at += bytes;
  }
  return call.Number(static_cast<int64_t>(ids.length));
}

napi_value GetRegList(VcpuFd& self, Call& call) {
  kvm_reg_list count{};
  int result = Ioctl<KVM_GET_REG_LIST>(self.fd(), &count);
  // The list may grow between the two calls, when another thread changes an ID register.
  while (result == -E2BIG) {
    const uint64_t room = count.n;
    auto buffer = Napi::ArrayBuffer::New(call.env, (room + 1) * sizeof(uint64_t));
    if (buffer.IsEmpty()) return nullptr;
    // SAFETY: room for `room` ids follows the count, and the kernel is told so. `buffer` is on the stack's scope.
    auto* list = static_cast<kvm_reg_list*>(buffer.Data());
    list->n = room;
    result = Ioctl<KVM_GET_REG_LIST>(self.fd(), list);
    count.n = list->n;
    if (result >= 0) return Napi::BigUint64Array::New(call.env, count.n, buffer, sizeof(uint64_t));
  }
  return call.Done(result);
}

napi_value RunSync(VcpuFd& self, Call& call) {
  if (!self.core) return call.Refuse(EBADF, "KVM_RUN");
  if (self.terminating) return call.Number(EINTR);
  if (!self.core->BeginRun()) return call.Refuse(EBUSY, "KVM_RUN");
  const int error = self.core->Run();
  self.core->EndRun();
  // A loop of nothing but runSync() does not itself notice that its Worker is terminated, for thousands of rounds.
  if (error == EINTR) self.terminating = call.Terminating();
  return call.Number(error);
}

napi_value Run(VcpuFd& self, Call& call) {
  const auto promise = Napi::Promise::Deferred::New(call.env);
  if (promise.Promise().IsEmpty()) return nullptr;
  int error = !self.core || self.addon->ending ? EBADF : self.core->BeginRun() ? 0 : EBUSY;
  if (error == 0) {
    auto* job = new Completion{self.core, self.addon, promise, &self};
    napi_create_reference(call.env, call.self, 1, &job->self);
    self.pending = job;
    error = self.core->Start(job);
    if (error == 0) {
      self.addon->RunBegins();
      return promise.Promise();
    }
    self.pending = nullptr;
    napi_delete_reference(call.env, job->self);
    delete job;
    self.core->EndRun();
  }
  promise.Reject(call.MakeRefusal(error, "KVM_RUN"));
  return promise.Promise();
}

napi_value Kick(VcpuFd& self, Call& call) {
  if (!self.core) return call.Refuse(EBADF, "kick");
  self.core->Kick();
  return nullptr;
}

napi_value GetMpState(VcpuFd& self, Call& call) {
  kvm_mp_state state{};
  call.Issue<KVM_GET_MP_STATE>(self.fd(), &state);
  return call.failed() ? nullptr : call.Number(state.mp_state);
}

napi_value SetMpState(VcpuFd& self, Call& call) {
  kvm_mp_state state{call.Uint32(0, "state")};
  return call.Issue<KVM_SET_MP_STATE>(self.fd(), &state);
}

napi_value SetSignalMask(VcpuFd& self, Call& call) {
  constexpr size_t kMost = 128;
  // SAFETY: kvm_signal_mask is a length and the set's bytes after it.
  alignas(kvm_signal_mask) uint8_t mask[sizeof(kvm_signal_mask) + kMost] = {};
  auto* head = reinterpret_cast<kvm_signal_mask*>(mask);
  if (call.IsNull(0)) return call.Issue<KVM_SET_SIGNAL_MASK>(self.fd(), static_cast<kvm_signal_mask*>(nullptr));
  const Bytes set = call.Uint8s(0, "sigset", 0, kMost);
  if (call.failed()) return nullptr;
  head->len = static_cast<uint32_t>(set.length);
  if (set.length > 0) memcpy(head->sigset, set.data, set.length);
  // The kick's signal stays let in, or a run could not be ended.
  const int bit = KickSignal() - 1;
  head->sigset[bit / 8] &= static_cast<uint8_t>(~(1 << bit % 8));
  return call.Issue<KVM_SET_SIGNAL_MASK>(self.fd(), head);
}

napi_value DirtyRing(VcpuFd& self, Call& call) {
  const uint64_t bytes = call.Size(0, "bytes");
  if (call.failed()) return nullptr;
  VcpuCore& vcpu = *self.core.get();
  Lock lock(vcpu.mutex);
  if (!vcpu.ring) {
    Lock of_vm(vcpu.vm->mutex);
    // SAFETY: the kernel maps any length, but pages beyond the ring are SIGBUS.
    if (bytes == 0 || bytes > vcpu.vm->ring_bytes) return call.Refuse(EINVAL);
    vcpu.ring = Map(self.fd().number(), kDirtyRingPage * PageBytes(), bytes, PageBytes(), PROT_READ | PROT_WRITE,
                    MAP_SHARED);
    if (!vcpu.ring) return call.Refuse(errno);
  }
  return vcpu.ring->bytes == bytes ? Uint8sOver(call, vcpu.ring) : call.Refuse(EINVAL);
}

napi_value Close(VcpuFd& self, Call& call) {
  if (self.core && self.core->running()) return call.Refuse(EBUSY, "close");
  self.Release();
  return nullptr;
}

// The verbs of the hot loops: each vCPU has functions of its own for them, which know it without asking its JavaScript
// object, half of what a call costs (measured).
constexpr Row kHot[] = {
    {"getOneReg", "KVM_GET_ONE_REG", On<OneReg<KVM_GET_ONE_REG>>},
    {"setOneReg", "KVM_SET_ONE_REG", On<OneReg<KVM_SET_ONE_REG>>},
    {"runSync", nullptr, On<RunSync>},
};

template <size_t i>
napi_value EnterHot(napi_env env, napi_callback_info info) {
  Call call(env, info, kHot[i]);
  return call.failed() ? nullptr : Do(*static_cast<VcpuFd*>(call.data), call);
}

template <size_t i>
void AddHot(napi_env env, napi_value object, VcpuFd* vcpu) {
  napi_value function = nullptr;
  napi_create_function(env, kHot[i].method, NAPI_AUTO_LENGTH, EnterHot<i>, vcpu, &function);
  // SAFETY: the function keeps the object, whose finalizer deletes *vcpu, by a property that cannot be taken away.
  if (SetValue(env, function, "vcpu", object) != nullptr) SetValue(env, object, kHot[i].method, function);
}

}  // namespace

napi_value MakeVcpu(Call& call, const Ref<VcpuCore>& core) {
  auto* vcpu = new VcpuFd(call.addon(), core);
  napi_value object = call.addon()->Wrap(vcpu, VcpuFd::kClass);
  if (object == nullptr) return nullptr;
  SetValue(call.env, object, "token", Napi::BigInt::New(call.env, core->token));
  SetValue(call.env, object, "id", call.Number(core->id));
  AddHot<0>(call.env, object, vcpu);
  AddHot<1>(call.env, object, vcpu);
  AddHot<2>(call.env, object, vcpu);
  return SetValue(call.env, object, "runPage", Uint8sOver(call, core->page));
}

void Deliver(napi_env env, napi_value, void*, void* completion) {
  auto* job = static_cast<Completion*>(completion);
  job->core->EndRun();
  // Without an environment there is nobody to tell: it ends.
  if (env != nullptr) {
    // SAFETY: `self` has kept the owner.
    static_cast<VcpuFd*>(job->owner)->pending = nullptr;
    napi_delete_reference(env, job->self);
    job->addon->RunEnds();
    job->promise.Resolve(Napi::Number::New(env, job->error));
  }
  delete job;
}

bool DefineVcpuFd(Addon* addon, napi_value exports) {
  static constexpr Row kRows[] = {
      {"closed", nullptr, Closed},
      IOCTL("armVcpuInit", KVM_ARM_VCPU_INIT, Send, kvm_vcpu_init),
      {"armVcpuFinalize", "KVM_ARM_VCPU_FINALIZE", On<ArmVcpuFinalize>},
      {"getRegs", "KVM_GET_ONE_REG", On<Regs<KVM_GET_ONE_REG>>},
      {"setRegs", "KVM_SET_ONE_REG", On<Regs<KVM_SET_ONE_REG>>},
      {"getRegList", "KVM_GET_REG_LIST", On<GetRegList>},
      {"run", nullptr, On<Run>},
      {"kick", nullptr, On<Kick>},
      {"getMpState", "KVM_GET_MP_STATE", On<GetMpState>},
      {"setMpState", "KVM_SET_MP_STATE", On<SetMpState>},
      IOCTL("getVcpuEvents", KVM_GET_VCPU_EVENTS, Fill, kvm_vcpu_events),
      IOCTL("setVcpuEvents", KVM_SET_VCPU_EVENTS, Send, kvm_vcpu_events),
      IOCTL("setGuestDebug", KVM_SET_GUEST_DEBUG, Send, kvm_guest_debug),
      {"setSignalMask", "KVM_SET_SIGNAL_MASK", On<SetSignalMask>},
      {"dirtyRing", "mmap", On<DirtyRing>},
      {"readStats", "KVM_GET_STATS_FD", On<ReadStats<VcpuCore>>},
      DEVICE_ATTR_ROWS,
      {"close", nullptr, On<Close>},
  };
  return addon->Define<VcpuFd>("VcpuFd", kRows, exports);
}
