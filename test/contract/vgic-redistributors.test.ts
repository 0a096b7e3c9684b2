// Redistributors of a vGICv3 by regions, and what the first run makes of frames that do not fit.
// Documentation/virt/kvm/devices/arm-vgic-v3.rst.

import assert from "node:assert/strict";
import type { Device } from "../../lib/device.js";
import {
  KVM_VGIC_ADDR_TYPE as ADDR,
  KVM_ARM_VGIC_GROUP as GROUP,
  KVM_ARM_VGIC_CTRL,
} from "../../lib/uapi/constants.js";
import type { Vm } from "../../lib/vm.js";
import { needsDevice, onEveryBackend } from "../support/backends.js";
import { DISTRIBUTOR, initialiseGic } from "../support/gic.js";
import { finish, makeGuest } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

const [FIRST, SECOND] = [0x1000_0000n, 0x2000_0000n];
const FRAMES = 0x2_0000n; // of one redistributor
const TYPER = 8n;
const LAST = 0x10;
const region = (index: number, base: bigint, count: number): bigint => (BigInt(count) << 52n) | base | BigInt(index);

onEveryBackend("redistributors of a vGICv3", (host) => {
  beforeEach(function () {
    needsDevice(this, host, "vgic-v3");
  });

  const setUp = (vcpus: number) => {
    const made: { gic?: Device } = {};
    const guest = makeGuest(host, finish, {
      vcpus,
      prepare: (vm: Vm) => {
        made.gic = host.keep(vm.createDevice("vgic-v3"));
      },
    });
    return { ...guest, gic: made.gic as Device };
  };
  const addRegion = (gic: Device, value: bigint) => gic.setAttr(GROUP.ADDR, BigInt(ADDR.V3_REDIST_REGION), value);
  const place = (gic: Device, type: "V3_DIST" | "V3_REDIST", at: bigint) =>
    gic.setAttr(GROUP.ADDR, BigInt(ADDR[type]), at);
  const initialise = (gic: Device) => gic.setAttr(GROUP.CTRL, BigInt(KVM_ARM_VGIC_CTRL.INIT));
  const isLast = (gic: Device, vcpu: number) =>
    (gic.getAttr(GROUP.REDIST_REGS, (BigInt(vcpu) << 32n) | TYPER, 32) & LAST) !== 0;

  it("in one frame, the last vCPU's is the last", () => {
    const { gic } = setUp(3);
    initialiseGic(gic);
    assert.deepEqual(
      [0, 1, 2].map((n) => isLast(gic, n)),
      [false, false, true],
    );
  });

  it("in regions apart, each region has a last one", () => {
    const { gic } = setUp(3);
    place(gic, "V3_DIST", DISTRIBUTOR);
    addRegion(gic, region(0, FIRST, 2));
    addRegion(gic, region(1, SECOND, 1));
    initialise(gic);
    assert.deepEqual(
      [0, 1, 2].map((n) => isLast(gic, n)),
      [false, true, true],
    );
  });

  it("in regions that follow each other, only the last region has one", () => {
    const { gic } = setUp(3);
    place(gic, "V3_DIST", DISTRIBUTOR);
    addRegion(gic, region(0, FIRST, 2));
    addRegion(gic, region(1, FIRST + 2n * FRAMES, 1));
    initialise(gic);
    assert.deepEqual(
      [0, 1, 2].map((n) => isLast(gic, n)),
      [false, false, true],
    );
  });

  it("GICR_TYPER has the processor's number and its affinity", () => {
    const { gic } = setUp(2);
    initialiseGic(gic);
    const low = gic.getAttr(GROUP.REDIST_REGS, (1n << 32n) | TYPER, 32) >>> 0;
    const high = gic.getAttr(GROUP.REDIST_REGS, (1n << 32n) | (TYPER + 4n), 32) >>> 0;
    assert.deepEqual([(low >> 8) & 0xffff, high], [1, 1]);
  });

  it("with room for fewer than there are vCPUs, the first run is ENXIO and kills the VM", () => {
    const { cpu, gic } = setUp(3);
    place(gic, "V3_DIST", DISTRIBUTOR);
    addRegion(gic, region(0, FIRST, 2));
    initialise(gic);
    assertRefused("ENXIO", () => cpu.runSync());
    assertRefused("EIO", () => cpu.mpState);
  });

  it("with room for more than there are vCPUs, the VM runs", async () => {
    const { cpu, gic } = setUp(2);
    place(gic, "V3_DIST", DISTRIBUTOR);
    addRegion(gic, region(0, FIRST, 5));
    initialise(gic);
    cpu.immediateExit = true;
    assert.equal(cpu.runSync().reason, "interrupted");
  });

  it("that overlap the distributor are EINVAL, at the first run at the latest", () => {
    const { cpu, gic } = setUp(2);
    place(gic, "V3_DIST", FIRST + FRAMES);
    const said = answer(() => addRegion(gic, region(0, FIRST, 2)));
    if (said === "OK") {
      initialise(gic);
      assertRefused("EINVAL", () => cpu.runSync());
    } else {
      assert.equal(said, "EINVAL");
    }
  });

  it("beyond the VM's address space are E2BIG, the last of them alone too", () => {
    const { gic } = setUp(1);
    assertRefused("E2BIG", () => addRegion(gic, region(0, (1n << 40n) - FRAMES, 2)));
    addRegion(gic, region(0, (1n << 40n) - 2n * FRAMES, 2));
  });

  it("active priorities have as many words as there are priority bits, though all can be asked for", () => {
    const { gic } = setUp(1);
    initialiseGic(gic);
    const control = gic.getAttr(GROUP.CPU_SYSREGS, 0xc664n, 64);
    const bits = Number((control >> 8n) & 7n) + 1;
    const words = bits > 6 ? 4 : bits > 5 ? 2 : 1;
    for (const first of [0xc644n, 0xc648n]) {
      for (const n of [0n, 1n, 2n, 3n]) {
        assert.equal(gic.hasAttr(GROUP.CPU_SYSREGS, first + n), true);
        const said = answer(() => gic.setAttr(GROUP.CPU_SYSREGS, first + n, 0n));
        assert.equal(said, n < words ? "OK" : "EINVAL", `${first + n}`);
      }
    }
  });

  it("more priority bits than the host has are EINVAL in ICC_CTLR_EL1, its own value is taken", () => {
    const { gic } = setUp(1);
    initialiseGic(gic);
    const control = gic.getAttr(GROUP.CPU_SYSREGS, 0xc664n, 64);
    gic.setAttr(GROUP.CPU_SYSREGS, 0xc664n, control);
    if (((control >> 8n) & 7n) < 7n)
      assertRefused("EINVAL", () => gic.setAttr(GROUP.CPU_SYSREGS, 0xc664n, control + 0x100n));
    assertRefused("EINVAL", () => gic.setAttr(GROUP.CPU_SYSREGS, 0xc664n, control ^ (1n << 14n))); // SEIS
  });
});
