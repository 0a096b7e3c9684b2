// The order of data in memory: DDI 0487 B2.6, and J1.1 BigEndian().

import { type CpuState, Pstate } from "./state.js";

const E0E = 1 << 24;
/** SCTLR_EL1.EE: data of EL1, and the tables of stage 1 whoever accesses. */
export const EE = 1 << 25;

/** Data accesses are big-endian. `sctlr`: the lower word of SCTLR_EL1; an unprivileged access has the order of its EL. */
export const isBigEndian = (sctlr: number, mode: number): boolean =>
  (sctlr & ((mode & Pstate.EL) === 0 ? E0E : EE)) !== 0;

/** The CPU's data accesses are big-endian now. */
export const hasBigEndianData = (cpu: CpuState): boolean =>
  isBigEndian(Number(cpu.get("SCTLR_EL1") & 0xffff_ffffn), cpu.mode);

/** The lower `bytes` bytes in reverse. */
export function reversed(value: bigint, bytes: number): bigint {
  let result = 0n;
  for (let n = 0; n < bytes; n++) result = (result << 8n) | ((value >> BigInt(8 * n)) & 0xffn);
  return result;
}
