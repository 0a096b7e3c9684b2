// The file that records a host: what `kvm-arm64 capture` writes and the model plays. 64-bit values are hexadecimal
// strings, registers have the names of formatRegId. Documentation: docs/model.md, "Hosts".

import type { Kernel } from "./arm64/sysreg-row.js";
import type { VcpuFeature } from "./arm64/vcpu-features.js";
import type { ErrnoName } from "./uapi/errno.js";

export const CAPTURE_FORMAT = "kvm-arm64 host 1";

/** "0x1f": a number of any width; a register's bytes are read as one little-endian number. */
export type Hex = `0x${string}`;

/** "volatile": it counts. null: the combination lacks a register that is expected of it. */
export type CapturedValue = Hex | "volatile" | null;

export type CapturedRegisters = Readonly<Record<string, CapturedValue>>;

/** A vCPU initialised with these features and psci-0.2. */
export interface Combination {
  readonly features: readonly VcpuFeature[];
  /** KVM_CAP_ARM_MTE was enabled. */
  readonly mte?: true;
  /** KVM_ARM_VCPU_INIT's answer where it says no. */
  readonly refused?: ErrnoName;
  /**
   * Every register listed, with its value after INIT, in the kernel's order: of the first combination, which has no
   * features, all; of the others, what is not as `expectedRegisters` says.
   */
  readonly registers?: CapturedRegisters;
}

/** What KVM_HAS_DEVICE_ATTR says to a group, by answer; those of ENXIO are left out. Ranges: "0x0-0xc 0x10". */
export type AttributeAnswers = Readonly<Partial<Record<"ok" | ErrnoName, string>>>;

export interface DeviceCapture {
  readonly attributes: Readonly<Record<string, AttributeAnswers>>;
  /** Register files by group: those that are not 0 after the device's INIT, by name or range of offsets. */
  readonly registers: Readonly<Record<string, Readonly<Record<string, Hex>>>>;
}

export interface HostCapture {
  readonly format: typeof CAPTURE_FORMAT;
  /** How it was taken. */
  readonly note: string;
  /** Day, and by which version of this package. */
  readonly taken: string;
  readonly kernel: { readonly release: string; readonly contract: Kernel };
  readonly pageBytes: number;
  readonly runPageBytes: number;
  /** KVM_CHECK_EXTENSION on /dev/kvm; what is 0 is left out, what has no name is "cap N". */
  readonly capabilities: Readonly<Record<string, number | ErrnoName>>;
  /** The same on a new VM, where that differs. */
  readonly vmCapabilities: Readonly<Record<string, number | ErrnoName>>;
  readonly preferredTarget: number;
  /** KVM_ARM_VCPU_INIT with one feature alone: by name, or "bit N". */
  readonly init: Readonly<Record<string, "ok" | ErrnoName>>;
  /** SVE vector lengths in quadwords. */
  readonly vectorLengths: readonly number[];
  /** Numbers that KVM_ARM_VCPU_PMU_V3_SET_PMU takes. */
  readonly pmuTypes: readonly number[];
  /** What a guest reads of registers that KVM does not list. */
  readonly guest: Readonly<Record<string, Hex | "undefined">>;
  /** Fields of the host that guests are not shown, found by what KVM_SET_ONE_REG takes for them. */
  readonly hiddenFields: Readonly<Record<string, number>>;
  /** KVM_ARM_GET_REG_WRITABLE_MASKS: words that are not 0. null: the kernel has no such ioctl. */
  readonly writableMasks: Readonly<Record<string, Hex>> | null;
  readonly combinations: readonly Combination[];
  /** KVM_CREATE_DEVICE: the types that exist. */
  readonly devices: Readonly<Record<string, DeviceCapture>>;
  readonly vmAttributes: Readonly<Record<string, AttributeAnswers>>;
  /** Of a vCPU with all that the host has and that goes together with an initialised vGICv3, where there is one. */
  readonly vcpuAttributes: Readonly<Record<string, AttributeAnswers>>;
}

/** What can be chosen for a vCPU alone, as features; `mte` is a capability. */
export const choices = {
  "pmu-v3": ["pmu-v3"],
  sve: ["sve"],
  ptrauth: ["ptrauth-address", "ptrauth-generic"],
  "el1-32bit": ["el1-32bit"],
  el2: ["el2"],
  "el2-e2h0": ["el2", "el2-e2h0"],
  mte: [],
} as const satisfies Readonly<Record<string, readonly VcpuFeature[]>>;
export type Choice = keyof typeof choices;

/** The choices that make up a combination. */
export function choicesOf({ features, mte }: Pick<Combination, "features" | "mte">): Choice[] {
  const has = (feature: VcpuFeature) => features.includes(feature);
  const made = (Object.keys(choices) as Choice[]).filter((choice) =>
    choice === "mte" ? mte === true : choices[choice].every(has),
  );
  return made.includes("el2-e2h0") ? made.filter((choice) => choice !== "el2") : made;
}

/** All registers of a combination, by name. */
export type Listing = ReadonlyMap<string, Hex | "volatile">;

/**
 * What a combination's registers are expected to be: those of the plain vCPU, with what each of its choices changes when
 * it stands alone. Choices change different fields of a register.
 */
export function expectedRegisters(plain: Listing, alone: readonly Listing[]): Map<string, Hex | "volatile"> {
  const expected = new Map(plain);
  for (const listing of alone) {
    for (const name of plain.keys()) if (!listing.has(name)) expected.delete(name);
    for (const [name, value] of listing) {
      const before = plain.get(name);
      const sum = expected.get(name);
      if (before === undefined) expected.set(name, value);
      else if (value !== before && sum !== undefined) expected.set(name, together(sum, before, value));
    }
  }
  return expected;
}

function together(sum: Hex | "volatile", before: Hex | "volatile", value: Hex | "volatile"): Hex | "volatile" {
  if (sum === "volatile" || before === "volatile" || value === "volatile") return "volatile";
  return `0x${(BigInt(sum) ^ BigInt(before) ^ BigInt(value)).toString(16)}`;
}
