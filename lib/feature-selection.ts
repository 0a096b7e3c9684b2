// Choosing what a guest may have: fields of ID registers, judged as a whole before the first is written.
// Documentation/virt/kvm/arm/vcpu-features.rst, Documentation/virt/kvm/api.rst 4.139.

import { describe as show } from "./arguments.js";
import { type Field, maskOf } from "./arm64/fields.js";
import { type FeatureNeed, findIdField, type IdFieldName, safeRuleText } from "./arm64/id-fields.js";
import type { RegId } from "./arm64/reg-id.js";
import { KvmError } from "./errors.js";
import {
  type IdHistory,
  type IdRegister,
  type IdRegisterField,
  type RegisterReader,
  readIdRegisters,
} from "./id-registers.js";
import { errno } from "./uapi/errno.js";

/** Fields of ID registers and what they shall be. */
export type FeatureSelection = { readonly [F in IdFieldName]?: number };

/**
 * Why a field is refused. too-late: the VM ran · absent: this vCPU has no such register · ignored: the host has no
 * AArch32, whose registers read 0 · needs: it needs a feature of INIT, a capability or a device · fixed: the kernel lets
 * nobody change it · rule: the value is not one that the rule allows · kernel: the kernel said no, whatever the rules
 */
export type RefusalReason = "too-late" | "absent" | "ignored" | "needs" | "fixed" | "rule" | "kernel";

export interface FeatureRefusal {
  readonly field: IdFieldName;
  readonly asked: number;
  /** What it is now; undefined: there is no such register. */
  readonly value: number | undefined;
  /** What it can be at most, where that is known. */
  readonly limit: number | undefined;
  readonly reason: RefusalReason;
  /** A sentence for people. */
  readonly why: string;
}

/** Every field of a selection that is refused. Nothing was changed. */
export class FeatureSelectionError extends Error {
  override readonly name = "FeatureSelectionError";
  readonly refusals: readonly FeatureRefusal[];

  constructor(refusals: readonly FeatureRefusal[], options?: ErrorOptions) {
    const lines = refusals.map(({ field, asked, value, limit, why }) => {
      const now = value === undefined ? "" : ` (is ${value}${limit === undefined ? "" : `, limit ${limit}`})`;
      return `  ${field} = ${asked}${now}: ${why}`;
    });
    super(`selectFeatures: refused, and nothing was changed:\n${lines.join("\n")}`, options);
    this.refusals = refusals;
  }
}

/** A field that was asked for, with what is there. */
interface Wish {
  readonly name: IdFieldName;
  readonly layout: Field;
  readonly asked: number;
  readonly register: IdRegister | undefined;
  readonly field: IdRegisterField | undefined;
}

const TOO_LATE =
  "it is too late: a vCPU of this VM has run, and from its first KVM_RUN on ID registers are what the guest has seen";

/** What is written to a vCPU. */
export interface RegisterWriter extends RegisterReader {
  setReg(id: RegId<64>, value: bigint): void;
}

/** Writes a selection, or throws a FeatureSelectionError and leaves everything as it was. */
export function selectFeatures(vcpu: RegisterWriter, history: IdHistory, selection: FeatureSelection): void {
  const wishes = wishesOf(selection, readIdRegisters(vcpu, history));
  const changes = wishes.filter(({ field, asked }) => field === undefined || field.value !== asked);
  const refusals = changes.flatMap((wish) => judge(wish, history) ?? []);
  if (refusals.length > 0) throw new FeatureSelectionError(refusals);
  write(vcpu, changes);
}

function wishesOf(selection: FeatureSelection, registers: readonly IdRegister[]): Wish[] {
  if (typeof selection !== "object" || selection === null) {
    throw new TypeError(`selectFeatures: fields must be an object, got ${show(selection)}`);
  }
  return Object.entries(selection as Record<string, unknown>).map(([name, asked]) => {
    const known = findIdField(name);
    if (known === undefined) {
      throw new TypeError(`selectFeatures: ${show(name)} is no field of an ID register, such as ID_AA64ISAR0_EL1.RNDR`);
    }
    const most = 2 ** known.field.width - 1;
    if (typeof asked !== "number") throw new TypeError(`selectFeatures: ${name} must be a number, got ${show(asked)}`);
    if (!Number.isInteger(asked) || asked < 0 || asked > most) {
      throw new RangeError(`selectFeatures: ${name} must be 0 to ${most}, got ${asked}`);
    }
    const register = registers.find((one) => one.name === known.register);
    const field = register?.fields.find((one) => one.name === known.field.name);
    return { name: name as IdFieldName, layout: known.field, asked, register, field };
  });
}

function refusal({ name, asked, field }: Wish, reason: RefusalReason, why: string): FeatureRefusal {
  return { field: name, asked, value: field?.value, limit: field?.limit, reason, why };
}

/** The words for what a field needs. */
export function needText(need: FeatureNeed): string {
  if ("capability" in need) return `vm.enableCap("${need.capability}") before the first vCPU is created`;
  if ("device" in need) return `a ${need.device} in the VM`;
  return `vcpu.init({ features: [${need.init.map((feature) => `"${feature}"`).join(", ")}] })`;
}

function judge(wish: Wish, history: IdHistory): FeatureRefusal | undefined {
  const { field, asked } = wish;
  if (field === undefined) return refusal(wish, "absent", "this kernel gives its vCPUs no such register");
  if (history.ran) return refusal(wish, "too-late", TOO_LATE);
  if (field.rule === "ignored") {
    return refusal(wish, "ignored", "the host has no AArch32: the register reads 0 and ignores what is written");
  }
  if (field.accepts === undefined || field.accepts.includes(asked)) return undefined;
  const off = field.limit === 0 || field.rule === "fixed";
  if (field.needs !== undefined && off) {
    return refusal(wish, "needs", `it needs ${needText(field.needs)}, and a host that has it`);
  }
  if (field.rule === "fixed") return refusal(wish, "fixed", "this kernel lets nobody change it");
  const rule = field.rule === "own" ? "" : `${safeRuleText[field.rule]}: `;
  return refusal(wish, "rule", `${rule}KVM takes ${rangesOf(field.accepts)}`);
}

/** "0 to 2, 15" */
export function rangesOf(values: readonly number[]): string {
  const ranges: [first: number, last: number][] = [];
  for (const value of values) {
    const last = ranges.at(-1);
    if (last !== undefined && value === last[1] + 1) last[1] = value;
    else ranges.push([value, value]);
  }
  return ranges
    .map(([first, last]) =>
      first === last ? `${first}` : last === first + 1 ? `${first}, ${last}` : `${first} to ${last}`,
    )
    .join(", ");
}

/** Register by register; what was written is taken back when the kernel refuses one. */
function write(vcpu: RegisterWriter, changes: readonly Wish[]): void {
  const registers = [...new Set(changes.flatMap(({ register }) => register ?? []))];
  const done: IdRegister[] = [];
  for (const register of registers) {
    const wishes = changes.filter((wish) => wish.register === register);
    const value = wishes.reduce(
      (whole, { layout, asked }) => (whole & ~maskOf(layout)) | (BigInt(asked) << BigInt(layout.lsb)),
      register.value,
    );
    try {
      vcpu.setReg(register.id, value);
    } catch (error) {
      if (!(error instanceof KvmError)) throw error;
      // Until the first run a value can be raised again up to its limit.
      for (const { id, value: before } of done.reverse()) vcpu.setReg(id, before);
      throw new FeatureSelectionError(
        wishes.map((wish) => refusedByKernel(wish, error)),
        { cause: error },
      );
    }
    done.push(register);
  }
}

function refusedByKernel(wish: Wish, error: KvmError): FeatureRefusal {
  if (error.errno === -errno("EBUSY")) return refusal(wish, "too-late", TOO_LATE);
  return refusal(
    wish,
    "kernel",
    `the kernel does not take it (${error.code}), perhaps together with the others asked for`,
  );
}
