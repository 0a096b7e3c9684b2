#include "core.h"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include <cstddef>

namespace {

Registry* const registry = new Registry;

// kvm_run.immediate_exit: bit 0 is the user's, this one is the kick's; the kernel asks only whether the byte is 0.
constexpr uint8_t kKicked = 0x80;

// SAFETY: does nothing at all, so it is async-signal-safe; the signal only has to interrupt KVM_RUN.
void Ignore(int) {}

// Finds a signal that nobody uses and installs a handler that does nothing.
int ClaimSignal() {
  for (int number = SIGRTMIN; number <= SIGRTMAX; number++) {
    struct sigaction now = {}, ours = {};
    if (sigaction(number, nullptr, &now) != 0 || now.sa_handler != SIG_DFL || (now.sa_flags & SA_SIGINFO)) continue;
    ours.sa_handler = Ignore;
    // SAFETY: no SA_RESTART, since KVM_RUN must return EINTR. Only threads inside KVM_RUN are ever sent the signal.
    if (sigaction(number, &ours, nullptr) != 0) continue;
    return number;
  }
  return 0;
}

const int kick_signal = ClaimSignal();

// The mask of the calling thread, by the system call: pthread_sigmask has no symbol version that all glibc share.
void SetMask(int how, uint64_t mask) { syscall(SYS_rt_sigprocmask, how, &mask, nullptr, sizeof mask); }

uint64_t Bit(int signal) { return 1ull << (signal - 1); }

// The number of the calling thread; makes sure that the thread lets the kick's signal in.
pid_t ThisThread() {
  static thread_local pid_t number = 0;
  if (number == 0) {
    number = static_cast<pid_t>(syscall(SYS_gettid));
    SetMask(SIG_UNBLOCK, Bit(kick_signal));
  }
  return number;
}

}  // namespace

int KickSignal() { return kick_signal; }

Registry& Registry::Get() { return *registry; }

void Registry::Add(Core* core) {
  Lock lock(mutex_);
  core->token = ++last_token_;
  core->opens = 1;
  core->next = cores_;
  cores_ = core;
}

Ref<Core> Registry::Attach(uint64_t token, Core::Kind kind) {
  Lock lock(mutex_);
  for (Core* core = cores_; core != nullptr; core = core->next) {
    if (core->token != token || core->kind != kind) continue;
    core->opens++;
    return Ref<Core>(core);
  }
  return Ref<Core>();
}

void Registry::Leave(const Ref<Core>& core) {
  {
    Lock lock(mutex_);
    if (--core->opens > 0) return;
    Core** link = &cores_;
    while (*link != core.get()) link = &(*link)->next;
    *link = core->next;
  }
  // SAFETY: no open is left and none can be made, so no other thread uses the descriptors.
  core->Shut();
}

void Registry::EndRuns() {
  Lock lock(mutex_);
  ended.store(true);
  for (Core* core = cores_; core != nullptr; core = core->next)
    if (core->kind == VcpuCore::kKind) static_cast<VcpuCore*>(core)->Kick();
}

VmCore::~VmCore() {
  while (slots != nullptr) delete std::exchange(slots, slots->next);
}

void VmCore::Shut() {
  // The slots stay: a vCPU or device that is still open keeps the kernel's VM, which writes to their memory.
  stats.Close();
  fd.Close();
  while (memfds != nullptr) delete std::exchange(memfds, memfds->next);
}

VmCore::Slot** VmCore::Find(uint32_t number) {
  Slot** link = &slots;
  while (*link != nullptr && (*link)->number != number) link = &(*link)->next;
  return link;
}

void VmCore::Remember(uint32_t number, uint64_t bytes, const Ref<Mapped>& mapped) {
  Slot** link = Find(number);
  if (bytes == 0) {
    if (*link != nullptr) delete std::exchange(*link, (*link)->next);
    return;
  }
  if (*link == nullptr) *link = new Slot{nullptr, number, 0, {}};
  (*link)->bytes = bytes;
  (*link)->mapped = mapped;
}

void VcpuCore::Shut() {
  bool join = false;
  {
    Lock lock(mutex);
    quit_ = true;
    join = has_thread_;
    changed_.WakeAll();
  }
  // SAFETY: nobody can run the vCPU any more, so its thread is waiting for work and leaves at once.
  if (join) uv_thread_join(&thread_);
  stats.Close();
  fd.Close();
  // Mappings of the descriptor would keep the kernel's VM alive for as long as a view of them is.
  page->Blank();
  if (ring) ring->Blank();
}

bool VcpuCore::BeginVerb() {
  int users = users_.load(std::memory_order_relaxed);
  do {
    if (users < 0) return false;
  } while (!users_.compare_exchange_weak(users, users + 1, std::memory_order_acquire));
  return true;
}

bool VcpuCore::BeginRun() {
  int none = 0;
  while (!users_.compare_exchange_weak(none, -1, std::memory_order_acquire)) {
    if (none < 0) return false;
    if (none > 0) sched_yield();
    none = 0;
  }
  return true;
}

uint8_t* VcpuCore::immediate_exit() const { return page->address + offsetof(kvm_run, immediate_exit); }

// Run and Kick meet without a lock, which the MMIO loop would feel. Between what each writes and what it then reads lies
// a full barrier: either Kick sees runner_, or Run sees what Kick wrote before it looked. (Sequentially consistent stores
// and loads alone would do on hardware, but emulators let a later load pass such a store.)
int VcpuCore::Run() {
  runner_.store(ThisThread());
  std::atomic_thread_fence(std::memory_order_seq_cst);
  int error = EINTR;
  if (!Registry::Get().ended.load()) {
    // JavaScript writes this byte too and may have wiped the kick's bit.
    if (kicked_.load()) __atomic_fetch_or(immediate_exit(), kKicked, __ATOMIC_SEQ_CST);
    error = -Ioctl<KVM_RUN>(fd);
  }
  runner_.store(0);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  // SAFETY: a kick that saw runner_ has sent its signal before this thread goes on, so no dead thread is signalled.
  while (kicking_.load() != 0) sched_yield();
  if (error != EINTR) return error > 0 ? error : 0;
  kicked_.store(false);
  __atomic_fetch_and(immediate_exit(), static_cast<uint8_t>(~kKicked), __ATOMIC_SEQ_CST);
  return EINTR;
}

void VcpuCore::Kick() {
  kicking_.fetch_add(1);
  kicked_.store(true);
  // SAFETY: the page is mapped as long as this object lives. The bit comes before the signal: a thread that has not yet
  // entered the kernel finds it there, one that has is interrupted; no kick falls between.
  __atomic_fetch_or(immediate_exit(), kKicked, __ATOMIC_SEQ_CST);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const pid_t runner = runner_.load();
  if (runner != 0) syscall(SYS_tgkill, getpid(), runner, kick_signal);
  kicking_.fetch_sub(1);
}

int VcpuCore::Start(Completion* job) {
  Lock lock(mutex);
  if (!has_thread_) {
    // SAFETY: the thread uses this object until it is joined in Shut(), which every core in the registry comes to.
    const int error = uv_thread_create(&thread_, ThreadMain, this);
    if (error != 0) return -error;
    has_thread_ = true;
  }
  job_ = job;
  changed_.WakeAll();
  return 0;
}

bool VcpuCore::Abandon(Completion* job) {
  {
    Lock lock(mutex);
    if (job_ != job) return job->abandoned;
    job->abandoned = true;
  }
  Kick();
  Lock lock(mutex);
  while (job_ == job) changed_.Wait(mutex);
  return true;
}

void VcpuCore::ThreadMain(void* data) {
  auto* core = static_cast<VcpuCore*>(data);
  // SAFETY: signals of the process are for other threads: this one takes the kick's and glibc's own two, which
  // setuid(2) and its like send to every thread.
  SetMask(SIG_SETMASK, ~(Bit(kick_signal) | Bit(32) | Bit(33) | Bit(34)));
  for (;;) {
    Completion* job = nullptr;
    {
      Lock lock(core->mutex);
      while (core->job_ == nullptr && !core->quit_) core->changed_.Wait(core->mutex);
      if (core->job_ == nullptr) return;
      job = core->job_;
    }
    job->error = core->Run();
    Lock lock(core->mutex);
    core->job_ = nullptr;
    core->changed_.WakeAll();
    // SAFETY: while job_ is this job and the job is not abandoned, its environment has not ended (its Abandon waits
    // for this lock), so the threadsafe function is alive. Once called, the job belongs to the environment's thread.
    if (!job->abandoned && napi_call_threadsafe_function(job->addon->completions, job, napi_tsfn_nonblocking) == napi_ok)
      continue;
    core->EndRun();
    // Its environment deletes an abandoned job.
    job->abandoned = true;
  }
}
