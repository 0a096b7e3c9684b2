// The user-mode judge: executes cases that come on standard input and writes what became of each to standard output.
// It has no C library. Everything happens in one signal handler: whatever ends a case (the BRK behind its code, or a
// fault) arrives there with all registers in the signal frame; the handler writes them out, puts the next case's
// registers into the frame, and returns into it. test/a64/qemu/user-judge.ts speaks the same format.
//
//   aarch64-linux-gnu-gcc -O2 -ffreestanding -nostdlib -static -fno-stack-protector -fno-tree-loop-distribute-patterns
//     -Wl,-z,max-page-size=4096,--build-id=none,-Ttext-segment=0x7a5a000000 -s
//     -o test/a64/qemu/bin/user-judge test/a64/qemu/user-judge.c

#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <asm/sigcontext.h>
#include <asm/unistd.h>
#include <stdint.h>

#ifndef PROT_BTI
#define PROT_BTI 0x10
#endif

#define DATA 0x40000000UL
#define DATA_BYTES 8192
#define CODE 0x50000000UL
#define CODE_BYTES 4096
#define BRK 0xd4200000
#define WORDS 64

struct input {
  uint64_t x[31], sp, nzcv, v[64];
  uint32_t fpsr, fpcr;
  uint32_t count, code[WORDS];
  uint32_t passes;
};

struct output {
  uint64_t x[31], sp, nzcv, pc, address, v[64];
  uint32_t fpsr, fpcr;
  uint32_t signal, passed, changes, unused;
};

static long call(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory", "cc");
  return x0;
}

static uint8_t pending[1 << 16];
static long filled, taken;

static int take(void *into, long bytes) {
  uint8_t *out = into;
  while (bytes > 0) {
    if (taken == filled) {
      filled = call(__NR_read, 0, (long)pending, sizeof pending, 0, 0, 0);
      taken = 0;
      if (filled <= 0) return 0;
    }
    *out++ = pending[taken++];
    bytes--;
  }
  return 1;
}

static uint8_t waiting[1 << 16];
static long used;

static void flush(void) {
  for (long done = 0; done < used;) done += call(__NR_write, 1, (long)waiting + done, used - done, 0, 0, 0);
  used = 0;
}

static void give(const void *from, long bytes) {
  if (used + bytes > (long)sizeof waiting) flush();
  for (long n = 0; n < bytes; n++) waiting[used++] = ((const uint8_t *)from)[n];
}

static uint64_t original[DATA_BYTES / 8];
static int running;
static struct input in;
static uint32_t passed[WORDS];
static uint32_t passes;

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

// The record of the SIMD&FP registers in a signal frame.
static struct fpsimd_context *simd(mcontext_t *mc) {
  struct _aarch64_ctx *at = (struct _aarch64_ctx *)mc->__reserved;
  while (at->magic != FPSIMD_MAGIC) at = (struct _aarch64_ctx *)((char *)at + at->size);
  return (struct fpsimd_context *)at;
}

static void report(int signal, siginfo_t *info, mcontext_t *mc) {
  struct output out;
  uint64_t *data = (uint64_t *)DATA;
  for (int n = 0; n < 31; n++) out.x[n] = mc->regs[n];
  out.sp = mc->sp;
  out.nzcv = mc->pstate & 0xf0000000;
  out.pc = mc->pc;
  out.address = (uint64_t)info->si_addr;
  out.signal = signal;
  struct fpsimd_context *fp = simd(mc);
  for (int n = 0; n < 64; n++) out.v[n] = ((uint64_t *)fp->vregs)[n];
  out.fpsr = fp->fpsr;
  out.fpcr = fp->fpcr;
  out.passed = passes;
  out.changes = out.unused = 0;
  for (int n = 0; n < DATA_BYTES / 8; n++) out.changes += data[n] != original[n];
  give(&out, sizeof out);
  give(passed, passes * sizeof passed[0]);
  for (int n = 0; n < DATA_BYTES / 8; n++) {
    if (data[n] == original[n]) continue;
    uint64_t change[2] = {n, data[n]};
    give(change, sizeof change);
    data[n] = original[n];
  }
}

static void handler(int signal, siginfo_t *info, void *context) {
  mcontext_t *mc = &((ucontext_t *)context)->uc_mcontext;
  // A fault that is to be passed over: the next instruction follows.
  if (running && mc->pc - CODE < 4 * in.count && passes < in.passes) {
    passed[passes++] = (mc->pc - CODE) / 4 | signal << 16;
    mc->pc += 4;
    return;
  }
  if (running) report(signal, info, mc);
  running = 1;
  passes = 0;
  if (!take(&in, sizeof in)) {
    flush();
    call(__NR_exit_group, 0, 0, 0, 0, 0, 0);
  }
  volatile uint32_t *code = (volatile uint32_t *)CODE;
  // The same code again stays as it is: QEMU has translated it.
  for (uint32_t n = 0; n < WORDS; n++) {
    uint32_t word = n < in.count ? in.code[n] : BRK;
    if (code[n] != word) code[n] = word;
  }
  __asm__ volatile("dc cvau, %0; dsb ish; ic ivau, %0; dsb ish; isb" ::"r"(code) : "memory");
  for (int n = 0; n < 31; n++) mc->regs[n] = in.x[n];
  struct fpsimd_context *fp = simd(mc);
  for (int n = 0; n < 64; n++) ((uint64_t *)fp->vregs)[n] = in.v[n];
  fp->fpsr = in.fpsr;
  fp->fpcr = in.fpcr;
  mc->sp = in.sp;
  mc->pstate = in.nzcv;
  mc->pc = CODE;
}

static uint8_t stack[1 << 16] __attribute__((aligned(16)));

void _start(void) {
  struct kernel_sigaction {
    void *handler;
    unsigned long flags;
    void *restorer;
    unsigned long mask;
  } action = {(void *)handler, SA_SIGINFO | SA_ONSTACK, 0, ~0UL};
  stack_t on = {stack, 0, sizeof stack};
  long fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  call(__NR_mmap, DATA, DATA_BYTES, PROT_READ | PROT_WRITE, fixed, -1, 0);
  call(__NR_mmap, CODE, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC | PROT_BTI, fixed, -1, 0);
  for (int n = 0; n < CODE_BYTES / 4; n++) ((uint32_t *)CODE)[n] = BRK;
  fill();
  call(__NR_sigaltstack, (long)&on, 0, 0, 0, 0, 0);
  int signals[] = {4, 5, 7, 11}; // SIGILL SIGTRAP SIGBUS SIGSEGV
  for (int n = 0; n < 4; n++) call(__NR_rt_sigaction, signals[n], (long)&action, 0, 8, 0, 0);
  __asm__ volatile("brk 0");
  for (;;);
}
