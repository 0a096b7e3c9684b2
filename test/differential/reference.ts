// Who is right: it is asked whole sequences and gives all answers in short, and one of them whole if that is wanted.

import type { SystemFd } from "../../lib/backend.js";
import type { Sequence } from "./op.js";
import { Picture } from "./picture.js";
import { type Said, saidOf } from "./said.js";
import { type Outcome, World } from "./world.js";

export interface Answers {
  readonly said: readonly Said[];
  /** The outcome of the op that was asked for. */
  readonly whole: Outcome | null;
}

export interface Reference {
  /** `whole`: the place of the op whose outcome is wanted with all its bytes. */
  ask(sequence: Sequence, whole: number | null): Promise<Answers>;
}

/** `before`: told of the place of each op before it is made. */
export function askAll(
  system: SystemFd,
  sequence: Sequence,
  whole: number | null,
  before: (at: number) => void = () => {},
): Answers {
  const world = new World(system);
  const picture = new Picture();
  const said: Said[] = [];
  let kept: Outcome | null = null;
  try {
    for (const [at, op] of sequence.entries()) {
      before(at);
      const outcome = world.perform(op, picture.plan(op));
      said.push(saidOf(op, outcome));
      picture.learn(op, outcome);
      if (at === whole) kept = copied(outcome);
    }
  } finally {
    world.close();
  }
  return { said, whole: kept };
}

/** Its bytes may be those of live memory. */
const copied = ({ threw, value, parts }: Outcome): Outcome => ({
  threw,
  value,
  parts: parts.map(({ name, bytes }) => ({ name, bytes: bytes.slice() })),
});

/** A backend of this process. */
export const referenceOf = (system: SystemFd): Reference => ({
  ask: async (sequence, whole) => askAll(system, sequence, whole),
});
