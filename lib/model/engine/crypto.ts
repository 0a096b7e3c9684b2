// The cryptographic instructions on words. DDI 0487 J1, shared/functions/crypto; FIPS 197 and FIPS 180-4.

/** AES's field: x^8 + x^4 + x^3 + x + 1. */
function xtime(a: number): number {
  return ((a << 1) ^ ((a & 0x80) !== 0 ? 0x11b : 0)) & 0xff;
}
function fieldProduct(a: number, b: number): number {
  let product = 0;
  for (let rest = b, power = a; rest !== 0; rest >>= 1, power = xtime(power)) if ((rest & 1) !== 0) product ^= power;
  return product;
}

const SBOX = new Uint8Array(256);
const INVERSE_SBOX = new Uint8Array(256);
for (let n = 0; n < 256; n++) {
  // The inverse in the field (0 for 0), then an affine map.
  let inverse = 0;
  for (let candidate = 1; n !== 0 && candidate < 256; candidate++) {
    if (fieldProduct(n, candidate) === 1) {
      inverse = candidate;
      break;
    }
  }
  let value = 0x63;
  for (let turn = 0; turn < 5; turn++) value ^= ((inverse << turn) | (inverse >> (8 - turn))) & 0xff;
  SBOX[n] = value;
  INVERSE_SBOX[value] = n;
}

/** AESSubBytes of AESShiftRows, and the inverse of both: AESE and AESD after the round key. */
export function aesRound(state: Uint8Array, direction: "encrypt" | "decrypt"): Uint8Array {
  const box = direction === "encrypt" ? SBOX : INVERSE_SBOX;
  const turn = direction === "encrypt" ? 1 : 3;
  return state.map((_, n) => box[state[(((n >> 2) + turn * (n & 3)) % 4) * 4 + (n & 3)]!]!);
}

/** AESMixColumns, AESInvMixColumns. */
export function aesMixColumns(state: Uint8Array, direction: "encrypt" | "decrypt"): Uint8Array {
  const row = direction === "encrypt" ? [2, 3, 1, 1] : [14, 11, 13, 9];
  return state.map((_, n) => {
    let sum = 0;
    for (let k = 0; k < 4; k++) sum ^= fieldProduct(state[(n & ~3) + k]!, row[(k - (n & 3) + 4) & 3]!);
    return sum;
  });
}

const rol = (v: number, n: number) => (v << n) | (v >>> (32 - n)) | 0;
const ror = (v: number, n: number) => rol(v, 32 - n);

type Words = readonly number[];
type Choice = (x: number, y: number, z: number) => number;

const choose: Choice = (x, y, z) => ((y ^ z) & x) ^ z;
const parity: Choice = (x, y, z) => x ^ y ^ z;
const majority: Choice = (x, y, z) => (x & y) | ((x | y) & z);

/** SHA1C ("sha1c"), SHA1P, SHA1M: four rounds. `e` is a word. */
export function sha1Rounds(kind: "sha1c" | "sha1p" | "sha1m", x: Words, e: number, w: Words): number[] {
  const f = { sha1c: choose, sha1p: parity, sha1m: majority }[kind];
  let [a, b, c, d] = x as [number, number, number, number];
  let y = e;
  for (const word of w) {
    y = (y + rol(a, 5) + f(b, c, d) + word) | 0;
    [a, b, c, d, y] = [y, a, rol(b, 30), c, d];
  }
  return [a, b, c, d];
}

export const sha1h = (v: number): number => rol(v, 30);

export function sha1su0(d: Words, n: Words, m: Words): number[] {
  const middle = [d[2]!, d[3]!, n[0]!, n[1]!];
  return middle.map((v, i) => v ^ d[i]! ^ m[i]!);
}

export function sha1su1(d: Words, n: Words): number[] {
  const t = [d[0]! ^ n[1]!, d[1]! ^ n[2]!, d[2]! ^ n[3]!, d[3]!];
  return [rol(t[0]!, 1), rol(t[1]!, 1), rol(t[2]!, 1), rol(t[3]!, 1) ^ rol(t[0]!, 2)];
}

/** SHA256H ("abcd") and SHA256H2 ("efgh"): four rounds, of which one half is the result. */
export function sha256Rounds(abcd: Words, efgh: Words, w: Words, half: "abcd" | "efgh"): number[] {
  let x = [...abcd] as [number, number, number, number];
  let y = [...efgh] as [number, number, number, number];
  for (const word of w) {
    const s0 = ror(x[0], 2) ^ ror(x[0], 13) ^ ror(x[0], 22);
    const s1 = ror(y[0], 6) ^ ror(y[0], 11) ^ ror(y[0], 25);
    const t = (y[3] + s1 + choose(y[0], y[1], y[2]) + word) | 0;
    const e = (t + x[3]) | 0;
    const a = (t + s0 + majority(x[0], x[1], x[2])) | 0;
    x = [a, x[0], x[1], x[2]];
    y = [e, y[0], y[1], y[2]];
  }
  return half === "abcd" ? x : y;
}

const sigma0 = (v: number) => ror(v, 7) ^ ror(v, 18) ^ (v >>> 3);
const sigma1 = (v: number) => ror(v, 17) ^ ror(v, 19) ^ (v >>> 10);

export function sha256su0(d: Words, n: Words): number[] {
  const t = [d[1]!, d[2]!, d[3]!, n[0]!];
  return t.map((v, i) => (sigma0(v) + d[i]!) | 0);
}

export function sha256su1(d: Words, n: Words, m: Words): number[] {
  const t = [n[1]!, n[2]!, n[3]!, m[0]!];
  const low = [0, 1].map((i) => (sigma1(m[i + 2]!) + d[i]! + t[i]!) | 0);
  const high = [2, 3].map((i) => (sigma1(low[i - 2]!) + d[i]! + t[i]!) | 0);
  return [...low, ...high];
}

const u64 = (v: bigint) => BigInt.asUintN(64, v);
const ror64 = (v: bigint, n: bigint) => u64((v >> n) | (v << (64n - n)));

/** SHA512H: `x` and `y` as the two lanes, lower first. */
export function sha512h(w: readonly bigint[], x: readonly bigint[], y: readonly bigint[]): bigint[] {
  const sigma = (v: bigint) => ror64(v, 14n) ^ ror64(v, 18n) ^ ror64(v, 41n);
  const choice = (a: bigint, b: bigint, c: bigint) => (a & b) ^ (u64(~a) & c);
  const high = u64(choice(y[1]!, x[0]!, x[1]!) + sigma(y[1]!) + w[1]!);
  const t = u64(high + y[0]!);
  const low = u64(choice(t, y[1]!, x[0]!) + sigma(t) + w[0]!);
  return [low, high];
}

export function sha512h2(w: readonly bigint[], x: readonly bigint[], y: readonly bigint[]): bigint[] {
  const sigma = (v: bigint) => ror64(v, 28n) ^ ror64(v, 34n) ^ ror64(v, 39n);
  const most = (a: bigint, b: bigint, c: bigint) => (a & b) ^ (a & c) ^ (b & c);
  const high = u64(most(x[0]!, y[1]!, y[0]!) + sigma(y[0]!) + w[1]!);
  const low = u64(most(high, y[0]!, y[1]!) + sigma(high) + w[0]!);
  return [low, high];
}

export function sha512su0(w: readonly bigint[], x: readonly bigint[]): bigint[] {
  const sigma = (v: bigint) => ror64(v, 1n) ^ ror64(v, 8n) ^ (v >> 7n);
  return [u64(w[0]! + sigma(w[1]!)), u64(w[1]! + sigma(x[0]!))];
}

export function sha512su1(w: readonly bigint[], x: readonly bigint[], y: readonly bigint[]): bigint[] {
  const sigma = (v: bigint) => ror64(v, 19n) ^ ror64(v, 61n) ^ (v >> 6n);
  return [0, 1].map((i) => u64(w[i]! + sigma(x[i]!) + y[i]!));
}
