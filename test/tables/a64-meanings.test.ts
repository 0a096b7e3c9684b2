import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { encode } from "../../lib/model/a64/bits.js";
import { disassemble } from "../../lib/model/a64/disassemble.js";
import { type Step, steps } from "../../lib/model/a64/printer.js";
import { a64 } from "../../lib/model/a64/table.js";
import { goldenText } from "../a64/golden.js";

const implemented = a64.filter((row) => row.run !== null);
const word = fc.integer({ min: 0, max: 0xffff_ffff });

/** The register that a name reads: W5 is a half of X5. */
function whole(name: string): string {
  return name === "wsp" ? "sp" : name.replace(/^w(?=\d)/, "x");
}

/** The first step that breaks the rule, if any: faults before writes, and nothing reads what was written. */
function late(all: readonly Step[]): Step | undefined {
  const written = new Set<string>();
  let wrote = false;
  return all.find((step) => {
    if (wrote && step.effect === "access") return true;
    if (step.uses.some((name) => written.has(whole(name)))) return true;
    if (step.effect === "write") wrote = true;
    if (step.writes !== undefined) written.add(step.writes);
    return false;
  });
}

describe("the rule that writes come last", () => {
  const x5: Step = { effect: "write", text: "x5 := t0", uses: ["t0"], writes: "x5" };

  it("is broken by a load after a write", () => {
    const load: Step = { effect: "access", text: "t1 = load8 x1", uses: ["x1"] };
    assert.equal(late([x5, load]), load);
  });

  it("is broken by a read of half of what was written", () => {
    const add: Step = { effect: "compute", text: "t1 = add.w w5, w6", uses: ["w5", "w6"] };
    assert.equal(late([x5, add]), add);
  });
});

describe("the meanings of A64 instructions", () => {
  it("fault before they write, and read nothing that they have written", () => {
    fc.assert(
      fc.property(fc.constantFrom(...implemented), word, (row, random) => {
        const broken = late(steps(row, encode(row.encoding, {}, random) | (random & ~row.encoding.mask)));
        assert.equal(broken, undefined, `${row.name}: ${broken?.text}`);
      }),
      { numRuns: 20_000 },
    );
  });

  it("read as test/a64/golden/rows.txt says (remake it with: node dist/scripts/a64-bless.js)", () => {
    const golden = readFileSync("test/a64/golden/rows.txt", "utf8").split("\n");

    assert.deepEqual(goldenText().split("\n"), golden);
  });
});

describe("the disassembler", () => {
  const cases: [word: number, text: string][] = [
    [0x91001020, "add x0, x1, #0x4"],
    [0xeb02039f, "subs xzr, x28, x2"],
    [0x8b2563ff, "add sp, sp, x5, uxtx"],
    [0x92401c20, "and x0, x1, #0xff"],
    [0xd2807d00, "movz x0, #0x3e8"],
    [0x54ffffe1, "b.ne 0x40000ffc"],
    [0x94000010, "bl 0x40001040"],
    [0xd65f03c0, "ret"],
    [0x3647ff80, "tbz x0, #8, 0x40000ff0"],
    [0x39400022, "ldrb w2, [x1]"],
    [0x79400422, "ldrh w2, [x1, #2]"],
    [0xb9800422, "ldrsw x2, [x1, #4]"],
    [0xf9400422, "ldr x2, [x1, #8]"],
    [0xb8408422, "ldr w2, [x1], #8"],
    [0xa9bf7bfd, "stp x29, x30, [sp, #-16]!"],
    [0xfa41b824, "ccmp x1, #1, #4, lt"],
    [0xd4000021, "svc #0x1"],
    [0xd5384240, "mrs x0, S3_0_C4_C2_2"],
    [0xc85f7c22, "LDXR Xt rn=1 rt=2"],
    [0x0000ffff, "udf #0xffff"],
    [0x6be00000, ".inst 0x6be00000"],
  ];
  for (const [code, text] of cases) {
    it(`writes ${text}`, () => {
      assert.equal(disassemble(code, 0x4000_1000n), text);
    });
  }
});
