// Makes a failing sequence as short and as plain as it can be while it still fails in the same way.

import { isWithFds, type Op, type Sequence, type Value } from "./op.js";

/** Whether a sequence still shows what is looked for. */
export type Fails = (sequence: Sequence) => boolean | Promise<boolean>;

export interface ShrinkOptions {
  /** How often `fails` may be asked. */
  readonly most: number;
}

export async function shrink(sequence: Sequence, fails: Fails, { most }: ShrinkOptions): Promise<Sequence> {
  let left = most;
  const stillFails: Fails = async (candidate) => left-- > 0 && (await fails(candidate));
  let best = sequence;
  for (;;) {
    const before = best;
    best = await dropped(best, stillFails);
    best = await simplified(best, stillFails);
    if (best === before || left <= 0) return best;
  }
}

/** Leaves out what it can, in large parts first. */
async function dropped(sequence: Sequence, fails: Fails): Promise<Sequence> {
  let best = sequence;
  for (let size = Math.ceil(best.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = best.length - size; at >= 0; at -= size) {
      const candidate = [...best.slice(0, at), ...best.slice(at + size)];
      if (candidate.length > 0 && (await fails(candidate))) best = candidate;
      at = Math.min(at, best.length);
    }
  }
  return best;
}

async function simplified(sequence: Sequence, fails: Fails): Promise<Sequence> {
  let best = sequence;
  for (let at = 0; at < best.length; at++) {
    for (let n = 0; n < best[at]!.args.length; n++) {
      for (let again = true; again; ) {
        again = false;
        for (const plainer of plainerValues(best[at]!, n)) {
          const candidate = best.with(at, { ...best[at]!, args: best[at]!.args.with(n, plainer) });
          if (!(await fails(candidate))) continue;
          best = candidate;
          again = true;
          break;
        }
      }
    }
  }
  return best;
}

/** Values that say less than an argument does, the plainest first. */
function* plainerValues(op: Op, n: number): Generator<Value> {
  const value = op.args[n]!;
  if (typeof value === "number") {
    if (value !== 0) yield 0;
    if (value > 1) yield Math.floor(value / 2);
    if (value > 1) yield value - 2 ** Math.floor(Math.log2(value));
  } else if (typeof value === "bigint") {
    if (value !== 0n) yield 0n;
    if (value > 1n) yield value >> 1n;
    if (value > 1n) yield value & (value - 1n);
  } else if (value instanceof Uint8Array) {
    if (op.verb === "cpu.launch" && n === 0) yield* shorterCode(value);
    else yield* plainerBytes(value);
  } else if (value !== null && isWithFds(value)) {
    for (const bytes of plainerBytes(value.bytes)) yield { ...value, bytes };
    for (let k = 0; k < value.fds.length; k++) yield { ...value, fds: value.fds.toSpliced(k, 1) };
  }
}

function* plainerBytes(bytes: Uint8Array): Generator<Uint8Array> {
  if (bytes.every((byte) => byte === 0)) return;
  yield new Uint8Array(bytes.length);
  for (let at = 0; at < bytes.length; at += 4) {
    const part = bytes.subarray(at, at + 4);
    if (part.every((byte) => byte === 0)) continue;
    const copy = bytes.slice();
    copy.fill(0, at, at + 4);
    yield copy;
  }
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at]! === 0) continue;
    const copy = bytes.slice();
    copy[at] = bytes[at]! & (bytes[at]! - 1);
    yield copy;
  }
}

/** A program without one of its instructions. */
function* shorterCode(code: Uint8Array): Generator<Uint8Array> {
  for (let at = code.length - 4; at >= 0; at -= 4) {
    yield Uint8Array.from([...code.subarray(0, at), ...code.subarray(at + 4)]);
  }
}
