// The registers of an ITS, as the guest reaches them in its frame and userspace by attribute. IHI 0069, "The ITS
// register map"; Documentation/virt/kvm/devices/arm-vgic-its.rst.

import type { ErrnoName } from "../../uapi/errno.js";
import { processCommands, queueBytes, queueOffset } from "./its-commands.js";
import { Its, type NodeRef } from "./its-nodes.js";
import { ENTRY_BYTES, forgetCache, freeCollections, freeDevices, ID_BITS, INDIRECT, VALID } from "./its-tables.js";
import type { ItsContext } from "./lpis.js";

export interface ItsRegister {
  readonly name: string;
  readonly offset: number;
  /** Of the register, or of all that share a row. */
  readonly bytes: number;
  /** Widest access; 64-bit registers can be reached by halves too. */
  readonly bits: 32 | 64;
  /** `offset`: of the register among those of its row. */
  read(context: ItsContext, its: NodeRef, offset: number): bigint;
  /** The register's new value, as the guest writes it. Without it, writes are ignored. */
  readonly write?: (context: ItsContext, its: NodeRef, offset: number, value: bigint) => void;
  /** As userspace writes it, where that is not the same. */
  readonly userWrite?: (context: ItsContext, its: NodeRef, value: bigint) => ErrnoName | null;
}

const CTLR_ENABLED = 1n;
const CTLR_QUIESCENT = 1n << 31n;
/** Implementer Arm, product "K". The revision is that of the tables' ABI: 0. */
const IIDR = 0x4b00_043bn;
const IIDR_REVISION = 0xf000n;

/** Physical LPIs, bytes of a translation entry, bits of EventIDs and of DeviceIDs, each less 1. */
const TYPER = 1n | (BigInt(ENTRY_BYTES - 1) << 4n) | (BigInt(ID_BITS - 1) << 8n) | (BigInt(ID_BITS - 1) << 13n);

// Fields of GITS_CBASER and GITS_BASERn.
const SHAREABILITY = 10n;
const OUTER_CACHE = 53n;
const INNER_CACHE = 59n;
const INNER_SHAREABLE = 1n;
const OUTER_SHAREABLE = 2n;
const READ_WRITE_ALLOCATE = 3n;

const CBASER_RESERVED = 0xf000n;
const PAGE_SIZE = 3n << 8n;
const PAGE_64K = 2n << 8n;
const BASER_TYPE = 56n;
const BASER_READ_ONLY = (0x1fn << 48n) | (7n << BASER_TYPE);
const ENTRY_SIZE = BigInt(ENTRY_BYTES - 1) << 48n;
const DEVICE_TABLE = 1n << BASER_TYPE;
const COLLECTION_TABLE = 4n << BASER_TYPE;

const put = (register: bigint, lsb: bigint, bits: bigint, value: bigint) =>
  (register & ~(((1n << bits) - 1n) << lsb)) | (value << lsb);
const field = (register: bigint, lsb: bigint, bits: bigint) => (register >> lsb) & ((1n << bits) - 1n);

/** Attributes of a table's memory that KVM does not have become the nearest that it has. */
function settleAttributes(register: bigint): bigint {
  let settled = register;
  if (field(settled, SHAREABILITY, 2n) === OUTER_SHAREABLE) settled = put(settled, SHAREABILITY, 2n, INNER_SHAREABLE);
  if (field(settled, INNER_CACHE, 3n) <= 1n) settled = put(settled, INNER_CACHE, 3n, READ_WRITE_ALLOCATE);
  if (field(settled, OUTER_CACHE, 3n) > 1n) settled = put(settled, OUTER_CACHE, 3n, 0n);
  return settled;
}

const settleBaser = (value: bigint, type: bigint) =>
  (settleAttributes((value & ~BASER_READ_ONLY) | ENTRY_SIZE | type) & ~PAGE_SIZE) | PAGE_64K;

const startingBaser = (type: bigint) =>
  (INNER_SHAREABLE << SHAREABILITY) | (READ_WRITE_ALLOCATE << INNER_CACHE) | PAGE_64K | ENTRY_SIZE | type;

function readCtlr({ nodes }: ItsContext, its: NodeRef): bigint {
  const quiescent = nodes.get(its, Its.creadr) === nodes.get(its, Its.cwriter);
  return (quiescent ? CTLR_QUIESCENT : 0n) | BigInt(nodes.get(its, Its.enabled));
}

function writeCtlr(context: ItsContext, its: NodeRef, _: number, value: bigint): void {
  const { nodes } = context;
  const enable = (value & CTLR_ENABLED) !== 0n;
  const complete = [Its.deviceBaser, Its.collectionBaser, Its.cbaser].every(
    (register) => (nodes.quad(its, register) & VALID) !== 0n,
  );
  if (nodes.get(its, Its.enabled) === 0 && enable && !complete) return;
  nodes.put(its, Its.enabled, enable ? 1 : 0);
  if (!enable) forgetCache(context, its);
  processCommands(context, its);
}

function writeCbaser({ nodes }: ItsContext, its: NodeRef, _: number, value: bigint): void {
  if (nodes.get(its, Its.enabled) === 1) return;
  nodes.putQuad(its, Its.cbaser, settleAttributes(value) & ~CBASER_RESERVED);
  nodes.put(its, Its.creadr, 0);
  nodes.put(its, Its.cwriter, 0);
}

function writeCwriter(context: ItsContext, its: NodeRef, _: number, value: bigint): void {
  const { nodes } = context;
  const offset = queueOffset(value);
  if (offset >= queueBytes(nodes.quad(its, Its.cbaser))) return;
  nodes.put(its, Its.cwriter, offset);
  processCommands(context, its);
}

function userWriteCreadr({ nodes }: ItsContext, its: NodeRef, value: bigint): ErrnoName | null {
  if (nodes.get(its, Its.enabled) === 1) return "EBUSY";
  const offset = queueOffset(value);
  if (offset >= queueBytes(nodes.quad(its, Its.cbaser))) return "EINVAL";
  nodes.put(its, Its.creadr, offset);
  return null;
}

function readBaser({ nodes }: ItsContext, its: NodeRef, offset: number): bigint {
  if (offset === 0) return nodes.quad(its, Its.deviceBaser);
  return offset === 8 ? nodes.quad(its, Its.collectionBaser) : 0n;
}

function writeBaser(context: ItsContext, its: NodeRef, offset: number, value: bigint): void {
  const { nodes } = context;
  if (nodes.get(its, Its.enabled) === 1) return;
  if (offset === 0) {
    nodes.putQuad(its, Its.deviceBaser, settleBaser(value, DEVICE_TABLE));
    if ((value & VALID) === 0n) freeDevices(context, its);
  } else if (offset === 8) {
    nodes.putQuad(its, Its.collectionBaser, settleBaser(value & ~INDIRECT, COLLECTION_TABLE));
    if ((value & VALID) === 0n) freeCollections(context, its);
  }
}

/** GITS_PIDR4 to GITS_CIDR3, by words: what is not here is 0. */
const identification: ReadonlyMap<number, bigint> = new Map([
  [0x00, 0x40n],
  [0x10, 0x92n],
  [0x14, 0xb4n],
  [0x18, 0x3bn],
  [0x20, 0x0dn],
  [0x24, 0xf0n],
  [0x28, 0x05n],
  [0x2c, 0xb1n],
]);

// biome-ignore format: table
export const itsRegisters: readonly ItsRegister[] = [
  { name: "GITS_CTLR",    offset: 0x0000, bytes: 4,    bits: 32, read: readCtlr, write: writeCtlr },
  { name: "GITS_IIDR",    offset: 0x0004, bytes: 4,    bits: 32, read: () => IIDR,
    userWrite: (_, __, value) => ((value & IIDR_REVISION) === 0n ? null : "EINVAL") },
  { name: "GITS_TYPER",   offset: 0x0008, bytes: 8,    bits: 64, read: () => TYPER },
  { name: "GITS_CBASER",  offset: 0x0080, bytes: 8,    bits: 64, read: ({ nodes }, its) => nodes.quad(its, Its.cbaser), write: writeCbaser },
  { name: "GITS_CWRITER", offset: 0x0088, bytes: 8,    bits: 64, read: ({ nodes }, its) => BigInt(nodes.get(its, Its.cwriter)), write: writeCwriter },
  { name: "GITS_CREADR",  offset: 0x0090, bytes: 8,    bits: 64, read: ({ nodes }, its) => BigInt(nodes.get(its, Its.creadr)), userWrite: userWriteCreadr },
  { name: "GITS_BASERn",  offset: 0x0100, bytes: 0x40, bits: 64, read: readBaser, write: writeBaser },
  { name: "GITS_PIDRn",   offset: 0xffd0, bytes: 0x30, bits: 32, read: (_, __, offset) => identification.get(offset) ?? 0n },
];

/** The row that holds an offset. */
export const itsRegisterAt = (offset: number): ItsRegister | undefined =>
  itsRegisters.find((register) => offset >= register.offset && offset < register.offset + register.bytes);

/** A new ITS has its registers. */
export function initialiseRegisters({ nodes }: ItsContext, its: NodeRef): void {
  nodes.putQuad(its, Its.deviceBaser, startingBaser(DEVICE_TABLE));
  nodes.putQuad(its, Its.collectionBaser, startingBaser(COLLECTION_TABLE));
}

/** KVM_DEV_ARM_ITS_CTRL_RESET. */
export function resetRegisters(context: ItsContext, its: NodeRef): void {
  const { nodes } = context;
  for (const baser of [Its.deviceBaser, Its.collectionBaser]) {
    nodes.putQuad(its, baser, nodes.quad(its, baser) & ~VALID);
  }
  nodes.putQuad(its, Its.cbaser, 0n);
  nodes.put(its, Its.creadr, 0);
  nodes.put(its, Its.cwriter, 0);
  nodes.put(its, Its.enabled, 0);
  freeDevices(context, its);
  freeCollections(context, its);
}

/** The guest's access inside the frame. What is no register, or is reached wrongly, reads as 0 and ignores writes. */
function reached(offset: number, bytes: number): ItsRegister | undefined {
  const register = itsRegisterAt(offset);
  if (register === undefined || offset % bytes !== 0) return undefined;
  return bytes === 4 || (bytes === 8 && register.bits === 64) ? register : undefined;
}

/** The guest's load. `bytes`: 1, 2, 4 or 8. */
export function loadFromIts(context: ItsContext, its: NodeRef, offset: number, bytes: number): bigint {
  const register = reached(offset, bytes);
  if (register === undefined) return 0n;
  const unit = register.bits / 8;
  const value = register.read(context, its, offset - register.offset - (offset % unit));
  return BigInt.asUintN(bytes * 8, value >> BigInt((offset % unit) * 8));
}

/** The guest's store. */
export function storeToIts(context: ItsContext, its: NodeRef, offset: number, bytes: number, value: bigint): void {
  const register = reached(offset, bytes);
  if (register?.write === undefined) return;
  const unit = register.bits / 8;
  const at = offset - register.offset - (offset % unit);
  const whole = bytes === unit;
  const before = whole ? 0n : register.read(context, its, at);
  const lsb = BigInt((offset % unit) * 8);
  register.write(context, its, at, whole ? value : put(before, lsb, BigInt(bytes * 8), value));
}
