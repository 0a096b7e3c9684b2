import assert from "node:assert/strict";
import { fieldsOf } from "../../lib/arm64/index.js";
import { idMeaning, idMeanings } from "../../lib/cli/id-meanings.js";
import { registerText } from "../../lib/cli/reg.js";
import { describeRegister, parseQuestions } from "../../lib/cli/reg-explain.js";

const explain = (...words: string[]): string => parseQuestions(words).map(describeRegister).map(registerText).join("");

describe("words of reg", () => {
  it("are ids, names, and values behind a name", () => {
    const words = ["0x603000000013c080", "x7", "SCTLR_EL1=0x30d00800", "pc", "0x40080000", "z3 slice 0"];

    assert.deepEqual(parseQuestions(words), [
      { id: 0x6030_0000_0013_c080n },
      { id: 0x6030_0000_0010_000en },
      { id: 0x6030_0000_0013_c080n, value: 0x30d0_0800n },
      { id: 0x6030_0000_0010_0040n, value: 0x4008_0000n },
      { id: 0x6080_0000_0015_0060n },
    ]);
  });

  it("take an id behind a name as another register", () => {
    assert.equal(parseQuestions(["x0", "0x603000000013c080"]).length, 2);
    assert.equal(parseQuestions(["x0", "0xffff800000000000"]).length, 1);
  });

  it("are refused when they are no register, or a value does not fit", () => {
    assert.throws(() => parseQuestions(["SCTLR_EL9"]), /SCTLR_EL9/);
    assert.throws(() => parseQuestions(["42"]), /too small for a register id/);
    assert.throws(() => parseQuestions(["x0=many"]), /"many" is no number/);
    assert.throws(() => parseQuestions(["x0="]), /no number/);
    assert.throws(() => parseQuestions(["FPCR=0x100000000"]), /FPCR has 32 bits/);
  });
});

describe("explanations of reg", () => {
  it("tell where a system register is and who lists it", () => {
    const text = explain("0x603000000013c080");

    assert.match(text, /^SCTLR_EL1\n {2}id 0x603000000013c080, 64 bits\n/);
    assert.match(text, /encoding S3_0_C1_C0_0: op0 3, op1 0, CRn 1, CRm 0, op2 0/);
    assert.match(text, /listed by Linux 6.1, 6.12, 7.2/);
    assert.match(text, /fields .*M 0/);
  });

  it("spell an unknown encoding", () => {
    assert.match(explain("S3_0_C1_C0_7"), /^S3_0_C1_C0_7\n/);
  });

  it("undo the swap of the timer ids", () => {
    assert.match(explain("0x603000000013df1a"), /^CNTVCT_EL0\n/);
  });

  it("take a value apart, with the bits that have no name", () => {
    const text = explain("ID_AA64ISAR0_EL1=0x0000000000210000");

    assert.match(text, /Atomic +23:20 2 {2}FEAT_LSE\n/);
    assert.match(text, /CRC32 +19:16 1 {2}FEAT_CRC32\n/);
    assert.match(text, /0: RNDR, /);
    assert.match(explain("SCTLR_EL1=0x8000000000000000"), /SCTLR_EL1 = 0x8000000000000000/);
    assert.match(explain("ID_AA64ISAR0_EL1=1"), /without a name: 0x1/);
  });

  it("say in words what a syndrome, a PSTATE, a MIDR and a bitmap of services are", () => {
    assert.match(explain("ESR_EL1=0x96000050"), /data abort from the same level: external abort\n/);
    assert.match(explain("ESR_EL1=0x96000050"), /ISS.WnR +6 1\n/);
    assert.match(explain("ESR_EL1=0x56000123"), /= 0x56000123 {2}SVC\n/);
    assert.match(explain("pstate", "0x3c5"), /EL1h DAIF/);
    assert.match(explain("MIDR_EL1=0x410fd0c0"), /Arm Neoverse N1 r0p0/);
    assert.match(explain("firmware VENDOR_HYP_BMAP", "3"), /= 0x3 {2}function-features, ptp\n/);
    assert.match(explain("firmware STD_BMAP", "0"), /= 0x0 {2}no services\n/);
  });
});

describe("meanings of ID register fields", () => {
  it("are of fields that the registers have, in values that fit, in order", () => {
    for (const [register, fields] of Object.entries(idMeanings)) {
      const known = new Map(fieldsOf(register).map((field) => [field.name, field.width]));
      for (const [field, values] of Object.entries(fields)) {
        const width = known.get(field);
        assert.ok(width !== undefined, `${register} has no field ${field}`);
        for (const value of Object.keys(values)) assert.ok(Number(value) < 2 ** width, `${register}.${field} ${value}`);
      }
    }
  });

  it("of a value above those known are at least the last known", () => {
    assert.equal(idMeaning("ID_AA64ISAR0_EL1", "Atomic", 2), "FEAT_LSE");
    assert.equal(idMeaning("ID_AA64ISAR0_EL1", "Atomic", 7), "at least FEAT_LSE128");
    assert.equal(idMeaning("ID_AA64ISAR0_EL1", "Atomic", 0), undefined);
    assert.equal(idMeaning("ID_AA64PFR0_EL1", "FP", 15), "no floating point");
    assert.equal(idMeaning("SCTLR_EL1", "M", 1), undefined);
  });
});
