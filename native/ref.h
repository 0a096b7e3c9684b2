// Memory, shared ownership and locks. Written here, on malloc and libuv, because those of the standard library would bind
// the addon to the libstdc++ and the glibc of the machine that built it: of C++ it uses what is in headers only.
#pragma once

#include <uv.h>

#include <atomic>
#include <cstdlib>
#include <utility>

// Base of all that is made by new.
struct Allocated {
  // SAFETY: an addon out of memory for objects of some hundred bytes cannot go on; abort as Node itself does.
  static void* operator new(size_t bytes) {
    void* memory = malloc(bytes);
    if (memory == nullptr) abort();
    return memory;
  }
  static void operator delete(void* memory) { free(memory); }
};

// Base of what several threads own together. The last Ref deletes it.
class Counted : public Allocated {
 public:
  Counted() = default;
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  virtual ~Counted() = default;

 private:
  template <class T>
  friend class Ref;
  std::atomic<int> refs_{0};
};

template <class T>
class Ref : public Allocated {
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

class Mutex {
 public:
  Mutex() { uv_mutex_init(&mutex_); }
  ~Mutex() { uv_mutex_destroy(&mutex_); }
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;
  uv_mutex_t* raw() { return &mutex_; }

 private:
  uv_mutex_t mutex_;
};

class Lock {
 public:
  explicit Lock(Mutex& mutex) : mutex_(mutex) { uv_mutex_lock(mutex_.raw()); }
  ~Lock() { uv_mutex_unlock(mutex_.raw()); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  Mutex& mutex_;
};

class Condition {
 public:
  Condition() { uv_cond_init(&condition_); }
  ~Condition() { uv_cond_destroy(&condition_); }
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;
  void Wait(Mutex& held) { uv_cond_wait(&condition_, held.raw()); }
  void WakeAll() { uv_cond_broadcast(&condition_); }

 private:
  uv_cond_t condition_;
};
