// The words of test/support/assemble.ts against those of GNU as, and the rest of what the contract tests stand on.

import assert from "node:assert/strict";
import * as asm from "../support/assemble.js";
import { contractOf } from "../support/backends.js";

/** aarch64-linux-gnu-as -march=armv8.2-a; aarch64-linux-gnu-objdump -d */
// biome-ignore format: table
const words: readonly (readonly [text: string, ours: number, word: number])[] = [
  ["movz x3, #0x1234, lsl #16",  asm.movz(3, 0x1234, 16),               0xd2a2_4683],
  ["movk x3, #0xffff, lsl #48",  asm.movk(3, 0xffff, 48),               0xf2ff_ffe3],
  ["add x1, x2, #0x800",         asm.addImmediate(1, 2, 0x800),         0x9120_0041],
  ["subs x2, x2, #1",            asm.subsImmediate(2, 2, 1),            0xf100_0442],
  ["ldr x0, [x1, #8]",           asm.load(8, 0, 1, 8),                  0xf940_0420],
  ["ldr w0, [x1]",               asm.load(4, 0, 1),                     0xb940_0020],
  ["ldrh w5, [x1, #2]",          asm.load(2, 5, 1, 2),                  0x7940_0425],
  ["ldrb w0, [x30]",             asm.load(1, 0, 30),                    0x3940_03c0],
  ["str x0, [x1]",               asm.store(8, 0, 1),                    0xf900_0020],
  ["str wzr, [x1, #16]",         asm.store(4, asm.XZR, 1, 16),          0xb900_103f],
  ["strh w7, [x1]",              asm.store(2, 7, 1),                    0x7900_0027],
  ["strb w7, [x1, #0xabc]",      asm.store(1, 7, 1, 0xabc),             0x392a_f027],
  ["ldrsb x0, [x1]",             asm.loadSigned(1, 64, 0, 1),           0x3980_0020],
  ["ldrsh w0, [x1]",             asm.loadSigned(2, 32, 0, 1),           0x79c0_0020],
  ["ldrsw x0, [x1]",             asm.loadSigned(4, 64, 0, 1),           0xb980_0020],
  ["ldr x0, [x1], #8",           asm.loadPost(0, 1, 8),                 0xf840_8420],
  ["str x0, [x1], #8",           asm.storePost(0, 1, 8),                0xf800_8420],
  ["stp x0, x2, [x1]",           asm.storePair(0, 2, 1),                0xa900_0820],
  ["ldp x0, x2, [x1]",           asm.loadPair(0, 2, 1),                 0xa940_0820],
  ["ldxr x0, [x1]",              asm.loadExclusive(0, 1),               0xc85f_7c20],
  ["stxr w3, x0, [x1]",          asm.storeExclusive(3, 0, 1),           0xc803_7c20],
  ["cas x3, x0, [x1]",           asm.compareAndSwap(3, 0, 1),           0xc8a3_7c20],
  ["add x3, x0, x1",             asm.add(3, 0, 1),                      0x8b01_0003],
  ["sub x3, x0, x1",             asm.sub(3, 0, 1),                      0xcb01_0003],
  ["b .-4",                      asm.branch(-4),                        0x17ff_ffff],
  ["cbnz x3, .-16",              asm.branchNonZero(3, -16),             0xb5ff_ff83],
  ["cbz x3, .+8",                asm.branchZero(3, 8),                  0xb400_0043],
  ["tbz x3, #2, .-4",            asm.branchBitZero(3, 2, -4),           0x3617_ffe3],
  ["tbz x3, #63, .+8",           asm.branchBitZero(3, 63, 8),           0xb6f8_0043],
  ["dc zva, x1",                 asm.msr([1, 3, 7, 4, 1], 1),           0xd50b_7421],
  ["msr daifset, #8",            asm.daifSet(8),                        0xd503_48df],
  ["eret",                       asm.eret,                              0xd69f_03e0],
  ["isb",                        asm.isb,                               0xd503_3fdf],
  ["hvc #0x1234",                asm.hvc(0x1234),                       0xd402_4682],
  ["smc #0",                     asm.smc(),                             0xd400_0003],
  ["brk #0x123",                 asm.brk(0x123),                        0xd420_2460],
  ["mrs x0, icc_iar1_el1",       asm.mrs(0, [3, 0, 12, 12, 0]),         0xd538_cc00],
  ["msr icc_pmr_el1, x0",        asm.msr([3, 0, 4, 6, 0], 0),           0xd518_4600],
  ["msr daifclr, #2",            asm.daifClear(2),                      0xd503_42ff],
  ["nop",                        asm.nop,                               0xd503_201f],
  ["wfi",                        asm.wfi,                               0xd503_207f],
  ["b .",                        asm.spin,                              0x1400_0000],
];

describe("the contract tests' assembler", () => {
  for (const [text, ours, word] of words) {
    it(`makes ${text}`, () => {
      assert.equal(ours.toString(16), word.toString(16));
    });
  }

  it("makes 64-bit values of as many moves as they need", () => {
    assert.deepEqual(asm.mov64(1, 5n), [asm.movz(1, 5)]);
    assert.deepEqual(asm.mov64(1, 0x1_0000_0000_0002n), [asm.movz(1, 2), asm.movk(1, 1, 48)]);
  });

  it("refuses what does not fit", () => {
    assert.throws(() => asm.movz(32, 0), RangeError);
    assert.throws(() => asm.movz(0, 0x1_0000), RangeError);
    assert.throws(() => asm.load(8, 0, 1, 4), RangeError);
    assert.throws(() => asm.branch(2), RangeError);
  });
});

describe("the contract of a kernel release", () => {
  for (const [release, contract] of [
    ["6.1.0-50-cloud-arm64", "6.1"],
    ["5.10.0", "6.1"],
    ["6.8.0", "6.1"],
    ["6.12.57+deb13-arm64", "6.12"],
    ["6.18.3", "6.12"],
    ["7.2.0", "7.2"],
    ["7.10.1", "7.2"],
    ["8.0.0-rc1", "7.2"],
  ] as const) {
    it(`of ${release} is that of ${contract}`, () => {
      assert.equal(contractOf(release), contract);
    });
  }
});
