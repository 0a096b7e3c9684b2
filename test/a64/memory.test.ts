import assert from "node:assert/strict";
import { Guest, RAM } from "./guest.js";

const LDR = 0xf9400022; // ldr x2, [x1]
const STR = 0xf9000022; // str x2, [x1]
const DATA = RAM + 0x2000n;
const VECTORS = RAM + 0x800n;
const SYNCHRONOUS = VECTORS + 0x200n;

function pointing(guest: Guest, address: bigint, value = 0n): Guest {
  guest.state.setX(1, address);
  guest.state.setX(2, value);
  guest.state.set("VBAR_EL1", VECTORS);
  return guest;
}

describe("guest memory", () => {
  it("asks the bus once for reads and once for the first write of a page", () => {
    const guest = pointing(new Guest().program(LDR, LDR, STR, STR), DATA);

    guest.evaluator.run(4);

    assert.deepEqual(guest.bus.asked, [`fetch ${RAM.toString(16)}`, "read 40002000", "write 40002000"]);
  });

  it("asks again for every page when the bus' generation grew", () => {
    const guest = pointing(new Guest().program(STR, STR), DATA);
    guest.evaluator.run(1);
    guest.bus.asked.length = 0;
    guest.bus.generation++;

    guest.evaluator.run(1);

    assert.deepEqual(guest.bus.asked, [`fetch ${RAM.toString(16)}`, "write 40002000"]);
  });

  it("loads and stores across two pages that are not neighbours in the host", () => {
    const guest = pointing(new Guest().program(STR, LDR), DATA - 3n, 0x1122_3344_5566_7788n);

    guest.evaluator.run(2);

    assert.equal(guest.state.x(2), 0x1122_3344_5566_7788n);
    assert.equal(guest.ram.getBigUint64(0x1ffd, true), 0x1122_3344_5566_7788n);
  });

  it("executes what a store has just written", () => {
    const guest = pointing(new Guest().program(0xb9000022, 0, 0), RAM + 4n, 0xd2800aa0n); // str w2, [x1]

    guest.evaluator.run(2); // mov x0, #0x55

    assert.equal(guest.state.x(0), 0x55n);
  });

  it("executes what the host has written between two runs", () => {
    const guest = new Guest().program(0xd2800020, 0x17ffffff); // mov x0, #1; b .-4
    guest.evaluator.run(10);
    guest.program(0xd2800040); // mov x0, #2

    guest.evaluator.run(10);

    assert.equal(guest.state.x(0), 2n);
  });

  it("sees a memory that has grown since the state was made", () => {
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 4, shared: true });
    const guest = new Guest({ memory });
    pointing(guest.program(STR), DATA, 9n);
    const at = memory.grow(1) * 0x1_0000;
    guest.bus.page = (ipa) => (ipa === RAM ? 0x1_0000 : at);
    guest.bus.generation++;

    guest.evaluator.run(1);

    assert.equal(new DataView(memory.buffer).getBigUint64(at, true), 9n);
  });

  it("ignores the top byte of an address where TCR_EL1.TBI0 says so", () => {
    const guest = pointing(new Guest().program(LDR), DATA | (0x5an << 56n));
    guest.state.set("TCR_EL1", 1n << 37n);
    guest.ram.setBigUint64(0x2000, 7n, true);

    guest.evaluator.run(1);

    assert.equal(guest.state.x(2), 7n);
  });

  it("takes an address beyond the physical address size to EL1 as an address size fault", () => {
    const guest = pointing(new Guest().program(LDR), 1n << 48n);

    guest.evaluator.run(1);

    assert.equal(guest.state.pc, SYNCHRONOUS);
    assert.equal(guest.state.get("ESR_EL1"), 0x9600_0000n);
    assert.equal(guest.state.get("FAR_EL1"), 1n << 48n);
  });

  it("faults unaligned accesses while stage 1 is off, since all is Device memory then", () => {
    const guest = new Guest({ environment: { unalignedDevice: "fault" } }).program(STR);
    pointing(guest, DATA + 1n);

    guest.evaluator.run(1);

    assert.equal(guest.state.pc, SYNCHRONOUS);
    assert.equal(guest.state.get("ESR_EL1"), 0x9600_0061n);
    assert.equal(guest.state.get("FAR_EL1"), DATA + 1n);
  });

  it("checks the stack pointer's alignment when SCTLR_EL1.SA is set", () => {
    const guest = pointing(new Guest().program(0xf94003e0), DATA); // ldr x0, [sp]
    guest.state.spEl1 = DATA + 8n;

    guest.evaluator.run(1);

    assert.equal(guest.state.pc, SYNCHRONOUS);
    assert.equal(guest.state.get("ESR_EL1"), 0x9a00_0000n);
  });

  it("fails a Store-Exclusive after another store changed the location", () => {
    // ldxr x3, [x1]; str x2, [x1]; stxr w4, x2, [x1]
    const guest = pointing(new Guest().program(0xc85f7c23, STR, 0xc8047c22), DATA, 5n);

    guest.evaluator.run(3);

    assert.equal(guest.state.x(4), 1n);
  });

  it("zeroes the block of DC ZVA and nothing beside it", () => {
    const guest = pointing(new Guest().program(0xd50b7421), DATA + 0x50n); // dc zva, x1
    new Uint8Array(guest.ram.buffer, guest.ram.byteOffset + 0x2000, 0x100).fill(0xff);

    guest.evaluator.run(1);

    const after = new Uint8Array(guest.ram.buffer, guest.ram.byteOffset + 0x2000, 0x100);
    assert.deepEqual([after[0x3f], after[0x40], after[0x7f], after[0x80]], [0xff, 0, 0, 0xff]);
  });
});
