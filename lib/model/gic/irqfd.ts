// KVM_IRQFD: eventfds that are interrupts. Documentation/virt/kvm/api.rst 4.75.

import { Refused } from "../../errors.js";
import { KVM_IRQFD_FLAG as FLAG } from "../../uapi/constants.js";
import type { EventFds } from "../eventfd.js";
import { routeOf } from "../kvm/routing.js";
import type { VmState } from "../vm-state.js";
import { type Gic, gicOf } from "./gic.js";
import { sendMessage } from "./its.js";
import { IRQFDS } from "./layout.js";
import { moveLine } from "./lines.js";

interface Irqfd {
  readonly fd: number;
  readonly gsi: number;
  /** The eventfd that is signalled when the guest has done with the interrupt; -1: none. */
  readonly resample: number;
}

function irqfdAt(gic: Gic, n: number): Irqfd {
  const word = (half: number) => gic.word("irqfds", 4 * n + half);
  return { fd: word(0), gsi: word(1) >>> 0, resample: word(2) };
}

const irqfds = (gic: Gic): Irqfd[] => Array.from({ length: gic.get("irqfdCount") }, (_, n) => irqfdAt(gic, n));

function putIrqfds(gic: Gic, all: readonly Irqfd[]): void {
  for (const [n, { fd, gsi, resample }] of all.entries()) {
    gic.putWord("irqfds", 4 * n, fd);
    gic.putWord("irqfds", 4 * n + 1, gsi);
    gic.putWord("irqfds", 4 * n + 2, resample);
  }
  gic.put("irqfdCount", all.length);
}

/** KVM_IRQFD: struct kvm_irqfd. */
export function irqfd(vm: VmState, eventFds: EventFds, args: Uint8Array): void {
  const call = "KVM_IRQFD";
  const a = new DataView(args.buffer, args.byteOffset, args.byteLength);
  const [fd, gsi, flags, resampleFd] = [
    a.getInt32(0, true),
    a.getUint32(4, true),
    a.getUint32(8, true),
    a.getInt32(12, true),
  ];
  if ((flags & ~(FLAG.DEASSIGN | FLAG.RESAMPLE)) !== 0) throw new Refused("EINVAL", call);
  const gic = gicOf(vm);
  if ((flags & FLAG.DEASSIGN) !== 0) {
    eventFds.check(fd, call);
    if (gic !== null) deassign(gic, eventFds, (one) => one.fd === fd && one.gsi === gsi);
    return;
  }
  if (gic === null || gic.get("initialised") === 0) throw new Refused("EAGAIN", call);
  eventFds.check(fd, call);
  const resample = (flags & FLAG.RESAMPLE) === 0 ? -1 : resampleFd;
  if (resample !== -1 || (flags & FLAG.RESAMPLE) !== 0) eventFds.check(resample, call);
  assign(gic, eventFds, { fd, gsi, resample }, call);
}

function assign(gic: Gic, eventFds: EventFds, asked: Irqfd, call: string): void {
  // What was closed is an irqfd no more.
  deassign(gic, eventFds, ({ fd }) => !eventFds.isOpen(fd));
  const { vm } = gic;
  vm.gicLocked(() => {
    const all = irqfds(gic);
    const taken = vm.profile.switches.irqfdIsExclusive
      ? eventFds.irqfds(asked.fd) > 0
      : all.some(({ fd }) => fd === asked.fd);
    if (taken) throw new Refused("EBUSY", call);
    if (all.length === IRQFDS) throw new Refused("ENOMEM", call);
    for (const fd of [asked.fd, asked.resample]) if (fd >= 0) eventFds.retain(fd);
    eventFds.addIrqfds(asked.fd, 1);
    putIrqfds(gic, [...all, asked]);
  });
  void eventFds.watchIrqfd(asked.fd);
  // What was signalled before counts, and stays in the counter.
  if (!eventFds.isSignalled(asked.fd)) return;
  raise(vm, asked);
  if (asked.resample < 0) move(vm, asked.gsi, false);
}

function deassign(gic: Gic, eventFds: EventFds, goes: (one: Irqfd) => boolean): void {
  const { vm } = gic;
  const [gone, kept] = vm.gicLocked(() => {
    const all = irqfds(gic);
    const some = all.filter(goes);
    if (some.length === 0) return [some, all] as const;
    const rest = all.filter((one) => !goes(one));
    putIrqfds(gic, rest);
    return [some, rest] as const;
  });
  for (const { fd, gsi, resample } of gone) {
    eventFds.addIrqfds(fd, -1);
    // Whoever stops waiting for an eventfd takes what its counter has.
    eventFds.take(fd);
    for (const held of [fd, resample]) if (held >= 0) eventFds.release(held);
    // The last of those that share a line lets go of it.
    const shared = kept.some((one) => one.gsi === gsi && one.resample >= 0);
    if (resample >= 0 && !shared) move(vm, gsi, false);
  }
}

/** The VM goes: its irqfds do too. */
export function releaseIrqfds(vm: VmState, eventFds: EventFds): void {
  const gic = gicOf(vm);
  if (gic !== null) deassign(gic, eventFds, () => true);
}

/** An eventfd was signalled: whether it is an interrupt of this VM. */
export function irqfdSignalled(vm: VmState, eventFds: EventFds, fd: number): boolean {
  const gic = gicOf(vm);
  if (gic === null || !eventFds.isOpen(fd)) return false;
  const found = vm.gicLocked(() => irqfds(gic).find((one) => one.fd === fd));
  if (found !== undefined) raise(vm, found);
  return found !== undefined;
}

/** The kernel only ever raises the line of an irqfd: a level-sensitive interrupt stays. */
const raise = (vm: VmState, { gsi }: Irqfd) => move(vm, gsi, true);

function move(vm: VmState, gsi: number, level: boolean): void {
  const gic = gicOf(vm)!;
  const route = vm.gicLocked(() => routeOf(gic, gsi));
  if (route === null) return;
  if (typeof route === "number") moveLine(vm, null, route, level);
  else if (level) sendMessage(vm, route);
}

/** The guest has done with a shared interrupt: lines of resampling irqfds fall, and their eventfds say so. */
export function interruptEnded(vm: VmState, eventFds: EventFds, intid: number): void {
  const gic = gicOf(vm)!;
  const resampled = vm.gicLocked(() =>
    gic.get("irqfdCount") === 0
      ? []
      : irqfds(gic).filter(({ gsi, resample }) => resample >= 0 && routeOf(gic, gsi) === intid),
  );
  if (resampled.length === 0) return;
  moveLine(vm, null, intid, false);
  for (const { resample } of resampled) eventFds.signal(resample);
}
