import assert from "node:assert/strict";
import type { RegId } from "../../lib/arm64/index.js";
import {
  bitsOf,
  bytesOf,
  ccsidr,
  elrEl1,
  firmware,
  firmwareFeatures,
  fpcr,
  fpsr,
  is,
  legacy,
  pc,
  pstate,
  regId,
  sp,
  spEl1,
  spsr,
  sve,
  sysReg,
  sysRegEncoding,
  v,
  x,
} from "../../lib/arm64/index.js";

/** Plain JavaScript: the types are not there to help. */
// biome-ignore lint/suspicious/noExplicitAny: that is the point
type Untyped = any;

describe("register ids", () => {
  // Documentation/virt/kvm/api.rst 4.68, and the ids that real kernels list.
  const known: readonly (readonly [string, bigint, bigint])[] = [
    ["x(0)", x(0), 0x6030_0000_0010_0000n],
    ["x(30)", x(30), 0x6030_0000_0010_003cn],
    ["sp", sp, 0x6030_0000_0010_003en],
    ["pc", pc, 0x6030_0000_0010_0040n],
    ["pstate", pstate, 0x6030_0000_0010_0042n],
    ["spEl1", spEl1, 0x6030_0000_0010_0044n],
    ["elrEl1", elrEl1, 0x6030_0000_0010_0046n],
    ["spsr('EL1')", spsr("EL1"), 0x6030_0000_0010_0048n],
    ["spsr('fiq')", spsr("fiq"), 0x6030_0000_0010_0050n],
    ["spsr(4)", spsr(4), 0x6030_0000_0010_0050n],
    ["v(0)", v(0), 0x6040_0000_0010_0054n],
    ["v(31)", v(31), 0x6040_0000_0010_00d0n],
    ["fpsr", fpsr, 0x6020_0000_0010_00d4n],
    ["fpcr", fpcr, 0x6020_0000_0010_00d5n],
    ["ccsidr(13)", ccsidr(13), 0x6020_0000_0011_000dn],
    ["sysReg('SCTLR_EL1')", sysReg("SCTLR_EL1"), 0x6030_0000_0013_c080n],
    ["sysReg('CNTVCT_EL0')", sysReg("CNTVCT_EL0"), 0x6030_0000_0013_df1an],
    ["sysReg('CNTV_CVAL_EL0')", sysReg("CNTV_CVAL_EL0"), 0x6030_0000_0013_df02n],
    ["sysReg('SP_EL0')", sysReg("SP_EL0"), sp],
    ["sysRegEncoding(3, 3, 14, 0, 2)", sysRegEncoding(3, 3, 14, 0, 2), 0x6030_0000_0013_df02n],
    ["firmware.psciVersion", firmware.psciVersion, 0x6030_0000_0014_0000n],
    ["firmware.workaround3", firmware.workaround3, 0x6030_0000_0014_0003n],
    ["firmwareFeatures.std", firmwareFeatures.std, 0x6030_0000_0016_0000n],
    ["firmwareFeatures.vendorHyp2", firmwareFeatures.vendorHyp2, 0x6030_0000_0016_0003n],
    ["sve.z(0)", sve.z(0), 0x6080_0000_0015_0000n],
    ["sve.z(31, 1)", sve.z(31, 1), 0x6080_0000_0015_03e1n],
    ["sve.p(15)", sve.p(15), 0x6050_0000_0015_05e0n],
    ["sve.ffr()", sve.ffr(), 0x6050_0000_0015_0600n],
    ["sve.vls", sve.vls, 0x6060_0000_0015_ffffn],
    ["legacy.core(15)", legacy.core(15), 0x4020_0000_0010_000fn],
    ["legacy.cp15_32(1, 0, 0, 0)", legacy.cp15_32(1, 0, 0, 0), 0x4020_0000_000f_0800n],
    ["legacy.cp15_64(2, 1)", legacy.cp15_64(2, 1), 0x4030_0000_000f_0108n],
    ["legacy.vfpD(31)", legacy.vfpD(31), 0x4030_0000_0012_001fn],
    ["legacy.vfp('FPEXC')", legacy.vfp("FPEXC"), 0x4020_0000_0012_1008n],
    ["legacy.demux(1)", legacy.demux(1), 0x4020_0000_0011_0001n],
    ["legacy.firmware(0)", legacy.firmware(0), 0x4030_0000_0014_0000n],
  ];
  for (const [call, id, expected] of known) {
    it(`${call} is 0x${expected.toString(16)}`, () => assert.equal(id, expected));
  }

  it("know their width", () => {
    const ids: RegId[] = [fpsr, x(0), v(0), sve.p(0), sve.vls, sve.z(0)];
    assert.deepEqual(ids.map(bitsOf), [32, 64, 128, 256, 512, 2048]);
    assert.deepEqual(ids.map(bytesOf), [4, 8, 16, 32, 64, 256]);
    assert.equal(is(fpsr, 32), true);
    assert.equal(is(fpsr as RegId, 64), false);
  });

  it("are made from any number of a known architecture and a width that KVM has", () => {
    assert.equal(regId(0x6030_0000_0013_c080n), sysReg("SCTLR_EL1"));
    assert.equal(regId(0x4020_0000_0010_0000n), legacy.core(0));
    assert.equal(regId(0x6080_0000_0000_0000n), 0x6080_0000_0000_0000n);
    assert.equal(regId(0x6030_0000_0013_c080n, 64), sysReg("SCTLR_EL1"));
  });

  const refusals: readonly (readonly [
    title: string,
    call: () => unknown,
    type: "TypeError" | "RangeError",
    words: RegExp,
  ])[] = [
    ["regId of a number", () => regId(1 as Untyped), "TypeError", /regId: id must be a bigint/],
    ["regId of nothing", () => (regId as Untyped)(), "TypeError", /regId: id must be a bigint, got undefined/],
    ["regId of -1", () => regId(-1n), "RangeError", /regId: id must fit in 64 bits/],
    ["regId of 2^64", () => regId(1n << 64n), "RangeError", /regId: id must fit in 64 bits/],
    ["regId of another architecture", () => regId(0x2030_0000_0000_0000n), "RangeError", /regId: id .*bits 63:56/],
    ["regId of too great a size", () => regId(0x6090_0000_0000_0000n), "RangeError", /regId: id .*0 to 8, got 9/],
    ["regId of another width", () => regId(0x6030_0000_0000_0000n, 32), "RangeError", /regId: id .*64 bits, not of 32/],
    ["x of a bigint", () => x(1n as Untyped), "TypeError", /x: n must be a number, got the bigint 1n/],
    ["x of 31", () => x(31 as Untyped), "RangeError", /x: n must be 0 to 30, got 31/],
    ["x of -1", () => x(-1 as Untyped), "RangeError", /x: n must be 0 to 30, got -1/],
    ["x of NaN", () => x(Number.NaN), "RangeError", /x: n must be 0 to 30, got NaN/],
    ["x of 0.5", () => x(0.5 as Untyped), "RangeError", /x: n must be 0 to 30/],
    ["v of a text", () => v("3" as Untyped), "TypeError", /v: n must be a number, got "3"/],
    ["spsr of no mode", () => spsr("usr" as Untyped), "RangeError", /spsr: which must be one of EL1, abt/],
    ["spsr of 5", () => spsr(5 as Untyped), "RangeError", /spsr: which must be 0 to 4/],
    ["ccsidr of 14", () => ccsidr(14 as Untyped), "RangeError", /ccsidr: csselr must be 0 to 13/],
    ["sve.z of 32", () => sve.z(32 as Untyped), "RangeError", /sve\.z: n must be 0 to 31/],
    ["sve.p slice 32", () => sve.p(0, 32 as Untyped), "RangeError", /sve\.p: slice must be 0 to 31/],
    ["sysReg of no register", () => sysReg("SCTLR_EL9" as Untyped), "TypeError", /sysReg: name .*"SCTLR_EL9"/],
    ["sysReg of __proto__", () => sysReg("__proto__" as Untyped), "TypeError", /sysReg: name/],
    ["sysReg of a number", () => sysReg(3 as Untyped), "TypeError", /sysReg: name .*3/],
    ["sysReg of a bigint", () => sysReg(3n as Untyped), "TypeError", /sysReg: name .*3n/],
    ["sysReg of FPCR", () => sysReg("FPCR" as Untyped), "TypeError", /sysReg: FPCR has 32 bits here: use fpcr/],
    [
      "sysRegEncoding",
      () => sysRegEncoding(3, 0, 16 as Untyped, 0, 0),
      "RangeError",
      /sysRegEncoding: crn must be 0 to 15/,
    ],
    ["legacy.vfp", () => legacy.vfp("toString" as Untyped), "RangeError", /legacy\.vfp: name must be one of FPSID/],
  ];
  for (const [title, call, name, message] of refusals) {
    it(`${title} is a ${name} that names the argument`, () => assert.throws(call, { name, message }));
  }
});
