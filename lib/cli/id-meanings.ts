// What the values of ID register fields mean: the architecture's features, by the value from which they are there.
// DDI 0487 D24.2. A value above the last one given means at least that.

type Meanings = Readonly<Record<string, Readonly<Record<string, Readonly<Record<number, string>>>>>>;

const aarch64 = (level: string) => ({ 1: `${level} in AArch64 only`, 2: `${level} in AArch64 and AArch32` }) as const;

// biome-ignore format: table
export const idMeanings: Meanings = {
  ID_AA64PFR0_EL1: {
    EL0: aarch64("EL0"), EL1: aarch64("EL1"), EL2: { 0: "no EL2", ...aarch64("EL2") }, EL3: { 0: "no EL3", ...aarch64("EL3") },
    FP: { 0: "floating point", 1: "FEAT_FP16", 15: "no floating point" },
    AdvSIMD: { 0: "Advanced SIMD", 1: "FEAT_FP16 for SIMD", 15: "no Advanced SIMD" },
    GIC: { 0: "no GIC registers", 1: "GICv3, GICv4.0", 3: "GICv4.1" }, RAS: { 1: "FEAT_RAS", 2: "FEAT_RASv1p1", 3: "FEAT_RASv2" },
    SVE: { 1: "FEAT_SVE" }, SEL2: { 1: "FEAT_SEL2" }, MPAM: { 1: "FEAT_MPAM 1.x" }, AMU: { 1: "FEAT_AMUv1", 2: "FEAT_AMUv1p1" },
    DIT: { 1: "FEAT_DIT" }, RME: { 1: "FEAT_RME" }, CSV2: { 1: "FEAT_CSV2", 2: "FEAT_CSV2_2", 3: "FEAT_CSV2_3" },
    CSV3: { 1: "FEAT_CSV3" },
  },
  ID_AA64PFR1_EL1: {
    BT: { 1: "FEAT_BTI" }, SSBS: { 1: "FEAT_SSBS", 2: "FEAT_SSBS2" },
    MTE: { 1: "FEAT_MTE", 2: "FEAT_MTE2", 3: "FEAT_MTE3" }, SME: { 1: "FEAT_SME", 2: "FEAT_SME2" },
    NMI: { 1: "FEAT_NMI" }, GCS: { 1: "FEAT_GCS" }, THE: { 1: "FEAT_THE" },
  },
  ID_AA64ZFR0_EL1: {
    SVEver: { 0: "FEAT_SVE", 1: "FEAT_SVE2", 2: "FEAT_SVE2p1" }, AES: { 1: "FEAT_SVE_AES", 2: "FEAT_SVE_PMULL128" },
    BitPerm: { 1: "FEAT_SVE_BitPerm" }, BF16: { 1: "FEAT_BF16", 2: "FEAT_EBF16" }, B16B16: { 1: "FEAT_SVE_B16B16" },
    SHA3: { 1: "FEAT_SVE_SHA3" }, SM4: { 1: "FEAT_SVE_SM4" }, I8MM: { 1: "FEAT_I8MM" }, F32MM: { 1: "FEAT_F32MM" }, F64MM: { 1: "FEAT_F64MM" },
  },
  ID_AA64DFR0_EL1: {
    DebugVer: { 6: "Armv8.0 debug", 7: "with VHE", 8: "FEAT_Debugv8p2", 9: "FEAT_Debugv8p4", 10: "FEAT_Debugv8p8", 11: "FEAT_Debugv8p9" },
    PMUVer: { 0: "no PMU", 1: "FEAT_PMUv3", 4: "FEAT_PMUv3p1", 5: "FEAT_PMUv3p4", 6: "FEAT_PMUv3p5", 7: "FEAT_PMUv3p7", 8: "FEAT_PMUv3p8", 9: "FEAT_PMUv3p9", 15: "a PMU of another kind" },
    PMSVer: { 1: "FEAT_SPE", 2: "FEAT_SPEv1p1", 3: "FEAT_SPEv1p2", 4: "FEAT_SPEv1p3", 5: "FEAT_SPEv1p4" }, DoubleLock: { 0: "FEAT_DoubleLock", 15: "no double lock" },
    TraceVer: { 1: "trace registers" }, TraceFilt: { 1: "FEAT_TRF" },
  },
  ID_AA64ISAR0_EL1: {
    AES: { 1: "FEAT_AES", 2: "FEAT_PMULL" }, SHA1: { 1: "FEAT_SHA1" }, SHA2: { 1: "FEAT_SHA256", 2: "FEAT_SHA512" },
    CRC32: { 1: "FEAT_CRC32" }, Atomic: { 2: "FEAT_LSE", 3: "FEAT_LSE128" }, TME: { 1: "FEAT_TME" }, RDM: { 1: "FEAT_RDM" },
    SHA3: { 1: "FEAT_SHA3" }, SM3: { 1: "FEAT_SM3" }, SM4: { 1: "FEAT_SM4" }, DP: { 1: "FEAT_DotProd" }, FHM: { 1: "FEAT_FHM" },
    TS: { 1: "FEAT_FlagM", 2: "FEAT_FlagM2" }, TLB: { 1: "FEAT_TLBIOS", 2: "FEAT_TLBIRANGE" }, RNDR: { 1: "FEAT_RNG" },
  },
  ID_AA64ISAR1_EL1: {
    DPB: { 1: "FEAT_DPB", 2: "FEAT_DPB2" },
    APA: { 1: "FEAT_PAuth with QARMA5", 2: "FEAT_EPAC", 3: "FEAT_PAuth2", 4: "FEAT_FPAC", 5: "FEAT_FPACCOMBINE" },
    API: { 1: "FEAT_PAuth, implementation defined", 2: "FEAT_EPAC", 3: "FEAT_PAuth2", 4: "FEAT_FPAC", 5: "FEAT_FPACCOMBINE" },
    GPA: { 1: "generic authentication with QARMA5" }, GPI: { 1: "generic authentication, implementation defined" },
    JSCVT: { 1: "FEAT_JSCVT" }, FCMA: { 1: "FEAT_FCMA" }, LRCPC: { 1: "FEAT_LRCPC", 2: "FEAT_LRCPC2", 3: "FEAT_LRCPC3" },
    FRINTTS: { 1: "FEAT_FRINTTS" }, SB: { 1: "FEAT_SB" }, SPECRES: { 1: "FEAT_SPECRES", 2: "FEAT_SPECRES2" }, BF16: { 1: "FEAT_BF16", 2: "FEAT_EBF16" },
    DGH: { 1: "FEAT_DGH" }, I8MM: { 1: "FEAT_I8MM" }, XS: { 1: "FEAT_XS" }, LS64: { 1: "FEAT_LS64", 2: "FEAT_LS64_V", 3: "FEAT_LS64_ACCDATA" },
  },
  ID_AA64ISAR2_EL1: {
    WFxT: { 2: "FEAT_WFxT" }, RPRES: { 1: "FEAT_RPRES" }, GPA3: { 1: "generic authentication with QARMA3" },
    APA3: { 1: "FEAT_PAuth with QARMA3", 2: "FEAT_EPAC", 3: "FEAT_PAuth2", 4: "FEAT_FPAC", 5: "FEAT_FPACCOMBINE" },
    MOPS: { 1: "FEAT_MOPS" }, BC: { 1: "FEAT_HBC" }, PAC_frac: { 1: "FEAT_CONSTPACFIELD" }, CLRBHB: { 1: "FEAT_CLRBHB" },
    RPRFM: { 1: "FEAT_RPRFM" }, CSSC: { 1: "FEAT_CSSC" }, LUT: { 1: "FEAT_LUT" }, ATS1A: { 1: "FEAT_ATS1A" },
  },
  ID_AA64ISAR3_EL1: { CPA: { 1: "FEAT_CPA", 2: "FEAT_CPA2" }, FAMINMAX: { 1: "FEAT_FAMINMAX" } },
  ID_AA64MMFR0_EL1: {
    PARange: { 0: "32-bit physical addresses", 1: "36-bit physical addresses", 2: "40-bit physical addresses", 3: "42-bit physical addresses", 4: "44-bit physical addresses", 5: "48-bit physical addresses", 6: "52-bit physical addresses", 7: "56-bit physical addresses" },
    ASIDBits: { 0: "8-bit ASIDs", 2: "16-bit ASIDs" }, BigEnd: { 1: "big-endian data above EL0" }, BigEndEL0: { 1: "big-endian data at EL0" },
    SNSMem: { 1: "secure and non-secure memory" },
    TGran4: { 0: "4 KiB pages", 1: "4 KiB pages, 52-bit addresses", 15: "no 4 KiB pages" },
    TGran16: { 0: "no 16 KiB pages", 1: "16 KiB pages", 2: "16 KiB pages, 52-bit addresses" },
    TGran64: { 0: "64 KiB pages", 15: "no 64 KiB pages" },
    ExS: { 1: "FEAT_ExS" }, FGT: { 1: "FEAT_FGT", 2: "FEAT_FGT2" }, ECV: { 1: "FEAT_ECV", 2: "FEAT_ECV with CNTPOFF_EL2" },
  },
  ID_AA64MMFR1_EL1: {
    HAFDBS: { 1: "hardware access flag", 2: "hardware access flag and dirty state (FEAT_HAFDBS)" }, VMIDBits: { 0: "8-bit VMIDs", 2: "16-bit VMIDs" },
    VH: { 1: "FEAT_VHE" }, HPDS: { 1: "FEAT_HPDS", 2: "FEAT_HPDS2" }, LO: { 1: "FEAT_LOR" }, PAN: { 1: "FEAT_PAN", 2: "FEAT_PAN2", 3: "FEAT_PAN3" },
    XNX: { 1: "FEAT_XNX" }, TWED: { 1: "FEAT_TWED" }, ETS: { 1: "no ETS2", 2: "FEAT_ETS2" }, HCX: { 1: "FEAT_HCX" }, AFP: { 1: "FEAT_AFP" },
    nTLBPA: { 1: "FEAT_nTLBPA" }, TIDCP1: { 1: "FEAT_TIDCP1" }, CMOW: { 1: "FEAT_CMOW" }, ECBHB: { 1: "FEAT_ECBHB" },
  },
  ID_AA64MMFR2_EL1: {
    CnP: { 1: "FEAT_TTCNP" }, UAO: { 1: "FEAT_UAO" }, LSM: { 1: "FEAT_LSMAOC" }, IESB: { 1: "FEAT_IESB" },
    VARange: { 0: "48-bit virtual addresses", 1: "FEAT_LVA, 52-bit virtual addresses" }, CCIDX: { 1: "FEAT_CCIDX" }, NV: { 1: "FEAT_NV", 2: "FEAT_NV2" },
    ST: { 1: "FEAT_TTST" }, AT: { 1: "FEAT_LSE2" }, IDS: { 1: "FEAT_IDST" }, FWB: { 1: "FEAT_S2FWB" }, TTL: { 1: "FEAT_TTL" },
    BBM: { 0: "break before make, level 0", 1: "FEAT_BBM, level 1", 2: "FEAT_BBM, level 2" }, EVT: { 1: "traps of HCR_EL2.TTLBOS and others", 2: "FEAT_EVT" }, E0PD: { 1: "FEAT_E0PD" },
  },
  ID_AA64MMFR3_EL1: { TCRX: { 1: "FEAT_TCR2" }, SCTLRX: { 1: "FEAT_SCTLR2" }, S1PIE: { 1: "FEAT_S1PIE" }, S2PIE: { 1: "FEAT_S2PIE" }, S1POE: { 1: "FEAT_S1POE" } },
};

/** What a field's value means; undefined where nothing is known, or nothing is there. */
export function idMeaning(register: string, field: string, value: number): string | undefined {
  const known = idMeanings[register]?.[field];
  if (known === undefined) return undefined;
  if (value in known) return known[value];
  // 15 is -1 where it is used at all: no value is above it.
  const below = Object.keys(known)
    .map(Number)
    .filter((v) => v < value && v !== 15);
  const last = below.at(-1);
  return last === undefined || last === 0 ? undefined : `at least ${known[last]}`;
}
