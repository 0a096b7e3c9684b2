// The fields of the feature ID registers by the names that a VMM uses, and what KVM asks of them besides their rule.

import type { Layout, SafeRule } from "./field-layouts.js";
import { idLayouts } from "./field-layouts.js";
import { type Field, fieldsOf, isSafe } from "./fields.js";
import type { SysRegName } from "./sysregs.js";
import { sysRegByName } from "./sysregs.js";
import type { VcpuFeature } from "./vcpu-features.js";

type Layouts = typeof idLayouts;
type IdRegisterName = Extract<keyof Layouts, `ID_${string}` | `MVFR${string}` | "CTR_EL0">;

/** "ID_AA64ISAR0_EL1.RNDR": a field of an ID register. */
export type IdFieldName = {
  [R in IdRegisterName]: `${R}.${Extract<keyof Layouts[R], string>}`;
}[IdRegisterName];

/** What must be asked for before a field can be other than 0: by vcpu.init(), by enabling a capability, or by a device. */
export type FeatureNeed =
  | { readonly init: readonly VcpuFeature[] }
  | { readonly capability: string }
  | { readonly device: string };

const sve: FeatureNeed = { init: ["sve"] };
const pmu: FeatureNeed = { init: ["pmu-v3"] };
const ptrauth: FeatureNeed = { init: ["ptrauth-address", "ptrauth-generic"] };
const mte: FeatureNeed = { capability: "ARM_MTE" };
const el2: FeatureNeed = { init: ["el2"] };
const gic: FeatureNeed = { device: "vgic-v3" };

// biome-ignore format: table
const needs: { readonly [F in IdFieldName]?: FeatureNeed } = {
  "ID_AA64PFR0_EL1.SVE": sve,
  "ID_AA64PFR0_EL1.GIC": gic,
  "ID_PFR1_EL1.GIC": gic,
  "ID_AA64PFR1_EL1.MTE": mte, "ID_AA64PFR1_EL1.MTE_frac": mte, "ID_AA64PFR1_EL1.MTEX": mte,
  "ID_AA64PFR2_EL1.MTEFAR": mte, "ID_AA64PFR2_EL1.MTESTOREONLY": mte,
  "ID_AA64DFR0_EL1.PMUVer": pmu, "ID_DFR0_EL1.PerfMon": pmu,
  "ID_AA64ISAR1_EL1.APA": ptrauth, "ID_AA64ISAR1_EL1.API": ptrauth, "ID_AA64ISAR1_EL1.GPA": ptrauth,
  "ID_AA64ISAR1_EL1.GPI": ptrauth, "ID_AA64ISAR2_EL1.APA3": ptrauth, "ID_AA64ISAR2_EL1.GPA3": ptrauth,
  "ID_AA64MMFR4_EL1.NV_frac": el2, "ID_AA64MMFR4_EL1.E2H0": el2,
};

/** Registers that KVM takes only with a capability. */
const WRITABLE_IMP: FeatureNeed = { capability: "ARM_WRITABLE_IMP_ID_REGS" };

/** What a field needs to be other than 0, or to be written at all; undefined: nothing. */
export function idFieldNeeds(register: string, field: string): FeatureNeed | undefined {
  if (["MIDR_EL1", "REVIDR_EL1", "AIDR_EL1"].includes(register)) return WRITABLE_IMP;
  if (register === "ID_AA64ZFR0_EL1") return sve;
  const name = `${register}.${field}`;
  return Object.hasOwn(needs, name) ? needs[name as IdFieldName] : undefined;
}

/**
 * The least value that KVM takes although the rule would let it go lower. EL0 and EL1 are 1 at least: kernels before 7.x
 * take 0, which promises the guest a CPU that has no exception level to run it.
 */
// biome-ignore format: table
const least: { readonly [F in IdFieldName]?: number } = {
  "ID_AA64PFR0_EL1.EL0": 1, "ID_AA64PFR0_EL1.EL1": 1,
  "ID_AA64DFR0_EL1.DebugVer": 6, "ID_DFR0_EL1.CopDbg": 6,
  "CTR_EL0.L1Ip": 2,
};

/** Values that KVM refuses, or stores as others: PMUs of before PMUv3, and of another kind. */
const never: { readonly [F in IdFieldName]?: readonly number[] } = {
  "ID_DFR0_EL1.PerfMon": [1, 2, 15],
  "ID_AA64DFR0_EL1.PMUVer": [15],
};

/** Wider fields are no features, and their values too many to list. */
const WIDEST = 4;

/** The values that KVM takes, and keeps, for a field whose limit is `limit`; undefined: not to be listed. */
export function acceptedIdValues(register: string, field: Field, limit: number): readonly number[] | undefined {
  if (field.width > WIDEST) return undefined;
  const name = `${register}.${field.name}` as IdFieldName;
  const floor = least[name] ?? 0;
  return Array.from({ length: 2 ** field.width }, (_, value) => value).filter(
    (value) =>
      value === limit || (isSafe(field, value, limit) && value >= floor && !(never[name]?.includes(value) ?? false)),
  );
}

/** How KVM judges a value of a field that can be written, in words. */
export const safeRuleText: Readonly<Record<SafeRule, string>> = {
  lower: "not above the limit",
  higher: "not below the limit",
  "higher-or-zero": "not below the limit, or 0",
  exact: "the limit or the safe value",
};

/** The register and the field behind "ID_AA64ISAR0_EL1.RNDR"; undefined: no such name. */
export function findIdField(name: string): { readonly register: SysRegName; readonly field: Field } | undefined {
  const [register = "", fieldName, ...more] = name.split(".");
  if (fieldName === undefined || more.length > 0 || !Object.hasOwn(idLayouts, register)) return undefined;
  const row = sysRegByName(register);
  const field = fieldsOf(register).find((one) => one.name === fieldName);
  return row === undefined || field === undefined ? undefined : { register: row.name, field };
}

/** Every name of a field, register by register. */
export const idFieldNames: readonly IdFieldName[] = Object.entries(idLayouts as Readonly<Record<string, Layout>>)
  .filter(([register]) => /^(ID_|MVFR|CTR_EL0)/.test(register))
  .flatMap(([register, layout]) => Object.keys(layout).map((field) => `${register}.${field}` as IdFieldName));
