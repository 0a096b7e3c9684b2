// A machine that boots Linux, or another program that wants a device tree: one call, from files to events.
import { EventEmitter } from "node:events";
import { readFileSync } from "node:fs";
import type { Duplex } from "node:stream";
import { Kvm, type OpenOptions, type VcpuFeature } from "../index.js";
import { consoleStream, LineCollector } from "./console.js";
import { hostFeatures } from "./cpu-features.js";
import type { Device } from "./device.js";
import { type Disk, type DiskOptions, openDisk } from "./disk.js";
import { Machine, modelMemory, type Outcome } from "./machine.js";
import { RAM_AT, VIRTIO_AT, VIRTIO_BYTES } from "./memory-map.js";
import { Pl011 } from "./pl011.js";
import { Pl031 } from "./pl031.js";
import { type Program, parseProgram } from "./program.js";
import { virtioBlock } from "./virtio/block.js";
import { virtioEntropy } from "./virtio/entropy.js";
import { VirtioMmio } from "./virtio/mmio.js";

/** RAM comes in multiples of the largest page that a host may have. */
const MEMORY_UNIT = 0x1_0000;

export interface CreateMachineOptions {
  /** A file, or its bytes: an Image, as gzip too, an ELF file, a flat binary. */
  readonly kernel: string | URL | Uint8Array;
  readonly initrd?: string | URL | Uint8Array;
  /** The kernel's command line. The console is ttyAMA0, and the kernel finds it without being told. */
  readonly append?: string;
  /** Default: 1. */
  readonly cpus?: number;
  /** Default: 512 MiB. */
  readonly memoryBytes?: number;
  /** Default: all that the host offers. */
  readonly cpuFeatures?: readonly VcpuFeature[];
  /** Disks, in the order in which Linux names them: /dev/vda, /dev/vdb, … */
  readonly disks?: readonly (DiskOptions | Disk)[];
  /** Devices of your own, beside the console, the clock, the disks and the source of random numbers. */
  readonly devices?: readonly Device[];
  /** Default: KVM where it works, else the model. */
  readonly open?: OpenOptions;
}

interface Events {
  /** What the guest printed, in lines as far as they come at once. */
  console: [bytes: Uint8Array];
  /** How it ended. */
  exit: [outcome: Outcome];
}

interface Parts {
  readonly kvm: Kvm;
  readonly program: Program;
  readonly machine: Machine;
  readonly uart: Pl011;
  readonly lines: LineCollector;
  readonly events: EventEmitter<Events>;
}

/** Opens what the machine needs and puts the kernel into it. LoadError, MachineError: what cannot be, and what can. */
export function createMachine(options: CreateMachineOptions): BootMachine {
  const { kernel, initrd, append = "", cpus = 1, memoryBytes = 512 << 20 } = options;
  checkMemory(memoryBytes);
  const program = parseProgram(contentOf(kernel), { at: RAM_AT, bytes: memoryBytes });
  const initrdBytes = initrd === undefined ? undefined : contentOf(initrd);
  const events = new EventEmitter<Events>();
  const lines = new LineCollector((bytes) => events.emit("console", bytes));
  const receives = program.format === "Linux Image" ? "with-interrupt" : "always";
  const uart = new Pl011({ send: lines.push, receives });
  const opened: { close(): void }[] = [];
  const keep = <T extends { close(): void }>(resource: T): T => {
    opened.push(resource);
    return resource;
  };
  try {
    const disks = (options.disks ?? []).map((disk) => keep("file" in disk ? openDisk(disk) : disk));
    const virtio = [...disks.map(virtioBlock), virtioEntropy()].map(
      (device, i) => new VirtioMmio(device, VIRTIO_AT + BigInt(i * VIRTIO_BYTES)),
    );
    const kvm = keep(openFor(memoryBytes, options.open));
    const machine = keep(
      new Machine(kvm, {
        memoryBytes,
        cpus,
        cpuFeatures: options.cpuFeatures ?? hostFeatures(kvm),
        devices: [uart, new Pl031(), ...virtio, ...(options.devices ?? [])],
        interruptController: "gic",
        strayAccess: "aborts",
        threads: threadsFor(kvm, options),
      }),
    );
    machine.loadLinux(program, { append, ...(initrdBytes !== undefined && { initrd: initrdBytes }) });
    return new BootMachine({ kvm, program, machine, uart, lines, events });
  } catch (error) {
    for (const resource of opened.reverse()) resource.close();
    throw error;
  }
}

/** Made by `createMachine`. */
export class BootMachine implements Disposable {
  readonly kvm: Kvm;
  readonly program: Program;
  readonly machine: Machine;
  readonly #uart: Pl011;
  readonly #lines: LineCollector;
  readonly #events: EventEmitter<Events>;
  #console: Duplex | undefined;

  constructor({ kvm, program, machine, uart, lines, events }: Parts) {
    this.kvm = kvm;
    this.program = program;
    this.machine = machine;
    this.#uart = uart;
    this.#lines = lines;
    this.#events = events;
  }

  on<E extends keyof Events>(event: E, listener: (...args: Events[E]) => void): this {
    this.#events.on(event, listener as never);
    return this;
  }

  /** What the guest reads from its console. */
  send(bytes: Uint8Array | string): void {
    this.#uart.receive(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
  }

  /** The console as a stream, from the first time that it is asked for. It ends when the run does. */
  get console(): Duplex {
    this.#console ??= this.#openConsole();
    return this.#console;
  }

  #openConsole(): Duplex {
    const stream = consoleStream((bytes) => this.send(bytes));
    this.on("console", (bytes) => void stream.push(bytes));
    this.on("exit", () => void stream.push(null));
    return stream;
  }

  /** Whether the guest looks at what it is sent: it waits for input, and has taken all that there was. */
  get listening(): boolean {
    return this.#uart.listening && !this.#uart.unread;
  }

  /** Runs the guest to its end. Rejects with what cannot be answered. */
  async run(): Promise<Outcome> {
    try {
      const outcome = await this.machine.run();
      this.#lines.flush();
      this.#events.emit("exit", outcome);
      return outcome;
    } finally {
      this.#lines.flush();
    }
  }

  stop(): void {
    this.machine.stop();
  }

  close(): void {
    this.machine.close();
    this.kvm.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The model runs several CPUs at once in Workers alone; a trace sees what is called on this thread alone. */
const threadsFor = (kvm: Kvm, { cpus = 1, open }: CreateMachineOptions): "this" | "workers" =>
  kvm.backend === "model" && cpus > 1 && open?.trace === undefined ? "workers" : "this";

const contentOf = (source: string | URL | Uint8Array): Uint8Array =>
  source instanceof Uint8Array ? source : readFileSync(source);

function checkMemory(bytes: number): void {
  if (!Number.isSafeInteger(bytes) || bytes <= 0 || bytes % MEMORY_UNIT !== 0) {
    throw new RangeError(`createMachine: memoryBytes must be a multiple of ${MEMORY_UNIT} above 0, got ${bytes}`);
  }
}

function openFor(memoryBytes: number, options: OpenOptions = {}): Kvm {
  return Kvm.open({ ...options, model: { memoryBytes: modelMemory(memoryBytes), ...options.model } });
}
