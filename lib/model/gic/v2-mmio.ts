// The frames of a GICv2 in the guest's address space: the distributor, and the virtual CPU interface of the host's GIC,
// which the guest has for its own (IHI 0048, "GIC support for virtualization").

import type { VcpuState } from "../vcpu-state.js";
import {
  acknowledge,
  cell,
  deactivateInterrupt,
  type Ended,
  endOfInterrupt,
  highestPending,
  leastBpr,
  putCell,
  runningPriority,
  SPURIOUS,
  signalled,
} from "./cpu-interface.js";
import { type Gic, gicOf, type Ref } from "./gic.js";
import type { Access } from "./interrupt-registers.js";
import { Field, Irq } from "./layout.js";
import {
  ACTIVE_SOURCE_SHIFT,
  CPU_INTERFACE_BYTES,
  DISTRIBUTOR_BYTES,
  distributorV2,
  putSources,
  readActive,
  readControl,
  writeActive,
  writeControl,
} from "./v2-frames.js";
import { findRow } from "./v3-frames.js";

/** What an access came to. */
export interface Accessed {
  /** Of a load. */
  readonly value: bigint;
  readonly ended: Ended;
}

/** INTID of "it is of group 1, and this is not where that is acknowledged". */
const OTHER_GROUP = 1022;
const INTID = 0x3ff;
const SOURCE_SHIFT = 10;
const SGIS = 16;
/** Implemented bits of a priority. */
const PRIORITY = 0xf8;
/** GICV_IIDR: architecture version 2, implementer Arm. */
const IIDR = 0x2_043b;

const isGroup1 = (gic: Gic, ref: Ref) => gic.has(ref, Irq.group1);

/** Lowest vCPU that sent a waiting SGI. */
const firstSource = (sources: number) => 31 - Math.clz32(sources & -sources & 0xff);

/** What the interface says of an interrupt: its INTID, and the sender of an SGI. */
function nameOf(gic: Gic, ref: Ref): number {
  const intid = gic.read(ref, Field.intid);
  return intid < SGIS ? intid | (firstSource(gic.read(ref, Field.sources)) << SOURCE_SHIFT) : intid;
}

/** GICC_HPPIR. */
function highestPendingName(gic: Gic, vcpu: VcpuState): number {
  const ref = highestPending(gic, vcpu);
  if (ref === 0) return SPURIOUS;
  return isGroup1(gic, ref) && cell(vcpu, "ackControl") === 0 ? OTHER_GROUP : nameOf(gic, ref);
}

/** GICC_IAR. */
function acknowledgeAny(gic: Gic, vcpu: VcpuState): number {
  const ref = highestPending(gic, vcpu);
  if (ref === 0 || signalled(gic, vcpu) === null) return SPURIOUS;
  if (isGroup1(gic, ref) && cell(vcpu, "ackControl") === 0) return OTHER_GROUP;
  return take(gic, vcpu, ref);
}

/** GICC_AIAR. */
function acknowledgeGroup1(gic: Gic, vcpu: VcpuState): number {
  const ref = highestPending(gic, vcpu);
  const mine = ref !== 0 && isGroup1(gic, ref) && signalled(gic, vcpu) !== null;
  return mine ? take(gic, vcpu, ref) : SPURIOUS;
}

/** The interrupt becomes active; an SGI that others sent too stays pending for the next of them. */
function take(gic: Gic, vcpu: VcpuState, ref: Ref): number {
  const name = nameOf(gic, ref);
  const intid = acknowledge(gic, vcpu, isGroup1(gic, ref) ? 1 : 0);
  if (intid >= SGIS) return intid;
  const waiting = gic.read(ref, Field.sources) & 0xff;
  const source = firstSource(waiting);
  gic.write(ref, Field.sources, source << ACTIVE_SOURCE_SHIFT);
  putSources(gic, ref, waiting & ~(1 << source));
  return name;
}

/** GICC_EOIR: group 1 too where AckCtl says so. */
function end(gic: Gic, vcpu: VcpuState, value: number): Ended {
  const intid = value & INTID;
  const ref = gic.find(vcpu, intid);
  const group1 = ref !== 0 && isGroup1(gic, ref) && cell(vcpu, "ackControl") === 1;
  return endOfInterrupt(gic, vcpu, group1 ? 1 : 0, intid);
}

interface Register {
  read?(gic: Gic, vcpu: VcpuState): number;
  write?(gic: Gic, vcpu: VcpuState, value: number): Ended;
}

const sets =
  (write: (vcpu: VcpuState, value: number) => void): NonNullable<Register["write"]> =>
  (gic, vcpu, value) => {
    write(vcpu, value);
    gic.signal(vcpu);
    return null;
  };

function binaryPoint(name: "bpr0" | "bpr1", group: 0 | 1): Register {
  return {
    read: (_, vcpu) => Math.max(cell(vcpu, name), leastBpr(vcpu, group)),
    write: sets((vcpu, value) => putCell(vcpu, name, Math.max(value & 7, leastBpr(vcpu, group)))),
  };
}

// By offset; what is not here is zero.
// biome-ignore format: table
const registers: ReadonlyMap<number, Register> = new Map<number, Register>([
  [0x0000, { read: (_, vcpu) => readControl(vcpu), write: sets(writeControl) }],
  [0x0004, { read: (_, vcpu) => cell(vcpu, "pmr"), write: sets((vcpu, value) => putCell(vcpu, "pmr", value & PRIORITY)) }],
  [0x0008, binaryPoint("bpr0", 0)],
  [0x000c, { read: acknowledgeAny }],
  [0x0010, { write: end }],
  [0x0014, { read: (_, vcpu) => runningPriority(vcpu) }],
  [0x0018, { read: highestPendingName }],
  [0x001c, binaryPoint("bpr1", 1)],
  [0x0020, { read: acknowledgeGroup1 }],
  [0x0024, { write: (gic, vcpu, value) => endOfInterrupt(gic, vcpu, 1, value & INTID) }],
  [0x0028, { read(gic, vcpu) {
    const ref = highestPending(gic, vcpu);
    return ref !== 0 && isGroup1(gic, ref) ? nameOf(gic, ref) : SPURIOUS;
  } }],
  [0x00d0, { read: (_, vcpu) => readActive(vcpu), write: sets(writeActive) }],
  [0x00fc, { read: () => IIDR }],
  [0x1000, { write: (gic, vcpu, value) => deactivateInterrupt(gic, vcpu, value & INTID) }],
]);

/** Hardware: loads of any size see the bytes that are there, and stores are of words. */
function accessCpuInterface(gic: Gic, vcpu: VcpuState, at: number, bytes: number, stored: bigint | null): Accessed {
  const word = (offset: number) => BigInt((registers.get(offset)?.read?.(gic, vcpu) ?? 0) >>> 0);
  const first = at & ~3;
  if (stored !== null) {
    const ended = registers.get(first)?.write?.(gic, vcpu, Number(stored & 0xffff_ffffn)) ?? null;
    return { value: 0n, ended };
  }
  const value = bytes === 8 ? word(first) | (word(first + 4) << 32n) : word(first) >> BigInt((at & 3) * 8);
  return { value: BigInt.asUintN(bytes * 8, value), ended: null };
}

function accessDistributor(gic: Gic, vcpu: VcpuState, at: number, bytes: number, stored: bigint | null): Accessed {
  const row = findRow(distributorV2, gic, at, bytes);
  const access: Access = { gic, vcpu, at, bytes, by: vcpu };
  if (row === null) return { value: 0n, ended: null };
  if (stored === null) return { value: BigInt(row.read(access) >>> 0), ended: null };
  row.write(access, Number(stored & 0xffff_ffffn));
  return { value: 0n, ended: null };
}

/** A guest's load or store at an address; null: no frame of a GICv2 is there. */
export function accessFramesV2(
  vcpu: VcpuState,
  address: bigint,
  bytes: number,
  stored: bigint | null,
): Accessed | null {
  const gic = gicOf(vcpu.vm);
  if (gic === null || gic.get("mapped") === 0) return null;
  return vcpu.vm.gicLocked(() => {
    const inside = (base: bigint, length: bigint) => address >= base && address + BigInt(bytes) <= base + length;
    const [distributor, cpu] = [gic.quad("distributorBase"), gic.quad("cpuBase")];
    if (inside(cpu, CPU_INTERFACE_BYTES)) return accessCpuInterface(gic, vcpu, Number(address - cpu), bytes, stored);
    if (!inside(distributor, DISTRIBUTOR_BYTES)) return null;
    gic.settle(vcpu);
    return accessDistributor(gic, vcpu, Number(address - distributor), bytes, stored);
  });
}
