// ELF64 executables for AArch64: System V ABI, and the ELF for the Arm 64-bit Architecture (IHI 0056).
import { LoadError } from "./errors.js";
import type { Program, Segment } from "./program.js";
import type { RamRange } from "./ram.js";
import { type GuestSymbol, SymbolTable } from "./symbols.js";

const MAGIC = 0x464c457f; // "\x7fELF"
const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const SECTION_HEADER_BYTES = 64;
const SYMBOL_BYTES = 24;
const EM_AARCH64 = 183;
const ET_EXEC = 2;
const ET_DYN = 3;
const PT_LOAD = 1;
const SHT_SYMTAB = 2;
const STT_NOTYPE = 0;
const STT_FUNC = 2;

/** Addresses from here on are a kernel's virtual ones: vmlinux has no others. It is linked to begin at a multiple of 2 MiB. */
const UPPER_HALF = 1n << 63n;
const KERNEL_ALIGNMENT = 0x20_0000n;

// e_machine of what people have by mistake.
const machines: Record<number, string> = { 3: "x86", 40: "32-bit ARM", 62: "x86-64", 243: "RISC-V" };
const types: Record<number, string> = { 1: "a relocatable object file", 3: "position-independent", 4: "a core dump" };

const hex = (value: bigint): string => `0x${value.toString(16)}`;
const viewOf = (file: Uint8Array): DataView => new DataView(file.buffer, file.byteOffset, file.byteLength);

export const isElf = (file: Uint8Array): boolean => file.length >= 4 && viewOf(file).getUint32(0, true) === MAGIC;

interface Table {
  readonly at: number;
  readonly bytes: number;
  readonly count: number;
}

interface Load {
  readonly virtualAddress: bigint;
  readonly physicalAddress: bigint;
  readonly data: Uint8Array;
  readonly bytes: bigint;
}

export function parseElf(file: Uint8Array, ram: RamRange): Program {
  const view = viewOf(file);
  checkHeader(file, view);
  const loads = parseLoads(file, view);
  const type = view.getUint16(16, true);
  const isKernel = loads.every(({ physicalAddress }) => physicalAddress >= UPPER_HALF);
  if (type !== ET_EXEC && !(type === ET_DYN && isKernel)) {
    throw new LoadError(
      `the ELF file is ${types[type] ?? `of type ${type}`}; link it as an executable for a fixed address`,
    );
  }
  // The kernel finds out by itself where it is.
  const [lowest] = loads.map(({ virtualAddress }) => virtualAddress).sort((a, b) => (a < b ? -1 : 1)) as [bigint];
  const place = ({ virtualAddress, physicalAddress }: Load): bigint =>
    isKernel ? ram.at + virtualAddress - (lowest & ~(KERNEL_ALIGNMENT - 1n)) : physicalAddress;
  const segments: Segment[] = [];
  let entry = view.getBigUint64(24, true);
  for (const load of loads) {
    const at = place(load);
    const overlapped = segments.find((s) => at < s.at + s.bytes && s.at < at + load.bytes);
    if (overlapped) {
      throw new LoadError(`segments of the ELF file overlap: at ${hex(overlapped.at)} and at ${hex(at)}`);
    }
    // The MMU is off at entry: an entry that is given as a virtual address means the physical one.
    const entryOffset = view.getBigUint64(24, true) - load.virtualAddress;
    if (entryOffset >= 0n && entryOffset < load.bytes) entry = at + entryOffset;
    segments.push({ at, data: load.data, bytes: load.bytes });
  }
  if (!segments.some((s) => entry >= s.at && entry < s.at + s.bytes)) {
    throw new LoadError(`the entry point ${hex(entry)} lies in no segment of the ELF file`);
  }
  return { format: "ELF", entry, segments, symbols: new SymbolTable(parseSymbols(file, view)) };
}

function checkHeader(file: Uint8Array, view: DataView): void {
  if (file.length < HEADER_BYTES) {
    throw new LoadError(`the ELF file is truncated: its header has ${HEADER_BYTES} bytes, the file ${file.length}`);
  }
  if (file[4] !== 2) throw new LoadError("the ELF file is of class ELF32; an arm64 guest is ELF64");
  if (file[5] !== 1) throw new LoadError("the ELF file is big-endian");
  const machine = view.getUint16(18, true);
  if (machine !== EM_AARCH64) {
    throw new LoadError(`the ELF file is for ${machines[machine] ?? `machine ${machine}`}, not for AArch64`);
  }
}

function parseLoads(file: Uint8Array, view: DataView): Load[] {
  const headers: Table = {
    at: Number(view.getBigUint64(32, true)),
    bytes: view.getUint16(54, true),
    count: view.getUint16(56, true),
  };
  if (headers.count > 0 && headers.bytes < PROGRAM_HEADER_BYTES) {
    throw new LoadError(`the ELF file says that a program header has ${headers.bytes} bytes; ELF64 has 56`);
  }
  if (headers.at + headers.bytes * headers.count > file.length) {
    throw new LoadError(`the ELF file is truncated: its program headers end beyond its ${file.length} bytes`);
  }
  const loads: Load[] = [];
  for (let i = 0; i < headers.count; i++) {
    const at = headers.at + i * headers.bytes;
    if (view.getUint32(at, true) !== PT_LOAD) continue;
    const word = (offset: number) => view.getBigUint64(at + offset, true);
    const [offset, virtualAddress, physicalAddress, fileBytes, bytes] = [
      word(8),
      word(16),
      word(24),
      word(32),
      word(40),
    ];
    if (bytes === 0n) continue;
    if (fileBytes > bytes) throw new LoadError(`segment ${i} of the ELF file is longer in the file than in memory`);
    if (offset + fileBytes > BigInt(file.length)) {
      throw new LoadError(
        `the ELF file is truncated: segment ${i} ends at byte ${offset + fileBytes}, the file at ${file.length}`,
      );
    }
    const data = file.subarray(Number(offset), Number(offset + fileBytes));
    loads.push({ virtualAddress, physicalAddress, data, bytes });
  }
  if (loads.length === 0) throw new LoadError("the ELF file has nothing to load (no PT_LOAD segment)");
  return loads;
}

/** Names are a help, not a need: a table that is not all there gives none. */
function parseSymbols(file: Uint8Array, view: DataView): GuestSymbol[] {
  const sections: Table = {
    at: Number(view.getBigUint64(40, true)),
    bytes: view.getUint16(58, true),
    count: view.getUint16(60, true),
  };
  if (sections.bytes < SECTION_HEADER_BYTES || sections.at + sections.bytes * sections.count > file.length) return [];
  const range = (index: number): { at: number; bytes: number } | undefined => {
    const header = sections.at + index * sections.bytes;
    const [at, bytes] = [Number(view.getBigUint64(header + 24, true)), Number(view.getBigUint64(header + 32, true))];
    return at + bytes <= file.length ? { at, bytes } : undefined;
  };
  for (let i = 0; i < sections.count; i++) {
    const header = sections.at + i * sections.bytes;
    const stringsIndex = view.getUint32(header + 40, true);
    if (view.getUint32(header + 4, true) !== SHT_SYMTAB || stringsIndex >= sections.count) continue;
    const [table, strings] = [range(i), range(stringsIndex)];
    if (table === undefined || strings === undefined) return [];
    return readSymbols(view, table, file.subarray(strings.at, strings.at + strings.bytes));
  }
  return [];
}

function readSymbols(view: DataView, table: { at: number; bytes: number }, strings: Uint8Array): GuestSymbol[] {
  const decoder = new TextDecoder("latin1");
  const symbols: GuestSymbol[] = [];
  for (let at = table.at; at + SYMBOL_BYTES <= table.at + table.bytes; at += SYMBOL_BYTES) {
    const nameAt = view.getUint32(at, true);
    const type = view.getUint8(at + 4) & 0xf;
    const name = decoder.decode(strings.subarray(nameAt, strings.indexOf(0, nameAt)));
    // $x and $d mark code and data (IHI 0056): they name no place.
    if (type > STT_FUNC || name === "" || (type === STT_NOTYPE && name.startsWith("$"))) continue;
    symbols.push({ name, at: view.getBigUint64(at + 8, true), bytes: view.getBigUint64(at + 16, true) });
  }
  return symbols;
}
