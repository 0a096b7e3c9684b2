// How the tables of fields are written.

import type { Kernel } from "../sysreg-row.js";

/**
 * When KVM_SET_ONE_REG takes another value than the limit for a field of an ID register: any that is not above it, not
 * below it, not below it except 0, or none but the safe value. Documentation/arch/arm64/cpu-feature-registers.rst.
 */
export type SafeRule = "lower" | "higher" | "higher-or-zero" | "exact";

/** A field of an ID register. */
export interface IdField {
  readonly lsb: number;
  readonly width: number;
  /** Absent: Linux gives the field no rule, and it never differs from the limit. */
  readonly rule: SafeRule | undefined;
  readonly safe: number;
  readonly signed: "signed" | "unsigned";
  /** The first kernel that gives the field a rule. */
  readonly since: Kernel;
}

/** A field of more than 32 bits: its values are bigints. */
export interface WideField {
  readonly msb: number;
  readonly lsb: number;
}

/** A bit, a field from msb to lsb, a wide one, or a field of an ID register. */
export type FieldSpec = number | readonly [msb: number, lsb: number] | WideField | IdField;

/** The fields of one register, from the highest to the lowest. */
export type Layout = Readonly<Record<string, FieldSpec>>;

export function wide(msb: number, lsb: number): WideField {
  return { msb, lsb };
}

function idField(rule: SafeRule | undefined, lsb: number, safe: number, width: number): IdField {
  return { lsb, width, rule, safe, signed: "unsigned", since: "6.1" };
}

export const lower = (lsb: number, safe = 0, width = 4): IdField => idField("lower", lsb, safe, width);
export const higher = (lsb: number, safe = 0): IdField => idField("higher", lsb, safe, 4);
export const higherOrZero = (lsb: number, safe = 0): IdField => idField("higher-or-zero", lsb, safe, 4);
export const exact = (lsb: number, safe = 0, width = 4): IdField => idField("exact", lsb, safe, width);
export const exactBit = (lsb: number): IdField => idField("exact", lsb, 0, 1);
/** Lower is safer, and 0xf is -1. */
export const signed = (lsb: number, safe = 0): IdField => ({ ...lower(lsb, safe), signed: "signed" });
/** Named by the Arm ARM, without a rule in Linux. */
export const unruled = (lsb: number, width = 4): IdField => idField(undefined, lsb, 0, width);
export const since72 = (field: IdField): IdField => ({ ...field, since: "7.2" });
