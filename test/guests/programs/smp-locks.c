// CPUS processors under locks of three kinds: one that waits by WFE for a store to the monitored word, one that waits by
// WFE for SEV, and a ticket lock. Then each waits for an event that another one sends.
#include "guest.h"

#define CPUS 4
enum { ROUNDS = 100 };

static uint32_t monitored, signalled, next_ticket, now_serving, arrived, finished, stage;
static uint64_t counts[3];
static uint64_t debug_features;
static uint32_t unlike;
static struct cpu_start starts[CPUS];

static void wfe(void) { __asm__ volatile("wfe" ::: "memory"); }
static void sev(void) { __asm__ volatile("dsb ish\n sev" ::: "memory"); }

// A store by another CPU to the word that LDAXR watches is an event.
static void take_monitored(void) {
  uint32_t old, failed;
  __asm__ volatile(
      "sevl\n"
      "1: wfe\n"
      "2: ldaxr %w0, [%2]\n"
      "cbnz %w0, 1b\n"
      "stxr %w1, %w3, [%2]\n"
      "cbnz %w1, 2b\n"
      : "=&r"(old), "=&r"(failed)
      : "r"(&monitored), "r"(1)
      : "memory");
}

static void take_signalled(void) {
  while (__atomic_exchange_n(&signalled, 1, __ATOMIC_ACQUIRE) != 0) wfe();
}

static void take_ticket(void) {
  uint32_t mine = __atomic_fetch_add(&next_ticket, 1, __ATOMIC_RELAXED);
  while (__atomic_load_n(&now_serving, __ATOMIC_ACQUIRE) != mine) __asm__ volatile("yield");
}

// Loads and stores of their own: without the lock an addition would be lost.
static void add(unsigned n) {
  uint64_t value = *(volatile uint64_t *)&counts[n];
  __asm__ volatile("nop\n nop\n nop\n nop");
  *(volatile uint64_t *)&counts[n] = value + 1;
}

static void work(void *argument) {
  uint32_t me = (uint32_t)(uintptr_t)argument;
  if (read_sysreg(id_aa64dfr0_el1) != debug_features) __atomic_fetch_add(&unlike, 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(&arrived, 1, __ATOMIC_ACQ_REL);
  while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) != CPUS) __asm__ volatile("yield");
  for (int i = 0; i < ROUNDS; i++) {
    take_monitored();
    add(0);
    __atomic_store_n(&monitored, 0, __ATOMIC_RELEASE);
    take_signalled();
    add(1);
    __atomic_store_n(&signalled, 0, __ATOMIC_RELEASE);
    sev();
    take_ticket();
    add(2);
    __atomic_fetch_add(&now_serving, 1, __ATOMIC_RELEASE);
  }
  for (uint32_t turn = me; turn < 10 * CPUS; turn += CPUS) {
    while (__atomic_load_n(&stage, __ATOMIC_ACQUIRE) != turn) wfe();
    __atomic_store_n(&stage, turn + 1, __ATOMIC_RELEASE);
    sev();
  }
  __atomic_fetch_add(&finished, 1, __ATOMIC_ACQ_REL);
}

int main(void) {
  debug_features = read_sysreg(id_aa64dfr0_el1);
  for (uintptr_t i = 1; i < CPUS; i++) {
    starts[i] = (struct cpu_start){work, (void *)i};
    if (cpu_on(i, &starts[i]) != 0) return 1;
  }
  work((void *)0);
  while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) != CPUS) __asm__ volatile("yield");
  print("%d CPUs: %lu by monitor, %lu by SEV, %lu by ticket, stage %u\n", CPUS, counts[0], counts[1], counts[2], stage);
  if (unlike != 0) {
    print("%u CPUs with other ID registers\n", unlike);
    return 3;
  }
  for (int n = 0; n < 3; n++) {
    if (counts[n] != (uint64_t)CPUS * ROUNDS) return 2;
  }
  return 0;
}
