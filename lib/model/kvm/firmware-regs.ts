// Firmware pseudo-registers and feature bitmaps: Documentation/virt/kvm/arm/fw-pseudo-registers.rst.

import { decode } from "../../arm64/fields.js";
import { firmwareBitmaps } from "../../arm64/firmware-features.js";
import type { Kernel } from "../../arm64/sysreg-row.js";
import type { ErrnoName } from "../../uapi/errno.js";
import { vmCells } from "../layout.js";
import { Feature } from "../vcpu-features.js";
import type { VcpuState } from "../vcpu-state.js";
import type { VmState } from "../vm-state.js";
import type { RegisterId } from "./one-reg.js";

const PSCI_VERSION = 0;
const WORKAROUND_2 = 2;
export const FIRMWARE_COUNT = 4;

/** What the host says to SMCCC_ARCH_WORKAROUND_1, 2 and 3. */
export function workaround(vcpu: VcpuState, index: number): bigint {
  const { host } = vcpu.vm.profile;
  // SSBS takes the place of firmware; a guest that is not shown it is told that it needs neither.
  const hidden =
    index === WORKAROUND_2 && hasSsbs(host.value("ID_AA64PFR1_EL1")) && !hasSsbs(vcpu.idRegister("ID_AA64PFR1_EL1"));
  return BigInt(hidden ? NOT_REQUIRED_2 : host.workarounds[index - 1]!);
}

const NOT_REQUIRED_2 = 3;
const hasSsbs = (pfr1: bigint): boolean => decode("ID_AA64PFR1_EL1", pfr1).fields.SSBS !== 0;
const LEVEL = 0xfn;
const ENABLED = 0x10n;
const AVAILABLE = 2n;
export const PSCI_0_1 = 1;
const PSCI_0_2 = 2;
/** Versions that exist since PSCI 1.0: 1.0, 1.1, … */
const PSCI_1_0 = 0x1_0000;

/** What the guest's PSCI_VERSION says, and which of its functions there are. */
export function psciVersion(vcpu: VcpuState): number {
  if (!vcpu.feature(Feature.psci02)) return PSCI_0_1;
  return vcpu.vm.get("psciVersion") || vcpu.vm.profile.switches.psciVersion;
}

export function getFirmware(vcpu: VcpuState, { index, bytes }: RegisterId, value: DataView): ErrnoName | null {
  if (bytes !== 8 || index >= FIRMWARE_COUNT) return "ENOENT";
  value.setBigUint64(0, index === PSCI_VERSION ? BigInt(psciVersion(vcpu)) : workaround(vcpu, index), true);
  return null;
}

export function setFirmware(vcpu: VcpuState, { index, bytes }: RegisterId, value: DataView): ErrnoName | null {
  if (bytes !== 8 || index >= FIRMWARE_COUNT) return "ENOENT";
  const wanted = value.getBigUint64(0, true);
  if (index === PSCI_VERSION) return setPsciVersion(vcpu, wanted);
  const host = workaround(vcpu, index);
  if (index !== WORKAROUND_2) return wanted > LEVEL || wanted > host ? "EINVAL" : null;
  const level = wanted & LEVEL;
  if ((wanted & ~(LEVEL | ENABLED)) !== 0n) return "EINVAL";
  if ((wanted & ENABLED) !== 0n && level !== AVAILABLE) return "EINVAL";
  // Levels are not those of the register before 4.19: not available and unknown are 0, available and not required 3.
  return level > 3n || (level > 1n ? 3n : 0n) > host ? "EINVAL" : null;
}

function setPsciVersion(vcpu: VcpuState, wanted: bigint): ErrnoName | null {
  const newest = vcpu.vm.profile.switches.psciVersion;
  const version = Number(wanted);
  const has02 = vcpu.feature(Feature.psci02);
  const known = version === PSCI_0_2 || (version >= PSCI_1_0 && version <= newest);
  if (!(version === PSCI_0_1 ? !has02 : known && has02)) return "EINVAL";
  vcpu.vm.put("psciVersion", version);
  return null;
}

/** The largest value of a bitmap; undefined: this kernel has no such register. */
function limitOf(vm: VmState, index: number): bigint | undefined {
  const maximum: Partial<Record<Kernel, bigint>> | undefined = firmwareBitmaps[index]?.maximum;
  return maximum?.[vm.profile.kernel];
}

/** How many bitmaps the kernel has. */
export const bitmapCount = (vm: VmState): number =>
  firmwareBitmaps.filter((_, n) => limitOf(vm, n) !== undefined).length;

/** The bitmaps of a new VM. */
export function initBitmaps(vm: VmState): void {
  for (const [n, { initial }] of firmwareBitmaps.entries()) vm.putQuad("firmwareBitmaps", initial, n);
}

/** The bitmap of a firmware register, as the guest's services are switched by it. */
export const firmwareBitmap = (vcpu: VcpuState, index: number): bigint =>
  vcpu.vm.quads[vmCells.firmwareBitmaps + index]!;

export function getFirmwareFeatures(vcpu: VcpuState, { index, bytes }: RegisterId, value: DataView): ErrnoName | null {
  if (bytes !== 8 || limitOf(vcpu.vm, index) === undefined) return "ENOENT";
  value.setBigUint64(0, firmwareBitmap(vcpu, index), true);
  return null;
}

export function setFirmwareFeatures(vcpu: VcpuState, { index, bytes }: RegisterId, value: DataView): ErrnoName | null {
  const limit = limitOf(vcpu.vm, index);
  if (bytes !== 8 || limit === undefined) return "ENOENT";
  const wanted = value.getBigUint64(0, true);
  if ((wanted & ~limit) !== 0n) return "EINVAL";
  if (vcpu.vm.peek("ran") === 1) return wanted === firmwareBitmap(vcpu, index) ? null : "EBUSY";
  vcpu.vm.quads[vmCells.firmwareBitmaps + index] = wanted;
  return null;
}
