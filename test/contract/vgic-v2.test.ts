// The in-kernel GICv2. Documentation/virt/kvm/devices/arm-vgic.rst; KVM_CREATE_IRQCHIP, KVM_ARM_SET_DEVICE_ADDR.

import assert from "node:assert/strict";
import { pc, sysReg, x } from "../../lib/arm64/registers.js";
import {
  KVM_VGIC_ADDR_TYPE as ADDR,
  KVM_ARM_VGIC_CTRL as CTRL,
  KVM_ARM_VGIC_GROUP as GROUP,
} from "../../lib/uapi/constants.js";
import type { Vm } from "../../lib/vm.js";
import { daifClear, load, mov64, movz, spin, store } from "../support/assemble.js";
import { needsDevice, onEveryBackend } from "../support/backends.js";
import { finish, loadWords, makeGuest, RAM, runToFinish } from "../support/guest.js";
import { assertRefused } from "../support/refusal.js";

const DISTRIBUTOR = 0x0800_0000n;
const CPU_INTERFACE = 0x0801_0000n;
/** KVM_ARM_SET_DEVICE_ADDR ids: the device in bits 31:16, its frame below. */
const [DIST_ID, CPU_ID] = [0n, 1n];

onEveryBackend(
  "a vGICv2",
  (host) => {
    beforeEach(function () {
      needsDevice(this, host, "vgic-v2");
    });
    const withIrqchip = (): Vm => {
      const vm = host.keep(host.kvm.createVm());
      vm.createIrqchip();
      return vm;
    };

    it("is made by KVM_CREATE_IRQCHIP, once", () => {
      const vm = withIrqchip();
      assertRefused("EEXIST", () => vm.createIrqchip());
      assertRefused("EEXIST", () => vm.createDevice("vgic-v2"));
    });

    it("has room for 8 vCPUs", () => {
      const vm = withIrqchip();
      assert.equal(vm.has("MAX_VCPUS"), 8);
      host.keep(vm.createVcpu(7));
      assertRefused("EINVAL", () => vm.createVcpu(8));
    });

    it("is placed by KVM_ARM_SET_DEVICE_ADDR, each frame once, aligned to a page, within the IPA size", () => {
      const vm = withIrqchip();
      assertRefused("EINVAL", () => vm.setDeviceAddr(DIST_ID, DISTRIBUTOR + 1n));
      assertRefused("E2BIG", () => vm.setDeviceAddr(DIST_ID, 1n << 40n));
      vm.setDeviceAddr(DIST_ID, DISTRIBUTOR);
      vm.setDeviceAddr(CPU_ID, CPU_INTERFACE);
      assertRefused("EEXIST", () => vm.setDeviceAddr(DIST_ID, DISTRIBUTOR));
      assertRefused("ENODEV", () => vm.setDeviceAddr(2n, DISTRIBUTOR));
      assertRefused("ENODEV", () => vm.setDeviceAddr(1n << 16n, DISTRIBUTOR));
    });

    it("delivers a shared interrupt to the guest, which acknowledges it at the CPU interface", async () => {
      const { vm, ram, cpu } = makeGuest(
        host,
        [
          ...mov64(1, DISTRIBUTOR),
          ...mov64(2, CPU_INTERFACE),
          movz(3, 1),
          store(4, 3, 1), // GICD_CTLR = 1
          store(4, 3, 2), // GICC_CTLR = 1
          movz(3, 0xff),
          store(4, 3, 2, 4), // GICC_PMR = 0xff
          store(1, 3, 1, 0x800 + 40), // GICD_ITARGETSR: every CPU
          movz(3, 1 << 8),
          store(4, 3, 1, 0x104), // GICD_ISENABLER1: 40
          daifClear(2),
          spin,
        ],
        { prepare: (made) => made.createIrqchip() },
      );
      vm.setDeviceAddr(DIST_ID, DISTRIBUTOR);
      vm.setDeviceAddr(CPU_ID, CPU_INTERFACE);
      loadWords(ram, 0x800 + 0x280, [load(4, 0, 2, 0xc), ...finish]); // GICC_IAR
      cpu.setReg(sysReg("VBAR_EL1"), RAM + 0x800n);
      cpu.setReg(pc, RAM);
      vm.setIrqLine({ type: "spi", number: 40 }, true);
      await runToFinish(cpu);
      assert.equal(cpu.getReg(x(0)), 40n);
    });

    it("as a device has its frames, its registers and no save of pending tables", () => {
      const vm = host.keep(host.kvm.createVm());
      const gic = host.keep(vm.createDevice("vgic-v2"));
      host.keep(vm.createVcpu()).init();
      gic.setAttr(GROUP.ADDR, BigInt(ADDR.V2_DIST), DISTRIBUTOR);
      gic.setAttr(GROUP.ADDR, BigInt(ADDR.V2_CPU), CPU_INTERFACE);
      assertRefused("ENXIO", () => gic.setAttr(GROUP.ADDR, BigInt(ADDR.V3_DIST), DISTRIBUTOR));
      gic.setAttr(GROUP.CTRL, BigInt(CTRL.INIT));
      assertRefused("ENXIO", () => gic.setAttr(GROUP.CTRL, BigInt(CTRL.SAVE_PENDING_TABLES)));
      gic.setAttr(GROUP.DIST_REGS, 0x104n, 0x55);
      assert.equal(gic.getAttr(GROUP.DIST_REGS, 0x104n, 32), 0x55);
      assertRefused("EINVAL", () => gic.getAttr(GROUP.CPU_REGS, 1n << 32n, 32));
      assertRefused("ENXIO", () => gic.getAttr(GROUP.REDIST_REGS, 0n, 32));
    });

    it("without frames, the first run is ENXIO and kills the VM", () => {
      const { cpu } = makeGuest(host, [], { prepare: (vm) => vm.createIrqchip() });
      assertRefused("ENXIO", () => cpu.runSync());
      assertRefused("EIO", () => cpu.runSync());
    });
  },
  "qemu-cortex-a72-gic2",
);
