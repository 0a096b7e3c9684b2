// How an access is described to Machine: bits 24:14 are those of ISS for a Data Abort (DDI 0487 D24.2, "ESR_EL1"), so
// that a machine only has to add the rest; the low bits say how it accesses.

/** Unprivileged (LDTR, STTR): as EL0, unless PSTATE.UAO says otherwise. */
export const UNPRIVILEGED = 1 << 0;
/** Acquire, release, exclusive or atomic: must be aligned, whatever SCTLR_EL1.A says. */
export const ORDERED = 1 << 1;

const ISV = 1 << 24;
const SF = 1 << 15;
const AR = 1 << 14;

/** ISS bits 24:14 of an access that hardware describes fully: one general register, no write-back. */
export function described(access: { bytes: number; rt: number; sf: number; signed: number; ordered?: number }): number {
  const size = Math.log2(access.bytes);
  const acquire = access.ordered === 1 ? AR | ORDERED : 0;
  return ISV | (size << 22) | (access.signed << 21) | (access.rt << 16) | (access.sf === 1 ? SF : 0) | acquire;
}

/** The bits that go into ISS as they are. */
export const ISS_BITS = 0x01ff_c000;
