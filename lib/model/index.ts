// The software model of KVM on arm64: the same seam as /dev/kvm, on any machine.

import type { SystemFd } from "../backend.js";
import type { ModelOptions } from "./profile.js";
import { checkSeam } from "./seam.js";
import { ModelSystem } from "./system.js";

export type { ModelOptions } from "./profile.js";

checkSeam();

/** Opens the model's /dev/kvm. TypeError, RangeError: an option that does not exist. */
export function openModel(options: ModelOptions = {}): SystemFd {
  return new ModelSystem(options);
}
