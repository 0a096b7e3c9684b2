// The release gate: what a prebuilt addon must be before it is shipped. prebuildify stores whatever the compiler made
// under the name that it was told, so the file itself is asked. Run by hand: node dist/scripts/release-gate.js

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { withScratchFolder } from "./children.js";
import { Missing } from "./kvm/cache.js";
import { projectFolder } from "./kvm/initramfs.js";
import { nodeForArm64 } from "./kvm/packages.js";
import { type Elf, EM_AARCH64, readElf } from "./prebuild-elf.js";
import { muslForArm64 } from "./prebuild-musl.js";

export const libcs = ["glibc", "musl"] as const;
export type Libc = (typeof libcs)[number];

export const prebuildFile = (libc: Libc): string => join(projectFolder, `prebuilds/linux-arm64/kvm-arm64.${libc}.node`);

/** The newest glibc that may be asked for: that of Debian 10, RHEL 8 and of the official Node 20. */
const newestGlibc = [2, 28] as const;

/** Besides libc itself nothing may be needed: what else a system has, and which, is not known. */
const neededBy: Record<Libc, readonly string[]> = { glibc: ["libc.so.6"], musl: [] };

/** What Node calls; everything else of the addon stays inside. */
const entryPoints = ["napi_register_module_v1", "node_api_module_get_api_version_v1"];

/** Sentences on what is wrong with a file; none: it may be shipped. */
export function problemsOf(file: Buffer, libc: Libc): string[] {
  let elf: Elf;
  try {
    elf = readElf(file);
  } catch (error) {
    return [(error as Error).message];
  }
  const problems: string[] = [];
  if (elf.machine !== EM_AARCH64) {
    problems.push(`its machine is 0x${elf.machine.toString(16)}, not AArch64 (0xb7): it was not cross-compiled`);
  }
  const strange = elf.needed.filter((name) => !neededBy[libc].includes(name));
  if (strange.length > 0) problems.push(`it needs ${strange.join(", ")}`);
  for (const version of elf.versions) {
    if (libc === "musl") problems.push(`it asks for the symbol version ${version}, and musl has none`);
    else if (!isOldGlibc(version)) problems.push(`it asks for ${version}, newer than GLIBC_${newestGlibc.join(".")}`);
  }
  for (const name of entryPoints) if (!elf.exported.includes(name)) problems.push(`it does not export ${name}`);
  const foreign = elf.undefined.filter((name) => /^_ZN?S|^__cxa_(throw|pure)|^_Z(nw|na|dl|da)/.test(name));
  if (foreign.length > 0) problems.push(`it uses the C++ runtime: ${foreign.join(", ")}`);
  return problems;
}

function isOldGlibc(version: string): boolean {
  const [, major, minor] = /^GLIBC_(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === undefined) return false;
  return Number(major) < newestGlibc[0] || (Number(major) === newestGlibc[0] && Number(minor) <= newestGlibc[1]);
}

/** Loads a file with its C library, emulated where need be. Null: it loads; else why not. */
export async function loadProblem(file: string, libc: Libc): Promise<string | null> {
  const { status, stderr, stdout, error } = await (libc === "glibc" ? loadInNode(file) : loadWithMusl(file));
  if (error) throw new Missing("qemu-aarch64 is not here, which loads the file: install qemu-user");
  return status === 0 ? null : `it does not load: ${(stderr || stdout).trim().split("\n").slice(0, 3).join(" ")}`;
}

async function loadInNode(file: string) {
  const node = await nodeForArm64();
  const ask = "const a = require(process.argv[1]); process.exit(typeof a.open === 'function' ? 0 : 1)";
  return emulated(["-L", "/usr/aarch64-linux-gnu", join(node.folder, "package/bin/node"), "-e", ask, file]);
}

/**
 * No Node for musl is to be had as a package, so a small program of musl's stands for it: it exports what the addon takes
 * from Node, and opens the addon with every symbol bound at once. What musl lacks would be found here.
 */
async function loadWithMusl(file: string) {
  const musl = await muslForArm64();
  const fromNode = readElf(readFileSync(file)).undefined.filter((name) => /^(napi|uv)_/.test(name));
  return withScratchFolder(async (scratch) => {
    const source = [
      "int printf(const char *, ...); void *dlopen(const char *, int); void *dlsym(void *, const char *);",
      "const char *dlerror(void);",
      ...fromNode.map((name) => `int ${name}(void) { return 1; }`),
      "int main(int argc, char **argv) {",
      "  void *addon = argc > 1 ? dlopen(argv[1], 2) : 0; /* RTLD_NOW */",
      '  if (!addon || !dlsym(addon, "napi_register_module_v1")) { printf("%s\\n", dlerror()); return 1; }',
      "  return 0;",
      "}",
    ];
    const program = join(scratch, "loader");
    writeFileSync(`${program}.c`, source.join("\n"));
    const object = (name: string): string => join(musl.objects, name);
    const compiled = spawnSync(
      "aarch64-linux-gnu-gcc",
      [
        ...["-nostdlib", "-nostartfiles", "-fno-builtin", "-fPIE", "-pie", "-rdynamic", "-o", program],
        ...[object("crt1.o"), object("crti.o"), `${program}.c`, musl.linker, object("crtn.o")],
      ],
      { encoding: "utf8" },
    );
    if (compiled.status !== 0) throw new Missing(`the loader for musl does not compile: ${compiled.stderr ?? ""}`);
    return emulated([musl.linker, program, file]);
  });
}

const emulated = (args: readonly string[]) => spawnSync("qemu-aarch64", args, { encoding: "utf8", timeout: 120_000 });

/** Throws a sentence on what is wrong, or gives one on what was found. */
export async function passGate(file: string, libc: Libc): Promise<string> {
  if (!existsSync(file)) throw new Missing(`${file} is not there: npm run prebuild makes it`);
  const bytes = readFileSync(file);
  const problems = problemsOf(bytes, libc);
  const load = problems.length === 0 ? await loadProblem(file, libc) : null;
  if (load !== null) problems.push(load);
  if (problems.length > 0) throw new Missing(`${basename(file)} may not be shipped: ${problems.join("; ")}`);
  const versions = readElf(bytes).versions.join(", ");
  return `AArch64, ${bytes.length} bytes, ${versions === "" ? "no symbol versions" : versions}, loads with ${libc}`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    for (const libc of libcs) console.log(`${prebuildFile(libc)}: ${await passGate(prebuildFile(libc), libc)}`);
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    console.error(`kvm-arm64: ${error.message}`);
    process.exitCode = 1;
  }
}
