// The feature ID registers of a vCPU as a picture: what each field is, how high it could be, and what KVM would take for
// it. Documentation/virt/kvm/api.rst 4.139; Documentation/arch/arm64/cpu-feature-registers.rst.

import { featureIdIndex } from "./arm64/feature-id-space.js";
import type { SafeRule } from "./arm64/field-layouts.js";
import { type Field, fieldsOf, maskOf } from "./arm64/fields.js";
import { formatRegId } from "./arm64/format.js";
import { acceptedIdValues, type FeatureNeed, idFieldNeeds } from "./arm64/id-fields.js";
import type { RegId, RegValue } from "./arm64/reg-id.js";
import { onKernel, type SysReg } from "./arm64/sysreg-row.js";
import { sysRegById, sysRegId, sysRegs, unpackEncoding } from "./arm64/sysregs.js";
import { KvmError } from "./errors.js";

/**
 * How KVM judges a value of a field. lower, higher, higher-or-zero, exact: by the limit, see `SafeRule` · fixed: none but
 * the limit · ignored: takes any and keeps 0 (AArch32 on a host without it) · own: by a rule of the register's own
 */
export type FieldRule = SafeRule | "fixed" | "ignored" | "own";

/** A field of an ID register, as it stands and as it could be. */
export interface IdRegisterField {
  /** As in the Arm ARM: "RNDR". */
  readonly name: string;
  readonly lsb: number;
  readonly width: number;
  readonly value: number;
  /** The value after KVM_ARM_VCPU_INIT; undefined: somebody wrote the register before it was ever read. */
  readonly limit: number | undefined;
  readonly rule: FieldRule;
  /** Every value that KVM takes now and keeps; undefined: not known, or too many. */
  readonly accepts: readonly number[] | undefined;
  /** What the field needs to be other than 0, or to be written at all. */
  readonly needs: FeatureNeed | undefined;
}

export interface IdRegister {
  readonly name: string;
  readonly id: RegId<64>;
  readonly value: bigint;
  /** The value after KVM_ARM_VCPU_INIT; undefined: somebody wrote the register before it was ever read. */
  readonly limit: bigint | undefined;
  /** KVM_ARM_GET_REG_WRITABLE_MASKS; undefined: the kernel has no such ioctl, or the vCPU came without its VM. */
  readonly writable: bigint | undefined;
  readonly fields: readonly IdRegisterField[];
}

/** What is read of a vCPU. */
export interface RegisterReader {
  regList(): RegId[];
  getRegs(ids: readonly RegId[]): RegValue[];
  getReg(id: RegId<64>): bigint;
}

/** op0 3 and CRn 0 to 3 have this in the upper bits of their ids. */
const OP0_3 = 0x6030_0000_0013_c000n >> 13n;

/** Whether an id is that of a register in the feature-ID space. */
export function isIdRegister(id: bigint): boolean {
  return id >> 13n === OP0_3 && featureIdIndex(unpackEncoding(Number(id & 0xffffn))) >= 0;
}

const indexOf = (id: bigint): number => featureIdIndex(unpackEncoding(Number(id & 0xffffn)));

/** Registers that are each vCPU's own: KVM judges them by other rules than a limit. */
const ownRules = ["MPIDR_EL1", "CLIDR_EL1"];

/** What the objects of one VM know of its ID registers' past. */
export class IdHistory {
  /** Set by the first run through this process's objects: ID registers are frozen. */
  ran = false;
  readonly capabilities = new Set<string>();
  readonly #limits = new Map<bigint, bigint>();
  readonly #written = new Set<bigint>();
  readonly #origin: "created" | "attached";
  readonly #readMasks: (() => BigUint64Array) | undefined;
  #masks: BigUint64Array | null | undefined;

  /** "attached": others may have written before. `masks`: KVM_ARM_GET_REG_WRITABLE_MASKS. */
  constructor(origin: "created" | "attached", masks?: () => BigUint64Array) {
    this.#origin = origin;
    this.#readMasks = masks;
  }

  /** Before a write: after it the register's limit can not be read any more. */
  wrote(id: bigint): void {
    if (isIdRegister(id)) this.#written.add(id);
  }

  /** The register's value after INIT, as far as it is known; `value`: what it reads now. */
  limitOf(id: bigint, value: bigint): bigint | undefined {
    const changed = this.#origin === "attached" || this.#written.has(id) || this.ran;
    if (!changed) this.#limits.set(id, value);
    // Once the VM ran a register that nobody wrote differs from its limit in the fields of the GIC alone.
    return this.#limits.get(id) ?? (this.#origin === "created" && !this.#written.has(id) ? value : undefined);
  }

  /** The writable masks; undefined where the kernel, or whoever gave this vCPU, does not tell. */
  masks(): BigUint64Array | undefined {
    if (this.#masks === undefined) this.#masks = this.#readMasks === undefined ? null : readMasks(this.#readMasks);
    return this.#masks ?? undefined;
  }
}

function readMasks(read: () => BigUint64Array): BigUint64Array | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof KvmError && error.code === "EINVAL") return null;
    throw error;
  }
}

/** The ids of the feature-ID registers that a vCPU has. */
function idsOf(vcpu: RegisterReader): RegId<64>[] {
  try {
    return vcpu.regList().filter(isIdRegister) as RegId<64>[];
  } catch (error) {
    // The list waits for KVM_ARM_VCPU_FINALIZE, the registers do not.
    if (!(error instanceof KvmError && error.code === "EPERM")) throw error;
  }
  const all = sysRegs.filter((row) => row.kernels.length > 0).map((row) => sysRegId(row) as RegId<64>);
  return all.filter((id) => isIdRegister(id) && has(vcpu, id));
}

function has(vcpu: RegisterReader, id: RegId<64>): boolean {
  try {
    vcpu.getReg(id);
    return true;
  } catch (error) {
    if (error instanceof KvmError && error.code === "ENOENT") return false;
    throw error;
  }
}

/** The whole picture, in order of the encodings. */
export function readIdRegisters(vcpu: RegisterReader, history: IdHistory): IdRegister[] {
  const ids = idsOf(vcpu).sort((a, b) => indexOf(a) - indexOf(b));
  const values = vcpu.getRegs(ids) as bigint[];
  const aarch32 = values[ids.findIndex((id) => formatRegId(id) === "ID_AA64PFR0_EL1")] ?? 0n;
  return ids.map((id, i) => describe(id, values[i] as bigint, history, (aarch32 & 0xfn) === 2n));
}

function describe(id: RegId<64>, value: bigint, history: IdHistory, aarch32: boolean): IdRegister {
  const name = formatRegId(id);
  const row = sysRegById(id);
  const limit = ownRules.includes(name) ? undefined : history.limitOf(id, value);
  const masks = history.masks();
  const writable = masks?.[indexOf(id)];
  const mask = writable ?? (row === undefined ? 0n : oldMask(row));
  const absent = writable === undefined ? !aarch32 : writable === 0n;
  const ignored = row !== undefined && absent && onKernel(row.access, "7.2") === "id32";
  const fields = fieldsOf(name).map((field): IdRegisterField => {
    const part = (whole: bigint) => Number((whole & maskOf(field)) >> BigInt(field.lsb));
    const needs = idFieldNeeds(name, field.name);
    const rule = ignored ? "ignored" : ruleOf(name, field, mask, history);
    const fieldLimit = limit === undefined ? undefined : part(limit);
    const accepts = history.ran ? [part(value)] : acceptsOf(name, field, rule, part(value), fieldLimit);
    return {
      name: field.name,
      lsb: field.lsb,
      width: field.width,
      value: part(value),
      limit: fieldLimit,
      rule,
      accepts,
      needs,
    };
  });
  return { name, id, value, limit, writable, fields };
}

/** What kernels let userspace change that do not tell: those of before KVM_ARM_GET_REG_WRITABLE_MASKS. */
function oldMask(row: SysReg): bigint {
  return ["id", "id32"].includes(onKernel(row.access, "6.1")) ? onKernel(row.userWritable, "6.1") : 0n;
}

function ruleOf(register: string, field: Field, mask: bigint, history: IdHistory): FieldRule {
  if (register === "MPIDR_EL1") return "own";
  const bits = maskOf(field);
  if ((mask & bits) !== bits) return "fixed";
  if (ownRules.includes(register)) return "own";
  const need = idFieldNeeds(register, field.name);
  if (field.rule !== undefined) return field.rule;
  // The masks tell of MIDR_EL1 and its kin whether or not the capability is enabled.
  const enabled = need !== undefined && "capability" in need && history.capabilities.has(need.capability);
  return enabled ? "own" : "fixed";
}

function acceptsOf(
  register: string,
  field: Field,
  rule: FieldRule,
  value: number,
  limit: number | undefined,
): readonly number[] | undefined {
  if (rule === "own") return undefined;
  if (rule === "ignored") return [0];
  if (rule === "fixed") return [limit ?? value];
  return limit === undefined ? undefined : acceptedIdValues(register, field, limit);
}
