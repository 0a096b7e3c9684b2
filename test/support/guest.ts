// Tiny guests: a VM, memory, a program of a few words, and running it to an exit without hanging the test.

import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { pc, sysReg } from "../../lib/arm64/registers.js";
import type { VcpuFeature } from "../../lib/arm64/vcpu-features.js";
import type { Exit, MmioExit } from "../../lib/exit.js";
import type { GuestMemory } from "../../lib/memory.js";
import type { Vcpu } from "../../lib/vcpu.js";
import type { MemoryOptions, Vm } from "../../lib/vm.js";
import { mov64, store, XZR } from "./assemble.js";
import type { Host } from "./backends.js";
import { answer } from "./refusal.js";

/** Where guests have their memory, and where there is none. Arbitrary. */
export const RAM = 0x4000_0000n;
export const DEVICE = 0x0900_0000n;
const RAM_BYTES = 1 << 20;

export interface GuestOptions {
  readonly features?: readonly (VcpuFeature | number)[];
  readonly vcpus?: number;
  readonly memory?: Partial<MemoryOptions>;
  /** Before there are memory and vCPUs: capabilities, devices. */
  readonly prepare?: (vm: Vm) => void;
}

export interface Guest {
  readonly vm: Vm;
  readonly ram: GuestMemory;
  readonly cpu: Vcpu;
  readonly cpus: readonly Vcpu[];
}

/** A VM with memory and initialised vCPUs; `code` is at the start of its memory, and the first vCPU's PC there. */
export function makeGuest(
  host: Pick<Host, "kvm" | "keep">,
  code: readonly number[] = [],
  options: GuestOptions = {},
): Guest {
  const vm = host.keep(host.kvm.createVm());
  options.prepare?.(vm);
  const ram = vm.addMemory({ at: RAM, bytes: RAM_BYTES, ...options.memory });
  loadWords(ram, 0, code);
  const cpus = Array.from({ length: options.vcpus ?? 1 }, () => {
    const cpu = host.keep(vm.createVcpu());
    cpu.init({ features: options.features ?? [] });
    return cpu;
  });
  const cpu = cpus[0] as Vcpu;
  if (options.features?.includes("sve")) cpu.finalize("sve");
  cpu.setReg(pc, ram.at);
  return { vm, ram, cpu, cpus };
}

/** Puts instruction words into guest memory. */
export function loadWords(memory: GuestMemory, offset: number, words: readonly number[]): void {
  const view = new DataView(memory.bytes.buffer, memory.bytes.byteOffset, memory.bytes.byteLength);
  for (const [i, word] of words.entries()) view.setUint32(offset + 4 * i, word, true);
}

/** The words that end a guest: they store XZR to DEVICE, which is an MMIO exit. X28 is lost. */
export const finish: readonly number[] = [
  ...mov64(28, DEVICE), // x28 = DEVICE
  store(4, XZR, 28), // str wzr, [x28]
];

/** ESR_EL1.EC: which exception the guest took. 6.1 extends the 32 bits that it injects by their sign. */
export const exceptionClass = (cpu: Vcpu): bigint => (cpu.getReg(sysReg("ESR_EL1")) >> 26n) & 0x3fn;

const PATIENCE_MS = 20_000;

/** Runs to the next exit. A guest that has none within the patience of the test is kicked, and fails it. */
export async function runToExit(cpu: Vcpu): Promise<Exit> {
  let impatient = false;
  const timer = setTimeout(() => {
    impatient = true;
    cpu.kick();
  }, PATIENCE_MS);
  try {
    const exit = await cpu.run();
    assert.ok(
      !impatient,
      `the guest did not exit within ${PATIENCE_MS} ms; its PC is 0x${cpu.getReg(pc).toString(16)}`,
    );
    return exit;
  } finally {
    clearTimeout(timer);
  }
}

/** Runs to the store of `finish`, and completes it, so that a PC set then stays. */
export async function runToFinish(cpu: Vcpu): Promise<void> {
  const exit = await runToMmio(cpu);
  assert.deepEqual([exit.write, exit.address], [true, DEVICE]);
  completeExit(cpu);
}

/** Completes the exit that the vCPU is in (an MMIO load is written, PC moves on) without running the guest. */
export function completeExit(cpu: Vcpu): void {
  cpu.immediateExit = true;
  assert.equal(cpu.runSync().reason, "interrupted");
  cpu.immediateExit = false;
}

/** Runs to an exit that must be MMIO. */
export async function runToMmio(cpu: Vcpu): Promise<MmioExit> {
  const exit = await runToExit(cpu);
  assert.equal(exit.reason, "mmio");
  return exit as MmioExit;
}

/** Waits until the vCPU is inside a run, on whichever thread. */
export async function untilRunning(cpu: Vcpu): Promise<void> {
  for (let waited = 0; waited < PATIENCE_MS; waited += 10) {
    if (answer(() => cpu.mpState) === "EBUSY") return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(`the vCPU did not run within ${PATIENCE_MS} ms`);
}

/** Runs on, kicked now and then, until `happened`; the guest has no exit before. */
export async function runUntil(cpu: Vcpu, happened: () => boolean): Promise<void> {
  for (let waited = 0; waited < PATIENCE_MS; waited += 100) {
    assert.equal((await runFor(cpu, 100)).reason, "interrupted");
    if (happened()) return;
  }
  assert.fail(`it did not happen within ${PATIENCE_MS} ms`);
}

/** Waits for `wanted`, for what the kernel does in a thread of its own. */
export async function eventually<T>(found: () => T, wanted: T): Promise<void> {
  for (let waited = 0; waited < PATIENCE_MS && !isDeepStrictEqual(found(), wanted); waited += 10) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.deepEqual(found(), wanted);
}

/** Runs until `milliseconds` have passed, when the vCPU is kicked. Gives the exit: "interrupted" if there was none. */
export async function runFor(cpu: Vcpu, milliseconds: number): Promise<Exit> {
  const timer = setTimeout(() => cpu.kick(), milliseconds);
  try {
    return await cpu.run();
  } finally {
    clearTimeout(timer);
  }
}
