// ICC_*_EL1 for guests of a VM without a GIC, on hosts that have a GICv3. What the kernel does not trap reaches the
// virtual CPU interface of the physical CPU, which is told of no interrupts; what others left there is not modelled: each vCPU begins
// with the reset values, in the cells that a GIC would have.

import type { VcpuState } from "../vcpu-state.js";
import {
  activePriorities,
  binaryPoint1,
  cell,
  clampBinaryPoints,
  leastBpr,
  putActivePriorities,
  putCell,
  runningPriority,
  SPURIOUS,
} from "./cpu-interface.js";

interface Register {
  read?(vcpu: VcpuState): number;
  write?(vcpu: VcpuState, value: number): void;
}

const SRE = 7;
const systemRegisterEnable: Register = { read: () => SRE, write: () => {} };
const nothingPending: Register = { read: () => SPURIOUS };
const nothingActive: Register = { write: () => {} };

const bits = (name: "pmr" | "group0" | "group1", mask: (vcpu: VcpuState) => number): Register => ({
  read: (vcpu) => cell(vcpu, name),
  write: (vcpu, value) => putCell(vcpu, name, value & mask(vcpu)),
});
const implemented = (vcpu: VcpuState) => (0xff << (8 - vcpu.vm.profile.host.gic!.priorityBits)) & 0xff;

const registers: ReadonlyMap<string, Register> = new Map<string, Register>([
  ["ICC_SRE_EL1", systemRegisterEnable],
  ["ICC_PMR_EL1", bits("pmr", implemented)],
  ["ICC_IGRPEN0_EL1", bits("group0", () => 1)],
  ["ICC_IGRPEN1_EL1", bits("group1", () => 1)],
  ["ICC_IAR0_EL1", nothingPending],
  ["ICC_IAR1_EL1", nothingPending],
  ["ICC_HPPIR0_EL1", nothingPending],
  ["ICC_HPPIR1_EL1", nothingPending],
  ["ICC_EOIR0_EL1", nothingActive],
  ["ICC_EOIR1_EL1", nothingActive],
  ["ICC_DIR_EL1", nothingActive],
  ["ICC_RPR_EL1", { read: runningPriority }],
  [
    "ICC_BPR0_EL1",
    {
      read: (vcpu) => cell(vcpu, "bpr0"),
      write: (vcpu, value) => putCell(vcpu, "bpr0", Math.max(value & 7, leastBpr(vcpu, 0))),
    },
  ],
  [
    "ICC_BPR1_EL1",
    {
      read: binaryPoint1,
      write(vcpu, value) {
        if (cell(vcpu, "cbpr") === 0) putCell(vcpu, "bpr1", Math.max(value & 7, leastBpr(vcpu, 1)));
      },
    },
  ],
  [
    "ICC_CTLR_EL1",
    {
      read(vcpu) {
        const { priorityBits, idBits, seis, a3v } = vcpu.vm.profile.host.gic!;
        const fixed = ((priorityBits - 1) << 8) | (idBits << 11) | (seis << 14) | (a3v << 15);
        return fixed | cell(vcpu, "cbpr") | (cell(vcpu, "eoiMode") << 1);
      },
      write(vcpu, value) {
        putCell(vcpu, "cbpr", value & 1);
        putCell(vcpu, "eoiMode", (value >> 1) & 1);
      },
    },
  ],
  ...([0, 1] as const).map((group): [string, Register] => [
    `ICC_AP${group}R0_EL1`,
    {
      read: (vcpu) => activePriorities(vcpu, group, 0) >>> 0,
      write: (vcpu, value) => putActivePriorities(vcpu, group, 0, value | 0),
    },
  ]),
]);

function reached(vcpu: VcpuState, name: string): Register | undefined {
  const { host, switches } = vcpu.vm.profile;
  if (host.gic?.v3 !== true) return undefined;
  if (name !== "ICC_SRE_EL1" && !switches.cpuInterfaceUntrapped) return undefined;
  const register = registers.get(name);
  if (register !== undefined) clampBinaryPoints(vcpu);
  return register;
}

const isIcc = (name: string) => name.startsWith("ICC_") && name.endsWith("_EL1");

/** MRS; undefined: not of the CPU interface. */
export function readUntrapped(vcpu: VcpuState, name: string): bigint | "undefined" | undefined {
  if (!isIcc(name)) return undefined;
  const value = reached(vcpu, name)?.read?.(vcpu);
  return value === undefined ? "undefined" : BigInt(value);
}

/** MSR; false: not of the CPU interface. */
export function writeUntrapped(vcpu: VcpuState, name: string, value: bigint): boolean | "undefined" {
  if (!isIcc(name)) return false;
  const write = reached(vcpu, name)?.write;
  if (write === undefined) return "undefined";
  write(vcpu, Number(BigInt.asUintN(32, value)));
  return true;
}
