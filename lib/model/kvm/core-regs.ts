// The core registers: struct kvm_regs by 32-bit words.

import type { ErrnoName } from "../../uapi/errno.js";
import { cells, Pstate } from "../cpu/state.js";
import { hasAarch32El0 } from "../host/host.js";
import { Feature } from "../vcpu-features.js";
import type { VcpuState } from "../vcpu-state.js";
import type { RegisterId } from "./one-reg.js";

// Where the members of struct kvm_regs begin, in words.
const SP = 0x3e;
const PC = 0x40;
const PSTATE = 0x42;
const SP_EL1 = 0x44;
const ELR_EL1 = 0x46;
const SPSR = 0x48;
const V = 0x54;
const FPSR = 0xd4;
const FPCR = 0xd5;
const WORDS = 216;

interface Member {
  readonly bytes: 4 | 8 | 16;
  /** 64-bit cell of the CPU's state. */
  readonly cell: number;
}

// FPSR is the low word of its cell, FPCR the high one; PSTATE is put together from two words.
const members = new Map<number, Member>([
  ...Array.from({ length: 31 }, (_, n): [number, Member] => [2 * n, { bytes: 8, cell: cells.x + n }]),
  [SP, { bytes: 8, cell: cells.spEl0 }],
  [PC, { bytes: 8, cell: cells.pc }],
  [PSTATE, { bytes: 8, cell: cells.flags }],
  [SP_EL1, { bytes: 8, cell: cells.spEl1 }],
  [ELR_EL1, { bytes: 8, cell: cells.elrEl1 }],
  ...Array.from({ length: 5 }, (_, n): [number, Member] => [SPSR + 2 * n, { bytes: 8, cell: cells.spsr + n }]),
  ...Array.from({ length: 32 }, (_, n): [number, Member] => [V + 4 * n, { bytes: 16, cell: cells.v + 2 * n }]),
  [FPSR, { bytes: 4, cell: cells.fpsrFpcr }],
  [FPCR, { bytes: 4, cell: cells.fpsrFpcr }],
]);

/** Ids of the core space in the order of KVM_GET_REG_LIST: word and bytes. */
export function coreRegisters(vcpu: VcpuState): { word: number; bytes: number }[] {
  return [...members]
    .filter(([, { bytes }]) => bytes !== 16 || !vcpu.feature(Feature.sve))
    .map(([word, { bytes }]) => ({ word, bytes }));
}

function find(vcpu: VcpuState, { index, bytes }: RegisterId): Member | ErrnoName {
  if (index >= WORDS || index + Math.floor(bytes / 4) >= WORDS) return "ENOENT";
  const member = members.get(index);
  if (member === undefined || member.bytes !== bytes) return "EINVAL";
  return member.bytes === 16 && vcpu.feature(Feature.sve) ? "EINVAL" : member;
}

export function getCore(vcpu: VcpuState, register: RegisterId, value: DataView): ErrnoName | null {
  const member = find(vcpu, register);
  if (typeof member === "string") return member;
  const { cpu } = vcpu;
  if (register.index === PSTATE)
    value.setBigUint64(0, cpu.pstate | (BigInt(vcpu.get("pstateHigh") >>> 0) << 32n), true);
  else if (register.index === FPSR) value.setUint32(0, cpu.fpsr, true);
  else if (register.index === FPCR) value.setUint32(0, cpu.fpcr, true);
  else for (let n = 0; n < member.bytes / 8; n++) value.setBigUint64(8 * n, cpu.quads[member.cell + n]!, true);
  return null;
}

/** Modes of AArch32 state. */
const USR = 0x10;
const SYS = 0x1f;
/** FIQ, IRQ, SVC, ABT, UND, SYS. */
const MODES_32: readonly number[] = [0x11, 0x12, 0x13, 0x17, 0x1b, SYS];
/** EL0t, EL1t, EL1h; EL2t, EL2h. */
const MODES_64: readonly number[] = [0, 4, 5];
const MODES_EL2: readonly number[] = [8, 9];

function hasMode(vcpu: VcpuState, mode: number): boolean {
  if (mode === USR) return hasAarch32El0(vcpu.vm.profile.host);
  if (vcpu.feature(Feature.el1_32bit)) return MODES_32.includes(mode);
  return MODES_64.includes(mode) || (vcpu.feature(Feature.hasEl2) && MODES_EL2.includes(mode));
}

/** In AArch32 state PC and the registers that the mode has are 32 bits wide, whatever was written. */
function narrow({ cpu }: VcpuState): void {
  const count = [USR, SYS].includes(cpu.mode & Pstate.M) ? 15 : 31;
  for (let n = 0; n < count; n++) cpu.setX(n, cpu.x(n) & 0xffff_ffffn);
  cpu.pc &= 0xffff_ffffn;
}

export function setCore(vcpu: VcpuState, register: RegisterId, value: DataView): ErrnoName | null {
  const member = find(vcpu, register);
  if (typeof member === "string") return member;
  const { cpu } = vcpu;
  if (register.index === PSTATE) {
    const pstate = value.getBigUint64(0, true);
    if (!hasMode(vcpu, Number(pstate & 31n))) return "EINVAL";
    cpu.pstate = pstate;
    vcpu.put("pstateHigh", Number(BigInt.asIntN(32, pstate >> 32n)));
  } else if (register.index === FPSR) cpu.fpsr = value.getUint32(0, true);
  else if (register.index === FPCR) cpu.fpcr = value.getUint32(0, true);
  else for (let n = 0; n < member.bytes / 8; n++) cpu.quads[member.cell + n] = value.getBigUint64(8 * n, true);
  if ((cpu.mode & Pstate.nRW) !== 0) narrow(vcpu);
  return null;
}
