// vcpu.idRegisters() and vm.selectFeatures(): what the library says of ID registers, held against what KVM does.
// Documentation/virt/kvm/api.rst 4.139; Documentation/virt/kvm/arm/vcpu-features.rst.

import assert from "node:assert/strict";
import type { RegId } from "../../lib/arm64/reg-id.js";
import { sysReg, x } from "../../lib/arm64/registers.js";
import { type FeatureRefusal, type FeatureSelection, FeatureSelectionError } from "../../lib/feature-selection.js";
import { type IdRegister, type IdRegisterField, isIdRegister } from "../../lib/id-registers.js";
import { Kvm } from "../../lib/index.js";
import type { Vcpu } from "../../lib/vcpu.js";
import { skip } from "../skip.js";
import { mrs } from "../support/assemble.js";
import { type Host, needs, onEveryBackend } from "../support/backends.js";
import { finish, makeGuest, runToFinish } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

/** Kernels before 7.x take these, and the library says that none should be asked for. */
const tolerated = ["ID_AA64PFR0_EL1.EL0 = 0", "ID_AA64PFR0_EL1.EL1 = 0"];

const withField = (value: bigint, { lsb, width }: IdRegisterField, asked: number): bigint => {
  const mask = ((1n << BigInt(width)) - 1n) << BigInt(lsb);
  return (value & ~mask) | (BigInt(asked) << BigInt(lsb));
};

/** Of what KVM takes and keeps for a field, what differs from what `accepts` says. */
function differences(cpu: Vcpu, { name, id, value }: IdRegister, field: IdRegisterField): string[] {
  const { accepts } = field;
  if (accepts === undefined) return [];
  return Array.from({ length: 2 ** field.width }, (_, asked) => asked).flatMap((asked) => {
    const wanted = withField(value, field, asked);
    const takes = answer(() => cpu.setReg(id, wanted)) === "OK" && cpu.getReg(id) === wanted;
    cpu.setReg(id, value);
    const what = `${name}.${field.name} = ${asked}`;
    return takes === accepts.includes(asked) || tolerated.includes(what) ? [] : [`${what}: ${takes ? "taken" : "not"}`];
  });
}

function fieldOf(cpu: Vcpu, register: string, name: string): IdRegisterField {
  const field = cpu
    .idRegisters()
    .find((one) => one.name === register)
    ?.fields.find((one) => one.name === name);
  assert.ok(field !== undefined, `${register}.${name} is not in the picture`);
  return field;
}

function refusalsOf(select: () => void): readonly FeatureRefusal[] {
  try {
    select();
  } catch (error) {
    if (error instanceof FeatureSelectionError) return error.refusals;
    throw error;
  }
  return [];
}

const shortly = (refusals: readonly FeatureRefusal[]): string[] =>
  refusals.map(({ field, asked, reason }) => `${field} = ${asked}: ${reason}`);

/** Two features that a host of the tests has: fields of ID_AA64ISAR0_EL1 and ID_AA64ISAR1_EL1, with their limits. */
const CRC32 = "ID_AA64ISAR0_EL1.CRC32";
const DPB = "ID_AA64ISAR1_EL1.DPB";

onEveryBackend("vcpu.idRegisters", (host) => {
  it("shows every feature-ID register that the vCPU lists, and nothing else, with the values of KVM_GET_ONE_REG", () => {
    const { cpu } = makeGuest(host);
    const picture = cpu.idRegisters();
    const listed = cpu.regList().filter(isIdRegister);
    assert.deepEqual(new Set(picture.map(({ id }) => id)), new Set<RegId>(listed));
    for (const { id, value } of picture) assert.equal(cpu.getReg(id), value);
  });

  it("shows the fields of each, which together with their places make the value", () => {
    const { cpu } = makeGuest(host);
    for (const { name, value, fields } of cpu.idRegisters()) {
      const whole = fields.reduce((sum, field) => withField(sum, field, field.value), value);
      assert.equal(whole, value, name);
    }
  });

  it("says exactly which values KVM takes and keeps, of every field of every register", () => {
    const { cpu } = makeGuest(host);
    const wrong = cpu.idRegisters().flatMap((one) => one.fields.flatMap((field) => differences(cpu, one, field)));
    assert.deepEqual(wrong, []);
  }).timeout(120_000);

  it("says the same with SVE, before KVM_ARM_VCPU_FINALIZE too", function () {
    needs(this, host, "ARM_SVE");
    const cpu = host.keep(host.keep(host.kvm.createVm()).createVcpu());
    cpu.init({ features: ["sve"] });
    const zfr0 = cpu.idRegisters().filter(({ name }) => ["ID_AA64ZFR0_EL1", "ID_AA64PFR0_EL1"].includes(name));
    const wrong = zfr0.flatMap((one) => one.fields.flatMap((field) => differences(cpu, one, field)));
    assert.deepEqual([zfr0.length, wrong], [2, []]);
    cpu.finalize("sve");
    assert.deepEqual(
      cpu.idRegisters().find(({ name }) => name === "ID_AA64ZFR0_EL1"),
      zfr0.find(({ name }) => name === "ID_AA64ZFR0_EL1"),
    );
  });

  it("knows a limit that was read before somebody wrote the register", function () {
    needs(this, host, "ARM_SUPPORTED_REG_MASK_RANGES");
    const { vm, cpu } = makeGuest(host);
    const { limit } = fieldOf(cpu, "ID_AA64ISAR0_EL1", "CRC32");
    vm.selectFeatures({ [CRC32]: 0 });
    const after = fieldOf(cpu, "ID_AA64ISAR0_EL1", "CRC32");
    assert.deepEqual([after.value, after.limit, after.accepts], [0, limit, [0, 1]]);
  });

  it("says that a limit is not known when the register was written first, and knows the others", function () {
    needs(this, host, "ARM_SUPPORTED_REG_MASK_RANGES");
    const { cpu } = makeGuest(host);
    const isar0 = sysReg("ID_AA64ISAR0_EL1");
    cpu.setReg(isar0, cpu.getReg(isar0));
    assert.deepEqual(
      [fieldOf(cpu, "ID_AA64ISAR0_EL1", "CRC32"), fieldOf(cpu, "ID_AA64ISAR1_EL1", "DPB")].map((field) => [
        field.limit === undefined,
        field.accepts === undefined,
      ]),
      [
        [true, true],
        [false, false],
      ],
    );
  });

  it("knows no limits on a vCPU that was attached by its handle", () => {
    const { cpu } = makeGuest(host);
    const attached = host.keep(Kvm.attachVcpu(cpu.handle));
    const picture = attached.idRegisters();
    assert.deepEqual(
      picture.map(({ value }) => value),
      cpu.idRegisters().map(({ value }) => value),
    );
    assert.ok(picture.every(({ limit, writable }) => limit === undefined && writable === undefined));
  });

  it("has the masks of KVM_ARM_GET_REG_WRITABLE_MASKS, or undefined on kernels without it", () => {
    const { vm, cpu } = makeGuest(host);
    const has = vm.has("ARM_SUPPORTED_REG_MASK_RANGES") === 1;
    const isar0 = cpu.idRegisters().find(({ name }) => name === "ID_AA64ISAR0_EL1");
    assert.equal(isar0?.writable, has ? vm.writableMasks()[48] : undefined);
  });

  it("says what a field needs: a feature of INIT, or a capability", () => {
    const { cpu } = makeGuest(host);
    assert.deepEqual(
      [fieldOf(cpu, "ID_AA64PFR0_EL1", "SVE").needs, fieldOf(cpu, "ID_AA64PFR1_EL1", "MTE").needs],
      [{ init: ["sve"] }, { capability: "ARM_MTE" }],
    );
    assert.equal(fieldOf(cpu, "ID_AA64ISAR0_EL1", "CRC32").needs, undefined);
  });

  it("after the first run each field takes its own value and no other", async () => {
    const { cpu } = makeGuest(host, finish);
    await runToFinish(cpu);
    for (const { fields } of cpu.idRegisters()) {
      for (const { value, accepts } of fields) assert.deepEqual(accepts, [value]);
    }
  });
});

onEveryBackend("vm.selectFeatures", (host) => {
  const canSelect = (context: Mocha.Context) => needs(context, host, "ARM_SUPPORTED_REG_MASK_RANGES");

  it("lowers fields of several registers, which the guest then sees, and raises them again", async function () {
    canSelect(this);
    const { vm, cpu } = makeGuest(host, [mrs(0, [3, 0, 0, 6, 0]), mrs(1, [3, 0, 0, 6, 1]), ...finish]);
    const before = [cpu.getReg(sysReg("ID_AA64ISAR0_EL1")), cpu.getReg(sysReg("ID_AA64ISAR1_EL1"))];
    vm.selectFeatures({ [CRC32]: 0, [DPB]: 0 });
    vm.selectFeatures({ [CRC32]: 1 });
    await runToFinish(cpu);
    assert.deepEqual([cpu.getReg(x(0)), cpu.getReg(x(1))], [before[0], (before[1] as bigint) & ~0xfn]);
  });

  it("writes ID registers and nothing else, each once", function () {
    canSelect(this);
    const lines: string[] = [];
    const kvm = host.keep(Kvm.open({ ...host.options, trace: (line) => lines.push(line) }));
    const vm = host.keep(kvm.createVm());
    host.keep(vm.createVcpu()).init();
    vm.selectFeatures({ [CRC32]: 0, "ID_AA64ISAR0_EL1.AES": 0, "ID_AA64MMFR0_EL1.PARange": 1 });
    const written = lines.filter((line) => line.includes("KVM_SET_ONE_REG"));
    assert.deepEqual(
      written.map((line) => /ID_\w+/.exec(line)?.[0]),
      ["ID_AA64ISAR0_EL1", "ID_AA64MMFR0_EL1"],
    );
  });

  it("of a value that is there already asks nothing", async () => {
    const { vm, cpu } = makeGuest(host, finish);
    const { value } = fieldOf(cpu, "ID_AA64ISAR0_EL1", "CRC32");
    vm.selectFeatures({});
    vm.selectFeatures({ [CRC32]: value });
    await runToFinish(cpu);
    vm.selectFeatures({ [CRC32]: value });
  });

  it("tells all that is refused at once, with its reason, and changes nothing", function () {
    canSelect(this);
    const { vm, cpu } = makeGuest(host);
    const before = cpu.idRegisters();
    const wanted: FeatureSelection = {
      [DPB]: 0,
      [CRC32]: 15,
      "ID_AA64ISAR0_EL1.TME": 1,
      "ID_AA64PFR0_EL1.SVE": 1,
      "ID_AA64PFR1_EL1.MTE": 2,
      "ID_AA64DFR0_EL1.PMUVer": 4,
    };
    assert.deepEqual(shortly(refusalsOf(() => vm.selectFeatures(wanted))), [
      `${CRC32} = 15: rule`,
      "ID_AA64ISAR0_EL1.TME = 1: fixed",
      "ID_AA64PFR0_EL1.SVE = 1: needs",
      "ID_AA64PFR1_EL1.MTE = 2: needs",
      "ID_AA64DFR0_EL1.PMUVer = 4: needs",
    ]);
    assert.deepEqual(cpu.idRegisters(), before);
  });

  it("explains with the limit, what KVM takes, and the INIT feature that is missing", function () {
    canSelect(this);
    const { vm } = makeGuest(host);
    const [crc, sve] = refusalsOf(() => vm.selectFeatures({ [CRC32]: 2, "ID_AA64PFR0_EL1.SVE": 1 }));
    assert.deepEqual([crc?.limit, crc?.value, crc?.asked], [1, 1, 2]);
    assert.match(crc?.why ?? "", /not above the limit.*0, 1/);
    assert.match(sve?.why ?? "", /init\(\{ features: \["sve"\] \}\)/);
  });

  it("takes SVE's fields away from a vCPU that has them", function () {
    needs(this, host, "ARM_SVE");
    canSelect(this);
    const vm = host.keep(host.kvm.createVm());
    const cpu = host.keep(vm.createVcpu());
    cpu.init({ features: ["sve"] });
    assert.equal(fieldOf(cpu, "ID_AA64PFR0_EL1", "SVE").limit, 1);
    assert.deepEqual(
      refusalsOf(() => vm.selectFeatures({ "ID_AA64ZFR0_EL1.SVEver": 0 })),
      [],
    );
    assert.equal(fieldOf(cpu, "ID_AA64ZFR0_EL1", "SVEver").value, 0);
  });

  it("after the first run says that it is too late", async () => {
    const { vm, cpu } = makeGuest(host, finish);
    await runToFinish(cpu);
    const [refused] = refusalsOf(() => vm.selectFeatures({ [CRC32]: 0 }));
    assert.equal(refused?.reason, "too-late");
    assert.match(refused?.why ?? "", /too late/);
  });

  it("says so too when another object of the VM ran it", async function () {
    canSelect(this);
    const { vm, cpu } = makeGuest(host, finish);
    await runToFinish(host.keep(Kvm.attachVcpu(cpu.handle)));
    assert.deepEqual(shortly(refusalsOf(() => vm.selectFeatures({ [CRC32]: 0 }))), [`${CRC32} = 0: too-late`]);
  });

  it("takes back what was written before a register that the kernel refuses", function () {
    canSelect(this);
    const { vm, cpu } = makeGuest(host);
    // Written before it was ever read: its limit is not known, and the kernel is the only judge.
    const isar1 = sysReg("ID_AA64ISAR1_EL1");
    cpu.setReg(isar1, cpu.getReg(isar1));
    const { value } = fieldOf(cpu, "ID_AA64ISAR0_EL1", "CRC32");
    const refused = refusalsOf(() => vm.selectFeatures({ [CRC32]: 0, [DPB]: 15 }));
    assert.deepEqual(shortly(refused), [`${DPB} = 15: kernel`]);
    assert.equal(fieldOf(cpu, "ID_AA64ISAR0_EL1", "CRC32").value, value);
  });

  it("on a kernel without writable masks goes by what such kernels take", function () {
    if (host.kvm.has("ARM_SUPPORTED_REG_MASK_RANGES")) skip(this, "the kernel has writable masks");
    const { vm, cpu } = makeGuest(host);
    assert.deepEqual(shortly(refusalsOf(() => vm.selectFeatures({ [CRC32]: 0 }))), [`${CRC32} = 0: fixed`]);
    vm.selectFeatures({ "ID_AA64PFR0_EL1.CSV3": 0 });
    assert.equal(fieldOf(cpu, "ID_AA64PFR0_EL1", "CSV3").value, 0);
  });

  it("needs a vCPU that is initialised", () => {
    const vm = host.keep(host.kvm.createVm());
    assertRefused("ENOEXEC", () => vm.selectFeatures({ [CRC32]: 0 }));
    const cpu = host.keep(vm.createVcpu());
    assertRefused("ENOEXEC", () => vm.selectFeatures({ [CRC32]: 0 }));
    cpu.init();
    vm.selectFeatures({});
    cpu.close();
    assertRefused("ENOEXEC", () => vm.selectFeatures({}));
  });

  const bad = (host: Host, selection: unknown) => () =>
    makeGuest(host).vm.selectFeatures(selection as FeatureSelection);

  it("a name that is no field, or a value that does not fit, is the caller's slip", () => {
    for (const name of [
      "",
      "RNDR",
      "ID_AA64ISAR0_EL1",
      "ID_AA64ISAR0_EL1.NOPE",
      "SCTLR_EL1.M",
      "toString.call",
      "ID_AA64ISAR0_EL1.RNDR.x",
    ]) {
      assert.throws(bad(host, { [name]: 0 }), TypeError, name);
    }
    for (const value of [-1, 16, 0.5, Number.NaN]) assert.throws(bad(host, { [CRC32]: value }), RangeError);
    for (const value of [1n, "1", null, undefined]) assert.throws(bad(host, { [CRC32]: value }), TypeError);
    for (const selection of [null, 5, "x", undefined]) assert.throws(bad(host, selection), TypeError);
  });
});
