// Ops on interrupt controllers and on what goes to them: lines, routes, eventfds, messages.

import {
  KVM_ARM_VGIC_CTRL,
  KVM_ARM_VGIC_GROUP,
  KVM_DEV_TYPE,
  KVM_IOEVENTFD_FLAG,
  KVM_IRQFD_FLAG,
  KVM_VGIC_ADDR_TYPE,
} from "../../../lib/uapi/constants.js";
import { pack, structs } from "../../../lib/uapi/structs.js";
import type { Op } from "../op.js";
import type { DeviceKind, DevicePlan, Maker, VmPlan } from "./maker.js";

/** Where the frames are. */
export const DIST = 0x0800_0000n;
export const REDIST = 0x080a_0000n;
export const ITS = 0x0808_0000n;
export const CPU_INTERFACE = 0x0801_0000n;

const GROUP = KVM_ARM_VGIC_GROUP;
export const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
export const u64 = (value: bigint) => new Uint8Array(BigUint64Array.of(value).buffer);

const typeOf: Readonly<Record<DeviceKind, number>> = {
  v2: KVM_DEV_TYPE.ARM_VGIC_V2,
  v3: KVM_DEV_TYPE.ARM_VGIC_V3,
  its: KVM_DEV_TYPE.ARM_VGIC_ITS,
  other: KVM_DEV_TYPE.VFIO,
};

export function createDevice(m: Maker, vm: VmPlan, kind: DeviceKind): DevicePlan {
  const device = { name: m.make("device", "vm.createDevice", vm.name, typeOf[kind], 0), kind };
  vm.devices.push(device);
  return device;
}

const PMU = 1 << 3;

/**
 * The kernel dies of it (6.12, kvm_vgic_reset_mapped_irq): a run that is refused because its PMU was not initialised has
 * enabled the timers, and the next reset looks for their interrupts in a GIC that was made since and is not initialised.
 */
function gicIsFatal({ facts, ops }: Maker, { cpus }: VmPlan): boolean {
  if (facts.kernel !== "6.12") return false;
  const done = ops.filter(({ on }) => cpus.some(({ name }) => name === on));
  const offersPmu = ({ verb, args }: Op) => verb === "cpu.armVcpuInit" && ((args[0] as Uint8Array)[4]! & PMU) !== 0;
  return done.some(offersPmu) && done.some(({ verb }) => verb.startsWith("cpu.run") || verb === "cpu.launch");
}

export const setAttribute = (
  m: Maker,
  device: DevicePlan,
  group: number,
  attr: number | bigint,
  value: Uint8Array | null,
) => m.emit("device.setDeviceAttr", device.name, group, BigInt(attr), value);

/** A GIC as guests want it; now and then something is left out: gives false. */
export function placeGic(m: Maker, device: DevicePlan): boolean {
  const { random } = m;
  let whole = true;
  const usually = () => {
    const done = !random.once(25);
    whole &&= done;
    return done;
  };
  if (device.kind === "v2") {
    if (usually()) setAttribute(m, device, GROUP.ADDR, KVM_VGIC_ADDR_TYPE.V2_DIST, u64(DIST));
    if (usually()) setAttribute(m, device, GROUP.ADDR, KVM_VGIC_ADDR_TYPE.V2_CPU, u64(CPU_INTERFACE));
  } else {
    if (usually()) setAttribute(m, device, GROUP.ADDR, KVM_VGIC_ADDR_TYPE.V3_DIST, u64(DIST));
    const region = random.once(3);
    const value = region ? REDIST | (BigInt(random.pick([1, 2, 4, 4, 8])) << 52n) : REDIST;
    const attr = region ? KVM_VGIC_ADDR_TYPE.V3_REDIST_REGION : KVM_VGIC_ADDR_TYPE.V3_REDIST;
    if (usually()) setAttribute(m, device, GROUP.ADDR, attr, u64(value));
  }
  if (random.once(4)) setAttribute(m, device, GROUP.NR_IRQS, 0, u32(random.pick([64, 96, 128, 256])));
  if (usually()) setAttribute(m, device, GROUP.CTRL, KVM_ARM_VGIC_CTRL.INIT, null);
  return whole;
}

export function placeIts(m: Maker, device: DevicePlan) {
  setAttribute(m, device, GROUP.ADDR, KVM_VGIC_ADDR_TYPE.ITS, u64(ITS));
  setAttribute(m, device, GROUP.CTRL, KVM_ARM_VGIC_CTRL.INIT, null);
}

/** Registers of the distributor and of a redistributor frame, and a few offsets that are none. */
const distRegs = [
  0x0, 0x4, 0x8, 0xc, 0x10, 0x40, 0x80, 0x84, 0x100, 0x104, 0x180, 0x184, 0x200, 0x204, 0x280, 0x284, 0x300, 0x304,
  0x380, 0x384, 0x400, 0x404, 0x420, 0x424, 0x43c, 0x800, 0x820, 0xc00, 0xc04, 0xc08, 0xc0c, 0xd00, 0xe00, 0xf00, 0xf10,
  0xf20, 0x6000, 0x6004, 0x6100, 0x6104, 0x6108, 0x610c, 0xffd0, 0xffe8, 0xfffc, 0x1000, 0x2, 0x10000, 0x50, 0x54,
];
const redistRegs = [
  0x0, 0x4, 0x8, 0xc, 0x10, 0x14, 0x70, 0x74, 0x78, 0x7c, 0xa0, 0xb0, 0xc0, 0xffd0, 0xffe8, 0x10080, 0x10100, 0x10180,
  0x10200, 0x10280, 0x10300, 0x10380, 0x10400, 0x10404, 0x10408, 0x10410, 0x1041c, 0x10c00, 0x10c04, 0x10d00, 0x20000,
  0x6, 0x1fffc,
];
const cpuV2Regs = [0x0, 0x4, 0x8, 0xc, 0x10, 0x14, 0x18, 0x1c, 0x20, 0xd0, 0xd4, 0xd8, 0xdc, 0xfc, 0x1000, 0x40, 0x2];
const itsRegs = [
  0x0, 0x4, 0x8, 0x80, 0x88, 0x90, 0x100, 0x108, 0x110, 0x118, 0xffd0, 0xffe8, 0xfffc, 0x40, 0x10040, 0x84, 0x2,
];

const icc = (crn: number, crm: number, op2: number) => (3 << 14) | (crn << 7) | (crm << 3) | op2;
const [IGRPEN0, IGRPEN1] = [icc(12, 12, 6), icc(12, 12, 7)];
export const cpuSysRegs = [
  icc(4, 6, 0),
  icc(12, 8, 3),
  icc(12, 12, 3),
  ...[0, 1, 2, 3].map((n) => icc(12, 8, 4 + n)),
  ...[0, 1, 2, 3].map((n) => icc(12, 9, n)),
  icc(12, 12, 4),
  icc(12, 12, 5),
  icc(12, 12, 6),
  icc(12, 12, 7),
];

/**
 * What of the groups' enable bits may change. From 7.2 on KVM asks for an interrupt when group 0 is disabled, for as long as
 * it is enabled; QEMU (hw/intc/arm_gicv3_cpuif.c) looks at group 1 instead. So with group 0 alone a vCPU is out of its guest
 * before it is in: it is not enabled, or group 1 always is.
 */
export function groupsOf({ facts }: Maker, vm: VmPlan): "any" | "group 1" | "group 0" {
  if (facts.kernel !== "7.2" || !vm.devices.some(({ kind }) => kind === "v3")) return "any";
  return vm.hasGroup1 ? "group 0" : "group 1";
}

/** Enables group 1 of every vCPU. */
export function enableGroup1(m: Maker, vm: VmPlan, device: DevicePlan) {
  for (const { id } of vm.cpus) setAttribute(m, device, GROUP.CPU_SYSREGS, affinityOf(id) | BigInt(IGRPEN1), u64(1n));
  vm.hasGroup1 = true;
}

const wordValues = [0, 1, 2, 3, 0x10, 0x12, 0x13, 0xff, 0xffff, 0xffff_ffff, 0x8000_0000, 0xa0a0_a0a0, 0x5555_5555];

/** MPIDR of a vCPU, as far as it says which one it is. */
const mpidrOf = (id: number): number => (id & 15) | (((id >> 4) & 0xff) << 8);

/** It in bits 63:32, as the redistributor's attributes want it. */
const affinityOf = (id: number): bigint => BigInt(mpidrOf(id)) << 32n;

function affinity(m: Maker, vm: VmPlan): bigint {
  const id = vm.cpus.length > 0 ? m.random.pick(vm.cpus).id : 0;
  return BigInt(m.near(mpidrOf(id), [1, 0x100, 0x8000_0000])) << 32n;
}

interface Attribute {
  readonly group: number;
  readonly attr: bigint;
  readonly value: Uint8Array | null;
}

function addresses(m: Maker, device: DevicePlan): Attribute {
  const { random } = m;
  const own = { v2: [0, 1], v3: [2, 3, 5], its: [4], other: [0] }[device.kind];
  const attr = BigInt(random.once(6) ? random.below(8) : random.pick(own));
  const bases = [
    DIST,
    REDIST,
    ITS,
    CPU_INTERFACE,
    0x0900_0000n,
    DIST + 0x1000n,
    REDIST + 0x1_0000n,
    1n << 39n,
    (1n << 40n) - 0x1_0000n,
    1n << 48n,
    1n,
    ~0xffffn,
  ];
  let value = BigInt.asUintN(64, random.pick(bases));
  if (attr === 5n)
    value |= (BigInt(random.pick([0, 1, 2, 4, 16])) << 52n) | BigInt(random.pick([0, 0, 1, 2, 3, 0x1000, 0x2000]));
  return { group: GROUP.ADDR, attr, value: u64(value) };
}

function attributeOf(m: Maker, vm: VmPlan, device: DevicePlan): Attribute {
  const { random } = m;
  const word = u32(random.once(4) ? random.word() : random.pick(wordValues));
  const kind = random.once(20) ? "stray" : random.weighted({ addresses: 3, control: 2, lines: 2, registers: 12 });
  switch (kind) {
    case "addresses":
      return addresses(m, device);
    case "control":
      return {
        group: GROUP.CTRL,
        attr: BigInt(random.pick([0, 0, 1, 2, 3, 4, 5, 6])),
        value: random.once(3) ? u64(0n) : null,
      };
    case "lines":
      if (random.once(2))
        return {
          group: GROUP.NR_IRQS,
          attr: 0n,
          value: u32(random.pick([64, 128, 32, 96, 1024, 1023, 1019, 65, 992, 0])),
        };
      return {
        group: GROUP.LEVEL_INFO,
        attr: affinity(m, vm) | BigInt(random.pick([0, 32, 64, 33, 1 << 10, 992, 256, 1023 & ~31])),
        value: word,
      };
    case "registers":
      return registers(m, vm, device, word);
    default:
      return {
        group: random.pick([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255]),
        attr: random.value64(),
        value: random.once(2) ? word : u64(random.value64()),
      };
  }
}

function registers(m: Maker, vm: VmPlan, device: DevicePlan, word: Uint8Array): Attribute {
  const { random } = m;
  switch (device.kind) {
    case "its": {
      const value = u64(
        random.once(2)
          ? random.value64()
          : random.pick([0n, 1n, 0x8000_0000_5000_0000n, 0xb107_0000_5000_0003n, 0x80n]),
      );
      return { group: GROUP.ITS_REGS, attr: BigInt(random.pick(itsRegs)), value };
    }
    case "v2": {
      const cpu =
        BigInt(vm.cpus.length > 0 && !random.once(8) ? random.pick(vm.cpus).id & 0xff : random.below(9)) << 32n;
      if (random.once(3)) return { group: GROUP.CPU_REGS, attr: cpu | BigInt(random.pick(cpuV2Regs)), value: word };
      return { group: GROUP.DIST_REGS, attr: cpu | BigInt(random.pick(distRegs)), value: word };
    }
    default: {
      const place = random.below(4);
      if (place === 0)
        return {
          group: GROUP.DIST_REGS,
          attr: (random.once(8) ? affinity(m, vm) : 0n) | BigInt(random.pick(distRegs)),
          value: word,
        };
      if (place === 1)
        return { group: GROUP.REDIST_REGS, attr: affinity(m, vm) | BigInt(random.pick(redistRegs)), value: word };
      const encoding = random.once(10) ? random.below(1 << 16) : random.pick(cpuSysRegs);
      const value = random.once(3) ? random.value64() : BigInt(random.pick([0, 1, 2, 3, 7, 0xf8, 0xff, 0x400, 0x8400]));
      const attr = affinity(m, vm) | BigInt(encoding);
      const groups = groupsOf(m, vm);
      if (encoding === IGRPEN0 && groups === "group 1")
        return { group: GROUP.CPU_SYSREGS, attr, value: u64(value & ~1n) };
      if (encoding === IGRPEN1 && groups === "group 0")
        return { group: GROUP.CPU_SYSREGS, attr, value: u64(value | 1n) };
      return { group: GROUP.CPU_SYSREGS, attr, value: u64(value) };
    }
  }
}

function deviceOp(m: Maker, vm: VmPlan) {
  const { random } = m;
  if (vm.devices.length === 0 || random.once(25)) {
    const kind = random.weighted({ v3: 6, its: 3, v2: 3, other: 1 });
    if (kind !== "other" && !m.facts.devices.includes(typeOf[kind])) return;
    if (random.once(4)) {
      m.emit("vm.createDevice", vm.name, m.near(typeOf[kind], [0, 4, 6, 9, 10, 16, 17]), 1);
      return;
    }
    if ((kind === "v2" || kind === "v3") && gicIsFatal(m, vm)) return;
    const device = createDevice(m, vm, kind);
    const place = random.once(2);
    if (place && kind === "its") placeIts(m, device);
    else if (place && kind !== "other") placeGic(m, device);
    return;
  }
  const device = random.pick(vm.devices);
  if (random.once(60)) return m.emit("device.close", device.name);
  const { group, attr, value } = attributeOf(m, vm, device);
  if (random.once(8)) return m.emit("device.hasDeviceAttr", device.name, group, attr);
  if (random.once(2)) {
    const bytes = value?.length ?? 8;
    return m.emit(
      "device.getDeviceAttr",
      device.name,
      group,
      attr,
      random.once(40) ? null : group === GROUP.ADDR && attr === 5n ? u64(BigInt(random.pick([0, 0, 1, 2]))) : bytes,
    );
  }
  m.emit("device.setDeviceAttr", device.name, group, attr, random.once(40) ? null : value);
}

function irqWord(m: Maker, vm: VmPlan): number {
  const { random } = m;
  const type = random.weighted({ "0": 3, "1": 6, "2": 6, "3": 1 });
  const cpu = vm.cpus.length > 0 && !random.once(8) ? random.pick(vm.cpus).id : random.below(300);
  const number = {
    "0": () => random.pick([0, 1, 0, 1, 2]),
    "1": () => random.pick([32, 33, 40, 63, 64, 100, 31, 1019, 1020, 255, 256]),
    "2": () => random.pick([16, 23, 27, 30, 31, 15, 0, 32]),
    "3": () => random.below(64),
  }[type]();
  return (((cpu >> 8) << 28) | (Number(type) << 24) | ((cpu & 0xff) << 16) | number) >>> 0;
}

function eventfd(m: Maker): string {
  if (m.eventfds.length === 0 || m.random.once(6))
    m.eventfds.push(m.make("eventfd", "kvm.eventfd", "kvm", m.random.below(3)));
  return m.random.pick(m.eventfds);
}

function irqfdOp(m: Maker, vm: VmPlan) {
  const { random } = m;
  const flags = random.pick([0, 0, 0, KVM_IRQFD_FLAG.DEASSIGN, KVM_IRQFD_FLAG.RESAMPLE, 3, random.once(4) ? 4 : 0]);
  const bytes = pack(structs.kvm_irqfd, {
    fd: 0xffff_ffff,
    gsi: m.near(random.below(64), [4096, 988]),
    flags,
    resamplefd: 0xffff_ffff,
  });
  const fds: [number, string][] = random.once(12) ? [] : [[0, eventfd(m)]];
  if ((flags & 2) !== 0 && !random.once(4)) fds.push([12, eventfd(m)]);
  m.emit("vm.irqfd", vm.name, { bytes, fds });
}

function ioeventfdOp(m: Maker, vm: VmPlan) {
  const { random } = m;
  const flag = (bit: number, often: number) => (random.once(often) ? bit : 0);
  const F = KVM_IOEVENTFD_FLAG;
  const flags =
    flag(F.DATAMATCH, 3) |
    flag(F.PIO, 10) |
    flag(F.DEASSIGN, 3) |
    flag(F.VIRTIO_CCW_NOTIFY, 20) |
    flag(F.FAST_MMIO, 20) |
    flag(32, 40);
  const addr = random.once(20) ? (1n << 64n) - 4n : random.pick([0x0900_0000n, 0x0900_0100n, 0x0900_2000n]);
  const bytes = pack(structs.kvm_ioeventfd, {
    datamatch: BigInt(random.below(3)),
    addr,
    len: random.pick([0, 1, 2, 4, 8, 4, 8, 3, 16]),
    fd: -1,
    flags,
  });
  m.emit("vm.ioeventfd", vm.name, { bytes, fds: random.once(12) ? [] : [[20, eventfd(m)]] });
}

function routing(m: Maker): Uint8Array {
  const { random } = m;
  const count = random.pick([0, 1, 2, 4]);
  const bytes = new Uint8Array(8 + 48 * count);
  bytes.set(pack(structs.kvm_irq_routing, { nr: count, flags: random.once(12) ? 1 : 0 }));
  for (let n = 0; n < count; n++) {
    const type = random.pick([1, 1, 1, 2, 2, random.below(5)]);
    const u =
      type === 2
        ? [Number(ITS) + 0x1_0040, 0, random.below(4), random.below(4)]
        : [random.once(10) ? 1 : 0, m.near(random.below(64), [987, 988])];
    const gsi = random.once(10) ? random.pick([4095, 4096]) : random.below(8) + 8 * n;
    const flags = type === 2 && random.once(2) ? 1 : random.once(12) ? random.below(4) : 0;
    bytes.set(pack(structs.kvm_irq_routing_entry, { gsi, type, flags, u }), 8 + 48 * n);
  }
  return bytes;
}

function msi(m: Maker): Uint8Array {
  const { random } = m;
  const address = random.once(4) ? Number(ITS) + random.pick([0, 0x40, 0x1_0000, 0x1_0044]) : Number(ITS) + 0x1_0040;
  const bytes = pack(structs.kvm_msi, {
    address_lo: address,
    address_hi: random.once(20) ? 1 : 0,
    data: random.below(4),
    flags: random.once(6) ? random.below(4) : 1,
    devid: random.below(4),
  });
  return m.nearBytes(bytes);
}

const weights = { device: 60, line: 14, irqfd: 8, ioeventfd: 6, routing: 4, msi: 6, eventfd: 8, legacy: 2 } as const;

export function interruptOp(m: Maker, vm: VmPlan) {
  const { random } = m;
  switch (random.weighted(weights)) {
    case "device":
      return deviceOp(m, vm);
    case "line":
      return m.emit(
        random.once(8) ? "vm.irqLineStatus" : "vm.irqLine",
        vm.name,
        irqWord(m, vm),
        random.pick([0, 1, 1, 2]),
      );
    case "irqfd":
      return irqfdOp(m, vm);
    case "ioeventfd":
      return ioeventfdOp(m, vm);
    case "routing":
      return m.emit("vm.setGsiRouting", vm.name, routing(m));
    case "msi":
      return m.emit("vm.signalMsi", vm.name, msi(m));
    case "eventfd": {
      const name = eventfd(m);
      if (random.once(2)) return m.emit("eventfd.take", name);
      if (random.once(12)) return m.emit("eventfd.close", name);
      return m.emit("eventfd.signal", name, random.once(8) ? random.value64() : 1n);
    }
    case "legacy":
      if (random.once(2)) return gicIsFatal(m, vm) ? undefined : m.emit("vm.createIrqchip", vm.name);
      return m.emit(
        "vm.armSetDeviceAddr",
        vm.name,
        BigInt(random.pick([0, 1, 2, 0x1_0000, 0x1_0001])),
        random.pick([DIST, CPU_INTERFACE, 1n, 1n << 48n]),
      );
  }
}
