// Which fields of the ID registers a VMM may lower, and how far.

import { featureIdIndex } from "../../lib/arm64/feature-id-space.js";
import { type Field, fieldsOf, maskOf } from "../../lib/arm64/fields.js";
import type { RegId } from "../../lib/arm64/reg-id.js";
import { sysReg } from "../../lib/arm64/registers.js";
import { type Kernel, kernels, onKernel } from "../../lib/arm64/sysreg-row.js";
import { sysRegId, sysRegs } from "../../lib/arm64/sysregs.js";
import type { Vcpu } from "../../lib/vcpu.js";

/** Fields whose lowest value is not 0. */
const least: Readonly<Record<string, bigint>> = {
  "ID_AA64DFR0_EL1.DebugVer": 6n,
  "ID_DFR0_EL1.CopDbg": 6n,
  "ID_AA64PFR0_EL1.EL0": 1n,
  "ID_AA64PFR0_EL1.EL1": 1n,
};

/** Its neighbours in value mean something else, or another register must follow it. */
const special = ["ID_DFR0_EL1.PerfMon", "ID_AA64DFR0_EL1.PMUVer", "ID_AA64PFR1_EL1.MTE_frac"];

/** Rows of the feature-ID space that are limits. */
export const idRows = sysRegs.filter(
  (row) => featureIdIndex(row.encoding) >= 0 && ["id", "id32"].includes(onKernel(row.access, "7.2")),
);
export type IdRow = (typeof idRows)[number];

/** The id of a row, all of which have 64 bits. */
export const idOf = (row: IdRow): RegId<64> => sysRegId(row) as RegId<64>;

export const fieldIn = (value: bigint, { lsb, width }: Field): bigint =>
  (value >> BigInt(lsb)) & ((1n << BigInt(width)) - 1n);
export const withField = (value: bigint, field: Field, wanted: bigint): bigint =>
  (value & ~maskOf(field)) | (wanted << BigInt(field.lsb));

/** The lowest value of a field. */
export const floorOf = (row: IdRow, field: Field): bigint => least[`${row.name}.${field.name}`] ?? 0n;

/** The fields of a row that a kernel lets a VMM lower. */
export function lowerableFields(kernel: Kernel, row: IdRow): Field[] {
  const mask = onKernel(row.userWritable, kernel);
  return fieldsOf(row.name).filter(
    (field) =>
      field.rule === "lower" &&
      field.signed === "unsigned" &&
      (maskOf(field) & ~mask) === 0n &&
      kernels.indexOf(field.since) <= kernels.indexOf(kernel) &&
      !special.includes(`${row.name}.${field.name}`),
  );
}

/** A register's value with every field at its lowest that may be. */
export function lowest(kernel: Kernel, row: IdRow, limit: bigint): bigint {
  return lowerableFields(kernel, row)
    .filter((field) => fieldIn(limit, field) > floorOf(row, field))
    .reduce((value, field) => withField(value, field, floorOf(row, field)), limit);
}

/** Whether EL0 can run AArch32. Without it the registers of AArch32 read 0 and ignore writes. */
export const hasAArch32 = (cpu: Vcpu): boolean => (cpu.getReg(sysReg("ID_AA64PFR0_EL1")) & 0xfn) === 2n;
