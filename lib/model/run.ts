// KVM_RUN: Documentation/virt/kvm/api.rst 4.10. One run is a generator: it yields when the calling thread may do other
// things (a slice of guest time is over, or the vCPU sleeps), and returns the errno. `runSync` and `run` differ only in
// what they do with the yields.

import type { SysRegName } from "../arm64/sysregs.js";
import { isRefusal } from "../errors.js";
import { KVM_EXIT, KVM_GUESTDBG, KVM_MP_STATE, KVM_SYSTEM_EVENT } from "../uapi/constants.js";
import { type ErrnoName, errno } from "../uapi/errno.js";
import { run } from "../uapi/structs.js";
import { tabulateAffinities } from "./affinity.js";
import { Ec } from "./cpu/exceptions.js";
import { breakpointsOf, noGuestDebug, watchpointsOf } from "./cpu/guest-debug.js";
import { publishIdRegisters, settleGicFields } from "./cpu/id-registers.js";
import { Pmu, pmuIsHidden, pmuLevel, pmuRegisters, startPmu } from "./cpu/pmu.js";
import { answerWorkaround, type CallOutcome, hypercall } from "./cpu/smccc.js";
import { Attention, Pstate } from "./cpu/state.js";
import { hasStolenTime, tellStolenTime } from "./cpu/stolen-time.js";
import { counter, isTimerRegister, nextTimer, saveTimers, timerIs, timerKind, timerLevels } from "./cpu/timer.js";
import { type Environment, Evaluator } from "./engine/evaluator.js";
import type { Stop } from "./engine/stop.js";
import { Interpreter } from "./engine/wasm/interpreter.js";
import type { EventFds } from "./eventfd.js";
import { exit, lacksInstruction, putWord, systemEvent } from "./exits.js";
import { clampBinaryPoints, wakes } from "./gic/cpu-interface.js";
import { type Gic, gicOf } from "./gic/gic.js";
import { readGicRegister, writeGicRegister } from "./gic/guest-registers.js";
import { interruptEnded } from "./gic/irqfd.js";
import { enableTimers, followTimers, setOwnedLine, setTimerLines } from "./gic/lines.js";
import { readUntrapped, writeUntrapped } from "./gic/untrapped.js";
import { mapGic } from "./gic/v3.js";
import { shareRing } from "./kvm/buses.js";
import { debugRegisterWritten, loadDebugRegisters, readDebugRegister } from "./kvm/debug-registers.js";
import { selectedCcsidr } from "./kvm/demux-regs.js";
import { ringIsFull } from "./kvm/dirty-ring.js";
import { beginMasks } from "./kvm/el2-masks.js";
import { commitAbort } from "./kvm/inject.js";
import { loadRegisters, selectionWritten } from "./kvm/load.js";
import { pmuMayRun } from "./kvm/pmu-attributes.js";
import { applyPendingReset } from "./kvm/reset.js";
import { count, countWait, setBlocking } from "./kvm/stats.js";
import { beginStep, endStep, stepTaken } from "./kvm/stepping.js";
import { controlWritten, followCaches, isTrapped } from "./kvm/traps.js";
import { vcpuCells } from "./layout.js";
import { Shootdown } from "./shootdown.js";
import { completeMmio, guestAbort, SlotBus, skipInstruction } from "./stage2.js";
import { Feature } from "./vcpu-features.js";
import { allVcpus, type VcpuState } from "./vcpu-state.js";

/** Why a run yields. "sleep": until the vCPU's wake word differs from `seen`, for at most `milliseconds`. */
export type Pause =
  | { readonly kind: "slice" }
  | { readonly kind: "sleep"; readonly seen: number; readonly milliseconds: number };

const SLICE: Pause = { kind: "slice" };

/** A slice of guest time: how long it shall take, and the bounds of its number of instructions. */
const SLICE_MS = 5;
const LEAST_BUDGET = 1_000;
const MOST_BUDGET = 10_000_000;

/** WFE waits for an event that another CPU's plain store may be: nobody tells us, so we look again soon. */
const WFE_MS = 1;

const LINES = Attention.irq | Attention.fiq | Attention.serror;
/** ISS of a trapped WFI or WFE: the latter. */
const WFX_TI = 1;
const IMMEDIATE = 0xffff;
const KVM_DEBUG_ARCH_HSR_HIGH_VALID = 1;

/** PSTATE.EL of EL2. */
const EL2 = 8;

type Outcome = "resume" | "exit" | ErrnoName;

interface Slice {
  timerWritten: "no" | "untrapped" | "trapped";
}

/** What runs one vCPU on one thread. */
export class Runner {
  readonly #vcpu: VcpuState;
  readonly #eventFds: EventFds;
  readonly #bus: SlotBus;
  readonly #engine: Evaluator | Interpreter;
  readonly #pmu: Pmu;
  readonly #shootdown: Shootdown;
  /** null: the vCPU's lines are userspace's. */
  #gic: Gic | null = null;
  #budget = 20_000;
  /** Whether the guest wrote to a timer register: the slice ends for that, which is an exit only where it is trapped. */
  readonly #slice: Slice = { timerWritten: "no" };
  /** Userspace has had the memory since the guest last ran. */
  #fresh = true;

  constructor(vcpu: VcpuState, eventFds: EventFds) {
    this.#vcpu = vcpu;
    this.#eventFds = eventFds;
    this.#bus = new SlotBus(vcpu);
    this.#shootdown = new Shootdown(vcpu);
    this.#pmu = new Pmu(vcpu, () => this.#engine.executed);
    this.#engine = engineOf(vcpu, this.#bus, environmentOf(vcpu, eventFds, this.#pmu, this.#shootdown, this.#slice));
  }

  /** Guest instructions executed on this thread. */
  get executed(): number {
    return this.#engine.executed;
  }

  /** One KVM_RUN; returns 0 or a positive errno. */
  *run(): Generator<Pause, number, void> {
    const vcpu = this.#vcpu;
    // A run that is refused, too: whoever looks at the ring next is to find what userspace took through another vCPU's.
    shareRing(vcpu.vm);
    if (vcpu.get("initialised") === 0) return errno("ENOEXEC");
    if (vcpu.feature(Feature.sve) && vcpu.get("finalized") === 0) return errno("EPERM");
    const refused = this.#prepare();
    if (refused !== null) return errno(refused);
    const result = yield* this.#loaded();
    commitAbort(vcpu);
    saveTimers(vcpu);
    endStep(vcpu, "run");
    return result;
  }

  /** With the vCPU on the CPU. */
  *#loaded(): Generator<Pause, number, void> {
    const vcpu = this.#vcpu;
    this.#gic = gicOf(vcpu.vm);
    // Devices look up as the vCPU is loaded, if only to leave at once.
    if (this.#gic !== null) this.#driveLines();
    loadRegisters(vcpu);
    vcpu.put("skipped", 0);
    this.#fresh = true;
    beginStep(vcpu, "run");
    if (vcpu.run.getUint32(run.exit_reason, true) === KVM_EXIT.MMIO) completeMmio(vcpu);
    // A run that ends so has answered the kicks before it, whatever it was that ended it.
    const kicked = vcpu.exchange("kicked", 0) === 1;
    if (this.#gic !== null && vcpu.vm.profile.switches.binaryPointsAtLoad) clampBinaryPoints(vcpu);
    if (kicked || vcpu.run.getUint8(run.immediate_exit) !== 0) return errno("EINTR");
    vcpu.run.setUint32(run.exit_reason, KVM_EXIT.UNKNOWN, true);
    vcpu.run.setUint16(run.flags, 0, true);
    vcpu.put("pstateHigh", 0);
    this.#tellStolenTime();
    if (this.#gic !== null) clampBinaryPoints(vcpu);
    const result = yield* this.#loop();
    shareRing(vcpu.vm);
    if (this.#gic === null) vcpu.run.setBigUint64(run["s.regs.device_irq_level"], lineLevels(vcpu), true);
    else this.#settle(this.#gic);
    return result === "exit" ? 0 : errno(result);
  }

  /** The first run of a vCPU fixes what may not change any more, for the whole VM. */
  #prepare(): ErrnoName | null {
    const vcpu = this.#vcpu;
    if (vcpu.get("firstRunDone") === 1) return null;
    const { vm } = vcpu;
    vm.locked(() => tabulateAffinities(vm));
    const refused = mapGic(vm);
    if (refused !== null) {
      vm.put("dead", 1);
      return refused;
    }
    if (!enableTimers(vcpu)) return "EINVAL";
    const mayRun = vm.locked(() => {
      if (vm.get("ran") === 0) {
        beginMasks(vcpu);
        settleGicFields(vm);
      }
      publishIdRegisters(vcpu);
      if (!pmuMayRun(vcpu)) return false;
      if (vcpu.feature(Feature.hasEl2) && vm.get("irqchip") === 0) return true;
      vm.put("ran", 1);
      return true;
    });
    this.#engine.idRegistersChanged();
    if (!mayRun) return "EINVAL";
    // A guest's hypervisor needs the virtual interface of a GIC.
    if (vcpu.feature(Feature.hasEl2) && vm.get("irqchip") === 0) return "EAGAIN";
    vcpu.put("pmuStart", 1);
    vcpu.put("firstRunDone", 1);
    return null;
  }

  *#loop(): Generator<Pause, Exclude<Outcome, "resume">, void> {
    const vcpu = this.#vcpu;
    let sliceBegan = performance.now();
    for (;;) {
      if (vcpu.exchange("kicked", 0) === 1) return this.#interrupted("signal");
      if (vcpu.vm.peek("dead") === 1) return "EIO";
      const state = vcpu.peek("mpState");
      if (state === KVM_MP_STATE.STOPPED) {
        yield* this.#sleep(() => vcpu.peek("mpState") !== KVM_MP_STATE.STOPPED);
        continue;
      }
      if (vcpu.peek("resetPending") === 1) {
        endStep(vcpu, "run");
        applyPendingReset(vcpu);
        beginStep(vcpu, "run");
      }
      if (state === KVM_MP_STATE.SUSPENDED) {
        yield* this.#waitForInterrupt();
        if (this.#isInterrupted()) {
          systemEvent(vcpu, KVM_SYSTEM_EVENT.WAKEUP, []);
          return "exit";
        }
      }
      if (ringIsFull(vcpu)) {
        exit(vcpu, KVM_EXIT.DIRTY_RING_FULL, 0);
        return "exit";
      }
      if (vcpu.exchange("pmuStart", 0) === 1) startPmu(vcpu);
      if (this.#gic === null) {
        if (this.#lineChanged()) return this.#interrupted("line");
      } else if (this.#slice.timerWritten === "no") this.#settle(this.#gic);
      this.#slice.timerWritten = "no";
      if (state === KVM_MP_STATE.SUSPENDED) continue;
      if (this.#lacksState()) return "exit";
      const outcome = yield* this.#enter();
      if (outcome !== "resume") return outcome;
      // However the guest spends its time, others have theirs.
      if (performance.now() - sliceBegan < SLICE_MS) continue;
      const gaveWay = process.hrtime.bigint();
      yield SLICE;
      vcpu.quads[vcpuCells.stolen]! += process.hrtime.bigint() - gaveWay;
      this.#tellStolenTime();
      sliceBegan = performance.now();
    }
  }

  /** Whether the guest is where the engine cannot follow: an exit says so. */
  #lacksState(): boolean {
    const { mode } = this.#vcpu.cpu;
    if ((mode & (Pstate.nRW | EL2)) === 0) return false;
    lacksInstruction(this.#vcpu, 0, (mode & Pstate.nRW) !== 0 ? "AArch32 state" : "EL2");
    return true;
  }

  /** Memory is written, as in guest time: who changes the slots waits for it. */
  #tellStolenTime(): void {
    if (hasStolenTime(this.#vcpu)) this.#shootdown.inGuest(() => tellStolenTime(this.#vcpu, this.#bus.slots));
  }

  #interrupted(why: "signal" | "line"): "EINTR" {
    if (why === "signal") count(this.#vcpu, "signal_exits");
    this.#vcpu.store("kicked", 0);
    this.#vcpu.run.setUint32(run.exit_reason, KVM_EXIT.INTR, true);
    return "EINTR";
  }

  /** The guest is about to run, or has: its devices' lines are what they are, and so is its queue of interrupts. */
  #settle(gic: Gic): void {
    const vcpu = this.#vcpu;
    this.#driveLines();
    vcpu.vm.gicLocked(() => gic.passExit(vcpu));
  }

  /** With a GIC, timers and PMU are interrupts. */
  #driveLines(): void {
    const vcpu = this.#vcpu;
    setTimerLines(vcpu, timerLevels(vcpu));
    const pmuIrq = vcpu.get("pmuIrq");
    const pmuLine = pmuLevel(vcpu);
    if (pmuIrq === 0) return;
    const unchanged = vcpu.exchange("pmuLine", pmuLine) === pmuLine;
    // What userspace made of the line in between stays.
    if (unchanged && vcpu.vm.profile.switches.pmuLineOnChange) return;
    setOwnedLine(vcpu, pmuIrq, pmuLine === 1);
  }

  /** Whether something waits that ends a WFI. */
  #isInterrupted(): boolean {
    const vcpu = this.#vcpu;
    const gic = this.#gic;
    if (gic === null) return (vcpu.cpu.attention & LINES) !== 0;
    return (vcpu.cpu.attention & Attention.serror) !== 0 || vcpu.vm.gicLocked(() => wakes(gic, vcpu));
  }

  /** Without a GIC, the levels of devices end a wait, but are no interrupt. */
  #devicesAreHigh(): boolean {
    if (this.#gic === null) return lineLevels(this.#vcpu) !== 0n;
    this.#driveLines();
    return false;
  }

  /** A timer that fires is an interrupt of the host's; that one has fallen silent is seen at the next exit. */
  #lineChanged(): boolean {
    const levels = lineLevels(this.#vcpu);
    const told = this.#vcpu.run.getBigUint64(run["s.regs.device_irq_level"], true);
    return this.#slice.timerWritten === "untrapped" ? (levels & ~told) !== 0n : levels !== told;
  }

  /** Guest time until something happens that is not the guest's own business. */
  *#enter(): Generator<Pause, Outcome, void> {
    const vcpu = this.#vcpu;
    this.#armDebug();
    loadDebugRegisters(vcpu);
    beginStep(vcpu, "guest");
    commitAbort(vcpu);
    const began = performance.now();
    const { executed } = this.#engine;
    const budget = this.#gic === null ? this.#budget : this.#untilTimer();
    const stop = this.#shootdown.inGuest(() => this.#run(budget, this.#pmu.untilInterrupt));
    this.#adapt(this.#engine.executed - executed, performance.now() - began);
    this.#pmu.count();
    if (stop.kind !== "kicked") this.#slice.timerWritten = "no";
    // HVC is over when it arrives here: so is its step. SMC and WFI are not.
    const ec = stop.kind === "el2" ? stop.esr >>> 26 : null;
    if (ec === Ec.hvc64) vcpu.cpu.mode &= ~Pstate.SS;
    endStep(vcpu, "guest");
    if (ec === Ec.stepLower) stepTaken(vcpu);
    if (stop.kind === "budget") {
      return "resume";
    }
    // The hypervisor returns to the guest by ERET.
    vcpu.cpu.clearExclusive();
    if (stop.kind === "kicked") return "resume";
    if (stop.kind === "lacks") {
      lacksInstruction(vcpu, stop.word, stop.name);
      return "exit";
    }
    const answered = ec === Ec.hvc64 && answerWorkaround(vcpu);
    if (!answered) count(vcpu, "exits");
    switch (ec) {
      case Ec.wfx:
        yield* this.#wait(stop.esr);
        return "resume";
      case Ec.hvc64:
        if (answered) return "resume";
        count(vcpu, "hvc_exit_stat");
        return yield* this.#call(hypercall(vcpu, "hvc"));
      case Ec.smc64:
        skipInstruction(vcpu);
        if (vcpu.vm.profile.switches.smcIsConduit && (stop.esr & IMMEDIATE) === 0)
          return yield* this.#call(hypercall(vcpu, "smc"));
        vcpu.cpu.setX(0, 0xffff_ffff_ffff_ffffn);
        return "resume";
      case Ec.dataAbortLower:
      case Ec.instructionAbortLower:
        if (this.#gic !== null) this.#driveLines();
        return guestAbort(vcpu, this.#bus, this.#eventFds, stop);
      default:
        return this.#debugExit(stop.esr, stop.far);
    }
  }

  #run(budget: number, untilInterrupt: number): Stop {
    const isExact = this.#fresh || untilInterrupt < budget;
    this.#fresh = false;
    return isExact ? this.#engine.run(Math.min(budget, untilInterrupt)) : this.#engine.goOn(budget);
  }

  *#call(outcome: CallOutcome): Generator<Pause, Outcome, void> {
    if (outcome !== "suspend") return outcome;
    yield* this.#waitForInterrupt();
    return "resume";
  }

  /** Of a slice, the part before the next timer fires. */
  #untilTimer(): number {
    const part = nextTimer(this.#vcpu) / SLICE_MS;
    return part < 1 ? Math.max(LEAST_BUDGET, Math.round(this.#budget * part)) : this.#budget;
  }

  /** The guest has become slower, which counts at once for others wait, or faster. */
  #adapt(executed: number, milliseconds: number): void {
    if (executed < LEAST_BUDGET) return;
    const wanted = (executed * SLICE_MS) / Math.max(milliseconds, 0.1);
    const next = Math.min(wanted, (this.#budget + wanted) / 2);
    this.#budget = Math.round(Math.min(MOST_BUDGET, Math.max(LEAST_BUDGET, next)));
  }

  *#wait(esr: number): Generator<Pause, void, void> {
    const vcpu = this.#vcpu;
    if ((esr & WFX_TI) === 0) {
      count(vcpu, "wfi_exit_stat");
      yield* this.#waitForInterrupt();
    } else {
      count(vcpu, "wfe_exit_stat");
      const seen = vcpu.peek("wake");
      if (vcpu.cpu.eventRegister === 0) yield { kind: "sleep", seen, milliseconds: WFE_MS };
      vcpu.cpu.setEventRegister(0);
    }
    skipInstruction(vcpu);
  }

  /** Blocks as WFI does: until a line is high, a timer fires, or there is other work. */
  *#waitForInterrupt(): Generator<Pause, void, void> {
    const vcpu = this.#vcpu;
    setBlocking(vcpu, 1n);
    const began = process.hrtime.bigint();
    yield* this.#sleep(
      () =>
        this.#devicesAreHigh() ||
        this.#isInterrupted() ||
        vcpu.peek("mpState") === KVM_MP_STATE.STOPPED ||
        vcpu.peek("resetPending") === 1,
    );
    countWait(vcpu, process.hrtime.bigint() - began);
    count(vcpu, "halt_wakeup");
    setBlocking(vcpu, 0n);
  }

  /** Sleeps until a kick or until `ready`. */
  *#sleep(ready: () => boolean): Generator<Pause, void, void> {
    const vcpu = this.#vcpu;
    for (;;) {
      const seen = vcpu.peek("wake");
      // Before `ready`, which sees what fires between.
      const milliseconds = nextTimer(vcpu);
      if (vcpu.peek("kicked") === 1 || ready()) return;
      yield { kind: "sleep", seen, milliseconds };
    }
  }

  /** Tells the engine what KVM_SET_GUEST_DEBUG asked for. */
  #armDebug(): void {
    const vcpu = this.#vcpu;
    const control = vcpu.get("debugControl");
    if ((control & KVM_GUESTDBG.ENABLE) === 0) {
      this.#engine.debug = noGuestDebug;
      return;
    }
    const registers = (n: number) => Array.from({ length: 16 }, (_, i) => vcpu.quad("debugRegs", 16 * n + i));
    const hardware = (control & KVM_GUESTDBG.USE_HW) !== 0;
    this.#engine.debug = {
      enabled: true,
      singleStep: (control & KVM_GUESTDBG.SINGLESTEP) !== 0,
      ownPoints: !hardware && vcpu.vm.profile.switches.ownPointsTaken ? "taken" : "hidden",
      breakpoints: hardware ? breakpointsOf(registers(1), registers(0)) : [],
      watchpoints: hardware ? watchpointsOf(registers(3), registers(2)) : [],
    };
  }

  #debugExit(esr: number, far: bigint): "exit" {
    const vcpu = this.#vcpu;
    exit(vcpu, KVM_EXIT.DEBUG, 0);
    vcpu.run.setUint16(run.flags, KVM_DEBUG_ARCH_HSR_HIGH_VALID, true);
    putWord(vcpu, "debug.arch.hsr", esr);
    putWord(vcpu, "debug.arch.hsr_high", 0);
    if (esr >>> 26 === Ec.watchpointLower) vcpu.run.setBigUint64(run["debug.arch.far"], far, true);
    return "exit";
  }
}

const PMU_LINE = 4n;

/** The lines that the devices inside a vCPU drive: kvm_run.s.regs.device_irq_level. */
const lineLevels = (vcpu: VcpuState): bigint => timerLevels(vcpu) | (pmuLevel(vcpu) === 1 ? PMU_LINE : 0n);

/** Instructions after which a guest is worth generated code. */
const WARM_UP = 50_000;

function engineOf(vcpu: VcpuState, bus: SlotBus, environment: Environment): Evaluator | Interpreter {
  const { vm } = vcpu;
  const { engine } = vm.profile;
  if (engine === "evaluator") return new Evaluator(vcpu.cpu, bus, environment);
  const chunk = (bytes: number): number | null =>
    vm.locked(() => {
      try {
        return vm.allocationOffset(vm.allocate(bytes, "KVM_RUN"));
      } catch (error) {
        if (isRefusal(error)) return null;
        throw error;
      }
    });
  const block = (bytes: number): number | null => {
    if (vcpu.get("engine") === 0) vcpu.put("engine", chunk(bytes) ?? 0);
    const at = vcpu.get("engine") >>> 0;
    return at === 0 ? null : at;
  };
  return new Interpreter(
    vcpu.cpu,
    bus,
    environment,
    { block, chunk },
    engine === "auto" ? WARM_UP : 0,
    engine === "translator" ? "translating" : "alone",
  );
}

function environmentOf(vcpu: VcpuState, eventFds: EventFds, pmu: Pmu, shootdown: Shootdown, slice: Slice): Environment {
  const { vm } = vcpu;
  return {
    kernel: vcpu.vm.profile.kernel,
    counter: (timer) => counter(vcpu.vm, timer),
    timerIs: (timer) => timerIs(vcpu.vm, timer),
    promises: (feature) => vcpu.promises(feature),
    counts: vcpu.vm.profile.host,
    cpuHasSve: vcpu.vm.profile.host.vectorLengths !== 0,
    has(condition) {
      if (condition === "GICv3" && vm.get("irqchip") === 0) return vm.profile.host.gic?.v3 === true;
      return vcpu.has(condition) && !(condition === "PMU" && pmuIsHidden(vcpu));
    },
    readRegister(name, rt) {
      if (pmuRegisters.has(name)) return pmu.read(name as SysRegName);
      if (name === "CCSIDR_EL1") return selectedCcsidr(vcpu, rt);
      const debug = readDebugRegister(vcpu, name);
      if (debug !== undefined) return debug;
      return vm.get("irqchip") === 0 ? readUntrapped(vcpu, name) : readGicRegister(vcpu, name);
    },
    writeRegister(name, value) {
      if (pmuRegisters.has(name)) return pmu.write(name as SysRegName, value);
      if (vm.get("irqchip") === 0) return writeUntrapped(vcpu, name, value);
      const ended = writeGicRegister(vcpu, name, value);
      if (typeof ended === "number") interruptEnded(vm, eventFds, ended);
      return ended !== undefined;
    },
    trapped: (id, access) => isTrapped(vcpu, id, access),
    maintainedBySetWay: () => followCaches(vcpu),
    registerWritten(name) {
      controlWritten(vcpu, name);
      debugRegisterWritten(vcpu, name);
      selectionWritten(vcpu, name);
      if (!isTimerRegister(name)) return;
      if (vm.get("irqchip") !== 0) followTimers(vcpu, timerLevels(vcpu));
      // The slice ends when the timer fires next, or at once: without a GIC, a line that changed is userspace's.
      slice.timerWritten = timerIs(vm, timerKind(name)) === "direct" ? "untrapped" : "trapped";
      vcpu.cpu.kick();
    },
    invalidateOthers: () => shootdown.request(),
    awaitOthers: (meanwhile) => shootdown.await(meanwhile),
    sendEvent() {
      for (const other of allVcpus(vcpu.vm)) {
        other.cpu.setEventRegister(1);
        other.wake();
      }
    },
  };
}
