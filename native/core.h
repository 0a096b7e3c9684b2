// What belongs to the process and not to one environment: VMs and vCPUs, found by token from any thread.
#pragma once

#include <sys/types.h>

#include "ioctl.h"
#include "mapping.h"
#include "ref.h"

// One VM or vCPU. `opens` JavaScript objects share it; the last that closes shuts it.
struct Core : public Counted {
  enum class Kind { kVm, kVcpu };
  Core(Kind kind, Fd fd) : kind(kind), fd(std::move(fd)) {}
  // Closes the descriptors. Called once.
  virtual void Shut() {}

  const Kind kind;
  Fd fd;
  Mutex mutex;
  // Of the binary statistics, once somebody has read them; under `mutex`.
  Fd stats;
  // The registry's.
  uint64_t token = 0;
  int opens = 0;
  Core* next = nullptr;
};

// SAFETY: everything in it is guarded by its mutex. It is never destroyed, so that a thread that outlives the main
// one at exit finds it whole. Lock order: registry, then vCPU; no other two locks are ever held together.
class Registry {
 public:
  static Registry& Get();

  // Gives a new core its token, and one open.
  void Add(Core* core);
  // One more open of the core of that token and kind; empty if there is none.
  Ref<Core> Attach(uint64_t token, Core::Kind kind);
  // One open less; the last one shuts the core.
  void Leave(const Ref<Core>& core);
  // Ends every KVM_RUN of the process, now and from now on.
  void EndRuns();
  std::atomic<bool> ended{false};

 private:
  Mutex mutex_;
  Core* cores_ = nullptr;
  uint64_t last_token_ = 0;
};

struct VmCore : public Core {
  static constexpr Kind kKind = Kind::kVm;
  VmCore(Fd fd, uint32_t run_bytes) : Core(kKind, std::move(fd)), run_bytes(run_bytes) {}
  ~VmCore() override;
  void Shut() override;

  // A memory slot that the kernel has. Its mapping outlives it: the kernel, a vCPU or a device may write there.
  struct Slot {
    Slot* next;
    uint32_t number;
    uint64_t bytes;
    Ref<Mapped> mapped;
  };
  // A guest_memfd, closed with the VM.
  struct Memfd {
    Memfd* next;
    Fd fd;
  };
  // Under `mutex`.
  Slot** Find(uint32_t number);
  void Remember(uint32_t number, uint64_t bytes, const Ref<Mapped>& mapped);

  const uint32_t run_bytes;
  Slot* slots = nullptr;
  Memfd* memfds = nullptr;
  uint64_t ring_bytes = 0;
};

struct Completion;

class VcpuCore : public Core {
 public:
  static constexpr Kind kKind = Kind::kVcpu;
  VcpuCore(Ref<VmCore> vm, Fd fd, uint32_t id, Ref<Mapped> page)
      : Core(kKind, std::move(fd)), vm(std::move(vm)), id(id), page(std::move(page)) {}
  void Shut() override;

  // A verb other than KVM_RUN: false while the vCPU is inside KVM_RUN, or has a run whose end is not yet told.
  bool BeginVerb();
  void EndVerb() { users_.fetch_sub(1, std::memory_order_release); }
  // KVM_RUN: false if it already runs. Waits for a verb in flight on another thread, which is short.
  bool BeginRun();
  void EndRun() { users_.store(0, std::memory_order_release); }
  bool running() const { return users_.load(std::memory_order_acquire) < 0; }

  // KVM_RUN on the calling thread, between BeginRun and EndRun: 0 or the positive errno.
  int Run();
  void Kick();

  // Hands `job` to the vCPU's own thread, starting it first if need be: 0 or a positive errno.
  int Start(Completion* job);
  // Ends the run of `job`, if the thread still has it, without telling anybody. True: nobody will; the caller deletes it.
  bool Abandon(Completion* job);

  const Ref<VmCore> vm;
  const uint32_t id;
  const Ref<Mapped> page;
  Ref<Mapped> ring;

 private:
  static void ThreadMain(void* core);
  uint8_t* immediate_exit() const;

  // How many verbs are in flight, or -1: a run.
  std::atomic<int> users_{0};
  // The thread that is inside KVM_RUN, or 0.
  std::atomic<pid_t> runner_{0};
  // A kick that no KVM_RUN has answered yet.
  std::atomic<bool> kicked_{false};
  // How many threads are in Kick().
  std::atomic<int> kicking_{0};
  // The vCPU's own thread; under mutex.
  Condition changed_;
  uv_thread_t thread_{};
  bool has_thread_ = false;
  bool quit_ = false;
  Completion* job_ = nullptr;
};

// One pending run().
struct Completion {
  const Ref<VcpuCore> core;
  const Ref<Addon> addon;
  const Napi::Promise::Deferred promise;
  // The VcpuFd, and its JavaScript half.
  Object* const owner;
  napi_ref self = nullptr;
  int error = 0;
  // The environment ends: tell nobody; under the core's mutex.
  bool abandoned = false;
};

// The kick's signal, or 0: nobody had one to spare.
int KickSignal();
