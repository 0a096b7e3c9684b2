// What a guest program looks like in a file, and where it goes in memory. Three formats: ELF (AArch64, executable), the
// Image of a Linux arm64 kernel (Documentation/arch/arm64/booting.rst), and a flat binary.

/** The file is no program that can be loaded; the message says why. */
export class LoadError extends Error {
  override readonly name = "LoadError";
}

/** Where the guest's RAM lies. */
export interface RamRange {
  readonly at: bigint;
  readonly bytes: number;
}

/** Bytes of the file that go to a guest address, with zeros behind them up to `bytes`. */
export interface Segment {
  readonly at: bigint;
  readonly data: Uint8Array;
  readonly bytes: bigint;
}

export interface Program {
  readonly format: "ELF" | "Linux Image" | "flat binary";
  /** Where the first instruction lies. */
  readonly entry: bigint;
  readonly segments: readonly Segment[];
}

/** Where a flat binary goes, from the start of RAM: as a Linux Image without a size, and as QEMU does. */
export const FLAT_OFFSET = 0x80000n;

const ELF_MAGIC = 0x464c457f; // "\x7fELF"
const IMAGE_MAGIC = 0x644d5241; // "ARM\x64"
const EM_AARCH64 = 183;
const ET_EXEC = 2;
const PT_LOAD = 1;

// e_machine of what people have by mistake.
const machines: Record<number, string> = { 3: "x86", 40: "32-bit ARM", 62: "x86-64", 243: "RISC-V" };
const types: Record<number, string> = { 1: "a relocatable object file", 3: "position-independent", 4: "a core dump" };

const hex = (value: bigint): string => `0x${value.toString(16)}`;

/** Reads a program and checks that it fits into `ram`. LoadError says what is wrong with it. */
export function parseProgram(file: Uint8Array, ram: RamRange): Program {
  if (file.length === 0) throw new LoadError("the file is empty");
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const program = parse(file, view, ram);
  const end = ram.at + BigInt(ram.bytes);
  for (const { at, bytes } of program.segments) {
    if (at < ram.at || at + bytes > end) {
      throw new LoadError(
        `the program needs memory at ${hex(at)}–${hex(at + bytes)}, RAM is at ${hex(ram.at)}–${hex(end)}`,
      );
    }
  }
  return program;
}

/** Puts a program into the RAM that it was parsed for. The bytes behind each segment's data become 0. */
export function copyProgram(program: Program, ram: { readonly at: bigint; readonly bytes: Uint8Array }): void {
  for (const { at, data, bytes } of program.segments) {
    const start = Number(at - ram.at);
    ram.bytes.set(data, start);
    ram.bytes.fill(0, start + data.length, start + Number(bytes));
  }
}

function parse(file: Uint8Array, view: DataView, ram: RamRange): Program {
  const magic = file.length >= 4 ? view.getUint32(0, true) : 0;
  if (magic === ELF_MAGIC) return parseElf(file, view);
  if (file.length >= 64 && view.getUint32(56, true) === IMAGE_MAGIC) return parseImage(file, view, ram);
  if ((magic & 0xffff) === 0x8b1f) throw new LoadError("the file is compressed by gzip: unpack it first");
  if ((magic & 0xffff) === 0x5a4d) {
    throw new LoadError(
      "the file is a PE program without the header of an arm64 Linux Image (a zboot kernel: unpack it)",
    );
  }
  return flat(file, ram);
}

function flat(file: Uint8Array, ram: RamRange): Program {
  const at = ram.at + FLAT_OFFSET;
  return { format: "flat binary", entry: at, segments: [{ at, data: file, bytes: BigInt(file.length) }] };
}

function parseImage(file: Uint8Array, view: DataView, ram: RamRange): Program {
  const size = view.getBigUint64(16, true);
  const flags = view.getBigUint64(24, true);
  if (flags & 1n) throw new LoadError("the Linux Image is big-endian");
  // Kernels before 3.17 leave image_size 0, and then text_offset is not to be trusted.
  const offset = size === 0n ? FLAT_OFFSET : view.getBigUint64(8, true);
  const at = ram.at + offset;
  const bytes = size > BigInt(file.length) ? size : BigInt(file.length);
  return { format: "Linux Image", entry: at, segments: [{ at, data: file, bytes }] };
}

function parseElf(file: Uint8Array, view: DataView): Program {
  if (file.length < 64)
    throw new LoadError(`the ELF file is truncated: its header has 64 bytes, the file ${file.length}`);
  if (file[4] !== 2) throw new LoadError("the ELF file is of class ELF32; an arm64 guest is ELF64");
  if (file[5] !== 1) throw new LoadError("the ELF file is big-endian");
  const machine = view.getUint16(18, true);
  if (machine !== EM_AARCH64) {
    throw new LoadError(`the ELF file is for ${machines[machine] ?? `machine ${machine}`}, not for AArch64`);
  }
  const type = view.getUint16(16, true);
  if (type !== ET_EXEC) {
    throw new LoadError(
      `the ELF file is ${types[type] ?? `of type ${type}`}; link it as an executable for a fixed address`,
    );
  }
  const headers = {
    at: Number(view.getBigUint64(32, true)),
    bytes: view.getUint16(54, true),
    count: view.getUint16(56, true),
  };
  if (headers.count > 0 && headers.bytes < 56) {
    throw new LoadError(`the ELF file says that a program header has ${headers.bytes} bytes; ELF64 has 56`);
  }
  if (headers.at + headers.bytes * headers.count > file.length) {
    throw new LoadError(`the ELF file is truncated: its program headers end beyond its ${file.length} bytes`);
  }
  const segments: Segment[] = [];
  let entry = view.getBigUint64(24, true);
  for (let i = 0; i < headers.count; i++) {
    const at = headers.at + i * headers.bytes;
    if (view.getUint32(at, true) !== PT_LOAD) continue;
    const word = (offset: number) => view.getBigUint64(at + offset, true);
    const [offset, virtualAddress, address, fileBytes, bytes] = [word(8), word(16), word(24), word(32), word(40)];
    if (bytes === 0n) continue;
    if (fileBytes > bytes) throw new LoadError(`segment ${i} of the ELF file is longer in the file than in memory`);
    if (offset + fileBytes > BigInt(file.length)) {
      throw new LoadError(
        `the ELF file is truncated: segment ${i} ends at byte ${offset + fileBytes}, the file at ${file.length}`,
      );
    }
    const overlapped = segments.find((s) => address < s.at + s.bytes && s.at < address + bytes);
    if (overlapped) {
      throw new LoadError(`segments of the ELF file overlap: at ${hex(overlapped.at)} and at ${hex(address)}`);
    }
    // The MMU is off at entry: an entry that is given as a virtual address means the physical one.
    const entryOffset = view.getBigUint64(24, true) - virtualAddress;
    if (entryOffset >= 0n && entryOffset < bytes) entry = address + entryOffset;
    segments.push({ at: address, data: file.subarray(Number(offset), Number(offset + fileBytes)), bytes });
  }
  if (segments.length === 0) throw new LoadError("the ELF file has nothing to load (no PT_LOAD segment)");
  if (!segments.some((s) => entry >= s.at && entry < s.at + s.bytes)) {
    throw new LoadError(`the entry point ${hex(entry)} lies in no segment of the ELF file`);
  }
  return { format: "ELF", entry, segments };
}
