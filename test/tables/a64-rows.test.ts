import assert from "node:assert/strict";
import fc from "fast-check";
import { encode, extract, parseBits } from "../../lib/model/a64/bits.js";
import { relation } from "../../lib/model/a64/decode.js";
import { features } from "../../lib/model/a64/features.js";
import { a64, decodeA64 } from "../../lib/model/a64/table.js";

const word = fc.integer({ min: 0, max: 0xffff_ffff });

describe("the table of A64 instructions", () => {
  it("has rows that are disjoint, or one strictly inside the other", () => {
    const clashes: string[] = [];
    for (const [n, a] of a64.entries()) {
      for (const b of a64.slice(n + 1)) {
        if (relation(a, b) === "clash") clashes.push(`${a.name} [${a.bits}]\n  ${b.name} [${b.bits}]`);
      }
    }
    assert.deepEqual(clashes, []);
  });

  it("gives each row a name of its own", () => {
    const names = a64.map((row) => row.name);
    assert.deepEqual(
      names.filter((name, n) => names.indexOf(name) !== n),
      [],
    );
  });

  it("encodes what it extracts, in every row", () => {
    fc.assert(
      fc.property(fc.constantFrom(...a64), word, ({ encoding }, random) => {
        const inRow = ((random & ~encoding.mask) | encoding.value) >>> 0;
        return encode(encoding, extract(encoding, inRow), inRow) === inRow;
      }),
      { numRuns: 5000 },
    );
  });

  it("decodes a word to the most specific row that it matches", () => {
    fc.assert(
      fc.property(fc.constantFrom(...a64), word, ({ encoding }, random) => {
        const inRow = ((random & ~encoding.mask) | encoding.value) >>> 0;
        const matching = a64.filter((row) => (inRow & row.encoding.mask) >>> 0 === row.encoding.value);
        const found = decodeA64(inRow);
        return found !== undefined && matching.every((row) => row === found || relation(found, row) === "inside");
      }),
      { numRuns: 5000 },
    );
  });

  it("names features that the ID registers have", () => {
    const unknown = a64.flatMap((row) => row.needs).filter((feature) => !(feature in features));
    assert.deepEqual(unknown, []);
  });

  it("has a feature in every row that is still to do, so that none is silently promised", () => {
    const promised = a64.filter((row) => row.run === null && row.needs.length === 0).map((row) => row.name);
    assert.deepEqual(promised, []);
  });
});

describe("the notation of a row", () => {
  it("refuses a row that is not 32 bits wide", () => {
    assert.throws(() => parseBits("sf 0 rd:5"), /7 bits wide/);
  });

  it("refuses a name that stands twice", () => {
    assert.throws(() => parseBits("rd:5 rd:5 0000000000000000000000"), /rd stands twice/);
  });

  it("refuses what it cannot read", () => {
    assert.throws(() => parseBits("0x12 rd:5"), /cannot read "0x12"/);
  });

  it("reads signed fields with their sign", () => {
    assert.deepEqual(extract(parseBits("imm:s9 00000000000000000000000"), 0xff80_0000), { imm: -1 });
  });
});
