// The GIC's CPU interface. IHI 0069 12.2. KVM gives a VMM these through the vGIC's device attributes alone.

import type { Said } from "../sysreg-row.js";
import { family, NEVER, row } from "../sysreg-row.js";

const V3: Said = { when: ["GICv3"] };
const V5: Said = { when: ["GICv5"] };

// biome-ignore format: table
export const gicRegs = [
  //  name                    op0 op1 CRn CRm op2
  row("ICC_PMR_EL1",         [3, 0,  4,  6, 0], "rw", NEVER, { ...V3, guestWritable: 0xffn }),
  row("ICC_IAR0_EL1",        [3, 0, 12,  8, 0], "r",  NEVER, V3),
  row("ICC_EOIR0_EL1",       [3, 0, 12,  8, 1], "w",  NEVER, V3),
  row("ICC_HPPIR0_EL1",      [3, 0, 12,  8, 2], "r",  NEVER, V3),
  row("ICC_BPR0_EL1",        [3, 0, 12,  8, 3], "rw", NEVER, V3),
  ...family("ICC_AP0R#_EL1", 4, (n) => [3, 0, 12, 8, 4 + n], "rw", NEVER, V3),
  ...family("ICC_AP1R#_EL1", 4, (n) => [3, 0, 12, 9, n], "rw", NEVER, V3),
  row("ICC_NMIAR1_EL1",      [3, 0, 12,  9, 5], "r",  NEVER, { when: ["GICv3", "NMI"] }),
  row("ICC_IDR0_EL1",        [3, 0, 12, 10, 2], "r",  NEVER, V5),
  row("ICC_IAFFIDR_EL1",     [3, 0, 12, 10, 5], "r",  NEVER, V5),
  row("ICC_PPI_ENABLER0_EL1",[3, 0, 12, 10, 6], "rw", NEVER, V5),
  row("ICC_PPI_ENABLER1_EL1",[3, 0, 12, 10, 7], "rw", NEVER, V5),
  row("ICC_DIR_EL1",         [3, 0, 12, 11, 1], "w",  NEVER, V3),
  row("ICC_RPR_EL1",         [3, 0, 12, 11, 3], "r",  NEVER, V3),
  row("ICC_SGI1R_EL1",       [3, 0, 12, 11, 5], "w",  NEVER, V3),
  row("ICC_ASGI1R_EL1",      [3, 0, 12, 11, 6], "w",  NEVER, V3),
  row("ICC_SGI0R_EL1",       [3, 0, 12, 11, 7], "w",  NEVER, V3),
  row("ICC_IAR1_EL1",        [3, 0, 12, 12, 0], "r",  NEVER, V3),
  row("ICC_EOIR1_EL1",       [3, 0, 12, 12, 1], "w",  NEVER, V3),
  row("ICC_HPPIR1_EL1",      [3, 0, 12, 12, 2], "r",  NEVER, V3),
  row("ICC_BPR1_EL1",        [3, 0, 12, 12, 3], "rw", NEVER, V3),
  row("ICC_CTLR_EL1",        [3, 0, 12, 12, 4], "rw", NEVER, V3),
  row("ICC_SRE_EL1",         [3, 0, 12, 12, 5], "rw", NEVER, V3),
  row("ICC_IGRPEN0_EL1",     [3, 0, 12, 12, 6], "rw", NEVER, { ...V3, guestWritable: 1n }),
  row("ICC_IGRPEN1_EL1",     [3, 0, 12, 12, 7], "rw", NEVER, { ...V3, guestWritable: 1n }),
];
