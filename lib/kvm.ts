// /dev/kvm, or the model in its place: the only file that knows both backends. Each is loaded when it is first used.
import { createRequire } from "node:module";
import { describe, integer, oneOf, options as optionsArgument, u32, u64 } from "./arguments.js";
import type { Handle, SystemFd } from "./backend.js";
import { KvmError, refuse } from "./errors.js";
import { EventFd } from "./eventfd.js";
import type { ModelOptions } from "./model/index.js";
import { traced } from "./trace.js";
import type { CapName } from "./uapi/caps.js";
import { Vcpu } from "./vcpu.js";
import { checkCap, Vm } from "./vm.js";

// Both backends are modules of this package; require() loads them when they are needed, and in the same tick.
const load = createRequire(import.meta.url);
const loadModel = (): typeof import("./model/index.js") => load("./model/index.js");
const loadNative = (): typeof import("./native.js") => load("./native.js");

export type Backend = "kvm" | "model";
const backends = { kvm: 1, model: 1 } as const satisfies Record<Backend, 1>;

export interface OpenOptions {
  /** "kvm": /dev/kvm or an error that says why not. "model": the bundled model. Default: KVM where it works. */
  readonly backend?: Backend;
  /** Which host the model plays. */
  readonly model?: ModelOptions;
  /** Gets a line for each ioctl and each exit, as strace prints them. */
  readonly trace?: (line: string) => void;
}

export interface CreateVmOptions {
  /** Size of the guest's physical address space, 32 to the capability ARM_VM_IPA_SIZE. Default: 40. */
  readonly ipaBits?: number;
  /** Machine type bits besides the IPA size (bit 31: protected VM). */
  readonly type?: bigint;
}

export class Kvm implements Disposable {
  readonly backend: Backend;
  /** Why this backend: "…/dev/kvm", or what is missing. */
  readonly reason: string;
  readonly #fd: SystemFd;

  private constructor(fd: SystemFd, backend: Backend, reason: string) {
    this.#fd = fd;
    this.backend = backend;
    this.reason = reason;
  }

  /**
   * Opens /dev/kvm where this is arm64 Linux and it can be opened, else the model; `backend` insists on one.
   * KvmError: KVM was insisted on; its `help` says why it is not to be had.
   */
  static open(options?: OpenOptions): Kvm {
    const { backend, model, trace } = optionsArgument("Kvm.open", options);
    if (backend !== undefined) oneOf("backend", backend, backends);
    if (trace !== undefined && typeof trace !== "function") {
      throw new TypeError(`trace must be a function, got ${describe(trace)}`);
    }
    const wrap = (fd: SystemFd) => (trace === undefined ? fd : traced(fd, trace));
    const modelFor = (reason: string) => new Kvm(wrap(loadModel().openModel(model)), "model", reason);
    if (backend === "model") return modelFor("the model was asked for");
    try {
      return new Kvm(wrap(loadNative().openNative()), "kvm", "this is arm64 Linux and /dev/kvm opens");
    } catch (error) {
      if (backend === "kvm") refuse(error);
      if (!(error instanceof KvmError)) throw error;
      return modelFor(error.help ?? error.message);
    }
  }

  /** A VM of this process, from another thread's `vm.handle`. ENOENT: it is no longer open. */
  static attachVm(handle: Handle): Vm {
    return new Vm(attach(handle, (system) => system.attachVm(handle)));
  }

  /** A vCPU of this process, from another thread's `vcpu.handle`. ENOENT: it is no longer open. */
  static attachVcpu(handle: Handle): Vcpu {
    return new Vcpu(attach(handle, (system) => system.attachVcpu(handle)));
  }

  /** KVM_GET_API_VERSION: 12. */
  get apiVersion(): number {
    return this.#do({}, () => this.#fd.getApiVersion());
  }

  /** KVM_CHECK_EXTENSION: 0 when the capability is absent. */
  has(cap: CapName | number): number {
    return checkCap(this.#fd, cap);
  }

  /** KVM_GET_VCPU_MMAP_SIZE: the size of `vcpu.runPage`. */
  get runPageBytes(): number {
    return this.#do({}, () => this.#fd.getVcpuMmapSize());
  }

  /** KVM_CREATE_VM. EINVAL: the host has no such IPA size. */
  createVm(options?: CreateVmOptions): Vm {
    const { ipaBits = 0, type = 0n } = optionsArgument("createVm", options);
    integer("createVm: ipaBits", ipaBits, 0, 255);
    const machine = u64("createVm: type", type) | BigInt(ipaBits);
    return new Vm(
      this.#do({ what: `type 0x${machine.toString(16)}` }, () => this.#fd.createVm(machine)),
      "created",
    );
  }

  /** eventfd(2), for irqfds and ioeventfds. */
  createEventFd(initial = 0): EventFd {
    u32("initial", initial);
    return new EventFd(this.#do({}, () => this.#fd.eventfd(initial)));
  }

  get closed(): boolean {
    return this.#fd.closed;
  }

  /** VMs live on. A second call does nothing. */
  close(): void {
    this.#fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #do<T>(subject: { what?: string }, verb: () => T): T {
    try {
      return verb();
    } catch (error) {
      refuse(error, subject);
    }
  }
}

function attach<T>(handle: Handle, take: (system: SystemFd) => T): T {
  const backend = oneOf("handle.backend", optionsArgument("handle", handle).backend, backends);
  const system = backend === "kvm" ? loadNative().openNative() : loadModel().openModel();
  try {
    return take(system);
  } catch (error) {
    refuse(error);
  } finally {
    system.close();
  }
}
