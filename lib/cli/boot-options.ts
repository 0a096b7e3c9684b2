// The arguments of `kvm-arm64 boot`, checked.
import { parseArgs } from "node:util";
import { type Kernel, kernels } from "../arm64/sysreg-row.js";
import type { Backend } from "../kvm.js";
import type { DiskOptions } from "../vmm/index.js";
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

export interface BootOptions {
  readonly kernel: string;
  readonly initrd: string | undefined;
  readonly append: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly disks: readonly DiskOptions[];
  readonly backend: Backend | undefined;
  /** Whose KVM the model plays. */
  readonly played: Kernel | undefined;
  readonly trace: TraceTarget;
  readonly timeoutSeconds: number | undefined;
}

const MAX_CPUS = 512;

const models = kernels.map((kernel) => `model-${kernel}` as const);

/** "F", "F,ro". */
function parseDisk(text: string): DiskOptions {
  const [, file = "", readonly] = /^(.*?)(,ro)?$/s.exec(text) ?? [];
  if (file === "") throw new UsageError(`--disk ${text}: the name of a file is missing`);
  return { file, access: readonly === undefined ? "read-write" : "read-only" };
}

/** UsageError says what is wrong with the arguments. */
export function parseBootOptions(args: readonly string[]): BootOptions {
  const values = parse(spellTrace(args));
  if (values.kernel === undefined) throw new UsageError("boot: which kernel? --kernel FILE is missing");
  const name =
    values.backend === undefined ? undefined : oneOf("backend", values.backend, ["kvm", "model", ...models] as const);
  const backend = name?.startsWith("model") ? "model" : (name as "kvm" | undefined);
  return {
    kernel: values.kernel,
    initrd: values.initrd,
    append: values.append ?? "",
    cpus: parseCount("cpus", values.cpus ?? "1", 1, MAX_CPUS),
    memoryBytes: parseSize(values.memory ?? "512M"),
    disks: (values.disk ?? []).map(parseDisk),
    backend,
    played: kernels.find((kernel) => name === `model-${kernel}`),
    trace: traceTarget(values),
    timeoutSeconds: parseTimeout(values.timeout),
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        kernel: { type: "string" },
        initrd: { type: "string" },
        append: { type: "string" },
        cpus: { type: "string" },
        memory: { type: "string" },
        disk: { type: "string", multiple: true },
        backend: { type: "string" },
        timeout: { type: "string" },
        ...traceOptions,
      },
    }).values;
  } catch (error) {
    throw new UsageError(`boot: ${(error as Error).message}`);
  }
}
