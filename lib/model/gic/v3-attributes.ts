// KVM_DEV_TYPE_ARM_VGIC_V3: what its attributes do, in the kernel's order of checks.
// Documentation/virt/kvm/devices/arm-vgic-v3.rst.

import { Refused } from "../../errors.js";
import {
  KVM_VGIC_ADDR_TYPE as ADDR,
  KVM_ARM_VGIC_CTRL as CTRL,
  KVM_ARM_VGIC_GROUP as GROUP,
  KVM_DEV_TYPE,
} from "../../uapi/constants.js";
import { vcpuByAffinity } from "../affinity.js";
import type { Attribute, DeviceKind } from "../device.js";
import { check } from "../kvm/one-reg.js";
import { Busy, VCPUS } from "../layout.js";
import type { VcpuState } from "../vcpu-state.js";
import { answerQuad, answerWord, askedQuad, givenQuad, givenWord } from "./attribute-values.js";
import { firstRegionBase, placeDistributor, placeRedistributors, placeRegion, regionValue } from "./frames.js";
import { type Gic, gicOf } from "./gic.js";
import { Irq, MOST_INTIDS, PRIVATE } from "./layout.js";
import { savePendingTables } from "./lpis.js";
import { createGic, initialise } from "./v3.js";
import { cpuRegister } from "./v3-cpu-registers.js";
import { distributor, findRow, type Row, redistributor } from "./v3-frames.js";

const SET = "KVM_SET_DEVICE_ATTR";
const GET = "KVM_GET_DEVICE_ATTR";
const HAS = "KVM_HAS_DEVICE_ATTR";

/** Least and most interrupts, and what their number must divide by. */
const [LEAST_INTIDS, TOO_MANY_INTIDS, INTIDS_STEP] = [64, 1023, 32];
const SGIS = 16;
const GICD_IIDR = 8n;
const GICD_TYPER2 = 0xcn;
/** The INTID of a maintenance interrupt is a PPI. */
const PPIS = { first: 16, end: 32 };

const offsetOf = (attr: bigint): number => Number(attr & 0xffff_ffffn);

/** Aff3.Aff2.Aff1.Aff0 of an attribute's upper half, where MPIDR_EL1 has them. */
function affinityOfAttr(attr: bigint): bigint {
  const packed = attr >> 32n;
  return ((packed & 0xff00_0000n) << 8n) | (packed & 0xff_ffffn);
}

/** The vCPU that an attribute of registers is about; the distributor's is the first, whatever its id. */
function vcpuOf(gic: Gic, { group, attr }: Attribute, call: string): VcpuState {
  const vcpu = group === GROUP.DIST_REGS ? gic.vcpus[0] : vcpuByAffinity(gic.vm, gic.vcpus, affinityOfAttr(attr));
  if (vcpu === undefined || vcpu === null) throw new Refused("EINVAL", call);
  return vcpu;
}

/** Before the GIC is initialised its registers are closed, but for those that say what it shall be. */
function isOpenEarly(gic: Gic, { group, attr }: Attribute): boolean {
  if (!gic.vm.profile.switches.gicPresetRegisters) return false;
  return group === GROUP.DIST_REGS && (attr === GICD_IIDR || attr === GICD_TYPER2);
}

const frames = new Map<number, readonly Row[]>([
  [GROUP.DIST_REGS, distributor],
  [GROUP.REDIST_REGS, redistributor],
]);

function nobodyIsBusy(gic: Gic, call: string): void {
  if (gic.vcpus.some((vcpu) => vcpu.peek("busy") !== Busy.free)) throw new Refused("EBUSY", call);
}

/** The registers of one vCPU's, or of the distributor, while no vCPU runs. */
function withRegisters<T>(attribute: Attribute, call: string, body: (gic: Gic, vcpu: VcpuState) => T): T {
  const gic = gicOf(attribute.vm)!;
  const vcpu = vcpuOf(gic, attribute, call);
  nobodyIsBusy(gic, call);
  if (gic.get("initialised") === 0 && !isOpenEarly(gic, attribute)) throw new Refused("EBUSY", call);
  return attribute.vm.gicLocked(() => body(gic, vcpu));
}

function knowsGroup({ vm, group }: Attribute): boolean {
  if (group === GROUP.MAINT_IRQ) return vm.profile.switches.gicPresetRegisters;
  return [GROUP.DIST_REGS, GROUP.REDIST_REGS, GROUP.CPU_SYSREGS, GROUP.LEVEL_INFO].some((one) => one === group);
}

function setAddress({ vm, attr }: Attribute, value: Uint8Array | null): void {
  const gic = gicOf(vm)!;
  const address = givenQuad(value);
  vm.gicLocked(() => {
    if (attr === BigInt(ADDR.V3_DIST)) check(placeDistributor(gic, address), SET);
    else if (attr === BigInt(ADDR.V3_REDIST)) check(placeRedistributors(gic, address), SET);
    else if (attr === BigInt(ADDR.V3_REDIST_REGION)) check(placeRegion(gic, address), SET);
    else throw new Refused("ENXIO", SET);
  });
}

function getAddress({ vm, attr }: Attribute, value: Uint8Array | null): void {
  const gic = gicOf(vm)!;
  if (attr === BigInt(ADDR.V3_DIST)) answerQuad(value, gic.quad("distributorBase"));
  else if (attr === BigInt(ADDR.V3_REDIST)) answerQuad(value, firstRegionBase(gic));
  else if (attr === BigInt(ADDR.V3_REDIST_REGION)) {
    const region = regionValue(gic, askedQuad(value));
    if (region === null) throw new Refused("ENOENT", GET);
    answerQuad(value, region);
  } else throw new Refused("ENXIO", GET);
}

export function setInterruptCount({ vm }: Attribute, value: Uint8Array | null): void {
  const gic = gicOf(vm)!;
  const count = givenWord(value);
  if (count < LEAST_INTIDS || count > TOO_MANY_INTIDS || count % INTIDS_STEP !== 0) throw new Refused("EINVAL", SET);
  vm.gicLocked(() => {
    if (gic.get("spis") !== 0) throw new Refused("EBUSY", SET);
    gic.put("spis", count - PRIVATE);
  });
}

function control({ vm, attr }: Attribute): void {
  const gic = gicOf(vm)!;
  if (attr === BigInt(CTRL.INIT)) vm.gicLocked(() => initialise(gic));
  else if (attr === BigInt(CTRL.SAVE_PENDING_TABLES)) saveTables(gic);
  else throw new Refused("ENXIO", SET);
}

function saveTables(gic: Gic): void {
  if (gic.get("initialised") === 0) throw new Refused("ENXIO", SET);
  nobodyIsBusy(gic, SET);
  gic.vm.gicLocked(() => check(savePendingTables(gic), SET));
}

/** KVM_DEV_ARM_VGIC_LINE_LEVEL: 32 interrupts from INTID 9:0 on; the only kind of information is 0. */
function levelIntid(attr: bigint, call: string): number {
  const word = offsetOf(attr);
  const intid = word & 0x3ff;
  if (word >> 10 !== 0 || intid % 32 !== 0) throw new Refused("EINVAL", call);
  return intid;
}

function levelSensitive(gic: Gic, vcpu: VcpuState, first: number): readonly (readonly [ref: number, bit: number])[] {
  return Array.from({ length: 32 }, (_, n) => n)
    .filter((n) => first + n >= SGIS && first + n < MOST_INTIDS)
    .map((n) => [gic.find(vcpu, first + n), n] as const)
    .filter(([ref]) => ref !== 0 && gic.has(ref, Irq.level));
}

function setLevels(gic: Gic, vcpu: VcpuState, first: number, levels: number): void {
  for (const [ref, bit] of levelSensitive(gic, vcpu, first)) {
    const level = ((levels >>> bit) & 1) === 1;
    gic.change(ref, Irq.line, level);
    if (level) gic.queue(ref);
    else gic.changed(ref);
  }
}

const getLevels = (gic: Gic, vcpu: VcpuState, first: number): number =>
  levelSensitive(gic, vcpu, first).reduce((word, [ref, bit]) => word | (gic.has(ref, Irq.line) ? 1 << bit : 0), 0) >>>
  0;

function setRegister(attribute: Attribute, value: Uint8Array | null): void {
  const { group, attr, vm } = attribute;
  const gic = gicOf(vm)!;
  vcpuOf(gic, attribute, SET);
  if (group === GROUP.CPU_SYSREGS) {
    withRegisters(attribute, SET, (_, vcpu) => {
      const given = givenQuad(value);
      const register = cpuRegister(attr);
      if (register === undefined) throw new Refused("ENOENT", SET);
      check(register.set(vcpu, given, vm.profile.host.gic!), SET);
      gic.signal(vcpu);
    });
    return;
  }
  const word = givenWord(value);
  withRegisters(attribute, SET, (_, vcpu) => {
    const rows = frames.get(group);
    if (rows !== undefined) {
      const row = findRow(rows, gic, offsetOf(attr), 4);
      check(row?.write({ gic, vcpu, at: offsetOf(attr), bytes: 4, by: "user" }, word) ?? null, SET);
    } else setLevels(gic, vcpu, levelIntid(attr, SET), word);
  });
}

/** KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ: of the whole GIC. */
function setMaintenance({ vm }: Attribute, value: Uint8Array | null): void {
  const gic = gicOf(vm)!;
  const intid = givenWord(value);
  nobodyIsBusy(gic, SET);
  if (gic.get("initialised") === 1) throw new Refused("EBUSY", SET);
  if (intid < PPIS.first || intid >= PPIS.end) throw new Refused("EINVAL", SET);
  gic.put("maintenance", intid);
}

function getMaintenance({ vm }: Attribute, value: Uint8Array | null): void {
  const gic = gicOf(vm)!;
  nobodyIsBusy(gic, GET);
  answerWord(value, gic.get("maintenance"));
}

function getRegister(attribute: Attribute, value: Uint8Array | null): void {
  const { group, attr, vm } = attribute;
  if (group === GROUP.CPU_SYSREGS) {
    const read = withRegisters(attribute, GET, (_, vcpu) => {
      const register = cpuRegister(attr);
      return register === undefined ? undefined : register.get(vcpu, vm.profile.host.gic!);
    });
    if (read === undefined) throw new Refused("ENOENT", GET);
    if (read === null) throw new Refused("EINVAL", GET);
    answerQuad(value, read);
    return;
  }
  const read = withRegisters(attribute, GET, (gic, vcpu) => {
    const rows = frames.get(group);
    if (rows !== undefined) {
      const row = findRow(rows, gic, offsetOf(attr), 4);
      return row?.read({ gic, vcpu, at: offsetOf(attr), bytes: 4, by: "user" }) ?? 0;
    }
    return getLevels(gic, vcpu, levelIntid(attr, GET));
  });
  answerWord(value, read);
}

function hasRegister(attribute: Attribute): void {
  const { group, attr, vm } = attribute;
  if (group === GROUP.MAINT_IRQ) return;
  if (group === GROUP.LEVEL_INFO) {
    if (offsetOf(attr) >> 10 !== 0) throw new Refused("ENXIO", HAS);
    return;
  }
  const gic = gicOf(vm)!;
  vcpuOf(gic, attribute, HAS);
  const rows = frames.get(group);
  const known = rows === undefined ? cpuRegister(attr) !== undefined : findRow(rows, gic, offsetOf(attr), 4) !== null;
  if (!known) throw new Refused("ENXIO", HAS);
}

const has = (attributes: Readonly<Record<string, number>>, names: readonly string[], attr: bigint): boolean =>
  names.some((name) => BigInt(attributes[name]!) === attr);

export const vgicV3: DeviceKind = {
  offered: ({ gic }) => gic?.v3 === true,

  create(vm) {
    createGic(vm, KVM_DEV_TYPE.ARM_VGIC_V3, VCPUS, "KVM_CREATE_DEVICE");
    return 0;
  },

  set(attribute, value) {
    const { group } = attribute;
    if (group === GROUP.ADDR) setAddress(attribute, value);
    else if (group === GROUP.NR_IRQS) setInterruptCount(attribute, value);
    else if (group === GROUP.CTRL) control(attribute);
    else if (!knowsGroup(attribute)) throw new Refused("ENXIO", SET);
    else if (group === GROUP.MAINT_IRQ) setMaintenance(attribute, value);
    else setRegister(attribute, value);
  },

  get(attribute, value) {
    const { group, vm } = attribute;
    if (group === GROUP.ADDR) getAddress(attribute, value);
    else if (group === GROUP.NR_IRQS) answerWord(value, gicOf(vm)!.intids);
    else if (!knowsGroup(attribute)) throw new Refused("ENXIO", GET);
    else if (group === GROUP.MAINT_IRQ) getMaintenance(attribute, value);
    else getRegister(attribute, value);
  },

  has(attribute) {
    const { group, attr } = attribute;
    const known =
      (group === GROUP.ADDR && has(ADDR, ["V3_DIST", "V3_REDIST", "V3_REDIST_REGION"], attr)) ||
      group === GROUP.NR_IRQS ||
      (group === GROUP.CTRL && has(CTRL, ["INIT", "SAVE_PENDING_TABLES"], attr));
    if (known) return;
    if (!knowsGroup(attribute)) throw new Refused("ENXIO", HAS);
    hasRegister(attribute);
  },
};
