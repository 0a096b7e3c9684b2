// The Image of a Linux arm64 kernel: Documentation/arch/arm64/booting.rst, section 4.
import { LoadError } from "./errors.js";
import { FLAT_OFFSET, type Program } from "./program.js";
import type { RamRange } from "./ram.js";

const HEADER_BYTES = 64;
const MAGIC = 0x644d5241; // "ARM\x64"
const PE_MAGIC = 0x4550; // "PE\0\0"

/** Bits 2:1 of the flags. */
const pageSizes = [undefined, 0x1000, 0x4000, 0x1_0000] as const;

const viewOf = (file: Uint8Array): DataView => new DataView(file.buffer, file.byteOffset, file.byteLength);

export const isImage = (file: Uint8Array): boolean =>
  file.length >= HEADER_BYTES && viewOf(file).getUint32(56, true) === MAGIC;

export function parseImage(file: Uint8Array, ram: RamRange): Program {
  const view = viewOf(file);
  const size = view.getBigUint64(16, true);
  const flags = view.getBigUint64(24, true);
  if (flags & 1n) throw new LoadError("the Linux Image is big-endian: build the kernel without CPU_BIG_ENDIAN");
  const wanted = bytesOfSections(view);
  if (wanted > file.length) {
    throw new LoadError(`the Linux Image is truncated: its sections end at byte ${wanted}, the file at ${file.length}`);
  }
  // Kernels before 3.17 leave image_size 0, and then text_offset is not to be trusted.
  const offset = size === 0n ? FLAT_OFFSET : view.getBigUint64(8, true);
  const at = ram.at + offset;
  const bytes = size > BigInt(file.length) ? size : BigInt(file.length);
  const pageBytes = pageSizes[Number((flags >> 1n) & 3n)];
  return {
    format: "Linux Image",
    entry: at,
    segments: [{ at, data: file, bytes }],
    ...(pageBytes !== undefined && { pageBytes }),
  };
}

/** How long the file must be, as far as it tells: an Image with an EFI stub is a PE program with a table of sections. */
function bytesOfSections(view: DataView): number {
  const pe = view.getUint32(60, true);
  if (pe === 0 || pe + 24 > view.byteLength || view.getUint32(pe, true) !== PE_MAGIC) return 0;
  const count = view.getUint16(pe + 6, true);
  const table = pe + 24 + view.getUint16(pe + 20, true);
  let end = 0;
  for (let i = 0; i < count; i++) {
    const section = table + 40 * i;
    if (section + 40 > view.byteLength) return section + 40;
    const [bytes, from] = [view.getUint32(section + 16, true), view.getUint32(section + 20, true)];
    if (bytes > 0) end = Math.max(end, from + bytes);
  }
  return end;
}
