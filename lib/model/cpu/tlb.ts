// What a TLBI of the EL1&0 regime invalidates. DDI 0487 C5.5, "TLB maintenance instructions"; D8, "TLB maintenance".

/** By what a translation is found. `first` and `last`: pages of 4 KiB, bits 55:12 of a virtual address. */
export type Invalidation =
  | { readonly by: "everything" }
  /** What is not global, of one address space. */
  | { readonly by: "asid"; readonly asid: number }
  /** `asid` null: of any; global translations always. */
  | { readonly by: "address"; readonly first: number; readonly last: number; readonly asid: number | null };

/** A translation that is remembered: its first page, log2 of its bytes, and whether it is global. */
export interface Remembered {
  readonly page: number;
  readonly shift: number;
  readonly global: boolean;
}

/** op2 of the encodings. */
const Op2 = { all: 0, asid: 2, va: 1, vaa: 3, val: 5, vaal: 7 } as const;
/** CRm of those with a range of addresses. */
const RANGES: ReadonlySet<number> = new Set([2, 5, 6]);

const PAGES = 1n << 44n;
const field = (value: bigint, lsb: bigint, bits: bigint): number => Number((value >> lsb) & ((1n << bits) - 1n));

/** What the instruction `id` (op0:op1:CRn:CRm:op2) means with its operand. */
export function invalidationOf(id: number, operand: bigint): Invalidation {
  const op2 = id & 7;
  if (op2 === Op2.all) return { by: "everything" };
  const asid = field(operand, 48n, 16n);
  if (op2 === Op2.asid) return { by: "asid", asid };
  const of = op2 === Op2.va || op2 === Op2.val ? asid : null;
  if (RANGES.has((id >> 3) & 15)) return range(operand, of);
  // Only the last level is remembered: whether the others go, too, makes no difference.
  const page = field(operand, 0n, 44n);
  return { by: "address", first: page, last: page, asid: of };
}

/** BaseADDR, and (NUM + 1) << (5 × SCALE + 1) pages of the granule that TG says. */
function range(operand: bigint, asid: number | null): Invalidation {
  const granule = [0n, 12n, 14n, 16n][field(operand, 46n, 2n)]!;
  // A reserved granule is invalidated for all that it may be.
  if (granule === 0n) return { by: "everything" };
  const base = BigInt.asUintN(44, BigInt.asIntN(37, operand & ((1n << 37n) - 1n)) << (granule - 12n));
  const count = BigInt(field(operand, 39n, 5n) + 1) << BigInt(5 * field(operand, 44n, 2n) + 1);
  const last = base + (count << (granule - 12n)) - 1n;
  return { by: "address", first: Number(base), last: Number(last < PAGES ? last : PAGES - 1n), asid };
}

/** Whether a translation goes. `asid`: the address space that those which are not global belong to. */
export function invalidates(what: Invalidation, { page, shift, global }: Remembered, asid: number): boolean {
  switch (what.by) {
    case "everything":
      return true;
    case "asid":
      return !global && what.asid === asid;
    case "address": {
      const pages = 2 ** (shift - 12);
      const first = page - (page % pages);
      if (what.last < first || what.first >= first + pages) return false;
      return global || what.asid === null || what.asid === asid;
    }
  }
}
