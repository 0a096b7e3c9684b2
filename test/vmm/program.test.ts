import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { LoadError } from "../../lib/vmm/errors.js";
import { copyProgram, parseProgram } from "../../lib/vmm/program.js";
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
