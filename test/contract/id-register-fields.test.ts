// Fields of the ID registers that have rules of their own. Documentation/virt/kvm/api.rst 4.139.

import assert from "node:assert/strict";
import { sysReg } from "../../lib/arm64/registers.js";
import { needs, onEveryBackend, onHost } from "../support/backends.js";
import { makeGuest } from "../support/guest.js";
import { hasAArch32 } from "../support/id-fields.js";
import { answer, assertRefused } from "../support/refusal.js";

const PFR0 = sysReg("ID_AA64PFR0_EL1");
const PFR1 = sysReg("ID_AA64PFR1_EL1");
const DFR0 = sysReg("ID_AA64DFR0_EL1");
const DFR0_32 = sysReg("ID_DFR0_EL1");

const put = (value: bigint, lsb: bigint, field: bigint): bigint => (value & ~(0xfn << lsb)) | (field << lsb);

onEveryBackend("fields of ID registers", (host) => {
  beforeEach(function () {
    needs(this, host, "ARM_SUPPORTED_REG_MASK_RANGES");
  });

  it("MPAM reads 0, takes 0 and what the host has, stored as 0, and nothing else", () => {
    const { cpu } = makeGuest(host);
    const before = cpu.getReg(PFR0);
    assert.equal((before >> 40n) & 0xfn, 0n);
    cpu.setReg(PFR0, before);
    const said = [1n, 2n].map((field) => answer(() => cpu.setReg(PFR0, put(before, 40n, field))));
    assert.ok(["OK,EINVAL", "EINVAL,EINVAL"].includes(String(said)), String(said));
    assert.equal(cpu.getReg(PFR0), before);
  });

  it("MPAM_frac reads 0, takes 0 and what the host has, stored as 0, and nothing else", () => {
    const { cpu } = makeGuest(host);
    const before = cpu.getReg(PFR1);
    assert.equal((before >> 16n) & 0xfn, 0n);
    cpu.setReg(PFR1, before);
    const said = [1n, 2n].map((field) => answer(() => cpu.setReg(PFR1, put(before, 16n, field))));
    assert.ok(["OK,EINVAL", "EINVAL,EINVAL"].includes(String(said)), String(said));
    assert.equal(cpu.getReg(PFR1), before);
  });

  it("a debug architecture below Armv8's is EINVAL", () => {
    const { cpu } = makeGuest(host);
    const before = cpu.getReg(DFR0);
    for (const version of [0n, 5n]) assertRefused("EINVAL", () => cpu.setReg(DFR0, put(before, 0n, version)));
    assert.equal(cpu.getReg(DFR0), before);
    cpu.setReg(DFR0, put(before, 0n, 6n));
    assert.equal(cpu.getReg(DFR0) & 0xfn, 6n);
  });

  it("CopDbg of AArch32 below Armv8's is EINVAL, where there is AArch32", () => {
    const { cpu } = makeGuest(host);
    const before = cpu.getReg(DFR0_32);
    assert.equal(
      answer(() => cpu.setReg(DFR0_32, put(before, 0n, 5n))),
      hasAArch32(cpu) ? "EINVAL" : "OK",
    );
    assert.equal(cpu.getReg(DFR0_32), before);
  });

  it("an IMPLEMENTATION DEFINED PMU is stored as none", () => {
    const { cpu } = makeGuest(host);
    cpu.setReg(DFR0, put(cpu.getReg(DFR0), 8n, 0xfn));
    assert.equal((cpu.getReg(DFR0) >> 8n) & 0xfn, 0n);
  });

  it("PMUVer is 0 without the feature pmu-v3, and takes no version", () => {
    const { cpu } = makeGuest(host);
    const before = cpu.getReg(DFR0);
    assert.equal((before >> 8n) & 0xfn, 0n);
    assertRefused("EINVAL", () => cpu.setReg(DFR0, put(before, 8n, 1n)));
    assert.equal(cpu.getReg(DFR0), before);
  });

  it("with the feature pmu-v3, PMUVer can be lowered to 0 and set back, not raised", function () {
    needs(this, host, "ARM_PMU_V3");
    const { cpu } = makeGuest(host, [], { features: ["pmu-v3"] });
    const before = cpu.getReg(DFR0);
    const version = (before >> 8n) & 0xfn;
    assert.ok(version >= 1n && version <= 6n, `PMUVer is ${version}: at most PMUv3p5`);
    for (const wanted of [1n, 0n, version]) {
      cpu.setReg(DFR0, put(before, 8n, wanted));
      assert.equal(cpu.getReg(DFR0), put(before, 8n, wanted));
    }
    assertRefused("EINVAL", () => cpu.setReg(DFR0, put(before, 8n, version + 1n)));
  });

  it("ID_AA64PFR0_EL1.EL0 and EL1 may not become 0, since 7.2", () => {
    for (const lsb of [0n, 4n]) {
      const { cpu } = makeGuest(host);
      const said = answer(() => cpu.setReg(PFR0, put(cpu.getReg(PFR0), lsb, 0n)));
      assert.equal(said, onHost(host, { "6.1": "EINVAL", "6.12": "OK", "7.2": "EINVAL" }));
    }
  });

  it("CSV2 and CSV3 can be lowered to 0 and set back", () => {
    const { cpu } = makeGuest(host);
    const before = cpu.getReg(PFR0);
    for (const lsb of [56n, 60n]) {
      cpu.setReg(PFR0, put(before, lsb, 0n));
      assert.equal((cpu.getReg(PFR0) >> lsb) & 0xfn, 0n);
      cpu.setReg(PFR0, before);
    }
    assert.equal(cpu.getReg(PFR0), before);
  });

  it("MTE is 0 without the capability ARM_MTE, and takes nothing else", () => {
    const { cpu } = makeGuest(host);
    const before = cpu.getReg(PFR1);
    assert.equal((before >> 8n) & 0xfn, 0n);
    assertRefused("EINVAL", () => cpu.setReg(PFR1, put(before, 8n, 1n)));
  });

  it("MTE and MTE_frac come with the capability ARM_MTE; MTE_frac takes its own value", function () {
    needs(this, host, "ARM_MTE");
    const { cpu } = makeGuest(host, [], { prepare: (vm) => vm.enableCap("ARM_MTE") });
    const before = cpu.getReg(PFR1);
    assert.ok(((before >> 8n) & 0xfn) >= 2n);
    cpu.setReg(PFR1, before);
    const said = answer(() => cpu.setReg(PFR1, put(before, 40n, 0n)));
    const has = (before >> 40n) & 0xfn;
    assert.equal(said, has === 0n ? "OK" : onHost(host, { "6.1": "OK", "6.12": "EINVAL", "7.2": "OK" }));
    assert.equal(cpu.getReg(PFR1), before);
  });

  it("fields that are read higher as less, SpecSEI, take the limit and above", () => {
    const { cpu } = makeGuest(host);
    const mmfr1 = sysReg("ID_AA64MMFR1_EL1");
    const before = cpu.getReg(mmfr1);
    const limit = (before >> 24n) & 0xfn;
    if (limit === 0n) {
      cpu.setReg(mmfr1, put(before, 24n, 1n));
      assert.equal(cpu.getReg(mmfr1), put(before, 24n, 1n));
    } else {
      assertRefused("EINVAL", () => cpu.setReg(mmfr1, put(before, 24n, limit - 1n)));
    }
  });

  it("granules are signed: 4 KiB can be taken away as 15, and never raised to an unknown kind", () => {
    const { cpu } = makeGuest(host);
    const mmfr0 = sysReg("ID_AA64MMFR0_EL1");
    const before = cpu.getReg(mmfr0);
    const granule = (before >> 28n) & 0xfn;
    cpu.setReg(mmfr0, put(before, 28n, 0xfn));
    assert.equal(cpu.getReg(mmfr0), put(before, 28n, 0xfn));
    assertRefused("EINVAL", () => cpu.setReg(mmfr0, put(before, 28n, granule === 0xfn ? 0n : granule + 1n)));
  });
});
