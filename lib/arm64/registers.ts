// Builders of register ids, one for each register space. Documentation/virt/kvm/api.rst 4.68; asm/kvm.h.

import type { Checked } from "./argument.js";
import { indexArgument, nameArgument, shown } from "./argument.js";
import type { RegId } from "./reg-id.js";
import { ARCH_ARM64, CoreWord, makeId, Space } from "./reg-id.js";
import type { SysRegName } from "./sysregs.js";
import { packEncoding, sysRegByName, sysRegId } from "./sysregs.js";

const core = <B extends 32 | 64 | 128>(bits: B, word: number): RegId<B> =>
  makeId(ARCH_ARM64, bits, Space.arm64Core, word);

/** X0 to X30. */
export function x<const N extends number>(n: Checked<N, 31>): RegId<64> {
  return core(64, CoreWord.x0 + 2 * indexArgument("x", "n", n, 31));
}

/** The stack pointer of EL0. */
export const sp: RegId<64> = core(64, CoreWord.sp);
export const pc: RegId<64> = core(64, CoreWord.pc);
export const pstate: RegId<64> = core(64, CoreWord.pstate);
export const spEl1: RegId<64> = core(64, CoreWord.SP_EL1);
export const elrEl1: RegId<64> = core(64, CoreWord.ELR_EL1);

/** The saved PSTATEs, in KVM's order. Those but the first are of AArch32 modes. */
export const spsrNames = ["EL1", "abt", "und", "irq", "fiq"] as const;
export type SpsrName = (typeof spsrNames)[number];

/** SPSR_EL1, SPSR_abt, SPSR_und, SPSR_irq, SPSR_fiq. */
export function spsr<const N extends number>(which: SpsrName | Checked<N, 5>): RegId<64> {
  const n = typeof which === "string" ? spsrNames.indexOf(nameArgument("spsr", "which", which, spsrNames)) : which;
  return core(64, CoreWord.SPSR_EL1 + 2 * indexArgument("spsr", "which", n, 5));
}

/** V0 to V31. A vCPU with SVE does not have these ids: use `sve.z`. */
export function v<const N extends number>(n: Checked<N, 32>): RegId<128> {
  return core(128, CoreWord.v0 + 4 * indexArgument("v", "n", n, 32));
}

export const fpsr: RegId<32> = core(32, CoreWord.FPSR);
export const fpcr: RegId<32> = core(32, CoreWord.FPCR);

/** CCSIDR_EL1 as seen with this value in CSSELR_EL1: cache level - 1 in bits 3:1, instruction cache in bit 0. */
export function ccsidr<const N extends number>(csselr: Checked<N, 14>): RegId<32> {
  return makeId(ARCH_ARM64, 32, Space.demux, indexArgument("ccsidr", "csselr", csselr, 14));
}

/**
 * A system register by name. KVM swapped the ids of CNTVCT_EL0 and CNTV_CVAL_EL0 once: this gives the id that reaches
 * the register named. SP_EL0, SP_EL1, ELR_EL1 and the SPSRs are in the core space, and are found there.
 */
export function sysReg(name: Exclude<SysRegName, "FPCR" | "FPSR">): RegId<64> {
  const reg = typeof name === "string" ? sysRegByName(name as string) : undefined;
  if (reg === undefined) throw new TypeError(`sysReg: name must be a system register, got ${shown(name)}`);
  if (reg.name === "FPCR" || reg.name === "FPSR")
    throw new TypeError(`sysReg: ${reg.name} has 32 bits here: use ${reg.name.toLowerCase()}`);
  return sysRegId(reg) as RegId<64>;
}

/** A system register by encoding, just as KVM will take it: the swap of the timer ids is not undone. */
export function sysRegEncoding<
  const A extends number,
  const B extends number,
  const C extends number,
  const D extends number,
  const E extends number,
>(op0: Checked<A, 4>, op1: Checked<B, 8>, crn: Checked<C, 16>, crm: Checked<D, 16>, op2: Checked<E, 8>): RegId<64> {
  const at = (argument: string, value: number, count: number) =>
    indexArgument("sysRegEncoding", argument, value, count);
  return makeId(
    ARCH_ARM64,
    64,
    Space.sysReg,
    packEncoding([at("op0", op0, 4), at("op1", op1, 8), at("crn", crn, 16), at("crm", crm, 16), at("op2", op2, 8)]),
  );
}

const fw = (index: number): RegId<64> => makeId(ARCH_ARM64, 64, Space.firmware, index);
const fwFeatures = (index: number): RegId<64> => makeId(ARCH_ARM64, 64, Space.firmwareFeatures, index);

/** Firmware pseudo-registers. Documentation/virt/kvm/arm/fw-pseudo-registers.rst. */
export const firmware = {
  psciVersion: fw(0),
  workaround1: fw(1),
  workaround2: fw(2),
  workaround3: fw(3),
} as const;

/** Which hypercall services the guest is offered, bit by bit: see firmware-features.ts. */
export const firmwareFeatures = {
  std: fwFeatures(0),
  stdHyp: fwFeatures(1),
  vendorHyp: fwFeatures(2),
  /** Since 7.2. */
  vendorHyp2: fwFeatures(3),
} as const;

/** SVE registers, in slices of 2048 and 256 bits. Slice 0 holds all of every vector length that KVM has today. */
export const sve = {
  /** Z0 to Z31. */
  z<const N extends number, const S extends number = 0>(n: Checked<N, 32>, slice?: Checked<S, 32>): RegId<2048> {
    const index = (indexArgument("sve.z", "n", n, 32) << 5) | indexArgument("sve.z", "slice", slice ?? 0, 32);
    return makeId(ARCH_ARM64, 2048, Space.sve, index);
  },
  /** P0 to P15. */
  p<const N extends number, const S extends number = 0>(n: Checked<N, 16>, slice?: Checked<S, 32>): RegId<256> {
    const index = (indexArgument("sve.p", "n", n, 16) << 5) | indexArgument("sve.p", "slice", slice ?? 0, 32);
    return makeId(ARCH_ARM64, 256, Space.sve, 0x400 | index);
  },
  ffr<const S extends number = 0>(slice?: Checked<S, 32>): RegId<256> {
    return makeId(ARCH_ARM64, 256, Space.sve, 0x600 | indexArgument("sve.ffr", "slice", slice ?? 0, 32));
  },
  /** Which vector lengths the vCPU has: see sve.ts. */
  vls: makeId(ARCH_ARM64, 512, Space.sve, 0xffff),
} as const;
