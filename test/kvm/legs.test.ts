// Legs side by side: their output and results come in their order, whichever ends first.

import assert from "node:assert/strict";
import { type Leg, legsAtOnce, runLegs } from "../../scripts/test/legs.js";
import { legNotRun } from "../../scripts/test/report.js";

/** A leg that ends when it is told to. */
function leg(name: string) {
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  let print: (line: string) => void = () => assert.fail(`${name} has not begun`);
  const run: Leg["run"] = async (tell) => {
    print = tell;
    await ended;
    return legNotRun(name, "a test");
  };
  return { leg: { name, run }, say: (line: string) => print(line), end: () => end() };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("legs side by side", () => {
  it("print as if each were alone, the first at once", async () => {
    const [a, b, c] = [leg("a"), leg("b"), leg("c")];
    const printed: string[] = [];
    const results = runLegs([a.leg, b.leg, c.leg], 2, (line) => printed.push(line));
    b.say("b1");
    a.say("a1");
    assert.deepEqual(printed, ["\na", "a1"]);
    b.end();
    await settled();
    c.say("c1");
    assert.deepEqual(printed, ["\na", "a1"]);
    a.end();
    await settled();
    c.say("c2");
    assert.deepEqual(printed, ["\na", "a1", "\nb", "b1", "\nc", "c1", "c2"]);
    c.end();
    assert.deepEqual(
      (await results).map(({ name }) => name),
      ["a", "b", "c"],
    );
  });

  it("are no more at once than they may", async () => {
    const [a, b] = [leg("a"), leg("b")];
    const results = runLegs([a.leg, b.leg], 1, () => {});
    assert.throws(() => b.say("early"), /b has not begun/);
    a.end();
    await settled();
    b.say("now");
    b.end();
    assert.equal((await results).length, 2);
  });

  it("are at least one at once", () => assert.ok(legsAtOnce() >= 1));
});
