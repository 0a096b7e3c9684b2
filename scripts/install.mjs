// The package's explicit install script. Because it exists, npm never falls back to an implicit `node-gyp rebuild` for
// the binding.gyp beside package.json. It does nothing where a prebuilt addon is shipped or where the addon could not
// work anyway, and it never fails: without the addon the bundled model answers.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const prebuilt = join(root, "prebuilds", "linux-arm64");

if (
  process.platform === "linux" &&
  process.arch === "arm64" &&
  !(existsSync(prebuilt) && readdirSync(prebuilt).length)
) {
  const build = spawnSync("node-gyp", ["rebuild"], { cwd: root, stdio: "inherit", shell: true });
  if (build.status !== 0) {
    console.warn("kvm-arm64: the native addon was not built; Kvm.open() will use the bundled model on this machine");
  }
}
