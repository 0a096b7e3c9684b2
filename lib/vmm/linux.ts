// Where a kernel's companions go: the device tree and the initrd, behind the kernel.
// Documentation/arch/arm64/booting.rst, sections 2 and 4.
import { LoadError } from "./errors.js";
import type { Program } from "./program.js";
import type { RamRange } from "./ram.js";

/** A kernel maps the device tree by blocks of this size, and takes none that is larger. */
const TREE_ALIGNMENT = 0x20_0000n;
const INITRD_ALIGNMENT = 0x1_0000n;
/** Room for the device tree: it names a few devices and CPUs. */
const TREE_BYTES = 0x4_0000n;
const MIB = 1n << 20n;

export interface Companions {
  readonly treeAt: bigint;
  readonly initrd?: { readonly at: bigint; readonly bytes: number };
}

const alignUp = (at: bigint, alignment: bigint): bigint => (at + alignment - 1n) & -alignment;

/** LoadError: they do not fit; it says how much memory would do. */
export function placeCompanions(kernel: Program, ram: RamRange, initrdBytes: number | undefined): Companions {
  const kernelEnd = kernel.segments.reduce((end, { at, bytes }) => (at + bytes > end ? at + bytes : end), ram.at);
  const treeAt = alignUp(kernelEnd, TREE_ALIGNMENT);
  const initrdAt = alignUp(treeAt + TREE_BYTES, INITRD_ALIGNMENT);
  const end = initrdBytes === undefined ? treeAt + TREE_BYTES : initrdAt + BigInt(initrdBytes);
  if (end > ram.at + BigInt(ram.bytes)) {
    const what = initrdBytes === undefined ? "device tree does" : `initrd of ${mib(BigInt(initrdBytes))} MiB does`;
    throw new LoadError(
      `the ${what} not fit behind the kernel: the machine has ${mib(BigInt(ram.bytes))} MiB, give it ${mib(end - ram.at)} MiB or more`,
    );
  }
  return { treeAt, ...(initrdBytes !== undefined && { initrd: { at: initrdAt, bytes: initrdBytes } }) };
}

const mib = (bytes: bigint): bigint => (bytes + MIB - 1n) / MIB;
