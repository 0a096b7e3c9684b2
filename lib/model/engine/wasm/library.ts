// The shapes that have handlers, and from words to records of them. Made once for each thread.

import { extract } from "../../a64/bits.js";
import type { Insn } from "../../a64/insn.js";
import type { Machine } from "../../a64/machine.js";
import { decodeA64 } from "../../a64/table.js";
import { interpreterModule, type Variant } from "./module.js";
import { isOutlined } from "./outlined.js";
import { Handler } from "./record.js";
import { Recorder } from "./recorder.js";
import { seeds } from "./seeds.js";
import { type Shape, shapeOf, type Trace, unsupported } from "./trace.js";

const recorder = new Recorder();

/** The shape of an instruction; null: none, the evaluator does it. */
export function shapeOfRow(row: Insn, fields: Readonly<Record<string, number>>): Shape | null {
  const trace = traceOfRow(row, fields);
  return trace === null ? null : shapeOf(trace);
}

export function traceOfRow(row: Insn, fields: Readonly<Record<string, number>>): Trace | null {
  if (row.run === null) return null;
  recorder.begin();
  try {
    row.run(recorder as unknown as Machine, fields);
  } catch (reason) {
    if (reason !== unsupported) throw reason;
    return null;
  }
  return recorder.trace;
}

export function shapeOfWord(word: number): Shape | null {
  const row = decodeA64(word >>> 0);
  return row === undefined ? null : shapeOfRow(row, extract(row.encoding, word));
}

export interface Library {
  readonly module: WebAssembly.Module;
  /** Handlers by the keys of their shapes. */
  readonly handlers: ReadonlyMap<string, number>;
  /** The first number of those that are functions of their own. */
  readonly firstOutlined: number;
}

const made = new Map<Variant, Library>();

export function library(variant: Variant): Library {
  let found = made.get(variant);
  if (found === undefined) {
    found = makeLibrary(seeds, variant);
    made.set(variant, found);
  }
  return found;
}

export function makeLibrary(words: Iterable<number>, variant: Variant = "alone"): Library {
  const handlers = new Map<string, number>();
  const shapes: Shape[] = [];
  for (const word of words) {
    const shape = shapeOfWord(word);
    if (shape === null || handlers.has(shape.key) || isOutlined(shape)) continue;
    handlers.set(shape.key, Handler.first + shapes.length);
    shapes.push(shape);
  }
  const firstOutlined = Handler.first + shapes.length;
  return { module: new WebAssembly.Module(interpreterModule(shapes, variant)), handlers, firstOutlined };
}
