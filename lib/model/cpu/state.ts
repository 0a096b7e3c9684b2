// The architectural state of one vCPU: cells of 64 bits in the shared WebAssembly.Memory of its VM. Everything that a
// guest can see of the CPU is here, so that a Worker can run it, a snapshot is a copy of these bytes, and generated code
// addresses registers with constants. A view never goes stale: growing a shared memory detaches nothing.

import { type SysRegName, sysRegIndex, sysRegs } from "../../arm64/sysregs.js";

/** Name and number of 64-bit cells, in the order of the layout. */
const table = [
  ["x", 31],
  ["zero", 1], // register 31 read as XZR: never written
  ["spEl0", 1],
  ["spEl1", 1],
  ["pc", 1],
  ["flags", 1], // low word: PSTATE in SPSR format without NZCV; high word: NZCV in bits 31:28
  ["elrEl1", 1],
  ["spsr", 5], // EL1, ABT, UND, IRQ, FIQ: the order of struct kvm_regs
  ["fpsrFpcr", 1], // low word: FPSR; high word: FPCR
  ["esrEl2", 1],
  ["farEl2", 1],
  ["hpfarEl2", 1],
  ["monitor", 4], // local exclusive monitor: bytes (0: open), address, the two words that were read
  ["attention", 1], // low word: see Attention; other threads set bits in it
  ["eventRegister", 1], // of WFE; other threads set it to 1
  ["virtualSError", 1], // ESR_EL1.ISS that a pending SError will have (VSESR_EL2)
  ["fence", 1], // written and read by barriers, for their effect on the host
  ["pstateAbove", 1], // bits 63:32 of PSTATE, which userspace may set and a CPU that runs has not got
  ["reserved", 1],
  ["stackPointer", 1], // while generated code runs: the stack pointer that PSTATE selects
  ["discarded", 1], // register 31 written as XZR by generated code
  ["v", 64], // V0 to V31, 128 bits each
  ["temporary", 512], // values inside one instruction
  ["sysregs", sysRegs.length], // one for each row of the table, in its order
] as const;

type CellName = (typeof table)[number][0];

/** First cell of each part of the layout, counted in 64-bit cells from the base. */
export const cells: Readonly<Record<CellName, number>> = (() => {
  const first: Partial<Record<CellName, number>> = {};
  let next = 0;
  for (const [name, count] of table) {
    first[name] = next;
    next += count;
  }
  return first as Record<CellName, number>;
})();

const stateCells = table.reduce((sum, [, count]) => sum + count, 0);

/** Bits of the attention word: why the run loop must look up. 0 means nothing to do. */
export const Attention = {
  /** Stop as soon as possible: somebody called `kick`. */
  kick: 1,
  /** The virtual IRQ line is high. */
  irq: 2,
  /** The virtual FIQ line is high. */
  fiq: 4,
  /** A virtual SError is pending. */
  serror: 8,
  /** The bus changed its mind: its generation grew. */
  flush: 16,
} as const;

/** Bits of PSTATE as SPSR_EL1 holds them (DDI 0487 C5.2, "SPSR_EL1"). */
export const Pstate = {
  SP: 1,
  EL: 0xc,
  nRW: 0x10,
  M: 0x1f,
  F: 1 << 6,
  I: 1 << 7,
  A: 1 << 8,
  D: 1 << 9,
  DAIF: 0x3c0,
  BTYPE: 3 << 10,
  SSBS: 1 << 12,
  IL: 1 << 20,
  SS: 1 << 21,
  PAN: 1 << 22,
  UAO: 1 << 23,
  DIT: 1 << 24,
  TCO: 1 << 25,
  NZCV: 0xf000_0000 | 0,
} as const;

/** State of a vCPU at byte `base` of `memory`. Two objects at the same base are the same vCPU. */
export class CpuState {
  /** Size of the state, a multiple of 64. */
  static readonly bytes = Math.ceil((stateCells * 8) / 64) * 64;

  readonly memory: WebAssembly.Memory;
  readonly base: number;
  /** The cells as 32-bit words (cell n: words 2n and 2n+1) and as 64-bit words. */
  readonly words: Int32Array;
  readonly quads: BigUint64Array;
  /** Called before an exception or its return changes the exception level, on the thread that runs the CPU. */
  beforeModeChange: (() => void) | undefined;

  constructor(memory: WebAssembly.Memory, base: number) {
    if (!(memory.buffer instanceof SharedArrayBuffer)) throw new TypeError("CpuState: memory must be shared");
    if (base % 8 !== 0) throw new RangeError(`CpuState: base must be a multiple of 8, got ${base}`);
    this.memory = memory;
    this.base = base;
    this.words = new Int32Array(memory.buffer, base, CpuState.bytes / 4);
    this.quads = new BigUint64Array(memory.buffer, base, CpuState.bytes / 8);
  }

  /** General register 0 to 30. */
  x(n: number): bigint {
    return this.quads[cells.x + n]!;
  }
  setX(n: number, value: bigint): void {
    this.quads[cells.x + n] = value;
  }

  get spEl0(): bigint {
    return this.quads[cells.spEl0]!;
  }
  set spEl0(value: bigint) {
    this.quads[cells.spEl0] = value;
  }
  get spEl1(): bigint {
    return this.quads[cells.spEl1]!;
  }
  set spEl1(value: bigint) {
    this.quads[cells.spEl1] = value;
  }
  get pc(): bigint {
    return this.quads[cells.pc]!;
  }
  set pc(value: bigint) {
    this.quads[cells.pc] = value;
  }
  get elrEl1(): bigint {
    return this.quads[cells.elrEl1]!;
  }
  set elrEl1(value: bigint) {
    this.quads[cells.elrEl1] = value;
  }

  /** PSTATE as one word in the format of SPSR_EL1. */
  get pstate(): bigint {
    const word = BigInt((this.words[cells.flags * 2]! | this.words[cells.flags * 2 + 1]!) >>> 0);
    return (this.quads[cells.pstateAbove]! << 32n) | word;
  }
  set pstate(value: bigint) {
    const word = Number(BigInt.asIntN(32, value));
    this.words[cells.flags * 2] = word & ~Pstate.NZCV;
    this.words[cells.flags * 2 + 1] = word & Pstate.NZCV;
    this.quads[cells.pstateAbove] = BigInt.asUintN(64, value) >> 32n;
  }

  /** PSTATE without NZCV, as a 32-bit word. */
  get mode(): number {
    return this.words[cells.flags * 2]!;
  }
  set mode(value: number) {
    this.words[cells.flags * 2] = value;
  }

  /** 0 or 1. */
  get el(): number {
    return (this.mode & Pstate.EL) >>> 2;
  }

  /** SPSR_EL1, SPSR_abt, SPSR_und, SPSR_irq, SPSR_fiq. */
  spsr(n: number): bigint {
    return this.quads[cells.spsr + n]!;
  }
  setSpsr(n: number, value: bigint): void {
    this.quads[cells.spsr + n] = value;
  }

  /** V0 to V31: a copy of 16 bytes. */
  v(n: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, this.base + (cells.v + 2 * n) * 8, 16).slice();
  }
  setV(n: number, bytes: Uint8Array): void {
    new Uint8Array(this.memory.buffer, this.base + (cells.v + 2 * n) * 8, 16).set(bytes.subarray(0, 16));
  }

  get fpsr(): number {
    return this.words[cells.fpsrFpcr * 2]! >>> 0;
  }
  set fpsr(value: number) {
    this.words[cells.fpsrFpcr * 2] = value;
  }
  get fpcr(): number {
    return this.words[cells.fpsrFpcr * 2 + 1]! >>> 0;
  }
  set fpcr(value: number) {
    this.words[cells.fpsrFpcr * 2 + 1] = value;
  }

  get esrEl2(): bigint {
    return this.quads[cells.esrEl2]!;
  }
  set esrEl2(value: bigint) {
    this.quads[cells.esrEl2] = value;
  }
  get farEl2(): bigint {
    return this.quads[cells.farEl2]!;
  }
  set farEl2(value: bigint) {
    this.quads[cells.farEl2] = value;
  }
  get hpfarEl2(): bigint {
    return this.quads[cells.hpfarEl2]!;
  }
  set hpfarEl2(value: bigint) {
    this.quads[cells.hpfarEl2] = value;
  }

  /** The cell of a system register: `index` is its place in the table `sysRegs`. No mask, no effect. */
  sysreg(index: number): bigint {
    return this.quads[cells.sysregs + index]!;
  }
  setSysreg(index: number, value: bigint): void {
    this.quads[cells.sysregs + index] = value;
  }

  /** The cell of a system register by name. */
  get(name: SysRegName): bigint {
    return this.quads[cells.sysregs + sysRegIndex(name)]!;
  }
  set(name: SysRegName, value: bigint): void {
    this.quads[cells.sysregs + sysRegIndex(name)] = value;
  }

  /** Ends the current `run`, or the next one. From any thread. */
  kick(): void {
    Atomics.or(this.words, cells.attention * 2, Attention.kick);
    Atomics.notify(this.words, cells.attention * 2);
  }
  /** Takes the kick back; true if there was one. */
  takeKick(): boolean {
    return (Atomics.and(this.words, cells.attention * 2, ~Attention.kick) & Attention.kick) !== 0;
  }

  /** The level of a virtual interrupt line. From any thread. */
  setLine(line: "irq" | "fiq", level: 0 | 1): void {
    if (level === 1) Atomics.or(this.words, cells.attention * 2, Attention[line]);
    else Atomics.and(this.words, cells.attention * 2, ~Attention[line]);
    Atomics.notify(this.words, cells.attention * 2);
  }

  /** Attention bits, as other threads left them. */
  get attention(): number {
    return Atomics.load(this.words, cells.attention * 2);
  }

  /** The event register of WFE; SEV of any CPU sets it. */
  get eventRegister(): number {
    return Atomics.load(this.words, cells.eventRegister * 2);
  }
  setEventRegister(value: 0 | 1): void {
    Atomics.store(this.words, cells.eventRegister * 2, value);
  }

  /** A virtual SError whose ESR_EL1.ISS is `iss` (25 bits; VSESR_EL2), or null for none. */
  get pendingSError(): number | null {
    return (this.attention & Attention.serror) !== 0 ? this.words[cells.virtualSError * 2]! : null;
  }
  set pendingSError(iss: number | null) {
    this.words[cells.virtualSError * 2] = iss ?? 0;
    if (iss === null) Atomics.and(this.words, cells.attention * 2, ~Attention.serror);
    else Atomics.or(this.words, cells.attention * 2, Attention.serror);
  }

  /** Opens the local exclusive monitor. */
  clearExclusive(): void {
    this.words[cells.monitor * 2] = 0;
  }
}
