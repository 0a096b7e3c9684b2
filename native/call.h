// The crossing from JavaScript: one Call for each call of a verb, which reads the arguments, notices the first that
// does not fit, and throws. Plain Node-API rather than node-addon-api: no C++ exceptions, and no handle scope or
// allocation on the way to the kernel.
#pragma once

#include <node_api.h>

#include <cstdarg>
#include <cstdint>
#include <cstring>

#include "ioctl.h"
#include "ref.h"

enum class Class : uint32_t { kSystem, kVm, kVcpu, kDevice, kEventFd, kMapping };
inline constexpr size_t kClasses = 6;

class Addon;
class Call;
class Object;

// One method or getter of a class: its name, the call that its refusals name, and what it does. Without a call it is
// done whatever the state of the descriptor.
struct Row {
  Class cls;
  const char* method;
  const char* call;
  napi_value (*body)(Object& self, Call& call);
};

// The C++ half of a JavaScript object. Deleted by the garbage collector, or at the end of its environment.
class Object : public Allocated {
 public:
  explicit Object(Addon* addon);
  virtual ~Object();
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  // Gives back all that it holds of the kernel; harmless when repeated. Calls no JavaScript.
  virtual void Release() {}
  virtual const Fd& fd() const { return none_; }
  // Around each call of the kernel: 0, or the errno that refuses it.
  virtual int Begin() { return fd().open() ? 0 : EBADF; }
  virtual void End() {}

  Addon* addon() const { return addon_.get(); }
  Object* next() const { return next_; }

 protected:
  const Fd none_;

 private:
  Ref<Addon> addon_;
  Object* next_;
  Object** link_;
};

// What one environment (the main thread or a Worker) has of the addon.
class Addon : public Counted {
 public:
  explicit Addon(napi_env env) : env(env) {}
  ~Addon() override;

  // The class that the rows are of.
  template <size_t count>
  bool Define(const char* name, const Row (&rows)[count], napi_value exports) {
    napi_property_descriptor properties[count] = {};
    for (size_t i = 0; i < count; i++) properties[i] = PropertyOf(rows[i]);
    return Define(rows[0].cls, name, properties, count, exports);
  }
  // The JavaScript object of `object`, which it then owns; null with an exception pending if that fails.
  napi_value Wrap(Object* object, Class cls);
  // Where the last `bytes` bytes before an inaccessible page begin; null when out of memory.
  uint8_t* Edge(size_t bytes);
  // Keeps the event loop alive while a run is pending.
  void RunBegins();
  void RunEnds();

  const napi_env env;
  Object* objects = nullptr;
  napi_threadsafe_function completions = nullptr;
  napi_async_context polls_context = nullptr;
  // uv handles that are not closed yet, and the hook that waits for them.
  uint32_t open_polls = 0;
  napi_async_cleanup_hook_handle hook = nullptr;
  bool ending = false;

 private:
  static napi_value Construct(napi_env env, napi_callback_info info);
  static napi_property_descriptor PropertyOf(const Row& row);
  bool Define(Class cls, const char* name, const napi_property_descriptor* rows, size_t count, napi_value exports);

  napi_ref constructors_[kClasses] = {};
  Object* constructing_ = nullptr;
  Class constructing_class_ = Class::kSystem;
  uint32_t runs_ = 0;
  uint8_t* edge_ = nullptr;
};

uint32_t PageBytes();

struct Bytes {
  uint8_t* data = nullptr;
  size_t length = 0;
};

class Call {
 public:
  Call(napi_env env, napi_callback_info info);
  // A call of a function that is bound to one object (VcpuFd::Make).
  Call(napi_env env, napi_callback_info info, const Row& row);

  napi_env env() const { return env_; }
  Addon* addon() const;
  // What the function was made with: the row, or the object that it is bound to.
  void* data() const { return data_; }
  napi_value self() const { return self_; }
  const Row* row() const { return row_; }
  // An exception is pending: return null to JavaScript.
  bool failed() const { return failed_; }

  uint32_t Uint32(size_t index, const char* name) { return static_cast<uint32_t>(Integer(index, name, 0, UINT32_MAX)); }
  int32_t Int32(size_t i, const char* name) { return static_cast<int32_t>(Integer(i, name, INT32_MIN, INT32_MAX)); }
  // A number that is a safe integer from 0.
  uint64_t Size(size_t index, const char* name) {
    return static_cast<uint64_t>(Integer(index, name, 0, 9007199254740991.0));
  }
  // A bigint of 64 bits, unsigned.
  uint64_t Uint64(size_t index, const char* name);
  // A typed array of that kind; `length` counts elements. SAFETY: the bytes stay where they are until this call
  // returns, since neither the addon nor Node-API runs JavaScript or collects garbage in between.
  Bytes Array(size_t index, const char* name, napi_typedarray_type type, const char* kind);
  Bytes Uint8s(size_t index, const char* name) { return Array(index, name, napi_uint8_array, "Uint8Array"); }
  Bytes Exactly(size_t index, const char* name, uint64_t length);
  Bytes AtLeast(size_t index, const char* name, uint64_t length);
  bool IsNull(size_t index);
  template <class T>
  T Struct(size_t index, const char* name) {
    T value{};
    const Bytes bytes = Exactly(index, name, sizeof(T));
    if (!failed_) memcpy(&value, bytes.data, sizeof(T));
    return value;
  }
  Object* Unwrap(napi_value value, Class cls, const char* name);
  napi_value argument(size_t index) const { return arguments_[index]; }

  // The environment runs no more JavaScript.
  bool Terminating();

  // The kernel's no: an Error with `errno` and `call`.
  napi_value Refuse(int error, const char* call);
  napi_value Refuse(int error) { return Refuse(error, row_->call); }
  napi_value MakeRefusal(int error, const char* call);
  // The caller's slip.
  [[gnu::format(printf, 2, 3)]] napi_value WrongType(const char* format, ...);
  [[gnu::format(printf, 2, 3)]] napi_value OutOfRange(const char* format, ...);

  // The ioctl, unless an argument failed: refused, or nothing; or the number that it gives.
  template <class T>
  napi_value Issue(const Request<T>& request, const Fd& fd, T* argument) {
    return failed_ ? nullptr : Done(Ioctl(request, fd, argument));
  }
  template <class T>
  napi_value Count(const Request<T>& request, const Fd& fd, T* argument) {
    return failed_ ? nullptr : Number(Ioctl(request, fd, argument));
  }
  napi_value Done(int result) { return result < 0 ? Refuse(-result) : nullptr; }
  napi_value Number(int64_t result);
  napi_value Int32(int32_t value);
  napi_value BigInt(uint64_t value);
  napi_value Boolean(bool value);

 private:
  napi_value Slip(decltype(napi_throw_error)* thrower, const char* format, va_list values);
  double Integer(size_t index, const char* name, double least, double most);

  static constexpr size_t kMost = 8;
  napi_env env_;
  void* data_ = nullptr;
  const Row* row_ = nullptr;
  napi_value self_ = nullptr;
  napi_value arguments_[kMost];
  bool failed_ = false;
};

// A function on one class of objects, as a row has it. SAFETY: Unwrap has checked the tag of the row's class.
template <class T, napi_value (*body)(T&, Call&)>
napi_value On(Object& self, Call& call) {
  return body(static_cast<T&>(self), call);
}

// An ioctl that takes nothing, or one structure that the kernel reads, or gives a number.
template <const auto& request>
napi_value Plain(Object& self, Call& call) {
  return call.Done(Ioctl(request, self.fd()));
}
template <const auto& request>
napi_value Ask(Object& self, Call& call) {
  return call.Number(Ioctl(request, self.fd()));
}
template <const auto& request>
using ArgumentOf = typename std::decay_t<decltype(request)>::Argument;
template <const auto& request>
napi_value Send(Object& self, Call& call) {
  auto argument = call.Struct<ArgumentOf<request>>(0, "argument");
  return call.Issue(request, self.fd(), &argument);
}
// An ioctl that fills one structure.
template <const auto& request>
napi_value Fill(Object& self, Call& call) {
  ArgumentOf<request> argument{};
  const Bytes into = call.Exactly(0, "argument", sizeof argument);
  call.Issue(request, self.fd(), &argument);
  if (!call.failed()) memcpy(into.data, &argument, sizeof argument);
  return nullptr;
}

// What the row of a call says, on `self`.
napi_value Do(Object& self, Call& call);
napi_value Release(Object& self, Call& call);
napi_value Closed(Object& self, Call& call);

// A read-only property of one object.
napi_value SetValue(napi_env env, napi_value object, const char* name, napi_value value);
