// A seed and a number make a sequence.

import type { Sequence } from "../op.js";
import { Random } from "../random.js";
import { attributeStage } from "./attributes.js";
import { launchOp, runOp } from "./guests.js";
import { interruptOp } from "./interrupts.js";
import { capabilityStage, machineOp, makeVm, type Theme } from "./machine.js";
import { type CpuPlan, type HostFacts, Maker, type VmPlan } from "./maker.js";
import { memoryOp } from "./memory.js";
import { registerOp, registerStage } from "./registers.js";
import { vcpuOp } from "./vcpus.js";

type Area = "machine" | "memory" | "registers" | "vcpus" | "interrupts" | "guest";

/** How often a sequence has a theme, and what its ops are then. */
// biome-ignore format: table
const themes: Readonly<Record<Theme, { often: number; areas: Readonly<Record<Area, number>> }>> = {
  memory:     { often: 3, areas: { machine: 3, memory: 60, registers: 2,  vcpus: 4,  interrupts: 2,  guest: 25 } },
  registers:  { often: 4, areas: { machine: 3, memory: 1,  registers: 90, vcpus: 6,  interrupts: 2,  guest: 4  } },
  vcpus:      { often: 3, areas: { machine: 8, memory: 2,  registers: 15, vcpus: 55, interrupts: 3,  guest: 12 } },
  interrupts: { often: 5, areas: { machine: 2, memory: 1,  registers: 2,  vcpus: 4,  interrupts: 70, guest: 20 } },
  its:        { often: 1, areas: { machine: 2, memory: 2,  registers: 1,  vcpus: 2,  interrupts: 85, guest: 6  } },
  v2:         { often: 1, areas: { machine: 2, memory: 1,  registers: 1,  vcpus: 3,  interrupts: 80, guest: 10 } },
  guest:      { often: 5, areas: { machine: 4, memory: 6,  registers: 4,  vcpus: 8,  interrupts: 6,  guest: 70 } },
  pmu:        { often: 2, areas: { machine: 3, memory: 1,  registers: 50, vcpus: 30, interrupts: 4,  guest: 12 } },
  mixed:      { often: 4, areas: { machine: 30, memory: 20, registers: 20, vcpus: 20, interrupts: 20, guest: 25 } },
};

/** Every so many sequences go through a part of a list: in 50,000 calls all of it comes, twice. */
const STAGE_EVERY = 4;
const ATTRIBUTES_EVERY = 64;

export function makeSequence(seed: number, number: number, facts: HostFacts): Sequence {
  const random = new Random(seed, number);
  const m = new Maker(random, facts);
  const theme = random.weighted(
    Object.fromEntries(Object.entries(themes).map(([name, { often }]) => [name, often])) as Record<Theme, number>,
  );
  makeVm(m, theme);
  const length = random.between(50, 300);
  while (m.ops.length < length) {
    if (m.vms.length < 3 && random.once(300)) makeVm(m, theme);
    step(m, m.vm, random.weighted(themes[theme].areas));
  }
  if (number % STAGE_EVERY === 0) registerStage(m, number / STAGE_EVERY);
  if (number % STAGE_EVERY === 1) capabilityStage(m, (number - 1) / STAGE_EVERY);
  if (number % ATTRIBUTES_EVERY === 2) attributeStage(m);
  for (const vm of m.vms) for (const cpu of vm.cpus) m.emit("cpu.dump", cpu.name);
  return m.ops;
}

function step(m: Maker, vm: VmPlan, area: Area): void {
  const cpu = vm.cpus.length > 0 ? m.random.pick(vm.cpus) : null;
  if (area === "memory") memoryOp(m, vm);
  else if (area === "interrupts") interruptOp(m, vm);
  else if (area === "machine" || cpu === null) machineOp(m, vm);
  else if (area === "registers") registerOp(m, cpu);
  else if (area === "vcpus") vcpuOp(m, vm, cpu);
  else guestOp(m, vm, cpu);
}

function guestOp(m: Maker, vm: VmPlan, cpu: CpuPlan): void {
  if (m.random.once(12)) {
    m.emit("cpu.dump", cpu.name);
    return;
  }
  if (m.random.once(6)) {
    runOp(m, cpu);
    return;
  }
  for (let runs = launchOp(m, vm, cpu); runs > 0; runs--) {
    // What happens between an exit and the run that completes it is part of the matter.
    if (m.random.once(5)) step(m, vm, m.random.pick(["memory", "vcpus", "interrupts", "registers"]));
    runOp(m, cpu);
  }
}
