// Values that are wrong for a kind of argument, whatever the method.

/** Each wrong value under the name that a failure prints. */
export type Wrong = Readonly<Record<string, unknown>>;

function detached(): Uint8Array {
  const bytes = new Uint8Array(4096);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}

const numbersThatAreNone: Wrong = { "a string": "1", "a bigint": 1n, null: null, "an object": {}, "an array": [1] };
const badNumbers: Wrong = { NaN: Number.NaN, "-1": -1, "1.5": 1.5, Infinity: Number.POSITIVE_INFINITY };

export const u32: Wrong = { ...numbersThatAreNone, ...badNumbers, "2^32": 2 ** 32, undefined: undefined };
export const byteCount: Wrong = { ...numbersThatAreNone, ...badNumbers, "2^53": 2 ** 53, undefined: undefined };
export const u64: Wrong = {
  "a number": 1,
  NaN: Number.NaN,
  "a string": "1",
  null: null,
  "an object": {},
  "-1n": -1n,
  "2n**64n": 2n ** 64n,
  undefined: undefined,
};
export const flag: Wrong = { "a number": 1, "a string": "true", null: null, "an object": {}, undefined: undefined };
/** A name of some table. `__proto__` and `toString` are in every object, and in no table. */
export const name: Wrong = {
  "another name": "no such name",
  "an empty string": "",
  __proto__name: "__proto__",
  toString: "toString",
  "a bigint": 1n,
  null: null,
  "an object": {},
  undefined: undefined,
};
/** A name, or a number that the kernel takes. */
export const nameOrNumber: Wrong = { ...name, ...badNumbers, "2^32": 2 ** 32 };
export const options: Wrong = { "a number": 1, "a string": "{}", null: null, "a bigint": 1n };
export const requiredOptions: Wrong = { ...options, undefined: undefined };
export const array: Wrong = { "a number": 1, "a string": "[]", null: null, "an object": {}, undefined: undefined };
export const registerId: Wrong = {
  "a number": 1,
  "a string": "x0",
  null: null,
  "-1n": -1n,
  "2n**64n": 2n ** 64n,
  "a size field of 15": 0x60f0_0000_0010_0000n,
  undefined: undefined,
};
export const bytes: Wrong = {
  "a number": 8,
  "a string": "bytes",
  null: null,
  "an array": [1, 2, 3],
  "an ArrayBuffer": new ArrayBuffer(4096),
  "bytes that are too few": new Uint8Array(1),
  "a detached buffer": detached(),
  undefined: undefined,
};
export const eventFd: Wrong = { "a number": 3, null: null, "an object": {}, undefined: undefined };

/** The same, where the argument may be left out. */
export function optional({ undefined: _, ...others }: Wrong): Wrong {
  return others;
}
/** The same, where null is a value. */
export function nullable({ null: _, ...others }: Wrong): Wrong {
  return others;
}
