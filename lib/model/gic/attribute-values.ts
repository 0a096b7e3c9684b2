// The value behind a device attribute's pointer: behind one that is too short there is no memory.

import { Refused } from "../../errors.js";

function view(value: Uint8Array | null, bytes: number, call: string): DataView {
  if (value === null || value.length < bytes) throw new Refused("EFAULT", call);
  return new DataView(value.buffer, value.byteOffset, value.byteLength);
}

const SET = "KVM_SET_DEVICE_ATTR";
const GET = "KVM_GET_DEVICE_ATTR";

/** What KVM_SET_DEVICE_ATTR points at. */
export const givenWord = (value: Uint8Array | null): number => view(value, 4, SET).getUint32(0, true);
export const givenQuad = (value: Uint8Array | null): bigint => view(value, 8, SET).getBigUint64(0, true);

/** What KVM_GET_DEVICE_ATTR points at. */
export const askedQuad = (value: Uint8Array | null): bigint => view(value, 8, GET).getBigUint64(0, true);
export const answerWord = (value: Uint8Array | null, word: number): void =>
  view(value, 4, GET).setUint32(0, word, true);
export const answerQuad = (value: Uint8Array | null, quad: bigint): void =>
  view(value, 8, GET).setBigUint64(0, quad, true);
