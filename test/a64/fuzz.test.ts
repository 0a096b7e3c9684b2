import assert from "node:assert/strict";
import { skipWithout } from "../skip.js";
import { engineNames } from "./engines.js";
import { fuzz } from "./qemu/fuzz.js";
import { whyNoUserJudge } from "./qemu/user-judge.js";

const INSTRUCTIONS = 1_000_000;

for (const engine of engineNames) {
  describe(`the ${engine}, judged by QEMU's user mode`, () => {
    before(function () {
      const why = whyNoUserJudge();
      if (why !== null) skipWithout(this, "qemu", why);
    });

    it(`does as QEMU does in ${INSTRUCTIONS} random instructions, and every row is met`, async function () {
      this.timeout(600_000);

      const { instructions, met, mismatches } = await fuzz(1, INSTRUCTIONS, engine);

      const again = `again with: node dist/scripts/a64-fuzz.js --seed 1 --engine ${engine}`;
      assert.equal(mismatches.length, 0, `${mismatches.join("\n\n")}\n${again}`);
      const unmet = [...met].filter(([, times]) => times === 0).map(([row]) => row.name);
      assert.deepEqual(unmet, []);
      assert.ok(instructions >= INSTRUCTIONS);
    });
  });
}
