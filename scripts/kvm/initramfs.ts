// The root file system of a KVM host: busybox, arm64 Node and its libraries (the base, kept in the cache), then this
// package, a command to run and whatever else is wanted.

import { createHash } from "node:crypto";
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder, writeWhole } from "./cache.js";
import { Cpio } from "./cpio.js";
import { nodeForArm64, runtimePackages } from "./packages.js";

export const projectFolder = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");

/** Where this package is in the guest. */
export const guestProject = "/kvm-arm64";

/** The second serial port takes the lines of a report, the third the files left in /out, the fourth is a dialogue. */
export const reportPort = "/dev/ttyS0";
const outPort = "/dev/ttyS1";
export const dialoguePort = "/dev/ttyS2";

/** The arm64 packages of the base, and what of each is taken. */
const baseContent: Record<string, RegExp> = {
  "busybox-static": /\/bin\/busybox$/,
  libc6: /\/(ld-linux-aarch64\.so\.1|lib(c|m|dl|pthread|rt|resolv|util)\.so\.[0-9]+)$/,
  "libgcc-s1": /\/libgcc_s\.so\.1$/,
  "libstdc++6": /\/libstdc\+\+\.so\.6[0-9.]*$/,
  libasan8: /\/libasan\.so\.8[0-9.]*$/,
  libubsan1: /\/libubsan\.so\.1[0-9.]*$/,
};

/** The kernel looks for the dynamic linker where arm64 programs name it. */
const libraryFolder = "/lib/aarch64-linux-gnu";

export interface GuestContent {
  /** The program and its arguments; null for an interactive shell. */
  readonly command: readonly string[] | null;
  readonly environment: Readonly<Record<string, string>>;
  /** Where the command starts, in the guest. */
  readonly workingFolder: string;
  /** Files and folders of this machine, and where they are put. */
  readonly additions: readonly { readonly from: string; readonly to: string }[];
  /** The addon to install, or null for none. */
  readonly addon: string | null;
  /** Printed before the exit status, so that nothing the command prints can be taken for it. */
  readonly marker: string;
}

/**
 * /init: it mounts what a program expects, runs /command, shows what the kernel complained of, sends /out home, and says
 * how the command ended.
 */
const initScript = (marker: string): string => `#!/bin/busybox sh
export PATH=/bin HOME=/root TERM=linux
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /dev/hugepages
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
mount -t hugetlbfs hugetlbfs /dev/hugepages 2>/dev/null
ln -s /proc/self/fd /dev/fd
echo 1 >/proc/sys/debug/exception-trace
hostname kvm-arm64
ifconfig lo 127.0.0.1 up
for port in ${reportPort} ${outPort}; do stty -F $port raw -echo; done
stty -onlcr
/command
status=$?
dmesg | grep -E 'WARNING:|BUG:|Oops|Internal error|unhandled' | sed 's/^/the kernel says: /'
[ -n "$(ls -A /out)" ] && tar -C /out -cf ${outPort} .
echo "${marker} $status"
poweroff -f
`;

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

function commandScript(content: GuestContent): string {
  const exports = Object.entries(content.environment).map(([name, value]) => `export ${name}=${quoted(value)}`);
  // A shell wants a controlling terminal, for job control and ctrl-C.
  const command = content.command?.map(quoted).join(" ") ?? "setsid cttyhack sh";
  return ["#!/bin/sh", `cd ${quoted(content.workingFolder)}`, ...exports, `exec ${command}`, ""].join("\n");
}

/** Busybox, Node and libraries, as a finished archive in the cache. */
async function baseArchive(): Promise<string> {
  const node = await nodeForArm64();
  const packages = await runtimePackages(Object.keys(baseContent));
  const versions = [node, ...packages].map(({ name, version }) => `${name}-${version}`).join("\n");
  const key = createHash("sha256")
    .update(versions)
    .update(JSON.stringify(Object.values(baseContent).map(String)));
  const path = join(cacheFolder("base"), `${key.digest("hex").slice(0, 16)}.cpio`);
  if (existsSync(path)) return path;
  const cpio = new Cpio();
  for (const folder of ["/proc", "/sys", "/dev", "/tmp", "/root", "/out"]) cpio.folder(folder);
  // The kernel opens it for the standard streams of /init before anything is mounted.
  cpio.characterDevice("/dev/console", 5, 1);
  cpio.copy("/bin/node", join(node.folder, "package/bin/node"));
  for (const part of packages) {
    for (const file of filesBelow(part.folder).filter((file) => baseContent[part.name]?.test(file))) {
      const name = basename(file);
      // /lib/ld-linux-aarch64.so.1 links to its namesake in the folder that all libraries go to.
      if (lstatSync(file).isSymbolicLink() && basename(readlinkSync(file)) === name) continue;
      cpio.copy(name === "busybox" ? "/bin/busybox" : join(libraryFolder, name), file);
    }
  }
  cpio.link("/lib/ld-linux-aarch64.so.1", "aarch64-linux-gnu/ld-linux-aarch64.so.1");
  // Not compressed: unpacking it there takes longer than loading it (measured).
  writeWhole(path, cpio.bytes());
  return path;
}

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));

/** A package of node_modules and all that it depends on. */
export function dependencyClosure(names: readonly string[], nodeModules: string): string[] {
  const found = new Set<string>();
  const visit = (name: string): void => {
    const manifest = join(nodeModules, name, "package.json");
    if (found.has(name) || !existsSync(manifest)) return;
    found.add(name);
    Object.keys(JSON.parse(readFileSync(manifest, "utf8")).dependencies ?? {}).forEach(visit);
  };
  names.forEach(visit);
  return [...found].sort();
}

/** What tests and programs need of this package: compiled files, fixtures, the test runner. */
function addProject(cpio: Cpio, addon: string | null): void {
  const from = (path: string): string => join(projectFolder, path);
  const to = (path: string): string => join(guestProject, path);
  for (const path of ["package.json", "dist", "test", "lib/model/host/captures"]) {
    if (existsSync(from(path))) cpio.copy(to(path), from(path), (name) => !/\.(d\.ts|map|tsbuildinfo)$/.test(name));
  }
  for (const name of dependencyClosure(["mocha", "fast-check"], from("node_modules"))) {
    cpio.copy(
      to(`node_modules/${name}`),
      join(realpathSync(from("node_modules")), name),
      (path) => !/\.(ts|map|md)$/.test(path),
    );
  }
  if (addon) cpio.copy(to("build/Release/kvm.node"), addon);
  // Programs outside the package's folder import it by name too.
  cpio.link("/node_modules/kvm-arm64", guestProject);
}

/** An initramfs, as one file: archives may follow one another. */
export async function writeInitramfs(path: string, content: GuestContent): Promise<void> {
  const cpio = new Cpio();
  cpio.file("/init", initScript(content.marker), 0o755);
  cpio.file("/command", commandScript(content), 0o755);
  addProject(cpio, content.addon);
  for (const { from, to } of content.additions) cpio.copy(to, from);
  cpio.folder(content.workingFolder);
  writeFileSync(path, Buffer.concat([readFileSync(await baseArchive()), cpio.bytes()]));
}
