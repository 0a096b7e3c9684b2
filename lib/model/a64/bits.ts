// The notation of an encoding row. Left to right, most significant bit first:
//   0 1      fixed bits               rd:5     a five-bit field named rd
//   .        a bit nobody looks at    imm:s9   a signed nine-bit field
//   sf       a one-bit field
// The fields that a row names are the parameters of its meaning; a name that the row has not got does not compile.

type Words<Bits extends string> = Bits extends `${infer Word} ${infer Rest}` ? Word | Words<Rest> : Bits;

type NameOf<Word extends string> = Word extends ""
  ? never
  : Word extends `${infer Name}:${string}`
    ? Name
    : Word extends `${"0" | "1" | "."}${string}`
      ? never
      : Word;

/** The fields that an encoding row names. */
export type Fields<Bits extends string> = { readonly [Name in NameOf<Words<Bits>>]: number };

/** One named field of an encoding. */
export interface Field {
  readonly name: string;
  readonly lsb: number;
  readonly bits: number;
  readonly signed: boolean;
}

/** A row's encoding: `word & mask === value`, and where its fields are. All words are unsigned 32-bit numbers. */
export interface Encoding {
  readonly mask: number;
  readonly value: number;
  readonly fields: readonly Field[];
}

/** Reads the notation. Throws on a row that is not exactly 32 bits wide, since no such row may enter the table. */
export function parseBits(bits: string): Encoding {
  let mask = 0;
  let value = 0;
  let lsb = 32;
  const fields: Field[] = [];
  for (const word of bits.split(/\s+/).filter((w) => w !== "")) {
    if (/^[01.]+$/.test(word)) {
      for (const bit of word) {
        lsb -= 1;
        if (bit !== ".") mask |= 1 << lsb;
        if (bit === "1") value |= 1 << lsb;
      }
      continue;
    }
    const parts = /^([a-z][A-Za-z0-9_]*)(?::(s?)(\d+))?$/.exec(word);
    if (parts === null) throw new Error(`encoding row "${bits}": cannot read "${word}"`);
    const width = Number(parts[3] ?? "1");
    const name = parts[1]!;
    if (fields.some((field) => field.name === name)) throw new Error(`encoding row "${bits}": ${name} stands twice`);
    lsb -= width;
    fields.push({ name, lsb, bits: width, signed: parts[2] === "s" });
  }
  if (lsb !== 0) throw new Error(`encoding row "${bits}" is ${32 - lsb} bits wide, not 32`);
  return { mask: mask >>> 0, value: value >>> 0, fields };
}

/** The fields' values in `word`. */
export function extract(encoding: Encoding, word: number): Record<string, number> {
  const values: Record<string, number> = {};
  for (const { name, lsb, bits, signed } of encoding.fields) {
    const up = 32 - lsb - bits;
    values[name] = signed ? (word << up) >> (up + lsb) : (word << up) >>> (up + lsb);
  }
  return values;
}

/** The word with these fields; bits that nobody looks at come from `ignored`. */
export function encode(encoding: Encoding, values: Readonly<Record<string, number>>, ignored = 0): number {
  let word = encoding.value;
  let known = encoding.mask;
  for (const { name, lsb, bits } of encoding.fields) {
    const ones = bits === 32 ? 0xffff_ffff : (1 << bits) - 1;
    word |= ((values[name] ?? 0) & ones) << lsb;
    known |= ones << lsb;
  }
  return (word | (ignored & ~known)) >>> 0;
}
