// CPUS processors use a page that CPU 0 maps now here, now there. When its TLBI and DSB are over, nobody may see, or write,
// the page that it took away: CPU 0 poisons it. The others load and store in a long row of instructions without a branch:
// a machine that only looks up now and then whether translations are to be forgotten is amidst one when CPU 0 goes on,
// above all where a CPU is a thread that something else has interrupted.
#include "guest.h"

#define CPUS 4
enum { ROUNDS = 16 };

#define WINDOW 0x80000000ul
#define NORMAL (1ul << 2)
#define AF (1ul << 10)
#define INNER_SHAREABLE (3ul << 8)
#define POISON 0xdeadul

static uint64_t pool[6 * 512 + 512];
static uint64_t *root, *leaf;
static volatile uint64_t *shown[2];
static uint32_t arrived, over, finished;
static uint64_t poisoned, seen[CPUS], laps[CPUS];
static struct cpu_start starts[CPUS];

// A fault of the window: it is mapped no more, and will be again.
void exception(struct frame *frame, unsigned vector) {
  uint64_t esr = read_sysreg(esr_el1);
  if (vector != 4 || esr >> 26 != 0x25 || (esr & 0x3c) != 0x04 || read_sysreg(far_el1) != WINDOW) {
    print("unexpected exception: vector %u ESR_EL1 %08lx FAR_EL1 %lx\n", vector, esr, read_sysreg(far_el1));
    power_off(70);
  }
  frame->elr = frame->x[6];
}

static uint64_t *pages(unsigned n) { return (uint64_t *)((((uint64_t)pool + 4095) & -4096ul) + 4096 * n); }

static void mmu_on(void) {
  write_sysreg(mair_el1, 0xff00);
  write_sysreg(ttbr0_el1, root);
  // 32 bits of address, write-back, inner shareable, no TTBR1, physical addresses of 40 bits.
  write_sysreg(tcr_el1, 32 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2ul << 32);
  __asm__ volatile("dsb ish\n tlbi vmalle1\n dsb ish\n isb" ::: "memory");
  write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) | 1 | 1 << 2 | 1 << 12);
}

// Loads and stores until the window is taken away or the row ends; how often it had the poison in it. In one page.
__attribute__((noinline, aligned(2048))) static uint64_t use(uint64_t own) {
  register uint64_t value __asm__("x0") = 0;
  register uint64_t window __asm__("x1") = WINDOW;
  register uint64_t poison __asm__("x3") = POISON;
  register uint64_t times __asm__("x4") = 0;
  register uint64_t mine __asm__("x5") = own;
  __asm__ volatile(
      "adr x6, 1f\n"
      ".rept 120\n ldr x0, [x1]\n cmp x0, x3\n cinc x4, x4, eq\n str x5, [x1]\n .endr\n"
      "1:\n"
      : "+r"(value), "+r"(times)
      : "r"(window), "r"(poison), "r"(mine)
      : "x6", "cc", "memory");
  return times;
}

static void watch(void *argument) {
  unsigned me = (uintptr_t)argument;
  mmu_on();
  __atomic_fetch_add(&arrived, 1, __ATOMIC_ACQ_REL);
  while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
    seen[me] += use(me);
    __atomic_fetch_add(&laps[me], 1, __ATOMIC_RELEASE);
  }
  __atomic_fetch_add(&finished, 1, __ATOMIC_ACQ_REL);
}

// Until every other CPU has begun a row anew, and ended it.
static void let_all_pass(void) {
  uint64_t before[CPUS];
  for (int i = 1; i < CPUS; i++) before[i] = __atomic_load_n(&laps[i], __ATOMIC_ACQUIRE);
  for (int i = 1; i < CPUS; i++) {
    while (__atomic_load_n(&laps[i], __ATOMIC_ACQUIRE) - before[i] < 2) __asm__ volatile("yield");
  }
}

static void invalidate(unsigned round) {
  switch (round % 4) {
    case 0: __asm__ volatile("dsb ishst\n tlbi vae1is, %0\n dsb ish\n isb" ::"r"(WINDOW >> 12) : "memory"); break;
    case 1: __asm__ volatile("dsb ishst\n tlbi vaale1is, %0\n dsb ish\n isb" ::"r"(WINDOW >> 12) : "memory"); break;
    case 2: __asm__ volatile("dsb ishst\n tlbi aside1is, %0\n dsb ish\n isb" ::"r"(0ul) : "memory"); break;
    default: __asm__ volatile("dsb ishst\n tlbi vmalle1is\n dsb ish\n isb" ::: "memory"); break;
  }
}

int main(void) {
  root = pages(0);
  leaf = pages(2);
  shown[0] = pages(3);
  shown[1] = pages(4);
  memset(root, 0, 3 * 4096);
  // 1 GiB blocks of devices and RAM; the window in tables of its own. Not global, so that ASIDE1 reaches it.
  const uint64_t next = 3;
  root[0] = AF | 1;
  root[1] = 0x40000000 | AF | INNER_SHAREABLE | NORMAL | 1;
  root[2] = (uint64_t)pages(1) | next;
  pages(1)[0] = (uint64_t)leaf | next;
  mmu_on();
  for (uintptr_t i = 1; i < CPUS; i++) {
    starts[i] = (struct cpu_start){watch, (void *)i};
    if (cpu_on(i, &starts[i]) != 0) return 1;
  }
  while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) != CPUS - 1) __asm__ volatile("yield");
  for (unsigned round = 0; round < ROUNDS; round++) {
    volatile uint64_t *page = shown[round & 1];
    page[0] = 0;
    *(volatile uint64_t *)leaf = (uint64_t)page | AF | INNER_SHAREABLE | NORMAL | 1ul << 11 | 3;
    __asm__ volatile("dsb ishst\n isb" ::: "memory");
    let_all_pass();
    *(volatile uint64_t *)leaf = 0;
    invalidate(round);
    page[0] = POISON;
    let_all_pass();
    if (page[0] != POISON) poisoned++;
  }
  __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
  while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) != CPUS - 1) __asm__ volatile("yield");
  uint64_t stale = 0;
  for (int i = 1; i < CPUS; i++) stale += seen[i];
  print("%d rounds: %lu stale loads, %lu stale stores\n", ROUNDS, stale, poisoned);
  return stale == 0 && poisoned == 0 ? 0 : 2;
}
