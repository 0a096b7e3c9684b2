// A driver of virtio devices over MMIO, with its queue in a few pages of make-believe guest memory.
import { Ram } from "../../lib/vmm/ram.js";
import { type VirtioDevice, VirtioMmio } from "../../lib/vmm/virtio/mmio.js";

export const RAM_AT = 0x4000_0000n;
const RAM_BYTES = 1 << 20;
export const DESCRIPTORS = RAM_AT;
export const DRIVER_AREA = RAM_AT + 0x1000n;
export const DEVICE_AREA = RAM_AT + 0x2000n;
export const BUFFERS = RAM_AT + 0x1_0000n;

const NEXT = 1;
const WRITE = 2;
export const INDIRECT = 4;

export interface Descriptor {
  readonly at: bigint;
  readonly bytes: number;
  readonly flags?: number;
  readonly next?: number;
}

export class Driver {
  readonly bytes = new Uint8Array(new SharedArrayBuffer(RAM_BYTES));
  readonly view = new DataView(this.bytes.buffer);
  readonly size: number;
  readonly device: VirtioMmio;
  /** Level of the interrupt line. */
  interrupt = false;
  failure: Error | undefined;
  #requests = 0;
  readonly #answers: (() => void)[] = [];

  constructor(device: VirtioDevice, size = 8) {
    this.size = size;
    this.device = new VirtioMmio(device, 0xa00_0000n);
    this.device.connect({
      memory: new Ram({ at: RAM_AT, bytes: this.bytes }),
      setInterrupt: (level) => {
        this.interrupt = level;
        if (level) for (const look of this.#answers.splice(0)) look();
      },
      fail: (error) => {
        this.failure = error;
      },
    });
  }

  read = (offset: number): number => this.device.read(offset);
  write = (offset: number, value: number): void => this.device.write(offset, value);

  get status(): number {
    return this.read(0x70);
  }

  /** 3.1.1: initialises the device with these features beside VERSION_1, and one queue. */
  start(features = 0n, queue: { descriptors?: bigint; driver?: bigint; device?: bigint } = {}): void {
    this.write(0x70, 0);
    this.#requests = 0;
    this.bytes.fill(0, this.offset(DRIVER_AREA), this.offset(BUFFERS));
    this.write(0x70, 3);
    const accepted = features | (1n << 32n);
    for (const select of [0, 1]) {
      this.write(0x24, select);
      this.write(0x20, Number((accepted >> BigInt(32 * select)) & 0xffff_ffffn));
    }
    this.write(0x70, 11);
    this.write(0x30, 0);
    this.write(0x38, this.size);
    const places = [queue.descriptors ?? DESCRIPTORS, queue.driver ?? DRIVER_AREA, queue.device ?? DEVICE_AREA];
    for (const [i, at] of places.entries()) {
      this.write(0x80 + 0x10 * i, Number(at & 0xffff_ffffn));
      this.write(0x84 + 0x10 * i, Number(at >> 32n));
    }
    this.write(0x44, 1);
    this.write(0x70, 15);
  }

  offset = (at: bigint): number => Number(at - RAM_AT);

  put(table: bigint, index: number, { at, bytes, flags = 0, next = 0 }: Descriptor): void {
    const offset = this.offset(table) + 16 * index;
    this.view.setBigUint64(offset, at, true);
    this.view.setUint32(offset + 8, bytes, true);
    this.view.setUint16(offset + 12, flags, true);
    this.view.setUint16(offset + 14, next, true);
  }

  /** A chain from descriptor 0 on. */
  chain(readable: readonly Omit<Descriptor, "flags">[], writable: readonly Omit<Descriptor, "flags">[]): void {
    const all = [
      ...readable.map((one) => ({ ...one, flags: 0 })),
      ...writable.map((one) => ({ ...one, flags: WRITE })),
    ];
    for (const [i, one] of all.entries()) {
      const isLast = i === all.length - 1;
      this.put(DESCRIPTORS, i, { ...one, flags: one.flags | (isLast ? 0 : NEXT), next: i + 1 });
    }
  }

  /** Makes a chain available and notifies the device. */
  offer(head = 0): void {
    this.view.setUint16(this.offset(DRIVER_AREA) + 4 + 2 * (this.#requests % this.size), head, true);
    this.#requests++;
    this.view.setUint16(this.offset(DRIVER_AREA) + 2, this.#requests & 0xffff, true);
    this.write(0x50, 0);
  }

  /** How many requests the device has given back. */
  get used(): number {
    return this.view.getUint16(this.offset(DEVICE_AREA) + 2, true);
  }

  /** Id and length of a used element. */
  usedElement(n: number): readonly [id: number, bytes: number] {
    const at = this.offset(DEVICE_AREA) + 4 + 8 * (n % this.size);
    return [this.view.getUint32(at, true), this.view.getUint32(at + 4, true)];
  }

  /** Resolves when the device interrupts; acknowledges. */
  async answered(): Promise<void> {
    if (!this.interrupt) await new Promise<void>((resolve) => this.#answers.push(resolve));
    this.write(0x64, this.read(0x60));
  }
}
