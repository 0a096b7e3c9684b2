// The register lists of vCPUs with EL2, of the one bundled host that has nested virtualisation.

import assert from "node:assert/strict";
import { formatRegId } from "../../lib/arm64/format.js";
import { Kvm } from "../../lib/index.js";
import { blessedList, nestedSets } from "../contract/blessed/lists.js";

describe("the model as a host with nested virtualisation", () => {
  for (const [name, features] of Object.entries(nestedSets)) {
    it(`lists the registers of a vCPU with ${name} as the kernel does`, () => {
      const kvm = Kvm.open({ backend: "model", model: { host: "qemu-max-el2-7.2", impersonate: true } });
      const vm = kvm.createVm();
      const cpu = vm.createVcpu();
      try {
        cpu.init({ features });
        if (features.includes("sve")) cpu.finalize("sve");
        assert.deepEqual(cpu.regList().map(formatRegId), blessedList("7.2", name).map(formatRegId));
      } finally {
        for (const open of [cpu, vm, kvm]) open.close();
      }
    });
  }
});
