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
