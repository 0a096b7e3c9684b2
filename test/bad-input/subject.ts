// A VM with one of everything, for a test to break.

import type { Host } from "../support/backends.js";
import type { Subject } from "./members.js";

/** Where the host has a vGICv3, the VM has one that is not initialised: it dies when it runs. "none": it can run. */
export function makeSubject(
  host: Host,
  { device: wanted }: { device: "vgic-v3" | "none" } = { device: "vgic-v3" },
): Subject {
  const kvm = host.open();
  const vm = host.keep(kvm.createVm());
  const device = wanted === "vgic-v3" && vm.offersDevice(wanted) ? host.keep(vm.createDevice("vgic-v3")) : undefined;
  const memory = vm.addMemory({ at: 0x4000_0000n, bytes: 1 << 16, logDirty: true });
  const cpu = host.keep(vm.createVcpu());
  cpu.init();
  const event = host.keep(kvm.createEventFd());
  return { kvm, vm, cpu, memory, event, device };
}
