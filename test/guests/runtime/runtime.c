#include "guest.h"

#include <stdarg.h>

static volatile uint32_t *const uart = (volatile uint32_t *)UART_BASE;
enum { UART_DATA = 0x00 / 4, UART_FLAGS = 0x18 / 4, UART_FLAG_TX_FULL = 1 << 5 };

void put_char(char c) {
  while (uart[UART_FLAGS] & UART_FLAG_TX_FULL) {
  }
  uart[UART_DATA] = (uint8_t)c;
}

static void put_number(uint64_t value, unsigned base, unsigned width, char fill) {
  char digits[20];
  unsigned n = 0;
  do {
    digits[n++] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  for (; width > n; width--) put_char(fill);
  while (n > 0) put_char(digits[--n]);
}

void print(const char *format, ...) {
  va_list list;
  va_start(list, format);
  for (; *format != 0; format++) {
    if (*format != '%') {
      put_char(*format);
      continue;
    }
    format++;
    char fill = ' ';
    unsigned width = 0;
    unsigned is_long = 0;
    if (*format == '0') fill = *format++;
    while (*format >= '0' && *format <= '9') width = width * 10 + (unsigned)(*format++ - '0');
    while (*format == 'l') {
      is_long = 1;
      format++;
    }
    if (*format == 's') {
      for (const char *s = va_arg(list, const char *); *s != 0; s++) put_char(*s);
    } else if (*format == 'c') {
      put_char((char)va_arg(list, int));
    } else if (*format == 'd') {
      int64_t value = is_long ? va_arg(list, int64_t) : va_arg(list, int);
      if (value < 0) put_char('-');
      put_number(value < 0 ? -(uint64_t)value : (uint64_t)value, 10, width, fill);
    } else if (*format == 'u' || *format == 'x') {
      uint64_t value = is_long ? va_arg(list, uint64_t) : va_arg(list, unsigned);
      put_number(value, *format == 'u' ? 10 : 16, width, fill);
    } else {
      put_char(*format);
    }
  }
  va_end(list);
}

int64_t hvc(uint64_t function, uint64_t a, uint64_t b, uint64_t c) {
  register uint64_t x0 __asm__("x0") = function;
  register uint64_t x1 __asm__("x1") = a;
  register uint64_t x2 __asm__("x2") = b;
  register uint64_t x3 __asm__("x3") = c;
  __asm__ volatile("hvc #0"
                   : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
                   :
                   : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17",
                     "memory");
  return (int64_t)x0;
}

extern void cpu_entry(void);

int64_t cpu_on(uint64_t mpidr, struct cpu_start *start) {
  return (int32_t)hvc(PSCI_CPU_ON, mpidr, (uint64_t)cpu_entry, (uint64_t)start);
}

_Noreturn void cpu_off(void) {
  hvc(PSCI_CPU_OFF, 0, 0, 0);
  print("CPU_OFF returned\n");
  power_off(71);
}

_Noreturn void power_off(int status) {
  register uint64_t x19 __asm__("x19") = (uint32_t)status;
  // "exit" in ASCII: tells the VMM that x19 is a status and not a leftover.
  register uint64_t x20 __asm__("x20") = 0x74697865;
  register uint64_t x0 __asm__("x0") = PSCI_SYSTEM_OFF;
  __asm__ volatile("hvc #0" : "+r"(x0) : "r"(x19), "r"(x20) : "x1", "x2", "x3", "memory");
  for (;;) __asm__ volatile("wfi");
}

__attribute__((weak)) void exception(struct frame *frame, unsigned vector) {
  print("unexpected exception: vector %u ESR_EL1 %08lx ELR_EL1 %lx FAR_EL1 %lx SPSR_EL1 %lx\n", vector,
        read_sysreg(esr_el1), frame->elr, read_sysreg(far_el1), frame->spsr);
  power_off(70);
}

// The compiler calls these by itself; it must not turn their loops into calls of themselves.
#define NO_IDIOMS __attribute__((optimize("no-tree-loop-distribute-patterns")))

NO_IDIOMS void *memcpy(void *to, const void *from, size_t bytes) {
  uint8_t *t = to;
  const uint8_t *f = from;
  if ((((uintptr_t)t | (uintptr_t)f) & 7) == 0) {
    for (; bytes >= 8; bytes -= 8, t += 8, f += 8) *(uint64_t *)t = *(const uint64_t *)f;
  }
  while (bytes-- > 0) *t++ = *f++;
  return to;
}

NO_IDIOMS void *memset(void *to, int value, size_t bytes) {
  uint8_t *t = to;
  while (bytes-- > 0) *t++ = (uint8_t)value;
  return to;
}

NO_IDIOMS int memcmp(const void *a, const void *b, size_t bytes) {
  const uint8_t *p = a;
  const uint8_t *q = b;
  for (; bytes > 0; bytes--, p++, q++) {
    if (*p != *q) return *p < *q ? -1 : 1;
  }
  return 0;
}
