// A stage that sequences have now and then: the attributes of devices that any run must have met, in their order.

import {
  KVM_ARM_VGIC_GROUP as GROUP,
  KVM_ARM_VCPU_GROUP,
  KVM_ARM_VGIC_CTRL,
  KVM_DEV_TYPE,
  KVM_VGIC_ADDR_TYPE,
} from "../../../lib/uapi/constants.js";
import { pack, structs } from "../../../lib/uapi/structs.js";
import { DIST, placeIts, REDIST, setAttribute, u32, u64 } from "./interrupts.js";
import type { DevicePlan, Maker } from "./maker.js";

/** Goes through the attributes of a GICv3, an ITS, a PMU and timers, in a VM of its own. */
export function attributeStage(m: Maker): void {
  const { devices, features } = m.facts;
  if (!devices.includes(KVM_DEV_TYPE.ARM_VGIC_V3)) return;
  const PMU = features & (1 << 3);
  const vm = m.make("spare", "kvm.createVm", "kvm", 0n);
  const gic: DevicePlan = { name: m.make("device", "vm.createDevice", vm, KVM_DEV_TYPE.ARM_VGIC_V3, 0), kind: "v3" };
  const cpu = m.make("cpu", "vm.createVcpu", vm, 0);
  m.emit("cpu.armVcpuInit", cpu, pack(structs.kvm_vcpu_init, { target: 5, features: [PMU] }));
  m.emit("vm.irqLine", vm, (1 << 24) | 40, 1);
  const get = (device: DevicePlan, group: number, attr: number | bigint, bytes: number) =>
    m.emit("device.getDeviceAttr", device.name, group, BigInt(attr), bytes);
  const { V3_DIST, V3_REDIST, V3_REDIST_REGION } = KVM_VGIC_ADDR_TYPE;
  // Beyond the 40 bits of the VM's addresses: E2BIG.
  setAttribute(m, gic, GROUP.ADDR, V3_DIST, u64(1n << 48n));
  setAttribute(m, gic, GROUP.ADDR, V3_DIST, u64(DIST));
  setAttribute(m, gic, GROUP.ADDR, V3_REDIST_REGION, u64(REDIST | (1n << 52n)));
  setAttribute(m, gic, GROUP.NR_IRQS, 0, u32(96));
  setAttribute(m, gic, GROUP.CTRL, KVM_ARM_VGIC_CTRL.INIT, null);
  for (const attr of [V3_DIST, V3_REDIST, V3_REDIST_REGION]) get(gic, GROUP.ADDR, attr, 8);
  get(gic, GROUP.NR_IRQS, 0, 4);
  setAttribute(m, gic, GROUP.DIST_REGS, 0, u32(2));
  get(gic, GROUP.DIST_REGS, 0, 4);
  setAttribute(m, gic, GROUP.LEVEL_INFO, 32, u32(0x100));
  get(gic, GROUP.LEVEL_INFO, 0, 4);
  const { PMU_V3, TIMER } = KVM_ARM_VCPU_GROUP;
  for (const attr of [0n, 1n, 2n, 3n]) {
    m.emit("cpu.setDeviceAttr", cpu, TIMER, attr, u32(18 + Number(attr)));
    m.emit("cpu.getDeviceAttr", cpu, TIMER, attr, 4);
  }
  if (PMU !== 0) {
    const filter = pack(structs.kvm_pmu_event_filter, { base_event: 0x11, nevents: 1, action: 1 });
    m.emit("cpu.setDeviceAttr", cpu, PMU_V3, 2n, filter);
    m.emit("cpu.setDeviceAttr", cpu, PMU_V3, 0n, u32(23));
    m.emit("cpu.getDeviceAttr", cpu, PMU_V3, 0n, 4);
    m.emit("cpu.setDeviceAttr", cpu, PMU_V3, 1n, null);
  }
  if (!devices.includes(KVM_DEV_TYPE.ARM_VGIC_ITS)) return;
  const its: DevicePlan = { name: m.make("device", "vm.createDevice", vm, KVM_DEV_TYPE.ARM_VGIC_ITS, 0), kind: "its" };
  placeIts(m, its);
  get(its, GROUP.ITS_REGS, 0, 8);
}
