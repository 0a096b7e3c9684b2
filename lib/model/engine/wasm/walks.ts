// What generated code knows of the translation regime when it walks the guest's tables (walker.ts).

import { EE } from "../../cpu/data-order.js";
import {
  isHierarchical,
  keepsDirtyState,
  keepsEl0Out,
  largestBlock,
  noWalks,
  type Regime,
  topByteIgnored,
  walkOf,
} from "../../cpu/stage1.js";

/** What a walk of one range needs, in bytes from its begin: the lower range's, then the upper's. */
export const Walk = {
  flags: 0,
  /** Bits of a tag, of data and of instructions; bits of an address above a page's number. */
  tag: 4,
  fetchTag: 8,
  size: 12,
  granule: 16,
  /** log2 of what an entry of the first table maps, and of the largest block. */
  shift: 20,
  largest: 24,
  outputBits: 28,
  table: 32,
  /** Of an index of the first table. */
  mask: 40,
  mair: 48,
  bytes: 64,
} as const;
export const WALKS_BYTES = 2 * Walk.bytes;

export const Flag = {
  walks: 1,
  hierarchical: 2,
  keepsEl0Out: 4,
  dirtyState: 8,
  writeNeverExecutes: 16,
  aligned: 32,
} as const;

const SCTLR_A = 2;

/** Writes down what walks need to know. `at`: see `Room`. */
export function writeWalks(view: DataView, at: number, regime: Regime, sctlr: number): void {
  for (const high of [false, true]) {
    const range = at + (high ? Walk.bytes : 0);
    const walk = regime.enabled && (sctlr & EE) === 0 && !noWalks(regime, high) ? walkOf(regime, high) : null;
    view.setInt32(range + Walk.flags, 0, true);
    if (walk === null || walk.table >> BigInt(walk.outputBits) !== 0n) continue;
    const { granule, stride, size, outputBits, level, width, table } = walk;
    const word = (offset: number, value: number) => view.setInt32(range + offset, value, true);
    word(Walk.tag, topByteIgnored(regime, high, { kind: "read" }) ? 8 : 0);
    word(Walk.fetchTag, topByteIgnored(regime, high, { kind: "fetch" }) ? 8 : 0);
    word(Walk.size, size);
    word(Walk.granule, granule);
    word(Walk.shift, (3 - level) * stride + granule);
    word(Walk.largest, largestBlock(granule));
    word(Walk.outputBits, outputBits);
    view.setBigUint64(range + Walk.table, table, true);
    view.setBigUint64(range + Walk.mask, (1n << BigInt(width)) - 1n, true);
    view.setBigUint64(range + Walk.mair, regime.mair, true);
    let flags: number = Flag.walks;
    if (isHierarchical(regime, high)) flags |= Flag.hierarchical;
    if (keepsEl0Out(regime, high)) flags |= Flag.keepsEl0Out;
    if (keepsDirtyState(regime)) flags |= Flag.dirtyState;
    if (regime.writeNeverExecutes) flags |= Flag.writeNeverExecutes;
    if ((sctlr & SCTLR_A) !== 0) flags |= Flag.aligned;
    word(Walk.flags, flags);
  }
}
