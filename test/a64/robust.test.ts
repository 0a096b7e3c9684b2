import assert from "node:assert/strict";
import fc from "fast-check";
import { encode } from "../../lib/model/a64/bits.js";
import { a64 } from "../../lib/model/a64/table.js";
import { Guest, RAM } from "./guest.js";

const word = fc.integer({ min: 0, max: 0xffff_ffff });
const quad = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const near = fc.integer({ min: 0, max: 0xffff }).map((offset) => RAM + BigInt(offset));
const instruction = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.tuple(fc.constantFrom(...a64), word).map(([row, random]) => {
      return (encode(row.encoding, {}) | (random & ~row.encoding.mask)) >>> 0;
    }),
  },
  { weight: 1, arbitrary: word },
);

/** SCTLR_EL1.M, EE and E0E: the evaluator would not begin. */
const NOT_THERE = 0x300_0001n;

const kinds = new Set(["budget", "kicked", "el2", "lacks"]);

describe("the evaluator, whatever a guest executes", () => {
  for (const promises of [true, false]) {
    it(`always ends with a stop when its CPU has ${promises ? "every feature" : "no feature"}`, function () {
      this.timeout(60_000);
      const environment = { promises: () => promises, has: () => promises };
      const guest = new Guest({ environment });

      fc.assert(
        fc.property(
          fc.array(instruction, { minLength: 1, maxLength: 24 }),
          fc.array(fc.oneof(quad, near), { minLength: 33, maxLength: 33 }),
          fc.record({ pstate: quad, sctlr: quad, tcr: quad, cpacr: quad, vbar: fc.oneof(near, quad) }),
          (program, registers, control) => {
            guest.program(...program);
            const { state, evaluator } = guest;
            for (const [n, value] of registers.slice(0, 31).entries()) state.setX(n, value);
            state.spEl0 = registers[31]!;
            state.spEl1 = registers[32]!;
            state.pc = RAM;
            // Of what KVM lets userspace set: AArch64, EL0 or EL1.
            state.pstate = (control.pstate & 0xf3f0_13c0n) | [0n, 4n, 5n][Number(control.pstate % 3n)]!;
            state.set("SCTLR_EL1", control.sctlr & ~NOT_THERE);
            state.set("TCR_EL1", control.tcr);
            state.set("CPACR_EL1", control.cpacr);
            state.set("VBAR_EL1", control.vbar);

            const stop = evaluator.run(200);

            assert.ok(kinds.has(stop.kind));
            assert.equal(state.quads[31], 0n, "XZR was written");
          },
        ),
        { numRuns: 3000 },
      );
    });
  }
});
