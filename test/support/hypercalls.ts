// A guest that makes many hypercalls in one go, and the calls of a sweep over the function ids of the SMC Calling
// Convention (DEN0028): each family's first functions, those next to the ones that KVM answers, and the ends.

import { firmware, firmwareFeatures, pc, x } from "../../lib/arm64/registers.js";
import type { VcpuFeature } from "../../lib/arm64/vcpu-features.js";
import { KVM_ARM_VCPU_GROUP } from "../../lib/uapi/constants.js";
import type { Vcpu } from "../../lib/vcpu.js";
import { addImmediate, branchNonZero, hvc, load, mov64, smc, store, subsImmediate } from "./assemble.js";
import type { Host } from "./backends.js";
import { finish, type Guest, makeGuest, RAM, runToExit } from "./guest.js";

/** X0 to X3. */
export type Call = readonly [bigint, bigint, bigint, bigint];

export interface Answer {
  readonly call: Call;
  readonly x: readonly bigint[];
  /** The system event that the call was to userspace. */
  readonly event?: string;
}

const TABLE = 0x1_0000n;
const RESULTS = 0x8_0000n;
const CALL_BYTES = 32;
const MOST_CALLS = Number(RESULTS - TABLE) / CALL_BYTES;

/** x19: the calls, x20: their results, x21: calls to go. */
export function sweepProgram(instruction: number): readonly number[] {
  const registers = [0, 1, 2, 3];
  const body = [
    ...registers.map((n) => load(8, n, 19, 8 * n)),
    instruction,
    ...registers.map((n) => store(8, n, 20, 8 * n)),
    addImmediate(19, 19, CALL_BYTES),
    addImmediate(20, 20, CALL_BYTES),
    subsImmediate(21, 21, 1),
  ];
  return [
    ...mov64(19, RAM + TABLE),
    ...mov64(20, RAM + RESULTS),
    ...body,
    branchNonZero(21, -4 * body.length),
    ...finish,
  ];
}

/** Makes a guest call; its IRQ line is high, so that what waits for an interrupt has one. */
export async function callAll({ vm, ram, cpu }: Guest, calls: readonly Call[]): Promise<Answer[]> {
  if (calls.length > MOST_CALLS) throw new RangeError(`callAll: at most ${MOST_CALLS} calls, got ${calls.length}`);
  const memory = new DataView(ram.bytes.buffer, ram.bytes.byteOffset, ram.bytes.byteLength);
  const word = (offset: bigint, n: number, register: number) => Number(offset) + CALL_BYTES * n + 8 * register;
  for (const [n, call] of calls.entries()) {
    for (const [register, value] of call.entries()) memory.setBigUint64(word(TABLE, n, register), value, true);
  }
  vm.setIrqLine({ type: "cpu", vcpu: 0, input: "irq" }, true);
  cpu.setReg(x(21), BigInt(calls.length));
  cpu.setReg(pc, RAM);
  const events = new Map<number, string>();
  for (;;) {
    const exit = await runToExit(cpu);
    if (exit.reason === "mmio") break;
    if (exit.reason !== "system-event") throw new Error(`callAll: ${exit.reason}`);
    events.set(calls.length - Number(cpu.getReg(x(21))), `${exit.event} ${exit.data.join(" ")}`.trimEnd());
    cpu.mpState = "runnable";
  }
  return calls.map((call, n) => {
    const results = [0, 1, 2, 3].map((register) => memory.getBigUint64(word(RESULTS, n, register), true));
    const event = events.get(n);
    return event === undefined ? { call, x: results } : { call, x: results, event };
  });
}

const from = (first: number, count: number): number[] => Array.from({ length: count }, (_, n) => first + n);

/** These stop the vCPU for good. */
const CPU_OFF = 0x8400_0002;
const OLD_CPU_OFF = 0x95c1_ba5f;

const ids: readonly number[] = [
  0,
  1,
  0x400_0000,
  0x7fff_ffff,
  0xffff_ffff,
  ...from(0x95c1_ba5d, 6),
  ...[0x80, 0xc0].flatMap((family) => {
    const first = family * 0x100_0000;
    return [
      ...from(first, 8),
      ...from(first + 0x3ffd, 4),
      ...from(first + 0x7ffd, 4),
      first + 0xffff,
      first + 0x1_0000,
    ];
  }),
  ...[0x81, 0x82, 0x83, 0xc1, 0xc2, 0xc3].map((family) => family * 0x100_0000),
  ...[0x84, 0xc4].flatMap((family) => [...from(family * 0x100_0000, 0x60), family * 0x100_0000 + 0xffff]),
  ...[0x85, 0xc5].flatMap((family) => [...from(family * 0x100_0000, 0x28), family * 0x100_0000 + 0xffff]),
  ...[0x86, 0xc6].flatMap((family) => {
    const first = family * 0x100_0000;
    return [...from(first, 0x10), ...from(first + 0x3e, 0x08), ...from(first + 0xff00, 0x04), first + 0xffff];
  }),
  0x8700_0000,
  0xbf00_ff01,
  0xc700_0000,
].filter((id) => id !== CPU_OFF && id !== OLD_CPU_OFF);

const ALL = 0xffff_ffff_ffff_ffffn;
const argumentsOfAll: readonly (readonly [bigint, bigint, bigint])[] = [
  [0n, 0n, 0n],
  [1n, 0n, 0n],
  [0x8000_0000n, 0n, 0n],
  [0n, 1n, 0n],
  [ALL, ALL, ALL],
  [0x1_0000_0001n, 0x2_0000_0000n, 0x3_0000_0000n],
];
const queries = [0x8000_0001, 0x8400_000a, 0x8400_0051, 0xc500_0020];

/** Every id with each pattern of arguments, what each query says of every id, and ids with an upper half. */
export const sweep: readonly Call[] = [
  ...ids.flatMap((id) => argumentsOfAll.map((args): Call => [BigInt(id), ...args])),
  ...queries.flatMap((query) => ids.map((id): Call => [BigInt(query), BigInt(id), 0n, 0n])),
  ...queries.map((query): Call => [BigInt(query), 0xdead_0000_0000_0000n | BigInt(query), 0n, 0n]),
  ...[0x8000_0000, 0x8400_0000, 0x8600_ff01].map((id): Call => [0xdead_beef_0000_0000n | BigInt(id), 0n, 0n, 0n]),
];

interface Caller {
  /** HVC unless it is said. */
  readonly instruction?: number;
  readonly features: readonly VcpuFeature[];
  readonly prepare?: (cpu: Vcpu) => void;
}

const allBitmaps = ["std", "stdHyp", "vendorHyp"] as const;

/** The guests that sweep. */
export const callers: Readonly<Record<string, Caller>> = {
  "PSCI of the newest version": { features: ["psci-0.2"] },
  SMC: { features: ["psci-0.2"], instruction: smc(0) },
  "PSCI 0.1": { features: [] },
  "PSCI 0.2": { features: ["psci-0.2"], prepare: (cpu) => setPsci(cpu, 2n) },
  "PSCI 1.0": { features: ["psci-0.2"], prepare: (cpu) => setPsci(cpu, 0x1_0000n) },
  "no firmware features": {
    features: ["psci-0.2"],
    prepare: (cpu) => {
      for (const name of allBitmaps) cpu.setReg(firmwareFeatures[name], 0n);
    },
  },
  "all firmware features": {
    features: ["psci-0.2"],
    prepare(cpu) {
      if (cpu.regList().includes(firmwareFeatures.vendorHyp2)) cpu.setReg(firmwareFeatures.vendorHyp2, 3n);
    },
  },
  "stolen time": {
    features: ["psci-0.2"],
    prepare: (cpu) => cpu.setAttr(KVM_ARM_VCPU_GROUP.PVTIME, 0n, RAM + 0x1000n),
  },
};

const setPsci = (cpu: Vcpu, version: bigint): void => cpu.setReg(firmware.psciVersion, version);

/** A vCPU of the host that makes every call of the sweep. */
export async function sweepOf(host: Pick<Host, "kvm" | "keep">, name: string): Promise<string[]> {
  const caller = callers[name];
  if (caller === undefined) throw new RangeError(`there is no caller ${name}`);
  const guest = makeGuest(host, sweepProgram(caller.instruction ?? hvc(0)), {
    features: caller.features,
    prepare: (vm) => vm.enableCap("ARM_SYSTEM_SUSPEND"),
  });
  caller.prepare?.(guest.cpu);
  const answers = await callAll(guest, sweep);
  if (answers.every(isUntouched)) return ["every call: NOT_SUPPORTED in X0, X1 to X3 as they were"];
  return answers.map(lineOf).filter((line) => line !== null);
}

/** Nobody answered: a call that is answered leaves 0 in X1 to X3. */
const isUntouched = ({ call, x }: Answer): boolean => x.every((value, n) => value === (n === 0 ? ALL : call[n]));

const isRandom = (id: bigint): boolean => [0x8400_0053n, 0xc400_0053n].includes(id);
const PTP = 0x8600_0001n;
const hex = (values: readonly bigint[]): string => values.map((value) => value.toString(16)).join(" ");

/** "X0 X1 X2 X3: X0 X1 X2 X3", or nothing for NOT_SUPPORTED, as most are. */
function lineOf({ call, x, event }: Answer): string | null {
  if (event === undefined && x[0] === ALL && x.slice(1).every((value) => value === 0n)) return null;
  const id = call[0] & 0xffff_ffffn;
  const volatile = id === PTP ? "time" : isRandom(id) && x[0] === 0n ? "0 random" : hex(x);
  return `${hex(call)}: ${volatile}${event === undefined ? "" : ` (${event})`}`;
}
