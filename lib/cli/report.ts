// What happened in a run, in a few lines for a person.
import { formatPstate, type Kvm, pc, pstate, sp, x } from "../index.js";
import type { Device, Machine, Outcome, Program } from "../vmm/index.js";
import type { RunOptions } from "./run-options.js";

export interface Run {
  readonly kvm: Kvm;
  readonly options: RunOptions;
  readonly program: Program;
  readonly machine: Machine;
  readonly devices: readonly Device[];
  readonly outcome: Outcome;
  readonly milliseconds: number;
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

export function sizeText(bytes: number): string {
  const unit = bytes % 2 ** 30 === 0 ? "GiB" : bytes >= 2 ** 20 ? "MiB" : "KiB";
  const amount = bytes / { GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10 }[unit];
  return `${Number.isInteger(amount) ? amount : amount.toFixed(1)} ${unit}`;
}

function outcomeText(outcome: Outcome): string {
  if (outcome.event === "off") return `powered off with status ${outcome.status}`;
  return { reset: "asked for a reset", crash: "crashed", stopped: "was stopped" }[outcome.event];
}

export function report({ kvm, options, program, machine, devices, outcome, milliseconds }: Run): string {
  const loaded = program.segments.reduce((sum, segment) => sum + segment.data.length, 0);
  const exits = [...machine.exits].map(([kind, count]) => `${count} × ${kind}`);
  const rows: [string, string][] = [
    ["backend", `${kvm.backend} (${kvm.reason})`],
    ["guest", `${options.file}: ${program.format}, ${loaded} bytes, entry ${hex(program.entry)}`],
    [
      "machine",
      [
        plural(options.cpus, "CPU"),
        `${sizeText(options.memoryBytes)} at ${hex(machine.ram.at)}`,
        ...devices.map((device) => `${device.name} at ${hex(device.at)}`),
        "PSCI by HVC",
      ].join(", "),
    ],
    ["ended", `the guest ${outcomeText(outcome)}, after ${milliseconds.toFixed(1)} ms`],
    ["exits", exits.length > 0 ? exits.join(", ") : "none"],
  ];
  for (const vcpu of machine.vcpus) {
    const [at, stack, state, ...values] = vcpu.getRegs([pc, sp, pstate, x(0), x(1), x(2), x(30)]) as bigint[];
    const named = ["x0", "x1", "x2", "x30"].map((name, i) => `${name} ${hex(values[i] as bigint)}`);
    rows.push([
      `vcpu ${vcpu.id}`,
      `pc ${hex(at as bigint)}, sp_el0 ${hex(stack as bigint)}, ${formatPstate(state as bigint)}, ${named.join(", ")}`,
    ]);
  }
  return rows.map(([name, text]) => `${name.padEnd(8)} ${text}\n`).join("");
}
