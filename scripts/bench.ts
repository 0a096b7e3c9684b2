// npm run bench: what importing costs here, what the model does here, how fast its guests run, and what the package adds
// to the ioctls of a genuine /dev/kvm, against the same ioctls made by a C program in the same run. Ratios and medians;
// nothing fails.

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

const modelFigure = (figure: string, ...options: string[]): Record<string, number> =>
  JSON.parse(
    execFileSync(process.execPath, [...options, join(root, "dist/scripts/bench/model.js"), figure], {
      encoding: "utf8",
    }),
  );

function model(): void {
  const opened = Array.from({ length: 9 }, () => modelFigure("open"));
  const ofOpened = (what: string) => median(opened.map((one) => one[what] as number)).toFixed(1);
  console.log(`model: its modules loaded in ${ofOpened("load")} ms, once a process, when it is first opened`);
  console.log(
    `model: Kvm, VM and vCPU opened and initialised in ${ofOpened("first")} ms (bar 10), again in ${ofOpened("again")} ms`,
  );
  const bytes = median(Array.from({ length: 5 }, () => modelFigure("memory", "--expose-gc")["bytes"] as number));
  console.log(`model: ${(bytes / 2 ** 20).toFixed(1)} MiB resident besides Node and guest RAM, having run (bar 50)`);
  const { count, getAll, getRegs, getOne, setOne } = modelFigure("registers") as Record<string, number> &
    RegisterFigures;
  console.log(`model: list of ${count} registers, getRegBytes ${us(getAll)} µs (bar 300), getRegs ${us(getRegs)} µs`);
  console.log(`model: one register, getReg ${perSecond(getOne)}, setReg ${perSecond(setOne)} a second (bar 500 000)`);
}

interface RegisterFigures {
  readonly count: number;
  readonly getAll: number;
  readonly getRegs: number;
  readonly getOne: number;
  readonly setOne: number;
}

const us = (nanoseconds: number): string => (nanoseconds / 1000).toFixed(0);
const perSecond = (nanoseconds: number): string => Math.round(1e9 / nanoseconds).toLocaleString("fr-FR");

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

/** How fast guests run and boot, against QEMU's translator. */
function guests(): void {
  for (const script of ["engines", "boot"])
    spawnSync(process.execPath, [join(root, `dist/scripts/bench/${script}.js`)], { cwd: root, stdio: "inherit" });
}

importTime();
model();
guests();
ioctls();
