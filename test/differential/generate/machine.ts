// Making VMs, and the ops of /dev/kvm and of a VM as a whole.

import { caps } from "../../../lib/uapi/caps.js";
import { KVM_ARM_VCPU_GROUP, KVM_DEV_TYPE } from "../../../lib/uapi/constants.js";
import { pack, structs } from "../../../lib/uapi/structs.js";
import { createDevice, enableGroup1, placeGic, placeIts } from "./interrupts.js";
import type { CpuPlan, DeviceKind, Maker, VmPlan } from "./maker.js";
import { makeRam } from "./memory.js";
import { initProperly } from "./vcpus.js";

/** What most of a sequence is about. */
export type Theme = "memory" | "registers" | "vcpus" | "interrupts" | "its" | "v2" | "guest" | "pmu" | "mixed";

const PMU = 1 << 3;
const SVE = 1 << 4;
const PTRAUTH = 3 << 5;

function someFeatures({ random, facts }: Maker, theme: Theme): number {
  let features = random.once(12) ? 0 : 1 << 2;
  if (theme === "pmu" ? !random.once(8) : random.once(4)) features |= PMU;
  if (theme === "registers" ? random.once(2) : random.once(5)) features |= SVE;
  if (random.once(5)) features |= PTRAUTH;
  return features & facts.features;
}

const capArguments = (m: Maker, cap: number): bigint[] => {
  const { random } = m;
  switch (cap) {
    case caps.DIRTY_LOG_RING_ACQ_REL:
      return [BigInt(random.pick([4096, 4096, 8192, 65536, 65536 * 16, 65536 * 32, 2048, 5000, 0]))];
    case caps.MANUAL_DIRTY_LOG_PROTECT2:
      return [BigInt(random.below(5))];
    case caps.ARM_EAGER_SPLIT_CHUNK_SIZE:
      return [random.pick([0n, 4096n, 0x20_0000n, 0x4000_0000n, 8192n])];
    case caps.HALT_POLL:
      return [random.pick([0n, 1n, 1n << 32n])];
    default:
      return random.once(2) ? [] : [BigInt(random.below(3))];
  }
};

const enableable = [
  ...[
    caps.ARM_NISV_TO_USER,
    caps.ARM_SYSTEM_SUSPEND,
    caps.ARM_SEA_TO_USER,
    caps.ARM_MTE,
    caps.ARM_EAGER_SPLIT_CHUNK_SIZE,
  ],
  ...[caps.ARM_WRITABLE_IMP_ID_REGS, caps.MANUAL_DIRTY_LOG_PROTECT2, caps.HALT_POLL, caps.DIRTY_LOG_RING_ACQ_REL],
  ...[caps.DIRTY_LOG_RING_WITH_BITMAP, caps.DIRTY_LOG_RING],
];

function capOp(m: Maker, vm: VmPlan) {
  const { random } = m;
  const cap = random.once(8) ? random.below(260) : random.pick(enableable);
  const args = capArguments(m, cap);
  if (cap === caps.DIRTY_LOG_RING_ACQ_REL && args[0]! >= 4096n) vm.ringBytes ||= Number(args[0]);
  m.emit(
    "vm.enableCap",
    vm.name,
    m.nearBytes(pack(structs.kvm_enable_cap, { cap, flags: random.once(15) ? 1 : 0, args })),
  );
  if (cap === caps.DIRTY_LOG_RING_ACQ_REL) bitmapBeside(m, vm);
}

/** Dirty rings must be asked for before there are vCPUs. */
function ringCap(m: Maker, vm: VmPlan) {
  const bytes = m.random.pick([4096, 65536]);
  vm.ringBytes = bytes;
  m.emit(
    "vm.enableCap",
    vm.name,
    pack(structs.kvm_enable_cap, { cap: caps.DIRTY_LOG_RING_ACQ_REL, args: [BigInt(bytes)] }),
  );
  bitmapBeside(m, vm);
}

/**
 * A ring without a bitmap beside it takes pages that are only read, too, where the host's own page happens to be writable:
 * memslot_is_logging() looks for the bitmap. Whether it is, the guest's memory does not say.
 */
function bitmapBeside(m: Maker, vm: VmPlan) {
  m.emit("vm.enableCap", vm.name, pack(structs.kvm_enable_cap, { cap: caps.DIRTY_LOG_RING_WITH_BITMAP }));
}

/** A ring alone, in a VM without memory: there are no logs to ask for. */
function ringAlone(m: Maker) {
  const vm = m.make("spare", "kvm.createVm", "kvm", 0n);
  m.emit("vm.enableCap", vm, pack(structs.kvm_enable_cap, { cap: caps.DIRTY_LOG_RING_ACQ_REL, args: [4096n] }));
  m.emit("vm.getDirtyLog", vm, 0, 8);
  m.emit("vm.clearDirtyLog", vm, 0, 0n, 64, new Uint8Array(8));
}

export function createCpu(m: Maker, vm: VmPlan): CpuPlan {
  const { random } = m;
  const taken = vm.cpus.length;
  const id = random.once(15) ? random.pick([0, 1, 7, 8, 16, 255, 256, 511, 512, 0xffff_ffff]) : taken;
  const cpu = { name: m.make("cpu", "vm.createVcpu", vm.name, id), id };
  vm.cpus.push(cpu);
  return cpu;
}

const gicOf: Readonly<Record<Theme, (m: Maker) => DeviceKind | null>> = {
  memory: () => null,
  registers: (m) => (m.random.once(4) ? "v3" : null),
  vcpus: (m) => (m.random.once(3) ? "v3" : null),
  interrupts: () => "v3",
  its: () => "v3",
  v2: () => "v2",
  guest: (m) => (m.random.once(2) ? "v3" : null),
  pmu: (m) => (m.random.once(2) ? "v3" : null),
  mixed: (m) => m.random.pick(["v3", "v3", "v2", null, null]),
};

/** A VM with memory, vCPUs and devices, most of it as a VMM would do it. */
export function makeVm(m: Maker, theme: Theme): VmPlan {
  const { random, facts } = m;
  const type = random.once(6) ? BigInt(random.between(32, facts.ipaBits)) : 0n;
  const vm: VmPlan = {
    name: m.make("vm", "kvm.createVm", "kvm", type),
    features: someFeatures(m, theme),
    cpus: [],
    devices: [],
    maps: [],
    slots: [],
    memfds: [],
    gicIsWhole: false,
    hasGroup1: false,
    isDebugged: random.once(2),
    ringBytes: 0,
  };
  m.vms.push(vm);
  for (let n = random.pick([0, 0, 1, 2]); n > 0; n--) capOp(m, vm);
  if (theme === "memory" && random.once(4)) ringCap(m, vm);
  if (theme === "memory" && random.once(8)) ringAlone(m);
  if (!random.once(12)) makeRam(m, vm);
  const kind = gicOf[theme](m);
  const available =
    kind === null || facts.devices.includes(kind === "v2" ? KVM_DEV_TYPE.ARM_VGIC_V2 : KVM_DEV_TYPE.ARM_VGIC_V3);
  const early = random.once(2) && kind !== null && available ? createDevice(m, vm, kind) : null;
  for (let n = random.pick(theme === "interrupts" ? [1, 2, 3, 4] : [1, 1, 1, 2, 3]); n > 0; n--) createCpu(m, vm);
  for (const cpu of vm.cpus) if (!random.once(15)) initProperly(m, vm, cpu);
  const gic = early ?? (kind !== null && available ? createDevice(m, vm, kind) : null);
  if (gic !== null) vm.gicIsWhole = placeGic(m, gic) && kind === "v3";
  if (gic !== null && vm.gicIsWhole && facts.kernel === "7.2" && random.once(2)) enableGroup1(m, vm, gic);
  // Before the first run, which fixes them.
  if (vm.gicIsWhole && random.once(6)) {
    const intid = new Uint8Array(Int32Array.of(random.between(17, 22)).buffer);
    m.emit("cpu.setDeviceAttr", vm.cpus[0]!.name, KVM_ARM_VCPU_GROUP.TIMER, BigInt(random.below(4)), intid);
  }
  if (theme === "its" && facts.devices.includes(KVM_DEV_TYPE.ARM_VGIC_ITS)) placeIts(m, createDevice(m, vm, "its"));
  if ((vm.features & PMU) !== 0 && !random.once(6)) preparePmu(m, vm, gic !== null);
  return vm;
}

function preparePmu(m: Maker, vm: VmPlan, withGic: boolean) {
  for (const cpu of vm.cpus) {
    if (withGic) m.emit("cpu.setDeviceAttr", cpu.name, 0, 0n, new Uint8Array(Int32Array.of(23).buffer));
    m.emit("cpu.setDeviceAttr", cpu.name, 0, 1n, null);
  }
}

/** How many capabilities one stage goes through. */
const STAGE = 24;

/** Goes through all capabilities, a stage a time, of /dev/kvm and of a VM. */
export function capabilityStage(m: Maker, stage: number): void {
  const first = (STAGE * stage) % allCaps.length;
  for (const cap of allCaps.slice(first, first + STAGE)) {
    m.emit("kvm.checkExtension", "kvm", cap);
    m.emit("vm.checkExtension", m.vms[0]!.name, cap);
  }
}

const weights = {
  version: 1,
  mmap: 1,
  type: 3,
  extension: 30,
  vmExtension: 30,
  cap: 20,
  cpu: 10,
  target: 2,
  masks: 4,
  offset: 6,
  filter: 14,
  stats: 4,
  close: 1,
  attach: 2,
} as const;

const allCaps = Object.values(caps);

function filter(m: Maker): Uint8Array {
  const { random } = m;
  const base = random.pick([
    0x8400_0000, 0xc400_0000, 0x8600_0000, 0x8600_ff01, 0x8000_0000, 0xc000_ffff, 0, 1, 0xffff_ffff, 0x8500_0000,
    0x84_00_0008,
  ]);
  const nr_functions = random.pick([1, 1, 2, 0x10, 0x1_0000, 0, 0xffff_ffff]);
  return m.nearBytes(pack(structs.kvm_smccc_filter, { base, nr_functions, action: random.pick([0, 1, 2, 2, 3]) }));
}

/** Never beyond the counters of the hosts, which differ: what a deadline is then depends on them. */
function counterOffset({ random }: Maker): Uint8Array {
  const bytes = pack(structs.kvm_arm_counter_offset, { counter_offset: BigInt(random.below(1000)) });
  if (random.once(12)) bytes[8 + random.below(8)] = random.pick([1, 0xff]);
  return bytes;
}

export function machineOp(m: Maker, vm: VmPlan) {
  const { random } = m;
  switch (random.weighted(weights)) {
    case "version":
      return m.emit("kvm.getApiVersion", "kvm");
    case "mmap":
      return m.emit("kvm.getVcpuMmapSize", "kvm");
    case "type": {
      const type = random.pick([
        0n,
        31n,
        32n,
        36n,
        52n,
        53n,
        255n,
        256n,
        1n << 31n,
        (1n << 31n) | 40n,
        1n << 32n,
        random.value64(),
      ]);
      m.make("spare", "kvm.createVm", "kvm", type);
      return;
    }
    case "extension":
      return m.emit("kvm.checkExtension", "kvm", random.once(4) ? random.below(300) : random.pick(allCaps));
    case "vmExtension":
      return m.emit("vm.checkExtension", vm.name, random.once(4) ? m.near(random.below(300)) : random.pick(allCaps));
    case "cap":
      return capOp(m, vm);
    case "cpu": {
      const cpu = createCpu(m, vm);
      if (!random.once(4)) initProperly(m, vm, cpu);
      return;
    }
    case "target":
      return m.emit("vm.armPreferredTarget", vm.name);
    case "masks":
      return m.emit("vm.armGetRegWritableMasks", vm.name, m.near(0, [1, 2]));
    case "offset":
      return m.emit("vm.armSetCounterOffset", vm.name, counterOffset(m));
    case "filter": {
      const [group, attr] = random.once(8) ? [random.below(3), BigInt(random.below(3))] : [0, 0n];
      if (random.once(5)) return m.emit("vm.hasDeviceAttr", vm.name, group, attr);
      if (random.once(8)) return m.emit("vm.getDeviceAttr", vm.name, group, attr, 24);
      return m.emit("vm.setDeviceAttr", vm.name, group, attr, random.once(15) ? null : filter(m));
    }
    case "stats":
      return m.emit("vm.readStats", vm.name, random.pick([0, 0, 24, 72, 300]), random.pick([24, 48, 1024]));
    case "close":
      if (random.once(3)) return m.emit("vm.close", vm.name);
      return vm.cpus.length > 0 ? m.emit("cpu.close", random.pick(vm.cpus).name) : undefined;
    case "attach": {
      if (random.once(2) || vm.cpus.length === 0) {
        m.vms.push({ ...vm, name: m.make("vm", "kvm.attachVm", "kvm", { ref: vm.name }) });
        return;
      }
      const cpu = random.pick(vm.cpus);
      vm.cpus.push({ name: m.make("cpu", "kvm.attachVcpu", "kvm", { ref: cpu.name }), id: cpu.id });
    }
  }
}
