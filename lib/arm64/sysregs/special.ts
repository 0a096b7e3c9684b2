// Special-purpose registers: PSTATE by parts, stack pointers, saved state, floating point. DDI 0487 C5.2.
// KVM has some of them, in the core space: those carry the id they have there.

import { NEVER, row } from "../sysreg-row.js";

const CORE_SP = 0x6030_0000_0010_003en;
const CORE_SP_EL1 = 0x6030_0000_0010_0044n;
const CORE_ELR_EL1 = 0x6030_0000_0010_0046n;
const CORE_SPSR_EL1 = 0x6030_0000_0010_0048n;
const CORE_SPSR_ABT = 0x6030_0000_0010_004an;
const CORE_SPSR_UND = 0x6030_0000_0010_004cn;
const CORE_SPSR_IRQ = 0x6030_0000_0010_004en;
const CORE_SPSR_FIQ = 0x6030_0000_0010_0050n;
const CORE_FPSR = 0x6020_0000_0010_00d4n;
const CORE_FPCR = 0x6020_0000_0010_00d5n;

// biome-ignore format: table
export const specialRegs = [
  //  name             op0 op1 CRn CRm op2
  row("SPSR_EL1",     [3, 0, 4, 0, 0], "rw", NEVER, { userId: CORE_SPSR_EL1 }),
  row("ELR_EL1",      [3, 0, 4, 0, 1], "rw", NEVER, { userId: CORE_ELR_EL1 }),
  row("SP_EL0",       [3, 0, 4, 1, 0], "rw", NEVER, { userId: CORE_SP }),
  row("SPSel",        [3, 0, 4, 2, 0], "rw", NEVER, { guestWritable: 1n }),
  row("CurrentEL",    [3, 0, 4, 2, 2], "r",  NEVER),
  row("PAN",          [3, 0, 4, 2, 3], "rw", NEVER, { when: ["PAN"], guestWritable: 1n << 22n }),
  row("UAO",          [3, 0, 4, 2, 4], "rw", NEVER, { when: ["UAO"], guestWritable: 1n << 23n }),
  row("ALLINT",       [3, 0, 4, 3, 0], "rw", NEVER, { when: ["NMI"], guestWritable: 1n << 13n }),
  row("NZCV",         [3, 3, 4, 2, 0], "rw", NEVER, { el0: "rw", guestWritable: 0xf000_0000n }),
  row("DAIF",         [3, 3, 4, 2, 1], "rw", NEVER, { el0: "rw", guestWritable: 0x3c0n }),
  row("DIT",          [3, 3, 4, 2, 5], "rw", NEVER, { when: ["DIT"], el0: "rw", guestWritable: 1n << 24n }),
  row("SSBS",         [3, 3, 4, 2, 6], "rw", NEVER, { when: ["SSBS"], el0: "rw", guestWritable: 1n << 12n }),
  row("TCO",          [3, 3, 4, 2, 7], "rw", NEVER, { when: ["MTE2"], el0: "rw", guestWritable: 1n << 25n }),
  row("FPCR",         [3, 3, 4, 4, 0], "rw", NEVER, { el0: "rw", userId: CORE_FPCR, guestWritable: 0x07ff_9f07n }),
  row("FPSR",         [3, 3, 4, 4, 1], "rw", NEVER, { el0: "rw", userId: CORE_FPSR, guestWritable: 0xf800_009fn }),
  // In Debug state only, where no guest of KVM ever is.
  row("DSPSR_EL0",    [3, 3, 4, 5, 0], "rw", NEVER, { el0: "rw", guest: "undefined" }),
  row("DLR_EL0",      [3, 3, 4, 5, 1], "rw", NEVER, { el0: "rw", guest: "undefined" }),
  row("SP_EL1",       [3, 4, 4, 1, 0], "",   NEVER, { el2: "rw", when: ["EL2"], userId: CORE_SP_EL1 }),
  row("SPSR_irq",     [3, 4, 4, 3, 0], "",   NEVER, { el2: "rw", when: ["EL2"], userId: CORE_SPSR_IRQ, guest: "raz-wi" }),
  row("SPSR_abt",     [3, 4, 4, 3, 1], "",   NEVER, { el2: "rw", when: ["EL2"], userId: CORE_SPSR_ABT, guest: "raz-wi" }),
  row("SPSR_und",     [3, 4, 4, 3, 2], "",   NEVER, { el2: "rw", when: ["EL2"], userId: CORE_SPSR_UND, guest: "raz-wi" }),
  row("SPSR_fiq",     [3, 4, 4, 3, 3], "",   NEVER, { el2: "rw", when: ["EL2"], userId: CORE_SPSR_FIQ, guest: "raz-wi" }),
];
