// External aborts that KVM injects into the guest: the syndrome registers are written at once, PC and PSTATE change when the
// exception is committed, which may be later. DDI 0487 D1.3, G1.12.

import { Fsc, IL, takeException } from "../cpu/exceptions.js";
import { Pstate } from "../cpu/state.js";
import { Feature } from "../vcpu-features.js";
import type { VcpuState } from "../vcpu-state.js";
import { walkLevel } from "./walk-level.js";

const DABT_LOWER = 0x24;
const IABT_LOWER = 0x20;
/** ISS.S1PTW of what the CPU last trapped. */
const S1PTW = 1n << 7n;

const LOW_WORD = 0xffff_ffffn;
const EAE = 1n << 31n;
/** DFSR and IFSR: an external abort, in the format with and without the Large Physical Address Extension. */
const FSR_LPAE = 0x210n;
const FSR_SHORT = 0x008n;

/** Makes an external abort on a data access or a fetch pending: ESR_EL1 and FAR_EL1, or what AArch32 has in their place. */
export function pendAbort(vcpu: VcpuState, access: "instruction" | "data", address: bigint): void {
  if (vcpu.feature(Feature.el1_32bit)) {
    vcpu.put("abortPending", 1);
    pendAbort32(vcpu, access, address);
    return;
  }
  const status = statusOf(vcpu, access, address);
  if (status === null) return;
  vcpu.put("abortPending", 1);
  pendAbort64(vcpu, access, address, status);
}

/** Makes an address size fault of level 0 pending: nothing but EC, IL and FSC. */
export function pendAddressSizeFault(vcpu: VcpuState, access: "instruction" | "data", address: bigint): void {
  vcpu.put("abortPending", 1);
  const { cpu } = vcpu;
  const ec = (access === "data" ? DABT_LOWER : IABT_LOWER) + cpu.el;
  setSyndrome(vcpu, (BigInt(ec) << 26n) | BigInt(IL) | BigInt(Fsc.addressSize0));
  cpu.set("FAR_EL1", address);
}

/** The status code; null: a walk that ended in an abort would now find its way, and the guest tries again. */
function statusOf(vcpu: VcpuState, access: "instruction" | "data", address: bigint): number | null {
  const { cpu, vm } = vcpu;
  if (!vm.profile.switches.abortOnWalkHasLevel || (cpu.esrEl2 & S1PTW) === 0n) return Fsc.syncExternal;
  const level = walkLevel(vcpu, access, address, (cpu.hpfarEl2 >> 4n) << 12n);
  return level === null ? null : Fsc.syncExternalOnWalk0 + level;
}

function setSyndrome({ cpu, vm }: VcpuState, esr: bigint): void {
  const signed = vm.profile.switches.injectedEsrSigned;
  cpu.set("ESR_EL1", signed ? BigInt.asUintN(64, BigInt.asIntN(32, esr)) : esr);
}

function pendAbort64(vcpu: VcpuState, access: "instruction" | "data", address: bigint, status: number): void {
  const { cpu } = vcpu;
  const { switches } = vcpu.vm.profile;
  const lower = (cpu.mode & Pstate.nRW) !== 0 || cpu.el === 0 ? 0 : 1;
  const ec = BigInt((access === "data" ? DABT_LOWER : IABT_LOWER) + lower);
  const il = switches.injectedIlFollowsTrap ? cpu.esrEl2 & BigInt(IL) : BigInt(IL);
  const esr = (ec << 26n) | il | BigInt(status);
  setSyndrome(vcpu, esr);
  cpu.set("FAR_EL1", address);
}

function pendAbort32({ cpu }: VcpuState, access: "instruction" | "data", address: bigint): void {
  const far = cpu.get("FAR_EL1");
  const fsr = (cpu.get("TCR_EL1") & EAE) === 0n ? FSR_SHORT : FSR_LPAE;
  if (access === "data") {
    cpu.set("FAR_EL1", (far & ~LOW_WORD) | (address & LOW_WORD));
    cpu.set("ESR_EL1", fsr);
  } else {
    cpu.set("FAR_EL1", (far & LOW_WORD) | ((address & LOW_WORD) << 32n));
    cpu.set("IFSR32_EL2", fsr);
  }
}

/** Takes the abort that is pending, if one is. */
export function commitAbort(vcpu: VcpuState): void {
  if (vcpu.exchange("abortPending", 0) === 0) return;
  if (vcpu.feature(Feature.el1_32bit)) takeAbort32(vcpu);
  else enterException(vcpu, () => takeException(vcpu.cpu, "synchronous", vcpu.cpu.pc, vcpu.pstateBits));
}

/** Bits of VBAR_EL1 that the CPU makes nothing of. */
const VBAR_RES0 = 0x7ffn;

/** KVM's own way into an exception: its vector is counted from all that is in VBAR_EL1. */
export function enterException({ cpu }: VcpuState, take: () => void): void {
  take();
  cpu.pc = BigInt.asUintN(64, cpu.pc + (cpu.get("VBAR_EL1") & VBAR_RES0));
}

/** SCTLR bits that say what PSTATE becomes. */
const Sctlr = { V: 1n << 13n, SPAN: 1n << 23n, EE: 1n << 25n, TE: 1n << 30n, DSSBS: 1n << 31n } as const;
/** CPSR in AArch32 state. */
const Cpsr = {
  T: 1n << 5n,
  F: 1n << 6n,
  I: 1n << 7n,
  A: 1n << 8n,
  E: 1n << 9n,
  GE: 0xf_0000n,
  PAN: 1n << 22n,
} as const;
const CPSR_SSBS = 1n << 23n;
/** N, Z, C, V, Q and DIT keep their values. */
const KEPT = 0xf820_0000n;
const ABORT_MODE = 0x17n;
const DATA_ABORT_VECTOR = 0x10n;
const HIGH_VECTORS = 0xffff_0000n;
/** LR of Abort mode in AArch64's numbering of the registers. */
const LR_ABT = 20;
const SPSR_ABT = 1;

function takeAbort32({ cpu }: VcpuState): void {
  const sctlr = cpu.get("SCTLR_EL1");
  const old = cpu.pstate;
  const when = (bit: bigint, becomes: bigint) => ((sctlr & bit) !== 0n ? becomes : 0n);
  const kept = old & (KEPT | Cpsr.PAN | Cpsr.GE | Cpsr.F);
  const pan = (sctlr & Sctlr.SPAN) === 0n ? Cpsr.PAN : 0n;
  const said = when(Sctlr.DSSBS, CPSR_SSBS) | when(Sctlr.EE, Cpsr.E) | when(Sctlr.TE, Cpsr.T);
  cpu.setSpsr(SPSR_ABT, old & LOW_WORD);
  cpu.setX(LR_ABT, (cpu.pc + 8n) & LOW_WORD);
  cpu.pstate = kept | pan | said | Cpsr.A | Cpsr.I | ABORT_MODE;
  const base = (sctlr & Sctlr.V) !== 0n ? HIGH_VECTORS : cpu.get("VBAR_EL1");
  cpu.pc = (base + DATA_ABORT_VECTOR) & LOW_WORD;
}
