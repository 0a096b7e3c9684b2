// What the tests of the addon share: only where KVM of arm64 works, a small guest, programs in processes of their own.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import type { Mapping, SystemFd, VcpuFd, VmFd } from "../../lib/backend.js";
import { isRefusal } from "../../lib/errors.js";
import { openNative } from "../../lib/native.js";
import { kvm_run, unpack } from "../../lib/uapi/structs.js";
import { skip } from "../skip.js";

/** In a `before` hook: skips the suite where there is no KVM of arm64. */
export function needsKvm(context: Mocha.Context): void {
  if (process.platform !== "linux" || process.arch !== "arm64" || !existsSync("/dev/kvm")) {
    skip(context, "needs /dev/kvm of arm64 Linux: npm run test:kvm has one");
  }
}

export const ramAt = 0x4000_0000n;
export const pcId = 0x6030_0000_0010_0040n;
export const x0Id = 0x6030_0000_0010_0000n;
export const deviceAt = 0x900_0000n;

/** Guest code, one instruction a word. */
export const programs = {
  /** Stores 65 to the device, for ever. */
  stores: [
    0xd2a12001, // movz x1, #0x900, lsl #16
    0x52800820, // movz w0, #65
    0x39000020, // strb w0, [x1]
    0x17ffffff, // b . - 4
  ],
  /** Runs for ever without an exit. */
  loops: [
    0x14000000, // b .
  ],
} as const;

export interface Guest {
  readonly system: SystemFd;
  readonly vm: VmFd;
  readonly ram: Mapping;
  readonly vcpu: VcpuFd;
  /** The code as words, to be changed while it runs. */
  readonly code: Uint32Array;
  close(): void;
}

const ramBytes = 0x1_0000;

/** A VM with RAM, and a vCPU that starts `program`. */
export function makeGuest(program: readonly number[]): Guest {
  const system = openNative();
  const vm = system.createVm(0n);
  const ram = vm.map({ kind: "anonymous", bytes: ramBytes });
  vm.setUserMemoryRegion(0, 0, ramAt, BigInt(ramBytes), ram, 0n);
  const vcpu = addVcpu(vm, 0);
  const code = new Uint32Array(ram.buffer);
  code.set(program);
  return {
    ...{ system, vm, ram, vcpu, code },
    close() {
      vcpu.close();
      vm.close();
      ram.close();
      system.close();
    },
  };
}

/** A vCPU that begins at the start of RAM. */
export function addVcpu(vm: VmFd, id: number): VcpuFd {
  const vcpu = vm.createVcpu(id);
  const init = new Uint8Array(32);
  vm.armPreferredTarget(init);
  vcpu.armVcpuInit(init);
  vcpu.setOneReg(pcId, word(ramAt));
  return vcpu;
}

export function word(value: bigint): Uint8Array {
  return new Uint8Array(new BigUint64Array([value]).buffer);
}

/** The exit in a run page. */
export const exitOf = (vcpu: VcpuFd) => unpack(kvm_run, vcpu.runPage);

/** The errno and the call of what `verb` is refused with; throws when it is not. */
export function refusalOf(verb: () => unknown): { errno: number; call: string } {
  try {
    verb();
  } catch (error) {
    if (isRefusal(error)) return { errno: error.errno, call: error.call };
    throw error;
  }
  throw new Error("it was not refused");
}

/** Descriptors of this process that belong to KVM or to eventfds. */
export function openDescriptors(): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    const target = targetOf(fd);
    return /kvm|eventfd/.test(target) ? [`${fd} ${target}`] : [];
  });
}

/** "" of one that is closed meanwhile, as the one that the folder is read by. */
function targetOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "";
  }
}

/** Runs a program to its end in a process of its own, with this file as `host` and with this process's V8 options. */
export function runProgram(source: string, nodeOptions: readonly string[] = []) {
  const preamble = [
    `const host = await import(${JSON.stringify(import.meta.url)});`,
    `const native = await import(${JSON.stringify(new URL("../../lib/native.js", import.meta.url).href)});`,
    `const { Worker } = await import("node:worker_threads");`,
    `const { setTimeout: sleep } = await import("node:timers/promises");`,
  ];
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    [...process.execArgv, ...nodeOptions, "--input-type=module", "--eval", [...preamble, source].join("\n")],
    { encoding: "utf8", timeout: 50_000, killSignal: "SIGKILL" },
  );
  return { status, signal, stdout, stderr: stderr.trim() };
}

/** The source of a Worker that attaches to a vCPU; the rest is `body`. */
export function workerSource(body: string): string {
  return `
    Promise.all([
      import("node:worker_threads"),
      import(${JSON.stringify(new URL("../../lib/native.js", import.meta.url).href)}),
    ]).then(async ([{ parentPort, workerData }, { openNative }]) => {
      const system = openNative();
      const vcpu = system.attachVcpu(workerData);
      ${body}
    });`;
}
