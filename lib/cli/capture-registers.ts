// The registers of a host's vCPUs, for every combination of features that KVM_ARM_VCPU_INIT takes there.
import {
  type CapturedValue,
  type Choice,
  type Combination,
  choices,
  choicesOf,
  expectedRegisters,
  type Hex,
  type Listing,
} from "../capture-format.js";
import {
  featureIdEncoding,
  fieldsOf,
  formatEncoding,
  formatRegId,
  type Kvm,
  KvmError,
  type RegId,
  type RegValue,
  type SysRegName,
  sve,
  sysReg,
  sysRegs,
  unpackVqs,
  type Vcpu,
  type VcpuFeature,
  type Vm,
} from "../index.js";
import type { ErrnoName } from "../uapi/errno.js";

/** They count, or depend on what counts. */
const volatileNames: ReadonlySet<string> = new Set(["CNTVCT_EL0", "CNTPCT_EL0"]);

export const hex = (value: RegValue): Hex =>
  value instanceof Uint8Array
    ? hex(value.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n))
    : `0x${value.toString(16)}`;

/** What a call gives, or the errno that it is refused with. */
export function answerOf<T>(call: () => T): { value: T } | { refused: ErrnoName } {
  try {
    return { value: call() };
  } catch (error) {
    if (!(error instanceof KvmError)) throw error;
    return { refused: error.code as ErrnoName };
  }
}

/** A vCPU with psci-0.2 and the features of some choices, in a VM of its own; or INIT's errno. */
export function withVcpu<T>(
  kvm: Kvm,
  picked: readonly Choice[],
  use: (vcpu: Vcpu, vm: Vm) => T,
): { value: T } | { refused: ErrnoName } {
  using vm = kvm.createVm();
  const made = answerOf(() => {
    if (picked.includes("mte")) vm.enableCap("ARM_MTE");
    const vcpu = vm.createVcpu();
    vcpu.init({ features: ["psci-0.2", ...featuresOf(picked)] });
    return vcpu;
  });
  if ("refused" in made) return made;
  using vcpu = made.value;
  return { value: use(vcpu, vm) };
}

const featuresOf = (picked: readonly Choice[]): VcpuFeature[] => [
  ...new Set(picked.flatMap((choice): readonly VcpuFeature[] => choices[choice])),
];

function listingOf(vcpu: Vcpu): Listing {
  const ids = vcpu.regList();
  const values = vcpu.getRegs(ids);
  return new Map(
    ids.map((id, n) => {
      const name = formatRegId(id);
      return [name, volatileNames.has(name) ? "volatile" : hex(values[n] as RegValue)];
    }),
  );
}

function finalized(vcpu: Vcpu, picked: readonly Choice[]): Vcpu {
  if (picked.includes("sve")) vcpu.finalize("sve");
  return vcpu;
}

/** Every subset of some choices, by size; el2 and el2-e2h0 exclude each other. */
function subsets(of: readonly Choice[]): Choice[][] {
  const all = Array.from({ length: 2 ** of.length }, (_, bits) => of.filter((_, n) => (bits >> n) & 1));
  return all
    .filter((picked) => !(picked.includes("el2") && picked.includes("el2-e2h0")))
    .sort((a, b) => a.length - b.length);
}

function difference(expected: Listing, found: Listing): Record<string, CapturedValue> {
  const changed = [...found].filter(([name, value]) => expected.get(name) !== value);
  const missing = [...expected.keys()].filter((name) => !found.has(name));
  return Object.fromEntries<CapturedValue>([...changed, ...missing.map((name) => [name, null] as const)]);
}

/** Every combination of what the host offers alone. */
export function combinationsOf(kvm: Kvm): Combination[] {
  const offered = (Object.keys(choices) as Choice[]).filter((choice) => "value" in withVcpu(kvm, [choice], () => 0));
  const alone = new Map<Choice, Listing>();
  let plain: Listing = new Map();
  return subsets(offered).map((picked): Combination => {
    const what = { features: featuresOf(picked), ...(picked.includes("mte") && { mte: true as const }) };
    const taken = withVcpu(kvm, picked, (vcpu) => listingOf(finalized(vcpu, picked)));
    if ("refused" in taken) return { ...what, refused: taken.refused };
    const found = taken.value;
    if (picked.length === 0) {
      plain = found;
      return { ...what, registers: Object.fromEntries(found) };
    }
    const parts = picked.length === 1 ? [] : choicesOf(what).map((choice) => alone.get(choice) ?? plain);
    if (picked.length === 1) alone.set(picked[0] as Choice, found);
    const registers = difference(expectedRegisters(plain, parts), found);
    return Object.keys(registers).length === 0 ? what : { ...what, registers };
  });
}

/** The largest set of choices, without AArch32, that INIT takes. */
export function richest(combinations: readonly Combination[]): Choice[] {
  const able = combinations.filter(({ refused, features }) => !refused && !features.includes("el1-32bit"));
  return choicesOf(able.at(-1) ?? { features: [] });
}

/** SVE vector lengths in quadwords. */
export function vectorLengthsOf(kvm: Kvm): number[] {
  const taken = withVcpu(kvm, ["sve"], (vcpu) => unpackVqs(vcpu.getReg(sve.vls)));
  return "refused" in taken ? [] : taken.value;
}

/** KVM_ARM_VCPU_INIT with each feature bit alone. */
export function initAnswers(kvm: Kvm, features: readonly VcpuFeature[]): Record<string, "ok" | ErrnoName> {
  const beyond = [9, 31, 32, 223];
  const asked = [...features.map((name) => [name, name] as const), ...beyond.map((n) => [`bit ${n}`, n] as const)];
  return Object.fromEntries(
    asked.map(([name, feature]) => {
      using vm = kvm.createVm();
      using vcpu = vm.createVcpu();
      const answer = answerOf(() => vcpu.init({ features: [feature] }));
      return [name, "refused" in answer ? answer.refused : ("ok" as const)];
    }),
  );
}

/** KVM_ARM_GET_REG_WRITABLE_MASKS by name. */
export function writableMasksOf(kvm: Kvm): Record<string, Hex> | null {
  using vm = kvm.createVm();
  const taken = answerOf(() => vm.writableMasks());
  if ("refused" in taken) return null;
  const names = new Map(sysRegs.map(({ name, encoding }) => [formatEncoding(encoding), name]));
  const named = (index: number) => {
    const text = formatEncoding(featureIdEncoding(index));
    return names.get(text) ?? text;
  };
  return Object.fromEntries(
    [...taken.value.entries()].filter(([, mask]) => mask !== 0n).map(([index, mask]) => [named(index), hex(mask)]),
  );
}

/** Shown to guests as 0, though KVM_SET_ONE_REG takes what the host has: state that older kernels saved holds it. */
const hidden: readonly (readonly [register: Exclude<SysRegName, "FPCR" | "FPSR">, field: string])[] = [
  ["ID_AA64PFR0_EL1", "MPAM"],
  ["ID_AA64PFR1_EL1", "MPAM_frac"],
  ["ID_AA64MMFR2_EL1", "NV"],
];

export function hiddenFieldsOf(kvm: Kvm): Record<string, number> {
  const found: Record<string, number> = {};
  withVcpu(kvm, [], (vcpu) => {
    for (const [register, name] of hidden) {
      const id: RegId<64> = sysReg(register);
      const { lsb } = fieldsOf(register).find((field) => field.name === name) as { lsb: number };
      const before = vcpu.getReg(id);
      if (((before >> BigInt(lsb)) & 15n) !== 0n) continue;
      const taken = Array.from({ length: 15 }, (_, n) => n + 1).filter(
        (value) =>
          "value" in answerOf(() => vcpu.setReg(id, (before & ~(15n << BigInt(lsb))) | (BigInt(value) << BigInt(lsb)))),
      );
      if (taken.length === 1) found[`${register}.${name}`] = taken[0] as number;
    }
  });
  return found;
}
