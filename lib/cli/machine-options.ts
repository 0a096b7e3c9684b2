// What the arguments of `run` and `boot` have in common, checked.
import { closeSync, openSync, writeSync } from "node:fs";
import process from "node:process";
import { exitStatus, UsageError } from "./exit-status.js";

export type TraceTarget = { readonly file: string } | "stderr" | undefined;

const units: Record<string, number> = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** "64M", "1G", "0x400000": bytes, a multiple of 64 KiB, which is a multiple of every host's page size. */
export function parseSize(text: string): number {
  const match = /^(0x[0-9a-f]+|\d+)([kmg]?)(i?b)?$/i.exec(text);
  const bytes = match ? Number(match[1]) * (units[match[2]?.toUpperCase() ?? ""] as number) : Number.NaN;
  if (!Number.isSafeInteger(bytes) || bytes <= 0 || bytes % 0x10000 !== 0) {
    throw new UsageError(`--memory ${text}: a size such as 64M or 1G is wanted, a multiple of 64K`);
  }
  return bytes;
}

export function oneOf<T extends string>(option: string, value: string, known: readonly T[]): T {
  if (!known.includes(value as T)) throw new UsageError(`--${option} ${value}: one of ${known.join(", ")} is wanted`);
  return value as T;
}

export function parseNumber(option: string, text: string, least: number, most: number): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) {
    throw new UsageError(`--${option} ${text}: a number from ${least} to ${most} is wanted`);
  }
  return value;
}

export function parseCount(option: string, text: string, least: number, most: number): number {
  const value = parseNumber(option, text, least, most);
  if (!Number.isInteger(value)) throw new UsageError(`--${option} ${text}: a whole number is wanted`);
  return value;
}

export const parseTimeout = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : parseNumber("timeout", text, 0.001, 2_000_000);

/** An option whose value may be missing is unknown to parseArgs: --trace=FILE becomes an option of its own. */
export function spellTrace(args: readonly string[]): string[] {
  const ends = args.indexOf("--");
  return args.map((arg, i) =>
    arg.startsWith("--trace=") && (ends < 0 || i < ends) ? `--trace-file=${arg.slice("--trace=".length)}` : arg,
  );
}

/** As parseArgs takes them, after `spellTrace`. */
export const traceOptions = { trace: { type: "boolean" }, "trace-file": { type: "string" } } as const;

export function traceTarget(values: { trace?: boolean | undefined; "trace-file"?: string | undefined }): TraceTarget {
  const file = values["trace-file"];
  if (file === "") throw new UsageError("--trace=: the name of a file is missing");
  return file !== undefined ? { file } : values.trace ? "stderr" : undefined;
}

/** Where the trace goes, and how to end it. */
export function openTrace(to: TraceTarget): { readonly sink?: (line: string) => void; close(): void } {
  if (to === undefined) return { close: () => {} };
  if (to === "stderr") return { sink: (line) => void process.stderr.write(`${line}\n`), close: () => {} };
  const file = openSync(to.file, "w");
  return { sink: (line) => void writeSync(file, `${line}\n`), close: () => closeSync(file) };
}

/** Calls `stop` with the status to end with when the time is over or a signal comes. A second signal kills. */
export function stopOn(timeoutSeconds: number | undefined, stop: (status: number) => void): { close(): void } {
  const signals = { SIGINT: exitStatus.interrupted, SIGTERM: exitStatus.terminated } as const;
  const onSignal = (name: NodeJS.Signals): void => stop(signals[name as "SIGINT"]);
  const names = Object.keys(signals) as (keyof typeof signals)[];
  for (const name of names) process.once(name, onSignal);
  const timer =
    timeoutSeconds === undefined ? undefined : setTimeout(() => stop(exitStatus.timeout), 1000 * timeoutSeconds);
  return {
    close: () => {
      clearTimeout(timer);
      for (const name of names) process.off(name, onSignal);
    },
  };
}
