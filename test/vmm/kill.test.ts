// What is left of a disk when the VMM ends in the midst of the guest's writes.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DISK_BYTES } from "../guests/guests.js";
import { type Host, onEveryBackend } from "../support/backends.js";

const SECTOR = 512;
const program = fileURLToPath(new URL("./disk-guest.js", import.meta.url));

interface Run {
  readonly stdout: string;
  readonly killed: boolean;
}

/** Runs the guest until it ends, or until it has printed so many lines: then the process gets SIGKILL. */
function run(host: Host, disk: { file: string; access?: "read-only" }, killAfterLines = Number.POSITIVE_INFINITY) {
  const child = spawn(process.execPath, [
    ...process.execArgv,
    program,
    JSON.stringify(disk),
    JSON.stringify(host.options),
  ]);
  let stdout = "";
  child.stdout.setEncoding("latin1").on("data", (text: string) => {
    stdout += text;
    if (stdout.split("\n").length > killAfterLines) child.kill("SIGKILL");
  });
  child.stderr.pipe(process.stderr);
  return new Promise<Run>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (_status, signal) => resolve({ stdout, killed: signal === "SIGKILL" }));
  });
}

onEveryBackend("a guest's disk", (host) => {
  let folder: string;
  /** A disk whose first word tells the guest how many sectors to write. */
  const disk = (sectors: number): string => {
    const file = join(folder, "disk");
    const content = new Uint8Array(DISK_BYTES);
    new DataView(content.buffer).setUint32(0, sectors, true);
    writeFileSync(file, content);
    return file;
  };
  beforeEach(function () {
    this.currentTest?.timeout(180_000);
    folder = mkdtempSync(join(tmpdir(), "kvm-arm64-kill-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("has all that the guest flushed when the VMM is killed", async () => {
    const file = disk(DISK_BYTES / SECTOR - 1);

    const { stdout, killed } = await run(host, { file }, 20 + Math.floor(Math.random() * 200));

    const flushed = [...stdout.matchAll(/^(\d+): written 0, flushed 0$/gm)].map(([, n]) => Number(n));
    const content = readFileSync(file);
    const words = (n: number) => new BigUint64Array(content.buffer, content.byteOffset + n * SECTOR, SECTOR / 8);
    assert.equal(killed, true);
    assert.ok(flushed.length >= 15, stdout);
    assert.deepEqual(
      flushed.filter((n) => !words(n).every((word) => word === BigInt(n))),
      [],
    );
  });

  it("that is read-only is never written: the guest is told so, and its writes fail", async () => {
    const file = disk(3);
    const before = readFileSync(file);

    const { stdout } = await run(host, { file, access: "read-only" });

    assert.match(stdout, /^flush is \w+, read-only$/m);
    assert.equal([...stdout.matchAll(/^\d: written 1, flushed \d$/gm)].length, 3, stdout);
    assert.match(stdout, /^0 read back as written$/m);
    assert.ok(readFileSync(file).equals(before));
  });
});
