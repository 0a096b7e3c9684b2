// The module's entry: what one environment gets, and what happens when it ends.
#include <cstdlib>

#include "fds.h"

// SAFETY: an addon out of memory for objects of some hundred bytes cannot go on; abort as Node itself does.
// Defined here, on malloc, so that the addon needs no C++ runtime.
void* operator new(size_t bytes) {
  void* memory = malloc(bytes);
  if (memory == nullptr) abort();
  return memory;
}
void operator delete(void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }

namespace {

// The environment ends: runs are ended, descriptors closed, JavaScript no longer called.
void End(napi_async_cleanup_hook_handle handle, void* data) {
  auto* addon = static_cast<Addon*>(data);
  addon->ending = true;
  for (Object* object = addon->objects; object != nullptr; object = object->next) object->Release();
  napi_release_threadsafe_function(addon->completions, napi_tsfn_abort);
  addon->hook = handle;
  if (addon->open_polls == 0) napi_remove_async_cleanup_hook(handle);
}

napi_value Open(napi_env env, napi_callback_info info) {
  Call call(env, info);
  return call.failed() ? nullptr : OpenSystem(call);
}

// The process ends: a Worker inside KVM_RUN would otherwise never hear of it.
napi_value EndRuns(napi_env, napi_callback_info) {
  Registry::Get().EndRuns();
  return nullptr;
}

const napi_property_descriptor kFunctions[] = {
    {"open", nullptr, Open, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
    {"endRuns", nullptr, EndRuns, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
};

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  auto* addon = new Addon(env);
  // SAFETY: this reference is the environment's; objects have their own, since their finalizers may run after it.
  env.SetInstanceData(new Ref<Addon>(addon));
  const auto name = Napi::String::New(env, "kvm-arm64");
  // Plain Node-API: GCC does not compile TypedThreadSafeFunction with -fsanitize=undefined. The hook comes after the
  // threadsafe function, so that it runs before Node ends that.
  const bool made =
      napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, nullptr, Deliver,
                                      &addon->completions) == napi_ok &&
      napi_unref_threadsafe_function(env, addon->completions) == napi_ok &&
      napi_async_init(env, nullptr, name, &addon->polls_context) == napi_ok &&
      DefineSystemFd(addon, exports) && DefineVmFd(addon, exports) && DefineVcpuFd(addon, exports) &&
      DefineDeviceFd(addon, exports) && DefineEventFd(addon, exports) && DefineMapping(addon, exports) &&
      napi_define_properties(env, exports, std::size(kFunctions), kFunctions) == napi_ok &&
      napi_add_async_cleanup_hook(env, End, addon, nullptr) == napi_ok;
  return made ? exports : Napi::Object();
}

}  // namespace

NODE_API_MODULE(kvm, Init)
