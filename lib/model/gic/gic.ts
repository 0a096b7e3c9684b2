// The interrupts of a VM and whom they reach, as every thread sees them; common to all models of the controller. An
// interrupt that is pending and enabled, or active, waits in the queue of one vCPU in the order of arrival. Everything
// here is to be called inside `vm.gicLocked`.

import { type VcpuState, vcpusInOrder } from "../vcpu-state.js";
import type { VmState } from "../vm-state.js";
import { signalled } from "./cpu-interface.js";
import {
  FIRST_LPI,
  Field,
  GIC_BYTES,
  type GicCell,
  gicCells,
  gicVcpuCells,
  Irq,
  PRIVATE,
  RECORD_WORDS,
} from "./layout.js";
import { lpiRecord } from "./lpis.js";

/** Word index of an interrupt's record; 0: no such interrupt. */
export type Ref = number;

export class Gic {
  readonly vm: VmState;
  readonly #words: Int32Array;
  readonly #quads: BigUint64Array;
  readonly #base: number;
  #memory: Int32Array;
  #vcpus: readonly VcpuState[] = [];

  constructor(vm: VmState) {
    this.vm = vm;
    this.#base = vm.get("gic");
    const buffer = vm.bufferTo(this.#base + GIC_BYTES);
    this.#words = new Int32Array(buffer, this.#base, GIC_BYTES / 4);
    this.#quads = new BigUint64Array(buffer, this.#base, GIC_BYTES / 8);
    this.#memory = new Int32Array(buffer, 0, buffer.byteLength >>> 2);
  }

  get(name: GicCell): number {
    return this.#words[gicCells[name] * 2]!;
  }
  put(name: GicCell, value: number): void {
    this.#words[gicCells[name] * 2] = value;
  }
  quad(name: GicCell): bigint {
    return this.#quads[gicCells[name]]!;
  }
  putQuad(name: GicCell, value: bigint): void {
    this.#quads[gicCells[name]] = value;
  }

  /** A word behind the first of a part: the parts that are tables. */
  word(name: GicCell, index: number): number {
    return this.#words[gicCells[name] * 2 + index]!;
  }
  putWord(name: GicCell, index: number, value: number): void {
    this.#words[gicCells[name] * 2 + index] = value;
  }
  tableQuad(name: GicCell, index: number): bigint {
    return this.#quads[gicCells[name] + index]!;
  }
  putTableQuad(name: GicCell, index: number, value: bigint): void {
    this.#quads[gicCells[name] + index] = value;
  }

  /** Every vCPU, by its place in the order of creation. */
  get vcpus(): readonly VcpuState[] {
    if (this.#vcpus.length !== this.vm.get("vcpuCount")) {
      this.#vcpus = vcpusInOrder(this.vm);
    }
    return this.#vcpus;
  }

  /** INTIDs of SGIs, PPIs and SPIs end here. */
  get intids(): number {
    return PRIVATE + this.get("spis");
  }

  /** The record of an interrupt; `vcpu` owns the private ones. */
  find(vcpu: VcpuState | null, intid: number): Ref {
    if (intid < PRIVATE) return vcpu === null ? 0 : privateRecord(vcpu, intid);
    if (intid < this.intids) return this.#base / 4 + gicCells.shared * 2 + intid * RECORD_WORDS;
    return intid >= FIRST_LPI ? lpiRecord(this, intid) : 0;
  }

  /** A word of a record. */
  read(ref: Ref, field: number): number {
    if (ref >= this.#memory.length) this.#lookAgain();
    return this.#memory[ref + field]!;
  }
  write(ref: Ref, field: number, value: number): void {
    if (ref >= this.#memory.length) this.#lookAgain();
    this.#memory[ref + field] = value;
  }

  /** Another thread made the memory larger. */
  #lookAgain(): void {
    const buffer = this.vm.memory.buffer;
    this.#memory = new Int32Array(buffer, 0, buffer.byteLength >>> 2);
  }

  has(ref: Ref, flag: number): boolean {
    return (this.read(ref, Field.flags) & flag) !== 0;
  }
  change(ref: Ref, flag: number, to: boolean): void {
    const flags = this.read(ref, Field.flags);
    this.write(ref, Field.flags, to ? flags | flag : flags & ~flag);
  }

  /** Pending: by itself, or by its level. */
  isPending(ref: Ref): boolean {
    const flags = this.read(ref, Field.flags);
    return (flags & Irq.latch) !== 0 || (flags & (Irq.level | Irq.line)) === (Irq.level | Irq.line);
  }

  /** The line of an interrupt moves. `owned`: whoever moves it owns it; false: it moved nothing. */
  setLine(ref: Ref, level: boolean, owned: boolean): boolean {
    if (this.has(ref, Irq.owned) !== owned) return false;
    if (this.has(ref, Irq.level)) {
      if (this.has(ref, Irq.line) === level) return false;
      this.change(ref, Irq.line, level);
    } else {
      if (!level) return false;
      this.change(ref, Irq.latch, true);
    }
    this.queue(ref);
    return true;
  }

  /** Something became pending, enabled or active: it goes to whom it is for. */
  queue(ref: Ref): void {
    const owner = this.read(ref, Field.owner);
    if (owner !== 0) {
      this.signal(this.vcpus[owner - 1]!);
      return;
    }
    const to = this.#destination(ref);
    if (to !== 0) this.#append(ref, this.vcpus[to - 1]!);
  }

  /** Something about an interrupt changed that can not bring it to anybody new. */
  changed(ref: Ref): void {
    const owner = this.read(ref, Field.owner);
    if (owner !== 0) this.signal(this.vcpus[owner - 1]!);
  }

  /** A vCPU leaves the guest, or enters it. */
  passExit(vcpu: VcpuState): void {
    this.settle(vcpu);
    for (const ref of this.queued(vcpu)) if (this.has(ref, Irq.active)) this.change(ref, Irq.entered, true);
  }

  /** What is not for a vCPU (any more) leaves its queue. */
  settle(vcpu: VcpuState): void {
    const own = vcpu.get("place") + 1;
    let before = 0;
    for (let ref = queueOf(vcpu); ref !== 0; ) {
      const next = this.read(ref, Field.next);
      const to = this.#destination(ref);
      if (to === own) before = ref;
      else {
        if (before === 0) setQueue(vcpu, next);
        else this.write(before, Field.next, next);
        this.write(ref, Field.owner, 0);
        if (to !== 0) this.#append(ref, this.vcpus[to - 1]!);
      }
      ref = next;
    }
    this.signal(vcpu);
  }

  /** Takes an interrupt out of the queue that it is in: it ends to exist. */
  unqueue(ref: Ref): void {
    const owner = this.read(ref, Field.owner);
    if (owner === 0) return;
    const vcpu = this.vcpus[owner - 1]!;
    let before = 0;
    for (let at = queueOf(vcpu); at !== ref; at = this.read(at, Field.next)) before = at;
    const next = this.read(ref, Field.next);
    if (before === 0) setQueue(vcpu, next);
    else this.write(before, Field.next, next);
    this.write(ref, Field.owner, 0);
    this.signal(vcpu);
  }

  /** The queue of a vCPU, first come first. */
  *queued(vcpu: VcpuState): Generator<Ref, void, void> {
    for (let ref = queueOf(vcpu); ref !== 0; ref = this.read(ref, Field.next)) yield ref;
  }

  /** Whether an interrupt of the queue can be delivered here: pending, not active, and still for this vCPU. */
  deliverable(ref: Ref): boolean {
    const active = this.has(ref, Irq.active);
    return !active && this.#destination(ref) === this.read(ref, Field.owner);
  }

  /** The lines of a vCPU follow its queue. */
  signal(vcpu: VcpuState): void {
    const level = signalled(this, vcpu);
    vcpu.cpu.setLine("irq", level === "irq" ? 1 : 0);
    vcpu.cpu.setLine("fiq", level === "fiq" ? 1 : 0);
    if (queueOf(vcpu) !== 0) vcpu.wake();
  }

  /** Whose an interrupt is now, as its place plus 1; 0: nobody's. */
  #destination(ref: Ref): number {
    const target = this.read(ref, Field.target);
    if (this.has(ref, Irq.active)) return this.read(ref, Field.owner) || target;
    if (!this.has(ref, Irq.enabled) || !this.isPending(ref)) return 0;
    return this.get("enabled") === 1 ? target : 0;
  }

  #append(ref: Ref, vcpu: VcpuState): void {
    this.write(ref, Field.owner, vcpu.get("place") + 1);
    this.write(ref, Field.next, 0);
    const first = queueOf(vcpu);
    if (first === 0) setQueue(vcpu, ref);
    else {
      let last = first;
      for (let next = first; next !== 0; next = this.read(last, Field.next)) last = next;
      this.write(last, Field.next, ref);
    }
    this.signal(vcpu);
  }
}

const QUEUE = gicVcpuCells.queue;
const queueOf = (vcpu: VcpuState): Ref => vcpu.get("gic", QUEUE);
const setQueue = (vcpu: VcpuState, ref: Ref) => vcpu.put("gic", ref, QUEUE);

/** The vCPU's cells begin at a multiple of 4 in the memory. */
function privateRecord(vcpu: VcpuState, intid: number): Ref {
  return vcpu.words.byteOffset / 4 + vcpu.cellOf("gic", gicVcpuCells.private) * 2 + intid * RECORD_WORDS;
}

const gics = new WeakMap<VmState, Gic>();

/** The interrupt controller of a VM; null: none. */
export function gicOf(vm: VmState): Gic | null {
  if (vm.get("irqchip") === 0) return null;
  let gic = gics.get(vm);
  if (gic === undefined) {
    gic = new Gic(vm);
    gics.set(vm, gic);
  }
  return gic;
}
