// Which instructions of SIMD and floating point generated code does: the list of those that are the evaluator's.

import assert from "node:assert/strict";
import { encode, extract } from "../../lib/model/a64/bits.js";
import { vectorFeatures } from "../../lib/model/a64/features.js";
import type { Insn } from "../../lib/model/a64/insn.js";
import { a64 } from "../../lib/model/a64/table.js";
import { shapeOfRow } from "../../lib/model/engine/wasm/library.js";
import { Random } from "./qemu/random.js";

const rows = a64.filter(({ needs, run }) => run !== null && needs.some((feature) => vectorFeatures.has(feature)));

/** Of the rows that generated code does. */
const LEAST = 670;

/** By the names of their rows; of half precision, what only moves bits is no arithmetic. */
const evaluators: readonly RegExp[] = [
  // Half precision, but for what moves bits only.
  /\((.*, )?half\)/,
  /^(SCVTF|UCVTF|FCVTZS|FCVTZU) \(vector, fixed-point\) H/,
  /^FCVT (Hd|.*Hn)/,
  /^(FMLAL|FMLSL)/,
  // Estimates and their steps, and roundings of their own.
  /^(FRECP|FRSQRT|URECPE|URSQRTE)/,
  /^(FRINT32|FRINT64|FCVTXN)/,
  // Shifts by register that round or saturate; products that round, saturate and accumulate; matrices.
  /^(SQSHL|UQSHL) \(register\)/,
  /^(SRSHL|URSHL|SQRSHL|UQRSHL)(,|$)/,
  /^SQRDML[AS]H/,
  /^(S|U|US)MMLA$/,
  /^PMULL \(64/,
  /^(SHA512|SM3|SM4)/,
  // Stores of one lane of several registers: the second could fail after the first.
  /^ST[234] \(single\)/,
];
const movesOnly = /^(FMOV|FCSEL)/;

const isEvaluators = ({ name }: Insn): boolean => evaluators.some((names) => names.test(name)) && !movesOnly.test(name);

/** Some word of the row has a shape. */
function isGenerated(row: Insn): boolean {
  const random = new Random(row.encoding.value);
  return Array.from({ length: 64 }).some(() => {
    const values = row.encoding.fields.map(({ name, bits }) => [name, random.below(2 ** bits)] as const);
    return shapeOfRow(row, extract(row.encoding, encode(row.encoding, Object.fromEntries(values)))) !== null;
  });
}

const theirs = rows.filter(isEvaluators);
const generated = rows.filter((row) => !isEvaluators(row));

describe("generated code of SIMD and floating point", () => {
  it(`does ${generated.length} of ${rows.length} rows`, () => {
    const missing = generated.filter((row) => !isGenerated(row)).map(({ name }) => name);
    assert.deepEqual(missing, []);
    assert.ok(generated.length >= LEAST);
  });

  it("leaves the others to the evaluator", () => {
    const done = theirs.filter((row) => isGenerated(row)).map(({ name }) => name);
    assert.deepEqual(done, []);
  });
});
