// Registers of EL2, and the names by which EL2 reaches those of EL1. DDI 0487 D24.2.
// 6.12 has most of them in its tables too, but no VM there can have EL2: no id of theirs is ever accepted.

import type { Condition, Encoding, Kernel, PerKernel, Reset, Said, SysReg } from "../sysreg-row.js";
import { EVERY, family, NEVER, row, SINCE_7_2 } from "../sysreg-row.js";

const ALWAYS: readonly Condition[] = [];
const EL2: readonly Condition[] = ["EL2"];
const EL2_GIC: readonly Condition[] = ["EL2", "GICv3"];
const EL2_CSV2_2: readonly Condition[] = ["EL2", "CSV2_2"];
const EL2_ECV: readonly Condition[] = ["EL2", "ECV"];
const EL2_FGT: readonly Condition[] = ["EL2", "FGT"];
const EL2_FGT2: readonly Condition[] = ["EL2", "FGT2"];
const EL2_MPAM: readonly Condition[] = ["EL2", "MPAM"];
const EL2_MTE: readonly Condition[] = ["EL2", "MTE2"];
const EL2_NV: readonly Condition[] = ["EL2", "NV_frac"];
const EL2_NO_E2H0: readonly Condition[] = ["EL2", "noE2H0"];
const EL2_S1PIE: readonly Condition[] = ["EL2", "S1PIE"];
const EL2_S1POE: readonly Condition[] = ["EL2", "S1POE"];
const EL2_SCTLRX: readonly Condition[] = ["EL2", "SCTLRX"];
const EL2_SME: readonly Condition[] = ["EL2", "SME"];
const EL2_SPE: readonly Condition[] = ["EL2", "SPE"];
const EL2_SVE: readonly Condition[] = ["EL2", "SVE"];
const EL2_TCRX: readonly Condition[] = ["EL2", "TCRX"];
const EL2_TRF: readonly Condition[] = ["EL2", "TRF"];

function el2<const N extends string>(
  name: N,
  encoding: Encoding,
  kernels: readonly Kernel[],
  when: PerKernel<readonly Condition[]>,
  reset: Reset,
  said: Said = {},
): SysReg<N> {
  return row(name, encoding, "", kernels, { el2: "rw", when, reset, ...said });
}

const UNDEFINED: Said = { guest: "undefined" };
const READ: Said = { el2: "r" };
const TIMER: Said = { access: "timer" };
const GIC: Said = { el2: "rw", when: EL2_GIC };

// biome-ignore format: table
export const el2Regs = [
  //  name               op0 op1 CRn CRm op2
  el2("VPIDR_EL2",       [3, 4,  0,  0, 0], SINCE_7_2, EL2,         "unknown"),
  el2("VMPIDR_EL2",      [3, 4,  0,  0, 5], SINCE_7_2, EL2,         "unknown"),
  el2("SCTLR_EL2",       [3, 4,  1,  0, 0], SINCE_7_2, EL2,         0n),
  el2("ACTLR_EL2",       [3, 4,  1,  0, 1], SINCE_7_2, EL2,         0n),
  el2("SCTLR2_EL2",      [3, 4,  1,  0, 3], SINCE_7_2, EL2_SCTLRX,  0n),
  el2("HCR_EL2",         [3, 4,  1,  1, 0], SINCE_7_2, EL2,         "hcr"),
  el2("MDCR_EL2",        [3, 4,  1,  1, 1], SINCE_7_2, EL2,         "mdcr"),
  el2("CPTR_EL2",        [3, 4,  1,  1, 2], SINCE_7_2, EL2,         0x22ffn),
  el2("HSTR_EL2",        [3, 4,  1,  1, 3], SINCE_7_2, EL2,         0n),
  el2("HFGRTR_EL2",      [3, 4,  1,  1, 4], SINCE_7_2, EL2_FGT,     0n),
  el2("HFGWTR_EL2",      [3, 4,  1,  1, 5], SINCE_7_2, EL2_FGT,     0n),
  el2("HFGITR_EL2",      [3, 4,  1,  1, 6], SINCE_7_2, EL2,         0n),
  el2("HACR_EL2",        [3, 4,  1,  1, 7], SINCE_7_2, EL2,         0n),
  el2("ZCR_EL2",         [3, 4,  1,  2, 0], SINCE_7_2, EL2_SVE,     0n),
  el2("TRFCR_EL2",       [3, 4,  1,  2, 1], NEVER,     EL2_TRF,     "none", UNDEFINED),
  el2("HCRX_EL2",        [3, 4,  1,  2, 2], SINCE_7_2, EL2,         0n),
  el2("SMCR_EL2",        [3, 4,  1,  2, 6], NEVER,     EL2_SME,     "none", UNDEFINED),
  el2("TTBR0_EL2",       [3, 4,  2,  0, 0], SINCE_7_2, EL2,         0n),
  el2("TTBR1_EL2",       [3, 4,  2,  0, 1], SINCE_7_2, EL2,         0n),
  el2("TCR_EL2",         [3, 4,  2,  0, 2], SINCE_7_2, EL2,         0x8080_0000n),
  el2("TCR2_EL2",        [3, 4,  2,  0, 3], SINCE_7_2, EL2_TCRX,    0n),
  el2("VTTBR_EL2",       [3, 4,  2,  1, 0], SINCE_7_2, EL2,         0n),
  el2("VTCR_EL2",        [3, 4,  2,  1, 2], SINCE_7_2, EL2,         0n),
  el2("VNCR_EL2",        [3, 4,  2,  2, 0], SINCE_7_2, EL2_NV,      0n),
  el2("DACR32_EL2",      [3, 4,  3,  0, 0], EVERY,     ALWAYS,      "unknown", UNDEFINED),
  el2("HDFGRTR2_EL2",    [3, 4,  3,  1, 0], SINCE_7_2, EL2_FGT2,    0n),
  el2("HDFGWTR2_EL2",    [3, 4,  3,  1, 1], SINCE_7_2, EL2_FGT2,    0n),
  el2("HFGRTR2_EL2",     [3, 4,  3,  1, 2], SINCE_7_2, EL2_FGT2,    0n),
  el2("HFGWTR2_EL2",     [3, 4,  3,  1, 3], SINCE_7_2, EL2_FGT2,    0n),
  el2("HDFGRTR_EL2",     [3, 4,  3,  1, 4], SINCE_7_2, EL2_FGT,     0n),
  el2("HDFGWTR_EL2",     [3, 4,  3,  1, 5], SINCE_7_2, EL2_FGT,     0n),
  el2("HAFGRTR_EL2",     [3, 4,  3,  1, 6], SINCE_7_2, EL2_FGT,     0n),
  el2("HFGITR2_EL2",     [3, 4,  3,  1, 7], SINCE_7_2, EL2_FGT2,    0n),
  el2("SPSR_EL2",        [3, 4,  4,  0, 0], SINCE_7_2, EL2,         0n),
  el2("ELR_EL2",         [3, 4,  4,  0, 1], SINCE_7_2, EL2,         0n),
  el2("IFSR32_EL2",      [3, 4,  5,  0, 1], EVERY,     ALWAYS,      "unknown", UNDEFINED),
  el2("AFSR0_EL2",       [3, 4,  5,  1, 0], SINCE_7_2, EL2,         0n),
  el2("AFSR1_EL2",       [3, 4,  5,  1, 1], SINCE_7_2, EL2,         0n),
  el2("ESR_EL2",         [3, 4,  5,  2, 0], SINCE_7_2, EL2,         0n),
  el2("VSESR_EL2",       [3, 4,  5,  2, 3], SINCE_7_2, EL2,         "unknown"),
  el2("FPEXC32_EL2",     [3, 4,  5,  3, 0], EVERY,     ALWAYS,      0x700n, UNDEFINED),
  el2("TFSR_EL2",        [3, 4,  5,  6, 0], NEVER,     EL2_MTE,     "none", UNDEFINED),
  el2("FAR_EL2",         [3, 4,  6,  0, 0], SINCE_7_2, EL2,         0n),
  el2("HPFAR_EL2",       [3, 4,  6,  0, 4], SINCE_7_2, EL2,         0n),
  el2("PMSCR_EL2",       [3, 4,  9,  9, 0], NEVER,     EL2_SPE,     "none", UNDEFINED),
  el2("MAIR_EL2",        [3, 4, 10,  2, 0], SINCE_7_2, EL2,         0n),
  el2("PIRE0_EL2",       [3, 4, 10,  2, 2], SINCE_7_2, EL2_S1PIE,   0n),
  el2("PIR_EL2",         [3, 4, 10,  2, 3], SINCE_7_2, EL2_S1PIE,   0n),
  el2("POR_EL2",         [3, 4, 10,  2, 4], SINCE_7_2, EL2_S1POE,   0n),
  el2("AMAIR_EL2",       [3, 4, 10,  3, 0], SINCE_7_2, EL2,         0n),
  el2("MPAMHCR_EL2",     [3, 4, 10,  4, 0], NEVER,     EL2_MPAM,    "none", UNDEFINED),
  el2("MPAMVPMV_EL2",    [3, 4, 10,  4, 1], NEVER,     EL2_MPAM,    "none", UNDEFINED),
  el2("MPAM2_EL2",       [3, 4, 10,  5, 0], NEVER,     EL2_MPAM,    "none", UNDEFINED),
  el2("MPAMVPM0_EL2",    [3, 4, 10,  6, 0], NEVER,     EL2_MPAM,    "none", UNDEFINED),
  el2("MPAMVPM1_EL2",    [3, 4, 10,  6, 1], NEVER,     EL2_MPAM,    "none", UNDEFINED),
  el2("MPAMVPM2_EL2",    [3, 4, 10,  6, 2], NEVER,     EL2_MPAM,    "none", UNDEFINED),
  el2("MPAMVPM3_EL2",    [3, 4, 10,  6, 3], NEVER,     EL2_MPAM,    "none", UNDEFINED),
  el2("MPAMVPM4_EL2",    [3, 4, 10,  6, 4], NEVER,     EL2_MPAM,    "none", UNDEFINED),
  el2("MPAMVPM5_EL2",    [3, 4, 10,  6, 5], NEVER,     EL2_MPAM,    "none", UNDEFINED),
  el2("MPAMVPM6_EL2",    [3, 4, 10,  6, 6], NEVER,     EL2_MPAM,    "none", UNDEFINED),
  el2("MPAMVPM7_EL2",    [3, 4, 10,  6, 7], NEVER,     EL2_MPAM,    "none", UNDEFINED),
  el2("VBAR_EL2",        [3, 4, 12,  0, 0], SINCE_7_2, EL2,         0n),
  el2("RVBAR_EL2",       [3, 4, 12,  0, 1], NEVER,     EL2,         "none", { el2: "r", guest: "undefined" }),
  el2("RMR_EL2",         [3, 4, 12,  0, 2], NEVER,     EL2,         "none", UNDEFINED),
  el2("VDISR_EL2",       [3, 4, 12,  1, 1], SINCE_7_2, EL2,         "unknown"),
  el2("CONTEXTIDR_EL2",  [3, 4, 13,  0, 1], SINCE_7_2, EL2,         0n),
  el2("TPIDR_EL2",       [3, 4, 13,  0, 2], SINCE_7_2, EL2,         0n),
  el2("SCXTNUM_EL2",     [3, 4, 13,  0, 7], NEVER,     EL2_CSV2_2,  "none", UNDEFINED),
  el2("CNTVOFF_EL2",     [3, 4, 14,  0, 3], SINCE_7_2, EL2,         0n),
  el2("CNTPOFF_EL2",     [3, 4, 14,  0, 6], NEVER,     EL2_ECV,     "none", UNDEFINED),
  el2("CNTHCTL_EL2",     [3, 4, 14,  1, 0], SINCE_7_2, EL2,         0n),
  el2("CNTHP_TVAL_EL2",  [3, 4, 14,  2, 0], NEVER,     EL2,         "none"),
  el2("CNTHP_CTL_EL2",   [3, 4, 14,  2, 1], SINCE_7_2, EL2,         0n, TIMER),
  el2("CNTHP_CVAL_EL2",  [3, 4, 14,  2, 2], SINCE_7_2, EL2,         0n, TIMER),
  el2("CNTHV_TVAL_EL2",  [3, 4, 14,  3, 0], NEVER,     EL2_NO_E2H0, "none"),
  el2("CNTHV_CTL_EL2",   [3, 4, 14,  3, 1], SINCE_7_2, EL2_NO_E2H0, 0n, TIMER),
  el2("CNTHV_CVAL_EL2",  [3, 4, 14,  3, 2], SINCE_7_2, EL2_NO_E2H0, 0n, TIMER),
  el2("SP_EL2",          [3, 6,  4,  1, 0], SINCE_7_2, EL2,         "unknown", { el2: "" }),
];

/** Reached from EL2 while HCR_EL2.E2H is set; the values are those of the EL1 and EL0 registers. */
const VHE: readonly Condition[] = ["EL2", "VHE"];

// biome-ignore format: table
export const el12Regs = [
  el2("SCTLR_EL12",      [3, 5,  1,  0, 0], NEVER,     VHE,         "none"),
  el2("CPACR_EL12",      [3, 5,  1,  0, 2], NEVER,     VHE,         "none"),
  el2("SCTLR2_EL12",     [3, 5,  1,  0, 3], NEVER,     VHE,         "none"),
  el2("ZCR_EL12",        [3, 5,  1,  2, 0], NEVER,     VHE,         "none"),
  el2("TTBR0_EL12",      [3, 5,  2,  0, 0], NEVER,     VHE,         "none"),
  el2("TTBR1_EL12",      [3, 5,  2,  0, 1], NEVER,     VHE,         "none"),
  el2("TCR_EL12",        [3, 5,  2,  0, 2], NEVER,     VHE,         "none"),
  el2("TCR2_EL12",       [3, 5,  2,  0, 3], NEVER,     VHE,         "none"),
  el2("SPSR_EL12",       [3, 5,  4,  0, 0], NEVER,     VHE,         "none"),
  el2("ELR_EL12",        [3, 5,  4,  0, 1], NEVER,     VHE,         "none"),
  el2("AFSR0_EL12",      [3, 5,  5,  1, 0], NEVER,     VHE,         "none"),
  el2("AFSR1_EL12",      [3, 5,  5,  1, 1], NEVER,     VHE,         "none"),
  el2("ESR_EL12",        [3, 5,  5,  2, 0], NEVER,     VHE,         "none"),
  el2("TFSR_EL12",       [3, 5,  5,  6, 0], NEVER,     VHE,         "none"),
  el2("FAR_EL12",        [3, 5,  6,  0, 0], NEVER,     VHE,         "none"),
  el2("MAIR_EL12",       [3, 5, 10,  2, 0], NEVER,     VHE,         "none"),
  el2("PIRE0_EL12",      [3, 5, 10,  2, 2], NEVER,     VHE,         "none"),
  el2("PIR_EL12",        [3, 5, 10,  2, 3], NEVER,     VHE,         "none"),
  el2("POR_EL12",        [3, 5, 10,  2, 4], NEVER,     VHE,         "none"),
  el2("AMAIR_EL12",      [3, 5, 10,  3, 0], NEVER,     VHE,         "none"),
  el2("VBAR_EL12",       [3, 5, 12,  0, 0], NEVER,     VHE,         "none"),
  el2("CONTEXTIDR_EL12", [3, 5, 13,  0, 1], NEVER,     VHE,         "none"),
  el2("CNTKCTL_EL12",    [3, 5, 14,  1, 0], NEVER,     VHE,         "none"),
  el2("CNTP_TVAL_EL02",  [3, 5, 14,  2, 0], NEVER,     VHE,         "none"),
  el2("CNTP_CTL_EL02",   [3, 5, 14,  2, 1], NEVER,     VHE,         "none"),
  el2("CNTP_CVAL_EL02",  [3, 5, 14,  2, 2], NEVER,     VHE,         "none"),
  el2("CNTV_TVAL_EL02",  [3, 5, 14,  3, 0], NEVER,     VHE,         "none"),
  el2("CNTV_CTL_EL02",   [3, 5, 14,  3, 1], NEVER,     VHE,         "none"),
  el2("CNTV_CVAL_EL02",  [3, 5, 14,  3, 2], NEVER,     VHE,         "none"),
];

/** The GIC's view of a nested guest. KVM gives it through the vGIC's device attributes alone. */
// biome-ignore format: table
export const ichRegs = [
  ...family("ICH_AP0R#_EL2", 4, (n) => [3, 4, 12, 8, n], "", NEVER, GIC),
  ...family("ICH_AP1R#_EL2", 4, (n) => [3, 4, 12, 9, n], "", NEVER, GIC),
  el2("ICC_SRE_EL2",     [3, 4, 12,  9, 5], NEVER,     EL2_GIC,     "none"),
  el2("ICH_HCR_EL2",     [3, 4, 12, 11, 0], NEVER,     EL2_GIC,     "none"),
  el2("ICH_VTR_EL2",     [3, 4, 12, 11, 1], NEVER,     EL2_GIC,     "none", READ),
  el2("ICH_MISR_EL2",    [3, 4, 12, 11, 2], NEVER,     EL2_GIC,     "none", READ),
  el2("ICH_EISR_EL2",    [3, 4, 12, 11, 3], NEVER,     EL2_GIC,     "none", READ),
  el2("ICH_ELRSR_EL2",   [3, 4, 12, 11, 5], NEVER,     EL2_GIC,     "none", READ),
  el2("ICH_VMCR_EL2",    [3, 4, 12, 11, 7], NEVER,     EL2_GIC,     "none"),
  ...family("ICH_LR#_EL2", 16, (n) => [3, 4, 12, 12 + (n >> 3), n & 7], "", NEVER, GIC),
];
