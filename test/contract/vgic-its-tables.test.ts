// The tables of an ITS as they are saved to guest memory and restored. Documentation/virt/kvm/devices/arm-vgic-its.rst, "ITS Table ABI".

import assert from "node:assert/strict";
import { needsDevice, onEveryBackend, onHost } from "../support/backends.js";
import { COLLECTIONS, commands, DEVICES, FREE, GITS_BASER1, GITS_CTLR, ItsGuest, VALID } from "../support/its.js";
import { answer, assertRefused } from "../support/refusal.js";

const { mapd, unmapd, mapc, mapti } = commands;

onEveryBackend("the saved tables of an ITS", (host) => {
  beforeEach(function () {
    needsDevice(this, host, "vgic-its");
  });

  const populated = () => {
    const its = new ItsGuest(host, { vcpus: 2 });
    its.send(mapc(2, 1), mapc(0, 0), mapd(9, FREE + 0x1000n, 4), mapd(5, FREE, 5));
    its.send(mapti(5, 7, 8200, 0), mapti(5, 3, 8192, 2), mapti(9, 0, 9000, 0), mapti(5, 4, 8201, 6));
    return its;
  };
  const tables = (its: ItsGuest) =>
    [DEVICES + 40n, DEVICES + 72n, FREE + 24n, FREE + 32n, FREE + 56n, FREE + 0x1000n]
      .map((address) => its.at(address))
      .concat([0n, 8n, 16n, 24n].map((n) => its.at(COLLECTIONS + n)));

  it("hold devices, translations with their distances and collections in the order of their making", () => {
    const its = populated();
    its.save();
    const itt = (at: bigint) => (at >> 8n) << 5n;
    assert.deepEqual(tables(its), [
      VALID | (4n << 49n) | itt(FREE) | 4n,
      VALID | itt(FREE + 0x1000n) | 3n,
      (1n << 48n) | (8192n << 16n) | 2n,
      (3n << 48n) | (8201n << 16n) | 6n,
      8200n << 16n,
      9000n << 16n,
      VALID | (1n << 16n) | 2n,
      VALID,
      VALID | (0xffff_ffffn << 16n) | 6n,
      0n,
    ]);
  });

  it("distances that an entry can not hold are cut: the next entry is found from where it points", () => {
    const its = new ItsGuest(host, { twoLevels: true });
    its.put(DEVICES, VALID | (FREE + 0x1_0000n));
    its.put(DEVICES + 16n, VALID | (FREE + 0x2_0000n));
    its.send(mapc(0, 0), mapd(0, FREE, 4), mapd(16384, FREE + 0x100n, 4), mapti(16384, 0, 8192, 0));
    its.save();
    assert.equal((its.at(FREE + 0x1_0000n) >> 49n) & 0x3fffn, 0x3fffn);
  });

  it("restored into an ITS that was reset are the same when they are saved again, and messages go through", () => {
    const its = populated();
    its.save();
    const before = tables(its);
    its.reset();
    its.setTables();
    its.restore();
    its.write(GITS_CTLR, 1n);
    assert.deepEqual(
      [
        [5, 3],
        [5, 7],
        [9, 0],
        [5, 4],
        [5, 5],
      ].map(([device, event]) => its.message(device!, event!)),
      [true, true, true, false, false],
    );
    for (const [i] of before.entries()) its.put(i < 2 ? DEVICES + BigInt(40 + 32 * i) : FREE + 24n, 0n);
    its.save();
    assert.deepEqual(tables(its), before);
  });

  it("restored twice are EEXIST; without valid tables nothing is restored", () => {
    const its = populated();
    its.save();
    assertRefused("EEXIST", () => its.restore());
    its.reset();
    its.restore();
    its.enable();
    assert.equal(its.message(5, 3), false);
  });

  it("restored in vain leave no collections, and no devices where it was a device", () => {
    const its = populated();
    its.save();
    assertRefused("EEXIST", () => its.restore());
    assert.equal(its.message(5, 3), false);
    its.send(unmapd(5), unmapd(9));
    its.put(DEVICES + 40n, VALID | ((FREE >> 8n) << 5n) | 4n);
    its.put(FREE, (8192n << 16n) | 99n); // no such collection
    assertRefused("EINVAL", () => its.restore());
    its.put(DEVICES + 40n, 0n);
    its.restore();
    assert.equal(its.message(5, 3), false);
  });

  it("that can not be right are refused", () => {
    const its = populated();
    const said = (change: () => void) => {
      its.enable();
      its.send(mapc(0, 0), mapd(1, FREE, 4), mapti(1, 0, 8192, 0));
      its.save();
      its.reset();
      its.setTables();
      change();
      const refused = answer(() => its.restore());
      its.reset();
      return refused;
    };
    its.reset();
    const ite = (entry: bigint) => said(() => its.put(FREE, entry));
    const cte = (entry: bigint, n = 0n) => said(() => its.put(COLLECTIONS + 8n * n, entry));
    assert.equal(ite(8192n << 16n), "OK");
    assert.equal(ite((0x10n << 48n) | (8192n << 16n)), "EINVAL"); // the next event is none
    assert.equal(ite(8191n << 16n), "EINVAL"); // no LPI
    assert.equal(ite((8192n << 16n) | 9n), "EINVAL"); // no such collection
    assert.equal(ite(0xffff_ffffn << 16n), "EFAULT"); // its configuration is in no memory
    assert.equal(cte(VALID | (7n << 16n)), "EINVAL"); // no such vCPU
    assert.equal(cte(VALID | (0xffff_ffffn << 16n)), "OK"); // not mapped
    assert.equal(cte(VALID, 1n), "EEXIST");
    assert.equal(cte(VALID | 0x2000n, 1n), "EINVAL"); // beyond the table
    assert.equal(
      said(() => its.put(DEVICES + 8n, VALID | ((0x1_0000_0000n >> 8n) << 5n) | 3n)),
      "EFAULT",
    );
    assert.equal(
      said(() => its.write(GITS_BASER1, VALID | 0x1_0000_0000n)),
      "EFAULT",
    );
  });

  it("in two levels skip what the first level does not have: EINVAL to save before 7.2", () => {
    const its = new ItsGuest(host, { twoLevels: true });
    const pages = [0n, 1n, 2n].map((n) => FREE + 0x1_0000n * (n + 1n));
    for (const [n, page] of pages.entries()) its.put(DEVICES + BigInt(8 * n), VALID | page);
    its.send(mapc(0, 0), mapd(1, FREE, 4), mapd(8193, FREE + 0x100n, 4), mapd(16384, FREE + 0x200n, 4));
    its.send(mapti(1, 0, 8192, 0), mapti(8193, 0, 8193, 0), mapti(16384, 0, 8194, 0));
    its.put(DEVICES + 8n, 0n);
    const said = answer(() => its.save());
    const steps = [pages[0]! + 8n, pages[2]!].map((address) => (its.at(address) >> 49n) & 0x7fffn);
    const refused = { said: "EINVAL", steps: [0x6000n, 0n] };
    assert.deepEqual(
      { said, steps },
      onHost(host, { "6.1": refused, "6.12": refused, "7.2": { said: "OK", steps: [0x7fffn, 0x4000n] } }),
    );
    assert.equal(its.message(8193, 0), true);
  });

  it("dirty the pages that they are in", () => {
    const its = new ItsGuest(host);
    const table = 0x6000_0000n;
    const memory = its.guest.vm.addMemory({ at: table, bytes: 0x4000, logDirty: true });
    its.send(mapc(0, 0), mapd(1, table + 0x2000n, 4), mapti(1, 0, 8192, 0));
    memory.dirtyLog();
    its.save();
    assert.deepEqual([...memory.dirtyPages()], [2]);
  });

  it("need memory that can be written", () => {
    const its = new ItsGuest(host);
    its.guest.vm.addMemory({ at: 0x6000_0000n, bytes: 65536, readonly: true });
    its.send(mapc(0, 0), mapd(1, 0x6000_0000n, 4), mapti(1, 0, 8192, 0));
    assertRefused("EFAULT", () => its.save());
  });
});
