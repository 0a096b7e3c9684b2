// The engines by name, for tests that hold both to the same.

import type { CpuState } from "../../lib/model/cpu/state.js";
import { type Bus, type Environment, Evaluator } from "../../lib/model/engine/evaluator.js";
import { Interpreter, type Room } from "../../lib/model/engine/wasm/interpreter.js";

export const engineNames = ["evaluator", "interpreter", "translator"] as const;
export type EngineName = (typeof engineNames)[number];

export function engineName(name: string): EngineName {
  const found = engineNames.find((known) => known === name);
  if (found === undefined) throw new RangeError(`the engine must be ${engineNames.join(", ")}, got ${name}`);
  return found;
}

export function makeEngine(
  name: EngineName,
  state: CpuState,
  bus: Bus,
  environment: Environment,
  room: Room,
): Evaluator | Interpreter {
  if (name === "evaluator") return new Evaluator(state, bus, environment);
  return new Interpreter(state, bus, environment, room, 0, name === "translator" ? "translating" : "alone");
}

/** Gives away the memory from `first` on. */
export function roomIn(memory: WebAssembly.Memory, first: number): Room {
  let next = first;
  const chunk = (bytes: number): number | null => {
    if (next + bytes > memory.buffer.byteLength) return null;
    next += bytes;
    return next - bytes;
  };
  return { block: chunk, chunk };
}
