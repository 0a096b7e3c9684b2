// Fields of the ID registers and which of their values a VMM may choose. DDI 0487 D24.2; Documentation/virt/kvm/api.rst
// 4.68 and 4.139, Documentation/arch/arm64/cpu-feature-registers.rst.
//
//   DIT[51:48]        a lower value promises less: anything up to the limit is safe
//   TGRAN4[31:28]s    the same, signed: 0b1111 is -1
//   SpecSEI[27:24]^   a higher value promises less
//   F8CVT[31:31]=0    either the limit or this value
//   LS64[63:60]@7.2   kernels before that do not know the field: its bits must equal the limit

import type { Kernel } from "../../arm64/sysreg-row.js";
import type { SysRegName } from "../../arm64/sysregs.js";

const anonymous = "_7[31:28] _6[27:24] _5[23:20] _4[19:16] _3[15:12] _2[11:8] _1[7:4] _0[3:0]";

// biome-ignore format: table
const table: Partial<Record<SysRegName, string>> = {
  ID_PFR0_EL1:      "DIT[27:24] CSV2[19:16] State3[15:12] State2[11:8] State1[7:4] State0[3:0]",
  ID_PFR1_EL1:      "GIC[31:28] Virt_frac[27:24] Sec_frac[23:20] GenTimer[19:16] Virtualization[15:12] MProgMod[11:8] Security[7:4] ProgMod[3:0]",
  // The cpufeature table makes PerfMon exact; KVM takes any lower value.
  ID_DFR0_EL1:      "PerfMon[27:24] MProfDbg[23:20] MMapTrc[19:16] CopTrc[15:12] MMapDbg[11:8] CopSDbg[7:4] CopDbg[3:0]",
  ID_MMFR0_EL1:     "InnerShr[31:28]s FCSE[27:24] AuxReg[23:20] TCM[19:16] ShareLvl[15:12] OuterShr[11:8]s PMSA[7:4] VMSA[3:0]",
  ID_MMFR1_EL1:     anonymous,
  ID_MMFR2_EL1:     anonymous,
  ID_MMFR3_EL1:     anonymous,
  ID_ISAR0_EL1:     "Divide[27:24] Debug[23:20] Coproc[19:16] CmpBranch[15:12] BitField[11:8] BitCount[7:4] Swap[3:0]",
  ID_ISAR1_EL1:     anonymous,
  ID_ISAR2_EL1:     anonymous,
  ID_ISAR3_EL1:     anonymous,
  ID_ISAR4_EL1:     "SWP_frac[31:28] PSR_M[27:24] SynchPrim_frac[23:20] Barrier[19:16] SMC[15:12] Writeback[11:8] WithShifts[7:4] Unpriv[3:0]",
  ID_ISAR5_EL1:     "RDM[27:24] CRC32[19:16] SHA2[15:12] SHA1[11:8] AES[7:4] SEVL[3:0]",
  ID_MMFR4_EL1:     "EVT[31:28] CCIDX[27:24] LSM[23:20] HPDS[19:16] CnP[15:12] XNX[11:8] AC2[7:4] SpecSEI[3:0]^",
  ID_ISAR6_EL1:     "I8MM[27:24] BF16[23:20] SPECRES[19:16] SB[15:12] FHM[11:8] DP[7:4] JSCVT[3:0]",
  MVFR0_EL1:        "FPRound[31:28] FPShVec[27:24] FPSqrt[23:20] FPDivide[19:16] FPTrap[15:12] FPDP[11:8] FPSP[7:4] SIMDReg[3:0]",
  MVFR1_EL1:        "SIMDFMAC[31:28] FPHP[27:24] SIMDHP[23:20] SIMDSP[19:16] SIMDInt[15:12] SIMDLS[11:8] FPDNaN[7:4] FPFtZ[3:0]",
  MVFR2_EL1:        "FPMisc[7:4] SIMDMisc[3:0]",
  ID_PFR2_EL1:      "SSBS[7:4] CSV3[3:0]",
  ID_MMFR5_EL1:     "ETS[3:0]",
  ID_AA64PFR0_EL1:  "CSV3[63:60] CSV2[59:56] DIT[51:48] AMU[47:44] MPAM[43:40] SEL2[39:36] SVE[35:32] RAS[31:28] GIC[27:24] AdvSIMD[23:20]s FP[19:16]s EL3[15:12] EL2[11:8] EL1[7:4] EL0[3:0]",
  ID_AA64PFR1_EL1:  "DF2[59:56]@7.2 GCS[47:44]@7.2 MTE_frac[43:40]s@7.2 SME[27:24] MPAM_frac[19:16] RAS_frac[15:12] MTE[11:8] SSBS[7:4] BT[3:0]",
  ID_AA64PFR2_EL1:  "FPMR[35:32] GCIE[15:12]@7.2 MTEFAR[11:8]@7.2 MTESTOREONLY[7:4]@7.2",
  ID_AA64ZFR0_EL1:  "F64MM[59:56] F32MM[55:52] F16MM[51:48]@7.2 I8MM[47:44] SM4[43:40] SHA3[35:32] B16B16[27:24] BF16[23:20] BitPerm[19:16] EltPerm[15:12]@7.2 AES[7:4] SVEver[3:0]",
  ID_AA64FPFR0_EL1: "F8CVT[31:31]=0 F8FMA[30:30]=0 F8DP4[29:29]=0 F8DP2[28:28]=0 F8MM8[27:27]=0@7.2 F8MM4[26:26]=0@7.2 F16MM2[15:15]=0@7.2 F8E4M3[1:1]=0 F8E5M2[0:0]=0",
  // PMUVer and DebugVer: as PerfMon.
  ID_AA64DFR0_EL1:  "DoubleLock[39:36]s PMSVer[35:32] CTX_CMPs[31:28] WRPs[23:20] BRPs[15:12] PMUVer[11:8] DebugVer[3:0]",
  ID_AA64ISAR0_EL1: "RNDR[63:60] TLB[59:56] TS[55:52] FHM[51:48] DP[47:44] SM4[43:40] SM3[39:36] SHA3[35:32] RDM[31:28] ATOMIC[23:20] CRC32[19:16] SHA2[15:12] SHA1[11:8] AES[7:4]",
  ID_AA64ISAR1_EL1: "LS64[63:60]@7.2 XS[59:56] I8MM[55:52] DGH[51:48] BF16[47:44] SPECRES[43:40] SB[39:36] FRINTTS[35:32] GPI[31:28] GPA[27:24] LRCPC[23:20] FCMA[19:16] JSCVT[15:12] API[11:8]=0 APA[7:4]=0 DPB[3:0]",
  ID_AA64ISAR2_EL1: "ATS1A[63:60]@7.2 LUT[59:56] CSSC[55:52] RPRFM[51:48] CLRBHB[31:28] BC[23:20] MOPS[19:16] APA3[15:12]=0 GPA3[11:8] RPRES[7:4] WFxT[3:0]",
  ID_AA64ISAR3_EL1: "FPRCVT[31:28]@7.2 LSUI[27:24]@7.2 LSFE[19:16]@7.2 FAMINMAX[7:4]",
  ID_AA64MMFR0_EL1: "ECV[63:60] FGT[59:56] EXS[47:44] TGRAN4_2[43:40]=1 TGRAN64_2[39:36]=1 TGRAN16_2[35:32]=1 TGRAN4[31:28]s TGRAN64[27:24]s TGRAN16[23:20] BIGENDEL0[19:16] SNSMEM[15:12] BIGEND[11:8] ASIDBITS[7:4] PARANGE[3:0]",
  ID_AA64MMFR1_EL1: "ECBHB[63:60] TIDCP1[55:52] AFP[47:44] HCX[43:40] ETS[39:36] TWED[35:32] XNX[31:28] SpecSEI[27:24]^ PAN[23:20] LO[19:16] HPDS[15:12] VH[11:8] VMIDBits[7:4] HAFDBS[3:0]",
  ID_AA64MMFR2_EL1: "E0PD[63:60] EVT[59:56] BBM[55:52] TTL[51:48] FWB[43:40] IDS[39:36] AT[35:32] ST[31:28] NV[27:24] CCIDX[23:20] VARange[19:16] IESB[15:12] LSM[11:8] UAO[7:4] CnP[3:0]",
  ID_AA64MMFR3_EL1: "S1POE[19:16] S1PIE[11:8] SCTLRX[7:4]@7.2 TCRX[3:0]",
  ID_AA64MMFR4_EL1: "E2H0[27:24]s NV_frac[23:20]@7.2",
  CTR_EL0:          "RES1[31:31]=1 DIC[29:29] IDC[28:28] CWG[27:24] ERG[23:20] DminLine[19:16] L1Ip[15:14]=2 IminLine[3:0]",
};

export interface IdField {
  readonly name: string;
  readonly lsb: bigint;
  readonly width: number;
  readonly mask: bigint;
  readonly rule: "lower" | "higher" | "exact";
  readonly signed: boolean;
  /** For "exact". */
  readonly safe: bigint;
  /** Since 7.2 only. */
  readonly recent: boolean;
}

function parse(text: string): IdField {
  const m = /^(\w+)\[(\d+):(\d+)\](s?)(\^?)(?:=(\d+))?(@7\.2)?$/.exec(text);
  if (m === null) throw new Error(`not a field: ${text}`);
  const width = Number(m[2]) - Number(m[3]) + 1;
  return {
    name: m[1]!,
    lsb: BigInt(m[3]!),
    width,
    mask: ((1n << BigInt(width)) - 1n) << BigInt(m[3]!),
    rule: m[6] !== undefined ? "exact" : m[5] === "^" ? "higher" : "lower",
    signed: m[4] === "s",
    safe: BigInt(m[6] ?? 0),
    recent: m[7] !== undefined,
  };
}

const parsed = new Map<string, readonly IdField[]>();

/** The named fields of an ID register. */
export function idFields(register: SysRegName): readonly IdField[] {
  let fields = parsed.get(register);
  if (fields === undefined) {
    fields = table[register]?.split(" ").map(parse) ?? [];
    parsed.set(register, fields);
  }
  return fields;
}

/** The registers of the table. */
export const idFieldRegisters = Object.keys(table) as SysRegName[];

function fieldOf(register: SysRegName, name: string): IdField {
  const field = idFields(register).find((f) => f.name === name);
  if (field === undefined) throw new Error(`${register} has no field ${name}`);
  return field;
}

/** A register's value from the values of its fields; those that are left out are 0. */
export function idValue(register: SysRegName, values: Readonly<Record<string, number>>): bigint {
  let value = 0n;
  for (const [name, v] of Object.entries(values)) value |= BigInt(v) << fieldOf(register, name).lsb;
  return value;
}

/** The unsigned value of a field. */
export function idField(register: SysRegName, name: string, value: bigint): number {
  const { mask, lsb } = fieldOf(register, name);
  return Number((value & mask) >> lsb);
}

/** The register's value with one field replaced. */
export function withIdField(register: SysRegName, name: string, value: bigint, field: number): bigint {
  const { mask, lsb } = fieldOf(register, name);
  return (value & ~mask) | (BigInt(field) << lsb);
}

const read = (field: IdField, value: bigint): bigint => {
  const bits = (value & field.mask) >> field.lsb;
  return field.signed ? BigInt.asIntN(field.width, bits) : bits;
};

function isSafe(field: IdField, value: bigint, limit: bigint): boolean {
  const v = read(field, value);
  const most = read(field, limit);
  if (v === most) return true;
  if (field.rule === "lower") return v < most;
  return field.rule === "higher" ? v > most : v === field.safe;
}

/**
 * Whether KVM takes `value` for an ID register whose limit is `limit`: each field that lies wholly inside the writable
 * mask must be safe, every other bit must equal the limit.
 */
export function accepts(register: SysRegName, kernel: Kernel, writable: bigint, limit: bigint, value: bigint): boolean {
  let judged = 0n;
  for (const field of idFields(register)) {
    if ((field.mask & writable) !== field.mask || (field.recent && kernel !== "7.2")) continue;
    judged |= field.mask;
    if (!isSafe(field, value, limit)) return false;
  }
  return (value & ~judged) === (limit & ~judged);
}
