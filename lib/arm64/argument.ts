// Checks of arguments: the caller's slips, named.

type Count<N extends number, T extends 0[] = []> = T["length"] extends N ? T : Count<N, [...T, 0]>;

/** 0 to N - 1. */
type Below<N extends number> =
  Exclude<keyof Count<N>, keyof []> extends infer K ? (K extends `${infer D extends number}` ? D : never) : never;

/** A literal that is not 0 to C - 1 does not compile; a `number` is checked when it is used. */
export type Checked<N extends number, C extends number> = number extends N ? N : N extends Below<C> ? N : Below<C>;

/** A whole number from 0 to `count` - 1. */
export function indexArgument(call: string, argument: string, value: number, count: number): number {
  if (typeof value !== "number") throw new TypeError(`${call}: ${argument} must be a number, got ${shown(value)}`);
  if (!Number.isInteger(value) || value < 0 || value >= count)
    throw new RangeError(`${call}: ${argument} must be 0 to ${count - 1}, got ${value}`);
  return value;
}

/** One of some names. */
export function nameArgument<N extends string>(call: string, argument: string, value: N, names: readonly N[]): N {
  if (typeof value !== "string") throw new TypeError(`${call}: ${argument} must be a string, got ${shown(value)}`);
  if (!names.includes(value))
    throw new RangeError(`${call}: ${argument} must be one of ${names.join(", ")}, got ${JSON.stringify(value)}`);
  return value;
}

/** A value of the wrong type, as an error message shows it. */
export function shown(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "number") return `the number ${value}`;
  if (typeof value === "bigint") return `the bigint ${value}n`;
  if (typeof value === "string") return JSON.stringify(value);
  return value instanceof Object ? `a value of type ${value.constructor?.name ?? typeof value}` : typeof value;
}
