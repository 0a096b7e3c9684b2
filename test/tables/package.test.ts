// Facts of package.json that npm would turn against us.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const manifest = JSON.parse(readFileSync(fileURLToPath(new URL("../../../package.json", import.meta.url)), "utf8"));

describe("package.json", () => {
  it("has no script that npm takes for the pre- or post-script of another", () => {
    const names = Object.keys(manifest.scripts);
    // npm knows these by itself, whether or not the manifest has them.
    const known = new Set([...names, "install", "publish", "pack", "version", "restart", "stop"]);
    const taken = names.filter((name) => known.has(name.replace(/^(pre|post)/, "")) && /^(pre|post)/.test(name));
    // prepare is npm's own; "pare" is no script.
    assert.deepEqual(taken, []);
  });

  it("has an explicit install script, or npm would run node-gyp for binding.gyp", () => {
    assert.match(manifest.scripts.install, /^node scripts\/install\.mjs$/);
  });

  it("has no runtime dependencies", () => {
    assert.deepEqual(manifest.dependencies ?? {}, {});
  });
});
