// node dist/scripts/boot/debian-disk.js FILE: a Debian for arm64 on a raw disk image, with a compiler and Python, which
// `kvm-arm64 boot --disk FILE --append root=/dev/vda` brings to a login prompt (root, no password). Run as root. The packages
// are unpacked here and configured by an emulated machine, once.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cacheFolder, Missing } from "../kvm/cache.js";
import { mirror } from "../kvm/debian.js";
import { bootFiles, secondStage } from "./initramfs.js";

const suite = "bookworm";
// SysV init is up in a tenth of the time of systemd, which a slow CPU feels.
// biome-ignore format: a list
const packages = ["sysvinit-core", "gcc", "libc6-dev", "python3-minimal", "openssl", "kmod", "stress-ng", "nodejs"];
const imageMiB = 1536;
const configureMinutes = 90;

function run(program: string, args: readonly string[], needs: string): void {
  const { status, error } = spawnSync(program, args, { stdio: ["ignore", "inherit", "inherit"] });
  if (error) throw new Missing(`${program} is not here: install ${needs}`);
  if (status !== 0) throw new Missing(`${program} ended with status ${status}`);
}

function unpack(root: string): void {
  const options = ["--foreign", "--arch=arm64", "--variant=minbase", `--include=${packages.join(",")}`];
  options.push(`--cache-dir=${cacheFolder("debootstrap")}`);
  run("debootstrap", [...options, suite, root, mirror()], "debootstrap");
  // Where debootstrap may not mount it is a link to itself.
  rmSync(join(root, "proc"), { recursive: true, force: true });
  mkdirSync(join(root, "proc"));
  writeFileSync(join(root, "etc/hostname"), "debian\n");
  writeFileSync(join(root, "etc/fstab"), "/dev/vda / ext4 errors=remount-ro 0 1\n");
  writeFileSync(join(root, secondStage), configuration, { mode: 0o755 });
}

/** Runs in the new system, as its first program. */
const configuration = `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
/debootstrap/debootstrap --second-stage || exit
passwd -d root
echo 'T0:23:respawn:/sbin/getty -L ttyAMA0 115200 vt100' >>/etc/inittab
sed -i '/^[1-6]:/d' /etc/inittab
printf 'int puts(const char *);\\nint main(void) { puts("hello from gcc"); }\\n' >/root/hello.c
rm -f /${secondStage}
echo "configured: $?"
`;

/** The packages' own scripts run on an emulated CPU: nothing of this machine is touched. */
async function configure(image: string): Promise<void> {
  const { kernel, initrd } = await bootFiles("6.12");
  const args = [
    ...[
      "-M",
      "virt",
      "-cpu",
      "max,pauth-impdef=on",
      "-smp",
      "2",
      "-m",
      "1024",
      "-nographic",
      "-no-reboot",
      "-nic",
      "none",
    ],
    ...["-kernel", kernel, "-initrd", initrd, "-append", "quiet panic=-1 root=/dev/vda configure"],
    ...["-drive", `file=${image},format=raw,if=none,id=disk,cache=unsafe`, "-device", "virtio-blk-device,drive=disk"],
  ];
  const qemu = spawn(process.env["KVM_ARM64_QEMU"] ?? "qemu-system-aarch64", args, {
    stdio: ["ignore", "pipe", "inherit"],
    timeout: configureMinutes * 60_000,
  });
  let output = "";
  qemu.stdout.on("data", (bytes: Buffer) => {
    output += bytes;
    process.stdout.write(bytes);
  });
  await new Promise((resolve, reject) => {
    qemu.on("error", reject);
    qemu.on("close", resolve);
  });
  if (!output.includes("configured: 0")) throw new Missing("the packages could not be configured");
}

async function main([file]: string[]): Promise<void> {
  if (file === undefined) throw new Missing("debian-disk.js FILE: where shall the image be?");
  if (existsSync(file)) throw new Missing(`${file} is there already`);
  if (process.getuid?.() !== 0) throw new Missing("debootstrap wants to be root");
  const scratch = mkdtempSync(join(tmpdir(), "kvm-arm64-debian-"));
  try {
    const [root, image] = [join(scratch, "root"), `${file}.partial`];
    unpack(root);
    run("mke2fs", ["-q", "-F", "-t", "ext4", "-d", root, image, `${imageMiB}M`], "e2fsprogs");
    await configure(image);
    renameSync(image, file);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.error(`kvm-arm64: ${error.message}`);
  process.exitCode = 1;
}
