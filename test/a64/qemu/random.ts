// Reproducible randomness: SplitMix64, and values that arithmetic finds difficult.

const MASK = 0xffff_ffff_ffff_ffffn;

/** One step of SplitMix64: the next state and its output. */
export function splitMix(state: bigint): { state: bigint; output: bigint } {
  const next = (state + 0x9e37_79b9_7f4a_7c15n) & MASK;
  let z = next;
  z = ((z ^ (z >> 30n)) * 0xbf58_476d_1ce4_e5b9n) & MASK;
  z = ((z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn) & MASK;
  return { state: next, output: z ^ (z >> 31n) };
}

const corners = [
  0n,
  1n,
  2n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0x8000n,
  0xffffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0x8000_0000_8000_0000n,
  0xffff_ffff_0000_0000n,
  0xffff_ffff_7fff_ffffn,
  0xffff_ffff_8000_0000n,
  0xffff_ffff_ffff_fffen,
  MASK,
];

/** A small generator of 32-bit words (mulberry32), since most of what is drawn is small. */
export class Random {
  private state: number;
  constructor(seed: number) {
    this.state = seed | 0;
  }
  word(): number {
    this.state = (this.state + 0x6d2b_79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }
  /** 0 to n - 1. */
  below(n: number): number {
    return Math.floor((this.word() / 0x1_0000_0000) * n);
  }
  /** True `percent` times in a hundred. */
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
  quad(): bigint {
    return (BigInt(this.word()) << 32n) | BigInt(this.word());
  }
  /** A floating-point number of `bits` bits: often special, or near an integer, or near another format's limits. */
  float(bits: 16 | 32 | 64): bigint {
    const exponentBits = { 16: 5, 32: 8, 64: 11 }[bits];
    const fractionBits = bits - 1 - exponentBits;
    const all = (1n << BigInt(fractionBits)) - 1n;
    const bias = 2 ** (exponentBits - 1) - 1;
    const sign = BigInt(this.below(2)) << BigInt(bits - 1);
    const fraction = this.pick([
      0n,
      1n,
      all,
      all >> 1n,
      (all >> 1n) + 1n,
      this.quad() & all,
      this.quad() & all & ~0xffn,
    ]);
    const near = [0, 0, 1, 2, 2 * bias + 1, 2 * bias + 1, 2 * bias, 2 * bias - 1, bias, bias - 1, bias + 1];
    const limits = [
      bias - 14,
      bias - 24,
      bias + 15,
      bias - 126,
      bias - 149,
      bias + 127,
      bias + 31,
      bias + 32,
      bias + 63,
    ];
    const exponent = this.pick([
      this.pick(near),
      this.pick(near),
      this.pick(limits),
      bias + this.below(70) - 35,
      this.word(),
    ]);
    const field = BigInt(((exponent % 2 ** exponentBits) + 2 ** exponentBits) % 2 ** exponentBits);
    return sign | (field << BigInt(fractionBits)) | fraction;
  }
  /** 64 bits of vector: floating-point lanes of one width, or anything. */
  lanes(): bigint {
    const bits = this.pick([16, 32, 64, 8] as const);
    if (bits === 8) return this.value();
    let word = 0n;
    for (let at = 0; at < 64; at += bits) word |= this.float(bits) << BigInt(at);
    return word;
  }
  /** A 64-bit value: often a corner, or few bits, or near a corner. */
  value(): bigint {
    const kind = this.below(8);
    if (kind < 3) return this.pick(corners);
    if (kind === 3) return BigInt(this.below(256));
    if (kind === 4) return (this.pick(corners) + BigInt(this.below(5)) - 2n) & MASK;
    if (kind === 5) return BigInt(this.word());
    return this.quad();
  }
}
