// All rows, in the order of the manual, and the decoder over them.

import { decoder } from "./decode.js";
import type { Insn } from "./insn.js";
import { atomics } from "./insns/atomics.js";
import { branches } from "./insns/branches.js";
import { crypto } from "./insns/crypto.js";
import { dataImmediate } from "./insns/data-immediate.js";
import { dataRegister } from "./insns/data-register.js";
import { floatingPoint } from "./insns/floating-point.js";
import { loadStore } from "./insns/load-store.js";
import { loadStoreExclusive } from "./insns/load-store-exclusive.js";
import { loadStoreVector } from "./insns/load-store-vector.js";
import { otherSpaces } from "./insns/other-spaces.js";
import { pointerAuth } from "./insns/pointer-auth.js";
import { simdElement } from "./insns/simd-element.js";
import { simdMove } from "./insns/simd-move.js";
import { simdShift } from "./insns/simd-shift.js";
import { simdThree } from "./insns/simd-three.js";
import { simdTwo } from "./insns/simd-two.js";
import { system } from "./insns/system.js";

export const a64: readonly Insn[] = [
  ...dataImmediate,
  ...branches,
  ...system,
  ...loadStoreExclusive,
  ...loadStore,
  ...atomics,
  ...loadStoreVector,
  ...dataRegister,
  ...pointerAuth,
  ...floatingPoint,
  ...simdMove,
  ...simdThree,
  ...simdTwo,
  ...simdElement,
  ...simdShift,
  ...crypto,
  ...otherSpaces,
];

/** The row of a word (an unsigned 32-bit number), or undefined where nothing is allocated. */
export const decodeA64 = decoder(a64);
