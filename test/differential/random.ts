// Random numbers that are the same on every machine for the same seed.

/** xoshiro128** by David Blackman and Sebastiano Vigna, seeded by splitmix32. */
export class Random {
  readonly #state: Uint32Array;

  /** `stream`: sequences of one seed are independent of each other. */
  constructor(seed: number, stream = 0) {
    let x = (seed ^ Math.imul(stream, 0x9e37_79b1)) | 0;
    this.#state = Uint32Array.from({ length: 4 }, () => {
      x = (x + 0x9e37_79b9) | 0;
      let z = x;
      z = Math.imul(z ^ (z >>> 16), 0x21f0_aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a_2d97);
      return z ^ (z >>> 15);
    });
  }

  word(): number {
    const s = this.#state;
    const s1 = s[1]!;
    const product = Math.imul(s1, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    s[2]! ^= s[0]!;
    s[3]! ^= s1;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= s1 << 9;
    s[3] = (s[3]! << 11) | (s[3]! >>> 21);
    return result;
  }

  /** 0 to count - 1. */
  below(count: number): number {
    return Math.floor((this.word() / 2 ** 32) * count);
  }

  /** Both ends included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(from: readonly T[]): T {
    if (from.length === 0) throw new RangeError("pick: nothing to pick from");
    return from[this.below(from.length)]!;
  }

  /** One of the keys, as often as its weight says. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
    const entries = Object.entries(weights) as [K, number][];
    let at = this.below(entries.reduce((sum, [, weight]) => sum + weight, 0));
    for (const [key, weight] of entries) {
      at -= weight;
      if (at < 0) return key;
    }
    throw new RangeError("weighted: no weight is above 0");
  }

  bits64(): bigint {
    return (BigInt(this.word()) << 32n) | BigInt(this.word());
  }

  /** A 64-bit value: often one at an edge. */
  value64(): bigint {
    switch (this.below(6)) {
      case 0:
        return 0n;
      case 1:
        return 1n << BigInt(this.below(64));
      case 2:
        return 0xffff_ffff_ffff_ffffn;
      case 3:
        return BigInt(this.word());
      case 4:
        return BigInt(this.below(16));
      default:
        return this.bits64();
    }
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}
