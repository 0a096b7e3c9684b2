// mmap(2): memory that the guest, the kernel and JavaScript see together.
#pragma once

#include "call.h"

// One mmap. Unmapped with its last owner; the owners are Mapping objects that are not closed, memory slots, and the
// ArrayBuffers over it, so that no ArrayBuffer ever dangles.
class Mapped : public Counted {
 public:
  // `mapped_bytes`: what munmap wants, a multiple of the page size of the mapping.
  Mapped(void* address, uint64_t bytes, uint64_t mapped_bytes)
      : address_(static_cast<uint8_t*>(address)), bytes_(bytes), mapped_bytes_(mapped_bytes) {}
  ~Mapped() override;

  uint8_t* address() const { return address_; }
  uint64_t bytes() const { return bytes_; }
  // Puts zeros in place of what was mapped, so that views stay valid but the descriptor behind them is let go.
  void Blank();

 private:
  uint8_t* const address_;
  const uint64_t bytes_;
  const uint64_t mapped_bytes_;
};

// mmap of a descriptor, or of none (-1); an empty Ref with errno set if the kernel refuses.
Ref<Mapped> Map(int fd, uint64_t offset, uint64_t bytes, uint64_t granule, int protection, int flags);

// An ArrayBuffer over the whole mapping, or null with an exception pending.
napi_value BufferOver(Call& call, const Ref<Mapped>& mapped);
napi_value Uint8sOver(Call& call, const Ref<Mapped>& mapped);

class Mapping : public Object {
 public:
  static constexpr Class kClass = Class::kMapping;
  Mapping(Addon* addon, Ref<Mapped> mapped) : Object(addon), mapped_(std::move(mapped)) {}

  static bool Define(Addon* addon, napi_value exports);
  static napi_value Make(Call& call, const Ref<Mapped>& mapped);

  // Empty once closed.
  const Ref<Mapped>& mapped() const { return mapped_; }
  void Release() override { mapped_ = Ref<Mapped>(); }

 private:
  Ref<Mapped> mapped_;
};
