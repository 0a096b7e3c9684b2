// SM3 and SM4 on four words, the lowest first. DDI 0487 C7.2, "SM3PARTW1" to "SM4EKEY"; GB/T 32905 and 32907.

type Words = readonly number[];

const rol = (v: number, n: number) => (v << n) | (v >>> (32 - n));
const permuted = (v: number) => v ^ rol(v, 15) ^ rol(v, 23);

export function sm3partw1(d: Words, n: Words, m: Words): number[] {
  const mixed = [0, 1, 2].map((i) => permuted(d[i]! ^ n[i]! ^ rol(m[i + 1]!, 15)));
  return [...mixed, permuted(d[3]! ^ n[3]! ^ rol(mixed[0]!, 15))];
}

export function sm3partw2(d: Words, n: Words, m: Words): number[] {
  const t = n.map((v, i) => v ^ rol(m[i]!, 7));
  const result = d.map((v, i) => v ^ t[i]!);
  result[3]! ^= permuted(rol(t[0]!, 15));
  return result;
}

export const sm3ss1 = (n: Words, m: Words, a: Words): number[] => [
  0,
  0,
  0,
  rol((rol(n[3]!, 12) + m[3]! + a[3]!) | 0, 7),
];

type Choice = (x: number, y: number, z: number) => number;
const parity: Choice = (x, y, z) => x ^ y ^ z;
const majority: Choice = (x, y, z) => (x & y) | (x & z) | (y & z);
const choose: Choice = (x, y, z) => (x & y) | (~x & z);

/** SM3TT1A and SM3TT1B; `w`: a word of the message. */
export function sm3tt1(kind: "a" | "b", d: Words, n: Words, w: number): number[] {
  const [d0, d1, d2, d3] = d as [number, number, number, number];
  const f = kind === "a" ? parity : majority;
  const ss2 = n[3]! ^ rol(d3, 12);
  return [d1, rol(d2, 9), d3, f(d3, d2, d1) + d0 + ss2 + w];
}

/** SM3TT2A and SM3TT2B. */
export function sm3tt2(kind: "a" | "b", d: Words, n: Words, w: number): number[] {
  const [d0, d1, d2, d3] = d as [number, number, number, number];
  const f = kind === "a" ? parity : choose;
  const t = (f(d3, d2, d1) + d0 + n[3]! + w) | 0;
  return [d1, rol(d2, 19), d3, t ^ rol(t, 9) ^ rol(t, 17)];
}

/** The S-box: an affine map, the inverse in GF(2^8) by x^8 + x^7 + x^6 + x^5 + x^4 + x^2 + 1, and the map again. */
const SBOX = Uint8Array.from({ length: 256 }, (_, x) => affine(inverse(affine(x))));

function affine(x: number): number {
  let result = 0xd3;
  for (let bit = 0, row = 0xa7; bit < 8; bit++, row = ((row << 1) | (row >> 7)) & 0xff) {
    for (let both = x & row; both !== 0; both &= both - 1) result ^= 1 << bit;
  }
  return result;
}

function inverse(x: number): number {
  for (let candidate = 1; x !== 0 && candidate < 256; candidate++) if (product(x, candidate) === 1) return candidate;
  return 0;
}

function product(a: number, b: number): number {
  let result = 0;
  for (let rest = b, power = a; rest !== 0; rest >>= 1) {
    if ((rest & 1) !== 0) result ^= power;
    power = (power << 1) ^ ((power & 0x80) !== 0 ? 0x1f5 : 0);
  }
  return result;
}

const substituted = (v: number): number =>
  (SBOX[v >>> 24]! << 24) | (SBOX[(v >>> 16) & 255]! << 16) | (SBOX[(v >>> 8) & 255]! << 8) | SBOX[v & 255]!;

function sm4(state: Words, keys: Words, linear: (v: number) => number): number[] {
  let words = [...state];
  for (const key of keys) {
    const [first, ...rest] = words as [number, number, number, number];
    words = [...rest, first ^ linear(substituted(rest[0]! ^ rest[1]! ^ rest[2]! ^ key))];
  }
  return words;
}

/** Four rounds. */
export const sm4e = (state: Words, keys: Words): number[] =>
  sm4(state, keys, (v) => v ^ rol(v, 2) ^ rol(v, 10) ^ rol(v, 18) ^ rol(v, 24));

/** Four round keys. */
export const sm4ekey = (state: Words, constants: Words): number[] =>
  sm4(state, constants, (v) => v ^ rol(v, 13) ^ rol(v, 23));
