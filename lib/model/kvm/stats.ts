// KVM_GET_STATS_FD: Documentation/virt/kvm/api.rst 4.133.

import { structs } from "../../uapi/structs.js";
import { vcpuCells } from "../layout.js";
import type { VcpuState } from "../vcpu-state.js";

const HEADER_BYTES = structs.kvm_stats_header.bytes;
const NAME_BYTES = 48;
const ID_OFFSET = HEADER_BYTES;
const DESC_OFFSET = ID_OFFSET + NAME_BYTES;
const DESC_BYTES = structs.kvm_stats_desc.bytes + NAME_BYTES;

// Type in bits 3:0, unit in 7:4, base (of ten: 0) in 11:8.
const kinds = {
  counter: { flags: 0, exponent: 0, count: 1 },
  nanoseconds: { flags: 0x20, exponent: -9, count: 1 },
  histogram: { flags: 0x24, exponent: -9, count: 32 },
  truth: { flags: 0x41, exponent: 0, count: 1 },
} as const;

type Row = readonly [name: string, kind: keyof typeof kinds];

const vmRows: readonly Row[] = [
  ["remote_tlb_flush", "counter"],
  ["remote_tlb_flush_requests", "counter"],
];

const vcpuRows = [
  ["halt_successful_poll", "counter"],
  ["halt_attempted_poll", "counter"],
  ["halt_poll_invalid", "counter"],
  ["halt_wakeup", "counter"],
  ["halt_poll_success_ns", "nanoseconds"],
  ["halt_poll_fail_ns", "nanoseconds"],
  ["halt_wait_ns", "nanoseconds"],
  ["halt_poll_success_hist", "histogram"],
  ["halt_poll_fail_hist", "histogram"],
  ["halt_wait_hist", "histogram"],
  ["blocking", "truth"],
  ["hvc_exit_stat", "counter"],
  ["wfe_exit_stat", "counter"],
  ["wfi_exit_stat", "counter"],
  ["mmio_exit_user", "counter"],
  ["mmio_exit_kernel", "counter"],
  ["signal_exits", "counter"],
  ["exits", "counter"],
] as const satisfies readonly Row[];

export type VcpuStat = (typeof vcpuRows)[number][0];

/** First cell of each statistic. */
const statCells = (() => {
  const first: Partial<Record<VcpuStat, number>> = {};
  let next = 0;
  for (const [name, kind] of vcpuRows) {
    first[name] = next;
    next += kinds[kind].count;
  }
  return first as Readonly<Record<VcpuStat, number>>;
})();

/** Adds to a statistic of a vCPU. */
export function count(vcpu: VcpuState, name: VcpuStat, value = 1n): void {
  vcpu.quads[vcpuCells.stats + statCells[name]]! += value;
}

/** A time that the vCPU waited: the sum, and its histogram by powers of two. */
export function countWait(vcpu: VcpuState, nanoseconds: bigint): void {
  count(vcpu, "halt_wait_ns", nanoseconds);
  const bucket = Math.min(31, nanoseconds.toString(2).length - (nanoseconds === 0n ? 1 : 0));
  vcpu.quads[vcpuCells.stats + statCells.halt_wait_hist + bucket]!++;
}

export function setBlocking(vcpu: VcpuState, value: 0n | 1n): void {
  vcpu.quads[vcpuCells.stats + statCells.blocking] = value;
}

const ascii = new TextEncoder();

function file(id: string, rows: readonly Row[], values: BigUint64Array): Uint8Array {
  const cells = rows.reduce((sum, [, kind]) => sum + kinds[kind].count, 0);
  const dataOffset = DESC_OFFSET + rows.length * DESC_BYTES;
  const bytes = new Uint8Array(dataOffset + cells * 8);
  const view = new DataView(bytes.buffer);
  for (const [n, word] of [0, NAME_BYTES, rows.length, ID_OFFSET, DESC_OFFSET, dataOffset].entries()) {
    view.setUint32(4 * n, word, true);
  }
  bytes.set(ascii.encode(id).subarray(0, NAME_BYTES - 1), ID_OFFSET);
  let cell = 0;
  for (const [n, [name, kind]] of rows.entries()) {
    const at = DESC_OFFSET + n * DESC_BYTES;
    const { flags, exponent, count: size } = kinds[kind];
    view.setUint32(at, flags, true);
    view.setInt16(at + 4, exponent, true);
    view.setUint16(at + 6, size, true);
    view.setUint32(at + 8, cell * 8, true);
    bytes.set(ascii.encode(name), at + 16);
    cell += size;
  }
  for (let n = 0; n < cells; n++) view.setBigUint64(dataOffset + 8 * n, values[n] ?? 0n, true);
  return bytes;
}

function pread(bytes: Uint8Array, offset: number, into: Uint8Array): number {
  const part = bytes.subarray(Math.min(offset, bytes.length), offset + into.length);
  into.set(part);
  return part.length;
}

export function readVmStats(offset: number, into: Uint8Array): number {
  return pread(file(`kvm-${process.pid}`, vmRows, new BigUint64Array(0)), offset, into);
}

export function readVcpuStats(vcpu: VcpuState, offset: number, into: Uint8Array): number {
  const values = vcpu.quads.subarray(vcpuCells.stats);
  return pread(file(`kvm-${process.pid}/vcpu-${vcpu.get("id")}`, vcpuRows, values), offset, into);
}
