// Differences that are known, with their reason. Whatever is not in this list is a failure.

import { todoCaps } from "../../lib/model/kvm/caps.js";
import { served } from "../../lib/model/served.js";
import { Feature } from "../../lib/model/vcpu-features.js";
import { caps } from "../../lib/uapi/caps.js";
import { KVM_DEV_TYPE } from "../../lib/uapi/constants.js";
import type { Found } from "./compare.js";
import type { Op, Sequence } from "./op.js";

export interface KnownDifference {
  readonly name: string;
  readonly reason: string;
  /** `before`: the ops of the sequence before this one. */
  readonly matches: (op: Op, found: Found, before: Sequence) => boolean;
  /** Nothing follows from it: the sequence goes on. Otherwise it ends there. */
  readonly goOn: boolean;
}

const gicTypes: readonly number[] = [KVM_DEV_TYPE.ARM_VGIC_V2, KVM_DEV_TYPE.ARM_VGIC_V3, KVM_DEV_TYPE.ARM_VGIC_ITS];

/** Capabilities that follow from what the model does not serve (lib/model/served.ts). */
const unservedCaps = new Set<number>([
  ...todoCaps.map(({ cap }) => caps[cap]),
  ...((served.features & Feature.pmuV3) === 0 ? [caps.ARM_PMU_V3] : []),
  ...((served.features & Feature.ptrauthAddress) === 0 ? [caps.ARM_PTRAUTH_ADDRESS, caps.ARM_PTRAUTH_GENERIC] : []),
  ...((served.features & Feature.el1_32bit) === 0 ? [caps.ARM_EL1_32BIT] : []),
  ...((served.features & Feature.hasEl2) === 0 ? [caps.ARM_EL2, caps.ARM_EL2_E2H0] : []),
  ...(served.mte ? [] : [caps.ARM_MTE]),
  ...(served.stolenTime ? [] : [caps.STEAL_TIME]),
  ...(served.gic.includes("v2") ? [] : [caps.IRQCHIP]),
  ...(served.gic.includes("its") ? [] : [caps.MSI_DEVID]),
]);

const dirtyLogs = new Set(["vm.getDirtyLog", "vm.clearDirtyLog"]);

const injectsAbort = ({ verb, args }: Op): boolean => verb === "cpu.setVcpuEvents" && (args[0] as Uint8Array)[2] !== 0;

export const knownDifferences: readonly KnownDifference[] = [
  {
    name: "FAR_EL1 of an abort that userspace injected",
    reason:
      "before 7.2, and where no access waits, it is the address of the last stage 2 fault, also of one that only mapped a page: what is mapped is the kernel's affair",
    matches: ({ verb, on }, { what, reference, subject }, before) =>
      verb === "cpu.dump" &&
      what === "values" &&
      [reference, subject].every((text) => /^FAR_EL1 0x[0-9a-f]{16}$/.test(text)) &&
      before.some((op) => op.on === on && injectsAbort(op)),
    goOn: true,
  },
  {
    name: "a bitmap that is too short, for a slot without a log",
    reason: "the addon looks at the caller's slips before it asks the kernel, the model when it comes to the bitmap",
    matches: ({ verb }, { what, reference, subject }) =>
      dirtyLogs.has(verb) && what === "answer" && reference === "RangeError" && subject !== "OK",
    goOn: true,
  },
  {
    name: "a capability of what the model does not serve",
    reason: "lib/model/served.ts and lib/model/todo.ts list it",
    matches: ({ verb, args }) => verb.endsWith(".checkExtension") && unservedCaps.has(args[0] as number),
    goOn: true,
  },
  {
    name: "a device that the model does not serve",
    reason: "lib/model/served.ts lists those that it does, lib/model/todo.ts has VFIO",
    matches: ({ verb, args }) =>
      verb === "vm.createDevice"
        ? args[0] === KVM_DEV_TYPE.VFIO || (served.gic.length < 3 && gicTypes.includes(args[0] as number))
        : served.gic.length < 3 && (verb === "vm.createIrqchip" || verb === "vm.armSetDeviceAddr"),
    goOn: false,
  },
];

const hits = new Map<string, number>();

export function knownDifference(op: Op, found: Found, before: Sequence): KnownDifference | null {
  const row = knownDifferences.find(({ matches }) => matches(op, found, before));
  if (row === undefined) return null;
  const key = `${row.name}: ${op.verb}: ${found.reference}, ${found.subject}`;
  hits.set(key, (hits.get(key) ?? 0) + 1);
  return row;
}

/** How often each was met in this process, by verb and answers. */
export const knownHits = (): ReadonlyMap<string, number> => hits;
