// What the system-mode judge is asked: a CPU at EL1 or EL0, a few instructions, and the exception that ends them.

export const SYSTEM_DATA = 0x4400_0000n;
export const SYSTEM_CODE = 0x4500_0000n;
export const VECTORS = 0x4700_0000n;
export const SYSTEM_WORDS = 16;

export interface SystemCase {
  readonly x: readonly bigint[];
  readonly spEl0: bigint;
  readonly spEl1: bigint;
  /** In SPSR format: what the case runs with. */
  readonly pstate: bigint;
  readonly sctlr: bigint;
  readonly cpacr: bigint;
  readonly cntkctl: bigint;
  readonly code: readonly number[];
}

/** Registers that are read back after a case, in the order of system-judge.c. */
export const readBack = [
  "TTBR0_EL1",
  "TTBR1_EL1",
  "TCR_EL1",
  "CONTEXTIDR_EL1",
  "TPIDR_EL0",
  "TPIDRRO_EL0",
  "TPIDR_EL1",
  "PAR_EL1",
  "CSSELR_EL1",
  "MDSCR_EL1",
  "CPACR_EL1",
  "CNTKCTL_EL1",
  "SCTLR_EL1",
  "PMUSERENR_EL0",
] as const;

export interface SystemResult {
  readonly x: readonly bigint[];
  readonly spEl0: bigint;
  readonly spEl1: bigint;
  readonly elr: bigint;
  readonly spsr: bigint;
  readonly esr: bigint;
  readonly far: bigint;
  /** Offset in the vector table. */
  readonly vector: bigint;
  /** PSTATE at the vector, but for NZCV, TCO and DIT (which QEMU 7.2 clears, against DDI 0487 J1.1). */
  readonly pstate: bigint;
  /** The registers of `readBack`. */
  readonly registers: readonly bigint[];
  readonly changes: readonly (readonly [index: number, value: bigint])[];
}

/** The result as named lines. */
export function systemLines(result: SystemResult): string[] {
  const { x, registers, changes, ...named } = result;
  const hex = (v: bigint) => v.toString(16).padStart(16, "0");
  return [
    ...Object.entries(named).map(([name, v]) => name.padEnd(16) + hex(v)),
    ...x.map((v, n) => `x${n}`.padEnd(16) + hex(v)),
    ...readBack.map((name, n) => name.padEnd(16) + hex(registers[n]!)),
    ...changes.map(([index, v]) => `[${(SYSTEM_DATA + BigInt(index * 8)).toString(16)}]`.padEnd(16) + hex(v)),
  ];
}

/** The lines that differ, side by side. */
export function systemDifferences(ours: SystemResult, theirs: SystemResult): string[] {
  const [a, b] = [systemLines(ours), systemLines(theirs)];
  const rows: string[] = [];
  for (let n = 0; n < Math.max(a.length, b.length); n++) {
    if (a[n] !== b[n]) rows.push(`* ${(a[n] ?? "").padEnd(36)}${b[n] ?? ""}`);
  }
  return rows;
}
