// Checks of what the caller passes: a TypeError or a RangeError that names the argument, before the kernel is asked.

/** What a value is, for a message. */
export function describe(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return String(value);
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  return typeof value === "object" ? ((value as object).constructor?.name ?? "object") : typeof value;
}

/** An integer from `least` to `most`. */
export function integer(what: string, value: unknown, least: number, most: number): number {
  if (typeof value !== "number") throw new TypeError(`${what} must be a number, got ${describe(value)}`);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${what} must be an integer from ${least} to ${most}, got ${value}`);
  }
  return value;
}

export const u32 = (what: string, value: unknown): number => integer(what, value, 0, 0xffff_ffff);

/** A number of bytes: a safe integer of at least `least`. */
export const byteCount = (what: string, value: unknown, least = 0): number =>
  integer(what, value, least, Number.MAX_SAFE_INTEGER);

export function u64(what: string, value: unknown): bigint {
  if (typeof value !== "bigint") throw new TypeError(`${what} must be a bigint, got ${describe(value)}`);
  if (value < 0n || value >> 64n !== 0n) throw new RangeError(`${what} must be from 0 to 2^64-1, got ${value}`);
  return value;
}

export function flag(what: string, value: unknown): boolean {
  if (typeof value !== "boolean") throw new TypeError(`${what} must be a boolean, got ${describe(value)}`);
  return value;
}

/** A Uint8Array that is not detached and has at least (or exactly) so many bytes. */
export function bytes(what: string, value: unknown, wanted: { exactly: number } | { atLeast: number }): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError(`${what} must be a Uint8Array, got ${describe(value)}`);
  const short = "exactly" in wanted ? value.length !== wanted.exactly : value.length < wanted.atLeast;
  if (short) {
    const need = "exactly" in wanted ? `${wanted.exactly} bytes` : `at least ${wanted.atLeast} bytes`;
    throw new RangeError(`${what} must have ${need}, got ${value.length}`);
  }
  return value;
}

/** One of the keys of a table. */
export function oneOf<K extends string>(what: string, value: unknown, table: Readonly<Record<K, unknown>>): K {
  if (typeof value !== "string" || !Object.hasOwn(table, value)) {
    throw new TypeError(`${what} must be one of ${Object.keys(table).join(", ")}; got ${describe(value)}`);
  }
  return value as K;
}

/** An object to read members from. */
export function record<T extends object>(what: string, value: T): T {
  if (typeof value !== "object" || value === null) {
    throw new TypeError(`${what} must be an object, got ${describe(value)}`);
  }
  return value;
}

/** An object to read options from; undefined counts as {}. */
export const options = <T extends object>(what: string, value: T | undefined): T =>
  value === undefined ? ({} as T) : record(`${what}: options`, value);
