// The in-kernel ITS, and messages. Documentation/virt/kvm/devices/arm-vgic-its.rst.

import assert from "node:assert/strict";
import type { Device } from "../../lib/device.js";
import {
  KVM_VGIC_ADDR_TYPE as ADDR,
  KVM_ARM_VGIC_CTRL as CTRL,
  KVM_ARM_VGIC_GROUP as GROUP,
} from "../../lib/uapi/constants.js";
import type { Vm } from "../../lib/vm.js";
import { needsDevice, onEveryBackend, onHost } from "../support/backends.js";
import { initialiseGic } from "../support/gic.js";
import { answer, assertRefused } from "../support/refusal.js";

const ITS = 0x0808_0000n;
const UNSET = 2n ** 64n - 1n;
const [GITS_CTLR, GITS_IIDR, GITS_TYPER, GITS_CBASER, GITS_BASER0] = [0x0n, 0x4n, 0x8n, 0x80n, 0x100n];

onEveryBackend("a vGIC ITS", (host) => {
  beforeEach(function () {
    needsDevice(this, host, "vgic-its");
  });

  const setUp = (): { vm: Vm; its: Device } => {
    const vm = host.keep(host.kvm.createVm());
    const gic = host.keep(vm.createDevice("vgic-v3"));
    host.keep(vm.createVcpu()).init();
    const its = host.keep(vm.createDevice("vgic-its"));
    initialiseGic(gic);
    return { vm, its };
  };
  const place = (its: Device, at = ITS) => its.setAttr(GROUP.ADDR, BigInt(ADDR.ITS), at);
  const placed = () => {
    const made = setUp();
    place(made.its);
    made.its.setAttr(GROUP.CTRL, BigInt(CTRL.INIT));
    return made;
  };
  const read = (its: Device, offset: bigint) => its.getAttr(GROUP.ITS_REGS, offset, 64);

  it("has no place until it is given one, once, aligned to 64 KiB, within the IPA size", () => {
    const { its } = setUp();
    assert.equal(its.getAttr(GROUP.ADDR, BigInt(ADDR.ITS), 64), UNSET);
    assertRefused("EINVAL", () => place(its, ITS + 0x1000n));
    assertRefused("E2BIG", () => place(its, 1n << 40n));
    place(its);
    assertRefused("EEXIST", () => place(its, ITS + 0x10_0000n));
    assert.equal(its.getAttr(GROUP.ADDR, BigInt(ADDR.ITS), 64), ITS);
  });

  it("frames of other devices are ENODEV", () => {
    const { its } = setUp();
    assertRefused("ENODEV", () => its.setAttr(GROUP.ADDR, BigInt(ADDR.V3_DIST), ITS));
  });

  it("makes the capability MSI_DEVID 1", () => {
    const vm = host.keep(host.kvm.createVm());
    host.keep(vm.createDevice("vgic-v3"));
    assert.equal(vm.has("MSI_DEVID"), 0);
    host.keep(vm.createDevice("vgic-its"));
    assert.equal(vm.has("MSI_DEVID"), 1);
  });

  it("several can be in a VM", () => {
    const { vm } = setUp();
    const other = host.keep(vm.createDevice("vgic-its"));
    place(other, ITS + 0x100_0000n);
  });

  it("controls that it does not have are ENXIO to ask, and do nothing when they are set; ENXIO to set since 7.2", () => {
    const { its } = placed();
    assert.deepEqual(
      [0n, 1n, 2n, 3n, 4n, 99n].map((attr) => its.hasAttr(GROUP.CTRL, attr)),
      [true, true, true, false, true, false],
    );
    its.setAttr(GROUP.ITS_REGS, GITS_CBASER, 0x8000_0000_4000_0000n);
    const before = read(its, GITS_CBASER);
    const said = [3n, 99n].map((attr) => answer(() => its.setAttr(GROUP.CTRL, attr)));
    const ignored = ["OK", "OK"];
    assert.deepEqual(said, onHost(host, { "6.1": ignored, "6.12": ignored, "7.2": ["ENXIO", "ENXIO"] }));
    assert.equal(read(its, GITS_CBASER), before);
  });

  it("registers need its place: before, they are ENXIO", () => {
    const { its } = setUp();
    assertRefused("ENXIO", () => read(its, GITS_CTLR));
  });

  it("registers are there at their alignment, unknown ones ENXIO", () => {
    const { its } = placed();
    for (const offset of [GITS_CTLR, GITS_IIDR, GITS_TYPER, GITS_CBASER, GITS_BASER0]) read(its, offset);
    assertRefused("EINVAL", () => read(its, GITS_CBASER + 4n));
    assertRefused("ENXIO", () => read(its, 0x2000n));
  });

  it("CBASER keeps what is written, and disabled tables need no memory to be saved", () => {
    const { its } = placed();
    its.setAttr(GROUP.ITS_REGS, GITS_CBASER, 0x8000_0000_4000_0000n);
    assert.equal(read(its, GITS_CBASER) & 0xffff_ffff_f000n, 0x4000_0000n);
  });

  it("a reset clears its registers", () => {
    const { its } = placed();
    its.setAttr(GROUP.ITS_REGS, GITS_CBASER, 0x8000_0000_4000_0000n);
    its.setAttr(GROUP.CTRL, BigInt(CTRL.ITS_RESET));
    assert.equal(read(its, GITS_CBASER), 0n);
  });

  it("a message to another address is EINVAL, without a device EINVAL, to a disabled ITS EBUSY", () => {
    const { vm } = placed();
    assertRefused("EINVAL", () => vm.signalMsi({ address: 0x1234n, data: 0, deviceId: 1 }));
    assertRefused("EINVAL", () => vm.signalMsi({ address: ITS + 0x1_0040n, data: 0 }));
    assertRefused("EBUSY", () => vm.signalMsi({ address: ITS + 0x1_0040n, data: 0, deviceId: 1 }));
  });
});
