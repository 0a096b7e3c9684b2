// A GICv3 as its guest sees it: SGIs, PPIs and SPIs, priorities and preemption, both ways to end an interrupt, groups,
// routing, and two CPUs that interrupt each other. Interrupts are noted by their handler and printed afterwards.
#include "guest.h"

#define GICD 0x08000000ul
#define GICR(cpu) (0x080a0000ul + (cpu) * 0x20000ul)
#define SGI_BASE(cpu) (GICR(cpu) + 0x10000ul)

enum {
  GICD_CTLR = 0x0000,
  GICR_WAKER = 0x0014,
  IGROUPR = 0x0080,
  ISENABLER = 0x0100,
  ICENABLER = 0x0180,
  ISPENDR = 0x0200,
  ICPENDR = 0x0280,
  ISACTIVER = 0x0300,
  ICACTIVER = 0x0380,
  IPRIORITYR = 0x0400,
  ICFGR = 0x0c00,
  GICD_IROUTER = 0x6000,
};
enum { VTIMER = 27, SPI = 40, OTHER_SPI = 41, SPURIOUS = 1023 };
enum { VECTOR_IRQ = 5, VECTOR_FIQ = 6 };

#define ICC_PMR s3_0_c4_c6_0
#define ICC_IAR0 s3_0_c12_c8_0
#define ICC_EOIR0 s3_0_c12_c8_1
#define ICC_HPPIR0 s3_0_c12_c8_2
#define ICC_DIR s3_0_c12_c11_1
#define ICC_RPR s3_0_c12_c11_3
#define ICC_SGI1R s3_0_c12_c11_5
#define ICC_SGI0R s3_0_c12_c11_7
#define ICC_IAR1 s3_0_c12_c12_0
#define ICC_EOIR1 s3_0_c12_c12_1
#define ICC_HPPIR1 s3_0_c12_c12_2
#define ICC_BPR1 s3_0_c12_c12_3
#define ICC_CTLR s3_0_c12_c12_4
#define ICC_SRE s3_0_c12_c12_5
#define ICC_IGRPEN0 s3_0_c12_c12_6
#define ICC_IGRPEN1 s3_0_c12_c12_7
#define read_(name) read_sysreg(name)
#define write_(name, value) write_sysreg(name, value)

static volatile uint32_t *reg32(uint64_t address) { return (volatile uint32_t *)address; }
static volatile uint8_t *reg8(uint64_t address) { return (volatile uint8_t *)address; }

static unsigned cpu_number(void) { return read_sysreg(mpidr_el1) & 0xff; }
// The frame that has an interrupt's bits.
static uint64_t frame_of(unsigned intid) { return intid < 32 ? SGI_BASE(cpu_number()) : GICD; }
static void set_bit(unsigned offset, unsigned intid) { *reg32(frame_of(intid) + offset + intid / 32 * 4) = 1u << intid % 32; }
static unsigned bit_of(unsigned offset, unsigned intid) {
  return *reg32(frame_of(intid) + offset + intid / 32 * 4) >> intid % 32 & 1;
}
static void set_priority(unsigned intid, unsigned priority) { *reg8(frame_of(intid) + IPRIORITYR + intid) = (uint8_t)priority; }
static void set_group(unsigned intid, unsigned group) {
  volatile uint32_t *word = reg32(frame_of(intid) + IGROUPR + intid / 32 * 4);
  *word = (*word & ~(1u << intid % 32)) | group << intid % 32;
}
static void unmask(void) { __asm__ volatile("msr daifclr, #3\n isb"); }
static void mask(void) { __asm__ volatile("msr daifset, #3\n isb"); }
static void sgi_to_self(unsigned intid) {
  uint64_t affinity = read_sysreg(mpidr_el1);
  write_(ICC_SGI1R, (uint64_t)intid << 24 | (affinity >> 8 & 0xff) << 16 | 1u << (affinity & 15));
}

// What the handlers do and note, by CPU.
struct cpu {
  unsigned noted[16];
  unsigned count;
  unsigned split;       // EOImode: the handler leaves interrupts active
  unsigned nested;      // the handler sends this SGI to its own CPU and takes interrupts again; 0: none
  unsigned stop_timer;  // the handler turns the timer off
};
static volatile struct cpu cpus[2];

void exception(struct frame *frame, unsigned vector) {
  volatile struct cpu *cpu = &cpus[cpu_number()];
  if (vector != VECTOR_IRQ && vector != VECTOR_FIQ) {
    print("unexpected exception: vector %u ESR_EL1 %lx ELR_EL1 %lx\n", vector, read_sysreg(esr_el1), frame->elr);
    power_off(70);
  }
  unsigned group = vector == VECTOR_IRQ;
  unsigned intid = (unsigned)(group ? read_(ICC_IAR1) : read_(ICC_IAR0));
  if (cpu->count < 16) cpu->noted[cpu->count++] = intid | (group ? 0 : 0x10000);
  if (intid == SPURIOUS) return;
  if (cpu->stop_timer && intid == VTIMER) write_sysreg(cntv_ctl_el0, 0);
  if (cpu->nested != 0) {
    unsigned other = cpu->nested;
    cpu->nested = 0;
    sgi_to_self(other);
    unmask();
    for (volatile int i = 0; i < 100; i++) {
    }
    mask();
    cpu->noted[cpu->count++] = 0x20000 | intid;
  }
  if (group) write_(ICC_EOIR1, intid);
  else write_(ICC_EOIR0, intid);
}

static void print_noted(const char *what) {
  volatile struct cpu *cpu = &cpus[cpu_number()];
  print("%s:", what);
  for (unsigned i = 0; i < cpu->count; i++) {
    unsigned noted = cpu->noted[i];
    print(noted & 0x20000 ? " end of %u" : noted & 0x10000 ? " FIQ %u" : " %u", noted & 0xffff);
  }
  print("\n");
  cpu->count = 0;
}

// Takes what is pending.
static void take(const char *what) {
  unmask();
  for (volatile int i = 0; i < 200; i++) {
  }
  mask();
  print_noted(what);
}

static void set_up_cpu(void) {
  unsigned cpu = cpu_number();
  *reg32(GICR(cpu) + GICR_WAKER) = 0;
  while (*reg32(GICR(cpu) + GICR_WAKER) & 4) {
  }
  *reg32(SGI_BASE(cpu) + IGROUPR) = 0xffffffff;
  *reg32(SGI_BASE(cpu) + ISENABLER) = 0xffff;
  for (unsigned intid = 0; intid < 32; intid++) set_priority(intid, 0xa0);
  write_(ICC_SRE, 7);
  write_(ICC_PMR, 0xf0);
  write_(ICC_BPR1, 0);
  write_(ICC_IGRPEN1, 1);
  write_(ICC_IGRPEN0, 1);
}

static void test_sgi(void) {
  sgi_to_self(1);
  print("SGI 1: pending %u, ISR_EL1.I %u, HPPIR1 %lu, ", bit_of(ISPENDR, 1), (unsigned)(read_sysreg(isr_el1) >> 7 & 1),
        read_(ICC_HPPIR1));
  uint64_t intid = read_(ICC_IAR1);
  print("IAR1 %lu, then pending %u, active %u, RPR 0x%lx, IAR1 %lu, ", intid, bit_of(ISPENDR, 1), bit_of(ISACTIVER, 1),
        read_(ICC_RPR), read_(ICC_IAR1));
  write_(ICC_EOIR1, intid);
  print("ended: active %u, RPR 0x%lx\n", bit_of(ISACTIVER, 1), read_(ICC_RPR));
}

static void test_priorities(void) {
  set_priority(2, 0x80);
  set_priority(3, 0x40);
  set_priority(4, 0xc0);
  for (unsigned intid = 2; intid <= 4; intid++) sgi_to_self(intid);
  take("by priority");
  write_(ICC_PMR, 0x80);
  for (unsigned intid = 2; intid <= 4; intid++) sgi_to_self(intid);
  take("above the mask 0x80");
  write_(ICC_PMR, 0xf0);
  take("the rest");
}

static void test_preemption(void) {
  cpus[0].nested = 3;
  sgi_to_self(2);
  take("0x40 preempts 0x80");
  cpus[0].nested = 4;
  sgi_to_self(2);
  take("0xc0 does not");
  set_priority(2, 0x60);
  write_(ICC_BPR1, 7);
  cpus[0].nested = 3;
  sgi_to_self(2);
  take("nor does 0x40 preempt 0x60 with a binary point of 7");
  write_(ICC_BPR1, 0);
}

static void test_split_end(void) {
  write_(ICC_CTLR, 2);
  sgi_to_self(1);
  take("EOImode 1");
  print("still active %u, RPR 0x%lx\n", bit_of(ISACTIVER, 1), read_(ICC_RPR));
  sgi_to_self(1);
  take("pending and active");
  write_(ICC_DIR, 1);
  take("deactivated");
  write_(ICC_DIR, 1);
  print("active %u\n", bit_of(ISACTIVER, 1));
  write_(ICC_CTLR, 0);
}

static void test_spi(void) {
  *reg32(GICD + ICFGR + SPI / 16 * 4) = 2u << SPI % 16 * 2;
  set_group(SPI, 1);
  set_group(OTHER_SPI, 1);
  set_priority(SPI, 0x60);
  set_priority(OTHER_SPI, 0x60);
  *(volatile uint64_t *)(GICD + GICD_IROUTER + 8 * SPI) = read_sysreg(mpidr_el1) & 0xffffff;
  set_bit(ISPENDR, SPI);
  take("a disabled SPI");
  print("pending %u\n", bit_of(ISPENDR, SPI));
  set_bit(ISENABLER, SPI);
  take("enabled");
  set_bit(ISPENDR, SPI);
  set_bit(ICPENDR, SPI);
  take("pending no more");
  set_bit(ISACTIVER, SPI);
  set_bit(ISPENDR, SPI);
  take("active by a write");
  set_bit(ICACTIVER, SPI);
  take("active no more");
  set_group(SPI, 0);
  set_bit(ISPENDR, SPI);
  print("group 0: HPPIR0 %lu, HPPIR1 %lu, IAR1 %lu\n", read_(ICC_HPPIR0), read_(ICC_HPPIR1), read_(ICC_IAR1));
  take("taken");
  set_group(SPI, 1);
}

static void test_timer(void) {
  set_bit(ISENABLER, VTIMER);
  cpus[0].stop_timer = 1;
  write_sysreg(cntv_tval_el0, read_sysreg(cntfrq_el0) / 200);
  write_sysreg(cntv_ctl_el0, 1);
  unsigned before = bit_of(ISPENDR, VTIMER);
  __asm__ volatile("wfi");
  print("timer: pending %u, after WFI %u\n", before, bit_of(ISPENDR, VTIMER));
  take("taken");
  cpus[0].stop_timer = 0;
  write_sysreg(cntv_tval_el0, 0);
  write_sysreg(cntv_ctl_el0, 1);
  uint64_t intid = read_(ICC_IAR1);
  write_(ICC_EOIR1, intid);
  print("a level that stays: %lu, then HPPIR1 %lu; ", intid, read_(ICC_HPPIR1));
  write_sysreg(cntv_ctl_el0, 3);
  unsigned after = bit_of(ISPENDR, VTIMER);
  print("masked: pending %u, HPPIR1 %lu\n", after, read_(ICC_HPPIR1));
  write_sysreg(cntv_ctl_el0, 0);
}

static volatile unsigned other_is_ready, other_shall_end;

static void other_cpu(void *unused) {
  (void)unused;
  set_up_cpu();
  other_is_ready = 1;
  unmask();
  while (!other_shall_end) __asm__ volatile("wfi");
  mask();
  print_noted("CPU 1 took");
  other_is_ready = 0;
  cpu_off();
}

static void wait_for_count(unsigned count) {
  while (cpus[1].count < count) {
  }
}

static void test_other_cpu(void) {
  static struct cpu_start start = {other_cpu, 0};
  if (cpu_on(1, &start) != 0) {
    print("CPU 1 does not start\n");
    return;
  }
  while (!other_is_ready) {
  }
  write_(ICC_SGI1R, 5ul << 24 | 1u << 1);
  wait_for_count(1);
  write_(ICC_SGI1R, 6ul << 24 | 1ul << 40);
  wait_for_count(2);
  *(volatile uint64_t *)(GICD + GICD_IROUTER + 8 * SPI) = 1;
  set_bit(ISPENDR, SPI);
  wait_for_count(3);
  write_(ICC_SGI1R, 7ul << 24 | 1u << 9);
  other_shall_end = 1;
  write_(ICC_SGI1R, 8ul << 24 | 3u);
  while (other_is_ready) {
  }
  take("CPU 0 took");
}

int main(void) {
  *reg32(GICD + GICD_CTLR) = 0x13;
  set_up_cpu();
  test_sgi();
  test_priorities();
  test_preemption();
  test_split_end();
  test_spi();
  test_timer();
  test_other_cpu();
  return 0;
}
