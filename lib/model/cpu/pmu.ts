// The PMU of a vCPU as KVM makes it up: counters that count while the guest runs, what userspace and the guest read and
// write, and the level of its interrupt. DDI 0487 D13; Documentation/virt/kvm/devices/vcpu.rst 1.
//
// What is counted: CPU_CYCLES, one for each instruction that the guest executes, none while it waits; INST_RETIRED, the
// same, where the host's PMU has it; SW_INCR and CHAIN. Other events count nothing.

import { UNKNOWN } from "../../arm64/sysreg-row.js";
import { type SysRegName, sysRegIndex, sysRegs } from "../../arm64/sysregs.js";
import { hasAarch32El0 } from "../host/host.js";
import { vcpuCells, vmCells } from "../layout.js";
import { Feature } from "../vcpu-features.js";
import type { VcpuState } from "../vcpu-state.js";
import type { VmState } from "../vm-state.js";

/** The cycle counter's number. */
const CYCLES = 31;
const COUNTERS = 32;

// PMCR_EL0.
const E = 1n;
const P = 1n << 1n;
const C = 1n << 2n;
const LC = 1n << 6n;
const LP = 1n << 7n;
const CONTROLS = 0xffn;
const N_SHIFT = 11n;
const N = 31n;
/** What 6.1 leaves in the control bits, for nobody to rely on. */
const PMCR_UNKNOWN = 0xacn;

// PMEVTYPER<n>_EL0 and PMCCFILTR_EL0: which exception levels are left out.
const NO_EL1 = 1n << 31n;
const NO_EL0 = 1n << 30n;
const NO_NONSECURE_EL1 = 1n << 29n;
const NO_NONSECURE_EL0 = 1n << 28n;
const WITH_EL2 = 1n << 27n;
const NO_EL3 = 1n << 26n;

const SW_INCR = 0;
const INST_RETIRED = 0x08;
const CPU_CYCLES = 0x11;
const CHAIN = 0x1e;
const STALL_SLOT = 0x3f;

// ID_AA64DFR0_EL1.PMUVer.
const V3 = 1;
const V3P4 = 5;
const V3P5 = 6;
const IMP_DEF = 15;

const at = (name: SysRegName) => sysRegIndex(name);
const PMCR = at("PMCR_EL0");
const CNTEN = at("PMCNTENSET_EL0");
const OVS = at("PMOVSSET_EL0");
const INTEN = at("PMINTENSET_EL1");
const SELR = at("PMSELR_EL0");
const USERENR = at("PMUSERENR_EL0");
/** PMSELR_EL0.SEL, all that the guest sees of it; userspace finds all 64 bits that were written. */
const SEL = 31n;
/** ER, CR, SW and EN of PMUSERENR_EL0. */
const USER_ENABLES = 15n;
/** Counter n and its type; the last is the cycle counter. */
const VALUE = Array.from({ length: COUNTERS }, (_, n) =>
  at((n === CYCLES ? "PMCCNTR_EL0" : `PMEVCNTR${n}_EL0`) as SysRegName),
);
const TYPE = Array.from({ length: COUNTERS }, (_, n) =>
  at((n === CYCLES ? "PMCCFILTR_EL0" : `PMEVTYPER${n}_EL0`) as SysRegName),
);

/** Both forms of a set of counters, and the cell that they share. */
const sets = new Map<SysRegName, { readonly cell: number; readonly form: "set" | "clear" }>([
  ["PMCNTENSET_EL0", { cell: CNTEN, form: "set" }],
  ["PMCNTENCLR_EL0", { cell: CNTEN, form: "clear" }],
  ["PMOVSSET_EL0", { cell: OVS, form: "set" }],
  ["PMOVSCLR_EL0", { cell: OVS, form: "clear" }],
  ["PMINTENSET_EL1", { cell: INTEN, form: "set" }],
  ["PMINTENCLR_EL1", { cell: INTEN, form: "clear" }],
]);

const pmuVer = (dfr0: bigint): number => Number((dfr0 >> 8n) & 15n);
const hostPmuVer = (vm: VmState): number => pmuVer(vm.profile.host.value("ID_AA64DFR0_EL1"));
const vmPmuVer = (vcpu: VcpuState): number => pmuVer(vcpu.idRegister("ID_AA64DFR0_EL1"));
const low = (value: bigint) => BigInt.asUintN(32, value);

/** Whether the guest finds no PMU although its vCPU has the feature: its ID register says so. */
export function pmuIsHidden(vcpu: VcpuState): boolean {
  if (!vcpu.vm.profile.switches.pmuFollowsPmuVer) return false;
  const version = vmPmuVer(vcpu);
  return version === 0 || version === IMP_DEF;
}

/** How many events there are. */
export const eventSpace = (vm: VmState): number => spaceOf(hostPmuVer(vm));
const spaceOf = (version: number): number => (version === 0 ? 1 : version === V3 ? 0x400 : 0x1_0000);

/** The bits of an event number that the guest's PMU has. */
function eventMask(vcpu: VcpuState): bigint {
  const version = vcpu.vm.profile.switches.pmuLongCounters ? vmPmuVer(vcpu) : hostPmuVer(vcpu.vm);
  return BigInt(spaceOf(version) - 1);
}

function typeMask(vcpu: VcpuState): bigint {
  const mask = NO_EL1 | NO_EL0 | eventMask(vcpu);
  if (!vcpu.vm.profile.switches.pmuLongCounters) return mask | WITH_EL2;
  const pfr0 = vcpu.idRegister("ID_AA64PFR0_EL1");
  const has = (lsb: bigint) => ((pfr0 >> lsb) & 15n) !== 0n;
  return mask | (has(8n) ? WITH_EL2 : 0n) | (has(12n) ? NO_NONSECURE_EL0 | NO_NONSECURE_EL1 | NO_EL3 : 0n);
}

/** What a guest of 6.1 reads of a counter's type, whatever userspace wrote. */
const TYPE_BITS_READ = NO_EL1 | NO_EL0 | WITH_EL2 | 0xffffn;

function readType(vcpu: VcpuState, counter: number): bigint {
  const type = vcpu.cpu.sysreg(TYPE[counter]!);
  return vcpu.vm.profile.switches.pmuLongCounters ? type : type & TYPE_BITS_READ;
}

/** The first INIT with a PMU, or another choice of it: the VM's counters are the host's. */
export function choosePmu(vm: VmState, type: number): void {
  vm.put("pmuType", type);
  vm.put("pmuCounters", vm.profile.host.pmu?.counters ?? 0);
}

/** PMCR_EL0 as userspace reads it. */
export function getPmcr(vcpu: VcpuState): bigint {
  const stored = vcpu.cpu.sysreg(PMCR);
  if (!vcpu.vm.profile.switches.pmuCountersVmWide) return stored;
  return (stored & ~(N << N_SHIFT)) | (BigInt(vcpu.vm.get("pmuCounters")) << N_SHIFT);
}

/** Without AArch32 the cycle counter is long for good. */
const alwaysLong = (vcpu: VcpuState): bigint => (hasAarch32El0(vcpu.vm.profile.host) ? 0n : LC);

/** KVM_SET_ONE_REG of PMCR_EL0. */
export function setPmcr(vcpu: VcpuState, value: bigint): void {
  const { vm } = vcpu;
  if (!vm.profile.switches.pmuCountersVmWide) {
    vcpu.cpu.setSysreg(PMCR, value);
    return;
  }
  const counters = Number((value >> N_SHIFT) & N);
  if (vm.peek("ran") === 0 && counters <= (vm.profile.host.pmu?.counters ?? 0)) vm.put("pmuCounters", counters);
  vcpu.cpu.setSysreg(PMCR, (value & CONTROLS) | alwaysLong(vcpu));
}

/** The event counters that there are: bits 0 to N - 1. */
const eventCounters = (vcpu: VcpuState): number => Number((getPmcr(vcpu) >> N_SHIFT) & N);
const counterMask = (vcpu: VcpuState): bigint => (1n << 31n) | ((1n << BigInt(eventCounters(vcpu))) - 1n);

/** KVM_GET_ONE_REG of a set of counters. */
export function getCounterSet(vcpu: VcpuState, name: SysRegName): bigint {
  const stored = vcpu.cpu.sysreg(sets.get(name)!.cell);
  return vcpu.vm.profile.switches.pmuCountersVmWide ? stored & counterMask(vcpu) : stored;
}

/** KVM_SET_ONE_REG of a set of counters. */
export function setCounterSet(vcpu: VcpuState, name: SysRegName, value: bigint): void {
  const { cell, form } = sets.get(name)!;
  const { pmuCountersVmWide, pmuSetsAssign } = vcpu.vm.profile.switches;
  if (!pmuCountersVmWide) vcpu.cpu.setSysreg(cell, value);
  else if (pmuSetsAssign) vcpu.cpu.setSysreg(cell, value & counterMask(vcpu));
  else changeSet(vcpu, cell, form, value);
}

function changeSet(vcpu: VcpuState, cell: number, form: "set" | "clear", value: bigint): void {
  const bits = value & counterMask(vcpu);
  const old = vcpu.cpu.sysreg(cell);
  vcpu.cpu.setSysreg(cell, form === "set" ? old | bits : old & ~bits);
}

/** All 64 bits of a counter count. */
const isLong = (vcpu: VcpuState, counter: number): boolean =>
  counter === CYCLES || (vcpu.vm.profile.switches.pmuLongCounters && vmPmuVer(vcpu) >= V3P5);

/** A counter overflows at 2^64; else at 2^32, whatever its bits above. */
function overflowsLate(vcpu: VcpuState, counter: number): boolean {
  const pmcr = vcpu.cpu.sysreg(PMCR);
  if (counter === CYCLES) return (pmcr & LC) !== 0n;
  return vcpu.vm.profile.switches.pmuLongCounters && (pmcr & LP) !== 0n;
}

/** What a counter reads: its cell, and what was counted since that was written. */
function counterValue(vcpu: VcpuState, counter: number): bigint {
  const value = BigInt.asUintN(64, vcpu.cpu.sysreg(VALUE[counter]!) + vcpu.quad("pmuCounts", counter));
  return isLong(vcpu, counter) ? value : low(value);
}

function setValue(vcpu: VcpuState, counter: number, value: bigint): void {
  vcpu.putQuad("pmuCounts", 0n, counter);
  vcpu.cpu.setSysreg(VALUE[counter]!, value);
}

/** What was counted goes into the cell. */
const fold = (vcpu: VcpuState, counter: number) => setValue(vcpu, counter, counterValue(vcpu, counter));

const counterOf = (name: SysRegName): number =>
  name === "PMCCNTR_EL0" || name === "PMCCFILTR_EL0" ? CYCLES : Number(/\d+/.exec(name)![0]);

/** KVM_GET_ONE_REG of a counter. */
export const getCounter = (vcpu: VcpuState, name: SysRegName): bigint => counterValue(vcpu, counterOf(name));

/** KVM_SET_ONE_REG of a counter. */
export function setCounter(vcpu: VcpuState, name: SysRegName, value: bigint): void {
  const counter = counterOf(name);
  if (vcpu.vm.profile.switches.pmuSetsAssign) setValue(vcpu, counter, value);
  else vcpu.cpu.setSysreg(VALUE[counter]!, value);
}

/** What a reset makes of the PMU's registers that is no constant. */
export function resetPmu(vcpu: VcpuState): void {
  if (!vcpu.feature(Feature.pmuV3)) return;
  const { host, switches } = vcpu.vm.profile;
  vcpu.quads.fill(0n, vcpuCells.pmuCounts, vcpuCells.pmuCounts + COUNTERS);
  if (switches.pmuCountersVmWide) vcpu.cpu.setSysreg(PMCR, alwaysLong(vcpu));
  else {
    const counters = BigInt(host.pmu?.counters ?? 0) << N_SHIFT;
    const identity = host.value("PMCR_EL0") & ~(CONTROLS | (N << N_SHIFT));
    vcpu.cpu.setSysreg(PMCR, identity | counters | PMCR_UNKNOWN | alwaysLong(vcpu));
  }
  for (const cell of [CNTEN, OVS, INTEN]) vcpu.cpu.setSysreg(cell, UNKNOWN & counterMask(vcpu));
  // 6.1 does not ask how wide the host's event numbers are.
  const types = switches.pmuLongCounters ? typeMask(vcpu) : typeMask(vcpu) | 0xffffn;
  for (let n = 0; n < CYCLES; n++) vcpu.cpu.setSysreg(TYPE[n]!, UNKNOWN & types);
}

/** The level of the interrupt. */
export function pmuLevel(vcpu: VcpuState): 0 | 1 {
  if (!vcpu.feature(Feature.pmuV3)) return 0;
  const { cpu } = vcpu;
  return (cpu.sysreg(PMCR) & E) !== 0n && (cpu.sysreg(OVS) & cpu.sysreg(INTEN)) !== 0n ? 1 : 0;
}

/** Whether the VM's filter lets an event be counted. */
function isAllowed(vm: VmState, event: number): boolean {
  if (vm.get("pmuFiltered") === 0) return true;
  return (vm.words[vmCells.pmuFilter * 2 + (event >> 5)]! & (1 << (event & 31))) !== 0;
}

/** KVM_ARM_VCPU_PMU_V3_FILTER: the first decides what holds for the events that no filter names. */
export function filterEvents(vm: VmState, first: number, events: number, action: "allow" | "deny"): void {
  const from = vmCells.pmuFilter * 2;
  if (vm.get("pmuFiltered") === 0) {
    vm.words.fill(action === "allow" ? 0 : -1, from, from + Math.ceil(eventSpace(vm) / 32));
    vm.put("pmuFiltered", 1);
  }
  for (let event = first; event < first + events; event++) {
    const bit = 1 << (event & 31);
    if (action === "allow") vm.words[from + (event >> 5)]! |= bit;
    else vm.words[from + (event >> 5)]! &= ~bit;
  }
}

/** What a host says that does not say it: what the model counts. */
const COUNTED = (1n << BigInt(SW_INCR)) | (1n << BigInt(INST_RETIRED)) | (1n << BigInt(CPU_CYCLES));
const hostEvents = (vm: VmState): bigint => vm.profile.host.value("PMCEID0_EL0") || COUNTED;

/** PMCEID<n>_EL0: events 0 to 31 or 32 to 63, and those from 0x4000 in the upper half. */
function commonEvents(vcpu: VcpuState, n: 0 | 1): bigint {
  const { vm } = vcpu;
  let events = n === 0 ? hostEvents(vm) : vm.profile.host.value("PMCEID1_EL0");
  if (n === 0 && vm.profile.switches.pmuLongCounters) events |= 1n << BigInt(CHAIN);
  if (n === 1 && hostPmuVer(vm) >= V3P4) events &= ~(1n << BigInt(STALL_SLOT - 32));
  if (vm.get("pmuFiltered") === 0) return events;
  for (let bit = 0; bit < 64; bit++) {
    const event = (bit < 32 ? bit : 0x4000 + bit - 32) + 32 * n;
    if (event >= eventSpace(vm) || !isAllowed(vm, event)) events &= ~(1n << BigInt(bit));
  }
  return events;
}

/** An event that software makes: CHAIN carries into the next counter, and so on. */
function increment(vcpu: VcpuState, counters: bigint, event: number): void {
  const { cpu } = vcpu;
  if ((cpu.sysreg(PMCR) & E) === 0n) return;
  const enabled = counters & cpu.sysreg(CNTEN);
  for (let n = 0; n < CYCLES; n++) {
    const matches = ((enabled >> BigInt(n)) & 1n) !== 0n;
    if (!matches || Number(cpu.sysreg(TYPE[n]!) & eventMask(vcpu)) !== event) continue;
    const plusOne = BigInt.asUintN(64, cpu.sysreg(VALUE[n]!) + 1n);
    const value = isLong(vcpu, n) ? plusOne : low(plusOne);
    cpu.setSysreg(VALUE[n]!, value);
    if ((overflowsLate(vcpu, n) ? value : low(value)) === 0n) overflow(vcpu, n);
  }
}

function overflow(vcpu: VcpuState, counter: number): void {
  vcpu.cpu.setSysreg(OVS, vcpu.cpu.sysreg(OVS) | (1n << BigInt(counter)));
  const chains = counter % 2 === 0 && counter + 1 < CYCLES && !overflowsLate(vcpu, counter);
  if (chains) increment(vcpu, 1n << BigInt(counter + 1), CHAIN);
}

/** What a write to PMCR_EL0 does: the bits that reset counters are not kept. */
function controlCounters(vcpu: VcpuState, value: bigint): void {
  const long = !vcpu.vm.profile.switches.pmuLongCounters || vmPmuVer(vcpu) >= V3P5;
  vcpu.cpu.setSysreg(PMCR, value & ~(C | P) & (long ? ~0n : ~LP));
  if ((value & C) !== 0n) setValue(vcpu, CYCLES, 0n);
  if ((value & P) === 0n) return;
  for (let n = 0; n < eventCounters(vcpu); n++) setValue(vcpu, n, 0n);
}

/** Before the guest first runs: what userspace wrote to PMCR_EL0 takes effect. */
export function startPmu(vcpu: VcpuState): void {
  if (!vcpu.feature(Feature.pmuV3) || !vcpu.vm.profile.switches.pmuFirstRunResets) return;
  controlCounters(vcpu, vcpu.cpu.sysreg(PMCR));
}

const CONTROL_REGISTERS: ReadonlySet<SysRegName> = new Set(["PMCR_EL0", "PMSWINC_EL0", ...sets.keys()]);

/** A vCPU's PMU on the thread that runs it. */
export class Pmu {
  readonly #vcpu: VcpuState;
  readonly #executed: () => number;
  /** Instructions up to here are counted. */
  #counted = 0;

  /** `executed`: instructions that this thread has executed. */
  constructor(vcpu: VcpuState, executed: () => number) {
    this.#vcpu = vcpu;
    this.#executed = executed;
    if (vcpu.feature(Feature.pmuV3)) vcpu.cpu.beforeModeChange = () => this.count();
  }

  /** Counts what the guest has executed at its present exception level. */
  count(): void {
    const executed = this.#executed();
    const instructions = executed - this.#counted;
    this.#counted = executed;
    if (instructions <= 0) return;
    for (const counter of this.#counting()) this.#add(counter, BigInt(instructions));
  }

  /** Most instructions until a counter overflows whose interrupt is enabled. */
  get untilInterrupt(): number {
    const wanted = this.#vcpu.cpu.sysreg(INTEN);
    let least = Number.POSITIVE_INFINITY;
    if (wanted === 0n) return least;
    for (const counter of this.#counting()) {
      if (((wanted >> BigInt(counter)) & 1n) === 0n || this.#neverOverflows(counter)) continue;
      least = Math.min(least, Number(this.#distance(counter)));
    }
    return least;
  }

  /** The counters that count now what the guest executes. */
  *#counting(): Generator<number, void, void> {
    const vcpu = this.#vcpu;
    const { cpu } = vcpu;
    const enabled = cpu.sysreg(CNTEN);
    if ((cpu.sysreg(PMCR) & E) === 0n || enabled === 0n || !vcpu.feature(Feature.pmuV3)) return;
    for (let n = 0; n < COUNTERS; n++) {
      if (((enabled >> BigInt(n)) & 1n) === 0n) continue;
      const type = cpu.sysreg(TYPE[n]!);
      const event = n === CYCLES ? CPU_CYCLES : Number(type & eventMask(vcpu));
      const retired = event === INST_RETIRED && ((hostEvents(vcpu.vm) >> BigInt(INST_RETIRED)) & 1n) !== 0n;
      if ((event === CPU_CYCLES || retired) && isAllowed(vcpu.vm, event) && !isExcluded(cpu.el, type)) yield n;
    }
  }

  #distance(counter: number): bigint {
    const value = counterValue(this.#vcpu, counter);
    return overflowsLate(this.#vcpu, counter) ? (1n << 64n) - value : (1n << 32n) - low(value);
  }

  /** KVM of 6.1 gives the short cycle counter too long a period. */
  #neverOverflows(counter: number): boolean {
    return (
      counter === CYCLES &&
      !this.#vcpu.vm.profile.switches.pmuShortCyclesOverflow &&
      !overflowsLate(this.#vcpu, counter)
    );
  }

  #add(counter: number, events: bigint): void {
    const vcpu = this.#vcpu;
    const overflows = !this.#neverOverflows(counter) && events >= this.#distance(counter);
    vcpu.putQuad("pmuCounts", BigInt.asUintN(64, vcpu.quad("pmuCounts", counter) + events), counter);
    if (overflows) overflow(vcpu, counter);
  }

  /** MRS. */
  read(name: SysRegName): bigint | "undefined" {
    const vcpu = this.#vcpu;
    if (name === "PMMIR_EL1") return this.#readMmir();
    this.count();
    const set = sets.get(name);
    if (set !== undefined) return getCounterSet(vcpu, name);
    switch (name) {
      case "PMCR_EL0":
        return getPmcr(vcpu) & ~(C | P);
      case "PMCEID0_EL0":
        return commonEvents(vcpu, 0);
      case "PMCEID1_EL0":
        return commonEvents(vcpu, 1);
      case "PMSELR_EL0":
        return vcpu.cpu.sysreg(SELR) & SEL;
      case "PMUSERENR_EL0":
        return vcpu.cpu.sysreg(USERENR) & USER_ENABLES;
    }
    const counter = this.#select(name);
    if (counter === null) return "undefined";
    return isType(name) ? readType(vcpu, counter) : counterValue(vcpu, counter);
  }

  /** MSR. */
  write(name: SysRegName, value: bigint): true | "undefined" {
    const vcpu = this.#vcpu;
    this.count();
    const set = sets.get(name);
    // The line moves, and counters begin to count: the run loop looks.
    if (CONTROL_REGISTERS.has(name)) vcpu.cpu.kick();
    if (set !== undefined) changeSet(vcpu, set.cell, set.form, value);
    else if (name === "PMSELR_EL0") vcpu.cpu.setSysreg(SELR, value);
    else if (name === "PMUSERENR_EL0") vcpu.cpu.setSysreg(USERENR, value & USER_ENABLES);
    else if (name === "PMCR_EL0") {
      controlCounters(vcpu, (getPmcr(vcpu) & ~CONTROLS) | (value & CONTROLS) | alwaysLong(vcpu));
    } else if (name === "PMSWINC_EL0") increment(vcpu, value & counterMask(vcpu), SW_INCR);
    else {
      const counter = this.#select(name);
      if (counter === null) return "undefined";
      vcpu.cpu.kick();
      if (isType(name)) {
        fold(vcpu, counter);
        vcpu.cpu.setSysreg(TYPE[counter]!, value & typeMask(vcpu));
      } else setValue(vcpu, counter, isLong(vcpu, counter) ? value : low(value));
    }
    return true;
  }

  /** The counter that a register is, or selects; null: there is none. */
  #select(name: SysRegName): number | null {
    const selected = name.startsWith("PMX") ? Number(this.#vcpu.cpu.sysreg(SELR) & SEL) : counterOf(name);
    return selected === CYCLES || selected < eventCounters(this.#vcpu) ? selected : null;
  }

  #readMmir(): bigint | "undefined" {
    const { vm } = this.#vcpu;
    const hidden = vm.profile.switches.pmuFollowsPmuVer && !this.#vcpu.feature(Feature.pmuV3);
    return hidden || hostPmuVer(vm) < V3P4 ? "undefined" : 0n;
  }
}

const isType = (name: SysRegName): boolean => name.includes("TYPER") || name === "PMCCFILTR_EL0";

function isExcluded(el: number, type: bigint): boolean {
  const [one, other] = el === 0 ? [NO_EL0, NO_NONSECURE_EL0] : [NO_EL1, NO_NONSECURE_EL1];
  return ((type & one) !== 0n) !== ((type & other) !== 0n);
}

/** The PMU's registers, by the names that the table has: what the run loop hands to `Pmu`. */
export const pmuRegisters: ReadonlySet<string> = new Set(
  sysRegs
    .filter(({ name, when }) => name.startsWith("PM") && Array.isArray(when) && when.includes("PMU"))
    .map((r) => r.name),
);
