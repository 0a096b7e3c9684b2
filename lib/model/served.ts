// What the model can play of a host at all. A host that has more is cut down to this before anything asks it, with
// captured hosts and with the built-in one alike: whoever lands a part adds its word here, and it shows.

import type { GicHost, Host } from "./host/host.js";
import { Feature } from "./vcpu-features.js";

export const served = {
  /** Bits of features[0] of KVM_ARM_VCPU_INIT. Without pmuV3 the host has no PMU. */
  features:
    Feature.powerOff |
    Feature.el1_32bit |
    Feature.psci02 |
    Feature.pmuV3 |
    Feature.sve |
    Feature.ptrauthAddress |
    Feature.ptrauthGeneric |
    Feature.hasEl2 |
    Feature.hasEl2E2h0,
  /** Devices of KVM_CREATE_DEVICE: "v2", "v3", "its". */
  gic: ["v2", "v3", "its"] as readonly (keyof Pick<GicHost, "v2" | "v3" | "its">)[],
  /** KVM_CAP_ARM_MTE. */
  mte: true,
  /** KVM_CAP_STEAL_TIME. */
  stolenTime: true,
};

type Served = typeof served;

function servedGic(gic: GicHost | null, kinds: Served["gic"]): GicHost | null {
  if (gic === null) return null;
  const has = (kind: Served["gic"][number]) => gic[kind] && kinds.includes(kind);
  const some = { ...gic, v2: has("v2"), v3: has("v3"), its: has("its") };
  return some.v2 || some.v3 ? some : null;
}

/** The part of a host that the model serves. */
export function servedPart(host: Host, { features, gic, mte, stolenTime }: Served = served): Host {
  return {
    ...host,
    features: host.features & features,
    vectorLengths: (features & Feature.sve) === 0 ? 0 : host.vectorLengths,
    mte: host.mte && mte,
    stolenTime: host.stolenTime && stolenTime,
    gic: servedGic(host.gic, gic),
    pmu: (features & Feature.pmuV3) === 0 ? null : host.pmu,
  };
}
