// The crossing from JavaScript: one Call for each call of a verb, which reads the arguments, notices the first that does
// not fit, and throws. Arguments are read by plain Node-API, which costs no handle scope and no allocation on the way to
// the kernel; what is made for JavaScript (values, errors, promises, views) is made by node-addon-api. Its ObjectWrap is
// not used: it takes what `this` is on trust and lets JavaScript construct.
#pragma once

#include <napi.h>

#include <cstdio>
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
  const char* method;
  const char* call;
  napi_value (*body)(Object& self, Call& call);
};
// The row of an ioctl that one of the templates below fits.
#define IOCTL(method, request, how, ...) {method, #request, how<request, ##__VA_ARGS__>}

// The C++ half of a JavaScript object. Deleted by the garbage collector, or at the end of its environment.
class Object {
 public:
  explicit Object(Addon* addon, Fd fd = Fd());
  virtual ~Object();
  Object(const Object&) = delete;
  // Gives back all that it holds of the kernel; harmless when repeated. Calls no JavaScript.
  virtual void Release() { own.Close(); }
  virtual const Fd& fd() const { return own; }
  // Around each call of the kernel: 0, or the errno that refuses it.
  virtual int Begin() { return fd().open() ? 0 : EBADF; }
  virtual void End() {}

  const Ref<Addon> addon;
  Object* next;

 protected:
  Fd own;

 private:
  Object** link_;
};

// What one environment (the main thread or a Worker) has of the addon.
class Addon : public Counted {
 public:
  explicit Addon(napi_env env) : env(env) {}
  ~Addon() override;

  // The class that the rows are of; false with an exception pending if that fails.
  template <class T, size_t count>
  bool Define(const char* name, const Row (&rows)[count], napi_value exports);
  // The JavaScript object of `object`, which it then owns; null with an exception pending if that fails.
  napi_value Wrap(Object* object, Class cls);
  // Where the last `bytes` bytes before an inaccessible page begin; null when out of memory.
  uint8_t* Edge(size_t bytes);
  // Keeps the event loop alive while a run is pending.
  void RunBegins() { if (runs_++ == 0) napi_ref_threadsafe_function(env, completions); }
  void RunEnds() { if (--runs_ == 0) napi_unref_threadsafe_function(env, completions); }

  const napi_env env;
  Object* objects = nullptr;
  napi_threadsafe_function completions = nullptr;
  napi_async_context polls_context = nullptr;
  // uv handles that are not closed yet, and, once the environment ends, the hook that waits for them.
  uint32_t open_polls = 0;
  napi_async_cleanup_hook_handle hook = nullptr;
  bool ending = false;

 private:
  static napi_value Construct(napi_env env, napi_callback_info info);

  napi_ref constructors_[kClasses] = {};
  Object* constructing_ = nullptr;
  Class constructing_class_ = Class::kSystem;
  uint32_t runs_ = 0;
  uint8_t* edge_ = nullptr;
};

inline uint32_t PageBytes() { return static_cast<uint32_t>(sysconf(_SC_PAGESIZE)); }

struct Bytes {
  uint8_t* data = nullptr;
  size_t length = 0;
};

class Call {
 public:
  Call(napi_env env, napi_callback_info info);
  // A call of a function that is bound to one object (MakeVcpu).
  Call(napi_env env, napi_callback_info info, const Row& bound) : Call(env, info) { row = &bound; }

  const napi_env env;
  // What the function was made with: the row, or the object that it is bound to.
  void* data = nullptr;
  const Row* row = nullptr;
  napi_value self = nullptr;

  Addon* addon() const { return Napi::Env(env).GetInstanceData<Ref<Addon>>()->get(); }
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
  Bytes Uint8s(size_t index, const char* name, uint64_t least = 0, uint64_t most = SIZE_MAX);
  Bytes Exactly(size_t index, const char* name, uint64_t length) { return Uint8s(index, name, length, length); }
  bool IsNull(size_t index) { return !failed_ && Napi::Value(env, arguments_[index]).IsNull(); }
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
  napi_value MakeRefusal(int error, const char* call);
  napi_value Refuse(int error, const char* call);
  napi_value Refuse(int error) { return Refuse(error, row->call); }
  // The caller's slip: a TypeError or RangeError.
  template <class Error>
  [[gnu::format(printf, 2, 3)]] napi_value Slip(const char* format, ...) {
    char text[160];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    failed_ = true;
    Error::New(env, text).ThrowAsJavaScriptException();
    return nullptr;
  }

  // The ioctl, unless an argument failed: refused, or nothing.
  template <uint32_t request, class T>
  napi_value Issue(const Fd& fd, T* argument) {
    return failed_ ? nullptr : Done(Ioctl<request>(fd, argument));
  }
  napi_value Done(int result) { return result < 0 ? Refuse(-result) : nullptr; }
  napi_value Number(int64_t result);

 private:
  double Integer(size_t index, const char* name, double least, double most);

  static constexpr size_t kMost = 8;
  napi_value arguments_[kMost];
  bool failed_ = false;
};

// A function on one class of objects, as a row has it. SAFETY: Enter has checked the tag of the class that has the row.
template <class T>
T ClassOf(napi_value (*)(T&, Call&));
template <auto body>
napi_value On(Object& self, Call& call) {
  return body(static_cast<decltype(ClassOf(body))&>(self), call);
}

// An ioctl that takes nothing; that gives a number, of nothing or of a number; that reads one structure.
template <uint32_t request>
napi_value Plain(Object& self, Call& call) {
  return call.Done(Ioctl<request>(self.fd()));
}
template <uint32_t request>
napi_value Ask(Object& self, Call& call) {
  return call.Number(Ioctl<request>(self.fd()));
}
template <uint32_t request>
napi_value AskOf(Object& self, Call& call) {
  const uint32_t what = call.Uint32(0, "argument");
  return call.failed() ? nullptr : call.Number(Ioctl<request>(self.fd(), what));
}
template <uint32_t request, class T>
napi_value Send(Object& self, Call& call) {
  auto argument = call.Struct<T>(0, "argument");
  return call.Issue<request>(self.fd(), &argument);
}
// An ioctl that fills one structure.
template <uint32_t request, class T>
napi_value Fill(Object& self, Call& call) {
  T argument{};
  const Bytes into = call.Exactly(0, "argument", sizeof argument);
  call.Issue<request>(self.fd(), &argument);
  if (!call.failed()) memcpy(into.data, &argument, sizeof argument);
  return nullptr;
}

// A read-only property of one object. Gives the object, or null with an exception pending; takes such a null too.
napi_value SetValue(napi_env env, napi_value object, const char* name, napi_value value);

// What the row of a call says, on `self`.
napi_value Do(Object& self, Call& call);
napi_value Release(Object& self, Call& call);
inline napi_value Closed(Object& self, Call& call) { return Napi::Boolean::New(call.env, !self.fd().open()); }

template <Class cls>
napi_value Enter(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Object* self = call.Unwrap(call.self, cls, "this");
  return self == nullptr ? nullptr : Do(*self, call);
}

template <class T, size_t count>
bool Addon::Define(const char* name, const Row (&rows)[count], napi_value exports) {
  napi_property_descriptor properties[count] = {};
  for (size_t i = 0; i < count; i++) {
    const bool getter = rows[i].body == Closed;
    properties[i].utf8name = rows[i].method;
    (getter ? properties[i].getter : properties[i].method) = Enter<T::kClass>;
    properties[i].attributes = getter ? napi_enumerable : napi_default_method;
    properties[i].data = const_cast<Row*>(&rows[i]);
  }
  napi_value constructor = nullptr;
  return napi_define_class(env, name, NAPI_AUTO_LENGTH, Construct, this, count, properties, &constructor) == napi_ok &&
         napi_create_reference(env, constructor, 1, &constructors_[static_cast<uint32_t>(T::kClass)]) == napi_ok &&
         SetValue(env, exports, name, constructor) != nullptr;
}
