// The model's seam with one of everything, and good arguments for each of its verbs.

import { pc, x } from "../../lib/arm64/registers.js";
import type { Kernel } from "../../lib/arm64/sysreg-row.js";
import type { DeviceFd, EventFd, Mapping, SystemFd, VcpuFd, VmFd } from "../../lib/backend.js";
import { openModel } from "../../lib/model/index.js";
import { KVM_DEV_TYPE } from "../../lib/uapi/constants.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import { answer } from "../support/refusal.js";

export interface SeamSubject {
  readonly system: SystemFd;
  readonly vm: VmFd;
  readonly vcpu: VcpuFd;
  /** A vGICv3 without a place, where the host has it: the VM dies when it runs. */
  readonly device: DeviceFd | undefined;
  readonly event: EventFd;
  /** In slot 0, at AT. */
  readonly mapping: Mapping;
}

export const AT = 0x4000_0000n;
export const MAPPING_BYTES = 1 << 16;

export const seamOptions = (kernel: Kernel) =>
  ({ host: `qemu-max-${kernel}`, impersonate: true, memoryBytes: 64 << 20 }) as const;

export function makeSeamSubject(kernel: Kernel): SeamSubject {
  const system = openModel(seamOptions(kernel));
  return { ...makeVm(system), system };
}

function makeVm(system: SystemFd): Omit<SeamSubject, "system"> {
  const vm = system.createVm(0n);
  const offered = answer(() => vm.createDevice(KVM_DEV_TYPE.ARM_VGIC_V3, 1)) === "OK";
  const device = offered ? (vm.createDevice(KVM_DEV_TYPE.ARM_VGIC_V3, 0) ?? undefined) : undefined;
  const mapping = vm.map({ kind: "anonymous", bytes: MAPPING_BYTES });
  vm.setUserMemoryRegion(0, 1, AT, BigInt(MAPPING_BYTES), mapping, 0n);
  const vcpu = vm.createVcpu(0);
  vcpu.armVcpuInit(pack(structs.kvm_vcpu_init, { target: 5 }));
  return { vm, device, mapping, vcpu, event: system.eventfd(0) };
}

type Good = (subject: SeamSubject) => unknown[];
const of = (name: keyof typeof structs): Uint8Array => new Uint8Array(structs[name].bytes);
const attribute: Good = () => [0, 2n, new Uint8Array(8)];
const stats: Good = () => [0, new Uint8Array(64)];
const none: Good = () => [];

// biome-ignore format: table
export const goodArguments: Readonly<Record<Exclude<keyof SeamSubject, "mapping">, Readonly<Record<string, Good>>>> = {
  system: {
    getApiVersion: none, getVcpuMmapSize: none, close: none,
    createVm: () => [0n],
    checkExtension: () => [9],
    eventfd: () => [1],
    attachVm: ({ vm }) => [vm.handle()],
    attachVcpu: ({ vcpu }) => [vcpu.handle()],
  },
  vm: {
    handle: none, createIrqchip: none, resetDirtyRings: none, close: none,
    setDeviceAttr: () => [0, 0n, of("kvm_smccc_filter")],
    getDeviceAttr: attribute,
    hasDeviceAttr: () => [0, 0n],
    readStats: stats,
    checkExtension: () => [9],
    enableCap: () => [pack(structs.kvm_enable_cap, { cap: 177 })],
    createVcpu: () => [7],
    createDevice: () => [KVM_DEV_TYPE.ARM_VGIC_V3, 1],
    map: () => [{ kind: "anonymous", bytes: 4096 }],
    setUserMemoryRegion: ({ mapping }) => [3, 0, 0x9000_0000n, 4096n, mapping, 0n],
    setUserMemoryRegion2: ({ mapping }) => [4, 0, 0x9100_0000n, 4096n, mapping, 0n, 0, 0n],
    createGuestMemfd: () => [pack(structs.kvm_create_guest_memfd, { size: 4096n })],
    getDirtyLog: () => [0, new Uint8Array(8)],
    clearDirtyLog: () => [0, 0n, 16, new Uint8Array(8)],
    registerCoalescedMmio: () => [pack(structs.kvm_coalesced_mmio_zone, { addr: 0x900_0000n, size: 4096 })],
    unregisterCoalescedMmio: () => [pack(structs.kvm_coalesced_mmio_zone, { addr: 0x900_0000n, size: 4096 })],
    irqLine: () => [0x0100_0020, 1],
    irqLineStatus: () => [0x0100_0020, 1],
    setGsiRouting: () => [of("kvm_irq_routing")],
    irqfd: ({ event }) => [pack(structs.kvm_irqfd, { fd: event.fd, gsi: 1 })],
    ioeventfd: ({ event }) => [pack(structs.kvm_ioeventfd, { addr: 0x900_0000n, len: 4, fd: event.fd })],
    signalMsi: () => [of("kvm_msi")],
    armSetDeviceAddr: () => [0n, 0n],
    armPreferredTarget: () => [of("kvm_vcpu_init")],
    armMteCopyTags: () => [AT, 4096n, new Uint8Array(256), 0n],
    armSetCounterOffset: () => [of("kvm_arm_counter_offset")],
    armGetRegWritableMasks: () => [0, new BigUint64Array(192)],
  },
  vcpu: {
    handle: none, getRegList: none, getMpState: none, kick: none, close: none,
    setDeviceAttr: attribute,
    getDeviceAttr: () => [1, 0n, new Uint8Array(4)],
    hasDeviceAttr: () => [1, 0n],
    readStats: stats,
    armVcpuInit: () => [pack(structs.kvm_vcpu_init, { target: 5 })],
    armVcpuFinalize: () => [4],
    getOneReg: () => [pc, new Uint8Array(8)],
    setOneReg: () => [x(1), new Uint8Array(8)],
    getRegs: () => [BigUint64Array.of(pc), new Uint8Array(8), new Int32Array(1)],
    setRegs: () => [BigUint64Array.of(x(1)), new Uint8Array(8), new Int32Array(1)],
    setMpState: () => [0],
    getVcpuEvents: () => [of("kvm_vcpu_events")],
    setVcpuEvents: () => [of("kvm_vcpu_events")],
    setGuestDebug: () => [of("kvm_guest_debug")],
    setSignalMask: () => [new Uint8Array(8)],
    dirtyRing: () => [4096],
    runSync: none, run: none,
  },
  device: {
    close: none,
    setDeviceAttr: () => [3, 0n, Uint8Array.of(128, 0, 0, 0)],
    getDeviceAttr: attribute,
    hasDeviceAttr: () => [0, 2n],
  },
  event: { take: none, wait: none, close: none, signal: () => [1n] },
};
export type Descriptor = keyof typeof goodArguments;
