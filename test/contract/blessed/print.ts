// Prints the register lists of this machine's KVM: "kernel-list FEATURESET ID NAME". remake.ts runs it in a KVM host.

import { formatRegId } from "../../../lib/arm64/format.js";
import { Kvm } from "../../../lib/index.js";
import { featureSets, nestedSets } from "./lists.js";

const kvm = Kvm.open({ backend: "kvm" });
const sets = kvm.has("ARM_EL2") === 0 ? featureSets : nestedSets;
for (const [name, features] of Object.entries(sets)) {
  const vm = kvm.createVm();
  const cpu = vm.createVcpu();
  cpu.init({ features });
  if (features.includes("sve")) cpu.finalize("sve");
  for (const id of cpu.regList()) console.log(`${JSON.stringify(name)} 0x${id.toString(16)} ${formatRegId(id)}`);
  cpu.close();
  vm.close();
}
kvm.close();
