// kvm-arm64 run: loads a guest, gives it RAM, a console and PSCI, streams what it prints, ends with its status.
import { readFileSync } from "node:fs";
import process from "node:process";
import { Kvm } from "../index.js";
import { LineCollector, Machine, modelMemory, type Outcome, Pl011, Pl031, parseProgram, RAM_AT } from "../vmm/index.js";
import { exitStatus } from "./exit-status.js";
import { openTrace, stopOn } from "./machine-options.js";
import { report } from "./report.js";
import { parseRunOptions } from "./run-options.js";

export const usage = `usage: kvm-arm64 run [OPTION…] FILE

Runs a bare-metal arm64 guest: an ELF executable, a Linux Image, or a flat binary (which goes to 0x40080000).
The machine has RAM at 0x40000000, a PL011 UART at 0x9000000 (its output is our stdout), a PL031 clock at
0x9010000, and PSCI by HVC.

  --backend kvm|model     where it runs; default: KVM where it works, else the model
  --kernel 6.1|6.12|7.2   the kernel whose KVM the model plays
  --memory SIZE           default 64M
  --cpus N                default 1; the others wait for PSCI CPU_ON
  --timeout SECONDS       give up after so long
  --trace[=FILE]          print each ioctl and each exit on stderr, or into a file
  --report                tell on stderr, at the end, what happened

Exit status: the guest's (SYSTEM_OFF with w19 = status and x20 = 0x74697865, else 0) · 124 timeout ·
125 kvm-arm64 itself failed · 126 the guest asked for a reset · 130 Ctrl-C
`;

export async function main(args: string[]): Promise<number> {
  const options = parseRunOptions(args);
  const program = parseProgram(readFileSync(options.file), { at: RAM_AT, bytes: options.memoryBytes });
  const trace = openTrace(options.trace);
  try {
    using kvm = Kvm.open({
      ...(options.backend && { backend: options.backend }),
      ...(trace.sink && { trace: trace.sink }),
      model: {
        ...(options.kernel && { kernel: options.kernel }),
        memoryBytes: modelMemory(options.memoryBytes),
      },
    });
    const terminal = new LineCollector((bytes) => void process.stdout.write(bytes));
    const devices = [new Pl011({ send: terminal.push }), new Pl031()];
    using machine = new Machine(kvm, { memoryBytes: options.memoryBytes, cpus: options.cpus, devices });
    machine.load(program);
    const started = performance.now();
    let outcome: Outcome;
    let stopped: number | undefined;
    const watch = stopOn(options.timeoutSeconds, (status) => {
      stopped ??= status;
      machine.stop();
    });
    try {
      outcome = await machine.run();
    } finally {
      watch.close();
      terminal.flush();
    }
    const milliseconds = performance.now() - started;
    if (options.report)
      process.stderr.write(report({ kvm, options, program, machine, devices, outcome, milliseconds }));
    if (stopped === exitStatus.timeout && outcome.event === "stopped") {
      process.stderr.write(`kvm-arm64: the guest did not end within ${options.timeoutSeconds} s\n`);
    }
    return statusOf(outcome, stopped);
  } finally {
    trace.close();
  }
}

function statusOf(outcome: Outcome, stopped: number | undefined): number {
  switch (outcome.event) {
    case "off":
      // A process has eight bits of status; what does not fit must not look like success.
      return Math.min(outcome.status, 0xff);
    case "stopped":
      return stopped ?? exitStatus.failed;
    default:
      process.stderr.write(`kvm-arm64: the guest ${outcome.event === "reset" ? "asked for a reset" : "crashed"}\n`);
      return exitStatus.reset;
  }
}
