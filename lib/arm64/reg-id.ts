// Register ids of KVM_GET_ONE_REG and KVM_SET_ONE_REG: bigints that know their width.
// Documentation/virt/kvm/api.rst 4.68; include/uapi/linux/kvm.h KVM_REG_*.

import { shown } from "./argument.js";

declare const width: unique symbol;

/** Widths that the size field of an id can express and KVM uses. */
export type RegBits = 8 | 16 | 32 | 64 | 128 | 256 | 512 | 1024 | 2048;

/** A register id. The width of the register is part of the type. */
export type RegId<B extends RegBits = RegBits> = bigint & { readonly [width]: B };

/** What a register of this width holds: up to 32 bits a number, 64 a bigint, more its bytes in little-endian order. */
export type RegValue<B extends RegBits = RegBits> = B extends 8 | 16 | 32 ? number : B extends 64 ? bigint : Uint8Array;

/** Bits 63:56 of an id. */
export const ARCH_ARM = 0x40;
export const ARCH_ARM64 = 0x60;

/** Bits 27:16 of an id: which space bits 15:0 index. */
export const Space = {
  arm64Core: 0x10,
  demux: 0x11,
  sysReg: 0x13,
  firmware: 0x14,
  sve: 0x15,
  firmwareFeatures: 0x16,
  armCp15: 0x0f,
  armCore: 0x10,
  armVfp: 0x12,
} as const;

/** Where registers stand in struct kvm_regs, in words of 32 bits: the indexes of the core space. asm/kvm.h. */
export const CoreWord = {
  /** And X1 to X30 behind it, two words each. */
  x0: 0,
  sp: 0x3e,
  pc: 0x40,
  pstate: 0x42,
  SP_EL1: 0x44,
  ELR_EL1: 0x46,
  SPSR_EL1: 0x48,
  SPSR_abt: 0x4a,
  SPSR_und: 0x4c,
  SPSR_irq: 0x4e,
  SPSR_fiq: 0x50,
  /** And V1 to V31 behind it, four words each. */
  v0: 0x54,
  FPSR: 0xd4,
  FPCR: 0xd5,
} as const;

/** Puts an id together. The caller vouches for the ranges. */
export function makeId<B extends RegBits>(arch: number, bits: B, space: number, index: number): RegId<B> {
  const high = ((arch << 24) | ((Math.log2(bits) - 3) << 20)) >>> 0;
  return ((BigInt(high) << 32n) | BigInt(((space << 16) | index) >>> 0)) as RegId<B>;
}

/** The width of a register. */
export function bitsOf<B extends RegBits>(id: RegId<B>): B {
  return (8 << (Number(id >> 52n) & 0xf)) as B;
}

/** The number of bytes that KVM moves for a register. */
export function bytesOf(id: RegId): number {
  return 1 << (Number(id >> 52n) & 0xf);
}

/** Whether a register is `bits` wide. */
export function is<B extends RegBits>(id: RegId, bits: B): id is RegId<B> {
  return bitsOf(id) === bits;
}

/**
 * Checks a number from elsewhere and makes it a register id: architecture 0x40 or 0x60, size field 0 to 8. The other
 * bits are not looked at: whether the register exists is for KVM to say. With `bits`, the width must be that.
 */
export function regId(id: bigint): RegId;
export function regId<B extends RegBits>(id: bigint, bits: B): RegId<B>;
export function regId(id: bigint, bits?: RegBits): RegId {
  if (typeof id !== "bigint") throw new TypeError(`regId: id must be a bigint, got ${shown(id)}`);
  if (id < 0n || id >= 1n << 64n) throw new RangeError(`regId: id must fit in 64 bits, got ${id}`);
  const arch = Number(id >> 56n);
  const hex = `0x${id.toString(16)}`;
  if (arch !== ARCH_ARM64 && arch !== ARCH_ARM)
    throw new RangeError(`regId: id ${hex}: bits 63:56 must be 0x60 (arm64) or 0x40 (arm), got 0x${arch.toString(16)}`);
  const size = Number(id >> 52n) & 0xf;
  if (size > 8) throw new RangeError(`regId: id ${hex}: size field, bits 55:52, must be 0 to 8, got ${size}`);
  if (bits !== undefined && 8 << size !== bits)
    throw new RangeError(`regId: id ${hex} is a register of ${8 << size} bits, not of ${String(bits)}`);
  return id as RegId;
}
