// One VM's shared memory as every thread sees it: cells, the lock, and the pages behind mappings.

import { Refused } from "../errors.js";
import { PAGE_BYTES } from "../uapi/constants.js";
import { ALLOCATIONS, EXTENTS, VM_BYTES, type VmCell, vmCells } from "./layout.js";
import type { Profile } from "./profile.js";

const WASM_PAGE = 65536;

/** Of an allocation in use, where a free one has the next. */
const SHOWN = -1;

/** Address space for the largest size that the memory may grow to; pages come with their first use. */
function reserve(bytes: number): WebAssembly.Memory {
  const initial = Math.ceil(VM_BYTES / WASM_PAGE);
  try {
    return new WebAssembly.Memory({ initial, maximum: Math.ceil(bytes / WASM_PAGE), shared: true });
  } catch {
    throw new Refused("ENOMEM", "KVM_CREATE_VM");
  }
}

export class VmState {
  readonly memory: WebAssembly.Memory;
  readonly profile: Profile;
  readonly words: Int32Array;
  readonly quads: BigUint64Array;

  constructor(memory: WebAssembly.Memory, profile: Profile) {
    this.memory = memory;
    this.profile = profile;
    this.words = new Int32Array(memory.buffer, 0, VM_BYTES / 4);
    this.quads = new BigUint64Array(memory.buffer, 0, VM_BYTES / 8);
  }

  static create(profile: Profile): VmState {
    const vm = new VmState(reserve(profile.memoryBytes), profile);
    vm.put("top", VM_BYTES / PAGE_BYTES);
    vm.put("features", -1);
    return vm;
  }

  /** A small number: lower word of a cell. */
  get(name: VmCell, index = 0): number {
    return this.words[(vmCells[name] + index) * 2]!;
  }
  put(name: VmCell, value: number, index = 0): void {
    this.words[(vmCells[name] + index) * 2] = value;
  }
  quad(name: VmCell, index = 0): bigint {
    return this.quads[vmCells[name] + index]!;
  }
  putQuad(name: VmCell, value: bigint, index = 0): void {
    this.quads[vmCells[name] + index] = value;
  }
  /** As `get` and `put`, ordered with what other threads do. */
  peek(name: VmCell): number {
    return Atomics.load(this.words, vmCells[name] * 2);
  }
  add(name: VmCell, value: number): number {
    return Atomics.add(this.words, vmCells[name] * 2, value);
  }
  setBits(name: VmCell, bits: number): void {
    Atomics.or(this.words, vmCells[name] * 2, bits);
  }

  /** Runs `body` while no other thread is inside `locked` of this VM. Not reentrant. */
  locked<T>(body: () => T): T {
    return this.holding(vmCells.lock * 2, body);
  }

  /** The same for what interrupts are made of. It may be taken inside `locked`, not around it. */
  gicLocked<T>(body: () => T): T {
    return this.holding(vmCells.gicLock * 2, body);
  }

  private holding<T>(at: number, body: () => T): T {
    if (Atomics.compareExchange(this.words, at, 0, 1) !== 0) {
      while (Atomics.exchange(this.words, at, 2) !== 0) Atomics.wait(this.words, at, 2);
    }
    try {
      return body();
    } finally {
      if (Atomics.exchange(this.words, at, 0) === 2) Atomics.notify(this.words, at, 1);
    }
  }

  /** Bytes of the memory. Another thread may have grown it: then this thread's buffer object is renewed. */
  view(offset: number, bytes: number): Uint8Array {
    return new Uint8Array(this.bufferTo(offset + bytes), offset, bytes);
  }

  /** A buffer that reaches at least to `end`. */
  bufferTo(end: number): ArrayBufferLike {
    if (this.memory.buffer.byteLength < end) this.memory.grow(0);
    return this.memory.buffer;
  }

  /**
   * Zeroed pages, as the number of an allocation with one reference. ENOMEM: the VM's memory is used up. Inside
   * `locked`.
   */
  allocate(bytes: number, call: string): number {
    const pages = Math.ceil(bytes / PAGE_BYTES);
    const entry = this.takeEntry();
    const first = entry === null ? null : (this.takeExtent(pages) ?? this.takeTop(pages) ?? this.takeAgain(pages));
    if (entry !== null && first === null) this.giveEntry(entry);
    if (entry === null || first === null) throw new Refused("ENOMEM", call);
    const at = (vmCells.allocations + 2 * entry) * 2;
    this.words[at] = first;
    this.words[at + 1] = pages;
    this.words[at + 2] = 1;
    this.words[at + 3] = 0;
    return entry;
  }

  /** Where an allocation begins, and its size, in bytes. */
  allocationOffset(entry: number): number {
    return this.words[(vmCells.allocations + 2 * entry) * 2]! * PAGE_BYTES;
  }
  allocationBytes(entry: number): number {
    return this.words[(vmCells.allocations + 2 * entry) * 2 + 1]! * PAGE_BYTES;
  }

  /**
   * JavaScript gets views of an allocation, which nobody counts: when it is free its pages are used again only where there
   * are no others. Inside `locked`.
   */
  show(entry: number): void {
    this.words[(vmCells.allocations + 2 * entry) * 2 + 3] = SHOWN;
  }

  /** One more user of an allocation. Inside `locked`. */
  retain(entry: number): void {
    this.words[(vmCells.allocations + 2 * entry) * 2 + 2]!++;
  }

  /** One user less; the last one frees it. Inside `locked`. */
  release(entry: number): void {
    const at = (vmCells.allocations + 2 * entry) * 2;
    this.words[at + 2]!--;
    if (this.words[at + 2]! > 0) return;
    this.releaseTags(entry);
    if (this.words[at + 3] === SHOWN) {
      this.words[at + 3] = this.get("allocationsAside");
      this.put("allocationsAside", entry + 1);
    } else this.free(entry);
  }

  private free(entry: number): void {
    const at = (vmCells.allocations + 2 * entry) * 2;
    this.giveExtent(this.words[at]!, this.words[at + 1]!);
    this.giveEntry(entry);
  }

  private giveEntry(entry: number): void {
    this.words[(vmCells.allocations + 2 * entry) * 2 + 3] = this.get("allocationFree");
    this.put("allocationFree", entry + 1);
  }

  /** Frees what was kept for views that there may be. False: there was nothing. */
  private freeAside(): boolean {
    const head = this.get("allocationsAside");
    this.put("allocationsAside", 0);
    for (let next = head; next !== 0; ) {
      const entry = next - 1;
      next = this.words[(vmCells.allocations + 2 * entry) * 2 + 3]!;
      this.free(entry);
    }
    return head !== 0;
  }

  private takeAgain(pages: number): number | null {
    return this.freeAside() ? this.takeExtent(pages) : null;
  }

  private releaseTags(entry: number): void {
    const at = vmCells.tags * 2 + entry;
    const tags = this.words[at]!;
    if (tags === 0) return;
    this.words[at] = 0;
    this.release(tags - 1);
  }

  private takeEntry(): number | null {
    if (this.get("allocationFree") === 0 && this.get("allocationCount") === ALLOCATIONS) this.freeAside();
    const head = this.get("allocationFree");
    if (head !== 0) {
      this.put("allocationFree", this.words[(vmCells.allocations + 2 * (head - 1)) * 2 + 3]!);
      return head - 1;
    }
    const next = this.get("allocationCount");
    if (next === ALLOCATIONS) return null;
    this.put("allocationCount", next + 1);
    return next;
  }

  private takeTop(pages: number): number | null {
    const first = this.get("top");
    const end = (first + pages) * PAGE_BYTES;
    if (end > this.profile.memoryBytes) return null;
    const have = this.bufferTo(end).byteLength;
    if (have < end) {
      try {
        this.memory.grow(Math.ceil((end - have) / WASM_PAGE));
      } catch {
        return null;
      }
    }
    this.put("top", first + pages);
    return first;
  }

  private takeExtent(pages: number): number | null {
    const count = this.get("extentCount");
    const base = vmCells.extents * 2;
    for (let i = 0; i < count; i++) {
      const first = this.words[base + 2 * i]!;
      const length = this.words[base + 2 * i + 1]!;
      if (length < pages) continue;
      if (length === pages) this.removeExtent(i);
      else {
        this.words[base + 2 * i] = first + pages;
        this.words[base + 2 * i + 1] = length - pages;
      }
      this.view(first * PAGE_BYTES, pages * PAGE_BYTES).fill(0);
      return first;
    }
    return null;
  }

  private removeExtent(i: number): void {
    const count = this.get("extentCount") - 1;
    const base = vmCells.extents * 2;
    this.words[base + 2 * i] = this.words[base + 2 * count]!;
    this.words[base + 2 * i + 1] = this.words[base + 2 * count + 1]!;
    this.put("extentCount", count);
  }

  private giveExtent(first: number, pages: number): void {
    const base = vmCells.extents * 2;
    for (let i = 0; i < this.get("extentCount"); ) {
      const start = this.words[base + 2 * i]!;
      const length = this.words[base + 2 * i + 1]!;
      if (start + length === first || first + pages === start) {
        first = Math.min(first, start);
        pages += length;
        this.removeExtent(i);
        i = 0;
      } else i++;
    }
    const count = this.get("extentCount");
    // More holes than the table holds: the pages stay unused until the VM ends.
    if (count === EXTENTS) return;
    this.words[base + 2 * count] = first;
    this.words[base + 2 * count + 1] = pages;
    this.put("extentCount", count + 1);
  }
}
