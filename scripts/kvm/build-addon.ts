// npm run build:addon [-- --asan]: compiles the addon for arm64 Linux with a cross compiler, as binding.gyp says, against
// the headers that come with arm64 Node.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { Missing } from "./cache.js";
import { projectFolder } from "./initramfs.js";
import { nodeForArm64 } from "./packages.js";

export type Flavour = "plain" | "asan";

const outputs: Record<Flavour, string> = {
  plain: "build/linux-arm64/kvm.node",
  asan: "build/linux-arm64-asan/kvm.node",
};

const flavourFlags: Record<Flavour, readonly string[]> = {
  plain: ["-O2"],
  asan: ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"],
};

/** What a published package brings along. */
const shipped = join(projectFolder, "prebuilds/linux-arm64/kvm-arm64.glibc.node");

const compiler = process.env["KVM_ARM64_CXX"] ?? "aarch64-linux-gnu-g++";

/** What of binding.gyp a compiler needs. */
interface Target {
  readonly sources: readonly string[];
  readonly defines?: readonly string[];
  readonly cflags_cc?: readonly string[];
  readonly ldflags?: readonly string[];
  readonly libraries?: readonly string[];
}

/** The first target of binding.gyp. The file is a Python literal that JSON can hold once comments are gone. */
export function parseBindingGyp(text: string): Target {
  const json = text
    .replace(/^\s*#.*$/gm, "")
    .replace(/"(?:[^"\\]|\\.)*"|'((?:[^'\\]|\\.)*)'/g, (word, inner?: string) =>
      inner === undefined ? word : JSON.stringify(inner),
    )
    .replace(/,(\s*[\]}])/g, "$1");
  return JSON.parse(json).targets[0];
}

/** Compiles when a source is newer than what is there. Null: this project has no addon yet. */
export async function buildAddon(flavour: Flavour): Promise<string | null> {
  const gyp = join(projectFolder, "binding.gyp");
  if (!existsSync(gyp)) return null;
  const output = join(projectFolder, outputs[flavour]);
  if (existsSync(output) && statSync(output).mtimeMs > newestSource()) return output;
  const target = parseBindingGyp(readFileSync(gyp, "utf8"));
  const node = await nodeForArm64();
  mkdirSync(dirname(output), { recursive: true });
  const partial = `${output}.${process.pid}`;
  const args = [
    ...["-shared", "-fPIC", ...flavourFlags[flavour], ...(target.cflags_cc ?? [])],
    ...[...(target.defines ?? []), "NODE_GYP_MODULE_NAME=kvm"].map((define) => `-D${define}`),
    ...[join(node.folder, "package/include/node"), join(projectFolder, "node_modules/node-addon-api")].map(
      (path) => `-I${path}`,
    ),
    ...target.sources.map((source) => join(projectFolder, source)),
    ...[...(target.ldflags ?? []), ...(target.libraries ?? []), "-o", partial],
  ];
  const { status, error } = spawnSync(compiler, args, { stdio: "inherit", cwd: projectFolder });
  if (error) {
    if (flavour === "plain" && existsSync(shipped)) {
      console.error(`kvm-arm64: ${compiler} is not here: going on with ${shipped}`);
      return shipped;
    }
    throw new Missing(`${compiler} is not here: install a compiler for arm64 Linux (Debian: g++-aarch64-linux-gnu)`);
  }
  if (status !== 0) throw new Missing(`the addon does not compile: ${compiler} ended with status ${status}`);
  renameSync(partial, output);
  return output;
}

function newestSource(): number {
  const native = join(projectFolder, "native");
  const sources = readdirSync(native, { recursive: true }).map((name) => join(native, String(name)));
  return Math.max(...[join(projectFolder, "binding.gyp"), ...sources].map((path) => statSync(path).mtimeMs));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    console.log(await buildAddon(process.argv.includes("--asan") ? "asan" : "plain"));
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    console.error(`kvm-arm64: ${error.message}`);
    process.exitCode = 1;
  }
}
