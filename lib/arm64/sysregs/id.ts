// Identification registers. DDI 0487 D24.2; writability: Documentation/virt/kvm/api.rst 4.139.

import type { Said } from "../sysreg-row.js";
import { EVERY, NEVER, row } from "../sysreg-row.js";

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
export const idRegs = [
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
