// kvm-arm64 doctor: can this machine use KVM, and if not, exactly why; what there is to use.
import process from "node:process";
import { parseArgs } from "node:util";
import { Kvm, KvmError, kernels } from "../index.js";
import { type CapName, caps } from "../uapi/caps.js";
import { Machine } from "../vmm/index.js";
import { type Check, checkHost } from "./doctor-checks.js";
import { lookAtHost } from "./doctor-host.js";
import { exitStatus, MODEL_ONLY, UsageError } from "./exit-status.js";
import { version } from "./version.js";

export const usage = `usage: kvm-arm64 doctor [--json]

Tells whether this machine can use KVM, and if not exactly why and what to do; and what the backend in use has.

Exit status: 0 KVM can be used · 1 only the model can · 125 usage
`;

/** What a backend says of itself. */
interface BackendReport {
  readonly backend: "kvm" | "model";
  readonly apiVersion: number;
  readonly capabilities: Readonly<Partial<Record<CapName, number>>>;
  /** How many registers a plain vCPU lists. */
  readonly registers: number;
  readonly ipaBits: number;
}

interface Report {
  readonly version: string;
  readonly node: string;
  readonly usable: boolean;
  readonly checks: readonly Check[];
  /** Absent when it can not even make a VM: then a check says why. */
  readonly backend?: BackendReport;
  /** The kernels that the model plays. */
  readonly modelKernels: readonly string[];
}

function capabilitiesOf(kvm: Kvm): Partial<Record<CapName, number>> {
  const found: Partial<Record<CapName, number>> = {};
  for (const name of Object.keys(caps) as CapName[]) {
    try {
      const value = kvm.has(name);
      if (value !== 0) found[name] = value;
    } catch (error) {
      if (!(error instanceof KvmError)) throw error; // EINVAL: the VM alone can be asked
    }
  }
  return found;
}

function inspect(kvm: Kvm): BackendReport {
  using machine = new Machine(kvm, { memoryBytes: 1 << 20 });
  return {
    backend: kvm.backend,
    apiVersion: kvm.apiVersion,
    capabilities: capabilitiesOf(kvm),
    registers: machine.vcpus[0]?.regList().length ?? 0,
    ipaBits: kvm.has("ARM_VM_IPA_SIZE"),
  };
}

function diagnose(): Report {
  const host = lookAtHost();
  let kvm: Kvm | undefined;
  let refusal: string | undefined;
  try {
    kvm = Kvm.open({ backend: "kvm" });
  } catch (error) {
    if (!(error instanceof KvmError)) throw error;
    refusal = error.message;
  }
  using opened = kvm ?? Kvm.open({ backend: "model" });
  const checks = checkHost(host, refusal);
  let backend: BackendReport | undefined;
  try {
    backend = inspect(opened);
  } catch (error) {
    if (!(error instanceof KvmError)) throw error;
    checks.push({ what: "a small VM", ok: false, finding: error.message });
  }
  return {
    version: version(),
    node: process.version,
    usable: kvm !== undefined && backend !== undefined,
    checks,
    ...(backend !== undefined && { backend }),
    modelKernels: kernels,
  };
}

function text({ version, node, usable, checks, backend, modelKernels }: Report): string {
  const width = Math.max(...checks.map((check) => check.what.length));
  const lines = [`kvm-arm64 ${version}, Node ${node}, ${process.platform} ${process.arch}`, ""];
  for (const { what, ok, finding, help } of checks) {
    lines.push(`${ok ? "ok" : "NO"}  ${what.padEnd(width)}  ${finding}`);
    if (help !== undefined) lines.push(`    ${" ".repeat(width)}  ${help}`);
  }
  lines.push(
    "",
    usable
      ? "KVM can be used."
      : "KVM can not be used here. The model runs guests instead, on this machine and any other.",
  );
  if (backend === undefined) return `${lines.join("\n")}\n`;
  const names = Object.entries(backend.capabilities).map(([name, value]) =>
    value === 1 ? name : `${name}=${value > 0xffff ? `0x${value.toString(16)}` : value}`,
  );
  lines.push(
    "",
    `${backend.backend}: API version ${backend.apiVersion}, ${backend.ipaBits} bits of guest physical address at most, ${backend.registers} registers of a plain vCPU`,
    `capabilities: ${names.join(" ")}`,
    `The model plays Linux ${modelKernels.join(", ")}.`,
  );
  return `${lines.join("\n")}\n`;
}

export function main(args: string[]): number {
  const json = parse(args);
  const report = diagnose();
  process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : text(report));
  return report.usable ? exitStatus.ok : MODEL_ONLY;
}

function parse(args: string[]): boolean {
  try {
    return parseArgs({ args, options: { json: { type: "boolean" } } }).values.json ?? false;
  } catch (error) {
    throw new UsageError(`doctor: ${(error as Error).message}`);
  }
}
