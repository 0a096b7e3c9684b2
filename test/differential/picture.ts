// What both sides agree on, as far as it decides how an op is carried out: which slots a VM has, and which vCPU runs a
// guest that ends by itself. It follows the answers of the reference side, so that any part of a sequence can be dropped.

import { NEEDED_BYTES, RAM } from "./guest-layout.js";
import { isRef, type Op } from "./op.js";
import { blocked, type RunPlan } from "./running.js";
import type { Outcome } from "./world.js";

type Learned = Pick<Outcome, "threw" | "value">;

interface Slot {
  readonly at: bigint;
  readonly bytes: bigint;
  readonly map: string;
  readonly offset: number;
}

interface VmPicture {
  readonly slots: Map<number, Slot>;
}

interface CpuPicture {
  readonly vm: VmPicture;
  /** Its guest ends by itself: it was launched, and nothing has led it astray since. */
  armed: boolean;
}

/** Ops after which a vCPU's guest may do anything. */
const astray = new Set(["cpu.setOneReg", "cpu.alterReg", "cpu.armVcpuInit"]);

export class Picture {
  readonly #vms = new Map<string, VmPicture>();
  readonly #cpus = new Map<string, CpuPicture>();

  /** How an op is to be carried out. */
  plan(op: Op): RunPlan {
    const cpu = this.#cpus.get(op.on);
    if (cpu === undefined) return blocked;
    if (op.verb === "cpu.launch") {
      const ram = this.#ram(cpu.vm);
      return ram === null ? blocked : { free: true, ram };
    }
    return cpu.armed ? { free: true, ram: null } : blocked;
  }

  #ram(vm: VmPicture): RunPlan["ram"] {
    for (const slot of vm.slots.values()) {
      if (slot.at > RAM || slot.at + slot.bytes < RAM + BigInt(NEEDED_BYTES)) continue;
      return { map: slot.map, offset: slot.offset + Number(RAM - slot.at) };
    }
    return null;
  }

  /** What the reference side said to an op. */
  learn(op: Op, outcome: Learned): void {
    if (outcome.threw !== null) return;
    const { makes } = op;
    switch (op.verb) {
      case "kvm.createVm":
        if (makes) this.#vms.set(makes, { slots: new Map() });
        return;
      case "kvm.attachVm": {
        const vm = this.#vms.get(nameOf(op));
        if (makes && vm) this.#vms.set(makes, vm);
        return;
      }
      case "kvm.attachVcpu": {
        const cpu = this.#cpus.get(nameOf(op));
        if (makes && cpu) this.#cpus.set(makes, cpu);
        return;
      }
      case "vm.createVcpu": {
        const vm = this.#vms.get(op.on);
        if (makes && vm) this.#cpus.set(makes, { vm, armed: false });
        return;
      }
      case "vm.setUserMemoryRegion":
      case "vm.setUserMemoryRegion2":
        this.#setSlot(op);
        return;
      case "cpu.launch":
        this.#launched(op, outcome);
        return;
    }
    const cpu = this.#cpus.get(op.on);
    if (cpu && astray.has(op.verb)) cpu.armed = false;
  }

  #launched(op: Op, outcome: Learned): void {
    const cpu = this.#cpus.get(op.on);
    if (cpu === undefined || outcome.value === -1) return;
    // The code of the others is gone.
    for (const other of this.#cpus.values()) if (other.vm === cpu.vm) other.armed = false;
    cpu.armed = outcome.value !== -2;
  }

  #setSlot({ on, args }: Op): void {
    const vm = this.#vms.get(on);
    if (vm === undefined) return;
    const [slot, , at, bytes, map, offset] = args as [number, number, bigint, bigint, unknown, bigint];
    const before = this.#ram(vm);
    if (bytes === 0n) vm.slots.delete(slot);
    else if (isRef(map as never)) {
      vm.slots.set(slot, { at, bytes, map: (map as { ref: string }).ref, offset: Number(offset) });
    }
    const after = this.#ram(vm);
    if (before?.map === after?.map && before?.offset === after?.offset) return;
    for (const cpu of this.#cpus.values()) if (cpu.vm === vm) cpu.armed = false;
  }
}

const nameOf = (op: Op): string => (op.args[0] as { ref: string }).ref;
