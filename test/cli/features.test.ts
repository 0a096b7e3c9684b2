import assert from "node:assert/strict";
import { pictureText, takePicture } from "../../lib/cli/features.js";
import { Kvm } from "../../lib/index.js";

describe("the picture of kvm-arm64 features", () => {
  const picture = (host: "qemu-cortex-a72-7.2" | "qemu-max-7.2") => {
    using kvm = Kvm.open({ backend: "model", model: { host, impersonate: true } });
    return takePicture(kvm);
  };

  it("tells which features of INIT the host offers, and asks for them", () => {
    const [without, withSve] = [picture("qemu-cortex-a72-7.2"), picture("qemu-max-7.2")];

    assert.deepEqual(without.asked.includes("sve"), false);
    assert.deepEqual(withSve.asked.includes("sve"), true);
    assert.match(pictureText(without, "present"), /^vcpu\.init sve: not on this host$/m);
    assert.match(pictureText(withSve, "present"), /^vcpu\.init sve: yes$/m);
  });

  it("tells of a field its value, its meaning, and what it can be", () => {
    const text = pictureText(picture("qemu-cortex-a72-7.2"), "present");

    assert.match(text, /^ID_AA64ISAR0_EL1 0x[\da-f]+$/m);
    assert.match(text, /^ {2}CRC32 +1 +FEAT_CRC32; can be 0, 1$/m);
    assert.match(text, /^ {2}SVE +0 +needs vcpu\.init\(\{ features: \["sve"\] \}\)$/m);
  });

  it("leaves out fields that are 0 and stay so, unless all are wanted", () => {
    const here = picture("qemu-cortex-a72-7.2");

    assert.doesNotMatch(pictureText(here, "present"), /^ {2}RNDR /m);
    assert.match(pictureText(here, "all"), /^ {2}RNDR +0$/m);
  });
});
