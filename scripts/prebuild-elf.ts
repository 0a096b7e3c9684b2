// What the release gate asks of an ELF file: the machine, the libraries and symbol versions that it needs, the symbols
// that it leaves to others. Sections as gABI chapter 4 lays them out, 64 bits, little-endian.

export interface Elf {
  readonly machine: number;
  readonly needed: readonly string[];
  /** Symbol versions asked of libraries: "GLIBC_2.17". */
  readonly versions: readonly string[];
  /** Strong symbols that others must define, and names of those that this file defines for others. */
  readonly undefined: readonly string[];
  readonly exported: readonly string[];
}

/** e_machine of AArch64. */
export const EM_AARCH64 = 0xb7;

const sectionType = { DYNAMIC: 6, DYNSYM: 11, VERNEED: 0x6ffffffe } as const;
const DT_NEEDED = 1n;
const SHN_UNDEF = 0;
const STB_GLOBAL = 1;

interface Section {
  readonly type: number;
  readonly link: number;
  readonly entries: number;
  readonly bytes: Buffer;
}

/** Throws a RangeError or an Error when the file is no such ELF file. */
export function readElf(file: Buffer): Elf {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46) throw new Error("not an ELF file");
  if (file[4] !== 2 || file[5] !== 1) throw new Error("not a 64-bit little-endian ELF file");
  const sections = readSections(file);
  const of = (type: number) => sections.filter((section) => section.type === type);
  const textAt = (section: Section, at: number): string => {
    const strings = sections[section.link]!.bytes;
    return strings.toString("latin1", at, strings.indexOf(0, at));
  };
  const needed: string[] = [];
  for (const dynamic of of(sectionType.DYNAMIC)) {
    for (let at = 0; at < dynamic.bytes.length; at += 16) {
      if (dynamic.bytes.readBigInt64LE(at) === DT_NEEDED) {
        needed.push(textAt(dynamic, Number(dynamic.bytes.readBigUInt64LE(at + 8))));
      }
    }
  }
  const versions = of(sectionType.VERNEED).flatMap((section) => readVersions(section, (at) => textAt(section, at)));
  const symbols = of(sectionType.DYNSYM).flatMap((section) =>
    Array.from({ length: section.bytes.length / 24 }, (_, i) => ({
      name: textAt(section, section.bytes.readUInt32LE(24 * i)),
      binding: section.bytes.readUInt8(24 * i + 4) >> 4,
      section: section.bytes.readUInt16LE(24 * i + 6),
    })).filter(({ binding, name }) => binding === STB_GLOBAL && name !== ""),
  );
  return {
    machine: file.readUInt16LE(18),
    needed,
    versions,
    undefined: symbols.filter(({ section }) => section === SHN_UNDEF).map(({ name }) => name),
    exported: symbols.filter(({ section }) => section !== SHN_UNDEF).map(({ name }) => name),
  };
}

function readSections(file: Buffer): Section[] {
  const table = Number(file.readBigUInt64LE(0x28));
  const entryBytes = file.readUInt16LE(0x3a);
  return Array.from({ length: file.readUInt16LE(0x3c) }, (_, i) => {
    const at = table + i * entryBytes;
    const offset = Number(file.readBigUInt64LE(at + 24));
    return {
      type: file.readUInt32LE(at + 4),
      link: file.readUInt32LE(at + 40),
      entries: file.readUInt32LE(at + 44),
      bytes: file.subarray(offset, offset + Number(file.readBigUInt64LE(at + 32))),
    };
  });
}

/** The Verneed records, one for each library, each with a chain of Vernaux. */
function readVersions(section: Section, textAt: (at: number) => string): string[] {
  const versions: string[] = [];
  let need = 0;
  for (let i = 0; i < section.entries; i++) {
    const count = section.bytes.readUInt16LE(need + 2);
    let aux = need + section.bytes.readUInt32LE(need + 8);
    for (let j = 0; j < count; j++) {
      versions.push(textAt(section.bytes.readUInt32LE(aux + 8)));
      aux += section.bytes.readUInt32LE(aux + 12);
    }
    need += section.bytes.readUInt32LE(need + 12);
  }
  return versions;
}
