// SVE vector lengths. A vector quadword count, vq, is the length in units of 128 bits.
// Documentation/virt/kvm/api.rst 4.68, KVM_REG_ARM64_SVE_VLS; asm/sve_context.h.

import { shown } from "./argument.js";

/** The largest vq that the architecture's encodings have room for. */
export const SVE_VQ_MAX = 512;
/** The largest that the architecture allows today: 2048 bits. */
export const SVE_ARCH_VQ_MAX = 16;
/** Bits of a Z register in one slice, one register of KVM's. */
export const SVE_SLICE_BITS = 2048;

const VLS_BYTES = SVE_VQ_MAX / 8;

/** The vector lengths in the value of `sve.vls`, as quadwords, ascending. */
export function unpackVqs(vls: Uint8Array): number[] {
  if (!(vls instanceof Uint8Array)) throw new TypeError(`unpackVqs: vls must be a Uint8Array, got ${shown(vls)}`);
  if (vls.length !== VLS_BYTES) throw new RangeError(`unpackVqs: vls must have ${VLS_BYTES} bytes, got ${vls.length}`);
  const vqs: number[] = [];
  for (let vq = 1; vq <= SVE_VQ_MAX; vq++) if (((vls[(vq - 1) >> 3] ?? 0) >> ((vq - 1) & 7)) & 1) vqs.push(vq);
  return vqs;
}

/** The value of `sve.vls` for a set of vector lengths in quadwords: __u64[8], bit vq - 1. */
export function packVqs(vqs: Iterable<number>): Uint8Array {
  const vls = new Uint8Array(VLS_BYTES);
  for (const vq of vqs) {
    if (!Number.isInteger(vq) || vq < 1 || vq > SVE_VQ_MAX)
      throw new RangeError(`packVqs: vqs must be 1 to ${SVE_VQ_MAX}, got ${String(vq)}`);
    vls[(vq - 1) >> 3] = (vls[(vq - 1) >> 3] ?? 0) | (1 << ((vq - 1) & 7));
  }
  return vls;
}

/** The vector lengths in the value of `sve.vls`, in bits, ascending. */
export function unpackVectorBits(vls: Uint8Array): number[] {
  return unpackVqs(vls).map((vq) => vq * 128);
}

/** The value of `sve.vls` for a set of vector lengths in bits. */
export function packVectorBits(lengths: Iterable<number>): Uint8Array {
  return packVqs(
    Array.from(lengths, (bits) => {
      if (!Number.isInteger(bits) || bits % 128 !== 0)
        throw new RangeError(`packVectorBits: lengths must be multiples of 128 bits, got ${String(bits)}`);
      return bits / 128;
    }),
  );
}

/** The greatest vector length in the value of `sve.vls`, in quadwords; 0 for an empty set. */
export function maxVq(vls: Uint8Array): number {
  return unpackVqs(vls).at(-1) ?? 0;
}

/** How many slices a Z register of this vector length takes. */
export function sveSlices(vq: number): number {
  if (!Number.isInteger(vq) || vq < 1 || vq > SVE_VQ_MAX)
    throw new RangeError(`sveSlices: vq must be 1 to ${SVE_VQ_MAX}, got ${String(vq)}`);
  return Math.ceil((vq * 128) / SVE_SLICE_BITS);
}

/** The value of ZCR_EL1.LEN or ZCR_EL2.LEN for a vector length in quadwords. */
export function zcrLen(vq: number): number {
  if (!Number.isInteger(vq) || vq < 1 || vq > SVE_ARCH_VQ_MAX)
    throw new RangeError(`zcrLen: vq must be 1 to ${SVE_ARCH_VQ_MAX}, got ${String(vq)}`);
  return vq - 1;
}
