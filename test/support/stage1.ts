// Stage 1 translation of a guest, set up by userspace: an identity map in blocks of 1 GiB. DDI 0487 D8.

import { pc, sysReg } from "../../lib/arm64/registers.js";
import { type Guest, RAM } from "./guest.js";

/** Where the table is: the last page of the guest's memory but one. */
export const TABLE = RAM + 0xf_e000n;
/** The last page of the guest's memory, for another table. */
export const OTHER_TABLE = RAM + 0xf_f000n;

const GIB = 1n << 30n;
const BLOCKS = 4n;
const BLOCK = 0b01n;
export const ACCESS_FLAG = 1n << 10n;
const INNER_SHAREABLE = 3n << 8n;
/** Normal memory, write-back, at index 0. */
const MAIR = 0xffn;
/** 39 bits of address on each side, 4 KiB granule, write-back walks, 40 bits of physical address. */
const TCR = 25n | (0b11_01_01n << 8n) | (25n << 16n) | (0b11_01_01n << 24n) | (0b10n << 30n) | (2n << 32n);
const MMU_AND_CACHES = 1n | (1n << 2n) | (1n << 12n);

/** The descriptor of a block that maps an address to itself. */
export const blockAt = (address: bigint): bigint => address | INNER_SHAREABLE | ACCESS_FLAG | BLOCK;

/** Writes a descriptor into a table in the guest's memory. */
export function putDescriptor({ ram }: Guest, table: bigint, index: number, descriptor: bigint): void {
  const view = new DataView(ram.bytes.buffer, ram.bytes.byteOffset + Number(table - RAM));
  view.setBigUint64(8 * index, descriptor, true);
}

/** Maps the first 4 GiB to themselves as normal memory, and turns the MMU on. The upper half has `upperTable`. */
export function turnMmuOn(guest: Guest, upperTable = TABLE): void {
  for (let i = 0n; i < BLOCKS; i++) putDescriptor(guest, TABLE, Number(i), blockAt(i * GIB));
  const { cpu } = guest;
  cpu.setReg(sysReg("MAIR_EL1"), MAIR);
  cpu.setReg(sysReg("TCR_EL1"), TCR);
  cpu.setReg(sysReg("TTBR0_EL1"), TABLE);
  cpu.setReg(sysReg("TTBR1_EL1"), upperTable);
  cpu.setReg(sysReg("SCTLR_EL1"), cpu.getReg(sysReg("SCTLR_EL1")) | MMU_AND_CACHES);
  cpu.setReg(pc, RAM);
}
