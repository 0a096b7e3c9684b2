// The table of system registers in order, and how to find a row of it: by name, by encoding, by KVM's id.

import { shown } from "./argument.js";
import type { RegId } from "./reg-id.js";
import { ARCH_ARM64, makeId, Space } from "./reg-id.js";
import type { Encoding, SysReg } from "./sysreg-row.js";
import { sysRegRows } from "./sysreg-table.js";

/** The name of a system register that the table knows. */
export type SysRegName = (typeof sysRegRows)[number]["name"];

/** op0, op1, CRn, CRm, op2 in 16 bits, as the id of a system register has them and as MRS and MSR do in bits 20:5. */
export function packEncoding(encoding: Encoding): number {
  // By index: this runs for each row on import, and taking a tuple apart runs an iterator (measured).
  return (encoding[0] << 14) | (encoding[1] << 11) | (encoding[2] << 7) | (encoding[3] << 3) | encoding[4];
}

/** The five numbers of a packed encoding. */
export function unpackEncoding(encoding16: number): Encoding {
  return [encoding16 >> 14, (encoding16 >> 11) & 7, (encoding16 >> 7) & 15, (encoding16 >> 3) & 15, encoding16 & 7];
}

// Sorted as numbers, encoding before place: on import, when nothing is compiled yet, faster than comparing rows (measured).
const order = Uint32Array.from(sysRegRows, (reg, place) => packEncoding(reg.encoding) * 0x1_0000 + place).sort();

/** Every system register, sorted by encoding. */
export const sysRegs: readonly SysReg<SysRegName>[] = Array.from(
  order,
  (key) => sysRegRows[key & 0xffff] as (typeof sysRegRows)[number],
);

interface Index {
  readonly byName: ReadonlyMap<string, number>;
  readonly byLowerName: ReadonlyMap<string, number>;
  readonly byEncoding: ReadonlyMap<number, number>;
  /** By the ids that do not follow from the encoding. */
  readonly byUserId: ReadonlyMap<bigint, number>;
}

let built: Index | undefined;

// Not made on import: who reads no register pays nothing.
function index(): Index {
  built ??= {
    byName: new Map(sysRegs.map((reg, i) => [reg.name, i])),
    byLowerName: new Map(sysRegs.map((reg, i) => [reg.name.toLowerCase(), i])),
    byEncoding: new Map(sysRegs.map((reg, i) => [packEncoding(reg.encoding), i])),
    byUserId: new Map(sysRegs.flatMap((reg, i) => (reg.userId === undefined ? [] : [[reg.userId, i]]))),
  };
  return built;
}

/** The row of a register. */
export function sysRegByName(name: SysRegName): SysReg<SysRegName>;
export function sysRegByName(name: string): SysReg<SysRegName> | undefined;
export function sysRegByName(name: string): SysReg<SysRegName> | undefined {
  return sysRegs[index().byName.get(name) ?? -1];
}

/** The row of a register, its name written in any case of letters. */
export function sysRegByAnyCase(name: string): SysReg<SysRegName> | undefined {
  return sysRegs[index().byLowerName.get(name.toLowerCase()) ?? -1];
}

/** The row of the register that MRS and MSR reach by a packed encoding. */
export function sysRegByEncoding(encoding16: number): SysReg<SysRegName> | undefined {
  return sysRegs[index().byEncoding.get(encoding16) ?? -1];
}

/** The place of a register in `sysRegs`. */
export function sysRegIndex(name: SysRegName): number {
  const place = index().byName.get(name);
  if (place === undefined) throw new TypeError(`sysRegIndex: name must be a system register, got ${shown(name)}`);
  return place;
}

/** The place of the register that MRS and MSR reach by a packed encoding; -1 where there is none. */
export function sysRegIndexByEncoding(encoding16: number): number {
  return index().byEncoding.get(encoding16) ?? -1;
}

/** The id by which KVM_GET_ONE_REG reaches a register. Of FPCR and FPSR it is 32 bits wide. */
export function sysRegId(reg: SysReg): RegId<32 | 64> {
  return (reg.userId ?? makeId(ARCH_ARM64, 64, Space.sysReg, packEncoding(reg.encoding))) as RegId<32 | 64>;
}

/** The register behind an id: KVM's swap of the timers is undone, and SPSR_EL1 and its kin are found in the core space. */
export function sysRegById(id: bigint): SysReg<SysRegName> | undefined {
  const { byUserId, byEncoding } = index();
  const place = byUserId.get(id);
  if (place !== undefined) return sysRegs[place];
  if (id >> 16n !== 0x6030_0000_0013n) return undefined;
  const reg = sysRegs[byEncoding.get(Number(id & 0xffffn)) ?? -1];
  return reg === undefined || reg.userId !== undefined ? undefined : reg;
}
