// Loads of every width and signedness from a device: the VMM gives bytes, the CPU extends them. The registers are ones
// that read back what was written (PL011 UARTIBRD, 16 bits; PL031 RTCMR, 32 bits) or constants (PrimeCell id bytes).
// Linux up to 6.12 gets signed loads wrong: its KVM clears the extension again. See README.md.
#include "guest.h"

#define UARTIBRD (UART_BASE + 0x24)
#define UARTPCELLID0 (UART_BASE + 0xff0)
#define UARTPCELLID1 (UART_BASE + 0xff4)
#define RTCMR (RTC_BASE + 0x04)

static int failures;

#define LOAD(instruction, target, address, wanted)                                                \
  do {                                                                                            \
    uint64_t got_ = 0x5555555555555555;                                                           \
    __asm__ volatile(instruction " %" target "0, [%1]" : "+r"(got_) : "r"(address) : "memory");   \
    print("%s %s: %016lx%s\n", instruction, target, got_, got_ == (wanted) ? "" : " is wrong");   \
    failures += got_ != (wanted);                                                                 \
  } while (0)

int main(void) {
  *(volatile uint16_t *)UARTIBRD = 0x9234;
  *(volatile uint32_t *)RTCMR = 0x87654321;

  LOAD("ldrb", "w", UARTPCELLID1, 0xf0ul);
  LOAD("ldrsb", "w", UARTPCELLID1, 0xfffffff0ul);
  LOAD("ldrsb", "x", UARTPCELLID1, 0xfffffffffffffff0ul);
  LOAD("ldrsb", "x", UARTPCELLID0, 0x0dul);
  LOAD("ldrh", "w", UARTIBRD, 0x9234ul);
  LOAD("ldrsh", "w", UARTIBRD, 0xffff9234ul);
  LOAD("ldrsh", "x", UARTIBRD, 0xffffffffffff9234ul);
  LOAD("ldr", "w", RTCMR, 0x87654321ul);
  LOAD("ldrsw", "x", RTCMR, 0xffffffff87654321ul);

  // A store takes the low bytes of its register.
  __asm__ volatile("str %w0, [%1]" ::"r"(0xfedcba9876543210ul), "r"(RTCMR) : "memory");
  LOAD("ldrsw", "x", RTCMR, 0x76543210ul);
  print("wrong: %d\n", failures);
  return failures;
}
