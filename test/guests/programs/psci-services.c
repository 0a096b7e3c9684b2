// Power State Coordination Interface (Arm DEN 0022) by HVC, with two CPUs.
#include "guest.h"

static volatile uint64_t seen_argument, seen_mpidr, seen_level;

static void second_cpu(void *argument) {
  seen_level = read_sysreg(CurrentEL) >> 2;
  seen_mpidr = read_sysreg(mpidr_el1) & 0xff00fffffful;
  __asm__ volatile("dsb sy" ::: "memory");
  seen_argument = (uint64_t)argument;
}

static int failures;

static void check(const char *what, int64_t got, int64_t wanted) {
  if (got == wanted) {
    print("%s: %ld\n", what, got);
    return;
  }
  print("%s: %ld, not %ld\n", what, got, wanted);
  failures++;
}

static const struct {
  const char *name;
  uint32_t id;
} functions[] = {
    {"PSCI_VERSION", PSCI_VERSION},       {"CPU_SUSPEND", 0xc4000001}, {"CPU_OFF", PSCI_CPU_OFF},
    {"CPU_ON", PSCI_CPU_ON},              {"AFFINITY_INFO", PSCI_AFFINITY_INFO},
    {"SYSTEM_OFF", PSCI_SYSTEM_OFF},      {"SYSTEM_RESET", 0x84000009},
    {"PSCI_FEATURES", PSCI_FEATURES},
};

int main(void) {
  struct cpu_start start = {second_cpu, (void *)0x1234567890abcdef};
  uint32_t version = (uint32_t)hvc(PSCI_VERSION, 0, 0, 0);
  print("PSCI version: %s\n", version >= 0x10000 && version < 0x20000 ? "1.x" : "unexpected");
  for (unsigned i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    print("feature ");
    check(functions[i].name, (int32_t)hvc(PSCI_FEATURES, functions[i].id, 0, 0), 0);
  }
  check("feature of a function that is none", (int32_t)hvc(PSCI_FEATURES, 0x8400001f, 0, 0), PSCI_NOT_SUPPORTED);
  check("a function that is none", (int32_t)hvc(0x8400001f, 0, 0, 0), PSCI_NOT_SUPPORTED);
  check("MIGRATE_INFO_TYPE", (int32_t)hvc(PSCI_MIGRATE_INFO_TYPE, 0, 0, 0), 2);

  check("AFFINITY_INFO of this CPU", hvc(PSCI_AFFINITY_INFO, 0, 0, 0), 0);
  check("AFFINITY_INFO of CPU 1, off", hvc(PSCI_AFFINITY_INFO, 1, 0, 0), 1);
  check("CPU_ON of a CPU that is none", cpu_on(0xff, &start), PSCI_INVALID_PARAMETERS);
  check("CPU_ON of this CPU", cpu_on(0, &start), PSCI_ALREADY_ON);
  for (int round = 1; round <= 2; round++) {
    seen_argument = 0;
    check("CPU_ON of CPU 1", cpu_on(1, &start), 0);
    while (seen_argument == 0) __asm__ volatile("yield");
    print("CPU 1 runs at EL%lu with MPIDR affinity %lx and argument %lx\n", seen_level, seen_mpidr, seen_argument);
    while (hvc(PSCI_AFFINITY_INFO, 1, 0, 0) != 1) __asm__ volatile("yield");
    print("CPU 1 is off again\n");
  }
  return failures;
}
