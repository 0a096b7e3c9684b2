// Fields of the ID registers. Names and places: DDI 0487 D24.2. Rules: what Linux keeps safe for its guests.

import type { Layout } from "./spec.js";
import { exact, exactBit, higher, higherOrZero, lower, signed, since72, unruled } from "./spec.js";

// biome-ignore format: table
export const idLayouts = {
  ID_PFR0_EL1: {
    RAS: unruled(28), DIT: lower(24), AMU: unruled(20), CSV2: lower(16), State3: lower(12), State2: lower(8),
    State1: lower(4), State0: lower(0),
  },
  ID_PFR1_EL1: {
    GIC: lower(28), Virt_frac: lower(24), Sec_frac: lower(20), GenTimer: lower(16), Virtualization: lower(12),
    MProgMod: lower(8), Security: lower(4), ProgMod: lower(0),
  },
  ID_DFR0_EL1: {
    TraceFilt: unruled(28), PerfMon: exact(24), MProfDbg: lower(20), MMapTrc: lower(16), CopTrc: lower(12),
    MMapDbg: lower(8), CopSDbg: lower(4), CopDbg: lower(0),
  },
  ID_MMFR0_EL1: {
    InnerShr: signed(28, 15), FCSE: lower(24), AuxReg: lower(20), TCM: lower(16), ShareLvl: lower(12),
    OuterShr: signed(8, 15), PMSA: lower(4), VMSA: lower(0),
  },
  ID_MMFR1_EL1: {
    BPred: lower(28), L1TstCln: lower(24), L1Uni: lower(20), L1Hvd: lower(16), L1UniSW: lower(12),
    L1HvdSW: lower(8), L1UniVA: lower(4), L1HvdVA: lower(0),
  },
  ID_MMFR2_EL1: {
    HWAccFlg: lower(28), WFIStall: lower(24), MemBarr: lower(20), UniTLB: lower(16), HvdTLB: lower(12),
    L1HvdRng: lower(8), L1HvdBG: lower(4), L1HvdFG: lower(0),
  },
  ID_MMFR3_EL1: {
    Supersec: lower(28), CMemSz: lower(24), CohWalk: lower(20), PAN: lower(16), MaintBcst: lower(12),
    BPMaint: lower(8), CMaintSW: lower(4), CMaintVA: lower(0),
  },
  ID_ISAR0_EL1: {
    Divide: lower(24), Debug: lower(20), Coproc: lower(16), CmpBranch: lower(12), BitField: lower(8),
    BitCount: lower(4), Swap: lower(0),
  },
  ID_ISAR1_EL1: {
    Jazelle: lower(28), Interwork: lower(24), Immediate: lower(20), IfThen: lower(16), Extend: lower(12),
    Except_AR: lower(8), Except: lower(4), Endian: lower(0),
  },
  ID_ISAR2_EL1: {
    Reversal: lower(28), PSR_AR: lower(24), MultU: lower(20), MultS: lower(16), Mult: lower(12),
    MultiAccessInt: lower(8), MemHint: lower(4), LoadStore: lower(0),
  },
  ID_ISAR3_EL1: {
    T32EE: lower(28), TrueNOP: lower(24), T32Copy: lower(20), TabBranch: lower(16), SynchPrim: lower(12),
    SVC: lower(8), SIMD: lower(4), Saturate: lower(0),
  },
  ID_ISAR4_EL1: {
    SWP_frac: lower(28), PSR_M: lower(24), SynchPrim_frac: lower(20), Barrier: lower(16), SMC: lower(12),
    Writeback: lower(8), WithShifts: lower(4), Unpriv: lower(0),
  },
  ID_ISAR5_EL1: {
    VCMA: unruled(28), RDM: lower(24), CRC32: lower(16), SHA2: lower(12), SHA1: lower(8), AES: lower(4),
    SEVL: lower(0),
  },
  ID_MMFR4_EL1: {
    EVT: lower(28), CCIDX: lower(24), LSM: lower(20), HPDS: lower(16), CnP: lower(12), XNX: lower(8),
    AC2: lower(4), SpecSEI: higher(0),
  },
  ID_ISAR6_EL1: {
    CLRBHB: unruled(28), I8MM: lower(24), BF16: lower(20), SPECRES: lower(16), SB: lower(12), FHM: lower(8),
    DP: lower(4), JSCVT: lower(0),
  },
  MVFR0_EL1: {
    FPRound: lower(28), FPShVec: lower(24), FPSqrt: lower(20), FPDivide: lower(16), FPTrap: lower(12),
    FPDP: lower(8), FPSP: lower(4), SIMDReg: lower(0),
  },
  MVFR1_EL1: {
    SIMDFMAC: lower(28), FPHP: lower(24), SIMDHP: lower(20), SIMDSP: lower(16), SIMDInt: lower(12),
    SIMDLS: lower(8), FPDNaN: lower(4), FPFtZ: lower(0),
  },
  MVFR2_EL1: {
    FPMisc: lower(4), SIMDMisc: lower(0),
  },
  ID_PFR2_EL1: {
    RAS_frac: unruled(8), SSBS: lower(4), CSV3: lower(0),
  },
  ID_DFR1_EL1: {
    HPMN0: unruled(4), MTPMU: signed(0),
  },
  ID_MMFR5_EL1: {
    nTLBPA: unruled(4), ETS: lower(0),
  },
  ID_AA64PFR0_EL1: {
    CSV3: lower(60), CSV2: lower(56), RME: unruled(52), DIT: lower(48), AMU: lower(44), MPAM: lower(40),
    SEL2: lower(36), SVE: lower(32), RAS: lower(28), GIC: lower(24), AdvSIMD: signed(20, 15), FP: signed(16, 15),
    EL3: lower(12), EL2: lower(8), EL1: lower(4, 1), EL0: lower(0, 1),
  },
  ID_AA64PFR1_EL1: {
    PFAR: unruled(60), DF2: since72(lower(56)), MTEX: unruled(52), THE: unruled(48), GCS: since72(lower(44)),
    MTE_frac: since72(signed(40)), NMI: unruled(36), CSV2_frac: unruled(32), RNDR_trap: unruled(28),
    SME: lower(24), MPAM_frac: lower(16), RAS_frac: lower(12), MTE: lower(8), SSBS: lower(4), BT: lower(0),
  },
  ID_AA64PFR2_EL1: {
    FPMR: lower(32), UINJ: unruled(16), GCIE: since72(lower(12)), MTEFAR: since72(lower(8)),
    MTESTOREONLY: since72(lower(4)), MTEPERM: unruled(0),
  },
  ID_AA64ZFR0_EL1: {
    F64MM: lower(56), F32MM: lower(52), F16MM: since72(lower(48)), I8MM: lower(44), SM4: lower(40),
    SHA3: lower(32), B16B16: lower(24), BF16: lower(20), BitPerm: lower(16), EltPerm: since72(lower(12)),
    AES: lower(4), SVEver: lower(0),
  },
  ID_AA64SMFR0_EL1: {
    FA64: exactBit(63), LUT6: since72(exactBit(61)), LUTv2: exactBit(60), SMEver: exact(56), I16I64: exact(52),
    F64F64: exactBit(48), I16I32: exact(44), B16B16: exactBit(43), F16F16: exactBit(42), F8F16: exactBit(41),
    F8F32: exactBit(40), I8I32: exact(36), F16F32: exactBit(35), B16F32: exactBit(34), BI32I32: exactBit(33),
    F32F32: exactBit(32), SF8FMA: exactBit(30), SF8DP4: exactBit(29), SF8DP2: exactBit(28),
    SBitPerm: since72(exactBit(25)), AES: since72(exactBit(24)), SFEXPA: since72(exactBit(23)),
    STMOP: since72(exactBit(16)), SMOP4: since72(exactBit(0)),
  },
  ID_AA64FPFR0_EL1: {
    F8CVT: exactBit(31), F8FMA: exactBit(30), F8DP4: exactBit(29), F8DP2: exactBit(28),
    F8MM8: since72(exactBit(27)), F8MM4: since72(exactBit(26)), F16MM2: since72(exactBit(15)), F8E4M3: exactBit(1),
    F8E5M2: exactBit(0),
  },
  ID_AA64DFR0_EL1: {
    HPMN0: unruled(60), ExtTrcBuff: unruled(56), BRBE: unruled(52), MTPMU: unruled(48), TraceBuffer: unruled(44),
    TraceFilt: unruled(40), DoubleLock: signed(36), PMSVer: lower(32), CTX_CMPs: lower(28), SEBEP: unruled(24),
    WRPs: lower(20), PMSS: unruled(16), BRPs: lower(12), PMUVer: exact(8), TraceVer: unruled(4),
    DebugVer: exact(0, 6),
  },
  ID_AA64ISAR0_EL1: {
    RNDR: lower(60), TLB: lower(56), TS: lower(52), FHM: lower(48), DP: lower(44), SM4: lower(40), SM3: lower(36),
    SHA3: lower(32), RDM: lower(28), TME: unruled(24), Atomic: lower(20), CRC32: lower(16), SHA2: lower(12),
    SHA1: lower(8), AES: lower(4),
  },
  ID_AA64ISAR1_EL1: {
    LS64: since72(lower(60)), XS: lower(56), I8MM: lower(52), DGH: lower(48), BF16: lower(44), SPECRES: lower(40),
    SB: lower(36), FRINTTS: lower(32), GPI: lower(28), GPA: lower(24), LRCPC: lower(20), FCMA: lower(16),
    JSCVT: lower(12), API: exact(8), APA: exact(4), DPB: lower(0),
  },
  ID_AA64ISAR2_EL1: {
    ATS1A: since72(lower(60)), LUT: lower(56), CSSC: lower(52), RPRFM: lower(48), PCDPHINT: unruled(44),
    PRFMSLC: unruled(40), SYSINSTR_128: unruled(36), SYSREG_128: unruled(32), CLRBHB: lower(28),
    PAC_frac: unruled(24), BC: lower(20), MOPS: lower(16), APA3: exact(12), GPA3: lower(8), RPRES: lower(4),
    WFxT: lower(0),
  },
  ID_AA64ISAR3_EL1: {
    FPRCVT: since72(lower(28)), LSUI: since72(lower(24)), OCCMO: unruled(20), LSFE: since72(lower(16)),
    PACM: unruled(12), TLBIW: unruled(8), FAMINMAX: lower(4), CPA: unruled(0),
  },
  ID_AA64MMFR0_EL1: {
    ECV: lower(60), FGT: lower(56), ExS: lower(44), TGran4_2: exact(40, 1), TGran64_2: exact(36, 1),
    TGran16_2: exact(32, 1), TGran4: signed(28, 15), TGran64: signed(24, 15), TGran16: lower(20),
    BigEndEL0: lower(16), SNSMem: lower(12), BigEnd: lower(8), ASIDBits: lower(4), PARange: lower(0),
  },
  ID_AA64MMFR1_EL1: {
    ECBHB: lower(60), CMOW: unruled(56), TIDCP1: lower(52), nTLBPA: unruled(48), AFP: lower(44), HCX: lower(40),
    ETS: lower(36), TWED: lower(32), XNX: lower(28), SpecSEI: higher(24), PAN: lower(20), LO: lower(16),
    HPDS: lower(12), VH: lower(8), VMIDBits: lower(4), HAFDBS: lower(0),
  },
  ID_AA64MMFR2_EL1: {
    E0PD: lower(60), EVT: lower(56), BBM: lower(52), TTL: lower(48), FWB: lower(40), IDS: lower(36), AT: lower(32),
    ST: lower(28), NV: lower(24), CCIDX: lower(20), VARange: lower(16), IESB: lower(12), LSM: lower(8),
    UAO: lower(4), CnP: lower(0),
  },
  ID_AA64MMFR3_EL1: {
    Spec_FPACC: unruled(60), ADERR: unruled(56), SDERR: unruled(52), ANERR: unruled(44), SNERR: unruled(40),
    D128_2: unruled(36), D128: unruled(32), MEC: unruled(28), AIE: unruled(24), S2POE: unruled(20),
    S1POE: lower(16), S2PIE: unruled(12), S1PIE: lower(8), SCTLRX: since72(lower(4)), TCRX: lower(0),
  },
  ID_AA64MMFR4_EL1: {
    E2H0: signed(24), NV_frac: since72(lower(20)), FGWTE3: unruled(16), HACDBS: unruled(12), ASID2: unruled(8),
    EIESB: unruled(4), PoPS: unruled(0),
  },
  MPAMIDR_EL1: {
    PMG_MAX: lower(32, 0, 8), VPMR_MAX: lower(18, 0, 3), HAS_HCR: lower(17, 0, 1),
    PARTID_MAX: lower(0, 0, 16),
  },
  GMID_EL1: {
    BS: lower(0),
  },
  CTR_EL0: {
    TminLine: unruled(32, 6), DIC: lower(29, 1, 1), IDC: lower(28, 1, 1), CWG: higherOrZero(24), ERG: higherOrZero(20),
    DminLine: lower(16, 1), L1Ip: exact(14, 2, 2), IminLine: lower(0),
  },
  DCZID_EL0: {
    DZP: exact(4, 1, 1), BS: lower(0),
  },
} as const satisfies Readonly<Record<string, Layout>>;
