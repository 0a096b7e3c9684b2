// How a run begins and ends: immediate_exit, kick, run and runSync. Documentation/virt/kvm/api.rst 5, "immediate_exit".

import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import { pc, x } from "../../lib/arm64/registers.js";
import { addImmediate, branch, load, mov64, spin } from "../support/assemble.js";
import { onEveryBackend } from "../support/backends.js";
import { DEVICE, finish, makeGuest, RAM, runToFinish, runToMmio, runUntil } from "../support/guest.js";
import { assertRefused, assertRunRefused } from "../support/refusal.js";

onEveryBackend("immediate_exit", (host) => {
  it("ends a run before the guest's first instruction, every time while it is set", () => {
    const { cpu } = makeGuest(host, finish);
    cpu.immediateExit = true;
    for (const _ of [1, 2, 3]) assert.equal(cpu.runSync().reason, "interrupted");
    assert.equal(cpu.getReg(pc), RAM);
  });

  it("leaves the exit reason of the run before", async () => {
    const { cpu } = makeGuest(host, [...mov64(1, DEVICE), load(4, 0, 1), spin]);
    await runToMmio(cpu);
    cpu.immediateExit = true;
    cpu.runSync();
    assert.equal(cpu.runPage[8], 6); // KVM_EXIT_MMIO
  });

  it("cleared again, the guest runs", async () => {
    const { cpu } = makeGuest(host, finish);
    cpu.immediateExit = true;
    cpu.runSync();
    cpu.immediateExit = false;
    await runToFinish(cpu);
  });

  it("of a vCPU that is stopped ends its run too", () => {
    const { cpu } = makeGuest(host);
    cpu.mpState = "stopped";
    cpu.immediateExit = true;
    assert.equal(cpu.runSync().reason, "interrupted");
  });
});

onEveryBackend("kick", (host) => {
  it("before a run ends it at once, and only that one", async () => {
    const { cpu } = makeGuest(host, finish);
    cpu.kick();
    assert.equal(cpu.runSync().reason, "interrupted");
    await runToFinish(cpu);
  });

  it("several before a run end one", async () => {
    const { cpu } = makeGuest(host, finish);
    for (const _ of [1, 2, 3]) cpu.kick();
    assert.equal((await cpu.run()).reason, "interrupted");
    await runToFinish(cpu);
  });

  it("ends a guest that loops, and it goes on where it was", async () => {
    const { cpu } = makeGuest(host, [
      addImmediate(0, 0, 1), // loop: add x0, x0, #1
      branch(-4),
    ]);
    await runUntil(cpu, () => cpu.getReg(x(0)) > 0n);
    const first = cpu.getReg(x(0));
    await runUntil(cpu, () => cpu.getReg(x(0)) > first);
  });

  it("from another thread ends a run that blocks this one", async () => {
    const { cpu } = makeGuest(host, [spin]);
    const worker = new Worker(new URL("../support/kick-worker.js", import.meta.url), {
      workerData: { handle: cpu.handle, afterMs: 300 },
    });
    const ready = new Promise((resolve) => worker.once("message", resolve));
    await ready;
    const exit = cpu.runSync();
    await worker.terminate();
    assert.equal(exit.reason, "interrupted");
  });

  it("of a closed vCPU is EBADF", () => {
    const { cpu } = makeGuest(host);
    cpu.close();
    assertRefused("EBADF", () => cpu.kick());
  });
});

onEveryBackend("a vCPU that runs", (host) => {
  const running = () => {
    const guest = makeGuest(host, [spin]);
    const run = guest.cpu.run();
    const end = async () => {
      guest.cpu.kick();
      return run;
    };
    return { ...guest, end };
  };

  it("leaves the event loop free", async () => {
    const { end } = running();
    const turned = await new Promise((resolve) => setTimeout(() => resolve("turned"), 50));
    const exit = await end();
    assert.deepEqual([turned, exit.reason], ["turned", "interrupted"]);
  });

  it("refuses another run, registers and closing with EBUSY", async () => {
    const { cpu, end } = running();
    assertRefused("EBUSY", () => cpu.runSync());
    await assertRunRefused("EBUSY", () => cpu.run());
    assertRefused("EBUSY", () => cpu.getReg(pc));
    assertRefused("EBUSY", () => cpu.setReg(pc, 0n));
    assertRefused("EBUSY", () => cpu.init());
    assertRefused("EBUSY", () => cpu.regList());
    assertRefused("EBUSY", () => cpu.mpState);
    assertRefused("EBUSY", () => cpu.close());
    await end();
    assert.equal(cpu.getReg(pc), RAM);
  });

  it("does not hinder the others of its VM", async () => {
    const { cpus, ram } = makeGuest(host, [spin], { vcpus: 2 });
    const [first, second] = cpus as [(typeof cpus)[0], (typeof cpus)[0]];
    const run = first.run();
    ram.bytes.set(new Uint8Array(Uint32Array.from(finish).buffer), 0x100);
    second.setReg(pc, RAM + 0x100n);
    await runToFinish(second);
    first.kick();
    assert.equal((await run).reason, "interrupted");
  });

  it("runs two vCPUs at the same time", async () => {
    const { cpus } = makeGuest(host, [spin], { vcpus: 2 });
    for (const cpu of cpus) cpu.setReg(pc, RAM);
    const runs = cpus.map((cpu) => cpu.run());
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (const cpu of cpus) cpu.kick();
    assert.deepEqual(
      (await Promise.all(runs)).map(({ reason }) => reason),
      ["interrupted", "interrupted"],
    );
  });

  it("gives the same exits to runSync as to run", async () => {
    const code = [...mov64(1, DEVICE), load(4, 0, 1), ...finish];
    const [a, b] = [makeGuest(host, code).cpu, makeGuest(host, code).cpu];
    const sync = a.runSync();
    const later = await b.run();
    assert.deepEqual(
      [sync.reason, sync.reason === "mmio" && sync.address],
      [later.reason, later.reason === "mmio" && later.address],
    );
    assert.equal(sync.reason, "mmio");
  });
});
