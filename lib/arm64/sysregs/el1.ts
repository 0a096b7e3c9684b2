// Control, address translation, exception and thread registers of EL1 and EL0. DDI 0487 D24.2.

import type { Said } from "../sysreg-row.js";
import { EVERY, NEVER, row, SINCE_6_12, SINCE_7_2 } from "../sysreg-row.js";

const KEY: Said = { when: ["PTRAUTH"], reset: "unknown" };
const MTE: Said = { when: ["MTE"], reset: "unknown" };

/** 6.12 lists it whether or not the CPU has the feature. */
const whenS1PIE = { "6.1": [], "6.12": [], "7.2": ["S1PIE"] } as const;
const whenTCRX = { "6.1": [], "6.12": [], "7.2": ["TCRX"] } as const;

/** Error records that KVM never has: read as zero since the first kernels, or since 7.2. */
const RAS: Said = { when: ["RAS"], guest: "raz-wi", reset: 0n };
const RAS_7_2: Said = { ...RAS, guest: { "6.1": "undefined", "6.12": "undefined", "7.2": "raz-wi" } };

const SPE: Said = { when: ["SPE"], guest: "undefined" };
const LOR: Said = { when: ["LOR"], guest: "raz-wi", reset: 0n };
const MPAM: Said = { when: ["MPAM"], guest: "undefined" };

// biome-ignore format: table
export const el1Regs = [
  //  name               op0 op1 CRn CRm op2
  row("SCTLR_EL1",       [3, 0,  1,  0, 0], "rw", EVERY,      { reset: 0xc5_0078n }),
  row("ACTLR_EL1",       [3, 0,  1,  0, 1], "rw", EVERY,      { reset: "host", guest: "wi", guestWritable: 0n }),
  row("CPACR_EL1",       [3, 0,  1,  0, 2], "rw", EVERY,      { reset: 0n }),
  row("SCTLR2_EL1",      [3, 0,  1,  0, 3], "rw", SINCE_7_2,  { when: ["SCTLRX"], reset: 0n }),
  row("RGSR_EL1",        [3, 0,  1,  0, 5], "rw", EVERY,      MTE),
  row("GCR_EL1",         [3, 0,  1,  0, 6], "rw", EVERY,      MTE),
  row("ZCR_EL1",         [3, 0,  1,  2, 0], "rw", EVERY,      { when: ["SVE"], reset: 0n, guestWritable: 0xfn }),
  row("TRFCR_EL1",       [3, 0,  1,  2, 1], "rw", NEVER,      { when: ["TRF"], guest: "undefined" }),
  row("SMPRI_EL1",       [3, 0,  1,  2, 4], "rw", NEVER,      { when: ["SME"], guest: "undefined" }),
  row("SMCR_EL1",        [3, 0,  1,  2, 6], "rw", NEVER,      { when: ["SME"], guest: "undefined" }),
  row("TTBR0_EL1",       [3, 0,  2,  0, 0], "rw", EVERY,      { reset: "unknown" }),
  row("TTBR1_EL1",       [3, 0,  2,  0, 1], "rw", EVERY,      { reset: "unknown" }),
  row("TCR_EL1",         [3, 0,  2,  0, 2], "rw", EVERY,      { reset: 0n }),
  row("TCR2_EL1",        [3, 0,  2,  0, 3], "rw", SINCE_6_12, { when: whenTCRX, reset: 0n }),
  row("APIAKEYLO_EL1",   [3, 0,  2,  1, 0], "rw", EVERY,      KEY),
  row("APIAKEYHI_EL1",   [3, 0,  2,  1, 1], "rw", EVERY,      KEY),
  row("APIBKEYLO_EL1",   [3, 0,  2,  1, 2], "rw", EVERY,      KEY),
  row("APIBKEYHI_EL1",   [3, 0,  2,  1, 3], "rw", EVERY,      KEY),
  row("APDAKEYLO_EL1",   [3, 0,  2,  2, 0], "rw", EVERY,      KEY),
  row("APDAKEYHI_EL1",   [3, 0,  2,  2, 1], "rw", EVERY,      KEY),
  row("APDBKEYLO_EL1",   [3, 0,  2,  2, 2], "rw", EVERY,      KEY),
  row("APDBKEYHI_EL1",   [3, 0,  2,  2, 3], "rw", EVERY,      KEY),
  row("APGAKEYLO_EL1",   [3, 0,  2,  3, 0], "rw", EVERY,      KEY),
  row("APGAKEYHI_EL1",   [3, 0,  2,  3, 1], "rw", EVERY,      KEY),
  row("AFSR0_EL1",       [3, 0,  5,  1, 0], "rw", EVERY,      { reset: "unknown" }),
  row("AFSR1_EL1",       [3, 0,  5,  1, 1], "rw", EVERY,      { reset: "unknown" }),
  row("ESR_EL1",         [3, 0,  5,  2, 0], "rw", EVERY,      { reset: "unknown" }),
  row("ERRIDR_EL1",      [3, 0,  5,  3, 0], "r",  NEVER,      RAS),
  row("ERRSELR_EL1",     [3, 0,  5,  3, 1], "rw", NEVER,      RAS),
  row("ERXFR_EL1",       [3, 0,  5,  4, 0], "r",  NEVER,      RAS),
  row("ERXCTLR_EL1",     [3, 0,  5,  4, 1], "rw", NEVER,      RAS),
  row("ERXSTATUS_EL1",   [3, 0,  5,  4, 2], "rw", NEVER,      RAS),
  row("ERXADDR_EL1",     [3, 0,  5,  4, 3], "rw", NEVER,      RAS),
  row("ERXPFGF_EL1",     [3, 0,  5,  4, 4], "r",  NEVER,      RAS_7_2),
  row("ERXPFGCTL_EL1",   [3, 0,  5,  4, 5], "rw", NEVER,      RAS_7_2),
  row("ERXPFGCDN_EL1",   [3, 0,  5,  4, 6], "rw", NEVER,      RAS_7_2),
  row("ERXMISC0_EL1",    [3, 0,  5,  5, 0], "rw", NEVER,      RAS),
  row("ERXMISC1_EL1",    [3, 0,  5,  5, 1], "rw", NEVER,      RAS),
  row("ERXMISC2_EL1",    [3, 0,  5,  5, 2], "rw", NEVER,      RAS_7_2),
  row("ERXMISC3_EL1",    [3, 0,  5,  5, 3], "rw", NEVER,      RAS_7_2),
  row("TFSR_EL1",        [3, 0,  5,  6, 0], "rw", EVERY,      MTE),
  row("TFSRE0_EL1",      [3, 0,  5,  6, 1], "rw", EVERY,      MTE),
  row("FAR_EL1",         [3, 0,  6,  0, 0], "rw", EVERY,      { reset: "unknown" }),
  row("PAR_EL1",         [3, 0,  7,  4, 0], "rw", EVERY,      { reset: "unknown" }),
  row("PMSCR_EL1",       [3, 0,  9,  9, 0], "rw", NEVER,      SPE),
  row("PMSNEVFR_EL1",    [3, 0,  9,  9, 1], "rw", NEVER,      SPE),
  row("PMSICR_EL1",      [3, 0,  9,  9, 2], "rw", NEVER,      SPE),
  row("PMSIRR_EL1",      [3, 0,  9,  9, 3], "rw", NEVER,      SPE),
  row("PMSFCR_EL1",      [3, 0,  9,  9, 4], "rw", NEVER,      SPE),
  row("PMSEVFR_EL1",     [3, 0,  9,  9, 5], "rw", NEVER,      SPE),
  row("PMSLATFR_EL1",    [3, 0,  9,  9, 6], "rw", NEVER,      SPE),
  row("PMSIDR_EL1",      [3, 0,  9,  9, 7], "r",  NEVER,      SPE),
  row("PMBLIMITR_EL1",   [3, 0,  9, 10, 0], "rw", NEVER,      SPE),
  row("PMBPTR_EL1",      [3, 0,  9, 10, 1], "rw", NEVER,      SPE),
  row("PMBSR_EL1",       [3, 0,  9, 10, 3], "rw", NEVER,      SPE),
  row("PMSDSFR_EL1",     [3, 0,  9, 10, 4], "rw", NEVER,      SPE),
  row("PMBIDR_EL1",      [3, 0,  9, 10, 7], "r",  NEVER,      SPE),
  row("MAIR_EL1",        [3, 0, 10,  2, 0], "rw", EVERY,      { reset: "unknown" }),
  row("PIRE0_EL1",       [3, 0, 10,  2, 2], "rw", SINCE_6_12, { when: whenS1PIE, reset: "unknown" }),
  row("PIR_EL1",         [3, 0, 10,  2, 3], "rw", SINCE_6_12, { when: whenS1PIE, reset: "unknown" }),
  row("POR_EL1",         [3, 0, 10,  2, 4], "rw", SINCE_6_12, { when: ["S1POE"], reset: "unknown" }),
  row("AMAIR_EL1",       [3, 0, 10,  3, 0], "rw", EVERY,      { reset: "host" }),
  row("LORSA_EL1",       [3, 0, 10,  4, 0], "rw", NEVER,      LOR),
  row("LOREA_EL1",       [3, 0, 10,  4, 1], "rw", NEVER,      LOR),
  row("LORN_EL1",        [3, 0, 10,  4, 2], "rw", NEVER,      LOR),
  row("LORC_EL1",        [3, 0, 10,  4, 3], "rw", NEVER,      LOR),
  row("MPAMIDR_EL1",     [3, 0, 10,  4, 4], "r",  NEVER,      MPAM),
  row("LORID_EL1",       [3, 0, 10,  4, 7], "r",  NEVER,      LOR),
  row("MPAM1_EL1",       [3, 0, 10,  5, 0], "rw", NEVER,      MPAM),
  row("MPAM0_EL1",       [3, 0, 10,  5, 1], "rw", NEVER,      MPAM),
  row("MPAMSM_EL1",      [3, 0, 10,  5, 3], "rw", NEVER,      MPAM),
  row("VBAR_EL1",        [3, 0, 12,  0, 0], "rw", EVERY,      { reset: 0n, guestWritable: 0xffff_ffff_ffff_f800n }),
  row("ISR_EL1",         [3, 0, 12,  1, 0], "r",  NEVER),
  row("DISR_EL1",        [3, 0, 12,  1, 1], "rw", EVERY,      { reset: 0n }),
  row("CONTEXTIDR_EL1",  [3, 0, 13,  0, 1], "rw", EVERY,      { reset: 0n, guestWritable: 0xffff_ffffn }),
  row("TPIDR_EL1",       [3, 0, 13,  0, 4], "rw", EVERY,      { reset: "unknown" }),
  row("ACCDATA_EL1",     [3, 0, 13,  0, 5], "rw", NEVER,      { when: ["LS64_ACCDATA"], guest: "undefined" }),
  row("SCXTNUM_EL1",     [3, 0, 13,  0, 7], "rw", NEVER,      { when: ["CSV2_2"], guest: "undefined" }),
  row("CSSELR_EL1",      [3, 2,  0,  0, 0], "rw", EVERY,      { reset: "unknown", guestWritable: 0xfn }),
  row("RNDR",            [3, 3,  2,  4, 0], "r",  NEVER,      { when: ["RNDR"], el0: "r" }),
  row("RNDRRS",          [3, 3,  2,  4, 1], "r",  NEVER,      { when: ["RNDR"], el0: "r" }),
  row("SVCR",            [3, 3,  4,  2, 2], "rw", NEVER,      { when: ["SME"], el0: "rw", guest: "undefined" }),
  row("FPMR",            [3, 3,  4,  4, 2], "rw", SINCE_6_12, { when: ["FPMR"], el0: "rw", reset: 0n }),
  row("POR_EL0",         [3, 3, 10,  2, 4], "rw", SINCE_6_12, { when: ["S1POE"], el0: "rw", reset: "unknown" }),
  row("TPIDR_EL0",       [3, 3, 13,  0, 2], "rw", EVERY,      { el0: "rw", reset: "unknown" }),
  row("TPIDRRO_EL0",     [3, 3, 13,  0, 3], "rw", EVERY,      { el0: "r", reset: "unknown" }),
  row("TPIDR2_EL0",      [3, 3, 13,  0, 5], "rw", NEVER,      { when: ["SME"], el0: "rw", guest: "undefined" }),
  row("SCXTNUM_EL0",     [3, 3, 13,  0, 7], "rw", NEVER,      { when: ["CSV2_2"], el0: "rw", guest: "undefined" }),
];
