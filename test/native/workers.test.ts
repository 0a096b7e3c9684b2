import assert from "node:assert/strict";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { VcpuFd } from "../../lib/backend.js";
import { errno } from "../../lib/uapi/errno.js";
import { makeGuest, needsKvm, programs, refusalOf, workerSource } from "./host.js";

const EINTR = errno("EINTR");

function isBusy(vcpu: VcpuFd): boolean {
  try {
    vcpu.getMpState();
    return false;
  } catch {
    return true;
  }
}

describe("VMs and vCPUs of the addon in Workers", () => {
  before(function () {
    needsKvm(this);
  });

  // `ended` is asked for at once: a Worker's last message and its end may be told in the same turn of the event loop.
  function start(body: string, handle: unknown): { worker: Worker; ended: Promise<unknown> } {
    const worker = new Worker(workerSource(body), { eval: true, workerData: handle });
    return { worker, ended: once(worker, "exit") };
  }

  it("a Worker runs a vCPU by its handle, and the thread that made it sees the exits and kicks it", async () => {
    const guest = makeGuest(programs.loops);
    const { worker, ended } = start(
      "parentPort.postMessage('runs'); parentPort.postMessage(vcpu.runSync());",
      guest.vcpu.handle(),
    );
    await once(worker, "message");
    while (!isBusy(guest.vcpu)) await sleep(10);

    const busy = refusalOf(() => guest.vcpu.getMpState());
    const refusedClose = refusalOf(() => guest.vcpu.close());
    guest.vcpu.kick();
    const [result] = await once(worker, "message");

    assert.deepEqual(busy, { errno: errno("EBUSY"), call: "KVM_GET_MP_STATE" });
    assert.deepEqual(refusedClose, { errno: errno("EBUSY"), call: "close" });
    assert.equal(result, EINTR);
    await ended;
    guest.close();
  });

  it("what one thread closes stays open for the others, until the last closes it", async () => {
    const guest = makeGuest(programs.stores);
    const handle = guest.vcpu.handle();
    const { worker, ended } = start(
      "parentPort.postMessage(0); parentPort.once('message', () => { parentPort.postMessage(vcpu.runSync()); vcpu.close(); });",
      handle,
    );
    await once(worker, "message");
    guest.vcpu.close();

    worker.postMessage("go");
    const [result] = await once(worker, "message");
    await ended;

    assert.equal(result, 0);
    assert.deepEqual(
      refusalOf(() => guest.system.attachVcpu(handle)),
      { errno: errno("ENOENT"), call: "attachVcpu" },
    );
    guest.close();
  });

  it("a Worker that ends with a run pending gives the vCPU back", async () => {
    const guest = makeGuest(programs.loops);
    const { worker } = start("vcpu.run(); parentPort.postMessage(0);", guest.vcpu.handle());
    await once(worker, "message");

    await worker.terminate();

    guest.vcpu.kick();
    assert.equal(guest.vcpu.runSync(), EINTR);
    guest.close();
  });

  it("a Worker inside runSync ends by terminate and a kick", async () => {
    const guest = makeGuest(programs.loops);
    const { worker } = start("parentPort.postMessage(0); for (;;) vcpu.runSync();", guest.vcpu.handle());
    await once(worker, "message");
    await sleep(50);

    const terminated = worker.terminate();
    guest.vcpu.kick();

    assert.equal(await terminated, 1);
    guest.close();
  });

  it("a Worker's own end does not end the runs of other threads", async () => {
    const guest = makeGuest(programs.loops);
    const run = guest.vcpu.run();
    const other = start("system.close();", guest.vcpu.handle());
    await other.ended;
    let ended = false;
    void run.then(() => {
      ended = true;
    });
    await sleep(100);

    const early = ended;
    guest.vcpu.kick();

    assert.equal(await run, EINTR);
    assert.equal(early, false);
    guest.close();
  });

  it("a Worker that waits on an eventfd when it is terminated goes without a trace", async () => {
    const guest = makeGuest(programs.loops);
    const { worker } = start("system.eventfd(0).wait(); parentPort.postMessage(0);", guest.vcpu.handle());
    await once(worker, "message");

    assert.equal(await worker.terminate(), 1);
    guest.close();
  });
});
