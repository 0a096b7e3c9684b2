// The table of the kernel's selftests, against the files that it names and the page that shows it.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../../scripts/kvm/initramfs.js";
import { selftests, selftestsAsText } from "../contract/selftests.js";

describe("the table of the kernel's selftests", () => {
  it("names each selftest once", () => {
    const names = selftests.flatMap((row) => row.selftests);
    assert.deepEqual(names, [...new Set(names)]);
  });

  it("says of each where it stands or why it is left out", () => {
    const silent = selftests.filter(({ files, leftOut }) => files.length === 0 && leftOut === "");
    assert.deepEqual(silent, []);
  });

  for (const file of new Set(selftests.flatMap((row) => row.files))) {
    it(`names a file that there is: ${file}`, () => {
      assert.ok(existsSync(join(projectFolder, "test/contract", `${file}.test.ts`)));
    });
  }

  it("is the one of docs/testing.md", () => {
    const page = readFileSync(join(projectFolder, "docs/testing.md"), "utf8");
    const shown = page.match(/<!-- selftests -->\n+([\s\S]*?)\n+<!-- end -->/)?.[1];
    assert.equal(shown, selftestsAsText());
  });
});
