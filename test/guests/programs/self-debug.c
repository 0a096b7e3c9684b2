// A program that debugs itself (DDI 0487 D2): single steps, breakpoints and watchpoints, at EL0 and at EL1, with what the
// syndromes say, and where nothing may happen.
#include "guest.h"

enum {
  EC_SVC = 0x15,
  EC_BREAK_LOWER = 0x30,
  EC_BREAK = 0x31,
  EC_STEP_LOWER = 0x32,
  EC_STEP = 0x33,
  EC_WATCH_LOWER = 0x34,
  EC_WATCH = 0x35,
};
#define MDSCR_SS 1ul
#define MDSCR_KDE (1ul << 13)
#define MDSCR_MDE (1ul << 15)
#define SPSR_SS (1ul << 21)
// DBGBCR and DBGWCR: E, at EL1 (PMC, PAC), at EL0, and which bytes.
#define ENABLE 1ul
#define AT_EL1 (1ul << 1)
#define AT_EL0 (2ul << 1)
#define BYTES(bas) ((uint64_t)(bas) << 5)
#define LOADS (1ul << 3)
#define STORES (2ul << 3)
#define MASK(bits) ((uint64_t)(bits) << 24)

enum { MOST = 24 };
static struct {
  unsigned ec;
  uint64_t iss, elr, far, vector;
} events[MOST];
static unsigned count, stepping, steps_left;
static uint64_t pool[2048];
// At a multiple of 8 KiB; so aligned by itself it would take as much of the file.
#define data ((uint64_t *)(((uint64_t)pool + 8191) & -8192ul))

void exception(struct frame *frame, unsigned vector) {
  uint64_t esr = read_sysreg(esr_el1);
  unsigned ec = esr >> 26 & 0x3f;
  uint64_t call = esr & 0xffff;
  if (ec == EC_SVC && call == 0xe1) {
    // svc #0xe1 from EL0: back to EL1h behind the ERET that went there.
    frame->elr = frame->x[2];
    frame->spsr = (frame->spsr & ~(SPSR_SS | 0xful)) | 5;
    stepping = 0;
    return;
  }
  if (ec == EC_SVC && call == 0x57) {
    // svc #0x57: so many steps from here on.
    stepping = 1;
    steps_left = frame->x[0];
    frame->spsr |= SPSR_SS;
    return;
  }
  if (count < MOST) {
    events[count].ec = ec;
    // WnR where both are watched: QEMU remembers what hit the watchpoint before.
    uint64_t wnr = (read_sysreg(dbgwcr0_el1) & (LOADS | STORES)) == (LOADS | STORES) && ec >= EC_WATCH_LOWER && ec <= EC_WATCH;
    events[count].iss = esr & (wnr ? 0x1ffffbf : 0x1ffffff);
    events[count].elr = frame->elr;
    events[count].far = read_sysreg(far_el1);
    events[count].vector = vector;
  }
  count++;
  if (ec == EC_STEP_LOWER || ec == EC_STEP) {
    if (--steps_left == 0) write_sysreg(mdscr_el1, read_sysreg(mdscr_el1) & ~MDSCR_SS);
    else frame->spsr |= SPSR_SS;
  } else if (ec == EC_BREAK_LOWER || ec == EC_BREAK) {
    write_sysreg(dbgbcr0_el1, 0);
  } else if (ec == EC_WATCH_LOWER || ec == EC_WATCH) {
    frame->elr += 4;
  } else if (ec == EC_SVC) {
    if (stepping) frame->spsr |= SPSR_SS;
  } else {
    print("unexpected exception: vector %u ESR_EL1 %08lx ELR_EL1 %lx\n", vector, esr, frame->elr);
    power_off(70);
  }
}

// Prints without anything armed: a hypervisor has more to do at each exit while debug registers are in use.
static void report(const char *what, uint64_t from) {
  write_sysreg(mdscr_el1, 0);
  write_sysreg(dbgbcr0_el1, 0);
  write_sysreg(dbgwcr0_el1, 0);
  print("%s: %u events\n", what, count);
  for (unsigned n = 0; n < count && n < MOST; n++) {
    unsigned ec = events[n].ec;
    print("  vector %lu EC %02x ISS %lx at %s%ld", events[n].vector, ec, events[n].iss, events[n].elr < from ? "" : "+",
          (int64_t)(events[n].elr - from));
    if (ec == EC_WATCH || ec == EC_WATCH_LOWER) print(" FAR data+%lu", events[n].far - (uint64_t)data);
    print("\n");
  }
  count = 0;
}

// At EL0 until svc #0xe1, with PSTATE.SS as told. x0 is what the program begins with.
static void at_el0(const char *program, uint64_t spsr, void *argument) {
  register uint64_t x0 __asm__("x0") = (uint64_t)argument;
  __asm__ volatile(
      "msr elr_el1, %[program]\n"
      "msr spsr_el1, %[spsr]\n"
      "isb\n"
      "adr x2, 1f\n"
      "eret\n"
      "1:\n"
      : "+r"(x0)
      : [program] "r"(program), [spsr] "r"(spsr)
      : "x1", "x2", "x3", "x4", "cc", "memory");
}

extern const char steps[], accesses[];
__asm__(
    ".text\n.balign 4\n"
    "steps:\n"
    "  mov x1, #2\n"          // +0
    "1: subs x1, x1, #1\n"    // +4
    "  b.ne 1b\n"             // +8
    "  ldr x3, [x0]\n"        // +12
    "  ldxr x3, [x0]\n"       // +16: the step says that it was a Load-Exclusive
    "  clrex\n"               // +20
    "  svc #1\n"              // +24: SPSR_EL1.SS is 1 here, so the step ends behind the call
    "  nop\n"                 // +28
    "  svc #0xe1\n"           // +32
    "accesses:\n"
    "  ldr x3, [x0]\n"        // +0
    "  str x3, [x0]\n"        // +4
    "  ldrb w3, [x0, #3]\n"   // +8
    "  ldrb w3, [x0, #4]\n"   // +12
    "  str w3, [x0, #4]\n"    // +16
    "  stp x3, x4, [x0, #-8]\n"  // +20
    "  ldp x3, x4, [x0, #8]\n"   // +24
    "  ldxr x3, [x0]\n"       // +28
    "  stxr w4, x3, [x0]\n"   // +32
    "  ldr x3, [x0, #4088]\n" // +36
    "  svc #0xe1\n");

// The same accesses at EL1.
static void at_el1(void *argument) {
  register void *x0 __asm__("x0") = argument;
  __asm__ volatile(
      "msr daifclr, #8\n isb\n"
      ".globl el1_accesses\n el1_accesses:\n"
      "  ldr x3, [x0]\n"
      "  str x3, [x0]\n"
      "  ldrb w3, [x0, #3]\n"
      "  msr daifset, #8\n isb\n"
      : "+r"(x0)
      :
      : "x3", "x4", "memory");
}
extern const char el1_accesses[];

static void watch(const char *what, uint64_t address, uint64_t control) {
  write_sysreg(mdscr_el1, MDSCR_MDE | MDSCR_KDE);
  write_sysreg(dbgwvr0_el1, address);
  write_sysreg(dbgwcr0_el1, control);
  at_el0(accesses, 0, data + 512);
  report(what, (uint64_t)accesses);
}

int main(void) {
  uint64_t dfr0 = read_sysreg(id_aa64dfr0_el1);
  write_sysreg(oslar_el1, 0);
  write_sysreg(mdscr_el1, 0);
  print("breakpoints and watchpoints: %s\n", (dfr0 >> 12 & 15) >= 1 && (dfr0 >> 20 & 15) >= 1 ? "two or more" : "too few");

  // Without MDSCR_EL1.SS nothing steps; without PSTATE.SS the first step ends before its instruction.
  at_el0(steps, SPSR_SS, data);
  report("SS alone in PSTATE", (uint64_t)steps);
  stepping = 1;
  steps_left = MOST;
  write_sysreg(mdscr_el1, MDSCR_SS);
  at_el0(steps, SPSR_SS, data);
  report("steps at EL0", (uint64_t)steps);
  stepping = 1;
  steps_left = 3;
  write_sysreg(mdscr_el1, MDSCR_SS);
  at_el0(steps, 0, data);
  report("steps that begin pending", (uint64_t)steps);

  // At EL1, which needs KDE and an unmasked PSTATE.D.
  write_sysreg(mdscr_el1, MDSCR_SS | MDSCR_KDE);
  uint64_t from;
  register uint64_t x0 __asm__("x0") = 4;
  __asm__ volatile(
      "msr daifclr, #8\n"
      "svc #0x57\n"
      "adr %0, 1f\n"
      "1: add x0, x0, #1\n"
      "add x0, x0, #1\n"
      "nop\n nop\n nop\n"
      "msr daifset, #8\n"
      : "=&r"(from), "+r"(x0)
      :
      : "memory");
  report("steps at EL1", from - 4);
  write_sysreg(mdscr_el1, MDSCR_SS);
  x0 = 4;
  __asm__ volatile("msr daifclr, #8\n svc #0x57\n nop\n nop\n msr daifset, #8\n" : "+r"(x0) : : "memory");
  report("steps at EL1 without KDE", 0);
  stepping = 0;

  write_sysreg(mdscr_el1, MDSCR_MDE);
  write_sysreg(dbgbvr0_el1, (uint64_t)steps + 4);
  write_sysreg(dbgbcr0_el1, ENABLE | AT_EL0 | BYTES(15));
  at_el0(steps, 0, data);
  report("a breakpoint at EL0", (uint64_t)steps);
  write_sysreg(mdscr_el1, MDSCR_MDE);
  write_sysreg(dbgbcr0_el1, ENABLE | AT_EL1 | BYTES(15));
  at_el0(steps, 0, data);
  report("a breakpoint of EL1, met at EL0", (uint64_t)steps);
  write_sysreg(mdscr_el1, MDSCR_MDE | MDSCR_KDE);
  write_sysreg(dbgbvr0_el1, (uint64_t)el1_accesses + 8);
  write_sysreg(dbgbcr0_el1, ENABLE | AT_EL1 | BYTES(15));
  at_el1(data);
  report("a breakpoint at EL1", (uint64_t)el1_accesses);

  uint64_t here = (uint64_t)(data + 512);
  watch("loads of a doubleword", here, ENABLE | AT_EL0 | LOADS | BYTES(0xff));
  watch("stores to a doubleword", here, ENABLE | AT_EL0 | STORES | BYTES(0xff));
  watch("accesses to byte 3", here, ENABLE | AT_EL0 | LOADS | STORES | BYTES(1 << 3));
  watch("accesses to bytes 4 to 7", here, ENABLE | AT_EL0 | LOADS | STORES | BYTES(0xf0));
  watch("loads from 4 KiB", here & -4096ul, ENABLE | AT_EL0 | LOADS | BYTES(0xff) | MASK(12));
  watch("a watchpoint of EL1, met at EL0", here, ENABLE | AT_EL1 | LOADS | STORES | BYTES(0xff));
  write_sysreg(mdscr_el1, MDSCR_MDE | MDSCR_KDE);
  write_sysreg(dbgwvr0_el1, here);
  write_sysreg(dbgwcr0_el1, ENABLE | AT_EL1 | LOADS | STORES | BYTES(0xff));
  at_el1((void *)here);
  report("a watchpoint at EL1", (uint64_t)el1_accesses);
  write_sysreg(mdscr_el1, MDSCR_MDE);
  write_sysreg(dbgwcr0_el1, ENABLE | AT_EL1 | LOADS | STORES | BYTES(0xff));
  at_el1((void *)here);
  report("a watchpoint at EL1 without KDE", (uint64_t)el1_accesses);
  return 0;
}
