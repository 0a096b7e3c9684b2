// How fast compiled code runs with stage 1 on: the parts of the workload of test/guests and a few more, each timed by the virtual
// counter. Every line is "name microseconds checksum".
#include "workload.h"

#ifndef REPEAT
#define REPEAT 1
#endif

#define VALID 1ul
#define NORMAL (1ul << 2)
#define AF (1ul << 10)
#define SHARED (3ul << 8)

// Three blocks of 1 GiB, identical: devices, and two of RAM.
static void translation_on(void) {
  static uint64_t table[512] __attribute__((aligned(4096)));
  table[0] = 0ul | AF | VALID;
  table[1] = 0x40000000ul | AF | SHARED | NORMAL | VALID;
  table[2] = 0x80000000ul | AF | SHARED | NORMAL | VALID;
  write_sysreg(mair_el1, 0xff00ul);
  // 39 bits, 4 KiB, cacheable; no upper half; 36 bits of physical address.
  write_sysreg(tcr_el1, 25ul | 1ul << 8 | 1ul << 10 | 3ul << 12 | 1ul << 23 | 1ul << 32);
  write_sysreg(ttbr0_el1, (uint64_t)table);
  __asm__ volatile("isb; tlbi vmalle1; dsb ish; isb" ::: "memory");
  write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) | 1ul | 1ul << 2 | 1ul << 12);
  __asm__ volatile("isb" ::: "memory");
}

static uint8_t source[1 << 16], sink[1 << 16];

static uint32_t crc_work(uint32_t seed) {
  return crc16((uint16_t)seed, source, 4096);
}

static uint32_t sha_work(uint32_t seed) {
  uint8_t digest[32];
  source[0] = (uint8_t)seed;
  sha256(digest, source, 8192);
  return digest[0];
}

static uint32_t copy_work(uint32_t seed) {
  source[seed & 0xffff] = (uint8_t)seed;
  for (size_t n = 0; n < sizeof source; n += 32) {
    uint64_t a, b, c, d;
    __asm__ volatile("ldp %0, %1, [%4]; ldp %2, %3, [%4, #16]; stp %0, %1, [%5]; stp %2, %3, [%5, #16]"
                     : "=&r"(a), "=&r"(b), "=&r"(c), "=&r"(d)
                     : "r"(source + n), "r"(sink + n)
                     : "memory");
  }
  return sink[seed & 0xffff];
}

static uint32_t __attribute__((noinline)) fibonacci(uint32_t n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint32_t call_work(uint32_t seed) {
  return fibonacci(16 + (seed & 1));
}

static uint32_t service_work(uint32_t seed) {
  for (int n = 0; n < 64; n++) __asm__ volatile("svc #0" ::: "memory");
  return seed;
}

static uint32_t mask_work(uint32_t seed) {
  for (int n = 0; n < 256; n++) {
    uint64_t flags;
    __asm__ volatile("mrs %0, daif; msr daifset, #3; mrs %0, sp_el0; msr daifclr, #3" : "=r"(flags)::"memory");
  }
  return seed;
}

void exception(struct frame *frame, unsigned vector) {
  (void)frame;
  (void)vector;
}

static uint64_t microseconds(void) {
  __asm__ volatile("isb" ::: "memory");
  return read_sysreg(cntvct_el0) / (read_sysreg(cntfrq_el0) / 1000000);
}

static const struct {
  const char *name;
  uint32_t (*work)(uint32_t seed);
  unsigned times;
} parts[] = {
    {"list", list_work, 200},     {"matrix", matrix_work, 60},    {"state", state_work, 200},
    {"records", record_work, 200}, {"crc16", crc_work, 40},        {"sha256", sha_work, 40},
    {"copy", copy_work, 200},     {"calls", call_work, 200},      {"svc", service_work, 200},
    {"mask", mask_work, 200},
};

int main(void) {
  translation_on();
  uint32_t seed = 0x2545f491;
  for (size_t n = 0; n < sizeof source; n++) source[n] = (uint8_t)next_random(&seed);
  for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
    uint32_t sum = 0;
    uint64_t began = microseconds();
    for (unsigned n = 0; n < parts[p].times * REPEAT; n++) sum = sum * 31 + parts[p].work(next_random(&seed));
    print("%s %lu %08x\n", parts[p].name, microseconds() - began, sum);
  }
  return 0;
}
