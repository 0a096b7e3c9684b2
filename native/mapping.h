// mmap(2): memory that the guest, the kernel and JavaScript see together.
#pragma once

#include "call.h"

// One mmap. Unmapped with its last owner; the owners are Mapping objects that are not closed, memory slots, and the
// ArrayBuffers over it, so that no ArrayBuffer ever dangles.
struct Mapped : public Counted {
  Mapped(void* at, uint64_t bytes, uint64_t mapped_bytes)
      : address(static_cast<uint8_t*>(at)), bytes(bytes), mapped_bytes(mapped_bytes) {}
  ~Mapped() override;
  // Puts zeros in place of what was mapped, so that views stay valid but the descriptor behind them is let go.
  void Blank();
  // False where touching the first page would be SIGBUS.
  bool Touchable() const;

  uint8_t* const address;
  const uint64_t bytes;
  // What munmap wants, a multiple of the page size of the mapping.
  const uint64_t mapped_bytes;
};

// mmap of a descriptor, or of none (-1); an empty Ref with errno set if the kernel refuses.
Ref<Mapped> Map(int fd, uint64_t offset, uint64_t bytes, uint64_t granule, int protection, int flags);

// A Uint8Array over the whole mapping, or null with an exception pending.
napi_value Uint8sOver(Call& call, const Ref<Mapped>& mapped);

struct Mapping : public Object {
  static constexpr Class kClass = Class::kMapping;
  Mapping(Addon* addon, Ref<Mapped> mapped) : Object(addon), mapped(std::move(mapped)) {}
  void Release() override { mapped = Ref<Mapped>(); }

  // Empty once closed.
  Ref<Mapped> mapped;
};

bool DefineMapping(Addon* addon, napi_value exports);
napi_value MakeMapping(Call& call, const Ref<Mapped>& mapped);
