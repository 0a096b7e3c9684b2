// What a guest program looks like in a file, and where it goes in memory: ELF (AArch64), the Image of a Linux arm64 kernel,
// either of them compressed, and a flat binary.
import { uncompressed } from "./compressed.js";
import { isElf, parseElf } from "./elf.js";
import { LoadError } from "./errors.js";
import { isImage, parseImage } from "./linux-image.js";
import type { RamRange } from "./ram.js";
import type { SymbolTable } from "./symbols.js";

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
  /** Names of its addresses, where the file has them. */
  readonly symbols?: SymbolTable;
  /** What the pages of a Linux Image are, where its header says so. */
  readonly pageBytes?: number;
}

/** Where a flat binary goes, from the start of RAM: as a Linux Image without a size, and as QEMU does. */
export const FLAT_OFFSET = 0x80000n;

const hex = (value: bigint): string => `0x${value.toString(16)}`;

const mib = (bytes: bigint): bigint => (bytes + 0xf_ffffn) >> 20n;

/** Reads a program and checks that it fits into `ram`. LoadError says what is wrong with it. */
export function parseProgram(file: Uint8Array, ram: RamRange): Program {
  if (file.length === 0) throw new LoadError("the file is empty");
  const program = parse(uncompressed(file, ram.bytes), ram);
  const end = ram.at + BigInt(ram.bytes);
  for (const { at, bytes } of program.segments) {
    if (at < ram.at || at + bytes > end) {
      const needs = `the program needs memory at ${hex(at)}–${hex(at + bytes)}, RAM is at ${hex(ram.at)}–${hex(end)}`;
      throw new LoadError(at < ram.at ? needs : `${needs}: ${mib(at + bytes - ram.at)} MiB would do`);
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

function parse(file: Uint8Array, ram: RamRange): Program {
  if (isElf(file)) return parseElf(file, ram);
  if (isImage(file)) return parseImage(file, ram);
  if (file[0] === 0x4d && file[1] === 0x5a) {
    throw new LoadError(
      "the file is a PE program without the header of an arm64 Linux Image: a kernel of another CPU?",
    );
  }
  const at = ram.at + FLAT_OFFSET;
  return { format: "flat binary", entry: at, segments: [{ at, data: file, bytes: BigInt(file.length) }] };
}
