// The same tests on every backend at hand.
//
// KVM_ARM64_BACKENDS names them: "kvm", "model-6.1", "model-6.12", "model-7.2", or "model" for all three; and
// "model-qemu-cortex-a72-6.12": the model as another of the bundled hosts; each of the models with "-interpreter" or "-translator" behind
// it: guests run in generated code from their first instruction on, where otherwise the evaluator begins. Default: the
// models, one of them so, and KVM where it opens. A test is skipped by what the host lacks, never by its kernel; where the contract
// itself differs between kernels, the expectation is a table by kernel.

import { release } from "node:os";
import { contractOf, type Kernel, kernels } from "../../lib/arm64/sysreg-row.js";
import { type CapName, Kvm, KvmError, type OpenOptions } from "../../lib/index.js";
import { bundledHosts } from "../../lib/model/host/choice.js";
import type { ModelOptions } from "../../lib/model/index.js";
import { todoCaps } from "../../lib/model/kvm/caps.js";
import { skip } from "../skip.js";

export { contractOf };

export interface Host {
  /** "kvm", "model-6.12" */
  readonly name: string;
  readonly backend: "kvm" | "model";
  /** Whose contract holds: of kernels in between, the older. */
  readonly kernel: Kernel;
  /** Opened once for each test; closed after it. */
  readonly kvm: Kvm;
  /** What `Kvm.open` is given. */
  readonly options: OpenOptions;
  /** A second, third … Kvm of this host. */
  open(): Kvm;
  /** Closes this after the test, what was kept last first. */
  keep<T extends Disposable>(resource: T): T;
  /** What is done after each test. */
  closeAll(): void;
}

function kvmOpens(): boolean {
  try {
    Kvm.open({ backend: "kvm" }).close();
    return true;
  } catch (error) {
    if (error instanceof KvmError) return false;
    throw error;
  }
}

const modelNames = kernels.map((kernel) => `model-${kernel}`);

const otherHosts = (): string[] => bundledHosts().map((name) => `model-${name}`);

const forced = /-(interpreter|translator)$/;

function backendNames(): string[] {
  const wanted = process.env["KVM_ARM64_BACKENDS"];
  if (!wanted) return [...modelNames, "model-6.12-interpreter", ...(kvmOpens() ? ["kvm"] : [])];
  return wanted.split(",").flatMap((name) => {
    if (name === "model") return modelNames;
    if (name === "kvm" || [...modelNames, ...otherHosts()].includes(name.replace(forced, ""))) return [name];
    throw new Error(
      `KVM_ARM64_BACKENDS: there are kvm, model, ${modelNames.join(", ")}, ${otherHosts().join(", ")}; got ${name}`,
    );
  });
}

/** Small enough for hundreds of VMs, and the host that the genuine kernel runs on, so that like is compared with like. */
function modelOptions(name: string): ModelOptions {
  const host = name.replace(forced, "");
  return {
    host: modelNames.includes(host) ? host.replace("model-", "qemu-max-") : host.slice("model-".length),
    impersonate: true,
    memoryBytes: 64 << 20,
    engine: (forced.exec(name)?.[1] ?? "auto") as NonNullable<ModelOptions["engine"]>,
  };
}

class TestHost implements Host {
  readonly name: string;
  readonly backend: "kvm" | "model";
  readonly kernel: Kernel;
  #kvm: Kvm | undefined;
  #kept: Disposable[] = [];

  constructor(name: string) {
    this.name = name;
    this.backend = name === "kvm" ? "kvm" : "model";
    this.kernel = name === "kvm" ? contractOf(release()) : (name.replace(forced, "").split("-").at(-1) as Kernel);
  }

  get kvm(): Kvm {
    this.#kvm ??= this.open();
    return this.#kvm;
  }

  get options(): OpenOptions {
    const { backend, name } = this;
    return backend === "kvm" ? { backend } : { backend, model: modelOptions(name) };
  }

  open(): Kvm {
    return this.keep(Kvm.open(this.options));
  }

  keep<T extends Disposable>(resource: T): T {
    this.#kept.push(resource);
    return resource;
  }

  closeAll(): void {
    this.#kvm = undefined;
    for (const resource of this.#kept.splice(0).reverse()) resource[Symbol.dispose]();
  }
}

/**
 * Defines a suite once for each backend. The title of each names the backend. `played`: the bundled hosts, without their
 * kernels, that the model plays in place of its own where the suite is about what those lack.
 */
export function onEveryBackend(title: string, define: (host: Host) => void, played?: string): void {
  for (const wanted of backendNames()) {
    const isOwn = modelNames.includes(wanted.replace(forced, ""));
    const name = played !== undefined && isOwn ? wanted.replace("-", `-${played}-`) : wanted;
    describe(`${title} [${name}]`, () => {
      const host = new TestHost(name);
      afterEach(() => host.closeAll());
      define(host);
    });
  }
}

/** Skips the running test on a host without a capability. */
export function needs(context: Mocha.Context, host: Host, cap: CapName): void {
  skipOfModel(context, host, cap);
  if (host.kvm.has(cap) === 0) skip(context, `the host lacks the capability ${cap}`);
}

/** Skips the running test on a host whose VMs have fewer vCPUs: a GICv2 has 8. */
export function needsVcpus(context: Mocha.Context, host: Host, count: number): void {
  const most = host.kvm.has("MAX_VCPUS");
  if (most < count) skip(context, `the host has at most ${most} vCPUs a VM`);
}

/** Skips the running test where the model says that it does not have a capability yet. */
export function skipOfModel(context: Mocha.Context, host: Host, cap: CapName): void {
  const missing = host.backend === "model" && todoCaps.some((todo) => todo.cap === cap && isSince(host, todo.since));
  if (missing) skip(context, `the model does not have the capability ${cap} yet`);
}

const isSince = (host: Host, kernel: Kernel): boolean => kernels.indexOf(host.kernel) >= kernels.indexOf(kernel);

/** Skips the running test on a host without a device type. */
export function needsDevice(context: Mocha.Context, host: Host, kind: "vgic-v2" | "vgic-v3" | "vgic-its"): void {
  const vm = host.keep(host.kvm.createVm());
  if (vm.offersDevice(kind)) return;
  skip(context, host.backend === "model" ? `the model has no ${kind} yet` : `the host has no ${kind}`);
}

/** What the contract says on this host's kernel. */
export function onHost<T>(host: Host, byKernel: Readonly<Record<Kernel, T>>): T {
  return byKernel[host.kernel];
}
