// What the interrupt ioctls of a VM take, as the bytes of their structures. Documentation/virt/kvm/api.rst 4.25, 4.52,
// 4.71, 4.75.
import { describe, integer, oneOf, record, u32, u64 } from "./arguments.js";
import { EventFd } from "./eventfd.js";
import { KVM_ARM_IRQ_TYPE, KVM_IRQ_ROUTING, KVM_IRQFD_FLAG, KVM_MSI_VALID_DEVID } from "./uapi/constants.js";
import { pack, structs } from "./uapi/structs.js";

/** A device interrupt line, an interrupt of one vCPU, or the IRQ and FIQ inputs of a vCPU without in-kernel GIC. */
export type IrqLine =
  | { readonly type: "spi"; readonly number: number }
  | { readonly type: "ppi"; readonly vcpu: number; readonly number: number }
  | { readonly type: "cpu"; readonly vcpu: number; readonly input: "irq" | "fiq" };

export type GsiRoute =
  | { readonly gsi: number; readonly pin: number; readonly irqchip?: number }
  | { readonly gsi: number; readonly address: bigint; readonly data: number; readonly deviceId?: number };

export interface Irqfd {
  readonly eventFd: EventFd;
  readonly gsi: number;
  /** Signalled when the guest ends the interrupt. */
  readonly resample?: EventFd;
}

export interface Msi {
  readonly address: bigint;
  readonly data: number;
  readonly deviceId?: number;
}

/** A descriptor that came from `kvm.createEventFd`. */
export function eventFdNumber(what: string, value: unknown): number {
  if (!(value instanceof EventFd)) throw new TypeError(`${what} must be an EventFd, got ${describe(value)}`);
  return value.fd;
}

const lineTypes = { spi: KVM_ARM_IRQ_TYPE.SPI, ppi: KVM_ARM_IRQ_TYPE.PPI, cpu: KVM_ARM_IRQ_TYPE.CPU } as const;
const inputs = { irq: 0, fiq: 1 } as const;

/** kvm_irq_level.irq: vcpu2 31:28, type 27:24, vcpu 23:16, number 15:0. */
export function irqWord(line: IrqLine): number {
  const type = oneOf("line.type", record("line", line).type, lineTypes);
  const vcpu = line.type === "spi" ? 0 : integer("line.vcpu", line.vcpu, 0, 0xfff);
  const number =
    line.type === "cpu"
      ? inputs[oneOf("line.input", line.input, inputs)]
      : integer("line.number", line.number, 0, 0xffff);
  return (((vcpu >> 8) << 28) | (lineTypes[type] << 24) | ((vcpu & 0xff) << 16) | number) >>> 0;
}

/** struct kvm_irq_routing with its entries. */
export function packRoutes(routes: readonly GsiRoute[]): Uint8Array {
  if (!Array.isArray(routes)) throw new TypeError(`routes must be an array, got ${describe(routes)}`);
  const entry = structs.kvm_irq_routing_entry;
  const bytes = new Uint8Array(structs.kvm_irq_routing.bytes + routes.length * entry.bytes);
  bytes.set(pack(structs.kvm_irq_routing, { nr: routes.length }));
  for (const [i, route] of routes.entries()) {
    bytes.set(packRoute(`routes[${i}]`, route), structs.kvm_irq_routing.bytes + i * entry.bytes);
  }
  return bytes;
}

function packRoute(what: string, route: GsiRoute): Uint8Array {
  const gsi = u32(`${what}.gsi`, record(what, route).gsi);
  if ("pin" in route) {
    const chip = u32(`${what}.irqchip`, route.irqchip === undefined ? 0 : route.irqchip);
    return pack(structs.kvm_irq_routing_entry, {
      gsi,
      type: KVM_IRQ_ROUTING.IRQCHIP,
      u: [chip, u32(`${what}.pin`, route.pin)],
    });
  }
  const { address_lo, address_hi, data, flags, devid } = message(`${what}.`, route);
  return pack(structs.kvm_irq_routing_entry, {
    gsi,
    type: KVM_IRQ_ROUTING.MSI,
    flags,
    u: [address_lo, address_hi, data, devid],
  });
}

function message(what: string, { address, data, deviceId }: Msi) {
  const word = u64(`${what}address`, address);
  return {
    address_lo: Number(word & 0xffff_ffffn),
    address_hi: Number(word >> 32n),
    data: u32(`${what}data`, data),
    flags: deviceId === undefined ? 0 : KVM_MSI_VALID_DEVID,
    devid: deviceId === undefined ? 0 : u32(`${what}deviceId`, deviceId),
  };
}

/** struct kvm_msi. */
export const packMsi = (msi: Msi): Uint8Array => pack(structs.kvm_msi, message("", record("msi", msi)));

/** struct kvm_irqfd. */
export function packIrqfd(irqfd: Irqfd, action: "assign" | "deassign"): Uint8Array {
  const { eventFd, gsi, resample } = record("irqfd", irqfd);
  const resamples = resample !== undefined && action === "assign";
  return pack(structs.kvm_irqfd, {
    fd: eventFdNumber("eventFd", eventFd),
    gsi: u32("gsi", gsi),
    flags: action === "deassign" ? KVM_IRQFD_FLAG.DEASSIGN : resamples ? KVM_IRQFD_FLAG.RESAMPLE : 0,
    resamplefd: resamples ? eventFdNumber("resample", resample) : 0,
  });
}
