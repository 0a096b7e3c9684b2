// Where the frames of a GICv3 lie: the distributor, and a redistributor for each vCPU in the regions that userspace
// gave. Documentation/virt/kvm/devices/arm-vgic-v3.rst, KVM_DEV_ARM_VGIC_GRP_ADDR. Everything here is to be called
// inside `vm.gicLocked`.

import { Refused } from "../../errors.js";
import type { ErrnoName } from "../../uapi/errno.js";
import { BUS_DEVICES } from "../layout.js";
import type { VcpuState } from "../vcpu-state.js";
import { type Gic, gicOf } from "./gic.js";
import { gicVcpuCells, REGIONS } from "./layout.js";

export const UNSET = 2n ** 64n - 1n;
const ALIGNMENT = 0x1_0000n;
export const DISTRIBUTOR_BYTES = 0x1_0000n;
/** RD_base and SGI_base. */
export const REDISTRIBUTOR_BYTES = 0x2_0000n;

/** KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION: count 63:52, base 51:16, flags 15:12, index 11:0. */
const COUNT_SHIFT = 52n;
const BASE = 0x000f_ffff_ffff_0000n;
const INDEX = 0xfffn;

export const redistributorBase = (vcpu: VcpuState): bigint => vcpu.quad("gic", gicVcpuCells.redistributorBase);

interface Region {
  readonly base: bigint;
  /** 0: as many redistributors as there are vCPUs. */
  readonly count: number;
  readonly used: number;
}

function region(gic: Gic, index: number): Region {
  return {
    base: gic.tableQuad("regions", 2 * index),
    count: gic.word("regions", 4 * index + 2),
    used: gic.word("regions", 4 * index + 3),
  };
}

const setUsed = (gic: Gic, index: number, used: number) => gic.putWord("regions", 4 * index + 3, used);

const regions = (gic: Gic): Region[] => Array.from({ length: gic.get("regionCount") }, (_, n) => region(gic, n));

/** A region without a count is as long as its vCPUs need. */
const regionBytes = (gic: Gic, { count }: Region): bigint => REDISTRIBUTOR_BYTES * BigInt(count || gic.vcpus.length);

const overlaps = (a: bigint, aBytes: bigint, b: bigint, bBytes: bigint) => a + aBytes > b && b + bBytes > a;

const overlapsRegion = (gic: Gic, base: bigint, bytes: bigint) =>
  regions(gic).some((one) => overlaps(base, bytes, one.base, regionBytes(gic, one)));

/** What is wrong with a place for a frame; null: nothing. */
export function wrongPlace(gic: Gic, base: bigint, alignment: bigint, bytes: bigint): ErrnoName | null {
  if (base % alignment !== 0n || bytes % alignment !== 0n || base + bytes >= 1n << 64n) return "EINVAL";
  const space = 1n << BigInt(gic.vm.get("ipaBits"));
  return base >= space || base + bytes > space ? "E2BIG" : null;
}

/** A frame of which there is one. */
export function placeFrame(
  gic: Gic,
  name: "distributorBase" | "cpuBase",
  base: bigint,
  alignment: bigint,
  bytes: bigint,
): ErrnoName | null {
  if (gic.quad(name) !== UNSET) return "EEXIST";
  const wrong = wrongPlace(gic, base, alignment, bytes);
  if (wrong === null) gic.putQuad(name, base);
  return wrong;
}

export const placeDistributor = (gic: Gic, base: bigint): ErrnoName | null =>
  placeFrame(gic, "distributorBase", base, ALIGNMENT, DISTRIBUTOR_BYTES);

/** KVM_VGIC_V3_ADDR_TYPE_REDIST. */
export const placeRedistributors = (gic: Gic, base: bigint): ErrnoName | null => addRegion(gic, 0, base, 0);

export const firstRegionBase = (gic: Gic): bigint => (gic.get("regionCount") === 0 ? UNSET : region(gic, 0).base);

/** KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION. */
export function placeRegion(gic: Gic, value: bigint): ErrnoName | null {
  const count = Number(value >> COUNT_SHIFT);
  const flags = (value >> 12n) & 0xfn;
  if (count === 0 || flags !== 0n) return "EINVAL";
  return addRegion(gic, Number(value & INDEX), value & BASE, count);
}

/** The region whose index `value` holds, in the same form; null: there is none. */
export function regionValue(gic: Gic, value: bigint): bigint | null {
  // The kernel keeps the index in eight bits.
  const index = Number(value & INDEX) & 0xff;
  if (index >= gic.get("regionCount")) return null;
  const { base, count } = region(gic, index);
  return BigInt(index) | base | (BigInt(count) << COUNT_SHIFT);
}

function addRegion(gic: Gic, index: number, base: bigint, count: number): ErrnoName | null {
  const bytes = REDISTRIBUTOR_BYTES * BigInt(count || gic.vcpus.length);
  const wrong = wrongRegion(gic, index, base, count, bytes);
  if (wrong !== null) return wrong;
  gic.putTableQuad("regions", 2 * index, base);
  gic.putWord("regions", 4 * index + 2, count);
  setUsed(gic, index, 0);
  gic.put("regionCount", index + 1);
  const given: VcpuState[] = [];
  for (const vcpu of gic.vcpus) {
    const had = redistributorBase(vcpu) !== UNSET;
    const refused = placeRedistributor(gic, vcpu);
    if (refused === null) {
      if (!had && redistributorBase(vcpu) !== UNSET) given.push(vcpu);
      continue;
    }
    for (const one of given) one.putQuad("gic", UNSET, gicVcpuCells.redistributorBase);
    gic.put("regionCount", index);
    return refused;
  }
  return null;
}

function wrongRegion(gic: Gic, index: number, base: bigint, count: number, bytes: bigint): ErrnoName | null {
  if (base + bytes >= 1n << 64n) return "EINVAL";
  const have = gic.get("regionCount");
  if (have === 0) {
    if (index !== 0) return "EINVAL";
  } else {
    const last = region(gic, have - 1);
    if (count === 0) return last.count === 0 ? "EEXIST" : "EINVAL";
    if (index !== have) return "EINVAL";
  }
  const distributor = gic.quad("distributorBase");
  if (count === 0 && distributor !== UNSET && overlaps(base, bytes, distributor, DISTRIBUTOR_BYTES)) return "EINVAL";
  if (overlapsRegion(gic, base, bytes)) return "EINVAL";
  if (have === REGIONS) return "ENOMEM";
  return wrongPlace(gic, base, ALIGNMENT, bytes);
}

/** Gives a vCPU the next free redistributor; there may be none yet. */
function placeRedistributor(gic: Gic, vcpu: VcpuState): ErrnoName | null {
  if (redistributorBase(vcpu) !== UNSET) return null;
  const index = regions(gic).findIndex(({ count, used }) => count === 0 || used < count);
  if (index < 0) return null;
  if (!framesAreApart(gic)) return "EINVAL";
  const { base, used } = region(gic, index);
  vcpu.putQuad("gic", base + REDISTRIBUTOR_BYTES * BigInt(used), gicVcpuCells.redistributorBase);
  const slot = vcpu.cellOf("gic", gicVcpuCells.redistributorSlot) * 2;
  vcpu.words[slot] = index;
  vcpu.words[slot + 1] = used;
  setUsed(gic, index, used + 1);
  return null;
}

/** Every region lies in the guest's address space, and the distributor in none of them. */
export function framesAreApart(gic: Gic): boolean {
  const inside = regions(gic).every((one) => wrongPlace(gic, one.base, ALIGNMENT, regionBytes(gic, one)) === null);
  const distributor = gic.quad("distributorBase");
  return inside && (distributor === UNSET || !overlapsRegion(gic, distributor, DISTRIBUTOR_BYTES));
}

/** GICR_TYPER.Last: the redistributor after it belongs to nobody. */
export function isLastRedistributor(gic: Gic, vcpu: VcpuState): boolean {
  const slot = vcpu.cellOf("gic", gicVcpuCells.redistributorSlot) * 2;
  const [index, place] = [vcpu.words[slot]!, vcpu.words[slot + 1]!];
  if (redistributorBase(vcpu) === UNSET) return false;
  const own = region(gic, index);
  if (place < own.used - 1) return false;
  if (own.count === 0 || place !== own.count - 1) return true;
  const end = own.base + regionBytes(gic, own);
  return !regions(gic).some(({ base, used }) => base === end && used > 0);
}

/** KVM_CREATE_VCPU: a vCPU begins without a redistributor, and may be given one. */
export function welcomeVcpu(vcpu: VcpuState, call: string): void {
  vcpu.putQuad("gic", UNSET, gicVcpuCells.redistributorBase);
  const gic = gicOf(vcpu.vm);
  if (gic === null) return;
  const refused = vcpu.vm.gicLocked(() => placeRedistributor(gic, vcpu));
  if (refused !== null) throw new Refused(refused, call);
}

/** Frames on the MMIO bus, which coalesced zones share. */
export const framesOnBus = (gic: Gic): number =>
  Math.min(BUS_DEVICES, gic.vcpus.filter((one) => redistributorBase(one) !== UNSET).length + gic.get("mapped"));
