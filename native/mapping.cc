#include "mapping.h"

#include <errno.h>
#include <sys/mman.h>

Mapped::~Mapped() {
  // SAFETY: no owner is left, so neither a memory slot nor an ArrayBuffer refers to these pages.
  munmap(address, mapped_bytes);
}

void Mapped::Blank() {
  // SAFETY: MAP_FIXED over our own mapping only: it replaces exactly the pages that this object owns.
  mmap(address, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

bool Mapped::Touchable() const {
#ifndef MADV_POPULATE_READ  // Linux 5.14
  constexpr int MADV_POPULATE_READ = 22;
#endif
  // SAFETY: it touches a page of our own mapping, and where it cannot it says so. Kernels before say EINVAL.
  return madvise(address, 1, MADV_POPULATE_READ) == 0 || errno != EFAULT;
}

Ref<Mapped> Map(int fd, uint64_t offset, uint64_t bytes, uint64_t granule, int protection, int flags) {
  const uint64_t mapped_bytes = (bytes + granule - 1) / granule * granule;
  // SAFETY: without MAP_FIXED the kernel chooses a place that is free.
  void* address = mmap(nullptr, mapped_bytes, protection, flags & ~MAP_FIXED, fd, static_cast<off_t>(offset));
  if (address == MAP_FAILED) return Ref<Mapped>();
  return Ref<Mapped>(new Mapped(address, bytes, mapped_bytes));
}

namespace {

// An ArrayBuffer over the whole mapping, or null with an exception pending.
napi_value BufferOver(Call& call, const Ref<Mapped>& mapped) {
  // SAFETY: the ArrayBuffer owns a reference of its own, given back by its finalizer, on this environment's thread.
  auto* owner = new Ref<Mapped>(mapped);
  const auto finalize = [](napi_env, void*, void* hint) { delete static_cast<Ref<Mapped>*>(hint); };
  napi_value buffer = nullptr;
  // By plain Node-API, since the status says which sentence to throw.
  const napi_status status =
      napi_create_external_arraybuffer(call.env, mapped->address, mapped->bytes, finalize, owner, &buffer);
  if (status == napi_ok) return buffer;
  delete owner;
  if (Napi::Env(call.env).IsExceptionPending()) return nullptr;
  if (status == napi_no_external_buffers_allowed) {
    return call.Slip<Napi::TypeError>(
        "this build of Node has no external array buffers, so guest memory cannot be shown");
  }
  return call.Slip<Napi::RangeError>("a mapping of %lu bytes is more than one ArrayBuffer of this Node can show",
                                     mapped->bytes);
}

}  // namespace

napi_value Uint8sOver(Call& call, const Ref<Mapped>& mapped) {
  const Napi::ArrayBuffer buffer(call.env, BufferOver(call, mapped));
  return buffer.IsEmpty() ? nullptr : napi_value(Napi::Uint8Array::New(call.env, mapped->bytes, buffer, 0));
}

napi_value MakeMapping(Call& call, const Ref<Mapped>& mapped) {
  napi_value buffer = BufferOver(call, mapped);
  if (buffer == nullptr) return nullptr;
  napi_value object = call.addon()->Wrap(new Mapping(call.addon(), mapped), Mapping::kClass);
  if (object == nullptr) return nullptr;
  SetValue(call.env, object, "buffer", buffer);
  SetValue(call.env, object, "offset", call.Number(0));
  return SetValue(call.env, object, "bytes", call.Number(static_cast<int64_t>(mapped->bytes)));
}

bool DefineMapping(Addon* addon, napi_value exports) {
  static constexpr Row kRows[] = {{"close", nullptr, Release}};
  return addon->Define<Mapping>("Mapping", kRows, exports);
}
