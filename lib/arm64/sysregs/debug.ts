// Self-hosted debug, and the debug communication channel. DDI 0487 D24.3.

import { EVERY, family, NEVER, row } from "../sysreg-row.js";

// biome-ignore format: table
export const debugRegs = [
  //     name                    op0 op1 CRn CRm op2
  ...family("DBGBVR#_EL1", 16, (n) => [2, 0, 0, n, 4], "rw", EVERY, { access: "debug", reset: 0n }),
  ...family("DBGBCR#_EL1", 16, (n) => [2, 0, 0, n, 5], "rw", EVERY, { access: "debug", reset: 0n }),
  ...family("DBGWVR#_EL1", 16, (n) => [2, 0, 0, n, 6], "rw", EVERY, { access: "debug", reset: 0n }),
  ...family("DBGWCR#_EL1", 16, (n) => [2, 0, 0, n, 7], "rw", EVERY, { access: "debug", reset: 0n }),
  row("OSDTRRX_EL1",        [2, 0,  0,  0, 2], "rw", NEVER, { guest: "undefined" }),
  row("MDCCINT_EL1",        [2, 0,  0,  2, 0], "rw", EVERY, { reset: 0n }),
  row("MDSCR_EL1",          [2, 0,  0,  2, 2], "rw", EVERY, { reset: 0n }),
  row("OSDTRTX_EL1",        [2, 0,  0,  3, 2], "rw", NEVER, { guest: "undefined" }),
  row("OSECCR_EL1",         [2, 0,  0,  6, 2], "rw", NEVER, { guest: "undefined" }),
  row("MDRAR_EL1",          [2, 0,  1,  0, 0], "r",  NEVER, { guest: "raz-wi", reset: 0n }),
  row("OSLAR_EL1",          [2, 0,  1,  0, 4], "w",  NEVER),
  row("OSLSR_EL1",          [2, 0,  1,  1, 4], "r",  EVERY, { access: "oslsr", reset: 8n, userWritable: 2n }),
  row("OSDLR_EL1",          [2, 0,  1,  3, 4], "rw", NEVER, { guest: "raz-wi", reset: 0n }),
  row("DBGPRCR_EL1",        [2, 0,  1,  4, 4], "rw", NEVER, { guest: "raz-wi", reset: 0n }),
  row("DBGCLAIMSET_EL1",    [2, 0,  7,  8, 6], "rw", NEVER, { guest: "raz-wi", reset: 0n }),
  row("DBGCLAIMCLR_EL1",    [2, 0,  7,  9, 6], "rw", NEVER, { guest: "raz-wi", reset: 0n }),
  row("DBGAUTHSTATUS_EL1",  [2, 0,  7, 14, 6], "r",  NEVER),
  row("MDCCSR_EL0",         [2, 3,  0,  1, 0], "r",  NEVER, { el0: "r", guest: "raz-wi", reset: 0n }),
  row("DBGDTR_EL0",         [2, 3,  0,  4, 0], "rw", NEVER, { el0: "rw", guest: "raz-wi", reset: 0n }),
  // Read: DBGDTRRX_EL0. Written: DBGDTRTX_EL0. One encoding.
  row("DBGDTRTX_EL0",       [2, 3,  0,  5, 0], "rw", NEVER, { el0: "rw", guest: "raz-wi", reset: 0n }),
  row("DBGVCR32_EL2",       [2, 4,  0,  7, 0], "",   EVERY, { el2: "rw", guest: "undefined", reset: 0n }),
];
