import assert from "node:assert/strict";
import fc from "fast-check";
import type { FieldedName } from "../../lib/arm64/index.js";
import {
  acceptsIdValue,
  decode,
  decodeEsr,
  encode,
  encodeEsr,
  exceptionClasses,
  FaultStatus,
  fieldsOf,
  formatFaultStatus,
  formatMidr,
  formatPstate,
  isSafe,
  PSTATE_RESET,
  pstateMode,
  sysRegs,
} from "../../lib/arm64/index.js";

// biome-ignore lint/suspicious/noExplicitAny: plain JavaScript, without the types
type Untyped = any;

describe("named fields", () => {
  it("come out of a value, with the bits that have no name", () => {
    const { fields, rest } = decode("SCTLR_EL1", 0xc5_0078n | (1n << 17n));
    assert.deepEqual([fields.SA, fields.SA0, fields.CP15BEN, fields.M, fields.SPAN], [1, 1, 1, 0, 1]);
    assert.equal(rest, 1n << 17n);
  });

  it("go into a value, and leave the rest of it", () => {
    assert.equal(encode("SCTLR_EL1", { M: 1, TCF0: 3 }), (3n << 38n) | 1n);
    assert.equal(encode("SCTLR_EL1", { M: 1, SPAN: 0 }, 0xc5_0078n), 0x45_0079n);
    assert.equal(encode("TTBR0_EL1", { ASID: 0xffff, BADDR: 0x4000_0000n }), 0xffff_0000_8000_0000n);
    assert.equal(encode("ID_AA64PFR0_EL1", { CSV3: 15 }), 0xf000_0000_0000_0000n);
  });

  it("of 32-bit registers are in numbers", () => {
    assert.equal(encode("FPCR", { RMode: 3, DN: 1 }), 0x02c0_0000);
    assert.deepEqual(decode("FPSR", 0x0800_0001).fields.QC, 1);
    assert.equal(decode("CCSIDR_EL1", 0x701f_e00a).fields.LineSize, 2);
  });

  it("are shared by the registers of a family", () => {
    assert.deepEqual(decode("DBGBCR15_EL1", 0x1e5n).fields, decode("DBGBCR0_EL1", 0x1e5n).fields);
    assert.equal(decode("PMEVTYPER30_EL0", 0x11n).fields.evtCount, 0x11);
  });

  it("decode and encode are inverse for every register with names", () => {
    const named = ["PSTATE", ...sysRegs.map((reg) => reg.name)].filter((name) => fieldsOf(name).length > 0);
    fc.assert(
      fc.property(fc.constantFrom(...named), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (name, bits) => {
        const narrow = ["FPCR", "FPSR", "CCSIDR_EL1"].includes(name);
        const value: Untyped = narrow ? Number(bits & 0xffff_ffffn) : bits;
        const { fields, rest } = decode(name as FieldedName, value);
        const base: Untyped = narrow ? Number(rest) : rest;
        assert.equal(encode(name as FieldedName, fields, base), value);
      }),
      { numRuns: 2000 },
    );
  });

  it("too great are a RangeError that names register and field", () => {
    assert.throws(() => encode("SCTLR_EL1", { M: 2 }), {
      name: "RangeError",
      message: /SCTLR_EL1\.M must be 0 to 1, got 2/,
    });
    assert.throws(() => encode("SCTLR_EL1", { M: -1 }), { name: "RangeError", message: /SCTLR_EL1\.M/ });
    assert.throws(() => encode("SCTLR_EL1", { M: Number.NaN }), { name: "RangeError", message: /SCTLR_EL1\.M/ });
    assert.throws(() => encode("TTBR0_EL1", { BADDR: 1n << 47n }), { name: "RangeError", message: /TTBR0_EL1\.BADDR/ });
  });

  it("of the wrong type or name are a TypeError that names register and field", () => {
    assert.throws(() => encode("SCTLR_EL1", { M: "1" as Untyped }), {
      name: "TypeError",
      message: /SCTLR_EL1\.M.*"1"/,
    });
    assert.throws(() => encode("SCTLR_EL1", { MMU: 1 } as Untyped), {
      name: "TypeError",
      message: /SCTLR_EL1 has no field MMU; it has TIDCP/,
    });
    assert.throws(() => encode("SCTLR_EL1", null as Untyped), { name: "TypeError", message: /fields of SCTLR_EL1/ });
    assert.throws(() => decode("TPIDR_EL1" as Untyped, 0n as Untyped), {
      name: "TypeError",
      message: /named fields, got "TPIDR_EL1"/,
    });
    assert.throws(() => decode("DBGBCR16_EL1", 0n), { name: "TypeError", message: /DBGBCR16_EL1/ });
    assert.throws(() => decode("constructor" as Untyped, 0n as Untyped), { name: "TypeError", message: /constructor/ });
    assert.throws(() => decode(3 as Untyped, 0n as Untyped), { name: "TypeError", message: /name must be a string/ });
    assert.throws(() => decode("SCTLR_EL1", "0" as Untyped), { name: "TypeError", message: /value of SCTLR_EL1/ });
  });

  it("are taken only from values that fit the register", () => {
    assert.throws(() => decode("SCTLR_EL1", 1n << 64n), {
      name: "RangeError",
      message: /SCTLR_EL1 must fit in 64 bits/,
    });
    assert.throws(() => decode("SCTLR_EL1", -1n), { name: "RangeError", message: /SCTLR_EL1/ });
    assert.throws(() => decode("FPCR", 2 ** 32), { name: "RangeError", message: /FPCR must fit in 32 bits/ });
    assert.throws(() => decode("FPCR", 0.5), { name: "RangeError", message: /FPCR must be a whole number/ });
  });
});

describe("the rules of ID register fields", () => {
  const field = (register: string, name: string) => {
    const found = fieldsOf(register).find((one) => one.name === name);
    assert.ok(found, `${register}.${name}`);
    return found;
  };

  it("lower: any value up to the limit", () => {
    const aes = field("ID_AA64ISAR0_EL1", "AES");
    assert.deepEqual(
      [0, 1, 2, 3].map((value) => isSafe(aes, value, 2)),
      [true, true, true, false],
    );
  });

  it("lower and signed: 0xf is below 0", () => {
    const fp = field("ID_AA64PFR0_EL1", "FP");
    assert.equal(isSafe(fp, 15, 1), true);
    assert.equal(isSafe(fp, 1, 15), false);
    assert.equal(isSafe(fp, 0, 15), false);
  });

  it("higher: any value from the limit", () => {
    const specSei = field("ID_AA64MMFR1_EL1", "SpecSEI");
    assert.deepEqual(
      [0, 1, 2].map((value) => isSafe(specSei, value, 1)),
      [false, true, true],
    );
  });

  it("higher or zero: zero too, and then only zero", () => {
    const cwg = field("CTR_EL0", "CWG");
    assert.deepEqual(
      [0, 3, 4, 5].map((value) => isSafe(cwg, value, 4)),
      [true, false, true, true],
    );
    assert.deepEqual(
      [0, 3].map((value) => isSafe(cwg, value, 0)),
      [true, false],
    );
  });

  it("exact: the limit or the safe value", () => {
    const granule = field("ID_AA64MMFR0_EL1", "TGran4_2");
    assert.deepEqual(
      [0, 1, 2, 3].map((value) => isSafe(granule, value, 3)),
      [false, true, false, true],
    );
  });

  it("none: the limit alone", () => {
    const rme = field("ID_AA64PFR0_EL1", "RME");
    assert.deepEqual(
      [0, 1, 2].map((value) => isSafe(rme, value, 1)),
      [false, true, false],
    );
  });
});

describe("acceptsIdValue", () => {
  // Seen on real kernels: each value of each field, on 6.1, 6.12 and 7.2.
  const pfr0 = 0x1101_0000_1111_0022n;

  it("takes the limit, and lower fields", () => {
    assert.equal(acceptsIdValue("ID_AA64PFR0_EL1", "7.2", pfr0, pfr0), true);
    assert.equal(acceptsIdValue("ID_AA64PFR0_EL1", "7.2", pfr0, pfr0 - 0x1000_0000_0000_0011n), true);
    assert.equal(acceptsIdValue("ID_AA64PFR0_EL1", "7.2", pfr0, pfr0 + 1n), false);
  });

  it("holds to the limit what the kernel's mask leaves out", () => {
    const withoutRas = pfr0 - 0x1000_0000n;
    assert.equal(acceptsIdValue("ID_AA64PFR0_EL1", "7.2", pfr0, withoutRas), true);
    assert.equal(acceptsIdValue("ID_AA64PFR0_EL1", "6.12", pfr0, withoutRas), false);
  });

  it("holds to the limit what has a mask but no rule", () => {
    const limit = 1n << 60n;
    assert.equal(acceptsIdValue("ID_AA64ISAR1_EL1", "7.2", limit, 0n), true);
    assert.equal(acceptsIdValue("ID_AA64ISAR1_EL1", "6.12", limit, 0n), false);
  });

  it("lets 6.1 change nothing but CSV2 and CSV3", () => {
    assert.equal(acceptsIdValue("ID_AA64PFR0_EL1", "6.1", pfr0, pfr0 & 0xff_ffff_ffff_ffffn), true);
    assert.equal(acceptsIdValue("ID_AA64PFR0_EL1", "6.1", pfr0, pfr0 - 1n), false);
    assert.equal(acceptsIdValue("ID_AA64ISAR0_EL1", "6.1", 0x1000_0000n, 0n), false);
  });

  it("takes any lower PMUVer, PerfMon and DebugVer", () => {
    assert.equal(acceptsIdValue("ID_AA64DFR0_EL1", "6.12", 0x609n, 0x409n), true);
    assert.equal(acceptsIdValue("ID_AA64DFR0_EL1", "6.12", 0x609n, 0x607n), true);
    assert.equal(acceptsIdValue("ID_DFR0_EL1", "6.12", 0x600_0000n, 0x400_0000n), true);
  });
});

describe("syndromes", () => {
  it("are taken apart", () => {
    // What a store to an unmapped page at the same level leaves: DDI 0487 D24.2.40.
    const syndrome = decodeEsr(0x9600_0047n);
    assert.equal(syndrome.name, "DABT_CUR");
    assert.equal(syndrome.text, "data abort from the same level");
    assert.deepEqual([syndrome.EC, syndrome.IL, syndrome.ISS], [0x25, 1, 0x47]);
    assert.deepEqual([syndrome.fields["WnR"], syndrome.fields["DFSC"]], [1, FaultStatus.translation + 3]);
  });

  it("of a trapped MRS tell the register", () => {
    // mrs x5, ID_AA64MMFR0_EL1
    const { name, fields } = decodeEsr(encodeEsr("SYS64", { Op0: 3, CRm: 7, Rt: 5, Direction: 1 }));
    assert.equal(name, "SYS64");
    assert.deepEqual(fields, { Op0: 3, Op2: 0, Op1: 0, CRn: 0, Rt: 5, CRm: 7, Direction: 1 });
  });

  it("of SVC, HVC, SMC and BRK tell the immediate", () => {
    assert.equal(encodeEsr("SVC64", { imm16: 0x1234 }), 0x5600_1234n);
    assert.equal(encodeEsr("HVC64", { imm16: 1 }), 0x5a00_0001n);
    assert.equal(encodeEsr("SMC64", { imm16: 2 }), 0x5e00_0002n);
    assert.equal(encodeEsr("BRK64", { imm16: 0xffff }), 0xf200_ffffn);
  });

  it("of a 16-bit instruction have IL clear", () => {
    assert.equal(encodeEsr("SVC32", {}, 0), 0x4400_0000n);
    assert.equal(encodeEsr("UNKNOWN"), 0x0200_0000n);
  });

  it("of a reserved class stay a number", () => {
    const syndrome = decodeEsr(0x3fn << 26n);
    assert.equal(syndrome.name, undefined);
    assert.equal(syndrome.text, "exception class 0x3f");
  });

  it("decodeEsr undoes encodeEsr for each class", () => {
    for (const name of Object.keys(exceptionClasses) as (keyof typeof exceptionClasses)[]) {
      const ones = decodeEsr(encodeEsr(name) | 0x1ff_ffffn).fields;
      assert.deepEqual(decodeEsr(encodeEsr(name, ones as Untyped)).fields, ones, name);
    }
  });

  it("say what is wrong with a field", () => {
    assert.throws(() => encodeEsr("DABT_CUR", { DFSC: 64 }), {
      name: "RangeError",
      message: /DABT_CUR\.DFSC must be 0 to 63/,
    });
    assert.throws(() => encodeEsr("DABT_CUR", { X: 1 } as Untyped), {
      name: "TypeError",
      message: /DABT_CUR has no field X/,
    });
    assert.throws(() => encodeEsr("DABT" as Untyped), { name: "TypeError", message: /exception class, got "DABT"/ });
    assert.throws(() => decodeEsr(5 as Untyped), { name: "TypeError", message: /esr must be a bigint/ });
  });

  it("name fault status codes with their level", () => {
    assert.equal(formatFaultStatus(0x07), "translation fault, level 3");
    assert.equal(formatFaultStatus(0x0d), "permission fault, level 1");
    assert.equal(formatFaultStatus(0x10), "external abort");
    assert.equal(formatFaultStatus(0x21), "alignment fault");
    assert.equal(formatFaultStatus(0x3f), "fault status 0x3f");
  });
});

describe("values in words", () => {
  it("PSTATE: mode, masks, flags", () => {
    assert.equal(formatPstate(PSTATE_RESET.el1), "EL1h DAIF nzcv");
    assert.equal(formatPstate(0x8000_0000n), "EL0t daif Nzcv");
    assert.equal(formatPstate(0x6020_0004n), "EL1t daif nZCv SS");
    assert.equal(pstateMode(0x1d3n), "svc");
    assert.equal(pstateMode(0x1n), undefined);
  });

  it("the PSTATEs that KVM_ARM_VCPU_INIT leaves", () => {
    assert.deepEqual(PSTATE_RESET, { el1: 0x3c5, el2: 0x3c9, svc: 0x1d3 });
  });

  it("MIDR: who made it, which, and which revision", () => {
    assert.equal(formatMidr(0x413f_d0c1n), "Arm Neoverse N1 r3p1");
    assert.equal(formatMidr(0x000f_0510n), "software QEMU max r0p0");
    assert.equal(formatMidr(0x7712_3456n), "implementer 0x77 part 0x345 r1p6");
  });
});
