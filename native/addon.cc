// The module's entry: what one environment gets, and what happens when it ends.
#include "fds.h"

namespace {

// The environment ends: runs are ended, descriptors closed, JavaScript no longer called.
void End(napi_async_cleanup_hook_handle handle, void* data) {
  auto* addon = static_cast<Addon*>(data);
  addon->ending = true;
  for (Object* object = addon->objects; object != nullptr; object = object->next()) object->Release();
  napi_release_threadsafe_function(addon->completions, napi_tsfn_abort);
  if (addon->open_polls == 0) {
    napi_remove_async_cleanup_hook(handle);
  } else {
    addon->hook = handle;
  }
}

napi_value Open(napi_env env, napi_callback_info info) {
  Call call(env, info);
  return call.failed() ? nullptr : SystemFd::Open(call);
}

// The process ends: a Worker inside KVM_RUN would otherwise never hear of it.
napi_value EndRuns(napi_env, napi_callback_info) {
  Registry::Get().EndRuns();
  return nullptr;
}

bool AddFunction(Addon* addon, napi_value exports, const char* name, napi_callback callback) {
  napi_value function = nullptr;
  return napi_create_function(addon->env, name, NAPI_AUTO_LENGTH, callback, addon, &function) == napi_ok &&
         SetValue(addon->env, exports, name, function) != nullptr;
}

bool MakeCompletions(Addon* addon) {
  napi_value name = nullptr;
  return napi_create_string_utf8(addon->env, "kvm-arm64", NAPI_AUTO_LENGTH, &name) == napi_ok &&
         napi_async_init(addon->env, nullptr, name, &addon->polls_context) == napi_ok &&
         napi_create_threadsafe_function(addon->env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, nullptr,
                                         VcpuFd::Deliver, &addon->completions) == napi_ok &&
         napi_unref_threadsafe_function(addon->env, addon->completions) == napi_ok;
}

}  // namespace

NAPI_MODULE_INIT() {
  Registry::Create();
  auto* addon = new Addon(env);
  // SAFETY: this reference is the environment's; objects have their own, since their finalizers may run after it.
  auto* owner = new Ref<Addon>(addon);
  const auto finalize = [](napi_env, void* data, void*) { delete static_cast<Ref<Addon>*>(data); };
  if (napi_set_instance_data(env, owner, finalize, nullptr) != napi_ok) {
    delete owner;
    return nullptr;
  }
  // The hook comes after the threadsafe function, so that it runs before Node ends that.
  const bool made = MakeCompletions(addon) && SystemFd::Define(addon, exports) && VmFd::Define(addon, exports) &&
                    VcpuFd::Define(addon, exports) && DeviceFd::Define(addon, exports) &&
                    EventFd::Define(addon, exports) && Mapping::Define(addon, exports) &&
                    AddFunction(addon, exports, "open", Open) && AddFunction(addon, exports, "endRuns", EndRuns) &&
                    napi_add_async_cleanup_hook(env, End, addon, nullptr) == napi_ok;
  return made ? exports : nullptr;
}
