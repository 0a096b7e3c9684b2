// What an ITS remembers lies in a memory that grows, which every thread sees through arrays of its own.

import assert from "node:assert/strict";
import { ItsNodes } from "../../lib/model/gic/its-nodes.js";
import type { VmState } from "../../lib/model/vm-state.js";

describe("nodes of an ITS", () => {
  it("reach all of a table that lies across what was the memory's end when they first looked", () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true });
    const nodes = new ItsNodes({ memory } as unknown as VmState);
    memory.grow(1);
    const table = 65536 / 4 - 16;
    assert.equal(nodes.get(table, 20), 0);
    nodes.put(table, 24, 7);
    assert.equal(nodes.get(table, 24), 7);
    nodes.putQuad(table, 28, 9n);
    assert.equal(nodes.quad(table, 28), 9n);
  });
});
