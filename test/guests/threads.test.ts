// Guest programs with several CPUs, each on a thread of its own: what they do is the same.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { Machine, parseProgram, RAM_AT } from "../../lib/vmm/index.js";
import { type Host, onEveryBackend } from "../support/backends.js";
import { expected, type Guest, guestFile, guests } from "./guests.js";

const RAM_BYTES = 4 << 20;
const ONLY_MEMORY = new Set(["smp-counter", "smp-counter-lse", "smp-locks", "tlb-shootdown"]);

async function runOnThreads(host: Host, guest: Guest): Promise<{ ended: string; stdout: string }> {
  const machine = host.keep(new Machine(host.kvm, { memoryBytes: RAM_BYTES, cpus: guest.cpus, devices: [] }));
  machine.load(parseProgram(readFileSync(guestFile(guest)), { at: RAM_AT, bytes: RAM_BYTES }));
  const sent: number[] = [];
  const over = new Int32Array(new SharedArrayBuffer(4));
  const workers = machine.vcpus.map(
    ({ handle }) => new Worker(new URL("./vcpu-thread.js", import.meta.url), { workerData: { handle, over } }),
  );
  try {
    const ended = await new Promise<string>((resolve, reject) => {
      for (const worker of workers) {
        worker.on("error", reject);
        worker.on("message", (message: { sent?: number; ended?: string }) => {
          if (message.sent !== undefined) sent.push(message.sent);
          else resolve(message.ended!);
        });
      }
    });
    return { ended, stdout: Buffer.from(sent).toString("latin1") };
  } finally {
    Atomics.store(over, 0, 1);
    const exits = workers.map((worker) => once(worker, "exit"));
    for (const vcpu of machine.vcpus) vcpu.kick();
    await Promise.all(exits);
  }
}

onEveryBackend("guest programs whose CPUs have threads of their own", (host) => {
  for (const guest of guests.filter(({ name }) => ONLY_MEMORY.has(name))) {
    it(`${guest.name} prints what it should`, async function () {
      this.timeout(120_000);

      const { ended, stdout } = await runOnThreads(host, guest);

      assert.equal(stdout, expected(guest).stdout);
      assert.equal(ended, "shutdown");
    });
  }
});
