import assert from "node:assert/strict";
import { packEncoding } from "../../lib/arm64/sysregs.js";
import { type Invalidation, invalidates, invalidationOf } from "../../lib/model/cpu/tlb.js";

const tlbi = (crm: number, op2: number) => packEncoding([1, 0, 8, crm, op2]);
const page = (number: number, more: { shift?: number; global?: boolean } = {}) => ({
  page: number,
  shift: 12,
  global: false,
  ...more,
});
const goes = (what: Invalidation, pages: ReturnType<typeof page>[], asid = 7) =>
  pages.filter((one) => invalidates(what, one, asid)).map((one) => one.page);

describe("TLB maintenance", () => {
  it("VMALLE1 invalidates everything", () => {
    assert.deepEqual(goes(invalidationOf(tlbi(7, 0), 0n), [page(1), page(2, { global: true })]), [1, 2]);
  });

  it("ASIDE1 invalidates what is not global of that address space", () => {
    const pages = [page(1), page(2, { global: true })];

    assert.deepEqual(goes(invalidationOf(tlbi(7, 2), 7n << 48n), pages), [1]);
    assert.deepEqual(goes(invalidationOf(tlbi(7, 2), 8n << 48n), pages), []);
  });

  for (const [name, op2] of [
    ["VAE1", 1],
    ["VALE1", 5],
  ] as const) {
    it(`${name} invalidates a page of that address space, or a global one`, () => {
      const pages = [page(0x1234), page(0x1235), page(0x1234, { global: true })];

      assert.deepEqual(goes(invalidationOf(tlbi(7, op2), (7n << 48n) | 0x1234n), pages), [0x1234, 0x1234]);
      assert.deepEqual(goes(invalidationOf(tlbi(7, op2), (8n << 48n) | 0x1234n), pages), [0x1234]);
    });
  }

  it("VAAE1 invalidates a page of any address space", () => {
    assert.deepEqual(goes(invalidationOf(tlbi(7, 3), (8n << 48n) | 0x1234n), [page(0x1234), page(0x1235)]), [0x1234]);
  });

  it("by address, all of a block goes that the address lies in", () => {
    const block = { shift: 21, global: true };
    const pages = [page(0x1200, block), page(0x13ff, block), page(0x1400, block)];

    assert.deepEqual(goes(invalidationOf(tlbi(7, 1), 0x1234n), pages), [0x1200, 0x13ff]);
  });

  it("RVAE1 invalidates the pages of a range, upper addresses included", () => {
    // TG 4 KiB, SCALE 0, NUM 1: 4 pages.
    const operand = (base: bigint) => (7n << 48n) | (1n << 46n) | (1n << 39n) | base;
    const all = [0x0f, 0x10, 0x13, 0x14].map((n) => page(n));

    assert.deepEqual(goes(invalidationOf(tlbi(6, 1), operand(0x10n)), all), [0x10, 0x13]);
    const high = 0xfff_ffff_f000;
    assert.deepEqual(goes(invalidationOf(tlbi(6, 1), operand(0x1f_ffff_f000n)), [page(high), page(high + 4)]), [high]);
  });

  it("a range counts in pages of its granule, and grows with its scale", () => {
    const operand = (2n << 46n) | (1n << 44n) | (0n << 39n) | 1n;

    const what = invalidationOf(tlbi(2, 3), operand);

    assert.deepEqual(what, { by: "address", first: 4, last: 4 + 64 * 4 - 1, asid: null });
  });
});
