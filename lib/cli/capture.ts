// kvm-arm64 capture: records this host, for the model to play.
import { release } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import { contractOf, type Kernel, Kvm, kernels } from "../index.js";
import { captureHost, captureText } from "./capture-host.js";
import { exitStatus, UsageError } from "./exit-status.js";
import { version } from "./version.js";

export const usage = `usage: kvm-arm64 capture [OPTION…] > host.json

Records this host as KVM shows it: capabilities, every combination of vCPU features with its registers, ID registers
and what can be written to them, devices and their attributes. The model plays it elsewhere:
Kvm.open({ backend: "model", model: { host: … } }).

  --backend kvm|model     what is recorded; default: kvm
  --kernel 6.1|6.12|7.2   with --backend model: the kernel whose KVM the model plays
  --note TEXT             how it was taken; written into the file

Exit status: 0 · 125 no KVM, or usage
`;

interface Options {
  readonly backend: "kvm" | "model";
  readonly kernel: Kernel | undefined;
  readonly note: string;
}

export function main(args: string[]): number {
  const { backend, kernel, note } = parse(args);
  using kvm = Kvm.open(backend === "kvm" ? { backend } : { backend, model: kernel === undefined ? {} : { kernel } });
  const running =
    backend === "kvm"
      ? { release: release(), contract: contractOf(release()) }
      : { release: "the model", contract: kernel ?? (kernels.at(-1) as Kernel) };
  const taken = `${new Date().toISOString().slice(0, 10)}, kvm-arm64 ${version()}`;
  const text = captureText(captureHost(kvm, { note, taken, kernel: running }));
  process.stdout.write(`${text}\n`);
  return exitStatus.ok;
}

function oneOf<T extends string>(option: string, value: string, known: readonly T[]): T {
  if (!known.includes(value as T)) throw new UsageError(`--${option} ${value}: one of ${known.join(", ")} is wanted`);
  return value as T;
}

function parse(args: string[]): Options {
  let values: { backend?: string | undefined; kernel?: string | undefined; note?: string | undefined };
  try {
    const options = { backend: { type: "string" }, kernel: { type: "string" }, note: { type: "string" } } as const;
    ({ values } = parseArgs({ args, options }));
  } catch (error) {
    throw new UsageError(`capture: ${(error as Error).message}`);
  }
  const backend = oneOf("backend", values.backend ?? "kvm", ["kvm", "model"]);
  if (backend === "kvm" && values.kernel !== undefined) {
    throw new UsageError("--kernel chooses the kernel that the model plays; with --backend kvm the machine has one");
  }
  const kernel = values.kernel === undefined ? undefined : oneOf("kernel", values.kernel, kernels);
  return { backend, kernel, note: values.note ?? "" };
}
