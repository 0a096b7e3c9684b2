// Who moves the lines of interrupts: userspace by KVM_IRQ_LINE, and the in-kernel devices of a vCPU, which own theirs.

import { decode } from "../../arm64/fields.js";
import { Refused } from "../../errors.js";
import { KVM_ARM_IRQ_TYPE, KVM_DEV_TYPE } from "../../uapi/constants.js";
import { TimersAre, timerIntid } from "../cpu/timer.js";
import { allVcpus, type VcpuState, vcpuById } from "../vcpu-state.js";
import type { VmState } from "../vm-state.js";
import { type Gic, gicOf, type Ref } from "./gic.js";
import { Field, Irq, PRIVATE } from "./layout.js";
import { initialise } from "./v3.js";

const VCPU_ID_MASK = 0xff;
/** KVM_ARM_IRQ_CPU_FIQ: the second of a CPU's two inputs. */
const CPU_FIQ = 1;
const SGIS = 16;

/** KVM_IRQ_LINE. `irq` as the kernel packs it: vcpu2 31:28, type 27:24, vcpu 23:16, number 15:0. */
export function irqLine(vm: VmState, irq: number, level: boolean, call: string): void {
  const type = (irq >>> 24) & 0xf;
  if (type === KVM_ARM_IRQ_TYPE.CPU) cpuInput(vm, irq, level, call);
  else if (type === KVM_ARM_IRQ_TYPE.SPI || type === KVM_ARM_IRQ_TYPE.PPI) interruptLine(vm, irq, level, call);
  else throw new Refused("EINVAL", call);
}

function vcpuOf(vm: VmState, irq: number, call: string): VcpuState {
  const index = (irq >>> 28) * 256 + ((irq >>> 16) & VCPU_ID_MASK);
  const vcpu = vm.profile.switches.irqLineByPlace ? vcpuAt(vm, index) : vcpuById(vm, index);
  if (vcpu === undefined || vcpu === null) throw new Refused("EINVAL", call);
  return vcpu;
}

const vcpuAt = (vm: VmState, place: number) => allVcpus(vm).find((one) => one.get("place") === place);

/** An input of a CPU that has no interrupt controller before it. */
function cpuInput(vm: VmState, irq: number, level: boolean, call: string): void {
  if (gicOf(vm) !== null) throw new Refused("ENXIO", call);
  const vcpu = vcpuOf(vm, irq, call);
  const input = irq & 0xffff;
  if (input > CPU_FIQ) throw new Refused("EINVAL", call);
  vcpu.cpu.setLine(input === CPU_FIQ ? "fiq" : "irq", level ? 1 : 0);
  vcpu.wake();
}

function interruptLine(vm: VmState, irq: number, level: boolean, call: string): void {
  const gic = gicOf(vm);
  if (gic === null) throw new Refused("ENXIO", call);
  const needsGic = () => {
    if (!makeReady(gic)) throw new Refused("EBUSY", call);
  };
  if (vm.profile.switches.irqLineNeedsGicFirst) needsGic();
  const intid = irq & 0xffff;
  const isPrivate = ((irq >>> 24) & 0xf) === KVM_ARM_IRQ_TYPE.PPI;
  const vcpu = isPrivate ? vcpuOf(vm, irq, call) : null;
  if (isPrivate ? intid < SGIS || intid >= PRIVATE : intid < PRIVATE) throw new Refused("EINVAL", call);
  needsGic();
  // Its id is taken for a place again.
  const target = vcpu !== null && vm.profile.switches.irqLineByPlace ? vcpuAt(vm, vcpu.get("id")) : vcpu;
  if (target === undefined || !moveLine(vm, target, intid, level)) throw new Refused("EINVAL", call);
}

/** A GICv2 is initialised when it is first used, a GICv3 never. */
function makeReady(gic: Gic): boolean {
  if (gic.get("initialised") === 1) return true;
  if (gic.vm.get("irqchip") !== KVM_DEV_TYPE.ARM_VGIC_V2) return false;
  gic.vm.gicLocked(() => initialise(gic));
  return true;
}

/** Userspace moves a line; false: there is no such interrupt. What an in-kernel device owns stays as it is. */
export function moveLine(vm: VmState, vcpu: VcpuState | null, intid: number, level: boolean): boolean {
  const gic = gicOf(vm)!;
  return vm.gicLocked(() => {
    const ref = gic.find(vcpu, intid);
    if (ref === 0) return false;
    gic.setLine(ref, level, false);
    return true;
  });
}

/** An in-kernel device takes a line of a vCPU for itself; false: another has it. */
export function ownLine(vcpu: VcpuState, intid: number): boolean {
  const gic = gicOf(vcpu.vm)!;
  return vcpu.vm.gicLocked(() => {
    const ref = gic.find(vcpu, intid);
    if (ref === 0 || gic.has(ref, Irq.owned)) return false;
    gic.change(ref, Irq.owned, true);
    return true;
  });
}

/** A timer takes its line, which it may have taken when an earlier run was refused. */
function ownTimerLine(vcpu: VcpuState, timer: number): boolean {
  const intid = timerIntid(vcpu, timer);
  const lines = vcpu.get("timerLines", timer);
  if ((lines & (1 << intid)) !== 0) return true;
  if (!ownLine(vcpu, intid)) return false;
  vcpu.put("timerLines", lines | (1 << intid), timer);
  return true;
}

/** An in-kernel device moves its line. */
export function setOwnedLine(vcpu: VcpuState, intid: number, level: boolean): void {
  // Its id is taken for a place, too, and of another's line it is not the owner.
  if (vcpu.vm.profile.switches.irqLineByPlace && vcpu.get("place") !== vcpu.get("id")) return;
  const gic = gicOf(vcpu.vm)!;
  const ref = gic.find(vcpu, intid);
  if (gic.has(ref, Irq.line) === level) return;
  vcpu.vm.gicLocked(() => gic.setLine(ref, level, true));
}

/** Attributes of the timers whose lines are bits 0 and 1 of kvm_run.s.regs.device_irq_level. */
const TIMERS = [0, 1] as const;

/**
 * The first run of a vCPU enables its timers: where there is a GIC by then they own their lines. False: two have the same.
 * A GIC that is made when they are enabled already, since that run was refused later, never hears of them.
 */
export function enableTimers(vcpu: VcpuState): boolean {
  if (vcpu.get("timers") !== TimersAre.off) return true;
  if (gicOf(vcpu.vm) === null) {
    vcpu.put("timers", TimersAre.lineless);
    return true;
  }
  // Since 6.12 the physical timer comes first.
  const order = vcpu.vm.profile.switches.timerIntidsVmWide ? [1, 0] : TIMERS;
  if (!order.every((timer) => ownTimerLine(vcpu, timer))) return false;
  const gic = gicOf(vcpu.vm)!;
  for (const timer of TIMERS.filter((timer) => isPhysical(vcpu, timer))) {
    vcpu.vm.gicLocked(() => gic.change(gic.find(vcpu, timerIntid(vcpu, timer)), Irq.physical, true));
  }
  vcpu.put("timers", TimersAre.owners);
  vcpu.vm.put("timersOwned", 1);
  return true;
}

/**
 * The guest programs a timer. That a line rises is an exit; that it falls is seen at the next one, if the guest has been
 * told of the interrupt.
 */
export function followTimers(vcpu: VcpuState, levels: bigint): void {
  if (vcpu.get("timers") !== TimersAre.owners) return;
  const gic = gicOf(vcpu.vm)!;
  const toldOf = (ref: Ref) =>
    gic.has(ref, Irq.physical) && gic.read(ref, Field.owner) !== 0 && vcpu.vm.gicLocked(() => gic.deliverable(ref));
  for (const timer of TIMERS) {
    const intid = timerIntid(vcpu, timer);
    const level = ((levels >> BigInt(timer)) & 1n) === 1n;
    if (level || !toldOf(gic.find(vcpu, intid))) setOwnedLine(vcpu, intid, level);
  }
}

/** Whether a timer of the guest is one of the host's CPU: without VHE, the host needs the physical one for itself. */
const isPhysical = (vcpu: VcpuState, timer: number) =>
  timer === 0 || decode("ID_AA64MMFR1_EL1", vcpu.vm.profile.host.value("ID_AA64MMFR1_EL1")).fields.VH !== 0;

/** A reset of the vCPU takes what its timers raised away. */
export function resetTimerInterrupts(vcpu: VcpuState): void {
  const gic = gicOf(vcpu.vm);
  if (gic === null || vcpu.get("timers") !== TimersAre.owners) return;
  setTimerLines(vcpu, 0n);
  vcpu.vm.gicLocked(() => {
    for (const ref of TIMERS.map((timer) => gic.find(vcpu, timerIntid(vcpu, timer)))) {
      if (!gic.has(ref, Irq.physical)) continue;
      gic.change(ref, Irq.active | Irq.latch | Irq.line, false);
      gic.changed(ref);
    }
  });
}

/** The lines of the timers follow bits of device_irq_level. */
export function setTimerLines(vcpu: VcpuState, levels: bigint): void {
  if (vcpu.get("timers") !== TimersAre.owners) return;
  for (const timer of TIMERS) setOwnedLine(vcpu, timerIntid(vcpu, timer), ((levels >> BigInt(timer)) & 1n) === 1n);
}
