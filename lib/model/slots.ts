// Memory slots and their dirty logs: Documentation/virt/kvm/api.rst 4.8, 4.35, 4.117. The slots live in the VM's shared
// memory; `SlotMap` is what one thread looks them up with.

import { Refused } from "../errors.js";
import { KVM_MEM, PAGE_BYTES } from "../uapi/constants.js";
import type { EventFds } from "./eventfd.js";
import { bindable } from "./guest-memfd.js";
import { SLOTS, VmCap, vmCells } from "./layout.js";
import type { VmState } from "./vm-state.js";

const PAGE = BigInt(PAGE_BYTES);
const MOST_PAGES = (1n << 31n) - 1n;
/** KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE, KVM_DIRTY_LOG_INITIALLY_SET. */
const MANUAL_PROTECT = 1;
const INITIALLY_SET = 2;

export interface Region {
  readonly slot: number;
  readonly flags: number;
  readonly guestAddress: bigint;
  readonly bytes: bigint;
  /** Byte in the VM's memory. */
  readonly hostOffset: bigint;
  /** The allocation that holds those bytes; null for a deletion. */
  readonly allocation: number | null;
  /** The guest's writes cannot reach the host's memory. */
  readonly hostReadonly: number;
  /** 1: the host's memory cannot hold MTE tags. */
  readonly untaggable: number;
  /** KVM_MEM_GUEST_MEMFD: the memory that is the slot's instead. */
  readonly guestMemfd: { readonly fd: number; readonly offset: bigint } | null;
}

// The cells of a slot: 0 flags + 1 (0: unused), allocation · 1 guest address · 2 bytes · 3 host offset ·
// 4 byte of the dirty bitmap, its allocation + 1 · 5 hostReadonly
const cell = (slot: number, n: number) => vmCells.slots + 6 * slot + n;
const word = (slot: number, n: number, half = 0) => cell(slot, n) * 2 + half;

/**
 * KVM_SET_USER_MEMORY_REGION from where its flags are known to be good. Gives the allocations that are to be released when
 * no vCPU uses the old slots any more. Inside `locked`.
 */
export function setRegion(vm: VmState, fds: EventFds, region: Region, call: string): readonly number[] {
  const { slot, flags, guestAddress, bytes, hostOffset, guestMemfd } = region;
  const id = slot & 0xffff;
  if (bytes % PAGE !== 0n || guestAddress % PAGE !== 0n || hostOffset % PAGE !== 0n) throw new Refused("EINVAL", call);
  if (guestMemfd !== null && (guestMemfd.offset % PAGE !== 0n || guestMemfd.offset + bytes >= 1n << 64n))
    throw new Refused("EINVAL", call);
  if (slot >>> 16 !== 0 || id >= SLOTS) throw new Refused("EINVAL", call);
  if (guestAddress + bytes >= 1n << 64n || bytes / PAGE > MOST_PAGES) throw new Refused("EINVAL", call);
  const used = vm.words[word(id, 0)]! !== 0;
  if (bytes === 0n) {
    if (!used) throw new Refused("EINVAL", call);
    return deleteSlot(vm, id);
  }
  if (used) {
    const before = vm.words[word(id, 0)]! - 1;
    // A slot with guest_memfd can only be deleted, and none becomes one.
    if (((before | flags) & KVM_MEM.GUEST_MEMFD) !== 0) throw new Refused("EINVAL", call);
    const same = vm.quads[cell(id, 3)] === hostOffset && vm.quads[cell(id, 2)] === bytes;
    if (!same || ((flags ^ before) & KVM_MEM.READONLY) !== 0) throw new Refused("EINVAL", call);
    const moves = vm.quads[cell(id, 1)] !== guestAddress;
    if (!moves && flags === before) return [];
    if (moves && overlaps(vm, guestAddress, bytes, id)) throw new Refused("EEXIST", call);
  } else if (overlaps(vm, guestAddress, bytes, -1)) throw new Refused("EEXIST", call);
  const part = guestMemfd === null ? null : bind(vm, fds, { ...guestMemfd, bytes }, call);
  if (guestAddress + bytes > 1n << BigInt(vm.get("ipaBits"))) throw new Refused("EFAULT", call);
  // Arm has no memory that is private to the guest: what userspace cannot map is no slot. Nor does it keep tags.
  if (part !== null && !part.mappable) throw new Refused("EINVAL", call);
  const untaggable = part !== null || (vm.profile.switches.tagsNeedTmpfs && region.untaggable === 1);
  if (untaggable && (vm.peek("caps") & VmCap.mte) !== 0) throw new Refused("EINVAL", call);
  const unused = prepareDirtyLog(vm, id, flags, bytes, call);
  if (used) removeFromOrder(vm, id);
  else {
    const { allocation, hostOffset } = part ?? region;
    vm.retain(allocation!);
    vm.words[word(id, 0, 1)] = allocation!;
    vm.quads[cell(id, 2)] = bytes;
    vm.quads[cell(id, 3)] = hostOffset;
    vm.words[word(id, 5)] = part === null ? region.hostReadonly : 0;
  }
  vm.words[word(id, 0)] = flags + 1;
  vm.quads[cell(id, 1)] = guestAddress;
  insertIntoOrder(vm, id);
  vm.add("slotGeneration", 1);
  return unused;
}

/** The part of a guest_memfd that becomes a slot. EEXIST: it is in another one already. */
function bind(
  vm: VmState,
  fds: EventFds,
  asked: { readonly fd: number; readonly offset: bigint; readonly bytes: bigint },
  call: string,
) {
  const part = bindable(vm, fds, asked, call);
  for (let i = 0; i < vm.get("slotCount"); i++) {
    const id = vm.words[orderAt(i)]!;
    const first = vm.quads[cell(id, 3)]!;
    const apart = first >= part.hostOffset + asked.bytes || part.hostOffset >= first + vm.quads[cell(id, 2)]!;
    if (isGuestMemfd(vm, id) && !apart) throw new Refused("EEXIST", call);
  }
  return part;
}

const isGuestMemfd = (vm: VmState, id: number) => ((vm.words[word(id, 0)]! - 1) & KVM_MEM.GUEST_MEMFD) !== 0;

/** Whether a slot has guest_memfd: such a VM gets no memory tags. */
export function hasGuestMemfdSlot(vm: VmState): boolean {
  return Array.from({ length: vm.get("slotCount") }, (_, i) => vm.words[orderAt(i)]!).some((id) =>
    isGuestMemfd(vm, id),
  );
}

/** The slots that exist, for the checks of other ioctls. */
export const slotCount = (vm: VmState): number => vm.get("slotCount");

/** The slots whose writes are logged. Inside `locked`, or while nobody changes slots. */
export function loggedSlots(vm: VmState): number {
  const ids = Array.from({ length: slotCount(vm) }, (_, i) => vm.words[orderAt(i)]!);
  return ids.filter((id) => ((vm.words[word(id, 0)]! - 1) & KVM_MEM.LOG_DIRTY_PAGES) !== 0).length;
}

function deleteSlot(vm: VmState, id: number): readonly number[] {
  removeFromOrder(vm, id);
  const unused = [...dropDirtyLog(vm, id), vm.words[word(id, 0, 1)]!];
  vm.words[word(id, 0)] = 0;
  vm.add("slotGeneration", 1);
  return unused;
}

const orderAt = (i: number) => vmCells.slotOrder * 2 + i;

/** How many slots begin below `address`. */
function rank(vm: VmState, address: bigint): number {
  let low = 0;
  let high = vm.get("slotCount");
  while (low < high) {
    const middle = (low + high) >> 1;
    if (vm.quads[cell(vm.words[orderAt(middle)]!, 1)]! < address) low = middle + 1;
    else high = middle;
  }
  return low;
}

function overlaps(vm: VmState, address: bigint, bytes: bigint, except: number): boolean {
  const count = vm.get("slotCount");
  // The neighbours are enough, but one of them may be the slot that moves.
  for (let i = Math.max(0, rank(vm, address) - 2); i < count; i++) {
    const id = vm.words[orderAt(i)]!;
    const first = vm.quads[cell(id, 1)]!;
    if (first >= address + bytes) return false;
    if (id !== except && first + vm.quads[cell(id, 2)]! > address) return true;
  }
  return false;
}

function insertIntoOrder(vm: VmState, id: number): void {
  const count = vm.get("slotCount");
  const at = rank(vm, vm.quads[cell(id, 1)]!);
  vm.words.copyWithin(orderAt(at + 1), orderAt(at), orderAt(count));
  vm.words[orderAt(at)] = id;
  vm.put("slotCount", count + 1);
}

function removeFromOrder(vm: VmState, id: number): void {
  const count = vm.get("slotCount");
  const at = rank(vm, vm.quads[cell(id, 1)]!);
  vm.words.copyWithin(orderAt(at), orderAt(at + 1), orderAt(count));
  vm.put("slotCount", count - 1);
}

/** Bytes of the dirty bitmap of so many bytes of memory. */
const bitmapBytes = (bytes: bigint) => Number((bytes / PAGE + 63n) / 64n) * 8;

/** Gives what is to be released. */
function prepareDirtyLog(vm: VmState, id: number, flags: number, bytes: bigint, call: string): readonly number[] {
  if ((flags & KVM_MEM.LOG_DIRTY_PAGES) === 0) return dropDirtyLog(vm, id);
  if (vm.words[word(id, 4, 1)]! !== 0) return [];
  // With dirty rings the first bitmap says which pages are in one; userspace sees a second, into which no vCPU writes.
  const ring = vm.get("ringBytes") > 0;
  const seen = ring ? bitmapBytes(bytes) : 0;
  const allocation = vm.allocate(seen + bitmapBytes(bytes), call);
  vm.words[word(id, 4)] = vm.allocationOffset(allocation);
  vm.words[word(id, 4, 1)] = allocation + 1;
  if ((vm.get("dirtyManual") & INITIALLY_SET) === 0) return [];
  const pages = Number(bytes / PAGE);
  const bitmap = vm.view(vm.allocationOffset(allocation) + seen, bitmapBytes(bytes));
  bitmap.fill(0xff, 0, pages >> 3);
  if (pages % 8 !== 0) bitmap[pages >> 3] = (1 << (pages % 8)) - 1;
  return [];
}

/** Gives what is to be released. */
function dropDirtyLog(vm: VmState, id: number): readonly number[] {
  const allocation = vm.words[word(id, 4, 1)]!;
  vm.words[word(id, 4, 1)] = 0;
  return allocation === 0 ? [] : [allocation - 1];
}

/** The bitmap that userspace reads. */
function seenWords(vm: VmState, id: number, call: string): { words: Int32Array; pages: number } {
  const { words, pages } = dirtyWords(vm, id, call);
  if (vm.get("ringBytes") === 0) return { words, pages };
  const offset = words.byteOffset + words.byteLength;
  return { words: new Int32Array(vm.bufferTo(offset + words.byteLength), offset, words.length), pages };
}

/** The bitmap of what vCPUs wrote, as 32-bit words; ENOENT where there is none. */
function dirtyWords(vm: VmState, id: number, call: string): { words: Int32Array; pages: number } {
  if (vm.words[word(id, 0)] === 0 || vm.words[word(id, 4, 1)] === 0) throw new Refused("ENOENT", call);
  const bytes = vm.quads[cell(id, 2)]!;
  const offset = vm.words[word(id, 4)]! >>> 0;
  const length = bitmapBytes(bytes);
  return { words: new Int32Array(vm.bufferTo(offset + length), offset, length / 4), pages: Number(bytes / PAGE) };
}

/** The same for a slot number that may be none. */
export function dirtyWordsOf(vm: VmState, slot: number): Int32Array | null {
  const has = slot < SLOTS && vm.words[word(slot, 0)] !== 0 && vm.words[word(slot, 4, 1)] !== 0;
  return has ? dirtyWords(vm, slot, "").words : null;
}

/** With dirty rings userspace has no bitmap, unless it asked for one. */
function refuseRingOnly(vm: VmState, call: string): void {
  if (vm.get("ringBytes") > 0 && (vm.peek("caps") & VmCap.ringBitmap) === 0) throw new Refused("ENXIO", call);
}

function checkSlotNumber(slot: number, call: string): number {
  if (slot >>> 16 !== 0 || (slot & 0xffff) >= SLOTS) throw new Refused("EINVAL", call);
  return slot & 0xffff;
}

/** KVM_GET_DIRTY_LOG. Inside `locked`. */
export function getDirtyLog(vm: VmState, slot: number, bitmap: Uint8Array): void {
  const call = "KVM_GET_DIRTY_LOG";
  refuseRingOnly(vm, call);
  const { words } = seenWords(vm, checkSlotNumber(slot, call), call);
  if (bitmap.length < words.byteLength) {
    throw new RangeError(`getDirtyLog: bitmap needs ${words.byteLength} bytes, got ${bitmap.length}`);
  }
  const keeps = (vm.get("dirtyManual") & MANUAL_PROTECT) !== 0;
  const out = new DataView(bitmap.buffer, bitmap.byteOffset, bitmap.byteLength);
  for (let i = 0; i < words.length; i++) {
    out.setInt32(4 * i, keeps ? Atomics.load(words, i) : Atomics.exchange(words, i, 0), true);
  }
}

/** KVM_CLEAR_DIRTY_LOG. Inside `locked`. */
export function clearDirtyLog(vm: VmState, slot: number, firstPage: bigint, pages: number, bitmap: Uint8Array): void {
  const call = "KVM_CLEAR_DIRTY_LOG";
  refuseRingOnly(vm, call);
  const id = checkSlotNumber(slot, call);
  if ((firstPage & 63n) !== 0n) throw new Refused("EINVAL", call);
  const log = seenWords(vm, id, call);
  const rest = BigInt(log.pages) - firstPage;
  if (rest < 0n || BigInt(pages) > rest || (BigInt(pages) < rest && pages % 64 !== 0))
    throw new Refused("EINVAL", call);
  const length = Math.ceil(pages / 64) * 8;
  if (bitmap.length < length) throw new RangeError(`clearDirtyLog: bitmap needs ${length} bytes, got ${bitmap.length}`);
  const from = new DataView(bitmap.buffer, bitmap.byteOffset, bitmap.byteLength);
  const first = Number(firstPage) / 32;
  for (let i = 0; i < length / 4; i++) Atomics.and(log.words, first + i, ~from.getInt32(4 * i, true));
}

/** A slot as a thread sees it. Guest addresses are below 2^52, exact as numbers. */
export interface SlotView {
  readonly slot: number;
  readonly first: number;
  readonly end: number;
  readonly hostOffset: number;
  /** The allocation that holds its bytes. */
  readonly allocation: number;
  readonly flags: number;
  readonly hostReadonly: number;
  /** Dirty bitmap, one bit a page; null: not logged. */
  readonly dirty: Int32Array | null;
}

/** Finds slots by guest address; notices when another thread changed them. */
export class SlotMap {
  readonly #vm: VmState;
  #generation = -1;
  #slots: SlotView[] = [];
  #last: SlotView | undefined;

  constructor(vm: VmState) {
    this.#vm = vm;
  }

  /** The slot that holds a guest address. */
  find(address: number): SlotView | undefined {
    if (this.#generation !== this.#vm.peek("slotGeneration")) this.#read();
    const last = this.#last;
    if (last !== undefined && address >= last.first && address < last.end) return last;
    let low = 0;
    let high = this.#slots.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#slots[middle]!.end <= address) low = middle + 1;
      else high = middle;
    }
    const slot = this.#slots[low];
    if (slot === undefined || address < slot.first) return undefined;
    this.#last = slot;
    return slot;
  }

  #read(): void {
    this.#vm.locked(() => {
      const vm = this.#vm;
      this.#generation = vm.get("slotGeneration");
      this.#last = undefined;
      this.#slots = Array.from({ length: vm.get("slotCount") }, (_, i) => viewOf(vm, vm.words[orderAt(i)]!));
    });
  }
}

function viewOf(vm: VmState, id: number): SlotView {
  const first = Number(vm.quads[cell(id, 1)]!);
  const logged = vm.words[word(id, 4, 1)] !== 0;
  return {
    slot: id,
    first,
    end: first + Number(vm.quads[cell(id, 2)]!),
    hostOffset: Number(vm.quads[cell(id, 3)]!),
    allocation: vm.words[word(id, 0, 1)]!,
    flags: vm.words[word(id, 0)]! - 1,
    hostReadonly: vm.words[word(id, 5)]!,
    dirty: logged ? dirtyWords(vm, id, "KVM_RUN").words : null,
  };
}

/** The slot that holds a guest address, for who is inside `locked` already. */
export function slotAt(vm: VmState, address: bigint): SlotView | undefined {
  const place = rank(vm, address + 1n) - 1;
  if (place < 0) return undefined;
  const id = vm.words[orderAt(place)]!;
  return address < vm.quads[cell(id, 1)]! + vm.quads[cell(id, 2)]! ? viewOf(vm, id) : undefined;
}

/** Marks a page of a logged slot. */
export function markDirty(slot: SlotView, address: number): void {
  const page = Math.floor((address - slot.first) / PAGE_BYTES);
  Atomics.or(slot.dirty!, page >> 5, 1 << (page & 31));
}
