import assert from "node:assert/strict";
import { skipWithout } from "../skip.js";
import { systemFuzz } from "./qemu/system-fuzz.js";
import { whyNoSystemJudge } from "./qemu/system-judge.js";
import { notForUserMode } from "./qemu/unjudged.js";

const CASES = 20_000;

/** Rows whose effects only system mode shows. */
const system = [
  "MRS",
  "MSR",
  "SYS",
  "SVC",
  "BRK",
  "ERET",
  "WFI",
  "MSR UAO",
  "MSR PAN",
  "MSR SPSel",
  "MSR DAIFSet",
  "MSR DAIFClr",
];

describe("the evaluator, judged by QEMU's system mode", () => {
  before(function () {
    const why = whyNoSystemJudge();
    if (why !== null) skipWithout(this, "qemu", why);
  });

  it(`takes exceptions and moves system registers as QEMU does in ${CASES} cases`, function () {
    this.timeout(120_000);

    const { met, mismatches } = systemFuzz(1, CASES);

    const again = "again with: node dist/scripts/a64-fuzz.js --system --seed 1";
    assert.equal(mismatches.length, 0, `${mismatches.join("\n\n")}\n${again}`);
    const unmet = [...system, ...Object.keys(notForUserMode)].filter((name) => !met.has(name));
    assert.deepEqual(unmet, []);
  });
});
