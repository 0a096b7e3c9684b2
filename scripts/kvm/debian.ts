// Debian's archive, read without the package manager and without touching its state: which mirror, the signed index of
// a suite for arm64, and the packages in it.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { download, Missing, sha256 } from "./cache.js";

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

export interface Package {
  readonly name: string;
  readonly version: string;
  /** Path below the mirror. */
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** One line or paragraph of apt's sources. */
export interface Source {
  readonly uri: string;
  readonly suites: readonly string[];
}

/** Reads the one-line format of sources.list(5). */
export function parseOneLineSources(text: string): Source[] {
  const sources: Source[] = [];
  for (const line of text.split("\n")) {
    const [, uri, suite] = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+\S/.exec(line) ?? [];
    if (uri && suite) sources.push({ uri, suites: [suite] });
  }
  return sources;
}

/** Reads the deb822 format of sources.list(5). */
export function parseDeb822Sources(text: string): Source[] {
  const withoutComments = text.replace(/^#.*\n?/gm, "");
  return withoutComments.split(/\n\s*\n/).flatMap((paragraph) => {
    const field = (name: string): string[] =>
      (new RegExp(`^${name}:((?:.*\n?)(?:[ \t]+.*\n?)*)`, "im").exec(`${paragraph}\n`)?.[1] ?? "")
        .split(/\s+/)
        .filter(Boolean);
    if (!field("Types").includes("deb") || field("Enabled")[0]?.toLowerCase() === "no") return [];
    return field("URIs").map((uri) => ({ uri, suites: field("Suites") }));
  });
}

function systemSources(): Source[] {
  const folder = "/etc/apt/sources.list.d";
  const files = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
  return ["/etc/apt/sources.list", ...files].flatMap((path) => {
    if (!existsSync(path)) return [];
    if (path.endsWith(".sources")) return parseDeb822Sources(readFileSync(path, "utf8"));
    return path.endsWith(".list") ? parseOneLineSources(readFileSync(path, "utf8")) : [];
  });
}

/** The Debian archive that this machine uses, without a slash at the end; KVM_ARM64_DEBIAN_MIRROR overrides it. */
export function mirror(): string {
  const named = process.env["KVM_ARM64_DEBIAN_MIRROR"];
  const uri = named ?? systemSources().find(({ uri }) => /^https?:.*\/debian\/?$/.test(uri))?.uri;
  if (!uri) {
    throw new Missing(
      "no Debian mirror in the system's package sources: set KVM_ARM64_DEBIAN_MIRROR to one, as http://HOST/debian",
    );
  }
  return uri.replace(/\/+$/, "");
}

/** The release that this machine runs, or null where that is not Debian. */
export function systemSuite(): string | null {
  const release = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  if (!/^ID="?debian"?$/m.test(release)) return null;
  return /^VERSION_CODENAME="?(\w+)"?$/m.exec(release)?.[1] ?? null;
}

/** The text that the archive signed. Without gpgv or the keyring, the text as it came, and a warning. */
function signedText(inRelease: Buffer, suite: string): string {
  if (!existsSync(keyring)) {
    console.warn(
      `kvm-arm64: the signature of ${suite} is not checked: install debian-archive-keyring to have it checked`,
    );
    return inRelease.toString();
  }
  const gpgv = spawnSync("gpgv", ["--keyring", keyring, "--output", "-"], { input: inRelease });
  if (gpgv.error) {
    console.warn(`kvm-arm64: the signature of ${suite} is not checked: install gpgv to have it checked`);
    return inRelease.toString();
  }
  if (gpgv.status !== 0) throw new Missing(`the index of ${suite} carries no good signature:\n${gpgv.stderr}`);
  return gpgv.stdout.toString();
}

/** The packages of a suite's main component for arm64 whose names match. */
export async function readSuite(suite: string, names: RegExp): Promise<Package[]> {
  const base = `${mirror()}/dists/${suite}`;
  const path = "main/binary-arm64/Packages.xz";
  const release = signedText(await download(`${base}/InRelease`), suite);
  const expected = new RegExp(`^ ([0-9a-f]{64}) +\\d+ ${path}$`, "m").exec(release)?.[1];
  if (!expected) throw new Missing(`the suite ${suite} of the mirror ${mirror()} has no ${path}`);
  const index = await download(`${base}/${path}`);
  if (sha256(index) !== expected) {
    throw new Missing(`${path} of ${suite} is not the one that was signed: the mirror is being updated, try again`);
  }
  const xz = spawnSync("xz", ["-dc"], { input: index, maxBuffer: 2 ** 30 });
  if (xz.error || xz.status !== 0) throw new Missing(`xz cannot unpack ${path} of ${suite}: install xz-utils`);
  return parsePackages(xz.stdout.toString(), names);
}

export function parsePackages(index: string, names: RegExp): Package[] {
  return index.split("\n\n").flatMap((paragraph) => {
    const field = (name: string): string => new RegExp(`^${name}: (.*)$`, "m").exec(paragraph)?.[1] ?? "";
    const name = /^Package: (.*)$/m.exec(paragraph)?.[1] ?? "";
    if (!names.test(name)) return [];
    return {
      name,
      version: field("Version"),
      file: field("Filename"),
      bytes: Number(field("Size")),
      sha256: field("SHA256"),
    };
  });
}

/** Orders versions of a package as deb-version(7) does: by epoch, then upstream's version, then Debian's revision. */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [left, right].map(splitVersion);
  for (const part of [0, 1, 2] as const) {
    const order = comparePart(a![part], b![part]);
    if (order !== 0) return order;
  }
  return 0;
}

function splitVersion(version: string): [string, string, string] {
  const [, epoch = "0", upstream = "", revision = ""] = /^(?:(\d+):)?(.*?)(?:-([^-]*))?$/.exec(version) ?? [];
  return [epoch, upstream, revision];
}

/** Runs of text and of digits by turns. */
function comparePart(left: string, right: string): number {
  const [a, b] = [left.split(/(\d+)/), right.split(/(\d+)/)];
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [x, y] = [a[i] ?? "", b[i] ?? ""];
    const order = i % 2 ? Number(x) - Number(y) : compareText(x, y);
    if (order !== 0) return order;
  }
  return 0;
}

/** "~" before the end, the end before letters, letters before the rest. */
function compareText(left: string, right: string): number {
  const weight = (char: string | undefined): number => {
    if (char === undefined) return 0;
    if (char === "~") return -1;
    return char.charCodeAt(0) + (/[A-Za-z]/.test(char) ? 0 : 256);
  };
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const order = weight(left[i]) - weight(right[i]);
    if (order !== 0) return order;
  }
  return 0;
}
