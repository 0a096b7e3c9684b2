// Shared ownership and locks. Written here, on libuv, because std::shared_ptr and std::mutex would bind the addon to the
// libstdc++ and the glibc of the machine that built it: of C++ it uses what is wholly in headers.
#pragma once

#include <uv.h>

#include <atomic>
#include <utility>

// Base of what several threads own together. The last Ref deletes it.
class Counted {
 public:
  Counted() = default;
  Counted(const Counted&) = delete;
  virtual ~Counted() = default;

 private:
  template <class T>
  friend class Ref;
  std::atomic<int> refs_{0};
};

template <class T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* target) : target_(target) {
    if (target_ != nullptr) target_->refs_.fetch_add(1, std::memory_order_relaxed);
  }
  Ref(const Ref& other) : Ref(other.target_) {}
  Ref(Ref&& other) noexcept : target_(std::exchange(other.target_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(target_, other.target_);
    return *this;
  }
  ~Ref() {
    // SAFETY: the last owner deletes; acq_rel makes every other owner's writes visible to the destructor.
    if (target_ != nullptr && target_->refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete target_;
  }

  T* get() const { return target_; }
  T* operator->() const { return target_; }
  explicit operator bool() const { return target_ != nullptr; }

 private:
  T* target_ = nullptr;
};

struct Mutex {
  Mutex() { uv_mutex_init(&raw); }
  Mutex(const Mutex&) = delete;
  ~Mutex() { uv_mutex_destroy(&raw); }
  uv_mutex_t raw;
};

struct Lock {
  explicit Lock(Mutex& mutex) : mutex(mutex) { uv_mutex_lock(&mutex.raw); }
  Lock(const Lock&) = delete;
  ~Lock() { uv_mutex_unlock(&mutex.raw); }
  Mutex& mutex;
};

struct Condition {
  Condition() { uv_cond_init(&raw); }
  Condition(const Condition&) = delete;
  ~Condition() { uv_cond_destroy(&raw); }
  void Wait(Mutex& held) { uv_cond_wait(&raw, &held.raw); }
  void WakeAll() { uv_cond_broadcast(&raw); }
  uv_cond_t raw;
};
