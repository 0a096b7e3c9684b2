import assert from "node:assert/strict";
import fc from "fast-check";
import {
  decodeFirmwareBitmap,
  encodeFirmwareBitmap,
  featureIdEncoding,
  featureIdIndex,
  firmwareBitmapById,
  firmwareFeatures,
  maxVq,
  packVcpuFeatures,
  packVectorBits,
  packVqs,
  sveSlices,
  unpackVcpuFeatures,
  unpackVectorBits,
  unpackVqs,
  zcrLen,
} from "../../lib/arm64/index.js";

// biome-ignore lint/suspicious/noExplicitAny: plain JavaScript, without the types
type Untyped = any;

describe("SVE vector lengths", () => {
  it("are bit vq - 1 of eight little-endian words", () => {
    const vls = packVqs([1, 2, 4, 16, 512]);
    assert.equal(vls.length, 64);
    assert.deepEqual([vls[0], vls[1], vls[63]], [0b1011, 0b1000_0000, 0b1000_0000]);
    assert.deepEqual(unpackVqs(vls), [1, 2, 4, 16, 512]);
    assert.equal(maxVq(vls), 512);
  });

  it("go both ways in bits", () => {
    assert.deepEqual(unpackVectorBits(packVectorBits([128, 256, 2048])), [128, 256, 2048]);
  });

  it("packVqs and unpackVqs are inverse for every set", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), (vls) => {
        assert.deepEqual(packVqs(unpackVqs(vls)), vls);
      }),
    );
  });

  it("of an empty set have no maximum", () => assert.equal(maxVq(new Uint8Array(64)), 0));

  it("up to 2048 bits take one slice", () => {
    assert.deepEqual([1, 16, 17, 512].map(sveSlices), [1, 1, 2, 32]);
    assert.deepEqual([1, 16].map(zcrLen), [0, 15]);
  });

  it("that are none are refused", () => {
    assert.throws(() => packVqs([0]), { name: "RangeError", message: /vqs must be 1 to 512, got 0/ });
    assert.throws(() => packVqs([513]), { name: "RangeError" });
    assert.throws(() => packVqs([1.5]), { name: "RangeError" });
    assert.throws(() => packVectorBits([100]), { name: "RangeError", message: /multiples of 128 bits, got 100/ });
    assert.throws(() => unpackVqs(new Uint8Array(63)), { name: "RangeError", message: /64 bytes, got 63/ });
    assert.throws(() => unpackVqs([] as Untyped), { name: "TypeError", message: /Uint8Array/ });
    assert.throws(() => sveSlices(0), { name: "RangeError" });
    assert.throws(() => zcrLen(17), { name: "RangeError" });
  });
});

describe("firmware bitmaps", () => {
  it("name the services that are offered, and the bits that are none", () => {
    assert.deepEqual(decodeFirmwareBitmap("vendorHyp", 3n), { services: ["function-features", "ptp"], rest: 0n });
    assert.deepEqual(decodeFirmwareBitmap("std", 0b101n), { services: ["trng-v1.0"], rest: 0b100n });
  });

  it("are made from the names", () => {
    assert.equal(encodeFirmwareBitmap("vendorHyp", ["ptp"]), 2n);
    assert.equal(encodeFirmwareBitmap("std", []), 0n);
  });

  it("are found by their ids", () => {
    assert.equal(firmwareBitmapById(firmwareFeatures.stdHyp)?.name, "stdHyp");
    assert.equal(firmwareBitmapById(0n), undefined);
  });

  it("refuse names that are none", () => {
    assert.throws(() => encodeFirmwareBitmap("std", ["ptp"] as Untyped), {
      name: "TypeError",
      message: /services of std are trng/,
    });
    assert.throws(() => decodeFirmwareBitmap("sdt" as Untyped, 0n), {
      name: "TypeError",
      message: /must be one of std/,
    });
    assert.throws(() => decodeFirmwareBitmap("std", 1 as Untyped), { name: "TypeError", message: /value of std/ });
  });
});

describe("vCPU features", () => {
  it("are bits of the first word", () => {
    assert.equal(packVcpuFeatures(["power-off", "psci-0.2", "sve", "el2-e2h0"]), 0b1_0001_0101);
    assert.deepEqual(unpackVcpuFeatures(0b1_0001_0101), {
      features: ["power-off", "psci-0.2", "sve", "el2-e2h0"],
      rest: 0,
    });
    assert.deepEqual(unpackVcpuFeatures(0x8000_0000), { features: [], rest: 0x8000_0000 });
  });

  it("go both ways", () => {
    for (let word = 0; word < 512; word++) assert.equal(packVcpuFeatures(unpackVcpuFeatures(word).features), word);
  });

  it("refuse names that are none", () => {
    assert.throws(() => packVcpuFeatures(["psci"] as Untyped), { name: "TypeError", message: /psci-0\.2.*got "psci"/ });
  });
});

describe("the index of the feature-ID space", () => {
  it("is that of ARM64_FEATURE_ID_SPACE_IDX", () => {
    // ID_AA64PFR0_EL1, CLIDR_EL1, AIDR_EL1, CTR_EL0
    assert.equal(featureIdIndex([3, 0, 0, 4, 0]), 32);
    assert.equal(featureIdIndex([3, 1, 0, 0, 1]), 65);
    assert.equal(featureIdIndex([3, 1, 0, 0, 7]), 71);
    assert.equal(featureIdIndex([3, 3, 0, 0, 1]), 129);
    assert.deepEqual(featureIdEncoding(129), [3, 3, 0, 0, 1]);
  });

  it("is -1 outside", () => {
    assert.deepEqual(
      [
        [2, 0, 0, 0, 0],
        [3, 2, 0, 0, 0],
        [3, 0, 1, 0, 0],
        [3, 0, 0, 8, 0],
      ].map((encoding) => featureIdIndex(encoding as Untyped)),
      [-1, -1, -1, -1],
    );
  });

  it("has 192 places", () => {
    assert.throws(() => featureIdEncoding(192), { name: "RangeError", message: /index must be 0 to 191/ });
  });
});
