// A split virtqueue as the device sees it: Virtual I/O Device (VIRTIO) 1.2, 2.7. Everything in it is the guest's, and may
// change while we look: each word is read once, checked, and then used.
import type { Ram } from "../ram.js";

const DESC_BYTES = 16;
const DESC_NEXT = 1;
const DESC_WRITE = 2;
const DESC_INDIRECT = 4;
const AVAIL_NO_INTERRUPT = 1;

/** The driver broke the rules of its queue: nothing in it can be trusted until the device is reset. */
export class QueueError extends Error {
  override readonly name = "QueueError";
}

/** One request: buffers for the device to read, then buffers for it to write. */
export interface Chain {
  readonly head: number;
  readonly readable: readonly Uint8Array[];
  readonly writable: readonly Uint8Array[];
}

export interface QueueLayout {
  /** A power of two up to 32768. */
  readonly size: number;
  readonly descriptors: bigint;
  readonly driver: bigint;
  readonly device: bigint;
  /** VIRTIO_F_EVENT_IDX was negotiated: both sides say at which entry they want to be told. */
  readonly notifications: "always" | "by-event-index";
}

interface Table {
  readonly at: number;
  readonly entries: number;
}

export class Queue {
  readonly size: number;
  readonly #ram: Ram;
  readonly #table: Table;
  readonly #driver: number;
  readonly #device: number;
  readonly #byEventIndex: boolean;
  #taken = 0;
  #given = 0;

  constructor(ram: Ram, { size, descriptors, driver, device, notifications }: QueueLayout) {
    if (size === 0 || size > 0x8000 || (size & (size - 1)) !== 0) throw new QueueError(`a queue of ${size} entries`);
    const place = (what: string, at: bigint, bytes: number, alignment: number): number => {
      const offset = ram.offsetOf(at, bytes, alignment);
      if (offset === undefined) throw new QueueError(`${what} at 0x${at.toString(16)}`);
      return offset;
    };
    this.size = size;
    this.#ram = ram;
    this.#table = { at: place("a descriptor table", descriptors, DESC_BYTES * size, 16), entries: size };
    this.#driver = place("a driver area", driver, 6 + 2 * size, 2);
    this.#device = place("a device area", device, 6 + 8 * size, 4);
    this.#byEventIndex = notifications === "by-event-index";
  }

  /** The next request; undefined: there is none, and the driver will tell when there is. QueueError. */
  take(): Chain | undefined {
    if (!this.#isWaiting()) {
      if (!this.#byEventIndex) return undefined;
      this.#ram.storeU16(this.#device + 4 + 8 * this.size, this.#taken);
      if (!this.#isWaiting()) return undefined;
    }
    const head = this.#ram.loadU16(this.#driver + 4 + 2 * (this.#taken % this.size));
    this.#taken = (this.#taken + 1) & 0xffff;
    return this.#chain(head);
  }

  #isWaiting(): boolean {
    const waiting = (this.#ram.loadU16(this.#driver + 2) - this.#taken) & 0xffff;
    if (waiting > this.size) throw new QueueError(`${waiting} requests in a queue of ${this.size} entries`);
    return waiting > 0;
  }

  #chain(head: number): Chain {
    const readable: Uint8Array[] = [];
    const writable: Uint8Array[] = [];
    let table = this.#table;
    let index = head;
    let total = 0;
    // A chain has no more descriptors than the queue: who goes round in circles is found out.
    for (let count = 0; count <= this.size; count++) {
      if (index >= table.entries) throw new QueueError(`descriptor ${index} of ${table.entries}`);
      const at = table.at + DESC_BYTES * index;
      const address = this.#ram.getU64(at);
      const bytes = this.#ram.getU32(at + 8);
      const flags = this.#ram.getU16(at + 12);
      const next = this.#ram.getU16(at + 14);
      if ((flags & DESC_INDIRECT) !== 0) {
        if (table !== this.#table || (flags & DESC_NEXT) !== 0)
          throw new QueueError("an indirect descriptor in a chain");
        table = this.#indirect(address, bytes);
        index = 0;
        continue;
      }
      total += bytes;
      if (total > this.#ram.bytes) throw new QueueError("a request larger than all memory");
      const buffer = this.#ram.slice(address, bytes);
      if (buffer === undefined) throw new QueueError(`${bytes} bytes at 0x${address.toString(16)}, where no RAM is`);
      if ((flags & DESC_WRITE) !== 0) writable.push(buffer);
      else if (writable.length === 0) readable.push(buffer);
      else throw new QueueError("a buffer to read behind one to write");
      if ((flags & DESC_NEXT) === 0) return { head, readable, writable };
      index = next;
    }
    throw new QueueError(`a chain of more than ${this.size} descriptors`);
  }

  #indirect(address: bigint, bytes: number): Table {
    const at = this.#ram.offsetOf(address, bytes);
    if (at === undefined || bytes === 0 || bytes % DESC_BYTES !== 0) {
      throw new QueueError(`an indirect table of ${bytes} bytes at 0x${address.toString(16)}`);
    }
    return { at, entries: bytes / DESC_BYTES };
  }

  /** Gives a request back, with so many bytes written. Whether the driver wants an interrupt for it. */
  give({ head }: Chain, written: number): boolean {
    const ram = this.#ram;
    const entry = this.#device + 4 + 8 * (this.#given % this.size);
    ram.setU32(entry, head);
    ram.setU32(entry + 4, written);
    this.#given = (this.#given + 1) & 0xffff;
    ram.storeU16(this.#device + 2, this.#given);
    if (!this.#byEventIndex) return (ram.loadU16(this.#driver) & AVAIL_NO_INTERRUPT) === 0;
    return ram.loadU16(this.#driver + 4 + 2 * this.size) === ((this.#given - 1) & 0xffff);
  }
}
