// Which code a region has: what can be reached from its first instruction without leaving the page, as blocks.

import type { BranchKind } from "../../a64/machine.js";
import { RECORDS } from "../wasm/record.js";
import type { Instruction, Instructions } from "./instruction.js";

/** A region has no more instructions. V8's optimiser takes more than linear time for larger functions. */
const MOST = 400;

/** Instructions are known by their place in the page of the entry; those of the pages beside it come before 0 and after. */
export type Place = number;

/** The page of a place: 0 is that of the entry. */
export const pageOf = (place: Place): number => Math.floor(place / RECORDS);

/** How a block ends. */
export type End =
  | { readonly kind: "jump"; readonly to: Place }
  | { readonly kind: "fork"; readonly taken: Place; readonly next: Place }
  /** `to`: null, where a register says. */
  | { readonly kind: "call"; readonly to: Place | null; readonly next: Place }
  | { readonly kind: "register"; readonly branch: BranchKind }
  /** The interpreter goes on at this place. */
  | { readonly kind: "leave"; readonly at: Place };

export interface Block {
  readonly first: Place;
  readonly instructions: readonly Instruction[];
  readonly end: End;
}

export interface Region {
  readonly entry: Place;
  readonly blocks: ReadonlyMap<Place, Block>;
  /** All places that were looked at. */
  readonly places: ReadonlySet<Place>;
  /** The pages that they are in. */
  readonly pages: ReadonlySet<number>;
}

/** Where a block may go on inside of a region. */
export function successors({ end }: Block): readonly Place[] {
  switch (end.kind) {
    case "jump":
      return [end.to];
    case "fork":
      return [end.taken, end.next];
    case "call":
      return [end.next];
    default:
      return [];
  }
}

/** The region that begins at this place; null: not even its first instruction can be there. `wordAt`: null, not at hand. */
export function discover(wordAt: (place: Place) => number | null, entry: Place, known: Instructions): Region | null {
  const found = new Map<Place, Instruction | null>();
  const at = (place: Place): Instruction | null => {
    let instruction = found.get(place);
    if (instruction === undefined) {
      const word = found.size < MOST ? wordAt(place) : null;
      instruction = word === null ? null : known.of(word);
      found.set(place, instruction);
    }
    return instruction;
  };
  const leaders = leadersFrom(entry, at);
  const blocks = new Map<Place, Block>();
  for (const first of leaders) {
    const instructions: Instruction[] = [];
    let end: End | null = null;
    for (let place = first; end === null; place++) {
      const instruction = place > first && leaders.has(place) ? undefined : at(place);
      if (instruction === undefined) end = { kind: "jump", to: place };
      else if (instruction === null) end = { kind: "leave", at: place };
      else {
        instructions.push(instruction);
        end = endOf(instruction, place);
      }
    }
    if (instructions.length > 0) blocks.set(first, { first, instructions, end });
  }
  if (!blocks.has(entry)) return null;
  const places = new Set([...found].filter(([place]) => wordAt(place) !== null).map(([place]) => place));
  const pages = new Set([...blocks.values()].flatMap(pagesOf));
  return { entry, blocks, places, pages };
}

function pagesOf({ first, instructions }: Block): readonly number[] {
  return [pageOf(first), pageOf(first + instructions.length - 1)];
}

function endOf({ way }: Instruction, place: Place): End | null {
  switch (way.kind) {
    case "next":
      return null;
    case "jump":
      return { kind: "jump", to: place + way.distance };
    case "fork":
      return { kind: "fork", taken: place + way.distance, next: place + 1 };
    case "call":
      return { kind: "call", to: place + way.distance, next: place + 1 };
    case "register":
      if (way.branch === "call") return { kind: "call", to: null, next: place + 1 };
      return { kind: "register", branch: way.branch };
  }
}

/** The places where blocks begin, nearest first. */
function leadersFrom(entry: Place, at: (place: Place) => Instruction | null): ReadonlySet<Place> {
  const leaders = new Set([entry]);
  for (const first of leaders) {
    for (let place = first; ; place++) {
      const instruction = at(place);
      if (instruction === null) break;
      const end = endOf(instruction, place);
      if (end === null) continue;
      const block = { first, instructions: [], end };
      for (const next of successors(block)) leaders.add(next);
      break;
    }
  }
  return leaders;
}
