#include "call.h"

#include <sys/mman.h>

#include <cmath>
#include <cstdarg>
#include <cstdio>

namespace {

// SAFETY: the address of this array is the addon's own in this process, so that an object made by another copy of the
// addon, with another layout, is never taken for one of ours.
napi_type_tag tags[kClasses];

const napi_type_tag* TagOf(Class cls) {
  const auto index = static_cast<uint32_t>(cls);
  tags[index] = {reinterpret_cast<uintptr_t>(&tags[index]), 0x6b766d2d61726d36};
  return &tags[index];
}

napi_value Enter(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (call.failed()) return nullptr;
  Object* self = call.Unwrap(call.self(), call.row()->cls, "this");
  return self == nullptr ? nullptr : Do(*self, call);
}

}  // namespace

napi_value Do(Object& self, Call& call) {
  const Row* row = call.row();
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

napi_value Closed(Object& self, Call& call) { return call.Boolean(!self.fd().open()); }

uint32_t PageBytes() { return static_cast<uint32_t>(sysconf(_SC_PAGESIZE)); }

Object::Object(Addon* addon) : addon_(addon), next_(addon->objects), link_(&addon->objects) {
  if (next_ != nullptr) next_->link_ = &next_;
  addon->objects = this;
}

Object::~Object() {
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
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

void Addon::RunBegins() {
  if (runs_++ == 0) napi_ref_threadsafe_function(env, completions);
}

void Addon::RunEnds() {
  if (--runs_ == 0) napi_unref_threadsafe_function(env, completions);
}

napi_value Addon::Construct(napi_env env, napi_callback_info info) {
  size_t count = 0;
  napi_value self = nullptr;
  void* data = nullptr;
  if (napi_get_cb_info(env, info, &count, nullptr, &self, &data) != napi_ok) return nullptr;
  auto* addon = static_cast<Addon*>(data);
  Object* object = std::exchange(addon->constructing_, nullptr);
  if (object == nullptr) {
    napi_throw_type_error(env, nullptr, "the descriptors of kvm-arm64 are made by its verbs, not by new");
    return nullptr;
  }
  // SAFETY: from here on the JavaScript object owns `object`; the finalizer runs once, on this thread.
  const auto finalize = [](napi_env, void* wrapped, void*) { delete static_cast<Object*>(wrapped); };
  if (napi_type_tag_object(env, self, TagOf(addon->constructing_class_)) != napi_ok ||
      napi_wrap(env, self, object, finalize, nullptr, nullptr) != napi_ok) {
    addon->constructing_ = object;
  }
  return self;
}

napi_property_descriptor Addon::PropertyOf(const Row& row) {
  void* data = const_cast<Row*>(&row);
  if (row.body == Closed) return {row.method, nullptr, nullptr, Enter, nullptr, nullptr, napi_enumerable, data};
  return {row.method, nullptr, Enter, nullptr, nullptr, nullptr, napi_default_method, data};
}

bool Addon::Define(Class cls, const char* name, const napi_property_descriptor* rows, size_t count,
                   napi_value exports) {
  napi_value constructor = nullptr;
  return napi_define_class(env, name, NAPI_AUTO_LENGTH, Construct, this, count, rows, &constructor) == napi_ok &&
         napi_create_reference(env, constructor, 1, &constructors_[static_cast<uint32_t>(cls)]) == napi_ok &&
         SetValue(env, exports, name, constructor) != nullptr;
}

napi_value Addon::Wrap(Object* object, Class cls) {
  constructing_ = object;
  constructing_class_ = cls;
  napi_value constructor = nullptr;
  napi_value result = nullptr;
  napi_get_reference_value(env, constructors_[static_cast<uint32_t>(cls)], &constructor);
  const napi_status status = napi_new_instance(env, constructor, 0, nullptr, &result);
  if (constructing_ != nullptr) {
    delete std::exchange(constructing_, nullptr);
    return nullptr;
  }
  return status == napi_ok ? result : nullptr;
}

napi_value SetValue(napi_env env, napi_value object, const char* name, napi_value value) {
  if (value == nullptr) return nullptr;
  const napi_property_descriptor row = {name, nullptr, nullptr, nullptr, nullptr, value, napi_enumerable, nullptr};
  return napi_define_properties(env, object, 1, &row) == napi_ok ? object : nullptr;
}

Call::Call(napi_env env, napi_callback_info info) : env_(env) {
  size_t count = kMost;
  failed_ = napi_get_cb_info(env, info, &count, arguments_, &self_, &data_) != napi_ok;
  row_ = static_cast<const Row*>(data_);
}

Call::Call(napi_env env, napi_callback_info info, const Row& row) : Call(env, info) { row_ = &row; }

Addon* Call::addon() const {
  void* addon = nullptr;
  napi_get_instance_data(env_, &addon);
  return static_cast<Ref<Addon>*>(addon)->get();
}

Object* Call::Unwrap(napi_value value, Class cls, const char* name) {
  bool ours = false;
  void* object = nullptr;
  if (failed_) return nullptr;
  // SAFETY: only Addon::Construct puts this tag on an object, and only after it has an Object of that class to wrap.
  if (napi_check_object_type_tag(env_, value, TagOf(cls), &ours) != napi_ok || !ours ||
      napi_unwrap(env_, value, &object) != napi_ok) {
    WrongType("%s is not an object of this kind, made by this copy of kvm-arm64", name);
    return nullptr;
  }
  return static_cast<Object*>(object);
}

double Call::Integer(size_t index, const char* name, double least, double most) {
  double value = 0;
  if (failed_) return 0;
  if (napi_get_value_double(env_, arguments_[index], &value) != napi_ok) {
    WrongType("%s must be a number", name);
    return 0;
  }
  if (!(value >= least && value <= most) || value != std::trunc(value)) {
    OutOfRange("%s must be an integer from %.0f to %.0f, got %g", name, least, most, value);
    return 0;
  }
  return value;
}

uint64_t Call::Uint64(size_t index, const char* name) {
  uint64_t value = 0;
  bool lossless = false;
  if (failed_) return 0;
  if (napi_get_value_bigint_uint64(env_, arguments_[index], &value, &lossless) != napi_ok) {
    WrongType("%s must be a bigint", name);
    return 0;
  }
  if (!lossless) OutOfRange("%s must be an unsigned 64-bit value", name);
  return value;
}

Bytes Call::Array(size_t index, const char* name, napi_typedarray_type type, const char* kind) {
  napi_typedarray_type actual;
  size_t length = 0;
  void* data = nullptr;
  if (failed_) return {};
  // Asks for nothing but what is needed: a handle for the ArrayBuffer would cost.
  if (napi_get_typedarray_info(env_, arguments_[index], &actual, &length, &data, nullptr, nullptr) != napi_ok ||
      actual != type) {
    WrongType("%s must be a %s", name, kind);
    return {};
  }
  return {static_cast<uint8_t*>(data), length};
}

Bytes Call::Exactly(size_t index, const char* name, uint64_t length) {
  const Bytes bytes = Uint8s(index, name);
  if (!failed_ && bytes.length != length) OutOfRange("%s must be %lu bytes, got %zu", name, length, bytes.length);
  return bytes;
}

Bytes Call::AtLeast(size_t index, const char* name, uint64_t length) {
  const Bytes bytes = Uint8s(index, name);
  if (!failed_ && bytes.length < length) OutOfRange("%s must be %lu bytes, got %zu", name, length, bytes.length);
  return bytes;
}

bool Call::IsNull(size_t index) {
  napi_valuetype type = napi_undefined;
  return !failed_ && napi_typeof(env_, arguments_[index], &type) == napi_ok && type == napi_null;
}

bool Call::Terminating() {
  bool tagged = false;
  napi_value object = nullptr;
  // Any function that could run JavaScript fails then; this one does nothing else.
  return napi_create_object(env_, &object) != napi_ok ||
         napi_check_object_type_tag(env_, object, TagOf(Class::kVcpu), &tagged) != napi_ok;
}

napi_value Call::MakeRefusal(int error, const char* call) {
  char text[96];
  snprintf(text, sizeof text, "%s: errno %d", call, error);
  napi_value message = nullptr;
  napi_value result = nullptr;
  napi_value number = nullptr;
  napi_value name = nullptr;
  if (napi_create_string_utf8(env_, text, NAPI_AUTO_LENGTH, &message) != napi_ok ||
      napi_create_error(env_, nullptr, message, &result) != napi_ok ||
      napi_create_int32(env_, error, &number) != napi_ok ||
      napi_create_string_utf8(env_, call, NAPI_AUTO_LENGTH, &name) != napi_ok) {
    return nullptr;
  }
  SetValue(env_, result, "errno", number);
  return SetValue(env_, result, "call", name);
}

napi_value Call::Refuse(int error, const char* call) {
  failed_ = true;
  napi_value refusal = MakeRefusal(error, call);
  if (refusal != nullptr) napi_throw(env_, refusal);
  return nullptr;
}

napi_value Call::Slip(decltype(napi_throw_error)* thrower, const char* format, va_list values) {
  char text[160];
  failed_ = true;
  vsnprintf(text, sizeof text, format, values);
  thrower(env_, nullptr, text);
  return nullptr;
}

napi_value Call::WrongType(const char* format, ...) {
  va_list values;
  va_start(values, format);
  Slip(napi_throw_type_error, format, values);
  va_end(values);
  return nullptr;
}

napi_value Call::OutOfRange(const char* format, ...) {
  va_list values;
  va_start(values, format);
  Slip(napi_throw_range_error, format, values);
  va_end(values);
  return nullptr;
}

napi_value Call::Number(int64_t result) {
  if (result < 0) return Refuse(static_cast<int>(-result));
  napi_value number = nullptr;
  napi_create_int64(env_, result, &number);
  return number;
}

napi_value Call::Int32(int32_t value) {
  napi_value number = nullptr;
  napi_create_int32(env_, value, &number);
  return number;
}

napi_value Call::BigInt(uint64_t value) {
  napi_value number = nullptr;
  napi_create_bigint_uint64(env_, value, &number);
  return number;
}

napi_value Call::Boolean(bool value) {
  napi_value result = nullptr;
  napi_get_boolean(env_, value, &result);
  return result;
}
