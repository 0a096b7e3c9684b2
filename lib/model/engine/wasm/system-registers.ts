// System registers that are cells without more, and may be read or written without a question but that for the exception
// level. All others are the evaluator's, which knows what they do.

import { packEncoding, type SysRegName, sysRegByName, sysRegIndex, sysRegs } from "../../../arm64/sysregs.js";
import { maintenanceOperation } from "../../cpu/maintenance.js";
import { cells, Pstate } from "../../cpu/state.js";
import { I32, I64 } from "./binary.js";
import { type Node, refuse, type Trace } from "./trace.js";

/**
 * What must hold, or the evaluator sees to it. "EL1h": the stack pointer in use is another than SP_EL0. "CNTVCT" and "UCI":
 * EL1, or EL0 where CNTKCTL_EL1 and SCTLR_EL1 let it.
 */
export type Needs = "nothing" | "EL1" | "EL1h" | "CNTVCT" | "UCI";

interface Place {
  readonly cell: number;
  readonly needs: Needs;
  readonly access: "r" | "rw";
  /** The bits that it has. */
  readonly mask?: bigint;
}

const inTable = (name: SysRegName): number => cells.sysregs + sysRegIndex(name);

// biome-ignore format: table
const places: Readonly<Partial<Record<SysRegName, Place>>> = {
  SP_EL0:         { cell: cells.spEl0,                needs: "EL1h",    access: "rw" },
  ELR_EL1:        { cell: cells.elrEl1,               needs: "EL1",     access: "rw" },
  SPSR_EL1:       { cell: cells.spsr,                 needs: "EL1",     access: "rw" },
  ESR_EL1:        { cell: inTable("ESR_EL1"),         needs: "EL1",     access: "r" },
  FAR_EL1:        { cell: inTable("FAR_EL1"),         needs: "EL1",     access: "r" },
  PAR_EL1:        { cell: inTable("PAR_EL1"),         needs: "EL1",     access: "r" },
  VBAR_EL1:       { cell: inTable("VBAR_EL1"),        needs: "EL1",     access: "r" },
  SCTLR_EL1:      { cell: inTable("SCTLR_EL1"),       needs: "EL1",     access: "r" },
  TCR_EL1:        { cell: inTable("TCR_EL1"),         needs: "EL1",     access: "r" },
  TTBR0_EL1:      { cell: inTable("TTBR0_EL1"),       needs: "EL1",     access: "r" },
  TTBR1_EL1:      { cell: inTable("TTBR1_EL1"),       needs: "EL1",     access: "r" },
  CONTEXTIDR_EL1: { cell: inTable("CONTEXTIDR_EL1"),  needs: "EL1",     access: "r" },
  TPIDR_EL1:      { cell: inTable("TPIDR_EL1"),       needs: "EL1",     access: "rw" },
  TPIDR_EL0:      { cell: inTable("TPIDR_EL0"),       needs: "nothing", access: "rw" },
  TPIDRRO_EL0:    { cell: inTable("TPIDRRO_EL0"),     needs: "nothing", access: "r" },
  MPIDR_EL1:      { cell: inTable("MPIDR_EL1"),       needs: "EL1",     access: "r" },
  CTR_EL0:        { cell: inTable("CTR_EL0"),         needs: "EL1",     access: "r" },
  // DZP is a matter of EL0.
  DCZID_EL0:      { cell: inTable("DCZID_EL0"),       needs: "EL1",     access: "r", mask: 15n },
};

const byEncoding: ReadonlyMap<number, Place> = new Map(
  Object.entries(places).map(([name, place]) => [packEncoding(sysRegByName(name as SysRegName).encoding), place]),
);

const DAIF = packEncoding(sysRegByName("DAIF").encoding);
const CURRENT_EL = packEncoding(sysRegByName("CurrentEL").encoding);
const CNTVCT = packEncoding(sysRegByName("CNTVCT_EL0").encoding);
const NZCV = packEncoding(sysRegByName("NZCV").encoding);

/** Writes that JavaScript does without the rest of the evaluator: they change nothing that generated code keeps. */
const calledWrites: ReadonlySet<number> = new Set(
  sysRegs
    .filter(({ name }) =>
      /^(AP[IDG][AB]?KEY(LO|HI)_EL1|TTBR[01]_EL1|VBAR_EL1|FAR_EL1|TPIDRRO_EL0|CNTV_C(TL|VAL)_EL0|ICC_EOIR1_EL1)$/.test(
        name,
      ),
    )
    .map(({ encoding }) => packEncoding(encoding)),
);

/** Cache maintenance by address, and TLBI. */
export function recordMaintenance(trace: Trace, id: number, value: Node): void {
  const operation = maintenanceOperation(id);
  if (operation === undefined || operation.needs.length > 0) refuse();
  if (operation.effect === "invalidate") {
    need(trace, "EL1");
    trace.effect("invalidate", [value, trace.amount(id)]);
  } else if (operation.effect === "byAddress") {
    need(trace, operation.el0 === "UCI" ? "UCI" : "EL1");
    trace.effect("maintain", [value], operation.name.startsWith("IC ") ? "instructions" : "data");
  } else refuse();
}

function cellOf(trace: Trace, cell: number): Node {
  return trace.node("cell", I32, [], "", BigInt(cell * 8));
}

function need(trace: Trace, needs: Needs): void {
  if (needs !== "nothing") trace.effect("needs", [], needs);
}

export function recordRead(trace: Trace, id: number): Node {
  if (id === NZCV) return trace.node("widen", I64, [trace.node("nzcv", I32)]);
  if (id === DAIF || id === CURRENT_EL) {
    need(trace, "EL1");
    return trace.node("pstate", I64, [], id === DAIF ? Pstate.DAIF : Pstate.EL);
  }
  if (id === CNTVCT) {
    need(trace, "CNTVCT");
    const counter = trace.node("result", I64, [], "counter");
    trace.effect("counter", [counter]);
    return counter;
  }
  const place = byEncoding.get(id);
  if (place === undefined) return refuse();
  need(trace, place.needs);
  const value = trace.node("read", I64, [cellOf(trace, place.cell)]);
  return place.mask === undefined ? value : trace.node("and", I64, [value, trace.constant(I64, place.mask)]);
}

export function recordWrite(trace: Trace, id: number, value: Node): void {
  if (id === NZCV) {
    trace.effect("setNzcv", [trace.node("wrap", I32, [value])]);
    return;
  }
  if (id === DAIF) {
    need(trace, "EL1");
    trace.effect("mask", [trace.node("wrap", I32, [value])], "DAIF");
    return;
  }
  if (calledWrites.has(id)) {
    trace.effect("writeSystem", [value, trace.amount(id)]);
    return;
  }
  const place = byEncoding.get(id);
  if (place === undefined || place.access === "r") refuse();
  need(trace, place.needs);
  const kept = place.mask === undefined ? value : trace.node("and", I64, [value, trace.constant(I64, place.mask)]);
  trace.effect("write", [kept], "", cellOf(trace, place.cell));
}

/** The encodings that have handlers, of MRS and MSR. */
export const systemRegisterEncodings: readonly number[] = [
  ...byEncoding.keys(),
  ...calledWrites,
  DAIF,
  CURRENT_EL,
  NZCV,
  CNTVCT,
];
