/// <reference lib="es2024.sharedmemory" />
// The model's eventfd(2): 64-bit counters in one shared buffer of the system descriptor, so that a vCPU in a Worker
// signals what the main thread waits for. The numbers of other descriptors come from the same table.

import type { EventFd } from "../backend.js";
import { Refused } from "../errors.js";

const CELLS = 4096;
/** As if stdin, stdout and stderr were open: no eventfd is 0. */
const FIRST_FD = 3;
const MOST = 0xffff_ffff_ffff_fffen;
/** A pending wait must keep the process alive, as a polled descriptor would; the period itself does not matter. */
const KEEP_ALIVE_MS = 60_000;

// A cell: words 0 references (the owner's, and those of irqfds and ioeventfds), 1 generation of changes, 2 what the
// descriptor is, 3 how many irqfds it is; the counter is the second 64-bit word after them. Four words and a counter:
// 32 bytes.
const WORDS = 8;
const Kind = { closed: 0, eventFd: 1, other: 2 } as const;

/** Takes a signalled eventfd to the interrupt that it is in some VM; false: in this one it is none. */
export type IrqfdListener = (fd: number) => boolean;

export class EventFds {
  readonly #listeners = new Map<object, IrqfdListener>();
  readonly shared: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #counters: BigUint64Array;

  constructor(shared = new SharedArrayBuffer(CELLS * WORDS * 4)) {
    this.shared = shared;
    this.#words = new Int32Array(shared);
    this.#counters = new BigUint64Array(shared);
  }

  create(initial: number): EventFd {
    const n = this.#take("eventfd");
    Atomics.store(this.#counters, n * 4 + 2, BigInt(initial));
    Atomics.store(this.#words, n * WORDS + 2, Kind.eventFd);
    return new ModelEventFd(this, n + FIRST_FD);
  }

  /** A number for a descriptor that is no eventfd; `releaseNumber` gives it back. */
  takeNumber(call: string): number {
    const n = this.#take(call);
    Atomics.store(this.#words, n * WORDS + 2, Kind.other);
    return n + FIRST_FD;
  }
  releaseNumber(fd: number): void {
    Atomics.store(this.#words, (fd - FIRST_FD) * WORDS + 2, Kind.closed);
    this.release(fd);
  }

  #take(call: string): number {
    for (let n = 0; n < CELLS; n++) if (Atomics.compareExchange(this.#words, n * WORDS, 0, 1) === 0) return n;
    throw new Refused("EMFILE", call);
  }

  /** Whether a number is that of an open eventfd. */
  isOpen(fd: number): boolean {
    return this.#kind(fd) === Kind.eventFd;
  }

  /** Whether a number is that of any open descriptor. */
  isDescriptor(fd: number): boolean {
    return this.#kind(fd) !== Kind.closed;
  }

  /** What every ioctl asks that is given an eventfd: EBADF where nothing is open, EINVAL where it is something else. */
  check(fd: number, call: string): void {
    if (!this.isOpen(fd)) throw new Refused(this.isDescriptor(fd) ? "EINVAL" : "EBADF", call);
  }

  #kind(fd: number): number {
    const n = fd - FIRST_FD;
    if (n >= 0) return n < CELLS ? Atomics.load(this.#words, n * WORDS + 2) : Kind.closed;
    return fd >= 0 ? Kind.other : Kind.closed;
  }

  /** Keeps an eventfd alive beyond its owner's close. */
  retain(fd: number): void {
    Atomics.add(this.#words, (fd - FIRST_FD) * WORDS, 1);
  }
  release(fd: number): void {
    Atomics.sub(this.#words, (fd - FIRST_FD) * WORDS, 1);
  }

  /** Whose irqfds this thread can reach; `vm` stands for one VM until it is forgotten. */
  listen(vm: object, listener: IrqfdListener): void {
    this.#listeners.set(vm, listener);
  }
  forget(vm: object): void {
    this.#listeners.delete(vm);
  }

  /** How many irqfds an eventfd is. */
  irqfds(fd: number): number {
    return Atomics.load(this.#words, (fd - FIRST_FD) * WORDS + 3);
  }
  addIrqfds(fd: number, count: 1 | -1): void {
    Atomics.add(this.#words, (fd - FIRST_FD) * WORDS + 3, count);
    this.#changed(fd);
  }

  /**
   * Takes an irqfd to its interrupts as long as it is one, where a thread signals it that does not know their VM. Keeps
   * no process alive.
   */
  async watchIrqfd(fd: number): Promise<void> {
    const at = (fd - FIRST_FD) * WORDS + 1;
    for (;;) {
      const generation = Atomics.load(this.#words, at);
      const changed = Atomics.waitAsync(this.#words, at, generation);
      if (this.irqfds(fd) === 0 || !this.isOpen(fd)) return;
      if (changed.async) await changed.value;
      if (this.irqfds(fd) > 0 && this.isSignalled(fd)) this.#interrupt(fd);
    }
  }

  /** Whether its counter is not 0. */
  isSignalled(fd: number): boolean {
    return Atomics.load(this.#counters, (fd - FIRST_FD) * 4 + 2) !== 0n;
  }

  close(fd: number): void {
    Atomics.store(this.#words, (fd - FIRST_FD) * WORDS + 2, 0);
    this.#changed(fd);
    this.release(fd);
  }

  /** write(2) that does not block: EAGAIN when the counter would pass 2^64 - 2. */
  add(fd: number, value: bigint): boolean {
    const at = (fd - FIRST_FD) * 4 + 2;
    for (;;) {
      const before = Atomics.load(this.#counters, at);
      if (before + value > MOST) return false;
      if (Atomics.compareExchange(this.#counters, at, before, before + value) === before) break;
    }
    if (this.irqfds(fd) > 0) this.#interrupt(fd);
    this.#changed(fd);
    return true;
  }

  /** An irqfd takes the counter as it is signalled. */
  #interrupt(fd: number): void {
    let taken = false;
    for (const listener of this.#listeners.values()) taken = listener(fd) || taken;
    if (taken) this.take(fd);
  }

  /** What a matched ioeventfd does: adds 1, or leaves a full counter as it is. */
  signal(fd: number): void {
    this.add(fd, 1n);
  }

  take(fd: number): bigint {
    return Atomics.exchange(this.#counters, (fd - FIRST_FD) * 4 + 2, 0n);
  }

  async wait(fd: number): Promise<boolean> {
    const at = (fd - FIRST_FD) * WORDS + 1;
    const alive = setInterval(() => {}, KEEP_ALIVE_MS);
    try {
      for (;;) {
        const generation = Atomics.load(this.#words, at);
        if (!this.isOpen(fd)) return false;
        if (this.isSignalled(fd)) return true;
        await Atomics.waitAsync(this.#words, at, generation).value;
      }
    } finally {
      clearInterval(alive);
    }
  }

  #changed(fd: number): void {
    const at = (fd - FIRST_FD) * WORDS + 1;
    Atomics.add(this.#words, at, 1);
    Atomics.notify(this.#words, at);
  }
}

export class ModelEventFd implements EventFd {
  readonly fd: number;
  readonly #all: EventFds;
  #closed = false;

  constructor(all: EventFds, fd: number) {
    this.#all = all;
    this.fd = fd;
  }

  signal(value: bigint): void {
    this.#check("write");
    if (value > MOST) throw new Refused("EINVAL", "write");
    if (!this.#all.add(this.fd, value)) throw new Refused("EAGAIN", "write");
  }
  take(): bigint {
    this.#check("read");
    return this.#all.take(this.fd);
  }
  wait(): Promise<boolean> {
    return this.#closed ? Promise.resolve(false) : this.#all.wait(this.fd);
  }
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#all.close(this.fd);
  }
  #check(call: string): void {
    if (this.#closed) throw new Refused("EBADF", call);
  }
}
