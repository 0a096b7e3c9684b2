// The generic timer: one counter for all VMs, offsets per VM, and the ids of KVM_GET_ONE_REG with their swapped names.
// DDI 0487 D12; Documentation/virt/kvm/api.rst 4.68, 4.143.

import { decode } from "../../arm64/fields.js";
import { type SysRegName, sysRegIndex } from "../../arm64/sysregs.js";
import type { TimerIs } from "../engine/stop.js";
import { vmCells } from "../layout.js";
import { allVcpus, type VcpuState } from "../vcpu-state.js";
import type { VmState } from "../vm-state.js";

/** Ticks a second of the monotonic clock. */
export const CLOCK_HZ = 1_000_000_000;
const CLOCK = BigInt(CLOCK_HZ);

const ENABLE = 1n;
const IMASK = 2n;
const ISTATUS = 4n;

/** The host's counter: the same on every thread. */
export function hostCounter({ profile: { host } }: VmState): bigint {
  const nanoseconds = process.hrtime.bigint();
  return host.counterHz === CLOCK_HZ ? nanoseconds : (nanoseconds * BigInt(host.counterHz)) / CLOCK;
}

const offsets = { virtual: vmCells.virtualOffset, physical: vmCells.physicalOffset } as const;
export type TimerKind = keyof typeof offsets;

/** CNTVCT_EL0 or CNTPCT_EL0 of a VM. */
export function counter(vm: VmState, kind: TimerKind): bigint {
  return BigInt.asUintN(64, hostCounter(vm) - Atomics.load(vm.quads, offsets[kind]));
}

/** A new vCPU sets the VM's clock to zero, unless KVM_ARM_SET_COUNTER_OFFSET fixed it. */
export function rebaseCounters(vm: VmState): void {
  if (vm.get("counterFixed") === 1) return;
  vm.putQuad("virtualOffset", hostCounter(vm));
  vm.putQuad("physicalOffset", 0n);
}

export function fixCounterOffset(vm: VmState, offset: bigint): void {
  vm.put("counterFixed", 1);
  vm.putQuad("virtualOffset", offset);
  vm.putQuad("physicalOffset", offset);
}

const CNTPOFF = 2; // of ID_AA64MMFR0_EL1.ECV

/** The CPU cannot add the offset of the physical counter. */
export function physicalCounterTrapped(vm: VmState): boolean {
  if (vm.quad("physicalOffset") === 0n) return false;
  return decode("ID_AA64MMFR0_EL1", vm.profile.host.value("ID_AA64MMFR0_EL1")).fields.ECV < CNTPOFF;
}

/** How KVM gives a VM its timers: the physical one is the CPU's only if that has VHE. */
export function timerIs(vm: VmState, kind: TimerKind): TimerIs {
  if (kind === "virtual") return "direct";
  const { VH } = decode("ID_AA64MMFR1_EL1", vm.profile.host.value("ID_AA64MMFR1_EL1")).fields;
  if (VH === 0) return "emulated";
  return physicalCounterTrapped(vm) ? "trapped" : "direct";
}

interface Timer {
  readonly kind: TimerKind;
  readonly ctlName: SysRegName;
  /** Places of CTL and CVAL in the table, and of their cells. */
  readonly ctl: number;
  readonly cval: number;
  /** Bit of kvm_run.s.regs.device_irq_level. */
  readonly line: bigint;
}

const timer = (kind: TimerKind, ctl: SysRegName, cval: SysRegName, line: bigint): Timer => ({
  kind,
  ctlName: ctl,
  ctl: sysRegIndex(ctl),
  cval: sysRegIndex(cval),
  line,
});

const timers: readonly Timer[] = [
  timer("virtual", "CNTV_CTL_EL0", "CNTV_CVAL_EL0", 1n),
  timer("physical", "CNTP_CTL_EL0", "CNTP_CVAL_EL0", 2n),
];

/** Whether a register is CTL or CVAL of a timer: the line of it may follow. */
export const isTimerRegister = (name: string): boolean => timerNames.has(name);
const timerNames: ReadonlySet<string> = new Set(["CNTV_CTL_EL0", "CNTV_CVAL_EL0", "CNTP_CTL_EL0", "CNTP_CVAL_EL0"]);

const isCounter = (name: SysRegName) => name === "CNTVCT_EL0" || name === "CNTPCT_EL0";
export const timerKind = (name: string): TimerKind => (name.startsWith("CNTV") ? "virtual" : "physical");

/** KVM_GET_ONE_REG of a timer register, by its architectural name. */
export function getTimer(vcpu: VcpuState, name: SysRegName): bigint {
  if (isCounter(name)) return counter(vcpu.vm, timerKind(name));
  const stored = vcpu.cpu.get(name);
  const found = timers.find(({ ctlName }) => ctlName === name);
  if (found === undefined || !vcpu.vm.profile.switches.timerCtlReadsStatus) return stored;
  const reached = counter(vcpu.vm, found.kind) >= vcpu.cpu.sysreg(found.cval);
  return stored | (reached ? ISTATUS : 0n);
}

/** The vCPU leaves the CPU: what is saved of a timer that is the CPU's are its bits, as they are now. */
export function saveTimers(vcpu: VcpuState): void {
  for (const { kind, ctl, cval } of timers) {
    if (timerIs(vcpu.vm, kind) === "emulated") continue;
    const bits = vcpu.cpu.sysreg(ctl) & (ENABLE | IMASK);
    const fired = (bits & ENABLE) !== 0n && counter(vcpu.vm, kind) >= vcpu.cpu.sysreg(cval);
    vcpu.cpu.setSysreg(ctl, fired ? bits | ISTATUS : bits);
  }
}

/** What is stored of TIMER_CTL: kernels that compute ISTATUS keep a word. */
const controlBits = (vcpu: VcpuState) => (vcpu.vm.profile.switches.timerCtlReadsStatus ? 0xffff_ffffn : ~0n) & ~ISTATUS;

/** KVM_SET_ONE_REG: the counter moves for the whole VM. */
export function setTimer(vcpu: VcpuState, name: SysRegName, value: bigint): void {
  if (isCounter(name)) {
    if (vcpu.vm.get("counterFixed") === 1) return;
    const offset = BigInt.asUintN(64, hostCounter(vcpu.vm) - value);
    Atomics.store(vcpu.vm.quads, offsets[timerKind(name)], offset);
  } else vcpu.cpu.set(name, name.includes("_CTL_") ? value & controlBits(vcpu) : value);
}

/** INTIDs of the timers: virtual, physical, and those of EL2, virtual and physical. */
const INTIDS = [27, 30, 28, 26] as const;

/** The interrupt of a timer, by its attribute. */
export function timerIntid(vcpu: VcpuState, attr: number): number {
  const said = vcpu.vm.profile.switches.timerIntidsVmWide
    ? vcpu.vm.get("timerIntids", attr)
    : vcpu.get("timerIntids", attr);
  return said || INTIDS[attr]!;
}

/** Sets it for every vCPU; before 6.12, for those that there are. */
export function setTimerIntid(vm: VmState, attr: number, intid: number): void {
  if (vm.profile.switches.timerIntidsVmWide) vm.put("timerIntids", intid, attr);
  else for (const vcpu of allVcpus(vm)) vcpu.put("timerIntids", intid, attr);
}

/** The cell "timers" of a vCPU. */
export const TimersAre = {
  off: 0,
  /** Enabled, and interrupts of the GIC are theirs. */
  owners: 1,
  /** Enabled while there was no GIC. */
  lineless: 2,
} as const;

/** Whether the interrupts of the timers are settled: where they are the VM's matter, some vCPU's must own theirs. */
export const timersAreSettled = (vcpu: VcpuState): boolean =>
  vcpu.vm.profile.switches.timerIntidsVmWide ? vcpu.vm.get("timersOwned") === 1 : vcpu.get("timers") !== TimersAre.off;

/** The lines that the timers drive: bits of device_irq_level. */
export function timerLevels(vcpu: VcpuState): bigint {
  let levels = 0n;
  for (const { kind, ctl, cval, line } of timers) {
    const enabled = (vcpu.cpu.sysreg(ctl) & (ENABLE | IMASK)) === ENABLE;
    if (enabled && counter(vcpu.vm, kind) >= vcpu.cpu.sysreg(cval)) levels |= line;
  }
  return levels;
}

/** Whether the timer whose interrupt this is has reached its deadline, and says so. */
export function hasFired(vcpu: VcpuState, intid: number): boolean {
  const attr = timers.findIndex((_, n) => timerIntid(vcpu, n) === intid);
  return attr >= 0 && (timerLevels(vcpu) & timers[attr]!.line) !== 0n;
}

/** Milliseconds until the next timer fires; Infinity: none that has not fired yet. */
export function nextTimer(vcpu: VcpuState): number {
  let least = Number.POSITIVE_INFINITY;
  for (const { kind, ctl, cval } of timers) {
    if ((vcpu.cpu.sysreg(ctl) & (ENABLE | IMASK)) !== ENABLE) continue;
    const ticks = vcpu.cpu.sysreg(cval) - counter(vcpu.vm, kind);
    if (ticks > 0n) least = Math.min(least, (Number(ticks) * 1000) / vcpu.vm.profile.host.counterHz);
  }
  return least;
}
