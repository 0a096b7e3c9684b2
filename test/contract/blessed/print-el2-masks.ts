// Prints what this machine's KVM keeps of the registers of EL2. remake.ts runs it in a KVM host.

import { Kvm } from "../../../lib/index.js";
import { el2Masks } from "./el2-masks.js";

const kvm = Kvm.open({ backend: "kvm" });
for (const line of el2Masks(kvm)) console.log(`mask ${line}`);
kvm.close();
