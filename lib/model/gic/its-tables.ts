// The devices, translations and collections of an ITS: how they are found, made and forgotten, and how they are written
// to and read from the guest's tables. Documentation/virt/kvm/devices/arm-vgic-its.rst, "ITS Table ABI REV0".

import { PAGE_BYTES } from "../../uapi/constants.js";
import type { ErrnoName } from "../../uapi/errno.js";
import { isBacked, readGuest, writeGuest } from "../guest-memory.js";
import type { VcpuState } from "../vcpu-state.js";
import { Collection, Its, ItsDevice, type ItsNodes, NOWHERE, type NodeRef, Translation } from "./its-nodes.js";
import { FIRST_LPI, Field } from "./layout.js";
import { addLpi, dropLpi, forgetMessages, type ItsContext } from "./lpis.js";

const CALL = "KVM_SET_DEVICE_ATTR";

/** Of every table: the ABI's revision 0. */
export const ENTRY_BYTES = 8;
const TABLE_PAGE_BYTES = 65536;
const ENTRIES_OF_PAGE = TABLE_PAGE_BYTES / ENTRY_BYTES;
/** GITS_TYPER.ID_bits + 1, GITS_TYPER.Devbits + 1; collections have 16 bits too. */
export const ID_BITS = 16;

// GITS_BASERn (IHI 0069).
export const VALID = 1n << 63n;
export const INDIRECT = 1n << 62n;
const tableBytes = (baser: bigint) => (Number(baser & 0xffn) + 1) * TABLE_PAGE_BYTES;
/** Bits 15:12 are bits 51:48 of the address, as pages have 64 KiB. */
const tableAddress = (baser: bigint) => (baser & 0x0000_ffff_ffff_0000n) | ((baser & 0xf000n) << 36n);
const L1_ADDRESS = 0x000f_ffff_ffff_0000n;

// An entry of the device table: 63 V, 62:49 next, 48:5 ITT address [51:8], 4:0 EventID bits - 1.
const DTE_NEXT = 49n;
const DTE_MOST_NEXT = 0x3fff;
const DTE_ITT = 5n;
const ITT_BITS = (1n << 44n) - 1n;
// An interrupt translation entry: 63:48 next, 47:16 INTID, 15:0 ICID.
const ITE_NEXT = 48n;
const ITE_MOST_NEXT = 0xffff;
const ITE_INTID = 16n;
const ICID = 0xffffn;
// An entry of the collection table: 63 V, 47:16 RDbase, 15:0 ICID.
const CTE_TARGET = 16n;
const WORD = 0xffff_ffffn;

/** Writes an entry of a table; false: it can not be written. */
export function writeEntry({ vm, runner }: ItsContext, address: bigint, entry: bigint): boolean {
  const bytes = new Uint8Array(ENTRY_BYTES);
  new DataView(bytes.buffer).setBigUint64(0, entry, true);
  return writeGuest(vm, address, bytes, runner);
}

/** Where the entry of an ID is in a table of the guest's; null: the table has no room for it, or no memory there. */
export function entryAddress({ vm }: ItsContext, baser: bigint, id: number): bigint | null {
  if (id >= 2 ** ID_BITS) return null;
  let address = tableAddress(baser);
  if ((baser & INDIRECT) === 0n) {
    if (id >= tableBytes(baser) / ENTRY_BYTES) return null;
    address += BigInt(id * ENTRY_BYTES);
  } else {
    const index = Math.floor(id / ENTRIES_OF_PAGE);
    if (index >= tableBytes(baser) / 8) return null;
    const page = readGuest(vm, address + BigInt(index * 8), 8)?.getBigUint64(0, true);
    if (page === undefined || (page & VALID) === 0n) return null;
    address = (page & L1_ADDRESS) + BigInt((id % ENTRIES_OF_PAGE) * ENTRY_BYTES);
  }
  return isBacked(vm, address) ? address : null;
}

function findIn(nodes: ItsNodes, head: NodeRef, list: number, field: number, id: number): NodeRef {
  for (const node of nodes.list(head, list)) if (nodes.get(node, field) === (id | 0)) return node;
  return 0;
}

export const findDevice = ({ nodes }: ItsContext, its: NodeRef, id: number): NodeRef =>
  findIn(nodes, its, Its.devices, ItsDevice.id, id);
export const findCollection = ({ nodes }: ItsContext, its: NodeRef, id: number): NodeRef =>
  findIn(nodes, its, Its.collections, Collection.id, id);

export function findTranslation(context: ItsContext, its: NodeRef, deviceId: number, event: number): NodeRef {
  const device = findDevice(context, its, deviceId);
  return device === 0 ? 0 : findIn(context.nodes, device, ItsDevice.events, Translation.event, event);
}

/** The vCPU that a collection's target names; null: none. */
export function vcpuOfTarget({ vm, gic }: ItsContext, target: number): VcpuState | null {
  const vcpus = gic?.vcpus ?? [];
  if (vm.profile.switches.itsTargetsByPlace) return vcpus[target] ?? null;
  return vcpus.find((vcpu) => vcpu.get("id") === target) ?? null;
}

/** The vCPU behind a collection; null: the collection is not mapped. */
export function vcpuOf(context: ItsContext, collection: NodeRef): VcpuState | null {
  return isMapped(context, collection)
    ? vcpuOfTarget(context, context.nodes.get(collection, Collection.target) >>> 0)
    : null;
}

export const isMapped = ({ nodes }: ItsContext, collection: NodeRef): boolean =>
  collection !== 0 && nodes.get(collection, Collection.target) !== NOWHERE;

/** What an LPI's record keeps of its target. */
export const placeOf = (vcpu: VcpuState | null): number => (vcpu === null ? 0 : vcpu.get("place") + 1);

export function makeDevice({ nodes }: ItsContext, its: NodeRef, id: number, itt: bigint, eventBits: number): NodeRef {
  const device = nodes.append(its, Its.devices, CALL);
  nodes.put(device, ItsDevice.id, id);
  nodes.putQuad(device, ItsDevice.itt, itt);
  nodes.put(device, ItsDevice.eventBits, eventBits);
  return device;
}

export function makeCollection({ nodes }: ItsContext, its: NodeRef, id: number, target: number): NodeRef {
  const collection = nodes.append(its, Its.collections, CALL);
  nodes.put(collection, Collection.id, id);
  nodes.put(collection, Collection.target, target);
  return collection;
}

/** Maps an event of a device to an LPI. */
export function makeTranslation(
  context: ItsContext,
  device: NodeRef,
  event: number,
  intid: number,
  collection: NodeRef,
): ErrnoName | null {
  const { nodes } = context;
  const lpi = addLpi(context, intid, placeOf(vcpuOf(context, collection)));
  if (typeof lpi === "string") return lpi;
  const translation = nodes.append(device, ItsDevice.events, CALL);
  nodes.put(translation, Translation.event, event);
  nodes.put(translation, Translation.lpi, lpi);
  nodes.put(translation, Translation.collection, collection);
  return null;
}

export function freeTranslation(context: ItsContext, device: NodeRef, translation: NodeRef): void {
  dropLpi(context, context.nodes.get(translation, Translation.lpi));
  context.nodes.remove(device, ItsDevice.events, translation);
}

/** Forgets a device with all that it maps. */
export function freeDevice(context: ItsContext, its: NodeRef, device: NodeRef): void {
  const { nodes } = context;
  for (const translation of nodes.list(device, ItsDevice.events)) freeTranslation(context, device, translation);
  nodes.remove(its, Its.devices, device);
  forgetCache(context, its);
}

export function freeDevices(context: ItsContext, its: NodeRef): void {
  for (const device of context.nodes.list(its, Its.devices)) freeDevice(context, its, device);
}

/** Forgets a collection; what it collected goes nowhere. */
export function freeCollection(context: ItsContext, its: NodeRef, collection: NodeRef): void {
  const { nodes } = context;
  for (const { translation } of translations(context, its)) {
    if (nodes.get(translation, Translation.collection) === collection)
      nodes.put(translation, Translation.collection, 0);
  }
  nodes.remove(its, Its.collections, collection);
}

export function freeCollections(context: ItsContext, its: NodeRef): void {
  for (const collection of context.nodes.list(its, Its.collections)) freeCollection(context, its, collection);
}

export function* translations(
  { nodes }: ItsContext,
  its: NodeRef,
): Generator<{ device: NodeRef; translation: NodeRef }> {
  for (const device of nodes.list(its, Its.devices)) {
    for (const translation of nodes.list(device, ItsDevice.events)) yield { device, translation };
  }
}

/** Mappings change: before 6.12 all ITSs share what they remember of messages. */
export function forgetCache(context: ItsContext, its: NodeRef): void {
  const { vm, nodes } = context;
  for (const one of vm.profile.switches.itsCachesApart ? [its] : allIts(context)) forgetMessages(nodes, one);
}

export function* allIts({ vm, nodes }: ItsContext): Generator<NodeRef, void, void> {
  for (let its = vm.get("its"); its !== 0; its = nodes.get(its, Its.next)) yield its;
}

// Saving.

const unsigned = (value: number) => value >>> 0;

/** The steps from each ID of a sorted list to the next, cut to what an entry holds; 0: the last. */
const stepsOf = (ids: readonly number[], most: number): number[] =>
  ids.map((id, i) => (i + 1 < ids.length ? Math.min(ids[i + 1]! - id, most) : 0));

/** By ID; the order of those that a restore made twice turns round each time, as the kernel's comparison does it. */
function sorted(nodes: ItsNodes, head: NodeRef, list: number, field: number): NodeRef[] {
  const idOf = (node: NodeRef) => unsigned(nodes.get(node, field));
  const found = [...nodes.list(head, list)].reverse().sort((a, b) => idOf(a) - idOf(b));
  nodes.reorder(head, list, found);
  return found;
}

/** KVM_DEV_ARM_ITS_SAVE_TABLES. */
export function saveTables(context: ItsContext, its: NodeRef): ErrnoName | null {
  return saveDevices(context, its) ?? saveCollections(context, its);
}

function saveDevices(context: ItsContext, its: NodeRef): ErrnoName | null {
  const { vm, nodes } = context;
  const baser = nodes.quad(its, Its.deviceBaser);
  if ((baser & VALID) === 0n) return null;
  let devices = sorted(nodes, its, Its.devices, ItsDevice.id);
  const address = (device: NodeRef) => entryAddress(context, baser, unsigned(nodes.get(device, ItsDevice.id)));
  if (vm.profile.switches.itsSkipsUnsavable) devices = devices.filter((device) => address(device) !== null);
  const steps = stepsOf(
    devices.map((device) => unsigned(nodes.get(device, ItsDevice.id))),
    DTE_MOST_NEXT,
  );
  for (const [i, device] of devices.entries()) {
    const at = address(device);
    if (at === null) return "EINVAL";
    const refused = saveTranslations(context, device);
    if (refused !== null) return refused;
    const itt = nodes.quad(device, ItsDevice.itt) >> 8n;
    const bits = BigInt(nodes.get(device, ItsDevice.eventBits) - 1);
    const entry = VALID | (BigInt(steps[i]!) << DTE_NEXT) | (itt << DTE_ITT) | bits;
    if (!writeEntry(context, at, entry)) return "EFAULT";
  }
  return null;
}

function saveTranslations(context: ItsContext, device: NodeRef): ErrnoName | null {
  const { nodes } = context;
  const itt = nodes.quad(device, ItsDevice.itt);
  const events = sorted(nodes, device, ItsDevice.events, Translation.event);
  const ids = events.map((translation) => unsigned(nodes.get(translation, Translation.event)));
  const steps = stepsOf(ids, ITE_MOST_NEXT);
  for (const [i, translation] of events.entries()) {
    const intid = BigInt(unsigned(nodes.get(nodes.get(translation, Translation.lpi), Field.intid)));
    const collection = nodes.get(translation, Translation.collection);
    const icid = BigInt(nodes.get(collection, Collection.id));
    // Of a collection that is gone nothing is saved. Kernels before 7.2 crash here.
    const entry = collection === 0 ? 0n : (BigInt(steps[i]!) << ITE_NEXT) | (intid << ITE_INTID) | icid;
    if (!writeEntry(context, itt + BigInt(ids[i]! * ENTRY_BYTES), entry)) return "EFAULT";
  }
  return null;
}

function saveCollections(context: ItsContext, its: NodeRef): ErrnoName | null {
  const { nodes } = context;
  const baser = nodes.quad(its, Its.collectionBaser);
  if ((baser & VALID) === 0n) return null;
  let address = tableAddress(baser);
  const end = address + BigInt(tableBytes(baser));
  for (const collection of nodes.list(its, Its.collections)) {
    const target = BigInt(unsigned(nodes.get(collection, Collection.target)));
    const entry = VALID | (target << CTE_TARGET) | BigInt(nodes.get(collection, Collection.id));
    if (!writeEntry(context, address, entry)) return "EFAULT";
    address += BigInt(ENTRY_BYTES);
  }
  // The table ends at the first entry that is not valid.
  return address === end || writeEntry(context, address, 0n) ? null : "EFAULT";
}

// Restoring.

/** What an entry says: a refusal, that the table ends here (0), or how many entries to go on. */
type Scanned = ErrnoName | number;

/** Reads a table entry by entry; a number above 0: no entry said that it was the last. */
function scan(
  context: ItsContext,
  table: { readonly address: bigint; readonly bytes: number; readonly first: number },
  take: (id: number, entry: bigint) => Scanned,
): Scanned {
  let page: DataView | null = null;
  let pageAddress = 0n;
  for (let done = 0; done < table.bytes; ) {
    const address = table.address + BigInt(done);
    const inPage = Number(address % BigInt(PAGE_BYTES));
    if (page === null || address - BigInt(inPage) !== pageAddress) {
      pageAddress = address - BigInt(inPage);
      page = readGuest(context.vm, pageAddress, PAGE_BYTES);
    }
    if (page === null) return "EFAULT";
    const entry = page.getBigUint64(inPage, true);
    // What an entry makes may clear pending bits, and those may lie in the page.
    if (entry !== 0n) page = null;
    const step = take(table.first + done / ENTRY_BYTES, entry);
    if (typeof step === "string" || step === 0) return step;
    done += step * ENTRY_BYTES;
  }
  return 1;
}

const refusalOf = (scanned: Scanned): ErrnoName | null => (typeof scanned === "string" ? scanned : null);

/** KVM_DEV_ARM_ITS_RESTORE_TABLES. What fails leaves nothing, not even what was there before. */
export function restoreTables(context: ItsContext, its: NodeRef): ErrnoName | null {
  const collections = restoreCollections(context, its);
  if (collections !== null) freeCollections(context, its);
  const devices = collections === null ? restoreDevices(context, its) : null;
  if (devices !== null) {
    freeDevices(context, its);
    freeCollections(context, its);
  }
  return collections ?? devices;
}

function restoreCollections(context: ItsContext, its: NodeRef): ErrnoName | null {
  const baser = context.nodes.quad(its, Its.collectionBaser);
  if ((baser & VALID) === 0n) return null;
  const table = { address: tableAddress(baser), bytes: tableBytes(baser), first: 0 };
  const scanned = scan(context, table, (_, entry) => {
    if ((entry & VALID) === 0n) return 0;
    const target = Number((entry >> CTE_TARGET) & WORD) | 0;
    const id = Number(entry & ICID);
    if (target !== NOWHERE && vcpuOfTarget(context, target >>> 0) === null) return "EINVAL";
    if (findCollection(context, its, id) !== 0) return "EEXIST";
    if (entryAddress(context, baser, id) === null) return "EINVAL";
    makeCollection(context, its, id, target);
    return 1;
  });
  return refusalOf(scanned);
}

function restoreDevices(context: ItsContext, its: NodeRef): ErrnoName | null {
  const baser = context.nodes.quad(its, Its.deviceBaser);
  if ((baser & VALID) === 0n) return null;
  const whole = { address: tableAddress(baser), bytes: tableBytes(baser), first: 0 };
  const take = (id: number, entry: bigint) => restoreDevice(context, its, baser, id, entry);
  if ((baser & INDIRECT) === 0n) return refusalOf(scan(context, whole, take));
  const scanned = scan(context, whole, (index, entry) => {
    if ((entry & VALID) === 0n) return 1;
    const page = { address: entry & L1_ADDRESS, bytes: TABLE_PAGE_BYTES, first: index * ENTRIES_OF_PAGE };
    return scan(context, page, take);
  });
  return refusalOf(scanned);
}

function restoreDevice(context: ItsContext, its: NodeRef, baser: bigint, id: number, entry: bigint): Scanned {
  if ((entry & VALID) === 0n) return 1;
  if (entryAddress(context, baser, id) === null) return "EINVAL";
  const itt = ((entry >> DTE_ITT) & ITT_BITS) << 8n;
  const device = makeDevice(context, its, id, itt, Number(entry & 0x1fn) + 1);
  const refused = restoreTranslations(context, its, device);
  if (refused === null) return Number((entry >> DTE_NEXT) & BigInt(DTE_MOST_NEXT));
  freeDevice(context, its, device);
  return refused;
}

function restoreTranslations(context: ItsContext, its: NodeRef, device: NodeRef): ErrnoName | null {
  const { nodes } = context;
  const events = 2 ** nodes.get(device, ItsDevice.eventBits);
  const table = { address: nodes.quad(device, ItsDevice.itt), bytes: events * ENTRY_BYTES, first: 0 };
  const scanned = scan(context, table, (event, entry) => {
    const intid = Number((entry >> ITE_INTID) & WORD);
    if (intid === 0) return 1;
    const step = Number(entry >> ITE_NEXT);
    const collection = findCollection(context, its, Number(entry & ICID));
    if (intid < FIRST_LPI || event + step >= events || collection === 0) return "EINVAL";
    return makeTranslation(context, device, event, intid, collection) ?? step;
  });
  return refusalOf(scanned);
}
