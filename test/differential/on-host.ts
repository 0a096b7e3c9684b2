// The program of a differential run on the emulated host: it keeps an asker going. Node dies there now and then, of
// itself, and a call may never return: the next asker says that it is another one.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const [port = ""] = process.argv.slice(2);
/** A sequence takes less than a second. */
const patienceMs = 30_000;
const IDLE = "-".charCodeAt(0);
/** Of more there is nothing to learn. */
const mostDeaths = 50;

const asker = join(dirname(fileURLToPath(import.meta.url)), "asker.js");
/** No machine code made at run time: docs/testing.md, "Node dies". */
const nodeFlags = ["--no-opt", "--no-sparkplug", "--regexp-interpret-all", "--disable-wasm-trap-handler"];

interface End {
  readonly well: boolean;
  /** The place of the last op that it told of. */
  readonly at: string | null;
}

function runAsker(more: readonly string[]): Promise<End> {
  const args = [...nodeFlags, asker, "--port", port, ...more];
  return new Promise((resolve, reject) => {
    const child: ChildProcess = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit", "pipe"] });
    let timer: NodeJS.Timeout | undefined;
    let at: string | null = null;
    child.stdio[3]?.on("data", (told: Buffer) => {
      clearTimeout(timer);
      at = /(\d+)\n$/.exec(told.toString("latin1"))?.[1] ?? null;
      if (told.at(-1) === IDLE) return;
      timer = setTimeout(() => {
        console.log(`! a call did not return within ${patienceMs / 1000} s`);
        child.kill("SIGKILL");
      }, patienceMs);
    });
    child.on("error", reject);
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      if (status !== 0) console.log(`! the asker ended: ${signal ?? status}`);
      resolve({ well: status === 0, at });
    });
  });
}

// What the line says is bytes.
spawnSync("stty", ["-F", port, "raw", "-echo"]);
let ended = await runAsker(["--capture", join(tmpdir(), `kvm-arm64-host-${process.pid}.json`)]);
for (let deaths = 1; !ended.well && deaths < mostDeaths; deaths++) {
  ended = await runAsker(ended.at === null ? [] : ["--died-at", ended.at]);
}
process.exitCode = ended.well ? 0 : 1;
