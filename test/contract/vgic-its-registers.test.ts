// The registers of an ITS, its place on the bus, and when it is busy. Documentation/virt/kvm/devices/arm-vgic-its.rst.

import assert from "node:assert/strict";
import { x } from "../../lib/arm64/registers.js";
import { KVM_ARM_VGIC_GROUP as GROUP } from "../../lib/uapi/constants.js";
import { spin, store } from "../support/assemble.js";
import { needsDevice, onEveryBackend } from "../support/backends.js";
import { RAM } from "../support/guest.js";
import {
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
  VALID,
} from "../support/its.js";
import { answer, assertRefused } from "../support/refusal.js";

const { mapd, sync } = commands;
const QUIESCENT = 1n << 31n;

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
