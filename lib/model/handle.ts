// What a handle carries to another thread of the process.

import type { EventFds } from "./eventfd.js";
import type { ModelOptions } from "./profile.js";
import type { VmState } from "./vm-state.js";

export interface ModelHandle extends Record<string, unknown> {
  readonly backend: "model";
  readonly kind: "vm" | "vcpu";
  readonly memory: WebAssembly.Memory;
  readonly eventFds: SharedArrayBuffer;
  readonly options: ModelOptions;
  /** Of a vCPU. */
  readonly id: number;
}

export function handleOf(vm: VmState, eventFds: EventFds, kind: ModelHandle["kind"], id: number): ModelHandle {
  return { backend: "model", kind, memory: vm.memory, eventFds: eventFds.shared, options: vm.profile.options, id };
}
