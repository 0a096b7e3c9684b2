import assert from "node:assert/strict";
import { injectSError, injectUndefined } from "../../lib/model/cpu/exceptions.js";
import { Guest, RAM } from "./guest.js";

const VECTORS = RAM + 0x800n;
const F = 1n << 6n;
const I = 1n << 7n;
const A = 1n << 8n;
const EL1H = 5n;
const NOP = 0xd503201f;

/** A guest at EL1h with these PSTATE bits, between NOPs. */
function guestWith(bits: bigint): Guest {
  const guest = new Guest().program(NOP, NOP, NOP, NOP);
  guest.state.set("VBAR_EL1", VECTORS);
  guest.state.pstate = EL1H | bits;
  return guest;
}

describe("interrupts", () => {
  const cases: [line: "irq" | "fiq", mask: bigint, vector: bigint][] = [
    ["irq", I, 0x280n],
    ["fiq", F, 0x300n],
  ];
  for (const [line, mask, vector] of cases) {
    it(`takes ${line} before the next instruction when it is not masked`, () => {
      const guest = guestWith(0n);
      guest.evaluator.run(1);
      guest.state.setLine(line, 1);

      guest.evaluator.run(0);

      assert.equal(guest.state.pc, VECTORS + vector);
      assert.equal(guest.state.elrEl1, RAM + 4n);
      assert.equal(guest.state.pstate & 0x3c0n, 0x3c0n);
    });

    it(`keeps ${line} pending while it is masked, and takes it when it is unmasked`, () => {
      const guest = guestWith(mask).program(NOP, 0xd50343ff, NOP); // nop; msr daifclr, #3; nop
      guest.state.setLine(line, 1);

      guest.evaluator.run(1);
      const masked = guest.state.pc;
      guest.evaluator.run(1);

      assert.equal(masked, RAM + 4n);
      assert.equal(guest.state.elrEl1, RAM + 8n);
    });
  }

  it("takes an IRQ before an FIQ, and both before an SError, which comes once with its syndrome", () => {
    const guest = guestWith(0n);
    injectSError(guest.state, 0x12345);
    for (const line of ["irq", "fiq"] as const) guest.state.setLine(line, 1);
    const taken = [I | F | A, F | A, A].map((unmasked) => {
      guest.state.mode = Number(EL1H | ((I | F | A) & ~unmasked));
      guest.evaluator.run(0);
      return guest.state.pc;
    });

    assert.deepEqual(taken, [VECTORS + 0x280n, VECTORS + 0x300n, VECTORS + 0x380n]);
    assert.equal(guest.state.get("ESR_EL1"), 0xbe01_2345n);
    assert.equal(guest.state.pendingSError, null);
  });

  it("defers a masked SError to DISR_EL1 at ESB", () => {
    const guest = guestWith(A).program(0xd503221f); // esb
    injectSError(guest.state, 0x11);

    guest.evaluator.run(1);

    assert.equal(guest.state.get("DISR_EL1"), 0x8000_0011n);
    assert.equal(guest.state.pendingSError, null);
  });

  it("comes before the exception of an illegal execution state, and ends that state", () => {
    const guest = guestWith(1n << 20n); // PSTATE.IL
    guest.ram.setUint32(0xa80, NOP, true);
    guest.state.setLine("irq", 1);

    guest.evaluator.run(1);

    assert.equal(guest.state.pc, VECTORS + 0x284n);
    assert.equal(guest.state.spsr(0), EL1H | (1n << 20n));
  });

  it("shows what is pending in ISR_EL1, masked or not", () => {
    const guest = guestWith(A | I | F).program(0xd538c100); // mrs x0, isr_el1
    guest.state.setLine("irq", 1);
    injectSError(guest.state, 0);

    guest.evaluator.run(1);

    assert.equal(guest.state.x(0), 0x180n);
  });
});

describe("exceptions that a hypervisor injects", () => {
  it("come as an Undefined Instruction", () => {
    const guest = guestWith(0n);

    injectUndefined(guest.state);

    assert.equal(guest.state.pc, VECTORS + 0x200n);
    assert.equal(guest.state.get("ESR_EL1"), 0x0200_0000n);
    assert.equal(guest.state.elrEl1, RAM);
  });
});
