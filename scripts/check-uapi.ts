// Holds the tables of lib/uapi against the kernel's own header files: each fact becomes one static_assert, and the arm64
// compiler is the judge. Twice: with the newest headers, which must know every fact, and with those of the cross compiler
// completed by native/uapi_compat.h, of which what is unknown is listed. Run: node dist/scripts/check-uapi.js

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { caps } from "../lib/uapi/caps.js";
import * as constants from "../lib/uapi/constants.js";
import { errnos } from "../lib/uapi/errno.js";
import { ioctls } from "../lib/uapi/ioctls.js";
import { kvm_run, memberBytes, type Struct, structs } from "../lib/uapi/structs.js";
import { Missing } from "./kvm/cache.js";
import { projectFolder } from "./kvm/initramfs.js";
import { newestKernelHeaders } from "./kvm/packages.js";

const compiler = process.env["KVM_ARM64_CXX"] ?? "aarch64-linux-gnu-g++";

/** Something that the tables say, and how a C++ compiler is asked. */
interface Fact {
  readonly what: string;
  readonly condition: string;
}

/** Groups of lib/uapi/constants.ts whose kernel names are not GROUP_MEMBER. */
const namesOfGroups: Readonly<Record<string, (member: string) => string>> = {
  KVM_ARM_VGIC_GROUP: (member) => `KVM_DEV_ARM_VGIC_GRP_${member}`,
  KVM_ARM_VCPU_GROUP: (member) => `KVM_ARM_VCPU_${member}_CTRL`,
  KVM_VGIC_ADDR_TYPE: (member) => {
    const [, model, part] = /^(V[23])_(.*)$/.exec(member) ?? [];
    return model === undefined ? `KVM_VGIC_${member}_ADDR_TYPE` : `KVM_VGIC_${model}_ADDR_TYPE_${part}`;
  },
};

/** Members whose kernel name follows no rule. */
const namesOfMembers: Readonly<Record<string, string>> = {
  "KVM_ARM_VGIC_CTRL.INIT": "KVM_DEV_ARM_VGIC_CTRL_INIT",
  "KVM_ARM_VGIC_CTRL.ITS_SAVE_TABLES": "KVM_DEV_ARM_ITS_SAVE_TABLES",
  "KVM_ARM_VGIC_CTRL.ITS_RESTORE_TABLES": "KVM_DEV_ARM_ITS_RESTORE_TABLES",
  "KVM_ARM_VGIC_CTRL.SAVE_PENDING_TABLES": "KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES",
  "KVM_ARM_VGIC_CTRL.ITS_RESET": "KVM_DEV_ARM_ITS_CTRL_RESET",
  "KVM_HYPERCALL_EXIT.BIT16": "KVM_HYPERCALL_EXIT_16BIT",
  "KVM_IOEVENTFD_FLAG.FAST_MMIO": "(1 << kvm_ioeventfd_flag_nr_fast_mmio)",
};

/** Constants that no header has. */
const ours: readonly string[] = ["PAGE_BYTES"];

export function factsOf(): Fact[] {
  return [
    ...[...Object.values(structs), kvm_run].flatMap((struct) => structFacts(struct as Struct)),
    ...Object.entries(ioctls).map(([name, { request }]) => equal(name, name, request)),
    ...Object.entries(caps).map(([name, cap]) => equal(`KVM_CAP_${name}`, `KVM_CAP_${name}`, cap)),
    ...Object.entries(errnos).map(([name, [number]]) => equal(name, name, number)),
    ...Object.entries(constants).flatMap(([name, value]) => constantFacts(name, value)),
  ];
}

const equal = (what: string, expression: string, value: number): Fact => ({
  what,
  condition: `${expression} == ${value}u`,
});

function structFacts(struct: Struct): Fact[] {
  const type = `struct ${struct.name}`;
  return [
    // A structure that ends in an array of any length has the size of what comes before it.
    { what: `sizeof ${type}`, condition: `sizeof(${type}) == ${struct.bytes}` },
    ...Object.entries(struct.members).flatMap(([name, member]): Fact[] => {
      const what = `${struct.name}.${name}`;
      const of = `((${type} *)0)->${name}`;
      const size = `sizeof(${of})`;
      return [
        { what: `offset of ${what}`, condition: `offsetof(${type}, ${name}) == ${member.offset}` },
        {
          what: `size of ${what}`,
          // The table may say of a union what one of its members is.
          condition: `(__is_union(decltype(${of})) ? ${size} >= ${memberBytes(member)} : ${size} == ${memberBytes(member)})`,
        },
      ];
    }),
  ];
}

function constantFacts(name: string, value: unknown): Fact[] {
  if (ours.includes(name)) return [];
  if (typeof value === "number") return [equal(name, name, value)];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).map(([member, number]) => {
    const named = namesOfMembers[`${name}.${member}`] ?? namesOfGroups[name]?.(member) ?? `${name}_${member}`;
    return equal(`${name}.${member}`, named, number as number);
  });
}

/** What older headers said otherwise, and rightly. */
const changed: Readonly<Record<string, string>> = {
  KVM_DIRTY_LOG_PAGE_OFFSET: "0, meaning none, until arm64 got dirty rings in Linux 6.2",
};

export interface Verdict {
  readonly wrong: readonly string[];
  /** What these headers do not know. */
  readonly unknown: readonly string[];
}

/** `folders`: where headers are looked for before the compiler's own. */
export function judge(facts: readonly Fact[], include: string, folders: readonly string[]): Verdict {
  const preamble = ["#include <cstddef>", "#include <cerrno>", `#include ${include}`];
  const source = [...preamble, ...facts.map(({ condition }) => `static_assert(${condition}, "");`)];
  const args = ["-x", "c++", "-std=c++17", "-fsyntax-only", "-w", "-fmax-errors=0", "-fno-diagnostics-show-caret"];
  const { stderr, error } = spawnSync(compiler, [...args, ...folders.flatMap((folder) => ["-isystem", folder]), "-"], {
    input: source.join("\n"),
    encoding: "utf8",
  });
  if (error)
    throw new Missing(`${compiler} is not here: install a compiler for arm64 Linux (Debian: g++-aarch64-linux-gnu)`);
  const wrong = new Set<string>();
  const unknown = new Set<string>();
  for (const line of stderr.split("\n")) {
    const [, at, message] = /^(?:<stdin>|[^:\s]+):(\d+):\d+: (?:fatal )?error: (.*)$/.exec(line) ?? [];
    if (at === undefined) continue;
    const fact = facts[Number(at) - 1 - preamble.length];
    if (fact === undefined) throw new Missing(`${compiler}: ${line}`);
    if (message!.startsWith("static assertion failed")) wrong.add(fact.what);
    else unknown.add(fact.what);
  }
  return { wrong: [...wrong].filter((what) => !unknown.has(what)), unknown: [...unknown] };
}

async function main(): Promise<void> {
  const facts = factsOf();
  const headers = await newestKernelHeaders();
  const root = join(headers.folder, "usr/include");
  const newest = judge(facts, "<linux/kvm.h>", [join(root, "aarch64-linux-gnu"), root]);
  const toolchain = judge(facts, `"${join(projectFolder, "native/uapi_compat.h")}"`, []);
  console.log(`${facts.length} facts; kernel headers ${headers.version}`);
  console.log(`not in the headers of ${compiler}: ${toolchain.unknown.join(", ") || "nothing"}`);
  const failures = [
    ...newest.wrong.map((what) => `wrong: ${what}`),
    ...newest.unknown.map((what) => `not in the newest headers: ${what}`),
    ...toolchain.wrong
      .filter((what) => changed[what] === undefined)
      .map((what) => `wrong by the headers of ${compiler} and native/uapi_compat.h: ${what}`),
  ];
  for (const failure of failures) console.error(failure);
  if (failures.length > 0) process.exitCode = 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    console.error(`kvm-arm64: ${error.message}`);
    process.exitCode = 1;
  }
}
