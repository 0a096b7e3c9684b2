import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { LoadError } from "../../lib/vmm/errors.js";
import { placeCompanions } from "../../lib/vmm/linux.js";
import { copyProgram, type Program, parseProgram } from "../../lib/vmm/program.js";
import { fileName, guestFile, guests } from "../guests/guests.js";

const ram = { at: 0x4000_0000n, bytes: 1 << 20 };

interface Segment {
  type?: number;
  offset?: bigint;
  virtualAddress?: bigint;
  address: bigint;
  fileBytes: bigint;
  bytes: bigint;
}

/** An ELF file of these segments, with 256 bytes behind the headers. */
function elf(segments: Segment[], header: { entry?: bigint; machine?: number; type?: number } = {}): Uint8Array {
  const dataAt = 64 + 56 * segments.length;
  const file = new Uint8Array(dataAt + 256).fill(0xaa);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]);
  view.setUint16(16, header.type ?? 2, true);
  view.setUint16(18, header.machine ?? 183, true);
  view.setBigUint64(24, header.entry ?? segments[0]?.address ?? 0n, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, segments.length, true);
  for (const [i, s] of segments.entries()) {
    const at = 64 + 56 * i;
    view.setUint32(at, s.type ?? 1, true);
    view.setBigUint64(at + 8, s.offset ?? BigInt(dataAt), true);
    view.setBigUint64(at + 16, s.virtualAddress ?? s.address, true);
    view.setBigUint64(at + 24, s.address, true);
    view.setBigUint64(at + 32, s.fileBytes, true);
    view.setBigUint64(at + 40, s.bytes, true);
  }
  return file;
}

/** The file with a function of 8 bytes, a label without a size, a mark of code ($x), and a file name. */
function withSymbols(file: Uint8Array): Uint8Array {
  const names = Buffer.from("\0main\0label\0$x\0a.c\0");
  const rows = [
    [1, 2, 0x4000_1010n, 8n],
    [6, 0, 0x4000_1020n, 0n],
    [12, 0, 0x4000_1010n, 0n],
    [15, 4, 0n, 0n],
  ] as const;
  const [stringsAt, symbolsAt] = [file.length, file.length + 64];
  const headersAt = symbolsAt + 24 * rows.length;
  const whole = new Uint8Array(headersAt + 2 * 64);
  whole.set(file);
  whole.set(names, stringsAt);
  const view = new DataView(whole.buffer);
  for (const [i, [name, type, at, bytes]] of rows.entries()) {
    view.setUint32(symbolsAt + 24 * i, name, true);
    view.setUint8(symbolsAt + 24 * i + 4, type);
    view.setBigUint64(symbolsAt + 24 * i + 8, at, true);
    view.setBigUint64(symbolsAt + 24 * i + 16, bytes, true);
  }
  const section = (n: number, type: number, at: number, bytes: number, link: number): void => {
    view.setUint32(headersAt + 64 * n + 4, type, true);
    view.setBigUint64(headersAt + 64 * n + 24, BigInt(at), true);
    view.setBigUint64(headersAt + 64 * n + 32, BigInt(bytes), true);
    view.setUint32(headersAt + 64 * n + 40, link, true);
  };
  section(0, 2, symbolsAt, 24 * rows.length, 1);
  section(1, 3, stringsAt, names.length, 0);
  view.setBigUint64(40, BigInt(headersAt), true);
  view.setUint16(58, 64, true);
  view.setUint16(60, 2, true);
  return whole;
}

const plain: Segment = { address: 0x4000_1000n, fileBytes: 256n, bytes: 512n };

function refused(file: Uint8Array, message: RegExp): void {
  assert.throws(() => parseProgram(file, ram), { name: "LoadError", message });
}

describe("parseProgram", () => {
  it("gives an ELF file's segments and entry", () => {
    const program = parseProgram(elf([plain], { entry: 0x4000_1010n }), ram);

    assert.equal(program.format, "ELF");
    assert.equal(program.entry, 0x4000_1010n);
    assert.deepEqual(program.segments, [{ at: 0x4000_1000n, data: new Uint8Array(256).fill(0xaa), bytes: 512n }]);
  });

  it("loads an ELF file at its physical addresses and starts it there when the entry is virtual", () => {
    const high = { ...plain, virtualAddress: 0xffff_8000_0000_0000n };

    const program = parseProgram(elf([high], { entry: 0xffff_8000_0000_0020n }), ram);

    assert.equal(program.entry, 0x4000_1020n);
  });

  it("ignores segments that are not to be loaded", () => {
    const note = { ...plain, type: 4, address: 0n };

    assert.equal(parseProgram(elf([plain, note]), ram).segments.length, 1);
  });

  it("loads a kernel whose addresses are all virtual ones at the start of RAM", () => {
    const kernel = { ...plain, address: 0xffff_8000_8001_0000n, virtualAddress: 0xffff_8000_8001_0000n };
    const file = elf([kernel], { entry: 0xffff_8000_8001_0040n, type: 3 });

    const { entry, segments } = parseProgram(file, ram);

    assert.deepEqual([entry, segments[0]?.at], [0x4001_0040n, 0x4001_0000n]);
  });

  it("knows the names of an ELF file's addresses", () => {
    const { symbols } = parseProgram(withSymbols(elf([plain])), ram);

    assert.equal(symbols?.size, 2);
    assert.equal(symbols?.find("main"), 0x4000_1010n);
    const names = [0x4000_0fffn, 0x4000_1010n, 0x4000_1014n, 0x4000_1018n, 0x4000_1020n, 0x4000_1120n];
    assert.deepEqual(
      names.map((at) => symbols?.nameOf(at)),
      [undefined, "main", "main+0x4", undefined, "label", "label+0x100"],
    );
  });

  it("does without names when their table is not all there", () => {
    const bare = elf([plain]);
    const file = withSymbols(bare);

    for (let bytes = file.length - 1; bytes >= bare.length; bytes--) {
      assert.equal(parseProgram(file.subarray(0, bytes), ram).symbols?.size ?? 0, 0);
    }
  });

  it("unpacks gzip, and an EFI kernel that holds it", () => {
    const packed = gzipSync(elf([plain]));
    const zboot = new Uint8Array(64 + packed.length);
    zboot.set(Buffer.from("MZ\0\0zimg"));
    new DataView(zboot.buffer).setUint32(8, 64, true);
    new DataView(zboot.buffer).setUint32(12, packed.length, true);
    zboot.set(Buffer.from("gzip"), 24);
    zboot.set(packed, 64);

    assert.equal(parseProgram(packed, ram).format, "ELF");
    assert.equal(parseProgram(zboot, ram).format, "ELF");
    refused(packed.subarray(0, -20), /the compressed file is truncated/);
    refused(gzipSync(new Uint8Array(2 << 20)), /more than the 1048576 bytes of the machine's RAM/);
    refused(zboot.subarray(0, -20), /the EFI kernel is truncated/);
    refused(Uint8Array.from(zboot).fill(0x78, 24, 28), /compressed by xxxx in an EFI program/);
  });

  it("knows the pages of a Linux Image, and refuses one that is big-endian or truncated", () => {
    const image = (flags: bigint): Uint8Array => {
      const file = new Uint8Array(256);
      const view = new DataView(file.buffer);
      view.setBigUint64(16, 0x2000n, true);
      view.setBigUint64(24, flags, true);
      view.setUint32(56, 0x644d_5241, true);
      // A PE program of one section, 16 bytes at 240.
      view.setUint32(60, 64, true);
      view.setUint32(64, 0x4550, true);
      view.setUint16(70, 1, true);
      view.setUint32(88 + 16, 16, true);
      view.setUint32(88 + 20, 240, true);
      return file;
    };

    assert.deepEqual(
      [0n, 2n, 4n, 6n].map((flags) => parseProgram(image(flags), ram).pageBytes),
      [undefined, 4096, 16384, 65536],
    );
    refused(image(1n), /big-endian/);
    refused(image(2n).subarray(0, 250), /the Linux Image is truncated: its sections end at byte 256, the file at 250/);
  });

  it("puts a Linux Image at its text_offset, with the size that its header says", () => {
    const file = new Uint8Array(128);
    const view = new DataView(file.buffer);
    view.setBigUint64(8, 0x1_0000n, true);
    view.setBigUint64(16, 0x2000n, true);
    view.setUint32(56, 0x644d_5241, true);

    const { format, entry, segments } = parseProgram(file, ram);

    assert.deepEqual(
      [format, entry, segments[0]?.at, segments[0]?.bytes],
      ["Linux Image", 0x4001_0000n, 0x4001_0000n, 0x2000n],
    );
  });

  it("puts a Linux Image without a size, and a flat binary, 512 KiB into RAM", () => {
    const image = new Uint8Array(128);
    new DataView(image.buffer).setUint32(56, 0x644d_5241, true);

    assert.equal(parseProgram(image, ram).entry, 0x4008_0000n);
    assert.equal(parseProgram(Uint8Array.of(1, 2, 3, 4), ram).entry, 0x4008_0000n);
    assert.equal(parseProgram(Uint8Array.of(1), ram).format, "flat binary");
  });

  it("says what is wrong with a file that can not be loaded", () => {
    refused(new Uint8Array(0), /the file is empty/);
    refused(elf([plain]).subarray(0, 40), /truncated: its header has 64 bytes, the file 40/);
    refused(elf([plain]).subarray(0, 100), /truncated: its program headers end beyond/);
    refused(elf([plain]).subarray(0, 200), /truncated: segment 0 ends at byte 376, the file at 200/);
    refused(elf([plain], { machine: 62 }), /for x86-64, not for AArch64/);
    refused(elf([plain], { machine: 8 }), /for machine 8/);
    refused(elf([plain], { type: 3 }), /position-independent/);
    refused(elf([plain], { entry: 0x5000_0000n }), /entry point 0x50000000 lies in no segment/);
    refused(elf([]), /nothing to load/);
    refused(elf([plain, { ...plain, address: 0x4000_1100n }]), /overlap: at 0x40001000 and at 0x40001100/);
    refused(elf([{ ...plain, fileBytes: 256n, bytes: 16n }]), /longer in the file than in memory/);
    refused(elf([plain]).fill(1, 4, 5), /class ELF32/);
    refused(elf([plain]).fill(2, 5, 6), /big-endian/);
    refused(Uint8Array.of(0x1f, 0x8b, 8, 0), /the compressed file is truncated/);
    refused(Uint8Array.of(0x1f, 0x8b, 9, 0, 0, 0, 0, 0, 0, 3), /cannot be unpacked/);
    refused(Uint8Array.of(0x4d, 0x5a, 0, 0), /PE program/);
  });

  it("says where RAM lies when a program does not fit into it", () => {
    refused(elf([{ ...plain, bytes: 2n << 20n }]), /at 0x40001000–0x40201000, RAM is at 0x40000000–0x40100000/);
    refused(elf([{ ...plain, address: 0x3fff_ff00n }]), /RAM is at 0x40000000/);
    refused(new Uint8Array(600 * 1024), /RAM is at 0x40000000–0x40100000/);
  });

  it("gives a program or a LoadError, whatever bytes of a real file are changed", () => {
    const original = readFileSync(guestFile(guests[0]!)).subarray(0, 4096);
    const change = fc.tuple(fc.nat(127), fc.integer({ min: 0, max: 255 }));

    fc.assert(
      fc.property(fc.array(change, { maxLength: 6 }), fc.integer({ min: 0, max: 4096 }), (changes, length) => {
        const file = Uint8Array.from(original.subarray(0, length));
        for (const [at, byte] of changes) if (at < length) file[at] = byte;
        try {
          const program = parseProgram(file, ram);
          copyProgram(program, { at: ram.at, bytes: new Uint8Array(ram.bytes) });
        } catch (error) {
          assert.ok(error instanceof LoadError, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });

  for (const guest of guests) {
    it(`takes ${fileName(guest)}`, () => {
      // What test/guests/README.md promises them.
      const { format, entry } = parseProgram(readFileSync(guestFile(guest)), { ...ram, bytes: 2 << 20 });

      assert.equal(format, { elf: "ELF", flat: "flat binary", image: "Linux Image" }[guest.format]);
      assert.equal(entry, 0x4008_0000n);
    });
  }
});

describe("copyProgram", () => {
  it("fills what a segment has in memory but not in the file with zeros", () => {
    const memory = new Uint8Array(ram.bytes).fill(0xff);

    copyProgram(parseProgram(elf([plain]), ram), { at: ram.at, bytes: memory });

    assert.deepEqual([memory[0xfff], memory[0x1000], memory[0x10ff], memory[0x1100]], [0xff, 0xaa, 0xaa, 0]);
    assert.deepEqual([memory[0x11ff], memory[0x1200]], [0, 0xff]);
  });
});

describe("placeCompanions", () => {
  const kernel = (bytes: bigint): Program => ({
    format: "Linux Image",
    entry: ram.at,
    segments: [{ at: ram.at, data: new Uint8Array(0), bytes }],
  });
  const range = { at: ram.at, bytes: 64 << 20 };

  it("puts device tree and initrd behind the kernel, aligned as kernels want it", () => {
    const { treeAt, initrd } = placeCompanions(kernel(0x12_3456n), range, 1000);

    assert.deepEqual([treeAt, initrd], [0x4020_0000n, { at: 0x4024_0000n, bytes: 1000 }]);
  });

  it("says how much memory would do when they do not fit", () => {
    const does = (kernelBytes: bigint, initrdBytes: number | undefined) => () =>
      placeCompanions(kernel(kernelBytes), range, initrdBytes);

    assert.throws(does(32n << 20n, 40 << 20), {
      name: "LoadError",
      message: "the initrd of 40 MiB does not fit behind the kernel: the machine has 64 MiB, give it 73 MiB or more",
    });
    assert.throws(
      does(64n << 20n, undefined),
      /the device tree does not fit behind the kernel.*give it 65 MiB or more/,
    );
    assert.equal(does(32n << 20n, 31 << 20)().initrd?.bytes, 31 << 20);
  });
});
