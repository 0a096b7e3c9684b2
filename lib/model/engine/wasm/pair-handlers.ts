// What WebAssembly's atomics have not got: pairs, and the greatest and least. 128 bits are exchanged under the lock that
// the evaluator takes, too (atomic-memory.ts).

import { cells } from "../../cpu/state.js";
import { I64, type Local } from "./binary.js";
import type { HandlerEmitter } from "./handlers.js";
import { Block } from "./record.js";
import type { Effect, Node } from "./trace.js";

type AccessBytes = 1 | 2 | 4 | 8;

const COMPARE_EXCHANGE_32 = 0x48;
const COMPARE_EXCHANGE_64 = 0x49;
const STORE_32 = 0x17;
const LOAD_64 = 0x11;

/** Compare and exchange, and loads, of 64-bit values by the bytes in memory. */
const exchanges: Readonly<Record<AccessBytes, number>> = { 1: 0x4c, 2: 0x4d, 4: 0x4e, 8: COMPARE_EXCHANGE_64 };
const loads: Readonly<Record<AccessBytes, number>> = { 1: 0x14, 2: 0x15, 4: 0x16, 8: LOAD_64 };

/** The exclusive monitor: bytes, address, and what was read. */
const BYTES = cells.monitor * 8;
const ADDRESS = BYTES + 8;
const FIRST = BYTES + 16;
const SECOND = BYTES + 24;
const LOW = 0xffff_ffff;

/** Which of two 64-bit values is kept, of opcodes: (memory's, the operand) holds. */
// biome-ignore format: table
const kept: Readonly<Record<string, number>> = { smax: 0x55, smin: 0x53, umax: 0x56, umin: 0x54 };

/** The code of an effect; false: it is none of these. */
export function pairEffect(emitter: HandlerEmitter, { op, args, extra }: Effect): boolean {
  const code = new PairCode(emitter);
  const bytes = extra as AccessBytes;
  if (op in kept) code.extreme(kept[op]!, bytes, args[0]!);
  else if (op === "loadExclusivePair") code.load(bytes, args[0]!, args[1]!);
  else if (op === "storeExclusivePair") code.store(bytes, args[0]!);
  else if (op === "compareAndSwapPair") code.compareAndSwap(bytes, args[0]!, args[1]!);
  else return false;
  return true;
}

class PairCode {
  constructor(private readonly emitter: HandlerEmitter) {}

  private get code() {
    return this.emitter.context.code;
  }

  /** What is on the stack becomes the value of a node. */
  private give(node: Node): void {
    node.local = this.emitter.temporary(node.type);
    this.code.set(node.local);
  }
  /** A value in a local of its own. */
  private taken(node: Node): Local {
    const local = this.emitter.temporary(I64);
    this.emitter.value(node);
    this.code.set(local);
    return local;
  }
  private place(table: "reads" | "writes", address: Node, bytes: number): Local {
    const at = this.emitter.located(table, address, bytes);
    this.emitter.mustAlign(at, bytes);
    return at;
  }

  private locked(body: () => void): void {
    const { code } = this;
    const { locals } = this.emitter.context;
    const lock = this.emitter.temporary(0x7f);
    code
      .get(locals.block)
      .memory(0x28, 2, Block.pairLock * 4)
      .tee(lock)
      .if();
    const again = code.loop();
    code.get(lock).i32(0).i32(1).memory([0xfe, COMPARE_EXCHANGE_32], 2).branchIf(again).end().end();
    body();
    code.get(lock).if();
    code.get(lock).i32(0).memory([0xfe, STORE_32], 2).end();
  }

  /** Two words of 32 bits in one of 64. */
  private joined(low: () => void, high: () => void): void {
    const { code } = this;
    low();
    code.i64(LOW).op(0x83);
    high();
    code.i64(32).op(0x86, 0x84);
  }
  private split(first: Node, second: Node): void {
    this.give(second);
    const { code } = this;
    code.get(second.local).i64(LOW).op(0x83);
    this.give(first);
    code.get(second.local).i64(32).op(0x88).set(second.local);
  }

  load(bytes: AccessBytes, first: Node, second: Node): void {
    const { code, emitter } = this;
    const { base } = emitter.context.locals;
    const address = first.args[0]!;
    const at = this.place("reads", address, 2 * bytes);
    if (bytes === 4) {
      code.get(at).memory([0xfe, LOAD_64], 3);
      this.split(first, second);
    } else {
      this.locked(() => {
        for (const [n, node] of [first, second].entries()) {
          code.get(at).memory(0x29, 3, 8 * n);
          this.give(node);
        }
      });
    }
    code
      .get(base)
      .i32(2 * bytes)
      .memory(0x36, 2, BYTES);
    code.get(base).get(emitter.address(address)).memory(0x37, 3, ADDRESS);
    code.get(base).get(first.local).memory(0x37, 3, FIRST);
    code.get(base).get(second.local).memory(0x37, 3, SECOND);
  }

  store(bytes: AccessBytes, result: Node): void {
    const { code, emitter } = this;
    const { locals, labels } = emitter.context;
    const { base } = locals;
    const [address, first, second] = result.args;
    // A monitor that does not cover the access is the evaluator's.
    code
      .get(base)
      .memory(0x28, 2, BYTES)
      .i32(2 * bytes)
      .op(0x47);
    code.get(base).memory(0x29, 3, ADDRESS).get(emitter.address(address!)).op(0x52, 0x72).branchIf(labels.step);
    const at = this.place("writes", address!, 2 * bytes);
    const expected = [FIRST, SECOND].map((offset) => {
      const local = emitter.temporary(I64);
      code.get(base).memory(0x29, 3, offset).set(local);
      return local;
    }) as [Local, Local];
    const desired = [this.taken(first!), this.taken(second!)] as const;
    result.local = emitter.temporary(result.type);
    if (bytes === 4) {
      const was = emitter.temporary(I64);
      this.joined(
        () => code.get(expected[0]),
        () => code.get(expected[1]),
      );
      code.set(was).get(at).get(was);
      this.joined(
        () => code.get(desired[0]),
        () => code.get(desired[1]),
      );
      code.memory([0xfe, COMPARE_EXCHANGE_64], 3).get(was).op(0x52).set(result.local);
    } else {
      this.exchange(at, expected, desired, () => code.i32(0).set(result.local), () => code.i32(1).set(result.local)); // biome-ignore format: one line
    }
    code.get(base).i32(0).memory(0x36, 2, BYTES);
  }

  /** Under the lock: stores if both are as expected. */
  private exchange(
    at: Local,
    expected: readonly [Local, Local],
    desired: readonly [Local, Local],
    done: () => void,
    differs: () => void,
  ): void {
    const { code } = this;
    this.locked(() => {
      for (const n of [0, 1] as const)
        code
          .get(at)
          .memory(0x29, 3, 8 * n)
          .get(expected[n])
          .op(0x85);
      code.op(0x84, 0x50).if();
      for (const n of [0, 1] as const)
        code
          .get(at)
          .get(desired[n])
          .memory(0x37, 3, 8 * n);
      done();
      code.else();
      differs();
      code.end();
    });
  }

  compareAndSwap(bytes: AccessBytes, first: Node, second: Node): void {
    const { code } = this;
    const [address, ...values] = first.args;
    const at = this.place("writes", address!, 2 * bytes);
    const [e0, e1, d0, d1] = values.map((value) => this.taken(value)) as [Local, Local, Local, Local];
    if (bytes === 4) {
      code.get(at);
      this.joined(
        () => code.get(e0),
        () => code.get(e1),
      );
      this.joined(
        () => code.get(d0),
        () => code.get(d1),
      );
      code.memory([0xfe, COMPARE_EXCHANGE_64], 3);
      this.split(first, second);
      return;
    }
    for (const node of [first, second]) node.local = this.emitter.temporary(I64);
    const found = (n: number, node: Node) =>
      code
        .get(at)
        .memory(0x29, 3, 8 * n)
        .set(node.local);
    this.exchange(
      at,
      [e0, e1],
      [d0, d1],
      () => code.get(e0).set(first.local).get(e1).set(second.local),
      () => {
        found(0, first);
        found(1, second);
      },
    );
  }

  extreme(keeps: number, bytes: AccessBytes, result: Node): void {
    const { code, emitter } = this;
    const [address, operand] = result.args;
    const at = this.place("writes", address!, bytes);
    const value = this.taken(operand!);
    const bits = 64 - 8 * bytes;
    const signed = keeps === kept["smax"] || keeps === kept["smin"];
    const extend = (local: Local) => {
      code.get(local);
      if (bits > 0)
        code
          .i64(bits)
          .op(0x86)
          .i64(bits)
          .op(signed ? 0x87 : 0x88);
    };
    const align = Math.log2(bytes);
    result.local = emitter.temporary(I64);
    const old = result.local;
    const again = code.loop();
    code.get(at).memory([0xfe, loads[bytes]], align).set(old);
    code.get(at).get(old).get(old).get(value);
    extend(old);
    extend(value);
    code.op(keeps, 0x1b);
    code.memory([0xfe, exchanges[bytes]], align).get(old).op(0x52).branchIf(again).end();
  }
}
