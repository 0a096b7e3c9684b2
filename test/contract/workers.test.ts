// A VM and a vCPU reach other threads of the process by their handles.

import assert from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { pc, x } from "../../lib/arm64/registers.js";
import type { Handle } from "../../lib/backend.js";
import { Kvm } from "../../lib/kvm.js";
import { addImmediate, branch, load, mov64, spin, store } from "../support/assemble.js";
import { type Host, onEveryBackend } from "../support/backends.js";
import { DEVICE, eventually, finish, type Guest, makeGuest, RAM, runToMmio, untilRunning } from "../support/guest.js";
import { assertRefused } from "../support/refusal.js";
import type { Task } from "../support/vcpu-worker.js";

/** A thread with the guest's VM and first vCPU attached. */
class Helper implements Disposable {
  readonly #worker: Worker;
  readonly #ready: Promise<unknown>;

  constructor({ vm, cpu }: Guest) {
    this.#worker = new Worker(new URL("../support/vcpu-worker.js", import.meta.url), {
      workerData: { vm: vm.handle, vcpu: cpu.handle },
    });
    this.#ready = once(this.#worker, "message");
  }

  async ask(task: Task): Promise<unknown> {
    await this.#ready;
    this.#worker.postMessage(task);
    const [answer] = await once(this.#worker, "message");
    return "code" in answer ? answer.code : answer.value;
  }

  async end(): Promise<void> {
    await this.#ready;
    await this.#worker.terminate();
  }

  [Symbol.dispose](): void {
    void this.#worker.terminate();
  }
}

onEveryBackend("a vCPU in a Worker", (host: Host) => {
  const setUp = (code: readonly number[]) => {
    const guest = makeGuest(host, code);
    return { ...guest, helper: host.keep(new Helper(guest)) };
  };

  it("runs there, and its registers are seen on both sides", async () => {
    const { cpu, helper } = setUp([addImmediate(0, 0, 5), ...finish]);
    cpu.setReg(x(0), 1n);
    assert.deepEqual(await helper.ask({ do: "run" }), ["mmio", DEVICE, true]);
    assert.equal(cpu.getReg(x(0)), 6n);
    await helper.ask({ do: "setX0", value: 77n });
    assert.equal(cpu.getReg(x(0)), 77n);
  });

  it("an exit that it took there can be completed here", async () => {
    const { cpu, helper } = setUp([...mov64(1, DEVICE), load(4, 0, 1), ...finish]);
    assert.deepEqual(await helper.ask({ do: "run" }), ["mmio", DEVICE, false]);
    cpu.runPage.set([1, 2, 3, 4], 40); // kvm_run.mmio.data
    await runToMmio(cpu);
    assert.equal(cpu.getReg(x(0)), 0x0403_0201n);
  });

  it("while it runs there, it is EBUSY here, and a kick from here ends it", async () => {
    const { cpu, helper } = setUp([spin]);
    const run = helper.ask({ do: "run" });
    await untilRunning(cpu);
    assertRefused("EBUSY", () => cpu.setReg(pc, 0n));
    assertRefused("EBUSY", () => cpu.runSync());
    assertRefused("EBUSY", () => cpu.close());
    cpu.kick();
    assert.deepEqual(await run, ["interrupted"]);
    assert.equal(cpu.getReg(pc), RAM);
  });

  it("runs there while this thread is free, and another vCPU runs here", async () => {
    const guest = makeGuest(host, [spin], { vcpus: 2 });
    const helper = host.keep(new Helper(guest));
    const run = helper.ask({ do: "run" });
    await untilRunning(guest.cpu);
    assertRefused("EBUSY", () => guest.cpu.getReg(pc));
    const [, second] = guest.cpus;
    guest.ram.bytes.set(new Uint8Array(Uint32Array.from(finish).buffer), 0x100);
    second?.setReg(pc, RAM + 0x100n);
    assert.equal(second?.runSync().reason, "mmio");
    guest.cpu.kick();
    assert.deepEqual(await run, ["interrupted"]);
  });

  describe("whose guest counts in memory there, while this thread changes the slots", () => {
    /** Above RAM; the counter is its first word. */
    const AT = 0x5000_0000n;
    const counting = [...mov64(1, AT), addImmediate(0, 0, 1), store(4, 0, 1), branch(-8)];
    const begin = async () => {
      const { vm, cpu, helper } = setUp(counting);
      const memory = vm.addMemory({ at: AT, bytes: 4096, logDirty: true });
      const counter = new Uint32Array(memory.bytes.buffer, memory.bytes.byteOffset, 1);
      const run = helper.ask({ do: "run" });
      await eventually(() => counter[0]! > 0, true);
      return { cpu, memory, counter, run };
    };

    it("a slot that was removed is not written any more", async () => {
      const { memory, counter, run } = await begin();
      memory.remove();
      const last = counter[0];
      assert.deepEqual(await run, ["mmio", AT, true]);
      assert.equal(counter[0], last);
    });

    it("a slot that was moved is not written any more", async () => {
      const { memory, counter, run } = await begin();
      memory.move(AT + 0x1_0000n);
      const last = counter[0];
      assert.deepEqual(await run, ["mmio", AT, true]);
      assert.equal(counter[0], last);
    });

    it("what is written after the dirty log was taken is in the next", async () => {
      const { cpu, memory, counter, run } = await begin();
      for (let n = 0; n < 200; n++) {
        memory.dirtyLog();
        const last = counter[0];
        while (counter[0] === last);
        assert.equal(memory.dirtyLog()[0], 1);
      }
      cpu.kick();
      assert.deepEqual(await run, ["interrupted"]);
    });
  });

  it("closed there, it is still open here", async () => {
    const { cpu, helper } = setUp(finish);
    await helper.ask({ do: "close" });
    assert.equal(await helper.ask({ do: "getX0" }), "EBADF");
    assert.equal(cpu.getReg(pc), RAM);
    await runToMmio(cpu);
  });

  it("survives the end of the thread", async () => {
    const { cpu, helper } = setUp([addImmediate(0, 0, 5), ...finish]);
    await helper.ask({ do: "run" });
    await helper.end();
    assert.equal(cpu.getReg(x(0)), 5n);
  });

  it("a vCPU that the thread creates can be attached here", async () => {
    const { helper } = setUp(finish);
    const handle = (await helper.ask({ do: "createVcpu", id: 5 })) as Handle;
    const attached = host.keep(Kvm.attachVcpu(handle));
    assert.equal(attached.id, 5);
    attached.init();
    assert.equal(attached.getReg(x(0)), 0n);
  });

  it("a handle whose vCPU is closed everywhere is ENOENT", () => {
    const vm = host.kvm.createVm();
    const cpu = vm.createVcpu();
    const handles = [vm.handle, cpu.handle] as const;
    cpu.close();
    vm.close();
    assertRefused("ENOENT", () => Kvm.attachVm(handles[0]));
    assertRefused("ENOENT", () => Kvm.attachVcpu(handles[1]));
  });

  it("attached twice on one thread, both are the same vCPU", () => {
    const { cpu } = makeGuest(host);
    const twin = host.keep(Kvm.attachVcpu(cpu.handle));
    twin.setReg(x(3), 9n);
    assert.equal(cpu.getReg(x(3)), 9n);
    assert.equal(twin.id, cpu.id);
  });
});
