// KVM_DEV_TYPE_ARM_VGIC_V2: what its attributes do, in the kernel's order of checks, and the older ioctls that say the
// same: KVM_CREATE_IRQCHIP, KVM_ARM_SET_DEVICE_ADDR. Documentation/virt/kvm/devices/arm-vgic.rst,
// Documentation/virt/kvm/api.rst 4.24, 4.85.

import { Refused } from "../../errors.js";
import {
  KVM_VGIC_ADDR_TYPE as ADDR,
  KVM_ARM_VGIC_CTRL as CTRL,
  KVM_ARM_VGIC_GROUP as GROUP,
  KVM_DEV_TYPE,
} from "../../uapi/constants.js";
import type { Attribute, DeviceKind } from "../device.js";
import { check } from "../kvm/one-reg.js";
import { Busy } from "../layout.js";
import { type VcpuState, vcpuById } from "../vcpu-state.js";
import type { VmState } from "../vm-state.js";
import { answerQuad, answerWord, givenQuad, givenWord } from "./attribute-values.js";
import { placeFrame } from "./frames.js";
import { type Gic, gicOf } from "./gic.js";
import type { Access } from "./interrupt-registers.js";
import { CPU_INTERFACE_BYTES, cpuInterfaceV2, DISTRIBUTOR_BYTES, distributorV2, MOST_VCPUS } from "./v2-frames.js";
import { createGic, initialise } from "./v3.js";
import { setInterruptCount } from "./v3-attributes.js";
import { findRow, type Row } from "./v3-frames.js";

const SET = "KVM_SET_DEVICE_ATTR";
const GET = "KVM_GET_DEVICE_ATTR";
const HAS = "KVM_HAS_DEVICE_ATTR";
const ALIGNMENT = 0x1000n;

const frames: ReadonlyMap<bigint, { readonly cell: "distributorBase" | "cpuBase"; readonly bytes: bigint }> = new Map([
  [BigInt(ADDR.V2_DIST), { cell: "distributorBase", bytes: DISTRIBUTOR_BYTES }],
  [BigInt(ADDR.V2_CPU), { cell: "cpuBase", bytes: CPU_INTERFACE_BYTES }],
]);

function setAddress({ vm, attr }: Attribute, value: Uint8Array | null): void {
  const base = givenQuad(value);
  const frame = frames.get(attr);
  if (frame === undefined) throw new Refused("ENXIO", SET);
  check(place(vm, frame, base), SET);
}

const place = (vm: VmState, { cell, bytes }: NonNullable<ReturnType<typeof frames.get>>, base: bigint) =>
  vm.gicLocked(() => placeFrame(gicOf(vm)!, cell, base, ALIGNMENT, bytes));

function getAddress({ vm, attr }: Attribute, value: Uint8Array | null): void {
  const frame = frames.get(attr);
  if (frame === undefined) throw new Refused("ENXIO", GET);
  answerQuad(value, gicOf(vm)!.quad(frame.cell));
}

const isRegister = ({ group }: Attribute) => group === GROUP.DIST_REGS || group === GROUP.CPU_REGS;

const rowsOf = (gic: Gic, { group }: Attribute): readonly Row[] =>
  group === GROUP.DIST_REGS ? distributorV2 : cpuInterfaceV2(gic);

const offsetOf = (attr: bigint): number => Number(attr & 0xffff_ffffn);

/** KVM_DEV_ARM_VGIC_CPUID: bits 39:32. */
function vcpuOf({ vm, attr }: Attribute, call: string): VcpuState {
  const vcpu = vcpuById(vm, Number((attr >> 32n) & 0xffn));
  if (vcpu === null) throw new Refused("EINVAL", call);
  return vcpu;
}

/** A register, while no vCPU runs; whoever looks at one initialises the GIC. */
function reach<T>(attribute: Attribute, call: string, body: (row: Row | null, access: Access) => T): T {
  const { vm, attr } = attribute;
  const gic = gicOf(vm)!;
  const vcpu = vcpuOf(attribute, call);
  if (gic.vcpus.some((one) => one.peek("busy") !== Busy.free)) throw new Refused("EBUSY", call);
  return vm.gicLocked(() => {
    initialise(gic);
    const at = offsetOf(attr);
    return body(findRow(rowsOf(gic, attribute), gic, at, 4), { gic, vcpu, at, bytes: 4, by: "user" });
  });
}

function setRegister(attribute: Attribute, value: Uint8Array | null): void {
  vcpuOf(attribute, SET);
  const word = givenWord(value);
  check(
    reach(attribute, SET, (row, access) => row?.write(access, word) ?? null),
    SET,
  );
}

function hasRegister(attribute: Attribute): void {
  const gic = gicOf(attribute.vm)!;
  vcpuOf(attribute, HAS);
  if (findRow(rowsOf(gic, attribute), gic, offsetOf(attribute.attr), 4) === null) throw new Refused("ENXIO", HAS);
}

export const vgicV2: DeviceKind = {
  offered: ({ gic }) => gic?.v2 === true,

  create(vm) {
    createGic(vm, KVM_DEV_TYPE.ARM_VGIC_V2, MOST_VCPUS, "KVM_CREATE_DEVICE");
    return 0;
  },

  set(attribute, value) {
    const { vm, group, attr } = attribute;
    if (group === GROUP.ADDR) setAddress(attribute, value);
    else if (group === GROUP.NR_IRQS) setInterruptCount(attribute, value);
    else if (group === GROUP.CTRL && attr === BigInt(CTRL.INIT)) vm.gicLocked(() => initialise(gicOf(vm)!));
    else if (isRegister(attribute)) setRegister(attribute, value);
    else throw new Refused("ENXIO", SET);
  },

  get(attribute, value) {
    const { vm, group } = attribute;
    if (group === GROUP.ADDR) getAddress(attribute, value);
    else if (group === GROUP.NR_IRQS) answerWord(value, gicOf(vm)!.intids);
    else if (isRegister(attribute)) {
      answerWord(
        value,
        reach(attribute, GET, (row, access) => row?.read(access) ?? 0),
      );
    } else throw new Refused("ENXIO", GET);
  },

  has(attribute) {
    const { group, attr } = attribute;
    if (group === GROUP.ADDR && frames.has(attr)) return;
    if (group === GROUP.NR_IRQS || (group === GROUP.CTRL && attr === BigInt(CTRL.INIT))) return;
    if (!isRegister(attribute)) throw new Refused("ENXIO", HAS);
    hasRegister(attribute);
  },
};

/** KVM_CREATE_IRQCHIP. Inside `locked`. */
export function createIrqchip(vm: VmState): void {
  const call = "KVM_CREATE_IRQCHIP";
  const { gic } = vm.profile.host;
  if (gic === null) throw new Refused("ENXIO", call);
  if (!gic.v2) throw new Refused("ENODEV", call);
  createGic(vm, KVM_DEV_TYPE.ARM_VGIC_V2, MOST_VCPUS, call);
}

/** KVM_ARM_SET_DEVICE_ADDR: the device in bits 31:16, its frame below. */
export function setDeviceAddress(vm: VmState, id: bigint, base: bigint): void {
  const call = "KVM_ARM_SET_DEVICE_ADDR";
  if (((id >> 16n) & 0xffffn) !== 0n) throw new Refused("ENODEV", call);
  if (vm.profile.host.gic === null) throw new Refused("ENXIO", call);
  const frame = frames.get(id & 0xffffn);
  if (frame === undefined || vm.get("irqchip") !== KVM_DEV_TYPE.ARM_VGIC_V2) throw new Refused("ENODEV", call);
  check(place(vm, frame, base), call);
}

/** Most vCPUs of a VM. */
export const mostVcpus = (vm: VmState): number =>
  vm.get("irqchip") === KVM_DEV_TYPE.ARM_VGIC_V2 ? MOST_VCPUS : vm.profile.host.maxVcpus;
