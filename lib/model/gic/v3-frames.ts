// What the frames of a GICv3 hold: the distributor, and a redistributor's RD_base and SGI_base. Offsets and sizes of
// accesses that are not in the tables read as zero and ignore writes. Inside `gicLocked`.

import type { ErrnoName } from "../../uapi/errno.js";
import { affinityOf, vcpuByAffinity } from "../affinity.js";
import type { VcpuState } from "../vcpu-state.js";
import { isLastRedistributor } from "./frames.js";
import type { Gic } from "./gic.js";
import {
  type Access,
  type BitHandlers,
  interruptRegisters as bit,
  readBits,
  writeBits,
} from "./interrupt-registers.js";
import { Field, gicVcpuCells, PRIVATE } from "./layout.js";
import { enableLpis, hasIts, invalidateLpis, PENDING_TABLE_ZERO } from "./lpis.js";

/** A register, or a row of them. Accesses of 64 bits are two of 32. */
export interface Row {
  readonly offset: number;
  readonly bytes: number;
  /** Bits for each interrupt; 0: it is about no interrupt. */
  readonly bits: number;
  /** Sizes of the guest's accesses, in bytes, added up. */
  readonly sizes: number;
  read(access: Access): number;
  /** Only userspace is ever told of a mistake. */
  write(access: Access, value: number): ErrnoName | null;
}

const BYTE = 1;
const WORD = 4;
const QUAD = 8;

type Read = (access: Access) => number;
type Write = Row["write"];

const zero: Read = () => 0;
const ignore: Write = () => null;
/** A write with which nothing can be wrong. */
const always =
  (write: (access: Access, value: number) => void): Write =>
  (access, value) => {
    write(access, value);
    return null;
  };

function register(offset: number, bytes: number, sizes: number, read: Read = zero, write: Write = ignore): Row {
  return { offset, bytes, bits: 0, sizes, read, write };
}

/** Bits of private interrupts, in SGI_base. */
function privateBits(offset: number, handlers: BitHandlers, sizes = WORD): Row {
  return {
    offset,
    bytes: (PRIVATE * handlers.bits) / 8,
    bits: handlers.bits,
    sizes,
    read: (access) => readBits(handlers, offset, access),
    write(access, value) {
      writeBits(handlers, offset, access, value);
      return null;
    },
  };
}

/** Bits of shared interrupts: those of the private ones are in the redistributors, and zero here. */
function sharedBits(offset: number, bits: number, handlers: BitHandlers | null, sizes = WORD): Row {
  const shared = ({ at }: Access) => ((at - offset) * 8) / bits >= PRIVATE;
  return {
    offset,
    bytes: (1024 * bits) / 8,
    bits,
    sizes,
    read: (access) => (handlers !== null && shared(access) ? readBits(handlers, offset, access) : 0),
    write(access, value) {
      if (handlers !== null && shared(access)) writeBits(handlers, offset, access, value);
      return null;
    },
  };
}

// GICD_CTLR: affinity routing and a single security state are fixed.
const ARE = 1 << 4;
const DS = 1 << 6;
const ENABLE_GROUP1 = 1 << 1;

/** KVM's product, Arm's implementer. */
const IIDR = 0x4b00_043b;
const REVISION = 0xf000;
const REVISIONS: readonly number[] = [2, 3];
const IROUTER = 0x6000;

/** GICD_TYPER.IDbits - 1, LPIS. */
const IDBITS_WITHOUT_LPIS = 9 << 19;
const IDBITS_WITH_LPIS = 15 << 19;
const LPIS = 1 << 17;

function setEnabled(gic: Gic, value: number): void {
  gic.put("enabled", (value & ENABLE_GROUP1) === 0 ? 0 : 1);
  for (const vcpu of gic.vcpus) gic.signal(vcpu);
}

function writeIidr({ gic, by }: Access, value: number): ErrnoName | null {
  if (by !== "user") return null;
  const revision = (value & REVISION) >>> 12;
  if (((value ^ IIDR) & ~REVISION) !== 0 || !REVISIONS.includes(revision)) return "EINVAL";
  gic.put("revision", revision);
  return null;
}

/** No direct injection of SGIs here: the register is zero, and only a zero can be restored. */
function writeTyper2({ gic, by }: Access, value: number): ErrnoName | null {
  if (by !== "user" || value === 0) return null;
  return gic.vm.profile.switches.gicPresetRegisters && gic.get("initialised") === 1 ? "EBUSY" : "EINVAL";
}

function routeOf({ gic, vcpu, at }: Access): number {
  return gic.find(vcpu, (at - IROUTER) >> 3);
}

function readRoute(access: Access): number {
  const ref = routeOf(access);
  const isRoute = (access.at & 4) === 0 && (access.at - IROUTER) >> 3 >= PRIVATE && ref !== 0;
  return isRoute ? access.gic.read(ref, Field.route) : 0;
}

function writeRoute(access: Access, value: number): void {
  const { gic, at } = access;
  const ref = routeOf(access);
  // There is no Aff3.
  if ((at & 4) !== 0 || (at - IROUTER) >> 3 < PRIVATE || ref === 0) return;
  const affinity = value & 0xff_ffff;
  gic.write(ref, Field.route, affinity);
  const to = vcpuByAffinity(gic.vm, gic.vcpus, BigInt(affinity));
  gic.write(ref, Field.target, to === null ? 0 : to.get("place") + 1);
  gic.changed(ref);
}

/** Component and peripheral ids: GICx_PIDR2 says GICv3. */
const ids = register(0xffd0, 0x30, WORD, ({ at }) => ((at & 0xffff) === 0xffe8 ? 0x3b : 0));

// biome-ignore format: table
export const distributor: readonly Row[] = [
  register(0x0000, 4, WORD, ({ gic }) => ARE | DS | (gic.get("enabled") * ENABLE_GROUP1), always(({ gic }, value) => setEnabled(gic, value))),
  register(0x0004, 4, WORD, ({ gic }) => (gic.intids >> 5) - 1 + (hasIts(gic.vm) ? IDBITS_WITH_LPIS | LPIS : IDBITS_WITHOUT_LPIS)),
  register(0x0008, 4, WORD, ({ gic }) => (IIDR | (gic.get("revision") << 12)) >>> 0, writeIidr),
  register(0x000c, 4, WORD, zero, writeTyper2),
  register(0x0010, 4, WORD, () => 0xffff_ffff),
  sharedBits(0x0080, 1, bit.group),
  sharedBits(0x0100, 1, bit.setEnable),
  sharedBits(0x0180, 1, bit.clearEnable),
  sharedBits(0x0200, 1, bit.setPending),
  sharedBits(0x0280, 1, bit.clearPending),
  sharedBits(0x0300, 1, bit.setActive),
  sharedBits(0x0380, 1, bit.clearActive),
  sharedBits(0x0400, 8, bit.priority, WORD | BYTE),
  sharedBits(0x0800, 8, null, WORD | BYTE),
  sharedBits(0x0c00, 2, bit.config),
  sharedBits(0x0d00, 1, null),
  { offset: IROUTER, bytes: 0x2000, bits: 64, sizes: QUAD | WORD, read: readRoute, write: always(writeRoute) },
  ids,
];

const CTLR_ENABLE_LPIS = 1;
/** GICR_CTLR.CES and IR: since revision 3 the guest may disable LPIs again, and invalidate by register. */
const CTLR_CES_IR = 6;

const lpisEnabled = (vcpu: VcpuState): boolean => vcpu.get("gic", gicVcpuCells.lpisEnabled) === 1;

function readControl({ gic, vcpu }: Access): number {
  return (gic.get("revision") >= 3 ? CTLR_CES_IR : 0) | (lpisEnabled(vcpu) ? CTLR_ENABLE_LPIS : 0);
}

function writeControl({ gic, vcpu }: Access, value: number): void {
  const enabled = (value & CTLR_ENABLE_LPIS) !== 0;
  if (!hasIts(gic.vm) || enabled === lpisEnabled(vcpu)) return;
  enableLpis(gic, vcpu, enabled);
}

const TYPER_PLPIS = 1n;
const TYPER_LAST = 16n;

function typer({ gic, vcpu }: Access): bigint {
  return (
    ((affinityOf(vcpu) & 0xff_ffffn) << 32n) |
    (BigInt(vcpu.get("id") & 0xffff) << 8n) |
    (hasIts(gic.vm) ? TYPER_PLPIS : 0n) |
    (isLastRedistributor(gic, vcpu) ? TYPER_LAST : 0n)
  );
}

/** The half of 64 bits that an access of 32 is about. */
const half = (quad: bigint, at: number) => Number((quad >> BigInt((at & 4) * 8)) & 0xffff_ffffn);
function withHalf(quad: bigint, at: number, value: number): bigint {
  const shift = BigInt((at & 4) * 8);
  return (quad & ~(0xffff_ffffn << shift)) | (BigInt(value >>> 0) << shift);
}

/** A field of a base register that the kernel does not take as it is. */
function sanitised(quad: bigint, shift: bigint, bits: bigint, fix: (value: bigint) => bigint): bigint {
  const mask = ((1n << bits) - 1n) << shift;
  return (quad & ~mask) | (fix((quad & mask) >> shift) << shift);
}

/** Memory attributes: inner shareable instead of outer; cacheable inside; outside the same, or not. */
function sanitisedAttributes(quad: bigint): bigint {
  const shared = sanitised(quad, 10n, 2n, (v) => (v === 2n ? 1n : v));
  const inner = sanitised(shared, 7n, 3n, (v) => (v === 0n || v === 1n ? 3n : v));
  return sanitised(inner, 56n, 3n, (v) => (v === 0n || v === 1n ? v : 0n));
}

const PROPBASER_RES0 = 0xf8f0_0000_0000_0060n;
const PENDBASER_RES0 = 0xb8f0_0000_0000_f07fn;

function writePropbaser({ gic, vcpu, at }: Access, value: number): void {
  if (lpisEnabled(vcpu)) return;
  const { vm } = gic;
  vm.putQuad("propbaser", sanitisedAttributes(withHalf(vm.quad("propbaser"), at, value)) & ~PROPBASER_RES0);
}

const pendbaser = (vcpu: VcpuState): bigint => vcpu.quad("gic", gicVcpuCells.pendbaser);

function writePendbaser({ vcpu, at }: Access, value: number): void {
  if (lpisEnabled(vcpu)) return;
  vcpu.putQuad(
    "gic",
    sanitisedAttributes(withHalf(pendbaser(vcpu), at, value)) & ~PENDBASER_RES0,
    gicVcpuCells.pendbaser,
  );
}

/** Invalidation needs LPIs on, and the lower half of the register. */
function invalidate({ gic, vcpu, at }: Access, intid: number | "all"): void {
  if (lpisEnabled(vcpu) && (at & 4) === 0) invalidateLpis(gic, vcpu, intid);
}

const SGI_BASE = 0x1_0000;

// biome-ignore format: table
export const redistributor: readonly Row[] = [
  register(0x0000, 4, WORD, readControl, always(writeControl)),
  register(0x0004, 4, WORD, () => IIDR),
  register(0x0008, 8, WORD | QUAD, (access) => half(typer(access), access.at)),
  register(0x0014, 4, WORD),
  register(0x0070, 8, WORD | QUAD, ({ gic, at }) => half(gic.vm.quad("propbaser"), at), always(writePropbaser)),
  register(0x0078, 8, WORD | QUAD, ({ vcpu, at }) => half(pendbaser(vcpu) & ~PENDING_TABLE_ZERO, at), always(writePendbaser)),
  register(0x00a0, 8, WORD | QUAD, zero, always((access, value) => invalidate(access, value))),
  register(0x00b0, 8, WORD | QUAD, zero, always((access) => invalidate(access, "all"))),
  register(0x00c0, 4, WORD),
  ids,
  privateBits(SGI_BASE + 0x080, bit.group),
  privateBits(SGI_BASE + 0x100, bit.setEnable),
  privateBits(SGI_BASE + 0x180, bit.clearEnable),
  privateBits(SGI_BASE + 0x200, bit.setPending),
  privateBits(SGI_BASE + 0x280, bit.clearPending),
  privateBits(SGI_BASE + 0x300, bit.setActive),
  privateBits(SGI_BASE + 0x380, bit.clearActive),
  privateBits(SGI_BASE + 0x400, bit.priority, WORD | BYTE),
  privateBits(SGI_BASE + 0xc00, bit.config),
  register(SGI_BASE + 0xd00, 4, WORD),
  register(SGI_BASE + 0xe00, 4, WORD),
];

/** The row that an access of `bytes` meets; null: none, or not with that size, or for interrupts that there are none of. */
export function findRow(rows: readonly Row[], gic: Gic, at: number, bytes: number): Row | null {
  const row = rows.find(({ offset, bytes: length }) => at >= offset && at < offset + length);
  if (row === undefined || (row.sizes & bytes) === 0 || at % bytes !== 0) return null;
  if (row.bits !== 0 && ((at - row.offset) * 8) / row.bits >= gic.intids) return null;
  return row;
}
