// Which vCPU an affinity names. Several may have the same: those without INIT have 0, and userspace sets MPIDR_EL1.

import { type VcpuState, vcpusInOrder } from "./vcpu-state.js";
import type { VmState } from "./vm-state.js";

export const AFFINITY = 0xff_00ff_ffffn;

/** Aff3.Aff2.Aff1.Aff0 where MPIDR_EL1 has them: whoever reads such an MPIDR_EL1. */
export const affinityOf = (vcpu: VcpuState): bigint => vcpu.cpu.get("MPIDR_EL1") & AFFINITY;

/** A page of 16-bit entries, but for the mask before them. */
const MOST_ENTRIES = 2044;

const bitsOf = (value: bigint): number => value.toString(2).replaceAll("0", "").length;

/**
 * A vCPU runs for the first time. From 6.12 on its VM puts down who has which affinity, by the bits in which they differ: the
 * last one of several. A vCPU that is created later ends the table. Inside `locked`.
 */
export function tabulateAffinities(vm: VmState): void {
  if (!vm.profile.switches.affinityTable || vm.get("vcpuCount") < 2 || vm.get("affinityTable") === 1) return;
  const vcpus = vcpusInOrder(vm);
  const affinities = vcpus.map(affinityOf);
  const [some, all] = [affinities.reduce((a, b) => a | b), affinities.reduce((a, b) => a & b)];
  const mask = some ^ all;
  if (2 ** bitsOf(mask) > MOST_ENTRIES) return;
  for (const [n, vcpu] of vcpus.entries()) vcpu.putQuad("affinityIndex", affinities[n]! & mask);
  vm.putQuad("affinityMask", mask);
  vm.put("affinityTable", 1);
}

/** `vcpus` in the order of creation. */
export function vcpuByAffinity(vm: VmState, vcpus: readonly VcpuState[], affinity: bigint): VcpuState | null {
  if (vm.get("affinityTable") === 1) {
    const index = affinity & vm.quad("affinityMask");
    // Where there is no entry it is 0, the first.
    const entry = vcpus.findLast((vcpu) => vcpu.quad("affinityIndex") === index) ?? vcpus[0]!;
    if (affinityOf(entry) === affinity) return entry;
  }
  return vcpus.find((vcpu) => affinityOf(vcpu) === affinity) ?? null;
}
