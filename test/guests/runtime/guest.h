// What the guest programs share: a console, PSCI, exceptions. Bare metal: no libc, no floating point, MMU off, so all
// accesses are to Device memory and must be aligned (-mstrict-align).
#ifndef GUEST_H
#define GUEST_H

#include <stddef.h>
#include <stdint.h>

#define UART_BASE 0x09000000ul
#define RTC_BASE 0x09010000ul

// PSCI function ids: Arm DEN 0022.
enum {
  PSCI_VERSION = 0x84000000,
  PSCI_CPU_OFF = 0x84000002,
  PSCI_MIGRATE_INFO_TYPE = 0x84000006,
  PSCI_SYSTEM_OFF = 0x84000008,
  PSCI_FEATURES = 0x8400000a,
};
#define PSCI_CPU_ON 0xc4000003u
#define PSCI_AFFINITY_INFO 0xc4000004u

enum { PSCI_NOT_SUPPORTED = -1, PSCI_INVALID_PARAMETERS = -2, PSCI_ALREADY_ON = -4 };

struct cpu_start {
  void (*function)(void *argument);
  void *argument;
};

// What the vectors save. Changing elr or a register changes what the interrupted code goes on with.
struct frame {
  uint64_t x[19];
  uint64_t lr;
  uint64_t elr;
  uint64_t spsr;
};

#define read_sysreg(name)                           \
  ({                                                \
    uint64_t value_;                                \
    __asm__ volatile("mrs %0, " #name : "=r"(value_)); \
    value_;                                         \
  })
#define write_sysreg(name, value) __asm__ volatile("msr " #name ", %0\n isb" ::"r"((uint64_t)(value)))

void put_char(char c);
// %s, %c, %d, %u, %x (32 bits), %lu, %lx (64 bits), %08x and the like.
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

int64_t hvc(uint64_t function, uint64_t a, uint64_t b, uint64_t c);
int64_t cpu_on(uint64_t mpidr, struct cpu_start *start);
_Noreturn void cpu_off(void);
// Ends the machine. See README.md for how the status travels.
_Noreturn void power_off(int status);

// Called by the vectors. A program may define its own; the common one prints what happened and ends with status 70.
void exception(struct frame *frame, unsigned vector);

void *memcpy(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

#endif
