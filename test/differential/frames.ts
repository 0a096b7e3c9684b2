// What goes over the line between the emulated host and this machine: frames of serialised values, made small, since a
// byte takes 2 µs on the emulated serial port (measured). Each begins with the mark of the process that reads or writes it on
// the host, so that what a dead one left behind is passed over.

import { randomBytes } from "node:crypto";
import { deserialize, serialize } from "node:v8";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import type { Kernel } from "../../lib/arm64/sysreg-row.js";
import type { HostFacts } from "./generate/maker.js";
import type { Sequence } from "./op.js";
import type { Outcome } from "./world.js";

/** The first thing that a process on the host says. */
export interface Hello {
  readonly mark: Uint8Array;
  readonly kernel: Kernel;
  readonly facts: HostFacts;
  /** A capture of the host, as text; only the first process takes one. */
  readonly capture: string | null;
  /** The place of the op that the process before this one did not outlive, if it told. */
  readonly diedAt: number | null;
}

/** Without sequences: there is nothing more to do. */
export interface Request {
  readonly id: number;
  readonly sequences: readonly Sequence[];
  /** The op, of the only sequence, whose outcome is wanted whole. */
  readonly whole: number | null;
  /** "each op": the host's program is told of every op before it is made. */
  readonly tell: "sequences" | "each op";
}

export interface Reply {
  readonly id: number;
  /** Of each sequence, as said.ts writes it. */
  readonly said: readonly Uint8Array[];
  readonly whole: Outcome | null;
}

const MARK_BYTES = 12;
export const helloMark: Uint8Array = Buffer.from("kvm-arm64 hi");
export const newMark = (): Uint8Array => new Uint8Array(randomBytes(MARK_BYTES));

export function frame(mark: Uint8Array, value: Hello | Request | Reply): Uint8Array {
  const content = deflateRawSync(serialize(value), { level: 1 });
  const length = Buffer.alloc(4);
  length.writeUInt32LE(content.length);
  return Buffer.concat([mark, length, content]);
}

/** Takes bytes as they come and gives whole frames. */
export class FrameReader {
  #mark: Uint8Array;
  #pending: Buffer = Buffer.alloc(0);

  constructor(mark: Uint8Array) {
    this.#mark = mark;
  }

  push(bytes: Uint8Array): void {
    this.#pending = Buffer.concat([this.#pending, bytes]);
  }

  /** From now on only frames with this mark count. */
  expect(mark: Uint8Array): void {
    this.#mark = mark;
  }

  /** Whether these bytes came, wherever; what is before them is forgotten. */
  skipTo(mark: Uint8Array): boolean {
    const at = this.#pending.indexOf(mark);
    if (at >= 0) this.#pending = this.#pending.subarray(at);
    return at >= 0;
  }

  /** Null: it is not here yet. */
  next(): unknown {
    if (!this.skipTo(this.#mark) || this.#pending.length < MARK_BYTES + 4) return null;
    const end = MARK_BYTES + 4 + this.#pending.readUInt32LE(MARK_BYTES);
    if (this.#pending.length < end) return null;
    const value: unknown = deserialize(inflateRawSync(this.#pending.subarray(MARK_BYTES + 4, end)));
    this.#pending = this.#pending.subarray(end);
    return value;
  }
}
