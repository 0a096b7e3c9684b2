// The commands of an ITS, and messages to it. Documentation/virt/kvm/devices/arm-vgic-its.rst; IHI 0069, "ITS commands".

import assert from "node:assert/strict";
import { KVM_ARM_VGIC_GROUP as GROUP } from "../../lib/uapi/constants.js";
import { needsDevice, onEveryBackend, onHost } from "../support/backends.js";
import { RAM } from "../support/guest.js";
import { commands, DEVICES, FREE, GITS_CTLR, ITS, ItsGuest, TRANSLATER } from "../support/its.js";
import { answer, assertRefused } from "../support/refusal.js";

const { mapd, unmapd, mapc, mapti, mapi, movi, int, clear, movall, discard } = commands;
const ENABLED = 0xa1;

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
    // To whom it went does not matter; on 6.1 there must be such a redistributor.
    its.send(mapc(0, 9, false));
    assert.equal(its.message(1, 0), host.kernel === "6.1");
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
