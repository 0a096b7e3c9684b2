import assert from "node:assert/strict";
import { type Combination, choicesOf, expectedRegisters, type HostCapture } from "../../lib/capture-format.js";
import { captureText } from "../../lib/cli/capture-host.js";
import { combinationsOf, richest } from "../../lib/cli/capture-registers.js";
import { Kvm } from "../../lib/index.js";
import { kvmArm64 } from "./child.js";

describe("capture", () => {
  it("records the host that is asked for, with the note, as JSON", async () => {
    const { status, stdout, stderr } = await kvmArm64(
      ...["capture", "--backend", "model", "--kernel", "6.12", "--note", "taken here"],
    );
    assert.deepEqual([status, stderr], [0, ""]);
    const host: HostCapture = JSON.parse(stdout);

    assert.deepEqual([host.note, host.kernel.contract, host.preferredTarget], ["taken here", "6.12", 5]);
    assert.deepEqual([host.capabilities["ONE_REG"], host.capabilities["MSI_DEVID"]], [1, "EINVAL"]);
    assert.deepEqual([host.init["psci-0.2"], host.init["bit 9"]], ["ok", "ENOENT"]);
    assert.equal(host.combinations[0]?.registers?.["MPIDR_EL1"], "0x80000000");
    assert.equal(host.combinations[0]?.registers?.["CNTVCT_EL0"], "volatile");
    assert.match(host.guest["CNTFRQ_EL0"] ?? "", /^0x[1-9a-f]/);
  });

  it("says what is wrong with its arguments", async () => {
    const wrong = await Promise.all([
      kvmArm64("capture", "--kernel", "6.12"),
      kvmArm64("capture", "--backend", "none"),
      kvmArm64("capture", "host.json"),
    ]);
    assert.deepEqual(
      wrong.map(({ status, stdout }) => [status, stdout]),
      Array(3).fill([125, ""]),
    );
    assert.match(wrong[1]?.stderr ?? "", /one of kvm, model/);
  });

  it("records of the first combination all, and of one that is as expected nothing", () => {
    using kvm = Kvm.open({ backend: "model", model: { kernel: "7.2" } });
    const [plain, ...others] = combinationsOf(kvm);

    using vm = kvm.createVm();
    using vcpu = vm.createVcpu();
    vcpu.init();
    assert.equal(Object.keys(plain?.registers ?? {}).length, vcpu.regList().length);
    assert.ok(others.every((one) => choicesOf(one).length < 2 || one.registers === undefined));
  });
});

describe("the registers that are expected of a combination", () => {
  const plain = new Map([
    ["ID_AA64PFR0_EL1", "0x11"],
    ["v0", "0x0"],
    ["CNTVCT_EL0", "volatile"],
  ] as const);
  const sve = new Map([
    ["ID_AA64PFR0_EL1", "0x100000011"],
    ["z0 slice 0", "0x0"],
    ["CNTVCT_EL0", "volatile"],
  ] as const);
  const other = new Map([
    ["ID_AA64PFR0_EL1", "0x1"],
    ["v0", "0x0"],
    ["PMCR_EL0", "0x3000"],
    ["CNTVCT_EL0", "volatile"],
  ] as const);

  it("are those of the plain vCPU, with what each choice adds, takes away, and changes", () => {
    assert.deepEqual(
      expectedRegisters(plain, [sve, other]),
      new Map([
        ["ID_AA64PFR0_EL1", "0x100000001"],
        ["CNTVCT_EL0", "volatile"],
        ["z0 slice 0", "0x0"],
        ["PMCR_EL0", "0x3000"],
      ]),
    );
    assert.deepEqual(expectedRegisters(plain, []), plain);
  });
});

describe("the richest of some combinations", () => {
  it("is the last that is not refused and not AArch32", () => {
    const combinations: Combination[] = [
      { features: [] },
      { features: ["sve"] },
      { features: ["sve"], mte: true },
      { features: ["pmu-v3", "sve"], refused: "EINVAL" },
      { features: ["sve", "el1-32bit"] },
    ];
    assert.deepEqual(richest(combinations), ["sve", "mte"]);
    assert.deepEqual(richest([]), []);
  });
});

describe("the text of a capture", () => {
  it("has on a line what fits there, and reads back as it was", () => {
    const value = { a: [1, 2], b: { c: "x".repeat(120), d: {} }, e: null };
    const text = captureText(value);

    assert.deepEqual(JSON.parse(text), value);
    assert.equal(text.split("\n")[1], '  "a": [1, 2],');
    assert.equal(captureText({ a: [1, { b: 2 }] }), '{ "a": [1, { "b": 2 }] }');
  });
});
