// KVM_SET_GSI_ROUTING of a VM without an interrupt controller: the table is checked, and nothing is ever routed by it.
// Documentation/virt/kvm/api.rst 4.52.

import { Refused } from "../../errors.js";
import { KVM_IRQ_ROUTING, KVM_MSI_VALID_DEVID } from "../../uapi/constants.js";
import { structs } from "../../uapi/structs.js";

/** KVM_MAX_IRQ_ROUTES: GSIs, and entries of a table. */
const ROUTES = 4096;
/** Pins of the one irqchip: the shared interrupts. */
const PINS = 1020 - 32;
const HEADER_BYTES = structs.kvm_irq_routing.bytes;
const ENTRY_BYTES = structs.kvm_irq_routing_entry.bytes;

export function checkRouting(routing: Uint8Array): void {
  const view = new DataView(routing.buffer, routing.byteOffset, routing.byteLength);
  const count = view.getUint32(0, true);
  const invalid = () => new Refused("EINVAL", "KVM_SET_GSI_ROUTING");
  if (count > ROUTES || view.getUint32(4, true) !== 0) throw invalid();
  if (routing.length < HEADER_BYTES + count * ENTRY_BYTES) {
    throw new RangeError(`setGsiRouting: ${count} entries need ${HEADER_BYTES + count * ENTRY_BYTES} bytes`);
  }
  const used = new Set<number>();
  for (let n = 0; n < count; n++) {
    const at = HEADER_BYTES + n * ENTRY_BYTES;
    const [gsi, type, flags, chip, pin] = [0, 4, 8, 16, 20].map((offset) => view.getUint32(at + offset, true));
    const possible =
      type === KVM_IRQ_ROUTING.IRQCHIP
        ? flags === 0 && chip === 0 && pin! < PINS
        : type === KVM_IRQ_ROUTING.MSI && (flags! & ~KVM_MSI_VALID_DEVID) === 0;
    if (gsi! >= ROUTES || used.has(gsi!) || !possible) throw invalid();
    used.add(gsi!);
  }
}
