// CPUS processors add to one counter, take one lock, and hand a token round. With LSE it is done by LDADD, CAS and SWP,
// else by LDXR and STXR, as the compiler has it; Armv8.5 adds STLUR.
#include "guest.h"

#ifndef CPUS
#define CPUS 4
#endif
enum { ROUNDS = 2000 };

static uint64_t counter, locked_counter;
static uint32_t lock, arrived, finished, token;
static struct cpu_start starts[CPUS];

static void take(uint32_t *l) {
  uint32_t expected = 0;
  while (!__atomic_compare_exchange_n(l, &expected, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
    expected = 0;
    __asm__ volatile("yield");
  }
}

static void release(uint32_t *l) { __atomic_store_n(l, 0, __ATOMIC_RELEASE); }

static void work(void *argument) {
  uint32_t me = (uint32_t)(uintptr_t)argument;
  __atomic_fetch_add(&arrived, 1, __ATOMIC_ACQ_REL);
  while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) != CPUS) __asm__ volatile("yield");
  for (int i = 0; i < ROUNDS; i++) {
    __atomic_fetch_add(&counter, me + 1, __ATOMIC_RELAXED);
    take(&lock);
    locked_counter = locked_counter * 3 + 1;
    locked_counter -= (locked_counter - 1) / 3 * 2 + 1;  // back to what it was
    locked_counter += 1;
    release(&lock);
  }
  for (uint32_t i = 0; i < 10; i++) {
    while (__atomic_load_n(&token, __ATOMIC_ACQUIRE) != i * CPUS + me) __asm__ volatile("yield");
    __atomic_exchange_n(&token, i * CPUS + me + 1, __ATOMIC_ACQ_REL);
  }
  __atomic_fetch_add(&finished, 1, __ATOMIC_ACQ_REL);
}

int main(void) {
#ifdef __ARM_FEATURE_ATOMICS
  if ((read_sysreg(id_aa64isar0_el1) >> 20 & 0xf) < 2) {
    print("this CPU has no LSE\n");
    return 77;
  }
#endif
#ifdef NEEDS_LRCPC2
  if ((read_sysreg(id_aa64isar1_el1) >> 20 & 0xf) < 2) {
    print("this CPU has no LRCPC2\n");
    return 77;
  }
#endif
  for (uintptr_t i = 1; i < CPUS; i++) {
    starts[i] = (struct cpu_start){work, (void *)i};
    int64_t answer = cpu_on(i, &starts[i]);
    if (answer != 0) {
      print("CPU_ON of CPU %lu: %ld\n", i, answer);
      return 1;
    }
  }
  work((void *)0);
  while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) != CPUS) __asm__ volatile("yield");
  print("%d CPUs, counter %lu, locked counter %lu, token %u\n", CPUS, counter, locked_counter, token);
  return counter == (uint64_t)ROUNDS * CPUS * (CPUS + 1) / 2 && locked_counter == (uint64_t)ROUNDS * CPUS ? 0 : 2;
}
