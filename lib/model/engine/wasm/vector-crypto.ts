// AES, SHA-1 and SHA-256, put together of WebAssembly's operations: as ../crypto.ts, which has the tables.

import type { Crypto1, Crypto2, Crypto3 } from "../../a64/vector.js";
import { aesRound } from "../crypto.js";
import { I32, V128 } from "./binary.js";
import { type Node, refuse, type Trace } from "./trace.js";
import type { VectorInteger } from "./vector-integer.js";

type Four = readonly [Node, Node, Node, Node];
const ALL_BYTES = Array.from({ length: 16 }, (_, n) => n);

/** Where AES's rows bring each byte from, and what becomes of each value: of its round, which does both. */
function tablesOf(direction: "encrypt" | "decrypt"): { readonly rows: readonly number[]; readonly box: Uint8Array } {
  const box = Uint8Array.from({ length: 256 }, (_, n) => aesRound(new Uint8Array(16).fill(n), direction)[0]!);
  const moved = aesRound(Uint8Array.from(ALL_BYTES), direction);
  return { rows: [...moved].map((value) => box.indexOf(value)), box };
}

/** A word of 16 bytes as two of 8. */
function halves(bytes: Uint8Array): [bigint, bigint] {
  const half = (first: number) =>
    [...bytes.subarray(first, first + 8)].reduceRight((word, byte) => (word << 8n) | BigInt(byte), 0n);
  return [half(0), half(8)];
}

export class VectorCrypto {
  constructor(
    private readonly trace: () => Trace,
    private readonly integer: VectorInteger,
  ) {}

  one(op: Crypto1, a: Node): Node {
    if (op === "sha1h") return this.vector([this.rotate(this.lane(a, 0), 2)]);
    return op === "aesmc" ? this.mixColumns(a) : this.inverseMixColumns(a);
  }

  two(op: Crypto2, a: Node, b: Node): Node {
    switch (op) {
      case "aese":
      case "aesd": {
        const { rows, box } = tablesOf(op === "aese" ? "encrypt" : "decrypt");
        const state = this.xor(a, b);
        const tables = Array.from({ length: 16 }, (_, n) =>
          this.integer.constant(...halves(box.subarray(16 * n, 16 * n + 16))),
        );
        return this.integer.lookUp(tables, this.integer.shuffle(state, state, rows), null);
      }
      case "sha1su1": {
        const t = this.xor(a, this.words(b, this.integer.zero(), [1, 2, 3, 4]));
        const turned = this.rotateLanes(t, 31);
        const first = this.rotateLanes(turned, 31);
        return this.xor(turned, this.words(first, this.integer.zero(), [4, 4, 4, 0]));
      }
      case "sha256su0":
        return this.add(this.sigma(this.words(a, b, [1, 2, 3, 4]), 7, 18, 3), a);
      default:
        return refuse();
    }
  }

  three(op: Crypto3, a: Node, b: Node, c: Node): Node {
    switch (op) {
      case "sha1c":
      case "sha1p":
      case "sha1m":
        return this.sha1(op, a, b, c);
      case "sha1su0":
        return this.xor(this.words(a, b, [2, 3, 4, 5]), this.xor(a, c));
      case "sha256h":
        return this.sha256(this.four(a), this.four(b), c, "abcd");
      case "sha256h2":
        return this.sha256(this.four(b), this.four(a), c, "efgh");
      case "sha256su1": {
        const sum = this.add(a, this.words(b, c, [1, 2, 3, 4]));
        const low = this.add(sum, this.sigma(this.words(c, c, [2, 3, 2, 3]), 17, 19, 10));
        const high = this.add(sum, this.sigma(this.words(low, low, [0, 1, 0, 1]), 17, 19, 10));
        return this.words(low, high, [0, 1, 6, 7]);
      }
      default:
        return refuse();
    }
  }

  private xor(a: Node, b: Node): Node {
    return this.integer.simd("v128.xor", a, b);
  }
  private add(a: Node, b: Node): Node {
    return this.integer.lanes(32, "add", a, b);
  }
  /** Words of both, by their numbers in the one and then the other. */
  private words(a: Node, b: Node, chosen: readonly number[]): Node {
    return this.integer.shuffle(
      a,
      b,
      chosen.flatMap((word) => [0, 1, 2, 3].map((n) => 4 * word + n)),
    );
  }
  private number(value: number): Node {
    return this.trace().node("number", I32, [], value);
  }
  /** Each word to the right. */
  private rotateLanes(a: Node, by: number): Node {
    const right = this.integer.lanes(32, "shr_u", a, this.number(by));
    return this.integer.simd("v128.or", right, this.integer.lanes(32, "shl", a, this.number(32 - by)));
  }
  private sigma(a: Node, first: number, second: number, shift: number): Node {
    const shifted = this.integer.lanes(32, "shr_u", a, this.number(shift));
    return this.xor(this.xor(this.rotateLanes(a, first), this.rotateLanes(a, second)), shifted);
  }

  /** Bytes of each column, turned. */
  private turned(a: Node, by: number): Node {
    return this.integer.shuffle(
      a,
      a,
      ALL_BYTES.map((n) => (n & ~3) + ((n + by) & 3)),
    );
  }
  /** Times x in AES's field. */
  private times2(a: Node): Node {
    const doubled = this.integer.lanes(8, "shl", a, this.number(1));
    const carried = this.integer.lanes(8, "shr_s", a, this.number(7));
    return this.xor(doubled, this.integer.simd("v128.and", carried, this.integer.every(8, 0x1bn)));
  }
  private mixColumns(a: Node): Node {
    const next = this.turned(a, 1);
    const others = this.xor(next, this.xor(this.turned(a, 2), this.turned(a, 3)));
    return this.xor(this.times2(this.xor(a, next)), others);
  }
  private inverseMixColumns(a: Node): Node {
    const across = this.times2(this.times2(this.xor(a, this.turned(a, 2))));
    return this.mixColumns(this.xor(a, across));
  }

  private lane(v: Node, n: number): Node {
    return this.trace().node("word", I32, [v], n);
  }
  private four(v: Node): Four {
    return [this.lane(v, 0), this.lane(v, 1), this.lane(v, 2), this.lane(v, 3)];
  }
  private vector(words: readonly Node[]): Node {
    return this.trace().node("lanesV", V128, words, 32);
  }
  private word(op: "add" | "xor" | "and" | "or", ...args: readonly Node[]): Node {
    return args.reduce((a, b) => this.trace().node(op, I32, [a, b]));
  }
  private rotate(a: Node, by: number): Node {
    return this.trace().node("rotr", I32, [a, this.number(by)]);
  }
  private choose(x: Node, y: Node, z: Node): Node {
    return this.word("xor", this.word("and", this.word("xor", y, z), x), z);
  }
  private majority(x: Node, y: Node, z: Node): Node {
    return this.word("or", this.word("and", x, y), this.word("and", this.word("or", x, y), z));
  }
  private rotations(a: Node, ...by: readonly number[]): Node {
    return this.word("xor", ...by.map((n) => this.rotate(a, n)));
  }

  private sha256(abcd: Four, efgh: Four, w: Node, half: "abcd" | "efgh"): Node {
    let [x, y] = [abcd, efgh];
    for (let round = 0; round < 4; round++) {
      const t = this.word(
        "add",
        y[3],
        this.rotations(y[0], 6, 11, 25),
        this.choose(y[0], y[1], y[2]),
        this.lane(w, round),
      );
      const a = this.word("add", t, this.rotations(x[0], 2, 13, 22), this.majority(x[0], x[1], x[2]));
      const e = this.word("add", t, x[3]);
      x = [a, x[0], x[1], x[2]];
      y = [e, y[0], y[1], y[2]];
    }
    return this.vector(half === "abcd" ? x : y);
  }

  private sha1(op: "sha1c" | "sha1p" | "sha1m", x: Node, e: Node, w: Node): Node {
    let [a, b, c, d] = this.four(x);
    let y = this.lane(e, 0);
    for (let round = 0; round < 4; round++) {
      const f =
        op === "sha1c" ? this.choose(b, c, d) : op === "sha1m" ? this.majority(b, c, d) : this.word("xor", b, c, d);
      const next = this.word("add", y, this.rotate(a, 27), f, this.lane(w, round));
      [a, b, c, d, y] = [next, a, this.rotate(b, 2), c, d];
    }
    return this.vector([a, b, c, d]);
  }
}
