// /dev/kvm of the model.

import type { EventFd, Handle, SystemFd, VcpuFd, VmFd } from "../backend.js";
import { Refused } from "../errors.js";
import { KVM_API_VERSION } from "../uapi/constants.js";
import { EventFds } from "./eventfd.js";
import type { ModelHandle } from "./handle.js";
import { checkExtension } from "./kvm/caps.js";
import { initBitmaps } from "./kvm/firmware-regs.js";
import { RUN_BYTES, VCPUS } from "./layout.js";
import { type ModelOptions, makeProfile, type Profile } from "./profile.js";
import { ModelVcpu } from "./vcpu.js";
import { ModelVm } from "./vm.js";
import { VmState } from "./vm-state.js";

const DEFAULT_IPA_BITS = 40;
const LEAST_IPA_BITS = 32;

export class ModelSystem implements SystemFd {
  readonly #profile: Profile;
  readonly #eventFds = new EventFds();
  #closed = false;

  constructor(options: ModelOptions) {
    this.#profile = makeProfile(options);
  }

  get closed(): boolean {
    return this.#closed;
  }

  getApiVersion(): number {
    this.#check("KVM_GET_API_VERSION");
    return KVM_API_VERSION;
  }

  createVm(type: bigint): VmFd {
    this.#check("KVM_CREATE_VM");
    const { switches, host } = this.#profile;
    const ipaBits = Number(type & 0xffn) || DEFAULT_IPA_BITS;
    // No bit but those of the IPA size: a protected VM needs a pKVM host.
    const possible = (type & ~switches.machineTypeBits) === 0n && type >> 8n === 0n;
    if (!possible || ipaBits < LEAST_IPA_BITS || ipaBits > host.ipaBits) throw new Refused("EINVAL", "KVM_CREATE_VM");
    const vm = VmState.create(this.#profile);
    vm.put("ipaBits", ipaBits);
    initBitmaps(vm);
    return new ModelVm(vm, this.#eventFds);
  }

  checkExtension(cap: number): number {
    this.#check("KVM_CHECK_EXTENSION");
    return checkExtension({ profile: this.#profile, vm: null }, cap);
  }

  getVcpuMmapSize(): number {
    this.#check("KVM_GET_VCPU_MMAP_SIZE");
    return RUN_BYTES;
  }

  eventfd(initial: number): EventFd {
    this.#check("eventfd");
    return this.#eventFds.create(initial);
  }

  attachVm(handle: Handle): VmFd {
    const { vm, eventFds } = this.#attach(handle, "vm");
    return new ModelVm(vm, eventFds);
  }

  attachVcpu(handle: Handle): VcpuFd {
    const { vm, eventFds, id } = this.#attach(handle, "vcpu");
    const known = Number.isInteger(id) && id >= 0 && id < VCPUS;
    const base = known ? Number(vm.quad("vcpus", id)) : 0;
    if (base === 0) throw new Refused("ENOENT", "attach");
    return ModelVcpu.attach(vm, eventFds, base);
  }

  #attach(handle: Handle, kind: ModelHandle["kind"]): { vm: VmState; eventFds: EventFds; id: number } {
    this.#check("attach");
    const { memory, eventFds, options, id } = handle as ModelHandle;
    if (handle?.backend !== "model" || handle["kind"] !== kind || !(memory instanceof WebAssembly.Memory)) {
      throw new TypeError(`attach: this is no handle of a ${kind} of the model`);
    }
    const vm = new VmState(memory, makeProfile(options));
    if (vm.peek("open") === 0) throw new Refused("ENOENT", "attach");
    return { vm, eventFds: new EventFds(eventFds), id };
  }

  close(): void {
    this.#closed = true;
  }

  #check(call: string): void {
    if (this.#closed) throw new Refused("EBADF", call);
  }
}
