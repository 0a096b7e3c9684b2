// Where the guests of the differential tests have what. The run of a guest ends by itself: every program ends in a store
// to FINISH, and so does every exception vector.

import { branch, mov64, store, XZR } from "../support/assemble.js";

/** Guest RAM: code, then vectors, then data. */
export const RAM = 0x4000_0000n;
export const RAM_BYTES = 0x1_0000;
export const CODE_BYTES = 0x700;
/** Where a vCPU starts that a guest turns on: it finishes at once. */
export const ENTRY = 0x700;
export const VECTORS = 0x800;
export const DATA = 0x1000;
export const DATA_BYTES = 0x1000;
/** What the launch needs of the slot. */
export const NEEDED_BYTES = DATA + DATA_BYTES;

/** No slot, device, zone or ioeventfd is ever put here. Stores there end a guest: 0x10 for vector 0, 0x20 for 1, … */
export const FINISH = 0x0a00_0000n;
export const FINISH_BYTES = 0x1000n;

/** Stores to an address that tells which end this is, again and again. */
const ending = (place: number): number[] => [...mov64(28, FINISH + BigInt(place)), store(4, XZR, 28), branch(-4)];

export const finish: readonly number[] = ending(0);

const wordBytes = (words: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);

const finishBytes = wordBytes(finish);

/** What is the same in all: the entry stub and the vectors. */
const emptyImage = new Uint8Array(DATA);
emptyImage.set(wordBytes(ending(8)), ENTRY);
for (let vector = 0; vector < 16; vector++) {
  emptyImage.set(wordBytes(ending(0x10 * (vector + 1))), VECTORS + 0x80 * vector);
}

/** Code, entry stub and vectors as the bytes at the start of RAM. */
export function image(code: Uint8Array): Uint8Array {
  const bytes = emptyImage.slice();
  const most = CODE_BYTES - finishBytes.length;
  bytes.set(code.subarray(0, most));
  bytes.set(finishBytes, Math.min(code.length, most) & ~3);
  return bytes;
}
