// Ops on a vCPU but for its registers and its guest.

import { KVM_ARM_VCPU_GROUP, KVM_GUESTDBG, KVM_MP_STATE } from "../../../lib/uapi/constants.js";
import { pack, structs } from "../../../lib/uapi/structs.js";
import type { CpuPlan, Maker, VmPlan } from "./maker.js";

const initBytes = (target: number, features: number, rest: readonly number[] = []): Uint8Array =>
  pack(structs.kvm_vcpu_init, { target, features: [features >>> 0, ...rest] });

export function initOp(m: Maker, vm: VmPlan, cpu: CpuPlan) {
  const { random } = m;
  const features = random.once(8)
    ? random.pick([vm.features ^ (1 << random.below(10)), random.word(), 0, 0x1ff, vm.features | 1])
    : vm.features;
  const rest = random.once(30) ? [random.pick([0, 1])] : [];
  m.emit("cpu.armVcpuInit", cpu.name, m.nearBytes(initBytes(random.once(30) ? random.below(8) : 5, features, rest)));
}

/** INIT as it should be, and FINALIZE where SVE needs it. */
export function initProperly(m: Maker, vm: VmPlan, cpu: CpuPlan) {
  m.emit("cpu.armVcpuInit", cpu.name, initBytes(5, vm.features));
  if (vm.features & 0x10) m.emit("cpu.armVcpuFinalize", cpu.name, 4);
}

function events(m: Maker): Uint8Array {
  const { random } = m;
  const bytes = pack(structs.kvm_vcpu_events, {
    "exception.serror_pending": random.below(2),
    "exception.serror_has_esr": random.below(2),
    "exception.ext_dabt_pending": random.once(4) ? 1 : 0,
    "exception.serror_esr": random.once(3) ? random.value64() : BigInt(random.below(1 << 25)),
  });
  return m.nearBytes(bytes);
}

function debug(m: Maker, vm: VmPlan): Uint8Array {
  const { random } = m;
  const flag = (bit: number, often: number) => (random.once(often) ? bit : 0);
  const control =
    flag(KVM_GUESTDBG.ENABLE, 2) |
    flag(KVM_GUESTDBG.SINGLESTEP, 3) |
    flag(KVM_GUESTDBG.USE_SW_BP, 3) |
    flag(KVM_GUESTDBG.USE_HW, 4);
  const stops = vm.isDebugged ? 0 : KVM_GUESTDBG.SINGLESTEP | KVM_GUESTDBG.USE_HW;
  const bytes = pack(structs.kvm_guest_debug, { control: (m.near(control, [4, 1 << 18, 1 << 31]) & ~stops) >>> 0 });
  const registers = new DataView(bytes.buffer, 8);
  if (random.once(2)) {
    // A breakpoint in the code, a watchpoint on the data.
    registers.setBigUint64(0, 0x1e5n, true);
    registers.setBigUint64(128, 0x4000_0000n + 4n * BigInt(random.below(8)), true);
    registers.setBigUint64(256, 0x1ff5n | (BigInt(random.below(4)) << 3n), true);
    registers.setBigUint64(384, 0x4000_1000n + 8n * BigInt(random.below(4)), true);
  }
  return bytes;
}

const timerAttr = [0, 1, 2, 3] as const;

function attribute(m: Maker, vm: VmPlan): { group: number; attr: bigint; value: Uint8Array | null } {
  const { random } = m;
  const word = (value: number) => new Uint8Array(Int32Array.of(value).buffer);
  switch (random.below(7)) {
    case 0:
    case 1: {
      const intid = random.pick([16, 20, 23, 26, 27, 28, 30, 31, 27, 30, 15, 32, 40, 0, -1, 1023, 1024]);
      return { group: KVM_ARM_VCPU_GROUP.TIMER, attr: BigInt(random.pick(timerAttr)), value: word(intid) };
    }
    case 2: {
      // In pages that nobody reads: the stolen time goes on.
      const at = random.pick([0x5000_3000n, 0x5000_3040n, 0x5000_3020n, 0x4000_c000n, 0x1000n, 1n << 50n]);
      return { group: KVM_ARM_VCPU_GROUP.PVTIME, attr: 0n, value: new Uint8Array(BigUint64Array.of(at).buffer) };
    }
    case 3:
    case 4:
    case 5:
      return pmuAttribute(m, vm);
    default: {
      const value = random.once(2) ? null : random.bytes(random.pick([4, 8]));
      return { group: random.pick([0, 1, 2, 3, 4, 255]), attr: BigInt(random.below(8)), value };
    }
  }
}

function pmuAttribute(m: Maker, vm: VmPlan) {
  const { random } = m;
  const group = KVM_ARM_VCPU_GROUP.PMU_V3;
  const word = (value: number) => new Uint8Array(Int32Array.of(value).buffer);
  switch (random.below(6)) {
    case 0:
      return { group, attr: 0n, value: word(random.pick([23, 23, 23, 16, 31, 15, 32 + random.below(8), 1000, -1])) };
    case 1:
      return { group, attr: 1n, value: null };
    case 2: {
      const filter = pack(structs.kvm_pmu_event_filter, {
        base_event: random.pick([0, 0x11, 0x3ff, 0x400, 0xffff, random.below(0x400)]),
        nevents: random.pick([0, 1, 2, 0x10, 0x400, 0xffff]),
        action: random.pick([0, 1, 0, 1, 2]),
      });
      return { group, attr: 2n, value: m.nearBytes(filter) };
    }
    case 3:
      return { group, attr: 3n, value: word(random.pick([0, 1, 4, 5, 6, 7, 8, 9, 10, -1])) };
    case 4:
      return { group, attr: 4n, value: word(random.pick([0, 1, 2, 4, 6, 7, 8, 31, 32, vm.cpus.length])) };
    default:
      return { group, attr: BigInt(random.pick([5, 6, 1 << 20])), value: word(0) };
  }
}

const weights = {
  init: 6,
  finalize: 4,
  events: 10,
  mpState: 6,
  debug: 4,
  mask: 2,
  attribute: 20,
  list: 2,
  stats: 3,
  kick: 1,
  ring: 2,
  page: 2,
} as const;

export function vcpuOp(m: Maker, vm: VmPlan, cpu: CpuPlan) {
  const { random } = m;
  switch (random.weighted(weights)) {
    case "init":
      return initOp(m, vm, cpu);
    case "finalize":
      return m.emit("cpu.armVcpuFinalize", cpu.name, random.pick([4, 4, 4, 3, 5, 0, -1, 7]));
    case "events":
      if (random.once(2)) return m.emit("cpu.getVcpuEvents", cpu.name);
      return m.emit("cpu.setVcpuEvents", cpu.name, events(m));
    case "mpState":
      if (random.once(2)) return m.emit("cpu.getMpState", cpu.name);
      return m.emit(
        "cpu.setMpState",
        cpu.name,
        m.near(random.pick(Object.values(KVM_MP_STATE)), [1, 2, 3, 4, 6, 9, 11]),
      );
    case "debug":
      return m.emit("cpu.setGuestDebug", cpu.name, debug(m, vm));
    case "mask":
      // The signals of the addon and of Node must go on getting through.
      return m.emit(
        "cpu.setSignalMask",
        cpu.name,
        random.once(2) ? null : new Uint8Array(random.pick([8, 8, 4, 16, 0])),
      );
    case "attribute":
      return attributeOp(m, vm, cpu);
    case "list":
      return m.emit("cpu.getRegList", cpu.name);
    case "stats":
      return m.emit(
        "cpu.readStats",
        cpu.name,
        random.pick([0, 0, 24, 72, 1000, 4096, 100_000]),
        random.pick([24, 48, 1300, 4096]),
      );
    case "kick":
      return m.emit("cpu.kick", cpu.name);
    case "ring":
      if (random.once(3)) return m.emit("cpu.harvest", cpu.name, vm.ringBytes || 4096, random.pick([1, 2, 1000]));
      return m.emit("cpu.dirtyRing", cpu.name, m.near(vm.ringBytes || 4096, [4096, 8192]) % 0x20_0000);
    case "page":
      return m.emit(random.once(2) ? "cpu.emptyZoneRing" : "cpu.runPage", cpu.name);
  }
}

function attributeOp(m: Maker, vm: VmPlan, cpu: CpuPlan) {
  const { random } = m;
  const { group, attr, value } = attribute(m, vm);
  if (random.once(4)) m.emit("cpu.hasDeviceAttr", cpu.name, group, attr);
  else if (random.once(3))
    m.emit("cpu.getDeviceAttr", cpu.name, group, attr, random.once(10) ? null : (value?.length ?? 4));
  else m.emit("cpu.setDeviceAttr", cpu.name, group, attr, random.once(20) ? null : value);
}
