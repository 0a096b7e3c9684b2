// The frames of a GICv3 in the guest's address space.

import type { VcpuState } from "../vcpu-state.js";
import { DISTRIBUTOR_BYTES, REDISTRIBUTOR_BYTES, redistributorBase } from "./frames.js";
import { type Gic, gicOf } from "./gic.js";
import type { Access } from "./interrupt-registers.js";
import { distributor, findRow, type Row, redistributor } from "./v3-frames.js";

interface Hit {
  readonly rows: readonly Row[];
  /** Whose registers they are. */
  readonly vcpu: VcpuState;
  readonly at: number;
}

/** Which frame holds an access wholly. */
function frameOf(gic: Gic, vcpu: VcpuState, address: bigint, bytes: number): Hit | null {
  const inside = (base: bigint, length: bigint) => address >= base && address + BigInt(bytes) <= base + length;
  const base = gic.quad("distributorBase");
  if (inside(base, DISTRIBUTOR_BYTES)) return { rows: distributor, vcpu, at: Number(address - base) };
  for (const owner of gic.vcpus) {
    const own = redistributorBase(owner);
    if (inside(own, REDISTRIBUTOR_BYTES)) return { rows: redistributor, vcpu: owner, at: Number(address - own) };
  }
  return null;
}

/** Accesses of 64 bits are two of 32. */
const pieces = (bytes: number): readonly number[] => (bytes === 8 ? [0, 4] : [0]);

/** A guest's load or store (`value`) at an address; null: no frame is there. A store gives 0n. */
export function accessFrames(vcpu: VcpuState, address: bigint, bytes: number, value: bigint | null): bigint | null {
  const gic = gicOf(vcpu.vm);
  if (gic === null || gic.get("mapped") === 0) return null;
  return vcpu.vm.gicLocked(() => {
    const hit = frameOf(gic, vcpu, address, bytes);
    if (hit === null) return null;
    // The guest was left to come here.
    gic.passExit(vcpu);
    const row = findRow(hit.rows, gic, hit.at, bytes);
    if (row === null) return 0n;
    const access = (offset: number): Access => ({
      gic,
      vcpu: hit.vcpu,
      at: hit.at + offset,
      bytes: Math.min(bytes, 4),
      by: vcpu,
    });
    if (value === null)
      return pieces(bytes).reduce((all, n) => all | (BigInt(row.read(access(n))) << BigInt(8 * n)), 0n);
    for (const n of pieces(bytes))
      row.write(access(n), Number((value >> BigInt(8 * n)) & (2n ** BigInt(8 * Math.min(bytes, 4)) - 1n)));
    return 0n;
  });
}
