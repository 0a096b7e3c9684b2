// What an ITS does: its commands, its tables in guest memory, and the interrupts that come of messages.
// Documentation/virt/kvm/devices/arm-vgic-its.rst; IHI 0069, "ITS commands".

import assert from "node:assert/strict";
import { pc, sysReg, x } from "../../lib/arm64/registers.js";
import { KVM_ARM_VGIC_GROUP as GROUP } from "../../lib/uapi/constants.js";
import { daifClear, mov64, movz, mrs, msr, spin, store } from "../support/assemble.js";
import { needsDevice, onEveryBackend, onHost } from "../support/backends.js";
import { DEVICE, finish, loadWords, RAM, runToFinish, runToMmio } from "../support/guest.js";
import {
  COLLECTIONS,
  commands,
  DEVICES,
  FREE,
  GITS_BASER0,
  GITS_BASER1,
  GITS_CBASER,
  GITS_CREADR,
  GITS_CTLR,
  GITS_CWRITER,
  GITS_IIDR,
  ITS,
  ItsGuest,
  TRANSLATER,
  VALID,
} from "../support/its.js";
import { answer, assertRefused } from "../support/refusal.js";

const { mapd, unmapd, mapc, mapti, mapi, movi, int, clear, inv, invall, movall, discard, sync } = commands;
const QUIESCENT = 1n << 31n;
const ENABLED = 0xa1;
const DISABLED = 0xa0;

onEveryBackend("the registers of an ITS", (host) => {
  beforeEach(function () {
    needsDevice(this, host, "vgic-its");
  });
  const stopped = () => {
    const made = new ItsGuest(host);
    made.reset();
    return made;
  };

  it("begin as tables of 64 KiB pages, entries of 8 bytes and nothing valid", () => {
    const its = stopped();
    its.write(GITS_BASER0, 0n);
    its.write(GITS_BASER1, 0n);
    assert.deepEqual([its.read(GITS_CTLR), its.read(GITS_IIDR), its.read(8n)], [QUIESCENT, 0x4b00_043bn, 0x1_ef71n]);
    assert.deepEqual([its.read(GITS_BASER0), its.read(GITS_BASER1)], [0x1907_0000_0000_0200n, 0x1c07_0000_0000_0200n]);
  });

  it("CBASER and the BASERs keep what KVM has: inner shareable for outer, cacheable memory, 64 KiB pages", () => {
    const its = stopped();
    const kept = (register: bigint, value: bigint) => {
      its.write(register, value);
      return its.read(register);
    };
    assert.equal(kept(GITS_CBASER, 0x7fff_ffff_ffff_aaaan), 0x7f1f_ffff_ffff_06aan);
    assert.equal(kept(GITS_BASER0, 0x7fff_ffff_ffff_aaaan), 0x7907_ffff_ffff_a6aan);
    assert.equal(kept(GITS_BASER1, 0x7fff_ffff_ffff_aaaan), 0x3c07_ffff_ffff_a6aan);
    assert.equal(kept(GITS_BASER0 + 16n, VALID | 5n), 0n);
  });

  it("an ITS is enabled only with a queue and both tables", () => {
    const its = stopped();
    for (const missing of [GITS_CBASER, GITS_BASER0, GITS_BASER1]) {
      its.setTables();
      its.write(missing, 0n);
      its.write(GITS_CTLR, 1n);
      assert.equal(its.read(GITS_CTLR) & 1n, 0n);
    }
    its.enable();
    assert.equal(its.read(GITS_CTLR), QUIESCENT | 1n);
  });

  it("while it is enabled, CBASER and the BASERs stay, and CREADR is EBUSY", () => {
    const its = new ItsGuest(host);
    const before = [GITS_CBASER, GITS_BASER0, GITS_BASER1].map((register) => its.read(register));
    for (const register of [GITS_CBASER, GITS_BASER0, GITS_BASER1]) its.write(register, 0n);
    assertRefused("EBUSY", () => its.write(GITS_CREADR, 0n));
    assert.deepEqual(
      [GITS_CBASER, GITS_BASER0, GITS_BASER1].map((register) => its.read(register)),
      before,
    );
  });

  it("CREADR behind the queue is EINVAL, CWRITER there is ignored, and a queue of which they differ is not quiescent", () => {
    const its = stopped();
    its.write(GITS_CBASER, VALID | RAM);
    assertRefused("EINVAL", () => its.write(GITS_CREADR, 0x1000n));
    its.write(GITS_CWRITER, 0x40n);
    its.write(GITS_CWRITER, 0x1000n);
    assert.deepEqual([its.read(GITS_CWRITER), its.read(GITS_CTLR)], [0x40n, 0n]);
    its.write(GITS_CREADR, 0x40n);
    assert.equal(its.read(GITS_CTLR), QUIESCENT);
  });

  it("IIDR takes the revision of the tables' ABI: 0", () => {
    const its = stopped();
    its.write(GITS_IIDR, 0n);
    assertRefused("EINVAL", () => its.write(GITS_IIDR, 0x1000n));
  });

  it("the upper half of an attribute is no part of the offset", () => {
    assert.equal(stopped().read((1n << 32n) | 8n), 0x1_ef71n);
  });

  it("commands that waited are done when it is enabled", () => {
    const its = stopped();
    its.setTables();
    its.send(mapd(1, FREE, 4));
    assert.equal(its.read(GITS_CREADR), 0n);
    its.write(GITS_CTLR, 1n);
    assert.equal(its.read(GITS_CREADR), 0x20n);
    its.save();
    assert.equal(its.at(DEVICES + 8n) >> 63n, 1n);
  });

  it("the queue goes round, over commands that there are none of and over memory that is not there", () => {
    const its = new ItsGuest(host);
    its.send([0x99n, 0n, 0n, 0n], sync(0), mapd(1, FREE, 4));
    assert.equal(its.read(GITS_CREADR), 0x60n);
    its.write(GITS_CWRITER, 0xffe0n);
    its.write(GITS_CWRITER, 0x20n);
    assert.equal(its.read(GITS_CREADR), 0x20n);
    its.write(GITS_CTLR, 0n);
    its.write(GITS_CBASER, VALID | 0x1_0000_0000n);
    its.write(GITS_CTLR, 1n);
    its.write(GITS_CWRITER, 0x40n);
    assert.equal(its.read(GITS_CREADR), 0x40n);
  });
});

onEveryBackend("messages to an ITS", (host) => {
  beforeEach(function () {
    needsDevice(this, host, "vgic-its");
  });
  const mapped = () => {
    const its = new ItsGuest(host);
    its.configure(8192, ENABLED);
    its.send(mapd(5, FREE, 5), mapc(0, 0), mapti(5, 3, 8192, 0), mapti(5, 7, 8200, 0));
    return its;
  };

  it("are taken where device and event are mapped, whether or not the LPI is enabled", () => {
    const its = mapped();
    assert.deepEqual([its.message(5, 3), its.message(5, 7), its.message(5, 3)], [true, true, true]);
  });

  it("are kept away where device, event or collection are not mapped", () => {
    const its = mapped();
    its.send(mapti(5, 8, 8201, 9));
    assert.deepEqual([its.message(5, 4), its.message(6, 3), its.message(5, 8)], [false, false, false]);
  });

  it("are EBUSY while the ITS or the LPIs of the redistributor are disabled", () => {
    const its = mapped();
    its.redistributor(0, 0n, 0);
    assertRefused("EBUSY", () => its.message(5, 3));
    its.enableLpis(0);
    its.write(GITS_CTLR, 0n);
    assertRefused("EBUSY", () => its.message(5, 3));
  });

  it("can go to any address of its frames, and to no other", () => {
    const its = mapped();
    const to = (address: bigint) => answer(() => its.guest.vm.signalMsi({ address, data: 3, deviceId: 5 }));
    assert.deepEqual([ITS, TRANSLATER, ITS + 0x1_ffffn, ITS + 0x2_0000n, ITS - 1n].map(to), [
      "OK",
      "OK",
      "OK",
      "EINVAL",
      "EINVAL",
    ]);
  });

  it("need a device unless the same went through before: then the kernel does not look; before 6.12 only at GITS_TRANSLATER", () => {
    const its = mapped();
    const withoutFlag = (address: bigint) => {
      const args = new Uint8Array(32);
      const view = new DataView(args.buffer);
      view.setUint32(0, Number(address), true);
      view.setUint32(8, 3, true);
      view.setUint32(16, 5, true);
      return answer(() => its.guest.vm.fd.signalMsi(args));
    };
    assert.equal(withoutFlag(TRANSLATER), "EINVAL");
    its.message(5, 3);
    assert.equal(withoutFlag(TRANSLATER), "OK");
    assert.equal(withoutFlag(ITS), onHost(host, { "6.1": "EINVAL", "6.12": "OK", "7.2": "OK" }));
    its.send(movi(5, 3, 0));
    assert.equal(withoutFlag(TRANSLATER), "EINVAL");
  });

  it("without an ITS in the VM are ENODEV, with unknown flags EINVAL", () => {
    const vm = host.keep(host.kvm.createVm());
    host.keep(vm.createDevice("vgic-v3"));
    assertRefused("ENODEV", () => vm.signalMsi({ address: TRANSLATER, data: 0, deviceId: 0 }));
    const args = new Uint8Array(32);
    args[12] = 2;
    assertRefused("EINVAL", () => vm.fd.signalMsi(args));
  });
});

onEveryBackend("the commands of an ITS", (host) => {
  beforeEach(function () {
    needsDevice(this, host, "vgic-its");
  });
  const make = (vcpus = 1) => {
    const its = new ItsGuest(host, { vcpus });
    its.send(mapc(0, 0), mapd(1, FREE, 4));
    return its;
  };
  /** Where the LPI is pending, by vCPU, as SAVE_PENDING_TABLES says it. */
  const pending = (its: ItsGuest, intid: number) => {
    its.savePending();
    return its.pending(intid);
  };

  it("that are wrong do nothing: EventIDs, INTIDs, DeviceIDs and collections beyond what there is", () => {
    const its = make();
    its.send(mapti(1, 16, 8192, 0), mapti(1, 0, 8191, 0), mapti(1, 1, 65536, 0), mapti(1, 2, 8192, 8192));
    its.send(mapd(8192, FREE, 4), mapti(8192, 0, 8192, 0), mapd(2, FREE, 17), mapti(2, 0, 8192, 0));
    its.send(mapc(3, 9), mapti(1, 3, 8192, 3), mapd(4, 0x1_0000_0000n, 4), mapti(4, 0, 8192, 0));
    for (const [device, event] of [
      [1, 16],
      [1, 0],
      [1, 1],
      [1, 2],
      [8192, 0],
      [2, 0],
      [1, 3],
      [4, 0],
    ] as const) {
      assert.equal(its.message(device, event), false, `${device}, ${event}`);
    }
  });

  it("MAPTI of an event that is mapped changes nothing", () => {
    const its = make();
    its.send(mapti(1, 0, 8192, 0), mapti(1, 0, 8300, 0));
    its.save();
    assert.equal((its.at(FREE) >> 16n) & 0xffff_ffffn, 8192n);
  });

  it("MAPI maps an event to the LPI of its number", () => {
    const its = make();
    its.send(mapd(7, FREE + 0x1000n, 14), mapi(7, 8400, 0), mapi(7, 5, 0));
    assert.deepEqual([its.message(7, 8400), its.message(7, 5)], [true, false]);
    assert.deepEqual(pending(its, 8400), [true]);
  });

  it("MAPTI takes a pending bit out of the table of the vCPU that the collection names", () => {
    const its = make(2);
    for (const vcpu of [0, 1]) for (const intid of [8192, 8193]) its.setPending(vcpu, intid);
    its.send(mapc(1, 1), mapti(1, 0, 8192, 0), mapti(1, 1, 8193, 1));
    assert.deepEqual(
      [its.pending(8192), its.pending(8193)],
      [
        [false, true],
        [true, false],
      ],
    );
    assert.deepEqual(
      [pending(its, 8192), pending(its, 8193)],
      [
        [true, true],
        [true, true],
      ],
    );
  });

  it("INT makes pending, CLEAR takes it away", () => {
    const its = make();
    its.send(mapti(1, 0, 8192, 0), int(1, 0));
    assert.deepEqual(pending(its, 8192), [true]);
    its.send(clear(1, 0));
    assert.deepEqual(pending(its, 8192), [false]);
  });

  it("MOVI and MOVALL take what is pending along", () => {
    const its = make(2);
    its.send(mapc(1, 1), mapti(1, 0, 8192, 0), int(1, 0), movi(1, 0, 1));
    assert.deepEqual(pending(its, 8192), [false, true]);
    its.send(movall(1, 0));
    assert.deepEqual(pending(its, 8192), [true, true]);
    its.send(clear(1, 0));
    assert.deepEqual(pending(its, 8192), [false, true]);
  });

  it("MAPC of a collection that is mapped sends what it collects to another vCPU", () => {
    const its = make(2);
    its.send(mapti(1, 0, 8192, 0), int(1, 0), mapc(0, 1));
    assert.deepEqual(pending(its, 8192), [false, true]);
  });

  it("MAPC without V takes the collection away from what it collected, for good", () => {
    const its = make();
    its.send(mapti(1, 0, 8192, 0));
    assert.equal(its.message(1, 0), true);
    its.send(mapc(0, 0, false));
    assert.equal(its.message(1, 0), false);
    its.send(mapc(0, 0));
    assert.equal(its.message(1, 0), false);
  });

  it("DISCARD and MAPD without V clear their entries in memory", () => {
    const its = make();
    its.send(mapti(1, 0, 8192, 0));
    its.save();
    assert.notEqual(its.at(FREE), 0n);
    its.send(discard(1, 0));
    assert.equal(its.at(FREE), 0n);
    assert.equal(its.message(1, 0), false);
    its.put(DEVICES + 16n, 0x1234n);
    its.send(unmapd(1), unmapd(2));
    assert.deepEqual([its.at(DEVICES + 8n), its.at(DEVICES + 16n)], [0n, 0n]);
  });

  it("what is pending is lost with a translation unless it is enabled: then it waits for the guest", () => {
    const its = make();
    its.gic.setAttr(GROUP.DIST_REGS, 0n, 0x12); // GICD_CTLR: ARE, EnableGrp1
    its.configure(8193, ENABLED);
    its.send(mapti(1, 0, 8192, 0), mapti(1, 1, 8193, 0), int(1, 0), int(1, 1), discard(1, 0), discard(1, 1));
    assert.deepEqual([pending(its, 8192), pending(its, 8193)], [[false], [true]]);
    its.redistributor(0, 0n, 0);
    its.guest.ram.bytes.fill(0, Number(its.pendingTable(0) - RAM), Number(its.pendingTable(0) - RAM) + 0x2000);
    assert.deepEqual(pending(its, 8193), [false]);
  });

  it("the target of a collection is the id of a vCPU; in 6.1 its place in the order of creation", () => {
    const its = new ItsGuest(host, { otherVcpu: 5 });
    its.send(mapd(1, FREE, 4), mapc(1, 1), mapc(5, 5), mapti(1, 1, 8192, 1), mapti(1, 5, 8193, 5));
    const said = [its.message(1, 1), its.message(1, 5)];
    const byId = [false, true];
    assert.deepEqual(said, onHost(host, { "6.1": [true, false], "6.12": byId, "7.2": byId }));
  });

  it("EnableLPIs reads the pending table of the vCPU, unless GICR_PENDBASER.PTZ says that it is zero", () => {
    const its = make();
    const again = (ptz: number) => {
      its.redistributor(0, 0n, 0);
      its.redistributor(0, 0x7cn, ptz);
      its.redistributor(0, 0n, 1);
      return pending(its, 8192);
    };
    its.send(mapti(1, 0, 8192, 0), int(1, 0));
    assert.deepEqual(pending(its, 8192), [true]);
    its.guest.ram.bytes.fill(0, Number(its.pendingTable(0) - RAM), Number(its.pendingTable(0) - RAM) + 0x2000);
    assert.deepEqual(again(0), [false]);
    its.send(int(1, 0));
    assert.deepEqual(again(0x4000_0000), [true]);
  });
});

onEveryBackend("an ITS", (host) => {
  beforeEach(function () {
    needsDevice(this, host, "vgic-its");
  });

  it("while a vCPU runs is EBUSY, before its place and its registers are looked at", async () => {
    const its = new ItsGuest(host, { code: [store(8, 0, 1), spin] });
    const { vm, cpu, ram } = its.guest;
    const other = host.keep(vm.createDevice("vgic-its"));
    const mark = FREE - RAM;
    ram.bytes[Number(mark)] = 0;
    cpu.setReg(x(0), 1n);
    cpu.setReg(x(1), FREE);
    const run = cpu.run();
    // The vCPU is KVM's, and locked, for certain once its guest is there.
    for (let waited = 0; ram.bytes[Number(mark)] === 0; waited++) {
      assert.ok(waited < 10_000, "the guest did not run");
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const said = [
      () => its.save(),
      () => its.reset(),
      () => its.its.setAttr(GROUP.CTRL, 99n),
      () => its.read(0n),
      () => its.read(0x10n),
      () => other.getAttr(GROUP.ITS_REGS, 0n, 64),
      () => its.read(0x84n),
      () => its.its.setAttr(GROUP.ITS_REGS, 0n),
      () => its.its.setAttr(GROUP.CTRL, 0n),
      () => other.setAttr(GROUP.ADDR, 4n, ITS + 0x10_0000n),
    ].map(answer);
    cpu.kick();
    await run;
    assert.deepEqual(said, [...Array(6).fill("EBUSY"), "EINVAL", "EFAULT", "OK", "OK"]);
  });

  it("for which the bus has no room is ENOSPC: it has its place and its registers, and no message reaches it", () => {
    const its = new ItsGuest(host);
    const { vm } = its.guest;
    const zone = (n: number) => () => vm.addCoalescedMmio({ at: 0x1_0000_0000n + BigInt(n) * 0x1000n, bytes: 0x1000 });
    let zones = 0;
    while (zones < 1000 && answer(zone(zones)) === "OK") zones++;
    const other = host.keep(vm.createDevice("vgic-its"));
    const at = ITS + 0x10_0000n;
    assertRefused("ENOSPC", () => other.setAttr(GROUP.ADDR, 4n, at));
    // The others are a redistributor and the first ITS.
    assert.deepEqual([zones, other.getAttr(GROUP.ADDR, 4n, 64)], [998, at]);
    assert.equal(other.getAttr(GROUP.ITS_REGS, 0n, 64), QUIESCENT);
    assertRefused("EINVAL", () => vm.signalMsi({ address: at, data: 0, deviceId: 0 }));
  });
});

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

onEveryBackend("LPIs in a guest", (host) => {
  beforeEach(function () {
    needsDevice(this, host, "vgic-its");
  });

  const setUp = (code: readonly number[] = []) => {
    const its = new ItsGuest(host, {
      code: [
        movz(0, 0xff),
        msr([3, 0, 4, 6, 0], 0), // msr icc_pmr_el1, x0
        movz(0, 1),
        msr([3, 0, 12, 12, 7], 0), // msr icc_igrpen1_el1, x0
        daifClear(2),
        ...code,
        spin,
      ],
    });
    const { cpu, ram } = its.guest;
    loadWords(ram, 0x800 + 0x280, [
      mrs(0, [3, 0, 12, 12, 0]), // mrs x0, icc_iar1_el1
      msr([3, 0, 12, 12, 1], 0), // msr icc_eoir1_el1, x0
      ...finish,
    ]);
    cpu.setReg(sysReg("VBAR_EL1"), RAM + 0x800n);
    cpu.setReg(pc, RAM);
    its.gic.setAttr(GROUP.DIST_REGS, 0n, 0x12); // GICD_CTLR: ARE, EnableGrp1
    its.configure(8192, ENABLED);
    its.configure(8193, ENABLED);
    its.send(mapd(5, FREE, 5), mapc(0, 0), mapti(5, 3, 8192, 0), mapti(5, 4, 8193, 0));
    return its;
  };
  const taken = async ({ guest }: ItsGuest) => {
    await runToFinish(guest.cpu);
    return guest.cpu.getReg(x(0));
  };

  it("are taken when a message comes", async () => {
    const its = setUp();
    its.message(5, 4);
    assert.equal(await taken(its), 8193n);
    its.savePending();
    assert.deepEqual(its.pending(8193), [false]);
  });

  it("are taken when a message comes while the guest runs", async () => {
    const its = setUp();
    const run = taken(its);
    await new Promise((resolve) => setTimeout(resolve, 50));
    its.message(5, 3);
    assert.equal(await run, 8192n);
  });

  it("come from a route of a GSI", async () => {
    const its = setUp();
    const { vm } = its.guest;
    vm.setGsiRouting([{ gsi: 7, address: TRANSLATER, data: 4, deviceId: 5 }]);
    const eventFd = host.keep(host.kvm.createEventFd());
    vm.addIrqfd({ eventFd, gsi: 7 });
    eventFd.signal();
    assert.equal(await taken(its), 8193n);
  });

  it("that their configuration disables wait until INV or INVALL reads that it does not", async () => {
    for (const command of [inv(5, 3), invall(0)]) {
      const its = setUp();
      its.configure(8192, DISABLED);
      its.send(inv(5, 3));
      its.message(5, 3);
      its.configure(8192, ENABLED);
      its.message(5, 4);
      assert.equal(await taken(its), 8193n);
      its.send(command);
      its.guest.cpu.setReg(pc, RAM);
      assert.equal(await taken(its), 8192n);
    }
  });

  it("come once each, however many wait", async () => {
    const its = setUp();
    const { cpu, ram } = its.guest;
    const count = 64;
    loadWords(ram, 0x800 + 0x280, [
      mrs(0, [3, 0, 12, 12, 0]), // mrs x0, icc_iar1_el1
      msr([3, 0, 12, 12, 1], 0), // msr icc_eoir1_el1, x0
      ...mov64(28, DEVICE),
      store(4, 0, 28),
      0xd69f03e0, // eret
    ]);
    its.send(mapd(6, FREE + 0x1000n, 10));
    for (let n = 0; n < count; n++) {
      its.configure(9000 + n, ENABLED);
      its.send(mapti(6, n, 9000 + n, 0));
    }
    for (let n = 0; n < count; n++) its.message(6, n);
    const taken = new Set<number>();
    for (let n = 0; n < count; n++)
      taken.add(new DataView((await runToMmio(cpu)).data.slice().buffer).getUint32(0, true));
    assert.equal(taken.size, count);
    assert.equal(Math.min(...taken), 9000);
  });

  it("of higher priority come first", async () => {
    const its = setUp();
    its.configure(8193, 0x11);
    its.send(inv(5, 4));
    its.message(5, 3);
    its.message(5, 4);
    assert.equal(await taken(its), 8193n);
  });

  it("come of a command that the guest itself writes, and a store to GITS_TRANSLATER comes to nothing", async () => {
    const its = setUp([
      ...mov64(1, TRANSLATER),
      movz(2, 4),
      store(4, 2, 1), // GITS_TRANSLATER
      ...mov64(1, ITS + GITS_CWRITER),
      movz(2, 0xa0),
      store(8, 2, 1), // GITS_CWRITER
    ]);
    for (const [i, word] of int(5, 3).entries()) its.put(RAM + 0x1_0000n + 0x80n + BigInt(8 * i), word);
    assert.equal(await taken(its), 8192n);
    assert.equal(its.read(GITS_CREADR), 0xa0n);
  });

  it("registers that the guest reads by halves and by bytes are halves, and zero", async () => {
    const its = setUp([...mov64(1, ITS), 0xb9400c22, 0xb9400823, 0x39402024, 0xf9400825, ...finish]);
    await runToFinish(its.guest.cpu);
    // ldr w2, [x1, #12]; ldr w3, [x1, #8]; ldrb w4, [x1, #8]; ldr x5, [x1, #16]
    assert.deepEqual(
      [2, 3, 4, 5].map((n) => its.guest.cpu.getReg(x(n))),
      [0n, 0x1_ef71n, 0n, 0n],
    );
  });
});
