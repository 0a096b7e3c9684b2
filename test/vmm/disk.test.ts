import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDisk } from "../../lib/vmm/index.js";

describe("openDisk", () => {
  let folder: string;
  const file = (name: string, content: Uint8Array): string => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "kvm-arm64-disk-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  it("reads and writes at any place, from many buffers, of shared memory too", async () => {
    const path = file("a", new Uint8Array(2048));
    const disk = openDisk({ file: path });
    const shared = new Uint8Array(new SharedArrayBuffer(300)).fill(5);

    await disk.write(100, [shared.subarray(0, 100), new Uint8Array(0), shared.subarray(100)]);
    await disk.flush();
    const [into, more] = [new Uint8Array(new SharedArrayBuffer(150)), new Uint8Array(2)];
    await disk.read(251, [into, more]);
    disk.close();

    assert.equal(disk.bytes, 2048);
    assert.deepEqual([into[0], into[148], into[149], more[0]], [5, 5, 0, 0]);
    assert.deepEqual([readFileSync(path).indexOf(5), readFileSync(path).lastIndexOf(5)], [100, 399]);
  });

  it("opens a read-only disk so that nothing can write to it", async () => {
    const path = file("b", new Uint8Array(512));
    const disk = openDisk({ file: path, access: "read-only" });

    await assert.rejects(disk.write(0, [new Uint8Array(1)]), { code: "EBADF" });
    disk.close();
    assert.deepEqual(new Uint8Array(readFileSync(path)), new Uint8Array(512));
  });

  it("says what is wrong with a file that is no raw image", () => {
    const refused = (path: string, message: RegExp): void =>
      assert.throws(() => openDisk({ file: path }), { name: "MachineError", message });

    refused(join(folder, "missing"), /cannot be opened: ENOENT/);
    refused(folder, /cannot be opened: EISDIR/);
    refused("/dev/null", /is no regular file/);
    refused(file("empty", new Uint8Array(0)), /has 0 bytes/);
    refused(file("odd", new Uint8Array(513)), /has 513 bytes: a raw image has a multiple of 512/);
    refused(file("qcow", Buffer.concat([Buffer.from("QFI\xfb", "latin1"), new Uint8Array(508)])), /is a qcow2 image/);
  });

  it("fails a read behind the end of a file that has become shorter, and lasts", async () => {
    const path = file("c", new Uint8Array(1024));
    const disk = openDisk({ file: path });
    writeFileSync(path, new Uint8Array(512));

    await assert.rejects(disk.read(512, [new Uint8Array(512)]), /shorter/);
    await disk.read(0, [new Uint8Array(512)]);
    disk.close();
    assert.equal(statSync(path).size, 512);
  });

  it("ends what is under way before it is closed, and takes nothing new", async () => {
    const disk = openDisk({ file: file("d", new Uint8Array(1024).fill(3)) });
    const into = new Uint8Array(1024);
    const read = disk.read(0, [into]);
    disk.close();
    disk.close();

    await read;
    assert.equal(into[1023], 3);
    await assert.rejects(disk.flush(), /is closed/);
  });
});
