// Makes the calls of a sequence on the model, and holds what it says against what the reference said to them, up to the
// first answer that differs.

import type { SystemFd } from "../../lib/backend.js";
import { knownDifference } from "./known.js";
import { hex, type Op, type Sequence } from "./op.js";
import { Picture } from "./picture.js";
import type { Answers, Reference } from "./reference.js";
import { type Said, saidOf } from "./said.js";
import { describeRegisters, masked } from "./volatile.js";
import { type Outcome, World } from "./world.js";

export interface Difference {
  /** Place of the op in its sequence. */
  readonly at: number;
  readonly op: Op;
  /** What differs: "answer", "value", or a part of it such as "run" or "registers". */
  readonly what: string;
  readonly reference: string;
  readonly subject: string;
  /** The row of the list of known differences, where it is one. */
  readonly known: string | null;
}

export type Found = Pick<Difference, "what" | "reference" | "subject">;

/** Told of every op on whose answer both agree, and of that answer. */
export type Observer = (op: Op, outcome: Outcome) => void;

/** PARTS: which part and how, only the bytes can tell. */
const PARTS: Found = { what: "parts", reference: "", subject: "" };

function compareShort(reference: Said, { threw, value, crc }: Said): Found | null {
  if (reference.threw !== threw) return { what: "answer", reference: reference.threw ?? "OK", subject: threw ?? "OK" };
  if (reference.value !== value) return { what: "value", reference: String(reference.value), subject: String(value) };
  return reference.crc === crc ? null : PARTS;
}

function compareParts(op: Op, reference: Outcome, subject: Outcome): Found | null {
  for (const [n, { name, bytes }] of reference.parts.entries()) {
    const ours = masked(op, name, bytes, reference);
    const theirs = masked(op, name, subject.parts[n]?.bytes ?? new Uint8Array(0), subject);
    if (Buffer.compare(ours, theirs) !== 0) return { what: name, ...shown(op, name, ours, theirs, reference) };
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

/** The first difference in a sequence. How parts differ is seen in the last op, where the answers have it whole. */
export function replay(
  sequence: Sequence,
  { said, whole }: Answers,
  subject: SystemFd,
  observe: Observer = () => {},
): Difference | null {
  const world = new World(subject);
  const picture = new Picture();
  try {
    for (const [at, op] of sequence.entries()) {
      const reference = said[at]!;
      const outcome = world.perform(op, picture.plan(op));
      picture.learn(op, reference);
      const short = compareShort(reference, saidOf(op, outcome));
      const last = at === sequence.length - 1;
      const difference = short === PARTS && last && whole !== null ? compareParts(op, whole, outcome) : short;
      const known = difference === null ? null : knownDifference(op, difference, sequence.slice(0, at));
      if (difference === null) observe(op, outcome);
      else if (!known?.goOn) return { at, op, ...difference, known: known?.name ?? null };
    }
  } finally {
    world.close();
  }
  return null;
}

export interface Verdict {
  readonly difference: Difference | null;
  /** There was a difference that was gone when the same was asked again. */
  readonly unsteady: string | null;
}

/** What `answers` come to; where they differ from the model's, the reference is asked again, for the whole of it. */
export async function judgeAnswers(
  reference: Reference,
  subject: SystemFd,
  sequence: Sequence,
  answers: Answers,
  observe?: Observer,
): Promise<Verdict> {
  const first = replay(sequence, answers, subject, observe);
  if (first === null || first.known !== null) return { difference: first, unsteady: null };
  const difference = await lastDifference(reference, subject, sequence.slice(0, first.at + 1));
  if (difference !== null) return { difference, unsteady: null };
  const { op, what, reference: ours, subject: theirs, at } = first;
  return { difference: null, unsteady: `op ${at}: ${op.verb}, ${what}: the kernel ${ours}, the model ${theirs}` };
}

/** The first difference of a sequence that is thought to have it in its last op. */
export async function lastDifference(
  reference: Reference,
  subject: SystemFd,
  sequence: Sequence,
): Promise<Difference | null> {
  const answers = await reference.ask(sequence, sequence.length - 1);
  return replay(sequence, answers, subject);
}
