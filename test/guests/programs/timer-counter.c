// The generic timer's counters: they move, never backwards, the virtual one at the rate that CNTFRQ_EL0 says relative to
// nothing else than itself: a wait of 10 ms ends, and both counters went on during it.
#include "guest.h"

int main(void) {
  uint64_t frequency = read_sysreg(cntfrq_el0);
  print("CNTFRQ_EL0 is %s\n", frequency >= 1000000 && frequency <= 1000000000 ? "plausible" : "implausible");

  uint64_t before = read_sysreg(cntvct_el0);
  unsigned backwards = 0;
  for (int i = 0; i < 1000; i++) {
    __asm__ volatile("isb");
    uint64_t now = read_sysreg(cntvct_el0);
    backwards += now < before;
    before = now;
  }
  print("CNTVCT_EL0 went backwards %u times\n", backwards);

  uint64_t start = read_sysreg(cntvct_el0), turns = 0;
  while (read_sysreg(cntvct_el0) - start < frequency / 100) turns++;
  print("a wait of 10 ms %s\n", turns > 0 ? "took its time" : "was over at once");

  // The timer's condition, with its interrupt masked: not there two seconds and more ahead, there when the time has come.
  write_sysreg(cntv_tval_el0, 0x7fffffff);
  write_sysreg(cntv_ctl_el0, 3);
  unsigned early = read_sysreg(cntv_ctl_el0) >> 2 & 1;
  write_sysreg(cntv_tval_el0, frequency / 100);
  while ((read_sysreg(cntv_ctl_el0) & 4) == 0) {
  }
  int64_t left = (int32_t)read_sysreg(cntv_tval_el0);
  write_sysreg(cntv_ctl_el0, 0);
  print("CNTV_CTL_EL0.ISTATUS: %u ahead of time, 1 when CNTV_TVAL_EL0 is %s\n", early, left <= 0 ? "not above 0" : "above 0");
  return backwards != 0 || turns == 0 || early != 0 || left > 0;
}
