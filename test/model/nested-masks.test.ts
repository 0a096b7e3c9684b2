// What a VM with EL2 keeps of the registers of EL2, on the one bundled host that has nested virtualisation.

import assert from "node:assert/strict";
import { Kvm } from "../../lib/index.js";
import { blessedEl2Masks, el2Masks } from "../contract/blessed/el2-masks.js";

describe("the model as a host with nested virtualisation, after a first run", () => {
  it("keeps of the registers of EL2 what the kernel keeps, whatever the VM's ID registers promise", () => {
    const kvm = Kvm.open({ backend: "model", model: { host: "qemu-max-el2-7.2", impersonate: true } });
    try {
      assert.deepEqual([...el2Masks(kvm)], blessedEl2Masks());
    } finally {
      kvm.close();
    }
  });
});
