import assert from "node:assert/strict";
import { watchpointsOf } from "../../lib/model/cpu/guest-debug.js";
import type { Stop } from "../../lib/model/engine/evaluator.js";
import { Guest, RAM } from "./guest.js";

/** Where the guest of these tests has nothing. */
const DEVICE = 0x900_0018n;

// ISS of a data abort, DDI 0487 D24.2, "ESR_EL1".
const ISV = 1 << 24;
const SSE = 1 << 21;
const SF = 1 << 15;
const AR = 1 << 14;
const WnR = 1 << 6;
const TRANSLATION3 = 0x07;
const PERMISSION3 = 0x0f;
const size = (log2: number) => log2 << 22;
const rt = (n: number) => n << 16;

function dataAbort(iss: number, far = DEVICE): Stop {
  return { kind: "el2", esr: ((0x24 << 26) | (1 << 25) | iss) >>> 0, far, ipa: far };
}

/** Runs one instruction with the address of a device in X1. */
function touch(word: number, address = DEVICE): { guest: Guest; stop: Stop } {
  const guest = new Guest().program(word);
  guest.state.setX(1, address);
  return { guest, stop: guest.evaluator.run(1) };
}

describe("an access to nothing stops with the syndrome of a stage-2 data abort", () => {
  const described: [what: string, word: number, iss: number][] = [
    ["LDRB W2", 0x39400022, ISV | size(0) | rt(2) | TRANSLATION3],
    ["LDRSB X2", 0x39800022, ISV | size(0) | SSE | SF | rt(2) | TRANSLATION3],
    ["LDRSH W2", 0x79c00022, ISV | size(1) | SSE | rt(2) | TRANSLATION3],
    ["LDR W2", 0xb9400022, ISV | size(2) | rt(2) | TRANSLATION3],
    ["LDRSW X2", 0xb9800022, ISV | size(2) | SSE | SF | rt(2) | TRANSLATION3],
    ["LDR X30", 0xf940003e, ISV | size(3) | SF | rt(30) | TRANSLATION3],
    ["LDR XZR", 0xf940003f, ISV | size(3) | SF | rt(31) | TRANSLATION3],
    ["STR W2", 0xb9000022, ISV | size(2) | rt(2) | WnR | TRANSLATION3],
    ["STRB WZR", 0x3900003f, ISV | size(0) | rt(31) | WnR | TRANSLATION3],
    ["LDUR X2 (unscaled)", 0xf8400022, ISV | size(3) | SF | rt(2) | TRANSLATION3],
    ["LDTR X2 (unprivileged)", 0xf8400822, ISV | size(3) | SF | rt(2) | TRANSLATION3],
    ["LDAR X2", 0xc8dffc22, ISV | size(3) | SF | AR | rt(2) | TRANSLATION3],
    ["STLR W2", 0x889ffc22, ISV | size(2) | AR | rt(2) | WnR | TRANSLATION3],
  ];
  for (const [what, word, iss] of described) {
    it(`describes ${what}`, () => {
      const { guest, stop } = touch(word);

      assert.deepEqual(stop, dataAbort(iss));
      assert.equal(guest.state.pc, RAM);
      assert.equal(guest.evaluator.executed, 0);
    });
  }

  const undescribed: [what: string, word: number, iss: number][] = [
    ["LDR X2, [X1], #8", 0xf8408422, TRANSLATION3],
    ["STR X2, [X1, #0]!", 0xf8000c22, WnR | TRANSLATION3],
    ["LDP X2, X3", 0xa9400c22, TRANSLATION3],
    ["STP X2, X3", 0xa9000c22, WnR | TRANSLATION3],
    ["LDXR X2", 0xc85f7c22, TRANSLATION3],
    ["LDADD X2, X3", 0xf8220023, TRANSLATION3],
    ["CAS X2, X3", 0xc8a27c23, TRANSLATION3],
    ["DC ZVA", 0xd50b7421, WnR | TRANSLATION3],
    ["DC CVAC (CM = 1)", 0xd50b7a21, WnR | (1 << 8) | TRANSLATION3],
  ];
  for (const [what, word, iss] of undescribed) {
    it(`leaves ISV = 0 for ${what}`, () => {
      const { stop } = touch(word, DEVICE & ~63n);

      assert.deepEqual(stop, dataAbort(iss, DEVICE & ~63n));
    });
  }

  it("gives the registers back unchanged when the write-back did not happen", () => {
    const { guest } = touch(0xf8408422); // ldr x2, [x1], #8

    assert.equal(guest.state.x(1), DEVICE);
  });

  it("says permission fault for a store to read-only memory, and still loads from it", () => {
    const guest = new Guest({ readOnly: [RAM + 0x1000n] }).program(0xf9400022, 0xf9000022);
    guest.ram.setBigUint64(0x1008, 77n, true);
    guest.state.setX(1, RAM + 0x1008n);

    const stop = guest.evaluator.run(2);

    assert.equal(guest.state.x(2), 77n);
    assert.deepEqual(stop, dataAbort(ISV | size(3) | SF | rt(2) | WnR | PERMISSION3, RAM + 0x1008n));
  });

  it("writes nothing of a pair whose second half faults", () => {
    const guest = new Guest().program(0xa9000c22); // stp x2, x3, [x1]
    const last = RAM + 0x1_0000n - 8n;
    guest.state.setX(1, last);
    guest.state.setX(2, 5n);

    const stop = guest.evaluator.run(1);

    assert.deepEqual(stop, dataAbort(WnR | TRANSLATION3, RAM + 0x1_0000n));
    assert.equal(guest.ram.getBigUint64(0xfff8, true), 0n);
  });

  it("sets the cells of ESR_EL2, FAR_EL2 and HPFAR_EL2", () => {
    const { guest } = touch(0xb9400022);

    assert.equal(guest.state.esrEl2, 0x9382_0007n);
    assert.equal(guest.state.farEl2, DEVICE);
    assert.equal(guest.state.hpfarEl2, 0x9_0000n);
  });
});

describe("other exceptions to EL2", () => {
  it("stops at a fetch from nothing with an instruction abort", () => {
    const guest = new Guest();
    guest.state.pc = DEVICE & ~7n;

    const stop = guest.evaluator.run(10);

    assert.deepEqual(stop, { kind: "el2", esr: 0x8200_0007, far: DEVICE & ~7n, ipa: DEVICE & ~7n });
  });

  it("leaves PC at SMC and after HVC", () => {
    const guest = new Guest().program(0xd4000082, 0xd40000a3); // hvc #4; smc #5

    const hvc = guest.evaluator.run(10);
    const afterHvc = guest.state.pc;
    const smc = guest.evaluator.run(10);

    assert.deepEqual([hvc, afterHvc], [{ kind: "el2", esr: 0x5a00_0004, far: 0n, ipa: 0n }, RAM + 4n]);
    assert.deepEqual([smc, guest.state.pc], [{ kind: "el2", esr: 0x5e00_0005, far: 0n, ipa: 0n }, RAM + 4n]);
  });

  it("stops at WFI, and goes on where an interrupt is pending though masked", () => {
    const guest = new Guest().program(0xd503207f, 0xd503207f);

    const first = guest.evaluator.run(1);
    guest.state.setLine("irq", 1);
    const second = guest.evaluator.run(2);

    assert.deepEqual(first, { kind: "el2", esr: 0x07e0_0000, far: 0n, ipa: 0n });
    assert.deepEqual(second, { kind: "budget" });
    assert.equal(guest.state.pc, RAM + 8n);
  });

  it("stops at WFE only when the event register is clear, and clears it", () => {
    const guest = new Guest().program(0xd50320bf, 0xd503205f, 0xd503205f); // sevl; wfe; wfe

    const stop = guest.evaluator.run(10);

    assert.deepEqual(stop, { kind: "el2", esr: 0x07e0_0001, far: 0n, ipa: 0n });
    assert.equal(guest.state.pc, RAM + 8n);
  });

  it("takes WFE at EL0 to EL1 when SCTLR_EL1.nTWE is clear", () => {
    const guest = new Guest().program(0xd503205f);
    guest.state.pstate = 0n;
    guest.state.set("SCTLR_EL1", 0x3050_0800n);
    guest.state.set("VBAR_EL1", RAM + 0x800n);

    guest.evaluator.run(1);

    assert.equal(guest.state.get("ESR_EL1"), 0x07e0_0001n);
    assert.equal(guest.state.pc, RAM + 0x800n + 0x400n);
  });

  it("names an instruction that is promised and not there, and stays at it", () => {
    const guest = new Guest({ environment: { promises: () => true } }).program(0x5ac01820); // ctz w0, w1
    guest.state.set("CPACR_EL1", 3n << 20n);

    const stop = guest.evaluator.run(10);

    assert.deepEqual(stop, { kind: "lacks", word: 0x5ac01820, name: "CTZ" });
    assert.equal(guest.state.pc, RAM);
  });

  it("takes it to EL1 as an FP access where CPACR_EL1.FPEN traps it", () => {
    const guest = new Guest({ environment: { promises: () => true } }).program(0x1e622820);

    guest.evaluator.run(1);

    assert.equal(guest.state.get("ESR_EL1"), 0x1fe0_0000n);
  });
});

describe("guest debug", () => {
  it("steps one instruction when PSTATE.SS is set, and says whether it was a Load-Exclusive", () => {
    const guest = new Guest().program(0x91000400, 0xc85f7c22); // add x0, x0, #1; ldxr x2, [x1]
    guest.state.setX(1, RAM);
    guest.evaluator.debug = { ...guest.evaluator.debug, singleStep: true };

    const steps = [0, 1].map(() => {
      guest.state.pstate |= 1n << 21n;
      return guest.evaluator.run(100);
    });

    assert.deepEqual(steps, [
      { kind: "el2", esr: 0xcb00_0022, far: 0n, ipa: 0n },
      { kind: "el2", esr: 0xcb00_0062, far: 0n, ipa: 0n },
    ]);
    assert.equal(guest.state.pc, RAM + 8n);
  });

  it("reports a pending step without running anything when PSTATE.SS is clear", () => {
    const guest = new Guest().program(0x91000400);
    guest.evaluator.debug = { ...guest.evaluator.debug, singleStep: true };

    const stop = guest.evaluator.run(100);

    assert.deepEqual(stop, { kind: "el2", esr: 0xca00_0022, far: 0n, ipa: 0n });
    assert.equal(guest.state.x(0), 0n);
  });

  it("steps into the vector of an exception that the instruction takes", () => {
    const guest = new Guest().program(0xd4000021); // svc #1
    guest.state.set("VBAR_EL1", RAM + 0x800n);
    guest.state.pstate |= 1n << 21n;
    guest.evaluator.debug = { ...guest.evaluator.debug, singleStep: true };

    const stop = guest.evaluator.run(100);

    assert.equal(stop.kind, "el2");
    assert.equal(guest.state.pc, RAM + 0xa00n);
  });

  it("steps into the vector of a fetch that faults, and no further", () => {
    const guest = new Guest();
    guest.state.set("VBAR_EL1", RAM + 0x800n);
    guest.state.pc = 1n << 50n;
    guest.state.pstate |= 1n << 21n;
    guest.evaluator.debug = { ...guest.evaluator.debug, singleStep: true };

    guest.evaluator.run(100);

    assert.equal(guest.state.pc, RAM + 0xa00n);
    assert.equal(guest.state.get("ESR_EL1"), 0x8600_0000n);
  });

  it("takes BRK to EL2 when asked to, else to EL1", () => {
    const guest = new Guest().program(0xd4200060); // brk #3
    guest.evaluator.debug = { ...guest.evaluator.debug, enabled: true };

    const stop = guest.evaluator.run(10);

    assert.deepEqual(stop, { kind: "el2", esr: 0xf200_0003, far: 0n, ipa: 0n });
    assert.equal(guest.state.pc, RAM);
  });

  it("stops at a hardware breakpoint before the instruction", () => {
    const guest = new Guest().program(0x91000400, 0x91000400);
    guest.evaluator.debug = {
      ...guest.evaluator.debug,
      breakpoints: [{ address: RAM + 4n, bytes: 4, el0: true, el1: true }],
    };

    const stop = guest.evaluator.run(10);

    assert.deepEqual(stop, { kind: "el2", esr: 0xc200_0022, far: 0n, ipa: 0n });
    assert.equal(guest.state.pc, RAM + 4n);
  });

  it("stops at a watched store, and not at a load or beside it", () => {
    // ldr x2, [x1]; str x2, [x1, #8]; str x2, [x1]
    const guest = new Guest().program(0xf9400022, 0xf9000422, 0xf9000022);
    guest.state.setX(1, RAM + 0x2000n);
    const watchpoints = watchpointsOf([RAM + 0x2000n], [(0xffn << 5n) | (2n << 3n) | (3n << 1n) | 1n]);
    guest.evaluator.debug = { ...guest.evaluator.debug, watchpoints };

    const stop = guest.evaluator.run(10);

    assert.deepEqual(stop, { kind: "el2", esr: 0xd200_0062, far: RAM + 0x2000n, ipa: 0n });
    assert.equal(guest.state.pc, RAM + 8n);
  });
});
