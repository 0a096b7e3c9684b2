// QARMA5: the block cipher behind pointer authentication codes where ID_AA64ISAR1_EL1.APA and GPA promise them.
// R. Avanzi, "The QARMA Block Cipher Family", with 5 rounds, S-box σ2 and 64 bits; DDI 0487 J1.1 ComputePAC.
//
// A block is 16 cells of 4 bits, cell 0 the most significant. It is kept as two 32-bit words. The linear layers are
// looked up byte by byte.

export const SUBSTITUTION = [11, 6, 8, 15, 12, 0, 9, 14, 3, 7, 4, 5, 13, 2, 1, 10];
/** τ: cell n comes from cell SHUFFLE[n]. */
export const SHUFFLE = [0, 11, 6, 13, 10, 1, 12, 7, 5, 14, 3, 8, 15, 4, 9, 2];
/** h, and the cells that ω steps after it. */
export const TWEAK_SHUFFLE = [6, 5, 14, 15, 0, 1, 2, 3, 7, 12, 13, 4, 8, 9, 10, 11];
export const TWEAK_STEPPED = new Set([0, 1, 3, 4, 8, 11, 13]);

export const ROUNDS = 5;
export const CONSTANTS = [
  [0, 0],
  [0x1319_8a2e, 0x0370_7344],
  [0xa409_3822, 0x299f_31d0],
  [0x082e_fa98, 0xec4e_6c89],
  [0x4528_21e6, 0x38d0_1377],
] as const;
export const ALPHA = [0xc0ac_29b7, 0xc97c_50dd] as const;

type Cells = readonly number[];

export const rotated = (cell: number, by: number): number => ((cell << by) | (cell >> (4 - by))) & 15;

const shuffled = (cells: Cells): Cells => SHUFFLE.map((from) => cells[from]!);
const unshuffled = (cells: Cells): Cells => cells.map((_, n) => cells[SHUFFLE.indexOf(n)]!);
export const stepped = (cell: number): number => (cell >> 1) | (((cell ^ (cell >> 1)) & 1) << 3);
const tweakStepped = (cells: Cells): Cells =>
  TWEAK_SHUFFLE.map((from, n) => (TWEAK_STEPPED.has(n) ? stepped(cells[from]!) : cells[from]!));

/** The matrix circ(0, ρ, ρ², ρ) on columns of every fourth cell: its own inverse. */
const mixed = (cells: Cells): Cells =>
  cells.map((_, n) => {
    const below = (rows: number) => cells[(n + 4 * rows) & 15]!;
    return rotated(below(1), 1) ^ rotated(below(2), 2) ^ rotated(below(3), 1);
  });

/** Two words for each of 256 values of each of the 8 bytes. */
function linear(layer: (cells: Cells) => Cells): Int32Array {
  const table = new Int32Array(8 * 256 * 2);
  for (let byte = 0; byte < 8; byte++) {
    for (let value = 0; value < 256; value++) {
      const cells = new Array<number>(16).fill(0);
      cells[2 * byte] = value >> 4;
      cells[2 * byte + 1] = value & 15;
      for (const [n, cell] of layer(cells).entries()) {
        const at = (byte * 256 + value) * 2 + (n >> 3);
        table[at] = table[at]! | (cell << (28 - 4 * (n & 7)));
      }
    }
  }
  return table;
}

/** Both cells of a byte. */
function substitution(cells: Cells): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (cells[byte >> 4]! << 4) | cells[byte & 15]!);
}

interface Tables {
  readonly sub: Uint8Array;
  readonly invSub: Uint8Array;
  readonly forward: Int32Array;
  readonly backward: Int32Array;
  readonly unshuffle: Int32Array;
  readonly tweak: Int32Array;
}

let tables: Tables | undefined;

/** 64 KiB of tables, made when they are first needed. */
function makeTables(): Tables {
  return {
    sub: substitution(SUBSTITUTION),
    invSub: substitution(SUBSTITUTION.map((_, n) => SUBSTITUTION.indexOf(n))),
    forward: linear((cells) => mixed(shuffled(cells))),
    backward: linear((cells) => unshuffled(mixed(cells))),
    unshuffle: linear(unshuffled),
    tweak: linear(tweakStepped),
  };
}

// The block in work. One computation at a time: nothing here waits.
let hi = 0;
let lo = 0;

function apply(table: Int32Array): void {
  let [a, b] = [0, 0];
  for (let byte = 0; byte < 8; byte++) {
    const word = byte < 4 ? hi : lo;
    const at = (byte * 256 + ((word >>> (24 - 8 * (byte & 3))) & 255)) * 2;
    a ^= table[at]!;
    b ^= table[at + 1]!;
  }
  hi = a;
  lo = b;
}

function substitute(table: Uint8Array): void {
  hi = substituted(table, hi);
  lo = substituted(table, lo);
}

const substituted = (table: Uint8Array, word: number): number =>
  (table[word >>> 24]! << 24) |
  (table[(word >>> 16) & 255]! << 16) |
  (table[(word >>> 8) & 255]! << 8) |
  table[word & 255]!;

const tweaksHi = new Int32Array(ROUNDS + 1);
const tweaksLo = new Int32Array(ROUNDS + 1);

/** ComputePAC: `whitening` and `core` are bits 127:64 and 63:0 of the key. */
export function qarma5(data: bigint, modifier: bigint, whitening: bigint, core: bigint): bigint {
  tables ??= makeTables();
  const { sub, invSub, forward, backward, unshuffle, tweak } = tables;
  const [w0Hi, w0Lo] = words(whitening);
  const [k0Hi, k0Lo] = words(core);
  // o(w0): rotated right by one, with the top bit added to the lowest.
  const w1Hi = (w0Hi >>> 1) | (w0Lo << 31);
  const w1Lo = (w0Lo >>> 1) | (w0Hi << 31);
  const w1LoFixed = w1Lo ^ (w0Hi >>> 31);

  [hi, lo] = words(modifier);
  for (let n = 0; n <= ROUNDS; n++) {
    tweaksHi[n] = hi;
    tweaksLo[n] = lo;
    apply(tweak);
  }

  const [dataHi, dataLo] = words(data);
  hi = dataHi ^ w0Hi;
  lo = dataLo ^ w0Lo;
  for (let n = 0; n < ROUNDS; n++) {
    hi ^= k0Hi ^ tweaksHi[n]! ^ CONSTANTS[n]![0];
    lo ^= k0Lo ^ tweaksLo[n]! ^ CONSTANTS[n]![1];
    if (n > 0) apply(forward);
    substitute(sub);
  }

  hi ^= w1Hi ^ tweaksHi[ROUNDS]!;
  lo ^= w1LoFixed ^ tweaksLo[ROUNDS]!;
  apply(forward);
  substitute(sub);
  apply(forward);
  hi ^= k0Hi;
  lo ^= k0Lo;
  apply(unshuffle);
  substitute(invSub);
  apply(backward);
  hi ^= w0Hi ^ tweaksHi[ROUNDS]!;
  lo ^= w0Lo ^ tweaksLo[ROUNDS]!;

  for (let n = ROUNDS - 1; n >= 0; n--) {
    substitute(invSub);
    if (n > 0) apply(backward);
    hi ^= k0Hi ^ tweaksHi[n]! ^ CONSTANTS[n]![0] ^ ALPHA[0];
    lo ^= k0Lo ^ tweaksLo[n]! ^ CONSTANTS[n]![1] ^ ALPHA[1];
  }
  hi ^= w1Hi;
  lo ^= w1LoFixed;
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
}

const words = (value: bigint): [number, number] => [
  Number((value >> 32n) & 0xffff_ffffn) | 0,
  Number(value & 0xffff_ffffn) | 0,
];
