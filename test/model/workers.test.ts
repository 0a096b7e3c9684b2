import assert from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { VcpuFd } from "../../lib/backend.js";
import { KVM_EXIT, KVM_MP_STATE } from "../../lib/uapi/constants.js";
import { errno } from "../../lib/uapi/errno.js";
import { get, Machine, PC, POWER_OFF, PSCI_0_2, page, RAM, refuses, set, x } from "./machine.js";
import { programs } from "./programs.js";

interface Ended {
  readonly result: number;
  readonly reason: number;
}

interface Running {
  readonly ended: Promise<Ended>;
  /** The Worker is gone. */
  readonly exited: Promise<unknown>;
}

/** Runs a vCPU in a Worker; resolves when it has begun. */
async function inWorker(vcpu: VcpuFd, runs = 1): Promise<Running> {
  const worker = new Worker(new URL("./vcpu-worker.js", import.meta.url), {
    workerData: { handle: vcpu.handle(), runs },
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    worker.on("error", reject);
    worker.on("message", (message: Ended | "running") => message !== "running" && resolve(message));
  });
  const exited = once(worker, "exit");
  await once(worker, "message");
  return { ended, exited };
}

describe("the model in Workers", () => {
  let machine: Machine;
  beforeEach(() => {
    machine = new Machine();
  });
  afterEach(() => machine.close());

  it("runs a vCPU that a handle names, and the registers are seen here", async () => {
    machine.load(programs.store);
    const vcpu = machine.vcpu();

    const { ended, exited } = await inWorker(vcpu);
    assert.deepEqual(await ended, { result: 0, reason: KVM_EXIT.MMIO });
    await exited;

    assert.equal(get(vcpu, PC), RAM + 8n);
    assert.equal(vcpu.runSync(), 0);
    assert.equal(page(vcpu).exit_reason, KVM_EXIT.SYSTEM_EVENT);
  });

  it("ends a run there with a kick from here, asleep or not", async () => {
    machine.load(programs.waitForInterrupt);
    const asleep = machine.vcpu();
    const busy = machine.vcpu();
    machine.load(programs.spin, 0x100);
    set(busy, PC, RAM + 0x100n);

    const first = await inWorker(asleep);
    const second = await inWorker(busy);
    asleep.kick();
    busy.kick();

    assert.equal((await first.ended).result, errno("EINTR"));
    assert.equal((await second.ended).result, errno("EINTR"));
    await Promise.all([first.exited, second.exited]);
  });

  it("refuses the verbs of a vCPU that runs there with EBUSY", async () => {
    machine.load(programs.waitForInterrupt);
    const vcpu = machine.vcpu();
    const { ended, exited } = await inWorker(vcpu);
    while (!isBusy(vcpu)) await new Promise((resolve) => setTimeout(resolve, 1));

    refuses("EBUSY", () => get(vcpu, PC));
    refuses("EBUSY", () => machine.vm.armSetCounterOffset(new Uint8Array(16)));

    vcpu.kick();
    await ended;
    await exited;
  });

  it("wakes a sleeping CPU there when one here turns it on", async () => {
    machine.load(programs.powerOn);
    machine.load(programs.store, 0x100);
    const here = machine.vcpu();
    const there = machine.vcpu(PSCI_0_2 | POWER_OFF);
    set(here, x(1), 1n);
    set(here, x(2), RAM + 0x100n);
    const { ended, exited } = await inWorker(there);

    assert.equal(here.runSync(), 0);

    assert.equal(get(here, x(0)), 0n);
    assert.deepEqual(await ended, { result: 0, reason: KVM_EXIT.MMIO });
    await exited;
    assert.equal(there.getMpState(), KVM_MP_STATE.RUNNABLE);
  });

  it("raises an interrupt line there from here", async () => {
    machine.load(programs.vectors);
    machine.load(programs.handler, 0x800 + 0x280);
    const vcpu = machine.vcpu();
    set(vcpu, x(10), RAM);
    const { ended, exited } = await inWorker(vcpu);

    machine.vm.irqLine(0, 1);

    assert.deepEqual(await ended, { result: 0, reason: KVM_EXIT.MMIO });
    await exited;
  });

  it("adds atomically from two threads", async () => {
    machine.load(programs.addition);
    const vcpus = [machine.vcpu(), machine.vcpu()];
    for (const vcpu of vcpus) {
      set(vcpu, x(1), 1n);
      set(vcpu, x(2), 200_000n);
    }

    const running = await Promise.all(vcpus.map((vcpu) => inWorker(vcpu)));
    const ends = await Promise.all(running.map(({ ended }) => ended));
    await Promise.all(running.map(({ exited }) => exited));

    assert.deepEqual(ends, Array(2).fill({ result: 0, reason: KVM_EXIT.MMIO }));
    assert.equal(machine.word(0x1000), 400_000n);
  });

  it("sees memory that was mapped after it was handed over", () => {
    const attached = machine.system.attachVm(machine.vm.handle());
    const mapping = attached.map({ kind: "anonymous", bytes: 64 << 20 });

    attached.setUserMemoryRegion(1, 0, 0x8000_0000n, 64n << 20n, mapping, 0n);
    machine.load(programs.writeRam);
    const vcpu = machine.vcpu();
    set(vcpu, x(0), 0x8000_0000n + (64n << 20n) - 8n);
    set(vcpu, x(1), 77n);
    assert.equal(vcpu.runSync(), 0);

    assert.equal(get(vcpu, x(2)), 77n);
    attached.close();
  });
});

function isBusy(vcpu: VcpuFd): boolean {
  try {
    vcpu.getMpState();
    return false;
  } catch {
    return true;
  }
}
