// LPIs: interrupts that exist while a translation of an ITS names them, or while they wait in a vCPU's queue. What they
// are configured as and, while LPIs are off, whether they are pending stands in tables of the guest's. IHI 0069, "LPIs";
// Documentation/virt/kvm/devices/arm-vgic-v3.rst (KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES).

import type { ErrnoName } from "../../uapi/errno.js";
import { readGuest, writeGuest } from "../guest-memory.js";
import type { VcpuState } from "../vcpu-state.js";
import type { VmState } from "../vm-state.js";
import { lowestBit } from "./cpu-interface.js";
import { type Gic, gicOf, type Ref } from "./gic.js";
import { Its, ItsDevice, ItsNodes, Lpi, type NodeRef, Translation } from "./its-nodes.js";
import { FIRST_LPI, Field, gicVcpuCells, Irq } from "./layout.js";

/** Who acts: the VM, its interrupt controller, and the vCPU that is running, if the guest does it. */
export interface ItsContext {
  readonly vm: VmState;
  readonly gic: Gic | null;
  readonly nodes: ItsNodes;
  readonly runner: VcpuState | null;
}

/** GICR_PROPBASER and GICR_PENDBASER at first: inner shareable, inner write-back with read allocation. */
export const LPI_BASE_DEFAULT = 0x580n;
/** GICR_PENDBASER.PTZ: the pending table is zero. It reads as 0. */
export const PENDING_TABLE_ZERO = 1n << 62n;

/** Whether the VM has an ITS, and so LPIs. */
export const hasIts = (vm: VmState): boolean => vm.get("its") !== 0;

/** What a redistributor needs of the ITSs. Inside `gicLocked`. */
const contextOf = (gic: Gic): ItsContext => ({ vm: gic.vm, gic, nodes: new ItsNodes(gic.vm), runner: null });

/** Runs `body` as who may do everything with ITSs. */
export function itsLocked<T>(vm: VmState, runner: VcpuState | null, body: (context: ItsContext) => T): T {
  return vm.locked(() => vm.gicLocked(() => body({ vm, gic: gicOf(vm), nodes: new ItsNodes(vm), runner })));
}

const BUCKETS = 4096;
/** Behind the buckets, a bit for each that is not empty: a command about all LPIs costs what there are. */
const USED_WORDS = BUCKETS / 32;
/** Behind these, how often an LPI came to be. */
const CREATED = BUCKETS + USED_WORDS;
const TABLE_WORDS = CREATED + 1;
const CALL = "KVM_SET_DEVICE_ATTR";

// Of a byte of the configuration table.
const PROP_ENABLED = 1;
const PROP_PRIORITY = 0xfc;

/** GICR_PROPBASER.Physical_Address, GICR_PENDBASER.Physical_Address. */
const PROP_ADDRESS = 0x000f_ffff_ffff_f000n;
const PEND_ADDRESS = 0x000f_ffff_ffff_0000n;
/** Bits of INTIDs that GICD_TYPER promises. */
const INTID_BITS = 16;

/** Where INTIDs of LPIs end, as the guest set GICR_PROPBASER.IDbits. */
export const endOfLpis = (vm: VmState): number => 2 ** Math.min(Number(vm.quad("propbaser") & 0x1fn) + 1, INTID_BITS);

const exists = (nodes: ItsNodes, ref: Ref) => nodes.get(ref, Lpi.references) > 0 || nodes.get(ref, Field.owner) !== 0;

function nodeOf(nodes: ItsNodes, intid: number): Ref {
  const buckets = nodes.vm.get("lpis");
  if (buckets === 0) return 0;
  for (let ref = nodes.get(buckets, intid % BUCKETS); ref !== 0; ref = nodes.get(ref, Lpi.next)) {
    if (nodes.get(ref, Field.intid) === (intid | 0)) return ref;
  }
  return 0;
}

function existing(nodes: ItsNodes, intid: number): Ref {
  const ref = nodeOf(nodes, intid);
  return ref !== 0 && exists(nodes, ref) ? ref : 0;
}

/** The record of an LPI; 0: it does not exist. Inside `gicLocked`. */
export const lpiRecord = (gic: Gic, intid: number): Ref =>
  gic.vm.get("lpis") === 0 ? 0 : existing(new ItsNodes(gic.vm), intid);

/** Every LPI that exists, in the kernel's order: that of their INTIDs, or that in which they came to be. */
export function allLpis(context: ItsContext): readonly Ref[] {
  const { vm, nodes } = context;
  const key = vm.profile.switches.lpisByIntid ? Field.intid : Lpi.created;
  return [...unordered(context)].sort((a, b) => nodes.get(a, key) - nodes.get(b, key));
}

function* unordered({ vm, nodes }: ItsContext): Generator<Ref, void, void> {
  const buckets = vm.get("lpis");
  if (buckets === 0) return;
  for (let word = 0; word < USED_WORDS; word++) {
    for (let used = nodes.get(buckets, BUCKETS + word); used !== 0; used &= used - 1) {
      const bucket = 32 * word + lowestBit(used);
      for (let ref = nodes.get(buckets, bucket); ref !== 0; ref = nodes.get(ref, Lpi.next)) {
        if (exists(nodes, ref)) yield ref;
      }
    }
  }
}

const setFlag = (nodes: ItsNodes, ref: Ref, flag: number, to: boolean): void => {
  const flags = nodes.get(ref, Field.flags);
  nodes.put(ref, Field.flags, to ? flags | flag : flags & ~flag);
};

const isPending = (nodes: ItsNodes, ref: Ref) => (nodes.get(ref, Field.flags) & Irq.latch) !== 0;

/** The vCPU that an LPI goes to. */
function targetOf({ gic, nodes }: ItsContext, ref: Ref): VcpuState | null {
  return gic?.vcpus[nodes.get(ref, Field.target) - 1] ?? null;
}

/** An LPI becomes pending, or ceases to be. */
export function setPending({ gic, nodes }: ItsContext, ref: Ref, pending: boolean): void {
  setFlag(nodes, ref, Irq.latch, pending);
  gic?.queue(ref);
}

/** What CLEAR does: whoever was told of it is not told otherwise before it looks. */
export function clearPending({ gic, nodes }: ItsContext, ref: Ref): void {
  setFlag(nodes, ref, Irq.latch, false);
  gic?.changed(ref);
}

/** Sends an LPI to another vCPU, when the one that it waits at runs next. `target`: its place plus 1. */
export function retarget({ gic, nodes }: ItsContext, ref: Ref, target: number): void {
  nodes.put(ref, Field.target, target);
  gic?.changed(ref);
}

/** Reads an LPI's byte of the configuration table; false: it is in no memory. `only`: unless it goes elsewhere. */
export function readConfiguration(context: ItsContext, ref: Ref, only: VcpuState | null = null): boolean {
  const { vm, gic, nodes } = context;
  const intid = nodes.get(ref, Field.intid) >>> 0;
  const byte = readGuest(vm, (vm.quad("propbaser") & PROP_ADDRESS) + BigInt(intid - FIRST_LPI), 1);
  if (byte === null) return false;
  if (only !== null && nodes.get(ref, Field.target) !== only.get("place") + 1) return true;
  nodes.put(ref, Field.priority, byte.getUint8(0) & PROP_PRIORITY);
  setFlag(nodes, ref, Irq.enabled, (byte.getUint8(0) & PROP_ENABLED) !== 0);
  gic?.queue(ref);
  return true;
}

/** Where the pending bit of an LPI is. */
function pendingBit(vcpu: VcpuState, intid: number): { address: bigint; mask: number } {
  const base = vcpu.quad("gic", gicVcpuCells.pendbaser) & PEND_ADDRESS;
  return { address: base + BigInt(intid >>> 3), mask: 1 << (intid & 7) };
}

/** Takes over the pending bit of the table, which is clear then; false: it is in no memory. */
function takePending(context: ItsContext, ref: Ref): boolean {
  const { vm, nodes, runner } = context;
  const vcpu = targetOf(context, ref);
  if (vcpu === null) return true;
  const { address, mask } = pendingBit(vcpu, nodes.get(ref, Field.intid) >>> 0);
  const byte = readGuest(vm, address, 1)?.getUint8(0);
  if (byte === undefined) return false;
  const pending = (byte & mask) !== 0;
  setPending(context, ref, pending);
  return !pending || writeGuest(vm, address, Uint8Array.of(byte & ~mask), runner);
}

/** One more translation names an LPI; it may be its first. `target`: the vCPU's place plus 1, or 0. Inside `locked`. */
export function addLpi(context: ItsContext, intid: number, target: number): Ref | ErrnoName {
  const { nodes } = context;
  let ref = existing(nodes, intid);
  if (ref !== 0) {
    nodes.put(ref, Lpi.references, nodes.get(ref, Lpi.references) + 1);
    return ref;
  }
  ref = nodeOf(nodes, intid) || insert(nodes, intid);
  nodes.put(ref, Field.flags, Irq.group1);
  nodes.put(ref, Field.priority, 0);
  nodes.put(ref, Field.target, target);
  nodes.put(ref, Lpi.references, 1);
  const created = nodes.vm.get("lpis") + CREATED;
  nodes.put(created, 0, nodes.get(created, 0) + 1);
  nodes.put(ref, Lpi.created, nodes.get(created, 0));
  if (readConfiguration(context, ref) && takePending(context, ref)) return ref;
  dropLpi(context, ref);
  return "EFAULT";
}

function insert(nodes: ItsNodes, intid: number): Ref {
  const buckets = nodes.table("lpis", TABLE_WORDS, CALL);
  const bucket = intid % BUCKETS;
  const ref = nodes.make(CALL);
  nodes.put(ref, Field.intid, intid);
  nodes.put(ref, Lpi.next, nodes.get(buckets, bucket));
  nodes.put(buckets, bucket, ref);
  const used = BUCKETS + (bucket >>> 5);
  nodes.put(buckets, used, nodes.get(buckets, used) | (1 << (bucket & 31)));
  return ref;
}

/** One translation less. The last one leaves it to the queue that it is in, if any. */
export function dropLpi({ nodes }: ItsContext, ref: Ref): void {
  nodes.put(ref, Lpi.references, nodes.get(ref, Lpi.references) - 1);
}

/** GICR_CTLR.EnableLPIs changes. Inside `gicLocked`. */
export function enableLpis(gic: Gic, vcpu: VcpuState, enabled: boolean): void {
  vcpu.put("gic", enabled ? 1 : 0, gicVcpuCells.lpisEnabled);
  if (!enabled) forgetQueued(gic, vcpu);
  else if ((vcpu.quad("gic", gicVcpuCells.pendbaser) & PENDING_TABLE_ZERO) === 0n) readPending(contextOf(gic), vcpu);
}

/** The pending table says which of this vCPU's LPIs are pending. */
function readPending(context: ItsContext, vcpu: VcpuState): void {
  const { vm, nodes } = context;
  for (const ref of allLpis(context)) {
    if (nodes.get(ref, Field.target) !== vcpu.get("place") + 1) continue;
    const { address, mask } = pendingBit(vcpu, nodes.get(ref, Field.intid) >>> 0);
    const byte = readGuest(vm, address, 1)?.getUint8(0);
    if (byte === undefined) return;
    setPending(context, ref, (byte & mask) !== 0);
  }
}

/** Without LPIs, those that wait here wait no more, though before 7.2 they stay pending; messages are looked up anew. */
function forgetQueued(gic: Gic, vcpu: VcpuState): void {
  const { vm, nodes } = contextOf(gic);
  for (const ref of [...gic.queued(vcpu)]) {
    if (gic.read(ref, Field.intid) >>> 0 < FIRST_LPI) continue;
    gic.unqueue(ref);
    if (!vm.profile.switches.flushedLpisStayPending) gic.change(ref, Irq.latch, false);
  }
  for (let its = vm.get("its"); its !== 0; its = nodes.get(its, Its.next)) forgetMessages(nodes, its);
}

/** The ITS forgets which messages went through lately. */
export function forgetMessages(nodes: ItsNodes, its: NodeRef): void {
  for (const device of nodes.list(its, Its.devices)) {
    for (const translation of nodes.list(device, ItsDevice.events)) nodes.put(translation, Translation.cached, 0);
  }
}

/** GICR_INVLPIR and GICR_INVALLR, while LPIs are enabled. Inside `gicLocked`. */
export function invalidateLpis(gic: Gic, vcpu: VcpuState, intid: number | "all"): void {
  const context = contextOf(gic);
  if (intid === "all") {
    for (const ref of allLpis(context)) readConfiguration(context, ref, vcpu);
    return;
  }
  const ref = lpiRecord(gic, intid);
  if (ref !== 0) readConfiguration(context, ref);
}

/** KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES. Inside `gicLocked`. */
export function savePendingTables(gic: Gic): ErrnoName | null {
  const context = contextOf(gic);
  const { vm, nodes } = context;
  for (const ref of allLpis(context)) {
    const vcpu = targetOf(context, ref);
    if (vcpu === null) continue;
    const { address, mask } = pendingBit(vcpu, nodes.get(ref, Field.intid) >>> 0);
    const byte = readGuest(vm, address, 1)?.getUint8(0);
    if (byte === undefined) return "EFAULT";
    const next = isPending(nodes, ref) ? byte | mask : byte & ~mask;
    if (next !== byte && !writeGuest(vm, address, Uint8Array.of(next), null)) return "EFAULT";
  }
  return null;
}
