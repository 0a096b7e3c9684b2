// What is behind a block device. Here: a raw file. Another kind is another function that gives a `Disk`.
import { closeSync, fdatasync, fstatSync, openSync, readSync, readv, writev } from "node:fs";
import { basename } from "node:path";
import { promisify } from "node:util";
import { MachineError } from "./errors.js";

const SECTOR_BYTES = 512;
const QCOW_MAGIC = "QFI\xfb";

export interface Disk {
  /** What the guest can read of its name: up to 20 letters. */
  readonly name: string;
  /** A multiple of 512. */
  readonly bytes: number;
  readonly access: "read-only" | "read-write";
  /** Fills all of `into` from byte `at` on. */
  read(at: number, into: readonly Uint8Array[]): Promise<void>;
  write(at: number, from: readonly Uint8Array[]): Promise<void>;
  /** Resolves when all writes that have resolved will outlast a crash of the host. */
  flush(): Promise<void>;
  close(): void;
}

export interface DiskOptions {
  readonly file: string;
  /** The file is opened for reading alone, and the guest knows. Default: "read-write". */
  readonly access?: "read-only" | "read-write";
}

const vectored = { readv: promisify(readv), writev: promisify(writev), flush: promisify(fdatasync) };

/** A raw image, or a block device. MachineError: what is wrong with the file. */
export function openDisk({ file, access = "read-write" }: DiskOptions): Disk {
  const fd = open(file, access);
  let bytes: number;
  try {
    bytes = checkedBytes(fd, file);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  let closed = false;
  let underWay = 0;
  const closeIfIdle = (): void => {
    if (closed && underWay === 0) closeSync(fd);
  };
  /** The number of a closed descriptor may be another file's: it is kept open while an operation has it. */
  const using = async <T>(operation: () => Promise<T>): Promise<T> => {
    if (closed) throw new MachineError(`disk ${file} is closed`);
    underWay++;
    try {
      return await operation();
    } finally {
      underWay--;
      closeIfIdle();
    }
  };
  return {
    name: basename(file),
    bytes,
    access,
    read: (at, into) =>
      using(() => transfer(at, into, async (buffers, from) => (await vectored.readv(fd, buffers, from)).bytesRead)),
    write: (at, from) =>
      using(() => transfer(at, from, async (buffers, to) => (await vectored.writev(fd, buffers, to)).bytesWritten)),
    flush: () => using(() => vectored.flush(fd)),
    close() {
      if (closed) return;
      closed = true;
      closeIfIdle();
    },
  };
}

function open(file: string, access: DiskOptions["access"]): number {
  try {
    return openSync(file, access === "read-only" ? "r" : "r+");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const hint = code === "EACCES" || code === "EROFS" ? "; read-only might do" : "";
    throw new MachineError(`disk ${file} cannot be opened: ${message}${hint}`);
  }
}

function checkedBytes(fd: number, file: string): number {
  const stat = fstatSync(fd);
  if (!stat.isFile() && !stat.isBlockDevice()) throw new MachineError(`disk ${file} is no regular file`);
  const magic = Buffer.alloc(4);
  readSync(fd, magic, 0, 4, 0);
  if (magic.toString("latin1") === QCOW_MAGIC) {
    throw new MachineError(`disk ${file} is a qcow2 image: make it raw with qemu-img convert -O raw`);
  }
  const bytes = stat.isFile() ? stat.size : endOf(fd);
  if (bytes === 0 || bytes % SECTOR_BYTES !== 0) {
    throw new MachineError(
      `disk ${file} has ${bytes} bytes: a raw image has a multiple of ${SECTOR_BYTES}, and more than none`,
    );
  }
  return bytes;
}

/** The size of a block device, which stat(2) does not tell: the last sector that can be read. */
function endOf(fd: number): number {
  const sector = Buffer.alloc(SECTOR_BYTES);
  const isThere = (n: number): boolean => readSync(fd, sector, 0, SECTOR_BYTES, n * SECTOR_BYTES) === SECTOR_BYTES;
  let [low, high] = [0, 2 ** 43];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (isThere(middle)) low = middle + 1;
    else high = middle;
  }
  return low * SECTOR_BYTES;
}

/** readv(2) and writev(2) may do less than they are asked. */
async function transfer(
  at: number,
  buffers: readonly Uint8Array[],
  step: (buffers: Uint8Array[], at: number) => Promise<number>,
): Promise<void> {
  let rest = buffers.filter(({ length }) => length > 0);
  while (rest.length > 0) {
    const done = await step(rest, at);
    if (done === 0) throw new MachineError("the disk's file has become shorter");
    at += done;
    rest = behind(rest, done);
  }
}

/** What is left of buffers when their first bytes are dealt with. */
function behind(buffers: readonly Uint8Array[], bytes: number): Uint8Array[] {
  return buffers.flatMap((buffer) => {
    const dealt = Math.min(bytes, buffer.length);
    bytes -= dealt;
    return dealt < buffer.length ? [buffer.subarray(dealt)] : [];
  });
}
