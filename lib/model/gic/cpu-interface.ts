// The CPU interface of a vCPU: which interrupt it is told of, and what acknowledging and ending one does. It is the
// virtual CPU interface of a GICv3 (IHI 0069, "Virtual interrupt handling and prioritization"), with the priority bits
// of the host's. Everything here is to be called inside `vm.gicLocked`.

import { KVM_DEV_TYPE } from "../../uapi/constants.js";
import { hasFired } from "../cpu/timer.js";
import type { VcpuState } from "../vcpu-state.js";
import type { Gic, Ref } from "./gic.js";
import { FIRST_LPI, Field, type GicVcpuCell, gicVcpuCells, Irq, MOST_INTIDS, PRIVATE } from "./layout.js";

export type Group = 0 | 1;

/** INTID of "no interrupt". */
export const SPURIOUS = 1023;
const IDLE = 0xff;

/** A cell of the vCPU's CPU interface. */
export const cell = (vcpu: VcpuState, name: GicVcpuCell): number => vcpu.get("gic", gicVcpuCells[name]);
export const putCell = (vcpu: VcpuState, name: GicVcpuCell, value: number): void =>
  vcpu.put("gic", value, gicVcpuCells[name]);

/** Bits of a preemption level, and so the least binary point of each group. */
const preemptionBits = (vcpu: VcpuState): number => vcpu.vm.profile.host.gic?.priorityBits ?? 5;
export const leastBpr = (vcpu: VcpuState, group: Group): number => 7 - preemptionBits(vcpu) + group;

/** The CPU makes of binary points that it has not the least that it has: when the guest is about to run. */
export function clampBinaryPoints(vcpu: VcpuState): void {
  putCell(vcpu, "bpr0", Math.max(cell(vcpu, "bpr0"), leastBpr(vcpu, 0)));
  putCell(vcpu, "bpr1", Math.max(cell(vcpu, "bpr1"), leastBpr(vcpu, 1)));
}

/** ICC_BPR1_EL1: one more than ICC_BPR0_EL1 where that is common to both groups. */
export const binaryPoint1 = (vcpu: VcpuState): number =>
  cell(vcpu, "cbpr") === 1 ? Math.min(7, cell(vcpu, "bpr0") + 1) : cell(vcpu, "bpr1");

const groupOf = (gic: Gic, ref: Ref): Group => (gic.has(ref, Irq.group1) ? 1 : 0);
const priorityOf = (gic: Gic, ref: Ref): number => gic.read(ref, Field.priority);

/** The bits of a priority that decide whether it preempts. */
function preemptionMask(vcpu: VcpuState, group: Group): number {
  const own = group === 1 && cell(vcpu, "cbpr") === 0;
  const point = own
    ? Math.max(cell(vcpu, "bpr1"), leastBpr(vcpu, 1)) - 1
    : Math.max(cell(vcpu, "bpr0"), leastBpr(vcpu, 0));
  return (0xff << (point + 1)) & 0xff;
}

/** A word of ICC_AP0Rn_EL1 or ICC_AP1Rn_EL1. */
export const activePriorities = (vcpu: VcpuState, group: Group, n: number): number =>
  vcpu.get("gic", gicVcpuCells[group === 0 ? "active0" : "active1"] + n);
export const putActivePriorities = (vcpu: VcpuState, group: Group, n: number, value: number): void =>
  vcpu.put("gic", value, gicVcpuCells[group === 0 ? "active0" : "active1"] + n);

/** The lowest bit of 32. */
export const lowestBit = (word: number): number => 31 - Math.clz32(word & -word);

/** The highest active priority: ICC_RPR_EL1. */
export function runningPriority(vcpu: VcpuState): number {
  const shift = 8 - preemptionBits(vcpu);
  for (let n = 0; n < 4; n++) {
    const word = activePriorities(vcpu, 0, n) | activePriorities(vcpu, 1, n);
    if (word !== 0) return ((32 * n + lowestBit(word)) << shift) & 0xff;
  }
  return IDLE;
}

/** Ends the highest active priority; gives it. */
function dropPriority(vcpu: VcpuState): number {
  const shift = 8 - preemptionBits(vcpu);
  for (let n = 0; n < 4; n++) {
    const words = [activePriorities(vcpu, 0, n), activePriorities(vcpu, 1, n)] as const;
    if ((words[0] | words[1]) === 0) continue;
    const bit = lowestBit(words[0] | words[1]);
    const group = ((words[0] >>> bit) & 1) === 1 ? 0 : 1;
    putActivePriorities(vcpu, group, n, words[group] & ~(1 << bit));
    return ((32 * n + bit) << shift) & 0xff;
  }
  return IDLE;
}

/** The pending interrupt of highest priority among the enabled groups; of equals, what came first. */
export function highestPending(gic: Gic, vcpu: VcpuState): Ref {
  const enabled = [cell(vcpu, "group0"), cell(vcpu, "group1")];
  let best = 0;
  let priority = IDLE;
  for (const ref of gic.queued(vcpu)) {
    if (enabled[groupOf(gic, ref)] === 0 || priorityOf(gic, ref) >= priority || !gic.deliverable(ref)) continue;
    best = ref;
    priority = priorityOf(gic, ref);
  }
  return best;
}

function preempts(gic: Gic, vcpu: VcpuState, ref: Ref): boolean {
  const priority = priorityOf(gic, ref);
  if (priority >= cell(vcpu, "pmr")) return false;
  const running = runningPriority(vcpu);
  if (running === IDLE) return true;
  const mask = preemptionMask(vcpu, groupOf(gic, ref));
  return (priority & mask) < (running & mask);
}

/** The line that is high: interrupts of group 0 are FIQs. */
export function signalled(gic: Gic, vcpu: VcpuState): "irq" | "fiq" | null {
  const ref = highestPending(gic, vcpu);
  if (ref === 0 || !preempts(gic, vcpu, ref)) return null;
  // Those of a GICv2 are IRQs too, unless GICC_CTLR.FIQEn says so.
  const isV2 = vcpu.vm.get("irqchip") === KVM_DEV_TYPE.ARM_VGIC_V2;
  return groupOf(gic, ref) === 1 || (isV2 && cell(vcpu, "fiqEnable") === 0) ? "irq" : "fiq";
}

/** Whether something ends the wait of a WFI: an interrupt that the priority mask lets pass, whatever its group. */
export function wakes(gic: Gic, vcpu: VcpuState): boolean {
  for (const ref of gic.queued(vcpu)) {
    const ready = gic.has(ref, Irq.enabled) && gic.isPending(ref) && !gic.has(ref, Irq.active);
    if (ready && priorityOf(gic, ref) < cell(vcpu, "pmr")) return true;
  }
  return false;
}

/** ICC_HPPIR0_EL1, ICC_HPPIR1_EL1. */
export function highestPendingIntid(gic: Gic, vcpu: VcpuState, group: Group): number {
  const ref = highestPending(gic, vcpu);
  return ref === 0 || groupOf(gic, ref) !== group ? SPURIOUS : gic.read(ref, Field.intid);
}

/** ICC_IAR0_EL1, ICC_IAR1_EL1: the interrupt becomes active. */
export function acknowledge(gic: Gic, vcpu: VcpuState, group: Group): number {
  const ref = highestPending(gic, vcpu);
  if (ref === 0 || groupOf(gic, ref) !== group || !preempts(gic, vcpu, ref)) return SPURIOUS;
  gic.change(ref, Irq.active, true);
  gic.change(ref, Irq.entered, false);
  // The level of a level-sensitive interrupt, set or not by a write, lasts until the guest has done with it.
  if (!gic.has(ref, Irq.level)) gic.change(ref, Irq.latch, false);
  // From now on it is the physical interrupt that tells.
  if (gic.has(ref, Irq.physical)) gic.change(ref, Irq.line, hasFired(vcpu, gic.read(ref, Field.intid)));
  const bit = (priorityOf(gic, ref) & preemptionMask(vcpu, group)) >> (8 - preemptionBits(vcpu));
  const n = bit >> 5;
  putActivePriorities(vcpu, group, n, activePriorities(vcpu, group, n) | (1 << (bit & 31)));
  gic.signal(vcpu);
  return gic.read(ref, Field.intid);
}

const isSpecial = (intid: number) => intid >= MOST_INTIDS && intid < FIRST_LPI;

function activeHere(gic: Gic, vcpu: VcpuState, intid: number): Ref {
  for (const ref of gic.queued(vcpu)) {
    if (gic.has(ref, Irq.active) && gic.read(ref, Field.intid) === intid) return ref;
  }
  return 0;
}

/** What became of a write that may deactivate: the shared, level-sensitive interrupt that the guest has done with. */
export type Ended = number | null;

/** ICC_EOIR0_EL1, ICC_EOIR1_EL1. */
export function endOfInterrupt(gic: Gic, vcpu: VcpuState, group: Group, intid: number): Ended {
  if (isSpecial(intid)) return null;
  const dropped = dropPriority(vcpu);
  if (dropped === IDLE) return null;
  const ref = activeHere(gic, vcpu, intid);
  const matches =
    ref !== 0 &&
    groupOf(gic, ref) === group &&
    (priorityOf(gic, ref) & preemptionMask(vcpu, group)) === dropped &&
    (cell(vcpu, "eoiMode") === 0 || intid >= FIRST_LPI);
  const ended = matches ? deactivate(gic, ref) : null;
  gic.settle(vcpu);
  return ended;
}

/** ICC_DIR_EL1. */
export function deactivateInterrupt(gic: Gic, vcpu: VcpuState, intid: number): Ended {
  if (isSpecial(intid) || cell(vcpu, "eoiMode") === 0) return null;
  let ref = activeHere(gic, vcpu, intid);
  if (ref === 0 && vcpu.vm.profile.switches.dirReachesOthers && intid >= PRIVATE) {
    const other = gic.find(vcpu, intid);
    if (other !== 0 && gic.has(other, Irq.active)) ref = other;
  }
  if (ref === 0) return null;
  const owner = gic.read(ref, Field.owner);
  const ended = deactivate(gic, ref);
  gic.settle(owner === 0 ? vcpu : gic.vcpus[owner - 1]!);
  return ended;
}

function deactivate(gic: Gic, ref: Ref): Ended {
  gic.change(ref, Irq.active, false);
  if (!gic.has(ref, Irq.level)) return null;
  gic.change(ref, Irq.latch, false);
  const intid = gic.read(ref, Field.intid);
  const noticed = gic.has(ref, Irq.entered) || !gic.vm.profile.switches.endNeedsExit;
  return noticed && intid >= PRIVATE && intid < MOST_INTIDS ? intid : null;
}
