// A register's value and its bytes: the only place that knows both.

import { shown } from "./argument.js";
import { formatRegId } from "./format.js";
import type { RegBits, RegId, RegValue } from "./reg-id.js";
import { bitsOf, bytesOf } from "./reg-id.js";

/** The bytes that KVM_SET_ONE_REG takes. The errors name the register. */
export function bytesOfValue<B extends RegBits>(id: RegId<B>, value: RegValue<B>): Uint8Array {
  const bytes = new Uint8Array(bytesOf(id));
  writeValue(id, value, bytes, 0);
  return bytes;
}

/** Writes a value where a list of values is packed; gives the number of bytes. */
export function writeValue<B extends RegBits>(
  id: RegId<B>,
  value: RegValue<B>,
  into: Uint8Array,
  offset: number,
): number {
  const bits: RegBits = bitsOf(id);
  const length = bits / 8;
  if (bits > 64) {
    if (!(value instanceof Uint8Array))
      throw new TypeError(`${formatRegId(id)} has ${bits} bits: its value is a Uint8Array, got ${shown(value)}`);
    if (value.length !== length)
      throw new RangeError(`${formatRegId(id)} has ${bits} bits: its value has ${length} bytes, got ${value.length}`);
    into.set(value, offset);
    return length;
  }
  const view = new DataView(into.buffer, into.byteOffset + offset, length);
  if (bits === 64) {
    if (typeof value !== "bigint")
      throw new TypeError(`${formatRegId(id)} has 64 bits: its value is a bigint, got ${shown(value)}`);
    if (value < 0n || value >> 64n !== 0n)
      throw new RangeError(`${formatRegId(id)} has 64 bits: its value is 0 to 2^64 - 1, got ${value}`);
    view.setBigUint64(0, value, true);
    return length;
  }
  if (typeof value !== "number")
    throw new TypeError(`${formatRegId(id)} has ${bits} bits: its value is a number, got ${shown(value)}`);
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits)
    throw new RangeError(`${formatRegId(id)} has ${bits} bits: its value is 0 to 2^${bits} - 1, got ${value}`);
  if (bits === 32) view.setUint32(0, value, true);
  else if (bits === 16) view.setUint16(0, value, true);
  else view.setUint8(0, value);
  return length;
}

/** The value in the bytes that KVM_GET_ONE_REG gave. Of registers above 64 bits it is a copy. */
export function valueOfBytes<B extends RegBits>(id: RegId<B>, bytes: Uint8Array, offset = 0): RegValue<B> {
  const bits: RegBits = bitsOf(id);
  const length = bits / 8;
  if (bytes.length < offset + length)
    throw new RangeError(`${formatRegId(id)} has ${length} bytes, got ${bytes.length - offset}`);
  // Not slice: of a Buffer that would be a view.
  if (bits > 64) return new Uint8Array(bytes.subarray(offset, offset + length)) as RegValue<B>;
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, length);
  if (bits === 64) return view.getBigUint64(0, true) as RegValue<B>;
  if (bits === 32) return view.getUint32(0, true) as RegValue<B>;
  return (bits === 16 ? view.getUint16(0, true) : view.getUint8(0)) as RegValue<B>;
}
