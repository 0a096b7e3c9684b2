// Descriptors, and the only ioctl(2) of the project.
#pragma once

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdint>
#include <type_traits>
#include <utility>

#include "uapi_compat.h"

// Owner of one descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int number) : number_(number) {}
  Fd(Fd&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Fd() { Close(); }

  int number() const { return number_; }
  bool open() const { return number_ >= 0; }
  // For those few that KVM makes without it.
  void CloseOnExec() const { ::ioctl(number_, FIOCLEX); }
  void Close() {
    if (number_ >= 0) close(std::exchange(number_, -1));
  }

 private:
  int number_ = -1;
};

// musl declares the request as int, glibc as unsigned long.
template <class R>
R RequestTypeOf(int (*)(int, R, ...));
using RequestType = decltype(RequestTypeOf(&::ioctl));

// What the ioctl returned, or the negative errno. It takes a T that is the pointer to a structure, or a plain number.
template <uint32_t request, class T = unsigned long>
int Ioctl(const Fd& fd, T argument = 0) {
  static_assert(_IOC_SIZE(request) == (std::is_pointer_v<T> ? sizeof(std::remove_pointer_t<T>) : 0),
                "the request takes a structure of another size");
  // SAFETY: the kernel takes as many bytes as the request says, which are T's; *argument outlives the call.
  const int result = ::ioctl(fd.number(), static_cast<RequestType>(request), (unsigned long)argument);
  return result < 0 ? -errno : result;
}
