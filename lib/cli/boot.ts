// kvm-arm64 boot: a Linux kernel in a machine with console, clock, disks and random numbers.
import { basename } from "node:path";
import process from "node:process";
import { type BootMachine, createMachine, type Outcome } from "../vmm/index.js";
import { type BootOptions, parseBootOptions } from "./boot-options.js";
import { exitStatus } from "./exit-status.js";
import { openTrace, stopOn } from "./machine-options.js";
import { connectStdin, progressLine } from "./terminal.js";

export const usage = `usage: kvm-arm64 boot --kernel FILE [OPTION…]

Boots a Linux kernel for arm64 (an Image, as gzip too, or an ELF file). The terminal is its console, ttyAMA0.

  --kernel FILE           vmlinuz
  --initrd FILE           its initial file system
  --append TEXT           its command line
  --cpus N                default 1
  --memory SIZE           default 512M
  --disk FILE[,ro]        /dev/vda, and with more of them /dev/vdb, …; a raw image
  --backend NAME          kvm; model; model-6.1, model-6.12, model-7.2: the model as that kernel's KVM.
                          Default: KVM where it works, else the model
  --timeout SECONDS       give up after so long
  --trace[=FILE]          print each ioctl and each exit on stderr, or into a file

ctrl-A x ends the machine, ctrl-A h tells more. ctrl-C goes to the guest when it reads its console, and ends the machine
when it does not.

Exit status: 0 powered off · 124 timeout · 125 kvm-arm64 itself failed · 126 the guest asked for a reset or crashed ·
130 ctrl-C
`;

export async function main(args: string[]): Promise<number> {
  const options = parseBootOptions(args);
  const trace = openTrace(options.trace);
  try {
    using machine = create(options, trace.sink);
    return await converse(machine, options);
  } finally {
    trace.close();
  }
}

function create(options: BootOptions, trace: ((line: string) => void) | undefined): BootMachine {
  return createMachine({
    kernel: options.kernel,
    ...(options.initrd !== undefined && { initrd: options.initrd }),
    append: options.append,
    cpus: options.cpus,
    memoryBytes: options.memoryBytes,
    disks: options.disks,
    open: {
      ...(options.backend && { backend: options.backend }),
      ...(options.played && { model: { kernel: options.played } }),
      ...(trace && { trace }),
    },
  });
}

async function converse(machine: BootMachine, options: BootOptions): Promise<number> {
  let stopped: number | undefined;
  const stop = (status: number): void => {
    stopped ??= status;
    machine.stop();
  };
  const progress = progressLine(() => `booting ${basename(options.kernel)} on ${machine.kvm.backend}, ctrl-C ends it`);
  machine.on("console", (bytes) => {
    progress.clear();
    process.stdout.write(bytes);
  });
  const watch = stopOn(options.timeoutSeconds, stop);
  const release = connectStdin(machine, {
    escape: () => stop(exitStatus.ok),
    interrupt: () => stop(exitStatus.interrupted),
  });
  let outcome: Outcome;
  try {
    outcome = await machine.run();
  } finally {
    release();
    watch.close();
    progress.close();
  }
  if (stopped === exitStatus.timeout && outcome.event === "stopped") {
    process.stderr.write(`kvm-arm64: the guest did not end within ${options.timeoutSeconds} s\n`);
  }
  return statusOf(outcome, stopped);
}

function statusOf(outcome: Outcome, stopped: number | undefined): number {
  if (outcome.event === "off") return Math.min(outcome.status, 0xff);
  if (outcome.event === "stopped") return stopped ?? exitStatus.failed;
  process.stderr.write(`kvm-arm64: the guest ${outcome.event === "reset" ? "asked for a reset" : "crashed"}\n`);
  return exitStatus.reset;
}
