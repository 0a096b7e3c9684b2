// Runs a sequence on two backends at once, op by op, and stops at the first answer that differs.

import type { SystemFd } from "../../lib/backend.js";
import { knownDifference } from "./known.js";
import { hex, type Op, type Sequence } from "./op.js";
import { Picture } from "./picture.js";
import { describeRegisters, masked } from "./volatile.js";
import { type Outcome, World } from "./world.js";

export interface Sides {
  /** Who is right. */
  readonly reference: SystemFd;
  readonly subject: SystemFd;
}

export interface Difference {
  /** Place of the op in its sequence. */
  readonly at: number;
  readonly op: Op;
  /** What differs: "answer", or a part of it such as "run" or "registers". */
  readonly what: string;
  readonly reference: string;
  readonly subject: string;
  /** The row of the list of known differences, where it is one. */
  readonly known: string | null;
}

/** Told of every op and of what the reference said. */
export type Observer = (op: Op, outcome: Outcome) => void;

export function runSequence(sides: Sides, sequence: Sequence, observe: Observer = () => {}): Difference | null {
  const reference = new World(sides.reference);
  const subject = new World(sides.subject);
  const picture = new Picture();
  try {
    for (let at = 0; at < sequence.length; at++) {
      const op = sequence[at]!;
      const plan = picture.plan(op);
      const said = reference.perform(op, plan);
      observe(op, said);
      const difference = compare(op, said, subject.perform(op, plan));
      picture.learn(op, said);
      if (difference === null) continue;
      const known = knownDifference(op, difference);
      if (known?.goOn) continue;
      return { at, op, ...difference, known: known?.name ?? null };
    }
  } finally {
    reference.close();
    subject.close();
  }
  return null;
}

export type Found = Pick<Difference, "what" | "reference" | "subject">;

function compare(op: Op, reference: Outcome, subject: Outcome): Found | null {
  if (reference.threw !== subject.threw) {
    return { what: "answer", reference: reference.threw ?? "OK", subject: subject.threw ?? "OK" };
  }
  if (reference.value !== subject.value) {
    return { what: "value", reference: String(reference.value), subject: String(subject.value) };
  }
  for (const [n, { name, bytes }] of reference.parts.entries()) {
    const other = subject.parts[n]?.bytes ?? new Uint8Array(0);
    if (Buffer.compare(bytes, other) === 0) continue;
    const ours = masked(op, name, bytes, reference);
    const theirs = masked(op, name, other, subject);
    if (Buffer.compare(ours, theirs) === 0) continue;
    return { what: name, ...shown(op, name, ours, theirs, reference) };
  }
  return null;
}

/** The bytes that differ, with a few around them; registers by name. */
function shown(op: Op, part: string, a: Uint8Array, b: Uint8Array, reference: Outcome): Omit<Found, "what"> {
  const registers = describeRegisters(op, part, a, b, reference);
  if (registers !== null) return registers;
  if (a.length !== b.length) return { reference: `${a.length} bytes`, subject: `${b.length} bytes` };
  const at = a.findIndex((byte, n) => byte !== b[n]) & ~7;
  const some = (bytes: Uint8Array) => `at ${at}: ${hex(bytes.subarray(at, at + 16))}`;
  return { reference: some(a), subject: some(b) };
}
