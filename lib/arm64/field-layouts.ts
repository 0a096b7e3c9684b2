// Fields of registers. Names and places: DDI 0487 D24.2 to D24.10, C5.2; IHI 0069 12.2. Rules of ID registers: what Linux
// keeps safe for its guests.

import type { Kernel } from "./sysreg-row.js";

/**
 * When KVM_SET_ONE_REG takes another value than the limit for a field of an ID register: any that is not above it, not
 * below it, not below it except 0, or none but the safe value. Documentation/arch/arm64/cpu-feature-registers.rst.
 */
export type SafeRule = "lower" | "higher" | "higher-or-zero" | "exact";

/** A field of an ID register. */
export interface IdField {
  readonly lsb: number;
  readonly width: number;
  /** Absent: Linux gives the field no rule, and it never differs from the limit. */
  readonly rule: SafeRule | undefined;
  readonly safe: number;
  readonly signed: "signed" | "unsigned";
  /** The first kernel that gives the field a rule. */
  readonly since: Kernel;
}

/** A field of more than 32 bits: its values are bigints. */
export interface WideField {
  readonly msb: number;
  readonly lsb: number;
}

/** A bit, a field from msb to lsb, a wide one, or a field of an ID register. */
export type FieldSpec = number | readonly [msb: number, lsb: number] | WideField | IdField;

/** The fields of one register, from the highest to the lowest. */
export type Layout = Readonly<Record<string, FieldSpec>>;

function wide(msb: number, lsb: number): WideField {
  return { msb, lsb };
}

function idField(rule: SafeRule | undefined, lsb: number, safe: number, width: number): IdField {
  return { lsb, width, rule, safe, signed: "unsigned", since: "6.1" };
}

const lower = (lsb: number, safe = 0, width = 4): IdField => idField("lower", lsb, safe, width);
const higher = (lsb: number, safe = 0): IdField => idField("higher", lsb, safe, 4);
const higherOrZero = (lsb: number, safe = 0): IdField => idField("higher-or-zero", lsb, safe, 4);
const exact = (lsb: number, safe = 0, width = 4): IdField => idField("exact", lsb, safe, width);
const exactBit = (lsb: number): IdField => idField("exact", lsb, 0, 1);
/** Lower is safer, and 0xf is -1. */
const signed = (lsb: number, safe = 0): IdField => ({ ...lower(lsb, safe), signed: "signed" });
/** Named by the Arm ARM, without a rule in Linux. */
const unruled = (lsb: number, width = 4): IdField => idField(undefined, lsb, 0, width);
const since72 = (field: IdField): IdField => ({ ...field, since: "7.2" });

// biome-ignore format: table
const MIDR = {
  Implementer: [31, 24], Variant: [23, 20], Architecture: [19, 16], PartNum: [15, 4], Revision: [3, 0],
} as const;

// biome-ignore format: table
const MPIDR = {
  Aff3: [39, 32], U: 30, MT: 24, Aff2: [23, 16], Aff1: [15, 8], Aff0: [7, 0],
} as const;

// biome-ignore format: table
const SCTLR2 = {
  CPTM0: 12, CPTM: 11, CPTA0: 10, CPTA: 9, EnPACM0: 8, EnPACM: 7, EnIDCP128: 6, EASE: 5, EnANERR: 4, EnADERR: 3,
  NMEA: 2, EMEC: 1,
} as const;

// biome-ignore format: table
const ZCR = {
  LEN: [3, 0],
} as const;

// biome-ignore format: table
const TTBR = {
  ASID: [63, 48], BADDR: wide(47, 1), CnP: 0,
} as const;

// biome-ignore format: table
const TCR2 = {
  DisCH1: 15, DisCH0: 14, HAFT: 11, PTTWI: 10, D128: 5, AIE: 4, POE: 3, E0POE: 2, PIE: 1, PnCH: 0,
} as const;

// biome-ignore format: table
const ESR = {
  ISS2: [55, 32], EC: [31, 26], IL: 25, ISS: [24, 0],
} as const;

// biome-ignore format: table
const TFSR = {
  TF1: 1, TF0: 0,
} as const;

// biome-ignore format: table
const MAIR = {
  Attr7: [63, 56], Attr6: [55, 48], Attr5: [47, 40], Attr4: [39, 32], Attr3: [31, 24], Attr2: [23, 16],
  Attr1: [15, 8], Attr0: [7, 0],
} as const;

// biome-ignore format: table
const PERMISSIONS = {
  Perm15: [63, 60], Perm14: [59, 56], Perm13: [55, 52], Perm12: [51, 48], Perm11: [47, 44], Perm10: [43, 40],
  Perm9: [39, 36], Perm8: [35, 32], Perm7: [31, 28], Perm6: [27, 24], Perm5: [23, 20], Perm4: [19, 16],
  Perm3: [15, 12], Perm2: [11, 8], Perm1: [7, 4], Perm0: [3, 0],
} as const;

// biome-ignore format: table
const VBAR = {
  VBA: wide(63, 11),
} as const;

// biome-ignore format: table
const CONTEXTIDR = {
  PROCID: [31, 0],
} as const;

// biome-ignore format: table
const SPSR = {
  UINJ: 36, PACM: 35, EXLOCK: 34, PPEND: 33, PM: 32, N: 31, Z: 30, C: 29, V: 28, TCO: 25, DIT: 24, UAO: 23, PAN: 22,
  SS: 21, IL: 20, ALLINT: 13, SSBS: 12, BTYPE: [11, 10], D: 9, A: 8, I: 7, F: 6, M: [4, 0],
} as const;

// biome-ignore format: table
const PMEVTYPER = {
  TC: [63, 61], TE: 60, SYNC: 59, VS: [57, 56], TLC: [55, 54], TH: [43, 32],
  P: 31, U: 30, NSK: 29, NSU: 28, NSH: 27, M: 26, MT: 25, SH: 24, T: 23, RLK: 22, RLU: 21, RLH: 20,
  evtCount: [15, 0],
} as const;

// biome-ignore format: table
const CNT_CTL = {
  ISTATUS: 2, IMASK: 1, ENABLE: 0,
} as const;

// biome-ignore format: table
const CNT_TVAL = {
  TimerValue: [31, 0],
} as const;

// biome-ignore format: table
const DBGBCR = {
  LBNX: [31, 30], SSCE: 29, MASK: [28, 24], BT: [23, 20], LBN: [19, 16], SSC: [15, 14], HMC: 13, BAS: [8, 5],
  PMC: [2, 1], E: 0,
} as const;

// biome-ignore format: table
const DBGWCR = {
  LBNX: [31, 30], SSCE: 29, MASK: [28, 24], WT: 20, LBN: [19, 16], SSC: [15, 14], HMC: 13, BAS: [12, 5], LSC: [4, 3],
  PAC: [2, 1], E: 0,
} as const;

// biome-ignore format: table
const ICC_INTID = {
  INTID: [23, 0],
} as const;

// biome-ignore format: table
const ICC_BPR = {
  BinaryPoint: [2, 0],
} as const;

// biome-ignore format: table
const ICC_IGRPEN = {
  Enable: 0,
} as const;

// biome-ignore format: table
const ICC_SGIR = {
  Aff3: [55, 48], RS: [47, 44], IRM: 40, Aff2: [39, 32], INTID: [27, 24], Aff1: [23, 16], TargetList: [15, 0],
} as const;

/** Control, status and special registers. "#" stands for the number of a register of a family. */
// biome-ignore format: table
export const controlLayouts = {
  MDCCINT_EL1: {
    RX: 30, TX: 29,
  },
  MDSCR_EL1: {
    EnSTEPOP: 50, EHBWE: 35, EnSPM: 34, TTA: 33, EMBWE: 32, TFO: 31, RXfull: 30, TXfull: 29, RXO: 27, TXU: 26,
    INTdis: [23, 22], TDA: 21, SC2: 19, MDE: 15, HDE: 14, KDE: 13, TDCC: 12, ERR: 6, SS: 0,
  },
  OSLAR_EL1: {
    OSLK: 0,
  },
  OSLSR_EL1: {
    OSLM1: 3, nTT: 2, OSLK: 1, OSLM0: 0,
  },
  OSDLR_EL1: {
    DLK: 0,
  },
  DBGAUTHSTATUS_EL1: {
    RTNID: [27, 26], RTID: [25, 24], RLNID: [15, 14], RLID: [13, 12], SNID: [7, 6], SID: [5, 4], NSNID: [3, 2],
    NSID: [1, 0],
  },
  MDCCSR_EL0: {
    RXfull: 30, TXfull: 29,
  },
  MIDR_EL1: MIDR,
  VPIDR_EL2: MIDR,
  MPIDR_EL1: MPIDR,
  VMPIDR_EL2: MPIDR,
  CCSIDR_EL1: {
    NumSets: [27, 13], Associativity: [12, 3], LineSize: [2, 0],
  },
  CLIDR_EL1: {
    Ttype7: [46, 45], Ttype6: [44, 43], Ttype5: [42, 41], Ttype4: [40, 39], Ttype3: [38, 37], Ttype2: [36, 35],
    Ttype1: [34, 33], ICB: [32, 30], LoUU: [29, 27], LoC: [26, 24], LoUIS: [23, 21], Ctype7: [20, 18],
    Ctype6: [17, 15], Ctype5: [14, 12], Ctype4: [11, 9], Ctype3: [8, 6], Ctype2: [5, 3], Ctype1: [2, 0],
  },
  CSSELR_EL1: {
    TnD: 4, Level: [3, 1], InD: 0,
  },
  SCTLR_EL1: {
    TIDCP: 63, SPINTMASK: 62, NMI: 61, EnTP2: 60, TCSO: 59, TCSO0: 58, EPAN: 57, EnALS: 56, EnAS0: 55, EnASR: 54,
    TME: 53, TME0: 52, TMT: 51, TMT0: 50, TWEDEL: [49, 46], TWEDEn: 45, DSSBS: 44, ATA: 43, ATA0: 42, TCF: [41, 40],
    TCF0: [39, 38], ITFSB: 37, BT1: 36, BT0: 35, EnFPM: 34, MSCEn: 33, CMOW: 32, EnIA: 31, EnIB: 30, LSMAOE: 29,
    nTLSMD: 28, EnDA: 27, UCI: 26, EE: 25, E0E: 24, SPAN: 23, EIS: 22, IESB: 21, TSCXT: 20, WXN: 19, nTWE: 18,
    nTWI: 16, UCT: 15, DZE: 14, EnDB: 13, I: 12, EOS: 11, EnRCTX: 10, UMA: 9, SED: 8, ITD: 7, nAA: 6, CP15BEN: 5,
    SA0: 4, SA: 3, C: 2, A: 1, M: 0,
  },
  SCTLR2_EL1: SCTLR2,
  SCTLR2_EL2: SCTLR2,
  CPACR_EL1: {
    TCPAC: 31, TAM: 30, E0POE: 29, TTA: 28, SMEN: [25, 24], FPEN: [21, 20], ZEN: [17, 16],
  },
  ZCR_EL1: ZCR,
  ZCR_EL2: ZCR,
  RGSR_EL1: {
    SEED: [23, 8], TAG: [3, 0],
  },
  GCR_EL1: {
    RRND: 16, Exclude: [15, 0],
  },
  TTBR0_EL1: TTBR,
  TTBR1_EL1: TTBR,
  TTBR0_EL2: TTBR,
  TTBR1_EL2: TTBR,
  TCR_EL1: {
    MTX1: 61, MTX0: 60, DS: 59, TCMA1: 58, TCMA0: 57, E0PD1: 56, E0PD0: 55, NFD1: 54, NFD0: 53, TBID1: 52, TBID0: 51,
    HWU162: 50, HWU161: 49, HWU160: 48, HWU159: 47, HWU062: 46, HWU061: 45, HWU060: 44, HWU059: 43, HPD1: 42,
    HPD0: 41, HD: 40, HA: 39, TBI1: 38, TBI0: 37, AS: 36, IPS: [34, 32], TG1: [31, 30], SH1: [29, 28],
    ORGN1: [27, 26], IRGN1: [25, 24], EPD1: 23, A1: 22, T1SZ: [21, 16], TG0: [15, 14], SH0: [13, 12],
    ORGN0: [11, 10], IRGN0: [9, 8], EPD0: 7, T0SZ: [5, 0],
  },
  TCR2_EL1: TCR2,
  TCR2_EL2: TCR2,
  ESR_EL1: ESR,
  ESR_EL2: ESR,
  TFSR_EL1: TFSR,
  TFSRE0_EL1: TFSR,
  // As after a translation that succeeded; FST is of one that failed.
  PAR_EL1: {
    ATTR: [63, 56], PA: wide(51, 12), NSE: 11, NS: 9, SH: [8, 7], FST: [6, 1], F: 0,
  },
  MAIR_EL1: MAIR,
  MAIR_EL2: MAIR,
  PIR_EL1: PERMISSIONS,
  PIRE0_EL1: PERMISSIONS,
  POR_EL1: PERMISSIONS,
  POR_EL0: PERMISSIONS,
  PIRE0_EL2: PERMISSIONS,
  PIR_EL2: PERMISSIONS,
  POR_EL2: PERMISSIONS,
  VBAR_EL1: VBAR,
  VBAR_EL2: VBAR,
  ISR_EL1: {
    IS: 10, FS: 9, A: 8, I: 7, F: 6,
  },
  DISR_EL1: {
    A: 31, IDS: 24, ISS: [23, 0],
  },
  CONTEXTIDR_EL1: CONTEXTIDR,
  CONTEXTIDR_EL2: CONTEXTIDR,
  SPSR_EL1: SPSR,
  SPSR_EL2: SPSR,
  PSTATE: SPSR,
  SPSel: {
    SP: 0,
  },
  CurrentEL: {
    EL: [3, 2],
  },
  PAN: {
    PAN: 22,
  },
  UAO: {
    UAO: 23,
  },
  ALLINT: {
    ALLINT: 13,
  },
  NZCV: {
    N: 31, Z: 30, C: 29, V: 28,
  },
  DAIF: {
    D: 9, A: 8, I: 7, F: 6,
  },
  DIT: {
    DIT: 24,
  },
  SSBS: {
    SSBS: 12,
  },
  TCO: {
    TCO: 25,
  },
  SVCR: {
    ZA: 1, SM: 0,
  },
  FPMR: {
    LSCALE2: [37, 32], NSCALE: [31, 24], LSCALE: [22, 16], OSC: 15, OSM: 14, F8D: [8, 6], F8S2: [5, 3], F8S1: [2, 0],
  },
  FPCR: {
    AHP: 26, DN: 25, FZ: 24, RMode: [23, 22], Stride: [21, 20], FZ16: 19, Len: [18, 16], IDE: 15, EBF: 13, IXE: 12,
    UFE: 11, OFE: 10, DZE: 9, IOE: 8, NEP: 2, AH: 1, FIZ: 0,
  },
  FPSR: {
    N: 31, Z: 30, C: 29, V: 28, QC: 27, IDC: 7, IXC: 4, UFC: 3, OFC: 2, DZC: 1, IOC: 0,
  },
  PMCR_EL0: {
    FZS: 32, IMP: [31, 24], IDCODE: [23, 16], N: [15, 11], FZO: 9, LP: 7, LC: 6, DP: 5, X: 4, D: 3, C: 2, P: 1, E: 0,
  },
  PMSELR_EL0: {
    SEL: [4, 0],
  },
  PMUSERENR_EL0: {
    UEN: 4, ER: 3, CR: 2, SW: 1, EN: 0,
  },
  PMCCFILTR_EL0: {
    VS: [57, 56], P: 31, U: 30, NSK: 29, NSU: 28, NSH: 27, M: 26, SH: 24, T: 23, RLK: 22, RLU: 21,
    RLH: 20,
  },
  "PMEVTYPER#_EL0": PMEVTYPER,
  CNTKCTL_EL1: {
    EVNTIS: 17, EL0PTEN: 9, EL0VTEN: 8, EVNTI: [7, 4], EVNTDIR: 3, EVNTEN: 2, EL0VCTEN: 1, EL0PCTEN: 0,
  },
  CNTFRQ_EL0: {
    ClockFreq: [31, 0],
  },
  CNTV_CTL_EL0: CNT_CTL,
  CNTP_CTL_EL0: CNT_CTL,
  CNTHP_CTL_EL2: CNT_CTL,
  CNTHV_CTL_EL2: CNT_CTL,
  CNTV_TVAL_EL0: CNT_TVAL,
  CNTP_TVAL_EL0: CNT_TVAL,
  CNTHP_TVAL_EL2: CNT_TVAL,
  CNTHV_TVAL_EL2: CNT_TVAL,
  "DBGBCR#_EL1": DBGBCR,
  "DBGWCR#_EL1": DBGWCR,
  ICC_PMR_EL1: {
    Priority: [7, 0],
  },
  ICC_IAR1_EL1: ICC_INTID,
  ICC_IAR0_EL1: ICC_INTID,
  ICC_EOIR0_EL1: ICC_INTID,
  ICC_EOIR1_EL1: ICC_INTID,
  ICC_HPPIR0_EL1: ICC_INTID,
  ICC_HPPIR1_EL1: ICC_INTID,
  ICC_DIR_EL1: ICC_INTID,
  ICC_BPR1_EL1: ICC_BPR,
  ICC_BPR0_EL1: ICC_BPR,
  ICC_CTLR_EL1: {
    ExtRange: 19, RSS: 18, A3V: 15, SEIS: 14, IDbits: [13, 11], PRIbits: [10, 8], PMHE: 6, EOImode: 1, CBPR: 0,
  },
  ICC_SRE_EL1: {
    DIB: 2, DFB: 1, SRE: 0,
  },
  ICC_IGRPEN1_EL1: ICC_IGRPEN,
  ICC_IGRPEN0_EL1: ICC_IGRPEN,
  ICC_SGI1R_EL1: ICC_SGIR,
  ICC_ASGI1R_EL1: ICC_SGIR,
  ICC_SGI0R_EL1: ICC_SGIR,
  ICC_RPR_EL1: {
    Priority: [7, 0],
  },
  SCTLR_EL2: {
    TIDCP: 63, SPINTMASK: 62, NMI: 61, EnTP2: 60, TCSO: 59, TCSO0: 58, EPAN: 57, EnALS: 56, EnAS0: 55, EnASR: 54,
    TME: 53, TME0: 52, TMT: 51, TMT0: 50, TWEDEL: [49, 46], TWEDEn: 45, DSSBS: 44, ATA: 43, ATA0: 42, TCF: [41, 40],
    TCF0: [39, 38], ITFSB: 37, BT: 36, BT0: 35, EnFPM: 34, MSCEn: 33, CMOW: 32, EnIA: 31, EnIB: 30, LSMAOE: 29,
    nTLSMD: 28, EnDA: 27, UCI: 26, EE: 25, E0E: 24, SPAN: 23, EIS: 22, IESB: 21, TSCXT: 20, WXN: 19, nTWE: 18,
    nTWI: 16, UCT: 15, DZE: 14, EnDB: 13, I: 12, EOS: 11, EnRCTX: 10, SED: 8, ITD: 7, nAA: 6, CP15BEN: 5, SA0: 4,
    SA: 3, C: 2, A: 1, M: 0,
  },
  HCR_EL2: {
    TWEDEL: [63, 60], TWEDEn: 59, TID5: 58, DCT: 57, ATA: 56, TTLBOS: 55, TTLBIS: 54, EnSCXT: 53, TOCU: 52,
    AMVOFFEN: 51, TICAB: 50, TID4: 49, GPF: 48, FIEN: 47, FWB: 46, NV2: 45, AT: 44, NV1: 43, NV: 42, API: 41,
    APK: 40, TME: 39, MIOCNCE: 38, TEA: 37, TERR: 36, TLOR: 35, E2H: 34, ID: 33, CD: 32, RW: 31, TRVM: 30, HCD: 29, TDZ: 28,
    TGE: 27, TVM: 26, TTLB: 25, TPU: 24, TPCP: 23, TSW: 22, TACR: 21, TIDCP: 20, TSC: 19, TID3: 18, TID2: 17,
    TID1: 16, TID0: 15, TWE: 14, TWI: 13, DC: 12, BSU: [11, 10], FB: 9, VSE: 8, VI: 7, VF: 6, AMO: 5, IMO: 4, FMO: 3,
    PTW: 2, SWIO: 1, VM: 0,
  },
  HCRX_EL2: {
    SRMASKEn: 26, VTLBIDEn: 25, PACMEn: 24, EnFPM: 23, GCSEn: 22, EnIDCP128: 21, EnSDERR: 20, TMEA: 19, EnSNERR: 18,
    D128En: 17, PTTWI: 16, SCTLR2En: 15, TCR2En: 14, MSCEn: 11, MCE2: 10, CMOW: 9, VFNMI: 8, VINMI: 7, TALLINT: 6,
    SMPME: 5, FGTnXS: 4, FnXS: 3, EnASR: 2, EnALS: 1, EnAS0: 0,
  },
  MDCR_EL2: {
    EnSTEPOP: 50, EBWE: 43, PMEE: [41, 40], HPMFZS: 36, PMSSE: [31, 30], HPMFZO: 29, MTPME: 28, TDCC: 27, HLP: 26,
    E2TB: [25, 24], HCCD: 23, TTRF: 19, HPMD: 17, EnSPM: 15, TPMS: 14, E2PB: [13, 12], TDRA: 11, TDOSA: 10, TDA: 9,
    TDE: 8, HPME: 7, TPM: 6, TPMCR: 5, HPMN: [4, 0],
  },
  CPTR_EL2: {
    TCPAC: 31, TAM: 30, TTA: 20, TSM: 12, TFP: 10, TZ: 8,
  },
  HSTR_EL2: {
    T15: 15, T13: 13, T12: 12, T11: 11, T10: 10, T9: 9, T8: 8, T7: 7, T6: 6, T5: 5, T3: 3, T2: 2, T1: 1, T0: 0,
  },
  TCR_EL2: {
    MTX: 33, DS: 32, TCMA: 30, TBID: 29, HWU62: 28, HWU61: 27, HWU60: 26, HWU59: 25, HPD: 24, HD: 22, HA: 21,
    TBI: 20, PS: [18, 16], TG0: [15, 14], SH0: [13, 12], ORGN0: [11, 10], IRGN0: [9, 8], T0SZ: [5, 0],
  },
  VTCR_EL2: {
    SL2: 33, DS: 32, NSA: 30, NSW: 29, HWU62: 28, HWU61: 27, HWU60: 26, HWU59: 25, HD: 22, HA: 21, VS: 19,
    PS: [18, 16], TG0: [15, 14], SH0: [13, 12], ORGN0: [11, 10], IRGN0: [9, 8], SL0: [7, 6], T0SZ: [5, 0],
  },
  VTTBR_EL2: {
    VMID: [63, 48], BADDR: wide(47, 1), CnP: 0,
  },
  HPFAR_EL2: {
    NS: 63, FIPA: wide(47, 4),
  },
  // As while HCR_EL2.E2H is set; CPTR_EL2, TCR_EL2 as while it is clear.
  CNTHCTL_EL2: {
    CNTPMASK: 19, CNTVMASK: 18, EVNTIS: 17, EL1NVVCT: 16, EL1NVPCT: 15, EL1TVCT: 14, EL1TVT: 13, ECV: 12,
    EL1PTEN: 11, EL1PCTEN: 10, EL0PTEN: 9, EL0VTEN: 8, EVNTI: [7, 4], EVNTDIR: 3, EVNTEN: 2, EL0VCTEN: 1,
    EL0PCTEN: 0,
  },
} as const satisfies Readonly<Record<string, Layout>>;

/**
 * ID registers. The rules are those that KVM_SET_ONE_REG goes by: for PMUVer, PerfMon and DebugVer KVM has its own, where
 * the rest of Linux holds the fields to one value.
 */
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
    TraceFilt: unruled(28), PerfMon: lower(24), MProfDbg: lower(20), MMapTrc: lower(16), CopTrc: lower(12),
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
    WRPs: lower(20), PMSS: unruled(16), BRPs: lower(12), PMUVer: lower(8), TraceVer: unruled(4),
    DebugVer: lower(0, 6),
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
