// kvm-arm64 features: what a guest on this machine can have, and what a VMM could take away.
import process from "node:process";
import { parseArgs } from "node:util";
import type { FeatureNeed } from "../arm64/id-fields.js";
import type { VcpuFeature } from "../arm64/vcpu-features.js";
import { needText, rangesOf } from "../feature-selection.js";
import type { IdRegister, IdRegisterField } from "../id-registers.js";
import { type Backend, Kvm } from "../kvm.js";
import type { CapName } from "../uapi/caps.js";
import { exitStatus, UsageError } from "./exit-status.js";
import { idMeaning } from "./id-meanings.js";

export const usage = `usage: kvm-arm64 features [--backend kvm|model] [--all] [--json]

Prints what vcpu.init() can ask for here, then every field of the ID registers that a guest reads: its value, what it
means, and which values vm.selectFeatures() can give it. Fields that are 0 and stay so are left out.

  --backend  /dev/kvm or the model; default: KVM where it works
  --all      fields that are 0 and stay so, too
  --json     the picture as vcpu.idRegisters() gives it; numbers of 64 bits are strings

Exit status: 0 · 125 usage, or a backend that is not to be had
`;

/** The features of KVM_ARM_VCPU_INIT, and the capabilities that say whether the host has them. */
// biome-ignore format: table
const initFeatures: readonly (readonly [cap: CapName, features: readonly VcpuFeature[], ask: "ask" | "tell"])[] = [
  ["ARM_PMU_V3",           ["pmu-v3"],          "ask"],
  ["ARM_SVE",              ["sve"],             "ask"],
  ["ARM_PTRAUTH_ADDRESS",  ["ptrauth-address", "ptrauth-generic"], "ask"],
  ["ARM_EL1_32BIT",        ["el1-32bit"],       "tell"],
  ["ARM_EL2",              ["el2"],             "tell"],
  ["ARM_EL2_E2H0",         ["el2-e2h0"],        "tell"],
];

export interface Picture {
  /** What vcpu.init() can ask for, and whether the host has it. */
  readonly init: readonly { readonly features: readonly VcpuFeature[]; readonly offered: boolean }[];
  /** The features that the vCPU of this picture was given. */
  readonly asked: readonly VcpuFeature[];
  readonly registers: readonly IdRegister[];
}

/** The picture of a host: a vCPU with all that does not change what kind of CPU it is. */
export function takePicture(kvm: Kvm): Picture {
  const vm = kvm.createVm();
  try {
    const init = initFeatures.map(([cap, features]) => ({ features, offered: vm.has(cap) > 0 }));
    const asked = initFeatures.flatMap(([cap, features, ask]) => (ask === "ask" && vm.has(cap) > 0 ? features : []));
    const vcpu = vm.createVcpu();
    try {
      vcpu.init({ features: asked });
      return { init, asked, registers: vcpu.idRegisters() };
    } finally {
      vcpu.close();
    }
  } finally {
    vm.close();
  }
}

function choice({ rule, accepts, value }: IdRegisterField): string {
  if (accepts === undefined) return rule === "own" ? "any" : "";
  return accepts.length === 1 && accepts[0] === value ? "" : `can be ${rangesOf(accepts)}`;
}

const missing = (needs: FeatureNeed | undefined, value: number): string =>
  needs === undefined || value !== 0 ? "" : `needs ${needText(needs)}`;

function fieldLine(register: string, field: IdRegisterField): string {
  const said = [idMeaning(register, field.name, field.value), choice(field), missing(field.needs, field.value)];
  const rest = said.filter((text) => text !== undefined && text !== "").join("; ");
  return `  ${field.name.padEnd(12)} ${String(field.value).padStart(2)}  ${rest}`.trimEnd();
}

/** A picture as lines of text. */
export function pictureText(picture: Picture, fields: "all" | "present"): string {
  const lines = picture.init.map(
    ({ features, offered }) => `vcpu.init ${features.join(", ")}: ${offered ? "yes" : "not on this host"}`,
  );
  for (const { name, value, fields: known } of picture.registers) {
    const told = known.filter(
      (field) => fields === "all" || field.value !== 0 || choice(field) !== "" || field.needs !== undefined,
    );
    if (told.length === 0 && fields === "present") continue;
    lines.push(`${name} 0x${value.toString(16)}`, ...told.map((field) => fieldLine(name, field)));
  }
  return `${lines.join("\n")}\n`;
}

export function main(args: string[]): number {
  const { backend, all, json } = parse(args);
  const kvm = Kvm.open(backend === undefined ? {} : { backend });
  try {
    const picture = takePicture(kvm);
    const plain = (_key: string, value: unknown) => (typeof value === "bigint" ? `0x${value.toString(16)}` : value);
    const text = json ? `${JSON.stringify(picture, plain, 2)}\n` : pictureText(picture, all ? "all" : "present");
    process.stdout.write(json ? text : `${kvm.backend}: ${kvm.reason}\n${text}`);
  } finally {
    kvm.close();
  }
  return exitStatus.ok;
}

function parse(args: string[]): { backend: Backend | undefined; all: boolean; json: boolean } {
  try {
    const { values } = parseArgs({
      args,
      options: { backend: { type: "string" }, all: { type: "boolean" }, json: { type: "boolean" } },
    });
    const { backend, all = false, json = false } = values;
    if (backend !== undefined && backend !== "kvm" && backend !== "model") {
      throw new Error(`--backend ${backend}: one of kvm, model is wanted`);
    }
    return { backend, all, json };
  } catch (error) {
    throw new UsageError(`features: ${(error as Error).message}`);
  }
}
