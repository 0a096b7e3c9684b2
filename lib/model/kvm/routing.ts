// KVM_SET_GSI_ROUTING: what an irqfd's GSI means to the interrupt controller. Documentation/virt/kvm/api.rst 4.52.

import { Refused } from "../../errors.js";
import { KVM_IRQ_ROUTING, KVM_MSI_VALID_DEVID } from "../../uapi/constants.js";
import { structs } from "../../uapi/structs.js";
import { type Gic, gicOf } from "../gic/gic.js";
import type { Message } from "../gic/its.js";
import { PRIVATE, ROUTES } from "../gic/layout.js";
import type { VmState } from "../vm-state.js";

/** Pins of the one irqchip: the shared interrupts. */
const PINS = 1020 - 32;
const HEADER_BYTES = structs.kvm_irq_routing.bytes;
const ENTRY_BYTES = structs.kvm_irq_routing_entry.bytes;

interface Entry {
  readonly gsi: number;
  readonly type: number;
  readonly flags: number;
  /** union: chip and pin, or address, data and device. */
  readonly u: readonly number[];
}

function entriesOf(routing: Uint8Array): Entry[] {
  const view = new DataView(routing.buffer, routing.byteOffset, routing.byteLength);
  const count = view.getUint32(0, true);
  const invalid = () => new Refused("EINVAL", "KVM_SET_GSI_ROUTING");
  if (count > ROUTES || view.getUint32(4, true) !== 0) throw invalid();
  if (routing.length < HEADER_BYTES + count * ENTRY_BYTES) {
    throw new RangeError(`setGsiRouting: ${count} entries need ${HEADER_BYTES + count * ENTRY_BYTES} bytes`);
  }
  const used = new Set<number>();
  const entries: Entry[] = [];
  for (let n = 0; n < count; n++) {
    const at = HEADER_BYTES + n * ENTRY_BYTES;
    const word = (offset: number) => view.getUint32(at + offset, true);
    const entry = { gsi: word(0), type: word(4), flags: word(8), u: [word(16), word(20), word(24), word(28)] };
    if (entry.gsi >= ROUTES || used.has(entry.gsi) || !possible(entry)) throw invalid();
    used.add(entry.gsi);
    entries.push(entry);
  }
  return entries;
}

function possible({ type, flags, u: [chip, pin] }: Entry): boolean {
  if (type === KVM_IRQ_ROUTING.MSI) return (flags & ~KVM_MSI_VALID_DEVID) === 0;
  return type === KVM_IRQ_ROUTING.IRQCHIP && flags === 0 && chip === 0 && pin! < PINS;
}

/** A VM without an interrupt controller routes nothing: the table is only checked. */
export function setRouting(vm: VmState, routing: Uint8Array): void {
  const entries = entriesOf(routing);
  const gic = gicOf(vm);
  if (gic !== null) vm.gicLocked(() => putRoutes(gic, entries));
}

/** GSI n is the shared interrupt n: what the initialisation of a GIC sets. Inside `gicLocked`. */
export function setDefaultRouting(gic: Gic): void {
  const pins = Array.from({ length: gic.intids - PRIVATE }, (_, n) => n);
  putRoutes(
    gic,
    pins.map((n) => ({ gsi: n, type: KVM_IRQ_ROUTING.IRQCHIP, flags: 0, u: [0, n, 0, 0] })),
  );
}

// A route: address; type, flags; pin or data, device.
function putRoutes(gic: Gic, entries: readonly Entry[]): void {
  for (let gsi = 0; gsi < ROUTES; gsi++) gic.putWord("routes", 6 * gsi + 2, NO_ROUTE);
  for (const { gsi, type, flags, u } of entries) {
    const isMsi = type === KVM_IRQ_ROUTING.MSI;
    gic.putTableQuad("routes", 3 * gsi, isMsi ? (BigInt(u[1]!) << 32n) | BigInt(u[0]!) : 0n);
    gic.putWord("routes", 6 * gsi + 2, type);
    gic.putWord("routes", 6 * gsi + 3, flags);
    gic.putWord("routes", 6 * gsi + 4, isMsi ? u[2]! : u[1]!);
    gic.putWord("routes", 6 * gsi + 5, u[3]!);
  }
}

const NO_ROUTE = 0;

/** Where a GSI goes: the INTID of a shared interrupt, a message, or nowhere. Inside `gicLocked`. */
export function routeOf(gic: Gic, gsi: number): number | Message | null {
  const type = gsi < ROUTES ? gic.word("routes", 6 * gsi + 2) : NO_ROUTE;
  if (type === NO_ROUTE) return null;
  const value = gic.word("routes", 6 * gsi + 4) >>> 0;
  if (type === KVM_IRQ_ROUTING.IRQCHIP) return PRIVATE + value;
  const [flags, deviceId] = [gic.word("routes", 6 * gsi + 3), gic.word("routes", 6 * gsi + 5) >>> 0];
  return { address: gic.tableQuad("routes", 3 * gsi), data: value, flags, deviceId };
}
