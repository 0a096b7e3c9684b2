#include "fds.h"

namespace {

napi_value Signal(Object& self, Call& call) {
  const uint64_t value = call.Uint64(0, "value");
  if (call.failed()) return nullptr;
  return write(self.fd().number(), &value, sizeof value) < 0 ? call.Refuse(errno) : nullptr;
}

napi_value Take(Object& self, Call& call) {
  uint64_t value = 0;
  if (read(self.fd().number(), &value, sizeof value) < 0 && errno != EAGAIN) return call.Refuse(errno);
  return call.BigInt(value);
}

napi_value Wait(EventFd& self, Call& call) { return self.Wait(call); }

napi_value Close(EventFd& self, Call&) {
  self.Resolve(false);
  self.Release();
  return nullptr;
}

}  // namespace

napi_value EventFd::Make(Call& call, Fd fd) {
  const int number = fd.number();
  napi_value object = call.addon()->Wrap(new EventFd(call.addon(), std::move(fd)), kClass);
  return object == nullptr ? nullptr : SetValue(call.env(), object, "fd", call.Number(number));
}

void EventFd::Release() {
  if (poll_ != nullptr) {
    Poll* poll = std::exchange(poll_, nullptr);
    poll->owner = nullptr;
    // SAFETY: uv_close takes the descriptor out of the loop at once; the loop frees the handle when it is done with it,
    // which the environment's end waits for (Addon::open_polls).
    uv_close(reinterpret_cast<uv_handle_t*>(&poll->handle), [](uv_handle_t* handle) {
      auto* closed = static_cast<Poll*>(handle->data);
      Addon* addon = closed->addon.get();
      if (--addon->open_polls == 0 && addon->ending) napi_remove_async_cleanup_hook(std::exchange(addon->hook, nullptr));
      delete closed;
    });
  }
  fd_.Close();
}

void EventFd::Resolve(bool value) {
  if (deferred_ == nullptr) return;
  const napi_env env = addon()->env;
  napi_value result = nullptr;
  napi_get_boolean(env, value, &result);
  napi_resolve_deferred(env, std::exchange(deferred_, nullptr), result);
  napi_delete_reference(env, promise_);
  napi_delete_reference(env, self_);
}

void EventFd::Readable(uv_poll_t* handle, int, int) {
  EventFd* event = static_cast<Poll*>(handle->data)->owner;
  uv_poll_stop(handle);
  if (event == nullptr) return;
  const Ref<Addon> addon(event->addon());
  napi_handle_scope handles = nullptr;
  napi_callback_scope callback = nullptr;
  napi_value resource = nullptr;
  if (napi_open_handle_scope(addon->env, &handles) != napi_ok) return;
  napi_create_object(addon->env, &resource);
  // A callback scope, so that what waits for the promise runs when it closes.
  const napi_status opened = napi_open_callback_scope(addon->env, resource, addon->polls_context, &callback);
  event->Resolve(true);
  if (opened == napi_ok) napi_close_callback_scope(addon->env, callback);
  napi_close_handle_scope(addon->env, handles);
}

napi_value EventFd::Wait(Call& call) {
  napi_value result = nullptr;
  if (deferred_ != nullptr) {
    napi_get_reference_value(call.env(), promise_, &result);
    return result;
  }
  napi_deferred deferred = nullptr;
  if (napi_create_promise(call.env(), &deferred, &result) != napi_ok) return nullptr;
  if (!fd_.open() || addon()->ending) {
    napi_resolve_deferred(call.env(), deferred, call.Boolean(false));
    return result;
  }
  if (poll_ == nullptr) {
    uv_loop_t* loop = nullptr;
    napi_get_uv_event_loop(call.env(), &loop);
    poll_ = new Poll(this);
    const int error = uv_poll_init(loop, &poll_->handle, fd_.number());
    if (error != 0) {
      delete std::exchange(poll_, nullptr);
      napi_reject_deferred(call.env(), deferred, call.MakeRefusal(-error, "epoll_ctl"));
      return result;
    }
    poll_->handle.data = poll_;
    addon()->open_polls++;
  }
  deferred_ = deferred;
  napi_create_reference(call.env(), result, 1, &promise_);
  napi_create_reference(call.env(), call.self(), 1, &self_);
  uv_poll_start(&poll_->handle, UV_READABLE, Readable);
  return result;
}

bool EventFd::Define(Addon* addon, napi_value exports) {
  static constexpr Row kRows[] = {
      {kClass, "signal", "write", Signal},
      {kClass, "take", "read", Take},
      {kClass, "wait", nullptr, On<EventFd, ::Wait>},
      {kClass, "close", nullptr, On<EventFd, Close>},
  };
  return addon->Define("EventFd", kRows, exports);
}
