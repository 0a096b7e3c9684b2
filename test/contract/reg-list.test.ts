// KVM_GET_REG_LIST: what is listed can be read, set again to what was read, and is what the kernel is known to list.
// Documentation/virt/kvm/api.rst 4.83.

import assert from "node:assert/strict";
import { formatRegId } from "../../lib/arm64/format.js";
import { bytesOf, type RegId } from "../../lib/arm64/reg-id.js";
import { sve } from "../../lib/arm64/registers.js";
import { onKernel } from "../../lib/arm64/sysreg-row.js";
import { sysRegById } from "../../lib/arm64/sysregs.js";
import type { VcpuFeature } from "../../lib/arm64/vcpu-features.js";
import type { CapName } from "../../lib/uapi/caps.js";
import { skip } from "../skip.js";
import { type Host, needs, onEveryBackend } from "../support/backends.js";
import { answer } from "../support/refusal.js";
import { blessedList, featureSets, nestedKernels, nestedSets, remakeCommand } from "./blessed/lists.js";

const spaceOf = (id: bigint): bigint => (id >> 16n) & 0xfffn;

function vcpuWith(host: Host, features: readonly VcpuFeature[]) {
  const cpu = host.keep(host.keep(host.kvm.createVm()).createVcpu());
  cpu.init({ features });
  if (features.includes("sve")) cpu.finalize("sve");
  return cpu;
}

const capsOf: Readonly<Partial<Record<VcpuFeature, CapName>>> = {
  sve: "ARM_SVE",
  "pmu-v3": "ARM_PMU_V3",
  "ptrauth-address": "ARM_PTRAUTH_ADDRESS",
  "ptrauth-generic": "ARM_PTRAUTH_GENERIC",
  el2: "ARM_EL2",
  "el2-e2h0": "ARM_EL2_E2H0",
};

/** Rows that hang on a field of the ID registers, so that hosts differ in them. */
const dependsOnHost = (host: Host, id: bigint): boolean =>
  onKernel(sysRegById(id)?.when ?? [], host.kernel).some(
    (condition) => !["PMU", "SVE", "PTRAUTH", "EL2", "noE2H0"].includes(condition),
  );

onEveryBackend("the register list", (host) => {
  for (const [name, features] of Object.entries(featureSets)) {
    const vcpu = (context: Mocha.Context) => {
      for (const feature of features) {
        const cap = capsOf[feature];
        if (cap !== undefined) needs(context, host, cap);
      }
      return vcpuWith(host, features);
    };

    it(`of a vCPU with ${name}: each register can be read`, function () {
      const cpu = vcpu(this);
      const refused = cpu.regList().filter((id) => answer(() => cpu.getReg(id)) !== "OK");
      assert.deepEqual(refused.map(formatRegId), []);
    });

    it(`of a vCPU with ${name}: each register can be set to what was read, but for VLS`, function () {
      const cpu = vcpu(this);
      const said = cpu.regList().map((id) => [id, answer(() => cpu.setReg(id, cpu.getReg(id)))] as const);
      const refused = said.filter(([, code]) => code !== "OK");
      const expected = features.includes("sve") ? [[sve.vls, "EPERM"]] : [];
      assert.deepEqual(refused, expected, refused.map(([id]) => formatRegId(id)).join(", "));
    });

    it(`of a vCPU with ${name}: nothing is listed twice, and every name is known`, function () {
      const ids = vcpu(this).regList();
      assert.equal(new Set(ids).size, ids.length);
      const unknown = ids.filter((id) => spaceOf(id) === 0x13n && sysRegById(id) === undefined);
      assert.deepEqual(unknown.map(formatRegId), []);
    });

    it(`of a vCPU with ${name} is what the kernel lists, in its order, but for what the host's CPU decides`, function () {
      const blessed = blessedList(host.kernel, name).filter((id) => !dependsOnHost(host, id));
      const listed = vcpu(this)
        .regList()
        .filter((id) => !dependsOnHost(host, id));
      assert.deepEqual(listed.map(formatRegId), blessed.map(formatRegId), `to bless another list: ${remakeCommand}`);
    });
  }

  it("of vCPUs with EL2 are what the kernel lists, and each register can be read", function () {
    needs(this, host, "ARM_EL2");
    if (!nestedKernels.includes(host.kernel)) skip(this, `no list of a host with EL2 and kernel ${host.kernel}`);
    for (const [name, features] of Object.entries(nestedSets)) {
      if (features.some((feature) => host.kvm.has(capsOf[feature] ?? "ARM_EL2") === 0)) continue;
      // One at a time: an emulated host is slow to be rid of many VMs at EL2.
      using vm = host.kvm.createVm();
      using cpu = vm.createVcpu();
      cpu.init({ features });
      if (features.includes("sve")) cpu.finalize("sve");
      const fixed = (ids: readonly RegId[]) => ids.filter((id) => !dependsOnHost(host, id)).map(formatRegId);
      assert.deepEqual(fixed(cpu.regList()), fixed(blessedList(host.kernel, name)), name);
      const refused = cpu.regList().filter((id) => answer(() => cpu.getReg(id)) !== "OK");
      assert.deepEqual(refused.map(formatRegId), [], name);
    }
  });

  it("one call reads the whole list, as single calls do", () => {
    const cpu = vcpuWith(host, ["psci-0.2"]);
    const steady = cpu
      .regList()
      .filter(
        (id) => !["CNTVCT_EL0", "CNTPCT_EL0", "CNTV_CTL_EL0", "CNTP_CTL_EL0"].includes(sysRegById(id)?.name ?? ""),
      );
    assert.deepEqual(
      cpu.getRegs(steady),
      steady.map((id) => cpu.getReg(id)),
    );
  });

  it("one call writes the whole list of one vCPU into another, which then reads the same", () => {
    const [from, to] = [vcpuWith(host, ["psci-0.2"]), vcpuWith(host, ["psci-0.2"])];
    const isCounter = (id: RegId) =>
      ["CNTVCT_EL0", "CNTPCT_EL0", "CNTV_CTL_EL0", "CNTP_CTL_EL0"].includes(sysRegById(id)?.name ?? "");
    const steady = from.regList().filter((id) => !isCounter(id));
    const values = new Uint8Array(steady.reduce((sum, id) => sum + bytesOf(id), 0));
    from.getRegBytes(BigUint64Array.from(steady), values);
    to.setRegBytes(BigUint64Array.from(steady), values);
    const copy = new Uint8Array(values.length);
    to.getRegBytes(BigUint64Array.from(steady), copy);
    assert.deepEqual(copy, values);
  });
});
