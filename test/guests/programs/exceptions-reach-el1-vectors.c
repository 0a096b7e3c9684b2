// Every synchronous exception that a program can cause by itself, from EL1 and from EL0: where it lands, what ESR_EL1,
// ELR_EL1 and SPSR_EL1 say, and that ERET goes on behind it.
#include "guest.h"

// Beyond the 40-bit IPA space of a default VM, inside the physical address space of every CPU with 44 bits or more:
// KVM injects a synchronous external abort, as a bus with nothing there gives.
#define NOWHERE (1ul << 41)
// No RAM and no device of the machine; to fetch an instruction there is an external abort.
#define NO_CODE 0x0b000000ul

enum { EC_UNKNOWN = 0x00, EC_SVC = 0x15, EC_IABT_SAME = 0x21, EC_DABT_SAME = 0x25, EC_BRK = 0x3c };

static struct {
  uint64_t esr, elr, spsr, far, vector;
  unsigned count;
} last;

void exception(struct frame *frame, unsigned vector) {
  uint64_t esr = read_sysreg(esr_el1);
  unsigned ec = esr >> 26 & 0x3f;
  last.esr = esr;
  last.elr = frame->elr;
  last.spsr = frame->spsr;
  last.far = read_sysreg(far_el1);
  last.vector = vector;
  last.count++;
  if (ec == EC_SVC && (esr & 0xffff) == 0xe1) {
    // svc #0xe1 from EL0: back to EL1h behind the ERET that went there, with what EL0 left in x0.
    frame->elr = frame->x[2];
    frame->spsr = (frame->spsr & ~0xful) | 5;
  } else if (ec == EC_IABT_SAME) {
    frame->elr = frame->lr;
  } else if (ec != EC_SVC) {
    frame->elr += 4;
  }
}

static void report(const char *what, uint64_t at) {
  unsigned ec = last.esr >> 26 & 0x3f;
  // Which bits of the syndrome are the architecture's and not the implementation's choice.
  uint64_t iss = last.esr & (ec == EC_DABT_SAME || ec == EC_IABT_SAME ? 0x3f : 0x1ffffff);
  print("%s: count %u vector %lu EC %02x IL %lu ISS %lx ELR %s%ld mode %lx\n", what, last.count, last.vector, ec,
        last.esr >> 25 & 1, iss, last.elr < at ? "" : "+", (int64_t)(last.elr - at), last.spsr & 0xf);
}

// Runs one instruction with its address in `at`.
#define RUN(at, instruction, ...) \
  __asm__ volatile("adr %0, 1f\n1: " instruction : "=&r"(at) : __VA_ARGS__ : "memory")

extern char el0_program[], el0_undefined[], el0_breakpoint[];
__asm__(
    ".text\n"
    ".balign 4\n"
    "el0_program:\n"
    "  mov x0, #0\n"
    "  svc #0x123\n"
    "  add x0, x0, #1\n"
    "el0_undefined: mrs x1, sctlr_el1\n"  // not for EL0
    "  add x0, x0, #1\n"
    "el0_breakpoint: brk #7\n"
    "  add x0, x0, #1\n"
    "  svc #0xe1\n");

static uint64_t run_at_el0(void) {
  register uint64_t x0 __asm__("x0");
  register uint64_t x2 __asm__("x2");
  __asm__ volatile(
      "msr elr_el1, %[program]\n"
      "msr spsr_el1, xzr\n"  // EL0t, nothing masked
      "isb\n"
      "adr x2, 1f\n"
      "eret\n"
      "1:\n"
      : "=r"(x0), "=r"(x2)
      : [program] "r"(el0_program)
      : "x1", "cc", "memory");
  return x0;
}

int main(void) {
  uint64_t at, value = 1;

  RUN(at, "svc #0x55");
  report("SVC", at + 4);
  RUN(at, "brk #0xabc");
  report("BRK", at);
  RUN(at, ".inst 0x00000000");
  report("UDF", at);
  RUN(at, "mrs xzr, s3_0_c15_c15_7");
  report("unallocated system register", at);
  __asm__ volatile("adr %0, 1f\n1: ldr %1, [%2]" : "=&r"(at), "+r"(value) : "r"(NOWHERE));
  report("load from nowhere", at);
  print("  FAR %lx, the register is %s\n", last.far, value == 1 ? "unchanged" : "changed");
  __asm__ volatile("blr %0" ::"r"(NO_CODE) : "x30", "memory");
  report("branch to nowhere", NO_CODE);
  print("  FAR %lx\n", last.far);

  last.count = 0;
  uint64_t passed = run_at_el0();
  report("back from EL0", (uint64_t)el0_breakpoint + 12);
  print("EL0 passed %lu exceptions, now at EL%lu with SP_EL%lu\n", passed, read_sysreg(CurrentEL) >> 2,
        read_sysreg(SPSel));

  // PSTATE survives an exception and its return.
  uint64_t flags;
  __asm__ volatile(
      "msr nzcv, %1\n"
      "svc #1\n"
      "mrs %0, nzcv\n"
      : "=r"(flags)
      : "r"(0xa0000000ul)
      : "cc", "memory");
  print("NZCV %lx, SPSR.NZCV %lx\n", flags >> 28, last.spsr >> 28);

  // SP_EL0 selected: the exception comes through the first group of vectors and leaves SP_EL0 alone.
  uint64_t sp0;
  __asm__ volatile(
      "mov x1, #0x1000\n"
      "msr spsel, #0\n"
      "mov sp, x1\n"
      "svc #2\n"
      "mov x1, sp\n"
      "msr spsel, #1\n"
      "mov %0, x1\n"
      : "=r"(sp0)
      :
      : "x1", "memory");
  print("SVC with SP_EL0: vector %lu mode %lx SP_EL0 %lx\n", last.vector, last.spsr & 0xf, sp0);
  return 0;
}
