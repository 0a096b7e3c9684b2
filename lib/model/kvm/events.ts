// KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS: Documentation/virt/kvm/api.rst 4.31, 4.32.

import { Refused } from "../../errors.js";
import { injectSError, takeSError } from "../cpu/exceptions.js";
import { Pstate } from "../cpu/state.js";
import { Feature } from "../vcpu-features.js";
import type { VcpuState } from "../vcpu-state.js";
import { commitAbort, enterException, pendAbort } from "./inject.js";

const PENDING = 0;
const HAS_ESR = 1;
const EXT_DABT = 2;
const PAD = [3, 8] as const;
const ESR = 8;
const RESERVED = [16, 64] as const;

const ISS = 0x1ff_ffffn;
/** ISS.IDS: the rest is IMPLEMENTATION DEFINED. */
const IMPLEMENTATION_DEFINED = 1 << 24;

const viewOf = (events: Uint8Array) => new DataView(events.buffer, events.byteOffset, events.byteLength);

export function getEvents(vcpu: VcpuState, events: Uint8Array): void {
  const { switches } = vcpu.vm.profile;
  if (switches.eventsNeedInit && vcpu.get("initialised") === 0) throw new Refused("ENOEXEC", "KVM_GET_VCPU_EVENTS");
  events.fill(0);
  events[HAS_ESR] = Number(vcpu.vm.profile.host.serrorEsr);
  const iss = vcpu.cpu.pendingSError;
  if (iss === null) return;
  events[PENDING] = 1;
  if (vcpu.vm.profile.host.serrorEsr) viewOf(events).setBigUint64(ESR, BigInt(iss), true);
}

export function setEvents(vcpu: VcpuState, events: Uint8Array): void {
  const call = "KVM_SET_VCPU_EVENTS";
  const { switches } = vcpu.vm.profile;
  if (switches.eventsNeedInit && vcpu.get("initialised") === 0) throw new Refused("ENOEXEC", call);
  if ([PAD, RESERVED].some(([from, to]) => events.subarray(from, to).some((byte) => byte !== 0))) {
    throw new Refused("EINVAL", call);
  }
  if (!switches.eventsCommitAtOnce) {
    pendSError(vcpu, events, call);
    if (events[EXT_DABT] !== 0) pendAbort(vcpu, "data", vcpu.cpu.farEl2);
    return;
  }
  if (events[EXT_DABT] !== 0) {
    endAccess(vcpu);
    pendAbort(vcpu, "data", vcpu.cpu.farEl2);
    if (!vcpu.feature(Feature.el1_32bit)) commitAbort(vcpu);
  }
  const before = vcpu.cpu.pendingSError;
  pendSError(vcpu, events, call);
  if (events[PENDING] === 0 || (vcpu.cpu.mode & Pstate.A) !== 0) return;
  endAccess(vcpu);
  enterException(vcpu, () => takeSError(vcpu.cpu, vcpu.pstateBits));
  // One that was pending already is another one.
  vcpu.cpu.pendingSError = before;
}

/** The access that waits for userspace ends in the exception instead. */
const endAccess = (vcpu: VcpuState): void => vcpu.put("mmioIss", 0);

function pendSError(vcpu: VcpuState, events: Uint8Array, call: string): void {
  if (events[PENDING] === 0) return;
  const esr = viewOf(events).getBigUint64(ESR, true);
  if (events[HAS_ESR] === 0) injectSError(vcpu.cpu, IMPLEMENTATION_DEFINED);
  else if (!vcpu.vm.profile.host.serrorEsr || (esr & ~ISS) !== 0n) throw new Refused("EINVAL", call);
  else injectSError(vcpu.cpu, Number(esr));
}
