// The arguments of `kvm-arm64 run`, checked.
import { parseArgs } from "node:util";
import { type Kernel, kernels } from "../arm64/sysreg-row.js";
import type { Backend } from "../kvm.js";
import { UsageError } from "./exit-status.js";

export interface RunOptions {
  readonly file: string;
  readonly backend: Backend | undefined;
  readonly kernel: Kernel | undefined;
  readonly memoryBytes: number;
  readonly cpus: number;
  /** Where the trace goes: a file, or stderr. */
  readonly trace: { readonly file: string } | "stderr" | undefined;
  readonly timeoutSeconds: number | undefined;
  readonly report: boolean;
}

const MAX_CPUS = 512;
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

function oneOf<T extends string>(option: string, value: string, known: readonly T[]): T {
  if (!known.includes(value as T)) throw new UsageError(`--${option} ${value}: one of ${known.join(", ")} is wanted`);
  return value as T;
}

function parseNumber(option: string, text: string, least: number, most: number): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) {
    throw new UsageError(`--${option} ${text}: a number from ${least} to ${most} is wanted`);
  }
  return value;
}

/** UsageError says what is wrong with the arguments. */
export function parseRunOptions(args: readonly string[]): RunOptions {
  // An option whose value may be missing is unknown to parseArgs: --trace=FILE becomes an option of its own.
  const ends = args.indexOf("--");
  const spelled = args.map((arg, i) =>
    arg.startsWith("--trace=") && (ends < 0 || i < ends) ? `--trace-file=${arg.slice("--trace=".length)}` : arg,
  );
  const { values, positionals } = parse(spelled);
  const [file, ...more] = positionals;
  if (file === undefined) throw new UsageError("run: which guest? A file is missing");
  if (more.length > 0) throw new UsageError(`run: one file at a time, got also ${more.join(" ")}`);
  const backend = values.backend === undefined ? undefined : oneOf("backend", values.backend, ["kvm", "model"]);
  const kernel = values.kernel === undefined ? undefined : oneOf("kernel", values.kernel, kernels);
  if (backend === "kvm" && kernel !== undefined) {
    throw new UsageError("--kernel chooses the kernel that the model plays; with --backend kvm the machine has one");
  }
  if (values["trace-file"] === "") throw new UsageError("--trace=: the name of a file is missing");
  const cpus = parseNumber("cpus", values.cpus ?? "1", 1, MAX_CPUS);
  if (!Number.isInteger(cpus)) throw new UsageError(`--cpus ${values.cpus}: a whole number is wanted`);
  return {
    file,
    // A kernel to play means the model.
    backend: backend ?? (kernel === undefined ? undefined : "model"),
    kernel,
    memoryBytes: parseSize(values.memory ?? "64M"),
    cpus,
    trace: values["trace-file"] ? { file: values["trace-file"] } : values.trace ? "stderr" : undefined,
    timeoutSeconds: values.timeout === undefined ? undefined : parseNumber("timeout", values.timeout, 0.001, 2_000_000),
    report: values.report ?? false,
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        backend: { type: "string" },
        kernel: { type: "string" },
        memory: { type: "string" },
        cpus: { type: "string" },
        trace: { type: "boolean" },
        "trace-file": { type: "string" },
        timeout: { type: "string" },
        report: { type: "boolean" },
      },
    });
  } catch (error) {
    throw new UsageError(`run: ${(error as Error).message}`);
  }
}
