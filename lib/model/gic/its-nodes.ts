// What ITSs remember: lists of nodes of 64 bytes that never move, taken from the VM's memory in chunks. A node is known
// by the index of its first 32-bit word in that memory; 0: no node. Everything here is to be called inside `vm.locked`,
// or inside `vm.gicLocked` where it neither makes nor frees a node.

import type { VmCell } from "../layout.js";
import type { VmState } from "../vm-state.js";

const NODE_WORDS = 16;
const CHUNK_BYTES = 65536;

export type NodeRef = number;

/** Every node's first word but an LPI's: the next of its list. */
const NEXT = 0;

/** Words of an interrupt translation service. Those at even words named as 64-bit registers are two words. */
export const Its = {
  next: NEXT,
  enabled: 1,
  /** Guest address of its frames, or -1. */
  base: 2,
  cbaser: 4,
  deviceBaser: 6,
  collectionBaser: 8,
  cwriter: 10,
  creadr: 11,
  devices: 12,
  collections: 13,
  /** 1: the guest and messages reach its frames. */
  onBus: 14,
} as const;

export const ItsDevice = {
  next: NEXT,
  id: 1,
  /** Guest address of its interrupt translation table. */
  itt: 2,
  eventBits: 4,
  /** Its translations. */
  events: 5,
} as const;

/** An interrupt translation entry. */
export const Translation = {
  next: NEXT,
  event: 1,
  /** Node of the LPI. */
  lpi: 2,
  /** Node of the collection; 0: it was unmapped. */
  collection: 3,
  /** 1: a message went through since the ITS last forgot its cache. */
  cached: 4,
} as const;

export const Collection = {
  next: NEXT,
  id: 1,
  /** The redistributor as the guest names it, or NOWHERE. */
  target: 2,
} as const;

/** The target of a collection that translations name and that was never mapped. */
export const NOWHERE = -1;

/** Words of an LPI behind its record (see Field of layout.ts). */
export const Lpi = {
  /** The next LPI of its bucket. */
  next: 8,
  /** Translations that name it. */
  references: 9,
  /** How many LPIs had come to be when it did. */
  created: 10,
} as const;

export class ItsNodes {
  readonly vm: VmState;
  #words: Int32Array;
  #quads: BigUint64Array;

  constructor(vm: VmState) {
    this.vm = vm;
    const { buffer } = vm.memory;
    this.#words = new Int32Array(buffer);
    this.#quads = new BigUint64Array(buffer);
  }

  /** Another thread, or this one, made the memory larger, maybe in the midst of a table. */
  #lookAgain(): void {
    const { buffer } = this.vm.memory;
    this.#words = new Int32Array(buffer);
    this.#quads = new BigUint64Array(buffer);
  }

  get(node: NodeRef, field: number): number {
    if (node + field >= this.#words.length) this.#lookAgain();
    return this.#words[node + field]!;
  }
  put(node: NodeRef, field: number, value: number): void {
    if (node + field >= this.#words.length) this.#lookAgain();
    this.#words[node + field] = value;
  }
  quad(node: NodeRef, field: number): bigint {
    if (node + field >= this.#words.length) this.#lookAgain();
    return this.#quads[(node + field) >>> 1]!;
  }
  putQuad(node: NodeRef, field: number, value: bigint): void {
    if (node + field >= this.#words.length) this.#lookAgain();
    this.#quads[(node + field) >>> 1] = value;
  }

  /** The nodes of a list, first to last. */
  *list(head: NodeRef, field: number): Generator<NodeRef, void, void> {
    for (let node = this.get(head, field); node !== 0; ) {
      const next = this.get(node, NEXT);
      yield node;
      node = next;
    }
  }

  /** A zeroed node. ENOMEM: the VM's memory is used up. */
  make(call: string): NodeRef {
    const head = this.vm.get("itsNodes");
    if (head === 0) {
      this.#addChunk(call);
      return this.make(call);
    }
    this.vm.put("itsNodes", this.get(head, NEXT));
    this.put(head, NEXT, 0);
    return head;
  }

  #addChunk(call: string): void {
    const first = this.vm.allocationOffset(this.vm.allocate(CHUNK_BYTES, call)) / 4;
    for (let node = first; node < first + CHUNK_BYTES / 4; node += NODE_WORDS) this.free(node);
  }

  free(node: NodeRef): void {
    if (node >= this.#words.length) this.#lookAgain();
    this.#words.fill(0, node, node + NODE_WORDS);
    this.#words[node + NEXT] = this.vm.get("itsNodes");
    this.vm.put("itsNodes", node);
  }

  /** Makes a node the last of a list. */
  append(head: NodeRef, field: number, call: string): NodeRef {
    const node = this.make(call);
    let [at, word] = [head, field];
    for (let next = this.get(at, word); next !== 0; next = this.get(at, word)) [at, word] = [next, NEXT];
    this.put(at, word, node);
    return node;
  }

  /** Takes a node out of a list and frees it. */
  remove(head: NodeRef, field: number, node: NodeRef): void {
    let [at, word] = [head, field];
    while (this.get(at, word) !== node) [at, word] = [this.get(at, word), NEXT];
    this.put(at, word, this.get(node, NEXT));
    this.free(node);
  }

  /** A list in another order. */
  reorder(head: NodeRef, field: number, nodes: readonly NodeRef[]): void {
    let [at, word] = [head, field];
    for (const node of nodes) {
      this.put(at, word, node);
      [at, word] = [node, NEXT];
    }
    this.put(at, word, 0);
  }

  /** A table of so many zeroed words, whose first is kept in a cell; made at its first use. */
  table(cell: VmCell, words: number, call: string): number {
    const first = this.vm.get(cell);
    if (first !== 0) return first;
    const made = this.vm.allocationOffset(this.vm.allocate(words * 4, call)) / 4;
    this.vm.put(cell, made);
    return made;
  }
}
