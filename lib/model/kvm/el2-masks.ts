// What a VM keeps of the registers of EL2, and of SCTLR_EL1 beside them, once one of its vCPUs has been prepared for running:
// KVM then knows what the VM's ID registers promise, and bits of anything else are RES0 or RES1 whenever a register is read.
// DDI 0487 D24.2 has the fields. Held against a host with nested virtualisation on QEMU's max CPU, with each field of the ID
// registers lowered in its turn; bits that no ID register of that host promises are RES0 here.

import { fieldsOf } from "../../arm64/fields.js";
import type { IdFieldName } from "../../arm64/id-fields.js";
import type { Condition } from "../../arm64/sysreg-row.js";
import type { SysRegName } from "../../arm64/sysregs.js";
import type { VcpuState } from "../vcpu-state.js";

/** A feature of the vCPU, or what a field of the VM's ID registers is at least; 0: that it is 0. */
type Need = Condition | "E2H0" | "GIC" | readonly [field: IdFieldName, least: number];
type Bits = readonly [bits: bigint, ...needs: Need[]];

interface Mask {
  /** Can be written. */
  readonly kept: readonly Bits[];
  /** Read as 1. */
  readonly res1?: readonly Bits[];
}

const doubleLock: Need = ["ID_AA64DFR0_EL1.DoubleLock", 0];
const pmu = (least: number): Need => ["ID_AA64DFR0_EL1.PMUVer", least];
const tlb = (least: number): Need => ["ID_AA64ISAR0_EL1.TLB", least];
const ras = (least: number): Need => ["ID_AA64PFR0_EL1.RAS", least];
const pan = (least: number): Need => ["ID_AA64MMFR1_EL1.PAN", least];
const bti: Need = ["ID_AA64PFR1_EL1.BT", 1];
const bigEnd: Need = ["ID_AA64MMFR0_EL1.BigEnd", 1];
const mops: Need = ["ID_AA64ISAR2_EL1.MOPS", 1];
const hcx: Need = ["ID_AA64MMFR1_EL1.HCX", 1];

/** What SCTLR_EL1 and SCTLR_EL2 have at the same places, whatever HCR_EL2.E2H is. */
// biome-ignore format: table
const sctlr: readonly Bits[] = [
  [0xc800_2000n, "PTRAUTH"], // EnIA, EnIB, EnDA, EnDB
  [0x0040n, ["ID_AA64MMFR2_EL1.AT", 1]], // nAA
  [0x20_0000n, ["ID_AA64MMFR2_EL1.IESB", 1]], // IESB
  [1n << 44n, ["ID_AA64PFR1_EL1.SSBS", 1]], // DSSBS
];
/** What is EL0's: in SCTLR_EL2 only where HCR_EL2.E2H is 1. */
// biome-ignore format: table
const sctlrOfEl0: readonly Bits[] = [
  [1n << 33n, mops], // MSCEn
  [1n << 57n, pan(3)], // EPAN
  [1n << 63n, ["ID_AA64MMFR1_EL1.TIDCP1", 1]], // TIDCP
];
/** Where EL0 is below: EIS, nTLSMD, LSMAOE, TSCXT, EOS, and SPAN without FEAT_PAN. */
const sctlrRes1: readonly Bits[] = [[0x3050_0980n], [0x80_0000n, pan(0)]];

const onlyAt = (need: Need, rows: readonly Bits[]): readonly Bits[] =>
  rows.map(([bits, ...needs]): Bits => [bits, ...needs, need]);

// biome-ignore format: table
const masks: { readonly [R in SysRegName]?: Mask } = {
  SCTLR_EL1: {
    kept: [[0x34dd_db9fn], ...sctlr, ...sctlrOfEl0, [0x18_0000_0000n, bti], [0x300_0000n, bigEnd]],
    res1: sctlrRes1,
  },
  SCTLR_EL2: {
    kept: [
      ...sctlr, [0x10_0000_0000n, bti], [0x200_0000n, bigEnd],
      ...onlyAt("noE2H0", [[0x34dd_d99fn], ...sctlrOfEl0, [0x8_0000_0000n, bti], [0x100_0000n, bigEnd]]),
      ...onlyAt("E2H0", [[0x30cd_182fn]]),
    ],
    res1: [...onlyAt("noE2H0", sctlrRes1), ...onlyAt("E2H0", [[0x30c5_0820n]])],
  },
  VMPIDR_EL2: { kept: [[0xff_80ff_ffffn]], res1: [[0x8000_0000n]] },
  HCR_EL2: {
    kept: [
      [0xd6_4003_dfff_7fffn],
      [0x2000_0000n, ["ID_AA64PFR0_EL1.EL3", 0]], // HCD
      [1n << 34n, "noE2H0"], // E2H
      [1n << 35n, "LOR"], // TLOR
      [0x30_0000_0000n, ras(1)], [1n << 47n, ras(2)], // TERR, TEA; FIEN
      [0x300_0000_0000n, "PTRAUTH"], // APK, API
      [0x3c00_0000_0000n, "NV_frac"], // NV, NV1, AT, NV2
    ],
    res1: [[0x8000_0000n], [1n << 34n, "noE2H0"]],
  },
  MDCR_EL2: {
    kept: [[0xb00n], [0x400n, doubleLock], [0x800_0000n, "FGT"], [0xffn, pmu(1)], [0x2_0000n, pmu(4)], [0x480_0000n, pmu(6)]],
  },
  HFGRTR_EL2: {
    kept: [
      [0x7f_3f07_fe0fn], [0x1f0n, "PTRAUTH"], [0xf8_0000n, "LOR"], [1n << 39n, "GIC"],
      [0x2_3f00_0000_0000n, ras(1)], [0x1_c000_0000_0000n, ras(2)],
    ],
  },
  HFGWTR_EL2: {
    kept: [
      [0x7f_2903_380bn], [0x1f0n, "PTRAUTH"], [0xd8_0000n, "LOR"], [1n << 39n, "GIC"],
      [0x2_3a00_0000_0000n, ras(1)], [0x1_8000_0000_0000n, ras(2)],
    ],
  },
  HFGITR_EL2: {
    kept: onlyAt("FGT", [
      [0x78_fc03_f000_fdffn], [0x200n, ["ID_AA64ISAR1_EL1.DPB", 2]], [0x3_0000n, pan(2)],
      [0xfc_0000n, tlb(1)], [0x3fc_0f00_0000n, tlb(2)],
    ]),
  },
  HDFGRTR_EL2: { kept: [[0x6ffn], [0x800n, doubleLock], [0x600_0000_004f_f000n, pmu(1)]] },
  HDFGWTR_EL2: { kept: [[0x5bfn], [0x800n, doubleLock], [0x200_0000_003f_f000n, pmu(1)]] },
  HAFGRTR_EL2: { kept: [] },
  HCRX_EL2: {
    kept: [[0xffff_ffff_fe00_3000n], [0x18n, hcx, ["ID_AA64ISAR1_EL1.XS", 1]], [0xc00n, hcx, mops]],
  },
  ZCR_EL2: { kept: [[0xfn]] },
  VTTBR_EL2: { kept: [[~1n], [1n, ["ID_AA64MMFR2_EL1.CnP", 1]]] },
  VTCR_EL2: {
    kept: [[0x800f_ffffn], [0x20_0000n, ["ID_AA64MMFR1_EL1.HAFDBS", 1]], [0x1e00_0000n, ["ID_AA64MMFR1_EL1.HPDS", 2]]],
    res1: [[0x8000_0000n]],
  },
  VNCR_EL2: { kept: [[~0xfffn]] },
  CNTHCTL_EL2: { kept: [[0x2_00ffn], [0xf00n, "noE2H0"], [0x1_e000n, "ECV"]] },
};

/** Before the first run changes ID registers: the kernel makes its masks then. */
export function beginMasks(vcpu: VcpuState): void {
  vcpu.vm.put("gicAtMasks", fieldOf(vcpu, "ID_AA64PFR0_EL1.GIC"));
}

/** Whether reads of a register are masked in VMs with EL2. */
export const isMaskedAtEl2 = (name: SysRegName): boolean => Object.hasOwn(masks, name);

/** The value as the kernel gives it to a reader, of a register that is masked. */
export function maskedAtEl2(vcpu: VcpuState, name: SysRegName, value: bigint): bigint {
  const mask = masks[name];
  if (mask === undefined || !vcpu.has("EL2") || vcpu.vm.peek("ran") === 0) return value;
  const bits = (rows: readonly Bits[] = []): bigint =>
    rows.reduce((sum, [row, ...needs]) => (needs.every((need) => isMet(vcpu, need)) ? sum | row : sum), 0n);
  return BigInt.asUintN(64, (value & bits(mask.kept)) | bits(mask.res1));
}

function isMet(vcpu: VcpuState, need: Need): boolean {
  if (need === "E2H0") return !vcpu.has("noE2H0");
  if (need === "GIC") return vcpu.vm.get("gicAtMasks") !== 0;
  if (typeof need === "string") return vcpu.has(need);
  const [field, least] = need;
  const value = fieldOf(vcpu, field);
  return least === 0 ? value === 0 : value >= least;
}

function fieldOf(vcpu: VcpuState, field: IdFieldName): number {
  const [register, name] = field.split(".") as [SysRegName, string];
  const found = fieldsOf(register).find((known) => known.name === name)!;
  return Number((vcpu.idRegister(register) >> BigInt(found.lsb)) & 15n);
}
