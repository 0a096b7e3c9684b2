// SYS instructions by name: cache, TLB, prediction and address translation maintenance. DDI 0487 C5.3 to C5.6.

import { packEncoding } from "../../arm64/sysregs.js";
import type { Feature } from "../a64/features.js";
import type { Access } from "./stage1.js";

export interface Maintenance {
  readonly name: string;
  /** The bit of SCTLR_EL1 that allows it at EL0; without one it is UNDEFINED there. */
  readonly el0?: "UCI" | "DZE" | "EnRCTX" | undefined;
  readonly needs: readonly Feature[];
  /**
   * Caches are not modelled, so most do nothing; those by address still have to find their page ("byAddress"), DC ZVA
   * zeroes. A TLBI invalidates what tlb.ts says that it names, and everything on other CPUs.
   */
  readonly effect: "nothing" | "bySetWay" | "zero" | "byAddress" | "invalidate" | AddressTranslation;
}

/** AT: for which access. `pan`: PSTATE.PAN counts. */
export type AddressTranslation = Access;

const at = (kind: "read" | "write", who: "EL1" | "EL0" | "EL1 with PAN"): AddressTranslation => ({
  kind,
  unprivileged: who === "EL0",
  pan: who === "EL1 with PAN",
});

type Row = [
  name: string,
  op1: number,
  crn: number,
  crm: number,
  op2: number,
  effect: Maintenance["effect"],
  el0?: Maintenance["el0"],
  needs?: Feature,
];

// biome-ignore format: table
const rows: readonly Row[] = [
  //  name          op1 CRn CRm op2
  ["IC IALLUIS",     0, 7,  1, 0, "nothing"],
  ["IC IALLU",       0, 7,  5, 0, "nothing"],
  ["IC IVAU",        3, 7,  5, 1, "byAddress", "UCI"],
  ["DC IVAC",        0, 7,  6, 1, "byAddress"],
  ["DC ISW",         0, 7,  6, 2, "bySetWay"],
  ["DC CSW",         0, 7, 10, 2, "bySetWay"],
  ["DC CISW",        0, 7, 14, 2, "bySetWay"],
  ["DC ZVA",         3, 7,  4, 1, "zero",      "DZE"],
  ["DC CVAC",        3, 7, 10, 1, "byAddress", "UCI"],
  ["DC CVAU",        3, 7, 11, 1, "byAddress", "UCI"],
  ["DC CVAP",        3, 7, 12, 1, "byAddress", "UCI", "DPB"],
  ["DC CVADP",       3, 7, 13, 1, "byAddress", "UCI", "DPB2"],
  ["DC CIVAC",       3, 7, 14, 1, "byAddress", "UCI"],
  ["AT S1E1R",       0, 7,  8, 0, at("read", "EL1")],
  ["AT S1E1W",       0, 7,  8, 1, at("write", "EL1")],
  ["AT S1E0R",       0, 7,  8, 2, at("read", "EL0")],
  ["AT S1E0W",       0, 7,  8, 3, at("write", "EL0")],
  ["AT S1E1RP",      0, 7,  9, 0, at("read", "EL1 with PAN"), undefined, "PAN2"],
  ["AT S1E1WP",      0, 7,  9, 1, at("write", "EL1 with PAN"), undefined, "PAN2"],
  ["CFP RCTX",       3, 7,  3, 4, "nothing", "EnRCTX", "SPECRES"],
  ["DVP RCTX",       3, 7,  3, 5, "nothing", "EnRCTX", "SPECRES"],
  ["CPP RCTX",       3, 7,  3, 7, "nothing", "EnRCTX", "SPECRES"],
  ...tlbi("",     8, 7),
  ...tlbi("IS",   8, 3),
  ...tlbi("OS",   8, 1, "TLBIOS"),
  ...tlbi("NXS",  9, 7, "XS"),
  ...tlbi("ISNXS", 9, 3, "XS"),
  ...tlbi("OSNXS", 9, 1, "XS"),
  ...tlbiRange("",   8, 6, "TLBIRANGE"),
  ...tlbiRange("IS", 8, 2, "TLBIRANGE"),
  ...tlbiRange("OS", 8, 5, "TLBIRANGE"),
  ...tlbiRange("NXS",   9, 6, "XS"),
  ...tlbiRange("ISNXS", 9, 2, "XS"),
  ...tlbiRange("OSNXS", 9, 5, "XS"),
];

function tlbi(suffix: string, crn: number, crm: number, needs?: Feature): Row[] {
  const names = { VMALLE1: 0, VAE1: 1, ASIDE1: 2, VAAE1: 3, VALE1: 5, VAALE1: 7 };
  return Object.entries(names).map(([name, op2]) => tlbiRow(`TLBI ${name}${suffix}`, crn, crm, op2, needs));
}

function tlbiRange(suffix: string, crn: number, crm: number, needs: Feature): Row[] {
  const names = { RVAE1: 1, RVAAE1: 3, RVALE1: 5, RVAALE1: 7 };
  return Object.entries(names).map(([name, op2]) => tlbiRow(`TLBI ${name}${suffix}`, crn, crm, op2, needs));
}

function tlbiRow(name: string, crn: number, crm: number, op2: number, needs: Feature | undefined): Row {
  return needs === undefined
    ? [name, 0, crn, crm, op2, "invalidate"]
    : [name, 0, crn, crm, op2, "invalidate", undefined, needs];
}

/** All of them, by op0:op1:CRn:CRm:op2 in 16 bits. */
export const maintenanceOperations: ReadonlyMap<number, Maintenance> = new Map(
  rows.map(([name, op1, crn, crm, op2, effect, el0, needs]) => [
    packEncoding([1, op1, crn, crm, op2]),
    { name, el0, effect, needs: needs === undefined ? [] : [needs] },
  ]),
);

export function maintenanceOperation(id: number): Maintenance | undefined {
  return maintenanceOperations.get(id);
}
