// A VM of the model with memory and vCPUs, and what tests say about them in short.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Mapping, SystemFd, VcpuFd, VmFd } from "../../lib/backend.js";
import { isRefusal } from "../../lib/errors.js";
import { type ModelOptions, openModel } from "../../lib/model/index.js";
import { type ErrnoName, errno } from "../../lib/uapi/errno.js";
import { kvm_run, pack, run, structs, unpack } from "../../lib/uapi/structs.js";

export const RAM = 0x4000_0000n;
export const UART = 0x0900_0000n;
export const kernels = ["6.1", "6.12", "7.2"] as const;

export const PSCI_0_2 = 1 << 2;
export const POWER_OFF = 1;
export const SVE = 1 << 4;

const CORE = 0x6030_0000_0010_0000n;
export const x = (n: number): bigint => CORE + BigInt(2 * n);
export const PC = CORE + 0x40n;
export const PSTATE = CORE + 0x42n;
export const SP_EL1 = CORE + 0x44n;
export const sysReg = (encoding16: number): bigint => 0x6030_0000_0013_0000n + BigInt(encoding16);

/** Expects a refusal with this errno. */
export function refuses(name: ErrnoName, body: () => unknown): void {
  assert.throws(body, (error) => {
    assert.ok(isRefusal(error), `expected ${name}, got ${String(error)}`);
    assert.equal(error.errno, errno(name), `expected ${name}, got errno ${error.errno} of ${error.call}`);
    return true;
  });
}

const captures = new URL("../../../lib/model/host/captures/", import.meta.url);

/** A host that can virtualise nothing but a plain vCPU: no GIC, no PMU, no memory tags, no stolen time. */
export function bareHost(): ModelOptions {
  const host = JSON.parse(readFileSync(new URL("qemu-cortex-a72-7.2.json", captures), "utf8"));
  const { STEAL_TIME: _, ...capabilities } = host.capabilities;
  return { host: { ...host, capabilities, combinations: host.combinations.slice(0, 1), devices: {} } };
}

/** QEMU's CPU as it was captured, with SVE vectors of up to so many quadwords. */
export function withSve(maxVq: number): ModelOptions {
  const host = JSON.parse(readFileSync(new URL("qemu-max-7.2.json", captures), "utf8"));
  return { host: { ...host, vectorLengths: Array.from({ length: maxVq }, (_, n) => n + 1) }, impersonate: true };
}

export class Machine {
  readonly system: SystemFd;
  readonly vm: VmFd;
  readonly ram: Mapping;
  readonly vcpus: VcpuFd[] = [];

  constructor(options: ModelOptions = {}) {
    this.system = openModel(options);
    this.vm = this.system.createVm(0n);
    this.ram = this.vm.map({ kind: "anonymous", bytes: 1 << 20 });
    this.vm.setUserMemoryRegion(0, 0, RAM, 1n << 20n, this.ram, 0n);
  }

  /** A vCPU, initialised with PSCI 0.2 and its PC at the beginning of the memory. */
  vcpu(features = PSCI_0_2): VcpuFd {
    const vcpu = this.vm.createVcpu(this.vcpus.length);
    this.vcpus.push(vcpu);
    init(vcpu, features);
    set(vcpu, PC, RAM);
    return vcpu;
  }

  /** Puts a program into the memory. */
  load(words: readonly number[], offset = 0): void {
    new Uint8Array(this.ram.buffer, this.ram.offset + offset).set(new Uint8Array(Uint32Array.from(words).buffer));
  }

  /** A 64-bit word of the memory. */
  word(offset: number): bigint {
    return new DataView(this.ram.buffer, this.ram.offset).getBigUint64(offset, true);
  }
  setWord(offset: number, value: bigint): void {
    new DataView(this.ram.buffer, this.ram.offset).setBigUint64(offset, value, true);
  }

  close(): void {
    for (const vcpu of this.vcpus) vcpu.close();
    this.ram.close();
    this.vm.close();
    this.system.close();
  }
}

export function init(vcpu: VcpuFd, ...features: number[]): void {
  vcpu.armVcpuInit(pack(structs.kvm_vcpu_init, { target: 5, features }));
}

export function get(vcpu: VcpuFd, id: bigint): bigint {
  const value = new Uint8Array(8);
  vcpu.getOneReg(id, value);
  return new DataView(value.buffer).getBigUint64(0, true);
}

export function set(vcpu: VcpuFd, id: bigint, value: bigint): void {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  vcpu.setOneReg(id, bytes);
}

/** The run page as the fields of struct kvm_run. */
export const page = (vcpu: VcpuFd) => unpack(kvm_run, vcpu.runPage);

export function setImmediateExit(vcpu: VcpuFd, value: 0 | 1): void {
  vcpu.runPage[run.immediate_exit] = value;
}

/** Answers a load that waits in the run page. */
export function answer(vcpu: VcpuFd, ...bytes: number[]): void {
  vcpu.runPage.set(bytes, run["mmio.data"]);
}

/** Runs until an exit of this reason, which the run must end with. */
export function expectExit(vcpu: VcpuFd, reason: number): ReturnType<typeof page> {
  assert.equal(vcpu.runSync(), 0);
  const exit = page(vcpu);
  assert.equal(exit.exit_reason, reason);
  return exit;
}
