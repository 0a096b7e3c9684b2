import assert from "node:assert/strict";
import { Guest, RAM } from "./guest.js";

describe("the evaluator", () => {
  it("adds immediates until the budget is used up", () => {
    const guest = new Guest().program(0x91000400, 0x91000400, 0x91000400); // add x0, x0, #1

    const stop = guest.evaluator.run(3);

    assert.deepEqual(stop, { kind: "budget" });
    assert.equal(guest.state.x(0), 3n);
    assert.equal(guest.state.pc, RAM + 12n);
  });

  it("runs a loop to its end and stops at the hypercall behind it", () => {
    // mov x0, #1000; 1: subs x0, x0, #1; b.ne 1b; hvc #7
    const guest = new Guest().program(0xd2807d00, 0xf1000400, 0x54ffffe1, 0xd40000e2);

    const stop = guest.evaluator.run(1_000_000);

    assert.deepEqual(stop, { kind: "el2", esr: 0x5a000007, far: 0n, ipa: 0n });
    assert.equal(guest.evaluator.executed, 2002);
    assert.equal(guest.state.pc, RAM + 16n);
    assert.equal(guest.state.pstate, 0x6000_03c5n);
  });

  it("gives way to a kick before the next instruction", () => {
    const guest = new Guest().program(0x14000000);
    guest.state.kick();

    const stop = guest.evaluator.run(1_000_000);

    assert.deepEqual(stop, { kind: "kicked" });
    assert.equal(guest.evaluator.executed, 0);
  });

  it("takes an undefined instruction to the vector of EL1", () => {
    const guest = new Guest().program(0);
    guest.state.set("VBAR_EL1", RAM + 0x800n);

    guest.evaluator.run(1);

    assert.equal(guest.state.pc, RAM + 0xa00n);
    assert.equal(guest.state.get("ESR_EL1"), 0x0200_0000n);
    assert.equal(guest.state.elrEl1, RAM);
    assert.equal(guest.state.spsr(0), 0x3c5n);
  });
});
