// What the ioctls take that spare a guest's stores their exit, as the bytes of their structures.
// Documentation/virt/kvm/api.rst 4.59, 4.116.
import { record, u32, u64 } from "./arguments.js";
import type { EventFd } from "./eventfd.js";
import { eventFdNumber } from "./interrupts.js";
import { KVM_IOEVENTFD_FLAG } from "./uapi/constants.js";
import { pack, structs } from "./uapi/structs.js";

export interface IoEvent {
  readonly eventFd: EventFd;
  readonly at: bigint;
  /** Width of the store: 1, 2, 4, 8, or 0 for any. */
  readonly bytes: 0 | 1 | 2 | 4 | 8;
  /** Only stores of this value. */
  readonly match?: bigint;
}

/** Guest addresses whose stores are collected. */
export interface CoalescedZone {
  readonly at: bigint;
  readonly bytes: number;
}

/** struct kvm_ioeventfd. */
export function packIoEvent(event: IoEvent, action: "assign" | "deassign"): Uint8Array {
  const { eventFd, at, bytes, match } = record("event", event);
  return pack(structs.kvm_ioeventfd, {
    addr: u64("at", at),
    len: u32("bytes", bytes),
    fd: eventFdNumber("eventFd", eventFd),
    datamatch: match === undefined ? 0n : u64("match", match),
    flags:
      (action === "deassign" ? KVM_IOEVENTFD_FLAG.DEASSIGN : 0) |
      (match === undefined ? 0 : KVM_IOEVENTFD_FLAG.DATAMATCH),
  });
}

/** struct kvm_coalesced_mmio_zone. */
export function packZone(zone: CoalescedZone): Uint8Array {
  const { at, bytes } = record("zone", zone);
  return pack(structs.kvm_coalesced_mmio_zone, { addr: u64("at", at), size: u32("bytes", bytes) });
}
