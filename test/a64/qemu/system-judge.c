// The system-mode judge: a bare-metal program at EL1 that runs cases found in memory and writes what exception ended
// each, with all that it changed, to the file results.bin by semihosting. test/a64/qemu/system-judge.ts speaks the same
// format.
//
//   aarch64-linux-gnu-gcc -O2 -ffreestanding -nostdlib -static -fno-stack-protector -mgeneral-regs-only -mstrict-align
//     -fno-tree-loop-distribute-patterns -march=armv8.5-a
//     -Wl,-Ttext=0x46000000,--section-start=.vectors=0x47000000,-z,max-page-size=4096,--build-id=none -s
//     -o test/a64/qemu/bin/system-judge test/a64/qemu/system-judge.c

#include <stdint.h>

#define DATA 0x44000000UL
#define DATA_BYTES 8192
#define CODE 0x45000000UL
#define CODE_BYTES 4096
#define CASES 0x48000000UL // loaded by QEMU: a count in 8 bytes, then the cases
#define BRK 0xd4200000
#define WORDS 16
#define REGISTERS 14

struct input {
  uint64_t x[31], sp_el0, sp_el1, pstate, sctlr, cpacr, cntkctl;
  uint32_t count, code[WORDS], unused;
};

struct output {
  uint64_t x[31], sp_el0, sp_el1, elr, spsr, esr, far, vector, pstate, registers[REGISTERS], changes;
};

// Written by the vectors, at offsets that the assembly below knows.
struct output out;
struct input *next, *end;


__asm__(
    ".section .vectors, \"ax\"\n"
    ".balign 2048\n"
    ".globl vectors\n"
    "vectors:\n"
    ".rept 16\n"
    ".balign 128\n"
    // Three registers are parked where no case looks; BL tells which vector it was.
    "  msr mair_el1, x30\n"
    "  bl taken\n"
    ".endr\n"
    ".balign 128\n"
    "taken:\n"
    "  msr cntv_cval_el0, x29\n"
    // Data of this program is little-endian.
    "  mrs x29, sctlr_el1\n  msr cntp_cval_el0, x29\n"
    "  and x29, x29, #~(1 << 25)\n  msr sctlr_el1, x29\n  isb\n"
    "  adrp x29, out\n"
    "  add x29, x29, :lo12:out\n"
    "  stp x0, x1, [x29]\n  stp x2, x3, [x29, 16]\n  stp x4, x5, [x29, 32]\n  stp x6, x7, [x29, 48]\n"
    "  stp x8, x9, [x29, 64]\n  stp x10, x11, [x29, 80]\n  stp x12, x13, [x29, 96]\n  stp x14, x15, [x29, 112]\n"
    "  stp x16, x17, [x29, 128]\n  stp x18, x19, [x29, 144]\n  stp x20, x21, [x29, 160]\n  stp x22, x23, [x29, 176]\n"
    "  stp x24, x25, [x29, 192]\n  stp x26, x27, [x29, 208]\n"
    "  mrs x0, cntv_cval_el0\n  stp x28, x0, [x29, 224]\n"
    "  mrs x0, mair_el1\n  mrs x1, sp_el0\n  stp x0, x1, [x29, 240]\n"
    "  mov x0, sp\n  mrs x1, elr_el1\n  stp x0, x1, [x29, 256]\n"
    "  mrs x0, spsr_el1\n  mrs x1, esr_el1\n  stp x0, x1, [x29, 272]\n"
    "  mrs x0, far_el1\n  and x1, x30, 0x780\n  stp x0, x1, [x29, 288]\n"
    "  adrp x0, stack_top\n  add sp, x0, :lo12:stack_top\n"
    "  b report\n"
    ".globl _start\n"
    "_start:\n"
    "  adrp x0, stack_top\n  add sp, x0, :lo12:stack_top\n"
    "  b begin\n"
    // x0: the case. What it leaves in place is its own.
    ".globl enter\n"
    "enter:\n"
    "  ldp x1, x2, [x0, 248]\n  msr sp_el0, x1\n  mov sp, x2\n"
    "  ldp x1, x2, [x0, 280]\n  msr cpacr_el1, x1\n  msr cntkctl_el1, x2\n"
    "  ldp x1, x2, [x0, 264]\n  msr spsr_el1, x1\n  msr sctlr_el1, x2\n"
    "  mov x1, 0x45000000\n  msr elr_el1, x1\n  isb\n"
    "  mov x30, x0\n"
    "  ldp x0, x1, [x30]\n  ldp x2, x3, [x30, 16]\n  ldp x4, x5, [x30, 32]\n  ldp x6, x7, [x30, 48]\n"
    "  ldp x8, x9, [x30, 64]\n  ldp x10, x11, [x30, 80]\n  ldp x12, x13, [x30, 96]\n  ldp x14, x15, [x30, 112]\n"
    "  ldp x16, x17, [x30, 128]\n  ldp x18, x19, [x30, 144]\n  ldp x20, x21, [x30, 160]\n"
    "  ldp x22, x23, [x30, 176]\n  ldp x24, x25, [x30, 192]\n  ldp x26, x27, [x30, 208]\n"
    "  ldp x28, x29, [x30, 224]\n  ldr x30, [x30, 240]\n"
    "  clrex\n"
    "  eret\n"
    ".bss\n.balign 16\n.skip 16384\nstack_top:\n"
    ".text\n");

void enter(struct input *) __attribute__((noreturn));
extern char vectors[];

#define READ(name) ({ uint64_t v; __asm__ volatile("mrs %0, " name : "=r"(v)); v; })
#define WRITE(name, value) __asm__ volatile("msr " name ", %0" ::"r"((uint64_t)(value)) : "memory")

static long semihosting(long operation, const void *argument) {
  register long x0 __asm__("x0") = operation;
  register const void *x1 __asm__("x1") = argument;
  __asm__ volatile("hlt 0xf000" : "+r"(x0) : "r"(x1) : "memory");
  return x0;
}

static long file;
static uint8_t waiting[1 << 16];
static uint64_t used;

static void flush(void) {
  uint64_t write[3] = {file, (uint64_t)waiting, used};
  semihosting(0x05, write);
  used = 0;
}

static void give(const void *from, uint64_t bytes) {
  if (used + bytes > sizeof waiting) flush();
  for (uint64_t n = 0; n < bytes; n++) waiting[used++] = ((const uint8_t *)from)[n];
}

static uint64_t original[DATA_BYTES / 8];

// SplitMix64 from zero: the other side makes the same.
static void fill(void) {
  uint64_t seed = 0;
  for (int n = 0; n < DATA_BYTES / 8; n++) {
    uint64_t z = seed += 0x9e3779b97f4a7c15UL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9UL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebUL;
    original[n] = ((uint64_t *)DATA)[n] = z ^ (z >> 31);
  }
}

static void __attribute__((noreturn)) run(void) {
  if (next == end) {
    flush();
    uint64_t stopped[2] = {0x20026 /* ADP_Stopped_ApplicationExit */, 0};
    semihosting(0x18, stopped);
    for (;;);
  }
  volatile uint32_t *code = (volatile uint32_t *)CODE;
  for (uint32_t n = 0; n < WORDS; n++) code[n] = n < next->count ? next->code[n] : BRK;
  __asm__ volatile("dsb ish; ic iallu; dsb ish; isb");
  WRITE("ttbr0_el1", 0); WRITE("ttbr1_el1", 0); WRITE("tcr_el1", 0); WRITE("contextidr_el1", 0);
  WRITE("tpidr_el0", 0); WRITE("tpidrro_el0", 0); WRITE("tpidr_el1", 0); WRITE("par_el1", 0);
  WRITE("csselr_el1", 0); WRITE("mdscr_el1", 0); WRITE("far_el1", 0); WRITE("esr_el1", 0);
  WRITE("vbar_el1", vectors); WRITE("pmuserenr_el0", 0);
  __asm__ volatile("msr s0_0_c4_c0_4, xzr; msr s0_0_c4_c0_3, xzr" ::: "memory"); // PAN, UAO
  // EE is in force when X0 to X30 are loaded.
  if (next->sctlr >> 25 & 1)
    for (int n = 0; n < 31; n++) next->x[n] = __builtin_bswap64(next->x[n]);
  enter(next++);
}

void report(void) {
  uint64_t sctlr = READ("cntp_cval_el0");
  WRITE("sctlr_el1", 0x30d00800 & ~2UL);
  __asm__ volatile("isb");
  // Not DIT: QEMU 7.2 clears it on entry, where the manual leaves it (DDI 0487 J1.1 AArch64.TakeException).
  out.pstate = READ("daif") | READ("currentel") | READ("spsel") | READ("s3_0_c4_c2_3") | READ("s3_0_c4_c2_4") |
               READ("s3_3_c4_c2_6");
  uint64_t registers[REGISTERS] = {
      READ("ttbr0_el1"), READ("ttbr1_el1"), READ("tcr_el1"), READ("contextidr_el1"), READ("tpidr_el0"),
      READ("tpidrro_el0"), READ("tpidr_el1"), READ("par_el1"), READ("csselr_el1"), READ("mdscr_el1"),
      READ("cpacr_el1"), READ("cntkctl_el1"), sctlr, READ("pmuserenr_el0")};
  for (int n = 0; n < REGISTERS; n++) out.registers[n] = registers[n];
  uint64_t *data = (uint64_t *)DATA;
  out.changes = 0;
  for (int n = 0; n < DATA_BYTES / 8; n++) out.changes += data[n] != original[n];
  give(&out, sizeof out);
  for (int n = 0; n < DATA_BYTES / 8; n++) {
    if (data[n] == original[n]) continue;
    uint64_t change[2] = {n, data[n]};
    give(change, sizeof change);
    data[n] = original[n];
  }
  run();
}

void begin(void) {
  static const char name[] = "results.bin";
  uint64_t open[3] = {(uint64_t)name, 5 /* "wb" */, sizeof name - 1};
  file = semihosting(0x01, open);
  for (int n = 0; n < CODE_BYTES / 4; n++) ((uint32_t *)CODE)[n] = BRK;
  fill();
  next = (struct input *)(CASES + 8);
  end = next + *(uint64_t *)CASES;
  run();
}
