// CCSIDR_EL1, demultiplexed by CSSELR_EL1.

import { decode } from "../../arm64/fields.js";
import type { ErrnoName } from "../../uapi/errno.js";
import type { VcpuState } from "../vcpu-state.js";
import type { RegisterId } from "./one-reg.js";

/** Values of CSSELR_EL1: seven levels, each data or unified, and instruction. */
export const CSSELR_COUNT = 14;
const LINE_SIZE = 7;

/** A cache whose geometry is made up: one set, one way, and the least line size that CTR_EL0 allows. */
function madeUp(vcpu: VcpuState, csselr: number): number {
  const { IminLine, DminLine } = decode("CTR_EL0", vcpu.vm.profile.host.value("CTR_EL0")).fields;
  return (csselr % 2 === 1 ? IminLine : DminLine) - 2;
}

/** The caches that a kernel lists: all, or those of the host. */
export function cachesOf(vcpu: VcpuState): number[] {
  if (!vcpu.vm.profile.switches.ccsidrFabricated) return [...vcpu.vm.profile.host.caches.keys()];
  return Array.from({ length: CSSELR_COUNT }, (_, n) => n);
}

/** The value of CSSELR_EL1, or -1 where there is no such register. */
function csselrOf(vcpu: VcpuState, { index, bytes }: RegisterId): number {
  if (bytes !== 4 || index >= CSSELR_COUNT) return -1;
  return vcpu.vm.profile.switches.ccsidrFabricated || cachesOf(vcpu).includes(index) ? index : -1;
}

function read(vcpu: VcpuState, csselr: number): number {
  if (!vcpu.vm.profile.switches.ccsidrFabricated) return vcpu.vm.profile.host.caches.get(csselr) ?? 0;
  return vcpu.get("ccsidrSet") === 1 ? vcpu.get("ccsidr", csselr) : madeUp(vcpu, csselr);
}

export function getCcsidr(vcpu: VcpuState, register: RegisterId, value: DataView): ErrnoName | null {
  const csselr = csselrOf(vcpu, register);
  if (csselr < 0) return "ENOENT";
  value.setInt32(0, read(vcpu, csselr), true);
  return null;
}

export function setCcsidr(vcpu: VcpuState, register: RegisterId, value: DataView): ErrnoName | null {
  const csselr = csselrOf(vcpu, register);
  if (csselr < 0) return "ENOENT";
  const wanted = value.getInt32(0, true);
  const before = read(vcpu, csselr);
  if (!vcpu.vm.profile.switches.ccsidrFabricated) return wanted === before ? null : "EINVAL";
  if ((wanted & LINE_SIZE) < madeUp(vcpu, csselr)) return "EINVAL";
  if (wanted === before) return null;
  if (vcpu.get("ccsidrSet") === 0) {
    for (let n = 0; n < CSSELR_COUNT; n++) vcpu.put("ccsidr", madeUp(vcpu, n), n);
    vcpu.put("ccsidrSet", 1);
  }
  vcpu.put("ccsidr", wanted, csselr);
  return null;
}

/**
 * What the guest reads: the cache that its CSSELR_EL1 selects. Where that is none, as at reset, KVM leaves the register that
 * the guest reads to (`rt`) alone; the CPU, where KVM does not trap, says 0.
 */
export function selectedCcsidr(vcpu: VcpuState, rt: number): bigint {
  const csselr = Number(vcpu.cpu.get("CSSELR_EL1") & 0xfn);
  if (csselr < CSSELR_COUNT) return BigInt(read(vcpu, csselr));
  return vcpu.vm.profile.switches.cacheIdsTrapped && rt !== 31 ? vcpu.cpu.x(rt) : 0n;
}
