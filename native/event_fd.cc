#include "fds.h"

namespace {

struct EventFd : public Object {
  static constexpr Class kClass = Class::kEventFd;
  using Object::Object;
  ~EventFd() override { EventFd::Release(); }
  void Release() override;
  void Resolve(bool value);

  struct Poll {
    uv_poll_t handle;
    const Ref<Addon> addon;
    EventFd* owner;
  };
  Poll* poll = nullptr;
  // While somebody waits: what they all wait for, and this object's JavaScript half.
  napi_deferred deferred = nullptr;
  napi_ref promise = nullptr;
  napi_ref self = nullptr;
};

void EventFd::Release() {
  if (poll != nullptr) {
    poll->owner = nullptr;
    // SAFETY: uv_close takes the descriptor out of the loop at once; the loop frees the handle when it is done with it,
    // which the environment's end waits for (Addon::open_polls).
    uv_close(reinterpret_cast<uv_handle_t*>(&std::exchange(poll, nullptr)->handle), [](uv_handle_t* handle) {
      auto* closed = static_cast<Poll*>(handle->data);
      Addon* addon = closed->addon.get();
      if (--addon->open_polls == 0 && addon->ending) napi_remove_async_cleanup_hook(addon->hook);
      delete closed;
    });
  }
  own.Close();
}

void EventFd::Resolve(bool value) {
  if (deferred == nullptr) return;
  const napi_env env = addon->env;
  napi_resolve_deferred(env, std::exchange(deferred, nullptr), Napi::Boolean::New(env, value));
  napi_delete_reference(env, promise);
  napi_delete_reference(env, self);
}

void Readable(uv_poll_t* handle, int, int) {
  EventFd* event = static_cast<EventFd::Poll*>(handle->data)->owner;
  uv_poll_stop(handle);
  if (event == nullptr) return;
  const Ref<Addon> addon(event->addon);
  const Napi::HandleScope handles(addon->env);
  // A callback scope, so that what waits for the promise runs when it closes.
  const Napi::CallbackScope callback(addon->env, addon->polls_context);
  event->Resolve(true);
}

napi_value Signal(Object& self, Call& call) {
  const uint64_t value = call.Uint64(0, "value");
  if (call.failed()) return nullptr;
  return write(self.fd().number(), &value, sizeof value) < 0 ? call.Refuse(errno) : nullptr;
}

napi_value Take(Object& self, Call& call) {
  uint64_t value = 0;
  if (read(self.fd().number(), &value, sizeof value) < 0 && errno != EAGAIN) return call.Refuse(errno);
  return Napi::BigInt::New(call.env, value);
}

// A promise of true once the counter is not 0, or false when it closes. What is kept of it is plain Node-API's: it may
// outlive the environment, which the destructors of node-addon-api would then call.
napi_value Wait(EventFd& event, Call& call) {
  napi_value result = nullptr;
  if (event.deferred != nullptr) {
    napi_get_reference_value(call.env, event.promise, &result);
    return result;
  }
  napi_deferred deferred = nullptr;
  if (napi_create_promise(call.env, &deferred, &result) != napi_ok) return nullptr;
  if (!event.fd().open() || event.addon->ending) {
    napi_resolve_deferred(call.env, deferred, Napi::Boolean::New(call.env, false));
    return result;
  }
  if (event.poll == nullptr) {
    uv_loop_t* loop = nullptr;
    napi_get_uv_event_loop(call.env, &loop);
    auto* poll = new EventFd::Poll{{}, event.addon, &event};
    const int error = uv_poll_init(loop, &poll->handle, event.fd().number());
    if (error != 0) {
      delete poll;
      napi_reject_deferred(call.env, deferred, call.MakeRefusal(-error, "epoll_ctl"));
      return result;
    }
    poll->handle.data = event.poll = poll;
    event.addon->open_polls++;
  }
  event.deferred = deferred;
  napi_create_reference(call.env, result, 1, &event.promise);
  napi_create_reference(call.env, call.self, 1, &event.self);
  uv_poll_start(&event.poll->handle, UV_READABLE, Readable);
  return result;
}

napi_value Close(EventFd& self, Call&) {
  self.Resolve(false);
  self.Release();
  return nullptr;
}

}  // namespace

napi_value MakeEventFd(Call& call, Fd fd) {
  napi_value number = call.Number(fd.number());
  napi_value object = call.addon()->Wrap(new EventFd(call.addon(), std::move(fd)), EventFd::kClass);
  return object == nullptr ? nullptr : SetValue(call.env, object, "fd", number);
}

bool DefineEventFd(Addon* addon, napi_value exports) {
  static constexpr Row kRows[] = {
      {"signal", "write", Signal},
      {"take", "read", Take},
      {"wait", nullptr, On<Wait>},
      {"close", nullptr, On<Close>},
  };
  return addon->Define<EventFd>("EventFd", kRows, exports);
}
