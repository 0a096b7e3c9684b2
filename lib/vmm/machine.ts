// A small virtual machine: RAM, devices, CPUs, and the loop that answers their exits. It knows the public API only; it is
// what a VMM author may start from.
import { randomBytes } from "node:crypto";
import {
  type Exit,
  type GuestMemory,
  type Kvm,
  KvmError,
  type MmioExit,
  pc,
  sysReg,
  type Vcpu,
  type VcpuFeature,
  type Vm,
  x,
} from "../index.js";
import { boardTree } from "./board.js";
import { finishCpu } from "./cpu-features.js";
import { type CpuRunner, CpuThread } from "./cpu-thread.js";
import { type Device, readDevice, writeDevice } from "./device.js";
import { flattenTree } from "./device-tree.js";
import { LoadError, MachineError } from "./errors.js";
import { createGic, FIRST_SPI, type Gic } from "./gic.js";
import { placeCompanions } from "./linux.js";
import { RAM_AT } from "./memory-map.js";
import { copyProgram, type Program } from "./program.js";
import { Ram } from "./ram.js";

/** "exit" in ASCII, in x20 at SYSTEM_OFF: w19 is the guest's status. x0 to x3 already hold the results of the call. */
const STATUS_MAGIC = 0x7469_7865n;
const SEED_BYTES = 64;

/** What the model needs beside the guest's RAM, for its vCPUs, at most; and all that it can have. */
const MODEL_EXTRA_BYTES = 64 << 20;
const MODEL_MOST_BYTES = 2 ** 32 - 2 ** 16;

/** The model reserves what it is told (`ModelOptions.memoryBytes`): this is enough for a machine with so much RAM. */
export const modelMemory = (ramBytes: number): number => Math.min(ramBytes + MODEL_EXTRA_BYTES, MODEL_MOST_BYTES);

export interface MachineOptions {
  /** Default: 64 MiB. */
  readonly memoryBytes?: number;
  /** Default: 1. All but the first wait for the guest's PSCI CPU_ON. */
  readonly cpus?: number;
  /** Beyond PSCI. `hostFeatures(kvm)` is all that there is. Default: none. */
  readonly cpuFeatures?: readonly VcpuFeature[];
  readonly devices?: readonly Device[];
  /** "gic": the best that the host offers. Default: none; devices have no interrupts then, and timers neither. */
  readonly interruptController?: "gic" | "none";
  /** What an access is where nothing is: the end of the run, or an external abort for the guest. Default: the end. */
  readonly strayAccess?: "ends-run" | "aborts";
  /**
   * Where CPUs run. "this": by `vcpu.run()`, on KVM in threads of its own, on the model in slices between which the event
   * loop turns. "workers": each in a Worker. Default: "this".
   */
  readonly threads?: "this" | "workers";
}

/** How a run ended. */
export type Outcome =
  /** The guest powered the machine off. */
  | { readonly event: "off"; readonly status: number }
  /** It asked for a reset, which is for the caller to do with a new machine, or reported a crash. */
  | { readonly event: "reset" | "crash" }
  /** `stop()` was called. */
  | { readonly event: "stopped" };

/** What a Linux kernel is started with. */
export interface LinuxBoot {
  /** The kernel's command line. */
  readonly append?: string;
  readonly initrd?: Uint8Array;
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;

export class Machine implements Disposable {
  readonly vm: Vm;
  readonly ram: GuestMemory;
  readonly vcpus: readonly Vcpu[];
  readonly devices: readonly Device[];
  /** How many exits of each kind there were. */
  readonly exits = new Map<string, number>();
  readonly #gic: Gic | undefined;
  readonly #features: readonly VcpuFeature[];
  readonly #strayAccess: "ends-run" | "aborts";
  readonly #threads: "this" | "workers";
  #program: Program | undefined;
  #outcome: Outcome | undefined;
  #failure: Error | undefined;

  constructor(kvm: Kvm, options: MachineOptions = {}) {
    const { memoryBytes = 64 << 20, cpus = 1, cpuFeatures = [], devices = [] } = options;
    this.devices = devices;
    this.#features = cpuFeatures;
    this.#strayAccess = options.strayAccess ?? "ends-run";
    this.#threads = options.threads ?? "this";
    // Some hosts have less than the 40 bits that KVM takes when nothing is said.
    const ipaBits = Math.min(kvm.has("ARM_VM_IPA_SIZE"), 40);
    const mostBytes = 2 ** ipaBits - Number(RAM_AT);
    if (memoryBytes > mostBytes) {
      throw new MachineError(`a guest here has room for ${mostBytes} bytes of RAM, and ${memoryBytes} are wanted`);
    }
    const mostCpus = cpus === 1 ? 1 : kvm.has("MAX_VCPUS");
    if (cpus > mostCpus) throw new MachineError(`a guest here has at most ${mostCpus} CPUs, and ${cpus} are wanted`);
    this.vm = kvm.createVm({ ipaBits });
    const vcpus: Vcpu[] = [];
    this.vcpus = vcpus;
    try {
      this.ram = ramOf(this.vm, memoryBytes);
      this.#gic = options.interruptController === "gic" ? createGic(this.vm, cpus) : undefined;
      if (this.#strayAccess === "aborts") this.vm.enableCap("ARM_NISV_TO_USER");
      for (let id = 0; id < cpus; id++) {
        const vcpu = this.vm.createVcpu(id);
        vcpus.push(vcpu);
        vcpu.init({ features: ["psci-0.2", ...cpuFeatures, ...(id === 0 ? [] : ["power-off" as const])] });
      }
      this.#gic?.initialise();
      for (const vcpu of vcpus) finishCpu(vcpu, cpuFeatures);
      this.#connect();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #connect(): void {
    const memory = new Ram(this.ram);
    for (const [i, device] of this.devices.entries()) {
      let before = false;
      const setInterrupt = (level: boolean): void => {
        if (level === before || this.#gic === undefined) return;
        before = level;
        this.vm.setIrqLine({ type: "spi", number: FIRST_SPI + i }, level);
      };
      device.connect?.({ memory, setInterrupt, fail: (error) => this.#fail(error) });
    }
  }

  /** Puts a program into RAM and the first CPU at its entry, with x0 0: there is no device tree. */
  load(program: Program): void {
    this.#start(program, 0n);
  }

  /** Puts a kernel into RAM, with its device tree and perhaps an initrd, and the first CPU at its entry. */
  loadLinux(kernel: Program, { append = "", initrd }: LinuxBoot = {}): void {
    if (this.#gic === undefined) throw new MachineError("a machine for Linux needs an interrupt controller");
    this.#checkPages(kernel);
    const range = { at: this.ram.at, bytes: this.ram.bytes.length };
    const companions = placeCompanions(kernel, range, initrd?.length);
    const tree = boardTree({
      ram: range,
      gic: this.#gic,
      cpus: this.vcpus.map((vcpu) => vcpu.getReg(sysReg("MPIDR_EL1"))),
      hasPmu: this.#features.includes("pmu-v3"),
      devices: this.devices,
      append,
      initrd: companions.initrd,
      seed: randomBytes(SEED_BYTES),
    });
    this.ram.bytes.set(flattenTree(tree), Number(companions.treeAt - range.at));
    if (initrd !== undefined && companions.initrd !== undefined) {
      this.ram.bytes.set(initrd, Number(companions.initrd.at - range.at));
    }
    this.#start(kernel, companions.treeAt);
  }

  /** A kernel with other pages than the CPU has stops without a word. */
  #checkPages({ pageBytes }: Program): void {
    const [first] = this.vcpus as [Vcpu];
    const granules = first.getReg(sysReg("ID_AA64MMFR0_EL1"));
    const field = (shift: bigint): bigint => (granules >> shift) & 15n;
    const has: Record<number, boolean> = {
      4096: field(28n) !== 15n,
      16384: field(20n) !== 0n,
      65536: field(24n) !== 15n,
    };
    if (pageBytes !== undefined && has[pageBytes] === false) {
      throw new LoadError(`the kernel has pages of ${pageBytes / 1024} KiB, which the CPU lacks: build it with others`);
    }
  }

  #start(program: Program, argument: bigint): void {
    this.#program = program;
    copyProgram(program, this.ram);
    const [first] = this.vcpus as [Vcpu];
    first.setReg(pc, program.entry);
    first.setReg(x(0), argument);
  }

  /** Runs all CPUs until the guest ends, `stop()` is called, or something can not be answered: then it rejects. */
  async run(): Promise<Outcome> {
    await Promise.all(this.vcpus.map((vcpu) => this.#runVcpu(vcpu)));
    await Promise.all(this.devices.map((device) => device.settle?.()));
    if (this.#failure !== undefined) throw this.#failure;
    return this.#outcome as Outcome;
  }

  /** Ends `run()`. */
  stop(): void {
    this.#end({ event: "stopped" });
  }

  close(): void {
    for (const device of this.devices) device.close?.();
    for (const vcpu of this.vcpus) vcpu.close();
    this.vm.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #runVcpu(vcpu: Vcpu): Promise<void> {
    const thread = this.#threads === "workers" ? new CpuThread(vcpu) : undefined;
    const runner: CpuRunner = thread ?? vcpu;
    try {
      while (this.#outcome === undefined) this.#handle(vcpu, await runner.run());
    } catch (error) {
      this.#fail(error as Error);
    }
    await thread?.end();
  }

  /** The first failure is what `run()` rejects with. */
  #fail(error: Error): void {
    this.#failure ??= error;
    this.#end({ event: "stopped" });
  }

  /** The first end counts. The other CPUs are in KVM_RUN, perhaps for ever: they are kicked out of it. */
  #end(outcome: Outcome): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    for (const vcpu of this.vcpus) vcpu.kick();
  }

  #handle(vcpu: Vcpu, exit: Exit): void {
    switch (exit.reason) {
      case "mmio":
        this.#access(vcpu, exit);
        break;
      case "arm-nisv":
        this.#stray(vcpu, `accessed ${hex(exit.address)}, where no memory is, in a way that no device can answer`);
        break;
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
        throw new MachineError(
          `the guest caused an exit that this machine does not answer: ${exit.reason}${this.#at(vcpu)}`,
        );
    }
  }

  #access(vcpu: Vcpu, { address, data, write }: MmioExit): void {
    const device = this.devices.find((d) => address >= d.at && address < d.at + BigInt(d.bytes));
    if (device === undefined) {
      const access = write ? "stored" : "loaded";
      this.#stray(vcpu, `${access} ${data.length} bytes at ${hex(address)}, where nothing is`);
    } else {
      this.#count(`${device.name} ${write ? "stores" : "loads"}`);
      (write ? writeDevice : readDevice)(device, Number(address - device.at), data);
    }
  }

  #stray(vcpu: Vcpu, did: string): void {
    if (this.#strayAccess === "ends-run") throw new MachineError(`the guest ${did}${this.#at(vcpu)}`);
    this.#count("stray accesses");
    vcpu.setEvents({ externalAbortPending: true });
  }

  #count(kind: string): void {
    this.exits.set(kind, (this.exits.get(kind) ?? 0) + 1);
  }

  #at(vcpu: Vcpu): string {
    const at = vcpu.getReg(pc);
    const name = this.#program?.symbols?.nameOf(at);
    return `, CPU ${vcpu.id} at pc ${hex(at)}${name === undefined ? "" : ` (${name})`}`;
  }
}

function ramOf(vm: Vm, bytes: number): GuestMemory {
  try {
    return vm.addMemory({ at: RAM_AT, bytes });
  } catch (error) {
    if (!(error instanceof KvmError) || error.code !== "ENOMEM") throw error;
    const mib = bytes / 2 ** 20;
    throw new MachineError(`the host has no ${mib} MiB for the guest (ENOMEM): give the machine less memory`);
  }
}

function statusOf(vcpu: Vcpu): number {
  return vcpu.getReg(x(20)) === STATUS_MAGIC ? Number(vcpu.getReg(x(19)) & 0xffff_ffffn) : 0;
}
