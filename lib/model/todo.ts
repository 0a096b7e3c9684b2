// What a kernel offers and the model does not have yet. Nothing of it is silent: each row says what a caller meets.

import { todoCaps } from "./kvm/caps.js";

export interface TodoRow {
  readonly what: string;
  /** What the model answers meanwhile. */
  readonly answers: string;
}

const verbs: readonly TodoRow[] = [
  { what: "mapping of a guest_memfd through another VM than its own", answers: "EINVAL" },
  { what: "KVM_DEV_TYPE_VFIO", answers: "ENODEV" },
  { what: "vGICv5", answers: "ENODEV: a host without a GICv5" },
  {
    what: "running guests in AArch32 state or at EL2",
    answers: "KVM_EXIT_INTERNAL_ERROR that says so; the vCPU's registers and states are the kernel's",
  },
  {
    what: "RES0 and RES1 masks of TCR2_EL2, SCTLR2_ELx, the second fine-grained trap registers and permission registers of EL2",
    answers: "all bits are kept: no host that has them was held against the model",
  },
  {
    what: "mapping of a shared, writable file: no memory of JavaScript's is a file's",
    answers: "EOPNOTSUPP; a private one is a copy, whose dirty log says what there is to write back",
  },
];

/** Every row, capabilities first. */
export const todo: readonly TodoRow[] = [
  ...todoCaps.map(({ cap, value, since }) => ({
    what: `KVM_CAP_${cap} (${value} since ${since})`,
    answers: "0, and KVM_ENABLE_CAP: EINVAL",
  })),
  ...verbs,
];
