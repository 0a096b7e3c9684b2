// A disk in memory: what a test reads and writes without a file.
import type { Disk } from "../../lib/vmm/index.js";

export interface MemoryDisk extends Disk {
  readonly content: Uint8Array;
  flushes: number;
}

export function openMemoryDisk(bytes: number, access: Disk["access"] = "read-write"): MemoryDisk {
  const content = new Uint8Array(bytes);
  const disk: MemoryDisk = {
    name: "memory",
    bytes,
    access,
    content,
    flushes: 0,
    async read(at, into) {
      for (const buffer of into) {
        buffer.set(content.subarray(at, at + buffer.length));
        at += buffer.length;
      }
    },
    async write(at, from) {
      for (const buffer of from) {
        content.set(buffer, at);
        at += buffer.length;
      }
    },
    async flush() {
      disk.flushes++;
    },
    close() {},
  };
  return disk;
}
