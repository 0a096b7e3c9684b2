// A disk: VIRTIO 1.2, 5.2.
import type { Disk } from "../disk.js";
import type { VirtioDevice } from "./mmio.js";
import type { Chain } from "./queue.js";

const ID = 2;
const F_SEG_MAX = 1n << 2n;
const F_RO = 1n << 5n;
const F_FLUSH = 1n << 9n;

const SECTOR_BYTES = 512;
const HEADER_BYTES = 16;
const NAME_BYTES = 20;
const QUEUE_SIZE = 256;

const Type = { in: 0, out: 1, flush: 4, getId: 8 } as const;
const Answer = { ok: 0, ioError: 1, unsupported: 2 } as const;

type Buffers = readonly Uint8Array[];

const bytesOf = (buffers: Buffers): number => buffers.reduce((sum, { length }) => sum + length, 0);

/** The first `bytes` bytes of buffers, and the others. */
function split(buffers: Buffers, bytes: number): [first: Uint8Array[], rest: Uint8Array[]] {
  const first: Uint8Array[] = [];
  const rest: Uint8Array[] = [];
  for (const buffer of buffers) {
    const part = Math.min(bytes, buffer.length);
    if (part > 0) first.push(buffer.subarray(0, part));
    if (part < buffer.length) rest.push(buffer.subarray(part));
    bytes -= part;
  }
  return [first, rest];
}

/** A copy of all the bytes: what the guest changes later is not seen. */
function gathered(buffers: Buffers): DataView {
  const bytes = new Uint8Array(bytesOf(buffers));
  let at = 0;
  for (const buffer of buffers) {
    bytes.set(buffer, at);
    at += buffer.length;
  }
  return new DataView(bytes.buffer);
}

function scatter(bytes: Uint8Array, into: Buffers): void {
  let at = 0;
  for (const buffer of into) {
    buffer.set(bytes.subarray(at, at + buffer.length));
    at += buffer.length;
  }
}

/** 5.2.4: capacity in sectors, then the most segments of a request. */
function configOf(disk: Disk): Uint8Array {
  const config = new DataView(new ArrayBuffer(16));
  config.setBigUint64(0, BigInt(disk.bytes / SECTOR_BYTES), true);
  config.setUint32(12, QUEUE_SIZE - 2, true);
  return new Uint8Array(config.buffer);
}

export function virtioBlock(disk: Disk): VirtioDevice {
  const features = F_SEG_MAX | F_FLUSH | (disk.access === "read-only" ? F_RO : 0n);
  return {
    name: "virtio-block",
    id: ID,
    features,
    queueSizes: [QUEUE_SIZE],
    config: configOf(disk),
    async answer({ readable, writable }: Chain, _queue, accepted) {
      const writableBytes = bytesOf(writable);
      // Without room for the answer there is nothing to say.
      if (writableBytes === 0) return 0;
      const [data, status] = split(writable, writableBytes - 1);
      let answer: number = Answer.ioError;
      try {
        answer = await serve(disk, readable, data, accepted);
      } catch {
        // The host's disk failed: so does the guest's.
      }
      (status[0] as Uint8Array)[0] = answer;
      return writableBytes;
    },
    close: () => disk.close(),
  };
}

async function serve(disk: Disk, readable: Buffers, data: Buffers, accepted: bigint): Promise<number> {
  const [first, from] = split(readable, HEADER_BYTES);
  if (bytesOf(first) < HEADER_BYTES) return Answer.ioError;
  const header = gathered(first);
  const sector = header.getBigUint64(8, true);
  const fits = (buffers: Buffers): boolean => {
    const bytes = bytesOf(buffers);
    return bytes % SECTOR_BYTES === 0 && sector * BigInt(SECTOR_BYTES) + BigInt(bytes) <= BigInt(disk.bytes);
  };
  const at = (): number => Number(sector) * SECTOR_BYTES;
  switch (header.getUint32(0, true)) {
    case Type.in:
      if (!fits(data)) return Answer.ioError;
      await disk.read(at(), data);
      return Answer.ok;
    case Type.out:
      if (disk.access === "read-only" || !fits(from)) return Answer.ioError;
      await disk.write(at(), from);
      // A driver that cannot ask for it wants every write to last (5.2.6.2).
      if ((accepted & F_FLUSH) === 0n) await disk.flush();
      return Answer.ok;
    case Type.flush:
      await disk.flush();
      return Answer.ok;
    case Type.getId:
      scatter(new TextEncoder().encode(disk.name).subarray(0, NAME_BYTES), data);
      return Answer.ok;
    default:
      return Answer.unsupported;
  }
}
