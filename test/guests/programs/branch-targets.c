// Branch targets (DDI 0487 D8.4.5, FEAT_BTI): what may stand where an indirect branch lands in a guarded page, and what
// the exception says otherwise. RAM is mapped twice, the second time guarded.
#include "guest.h"

enum { EC_BTI = 0x0d };
#define GUARDED_AT 0x80000000ul
#define NORMAL (1ul << 2)
#define AF (1ul << 10)
#define INNER_SHAREABLE (3ul << 8)
#define GP (1ul << 50)

static uint64_t root[512] __attribute__((aligned(4096)));
static uint64_t caught, iss, btype, resume;

void exception(struct frame *frame, unsigned vector) {
  uint64_t esr = read_sysreg(esr_el1);
  if (vector != 4 || esr >> 26 != EC_BTI) {
    print("unexpected exception: vector %u ESR_EL1 %08lx ELR_EL1 %lx\n", vector, esr, frame->elr);
    power_off(70);
  }
  caught++;
  iss = esr & 0x1ffffff;
  btype = frame->spsr >> 10 & 3;
  frame->elr = resume;
  frame->spsr &= ~(3ul << 10);
}

// Each ends in a branch to x10, which leads home.
extern char nothing[], bti[], bti_c[], bti_j[], bti_jc[], pacia[];
__asm__(
    ".text\n.balign 4\n"
    "nothing: nop\n b 9f\n"
    "bti: hint 32\n b 9f\n"
    "bti_c: hint 34\n b 9f\n"
    "bti_j: hint 36\n b 9f\n"
    "bti_jc: hint 38\n b 9f\n"
    "pacia: hint 25\n b 9f\n"
    "9: ret x10\n");

#define BRANCH(insn, target, from)                                                             \
  ({                                                                                           \
    caught = iss = btype = 0;                                                                  \
    __asm__ volatile(                                                                          \
        "adr x10, 2f\n str x10, [%1]\n"                                                        \
        "adr x11, 1f\n add x11, x11, %2\n mov x16, %0\n mov x9, %0\n mov x30, %0\n br x11\n"   \
        "1: hint 36\n" insn "\n"                                                               \
        "2: hint 36\n adr x11, 3f\n mov x9, #0x7fffffff\n and x11, x11, x9\n br x11\n 3:\n"     \
        :                                                                                      \
        : "r"((uint64_t)(target)), "r"(&resume), "r"((uint64_t)(from))                         \
        : "x9", "x10", "x11", "x16", "x30", "memory");                                         \
    if (caught) print(" %lx/%lx", iss, btype);                                                 \
    else print(" goes");                                                                       \
  })

static void row(const char *name, char *target, uint64_t from, uint64_t to) {
  uint64_t at = (uint64_t)target + to;
  print("  %s: BR", name);
  BRANCH("br x9", at, from);
  print(", BR X16");
  BRANCH("br x16", at, from);
  print(", BLR");
  BRANCH("blr x9", at, from);
  print(", RET");
  BRANCH("ret", at, from);
  print("\n");
}

static void table(const char *name, uint64_t from, uint64_t to) {
  print("%s\n", name);
  row("no landing pad", nothing, from, to);
  row("BTI", bti, from, to);
  row("BTI c", bti_c, from, to);
  row("BTI j", bti_j, from, to);
  row("BTI jc", bti_jc, from, to);
  row("PACIASP", pacia, from, to);
}

int main(void) {
  if ((read_sysreg(id_aa64pfr1_el1) & 15) == 0) {
    print("this CPU has no branch target identification\n");
    return 77;
  }
  // Blocks of 1 GiB: devices, RAM, and RAM again, guarded.
  root[0] = AF | 1;
  root[1] = 0x40000000 | AF | INNER_SHAREABLE | NORMAL | 1;
  root[2] = 0x40000000 | AF | INNER_SHAREABLE | NORMAL | GP | 1;
  write_sysreg(mair_el1, 0xff00);
  write_sysreg(ttbr0_el1, root);
  // 32 bits of address, write-back, inner shareable, no TTBR1, physical addresses of 40 bits.
  write_sysreg(tcr_el1, 32 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2ul << 32);
  __asm__ volatile("dsb ish\n tlbi vmalle1\n dsb ish\n isb" ::: "memory");
  write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) | 1 | 1 << 2 | 1 << 12);
  uint64_t guarded = GUARDED_AT - 0x40000000;
  table("from guarded to guarded", guarded, guarded);
  table("from elsewhere to guarded", 0, guarded);
  table("from guarded to elsewhere", guarded, 0);
  // SCTLR_EL1.BT1: PACIASP is no landing pad of BR.
  write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) | 1ul << 36);
  table("with BT1", guarded, guarded);
  return 0;
}
