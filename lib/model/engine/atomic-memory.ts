// Exclusives and atomics of the evaluator, by JavaScript's Atomics: right between CPUs on different threads.
//
// The local monitor remembers the address and the value that was read; a Store-Exclusive is a compare and exchange with
// that value. So a location that was changed and changed back counts as untouched.

import type { AccessBytes, AtomicOperation } from "../a64/machine.js";
import { reversed } from "../cpu/data-order.js";
import { type CpuState, cells } from "../cpu/state.js";
import type { GuestMemory } from "./memory.js";
import type { Bus } from "./stop.js";
import type { Cell, Wide } from "./wide.js";

/** A word that nobody else looks at. */
const FENCE = cells.fence * 2;

export class AtomicMemory {
  private readonly w: Int32Array;
  private readonly q: BigUint64Array;

  constructor(
    state: CpuState,
    private readonly bus: Bus,
    private readonly wide: Wide,
    private readonly memory: GuestMemory,
  ) {
    this.w = state.words;
    this.q = state.quads;
  }

  // JavaScript's Atomics are sequentially consistent, as the order of all STLR and LDAR is, on every host.
  loadOrdered(bytes: AccessBytes, address: Cell, access: number): Cell {
    const offset = this.memory.locate(address, bytes, access, "read");
    return this.memory.ordered(this.wide.constant(this.atomicLoad(offset, bytes)), bytes);
  }

  storeOrdered(bytes: AccessBytes, address: Cell, data: Cell, access: number): void {
    const value = this.memory.ordered(data, bytes);
    const offset = this.memory.locate(address, bytes, access, "write");
    if (bytes === 8) Atomics.store(this.memory.m64, offset / 8, this.q[value >> 1]!);
    else if (bytes === 4) Atomics.store(this.memory.m32, offset >>> 2, this.w[value]!);
    else if (bytes === 2) Atomics.store(this.memory.m16, offset >>> 1, this.w[value]!);
    else Atomics.store(this.memory.m8, offset, this.w[value]!);
  }

  /** DMB and DSB: a store and a load, both sequentially consistent, let nothing pass on any host. */
  fence(): void {
    Atomics.store(this.w, FENCE, 0);
    Atomics.load(this.w, FENCE);
  }

  loadExclusive(bytes: AccessBytes, address: Cell, access: number): Cell {
    const offset = this.memory.locate(address, bytes, access, "read");
    const value = this.wide.constant(this.atomicLoad(offset, bytes));
    this.monitor(bytes, address, value, value);
    return this.memory.ordered(value, bytes);
  }

  loadExclusivePair(bytes: 4 | 8, address: Cell, access: number): readonly [Cell, Cell] {
    const offset = this.memory.locate(address, bytes * 2, access, "read");
    const first = this.wide.temporary();
    const second = this.wide.temporary();
    if (bytes === 4) {
      const both = this.memory.m64[offset / 8]!;
      this.q[first >> 1] = both & 0xffff_ffffn;
      this.q[second >> 1] = both >> 32n;
    } else {
      this.underPairLock(() => {
        this.q[first >> 1] = this.memory.m64[offset / 8]!;
        this.q[second >> 1] = this.memory.m64[offset / 8 + 1]!;
      });
    }
    this.monitor(bytes * 2, address, first, second);
    return [this.memory.ordered(first, bytes), this.memory.ordered(second, bytes)];
  }

  storeExclusive(bytes: AccessBytes, address: Cell, value: Cell, access: number): number {
    return this.exclusively(bytes, address, access, (offset, expected) => {
      const wanted = this.order(this.q[value >> 1]!, bytes);
      return this.exchange(offset, bytes, expected[0], wanted) === expected[0];
    });
  }

  storeExclusivePair(bytes: 4 | 8, address: Cell, first: Cell, second: Cell, access: number): number {
    return this.exclusively(bytes * 2, address, access, (offset, expected) => {
      const a = this.order(this.q[first >> 1]!, bytes);
      const b = this.order(this.q[second >> 1]!, bytes);
      if (bytes === 8) {
        const old = this.exchangePair(offset, expected, [a, b]);
        return old[0] === expected[0] && old[1] === expected[1];
      }
      const was = expected[0] | (expected[1] << 32n);
      return (
        Atomics.compareExchange(this.memory.m64, offset / 8, was, (a & 0xffff_ffffn) | ((b & 0xffff_ffffn) << 32n)) ===
        was
      );
    });
  }

  /** 0 if the monitor covers this access and `store`, given what was read, did write. Opens the monitor. */
  private exclusively(
    bytes: number,
    address: Cell,
    access: number,
    store: (offset: number, expected: readonly [bigint, bigint]) => boolean,
  ): number {
    const { w, q } = this;
    const monitor = cells.monitor * 2;
    const covered = w[monitor] === bytes && w[monitor + 2] === w[address] && w[monitor + 3] === w[address + 1];
    if (!covered) {
      if ((w[address]! & (bytes - 1)) !== 0) this.memory.alignmentFault(w[address]!, w[address + 1]!, true);
      w[monitor] = 0;
      return 1;
    }
    const offset = this.memory.locate(address, bytes, access, "write");
    const done = store(offset, [q[cells.monitor + 2]!, q[cells.monitor + 3]!]);
    w[monitor] = 0;
    return done ? 0 : 1;
  }

  private monitor(bytes: number, address: Cell, first: Cell, second: Cell): void {
    const { w, q } = this;
    w[cells.monitor * 2] = bytes;
    q[cells.monitor + 1] = q[address >> 1]!;
    q[cells.monitor + 2] = q[first >> 1]!;
    q[cells.monitor + 3] = q[second >> 1]!;
  }

  atomic(op: AtomicOperation, bytes: AccessBytes, address: Cell, value: Cell, access: number): Cell {
    const offset = this.memory.locate(address, bytes, access, "both");
    const bits = bytes * 8;
    const operand = BigInt.asUintN(bits, this.q[value >> 1]!);
    for (;;) {
      const found = this.atomicLoad(offset, bytes);
      const old = this.order(found, bytes);
      const next = this.order(combine(op, bits, old, operand), bytes);
      if (this.exchange(offset, bytes, found, next) === found) return this.wide.constant(old);
    }
  }

  compareAndSwap(bytes: AccessBytes, address: Cell, expected: Cell, desired: Cell, access: number): Cell {
    const offset = this.memory.locate(address, bytes, access, "both");
    const wanted = this.order(BigInt.asUintN(bytes * 8, this.q[expected >> 1]!), bytes);
    const found = this.exchange(offset, bytes, wanted, this.order(this.q[desired >> 1]!, bytes));
    return this.wide.constant(this.order(found, bytes));
  }

  compareAndSwapPair(
    bytes: 4 | 8,
    address: Cell,
    expected: readonly [Cell, Cell],
    desired: readonly [Cell, Cell],
    access: number,
  ): readonly [Cell, Cell] {
    const offset = this.memory.locate(address, bytes * 2, access, "both");
    const inOrder = (value: Cell) => this.order(this.q[value >> 1]!, bytes);
    const [e0, e1] = [inOrder(expected[0]), inOrder(expected[1])];
    const [d0, d1] = [inOrder(desired[0]), inOrder(desired[1])];
    const found = (first: bigint, second: bigint): [Cell, Cell] => [
      this.wide.constant(this.order(first, bytes)),
      this.wide.constant(this.order(second, bytes)),
    ];
    if (bytes === 8) return found(...this.exchangePair(offset, [e0, e1], [d0, d1]));
    const low = 0xffff_ffffn;
    const old = Atomics.compareExchange(
      this.memory.m64,
      offset / 8,
      (e0 & low) | ((e1 & low) << 32n),
      (d0 & low) | ((d1 & low) << 32n),
    );
    return found(old & low, old >> 32n);
  }

  /** The same as GuestMemory.ordered, of a number. */
  private order(value: bigint, bytes: number): bigint {
    return this.memory.bigEndian ? reversed(value, bytes) : value;
  }

  private atomicLoad(offset: number, bytes: number): bigint {
    if (bytes === 8) return Atomics.load(this.memory.m64, offset / 8);
    if (bytes === 4) return BigInt(Atomics.load(this.memory.m32, offset >>> 2) >>> 0);
    return BigInt(bytes === 1 ? Atomics.load(this.memory.m8, offset) : Atomics.load(this.memory.m16, offset >>> 1));
  }

  /** Compare and exchange of an aligned word of 1 to 8 bytes; gives what was there. */
  private exchange(offset: number, bytes: number, expected: bigint, desired: bigint): bigint {
    if (bytes === 8) return Atomics.compareExchange(this.memory.m64, offset / 8, expected, desired);
    const was = Number(BigInt.asIntN(32, expected));
    const next = Number(BigInt.asIntN(32, desired));
    if (bytes === 4) return BigInt(Atomics.compareExchange(this.memory.m32, offset >>> 2, was, next) >>> 0);
    return BigInt(
      bytes === 1
        ? Atomics.compareExchange(this.memory.m8, offset, was, next)
        : Atomics.compareExchange(this.memory.m16, offset >>> 1, was, next),
    );
  }

  private exchangePair(
    offset: number,
    expected: readonly [bigint, bigint],
    desired: readonly [bigint, bigint],
  ): readonly [bigint, bigint] {
    return this.underPairLock(() => {
      const at = offset / 8;
      const old = [this.memory.m64[at]!, this.memory.m64[at + 1]!] as const;
      if (old[0] === expected[0] && old[1] === expected[1]) {
        this.memory.m64[at] = desired[0];
        this.memory.m64[at + 1] = desired[1];
      }
      return old;
    });
  }

  // JavaScript has no atomic access of 128 bits. Those of different CPUs exclude each other here; a plain store of
  // another CPU into one half in the same instant is not excluded.
  private underPairLock<T>(body: () => T): T {
    const lock = this.bus.pairLock;
    if (lock === undefined) return body();
    const at = lock >>> 2;
    while (Atomics.compareExchange(this.memory.m32, at, 0, 1) !== 0);
    try {
      return body();
    } finally {
      Atomics.store(this.memory.m32, at, 0);
    }
  }
}

function combine(op: AtomicOperation, bits: number, old: bigint, operand: bigint): bigint {
  const signed = (v: bigint) => BigInt.asIntN(bits, v);
  switch (op) {
    case "add":
      return BigInt.asUintN(bits, old + operand);
    case "clear":
      return BigInt.asUintN(bits, old & ~operand);
    case "eor":
      return old ^ operand;
    case "set":
      return old | operand;
    case "smax":
      return signed(old) > signed(operand) ? old : operand;
    case "smin":
      return signed(old) < signed(operand) ? old : operand;
    case "umax":
      return old > operand ? old : operand;
    case "umin":
      return old < operand ? old : operand;
    case "swap":
      return operand;
  }
}
