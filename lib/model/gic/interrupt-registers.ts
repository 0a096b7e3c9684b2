// The registers that hold some bits for each interrupt, the same in the distributor and in the redistributors: by byte
// or word, for the guest and for userspace. IHI 0069, "The GIC Distributor register descriptions".

import { hasFired } from "../cpu/timer.js";
import type { VcpuState } from "../vcpu-state.js";
import type { Gic, Ref } from "./gic.js";
import { Field, Irq, PRIVATE } from "./layout.js";

/** One access. `at`: offset in the frame. */
export interface Access {
  readonly gic: Gic;
  /** The redistributor's vCPU, or whoever accesses the distributor. */
  readonly vcpu: VcpuState;
  readonly at: number;
  readonly bytes: number;
  /** The vCPU whose guest it is; userspace's accesses restore state and do not act as a guest's. */
  readonly by: VcpuState | "user";
}

/** What is done with the bits of one interrupt. */
export interface BitHandlers {
  readonly bits: 1 | 2 | 8;
  read(gic: Gic, ref: Ref, by: Access["by"]): number;
  write(gic: Gic, ref: Ref, value: number, by: Access["by"]): void;
}

/** KVM_VGIC: the five upper bits of a priority are implemented, whatever the host has. */
const PRIORITY = 0xf8;

const flag =
  (bit: number) =>
  (gic: Gic, ref: Ref): number =>
    gic.has(ref, bit) ? 1 : 0;

function changeAndQueue(gic: Gic, ref: Ref, bit: number, to: boolean): void {
  gic.change(ref, bit, to);
  gic.queue(ref);
}

function pending(gic: Gic, ref: Ref, by: Access["by"]): number {
  // Userspace saves the latch; the level comes back with its line.
  if (by === "user") return flag(Irq.latch)(gic, ref);
  const isPending = gic.has(ref, Irq.physical) ? hasFired(by, gic.read(ref, Field.intid)) : gic.isPending(ref);
  return isPending ? 1 : 0;
}

const set =
  (bit: number) =>
  (gic: Gic, ref: Ref, value: number): void => {
    if (value !== 0) changeAndQueue(gic, ref, bit, true);
  };
const clear =
  (bit: number) =>
  (gic: Gic, ref: Ref, value: number): void => {
    if (value === 0) return;
    gic.change(ref, bit, false);
    gic.changed(ref);
  };

/** Whether a physical interrupt is active, userspace does not say. */
const unlessPhysical =
  (write: BitHandlers["write"]): BitHandlers["write"] =>
  (gic, ref, value, by) => {
    if (by !== "user" || !gic.has(ref, Irq.physical)) write(gic, ref, value, by);
  };

export const interruptRegisters = {
  group: {
    bits: 1,
    read: flag(Irq.group1),
    write: (gic, ref, value) => changeAndQueue(gic, ref, Irq.group1, value !== 0),
  },
  setEnable: { bits: 1, read: flag(Irq.enabled), write: set(Irq.enabled) },
  clearEnable: { bits: 1, read: flag(Irq.enabled), write: clear(Irq.enabled) },
  setPending: {
    bits: 1,
    read: pending,
    write(gic, ref, value, by) {
      if (value !== 0) changeAndQueue(gic, ref, Irq.latch, true);
      else if (by === "user") clear(Irq.latch)(gic, ref, 1);
    },
  },
  clearPending: {
    bits: 1,
    read: (gic, ref, by) => (by === "user" ? 0 : pending(gic, ref, by)),
    write(gic, ref, value, by) {
      if (by !== "user") clear(Irq.latch)(gic, ref, value);
    },
  },
  setActive: { bits: 1, read: flag(Irq.active), write: unlessPhysical(set(Irq.active)) },
  clearActive: { bits: 1, read: flag(Irq.active), write: unlessPhysical(clear(Irq.active)) },
  priority: {
    bits: 8,
    read: (gic, ref) => gic.read(ref, Field.priority),
    write(gic, ref, value) {
      gic.write(ref, Field.priority, value & PRIORITY);
      gic.changed(ref);
    },
  },
  config: {
    bits: 2,
    read: (gic, ref) => (gic.has(ref, Irq.level) ? 0 : 2),
    write(gic, ref, value) {
      // That of private interrupts is fixed.
      if (gic.read(ref, Field.intid) < PRIVATE) return;
      gic.change(ref, Irq.level, (value & 2) === 0);
      gic.changed(ref);
    },
  },
} as const satisfies Record<string, BitHandlers>;

/** The bits of all interrupts that an access covers. `offset`: where the bits of INTID 0 begin. */
export function readBits(handlers: BitHandlers, offset: number, { gic, vcpu, at, bytes, by }: Access): number {
  const { bits } = handlers;
  const first = ((at - offset) * 8) / bits;
  let value = 0;
  for (let n = 0; n < (bytes * 8) / bits; n++) {
    const ref = gic.find(vcpu, first + n);
    if (ref !== 0) value |= handlers.read(gic, ref, by) << (n * bits);
  }
  return value >>> 0;
}

export function writeBits(handlers: BitHandlers, offset: number, access: Access, value: number): void {
  const { gic, vcpu, at, bytes, by } = access;
  const { bits } = handlers;
  const first = ((at - offset) * 8) / bits;
  for (let n = 0; n < (bytes * 8) / bits; n++) {
    const ref = gic.find(vcpu, first + n);
    if (ref !== 0) handlers.write(gic, ref, (value >>> (n * bits)) & (2 ** bits - 1), by);
  }
}
