// ICC_*_EL1 as the guest's MRS and MSR have them: the virtual CPU interface of a GICv3 (IHI 0069, "AArch64 System
// register descriptions"), and the writes that make SGIs, which KVM emulates.

import type { SysRegName } from "../../arm64/sysregs.js";
import { vcpuByAffinity } from "../affinity.js";
import type { VcpuState } from "../vcpu-state.js";
import {
  acknowledge,
  activePriorities,
  binaryPoint1,
  cell,
  deactivateInterrupt,
  type Ended,
  endOfInterrupt,
  type Group,
  highestPendingIntid,
  leastBpr,
  putActivePriorities,
  putCell,
  runningPriority,
} from "./cpu-interface.js";
import { type Gic, gicOf } from "./gic.js";
import { Irq } from "./layout.js";

interface Register {
  read?(gic: Gic, vcpu: VcpuState): number;
  /** Gives what the guest has done with, if a write can end an interrupt. */
  write?(gic: Gic, vcpu: VcpuState, value: bigint): Ended;
}

const INTID = 0xff_ffffn;
const word = (value: bigint) => Number(BigInt.asUintN(32, value));

/** Writes that change what can be delivered. */
const sets =
  (write: (vcpu: VcpuState, value: number) => void): NonNullable<Register["write"]> =>
  (gic, vcpu, value) => {
    write(vcpu, word(value));
    gic.signal(vcpu);
    return null;
  };

const priorityMask: Register = {
  read: (_, vcpu) => cell(vcpu, "pmr"),
  write: sets((vcpu, value) => {
    const implemented = (0xff << (8 - vcpu.vm.profile.host.gic!.priorityBits)) & 0xff;
    putCell(vcpu, "pmr", value & implemented);
  }),
};

function binaryPoint(group: Group): Register {
  const name = group === 0 ? "bpr0" : "bpr1";
  return {
    read: (_, vcpu) => (group === 0 ? cell(vcpu, "bpr0") : binaryPoint1(vcpu)),
    write: sets((vcpu, value) => {
      if (group === 0 || cell(vcpu, "cbpr") === 0) putCell(vcpu, name, Math.max(value & 7, leastBpr(vcpu, group)));
    }),
  };
}

const enableGroup = (name: "group0" | "group1"): Register => ({
  read: (_, vcpu) => cell(vcpu, name),
  write: sets((vcpu, value) => putCell(vcpu, name, value & 1)),
});

const active = (group: Group, n: number): Register => ({
  read: (_, vcpu) => activePriorities(vcpu, group, n) >>> 0,
  write: sets((vcpu, value) => {
    // Five bits of preemption fill the first word.
    if (n === 0) putActivePriorities(vcpu, group, n, value | 0);
  }),
});

const control: Register = {
  read(_, vcpu) {
    const { priorityBits, idBits, seis, a3v } = vcpu.vm.profile.host.gic!;
    const fixed = ((priorityBits - 1) << 8) | (idBits << 11) | (seis << 14) | (a3v << 15);
    return fixed | cell(vcpu, "cbpr") | (cell(vcpu, "eoiMode") << 1);
  },
  write: sets((vcpu, value) => {
    putCell(vcpu, "cbpr", value & 1);
    putCell(vcpu, "eoiMode", (value >> 1) & 1);
  }),
};

const SRE = 7;

/** ICC_SGI1R_EL1: affinity of a cluster, a list of its first 16 CPUs, or (IRM) everybody else. */
const IRM = 1n << 40n;

function sendSgi(gic: Gic, sender: VcpuState, value: bigint, group1Too: boolean): null {
  const intid = Number((value >> 24n) & 0xfn);
  const targets = (value & IRM) !== 0n ? gic.vcpus.filter((vcpu) => vcpu.base !== sender.base) : listed(gic, value);
  for (const vcpu of targets) {
    const ref = gic.find(vcpu, intid);
    // An SGI of group 1 is not raised by a write for group 0.
    if (gic.has(ref, Irq.group1) && !group1Too) continue;
    gic.change(ref, Irq.latch, true);
    gic.queue(ref);
  }
  gic.passExit(sender);
  return null;
}

function listed(gic: Gic, value: bigint): VcpuState[] {
  const [aff1, aff2, aff3] = [(value >> 16n) & 0xffn, (value >> 32n) & 0xffn, (value >> 48n) & 0xffn];
  const cluster = (aff3 << 32n) | (aff2 << 16n) | (aff1 << 8n);
  const list = Number(value & 0xffffn);
  return Array.from({ length: 16 }, (_, n) => n)
    .filter((n) => ((list >> n) & 1) === 1)
    .flatMap((n) => vcpuByAffinity(gic.vm, gic.vcpus, cluster | BigInt(n)) ?? []);
}

const sgi = (group1Too: boolean): Register => ({
  write: (gic, vcpu, value) => sendSgi(gic, vcpu, value, group1Too),
});

const registers: Partial<Record<SysRegName, Register>> = {
  ICC_PMR_EL1: priorityMask,
  ICC_IAR0_EL1: { read: (gic, vcpu) => acknowledge(gic, vcpu, 0) },
  ICC_IAR1_EL1: { read: (gic, vcpu) => acknowledge(gic, vcpu, 1) },
  ICC_EOIR0_EL1: { write: (gic, vcpu, value) => endOfInterrupt(gic, vcpu, 0, Number(value & INTID)) },
  ICC_EOIR1_EL1: { write: (gic, vcpu, value) => endOfInterrupt(gic, vcpu, 1, Number(value & INTID)) },
  ICC_DIR_EL1: { write: (gic, vcpu, value) => deactivateInterrupt(gic, vcpu, Number(value & INTID)) },
  ICC_HPPIR0_EL1: { read: (gic, vcpu) => highestPendingIntid(gic, vcpu, 0) },
  ICC_HPPIR1_EL1: { read: (gic, vcpu) => highestPendingIntid(gic, vcpu, 1) },
  ICC_BPR0_EL1: binaryPoint(0),
  ICC_BPR1_EL1: binaryPoint(1),
  ICC_RPR_EL1: { read: (_, vcpu) => runningPriority(vcpu) },
  ICC_CTLR_EL1: control,
  ICC_SRE_EL1: { read: () => SRE, write: () => null },
  ICC_IGRPEN0_EL1: enableGroup("group0"),
  ICC_IGRPEN1_EL1: enableGroup("group1"),
  ICC_SGI1R_EL1: sgi(true),
  ICC_ASGI1R_EL1: sgi(false),
  ICC_SGI0R_EL1: sgi(false),
  ICC_AP0R0_EL1: active(0, 0),
  ICC_AP0R1_EL1: active(0, 1),
  ICC_AP0R2_EL1: active(0, 2),
  ICC_AP0R3_EL1: active(0, 3),
  ICC_AP1R0_EL1: active(1, 0),
  ICC_AP1R1_EL1: active(1, 1),
  ICC_AP1R2_EL1: active(1, 2),
  ICC_AP1R3_EL1: active(1, 3),
};

const registerOf = (name: string): Register | undefined => registers[name as SysRegName];

/** MRS of a register of the GIC; undefined: it is none. */
export function readGicRegister(vcpu: VcpuState, name: string): bigint | undefined {
  const register = registerOf(name);
  const gic = register === undefined ? null : gicOf(vcpu.vm);
  if (register?.read === undefined || gic === null) return undefined;
  return BigInt(vcpu.vm.gicLocked(() => register.read!(gic, vcpu)));
}

/** MSR of a register of the GIC; undefined: it is none. */
export function writeGicRegister(vcpu: VcpuState, name: string, value: bigint): Ended | undefined {
  const register = registerOf(name);
  const gic = register === undefined ? null : gicOf(vcpu.vm);
  if (register?.write === undefined || gic === null) return undefined;
  return vcpu.vm.gicLocked(() => register.write!(gic, vcpu, value));
}
