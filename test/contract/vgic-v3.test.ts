// The in-kernel GICv3: how it is made, placed, initialised and read. Documentation/virt/kvm/devices/arm-vgic-v3.rst.

import assert from "node:assert/strict";
import { pc, sysReg, x } from "../../lib/arm64/registers.js";
import type { Device } from "../../lib/device.js";
import { Kvm } from "../../lib/index.js";
import {
  KVM_VGIC_ADDR_TYPE as ADDR,
  KVM_ARM_VGIC_GROUP as GROUP,
  KVM_ARM_VGIC_CTRL,
} from "../../lib/uapi/constants.js";
import type { Vm } from "../../lib/vm.js";
import { daifClear, mrs, spin } from "../support/assemble.js";
import { needsDevice, onEveryBackend } from "../support/backends.js";
import { DISTRIBUTOR, initialiseGic, makeGicGuest, REDISTRIBUTOR, takeInterrupt } from "../support/gic.js";
import { exceptionClass, finish, makeGuest, RAM, runToFinish } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";
import { setVectors } from "../support/vectors.js";

const UNSET = 2n ** 64n - 1n;
const INIT = BigInt(KVM_ARM_VGIC_CTRL.INIT);
const region = (index: number, base: bigint, count: number, flags = 0): bigint =>
  (BigInt(count) << 52n) | base | (BigInt(flags) << 12n) | BigInt(index);

onEveryBackend("KVM_CREATE_DEVICE", (host) => {
  const makeVm = (): Vm => host.keep(host.kvm.createVm());

  it("of a type that nobody has is ENODEV, also when it is only a question", () => {
    const vm = makeVm();
    for (const type of [0, 1, 9, 12, 99, 0xffff_ffff]) {
      assertRefused("ENODEV", () => vm.createDevice(type));
      assert.equal(vm.offersDevice(type), false);
    }
  });

  it("of PV time is ENODEV: the number is reserved", () => {
    assertRefused("ENODEV", () => makeVm().createDevice("pv-time"));
  });

  it("as a question creates nothing: a GIC can be created after it, once", function () {
    needsDevice(this, host, "vgic-v3");
    const vm = makeVm();
    assert.deepEqual([vm.offersDevice("vgic-v3"), vm.offersDevice("vgic-v3")], [true, true]);
    host.keep(vm.createDevice("vgic-v3"));
    assertRefused("EEXIST", () => vm.createDevice("vgic-v3"));
  });

  it("of a GIC after a vCPU ran is EBUSY", function () {
    needsDevice(this, host, "vgic-v3");
    const { vm, cpu } = makeGuest(host);
    cpu.immediateExit = true;
    cpu.runSync();
    assertRefused("EBUSY", () => vm.createDevice("vgic-v3"));
  });

  it("of a GICv2 is EEXIST or ENODEV beside a GICv3, as the host can have it", function () {
    needsDevice(this, host, "vgic-v3");
    const vm = makeVm();
    host.keep(vm.createDevice("vgic-v3"));
    const said = answer(() => vm.createDevice("vgic-v2"));
    assert.equal(said, vm.offersDevice("vgic-v2") ? "EEXIST" : "ENODEV");
  });

  it("KVM_CREATE_IRQCHIP makes a GICv2 where the host can have it", () => {
    const vm = makeVm();
    const expected = vm.offersDevice("vgic-v2") ? "OK" : host.kvm.has("IRQCHIP") ? "ENODEV" : "ENXIO";
    assert.equal(
      answer(() => vm.createIrqchip()),
      expected,
    );
  });
});

onEveryBackend("a vGICv3", (host) => {
  beforeEach(function () {
    needsDevice(this, host, "vgic-v3");
  });

  const setUp = (vcpus = 0, ipaBits = 0): { vm: Vm; gic: Device } => {
    const vm = host.keep(host.kvm.createVm({ ipaBits }));
    const gic = host.keep(vm.createDevice("vgic-v3"));
    for (let i = 0; i < vcpus; i++) host.keep(vm.createVcpu()).init();
    return { vm, gic };
  };
  const place = (gic: Device, type: keyof typeof ADDR, at: bigint) => gic.setAttr(GROUP.ADDR, BigInt(ADDR[type]), at);
  const placeOf = (gic: Device, type: keyof typeof ADDR) => gic.getAttr(GROUP.ADDR, BigInt(ADDR[type]), 64);

  it("has no place until it is given one, and then says it", () => {
    const { gic } = setUp(1);
    assert.deepEqual([placeOf(gic, "V3_DIST"), placeOf(gic, "V3_REDIST")], [UNSET, UNSET]);
    place(gic, "V3_DIST", DISTRIBUTOR);
    place(gic, "V3_REDIST", REDISTRIBUTOR);
    assert.deepEqual([placeOf(gic, "V3_DIST"), placeOf(gic, "V3_REDIST")], [DISTRIBUTOR, REDISTRIBUTOR]);
  });

  it("frames that are not aligned to 64 KiB are EINVAL, those beyond the IPA size E2BIG", () => {
    const { gic } = setUp(1, 40);
    for (const type of ["V3_DIST", "V3_REDIST"] as const) {
      assertRefused("EINVAL", () => place(gic, type, DISTRIBUTOR + 0x1000n));
      assertRefused("E2BIG", () => place(gic, type, 1n << 40n));
    }
    assertRefused("E2BIG", () => place(gic, "V3_REDIST", (1n << 40n) - 0x1_0000n));
  });

  it("a frame is placed once", () => {
    const { gic } = setUp(1);
    place(gic, "V3_DIST", DISTRIBUTOR);
    assertRefused("EEXIST", () => place(gic, "V3_DIST", DISTRIBUTOR));
    place(gic, "V3_REDIST", REDISTRIBUTOR);
    assertRefused("EEXIST", () => place(gic, "V3_REDIST", REDISTRIBUTOR + 0x100_0000n));
  });

  it("frames of a GICv2 and unknown ones are ENXIO", () => {
    const { gic } = setUp();
    assertRefused("ENXIO", () => place(gic, "V2_DIST", DISTRIBUTOR));
    assertRefused("ENXIO", () => place(gic, "V2_CPU", DISTRIBUTOR));
    assertRefused("ENXIO", () => gic.setAttr(GROUP.ADDR, 99n, DISTRIBUTOR));
    assert.deepEqual(
      [0n, 2n, 3n, 5n, 99n].map((attr) => gic.hasAttr(GROUP.ADDR, attr)),
      [false, true, true, true, false],
    );
  });

  it("a null pointer is EFAULT", () => {
    const { gic } = setUp();
    assertRefused("EFAULT", () => gic.setAttr(GROUP.ADDR, BigInt(ADDR.V3_DIST)));
  });

  it("redistributor regions are numbered from 0 without gaps, have a count and no flags", () => {
    const { gic } = setUp();
    const set = (value: bigint) => gic.setAttr(GROUP.ADDR, BigInt(ADDR.V3_REDIST_REGION), value);
    assertRefused("EINVAL", () => set(region(0, REDISTRIBUTOR, 0)));
    assertRefused("EINVAL", () => set(region(0, REDISTRIBUTOR, 2, 1)));
    assertRefused("EINVAL", () => set(region(1, REDISTRIBUTOR, 2)));
    set(region(0, 0x1000_0000n, 2));
    assertRefused("EINVAL", () => set(region(0, 0x2000_0000n, 2)));
    assertRefused("EINVAL", () => set(region(2, 0x2000_0000n, 2)));
    assertRefused("EINVAL", () => set(region(1, 0x1001_0000n, 1)));
    assertRefused("E2BIG", () => set(region(1, 1n << 40n, 1)));
    set(region(1, 0x2000_0000n, 3));
  });

  it("regions can be read back by their number, others are ENOENT", () => {
    const { gic } = setUp();
    const attr = BigInt(ADDR.V3_REDIST_REGION);
    gic.setAttr(GROUP.ADDR, attr, region(0, 0x1000_0000n, 2));
    const into = new Uint8Array(8);
    into[0] = 0;
    assert.equal(gic.getAttr(GROUP.ADDR, attr, 64), region(0, 0x1000_0000n, 2));
  });

  it("regions and the single redistributor frame exclude each other", () => {
    const [one, other] = [setUp(1).gic, setUp(1).gic];
    one.setAttr(GROUP.ADDR, BigInt(ADDR.V3_REDIST_REGION), region(0, REDISTRIBUTOR, 1));
    assertRefused("EINVAL", () => place(one, "V3_REDIST", 0x2000_0000n));
    place(other, "V3_REDIST", REDISTRIBUTOR);
    assertRefused("EINVAL", () => other.setAttr(GROUP.ADDR, BigInt(ADDR.V3_REDIST_REGION), region(0, 0x2000_0000n, 1)));
  });

  it("NR_IRQS is 32 until it is set, then 64 to 992 in steps of 32, once", () => {
    const { gic } = setUp();
    assert.equal(gic.getAttr(GROUP.NR_IRQS, 0n, 32), 32);
    for (const count of [0, 32, 63, 65, 100, 1024, 0xffff_ffff]) {
      assertRefused("EINVAL", () => gic.setAttr(GROUP.NR_IRQS, 0n, count));
    }
    gic.setAttr(GROUP.NR_IRQS, 0n, 128);
    assert.equal(gic.getAttr(GROUP.NR_IRQS, 0n, 32), 128);
    assertRefused("EBUSY", () => gic.setAttr(GROUP.NR_IRQS, 0n, 64));
  });

  it("initialised without it, it has 256 interrupts; NR_IRQS is then EBUSY", () => {
    const { gic } = setUp(1);
    initialiseGic(gic);
    assert.equal(gic.getAttr(GROUP.NR_IRQS, 0n, 32), 256);
    assertRefused("EBUSY", () => gic.setAttr(GROUP.NR_IRQS, 0n, 64));
  });

  it("can be initialised before it has a place, and more than once", () => {
    const { gic } = setUp(1);
    gic.setAttr(GROUP.CTRL, INIT);
    gic.setAttr(GROUP.CTRL, INIT);
  });

  it("controls that it does not have are ENXIO", () => {
    const { gic } = setUp();
    for (const attr of [1n, 2n, 4n, 77n]) assertRefused("ENXIO", () => gic.setAttr(GROUP.CTRL, attr));
    assert.deepEqual(
      [0n, 3n, 77n].map((attr) => gic.hasAttr(GROUP.CTRL, attr)),
      [true, true, false],
    );
  });

  it("groups that it does not have are ENXIO, to set, get and ask", () => {
    const { gic } = setUp();
    for (const group of [GROUP.CPU_REGS, GROUP.ITS_REGS, 77]) {
      assertRefused("ENXIO", () => gic.setAttr(group, 0n, 0));
      assertRefused("ENXIO", () => gic.getAttr(group, 0n, 32));
      assert.equal(gic.hasAttr(group, 0n), false);
    }
  });

  it("after it is initialised, another vCPU is EBUSY", () => {
    const { vm, gic } = setUp(1);
    gic.setAttr(GROUP.CTRL, INIT);
    assertRefused("EBUSY", () => vm.createVcpu());
  });

  it("before it is initialised, its registers are EBUSY", () => {
    const { gic } = setUp(1);
    assertRefused("EBUSY", () => gic.getAttr(GROUP.DIST_REGS, 0n, 32));
    assertRefused("EBUSY", () => gic.getAttr(GROUP.REDIST_REGS, 0n, 32));
    assertRefused("EBUSY", () => gic.getAttr(GROUP.CPU_SYSREGS, 0xc230n, 64));
  });

  it("its registers keep what is written, by frame", () => {
    const { gic } = setUp(1);
    initialiseGic(gic);
    gic.setAttr(GROUP.DIST_REGS, 0x104n, 0x55); // GICD_ISENABLER1
    gic.setAttr(GROUP.DIST_REGS, 0x420n, 0xa0b0_c0d0); // GICD_IPRIORITYR8
    gic.setAttr(GROUP.REDIST_REGS, 0x1_0100n, 0x8000_0001); // GICR_ISENABLER0
    assert.equal(gic.getAttr(GROUP.DIST_REGS, 0x104n, 32), 0x55);
    assert.equal(gic.getAttr(GROUP.DIST_REGS, 0x420n, 32) & 0xf8f8_f8f8, 0xa0b0_c0d0 & 0xf8f8_f8f8);
    assert.equal(gic.getAttr(GROUP.REDIST_REGS, 0x1_0100n, 32) & 0x8000_0000, -0x8000_0000);
  });

  it("registers of a vCPU that is not there are EINVAL", () => {
    const { gic } = setUp(1);
    initialiseGic(gic);
    const other = 1n << 32n;
    assertRefused("EINVAL", () => gic.getAttr(GROUP.REDIST_REGS, other, 32));
    assertRefused("EINVAL", () => gic.getAttr(GROUP.CPU_SYSREGS, other | 0xc230n, 64));
  });

  it("offsets that are no register are ENXIO to ask", () => {
    const { gic } = setUp(1);
    initialiseGic(gic);
    assert.deepEqual(
      [0n, 0x104n, 0x6100n].map((offset) => gic.hasAttr(GROUP.DIST_REGS, offset)),
      [true, true, true],
    );
    assert.equal(gic.hasAttr(GROUP.DIST_REGS, 0x105n), false);
  });

  it("every CPU interface register is there, and keeps a priority mask", () => {
    const { gic } = setUp(1);
    initialiseGic(gic);
    // ICC_PMR, BPR0, AP0R0, AP1R0, BPR1, CTLR, SRE, IGRPEN0, IGRPEN1 (_EL1)
    for (const id of [0xc230n, 0xc643n, 0xc644n, 0xc648n, 0xc663n, 0xc664n, 0xc665n, 0xc666n, 0xc667n]) {
      assert.equal(gic.hasAttr(GROUP.CPU_SYSREGS, id), true, id.toString(16));
      const value = gic.getAttr(GROUP.CPU_SYSREGS, id, 64);
      gic.setAttr(GROUP.CPU_SYSREGS, id, value);
    }
    gic.setAttr(GROUP.CPU_SYSREGS, 0xc230n, 0xf0n);
    assert.equal(gic.getAttr(GROUP.CPU_SYSREGS, 0xc230n, 64), 0xf0n);
  });

  it("ICC_SRE_EL1 can not give up the system registers, unknown ids are ENOENT, and ENXIO to ask", () => {
    const { gic } = setUp(1);
    initialiseGic(gic);
    assertRefused("EINVAL", () => gic.setAttr(GROUP.CPU_SYSREGS, 0xc665n, 0n));
    assertRefused("ENOENT", () => gic.getAttr(GROUP.CPU_SYSREGS, 0xc000n, 64));
    assert.equal(gic.hasAttr(GROUP.CPU_SYSREGS, 0xc000n), false);
  });

  it("line levels are words of 32 interrupts, of those that are level-triggered: shared ones start as edges", () => {
    const { vm, gic } = setUp(1);
    initialiseGic(gic);
    vm.setIrqLine({ type: "spi", number: 36 }, true);
    assert.equal(gic.getAttr(GROUP.LEVEL_INFO, 32n, 32), 0);
    gic.setAttr(GROUP.DIST_REGS, 0xc08n, 0); // GICD_ICFGR2
    vm.setIrqLine({ type: "spi", number: 35 }, true);
    assert.equal(gic.getAttr(GROUP.LEVEL_INFO, 32n, 32) & 8, 8);
    vm.setIrqLine({ type: "spi", number: 35 }, false);
    assert.equal(gic.getAttr(GROUP.LEVEL_INFO, 32n, 32), 0);
    assertRefused("EINVAL", () => gic.getAttr(GROUP.LEVEL_INFO, 33n, 32));
    assertRefused("EINVAL", () => gic.getAttr(GROUP.LEVEL_INFO, 1n << 10n, 32));
  });

  for (const [what, line, intid] of [
    ["a shared interrupt", { type: "spi", number: 40 }, 40n],
    ["a private interrupt", { type: "ppi", vcpu: 0, number: 20 }, 20n],
  ] as const) {
    it(`${what} that userspace raises is taken by the guest, which reads its INTID`, async () => {
      const guest = makeGicGuest(host, { spi: 40, code: [daifClear(2), spin] });
      const { vm, cpu, gic } = guest;
      gic.setAttr(GROUP.REDIST_REGS, 0x1_0080n, 1 << 20); // GICR_IGROUPR0
      gic.setAttr(GROUP.REDIST_REGS, 0x1_0100n, 1 << 20); // GICR_ISENABLER0
      setVectors(guest, { irq: [...takeInterrupt, ...finish] });
      cpu.setReg(pc, RAM);
      vm.setIrqLine(line, true);
      await runToFinish(cpu);
      assert.equal(cpu.getReg(x(0)), intid);
    });
  }

  it("a guest without one has no CPU interface: its registers are undefined", async () => {
    const guest = makeGuest(host, [mrs(0, [3, 0, 12, 12, 5])]); // mrs x0, icc_sre_el1
    setVectors(guest);
    const { cpu } = guest;
    await runToFinish(cpu);
    assert.equal(exceptionClass(cpu), 0n); // unknown reason
  });
});

onEveryBackend("the first run of a VM with a vGICv3", (host) => {
  beforeEach(function () {
    needsDevice(this, host, "vgic-v3");
  });
  const setUp = () => {
    const guest = makeGuest(host, finish, { prepare: (vm) => gics.push(host.keep(vm.createDevice("vgic-v3"))) });
    return { ...guest, gic: gics.at(-1) as Device };
  };
  const gics: Device[] = [];
  const DIST = BigInt(ADDR.V3_DIST);
  const REDIST = BigInt(ADDR.V3_REDIST);

  it("without redistributors is ENXIO, and kills the VM: everything is EIO", () => {
    const { vm, cpu, gic } = setUp();
    gic.setAttr(GROUP.ADDR, DIST, DISTRIBUTOR);
    gic.setAttr(GROUP.CTRL, INIT);
    assertRefused("ENXIO", () => cpu.runSync());
    assertRefused("EIO", () => cpu.runSync());
    assertRefused("EIO", () => cpu.getReg(pc));
    assertRefused("EIO", () => cpu.init());
    assertRefused("EIO", () => cpu.mpState);
    assertRefused("EIO", () => vm.createVcpu());
    assertRefused("EIO", () => vm.has("IRQCHIP"));
    assertRefused("EIO", () => gic.getAttr(GROUP.NR_IRQS, 0n, 32));
    assertRefused("EIO", () => vm.addMemory({ at: 0x8000_0000n, bytes: 4096 }));
  });

  it("leaves a dead VM what is no ioctl: mappings, handles, and statistics whose descriptor is there", () => {
    const { vm, cpu, gic } = setUp();
    const other = host.keep(vm.createVcpu());
    const header = new Uint8Array(24);
    const readHeader = () => vm.fd.readStats(0, header);
    assert.deepEqual([readHeader(), cpu.statistics().statistics.length > 0], [24, true]);
    gic.setAttr(GROUP.CTRL, INIT);
    assertRefused("ENXIO", () => cpu.runSync());
    assert.equal(readHeader(), 24);
    assert.equal(cpu.statistics().id, `kvm-${process.pid}/vcpu-0`);
    assertRefused("EIO", () => other.statistics());
    const mapping = vm.fd.map({ kind: "anonymous", bytes: 4096 });
    assert.equal(mapping.bytes, 4096);
    mapping.close();
    assertRefused("EBADF", () => vm.fd.setUserMemoryRegion(0, 0, 0n, 4096n, mapping, 0n));
    assertRefused("EIO", () => host.keep(Kvm.attachVm(vm.handle)).createVcpu());
    assertRefused("EIO", () => host.keep(Kvm.attachVcpu(cpu.handle)).getReg(pc));
  });

  it("without a distributor is ENXIO", () => {
    const { cpu, gic } = setUp();
    gic.setAttr(GROUP.ADDR, REDIST, REDISTRIBUTOR);
    gic.setAttr(GROUP.CTRL, INIT);
    assertRefused("ENXIO", () => cpu.runSync());
  });

  it("with frames but not initialised is EBUSY", () => {
    const { cpu, gic } = setUp();
    gic.setAttr(GROUP.ADDR, DIST, DISTRIBUTOR);
    gic.setAttr(GROUP.ADDR, REDIST, REDISTRIBUTOR);
    assertRefused("EBUSY", () => cpu.runSync());
    assertRefused("EIO", () => cpu.runSync());
  });

  it("does not kill other VMs, nor the system", () => {
    const { cpu } = setUp();
    assertRefused("ENXIO", () => cpu.runSync());
    assert.equal(host.kvm.has("USER_MEMORY"), 1);
    const other = makeGuest(host, finish);
    other.cpu.immediateExit = true;
    assert.equal(other.cpu.runSync().reason, "interrupted");
  });

  it("of a dead VM everything can still be closed", () => {
    const { vm, cpu, gic } = setUp();
    assertRefused("ENXIO", () => cpu.runSync());
    for (const resource of [gic, cpu, vm]) resource.close();
    assert.deepEqual([gic.closed, cpu.closed, vm.closed], [true, true, true]);
  });

  it("keeps the promise of a GIC in ID_AA64PFR0_EL1", async () => {
    const { cpu } = makeGicGuest(host, { code: finish });
    cpu.setReg(pc, RAM);
    await runToFinish(cpu);
    assert.equal((cpu.getReg(sysReg("ID_AA64PFR0_EL1")) >> 24n) & 0xfn, 1n);
  });
});
