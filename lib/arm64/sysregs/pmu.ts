// Performance monitors, and activity monitors, which KVM keeps from guests. DDI 0487 D24.4, D24.5.

import type { Said } from "../sysreg-row.js";
import { EVERY, family, NEVER, row } from "../sysreg-row.js";

const EL0_RW: Said = { when: ["PMU"], el0: "rw" };
const COUNTERS: Said = { when: ["PMU"], access: "pmreg", reset: "counters" };
const COUNTERS_EL0: Said = { ...COUNTERS, el0: "rw" };
const EVENT: Said = { ...EL0_RW, reset: "event" };
const COUNT: Said = { ...EL0_RW, access: "evcntr", reset: "unknown-32", guestWritable: 0xffff_ffffn };
const AMU: Said = { when: ["AMU"], el0: "rw", guest: "undefined" };

// biome-ignore format: table
export const pmuRegs = [
  //  name                  op0 op1 CRn CRm op2
  row("PMINTENSET_EL1",    [3, 0,  9, 14, 1], "rw", EVERY, COUNTERS),
  row("PMINTENCLR_EL1",    [3, 0,  9, 14, 2], "rw", EVERY, COUNTERS),
  row("PMMIR_EL1",         [3, 0,  9, 14, 6], "r",  NEVER, { when: ["PMU"], guest: "raz-wi", reset: 0n }),
  row("PMCR_EL0",          [3, 3,  9, 12, 0], "rw", EVERY, { ...EL0_RW, access: "pmcr", reset: "pmcr" }),
  row("PMCNTENSET_EL0",    [3, 3,  9, 12, 1], "rw", EVERY, COUNTERS_EL0),
  row("PMCNTENCLR_EL0",    [3, 3,  9, 12, 2], "rw", EVERY, COUNTERS_EL0),
  row("PMOVSCLR_EL0",      [3, 3,  9, 12, 3], "rw", EVERY, COUNTERS_EL0),
  row("PMSWINC_EL0",       [3, 3,  9, 12, 4], "w",  EVERY, { when: ["PMU"], el0: "w", access: "raz-wi" }),
  row("PMSELR_EL0",        [3, 3,  9, 12, 5], "rw", EVERY, { ...EL0_RW, reset: "pmselr", guestWritable: 0x1fn }),
  row("PMCEID0_EL0",       [3, 3,  9, 12, 6], "r",  NEVER, { when: ["PMU"], el0: "r", reset: "host" }),
  row("PMCEID1_EL0",       [3, 3,  9, 12, 7], "r",  NEVER, { when: ["PMU"], el0: "r", reset: "host" }),
  row("PMCCNTR_EL0",       [3, 3,  9, 13, 0], "rw", EVERY, { ...EL0_RW, access: "evcntr", reset: "unknown" }),
  row("PMXEVTYPER_EL0",    [3, 3,  9, 13, 1], "rw", NEVER, EL0_RW),
  row("PMXEVCNTR_EL0",     [3, 3,  9, 13, 2], "rw", NEVER, EL0_RW),
  row("PMUSERENR_EL0",     [3, 3,  9, 14, 0], "rw", EVERY, { when: ["PMU"], el0: "r", reset: 0n, guestWritable: 0xfn }),
  row("PMOVSSET_EL0",      [3, 3,  9, 14, 3], "rw", EVERY, COUNTERS_EL0),
  ...family("PMEVCNTR#_EL0", 31, (n) => [3, 3, 14, 8 + (n >> 3), n & 7], "rw", EVERY, COUNT),
  ...family("PMEVTYPER#_EL0", 31, (n) => [3, 3, 14, 12 + (n >> 3), n & 7], "rw", EVERY, EVENT),
  row("PMCCFILTR_EL0",     [3, 3, 14, 15, 7], "rw", EVERY, { ...EL0_RW, reset: 0n }),
];

// biome-ignore format: table
export const amuRegs = [
  row("AMCR_EL0",          [3, 3, 13,  2, 0], "rw", NEVER, AMU),
  row("AMCFGR_EL0",        [3, 3, 13,  2, 1], "r",  NEVER, { ...AMU, el0: "r" }),
  row("AMCGCR_EL0",        [3, 3, 13,  2, 2], "r",  NEVER, { ...AMU, el0: "r" }),
  row("AMUSERENR_EL0",     [3, 3, 13,  2, 3], "rw", NEVER, { ...AMU, el0: "r" }),
  row("AMCNTENCLR0_EL0",   [3, 3, 13,  2, 4], "rw", NEVER, AMU),
  row("AMCNTENSET0_EL0",   [3, 3, 13,  2, 5], "rw", NEVER, AMU),
  row("AMCNTENCLR1_EL0",   [3, 3, 13,  3, 0], "rw", NEVER, AMU),
  row("AMCNTENSET1_EL0",   [3, 3, 13,  3, 1], "rw", NEVER, AMU),
  ...family("AMEVCNTR0#_EL0", 16, (n) => [3, 3, 13, 4 + (n >> 3), n & 7], "rw", NEVER, AMU),
  ...family("AMEVTYPER0#_EL0", 16, (n) => [3, 3, 13, 6 + (n >> 3), n & 7], "rw", NEVER, AMU),
  ...family("AMEVCNTR1#_EL0", 16, (n) => [3, 3, 13, 12 + (n >> 3), n & 7], "rw", NEVER, AMU),
  ...family("AMEVTYPER1#_EL0", 16, (n) => [3, 3, 13, 14 + (n >> 3), n & 7], "rw", NEVER, AMU),
];
