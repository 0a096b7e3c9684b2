// QARMA5 in generated code (cpu/qarma.ts has the words): a block is a vector of 16 bytes, one for each cell.

import {
  ALPHA,
  CONSTANTS,
  ROUNDS,
  rotated,
  SHUFFLE,
  SUBSTITUTION,
  stepped,
  TWEAK_SHUFFLE,
  TWEAK_STEPPED,
} from "../../cpu/qarma.js";
import { Code, I64, type Local, V128 } from "./binary.js";
import { i64, v128 } from "./opcodes.js";

const cells = Array.from({ length: 16 }, (_, n) => n);
const UNSHUFFLE = cells.map((n) => SHUFFLE.indexOf(n));
const INVERSE = cells.map((n) => SUBSTITUTION.indexOf(n));
/** Each byte of a block twice, from the most significant; and back. */
const BYTES = cells.map((n) => 7 - (n >> 1));
const PACKED = cells.map((n) => (14 - 2 * n) & 15);

const constant = (code: Code, lanes: readonly number[]) => code.vector(v128.constant, ...lanes);
/** Lane n comes from lane `from[n]`. */
function permuted(code: Code, from: readonly number[], scratch: Local): void {
  code
    .set(scratch)
    .get(scratch)
    .get(scratch)
    .vector(v128.shuffle, ...from);
}

/** Code of `qarma(data, modifier, whitening, core)`: the authentication code. */
export function qarmaHelper(): Code {
  const code = new Code(4);
  const [data, modifier, whitening, core] = [0, 1, 2, 3];
  const vector = () => code.local(V128);
  const [state, scratch, w0, w1, k0] = [vector(), vector(), vector(), vector(), vector()];
  const tweaks = Array.from({ length: ROUNDS + 1 }, vector);
  const folded = code.local(I64);

  /** A vector of nothing but cells, of the 64 bits on the stack. */
  const spread = () => {
    code.vector(v128.splat64);
    permuted(code, BYTES, scratch);
    code.set(scratch).get(scratch).i32(4).vector(v128.shr8);
    code.get(scratch);
    constant(
      code,
      cells.map(() => 15),
    );
    code.vector(v128.and);
    constant(
      code,
      cells.map((n) => (n % 2 === 0 ? 0xff : 0)),
    );
    code.vector(v128.bitselect);
  };
  const lookedUp = (table: readonly number[], of: Local) => {
    constant(code, table);
    code.get(of).vector(v128.swizzle);
  };
  const substitute = (table: readonly number[]) => {
    lookedUp(table, state);
    code.set(state);
  };
  const shuffle = (from: readonly number[]) => {
    code
      .get(state)
      .get(state)
      .vector(v128.shuffle, ...from)
      .set(state);
  };
  /** The matrix circ(0, ρ, ρ², ρ) on columns of every fourth cell. */
  const mix = () => {
    const below = (rows: number) => cells.map((n) => (n + 4 * rows) & 15);
    lookedUp(
      cells.map((cell) => rotated(cell, 1)),
      state,
    );
    code.set(scratch);
    code
      .get(scratch)
      .get(scratch)
      .vector(v128.shuffle, ...below(1));
    code
      .get(scratch)
      .get(scratch)
      .vector(v128.shuffle, ...below(3))
      .vector(v128.xor);
    lookedUp(
      cells.map((cell) => rotated(cell, 2)),
      state,
    );
    permuted(code, below(2), scratch);
    code.vector(v128.xor).set(state);
  };
  const forward = () => {
    shuffle(SHUFFLE);
    mix();
  };
  const backward = () => {
    mix();
    shuffle(UNSHUFFLE);
  };
  const add = (...vectors: readonly Local[]) => {
    code.get(state);
    for (const one of vectors) code.get(one).vector(v128.xor);
    code.set(state);
  };
  const addConstant = (words: readonly (readonly [number, number])[]) => {
    const word = (n: 0 | 1) => words.reduce((sum, pair) => sum ^ pair[n], 0);
    const lanes = cells.map((n) => (word(n < 8 ? 0 : 1) >>> (28 - 4 * (n & 7))) & 15);
    code.get(state);
    constant(code, lanes);
    code.vector(v128.xor).set(state);
  };

  code.get(whitening);
  spread();
  code.set(w0);
  code.get(whitening).i64(1).op(i64.rotr).get(whitening).i64(63).op(i64.shr, i64.xor).set(folded);
  code.get(folded);
  spread();
  code.set(w1);
  code.get(core);
  spread();
  code.set(k0);
  code.get(modifier);
  spread();
  code.set(tweaks[0]!);
  for (let n = 1; n <= ROUNDS; n++) {
    const tweak = tweaks[n]!;
    code.get(tweaks[n - 1]!);
    permuted(code, TWEAK_SHUFFLE, scratch);
    code.set(scratch);
    lookedUp(cells.map(stepped), scratch);
    code.get(scratch);
    constant(
      code,
      cells.map((cell) => (TWEAK_STEPPED.has(cell) ? 0xff : 0)),
    );
    code.vector(v128.bitselect).set(tweak);
  }

  code.get(data);
  spread();
  code.get(w0).vector(v128.xor).set(state);
  for (let n = 0; n < ROUNDS; n++) {
    add(k0, tweaks[n]!);
    addConstant([CONSTANTS[n]!]);
    if (n > 0) forward();
    substitute(SUBSTITUTION);
  }
  add(w1, tweaks[ROUNDS]!);
  forward();
  substitute(SUBSTITUTION);
  forward();
  add(k0);
  shuffle(UNSHUFFLE);
  substitute(INVERSE);
  backward();
  add(w0, tweaks[ROUNDS]!);
  for (let n = ROUNDS - 1; n >= 0; n--) {
    substitute(INVERSE);
    if (n > 0) backward();
    add(k0, tweaks[n]!);
    addConstant([CONSTANTS[n]!, ALPHA]);
  }
  add(w1);

  code.get(state).i32(4).vector(v128.shl16).get(state).i32(8).vector(v128.shr16).vector(v128.or);
  permuted(code, PACKED, scratch);
  return code.vector(v128.extract64, 0);
}
