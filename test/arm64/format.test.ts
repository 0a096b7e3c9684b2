import assert from "node:assert/strict";
import fc from "fast-check";
import type { RegId } from "../../lib/arm64/index.js";
import { formatRegId, legacy, parseRegId, regId, sve, sysReg, sysRegId, sysRegs, x } from "../../lib/arm64/index.js";

/** An id with these parts. */
function assembled(arch: number, size: number, reserved: number, space: number, index: number): RegId {
  const high = (BigInt(arch) << 56n) | (BigInt(size) << 52n);
  return regId(high | (BigInt(reserved) << 28n) | (BigInt(space) << 16n) | BigInt(index));
}

const arch = fc.constantFrom(0x60, 0x40);
const size = fc.integer({ min: 0, max: 8 });
const index = fc.integer({ min: 0, max: 0xffff });
const smallIndex = fc.integer({ min: 0, max: 0x700 });

/** In the spaces that are, in registers that may be. */
const likely = fc.record({
  arch,
  size: fc.constantFrom(2, 3, 4, 5, 6, 8),
  space: fc.integer({ min: 0x0f, max: 0x17 }),
  index: fc.oneof(smallIndex, index),
});

describe("formatRegId and parseRegId", () => {
  const texts: readonly (readonly [id: bigint, text: string])[] = [
    [x(7), "x7"],
    [0x6030_0000_0010_003en, "sp"],
    [0x6030_0000_0010_0042n, "pstate"],
    [0x6030_0000_0010_0048n, "SPSR_EL1"],
    [0x6030_0000_0010_004an, "SPSR_abt"],
    [0x6040_0000_0010_0060n, "v3"],
    [0x6020_0000_0010_00d5n, "FPCR"],
    [0x6020_0000_0011_0003n, "CCSIDR 3"],
    [0x6030_0000_0013_c080n, "SCTLR_EL1"],
    [0x6030_0000_0013_c083n, "SCTLR2_EL1"],
    [0x6030_0000_0013_c01bn, "S3_0_C0_C3_3"],
    [0x6030_0000_0013_c087n, "S3_0_C1_C0_7"],
    [0x6030_0000_0013_df1an, "CNTVCT_EL0"],
    [0x6030_0000_0013_df02n, "CNTV_CVAL_EL0"],
    [0x6030_0000_0014_0000n, "firmware PSCI_VERSION"],
    [0x6030_0000_0014_0002n, "firmware SMCCC_ARCH_WORKAROUND_2"],
    [0x6030_0000_0016_0003n, "firmware VENDOR_HYP_BMAP_2"],
    [sve.z(3), "z3 slice 0"],
    [sve.p(2, 1), "p2 slice 1"],
    [sve.ffr(), "ffr slice 0"],
    [sve.vls, "sve vls"],
    [0x6020_0000_0013_c080n, "SCTLR_EL1 u32"],
    [0x6030_0000_0010_00d5n, "FPCR u64"],
    [0x6030_0000_0010_0001n, "core 0x1 u64"],
    [0x6020_0000_0011_000en, "demux 0xe u32"],
    [0x6030_0000_0014_0009n, "firmware 0x9 u64"],
    [0x6030_0000_0016_0009n, "firmware-features 0x9 u64"],
    [0x6030_0000_0015_0700n, "sve 0x700 u64"],
    [0x6030_0000_0017_0001n, "space 0x17 0x1 u64"],
    [0x6030_0001_0013_c080n, "0x603000010013c080"],
    [legacy.core(13), "arm sp"],
    [legacy.core(16), "arm cpsr"],
    [legacy.cp15_32(1, 0, 0, 0), "arm p15 0,c1,c0,0"],
    [legacy.cp15_64(2, 1), "arm p15 1,c2"],
    [legacy.vfpD(3), "arm d3"],
    [legacy.vfp("FPEXC"), "arm FPEXC"],
    [legacy.demux(1), "arm CCSIDR 1"],
    [legacy.firmware(0), "arm firmware PSCI_VERSION"],
  ];
  for (const [id, text] of texts) {
    it(`0x${id.toString(16)} is "${text}", both ways`, () => {
      assert.equal(formatRegId(id), text);
      assert.equal(parseRegId(text), id);
    });
  }

  it("are inverse for every id whose architecture and size are any", () => {
    const any = fc.tuple(arch, size, fc.constantFrom(0, 0, 0, 1, 0xff_ffff), fc.integer({ min: 0, max: 0xfff }), index);
    fc.assert(
      fc.property(any, (parts) => {
        const id = assembled(...parts);
        assert.equal(parseRegId(formatRegId(id)), id);
      }),
      { numRuns: 2000 },
    );
  });

  it("are inverse for ids in the spaces that exist, in any case of letters", () => {
    fc.assert(
      fc.property(likely, (parts) => {
        const id = assembled(parts.arch, parts.size, 0, parts.space, parts.index);
        const text = formatRegId(id);
        assert.equal(parseRegId(text.toLowerCase()), id);
        assert.equal(parseRegId(` ${text.toUpperCase()} `), id);
      }),
      { numRuns: 5000 },
    );
  });

  it("are inverse for every index of the core, SVE and legacy core spaces in every size", () => {
    for (const [architecture, space, count] of [
      [0x60, 0x10, 0x100],
      [0x60, 0x15, 0x640],
      [0x40, 0x10, 0x40],
      [0x40, 0x12, 0x40],
    ] as const) {
      for (let code = 0; code <= 8; code++) {
        for (let i = 0; i < count; i++) {
          const id = assembled(architecture, code, 0, space, i);
          assert.equal(parseRegId(formatRegId(id)), id);
        }
      }
    }
  });

  it("give no two ids one text", () => {
    fc.assert(
      fc.property(likely, likely, (one, other) => {
        const [a, b] = [one, other].map((p) => assembled(p.arch, p.size, 0, p.space, p.index)) as [RegId, RegId];
        assert.equal(formatRegId(a) === formatRegId(b), a === b);
      }),
    );
  });

  it("know each system register by its name", () => {
    for (const reg of sysRegs) {
      const id = sysRegId(reg);
      assert.equal(parseRegId(reg.name), id);
      assert.equal(parseRegId(formatRegId(id)), id);
    }
  });

  it("understand numbers, hexadecimal and decimal", () => {
    assert.equal(parseRegId("0x603000000013c080"), sysReg("SCTLR_EL1"));
    assert.equal(parseRegId("0X603000000013C080"), sysReg("SCTLR_EL1"));
    assert.equal(parseRegId(sysReg("SCTLR_EL1").toString()), sysReg("SCTLR_EL1"));
  });

  it("take the encoding of a register as KVM does: the timer ids stay swapped", () => {
    assert.equal(formatRegId(parseRegId("S3_3_C14_C0_2")), "CNTV_CVAL_EL0");
    assert.equal(formatRegId(parseRegId("TIMER_CNT")), "CNTVCT_EL0");
    assert.equal(formatRegId(parseRegId("timer_cval")), "CNTV_CVAL_EL0");
    assert.equal(formatRegId(parseRegId("PTIMER_CNT")), "CNTPCT_EL0");
  });

  it("default to slice 0", () => {
    assert.equal(parseRegId("z3"), sve.z(3));
    assert.equal(parseRegId("P2"), sve.p(2));
    assert.equal(parseRegId("ffr"), sve.ffr());
  });

  const nonsense = ["", " ", "x31", "x", "v32", "z32", "p16", "z0 slice 32", "SCTLR_EL9", "CCSIDR 14", "constructor"];
  const more = [
    "S4_0_C0_C0_0",
    "S3_0_C16_C0_0",
    "x7 u7",
    "x7 u65",
    "space 0x1000 0x0 u64",
    "core 0x1",
    "arm x0",
    "arm r13",
  ];
  for (const text of [...nonsense, ...more, "0x", "-1", "firmware", "space 0x17 0x10000 u64", "arm p15 16,c0,c0,0"]) {
    it(`refuse ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseRegId(text), {
        name: "RangeError",
        message: /^parseRegId: text ".*" names no register/,
      });
    });
  }

  it("refuse numbers that cannot be ids", () => {
    assert.throws(() => parseRegId("0"), { name: "RangeError", message: /bits 63:56/ });
    assert.throws(() => parseRegId("0x16030000000140000"), { name: "RangeError", message: /64 bits/ });
  });

  it("never crash on any text", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseRegId(text);
        } catch (error) {
          assert.ok(error instanceof RangeError, String(error));
        }
      }),
    );
  });

  it("want a text and a bigint", () => {
    assert.throws(() => parseRegId(7 as unknown as string), { name: "TypeError", message: /text must be a string/ });
    assert.throws(() => formatRegId(7 as unknown as bigint), { name: "TypeError", message: /id must be a bigint/ });
  });

  it("leave what is no id a number", () => {
    assert.equal(formatRegId(0n), "0x0");
    assert.equal(formatRegId(0x60f0_0000_0010_0000n), "0x60f0000000100000");
  });
});
