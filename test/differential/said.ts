// What a side said to an op, as short as it can be to be compared: the parts of an answer as a CRC of what is not left out
// (volatile.ts). Many of them are a string of bytes that goes from machine to machine.

import { crc32 } from "node:zlib";
import { errnos } from "../../lib/uapi/errno.js";
import type { Op } from "./op.js";
import { masked, maskedValue } from "./volatile.js";
import type { Outcome } from "./world.js";

export interface Said {
  readonly threw: string | null;
  readonly value: number | bigint;
  /** Of all parts; 0 without any. */
  readonly crc: number;
}

export function saidOf(op: Op, outcome: Outcome): Said {
  let crc = 0;
  for (const { name, bytes } of outcome.parts) crc = crc32(masked(op, name, bytes, outcome), crc);
  return { threw: outcome.threw, value: maskedValue(op, outcome.value), crc };
}

/** Everything that an op can throw: world.ts. Their places are what is sent. */
const throwable: readonly (string | null)[] = [null, "absent", "TypeError", "RangeError", ...Object.keys(errnos)];
const places = new Map(throwable.map((name, place) => [name, place]));
/** In the place of those: an errno without a name here, whose number is in place of the value. */
const NAMELESS = 0xfe;
const nameless = "errno ";

/** What the second byte says of the value; HAS_CRC is a bit of its own. */
const Value = { zero: 0, int32: 1, float64: 2, bigint: 3 } as const;
const HAS_CRC = 4;
const valueBytes = [0, 4, 8, 8] as const;
const MOST_BYTES = 2 + 8 + 4;

function kindOf(value: number | bigint): 0 | 1 | 2 | 3 {
  if (typeof value === "bigint") return Value.bigint;
  if (value === 0) return Value.zero;
  return value === (value | 0) ? Value.int32 : Value.float64;
}

function readValue(view: DataView, at: number, kind: number): number | bigint {
  if (kind === Value.zero) return 0;
  if (kind === Value.int32) return view.getInt32(at);
  return kind === Value.float64 ? view.getFloat64(at) : view.getBigUint64(at);
}

/** Answers one after the other. */
export class SaidWriter {
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  add(said: Said): void {
    const { threw, crc } = said;
    const place = places.get(threw);
    const value = place === undefined ? Number(threw?.slice(nameless.length)) : said.value;
    const kind = kindOf(value);
    if (this.#at + MOST_BYTES > this.#bytes.length) this.#grow();
    this.#bytes[this.#at++] = place ?? NAMELESS;
    this.#bytes[this.#at++] = crc === 0 ? kind : kind | HAS_CRC;
    if (kind === Value.int32) this.#view.setInt32(this.#at, value as number);
    else if (kind === Value.float64) this.#view.setFloat64(this.#at, value as number);
    else if (kind === Value.bigint) this.#view.setBigUint64(this.#at, value as bigint);
    this.#at += valueBytes[kind];
    if (crc === 0) return;
    this.#view.setUint32(this.#at, crc);
    this.#at += 4;
  }

  #grow(): void {
    const larger = new Uint8Array(this.#bytes.length * 2);
    larger.set(this.#bytes);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }
}

export function readSaid(bytes: Uint8Array): Said[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const said: Said[] = [];
  for (let at = 0; at < bytes.length; ) {
    const place = bytes[at++]!;
    const threw = throwable[place];
    if (threw === undefined && place !== NAMELESS) throw new Error("an answer of which nothing is known");
    const flags = bytes[at++]!;
    const kind = (flags & 3) as 0 | 1 | 2 | 3;
    const value = readValue(view, at, kind);
    at += valueBytes[kind];
    const crc = (flags & HAS_CRC) === 0 ? 0 : view.getUint32(at);
    if ((flags & HAS_CRC) !== 0) at += 4;
    said.push(threw === undefined ? { threw: `${nameless}${value}`, value: 0, crc } : { threw, value, crc });
  }
  return said;
}
