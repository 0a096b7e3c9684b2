// What a printed difference is written in: a sequence as calls one under the other, on a genuine /dev/kvm where there is
// one, otherwise on the model as the emulated host.

import assert from "node:assert/strict";
import type { Kernel } from "../../lib/arm64/sysreg-row.js";
import type { SystemFd } from "../../lib/backend.js";
import { openModel } from "../../lib/model/index.js";
import { openNative } from "../../lib/native.js";
import { type Op, type Ref, unhex, type Value, type WithFds } from "./op.js";
import { Picture } from "./picture.js";
import { masked, registersOf } from "./volatile.js";
import { type Outcome, World } from "./world.js";

export const zeros = (length: number): Uint8Array => new Uint8Array(length);

/** So many bytes, the first of them in hexadecimal. */
export function bytes(length: number, first: string): Uint8Array {
  const all = zeros(length);
  all.set(unhex(first));
  return all;
}

/** A program, its words. */
export const code = (words: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);

/** The object that `make` named. */
export const ref = (name: string): Ref => ({ ref: name });

/** Bytes with the numbers of descriptors at these places. */
export const withFds = (plain: Uint8Array, ...fds: (readonly [offset: number, name: string])[]): WithFds => ({
  bytes: plain,
  fds,
});

function systemHere(kernel: Kernel): SystemFd {
  if (process.platform === "linux" && process.arch === "arm64") return openNative();
  return openModel({ kernel, host: `qemu-max-${kernel}`, impersonate: true, memoryBytes: 64 << 20 });
}

export class Repro {
  readonly #world: World;
  readonly #picture = new Picture();
  #last: { op: Op; outcome: Outcome } | null = null;

  constructor(system: SystemFd) {
    this.#world = new World(system);
  }

  /** Makes a call whose result gets a name. */
  make(name: string, verb: string, on: string, ...args: Value[]): void {
    this.#perform({ verb, on, args, makes: name });
  }

  call(verb: string, on: string, ...args: Value[]): void {
    this.#perform({ verb, on, args });
  }

  #perform(op: Op): void {
    const outcome = this.#world.perform(op, this.#picture.plan(op));
    this.#picture.learn(op, outcome);
    this.#last = { op, outcome };
  }

  /** What the last call came to, as a difference says it: compare.ts. */
  says(what: string, expected: string): void {
    assert.ok(this.#last);
    const { op, outcome } = this.#last;
    if (what === "answer") assert.equal(outcome.threw ?? "OK", expected);
    else if (what === "value") assert.equal(String(outcome.value), expected);
    else assert.equal(this.#part(op, outcome, what, expected), expected);
  }

  /** What of a part stands in `expected`. */
  #part(op: Op, outcome: Outcome, name: string, expected: string): string {
    const part = outcome.parts.find((one) => one.name === name);
    assert.ok(part, `${op.verb} gave no ${name}: ${outcome.threw}`);
    const compared = masked(op, name, part.bytes, outcome);
    const [, at, hex] = /^at ([0-9]+): ([0-9a-f]*)$/.exec(expected) ?? [];
    if (at !== undefined && hex !== undefined) {
      const place = Number(at);
      return `at ${place}: ${Buffer.from(compared.subarray(place, place + hex.length / 2)).toString("hex")}`;
    }
    if (/^[0-9]+ bytes$/.test(expected)) return `${compared.length} bytes`;
    const values = registersOf(op, name, compared, outcome);
    return expected
      .split(", ")
      .map((one) => values.get(one.slice(0, one.lastIndexOf(" "))) ?? `no ${one}`)
      .join(", ");
  }

  close(): void {
    this.#world.close();
  }
}

export const repro = (kernel: Kernel): Repro => new Repro(systemHere(kernel));
