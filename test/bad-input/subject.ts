// A VM with one of everything, for a test to break.

import type { Host } from "../support/backends.js";
import type { Subject } from "./members.js";

/** `finish`: words at the start of the memory. */
export function makeSubject(host: Host): Subject {
  const kvm = host.open();
  const vm = host.keep(kvm.createVm());
  const device = vm.offersDevice("vgic-v3") ? host.keep(vm.createDevice("vgic-v3")) : undefined;
  const memory = vm.addMemory({ at: 0x4000_0000n, bytes: 1 << 16, logDirty: true });
  const cpu = host.keep(vm.createVcpu());
  cpu.init();
  const event = host.keep(kvm.createEventFd());
  return { kvm, vm, cpu, memory, event, device };
}
