// Pointer authentication (DDI 0487 D8.10): which keys sign what, what a wrong modifier does, and what is left of it where
// SCTLR_EL1 enables no key. Which bits a signature has depends on the CPU's algorithm: none of them is printed.
#include "guest.h"

enum { ENIA = 31, ENIB = 30, ENDA = 27, ENDB = 13 };
enum { EC_FPAC = 0x1c, EC_IABT = 0x21, EC_DABT = 0x25 };

static uint64_t faults, far, ec, resume;

void exception(struct frame *frame, unsigned vector) {
  uint64_t esr = read_sysreg(esr_el1);
  ec = esr >> 26;
  if (vector != 4 || (ec != EC_FPAC && ec != EC_IABT && ec != EC_DABT)) {
    print("unexpected exception: vector %u ESR_EL1 %08lx ELR_EL1 %lx\n", vector, esr, frame->elr);
    power_off(70);
  }
  faults++;
  far = read_sysreg(far_el1);
  frame->elr = resume;
}

#define SIGN(insn, pointer, modifier)                                                          \
  ({                                                                                           \
    uint64_t p_ = (pointer);                                                                   \
    __asm__ volatile(insn " %0, %1" : "+r"(p_) : "r"((uint64_t)(modifier)));                    \
    p_;                                                                                        \
  })

// Authenticates and loads through what comes of it; -1: a fault, there or at the load.
#define USE(insn, pointer, modifier)                                                           \
  ({                                                                                           \
    uint64_t p_ = (pointer);                                                                   \
    uint64_t v_;                                                                               \
    __asm__ volatile(                                                                          \
        "adr %1, 2f\n str %1, [%3]\n mov %1, #-1\n" insn " %0, %2\n ldr %1, [%0]\n 2:\n"       \
        : "+&r"(p_), "=&r"(v_)                                                                 \
        : "r"((uint64_t)(modifier)), "r"(&resume)                                              \
        : "memory");                                                                           \
    v_;                                                                                        \
  })

static uint64_t thing = 42;

static void keys(uint64_t seed) {
  write_sysreg(s3_0_c2_c1_0, seed);  // APIAKeyLo_EL1
  write_sysreg(s3_0_c2_c1_1, seed * 3);
  write_sysreg(s3_0_c2_c1_2, seed * 5);  // APIBKeyLo_EL1
  write_sysreg(s3_0_c2_c1_3, seed * 7);
  write_sysreg(s3_0_c2_c2_0, seed * 11);  // APDAKeyLo_EL1
  write_sysreg(s3_0_c2_c2_1, seed * 13);
  write_sysreg(s3_0_c2_c2_2, seed * 17);  // APDBKeyLo_EL1
  write_sysreg(s3_0_c2_c2_3, seed * 19);
  write_sysreg(s3_0_c2_c3_0, seed * 23);  // APGAKeyLo_EL1
  write_sysreg(s3_0_c2_c3_1, seed * 29);
}

static void enable(uint64_t bits) {
  uint64_t all = 1ul << ENIA | 1ul << ENIB | 1ul << ENDA | 1ul << ENDB;
  write_sysreg(sctlr_el1, (read_sysreg(sctlr_el1) & ~all) | bits);
}

static const char *same(uint64_t a, uint64_t b) { return a == b ? "the same" : "another"; }

static void key(const char *name, uint64_t signed_pointer, uint64_t with_other, uint64_t right, uint64_t wrong) {
  uint64_t plain = (uint64_t)&thing;
  print("%s: signed is %s, with another modifier %s", name, same(signed_pointer, plain), same(signed_pointer, with_other));
  print("; low bits %s; loads %ld, with a wrong modifier %ld, %lu faults\n",
        same(signed_pointer << 16, plain << 16), (int64_t)right, (int64_t)wrong, faults);
  faults = 0;
}

#define KEY(name, sign, auth)                                                                  \
  do {                                                                                         \
    uint64_t s_ = SIGN(sign, (uint64_t)&thing, 7);                                             \
    key(name, s_, SIGN(sign, (uint64_t)&thing, 8), USE(auth, s_, 7), USE(auth, s_, 8));        \
  } while (0)

static void all_keys(void) {
  KEY("IA", "pacia", "autia");
  KEY("IB", "pacib", "autib");
  KEY("DA", "pacda", "autda");
  KEY("DB", "pacdb", "autdb");
}

// Called by BLRAA, comes back by RETAA.
extern char signed_return[];
__asm__(".text\n.balign 4\nsigned_return: paciasp\n add x0, x0, #1\n retaa\n");

int main(void) {
  uint64_t isar1 = read_sysreg(s3_0_c0_c6_1), isar2 = read_sysreg(s3_0_c0_c6_2);
  if ((isar1 & 0xff0) == 0 && (isar2 & 0xf000) == 0) {
    print("this CPU has no pointer authentication\n");
    return 77;
  }
  keys(0x123456789abcdef1);
  print("no key enabled\n");
  enable(0);
  all_keys();
  print("all keys enabled\n");
  enable(1ul << ENIA | 1ul << ENIB | 1ul << ENDA | 1ul << ENDB);
  all_keys();
  print("IA and DB enabled\n");
  enable(1ul << ENIA | 1ul << ENDB);
  all_keys();
  enable(1ul << ENIA | 1ul << ENIB | 1ul << ENDA | 1ul << ENDB);

  uint64_t plain = (uint64_t)&thing, a = SIGN("pacia", plain, 1), stripped = a, generic, again;
  print("keys of A and B: %s; of instructions and data: %s\n", same(a, SIGN("pacib", plain, 1)),
        same(a, SIGN("pacda", plain, 1)));
  __asm__ volatile("xpaci %0" : "+r"(stripped));
  print("stripped: %s\n", same(stripped, plain));
  __asm__ volatile("pacga %0, %1, %2" : "=r"(generic) : "r"(plain), "r"(3ul));
  __asm__ volatile("pacga %0, %1, %2" : "=r"(again) : "r"(plain), "r"(4ul));
  print("generic: low half %lx, with another modifier %s\n", generic & 0xffffffff, same(generic, again));
  keys(0xfedcba9876543211);
  print("with other keys: %s\n", same(a, SIGN("pacia", plain, 1)));

  register uint64_t x0 __asm__("x0") = 1;
  register uint64_t x9 __asm__("x9") = SIGN("pacia", (uint64_t)signed_return, 5);
  register uint64_t x10 __asm__("x10") = 5;
  __asm__ volatile("blraa x9, x10\n" : "+r"(x0) : "r"(x9), "r"(x10) : "x30", "memory");
  print("called through a signed pointer: %lu\n", x0);
  uint64_t loaded;
  __asm__ volatile("ldraa %0, [%1]" : "=r"(loaded) : "r"(SIGN("pacda", plain, 0)));
  print("loaded through a signed pointer: %lu\n", loaded);
  // The return address was signed with another stack pointer.
  __asm__ volatile(
      "adr x30, 1f\n str x30, [%0]\n paciasp\n sub sp, sp, #16\n retaa\n 1: add sp, sp, #16\n"
      :
      : "r"(&resume)
      : "x30", "memory");
  print("returned with another stack: %lu faults\n", faults);
  return 0;
}
