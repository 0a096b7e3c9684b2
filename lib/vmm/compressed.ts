// Kernels are shipped compressed: as gzip files (Image.gz), or as EFI programs that hold one ("zboot").
import { constants, gunzipSync } from "node:zlib";
import { LoadError } from "./errors.js";

const ZBOOT_HEADER_BYTES = 64;

const isGzip = (file: Uint8Array): boolean => file.length > 2 && file[0] === 0x1f && file[1] === 0x8b;

/** "MZ", then "zimg" at offset 4: include/linux/efi.h calls it a zboot image. */
const isZboot = (file: Uint8Array): boolean =>
  file.length >= ZBOOT_HEADER_BYTES && latin1(file, 0, 2) === "MZ" && latin1(file, 4, 8) === "zimg";

const latin1 = (file: Uint8Array, from: number, to: number): string =>
  String.fromCharCode(...file.subarray(from, to)).replace(/\0.*$/s, "");

/** The file itself, or what is compressed in it, which may not be larger than the memory that it is for. */
export function uncompressed(file: Uint8Array, mostBytes: number): Uint8Array {
  if (isZboot(file)) return gunzipped(zbootPayload(file), mostBytes);
  return isGzip(file) ? gunzipped(file, mostBytes) : file;
}

function zbootPayload(file: Uint8Array): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const [from, bytes] = [view.getUint32(8, true), view.getUint32(12, true)];
  const method = latin1(file, 24, 56);
  if (method !== "gzip") {
    throw new LoadError(`the kernel is compressed by ${method} in an EFI program: unpack it, or build it with gzip`);
  }
  if (from + bytes > file.length) {
    throw new LoadError(`the EFI kernel is truncated: its payload ends at byte ${from + bytes}, it at ${file.length}`);
  }
  return file.subarray(from, from + bytes);
}

function gunzipped(file: Uint8Array, mostBytes: number): Uint8Array {
  try {
    return gunzipSync(file, { maxOutputLength: mostBytes, finishFlush: constants.Z_FINISH });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ERR_BUFFER_TOO_LARGE") {
      throw new LoadError(`the compressed file has more than the ${mostBytes} bytes of the machine's RAM in it`);
    }
    throw new LoadError(
      code === "Z_BUF_ERROR"
        ? "the compressed file is truncated"
        : `the compressed file cannot be unpacked: ${message}`,
    );
  }
}
