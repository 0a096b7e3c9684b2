// Virtio devices, and what drivers do to them that mean harm.
import assert from "node:assert/strict";
import fc from "fast-check";
import { virtioBlock } from "../../lib/vmm/virtio/block.js";
import { virtioEntropy } from "../../lib/vmm/virtio/entropy.js";
import type { VirtioDevice } from "../../lib/vmm/virtio/mmio.js";
import { BUFFERS, DESCRIPTORS, DEVICE_AREA, DRIVER_AREA, Driver, INDIRECT, RAM_AT } from "./driver.js";
import { openMemoryDisk } from "./memory-disk.js";

const NEEDS_RESET = 64;
const F_FLUSH = 1n << 9n;
const F_INDIRECT = 1n << 28n;
const F_EVENT_IDX = 1n << 29n;

const DATA = BUFFERS + 0x1000n;
const STATUS = BUFFERS + 0x8000n;

/** A block request: header, data, and a status byte that is not yet written. */
function request(driver: Driver, type: number, sector: bigint, bytes: number): void {
  const at = driver.offset(BUFFERS);
  driver.view.setUint32(at, type, true);
  driver.view.setBigUint64(at + 8, sector, true);
  driver.bytes[driver.offset(STATUS)] = 0xee;
  const data = bytes > 0 ? [{ at: DATA, bytes }] : [];
  const [out, into] = type === 1 ? [data, []] : [[], data];
  driver.chain([{ at: BUFFERS, bytes: 16 }, ...out], [...into, { at: STATUS, bytes: 1 }]);
}

/** Sends it and gives the status byte. */
async function answer(driver: Driver): Promise<number> {
  driver.offer();
  await driver.answered();
  return driver.bytes[driver.offset(STATUS)] as number;
}

const started = (device: VirtioDevice, features = F_FLUSH): Driver => {
  const driver = new Driver(device);
  driver.start(features);
  return driver;
};

describe("a virtio device over MMIO", () => {
  it("is found by its magic word, version 2 and its kind", () => {
    const driver = new Driver(virtioBlock(openMemoryDisk(1024)));

    assert.deepEqual([driver.read(0), driver.read(4), driver.read(8)], [0x7472_6976, 2, 2]);
    assert.equal(driver.read(0x34), 256);
  });

  it("offers VERSION_1, indirect descriptors and event indices", () => {
    const driver = new Driver(virtioEntropy());

    driver.write(0x14, 0);
    assert.equal(driver.read(0x10), 0x3000_0000);
    driver.write(0x14, 1);
    assert.equal(driver.read(0x10), 1);
    driver.write(0x14, 2);
    assert.equal(driver.read(0x10), 0);
  });

  it("keeps FEATURES_OK from a driver that wants what is not offered, or no VERSION_1", () => {
    const driver = new Driver(virtioEntropy());
    driver.write(0x24, 0);
    driver.write(0x20, 1);
    driver.write(0x70, 11);
    assert.equal(driver.status, 3);

    driver.write(0x20, 0);
    driver.write(0x70, 11);
    assert.equal(driver.status, 3);
  });

  it("shows its configuration in any width, and zeros behind it", () => {
    const driver = new Driver(virtioBlock(openMemoryDisk(5 * 512)));

    assert.deepEqual([driver.read(0x100), driver.read(0x104), driver.read(0x10c), driver.read(0x200)], [5, 0, 254, 0]);
  });

  it("interrupts when it has answered, until that is acknowledged", async () => {
    const driver = started(virtioEntropy(), 0n);
    driver.chain([], [{ at: DATA, bytes: 64 }]);
    driver.offer();

    assert.equal(driver.interrupt, true);
    assert.equal(driver.read(0x60), 1);
    driver.write(0x64, 1);
    assert.equal(driver.interrupt, false);
    assert.deepEqual([driver.used, driver.usedElement(0)], [1, [0, 64]]);
  });

  it("does not interrupt a driver that does not want it", () => {
    const driver = started(virtioEntropy(), 0n);
    driver.view.setUint16(driver.offset(DRIVER_AREA), 1, true);
    driver.chain([], [{ at: DATA, bytes: 64 }]);
    driver.offer();

    assert.deepEqual([driver.used, driver.interrupt], [1, false]);
  });

  it("interrupts at the entry that the driver names, with event indices, and names the next that it wants", () => {
    const driver = started(virtioEntropy(), F_EVENT_IDX);
    driver.view.setUint16(driver.offset(DRIVER_AREA) + 4 + 2 * driver.size, 1, true);
    driver.chain([], [{ at: DATA, bytes: 64 }]);

    driver.offer();
    assert.deepEqual([driver.used, driver.interrupt], [1, false]);
    driver.offer();
    assert.deepEqual([driver.used, driver.interrupt], [2, true]);
    assert.equal(driver.view.getUint16(driver.offset(DEVICE_AREA) + 4 + 8 * driver.size, true), 2);
  });

  it("gives nothing back of what was asked before a reset, and is not reset before it is done", async () => {
    let finish: (bytes: number) => void = () => {};
    const device: VirtioDevice = {
      ...virtioEntropy(),
      answer: () => new Promise<number>((resolve) => (finish = resolve)),
    };
    const driver = started(device, 0n);
    driver.chain([], [{ at: DATA, bytes: 64 }]);
    driver.offer();

    driver.write(0x70, 0);
    assert.notEqual(driver.status, 0);
    finish(64);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([driver.status, driver.used, driver.interrupt], [0, 0, false]);
  });

  it("tells the machine when it fails by its own fault", async () => {
    const driver = started({ ...virtioEntropy(), answer: () => Promise.reject(new Error("broken")) }, 0n);
    driver.chain([], [{ at: DATA, bytes: 64 }]);
    driver.offer();
    await new Promise((resolve) => setImmediate(resolve));

    assert.equal(driver.failure?.message, "broken");
  });
});

describe("a virtio block device", () => {
  it("reads and writes sectors", async () => {
    const disk = openMemoryDisk(4 * 512);
    const driver = started(virtioBlock(disk));
    driver.bytes.fill(7, driver.offset(DATA), driver.offset(DATA) + 1024);

    request(driver, 1, 2n, 1024);
    assert.equal(await answer(driver), 0);
    driver.bytes.fill(0, driver.offset(DATA), driver.offset(DATA) + 1024);
    request(driver, 0, 1n, 1024);
    assert.equal(await answer(driver), 0);

    assert.deepEqual([...disk.content].indexOf(7), 1024);
    const read = driver.bytes.subarray(driver.offset(DATA), driver.offset(DATA) + 1024);
    assert.deepEqual([read[0], read[511], read[512], read[1023]], [0, 0, 7, 7]);
    assert.deepEqual(driver.usedElement(1), [0, 1025]);
  });

  it("flushes when it is asked to, and after each write where the driver cannot ask", async () => {
    const disk = openMemoryDisk(512);
    const driver = started(virtioBlock(disk));
    request(driver, 1, 0n, 512);
    await answer(driver);
    assert.equal(disk.flushes, 0);
    request(driver, 4, 0n, 0);
    assert.deepEqual([await answer(driver), disk.flushes], [0, 1]);

    const simple = started(virtioBlock(disk), 0n);
    request(simple, 1, 0n, 512);
    assert.deepEqual([await answer(simple), disk.flushes], [0, 2]);
  });

  it("says that a read-only disk is one, and writes nothing to it", async () => {
    const disk = openMemoryDisk(512, "read-only");
    const driver = started(virtioBlock(disk));
    driver.bytes.fill(7, driver.offset(DATA), driver.offset(DATA) + 512);
    driver.write(0x14, 0);

    request(driver, 1, 0n, 512);

    assert.equal(await answer(driver), 1);
    assert.equal(driver.read(0x10) & 32, 32);
    assert.deepEqual(disk.content, new Uint8Array(512));
  });

  it("answers IOERR behind the end of the disk, and to what is no number of sectors", async () => {
    const driver = started(virtioBlock(openMemoryDisk(1024)));
    const tries = [
      [0, 2n, 512],
      [0, 1n, 1024],
      [0, 2n ** 55n, 512],
      [0, 2n ** 64n - 1n, 512],
      [1, 1n, 1024],
      [0, 0n, 100],
    ] as const;
    for (const [type, sector, bytes] of tries) {
      request(driver, type, sector, bytes);
      assert.equal(await answer(driver), 1, `${type} ${sector} ${bytes}`);
    }
  });

  it("answers IOERR when the host's disk fails, and goes on", async () => {
    const disk = openMemoryDisk(1024);
    let broken = true;
    const read: typeof disk.read = async (at, into) => {
      if (broken) throw new Error("EIO");
      await disk.read(at, into);
    };
    const driver = started(virtioBlock({ ...disk, read }));

    request(driver, 0, 0n, 512);
    assert.equal(await answer(driver), 1);
    broken = false;
    request(driver, 0, 0n, 512);
    assert.equal(await answer(driver), 0);
  });

  it("answers UNSUPP to requests that it does not know, and its name to those who ask", async () => {
    const driver = started(virtioBlock(openMemoryDisk(1024)));
    request(driver, 77, 0n, 512);
    assert.equal(await answer(driver), 2);
    request(driver, 8, 0n, 20);
    assert.equal(await answer(driver), 0);
    const name = driver.bytes.subarray(driver.offset(DATA), driver.offset(DATA) + 7);
    assert.equal(Buffer.from(name).toString("latin1"), "memory\0");
  });

  it("takes a header, data and status in any pieces, and in an indirect table", async () => {
    const disk = openMemoryDisk(1024);
    disk.content.fill(9);
    const driver = started(virtioBlock(disk), F_INDIRECT);
    request(driver, 0, 1n, 512);
    const table = BUFFERS + 0x9000n;
    driver.put(table, 0, { at: BUFFERS, bytes: 4, flags: 1, next: 3 });
    driver.put(table, 3, { at: BUFFERS + 4n, bytes: 12, flags: 1, next: 1 });
    driver.put(table, 1, { at: DATA, bytes: 500, flags: 3, next: 2 });
    driver.put(table, 2, { at: DATA + 500n, bytes: 13, flags: 2 });
    driver.put(DESCRIPTORS, 0, { at: table, bytes: 64, flags: INDIRECT });

    driver.offer();
    await driver.answered();

    const at = driver.offset(DATA);
    assert.deepEqual([driver.bytes[at], driver.bytes[at + 511], driver.bytes[at + 512]], [9, 9, 0]);
    assert.deepEqual(driver.usedElement(0), [0, 513]);
  });
});

describe("a queue that its driver spoils", () => {
  const spoilt: Record<string, (driver: Driver) => void> = {
    "a chain that bites its tail": (driver) => driver.put(DESCRIPTORS, 0, { at: DATA, bytes: 16, flags: 1, next: 0 }),
    "a descriptor that there is not": (driver) =>
      driver.put(DESCRIPTORS, 0, { at: DATA, bytes: 16, flags: 1, next: 8 }),
    "a buffer where no RAM is": (driver) => driver.put(DESCRIPTORS, 0, { at: 0n, bytes: 16 }),
    "a buffer that ends behind RAM": (driver) => driver.put(DESCRIPTORS, 0, { at: DATA, bytes: 0xffff_ffff }),
    "an address near 2^64": (driver) => driver.put(DESCRIPTORS, 0, { at: 2n ** 64n - 8n, bytes: 16 }),
    "more bytes than all memory": (driver) => {
      for (let i = 0; i < 7; i++) driver.put(DESCRIPTORS, i, { at: RAM_AT, bytes: 1 << 20, flags: 1, next: i + 1 });
    },
    "a buffer to read behind one to write": (driver) => {
      driver.put(DESCRIPTORS, 0, { at: DATA, bytes: 16, flags: 3, next: 1 });
      driver.put(DESCRIPTORS, 1, { at: DATA, bytes: 16 });
    },
    "an indirect table in an indirect table": (driver) => {
      driver.put(DESCRIPTORS, 0, { at: DATA, bytes: 16, flags: INDIRECT });
      driver.put(DATA, 0, { at: DATA, bytes: 16, flags: INDIRECT });
    },
    "an indirect table of half an entry": (driver) =>
      driver.put(DESCRIPTORS, 0, { at: DATA, bytes: 24, flags: INDIRECT }),
    "an indirect table where no RAM is": (driver) => driver.put(DESCRIPTORS, 0, { at: 0n, bytes: 16, flags: INDIRECT }),
    "more requests than entries": (driver) => driver.view.setUint16(driver.offset(DRIVER_AREA) + 2, 40_000, true),
  };
  for (const [what, spoil] of Object.entries(spoilt)) {
    it(`needs a reset after ${what}, and works after it`, async () => {
      const driver = started(virtioBlock(openMemoryDisk(1024)));
      spoil(driver);
      if (what === "more requests than entries") driver.write(0x50, 0);
      else driver.offer();

      assert.equal(driver.status & NEEDS_RESET, NEEDS_RESET);
      assert.deepEqual([driver.interrupt, driver.read(0x60), driver.used], [true, 2, 0]);

      driver.start(F_FLUSH);
      request(driver, 0, 0n, 512);
      assert.equal(await answer(driver), 0);
    });
  }

  it("needs a reset when it lies where no RAM is, is not aligned, or has an impossible size", () => {
    const bad: [queue: Parameters<Driver["start"]>[1], size: number][] = [
      [{ descriptors: 0n }, 8],
      [{ driver: RAM_AT + (1n << 20n) }, 8],
      [{ device: 2n ** 64n - 4n }, 8],
      [{ descriptors: DESCRIPTORS + 8n }, 8],
      [{}, 0],
      [{}, 7],
      [{}, 512],
      [{}, 0xffff_ffff],
    ];
    for (const [queue, size] of bad) {
      const driver = new Driver(virtioBlock(openMemoryDisk(1024)), size);
      driver.start(F_FLUSH, queue);
      assert.equal(driver.status & NEEDS_RESET, NEEDS_RESET, JSON.stringify({ size }));
      assert.equal(driver.read(0x44), 0);
    }
  });

  it("does not keep the event loop when requests come as fast as they are answered", async () => {
    const { answer: give } = virtioEntropy();
    // A driver on another CPU: each answer finds one more request.
    const flood: VirtioDevice = {
      ...virtioEntropy(),
      answer(...args) {
        const index = busy.offset(DRIVER_AREA) + 2;
        busy.view.setUint16(index, (busy.view.getUint16(index, true) + 1) & 0xffff, true);
        return give(...args);
      },
    };
    const busy = new Driver(flood);
    busy.start();
    busy.chain([], [{ at: DATA, bytes: 1 }]);
    busy.offer();

    assert.equal(busy.used, busy.size);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(busy.used, 2 * busy.size);
    busy.write(0x70, 0);
  });

  it("does no harm whatever is in it, and whatever is stored to the device's registers", async () => {
    const word = fc.integer({ min: 0, max: 0xffff_ffff });
    const near = fc.constantFrom(0, 1, 2, 7, 8, 15, 64, 256, 0x4000_0000, 0x4000_1000, 0x4001_0000, 0xffff_ffff);
    const store = fc.tuple(fc.integer({ min: 0, max: 0x45 }), fc.oneof(near, word));
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 64 }), fc.array(store, { maxLength: 40 }), async (words, stores) => {
        const driver = started(virtioBlock(openMemoryDisk(4096)));
        const fill = (at: bigint): void =>
          words.forEach((value, i) => void driver.view.setUint32(driver.offset(at) + 4 * i, value, true));
        request(driver, 0, 0n, 512);
        fill(DESCRIPTORS);
        driver.offer();
        fill(DRIVER_AREA);
        for (const [register, value] of stores) {
          driver.write(4 * register, value);
          driver.read(4 * register);
        }
        driver.write(0x50, 0);
        driver.write(0x70, 0);
        await driver.device.settle();
        assert.equal(driver.failure, undefined);
      }),
      { numRuns: 300 },
    );
  });
});
