// What a VM holds of the process's descriptors, and when it lets go of them.

import type { EventFds } from "./eventfd.js";
import { releaseIrqfds } from "./gic/irqfd.js";
import { closeGuestMemfds } from "./guest-memfd.js";
import { releaseIoevents } from "./kvm/buses.js";
import type { VmState } from "./vm-state.js";

/** A descriptor of the VM itself closes. With the last one its irqfds go, though the VM may go on. */
export function letGoOfVm(vm: VmState, fds: EventFds): void {
  if (vm.add("vmDescriptors", -1) === 1) releaseIrqfds(vm, fds);
  letGo(vm, fds);
}

/** A descriptor of the VM, or of one of its vCPUs or devices, closes. With the last one the VM goes. */
export function letGo(vm: VmState, fds: EventFds): void {
  if (vm.add("open", -1) !== 1) return;
  closeGuestMemfds(vm, fds);
  releaseIoevents(vm, fds);
  releaseIrqfds(vm, fds);
  fds.forget(vm.memory);
}
