import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { skip, skipWithout } from "../skip.js";
import { buildAll, compilerVersion } from "./build.js";
import { compilerFile, DISK_BYTES, expected, fileName, guestFile, guests, guestsFolder } from "./guests.js";

describe("guest programs", () => {
  it("are all committed, small, and nothing else is in test/guests/bin", () => {
    const files = readdirSync(join(guestsFolder, "bin")).sort();

    assert.deepEqual(files, [...guests.map(fileName), "compiler.txt"].sort());
    for (const guest of guests) assert.ok(statSync(guestFile(guest)).size <= 16384, fileName(guest));
  });

  it("have a source and an expected output each", () => {
    const programs = readdirSync(join(guestsFolder, "programs"));
    const named = guests.flatMap((g) => [
      g.stdout,
      g.until?.stdout,
      ...g.sources.map((s) => s.replace("programs/", "")),
    ]);

    assert.deepEqual(
      programs.filter((file) => !named.includes(file) && !file.endsWith(".h")),
      [],
    );
    for (const guest of guests) assert.match(expected(guest).stdout, /\n$/);
  });

  it("are the bytes that the compiler gives", function () {
    this.timeout(60_000);
    const version = compilerVersion();
    const made = readFileSync(compilerFile, "utf8").trim();
    if (version !== made) {
      skip(this, `the committed files came from ${made}, here is ${version ?? "no arm64 cross compiler"}`);
    }
    const folder = buildAll();
    try {
      for (const guest of guests) {
        const [built, committed] = [readFileSync(join(folder, fileName(guest))), readFileSync(guestFile(guest))];
        assert.ok(built.equals(committed), `${fileName(guest)} differs from its sources: npm run guests`);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("guest programs under qemu-system-aarch64", () => {
  const folders: string[] = [];
  const scratch = (): string => {
    const folder = mkdtempSync(join(tmpdir(), "kvm-arm64-guest-"));
    folders.push(folder);
    return folder;
  };
  after(() => {
    for (const folder of folders) rmSync(folder, { recursive: true });
  });

  for (const guest of guests) {
    it(`${fileName(guest)} prints the same on QEMU's CPU`, async function () {
      this.timeout(60_000);
      const board = guest.gicv3 === true ? "virt,gic-version=3" : "virt";
      const args =
        `-M ${board} -cpu max -smp ${guest.cpus} -m 128 -display none -nodefaults -serial stdio -kernel`.split(" ");
      if (guest.disk === true) {
        const disk = join(scratch(), "disk");
        writeFileSync(disk, new Uint8Array(DISK_BYTES));
        const drive = ["-drive", `file=${disk},if=none,id=disk,format=raw`, "-device", "virtio-blk-device,drive=disk"];
        args.unshift("-global", "virtio-mmio.force-legacy=false", ...drive);
      }
      const options = { encoding: "latin1", timeout: 50_000 } as const;
      const run = await promisify(execFile)("qemu-system-aarch64", [...args, guestFile(guest)], options).catch(
        (error: NodeJS.ErrnoException) => error,
      );
      if (run instanceof Error && run.code === "ENOENT") {
        skipWithout(this, "qemu", "qemu-system-aarch64 is not installed (Debian: qemu-system-arm)");
      }
      assert.ok(!(run instanceof Error), String(run));

      assert.equal(run.stdout, expected(guest).stdout);
    });
  }
});
