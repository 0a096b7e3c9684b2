import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EM_AARCH64, readElf } from "../../scripts/prebuild-elf.js";
import { libcs, prebuildFile, problemsOf } from "../../scripts/release-gate.js";
import { skip } from "../skip.js";

const cross = "aarch64-linux-gnu-gcc";

/** A shared object for arm64 made from a line of C. */
function sharedObject(source: string, flags: readonly string[] = []): Buffer | null {
  const folder = mkdtempSync(join(tmpdir(), "kvm-arm64-"));
  try {
    const [from, to] = [join(folder, "a.c"), join(folder, "a.so")];
    writeFileSync(from, source);
    const { status } = spawnSync(cross, ["-shared", "-fPIC", "-o", to, from, ...flags]);
    return status === 0 ? readFileSync(to) : null;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const entry =
  "int napi_register_module_v1(void) { return 0; } int node_api_module_get_api_version_v1(void) { return 8; }";

describe("the release gate", () => {
  it("refuses a file of another machine under the name of arm64", function () {
    if (process.platform !== "linux" || process.arch !== "x64") skip(this, "needs an x86-64 file: Node's own on Linux");

    const problems = problemsOf(readFileSync(process.execPath), "glibc");

    assert.match(problems[0] ?? "", /machine is 0x3e, not AArch64/);
  });

  it("refuses what is no ELF file, or is cut short", () => {
    assert.deepEqual(problemsOf(Buffer.from("MZ"), "glibc"), ["not an ELF file"]);
    assert.deepEqual(problemsOf(Buffer.alloc(100), "musl"), ["not an ELF file"]);
    const head = Buffer.alloc(64);
    head.writeUInt32BE(0x7f454c46);
    assert.deepEqual(problemsOf(head, "musl"), ["not a 64-bit little-endian ELF file"]);
  });

  it("refuses symbols newer than glibc 2.28, and any version for musl", function () {
    const newer = sharedObject(
      `#include <pthread.h>\n${entry} int f(pthread_t *t) { return pthread_create(t, 0, 0, 0); }`,
    );
    if (newer === null) skip(this, `needs ${cross}`);

    const problems = problemsOf(newer, "glibc");

    assert.match(problems.join(), /GLIBC_2\.34, newer than GLIBC_2\.28/);
    assert.match(problemsOf(newer, "musl").join(), /needs libc\.so\.6.*musl has none/);
  });

  it("refuses other libraries and the C++ runtime, and takes what is in order", function () {
    const plain = sharedObject(entry, ["-nostdlib"]);
    const withMath = sharedObject(`${entry} double sin(double); double f(double x) { return sin(x); }`, [
      "-Wl,--no-as-needed",
      "-lm",
    ]);
    const throwing = sharedObject(`${entry} void __cxa_throw(void); void f(void) { __cxa_throw(); }`, ["-nostdlib"]);
    const nameless = sharedObject("int f(void) { return 0; }", ["-nostdlib"]);
    if (plain === null || withMath === null || throwing === null || nameless === null) skip(this, `needs ${cross}`);

    assert.deepEqual(problemsOf(plain, "musl"), []);
    assert.match(problemsOf(withMath, "glibc").join(), /needs libm\.so\.6/);
    assert.match(problemsOf(throwing, "musl").join(), /uses the C\+\+ runtime: __cxa_throw/);
    assert.match(problemsOf(nameless, "musl").join(), /does not export napi_register_module_v1/);
  });

  for (const libc of libcs) {
    it(`takes the prebuilt addon for ${libc}`, function () {
      const file = prebuildFile(libc);
      if (!existsSync(file)) skip(this, "npm run prebuild has not been run");

      const bytes = readFileSync(file);

      assert.deepEqual(problemsOf(bytes, libc), []);
      assert.equal(readElf(bytes).machine, EM_AARCH64);
    });
  }
});
