// The command line options that the programs of this folder share.

import type { parseArgs } from "node:util";
import { defaultMachine, type Machine } from "./boot.js";
import { Missing } from "./cache.js";
import { type KernelSeries, kernelSeries } from "./packages.js";

export const machineOptions = {
  kernel: { type: "string", multiple: true },
  cpu: { type: "string" },
  cpus: { type: "string" },
  memory: { type: "string" },
  mte: { type: "boolean" },
  gic: { type: "string" },
  append: { type: "string" },
  qemu: { type: "string" },
  timeout: { type: "string" },
  addon: { type: "string" },
  asan: { type: "boolean" },
  help: { type: "boolean" },
} as const;

export const machineUsage = `  --kernel ${kernelSeries.join("|")}
  --cpu CPU            as QEMU's -cpu (default ${defaultMachine.cpu})
  --cpus N             processors of the host (default ${defaultMachine.cpus})
  --memory MIB         memory of the host (default ${defaultMachine.memoryMiB})
  --mte                emulate memory tagging
  --gic 2|3            interrupt controller (default ${defaultMachine.gic})
  --append TEXT        more of the kernel's command line, such as kvm-arm.mode=nested
  --qemu PROGRAM       default ${defaultMachine.qemu}, or KVM_ARM64_QEMU
  --timeout SECONDS    for one boot (default ${defaultMachine.timeoutSeconds})
  --addon FILE         the addon to install there (default: it is compiled from native/)
  --asan               compile the addon with AddressSanitizer`;

const options = { ...machineOptions } as const;
export type MachineValues = ReturnType<typeof parseArgs<{ options: typeof options }>>["values"];

export function kernelsFromOptions(values: MachineValues, otherwise: readonly KernelSeries[]): KernelSeries[] {
  const named = (values.kernel ?? []).flatMap((list) => list.split(","));
  return (named.length ? named : otherwise).map((name) => {
    const series = kernelSeries.find((known) => known === name);
    if (!series) throw new Missing(`--kernel ${name}: there are ${kernelSeries.join(", ")}`);
    return series;
  });
}

export function machineFromOptions(values: MachineValues, kernel: KernelSeries): Machine {
  return {
    kernel,
    cpu: values.cpu ?? defaultMachine.cpu,
    cpus: count("--cpus", values.cpus, defaultMachine.cpus),
    memoryMiB: count("--memory", values.memory, defaultMachine.memoryMiB),
    mte: values.mte ? "on" : "off",
    gic: gicFromOption(values.gic),
    append: values.append ?? defaultMachine.append,
    qemu: values.qemu ?? defaultMachine.qemu,
    timeoutSeconds: count("--timeout", values.timeout, defaultMachine.timeoutSeconds),
  };
}

function gicFromOption(value: string = defaultMachine.gic): Machine["gic"] {
  if (value !== "2" && value !== "3") throw new Missing(`--gic ${value}: there are 2 and 3`);
  return value;
}

function count(name: string, value: string | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (!/^[1-9][0-9]*$/.test(value)) throw new Missing(`${name} ${value}: a whole number above 0 is wanted`);
  return Number(value);
}

/** What a program sees in its environment when the addon is one with AddressSanitizer. */
export function sanitizerEnvironment(values: MachineValues): Record<string, string> {
  if (!values.asan) return {};
  return {
    LD_PRELOAD: "/lib/aarch64-linux-gnu/libasan.so.8",
    // Node itself leaks on exit by design, and V8's stacks are its own affair.
    ASAN_OPTIONS: "detect_leaks=0:abort_on_error=0:exitcode=99:detect_stack_use_after_return=0:color=never",
  };
}
