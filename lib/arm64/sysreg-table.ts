// THE table of system registers: every fact about one stands in its row. Names and encodings: DDI 0487 D24; what KVM
// makes of them: Documentation/virt/kvm/api.rst 4.68. What cannot be data (side effects, values that depend on the
// machine) hangs on the name, in the model. docs/adding-a-register.md tells how to add a row.
//
// One file, though long: on import a file costs more than the hundred rows in it (measured).

import { ARCH_ARM64, CoreWord, makeId, Space } from "./reg-id.js";
import type { Condition, Encoding, Kernel, PerKernel, Reset, Said, SysReg } from "./sysreg-row.js";
import { EVERY, family, NEVER, row, SINCE_6_12, SINCE_7_2, UNKNOWN } from "./sysreg-row.js";

// ---- Self-hosted debug, and the debug communication channel. DDI 0487 D24.3.

// biome-ignore format: table
const debugRegs = [
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
  row("DBGAUTHSTATUS_EL1",  [2, 0,  7, 14, 6], "r",  NEVER, { reset: "host" }),
  row("MDCCSR_EL0",         [2, 3,  0,  1, 0], "r",  NEVER, { el0: "r", guest: "raz-wi", reset: 0n }),
  row("DBGDTR_EL0",         [2, 3,  0,  4, 0], "rw", NEVER, { el0: "rw", guest: "raz-wi", reset: 0n }),
  // Read: DBGDTRRX_EL0. Written: DBGDTRTX_EL0. One encoding.
  row("DBGDTRTX_EL0",       [2, 3,  0,  5, 0], "rw", NEVER, { el0: "rw", guest: "raz-wi", reset: 0n }),
  row("DBGVCR32_EL2",       [2, 4,  0,  7, 0], "",   EVERY, { el2: "rw", guest: "undefined", reset: 0n }),
];

// ---- Identification registers. DDI 0487 D24.2; writability: Documentation/virt/kvm/api.rst 4.139.

/** A limit register, with the bits that KVM_ARM_GET_REG_WRITABLE_MASKS reports. 6.1 has no such ioctl. */
function id(mask61: bigint, mask612: bigint, mask72: bigint): Said {
  return { access: "id", reset: "host", userWritable: { "6.1": mask61, "6.12": mask612, "7.2": mask72 } };
}

/** The same, in an encoding that was not allocated before 6.12. */
function idSince612(mask612: bigint, mask72: bigint): Said {
  return { ...id(0n, mask612, mask72), access: { "6.1": "raz", "6.12": "id", "7.2": "id" } };
}

/** And before 7.2. */
function idSince72(mask72: bigint): Said {
  return { ...id(0n, 0n, mask72), access: { "6.1": "raz", "6.12": "raz", "7.2": "id" } };
}

const ID32: Said = { ...id(0n, 0xffff_ffffn, 0xffff_ffffn), access: "id32" };

/** Not allocated, or kept from guests. */
const RAZ: Said = { access: "raz", reset: 0n, userWritable: 0n };

/** Of the implementation: 7.2 lets a VMM replace them. */
function implementation(mask72: bigint): Said {
  return {
    access: { "6.1": "invariant", "6.12": "invariant", "7.2": "impid" },
    reset: "host",
    userWritable: { "6.1": 0n, "6.12": 0n, "7.2": mask72 },
  };
}

const CLIDR: Said = {
  access: { "6.1": "invariant", "6.12": "clidr", "7.2": "clidr" },
  reset: { "6.1": "host", "6.12": "clidr", "7.2": "clidr" },
  userWritable: { "6.1": 0n, "6.12": 0x7fff_ffff_ffffn, "7.2": 0x7fff_ffff_ffffn },
};

const CTR: Said = {
  ...id(0n, 0x300f_000fn, 0x300f_c00fn),
  access: { "6.1": "invariant", "6.12": "id", "7.2": "id" },
  el0: "r",
};

// biome-ignore format: table
const idRegs = [
  //  name                  op0 op1 CRn CRm op2
  row("MIDR_EL1",          [3, 0, 0, 0, 0], "r", EVERY, implementation(0xffff_ffffn)),
  row("MPIDR_EL1",         [3, 0, 0, 0, 5], "r", EVERY, { reset: "mpidr" }),
  row("REVIDR_EL1",        [3, 0, 0, 0, 6], "r", EVERY, implementation(0xffff_ffff_ffff_ffffn)),
  row("ID_PFR0_EL1",       [3, 0, 0, 1, 0], "r", EVERY, ID32),
  row("ID_PFR1_EL1",       [3, 0, 0, 1, 1], "r", EVERY, ID32),
  row("ID_DFR0_EL1",       [3, 0, 0, 1, 2], "r", EVERY, ID32),
  row("ID_AFR0_EL1",       [3, 0, 0, 1, 3], "r", EVERY, RAZ),
  row("ID_MMFR0_EL1",      [3, 0, 0, 1, 4], "r", EVERY, ID32),
  row("ID_MMFR1_EL1",      [3, 0, 0, 1, 5], "r", EVERY, ID32),
  row("ID_MMFR2_EL1",      [3, 0, 0, 1, 6], "r", EVERY, ID32),
  row("ID_MMFR3_EL1",      [3, 0, 0, 1, 7], "r", EVERY, ID32),
  row("ID_ISAR0_EL1",      [3, 0, 0, 2, 0], "r", EVERY, ID32),
  row("ID_ISAR1_EL1",      [3, 0, 0, 2, 1], "r", EVERY, ID32),
  row("ID_ISAR2_EL1",      [3, 0, 0, 2, 2], "r", EVERY, ID32),
  row("ID_ISAR3_EL1",      [3, 0, 0, 2, 3], "r", EVERY, ID32),
  row("ID_ISAR4_EL1",      [3, 0, 0, 2, 4], "r", EVERY, ID32),
  row("ID_ISAR5_EL1",      [3, 0, 0, 2, 5], "r", EVERY, ID32),
  row("ID_MMFR4_EL1",      [3, 0, 0, 2, 6], "r", EVERY, ID32),
  row("ID_ISAR6_EL1",      [3, 0, 0, 2, 7], "r", EVERY, ID32),
  row("MVFR0_EL1",         [3, 0, 0, 3, 0], "r", EVERY, ID32),
  row("MVFR1_EL1",         [3, 0, 0, 3, 1], "r", EVERY, ID32),
  row("MVFR2_EL1",         [3, 0, 0, 3, 2], "r", EVERY, ID32),
  row("S3_0_C0_C3_3",      [3, 0, 0, 3, 3], "r", EVERY, RAZ),
  row("ID_PFR2_EL1",       [3, 0, 0, 3, 4], "r", EVERY, ID32),
  row("ID_DFR1_EL1",       [3, 0, 0, 3, 5], "r", EVERY, RAZ),
  row("ID_MMFR5_EL1",      [3, 0, 0, 3, 6], "r", EVERY, ID32),
  row("S3_0_C0_C3_7",      [3, 0, 0, 3, 7], "r", EVERY, RAZ),
  row("ID_AA64PFR0_EL1",   [3, 0, 0, 4, 0], "r", EVERY, id(0xff00_0000_0000_0000n, 0xffff_00f0_0f00_ffffn, 0xffff_00f0_ff00_ffffn)),
  row("ID_AA64PFR1_EL1",   [3, 0, 0, 4, 1], "r", EVERY, id(0n, 0xf_0000_00ffn, 0xf00_000f_0000_f0ffn)),
  row("ID_AA64PFR2_EL1",   [3, 0, 0, 4, 2], "r", EVERY, idSince612(0xf_0000_0000n, 0xf_0000_fff0n)),
  row("S3_0_C0_C4_3",      [3, 0, 0, 4, 3], "r", EVERY, RAZ),
  row("ID_AA64ZFR0_EL1",   [3, 0, 0, 4, 4], "r", EVERY, id(0n, 0xff0_ff0f_0fff_00ffn, 0xfff_ff0f_0fff_f0ffn)),
  row("ID_AA64SMFR0_EL1",  [3, 0, 0, 4, 5], "r", EVERY, RAZ),
  row("S3_0_C0_C4_6",      [3, 0, 0, 4, 6], "r", EVERY, RAZ),
  row("ID_AA64FPFR0_EL1",  [3, 0, 0, 4, 7], "r", EVERY, idSince612(0xf000_0003n, 0xfc00_80ffn)),
  row("ID_AA64DFR0_EL1",   [3, 0, 0, 5, 0], "r", EVERY, id(0n, 0xf0_00f0_0f0fn, 0xf0_00f0_0f0fn)),
  row("ID_AA64DFR1_EL1",   [3, 0, 0, 5, 1], "r", EVERY, id(0n, 0n, 0n)),
  row("S3_0_C0_C5_2",      [3, 0, 0, 5, 2], "r", EVERY, RAZ),
  row("S3_0_C0_C5_3",      [3, 0, 0, 5, 3], "r", EVERY, RAZ),
  row("ID_AA64AFR0_EL1",   [3, 0, 0, 5, 4], "r", EVERY, RAZ),
  row("ID_AA64AFR1_EL1",   [3, 0, 0, 5, 5], "r", EVERY, RAZ),
  row("S3_0_C0_C5_6",      [3, 0, 0, 5, 6], "r", EVERY, RAZ),
  row("S3_0_C0_C5_7",      [3, 0, 0, 5, 7], "r", EVERY, RAZ),
  row("ID_AA64ISAR0_EL1",  [3, 0, 0, 6, 0], "r", EVERY, id(0n, 0xffff_ffff_ffff_fff0n, 0xffff_ffff_f0ff_fff0n)),
  row("ID_AA64ISAR1_EL1",  [3, 0, 0, 6, 1], "r", EVERY, id(0n, 0xffff_ffff_00ff_f00fn, 0xffff_ffff_00ff_f00fn)),
  row("ID_AA64ISAR2_EL1",  [3, 0, 0, 6, 2], "r", EVERY, id(0n, 0xffff_0fff_ffff_00ffn, 0xffff_ffff_ffff_00ffn)),
  row("ID_AA64ISAR3_EL1",  [3, 0, 0, 6, 3], "r", EVERY, idSince72(0xff0f_00f0n)),
  row("S3_0_C0_C6_4",      [3, 0, 0, 6, 4], "r", EVERY, RAZ),
  row("S3_0_C0_C6_5",      [3, 0, 0, 6, 5], "r", EVERY, RAZ),
  row("S3_0_C0_C6_6",      [3, 0, 0, 6, 6], "r", EVERY, RAZ),
  row("S3_0_C0_C6_7",      [3, 0, 0, 6, 7], "r", EVERY, RAZ),
  row("ID_AA64MMFR0_EL1",  [3, 0, 0, 7, 0], "r", EVERY, id(0n, 0xff00_f000_ffff_ff0fn, 0xff00_ffff_ffff_ff0fn)),
  row("ID_AA64MMFR1_EL1",  [3, 0, 0, 7, 1], "r", EVERY, id(0n, 0xffff_f0f0_0fff_f00fn, 0xffff_ffff_0fff_f00fn)),
  row("ID_AA64MMFR2_EL1",  [3, 0, 0, 7, 2], "r", EVERY, id(0n, 0xf0ff_000f_f00f_ffffn, 0xf0ff_000f_f00f_ffffn)),
  row("ID_AA64MMFR3_EL1",  [3, 0, 0, 7, 3], "r", EVERY, idSince612(0xf_0f0fn, 0xf_0fffn)),
  row("ID_AA64MMFR4_EL1",  [3, 0, 0, 7, 4], "r", EVERY, idSince612(0n, 0xf0_0000n)),
  row("S3_0_C0_C7_5",      [3, 0, 0, 7, 5], "r", EVERY, RAZ),
  row("S3_0_C0_C7_6",      [3, 0, 0, 7, 6], "r", EVERY, RAZ),
  row("S3_0_C0_C7_7",      [3, 0, 0, 7, 7], "r", EVERY, RAZ),
  row("CCSIDR_EL1",        [3, 1, 0, 0, 0], "r", NEVER),
  row("CLIDR_EL1",         [3, 1, 0, 0, 1], "r", EVERY, CLIDR),
  row("CCSIDR2_EL1",       [3, 1, 0, 0, 2], "r", NEVER, { when: ["CCIDX"] }),
  row("GMID_EL1",          [3, 1, 0, 0, 4], "r", NEVER, { when: ["MTE2"] }),
  row("SMIDR_EL1",         [3, 1, 0, 0, 6], "r", NEVER, { when: ["SME"] }),
  row("AIDR_EL1",          [3, 1, 0, 0, 7], "r", EVERY, implementation(0xffff_ffff_ffff_ffffn)),
  row("CTR_EL0",           [3, 3, 0, 0, 1], "r", EVERY, CTR),
  row("DCZID_EL0",         [3, 3, 0, 0, 7], "r", NEVER, { el0: "r", reset: "host" }),
];

// ---- Control, address translation, exception and thread registers of EL1 and EL0. DDI 0487 D24.2.

const PTRAUTH_KEY: Said = { when: ["PTRAUTH"], reset: "unknown" };
const MTE: Said = { when: ["MTE"], reset: "unknown" };

/** 6.12 lists it whether or not the CPU has the feature; guests need the feature on every kernel. */
const whenS1PIE = { "6.1": [], "6.12": [], "7.2": ["S1PIE"] } as const;
const whenTCRX = { "6.1": [], "6.12": [], "7.2": ["TCRX"] } as const;

/** Error records that KVM never has: read as zero since the first kernels, or since 7.2. */
const RAS: Said = { when: ["RAS"], guest: "raz-wi", reset: 0n };
/** A CPU without error records (ERRIDR_EL1.NUM is 0, as guests read it) has none of theirs: DDI 0487 D24. */
const ERROR_RECORD: Said = { ...RAS, guest: "undefined" };

const SPE: Said = { when: ["SPE"], guest: "undefined" };
const LOR: Said = { when: ["LOR"], guest: "raz-wi", reset: 0n };
const MPAM: Said = { when: ["MPAM"], guest: "undefined" };

// biome-ignore format: table
const el1Regs = [
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
  row("APIAKEYLO_EL1",   [3, 0,  2,  1, 0], "rw", EVERY,      PTRAUTH_KEY),
  row("APIAKEYHI_EL1",   [3, 0,  2,  1, 1], "rw", EVERY,      PTRAUTH_KEY),
  row("APIBKEYLO_EL1",   [3, 0,  2,  1, 2], "rw", EVERY,      PTRAUTH_KEY),
  row("APIBKEYHI_EL1",   [3, 0,  2,  1, 3], "rw", EVERY,      PTRAUTH_KEY),
  row("APDAKEYLO_EL1",   [3, 0,  2,  2, 0], "rw", EVERY,      PTRAUTH_KEY),
  row("APDAKEYHI_EL1",   [3, 0,  2,  2, 1], "rw", EVERY,      PTRAUTH_KEY),
  row("APDBKEYLO_EL1",   [3, 0,  2,  2, 2], "rw", EVERY,      PTRAUTH_KEY),
  row("APDBKEYHI_EL1",   [3, 0,  2,  2, 3], "rw", EVERY,      PTRAUTH_KEY),
  row("APGAKEYLO_EL1",   [3, 0,  2,  3, 0], "rw", EVERY,      PTRAUTH_KEY),
  row("APGAKEYHI_EL1",   [3, 0,  2,  3, 1], "rw", EVERY,      PTRAUTH_KEY),
  row("AFSR0_EL1",       [3, 0,  5,  1, 0], "rw", EVERY,      { reset: "unknown" }),
  row("AFSR1_EL1",       [3, 0,  5,  1, 1], "rw", EVERY,      { reset: "unknown" }),
  row("ESR_EL1",         [3, 0,  5,  2, 0], "rw", EVERY,      { reset: "unknown" }),
  row("ERRIDR_EL1",      [3, 0,  5,  3, 0], "r",  NEVER,      RAS),
  row("ERRSELR_EL1",     [3, 0,  5,  3, 1], "rw", NEVER,      ERROR_RECORD),
  row("ERXFR_EL1",       [3, 0,  5,  4, 0], "r",  NEVER,      ERROR_RECORD),
  row("ERXCTLR_EL1",     [3, 0,  5,  4, 1], "rw", NEVER,      ERROR_RECORD),
  row("ERXSTATUS_EL1",   [3, 0,  5,  4, 2], "rw", NEVER,      ERROR_RECORD),
  row("ERXADDR_EL1",     [3, 0,  5,  4, 3], "rw", NEVER,      ERROR_RECORD),
  row("ERXPFGF_EL1",     [3, 0,  5,  4, 4], "r",  NEVER,      ERROR_RECORD),
  row("ERXPFGCTL_EL1",   [3, 0,  5,  4, 5], "rw", NEVER,      ERROR_RECORD),
  row("ERXPFGCDN_EL1",   [3, 0,  5,  4, 6], "rw", NEVER,      ERROR_RECORD),
  row("ERXMISC0_EL1",    [3, 0,  5,  5, 0], "rw", NEVER,      ERROR_RECORD),
  row("ERXMISC1_EL1",    [3, 0,  5,  5, 1], "rw", NEVER,      ERROR_RECORD),
  row("ERXMISC2_EL1",    [3, 0,  5,  5, 2], "rw", NEVER,      ERROR_RECORD),
  row("ERXMISC3_EL1",    [3, 0,  5,  5, 3], "rw", NEVER,      ERROR_RECORD),
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
  row("VBAR_EL1",        [3, 0, 12,  0, 0], "rw", EVERY,      { reset: 0n, guestWritable: 0xffff_ffff_ffff_ffe0n }),
  row("ISR_EL1",         [3, 0, 12,  1, 0], "r",  NEVER),
  row("DISR_EL1",        [3, 0, 12,  1, 1], "rw", EVERY,      { reset: 0n }),
  row("CONTEXTIDR_EL1",  [3, 0, 13,  0, 1], "rw", EVERY,      { reset: 0n }),
  row("TPIDR_EL1",       [3, 0, 13,  0, 4], "rw", EVERY,      { reset: "unknown" }),
  row("ACCDATA_EL1",     [3, 0, 13,  0, 5], "rw", NEVER,      { when: ["LS64_ACCDATA"], guest: "undefined" }),
  row("SCXTNUM_EL1",     [3, 0, 13,  0, 7], "rw", NEVER,      { when: ["CSV2_2"], guest: "undefined" }),
  row("CSSELR_EL1",      [3, 2,  0,  0, 0], "rw", EVERY,      { reset: "unknown" }),
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

// ---- Special-purpose registers: PSTATE by parts, stack pointers, saved state, floating point. DDI 0487 C5.2.
// KVM has some of them, in the core space: those carry the id they have there.

const core = (word: keyof typeof CoreWord): bigint =>
  makeId(ARCH_ARM64, word.startsWith("FP") ? 32 : 64, Space.arm64Core, CoreWord[word]);

// biome-ignore format: table
const specialRegs = [
  //  name             op0 op1 CRn CRm op2
  row("SPSR_EL1",     [3, 0, 4, 0, 0], "rw", NEVER, { userId: core("SPSR_EL1") }),
  row("ELR_EL1",      [3, 0, 4, 0, 1], "rw", NEVER, { userId: core("ELR_EL1") }),
  row("SP_EL0",       [3, 0, 4, 1, 0], "rw", NEVER, { userId: core("sp") }),
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
  // Without trapped exceptions, FEAT_AFP and FEAT_EBF16.
  row("FPCR",         [3, 3, 4, 4, 0], "rw", NEVER, { el0: "rw", userId: core("FPCR"), guestWritable: 0x07ff_0000n }),
  row("FPSR",         [3, 3, 4, 4, 1], "rw", NEVER, { el0: "rw", userId: core("FPSR"), guestWritable: 0xf800_009fn }),
  // In Debug state only, where no guest of KVM ever is.
  row("DSPSR_EL0",    [3, 3, 4, 5, 0], "rw", NEVER, { el0: "rw", guest: "undefined" }),
  row("DLR_EL0",      [3, 3, 4, 5, 1], "rw", NEVER, { el0: "rw", guest: "undefined" }),
  row("SP_EL1",       [3, 4, 4, 1, 0], "",   NEVER, { el2: "rw", when: ["EL2"], userId: core("SP_EL1") }),
  row("SPSR_irq",     [3, 4, 4, 3, 0], "",   NEVER, { el2: "rw", when: ["EL2"], userId: core("SPSR_irq"), guest: "raz-wi" }),
  row("SPSR_abt",     [3, 4, 4, 3, 1], "",   NEVER, { el2: "rw", when: ["EL2"], userId: core("SPSR_abt"), guest: "raz-wi" }),
  row("SPSR_und",     [3, 4, 4, 3, 2], "",   NEVER, { el2: "rw", when: ["EL2"], userId: core("SPSR_und"), guest: "raz-wi" }),
  row("SPSR_fiq",     [3, 4, 4, 3, 3], "",   NEVER, { el2: "rw", when: ["EL2"], userId: core("SPSR_fiq"), guest: "raz-wi" }),
];

// ---- Performance monitors, and activity monitors, which KVM keeps from guests. DDI 0487 D24.4, D24.5.

const EL0_RW: Said = { when: ["PMU"], el0: "rw" };
const COUNTERS: Said = { when: ["PMU"], access: "pmreg", reset: "counters" };
const COUNTERS_EL0: Said = { ...COUNTERS, el0: "rw" };
/** P, U, NSH and the number of the event. */
const EVENT_BITS = 0xc800_ffffn;
const EVENT_TYPE: Said = { ...EL0_RW, reset: UNKNOWN & EVENT_BITS, guestWritable: EVENT_BITS };
const EVENT_COUNT: Said = { ...EL0_RW, access: "evcntr", reset: "unknown-32" };
const AMU: Said = { when: ["AMU"], el0: "rw", guest: "undefined" };

// biome-ignore format: table
const pmuRegs = [
  //  name                  op0 op1 CRn CRm op2
  row("PMINTENSET_EL1",    [3, 0,  9, 14, 1], "rw", EVERY, COUNTERS),
  row("PMINTENCLR_EL1",    [3, 0,  9, 14, 2], "rw", EVERY, COUNTERS),
  row("PMMIR_EL1",         [3, 0,  9, 14, 6], "r",  NEVER, { when: ["PMU"], guestWhen: NEVER, reset: 0n }),
  row("PMCR_EL0",          [3, 3,  9, 12, 0], "rw", EVERY, { ...EL0_RW, access: "pmcr", reset: "pmcr", guestWritable: 0xf9n }),
  row("PMCNTENSET_EL0",    [3, 3,  9, 12, 1], "rw", EVERY, COUNTERS_EL0),
  row("PMCNTENCLR_EL0",    [3, 3,  9, 12, 2], "rw", EVERY, COUNTERS_EL0),
  row("PMOVSCLR_EL0",      [3, 3,  9, 12, 3], "rw", EVERY, COUNTERS_EL0),
  row("PMSWINC_EL0",       [3, 3,  9, 12, 4], "w",  EVERY, { when: ["PMU"], el0: "w", access: "raz-wi" }),
  row("PMSELR_EL0",        [3, 3,  9, 12, 5], "rw", EVERY, { ...EL0_RW, reset: UNKNOWN & 0x1fn }),
  row("PMCEID0_EL0",       [3, 3,  9, 12, 6], "r",  NEVER, { when: ["PMU"], el0: "r", reset: "host" }),
  row("PMCEID1_EL0",       [3, 3,  9, 12, 7], "r",  NEVER, { when: ["PMU"], el0: "r", reset: "host" }),
  row("PMCCNTR_EL0",       [3, 3,  9, 13, 0], "rw", EVERY, { ...EL0_RW, access: "evcntr", reset: "unknown" }),
  row("PMXEVTYPER_EL0",    [3, 3,  9, 13, 1], "rw", NEVER, EL0_RW),
  row("PMXEVCNTR_EL0",     [3, 3,  9, 13, 2], "rw", NEVER, EL0_RW),
  row("PMUSERENR_EL0",     [3, 3,  9, 14, 0], "rw", EVERY, { when: ["PMU"], el0: "r", reset: 0n }),
  row("PMOVSSET_EL0",      [3, 3,  9, 14, 3], "rw", EVERY, COUNTERS_EL0),
  ...family("PMEVCNTR#_EL0", 31, (n) => [3, 3, 14, 8 + (n >> 3), n & 7], "rw", EVERY, EVENT_COUNT),
  ...family("PMEVTYPER#_EL0", 31, (n) => [3, 3, 14, 12 + (n >> 3), n & 7], "rw", EVERY, EVENT_TYPE),
  row("PMCCFILTR_EL0",     [3, 3, 14, 15, 7], "rw", EVERY, { ...EL0_RW, reset: 0n, guestWritable: EVENT_BITS }),
];

// biome-ignore format: table
const amuRegs = [
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

// ---- The generic timer. DDI 0487 D24.10.

/**
 * Which encodings KVM's names for the virtual timer got, was mixed up once, and is ABI now: TIMER_CNT is the encoding of
 * CNTV_CVAL_EL0, and TIMER_CVAL that of CNTVCT_EL0. Documentation/virt/kvm/api.rst 4.68, arm64 system registers.
 */
const TIMER_CNT = 0x6030_0000_0013_df1an;
const TIMER_CVAL = 0x6030_0000_0013_df02n;

const TIMER_COUNT: Said = { access: "timer", el0: "r" };
const TIMER_CONTROL: Said = { access: "timer", el0: "rw", reset: 0n, guestWritable: 0xffff_ffffn };
const TIMER_COMPARE: Said = { access: "timer", el0: "rw", reset: { "6.1": "none", "6.12": "none", "7.2": 0n } };

// biome-ignore format: table
const timerRegs = [
  //  name                op0 op1 CRn CRm op2
  row("CNTKCTL_EL1",     [3, 0, 14,  1, 0], "rw", EVERY,      { reset: 0n }),
  row("CNTFRQ_EL0",      [3, 3, 14,  0, 0], "r",  NEVER,      { el0: "r", reset: "host" }),
  row("CNTPCT_EL0",      [3, 3, 14,  0, 1], "r",  SINCE_6_12, TIMER_COUNT),
  row("CNTVCT_EL0",      [3, 3, 14,  0, 2], "r",  EVERY,      { ...TIMER_COUNT, userId: TIMER_CNT }),
  row("CNTPCTSS_EL0",    [3, 3, 14,  0, 5], "r",  NEVER,      { when: ["ECV"], el0: "r" }),
  row("CNTVCTSS_EL0",    [3, 3, 14,  0, 6], "r",  NEVER,      { when: ["ECV"], el0: "r" }),
  row("CNTP_TVAL_EL0",   [3, 3, 14,  2, 0], "rw", NEVER,      { el0: "rw" }),
  row("CNTP_CTL_EL0",    [3, 3, 14,  2, 1], "rw", SINCE_6_12, TIMER_CONTROL),
  row("CNTP_CVAL_EL0",   [3, 3, 14,  2, 2], "rw", SINCE_6_12, TIMER_COMPARE),
  row("CNTV_TVAL_EL0",   [3, 3, 14,  3, 0], "rw", NEVER,      { el0: "rw" }),
  row("CNTV_CTL_EL0",    [3, 3, 14,  3, 1], "rw", EVERY,      TIMER_CONTROL),
  row("CNTV_CVAL_EL0",   [3, 3, 14,  3, 2], "rw", EVERY,      { ...TIMER_COMPARE, userId: TIMER_CVAL }),
];

// ---- The GIC's CPU interface. IHI 0069 12.2. KVM gives a VMM these through the vGIC's device attributes alone.

const GICV3: Said = { when: ["GICv3"] };
const GICV5: Said = { when: ["GICv5"] };

// biome-ignore format: table
const gicRegs = [
  //  name                    op0 op1 CRn CRm op2
  row("ICC_PMR_EL1",         [3, 0,  4,  6, 0], "rw", NEVER, { ...GICV3, guestWritable: 0xffn }),
  row("ICC_IAR0_EL1",        [3, 0, 12,  8, 0], "r",  NEVER, GICV3),
  row("ICC_EOIR0_EL1",       [3, 0, 12,  8, 1], "w",  NEVER, GICV3),
  row("ICC_HPPIR0_EL1",      [3, 0, 12,  8, 2], "r",  NEVER, GICV3),
  row("ICC_BPR0_EL1",        [3, 0, 12,  8, 3], "rw", NEVER, GICV3),
  ...family("ICC_AP0R#_EL1", 4, (n) => [3, 0, 12, 8, 4 + n], "rw", NEVER, GICV3),
  ...family("ICC_AP1R#_EL1", 4, (n) => [3, 0, 12, 9, n], "rw", NEVER, GICV3),
  row("ICC_NMIAR1_EL1",      [3, 0, 12,  9, 5], "r",  NEVER, { when: ["GICv3", "NMI"] }),
  row("ICC_IDR0_EL1",        [3, 0, 12, 10, 2], "r",  NEVER, GICV5),
  row("ICC_IAFFIDR_EL1",     [3, 0, 12, 10, 5], "r",  NEVER, GICV5),
  row("ICC_PPI_ENABLER0_EL1",[3, 0, 12, 10, 6], "rw", NEVER, GICV5),
  row("ICC_PPI_ENABLER1_EL1",[3, 0, 12, 10, 7], "rw", NEVER, GICV5),
  row("ICC_DIR_EL1",         [3, 0, 12, 11, 1], "w",  NEVER, GICV3),
  row("ICC_RPR_EL1",         [3, 0, 12, 11, 3], "r",  NEVER, GICV3),
  row("ICC_SGI1R_EL1",       [3, 0, 12, 11, 5], "w",  NEVER, GICV3),
  row("ICC_ASGI1R_EL1",      [3, 0, 12, 11, 6], "w",  NEVER, GICV3),
  row("ICC_SGI0R_EL1",       [3, 0, 12, 11, 7], "w",  NEVER, GICV3),
  row("ICC_IAR1_EL1",        [3, 0, 12, 12, 0], "r",  NEVER, GICV3),
  row("ICC_EOIR1_EL1",       [3, 0, 12, 12, 1], "w",  NEVER, GICV3),
  row("ICC_HPPIR1_EL1",      [3, 0, 12, 12, 2], "r",  NEVER, GICV3),
  row("ICC_BPR1_EL1",        [3, 0, 12, 12, 3], "rw", NEVER, GICV3),
  row("ICC_CTLR_EL1",        [3, 0, 12, 12, 4], "rw", NEVER, GICV3),
  row("ICC_SRE_EL1",         [3, 0, 12, 12, 5], "rw", NEVER, GICV3),
  row("ICC_IGRPEN0_EL1",     [3, 0, 12, 12, 6], "rw", NEVER, { ...GICV3, guestWritable: 1n }),
  row("ICC_IGRPEN1_EL1",     [3, 0, 12, 12, 7], "rw", NEVER, { ...GICV3, guestWritable: 1n }),
];

// ---- Registers of EL2, and the names by which EL2 reaches those of EL1. DDI 0487 D24.2.
// 6.12 has most of them in its tables too, but no VM there can have EL2: no id of theirs is ever accepted.

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
const el2Regs = [
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
const el12Regs = [
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
const ichRegs = [
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

/** All of them, group by group. */
export const sysRegRows = [
  ...debugRegs,
  ...idRegs,
  ...el1Regs,
  ...specialRegs,
  ...pmuRegs,
  ...amuRegs,
  ...timerRegs,
  ...gicRegs,
  ...el2Regs,
  ...el12Regs,
  ...ichRegs,
];
