// PSTATE and the SPSRs: modes and bits. DDI 0487 C5.2.19 (SPSR_EL1), D1.7.

/** PSTATE.M, bits 4:0: bit 4 is AArch32 (nRW), bits 3:2 the exception level, bit 0 which stack pointer. */
export const PstateMode = {
  EL0t: 0b0_0000,
  EL1t: 0b0_0100,
  EL1h: 0b0_0101,
  EL2t: 0b0_1000,
  EL2h: 0b0_1001,
  EL3t: 0b0_1100,
  EL3h: 0b0_1101,
  usr: 0b1_0000,
  fiq: 0b1_0001,
  irq: 0b1_0010,
  svc: 0b1_0011,
  mon: 0b1_0110,
  abt: 0b1_0111,
  hyp: 0b1_1010,
  und: 0b1_1011,
  sys: 0b1_1111,
} as const;

export type PstateModeName = keyof typeof PstateMode;

/** Single bits, in their place in PSTATE as KVM has it and in the SPSRs. */
export const Pstate = {
  nRW: 1 << 4,
  F: 1 << 6,
  I: 1 << 7,
  A: 1 << 8,
  D: 1 << 9,
  SSBS: 1 << 12,
  ALLINT: 1 << 13,
  IL: 1 << 20,
  SS: 1 << 21,
  PAN: 1 << 22,
  UAO: 1 << 23,
  DIT: 1 << 24,
  TCO: 1 << 25,
  V: 1 << 28,
  C: 1 << 29,
  Z: 1 << 30,
  N: 2 ** 31,
} as const;

/** Fields of more than one bit. */
export const PSTATE_MODE = 0x1f;
export const PSTATE_EL_SHIFT = 2;
export const PSTATE_BTYPE_SHIFT = 10;
export const PSTATE_DAIF = Pstate.D | Pstate.A | Pstate.I | Pstate.F;

/** What KVM_ARM_VCPU_INIT leaves in PSTATE. */
export const PSTATE_RESET = {
  el1: PSTATE_DAIF | PstateMode.EL1h,
  el2: PSTATE_DAIF | PstateMode.EL2h,
  /** EL1 in AArch32. */
  svc: Pstate.A | Pstate.I | Pstate.F | PstateMode.svc,
} as const;

const modeNames = new Map<number, PstateModeName>(
  Object.entries(PstateMode).map(([name, mode]) => [mode, name as PstateModeName]),
);

/** The mode in a PSTATE or SPSR; undefined where the five bits are no mode. */
export function pstateMode(pstate: bigint | number): PstateModeName | undefined {
  return modeNames.get(Number(BigInt(pstate) & 0x1fn));
}

/** A PSTATE in a few words: "EL1h DAIF nzCv". Flags that are set are capitals. */
export function formatPstate(pstate: bigint | number): string {
  const bits = Number(BigInt.asUintN(32, BigInt(pstate)));
  const flag = (letter: "N" | "Z" | "C" | "V" | "D" | "A" | "I" | "F") =>
    bits & Pstate[letter] || (letter === "N" && bits >= Pstate.N) ? letter : letter.toLowerCase();
  const mode = pstateMode(pstate) ?? `mode 0x${(bits & PSTATE_MODE).toString(16)}`;
  const flags = (["N", "Z", "C", "V"] as const).map(flag).join("");
  const masks = (["D", "A", "I", "F"] as const).map(flag).join("");
  const others = (["SS", "IL", "PAN", "UAO", "DIT", "TCO", "SSBS"] as const).filter((name) => bits & Pstate[name]);
  return [mode, masks, flags, ...others].join(" ");
}
