// What is judged: a machine's registers, a few instructions, and what becomes of them.

/** Where both machines of the user-mode judge have memory: user-judge.c has the same numbers. */
export const DATA = 0x4000_0000n;
export const DATA_BYTES = 8192;
export const CODE = 0x5000_0000n;
export const MOST_WORDS = 64;

/** The SIMD&FP registers. */
export interface Vectors {
  /** V0 to V31, each its lower and its upper 64 bits. */
  readonly words: readonly bigint[];
  readonly fpsr: number;
  readonly fpcr: number;
}

export interface Case {
  readonly x: readonly bigint[];
  readonly sp: bigint;
  /** PSTATE.NZCV in bits 31:28. */
  readonly nzcv: bigint;
  readonly v: Vectors;
  readonly code: readonly number[];
  /** How many faults in the code are passed over: the instruction is left out, and the next one follows. */
  readonly passes: number;
}

/** How a case ended: at the breakpoint behind its code, or before. */
export type Ending = "done" | "undefined" | "abort" | "alignment";

export interface Result {
  readonly ending: Ending;
  readonly x: readonly bigint[];
  readonly sp: bigint;
  readonly nzcv: bigint;
  readonly v: Vectors;
  readonly pc: bigint;
  /** The faults that were passed over: which word of the code, and how it would have ended. */
  readonly passed: readonly (readonly [index: number, ending: Ending])[];
  /** 64-bit words of the data that changed: index and value. */
  readonly changes: readonly (readonly [index: number, value: bigint])[];
}

/** The lines of `result`, one a register. */
export function lines(result: Result): string[] {
  const hex = (v: bigint) => v.toString(16).padStart(16, "0");
  return [
    `ending ${result.ending}`,
    `pc     ${hex(result.pc)}`,
    `passed ${result.passed.map(([n, ending]) => `${n} ${ending}`).join(", ")}`,
    `sp     ${hex(result.sp)}`,
    `nzcv   ${hex(result.nzcv)}`,
    ...result.x.map((v, n) => `x${n}`.padEnd(7) + hex(v)),
    ...Array.from(
      { length: 32 },
      (_, n) => `v${n}`.padEnd(7) + hex(result.v.words[2 * n + 1]!) + hex(result.v.words[2 * n]!),
    ),
    `fpsr   ${result.v.fpsr.toString(16).padStart(8, "0")}`,
    `fpcr   ${result.v.fpcr.toString(16).padStart(8, "0")}`,
    ...result.changes.map(([index, v]) => `[${(DATA + BigInt(index * 8)).toString(16)}] ${hex(v)}`),
  ];
}

/** Whether both results are the same. */
export function agree(a: Result, b: Result): boolean {
  return a.ending === b.ending && registersAgree(a, b) && changesAgree(a, b);
}

export function registersAgree(a: Result, b: Result): boolean {
  return (
    a.pc === b.pc &&
    a.passed.length === b.passed.length &&
    a.passed.every(([n, ending], i) => b.passed[i]![0] === n && b.passed[i]![1] === ending) &&
    a.sp === b.sp &&
    a.nzcv === b.nzcv &&
    a.x.every((v, n) => v === b.x[n]) &&
    a.v.fpsr === b.v.fpsr &&
    a.v.fpcr === b.v.fpcr &&
    a.v.words.every((v, n) => v === b.v.words[n])
  );
}

function changesAgree(a: Result, b: Result): boolean {
  if (a.changes.length !== b.changes.length) return false;
  return a.changes.every(([index, value], n) => index === b.changes[n]![0] && value === b.changes[n]![1]);
}

/** Both results side by side, only the lines that differ; empty when they agree. */
export function differences(ours: Result, theirs: Result): string[] {
  const [a, b] = [lines(ours), lines(theirs)];
  const rows: string[] = [];
  for (let n = 0; n < Math.max(a.length, b.length); n++) {
    if (a[n] !== b[n]) rows.push(`* ${(a[n] ?? "").padEnd(44)}${b[n] ?? ""}`);
  }
  return rows;
}
