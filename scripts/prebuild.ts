// npm run prebuild: compiles the addon for arm64 Linux, one file for glibc and one for musl, into prebuilds/linux-arm64,
// where lib/native.ts looks; then holds both against the release gate.

import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { withScratchFolder } from "./children.js";
import { Missing } from "./kvm/cache.js";
import { projectFolder } from "./kvm/initramfs.js";
import { nodeForArm64 } from "./kvm/packages.js";
import { muslCompileFlags, muslForArm64, muslLinkFlags } from "./prebuild-musl.js";
import { type Libc, libcs, passGate, prebuildFile } from "./release-gate.js";

const prefix = process.env["KVM_ARM64_CROSS"] ?? "aarch64-linux-gnu-";

/** Compiles in a scratch folder, so that what is built in this one stays. */
export async function prebuild(libc: Libc): Promise<string> {
  const node = await nodeForArm64();
  const musl = libc === "musl" ? await muslForArm64() : null;
  return withScratchFolder(async (scratch) => {
    for (const name of ["package.json", "binding.gyp", "native"]) {
      cpSync(join(projectFolder, name), join(scratch, name), { recursive: true });
    }
    // Where binding.gyp finds the headers of node-addon-api.
    symlinkSync(join(projectFolder, "node_modules"), join(scratch, "node_modules"));
    const flags = musl ? muslCompileFlags(`${prefix}g++`, musl, scratch).join(" ") : "";
    const prebuildify = join(projectFolder, "node_modules/prebuildify/bin.js");
    const options = ["--napi", "--platform=linux", "--arch=arm64", `--tag-libc=${libc}`, "--strip"];
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [prebuildify, ...options, `--out=${projectFolder}`],
      {
        cwd: scratch,
        encoding: "utf8",
        env: {
          ...process.env,
          // Without these two prebuildify would take the compiler of this machine and store its file all the same.
          CC: `${prefix}gcc`,
          CXX: `${prefix}g++`,
          CXXFLAGS: flags,
          LDFLAGS: musl ? muslLinkFlags.join(" ") : "",
          PREBUILD_LIBC: libc,
          PREBUILD_STRIP_BIN: `${prefix}strip`,
          PREBUILD_NODE_GYP: join(projectFolder, "node_modules/.bin/node-gyp"),
          npm_config_nodedir: join(node.folder, "package"),
        },
      },
    );
    if (status !== 0) {
      console.error(stdout, stderr);
      throw new Missing(
        `the addon for ${libc} does not compile: is ${prefix}g++ here (Debian: g++-aarch64-linux-gnu)?`,
      );
    }
    return prebuildFile(libc);
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    rmSync(join(projectFolder, "prebuilds"), { recursive: true, force: true });
    mkdirSync(join(projectFolder, "prebuilds"));
    for (const libc of libcs) {
      const file = await prebuild(libc);
      const report = await passGate(file, libc);
      console.log(`${file}: ${report}`);
    }
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    console.error(`kvm-arm64: ${error.message}`);
    process.exitCode = 1;
  }
}
