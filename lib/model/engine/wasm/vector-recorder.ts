// What meanings do with the SIMD&FP registers, written down; see recorder.ts.

import type { VectorOperations } from "../../a64/vector.js";
import type { Recorder } from "./recorder.js";
import { type Node, unsupported } from "./trace.js";

type Vectors = VectorOperations<Node, Node, Node, Node>;

/** The operations that have code; all others are refused. */
function operations(_machine: Recorder): Partial<Vectors> {
  return {};
}

export function vectorRecorder(machine: Recorder): Vectors {
  const there = operations(machine) as Record<string, unknown>;
  return new Proxy(there, {
    get(target, name) {
      const operation = target[name as string];
      if (operation === undefined) throw unsupported;
      return operation;
    },
  }) as unknown as Vectors;
}
