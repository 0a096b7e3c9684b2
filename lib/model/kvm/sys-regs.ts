// The system registers of KVM_GET_ONE_REG and KVM_SET_ONE_REG: what each access class of the table does.

import { decode } from "../../arm64/fields.js";
import { type AccessClass, type Kernel, kernels, onKernel } from "../../arm64/sysreg-row.js";
import { type SysRegName, sysRegById, sysRegIndex } from "../../arm64/sysregs.js";
import type { ErrnoName } from "../../uapi/errno.js";
import { getIdRegister, setIdRegister } from "../cpu/id-registers.js";
import { getCounter, getCounterSet, getPmcr, setCounter, setCounterSet, setPmcr } from "../cpu/pmu.js";
import { getTimer, setTimer } from "../cpu/timer.js";
import type { VcpuState } from "../vcpu-state.js";
import { isMaskedAtEl2, maskedAtEl2 } from "./el2-masks.js";
import type { RegisterId } from "./one-reg.js";

interface Row {
  readonly name: SysRegName;
  /** Place in the table, and of the cell in the CPU's state. */
  readonly index: number;
  readonly access: AccessClass;
  readonly visible: (vcpu: VcpuState) => boolean;
  /** Reads go through `maskedAtEl2`. */
  readonly masked: boolean;
}

const byKernel = new Map(kernels.map((kernel) => [kernel, new Map<bigint, Row>()]));

/** The row of an id on the vCPU's kernel; null: no register. */
function rowOf(vcpu: VcpuState, id: bigint): Row | null {
  const { kernel } = vcpu.vm.profile;
  const rows = byKernel.get(kernel)!;
  const known = rows.get(id);
  if (known !== undefined) return known;
  const made = makeRow(kernel, id);
  // Only ids that exist are kept: a sweep over all ids must not fill the memory.
  if (made !== null) rows.set(id, made);
  return made;
}

/** Whether an id is that of a register that can only have the value it has. */
export const isInvariant = (vcpu: VcpuState, id: bigint): boolean => rowOf(vcpu, id)?.access === "invariant";

function makeRow(kernel: Kernel, id: bigint): Row | null {
  const found = sysRegById(id);
  if (found === undefined || !found.kernels.includes(kernel)) return null;
  const conditions = onKernel(found.when, kernel);
  return {
    name: found.name,
    index: sysRegIndex(found.name),
    access: onKernel(found.access, kernel),
    visible: conditions.length === 0 ? () => true : (vcpu) => conditions.every((condition) => vcpu.has(condition)),
    masked: isMaskedAtEl2(found.name),
  };
}

export function getSysReg(vcpu: VcpuState, { id, bytes }: RegisterId, value: DataView): ErrnoName | null {
  const row = rowOf(vcpu, id);
  if (row === null || bytes !== 8 || !row.visible(vcpu)) return "ENOENT";
  const read = readRow(vcpu, row);
  value.setBigUint64(0, row.masked ? maskedAtEl2(vcpu, row.name, read) : read, true);
  return null;
}

export function setSysReg(vcpu: VcpuState, { id, bytes }: RegisterId, value: DataView): ErrnoName | null {
  const row = rowOf(vcpu, id);
  if (row === null || bytes !== 8 || !row.visible(vcpu)) return "ENOENT";
  return write(vcpu, row, value.getBigUint64(0, true));
}

function readRow(vcpu: VcpuState, row: Row): bigint {
  switch (row.access) {
    case "id":
    case "id32":
    case "raz":
    case "impid":
      return getIdRegister(vcpu, row.name);
    case "invariant":
      return row.name === "CLIDR_EL1" ? vcpu.cpu.sysreg(row.index) : getIdRegister(vcpu, row.name);
    case "timer":
      return getTimer(vcpu, row.name);
    case "pmcr":
      return getPmcr(vcpu);
    case "pmreg":
      return getCounterSet(vcpu, row.name);
    case "evcntr":
      return getCounter(vcpu, row.name);
    case "raz-wi":
      return 0n;
    default:
      return vcpu.cpu.sysreg(row.index);
  }
}

const OSLK = 2n;
/** CLIDR_EL1: the fields that hold no cache level. */
const CLIDR_RES0 = ~0x7fff_ffff_ffffn;

function write(vcpu: VcpuState, row: Row, value: bigint): ErrnoName | null {
  switch (row.access) {
    case "id":
    case "id32":
    case "raz":
    case "impid":
      return setIdRegister(vcpu, row.name, value);
    case "invariant":
      return value === readRow(vcpu, row) ? null : "EINVAL";
    case "timer":
      setTimer(vcpu, row.name, value);
      return null;
    case "pmcr":
      setPmcr(vcpu, value);
      return null;
    case "pmreg":
      setCounterSet(vcpu, row.name, value);
      return null;
    case "evcntr":
      setCounter(vcpu, row.name, value);
      return null;
    case "raz-wi":
      return null;
    case "oslsr":
      if (((value ^ vcpu.cpu.sysreg(row.index)) & ~OSLK) !== 0n) return "EINVAL";
      break;
    case "clidr":
      if (!clidrIsPossible(vcpu, value)) return "EINVAL";
      break;
  }
  vcpu.cpu.setSysreg(row.index, value);
  return null;
}

/** A host whose data caches need cleaning to the point of unification cannot have a guest that believes otherwise. */
function clidrIsPossible(vcpu: VcpuState, clidr: bigint): boolean {
  if ((clidr & CLIDR_RES0) !== 0n) return false;
  const idc = decode("CTR_EL0", vcpu.vm.profile.host.value("CTR_EL0")).fields.IDC === 1;
  const level = (lsb: bigint) => (clidr >> lsb) & 7n;
  const claims = level(24n) === 0n || (level(21n) === 0n && level(27n) === 0n);
  return idc || !claims;
}
