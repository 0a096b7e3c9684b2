// The devices of a host, and the attributes that it knows.
import type { AttributeAnswers, Choice, DeviceCapture, Hex } from "../capture-format.js";
import {
  ARCH_ARM64,
  type Device,
  type DeviceKind,
  type Kvm,
  KvmError,
  makeId,
  Space,
  sysRegById,
  type Vcpu,
  type Vm,
} from "../index.js";
import { KVM_ARM_VCPU_GROUP, KVM_ARM_VGIC_CTRL, KVM_ARM_VGIC_GROUP, KVM_VGIC_ADDR_TYPE } from "../uapi/constants.js";
import type { ErrnoName } from "../uapi/errno.js";
import { answerOf, hex, withVcpu } from "./capture-registers.js";

/** What has KVM_HAS_DEVICE_ATTR. */
interface HasAttributes {
  hasAttr(group: number, attr: bigint): boolean;
}

/** From the first to the last by steps. */
type Span = readonly [first: number, last: number, step: number];

function* each(spans: readonly Span[]): Generator<number> {
  for (const [first, last, step] of spans) for (let at = first; at <= last; at += step) yield at;
}

const hexText = (value: number) => `0x${value.toString(16)}`;
const rangeText = (first: number, last: number) =>
  first === last ? hexText(first) : `${hexText(first)}-${hexText(last)}`;

/** Numbers, ascending, as ranges: a step of `step` is no gap. */
function rangesText(numbers: readonly number[], step: number): string {
  const ranges: [number, number][] = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last !== undefined && number - last[1] <= step) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([first, last]) => rangeText(first, last)).join(" ");
}

function answersOf(subject: HasAttributes, group: number, spans: readonly Span[]): AttributeAnswers {
  const byAnswer = new Map<"ok" | ErrnoName, number[]>();
  for (const attr of each(spans)) {
    const answer = answerOf(() => subject.hasAttr(group, BigInt(attr)));
    const key = "refused" in answer ? answer.refused : answer.value ? "ok" : "ENXIO";
    if (key === "ENXIO") continue;
    byAnswer.set(key, [...(byAnswer.get(key) ?? []), attr]);
  }
  const step = Math.min(...spans.map(([, , by]) => by));
  return Object.fromEntries([...byAnswer].map(([key, numbers]) => [key, rangesText(numbers, step)]));
}

/** Answers of the groups that know anything. */
function groupsOf(
  subject: HasAttributes,
  groups: readonly (readonly [name: string, group: number, spans: readonly Span[]])[],
): Record<string, AttributeAnswers> {
  const asked = groups.map(([name, group, spans]) => [name, answersOf(subject, group, spans)] as const);
  return Object.fromEntries(asked.filter(([, answers]) => Object.keys(answers).length > 0));
}

const few: readonly Span[] = [[0, 15, 1]];
const frame: readonly Span[] = [
  [0, 0xffc, 4],
  [0xffd0, 0xfffc, 4],
];
/** Beyond the first page of a distributor: GICD_IROUTER<n>. */
const routers: readonly Span[] = [[0x6000, 0x7ffc, 4]];
const secondFrame: readonly Span[] = [[0x1_0000, 0x1_0ffc, 4]];
/** op0 3, op1 0 and 4, CRn 4 and 12: the registers of the CPU interface. */
const cpuInterface: readonly Span[] = [0, 4].flatMap((op1) =>
  [4, 12].map((crn): Span => [(3 << 14) | (op1 << 11) | (crn << 7), (3 << 14) | (op1 << 11) | (crn << 7) | 127, 1]),
);

type Group = keyof typeof KVM_ARM_VGIC_GROUP;
const registerSpans: Readonly<Partial<Record<DeviceKind, Readonly<Partial<Record<Group, readonly Span[]>>>>>> = {
  "vgic-v2": { DIST_REGS: frame, CPU_REGS: [[0, 0xffc, 4]] },
  "vgic-v3": {
    DIST_REGS: [...frame.slice(0, 1), ...routers, ...frame.slice(1)],
    REDIST_REGS: [...frame, ...secondFrame],
    CPU_SYSREGS: cpuInterface,
  },
  "vgic-its": {
    ITS_REGS: [
      [0, 0x1f8, 8],
      [0xffd0, 0xfffc, 4],
    ],
  },
};

/** Names of the offsets that tell what a device is. */
const names: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  DIST_REGS: { 0: "GICD_CTLR", 4: "GICD_TYPER", 8: "GICD_IIDR", 12: "GICD_TYPER2", 65512: "GICD_PIDR2" },
  REDIST_REGS: { 0: "GICR_CTLR", 4: "GICR_IIDR", 8: "GICR_TYPER", 12: "GICR_TYPER+4", 65512: "GICR_PIDR2" },
  CPU_REGS: { 0: "GICC_CTLR", 4: "GICC_PMR", 252: "GICC_IIDR" },
  ITS_REGS: { 0: "GITS_CTLR", 4: "GITS_IIDR", 8: "GITS_TYPER", 65512: "GITS_PIDR2" },
};

/** Group, attribute, and how many bits its value has. */
const bitsOf = (group: Group): 32 | 64 => (group === "CPU_SYSREGS" || group === "ITS_REGS" ? 64 : 32);

function registersOf(device: Device, group: Group, spans: readonly Span[]): Record<string, Hex> {
  const runs: { first: number; last: number; value: Hex }[] = [];
  const number = KVM_ARM_VGIC_GROUP[group];
  for (const at of each(spans)) {
    if (!answerIsYes(() => device.hasAttr(number, BigInt(at)))) continue;
    const answer = answerOf(() => device.getAttr(number, BigInt(at), bitsOf(group)));
    if ("refused" in answer || BigInt(answer.value) === 0n) continue;
    const value = hex(answer.value);
    const run = runs.at(-1);
    const joins = run !== undefined && run.value === value && at - run.last <= 8 && nameOf(group, at) === undefined;
    if (joins && nameOf(group, run.first) === undefined) run.last = at;
    else runs.push({ first: at, last: at, value });
  }
  return Object.fromEntries(
    runs.map(({ first, last, value }) => [nameOf(group, first) ?? rangeText(first, last), value]),
  );
}

function nameOf(group: Group, at: number): string | undefined {
  if (group === "CPU_SYSREGS") return sysRegById(makeId(ARCH_ARM64, 64, Space.sysReg, at))?.name;
  return names[group]?.[at];
}

const answerIsYes = (ask: () => boolean): boolean => {
  const answer = answerOf(ask);
  return "value" in answer && answer.value;
};

/** Where the frames of a GIC go, of any size. */
const places: Readonly<Partial<Record<DeviceKind, readonly (readonly [type: number, at: bigint])[]>>> = {
  "vgic-v2": [
    [KVM_VGIC_ADDR_TYPE.V2_DIST, 0x800_0000n],
    [KVM_VGIC_ADDR_TYPE.V2_CPU, 0x801_0000n],
  ],
  "vgic-v3": [
    [KVM_VGIC_ADDR_TYPE.V3_DIST, 0x800_0000n],
    [KVM_VGIC_ADDR_TYPE.V3_REDIST, 0x80a_0000n],
  ],
  "vgic-its": [[KVM_VGIC_ADDR_TYPE.ITS, 0x808_0000n]],
};

/** Makes a device, gives it its place, and initialises it. */
export function makeDevice(vm: Vm, kind: DeviceKind): Device {
  const device = vm.createDevice(kind);
  for (const [type, at] of places[kind] ?? []) device.setAttr(KVM_ARM_VGIC_GROUP.ADDR, BigInt(type), at);
  if (places[kind] !== undefined) device.setAttr(KVM_ARM_VGIC_GROUP.CTRL, BigInt(KVM_ARM_VGIC_CTRL.INIT));
  return device;
}

const kinds: readonly DeviceKind[] = ["vfio", "vgic-v2", "vgic-v3", "vgic-its", "pv-time", "vgic-v5"];

export function devicesOf(kvm: Kvm): Record<string, DeviceCapture> {
  return Object.fromEntries(offeredKinds(kvm).map((kind) => [kind, deviceOf(kvm, kind)]));
}

function offeredKinds(kvm: Kvm): DeviceKind[] {
  using vm = kvm.createVm();
  return kinds.filter((kind) => vm.offersDevice(kind));
}

function deviceOf(kvm: Kvm, kind: DeviceKind): DeviceCapture {
  const taken = withVcpu(kvm, [], (_, vm): DeviceCapture => {
    using gic = kind === "vgic-its" ? makeDevice(vm, "vgic-v3") : undefined;
    using device = makeDevice(vm, kind);
    void gic;
    const spans = registerSpans[kind] ?? {};
    const groups = Object.entries(KVM_ARM_VGIC_GROUP) as [Group, number][];
    const files = Object.entries(spans) as [Group, readonly Span[]][];
    const registers = files.map(([group, of]) => [group, registersOf(device, group, of)] as const);
    return {
      attributes: groupsOf(
        device,
        groups.map(([name, group]) => [name, group, spans[name] ?? few] as const),
      ),
      registers: Object.fromEntries(registers.filter(([, found]) => Object.keys(found).length > 0)),
    };
  });
  return "refused" in taken ? { attributes: {}, registers: {} } : taken.value;
}

const numbered: readonly (readonly [string, number, readonly Span[]])[] = Array.from({ length: 8 }, (_, group) => [
  `group ${group}`,
  group,
  few,
]);

export function vmAttributesOf(kvm: Kvm): Record<string, AttributeAnswers> {
  using vm = kvm.createVm();
  return groupsOf(vm, numbered);
}

const SET_PMU = 3n;

/** Attributes of a vCPU, and the PMUs that it can be given: any number is tried. */
export function vcpuAttributesOf(
  kvm: Kvm,
  picked: readonly Choice[],
): { attributes: Record<string, AttributeAnswers>; pmuTypes: number[] } {
  const taken = withVcpu(kvm, picked, (vcpu: Vcpu, vm) => {
    using gic = vm.offersDevice("vgic-v3") ? makeDevice(vm, "vgic-v3") : undefined;
    void gic;
    const attributes = groupsOf(vcpu, numbered);
    const pmuTypes = Array.from({ length: 256 }, (_, type) => type).filter(
      (type) => "value" in answerOf(() => vcpu.setAttr(KVM_ARM_VCPU_GROUP.PMU_V3, SET_PMU, type)),
    );
    return { attributes, pmuTypes };
  });
  if ("refused" in taken) throw new KvmError(22, "KVM_ARM_VCPU_INIT");
  return taken.value;
}
