// A small root file system for a guest: busybox, and the kernel's modules for the devices of kvm-arm64/vmm. Its /init gives
// a shell on the console, or starts the system on the disk that `root=` names, or with `configure` its script; with `once`
// it powers off at once.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { cacheFolder, Missing, writeWhole } from "../kvm/cache.js";
import { Cpio } from "../kvm/cpio.js";
import { type KernelSeries, kernelImage, kernelPart, runtimePackages } from "../kvm/packages.js";

/** In the order of loading: each needs those before it. */
const modules = ["virtio_mmio", "virtio_blk", "virtio-rng"];

/** The script that a new system is configured by, in its root folder. */
export const secondStage = "configure-me";

const initScript = `#!/bin/busybox sh
export PATH=/bin HOME=/root TERM=linux
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
for module in ${modules.join(" ")}; do
  [ -f /modules/$module.ko ] && insmod /modules/$module.ko
done
root= once= init=/sbin/init
for word in $(cat /proc/cmdline); do
  case $word in root=*) root=\${word#root=} ;; once) once=yes ;; configure) init=/${secondStage} ;; esac
done
if [ -n "$root" ]; then
  mount -o rw "$root" /mnt || mount -o ro "$root" /mnt || { echo "no file system on $root"; poweroff -f; }
  for folder in dev proc sys; do mount --move /$folder /mnt/$folder; done
  [ $init = /sbin/init ] && exec switch_root /mnt $init
  chroot /mnt $init
  sync
  poweroff -f
fi
hostname guest
echo "Linux $(uname -r), $(nproc) CPUs, $(grep MemTotal /proc/meminfo | tr -s ' ')"
[ -n "$once" ] || setsid cttyhack sh
poweroff -f
`;

export interface BootFiles {
  readonly kernel: string;
  readonly initrd: string;
}

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** The module's file, unpacked. Packages have it as .ko or .ko.xz. */
function moduleContent(files: readonly string[], name: string): Uint8Array | undefined {
  const file = files.find((path) => basename(path).replace(/\.ko(\.xz)?$/, "") === name);
  if (file === undefined) return undefined;
  const { status, error, stdout } = spawnSync("xz", ["-dcf", file], { maxBuffer: 1 << 26 });
  if (error || status !== 0) throw new Missing(`xz cannot unpack ${basename(file)}: install xz-utils`);
  return stdout;
}

/** A Debian kernel and an initramfs for it, fetched once and kept in the cache. */
export async function bootFiles(series: KernelSeries): Promise<BootFiles> {
  const { version, image } = await kernelImage(series);
  const part = await kernelPart(series);
  const [busybox] = await runtimePackages(["busybox-static"]);
  if (busybox === undefined) throw new Missing("there is no package busybox-static");
  const key = createHash("sha256").update(`${version}\n${busybox.version}\n${initScript}`).digest("hex").slice(0, 16);
  const initrd = join(cacheFolder("boot"), `${key}.cpio`);
  if (!existsSync(initrd)) {
    const cpio = new Cpio();
    for (const folder of ["/proc", "/sys", "/dev", "/tmp", "/root", "/mnt"]) cpio.folder(folder);
    // The kernel opens it for the standard streams of /init before anything is mounted.
    cpio.characterDevice("/dev/console", 5, 1);
    cpio.file("/init", initScript, 0o755);
    cpio.copy("/bin/busybox", join(busybox.folder, "bin/busybox"));
    const files = filesBelow(part.folder);
    for (const name of modules) {
      const content = moduleContent(files, name);
      if (content !== undefined) cpio.file(`/modules/${name}.ko`, content);
    }
    writeWhole(initrd, cpio.bytes());
  }
  return { kernel: image, initrd };
}
