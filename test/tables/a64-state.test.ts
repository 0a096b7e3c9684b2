import assert from "node:assert/strict";
import { type SysRegName, sysRegs } from "../../lib/arm64/sysregs.js";
import { CpuState, cells } from "../../lib/model/cpu/state.js";

function memory(pages = 1): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

describe("the state of a CPU", () => {
  it("begins with the general registers, which generated code addresses directly", () => {
    assert.deepEqual([cells.x, cells.zero, cells.spEl0], [0, 31, 32]);
  });

  it("gives every system register a cell of its own, in the order of the table", () => {
    const state = new CpuState(memory(), 0);
    for (const [n, { name }] of sysRegs.entries()) state.set(name as SysRegName, BigInt(n) + 1n);

    const wrong = sysRegs.filter((_, n) => state.sysreg(n) !== BigInt(n) + 1n);

    assert.deepEqual(wrong, []);
    assert.equal(state.x(30), 0n);
  });

  it("ends where it says", () => {
    assert.equal(CpuState.bytes % 64, 0);
    assert.ok((cells.sysregs + sysRegs.length) * 8 <= CpuState.bytes);
  });

  it("keeps PSTATE in one word, NZCV and all", () => {
    const state = new CpuState(memory(), 0);

    state.pstate = 0xffff_ffff_f140_03c5n;

    assert.equal(state.pstate, 0xffff_ffff_f140_03c5n);
    assert.equal(state.el, 1);
  });

  it("is the same for two objects at one place, and another at another", () => {
    const shared = memory();
    const [one, same, other] = [new CpuState(shared, 0), new CpuState(shared, 0), new CpuState(shared, CpuState.bytes)];

    one.setX(5, 7n);
    one.setV(
      31,
      Uint8Array.from({ length: 16 }, (_, n) => n),
    );
    one.fpcr = 0x8000_0000;

    assert.equal(same.x(5), 7n);
    assert.deepEqual([...same.v(31)], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    assert.deepEqual([same.fpcr, same.fpsr], [0x8000_0000, 0]);
    assert.deepEqual([other.x(5), other.fpcr], [0n, 0]);
  });

  it("survives the growth of its memory", () => {
    const growing = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true });
    const before = new CpuState(growing, 0);
    growing.grow(1);
    const after = new CpuState(growing, 0);

    before.setX(1, 9n);

    assert.equal(after.x(1), 9n);
  });

  it("takes no memory that is not shared, nor a crooked place", () => {
    assert.throws(() => new CpuState(new WebAssembly.Memory({ initial: 1 }), 0), TypeError);
    assert.throws(() => new CpuState(memory(), 4), RangeError);
  });
});
