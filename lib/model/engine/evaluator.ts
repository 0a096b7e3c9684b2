// The evaluator: Machine in plain TypeScript over the CPU state. The readable judge of the other engines, and the one
// that steps single instructions. It runs EL0 and EL1; its caller is EL2.

import { packEncoding, sysRegs } from "../../arm64/sysregs.js";
import { ORDERED } from "../a64/access.js";
import { vectorFeatures } from "../a64/features.js";
import type { Insn } from "../a64/insn.js";
import type {
  AccessBytes,
  AtomicOperation,
  Barrier,
  BranchKind,
  Machine,
  MachineOn,
  PacKey,
  PstateField,
  Width,
} from "../a64/machine.js";
import { Btype, landsAt } from "../cpu/branch-target.js";
import {
  Ec,
  exceptionReturn,
  implementedPstate,
  syndrome,
  takePendingInterrupt,
  takeSynchronous,
} from "../cpu/exceptions.js";
import { type GuestDebug, stepSyndrome } from "../cpu/guest-debug.js";
import { type AddressTranslation, maintenanceOperations } from "../cpu/maintenance.js";
import { PointerAuth } from "../cpu/pointer-auth.js";
import { debugEnabled, stepAfterReturn } from "../cpu/self-debug.js";
import type { Access } from "../cpu/stage1.js";
import { Attention, type CpuState, cells, Pstate } from "../cpu/state.js";
import { type SystemOutcome, SystemRegisters } from "../cpu/sysregs.js";
import { invalidationOf } from "../cpu/tlb.js";
import { AtomicMemory } from "./atomic-memory.js";
import { crc32 } from "./crc32.js";
import { DecodeCache } from "./decode-cache.js";
import { Endings } from "./endings.js";
import { GuestMemory } from "./memory.js";
import { Narrow } from "./narrow.js";
import { type Bus, type Environment, type Stop, unwind } from "./stop.js";
import { Vectors } from "./vectors.js";
import { type Cell, Wide } from "./wide.js";

export type { Bus, BusAccess, Environment, Stop } from "./stop.js";

const PC = cells.pc * 2;
const MODE = cells.flags * 2;
const NZCV = cells.flags * 2 + 1;
const ATTENTION = cells.attention * 2;
/** The bits of PSTATE that memory accesses depend on, and those that are set only after a branch to a register. */
const FETCH_MODE = Pstate.EL | Pstate.PAN | Pstate.BTYPE;

/** Registers whose writes change what self-hosted debug does. */
const debugRegisters: ReadonlySet<number> = new Set(
  sysRegs
    .filter(({ name }) => /^(MDSCR_EL1|OSLAR_EL1|CONTEXTIDR_EL1|DBG[BW][CV]R\d+_EL1)$/.test(name))
    .map(({ encoding }) => packEncoding(encoding)),
);

/** IC. */
const instructionCache: ReadonlySet<number> = new Set(
  [...maintenanceOperations].filter(([, { name }]) => name.startsWith("IC ")).map(([id]) => id),
);

const DC_ZVA = packEncoding([1, 3, 7, 4, 1]);

/** CV and COND of the ISS of a trapped WFI or WFE: always. */
const WFX_ISS = 0x1e0_0000;

export class Evaluator implements MachineOn<Cell, number, number, boolean, Cell> {
  readonly state: CpuState;
  readonly w64: Wide;
  readonly w32: Narrow;
  readonly simd: Vectors;

  private readonly w: Int32Array;
  readonly memory: GuestMemory;
  private readonly atomics: AtomicMemory;
  private readonly registers: SystemRegisters;
  private readonly pointers: PointerAuth;
  private readonly environment: Environment;
  readonly decoded: DecodeCache;
  /** The interface whose values nobody can look into. */
  private readonly opaque: Machine = this as unknown as Machine;
  readonly ends: Endings;
  /** Other CPUs were told of a TLBI, and no DSB has waited for them. */
  invalidating = false;
  /** The instruction has written PSTATE.BTYPE itself. */
  private setsBtype = false;
  /** How many system registers the guest has written. */
  registersWritten = 0;
  /** Called for IC: memory that instructions were decoded from may have changed, all of it or the page of this offset. */
  instructionsChanged: ((offset?: number) => void) | undefined;

  constructor(state: CpuState, bus: Bus, environment: Environment) {
    this.state = state;
    this.w = state.words;
    this.environment = environment;
    this.w64 = new Wide(state);
    this.w32 = new Narrow(state, this.w64);
    this.ends = new Endings(state);
    this.memory = new GuestMemory(state, bus, this.w64, this.ends, environment.unalignedDevice ?? "fault");
    this.atomics = new AtomicMemory(state, bus, this.w64, this.memory);
    this.registers = new SystemRegisters(state, environment);
    this.pointers = new PointerAuth(state);
    this.simd = new Vectors(state, this.w64, this.memory, () => this.checkFp());
    this.decoded = new DecodeCache(environment, (row, word) => this.lacks(row, word));
    this.ends.implemented = this.pstateBits();
  }

  /** What KVM_SET_GUEST_DEBUG asks for. */
  get debug(): GuestDebug {
    return this.ends.debug;
  }
  set debug(debug: GuestDebug) {
    this.ends.debug = debug;
  }

  /** Instructions executed since the evaluator was made. */
  get executed(): number {
    return this.ends.executed;
  }

  /** Forgets what was asked of `environment.promises`: the ID registers have changed. */
  idRegistersChanged(): void {
    this.decoded.clear();
    this.memory.idRegistersChanged();
    this.ends.implemented = this.pstateBits();
  }

  private pstateBits(): number {
    return implementedPstate((feature) => this.environment.promises(feature));
  }

  /** Runs at most `budget` instructions. */
  run(budget: number): Stop {
    this.begin();
    return this.debug.singleStep ? this.step() : this.proceed(budget);
  }

  /** Goes on with what `run` began. */
  goOn(budget: number): Stop {
    return this.run(budget);
  }

  /** What a run begins with: others may have changed the state and the memory. */
  begin(): void {
    this.memory.busChanged();
    this.memory.controlChanged();
    this.arm();
    this.state.quads[cells.pstateAbove] = 0n;
    const { debug, own } = this.ends;
    const steps = debug.singleStep || (own.step && debugEnabled(own, this.w[MODE]!));
    // DebugExceptionReturnSS: EL2 returns here.
    if (!steps) this.w[MODE] = this.w[MODE]! & ~Pstate.SS;
  }

  /** Goes on with a run. */
  proceed(budget: number): Stop {
    const { ends } = this;
    ends.stop = null;
    ends.left = budget;
    for (;;) {
      const stop = ends.own.step ? this.stepItself() : this.loopUntilStop();
      if (stop.kind !== "budget" || ends.later === 0) return stop;
      ends.left = ends.later;
      this.arm();
    }
  }

  private arm(): void {
    this.ends.armDebug();
    this.memory.flushWatched(this.ends.watches);
  }

  /** Software Step by the guest itself: while debug exceptions are enabled, one instruction where PSTATE.SS is 1. */
  private stepItself(): Stop {
    const { ends, w } = this;
    for (let rest = ends.left; rest > 0; rest--) {
      const active = debugEnabled(ends.own, w[MODE]!);
      if (active && (w[MODE]! & Pstate.SS) === 0) {
        // "pending": the exception return before it stepped nothing.
        const iss = stepSyndrome(!ends.stepped ? "pending" : ends.exclusive ? "exclusive" : "stepped") & 0x1ff_ffff;
        takeSynchronous(this.state, syndrome(Ec.stepLower + this.state.el, iss), this.state.pc, null, ends.implemented);
        ends.stepped = false;
        continue;
      }
      ends.exclusive = false;
      ends.left = 1;
      const stop = this.loopUntilStop();
      if (stop.kind !== "budget") return stop;
      if (active) w[MODE] = w[MODE]! & ~Pstate.SS;
      ends.stepped = active;
      if (ends.paused) {
        ends.later = rest - 1;
        return stop;
      }
    }
    return { kind: "budget" };
  }

  /** DDI 0487 D2, "Software Step exceptions": PSTATE.SS says whether an instruction may run first. */
  private step(): Stop {
    const { ends } = this;
    const attention = this.attend();
    if (attention !== null) return attention;
    if ((this.w[MODE]! & Pstate.SS) === 0) return ends.toEl2(stepSyndrome("pending"), 0n, 0n);
    ends.stop = null;
    ends.left = 1;
    ends.exclusive = false;
    ends.unstepped = false;
    const stop = this.loopUntilStop();
    if (stop.kind !== "budget") return stop;
    this.w[MODE] = this.w[MODE]! & ~Pstate.SS;
    return ends.toEl2(stepSyndrome(ends.unstepped ? "pending" : ends.exclusive ? "exclusive" : "stepped"), 0n, 0n);
  }

  /** A step over what the hypervisor does instead of the CPU. */
  private accessed(id: number, access: "read" | "write"): void {
    if (this.debug.singleStep && this.environment.trapped?.(id, access) === true) this.ends.unstepped = true;
  }

  private loopUntilStop(): Stop {
    for (;;) {
      try {
        return this.loop();
      } catch (reason) {
        if (reason !== unwind) throw reason;
        this.ends.jumped = false;
        if (this.ends.stop !== null) return this.ends.stop;
      }
    }
  }

  private loop(): Stop {
    const { w, w64, memory, decoded, ends } = this;
    let illegal = (w[MODE]! & Pstate.IL) !== 0;
    for (;;) {
      if (w[ATTENTION]! !== 0) {
        // The exception of a step comes before interrupts.
        if (ends.left <= 0 && this.debug.singleStep) return { kind: "budget" };
        const stop = this.attend();
        if (stop !== null) return stop;
        illegal = (w[MODE]! & Pstate.IL) !== 0;
      }
      if (ends.left <= 0) return { kind: "budget" };
      ends.left--;
      ends.executed++;
      const lo = w[PC]!;
      let btype = 0;
      if ((w[MODE]! & FETCH_MODE) !== memory.mode) {
        memory.modeChanged(w[MODE]!);
        btype = w[MODE]! & Pstate.BTYPE;
      }
      if ((lo & 3) !== 0) ends.misalignedPc();
      if (ends.breaks) ends.checkBreakpoints();
      const word = memory.fetch(PC);
      // After what may be wrong with the address: DDI 0487 D1, "Prioritization of synchronous exceptions".
      if (illegal) ends.illegalState();
      if (btype !== 0) this.land(word, btype);
      const insn = decoded.find(word);
      w64.begin();
      insn.run(this.opaque, insn.fields);
      // An instruction that ends in EL2 keeps it.
      if (btype !== 0 && !this.setsBtype && ends.stop === null) w[MODE] = w[MODE]! & ~Pstate.BTYPE;
      if (ends.jumped) {
        ends.jumped = false;
        if (ends.stop !== null) return ends.stop;
        illegal = (w[MODE]! & Pstate.IL) !== 0;
      } else {
        const next = (lo + 4) | 0;
        w[PC] = next;
        if (next === 0) w[PC + 1] = w[PC + 1]! + 1;
      }
    }
  }

  /** The first instruction after a branch to a register: it must be one that such a branch may go to. */
  private land(word: number, btype: number): void {
    this.setsBtype = false;
    if (!this.memory.guarded(PC)) return;
    const type = btype >>> Btype.lsb;
    if (!landsAt(word, type, this.state)) this.ends.raise(syndrome(Ec.branchTarget, type), null);
  }

  /** An instruction that is promised and not there; floating point may be trapped before that shows. */
  private lacks(row: Insn, word: number): void {
    const usesFp = row.needs.some((feature) => vectorFeatures.has(feature));
    if (usesFp && this.registers.fpTrapped()) {
      this.ends.exception(syndrome(Ec.fpAccess, WFX_ISS), null);
      return;
    }
    this.ends.notExecuted();
    this.ends.halt({ kind: "lacks", word: word >>> 0, name: row.name });
  }

  /** Sees to the attention word. Interrupts that are masked leave it as it is. */
  attend(): Stop | null {
    const attention = this.state.attention;
    if ((attention & Attention.flush) !== 0) this.acknowledge();
    if ((attention & Attention.kick) !== 0 && this.state.takeKick()) return { kind: "kicked" };
    takePendingInterrupt(this.state, this.ends.implemented);
    return null;
  }

  /** SIMD and floating point are trapped now. */
  get fpTrapped(): boolean {
    return this.registers.fpTrapped();
  }

  /** Forgets what another CPU said is not so any more, and tells it. */
  private acknowledge(): void {
    // Nothing is accessed between: who sees the bit cleared need not wait for the rest.
    Atomics.and(this.w, ATTENTION, ~Attention.flush);
    Atomics.notify(this.w, ATTENTION);
    this.memory.busChanged();
    this.memory.flush();
    this.instructionsChanged?.();
  }

  /** What DC ZVA zeroes here; 0: it is trapped. */
  get zeroBytes(): number {
    return typeof this.registers.maintenance(DC_ZVA, 0) === "number" ? 0 : this.registers.zeroBlockBytes;
  }

  private checkFp(): void {
    if (this.fpTrapped) this.ends.raise(syndrome(Ec.fpAccess, WFX_ISS), null);
  }

  at(sf: number): Width<number, Cell, boolean> {
    return sf === 1 ? this.w64 : this.w32;
  }

  condition(cond: number): boolean {
    return this.w64.holds(cond);
  }
  not(c: boolean): boolean {
    return !c;
  }
  nzcv(): number {
    return this.w[NZCV]!;
  }
  setNzcv(v: number): void {
    this.w[NZCV] = v & Pstate.NZCV;
  }

  pcPlus(offset: number): Cell {
    return this.w64.add(PC, this.w64.immediate(offset));
  }
  branch(offset: number): void {
    const { w } = this;
    const lo = (w[PC]! >>> 0) + offset;
    w[PC] = lo;
    w[PC + 1] = w[PC + 1]! + Math.floor(lo / 0x1_0000_0000);
    this.ends.jumped = true;
  }
  branchIf(c: boolean, offset: number): void {
    if (c) this.branch(offset);
  }
  branchTo(target: Cell, kind: BranchKind): void {
    const { w } = this;
    if ((this.ends.implemented & Pstate.BTYPE) !== 0 && kind !== "return") {
      const type = kind === "jump" && this.memory.guarded(PC) ? Btype.guardedJump : Btype[kind];
      w[MODE] = (w[MODE]! & ~Pstate.BTYPE) | (type << Btype.lsb);
      this.setsBtype = true;
    }
    w[PC] = w[target]!;
    w[PC + 1] = w[target + 1]!;
    if (w[PC + 1]! >>> 23 !== 0) this.state.pc = this.memory.withoutTag(this.state.pc);
    this.ends.jumped = true;
  }

  addPac(key: PacKey, pointer: Cell, modifier: Cell): Cell {
    const { quads } = this.state;
    return this.w64.constant(this.pointers.add(key, quads[pointer >> 1]!, quads[modifier >> 1]!));
  }
  authenticate(key: PacKey, pointer: Cell, modifier: Cell, use: "alone" | "combined"): Cell {
    const { quads } = this.state;
    const result = this.pointers.authenticate(key, quads[pointer >> 1]!, quads[modifier >> 1]!, use);
    if (typeof result === "object") this.ends.raise(syndrome(Ec.pac, result.iss), null);
    return this.w64.constant(result);
  }
  stripPac(kind: "instruction" | "data", pointer: Cell): Cell {
    return this.w64.constant(this.pointers.strip(kind, this.state.quads[pointer >> 1]!));
  }
  genericPac(data: Cell, modifier: Cell): Cell {
    const { quads } = this.state;
    return this.w64.constant(this.pointers.generic(quads[data >> 1]!, quads[modifier >> 1]!));
  }

  signExtend(v: Cell, bits: 8 | 16 | 32): Cell {
    const lo = (this.w[v]! << (32 - bits)) >> (32 - bits);
    return this.w64.words(lo, lo >> 31);
  }
  zeroExtend(v: Cell, bits: 8 | 16 | 32): Cell {
    return this.w64.words((this.w[v]! << (32 - bits)) >>> (32 - bits), 0);
  }
  umulh(a: Cell, b: Cell): Cell {
    const { quads } = this.state;
    return this.w64.constant((quads[a >> 1]! * quads[b >> 1]!) >> 64n);
  }
  smulh(a: Cell, b: Cell): Cell {
    const { quads } = this.state;
    return this.w64.constant((BigInt.asIntN(64, quads[a >> 1]!) * BigInt.asIntN(64, quads[b >> 1]!)) >> 64n);
  }
  crc32(poly: "04C11DB7" | "1EDC6F41", accumulator: number, data: Cell, bytes: AccessBytes): number {
    return crc32(poly, accumulator, this.w[data]!, this.w[data + 1]!, bytes);
  }

  checkSpAlignment(): void {
    if ((this.w[this.w64.sp()]! & 15) === 0) return;
    if (this.registers.checksSpAlignment()) this.ends.raise(syndrome(Ec.spAlignment, 0), null);
  }
  load(bytes: AccessBytes, address: Cell, access: number): Cell {
    if ((access & ORDERED) !== 0) return this.atomics.loadOrdered(bytes, address, access);
    return this.memory.load(bytes, address, access);
  }
  store(bytes: AccessBytes, address: Cell, value: Cell, access: number): void {
    if ((access & ORDERED) !== 0) this.atomics.storeOrdered(bytes, address, value, access);
    else this.memory.store(bytes, address, value, access);
  }
  storePair(bytes: 4 | 8, address: Cell, first: Cell, second: Cell, access: number): void {
    this.memory.storePair(bytes, address, first, second, access);
  }
  loadExclusive(bytes: AccessBytes, address: Cell, access: number): Cell {
    this.ends.exclusive = true;
    return this.atomics.loadExclusive(bytes, address, access);
  }
  loadExclusivePair(bytes: 4 | 8, address: Cell, access: number): readonly [Cell, Cell] {
    this.ends.exclusive = true;
    return this.atomics.loadExclusivePair(bytes, address, access);
  }
  storeExclusive(bytes: AccessBytes, address: Cell, value: Cell, access: number): number {
    return this.atomics.storeExclusive(bytes, address, value, access);
  }
  storeExclusivePair(bytes: 4 | 8, address: Cell, first: Cell, second: Cell, access: number): number {
    return this.atomics.storeExclusivePair(bytes, address, first, second, access);
  }
  clearExclusive(): void {
    this.state.clearExclusive();
  }
  atomic(op: AtomicOperation, bytes: AccessBytes, address: Cell, value: Cell, access: number): Cell {
    return this.atomics.atomic(op, bytes, address, value, access);
  }
  compareAndSwap(bytes: AccessBytes, address: Cell, expected: Cell, desired: Cell, access: number): Cell {
    return this.atomics.compareAndSwap(bytes, address, expected, desired, access);
  }
  compareAndSwapPair(
    bytes: 4 | 8,
    address: Cell,
    expected: readonly [Cell, Cell],
    desired: readonly [Cell, Cell],
    access: number,
  ): readonly [Cell, Cell] {
    return this.atomics.compareAndSwapPair(bytes, address, expected, desired, access);
  }
  barrier(kind: Barrier): void {
    // ISB and SB order nothing that this machine reorders.
    if (kind === "DSB" || kind === "DMB") this.atomics.fence();
    if (kind !== "DSB" || !this.invalidating) return;
    this.invalidating = false;
    this.environment.awaitOthers?.(() => {
      if ((this.state.attention & Attention.flush) !== 0) this.acknowledge();
    });
  }

  undefined(): void {
    this.ends.exception(syndrome(Ec.unknown, 0), null);
  }
  svc(imm16: number): void {
    // It is over when it is taken: so is its step.
    this.w[MODE] = this.w[MODE]! & ~Pstate.SS;
    this.ends.take(syndrome(Ec.svc64, imm16), this.state.pc + 4n, null);
  }
  hvc(imm16: number): void {
    this.ends.privileged();
    this.ends.advance();
    this.ends.halt(this.ends.toEl2(syndrome(Ec.hvc64, imm16), 0n, 0n));
  }
  smc(imm16: number): void {
    this.ends.privileged();
    this.ends.halt(this.ends.toEl2(syndrome(Ec.smc64, imm16), 0n, 0n));
  }
  brk(imm16: number): void {
    const esr = syndrome(Ec.brk, imm16);
    if (!this.debug.enabled) this.ends.raise(esr, null);
    this.ends.notExecuted();
    this.ends.halt(this.ends.toEl2(esr, 0n, 0n));
  }
  hlt(_imm16: number): void {
    // Halting debug is not allowed in a guest.
    this.undefined();
  }
  eret(key: PacKey | null): void {
    this.ends.privileged();
    const { state, ends } = this;
    const elr = cells.elrEl1 * 2;
    const authentic = key === null ? elr : this.authenticate(key, elr, this.w64.sp(), "combined");
    const target = state.quads[authentic >> 1]!;
    const ss = this.debug.singleStep
      ? 0
      : stepAfterReturn(ends.own, this.w[MODE]!, Number(state.spsr(0) & 0xffff_ffffn));
    exceptionReturn(state, target, ends.implemented, ss);
    this.setsBtype = true;
    if (this.w[PC + 1]! >>> 23 !== 0) this.state.pc = this.memory.withoutTag(this.state.pc);
    this.ends.jumped = true;
  }
  waitForInterrupt(): void {
    if ((this.state.attention & (Attention.irq | Attention.fiq | Attention.serror)) !== 0) return;
    this.suspend(0);
  }
  waitForEvent(): void {
    if (Atomics.exchange(this.w, cells.eventRegister * 2, 0) !== 0) return;
    // Alone on its CPU a guest is not trapped, and does not wait for long.
    if (!this.debug.singleStep || this.registers.waitTrapped("WFE")) this.suspend(1);
  }
  private suspend(ti: 0 | 1): void {
    const esr = syndrome(Ec.wfx, WFX_ISS | ti);
    if (this.registers.waitTrapped(ti === 0 ? "WFI" : "WFE")) this.ends.raise(esr, null);
    this.ends.halt(this.ends.toEl2(esr, 0n, 0n));
  }
  sendEvent(): void {
    if (this.environment.sendEvent === undefined) this.state.setEventRegister(1);
    else this.environment.sendEvent();
  }
  sendEventLocal(): void {
    this.state.setEventRegister(1);
  }
  errorSynchronization(): void {
    const iss = this.state.pendingSError;
    if (iss === null || (this.w[MODE]! & Pstate.A) === 0 || !this.environment.has("RAS")) return;
    this.state.pendingSError = null;
    this.state.set("DISR_EL1", BigInt((0x8000_0000 | iss) >>> 0));
  }

  readSystem(id: number, rt: number): Cell {
    const value = this.value(this.registers.read(id, rt));
    this.accessed(id, "read");
    return value;
  }
  writeSystem(id: number, value: Cell, rt: number): void {
    this.accessed(id, "write");
    this.value(this.registers.write(id, this.state.quads[value >> 1]!, rt));
    this.registersWritten++;
    this.memory.controlChanged();
    if (debugRegisters.has(id)) this.ends.pause();
  }
  /** MSR of a register that no debugging depends on; false: it is an exception. */
  writeSilently(id: number, value: bigint): boolean {
    if (this.registers.write(id, value, 31) !== 0n) return false;
    this.registersWritten++;
    this.memory.controlChanged();
    return true;
  }
  /** CNTVCT_EL0. */
  counter(): bigint {
    return this.environment.counter("virtual");
  }
  writePstate(field: PstateField, imm4: number): void {
    this.value(this.registers.writePstate(field, imm4));
  }
  system(id: number, value: Cell, rt: number): void {
    const outcome = this.registers.maintenance(id, rt);
    if (outcome === "undefined") this.ends.raise(syndrome(Ec.unknown, 0), null);
    if (typeof outcome === "number") this.ends.raise(outcome, null);
    this.accessed(id, "write");
    if (outcome === "bySetWay") this.environment.maintainedBySetWay?.();
    else if (outcome === "zero") this.memory.zero(value, this.registers.zeroBlockBytes);
    else if (outcome === "byAddress") this.memory.maintain(value);
    else if (outcome === "invalidate") {
      this.memory.invalidate(invalidationOf(id, this.state.quads[value >> 1]!));
      this.invalidateOthers();
    } else if (typeof outcome === "object")
      this.state.set("PAR_EL1", this.memory.translate(value, this.accessOf(outcome)));
    if (instructionCache.has(id)) {
      this.instructionsChanged?.(outcome === "byAddress" ? this.memory.reads.offset(this.w[value]!) : undefined);
      this.invalidateOthers();
    }
  }
  /** TLBI on this CPU; false: it is an exception. */
  invalidate(id: number, operand: bigint): boolean {
    if (this.registers.maintenance(id, 31) !== "invalidate") return false;
    this.memory.invalidate(invalidationOf(id, operand));
    return true;
  }
  invalidateOthers(): void {
    if (this.environment.invalidateOthers?.() === true) this.invalidating = true;
  }
  /** AT S1E1RP and WP look at PSTATE.PAN; the others do not. */
  private accessOf({ kind, unprivileged, pan }: AddressTranslation): Access {
    return { kind, unprivileged, pan: pan && (this.w[MODE]! & Pstate.PAN) !== 0 };
  }
  systemRead(_id: number, _rt: number): Cell {
    this.ends.raise(syndrome(Ec.unknown, 0), null);
  }

  /** The value of an access that was allowed; its exception otherwise. */
  private value(outcome: SystemOutcome): Cell {
    if (outcome === "undefined") this.ends.raise(syndrome(Ec.unknown, 0), null);
    if (typeof outcome === "number") this.ends.raise(outcome, null);
    return this.w64.constant(outcome);
  }
}
