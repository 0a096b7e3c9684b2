// A sequence of calls as data: it can be generated, dropped from, simplified, printed and read again.

/** An object that an earlier op made, by its name. */
export interface Ref {
  readonly ref: string;
}

/** Bytes with the numbers of descriptors in them, which only the one who runs the op knows. */
export interface WithFds {
  readonly bytes: Uint8Array;
  readonly fds: readonly (readonly [offset: number, name: string])[];
}

export type Value = number | bigint | null | Uint8Array | Ref | WithFds;

/** One call: a verb of verbs.ts on an object. */
export interface Op {
  readonly verb: string;
  /** "kvm", or the name that the op which made the object gave it. */
  readonly on: string;
  readonly args: readonly Value[];
  /** Names the object that this makes. */
  readonly makes?: string;
}

export type Sequence = readonly Op[];

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
export const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

export const isRef = (value: Value): value is Ref => typeof value === "object" && value !== null && "ref" in value;
export const isWithFds = (value: Value): value is WithFds =>
  typeof value === "object" && value !== null && "fds" in value;

export function toJson(sequence: Sequence): string {
  return JSON.stringify(sequence, (_key, value) => {
    if (typeof value === "bigint") return { big: value.toString(16) };
    return value instanceof Uint8Array ? { hex: hex(value) } : value;
  });
}

export function fromJson(text: string): Sequence {
  return JSON.parse(text, (_key, value) => {
    if (value === null || typeof value !== "object") return value;
    if (typeof value.big === "string") return BigInt(`0x${value.big}`);
    return typeof value.hex === "string" ? unhex(value.hex) : value;
  });
}
