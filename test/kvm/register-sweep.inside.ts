// Every register of a vCPU, asked of this machine's KVM and of the model that plays this very machine.

import assert from "node:assert/strict";
import { release } from "node:os";
import { captureHost } from "../../lib/cli/capture-host.js";
import { Kvm } from "../../lib/index.js";
import { openModel } from "../../lib/model/index.js";
import { openNative } from "../../lib/native.js";
import { contractOf } from "../support/backends.js";
import { sweepRegisters } from "./register-sweep.js";

const PSCI_0_2 = 4;

describe("the registers of a vCPU", () => {
  it("are answered by the model as by the kernel, before INIT to after the first run", () => {
    const kvm = Kvm.open({ backend: "kvm" });
    const capture = captureHost(kvm, {
      note: "taken by a test",
      taken: "now",
      kernel: { release: release(), contract: contractOf(release()) },
    });
    kvm.close();
    const said: string[] = [];
    sweepRegisters(openNative(), (question, answer) => said.push(`${question}: ${answer}`), [PSCI_0_2]);
    const different: string[] = [];
    let n = 0;
    const model = openModel({ host: capture, impersonate: true });
    sweepRegisters(
      model,
      (question, answer) => {
        const line = `${question}: ${answer}`;
        if (line !== said[n]) different.push(`model ${line}, kernel ${said[n]}`);
        n++;
      },
      [PSCI_0_2],
    );
    model.close();
    assert.equal(n, said.length);
    assert.ok(n > 20_000);
    assert.deepEqual(different.slice(0, 20), []);
  }).timeout(300_000);
});
