// The registers of the in-kernel GICv2, as userspace and the guest have them, and its software-generated interrupts.
// Documentation/virt/kvm/devices/arm-vgic.rst; IHI 0048, "Distributor register descriptions".

import assert from "node:assert/strict";
import { pc, sysReg, x } from "../../lib/arm64/registers.js";
import type { Device } from "../../lib/device.js";
import {
  KVM_VGIC_ADDR_TYPE as ADDR,
  KVM_ARM_VGIC_CTRL as CTRL,
  KVM_ARM_VGIC_GROUP as GROUP,
} from "../../lib/uapi/constants.js";
import type { Vcpu } from "../../lib/vcpu.js";
import type { Vm } from "../../lib/vm.js";
import { branch, load, mov64, store } from "../support/assemble.js";
import { needsDevice, onEveryBackend, onHost } from "../support/backends.js";
import { completeExit, DEVICE, loadWords, makeGuest, RAM, runToMmio } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

const HOSTS = "qemu-cortex-a72-gic2";
const DISTRIBUTOR = 0x0800_0000n;
const CPU_INTERFACE = 0x0801_0000n;
const INTERRUPTS = 96;

const [GICD_CTLR, GICD_TYPER, GICD_IIDR, GICD_IGROUPR, GICD_ISENABLER] = [0x0, 0x4, 0x8, 0x80, 0x100];
const [GICD_ISPENDR, GICD_ICPENDR, GICD_ISACTIVER, GICD_ICACTIVER] = [0x200, 0x280, 0x300, 0x380];
const [GICD_IPRIORITYR, GICD_ITARGETSR, GICD_ICFGR] = [0x400, 0x800, 0xc00];
const [GICD_SGIR, GICD_CPENDSGIR, GICD_SPENDSGIR] = [0xf00, 0xf10, 0xf20];
const [GICC_CTLR, GICC_PMR, GICC_BPR, GICC_IAR, GICC_EOIR, GICC_RPR] = [0x0, 0x4, 0x8, 0xc, 0x10, 0x14];
const [GICC_ABPR, GICC_APR, GICC_IIDR, GICC_DIR] = [0x1c, 0xd0, 0xfc, 0x1000];

const register = (offset: number, vcpu = 0) => (BigInt(vcpu) << 32n) | BigInt(offset);

onEveryBackend(
  "the registers of a vGICv2",
  (host) => {
    beforeEach(function () {
      needsDevice(this, host, "vgic-v2");
    });
    const make = (vcpus = 1): { vm: Vm; gic: Device } => {
      const vm = host.keep(host.kvm.createVm());
      const gic = host.keep(vm.createDevice("vgic-v2"));
      for (let n = 0; n < vcpus; n++) host.keep(vm.createVcpu(n)).init();
      return { vm, gic };
    };
    const initialised = (vcpus = 2) => {
      const made = make(vcpus);
      made.gic.setAttr(GROUP.NR_IRQS, 0n, INTERRUPTS);
      made.gic.setAttr(GROUP.CTRL, BigInt(CTRL.INIT));
      return made.gic;
    };
    const read = (gic: Device, offset: number, vcpu = 0) =>
      gic.getAttr(GROUP.DIST_REGS, register(offset, vcpu), 32) >>> 0;
    const write = (gic: Device, offset: number, value: number) => gic.setAttr(GROUP.DIST_REGS, register(offset), value);
    /** What a register of the distributor keeps of a value. */
    const kept = (gic: Device, offset: number, value: number) => {
      write(gic, offset, value);
      return read(gic, offset);
    };
    const cpu = (gic: Device, offset: number, vcpu = 0) =>
      gic.getAttr(GROUP.CPU_REGS, register(offset, vcpu), 32) >>> 0;
    const keptByCpu = (gic: Device, offset: number, value: number) => {
      gic.setAttr(GROUP.CPU_REGS, register(offset), value);
      return cpu(gic, offset);
    };

    it("initialise it when they are looked at: there is no vCPU after that", () => {
      for (const group of [GROUP.DIST_REGS, GROUP.CPU_REGS]) {
        const { vm, gic } = make();
        assert.equal(gic.hasAttr(group, 0n), true);
        host.keep(vm.createVcpu(1));
        gic.getAttr(group, 0n, 32);
        assertRefused("EBUSY", () => vm.createVcpu(2));
        assert.equal(gic.getAttr(GROUP.NR_IRQS, 0n, 32), 256);
      }
    });

    it("a line of userspace's initialises it too, even without vCPUs", () => {
      const vm = host.keep(host.kvm.createVm());
      vm.createIrqchip();
      vm.setIrqLine({ type: "spi", number: 40 }, true);
      assertRefused("EBUSY", () => vm.createVcpu());
    });

    it("belong to a vCPU: one that is not there is EINVAL", () => {
      const { gic } = make();
      for (const group of [GROUP.DIST_REGS, GROUP.CPU_REGS]) {
        assertRefused("EINVAL", () => gic.hasAttr(group, register(0, 1)));
        assertRefused("EINVAL", () => gic.getAttr(group, register(0, 1), 32));
        assertRefused("EINVAL", () => gic.setAttr(group, register(0, 1)));
        assertRefused("EFAULT", () => gic.setAttr(group, register(0)));
      }
    });

    it("are words: what is none is ENXIO to ask, reads as zero and keeps nothing", () => {
      const gic = initialised();
      const has = (offset: number) => gic.hasAttr(GROUP.DIST_REGS, register(offset));
      assert.deepEqual(
        [0xc, 0x1, 0x8c, 0x45c, 0x460, 0xc14, 0xc18, GICD_SGIR, 0xf04, GICD_SPENDSGIR + 12, 0xf30].map(has),
        [false, false, false, true, false, true, false, true, false, true, false],
      );
      assert.deepEqual([kept(gic, 0xc, 0xffff_ffff), kept(gic, 0x460, 0xffff_ffff)], [0, 0]);
    });

    it("say how many interrupts and vCPUs there are, and that it is KVM's", () => {
      const gic = initialised();
      assert.deepEqual(
        [GICD_CTLR, GICD_TYPER, GICD_IIDR].map((at) => read(gic, at)),
        [0, 0x22, 0x4b00_343b],
      );
      assert.deepEqual([kept(gic, GICD_CTLR, 0xffff_ffff), kept(gic, GICD_TYPER, 0)], [1, 0x22]);
    });

    it("groups can be set by who has set GICD_IIDR, to revision 2 or 3", () => {
      const gic = initialised();
      assert.equal(kept(gic, GICD_IGROUPR + 4, 0xffff_ffff), 0);
      for (const other of [0, 0x4b00_043b, 0x4b00_143b, 0x3002_043b]) {
        assertRefused("EINVAL", () => write(gic, GICD_IIDR, other));
      }
      assert.equal(kept(gic, GICD_IIDR, 0x4b00_243b), 0x4b00_243b);
      assert.equal(kept(gic, GICD_IGROUPR + 4, 0xffff_ffff), 0xffff_ffff);
    });

    it("begin with SGIs enabled, PPIs level-sensitive, and shared interrupts for nobody", () => {
      const gic = initialised();
      assert.deepEqual(
        [GICD_ISENABLER, GICD_ISENABLER + 4].map((at) => read(gic, at)),
        [0xffff, 0],
      );
      assert.deepEqual(
        [0, 4, 8].map((n) => read(gic, GICD_ICFGR + n)),
        [0xaaaa_aaaa, 0, 0xaaaa_aaaa],
      );
      assert.equal(read(gic, GICD_ITARGETSR + 0x20), 0);
    });

    it("targets are of the vCPUs that there are; private interrupts have their own vCPU, for good", () => {
      const gic = initialised();
      assert.equal(kept(gic, GICD_ITARGETSR + 0x20, 0x0302_01ff), 0x0302_0103);
      assert.equal(kept(gic, GICD_ITARGETSR, 0xffff_ffff), 0x0101_0101);
      assert.equal(read(gic, GICD_ITARGETSR, 1), 0x0202_0202);
    });

    it("priorities have five bits", () => {
      assert.equal(kept(initialised(), GICD_IPRIORITYR + 0x20, 0xff77_33ff), 0xf870_30f8);
    });

    it("pending and active bits are set by ones and cleared by ones, also by userspace", () => {
      const gic = initialised();
      for (const [set, clear] of [
        [GICD_ISPENDR, GICD_ICPENDR],
        [GICD_ISACTIVER, GICD_ICACTIVER],
      ] as const) {
        write(gic, set + 4, 0xf0);
        write(gic, set + 4, 0);
        assert.deepEqual([read(gic, set + 4), read(gic, clear + 4)], [0xf0, 0xf0]);
        write(gic, clear + 4, 0x30);
        assert.equal(read(gic, set + 4), 0xc0);
      }
    });

    it("SGIs are pending by their senders", () => {
      const gic = initialised();
      assert.equal(kept(gic, GICD_SPENDSGIR, 0x0003_0201), 0x0003_0201);
      assert.equal(read(gic, GICD_ISPENDR), 0b0111);
      write(gic, GICD_CPENDSGIR, 0x0001_0001);
      assert.deepEqual([read(gic, GICD_SPENDSGIR), read(gic, GICD_ISPENDR)], [0x0002_0200, 0b0110]);
      write(gic, GICD_SGIR, 0x02_0003);
      assert.equal(read(gic, GICD_SPENDSGIR, 1), 0x0100_0000);
    });

    it("an SGI that userspace makes pending without a sender is its own; clearing it clears all senders", () => {
      const gic = initialised();
      write(gic, GICD_SPENDSGIR, 0x0202);
      write(gic, GICD_ISPENDR, 0b01);
      assert.equal(read(gic, GICD_SPENDSGIR), 0x0203);
      write(gic, GICD_ICPENDR, 0b01);
      assert.equal(read(gic, GICD_SPENDSGIR), 0x0200);
    });

    it("of the CPU interface keep what GICH_VMCR has room for", () => {
      const gic = initialised();
      const ones = [GICC_CTLR, GICC_PMR, GICC_BPR, GICC_ABPR, GICC_APR, GICC_APR + 4, GICC_IIDR];
      assert.deepEqual(
        ones.map((offset) => keptByCpu(gic, offset, 0xffff_ffff)),
        [0x21f, 0x1f, 7, 7, 0xffff_ffff, 0, 0x4b2_043b],
      );
      assert.equal(keptByCpu(gic, GICC_PMR, 0xf0), 0x10);
      assert.deepEqual(
        [GICC_CTLR, GICC_PMR].map((offset) => cpu(gic, offset, 1)),
        [0, 0],
      );
    });

    it("of the CPU interface are control, masks, points, active priorities and identification; since 7.2 GICC_DIR", () => {
      const gic = initialised();
      const has = [GICC_PMR, GICC_IAR, GICC_EOIR, GICC_ABPR, 0x20, GICC_APR + 12, 0xe0, GICC_IIDR, GICC_DIR].map(
        (offset) => gic.hasAttr(GROUP.CPU_REGS, register(offset)),
      );
      const before = [true, false, false, true, false, true, false, true, false];
      assert.deepEqual(has, onHost(host, { "6.1": before, "6.12": before, "7.2": [...before.slice(0, 8), true] }));
    });

    it("of other groups are ENXIO, and so are frames and controls of a GICv3", () => {
      const { gic } = make();
      for (const group of [GROUP.REDIST_REGS, GROUP.CPU_SYSREGS, GROUP.LEVEL_INFO, GROUP.ITS_REGS, 77]) {
        assert.equal(gic.hasAttr(group, 0n), false);
        assertRefused("ENXIO", () => gic.setAttr(group, 0n, 0));
      }
      assertRefused("EFAULT", () => gic.setAttr(GROUP.ADDR, BigInt(ADDR.V3_DIST)));
      assertRefused("ENXIO", () => gic.getAttr(GROUP.ADDR, BigInt(ADDR.V3_DIST), 64));
      for (const attr of [1n, 2n, 4n]) assertRefused("ENXIO", () => gic.setAttr(GROUP.CTRL, attr));
    });
  },
  HOSTS,
);

onEveryBackend(
  "frames of a vGICv2",
  (host) => {
    beforeEach(function () {
      needsDevice(this, host, "vgic-v2");
    });

    it("that overlap are EINVAL at the first run, which kills the VM", () => {
      const { vm, cpu } = makeGuest(host, [], { prepare: (made) => made.createIrqchip() });
      vm.setDeviceAddr(0n, DISTRIBUTOR);
      vm.setDeviceAddr(1n, DISTRIBUTOR);
      assertRefused("EINVAL", () => cpu.runSync());
      assertRefused("EIO", () => cpu.runSync());
    });

    it("of which the CPU interface has 8 KiB end within the IPA size", () => {
      const vm = host.keep(host.kvm.createVm());
      vm.createIrqchip();
      const said = [0n, 1n].map((id) => answer(() => vm.setDeviceAddr(id, (1n << 40n) - 0x1000n)));
      assert.deepEqual(said, ["OK", "E2BIG"]);
    });

    it("need a vGICv2: without one, ENODEV", () => {
      const vm = host.keep(host.kvm.createVm());
      assertRefused("ENODEV", () => vm.setDeviceAddr(0n, DISTRIBUTOR));
    });
  },
  HOSTS,
);

onEveryBackend(
  "a guest of a vGICv2",
  (host) => {
    beforeEach(function () {
      needsDevice(this, host, "vgic-v2");
    });

    /** Two vCPUs that load from and store to where they are told, and say so at DEVICE. */
    const make = () => {
      const { vm, ram, cpus } = makeGuest(host, [], { vcpus: 2, prepare: (made) => made.createIrqchip() });
      vm.setDeviceAddr(0n, DISTRIBUTOR);
      vm.setDeviceAddr(1n, CPU_INTERFACE);
      loadWords(ram, 0, [...mov64(3, DEVICE), load(4, 2, 1), store(8, 2, 3), branch(0)]);
      loadWords(ram, 0x100, [...mov64(3, DEVICE), store(4, 2, 1), store(8, 2, 3), branch(0)]);
      // An interrupt: x4 = 1.
      loadWords(ram, 0x800 + 0x280, [...mov64(4, 1n), ...mov64(3, DEVICE), store(8, 4, 3), branch(0)]);
      const go = async (which: number, entry: bigint, address: bigint, value: bigint) => {
        const cpu = cpus[which] as Vcpu;
        cpu.setReg(sysReg("VBAR_EL1"), RAM + 0x800n);
        cpu.setReg(pc, RAM + entry);
        cpu.setReg(x(1), address);
        cpu.setReg(x(2), value);
        await runToMmio(cpu);
        completeExit(cpu);
        return Number(cpu.getReg(x(2)));
      };
      const at = (base: bigint, offset: number) => base + BigInt(offset);
      return {
        vm,
        dist: (offset: number, cpu = 0) => go(cpu, 0n, at(DISTRIBUTOR, offset), 0n),
        setDist: (offset: number, value: number, cpu = 0) => go(cpu, 0x100n, at(DISTRIBUTOR, offset), BigInt(value)),
        gicc: (offset: number, cpu = 0) => go(cpu, 0n, at(CPU_INTERFACE, offset), 0n),
        setGicc: (offset: number, value: number, cpu = 0) => go(cpu, 0x100n, at(CPU_INTERFACE, offset), BigInt(value)),
      };
    };
    type Guest = ReturnType<typeof make>;
    const enabled = async () => {
      const guest = make();
      for (const cpu of [0, 1]) {
        await guest.setGicc(GICC_CTLR, 1, cpu);
        await guest.setGicc(GICC_PMR, 0xff, cpu);
      }
      await guest.setDist(GICD_CTLR, 1);
      await guest.setDist(GICD_ISENABLER + 4, 0xffff_ffff);
      return guest;
    };
    const acknowledge = (guest: Guest, cpu = 0) => guest.gicc(GICC_IAR, cpu);

    it("has a CPU interface of five bits of priority, where nothing is pending", async () => {
      const guest = await enabled();
      assert.deepEqual([await guest.gicc(GICC_PMR), await guest.gicc(GICC_RPR)], [0xf8, 0xff]);
      assert.deepEqual([await guest.gicc(GICC_BPR), await guest.gicc(GICC_ABPR)], [2, 3]);
      assert.equal(await acknowledge(guest), 1023);
    });

    it("sets groups, and not the pending bits of SGIs", async () => {
      const guest = await enabled();
      await guest.setDist(GICD_IGROUPR + 4, 0x10);
      await guest.setDist(GICD_ISPENDR, 0xff);
      assert.deepEqual([await guest.dist(GICD_IGROUPR + 4), await guest.dist(GICD_ISPENDR)], [0x10, 0]);
    });

    it("sends SGIs to those that it names, to all others and to itself; each taken one names its sender", async () => {
      const guest = await enabled();
      await guest.setDist(GICD_SGIR, 0x0002_0003); // to vCPU 1
      await guest.setDist(GICD_SGIR, 0x0100_0004, 1); // to all but vCPU 1
      await guest.setDist(GICD_SGIR, 0x0200_0005); // to itself
      assert.equal(await acknowledge(guest, 1), 3);
      assert.equal(await acknowledge(guest), (1 << 10) | 4);
      await guest.setGicc(GICC_EOIR, (1 << 10) | 4);
      assert.equal(await acknowledge(guest), 5);
    });

    it("takes an SGI of two senders twice", async () => {
      const guest = await enabled();
      await guest.setDist(GICD_SGIR, 0x0001_0003);
      await guest.setDist(GICD_SGIR, 0x0001_0003, 1);
      assert.equal(await guest.dist(GICD_SPENDSGIR), 0x0300_0000);
      const taken = [];
      for (let n = 0; n < 2; n++) {
        taken.push(await acknowledge(guest));
        await guest.setGicc(GICC_EOIR, taken[n] as number);
      }
      assert.deepEqual(taken, [3, (1 << 10) | 3]);
      assert.equal(await acknowledge(guest), 1023);
    });

    it("gets a shared interrupt at the vCPU that is its target, the first where there is none", async () => {
      const guest = await enabled();
      await guest.setDist(GICD_ITARGETSR + 0x20, 0x0200);
      guest.vm.setIrqLine({ type: "spi", number: 33 }, true);
      guest.vm.setIrqLine({ type: "spi", number: 34 }, true);
      assert.deepEqual([await acknowledge(guest), await acknowledge(guest, 1)], [34, 33]);
    });

    it("with EOImode drops the priority by GICC_EOIR, and deactivates by GICC_DIR", async () => {
      const guest = await enabled();
      await guest.setGicc(GICC_CTLR, 0x201);
      guest.vm.setIrqLine({ type: "spi", number: 35 }, true);
      assert.equal(await acknowledge(guest), 35);
      assert.equal(await guest.gicc(GICC_APR), 1);
      await guest.setGicc(GICC_EOIR, 35);
      assert.deepEqual([await guest.dist(GICD_ISACTIVER + 4), await guest.gicc(GICC_RPR)], [8, 0xff]);
      await guest.setGicc(GICC_DIR, 35);
      assert.equal(await guest.dist(GICD_ISACTIVER + 4), 0);
    });

    it("acknowledges an interrupt of group 1 at GICC_IAR only with AckCtl", async () => {
      const guest = await enabled();
      await guest.setDist(GICD_IGROUPR + 4, 0x10);
      await guest.setGicc(GICC_CTLR, 3);
      guest.vm.setIrqLine({ type: "spi", number: 36 }, true);
      assert.equal(await acknowledge(guest), 1022);
      await guest.setGicc(GICC_CTLR, 7);
      assert.equal(await acknowledge(guest), 36);
      await guest.setGicc(GICC_EOIR, 36);
      assert.equal(await guest.gicc(GICC_RPR), 0xff);
    });
  },
  HOSTS,
);
