// A small virtual machine: RAM, devices, CPUs, and the loop that answers their exits. It knows the public API only; it is
// what a VMM author may start from.
import { type Exit, type GuestMemory, type Kvm, pc, type Vcpu, type Vm, x } from "../index.js";
import { type Device, readDevice, writeDevice } from "./device.js";
import { copyProgram, type Program } from "./loader.js";

export const RAM_AT = 0x4000_0000n;

/** "exit" in ASCII, in x20 at SYSTEM_OFF: w19 is the guest's status. x0 to x3 already hold the results of the call. */
const STATUS_MAGIC = 0x7469_7865n;

export interface MachineOptions {
  /** Default: 64 MiB. */
  readonly memoryBytes?: number;
  /** Default: 1. All but the first wait for the guest's PSCI CPU_ON. */
  readonly cpus?: number;
  readonly devices?: readonly Device[];
}

/** How a run ended. */
export type Outcome =
  /** The guest powered the machine off. */
  | { readonly event: "off"; readonly status: number }
  /** It asked for a reset, which is for the caller to do with a new machine, or reported a crash. */
  | { readonly event: "reset" | "crash" }
  /** `stop()` was called. */
  | { readonly event: "stopped" };

/** The guest did what this machine can not answer. */
export class MachineError extends Error {
  override readonly name = "MachineError";
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;

export class Machine implements Disposable {
  readonly vm: Vm;
  readonly ram: GuestMemory;
  readonly vcpus: readonly Vcpu[];
  /** How many exits of each kind there were. */
  readonly exits = new Map<string, number>();
  readonly #devices: readonly Device[];
  #outcome: Outcome | undefined;

  constructor(kvm: Kvm, { memoryBytes = 64 << 20, cpus = 1, devices = [] }: MachineOptions = {}) {
    this.#devices = devices;
    // Some hosts have less than the 40 bits that KVM takes when nothing is said.
    const ipaBits = Math.min(kvm.has("ARM_VM_IPA_SIZE"), 40);
    this.vm = kvm.createVm({ ipaBits });
    const vcpus: Vcpu[] = [];
    this.vcpus = vcpus;
    try {
      this.ram = this.vm.addMemory({ at: RAM_AT, bytes: memoryBytes });
      for (let id = 0; id < cpus; id++) {
        const vcpu = this.vm.createVcpu(id);
        vcpus.push(vcpu);
        vcpu.init({ features: id === 0 ? ["psci-0.2"] : ["psci-0.2", "power-off"] });
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Puts a program into RAM and the first CPU at its entry, with x0 0: there is no device tree. */
  load(program: Program): void {
    copyProgram(program, this.ram);
    const [first] = this.vcpus as [Vcpu];
    first.setReg(pc, program.entry);
    first.setReg(x(0), 0n);
  }

  /** Runs all CPUs until the guest ends, `stop()` is called, or something can not be answered: then it rejects. */
  async run(): Promise<Outcome> {
    const runs = await Promise.allSettled(this.vcpus.map((vcpu) => this.#runVcpu(vcpu)));
    const failure = runs.find((run) => run.status === "rejected");
    if (failure) throw failure.reason;
    return this.#outcome as Outcome;
  }

  /** Ends `run()`. */
  stop(): void {
    this.#end({ event: "stopped" });
  }

  close(): void {
    for (const vcpu of this.vcpus) vcpu.close();
    this.vm.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #runVcpu(vcpu: Vcpu): Promise<void> {
    try {
      while (this.#outcome === undefined) this.#handle(vcpu, await vcpu.run());
    } catch (error) {
      this.#end({ event: "stopped" });
      throw error;
    }
  }

  /** The first end counts. The other CPUs are in KVM_RUN, perhaps for ever: they are kicked out of it. */
  #end(outcome: Outcome): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    for (const vcpu of this.vcpus) vcpu.kick();
  }

  #handle(vcpu: Vcpu, exit: Exit): void {
    switch (exit.reason) {
      case "mmio": {
        const { address, data, write } = exit;
        const device = this.#devices.find((d) => address >= d.at && address < d.at + BigInt(d.bytes));
        if (device === undefined) {
          const access = write ? "stored" : "loaded";
          throw new MachineError(
            `the guest ${access} ${data.length} bytes at ${hex(address)}, where nothing is${at(vcpu)}`,
          );
        }
        this.#count(`${device.name} ${write ? "stores" : "loads"}`);
        (write ? writeDevice : readDevice)(device, Number(address - device.at), data);
        break;
      }
      case "system-event":
        this.#count(`system event ${exit.event}`);
        if (exit.event === "shutdown") this.#end({ event: "off", status: statusOf(vcpu) });
        else if (exit.event === "reset" || exit.event === "crash") this.#end({ event: exit.event });
        break;
      case "interrupted":
        this.#count("interrupted");
        break;
      default:
        this.#count(exit.reason);
        throw new MachineError(`the guest caused an exit that this machine does not answer: ${exit.reason}${at(vcpu)}`);
    }
  }

  #count(kind: string): void {
    this.exits.set(kind, (this.exits.get(kind) ?? 0) + 1);
  }
}

const at = (vcpu: Vcpu): string => `, CPU ${vcpu.id} at pc ${hex(vcpu.getReg(pc))}`;

function statusOf(vcpu: Vcpu): number {
  return vcpu.getReg(x(20)) === STATUS_MAGIC ? Number(vcpu.getReg(x(19)) & 0xffff_ffffn) : 0;
}
