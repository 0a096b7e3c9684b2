// The model, as it plays the very host: from a capture that was just taken there.

import { writeFileSync } from "node:fs";
import { release } from "node:os";
import type { Kernel } from "../../lib/arm64/sysreg-row.js";
import type { SystemFd } from "../../lib/backend.js";
import { captureHost, captureText } from "../../lib/cli/capture-host.js";
import { Kvm } from "../../lib/index.js";
import { openModel } from "../../lib/model/index.js";
import { served } from "../../lib/model/served.js";
import { KVM_DEV_TYPE } from "../../lib/uapi/constants.js";
import type { HostFacts } from "./generate/maker.js";

const MEMORY_BYTES = 64 << 20;

/** Records this machine's KVM. */
export function writeCapture(path: string, kernel: Kernel): void {
  using kvm = Kvm.open({ backend: "kvm" });
  const about = { note: "differential run", taken: "now", kernel: { release: release(), contract: kernel } };
  writeFileSync(path, captureText(captureHost(kvm, about)));
}

/** `capture`: the text of one. */
export function openSubject(kernel: Kernel, capture: string): SystemFd {
  return openModel({ kernel, host: JSON.parse(capture), impersonate: true, memoryBytes: MEMORY_BYTES });
}

const kinds = { v2: KVM_DEV_TYPE.ARM_VGIC_V2, v3: KVM_DEV_TYPE.ARM_VGIC_V3, its: KVM_DEV_TYPE.ARM_VGIC_ITS } as const;

/** What the host offers and the model says that it serves: the rest is not asked for, and is named in the output. */
export function servedFacts(facts: HostFacts): HostFacts {
  const left = new Set<number>(
    Object.entries(kinds).flatMap(([kind, type]) => (served.gic.includes(kind as never) ? [] : [type])),
  );
  return {
    ...facts,
    features: facts.features & served.features,
    mte: facts.mte && served.mte,
    devices: facts.devices.filter((type) => !left.has(type)),
  };
}
