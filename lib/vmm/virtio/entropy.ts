// A source of random numbers: VIRTIO 1.2, 5.4.
import { randomBytes } from "node:crypto";
import type { VirtioDevice } from "./mmio.js";

const ID = 4;
const QUEUE_SIZE = 8;
/** A request may ask for all memory, and be given less than it asks for. */
const MOST_BYTES = 0x1_0000;

export const virtioEntropy = (): VirtioDevice => ({
  name: "virtio-entropy",
  id: ID,
  features: 0n,
  queueSizes: [QUEUE_SIZE],
  config: new Uint8Array(0),
  answer({ writable }) {
    let written = 0;
    for (const buffer of writable) {
      const bytes = Math.min(buffer.length, MOST_BYTES - written);
      buffer.set(randomBytes(bytes));
      written += bytes;
    }
    return written;
  },
});
