// The generic timer. DDI 0487 D24.10.

import type { Said } from "../sysreg-row.js";
import { EVERY, NEVER, row, SINCE_6_12 } from "../sysreg-row.js";

/**
 * Which encodings KVM's names for the virtual timer got, was mixed up once, and is ABI now: TIMER_CNT is the encoding of
 * CNTV_CVAL_EL0, and TIMER_CVAL that of CNTVCT_EL0. Documentation/virt/kvm/api.rst 4.68, arm64 system registers.
 */
const TIMER_CNT = 0x6030_0000_0013_df1an;
const TIMER_CVAL = 0x6030_0000_0013_df02n;

const COUNT: Said = { access: "timer", el0: "r" };
const CONTROL: Said = { access: "timer", el0: "rw", reset: 0n, guestWritable: 3n };
const COMPARE: Said = { access: "timer", el0: "rw", reset: { "6.1": "none", "6.12": "none", "7.2": 0n } };

// biome-ignore format: table
export const timerRegs = [
  //  name                op0 op1 CRn CRm op2
  row("CNTKCTL_EL1",     [3, 0, 14,  1, 0], "rw", EVERY,      { reset: 0n }),
  row("CNTFRQ_EL0",      [3, 3, 14,  0, 0], "r",  NEVER,      { el0: "r", reset: "host" }),
  row("CNTPCT_EL0",      [3, 3, 14,  0, 1], "r",  SINCE_6_12, COUNT),
  row("CNTVCT_EL0",      [3, 3, 14,  0, 2], "r",  EVERY,      { ...COUNT, userId: TIMER_CNT }),
  row("CNTPCTSS_EL0",    [3, 3, 14,  0, 5], "r",  NEVER,      { when: ["ECV"], el0: "r" }),
  row("CNTVCTSS_EL0",    [3, 3, 14,  0, 6], "r",  NEVER,      { when: ["ECV"], el0: "r" }),
  row("CNTP_TVAL_EL0",   [3, 3, 14,  2, 0], "rw", NEVER,      { el0: "rw" }),
  row("CNTP_CTL_EL0",    [3, 3, 14,  2, 1], "rw", SINCE_6_12, CONTROL),
  row("CNTP_CVAL_EL0",   [3, 3, 14,  2, 2], "rw", SINCE_6_12, COMPARE),
  row("CNTV_TVAL_EL0",   [3, 3, 14,  3, 0], "rw", NEVER,      { el0: "rw" }),
  row("CNTV_CTL_EL0",    [3, 3, 14,  3, 1], "rw", EVERY,      CONTROL),
  row("CNTV_CVAL_EL0",   [3, 3, 14,  3, 2], "rw", EVERY,      { ...COMPARE, userId: TIMER_CVAL }),
];
