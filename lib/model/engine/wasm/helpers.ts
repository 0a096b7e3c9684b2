// The functions that generated code calls: a module has all of them, or those that its code uses.

import { Code, I32, I64, type Module, type ValueType } from "./binary.js";
import { crc32Helper } from "./crc32-helper.js";
import { carryFlagsHelper, nzcvHelper } from "./flags.js";
import { floatHelpers } from "./float-helpers.js";
import type { Helpers } from "./function.js";
import { placeHelper } from "./memory-access.js";
import { pointerHelper, stripHelper } from "./pointer-table.js";

interface Helper {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
  readonly code: (helpers: Helpers) => Code;
}

// biome-ignore format: table
const makers: Readonly<Record<keyof Helpers, Helper>> = {
  nzcv:       { parameters: [I32, I64, I64, I32], results: [I32], code: nzcvHelper },
  carryFlags: { parameters: [I64, I64, I64],      results: [I32], code: carryFlagsHelper },
  place:      { parameters: [I32, I64, I64, I64], results: [I32], code: placeHelper },
  pointer:    { parameters: [I32, I32, I64, I64], results: [I32], code: pointerHelper },
  strip:      { parameters: [I32, I32, I64],      results: [I64], code: stripHelper },
  umulh:      { parameters: [I64, I64],           results: [I64], code: umulhHelper },
  smulh:      { parameters: [I64, I64],           results: [I64], code: ({ umulh }) => smulhHelper(umulh) },
  rbit:       { parameters: [I64],                results: [I64], code: rbitHelper },
  rev:        { parameters: [I64, I32],           results: [I64], code: revHelper },
  crc32:      { parameters: [I32, I64, I32],      results: [I32], code: () => crc32Helper("04C11DB7") },
  crc32c:     { parameters: [I32, I64, I32],      results: [I32], code: () => crc32Helper("1EDC6F41") },
  ...floatHelpers,
};
const names = Object.keys(makers) as (keyof Helpers)[];

/** Helpers that get into the module when they are first named; `others` are there already. */
export function neededHelpers(module: Module, others: Partial<Helpers> = {}): Helpers {
  const there = new Map(Object.entries(others) as [keyof Helpers, number][]);
  const helpers = {} as Helpers;
  for (const name of names) {
    Object.defineProperty(helpers, name, {
      get: () => {
        let index = there.get(name);
        if (index === undefined) {
          const { parameters, results, code } = makers[name];
          index = module.function(parameters, results, null, code(helpers));
          there.set(name, index);
        }
        return index;
      },
    });
  }
  return helpers;
}

export function allHelpers(module: Module, others: Partial<Helpers>): Helpers {
  const helpers = neededHelpers(module, others);
  for (const name of names) helpers[name];
  return helpers;
}

/** umulh(a, b): by four products of halves. */
function umulhHelper(): Code {
  const code = new Code(2);
  const [a, b] = [0, 1];
  const middle = code.local(I64);
  const low = (n: number) => code.get(n).op(0xa7, 0xad);
  const high = (n: number) => code.get(n).i64(32).op(0x88);
  // What the lower product carries into the first mixed one, and its carry into the second.
  high(a);
  low(b);
  code.op(0x7e);
  low(a);
  low(b);
  code.op(0x7e).i64(32).op(0x88, 0x7c).set(middle);
  high(a);
  high(b);
  code.op(0x7e);
  high(middle);
  code.op(0x7c);
  low(a);
  high(b);
  code.op(0x7e);
  low(middle);
  code.op(0x7c).i64(32).op(0x88, 0x7c);
  return code;
}

/** smulh(a, b): umulh, less each factor where the other is negative. */
function smulhHelper(umulh: number): Code {
  const code = new Code(2);
  const [a, b] = [0, 1];
  code.get(a).get(b).call(umulh);
  code.get(a).i64(63).op(0x87).get(b).op(0x83, 0x7d);
  code.get(b).i64(63).op(0x87).get(a).op(0x83, 0x7d);
  return code;
}

/** Exchanges neighbours of `bits` bits in `v`. */
function swapNeighbours(code: Code, v: number, bits: number, mask: bigint): void {
  code.get(v).i64(bits).op(0x88).i64(mask).op(0x83);
  code.get(v).i64(mask).op(0x83).i64(bits).op(0x86, 0x84).set(v);
}

function rbitHelper(): Code {
  const code = new Code(1);
  swapNeighbours(code, 0, 1, 0x5555_5555_5555_5555n);
  swapNeighbours(code, 0, 2, 0x3333_3333_3333_3333n);
  swapNeighbours(code, 0, 4, 0x0f0f_0f0f_0f0f_0f0fn);
  swapNeighbours(code, 0, 8, 0x00ff_00ff_00ff_00ffn);
  swapNeighbours(code, 0, 16, 0x0000_ffff_0000_ffffn);
  code.get(0).i64(32).op(0x89);
  return code;
}

/** rev(value, bytes): reverses the bytes in each group. */
function revHelper(): Code {
  const code = new Code(2);
  const [v, bytes] = [0, 1];
  swapNeighbours(code, v, 8, 0x00ff_00ff_00ff_00ffn);
  code.get(bytes).i32(2).op(0x46).if();
  code.get(v).return().end();
  swapNeighbours(code, v, 16, 0x0000_ffff_0000_ffffn);
  code.get(bytes).i32(4).op(0x46).if();
  code.get(v).return().end();
  code.get(v).i64(32).op(0x89);
  return code;
}
