// The arguments of `kvm-arm64 run`, checked.
import { parseArgs } from "node:util";
import { type Kernel, kernels } from "../arm64/sysreg-row.js";
import type { Backend } from "../kvm.js";
import { UsageError } from "./exit-status.js";
import {
  oneOf,
  parseCount,
  parseSize,
  parseTimeout,
  spellTrace,
  type TraceTarget,
  traceOptions,
  traceTarget,
} from "./machine-options.js";

export interface RunOptions {
  readonly file: string;
  readonly backend: Backend | undefined;
  readonly kernel: Kernel | undefined;
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly trace: TraceTarget;
  readonly timeoutSeconds: number | undefined;
  readonly report: boolean;
}

const MAX_CPUS = 512;
/** UsageError says what is wrong with the arguments. */
export function parseRunOptions(args: readonly string[]): RunOptions {
  const { values, positionals } = parse(spellTrace(args));
  const [file, ...more] = positionals;
  if (file === undefined) throw new UsageError("run: which guest? A file is missing");
  if (more.length > 0) throw new UsageError(`run: one file at a time, got also ${more.join(" ")}`);
  const backend = values.backend === undefined ? undefined : oneOf("backend", values.backend, ["kvm", "model"]);
  const kernel = values.kernel === undefined ? undefined : oneOf("kernel", values.kernel, kernels);
  if (backend === "kvm" && kernel !== undefined) {
    throw new UsageError("--kernel chooses the kernel that the model plays; with --backend kvm the machine has one");
  }
  return {
    file,
    // A kernel to play means the model.
    backend: backend ?? (kernel === undefined ? undefined : "model"),
    kernel,
    memoryBytes: parseSize(values.memory ?? "64M"),
    cpus: parseCount("cpus", values.cpus ?? "1", 1, MAX_CPUS),
    trace: traceTarget(values),
    timeoutSeconds: parseTimeout(values.timeout),
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
        ...traceOptions,
        timeout: { type: "string" },
        report: { type: "boolean" },
      },
    });
  } catch (error) {
    throw new UsageError(`run: ${(error as Error).message}`);
  }
}
