// Named fields of register values, both ways.

import { shown } from "./argument.js";
import type { FieldSpec, IdField, Layout, SafeRule, WideField } from "./field-layouts.js";
import { controlLayouts, idLayouts } from "./field-layouts.js";
import type { Kernel } from "./sysreg-row.js";
import { kernels, onKernel } from "./sysreg-row.js";
import type { SysRegName } from "./sysregs.js";
import { sysRegByName } from "./sysregs.js";

type Layouts = typeof controlLayouts & typeof idLayouts;
type Families = {
  "DBGBCR#_EL1": `DBGBCR${number}_EL1`;
  "DBGWCR#_EL1": `DBGWCR${number}_EL1`;
  "PMEVTYPER#_EL0": `PMEVTYPER${number}_EL0`;
};

/** A register whose fields have names: system registers, and PSTATE. */
export type FieldedName = Exclude<keyof Layouts, keyof Families> | Families[keyof Families];

type LayoutOf<N> = N extends keyof Layouts
  ? Layouts[N]
  : { [F in keyof Families]: N extends Families[F] ? Layouts[F] : never }[keyof Families];

/** Registers whose values are numbers: KVM has them in 32 bits. */
type Narrow = "CCSIDR_EL1" | "FPCR" | "FPSR";
const narrow: readonly string[] = ["CCSIDR_EL1", "FPCR", "FPSR"] satisfies Narrow[];

/** The value of a register as `getReg` gives it. */
export type FieldedValue<N extends FieldedName> = N extends Narrow ? number : bigint;

/** The names of a register's fields, with what they hold: numbers, or bigints above 32 bits. */
export type FieldValues<N extends FieldedName> = {
  -readonly [F in keyof LayoutOf<N>]: LayoutOf<N>[F] extends WideField ? bigint : number;
};

/** One field of a register. */
export interface Field {
  readonly name: string;
  readonly lsb: number;
  readonly width: number;
  /** For ID registers: how KVM_SET_ONE_REG may lower it. */
  readonly rule: SafeRule | undefined;
  readonly safe: number;
  readonly signed: "signed" | "unsigned";
  readonly since: Kernel;
}

const layouts: Readonly<Record<string, Layout>> = { ...controlLayouts, ...idLayouts };
const spread = new Map<string, readonly Field[]>();

function spreadOut(name: string, spec: FieldSpec): Field {
  const plain = { name, rule: undefined, safe: 0, signed: "unsigned", since: kernels[0] } as const;
  if (typeof spec === "number") return { ...plain, lsb: spec, width: 1 };
  if ("rule" in spec) return { ...(spec as IdField), name };
  const [msb, lsb] = "msb" in spec ? [spec.msb, spec.lsb] : spec;
  return { ...plain, lsb, width: msb - lsb + 1 };
}

/** The named fields of a register, from the highest to the lowest; none where the table has no names. */
export function fieldsOf(name: string): readonly Field[] {
  const key = Object.hasOwn(layouts, name) ? name : name.replace(/\d+(?=_EL)/, "#");
  let fields = spread.get(key);
  if (fields === undefined) {
    const layout = Object.hasOwn(layouts, key) ? (layouts[key] as Layout) : {};
    fields = Object.entries(layout).map(([field, spec]) => spreadOut(field, spec));
    spread.set(key, fields);
  }
  return fields;
}

/** The bits that a field covers. */
export function maskOf(field: Pick<Field, "lsb" | "width">): bigint {
  return ((1n << BigInt(field.width)) - 1n) << BigInt(field.lsb);
}

function fieldedArgument(call: string, name: unknown): readonly Field[] {
  if (typeof name !== "string") throw new TypeError(`${call}: name must be a string, got ${shown(name)}`);
  const known = name === "PSTATE" || sysRegByName(name) !== undefined;
  const fields = known ? fieldsOf(name) : [];
  if (fields.length === 0)
    throw new TypeError(`${call}: name must be a register with named fields, got ${JSON.stringify(name)}`);
  return fields;
}

function valueArgument(call: string, argument: string, name: string, value: unknown): bigint {
  if (typeof value !== "bigint" && typeof value !== "number")
    throw new TypeError(`${call}: ${argument} of ${name} must be a bigint, got ${shown(value)}`);
  const bits = narrow.includes(name) ? 32n : 64n;
  if (typeof value === "number" && !Number.isSafeInteger(value))
    throw new RangeError(`${call}: ${argument} of ${name} must be a whole number, got ${value}`);
  const wide = BigInt(value);
  if (wide < 0n || wide >> bits !== 0n)
    throw new RangeError(`${call}: ${argument} of ${name} must fit in ${bits} bits, got ${value}`);
  return wide;
}

/** A value taken apart: its fields by name, and in `rest` the bits that have none. */
export function decode<N extends FieldedName>(
  name: N,
  value: FieldedValue<N>,
): { readonly fields: FieldValues<N>; readonly rest: bigint } {
  const known = fieldedArgument("decode", name);
  let rest = valueArgument("decode", "value", name, value);
  const whole = rest;
  const fields: Record<string, number | bigint> = {};
  for (const field of known) {
    const part = (whole & maskOf(field)) >> BigInt(field.lsb);
    fields[field.name] = field.width > 32 ? part : Number(part);
    rest &= ~maskOf(field);
  }
  return { fields: fields as FieldValues<N>, rest };
}

/** A value put together: `base`, with some fields replaced. */
export function encode<N extends FieldedName>(
  name: N,
  fields: Partial<FieldValues<N>>,
  base?: FieldedValue<N>,
): FieldedValue<N> {
  const known = fieldedArgument("encode", name);
  if (typeof fields !== "object" || fields === null)
    throw new TypeError(`encode: fields of ${name} must be an object, got ${shown(fields)}`);
  let value = base === undefined ? 0n : valueArgument("encode", "base", name, base);
  for (const [fieldName, wanted] of Object.entries(fields as Record<string, unknown>)) {
    const field = known.find((one) => one.name === fieldName);
    if (field === undefined)
      throw new TypeError(
        `encode: ${name} has no field ${fieldName}; it has ${known.map((one) => one.name).join(", ")}`,
      );
    value = (value & ~maskOf(field)) | (fieldArgument(name, field, wanted) << BigInt(field.lsb));
  }
  return (narrow.includes(name) ? Number(value) : value) as FieldedValue<N>;
}

function fieldArgument(name: string, field: Field, wanted: unknown): bigint {
  const range = `${name}.${field.name} must be 0 to ${(1n << BigInt(field.width)) - 1n}`;
  if (typeof wanted !== "number" && typeof wanted !== "bigint")
    throw new TypeError(`encode: ${range}, got ${shown(wanted)}`);
  if (typeof wanted === "number" && !Number.isSafeInteger(wanted))
    throw new RangeError(`encode: ${range}, got ${wanted}`);
  const part = BigInt(wanted);
  if (part < 0n || part >> BigInt(field.width) !== 0n) throw new RangeError(`encode: ${range}, got ${wanted}`);
  return part;
}

/**
 * Whether KVM takes `value` for a field of an ID register whose limit is `limit`: both are the field's own bits.
 * The limit itself always is. Documentation/virt/kvm/api.rst 4.139.
 */
export function isSafe(
  field: Pick<Field, "rule" | "safe" | "signed" | "width">,
  value: number,
  limit: number,
): boolean {
  if (value === limit) return true;
  const number = (bits: number) =>
    field.signed === "signed" && bits >> (field.width - 1) ? bits - 2 ** field.width : bits;
  switch (field.rule) {
    case "lower":
      return number(value) <= number(limit);
    case "higher":
      return number(value) >= number(limit);
    case "higher-or-zero":
      return value === 0 || (limit !== 0 && number(value) >= number(limit));
    case "exact":
      return value === field.safe;
    case undefined:
      return false;
  }
}

/**
 * Whether KVM_SET_ONE_REG takes `value` for an ID register whose limit is `limit`: every field that lies wholly inside the
 * kernel's mask and has a rule must be safe, and every other bit that of the limit. Some registers have rules besides:
 * least values (DebugVer, CopDbg, EL0, EL1), and values that count as others (PMUVer, MPAM).
 */
export function acceptsIdValue(name: SysRegName, kernel: Kernel, limit: bigint, value: bigint): boolean {
  const mask = onKernel(sysRegByName(name).userWritable, kernel);
  let judged = 0n;
  for (const field of fieldsOf(name)) {
    const bits = maskOf(field);
    const known = kernels.indexOf(field.since) <= kernels.indexOf(kernel);
    if (field.rule === undefined || !known || (mask & bits) !== bits) continue;
    const part = (whole: bigint) => Number((whole & bits) >> BigInt(field.lsb));
    if (!isSafe(field, part(value), part(limit))) return false;
    judged |= bits;
  }
  return (value & ~judged) === (limit & ~judged);
}
