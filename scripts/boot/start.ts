// npm start: Debian's kernel with a busybox, booted by `kvm-arm64 boot`; where they cannot be had, the guest that comes
// with the package. Without a terminal the guest says what it is and powers off.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { Missing } from "../kvm/cache.js";
import { projectFolder } from "../kvm/initramfs.js";
import { bootFiles } from "./initramfs.js";

/** The series that is booted. */
const series = "6.12";

async function command(): Promise<string[]> {
  try {
    const { kernel, initrd } = await bootFiles(series);
    const append = process.stdin.isTTY ? "quiet" : "quiet once";
    return ["boot", "--kernel", kernel, "--initrd", initrd, "--append", append];
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    console.error(`kvm-arm64: ${error.message}\nkvm-arm64: no kernel to boot; running the guest that is here`);
    return ["run", "--report", join(projectFolder, "test/guests/bin/hello.elf")];
  }
}

const { status, error } = spawnSync(
  process.execPath,
  [join(projectFolder, "dist/lib/cli/main.js"), ...(await command()), ...process.argv.slice(2)],
  { stdio: "inherit" },
);
if (error) throw error;
process.exitCode = status ?? 1;
