// The package as its users have it: packed, and installed into an empty folder by an npm whose PATH has neither compiler
// nor Python.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, realpathSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { skip } from "../skip.js";

/** The nearest folder above the compiled test that has binding.gyp. */
export const projectFolder = fileURLToPath(new URL("../../../", import.meta.url));

const npmCli = join(dirname(realpathSync(process.execPath)), "../lib/node_modules/npm/bin/npm-cli.js");

export function needsNpm(context: Mocha.Context): void {
  if (process.platform === "win32" || !existsSync(npmCli)) skip(context, "needs npm beside node, and a POSIX shell");
}

/** A folder with what npm and the package may find on PATH: a shell and node. */
function barePath(folder: string): string {
  const path = join(folder, "bin");
  if (!existsSync(path)) {
    mkdirSync(path);
    symlinkSync(process.execPath, join(path, "node"));
    symlinkSync("/bin/sh", join(path, "sh"));
  }
  return path;
}

/** Runs Node in `folder` and gives what it said. node-gyp cannot but fail there, and say so, for want of Python. */
export function runNode(folder: string, args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: "utf8",
    timeout: 120_000,
    env: {
      PATH: barePath(folder),
      HOME: folder,
      npm_config_cache: join(folder, "npm-cache"),
      npm_config_update_notifier: "false",
    },
  });
  return { status, stdout, stderr, nodeGypRan: /node-gyp/.test(stderr) };
}

export const runNpm = (folder: string, args: readonly string[]) =>
  runNode(folder, [npmCli, ...args, "--offline", "--no-audit", "--no-fund"]);

/** The tarball that npm would publish, made in `folder`. */
export function packInto(folder: string): string {
  const args = [npmCli, "pack", projectFolder, "--ignore-scripts", "--pack-destination", folder];
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: "utf8" });
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  if (status !== 0 || tarball === undefined) throw new Error(`npm pack failed: ${stderr}`);
  return join(folder, tarball);
}
