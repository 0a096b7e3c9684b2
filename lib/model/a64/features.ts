// Architecture features that rows of the table depend on, and the ID register field that promises each one.
// Fields are read as unsigned; in two of them 0b1111 means absent.

export interface FeatureField {
  readonly register: string;
  readonly lsb: number;
  /** The lowest value of the field that promises the feature. */
  readonly from: number;
  /** Features that promise it as well. */
  readonly or?: readonly string[];
  /** The value that means "not implemented" although it is the largest. */
  readonly absent?: number;
}

// biome-ignore format: table
export const features = {
  FP:        { register: "ID_AA64PFR0_EL1",  lsb: 16, from: 0, absent: 15 },
  AdvSIMD:   { register: "ID_AA64PFR0_EL1",  lsb: 20, from: 0, absent: 15 },
  FP16:      { register: "ID_AA64PFR0_EL1",  lsb: 16, from: 1, absent: 15 },
  SVE:       { register: "ID_AA64PFR0_EL1",  lsb: 32, from: 1 },
  DIT:       { register: "ID_AA64PFR0_EL1",  lsb: 48, from: 1 },
  SME:       { register: "ID_AA64PFR1_EL1",  lsb: 24, from: 1 },
  MTE:       { register: "ID_AA64PFR1_EL1",  lsb:  8, from: 1 },
  MTE2:      { register: "ID_AA64PFR1_EL1",  lsb:  8, from: 2 },
  SSBS:      { register: "ID_AA64PFR1_EL1",  lsb:  4, from: 1 },
  SSBS2:     { register: "ID_AA64PFR1_EL1",  lsb:  4, from: 2 },
  BTI:       { register: "ID_AA64PFR1_EL1",  lsb:  0, from: 1 },
  GCS:       { register: "ID_AA64PFR1_EL1",  lsb: 44, from: 1 },
  THE:       { register: "ID_AA64PFR1_EL1",  lsb: 48, from: 1 },
  AES:       { register: "ID_AA64ISAR0_EL1", lsb:  4, from: 1 },
  PMULL:     { register: "ID_AA64ISAR0_EL1", lsb:  4, from: 2 },
  SHA2:      { register: "ID_AA64ISAR0_EL1", lsb: 12, from: 1 },
  SHA512:    { register: "ID_AA64ISAR0_EL1", lsb: 12, from: 2 },
  SHA1:      { register: "ID_AA64ISAR0_EL1", lsb:  8, from: 1 },
  CRC32:     { register: "ID_AA64ISAR0_EL1", lsb: 16, from: 1 },
  LSE:       { register: "ID_AA64ISAR0_EL1", lsb: 20, from: 2 },
  LSE128:    { register: "ID_AA64ISAR0_EL1", lsb: 20, from: 3 },
  TME:       { register: "ID_AA64ISAR0_EL1", lsb: 24, from: 1 },
  RDM:       { register: "ID_AA64ISAR0_EL1", lsb: 28, from: 1 },
  SHA3:      { register: "ID_AA64ISAR0_EL1", lsb: 32, from: 1 },
  SM3:       { register: "ID_AA64ISAR0_EL1", lsb: 36, from: 1 },
  SM4:       { register: "ID_AA64ISAR0_EL1", lsb: 40, from: 1 },
  DotProd:   { register: "ID_AA64ISAR0_EL1", lsb: 44, from: 1 },
  FHM:       { register: "ID_AA64ISAR0_EL1", lsb: 48, from: 1 },
  FlagM:     { register: "ID_AA64ISAR0_EL1", lsb: 52, from: 1 },
  FlagM2:    { register: "ID_AA64ISAR0_EL1", lsb: 52, from: 2 },
  RNG:       { register: "ID_AA64ISAR0_EL1", lsb: 60, from: 1 },
  DPB:       { register: "ID_AA64ISAR1_EL1", lsb:  0, from: 1 },
  DPB2:      { register: "ID_AA64ISAR1_EL1", lsb:  0, from: 2 },
  PAuth:     { register: "ID_AA64ISAR1_EL1", lsb:  4, from: 1, or: ["PAuthImp", "PAuthQarma3"] },
  PAuthImp:  { register: "ID_AA64ISAR1_EL1", lsb:  8, from: 1 },
  JSCVT:     { register: "ID_AA64ISAR1_EL1", lsb: 12, from: 1 },
  FCMA:      { register: "ID_AA64ISAR1_EL1", lsb: 16, from: 1 },
  LRCPC:     { register: "ID_AA64ISAR1_EL1", lsb: 20, from: 1 },
  LRCPC2:    { register: "ID_AA64ISAR1_EL1", lsb: 20, from: 2 },
  LRCPC3:    { register: "ID_AA64ISAR1_EL1", lsb: 20, from: 3 },
  FRINTTS:   { register: "ID_AA64ISAR1_EL1", lsb: 32, from: 1 },
  SB:        { register: "ID_AA64ISAR1_EL1", lsb: 36, from: 1 },
  SPECRES:   { register: "ID_AA64ISAR1_EL1", lsb: 40, from: 1 },
  BF16:      { register: "ID_AA64ISAR1_EL1", lsb: 44, from: 1 },
  I8MM:      { register: "ID_AA64ISAR1_EL1", lsb: 52, from: 1 },
  XS:        { register: "ID_AA64ISAR1_EL1", lsb: 56, from: 1 },
  LS64:      { register: "ID_AA64ISAR1_EL1", lsb: 60, from: 1 },
  WFxT:      { register: "ID_AA64ISAR2_EL1", lsb:  0, from: 2 },
  PAuthQarma3: { register: "ID_AA64ISAR2_EL1", lsb: 12, from: 1 },
  MOPS:      { register: "ID_AA64ISAR2_EL1", lsb: 16, from: 1 },
  HBC:       { register: "ID_AA64ISAR2_EL1", lsb: 20, from: 1 },
  SYSREG128: { register: "ID_AA64ISAR2_EL1", lsb: 32, from: 1 },
  SYSINSTR128: { register: "ID_AA64ISAR2_EL1", lsb: 36, from: 1 },
  CSSC:      { register: "ID_AA64ISAR2_EL1", lsb: 52, from: 1 },
  CPA:       { register: "ID_AA64ISAR3_EL1", lsb:  0, from: 1 },
  LOR:       { register: "ID_AA64MMFR1_EL1", lsb: 16, from: 1 },
  PAN:       { register: "ID_AA64MMFR1_EL1", lsb: 20, from: 1 },
  PAN2:      { register: "ID_AA64MMFR1_EL1", lsb: 20, from: 2 },
  UAO:       { register: "ID_AA64MMFR2_EL1", lsb:  4, from: 1 },
  LSE2:      { register: "ID_AA64MMFR2_EL1", lsb: 32, from: 1 },
  IDST:      { register: "ID_AA64MMFR2_EL1", lsb: 36, from: 1 },
  TLBIOS:    { register: "ID_AA64ISAR0_EL1", lsb: 56, from: 1 },
  TLBIRANGE: { register: "ID_AA64ISAR0_EL1", lsb: 56, from: 2 },
  RAS:       { register: "ID_AA64PFR0_EL1",  lsb: 28, from: 1 },
  TTL:       { register: "ID_AA64MMFR2_EL1", lsb: 48, from: 1 },
} as const satisfies Readonly<Record<string, FeatureField>>;

export type Feature = keyof typeof features;

/** What instructions on SIMD&FP registers need. */
export const vectorFeatures: ReadonlySet<Feature> = new Set<Feature>([
  "FP",
  "AdvSIMD",
  "FP16",
  "AES",
  "PMULL",
  "SHA1",
  "SHA2",
  "SHA512",
  "SHA3",
  "SM3",
  "SM4",
  "RDM",
  "DotProd",
  "FHM",
  "FCMA",
  "JSCVT",
  "FRINTTS",
  "I8MM",
  "BF16",
]);

/** Whether ID registers, read by `idRegister`, promise `feature`. */
export function promised(feature: Feature, idRegister: (name: string) => bigint): boolean {
  const { register, lsb, from, absent, or }: FeatureField = features[feature];
  const value = Number((idRegister(register) >> BigInt(lsb)) & 15n);
  if (value >= from && value !== absent) return true;
  return or?.some((other) => promised(other as Feature, idRegister)) ?? false;
}
