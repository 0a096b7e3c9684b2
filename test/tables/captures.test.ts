import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { captureText } from "../../lib/cli/capture-host.js";
import { parseCapture } from "../../lib/model/host/capture.js";
import { bundledHosts } from "../../lib/model/host/choice.js";
import { captureNames, capturesFolder } from "../../scripts/captures.js";

describe("the bundled captures", () => {
  it("are those that scripts/captures.ts takes", () => {
    assert.deepEqual(bundledHosts(), [...captureNames].sort());
  });

  for (const name of captureNames) {
    it(`say how ${name} was taken, on the kernel of its name, in less than 60 KB`, () => {
      const bytes = readFileSync(`${capturesFolder}/${name}.json`);
      const host = parseCapture(bytes, name);

      assert.ok(bytes.length < 60_000);
      assert.match(host.note, /^emulated: QEMU \d+\.\d+\.\d+ .* -cpu .*kernel/);
      assert.ok(name.endsWith(`-${host.kernel.contract}`) && host.kernel.release.startsWith(host.kernel.contract));
      assert.equal(bytes.toString(), `${captureText(host)}\n`);
    });
  }
});
