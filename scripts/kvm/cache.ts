// Where downloads are kept between runs, and how they get there. Only downloads and what is unpacked from them: no results.

import { createHash } from "node:crypto";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const root =
  process.env["KVM_ARM64_CACHE"] ?? join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "kvm-arm64");

/** A folder of the cache, made when it is not there. */
export function cacheFolder(...names: string[]): string {
  const folder = join(root, ...names);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** What stops a run and is the user's to mend: one sentence that says what is missing and how to get it. */
export class Missing extends Error {
  override readonly name = "Missing";
}

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

export async function download(url: string): Promise<Buffer> {
  let failure = "";
  for (let attempt = 1; attempt <= 3; attempt++) {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(300_000) });
      if (response.ok) return Buffer.from(await response.arrayBuffer());
      failure = `HTTP status ${response.status}`;
      if (response.status < 500) break;
    } catch (error) {
      const { message, cause } = error as Error;
      failure = cause instanceof Error ? `${message}: ${cause.message}` : message;
    }
  }
  throw new Missing(`cannot download ${url} (${failure}): is the network up, and does the mirror have it?`);
}

/** Writes a whole file or none, so that runs side by side can share the cache. */
export function writeWhole(path: string, bytes: string | Uint8Array): void {
  const partial = `${path}.${process.pid}`;
  writeFileSync(partial, bytes);
  renameSync(partial, path);
}

/** Fills a folder by `fill` and gives it its name only when it is complete. */
export function folderOnce(path: string, fill: (partial: string) => void): void {
  const partial = `${path}.${process.pid}`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  fill(partial);
  try {
    renameSync(partial, path);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    // Somebody else was first: their copy is as good.
    if (!["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}
