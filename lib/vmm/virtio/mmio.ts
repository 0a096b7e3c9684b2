// Virtio over MMIO, version 2: VIRTIO 1.2, 4.2. It carries any device that answers requests, one at a time.
import type { Device, DeviceHost, DeviceNode } from "../device.js";
import { VIRTIO_BYTES } from "../memory-map.js";
import { type Chain, Queue, QueueError } from "./queue.js";

/** What is particular to a kind of device. */
export interface VirtioDevice {
  readonly name: string;
  /** VIRTIO 1.2, 5. */
  readonly id: number;
  /** Feature bits of its own; the transport adds those of queues. */
  readonly features: bigint;
  /** The most entries of each queue. */
  readonly queueSizes: readonly number[];
  readonly config: Uint8Array;
  /**
   * Does a request, whose buffers are guest memory. Gives how many bytes it wrote, from the first writable one on; a
   * promise, where that takes time, or where there is nothing to say yet. Requests may overtake each other.
   */
  answer(request: Chain, queue: number, features: bigint): number | Promise<number>;
  /** The driver has let go: requests that wait for something are to be answered, which nobody hears any more. */
  reset?(): void;
  close?(): void;
}

export const F_INDIRECT_DESC = 1n << 28n;
export const F_EVENT_IDX = 1n << 29n;
export const F_VERSION_1 = 1n << 32n;
const TRANSPORT_FEATURES = F_INDIRECT_DESC | F_EVENT_IDX | F_VERSION_1;

const MAGIC = 0x7472_6976; // "virt"
const VERSION = 2;
const VENDOR = 0x344d_5241; // "ARM4"
const NO_SHARED_MEMORY = 0xffff_ffff;
const CONFIG = 0x100;

/** 4.2.2, table 4.1. */
const At = {
  MagicValue: 0x000,
  Version: 0x004,
  DeviceID: 0x008,
  VendorID: 0x00c,
  DeviceFeatures: 0x010,
  DeviceFeaturesSel: 0x014,
  DriverFeatures: 0x020,
  DriverFeaturesSel: 0x024,
  QueueSel: 0x030,
  QueueNumMax: 0x034,
  QueueNum: 0x038,
  QueueReady: 0x044,
  QueueNotify: 0x050,
  InterruptStatus: 0x060,
  InterruptACK: 0x064,
  Status: 0x070,
  QueueDescLow: 0x080,
  QueueDescHigh: 0x084,
  QueueDriverLow: 0x090,
  QueueDriverHigh: 0x094,
  QueueDeviceLow: 0x0a0,
  QueueDeviceHigh: 0x0a4,
  SHMLenLow: 0x0b0,
  SHMBaseHigh: 0x0bc,
} as const;

/** 2.1 */
const Status = { driverOk: 4, featuresOk: 8, needsReset: 64 } as const;
const USED_BUFFER = 1;
const CONFIG_CHANGED = 2;

/** What the driver writes of a queue before it is ready. */
interface QueueSetup {
  size: number;
  descriptors: bigint;
  driver: bigint;
  device: bigint;
  queue: Queue | undefined;
}

const low = (word: bigint, value: number): bigint => (word & ~0xffff_ffffn) | BigInt(value);
const high = (word: bigint, value: number): bigint => (word & 0xffff_ffffn) | (BigInt(value) << 32n);

export class VirtioMmio implements Device {
  readonly name: string;
  readonly at: bigint;
  readonly bytes = VIRTIO_BYTES;
  readonly node: DeviceNode = {
    name: "virtio_mmio",
    properties: { compatible: "virtio,mmio", "dma-coherent": true },
  };
  readonly #device: VirtioDevice;
  readonly #offered: bigint;
  #host: DeviceHost | undefined;
  #status = 0;
  #interrupts = 0;
  #deviceFeaturesSel = 0;
  #driverFeaturesSel = 0;
  #accepted = 0n;
  #queueSel = 0;
  #setups: QueueSetup[] = [];
  /** Requests under way, those from before a reset included. */
  readonly #underWay = new Set<Promise<void>>();

  constructor(device: VirtioDevice, at: bigint) {
    this.name = device.name;
    this.at = at;
    this.#device = device;
    this.#offered = device.features | TRANSPORT_FEATURES;
    this.#reset();
  }

  connect(host: DeviceHost): void {
    this.#host = host;
  }

  async settle(): Promise<void> {
    this.#reset();
    await Promise.all(this.#underWay);
  }

  close(): void {
    this.#device.close?.();
  }

  read(offset: number): number {
    if (offset >= CONFIG) return this.#config(offset - CONFIG);
    switch (offset) {
      case At.MagicValue:
        return MAGIC;
      case At.Version:
        return VERSION;
      case At.DeviceID:
        return this.#device.id;
      case At.VendorID:
        return VENDOR;
      case At.DeviceFeatures:
        return this.#deviceFeaturesSel > 1
          ? 0
          : Number((this.#offered >> BigInt(32 * this.#deviceFeaturesSel)) & 0xffff_ffffn);
      case At.QueueNumMax:
        return this.#device.queueSizes[this.#queueSel] ?? 0;
      case At.QueueReady:
        return this.#setup?.queue === undefined ? 0 : 1;
      case At.InterruptStatus:
        return this.#interrupts;
      case At.Status:
        // A reset is over when nothing touches the driver's buffers any more (2.4.1).
        return this.#status === 0 && this.#underWay.size > 0 ? Status.needsReset : this.#status;
      default:
        return offset >= At.SHMLenLow && offset <= At.SHMBaseHigh ? NO_SHARED_MEMORY : 0;
    }
  }

  write(offset: number, value: number): void {
    switch (offset) {
      case At.DeviceFeaturesSel:
        this.#deviceFeaturesSel = value;
        break;
      case At.DriverFeatures:
        if (this.#driverFeaturesSel === 0) this.#accepted = low(this.#accepted, value);
        else if (this.#driverFeaturesSel === 1) this.#accepted = high(this.#accepted, value);
        break;
      case At.DriverFeaturesSel:
        this.#driverFeaturesSel = value;
        break;
      case At.QueueSel:
        this.#queueSel = value;
        break;
      case At.QueueNotify:
        this.#serve(value);
        break;
      case At.InterruptACK:
        this.#interrupts &= ~value;
        this.#signal();
        break;
      case At.Status:
        this.#writeStatus(value);
        break;
      default:
        if (this.#setup !== undefined) this.#writeSetup(this.#setup, offset, value);
    }
  }

  get #setup(): QueueSetup | undefined {
    return this.#setups[this.#queueSel];
  }

  #config(offset: number): number {
    const { config } = this.#device;
    return [0, 1, 2, 3].reduce((word, i) => word | ((config[offset + i] ?? 0) << (8 * i)), 0) >>> 0;
  }

  #writeSetup(setup: QueueSetup, offset: number, value: number): void {
    switch (offset) {
      case At.QueueNum:
        setup.size = value;
        break;
      case At.QueueReady:
        setup.queue = (value & 1) !== 0 ? this.#open(setup) : undefined;
        break;
      case At.QueueDescLow:
        setup.descriptors = low(setup.descriptors, value);
        break;
      case At.QueueDescHigh:
        setup.descriptors = high(setup.descriptors, value);
        break;
      case At.QueueDriverLow:
        setup.driver = low(setup.driver, value);
        break;
      case At.QueueDriverHigh:
        setup.driver = high(setup.driver, value);
        break;
      case At.QueueDeviceLow:
        setup.device = low(setup.device, value);
        break;
      case At.QueueDeviceHigh:
        setup.device = high(setup.device, value);
        break;
    }
  }

  #open(setup: QueueSetup): Queue | undefined {
    const most = this.#device.queueSizes[this.#queueSel] ?? 0;
    const notifications = (this.#accepted & F_EVENT_IDX) !== 0n ? "by-event-index" : "always";
    try {
      if (setup.size > most) throw new QueueError(`a queue of ${setup.size} entries where ${most} are the most`);
      return this.#host && new Queue(this.#host.memory, { ...setup, notifications });
    } catch (error) {
      this.#broken(error);
    }
    return undefined;
  }

  #writeStatus(value: number): void {
    if (value === 0) {
      this.#reset();
      return;
    }
    const isFit = (this.#accepted & ~this.#offered) === 0n && (this.#accepted & F_VERSION_1) !== 0n;
    // The driver reads back whether its choice of features will do.
    this.#status = (isFit ? value : value & ~Status.featuresOk) | (this.#status & Status.needsReset);
  }

  #reset(): void {
    this.#status = 0;
    this.#accepted = 0n;
    this.#interrupts = 0;
    this.#device.reset?.();
    this.#setups = this.#device.queueSizes.map(() => ({
      size: 0,
      descriptors: 0n,
      driver: 0n,
      device: 0n,
      queue: undefined,
    }));
    this.#signal();
  }

  /** Takes what is in a queue. A guest that fills it as fast as we can must not keep us from everything else. */
  #serve(index: number): void {
    const queue = this.#setups[index]?.queue;
    const isRunning = (this.#status & (Status.driverOk | Status.needsReset)) === Status.driverOk;
    if (queue === undefined || !isRunning) return;
    try {
      for (let count = 0; count < queue.size; count++) {
        const request = queue.take();
        if (request === undefined) return;
        this.#answer(queue, index, request);
      }
      setImmediate(() => this.#serve(index));
    } catch (error) {
      this.#broken(error);
    }
  }

  #answer(queue: Queue, index: number, request: Chain): void {
    const written = this.#device.answer(request, index, this.#accepted);
    if (typeof written === "number") {
      this.#give(queue, index, request, written);
      return;
    }
    const done: Promise<void> = written
      .then((bytes) => this.#give(queue, index, request, bytes))
      .catch((error: Error) => this.#host?.fail(error))
      .finally(() => this.#underWay.delete(done));
    this.#underWay.add(done);
  }

  #give(queue: Queue, index: number, request: Chain, written: number): void {
    // Since then the driver may have reset the device: the memory is no queue any more.
    if (this.#setups[index]?.queue !== queue) return;
    if (queue.give(request, written)) this.#interrupt(USED_BUFFER);
  }

  /** The driver is told that only a reset helps (2.1.1); anything that is no fault of its is ours. */
  #broken(error: unknown): void {
    if (!(error instanceof QueueError)) throw error;
    this.#status |= Status.needsReset;
    this.#interrupt(CONFIG_CHANGED);
  }

  #interrupt(cause: number): void {
    this.#interrupts |= cause;
    this.#signal();
  }

  #signal(): void {
    this.#host?.setInterrupt(this.#interrupts !== 0);
  }
}
