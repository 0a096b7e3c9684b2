// The command queue of an ITS, and what each command does. A command that is wrong does nothing; nobody is told.
// IHI 0069, "ITS commands".

import { Refused } from "../../errors.js";
import { isBacked, readGuest } from "../guest-memory.js";
import { Collection, Its, ItsDevice, type NodeRef, Translation } from "./its-nodes.js";
import {
  ENTRY_BYTES,
  entryAddress,
  findCollection,
  findDevice,
  findTranslation,
  forgetCache,
  freeCollection,
  freeDevice,
  freeTranslation,
  ID_BITS,
  isMapped,
  makeCollection,
  makeDevice,
  makeTranslation,
  placeOf,
  translations,
  vcpuOf,
  vcpuOfTarget,
  writeEntry,
} from "./its-tables.js";
import { FIRST_LPI, Field, gicVcpuCells } from "./layout.js";
import { allLpis, clearPending, endOfLpis, type ItsContext, readConfiguration, retarget, setPending } from "./lpis.js";

const COMMAND_BYTES = 32;
const COMMAND_OFFSET = 0xf_ffe0n;

/** One command: a field of it, as a number of up to 32 bits, and the address of an ITT. */
class Command {
  readonly #words: DataView;

  constructor(words: DataView) {
    this.#words = words;
  }
  #field(word: number, lsb: number, bits: number): number {
    return Number((this.#words.getBigUint64(word * 8, true) >> BigInt(lsb)) & ((1n << BigInt(bits)) - 1n));
  }
  get number(): number {
    return this.#field(0, 0, 8);
  }
  get device(): number {
    return this.#field(0, 32, 32);
  }
  get eventBits(): number {
    return this.#field(1, 0, 5) + 1;
  }
  get event(): number {
    return this.#field(1, 0, 32);
  }
  get intid(): number {
    return this.#field(1, 32, 32);
  }
  get collection(): number {
    return this.#field(2, 0, 16);
  }
  get target(): number {
    return this.#field(2, 16, 32);
  }
  get otherTarget(): number {
    return this.#field(3, 16, 32);
  }
  get itt(): bigint {
    return this.#words.getBigUint64(16, true) & 0x000f_ffff_ffff_ff00n;
  }
  get valid(): boolean {
    return this.#field(2, 63, 1) === 1;
  }
}

type Meaning = (context: ItsContext, its: NodeRef, command: Command) => void;

const mapd: Meaning = (context, its, { device: id, eventBits, itt, valid }) => {
  const entry = entryAddress(context, context.nodes.quad(its, Its.deviceBaser), id);
  if (entry === null || (valid && eventBits > ID_BITS)) return;
  const device = findDevice(context, its, id);
  // What was mapped is forgotten, also where the device is mapped anew.
  if (device !== 0) freeDevice(context, its, device);
  if (valid) makeDevice(context, its, id, itt, eventBits);
  else writeEntry(context, entry, 0n);
};

const mapc: Meaning = (context, its, { collection: id, target, valid }) => {
  const { nodes } = context;
  const vcpu = vcpuOfTarget(context, target);
  const collection = findCollection(context, its, id);
  if (!valid) {
    if (vcpu === null && context.vm.profile.switches.unmappingNeedsTarget) return;
    if (collection !== 0) freeCollection(context, its, collection);
    forgetCache(context, its);
  } else if (vcpu === null) {
    return;
  } else if (collection !== 0) {
    nodes.put(collection, Collection.target, target);
    for (const { translation } of translations(context, its)) {
      if (nodes.get(translation, Translation.collection) !== collection) continue;
      retarget(context, nodes.get(translation, Translation.lpi), placeOf(vcpu));
    }
  } else if (entryAddress(context, nodes.quad(its, Its.collectionBaser), id) !== null) {
    makeCollection(context, its, id, target);
  }
};

function mapEvent(context: ItsContext, its: NodeRef, command: Command, intid: number): void {
  const { vm, nodes } = context;
  const { device: id, event, collection: icid } = command;
  const device = findDevice(context, its, id);
  if (device === 0 || event >= 2 ** nodes.get(device, ItsDevice.eventBits)) return;
  if (!isBacked(vm, nodes.quad(device, ItsDevice.itt) + BigInt(event * ENTRY_BYTES))) return;
  if (intid < FIRST_LPI || intid >= endOfLpis(vm)) return;
  if (findTranslation(context, its, id, event) !== 0) return;
  const before = findCollection(context, its, icid);
  if (before === 0 && entryAddress(context, nodes.quad(its, Its.collectionBaser), icid) === null) return;
  const collection = before || makeCollection(context, its, icid, -1);
  const refused = makeTranslation(context, device, event, intid, collection);
  if (refused !== null && before === 0) freeCollection(context, its, collection);
}

const mapti: Meaning = (context, its, command) => mapEvent(context, its, command, command.intid);
const mapi: Meaning = (context, its, command) => mapEvent(context, its, command, command.event);

const movi: Meaning = (context, its, { device, event, collection: id }) => {
  const { nodes } = context;
  const translation = findTranslation(context, its, device, event);
  if (translation === 0 || !isMapped(context, nodes.get(translation, Translation.collection))) return;
  const collection = findCollection(context, its, id);
  if (!isMapped(context, collection)) return;
  nodes.put(translation, Translation.collection, collection);
  forgetCache(context, its);
  retarget(context, nodes.get(translation, Translation.lpi), placeOf(vcpuOf(context, collection)));
};

const discard: Meaning = (context, its, { device: id, event }) => {
  const { nodes } = context;
  const translation = findTranslation(context, its, id, event);
  if (translation === 0 || !isMapped(context, nodes.get(translation, Translation.collection))) return;
  const device = findDevice(context, its, id);
  forgetCache(context, its);
  freeTranslation(context, device, translation);
  writeEntry(context, nodes.quad(device, ItsDevice.itt) + BigInt(event * ENTRY_BYTES), 0n);
};

const clear: Meaning = (context, its, { device, event }) => {
  const translation = findTranslation(context, its, device, event);
  if (translation !== 0) clearPending(context, context.nodes.get(translation, Translation.lpi));
};

const inv: Meaning = (context, its, { device, event }) => {
  const translation = findTranslation(context, its, device, event);
  if (translation !== 0) readConfiguration(context, context.nodes.get(translation, Translation.lpi));
};

const invall: Meaning = (context, its, { collection }) => {
  const vcpu = vcpuOf(context, findCollection(context, its, collection));
  if (vcpu === null) return;
  for (const lpi of allLpis(context)) readConfiguration(context, lpi, vcpu);
};

const movall: Meaning = (context, its, { target, otherTarget }) => {
  const [from, to] = [vcpuOfTarget(context, target), vcpuOfTarget(context, otherTarget)];
  if (from === null || to === null || target === otherTarget) return;
  const [fromPlace, toPlace] = [placeOf(from), placeOf(to)];
  for (const lpi of allLpis(context)) {
    if (context.nodes.get(lpi, Field.target) === fromPlace) retarget(context, lpi, toPlace);
  }
  forgetCache(context, its);
};

const int: Meaning = (context, its, { device, event }) => {
  trigger(context, its, device, event);
};

/** By the number of the command. SYNC and those of GICv4 do nothing: every command is over when the next begins. */
const meanings: ReadonlyMap<number, Meaning> = new Map([
  [0x01, movi],
  [0x03, int],
  [0x04, clear],
  [0x08, mapd],
  [0x09, mapc],
  [0x0a, mapti],
  [0x0b, mapi],
  [0x0c, inv],
  [0x0d, invall],
  [0x0e, movall],
  [0x0f, discard],
]);

/** GITS_CBASER.Size. */
export const queueBytes = (cbaser: bigint): number => (Number(cbaser & 0xffn) + 1) * 4096;
const queueAddress = (cbaser: bigint) => cbaser & 0x000f_ffff_ffff_f000n;
/** GITS_CWRITER.Offset, GITS_CREADR.Offset. */
export const queueOffset = (register: bigint): number => Number(register & COMMAND_OFFSET);

/** Does the commands that wait, if the ITS is enabled. */
export function processCommands(context: ItsContext, its: NodeRef): void {
  const { vm, nodes } = context;
  if (nodes.get(its, Its.enabled) === 0) return;
  const cbaser = nodes.quad(its, Its.cbaser);
  const end = queueBytes(cbaser);
  for (let at = nodes.get(its, Its.creadr); at !== nodes.get(its, Its.cwriter); nodes.put(its, Its.creadr, at)) {
    const words = readGuest(vm, queueAddress(cbaser) + BigInt(at), COMMAND_BYTES);
    if (words !== null) obey(context, its, new Command(words));
    at = at + COMMAND_BYTES === end ? 0 : at + COMMAND_BYTES;
  }
}

function obey(context: ItsContext, its: NodeRef, command: Command): void {
  try {
    meanings.get(command.number)?.(context, its, command);
  } catch (error) {
    // The VM's memory is used up: a command that needs some fails as any other does.
    if (!(error instanceof Refused)) throw error;
  }
}

/** What became of a message: it is pending, nobody mapped it, or it may not come now. */
export type Triggered = "pending" | "unmapped" | "EBUSY";

/** A device's event makes its LPI pending. */
export function trigger(context: ItsContext, its: NodeRef, deviceId: number, event: number): Triggered {
  const { nodes } = context;
  if (nodes.get(its, Its.enabled) === 0) return "EBUSY";
  const translation = findTranslation(context, its, deviceId, event);
  if (translation === 0) return "unmapped";
  const vcpu = vcpuOf(context, nodes.get(translation, Translation.collection));
  if (vcpu === null) return "unmapped";
  if (vcpu.get("gic", gicVcpuCells.lpisEnabled) === 0) return "EBUSY";
  nodes.put(translation, Translation.cached, 1);
  setPending(context, nodes.get(translation, Translation.lpi), true);
  return "pending";
}
