// What the KVM host is fetched and built with.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseBindingGyp } from "../../scripts/kvm/build-addon.js";
import { Cpio } from "../../scripts/kvm/cpio.js";
import { compareVersions, parseDeb822Sources, parseOneLineSources, parsePackages } from "../../scripts/kvm/debian.js";
import { dependencyClosure } from "../../scripts/kvm/initramfs.js";
import { unpackDeb } from "../../scripts/kvm/packages.js";

describe("the Debian archive", () => {
  it("is found in the one-line format of the system's sources", () => {
    const text =
      "# deb http://a/debian old main\ndeb [arch=amd64 signed-by=/k] http://m/debian bookworm main contrib\n";
    assert.deepEqual(parseOneLineSources(`${text}deb-src http://m/debian bookworm main\n`), [
      { uri: "http://m/debian", suites: ["bookworm"] },
    ]);
  });

  it("is found in the deb822 format of the system's sources", () => {
    const text = [
      "Types: deb deb-src",
      "# where it was taken from",
      "URIs: http://m/debian",
      "Suites: bookworm",
      " bookworm-updates",
      "Components: main",
      "",
      "Types: deb",
      "Enabled: no",
      "URIs: http://off/debian",
      "Suites: sid",
      "",
      "Types: deb-src",
      "URIs: http://source/debian",
      "Suites: sid",
    ].join("\n");
    assert.deepEqual(parseDeb822Sources(text), [{ uri: "http://m/debian", suites: ["bookworm", "bookworm-updates"] }]);
  });

  it("orders versions as dpkg does", () => {
    const ordered = [
      ...["1.0~rc1-1", "1.0-1~bpo12+1", "1.0-1", "1.0-1+b1", "1.0-2", "1.0a-1", "1.0+deb12-1", "1.0.1-1"],
      ...["6.12.9-1", "6.12.10-1", "6.12.90-2~bpo12+1", "6.12.95-1~bpo12+1", "1:0.1-1"],
    ];
    assert.deepEqual(ordered.toReversed().sort(compareVersions), ordered);
  });

  it("gives the packages that match, with what is needed to fetch and check them", () => {
    const index = [
      "Package: libc6\nVersion: 2.36-9\nDepends: libgcc-s1\nFilename: pool/libc6.deb\nSize: 7\nSHA256: ab",
      "Package: libc6-dev\nVersion: 2.36-9\nFilename: pool/libc6-dev.deb\nSize: 8\nSHA256: cd",
    ].join("\n\n");
    assert.deepEqual(parsePackages(index, /^libc6$/), [
      { name: "libc6", version: "2.36-9", file: "pool/libc6.deb", bytes: 7, sha256: "ab" },
    ]);
  });
});

describe("the parts of a KVM host", () => {
  let scratch = "";
  beforeEach(() => {
    scratch = mkdtempSync(join(tmpdir(), "kvm-arm64-"));
  });
  afterEach(() => rmSync(scratch, { recursive: true }));

  it("unpacks a Debian package, odd-sized members and all", () => {
    writeFileSync(join(scratch, "hello"), "hello");
    const data = execFileSync("tar", ["-C", scratch, "-cf", "-", "./hello"]);
    const member = (name: string, bytes: Buffer): Buffer =>
      Buffer.concat([
        Buffer.from(`${name.padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}`),
        Buffer.from(`${String(bytes.length).padEnd(10)}\`\n`),
        bytes,
        Buffer.alloc(bytes.length % 2, "\n"),
      ]);
    const deb = Buffer.concat([
      Buffer.from("!<arch>\n"),
      member("debian-binary", Buffer.from("2.0\n")),
      member("control.tar.gz", Buffer.from("odd")),
      member("data.tar", data),
    ]);
    const target = join(scratch, "target");
    mkdirSync(target);
    unpackDeb(deb, target);
    assert.equal(readFileSync(join(target, "hello"), "utf8"), "hello");
  });

  it("writes cpio entries whose header, name and content each end on four bytes", () => {
    const archive = new Cpio().file("/etc/motd", "hello", 0o755).bytes();
    const entries: { name: string; mode: number; content: string }[] = [];
    for (let at = 0; at < archive.length; ) {
      assert.equal(archive.toString("latin1", at, at + 6), "070701");
      const field = (index: number): number =>
        Number.parseInt(archive.toString("latin1", at + 6 + 8 * index, at + 14 + 8 * index), 16);
      const [mode, contentBytes, nameBytes] = [field(1), field(6), field(11)];
      const name = archive.toString("latin1", at + 110, at + 110 + nameBytes - 1);
      const contentAt = (at + 110 + nameBytes + 3) & ~3;
      entries.push({ name, mode, content: archive.toString("latin1", contentAt, contentAt + contentBytes) });
      at = (contentAt + contentBytes + 3) & ~3;
    }
    assert.deepEqual(entries, [
      { name: "etc", mode: 0o040755, content: "" },
      { name: "etc/motd", mode: 0o100755, content: "hello" },
      { name: "TRAILER!!!", mode: 0, content: "" },
    ]);
  });

  it("takes along all that a package depends on, and nothing else", () => {
    for (const [name, dependencies] of Object.entries({
      a: { b: "1" },
      b: { a: "1", "@s/c": "1" },
      "@s/c": {},
      d: {},
    })) {
      mkdirSync(join(scratch, name), { recursive: true });
      writeFileSync(join(scratch, name, "package.json"), JSON.stringify({ name, dependencies }));
    }
    assert.deepEqual(dependencyClosure(["a"], scratch), ["@s/c", "a", "b"]);
  });

  it("reads binding.gyp, which is Python's notation", () => {
    const gyp = `# what is built\n{ 'targets': [ { "target_name": "kvm", 'sources': [ "native/a.cc", ],
      # not here
      'conditions': [["OS!='linux'", { "type": "none" }]], }, ], }`;
    assert.deepEqual(parseBindingGyp(gyp).sources, ["native/a.cc"]);
  });
});
