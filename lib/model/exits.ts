// Filling the kvm_run page: what userspace finds there after KVM_RUN.

import { KVM_EXIT } from "../uapi/constants.js";
import { run } from "../uapi/structs.js";
import type { VcpuState } from "./vcpu-state.js";

/** Where the union of the exits begins. */
const UNION = 32;
const EVENT_DATA = run["system_event.data"];

type Field = keyof typeof run;

/** Names the exit. The first `zeroed` bytes of the union become 0, the others keep what an earlier exit left there. */
export function exit(vcpu: VcpuState, reason: number, zeroed: number): void {
  vcpu.runPage.fill(0, UNION, UNION + zeroed);
  vcpu.run.setUint32(run.exit_reason, reason, true);
}

export function putQuad(vcpu: VcpuState, field: Field, value: bigint): void {
  vcpu.run.setBigUint64(run[field], value, true);
}
export function putWord(vcpu: VcpuState, field: Field, value: number): void {
  vcpu.run.setUint32(run[field], value, true);
}

/** KVM_EXIT_SYSTEM_EVENT. */
export function systemEvent(vcpu: VcpuState, type: number, data: readonly bigint[]): void {
  exit(vcpu, KVM_EXIT.SYSTEM_EVENT, 136);
  putWord(vcpu, "system_event.type", type);
  putWord(vcpu, "system_event.ndata", data.length);
  for (const [n, value] of data.entries()) vcpu.run.setBigUint64(EVENT_DATA + 8 * n, value, true);
}

/** KVM_INTERNAL_ERROR_EMULATION. */
const EMULATION = 1;
const DATA_WORDS = 16;

/**
 * KVM_EXIT_INTERNAL_ERROR: the ID registers promise an instruction that the engine lacks. data[0] is the instruction,
 * data[1] its address, the words after them hold its name in ASCII, padded with zeros.
 */
export function lacksInstruction(vcpu: VcpuState, word: number, name: string): void {
  exit(vcpu, KVM_EXIT.INTERNAL_ERROR, 256);
  const at = run["internal.data"];
  const text = new TextEncoder().encode(name).subarray(0, (DATA_WORDS - 2) * 8);
  putWord(vcpu, "internal.suberror", EMULATION);
  putWord(vcpu, "internal.ndata", 2 + Math.ceil(text.length / 8));
  vcpu.run.setBigUint64(at, BigInt(word), true);
  vcpu.run.setBigUint64(at + 8, vcpu.cpu.pc, true);
  vcpu.runPage.set(text, at + 16);
}
