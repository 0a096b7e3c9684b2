// npm run bench: what importing costs here, what the model does here, and what the package adds to the ioctls of a
// genuine /dev/kvm, against the same ioctls made by a C program in the same run. Ratios and medians; nothing fails.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] as number;

function importTime(): void {
  const index = pathToFileURL(join(root, "dist/lib/index.js")).href;
  const program = `const t = performance.now(); await import(${JSON.stringify(index)}); console.log(performance.now() - t)`;
  const times = Array.from({ length: 15 }, () =>
    Number(execFileSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" })),
  );
  console.log(`import of the package: median ${median(times).toFixed(1)} ms of 15 processes (bar 30)`);
}

function ioctls(): void {
  const compiler = "aarch64-linux-gnu-gcc";
  if (spawnSync(compiler, ["--version"]).error) {
    console.log(`ioctls against C: not measured, ${compiler} is not here (Debian: gcc-aarch64-linux-gnu)`);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), "kvm-arm64-bench-"));
  try {
    const peer = join(folder, "peer");
    execFileSync(compiler, ["-O2", "-static", "-Wall", "-o", peer, join(root, "scripts/bench/peer.c")]);
    const shell = join(root, "dist/scripts/kvm/shell.js");
    const command = ["node", "dist/scripts/bench/ioctls.js", "/bench/peer"];
    spawnSync(process.execPath, [shell, "--add", `${peer}:/bench/peer`, ...command], { cwd: root, stdio: "inherit" });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

importTime();
ioctls();
