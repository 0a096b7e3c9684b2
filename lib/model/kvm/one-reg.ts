// KVM_GET_ONE_REG and KVM_SET_ONE_REG: which space an id belongs to, and the order of the checks inside each.
// Documentation/virt/kvm/api.rst 4.68, 4.69.

import { Space } from "../../arm64/reg-id.js";
import { Refused } from "../../errors.js";
import { type ErrnoName, errno } from "../../uapi/errno.js";
import type { VcpuState } from "../vcpu-state.js";
import { getCore, setCore } from "./core-regs.js";
import { getCcsidr, setCcsidr } from "./demux-regs.js";
import { getFirmware, getFirmwareFeatures, setFirmware, setFirmwareFeatures } from "./firmware-regs.js";
import { getSve, setSve } from "./sve-regs.js";
import { getSysReg, isInvariant, setSysReg } from "./sys-regs.js";

/** What a space does with an id: the errno, or null for success. `value` is as long as the id says. */
export type Register = (vcpu: VcpuState, id: RegisterId, value: DataView) => ErrnoName | null;

/** An id taken apart. */
export interface RegisterId {
  readonly id: bigint;
  /** What the size field says. */
  readonly bytes: number;
  /** Bits 31:0 without the space in 27:16: stray bits in 31:28 make it large. */
  readonly index: number;
}

const ARM64 = 0x6000_0000;
const SIZE = 0x00f0_0000;

const spaces = new Map<number, readonly [get: Register, set: Register]>([
  [Space.arm64Core, [getCore, setCore]],
  [Space.demux, [getCcsidr, setCcsidr]],
  [Space.sysReg, [getSysReg, setSysReg]],
  [Space.firmware, [getFirmware, setFirmware]],
  [Space.firmwareFeatures, [getFirmwareFeatures, setFirmwareFeatures]],
  [Space.sve, [getSve, setSve]],
]);

/** Bytes of a register, by the size field of its id. */
export function registerBytes(id: bigint): number {
  return 1 << Number((id >> 52n) & 15n);
}

const parts = new DataView(new ArrayBuffer(8));

/** One access. `value.byteLength` is `registerBytes(id)`. */
export function oneReg(vcpu: VcpuState, what: "get" | "set", id: bigint, value: DataView): ErrnoName | null {
  if (vcpu.get("initialised") === 0) return "ENOEXEC";
  parts.setBigUint64(0, id);
  const high = parts.getUint32(0);
  const low = parts.getUint32(4);
  if ((high & ~SIZE) >>> 0 !== ARM64) return "EINVAL";
  const space = spaces.get((low >>> 16) & 0xfff);
  const register = { id, bytes: value.byteLength, index: (low & 0xf000_ffff) >>> 0 };
  if (space === undefined) return noSpace(vcpu, what, register, value);
  return space[what === "get" ? 0 : 1](vcpu, register, value);
}

const IN_SYSTEM_SPACE = BigInt(Space.sysReg) << 16n;
const SPACE_BITS = 0xfff_0000n;

/** An id of no space. Kernels that keep the invariant registers apart look for those without looking at the space. */
function noSpace(vcpu: VcpuState, what: "get" | "set", register: RegisterId, value: DataView): ErrnoName | null {
  const id = (register.id & ~SPACE_BITS) | IN_SYSTEM_SPACE;
  if (!vcpu.vm.profile.switches.invariantsListedFirst || !isInvariant(vcpu, id)) return "ENOENT";
  return (what === "get" ? getSysReg : setSysReg)(vcpu, { ...register, id }, value);
}

/** Reads or writes a list of registers, one packed after the other; gives how many went well. */
export function manyRegs(
  vcpu: VcpuState,
  what: "get" | "set",
  ids: BigUint64Array,
  values: Uint8Array,
  errnoOut: Int32Array,
): number {
  let at = 0;
  for (let n = 0; n < ids.length; n++) {
    const bytes = registerBytes(ids[n]!);
    if (at + bytes > values.length) throw new RangeError(`values: ${values.length} bytes do not hold register ${n}`);
    const refused = oneReg(vcpu, what, ids[n]!, new DataView(values.buffer, values.byteOffset + at, bytes));
    if (refused !== null) {
      errnoOut[0] = errno(refused);
      return n;
    }
    at += bytes;
  }
  return ids.length;
}

/** Throws what a space said. */
export function check(refused: ErrnoName | null, call: string): void {
  if (refused !== null) throw new Refused(refused, call);
}
