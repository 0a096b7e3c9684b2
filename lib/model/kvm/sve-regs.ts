// The SVE registers and the pseudo-register of vector lengths: Documentation/arch/arm64/sve.rst, api.rst 4.68.

import type { ErrnoName } from "../../uapi/errno.js";
import { cells } from "../cpu/state.js";
import { vcpuCells } from "../layout.js";
import { Feature } from "../vcpu-features.js";
import type { VcpuState } from "../vcpu-state.js";
import type { RegisterId } from "./one-reg.js";

export const VLS_INDEX = 0xffff;
const VLS_BYTES = 64;
const Z_BYTES = 256;
const P_BYTES = 32;
const P_FIRST = 0x400;
/** P0 to P15, then FFR. */
const P_COUNT = 17;
const END = P_FIRST + 32 * P_COUNT;
const SLICE = 31;

/** Ids in the order of KVM_GET_REG_LIST: index and bytes. */
export const sveRegisters: readonly { index: number; bytes: number }[] = [
  { index: VLS_INDEX, bytes: VLS_BYTES },
  ...Array.from({ length: 32 }, (_, n) => ({ index: n << 5, bytes: Z_BYTES })),
  ...Array.from({ length: P_COUNT }, (_, n) => ({ index: P_FIRST | (n << 5), bytes: P_BYTES })),
];

/** Where a register lies in the vCPU's block. */
interface Region {
  /** Its bytes; for Z those beyond the 16 that V holds. */
  readonly bytes: Uint8Array;
  /** The lower 16 bytes of Z. */
  readonly v: Uint8Array | null;
}

function region(vcpu: VcpuState, { index, bytes }: RegisterId): Region | ErrnoName {
  const isZ = index < P_FIRST;
  if (index >= END || bytes !== (isZ ? Z_BYTES : P_BYTES)) return "EINVAL";
  if (!vcpu.feature(Feature.sve) || (index & SLICE) !== 0) return "ENOENT";
  if (vcpu.get("finalized") === 0) return "EPERM";
  const n = index >> 5;
  const length = isZ ? vcpu.vectorBytes : vcpu.vectorBytes / 8;
  const at =
    vcpu.quads.byteOffset + vcpuCells.sve * 8 + (isZ ? n * Z_BYTES : 32 * Z_BYTES + (n - P_FIRST / 32) * P_BYTES);
  const buffer = vcpu.quads.buffer;
  if (!isZ) return { bytes: new Uint8Array(buffer, at, length), v: null };
  return {
    bytes: new Uint8Array(buffer, at + 16, length - 16),
    v: new Uint8Array(buffer, vcpu.cpu.base + (cells.v + 2 * n) * 8, 16),
  };
}

const bytesOf = (value: DataView) => new Uint8Array(value.buffer, value.byteOffset, value.byteLength);

export function getSve(vcpu: VcpuState, register: RegisterId, value: DataView): ErrnoName | null {
  if (register.index === VLS_INDEX && register.bytes === VLS_BYTES) {
    if (!vcpu.feature(Feature.sve)) return "ENOENT";
    bytesOf(value).fill(0);
    value.setUint32(0, vcpu.get("vls"), true);
    return null;
  }
  const where = region(vcpu, register);
  if (typeof where === "string") return where;
  const out = bytesOf(value).fill(0);
  if (where.v !== null) out.set(where.v);
  out.set(where.bytes, where.v === null ? 0 : 16);
  return null;
}

export function setSve(vcpu: VcpuState, register: RegisterId, value: DataView): ErrnoName | null {
  if (register.index === VLS_INDEX && register.bytes === VLS_BYTES) return setLengths(vcpu, value);
  const where = region(vcpu, register);
  if (typeof where === "string") return where;
  const from = bytesOf(value);
  const skip = where.v === null ? 0 : 16;
  where.v?.set(from.subarray(0, 16));
  where.bytes.set(from.subarray(skip, skip + where.bytes.length));
  return null;
}

function setLengths(vcpu: VcpuState, value: DataView): ErrnoName | null {
  if (!vcpu.feature(Feature.sve)) return "ENOENT";
  if (vcpu.get("finalized") === 1) return "EPERM";
  const wanted = value.getUint32(0, true);
  for (let at = 4; at < VLS_BYTES; at += 4) if (value.getUint32(at, true) !== 0) return "EINVAL";
  // All lengths of the host up to the longest that is wanted.
  const upTo = 2 ** (32 - Math.clz32(wanted)) - 1;
  if (wanted === 0 || wanted !== (vcpu.vm.profile.host.vectorLengths & upTo) >>> 0) return "EINVAL";
  vcpu.put("vls", wanted);
  return null;
}
