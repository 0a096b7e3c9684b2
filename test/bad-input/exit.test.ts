// The process ends when it is told to, whatever its vCPUs do.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { onEveryBackend } from "../support/backends.js";

/** How the process ends, and with which status. */
// biome-ignore format: table
const endings = [
  ["process.exit while a vCPU runs away from the event loop", "exit-while-running", 7],
  ["an uncaught exception while a vCPU runs away from the event loop", "throw-while-running", 1],
  ["process.exit while a vCPU runs in a Worker", "exit-while-worker-runs", 7],
  ["the end of the program with everything left open", "leave-open", 0],
  ["the end of the program after handles without references were collected", "collect", 0],
] as const;

onEveryBackend("a process", (host) => {
  for (const [what, scenario, status] of endings) {
    it(`ends with status ${status} by ${what}`, async function () {
      this.timeout(60_000);
      const program = new URL("./exit-program.js", import.meta.url);
      const args = [...process.execArgv, "--expose-gc", program.pathname, scenario, JSON.stringify(host.options)];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
      const printed: string[] = [];
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => printed.push(String(bytes)));
      const timer = setTimeout(() => child.kill("SIGKILL"), 45_000);
      const [code, signal] = await once(child, "close");
      clearTimeout(timer);
      assert.deepEqual([code, signal], [status, null], printed.join(""));
      assert.match(printed.join(""), /ready/);
    });
  }
});
