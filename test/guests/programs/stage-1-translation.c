// Stage 1 of address translation: what each access finds in page tables of one granule (GRANULE: log2 of its bytes), and
// how its faults are reported. NEEDS_PAN adds PSTATE.PAN.
#include "guest.h"

#ifndef GRANULE
#define GRANULE 12
#endif

enum { STRIDE = GRANULE - 3, PAGE = 1 << GRANULE };
// The upper half has 39 bits of address; the lower 32, identical to physical addresses.
#define HIGH 0xffffff8000000000ul
enum { HIGH_BITS = 39, LOW_BITS = 32 };

#define VALID 1ul
#define TABLE 3ul
#define NORMAL (1ul << 2)
#define EL0 (1ul << 6)
#define READ_ONLY (1ul << 7)
#define AF (1ul << 10)
#define PXN (1ul << 53)
#define UXN (1ul << 54)
#define PXN_TABLE (1ul << 59)
#define UXN_TABLE (1ul << 60)
#define NO_EL0_TABLE (1ul << 61)
#define READ_ONLY_TABLE (1ul << 62)

static uint64_t *low_table;
static uint64_t *high_tables[3];
// What the tested pages show: instructions at its beginning, data behind; two pages.
static uint32_t *target;
static uint32_t *user_code;

// Whole pages, aligned here: an alignment in the file would make it as large as a page.
static void *pages(unsigned count) {
  static uint8_t pool[8 * PAGE];
  static uint64_t next;
  if (next == 0) next = ((uint64_t)pool + PAGE - 1) & -(uint64_t)PAGE;
  void *first = (void *)next;
  next += (uint64_t)count * PAGE;
  return first;
}

static struct {
  uint64_t esr, far, back;
} fault;

void exception(struct frame *frame, unsigned vector) {
  uint64_t esr = read_sysreg(esr_el1);
  unsigned ec = esr >> 26 & 0x3f;
  if (ec == 0x15) {
    // SVC at EL0: it got through.
    fault.esr = 0;
  } else {
    fault.esr = esr;
    fault.far = read_sysreg(far_el1);
  }
  if (vector >= 8) {
    frame->elr = fault.back;
    frame->spsr = (frame->spsr & ~0xful) | 5;
  } else {
    frame->elr = ec == 0x21 ? frame->lr : frame->elr + 4;
  }
}

static void invalidate(void) { __asm__ volatile("dsb ishst\n tlbi vmalle1is\n dsb ish\n isb" ::: "memory"); }

// The last table of the way to `HIGH + page`, and the entry in it.
static uint64_t *leaf(unsigned page) { return &high_tables[HIGH_BITS - GRANULE > 2 * STRIDE ? 2 : 1][page]; }

static void map(unsigned page, uint64_t descriptor) {
  *leaf(page) = descriptor;
  invalidate();
}

enum access { READ, WRITE, EXECUTE, USER_READ, USER_WRITE, USER_EXECUTE, AS_USER_READ, AS_USER_WRITE, ACCESSES };
static const char *const names[] = {"read", "write", "execute", "EL0 read", "EL0 write", "EL0 execute", "LDTR", "STTR"};

// Runs at EL0 from `pc` with `x1`, until SVC or a fault.
static void at_el0(uint64_t pc, uint64_t x1) {
  register uint64_t first __asm__("x1") = x1;
  __asm__ volatile(
      "adr x2, 1f\n"
      "str x2, [%[back]]\n"
      "msr elr_el1, %[pc]\n"
      "msr spsr_el1, %[spsr]\n"
      "isb\n"
      "eret\n"
      "1:\n"
      : "+r"(first)
      : [pc] "r"(pc), [spsr] "r"(0x3c0ul), [back] "r"(&fault.back)
      : "x0", "x2", "memory");
}

static uint64_t user_page(void);

static void attempt(enum access access, uint64_t at) {
  uint64_t value = 0;
  fault.esr = 0;
  fault.far = 0;
  switch (access) {
    case READ: __asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"(at) : "memory"); break;
    case WRITE: __asm__ volatile("str %0, [%1]" ::"r"(value), "r"(at) : "memory"); break;
    case EXECUTE: __asm__ volatile("blr %0" ::"r"(at) : "x30", "memory"); break;
    case USER_READ: at_el0(user_page(), at); break;
    case USER_WRITE: at_el0(user_page() + 8, at); break;
    case USER_EXECUTE: at_el0(at + 4, 0); break;
    case AS_USER_READ: __asm__ volatile("ldtr %0, [%1]" : "=r"(value) : "r"(at) : "memory"); break;
    case AS_USER_WRITE: __asm__ volatile("sttr %0, [%1]" ::"r"(value), "r"(at) : "memory"); break;
    default: break;
  }
}

static void report(enum access access, uint64_t at) {
  attempt(access, at);
  if (fault.esr == 0) {
    print(" %s ok", names[access]);
    return;
  }
  print(" %s %02lx:%02lx", names[access], fault.esr >> 26 & 0x3f, fault.esr & 0x3f);
  if (fault.esr & 1 << 6) print("w");
  if (fault.far != at + (access == USER_EXECUTE ? 4 : 0)) print(" FAR %lx", fault.far);
}

// Data lies behind the instructions of a page.
enum { DATA = 64, TESTED = 5, USER = 6 };
static uint64_t place(enum access access, uint64_t page) {
  return page + (access == EXECUTE || access == USER_EXECUTE ? 0 : DATA);
}

static void all(const char *what, uint64_t page) {
  print("%s:", what);
  for (enum access access = READ; access < ACCESSES; access++) report(access, place(access, page));
  print("\n");
}

#define AT (HIGH + (uint64_t)TESTED * PAGE)

static uint64_t user_page(void) { return HIGH + (uint64_t)USER * PAGE; }

static uint64_t page(uint64_t bits) { return (uint64_t)target | AF | NORMAL | 3 | bits; }

// One letter an access: '.' it got through, P permission, A access flag, T translation, S address size.
static void letters(uint64_t at) {
  for (enum access access = READ; access < ACCESSES; access++) {
    attempt(access, place(access, at));
    static const char kinds[] = "STAP";
    put_char(fault.esr == 0 ? '.' : (fault.esr & 0x3f) < 16 ? kinds[fault.esr >> 2 & 3] : '?');
  }
}

static void permissions(void) {
  for (unsigned ap = 0; ap < 4; ap++) {
    for (unsigned xn = 0; xn < 4; xn++) {
      map(TESTED, page((uint64_t)ap << 6 | (uint64_t)xn << 53));
      print("AP %u UXN %u PXN %u: ", ap, xn >> 1, xn & 1);
      letters(AT);
      print("\n");
    }
  }
}

static void translate(const char *what, uint64_t par) {
  if (par & 1) {
    print(" %s fault %02lx", what, par >> 1 & 0x3f);
  } else {
    print(" %s +%lx attributes %02lx", what, (par & 0xffffffff000ul) - (uint64_t)target, par >> 56);
  }
}

static void address_translation(void) {
#define TRANSLATE(operation)                                                     \
  __asm__ volatile("at " #operation ", %0\n isb" ::"r"(AT + 0x123) : "memory"); \
  translate(#operation, read_sysreg(par_el1))
  TRANSLATE(s1e1r);
  TRANSLATE(s1e1w);
  TRANSLATE(s1e0r);
  TRANSLATE(s1e0w);
  print("\n");
}

static void set_tcr(uint64_t more) {
  static const uint64_t tg0[] = {[12] = 0, [14] = 2, [16] = 1}, tg1[] = {[12] = 2, [14] = 1, [16] = 3};
  uint64_t tcr = (64 - LOW_BITS) | (64 - HIGH_BITS) << 16 | tg0[GRANULE] << 14 | tg1[GRANULE] << 30;
  // Inner shareable, write-back; 40 bits of output address.
  tcr |= 0x3500 | 0x35000000 | 2ul << 32;
  write_sysreg(tcr_el1, tcr ^ more);
  invalidate();
}

static void turn_on(void) {
  low_table = pages(1);
  for (unsigned n = 0; n < 3; n++) high_tables[n] = pages(1);
  target = pages(2);
  user_code = pages(1);
  unsigned bits = GRANULE + STRIDE * (LOW_BITS - GRANULE > 2 * STRIDE ? 2 : LOW_BITS - GRANULE > STRIDE ? 1 : 0);
  // Blocks: devices below 1 GiB, RAM from there, as much as the program can see.
  for (uint64_t at = 0; at < 2ul << 30; at += 1ul << bits) {
    uint64_t type = at < 1ul << 30 ? PXN : NORMAL;
    low_table[at >> bits] = at | AF | UXN | type | VALID;
  }
  if (HIGH_BITS - GRANULE > 2 * STRIDE) {
    high_tables[0][0] = (uint64_t)high_tables[1] | TABLE;
    high_tables[1][0] = (uint64_t)high_tables[2] | TABLE;
  } else {
    high_tables[0][0] = (uint64_t)high_tables[1] | TABLE;
  }
  target[0] = 0xd65f03c0;  // ret
  target[1] = 0xd4001c21;  // svc #0xe1
  user_code[0] = 0xf9400020;  // ldr x0, [x1]
  user_code[1] = 0xd4001c21;
  user_code[2] = 0xf9000020;  // str x0, [x1]
  user_code[3] = 0xd4001c21;
  *leaf(USER) = (uint64_t)user_code | AF | NORMAL | EL0 | READ_ONLY | 3;
  write_sysreg(mair_el1, 0xff00);
  write_sysreg(ttbr0_el1, low_table);
  write_sysreg(ttbr1_el1, high_tables[0]);
  set_tcr(0);
  __asm__ volatile("ic iallu\n dsb sy\n isb");
  // RES1 of Armv8.0, caches, stack alignment checks.
  write_sysreg(sctlr_el1, 0x30d0199d);
}

#ifdef NEEDS_PAN
// Accesses that read and write: a fault is a write's only where a read would have got through. Armv8.1 has PAN and LSE.
static void atomics(const char *what) {
  print("%s:", what);
#define ATOMIC(name, instructions)                                                                         \
  fault.esr = 0;                                                                                           \
  {                                                                                                        \
    register uint64_t at __asm__("x4") = AT + DATA;                                                        \
    __asm__ volatile(".arch_extension lse\n" instructions ::"r"(at) : "x0", "x1", "x2", "x3", "memory"); \
  }                                                                                                        \
  print(" " name " %02lx:%02lx%s", fault.esr >> 26, fault.esr & 0x3f, fault.esr & 1 << 6 ? "w" : "")
  ATOMIC("LDADD", "ldadd x0, x1, [x4]");
  ATOMIC("SWPB", "swpb w0, w1, [x4]");
  ATOMIC("CAS", "cas x0, x1, [x4]");
  ATOMIC("CASP", "casp x0, x1, x2, x3, [x4]");
  ATOMIC("LDXR, STXR", "ldxr x0, [x4]\n stxr w1, x0, [x4]");
  print("\n");
}
#endif

int main(void) {
  uint64_t granules = read_sysreg(id_aa64mmfr0_el1);
  if (GRANULE == 14 ? (granules >> 20 & 15) == 0 : GRANULE == 16 && (granules >> 24 & 15) == 15) {
    print("the CPU lacks this granule\n");
    return 77;
  }
#ifdef NEEDS_PAN
  if ((read_sysreg(id_aa64mmfr1_el1) >> 20 & 15) == 0) {
    print("the CPU lacks PAN\n");
    return 77;
  }
#endif
  turn_on();
  print("stage 1 is on\n");
  permissions();

  map(TESTED, 0);
  all("no page", AT);
  map(TESTED, page(EL0) & ~2ul);
  all("a block where pages are", AT);
  map(TESTED, page(EL0) & ~AF);
  all("no access flag", AT);
  map(TESTED, page(EL0) | 1ul << 44);
  all("beyond the output size", AT);
  map(TESTED, page(EL0));
  all("another table", AT + (1ul << (GRANULE + STRIDE)));
  all("beyond the input size", AT & ~(1ul << 45));
  all("no walks of the upper half", (set_tcr(1 << 23), AT));
  set_tcr(0);

  uint64_t *above = HIGH_BITS - GRANULE > 2 * STRIDE ? high_tables[1] : high_tables[0];
  static const struct {
    const char *what;
    uint64_t bit;
  } taken[] = {{"APTable: no EL0", NO_EL0_TABLE}, {"APTable: read-only", READ_ONLY_TABLE},
               {"UXNTable", UXN_TABLE}, {"PXNTable", PXN_TABLE}};
  for (unsigned n = 0; n < 4; n++) {
    above[0] |= taken[n].bit;
    invalidate();
    print("%s: ", taken[n].what);
    letters(AT);
    print(", read-only ");
    map(TESTED, page(EL0 | READ_ONLY));
    letters(AT);
    print("\n");
    above[0] &= ~taken[n].bit;
    map(TESTED, page(EL0));
  }

  target[PAGE / 4 - 1] = 0x44332211;
  target[PAGE / 4] = 0x88776655;
  map(TESTED, page(EL0));
  map(TESTED + 1, 0);
  *leaf(TESTED + 1) = ((uint64_t)target + PAGE) | AF | NORMAL | EL0 | 3;
  // The page of EL0's code makes way for the second half.
  invalidate();
  uint64_t both;
  __asm__ volatile("ldr %0, [%1]" : "=r"(both) : "r"(AT + PAGE - 4) : "memory");
  print("across two pages: %lx\n", both);
  map(TESTED + 1, 0);
  print("half of it without a page:");
  report(READ, AT + PAGE - 4);
  report(WRITE, AT + PAGE - 4);
  print("\n");
  *leaf(USER) = (uint64_t)user_code | AF | NORMAL | EL0 | READ_ONLY | 3;

  map(TESTED, page(0));
  print("AT, EL1 only:");
  address_translation();
  map(TESTED, page(EL0 | READ_ONLY));
  print("AT, read-only:");
  address_translation();
  map(TESTED, 0);
  print("AT, no page:");
  address_translation();

  map(TESTED, page(EL0));
  set_tcr(1ul << 38);
  print("top byte ignored:");
  report(READ, (AT & ~(0xfful << 56)) | 0x5aul << 56);
  set_tcr(0);
  report(READ, (AT & ~(0xfful << 56)) | 0x5aul << 56);
  print("\n");

#ifdef NEEDS_PAN
  __asm__ volatile(".inst 0xd500419f");  // msr pan, #1
  print("PAN, EL0 too: ");
  letters(AT);
  map(TESTED, page(0));
  print("\nPAN, EL1 only: ");
  letters(AT);
  print("\n");
  __asm__ volatile(".inst 0xd500409f");
  map(TESTED, 0);
  atomics("atomics, no page");
  map(TESTED, page(READ_ONLY));
  atomics("atomics, read-only");
  map(TESTED, page(0));
  atomics("atomics, writable");
#endif

  // Back to physical addresses.
  write_sysreg(sctlr_el1, 0x30d00998);
  print("stage 1 is off\n");
  return 0;
}
