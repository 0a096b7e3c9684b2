// Prints what this machine's KVM answers to the sweep of hypercalls. remake.ts runs it in a KVM host.

import { Kvm } from "../../../lib/index.js";
import { callers, sweepOf } from "../../support/hypercalls.js";

for (const name of Object.keys(callers)) {
  const kvm = Kvm.open({ backend: "kvm" });
  const kept: Disposable[] = [kvm];
  const keep = <T extends Disposable>(resource: T): T => {
    kept.push(resource);
    return resource;
  };
  const lines = await sweepOf({ kvm, keep }, name);
  for (const line of [`# ${name}`, ...lines]) console.log(`hypercall ${line}`);
  for (const resource of kept.reverse()) resource[Symbol.dispose]();
}
