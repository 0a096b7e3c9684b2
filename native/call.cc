#include "call.h"

#include <sys/mman.h>

#include <cmath>

namespace {

// SAFETY: the address of this array is the addon's own in this process, so that an object made by another copy of the
// addon, with another layout, is never taken for one of ours.
const char tags[kClasses] = {};

napi_type_tag TagOf(Class cls) {
  return {reinterpret_cast<uintptr_t>(&tags[static_cast<uint32_t>(cls)]), 0x6b766d2d61726d36};
}

}  // namespace

napi_value Do(Object& self, Call& call) {
  const Row* row = call.row;
  if (row->call == nullptr) return row->body(self, call);
  const int refused = self.Begin();
  if (refused != 0) return call.Refuse(refused);
  napi_value result = row->body(self, call);
  self.End();
  return result;
}

napi_value Release(Object& self, Call&) {
  self.Release();
  return nullptr;
}

Object::Object(Addon* addon, Fd fd) : addon(addon), next(addon->objects), own(std::move(fd)), link_(&addon->objects) {
  if (next != nullptr) next->link_ = &next;
  addon->objects = this;
}

Object::~Object() {
  *link_ = next;
  if (next != nullptr) next->link_ = link_;
}

Addon::~Addon() {
  if (edge_ != nullptr) munmap(edge_ - PageBytes(), 2 * PageBytes());
}

uint8_t* Addon::Edge(size_t bytes) {
  if (edge_ == nullptr) {
    const size_t page = PageBytes();
    void* pages = mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return nullptr;
    edge_ = static_cast<uint8_t*>(pages) + page;
    if (mprotect(edge_, page, PROT_NONE) != 0) return nullptr;
  }
  return edge_ - bytes;
}

napi_value Addon::Construct(napi_env env, napi_callback_info info) {
  Call call(env, info);
  auto* addon = static_cast<Addon*>(call.data);
  Object* object = std::exchange(addon->constructing_, nullptr);
  if (object == nullptr) {
    return call.Slip<Napi::TypeError>("the descriptors of kvm-arm64 are made by its verbs, not by new");
  }
  const napi_type_tag tag = TagOf(addon->constructing_class_);
  // SAFETY: from here on the JavaScript object owns `object`; the finalizer runs once, on this thread.
  const auto finalize = [](napi_env, void* wrapped, void*) { delete static_cast<Object*>(wrapped); };
  if (napi_type_tag_object(env, call.self, &tag) != napi_ok ||
      napi_wrap(env, call.self, object, finalize, nullptr, nullptr) != napi_ok) {
    addon->constructing_ = object;
  }
  return call.self;
}

napi_value Addon::Wrap(Object* object, Class cls) {
  constructing_ = object;
  constructing_class_ = cls;
  napi_value constructor = nullptr;
  napi_value result = nullptr;
  napi_get_reference_value(env, constructors_[static_cast<uint32_t>(cls)], &constructor);
  napi_new_instance(env, constructor, 0, nullptr, &result);
  // Still there if that failed.
  delete std::exchange(constructing_, nullptr);
  return result;
}

napi_value SetValue(napi_env env, napi_value object, const char* name, napi_value value) {
  if (value == nullptr) return nullptr;
  const napi_property_descriptor row = {name, nullptr, nullptr, nullptr, nullptr, value, napi_enumerable, nullptr};
  return napi_define_properties(env, object, 1, &row) == napi_ok ? object : nullptr;
}

Call::Call(napi_env env, napi_callback_info info) : env(env) {
  size_t count = kMost;
  failed_ = napi_get_cb_info(env, info, &count, arguments_, &self, &data) != napi_ok;
  row = static_cast<const Row*>(data);
}

Object* Call::Unwrap(napi_value value, Class cls, const char* name) {
  bool ours = false;
  void* object = nullptr;
  const napi_type_tag tag = TagOf(cls);
  if (failed_) return nullptr;
  // SAFETY: only Addon::Construct puts this tag on an object, and only after it has an Object of that class to wrap.
  if (napi_check_object_type_tag(env, value, &tag, &ours) != napi_ok || !ours ||
      napi_unwrap(env, value, &object) != napi_ok) {
    Slip<Napi::TypeError>("%s is not an object of this kind, made by this copy of kvm-arm64", name);
  }
  return static_cast<Object*>(object);
}

double Call::Integer(size_t index, const char* name, double least, double most) {
  double value = 0;
  if (failed_) return 0;
  if (napi_get_value_double(env, arguments_[index], &value) != napi_ok) {
    Slip<Napi::TypeError>("%s must be a number", name);
    return 0;
  }
  if (value >= least && value <= most && value == std::trunc(value)) return value;
  Slip<Napi::RangeError>("%s must be an integer from %.0f to %.0f, got %g", name, least, most, value);
  return 0;
}

uint64_t Call::Uint64(size_t index, const char* name) {
  uint64_t value = 0;
  bool lossless = false;
  if (failed_) return 0;
  if (napi_get_value_bigint_uint64(env, arguments_[index], &value, &lossless) != napi_ok) {
    Slip<Napi::TypeError>("%s must be a bigint", name);
    return 0;
  }
  if (!lossless) Slip<Napi::RangeError>("%s must be an unsigned 64-bit value", name);
  return value;
}

Bytes Call::Array(size_t index, const char* name, napi_typedarray_type type, const char* kind) {
  napi_typedarray_type actual;
  size_t length = 0;
  void* data = nullptr;
  if (failed_) return {};
  // Asks for nothing but what is needed: a handle for the ArrayBuffer would cost.
  if (napi_get_typedarray_info(env, arguments_[index], &actual, &length, &data, nullptr, nullptr) != napi_ok ||
      actual != type) {
    Slip<Napi::TypeError>("%s must be a %s", name, kind);
    return {};
  }
  return {static_cast<uint8_t*>(data), length};
}

Bytes Call::Uint8s(size_t index, const char* name, uint64_t least, uint64_t most) {
  const Bytes bytes = Array(index, name, napi_uint8_array, "Uint8Array");
  if (failed_ || (bytes.length >= least && bytes.length <= most)) return bytes;
  const bool more = bytes.length < least;
  Slip<Napi::RangeError>("%s must be at %s %lu bytes, got %zu", name, more ? "least" : "most", more ? least : most,
                         bytes.length);
  return {};
}

bool Call::Terminating() {
  bool same = false;
  // Any function that could run JavaScript fails then; this one does nothing else.
  return napi_strict_equals(env, self, self, &same) != napi_ok;
}

napi_value Call::MakeRefusal(int error, const char* call) {
  char text[96];
  snprintf(text, sizeof text, "%s: errno %d", call, error);
  napi_value refusal = Napi::Error::New(env, text).Value();
  SetValue(env, refusal, "errno", Napi::Number::New(env, error));
  return SetValue(env, refusal, "call", Napi::String::New(env, call));
}

napi_value Call::Refuse(int error, const char* call) {
  failed_ = true;
  napi_value refusal = MakeRefusal(error, call);
  if (refusal != nullptr) napi_throw(env, refusal);
  return nullptr;
}

napi_value Call::Number(int64_t result) {
  if (result < 0) return Refuse(static_cast<int>(-result));
  napi_value number = nullptr;
  napi_create_int64(env, result, &number);
  return number;
}
