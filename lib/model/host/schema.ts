// Checks of a value from an untrusted file. Each gives a copy that holds nothing but what was checked; a wrong value is
// a TypeError, one out of range a RangeError, and both begin with the path to it.

export type Check<T> = (value: unknown, path: string) => T;

const kindOf = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "an array" : typeof value === "object" ? "an object" : typeof value;

/** A value as a message shows it: short, whatever it is. */
function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  return typeof value === "number" || typeof value === "boolean" ? String(value) : kindOf(value);
}

export function wrongType(path: string, wanted: string, value: unknown): never {
  throw new TypeError(`${path}: must be ${wanted}, got ${shown(value)}`);
}

export function outOfRange(path: string, wanted: string, value: unknown): never {
  throw new RangeError(`${path}: must be ${wanted}, got ${shown(value)}`);
}

/** Text of at most so many characters. */
export const text =
  (longest: number): Check<string> =>
  (value, path) => {
    if (typeof value !== "string") return wrongType(path, "a string", value);
    return value.length <= longest ? value : outOfRange(path, `at most ${longest} characters`, value);
  };

export const integer =
  (least: number, most: number): Check<number> =>
  (value, path) => {
    if (typeof value !== "number") return wrongType(path, "a number", value);
    const fits = Number.isInteger(value) && value >= least && value <= most;
    return fits ? value : outOfRange(path, `an integer from ${least} to ${most}`, value);
  };

export const oneOf =
  <T extends string | boolean | null>(...known: readonly T[]): Check<T> =>
  (value, path) => {
    if (known.includes(value as T)) return value as T;
    const wanted = known.length > 20 ? "a known name" : known.map((one) => JSON.stringify(one)).join(" or ");
    return typeof value === "string" ? outOfRange(path, wanted, value) : wrongType(path, wanted, value);
  };

/** "0x1f", of at most so many bits. */
export const hex =
  (bits: number): Check<`0x${string}`> =>
  (value, path) => {
    if (typeof value !== "string") return wrongType(path, "a hexadecimal string", value);
    const digits = value.length - 2;
    const fits = digits > 0 && digits <= Math.ceil(bits / 4) && /^0x[0-9a-f]+$/.test(value);
    if (!fits) return outOfRange(path, `0x and at most ${Math.ceil(bits / 4)} lower-case hexadecimal digits`, value);
    return value as `0x${string}`;
  };

/** What the first check that fits gives: those before the last only look at the type or at fixed words. */
export const either =
  <A, B>(fixed: readonly A[], other: Check<B>): Check<A | B> =>
  (value, path) =>
    fixed.includes(value as A) ? (value as A) : other(value, path);

export const list =
  <T>(item: Check<T>, most: number): Check<T[]> =>
  (value, path) => {
    if (!Array.isArray(value)) return wrongType(path, "an array", value);
    if (value.length > most) throw new RangeError(`${path}: must have at most ${most} items, has ${value.length}`);
    // By index: holes are undefined, and no iterator of the value's own runs.
    return Array.from({ length: value.length }, (_, n) => item(value[n], `${path}[${n}]`));
  };

function membersOf(value: unknown, path: string, most: number): [string, unknown][] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return wrongType(path, "an object", value);
  const entries = Object.entries(value);
  if (entries.length > most) throw new RangeError(`${path}: must have at most ${most} members, has ${entries.length}`);
  return entries;
}

/** "host.capabilities.ONE_REG", and members with odd names as `host["…"]`. */
const memberPath = (path: string, name: string): string =>
  /^[A-Za-z_][\w]{0,60}$/.test(name) ? `${path}.${name}` : `${path}[${shown(name)}]`;

/** Any members whose names `known` takes, each checked by what it gives for the name. */
export const record =
  <T>(known: (name: string) => Check<T> | undefined, most: number): Check<Record<string, T>> =>
  (value, path) => {
    const checked = membersOf(value, path, most).map(([name, member]): [string, T] => {
      const at = memberPath(path, name);
      const check = known(name);
      if (check === undefined) throw new RangeError(`${at}: no such name here`);
      return [name, check(member, at)];
    });
    return Object.fromEntries(checked);
  };

type Shape = Readonly<Record<string, Check<unknown>>>;
type Checked<S extends Shape> = { [K in keyof S]: S[K] extends Check<infer T> ? T : never };

/** Exactly these members; `optional` ones may be missing, and then are missing from the copy. */
export const object =
  <S extends Shape, O extends Shape = Record<never, never>>(
    shape: S,
    optional: O = {} as O,
  ): Check<Checked<S> & Partial<Checked<O>>> =>
  (value, path) => {
    const members = new Map(membersOf(value, path, 100));
    const checked = [...Object.entries(shape), ...Object.entries(optional)].flatMap(([name, check]) => {
      const at = memberPath(path, name);
      if (members.has(name)) return [[name, check(members.get(name), at)] as const];
      if (Object.hasOwn(shape, name)) throw new TypeError(`${at}: is missing`);
      return [];
    });
    for (const name of members.keys()) {
      if (!Object.hasOwn(shape, name) && !Object.hasOwn(optional, name)) {
        throw new RangeError(`${memberPath(path, name)}: no such member`);
      }
    }
    return Object.fromEntries(checked) as Checked<S> & Partial<Checked<O>>;
  };
