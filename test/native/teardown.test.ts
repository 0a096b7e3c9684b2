import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { makeGuest, needsKvm, programs, runProgram, workerSource } from "./host.js";

describe("what is left of the addon's descriptors and threads", () => {
  before(function () {
    needsKvm(this);
  });

  it("no descriptor is handed on to a program that this one starts", () => {
    const guest = makeGuest(programs.loops);
    const event = guest.system.eventfd(0);
    const device = guest.vm.createDevice(7, 0)!;
    for (const fd of [guest.vm, guest.vcpu]) fd.readStats(0, new Uint8Array(24));

    const ours = execFileSync("ls", ["-l", "/proc/self/fd"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

    assert.doesNotMatch(ours, /kvm|eventfd/);
    for (const each of [event, device]) each.close();
    guest.close();
  });

  // Each in a process of its own: what other tests left open there is closed when the collector likes.
  const endings: { title: string; source: string; nodeOptions?: string[]; status?: number }[] = [
    {
      title: "closing gives back every descriptor, run after run",
      source: `
        const cycle = async () => {
          const guest = host.makeGuest(host.programs.loops);
          const event = guest.system.eventfd(1);
          await event.wait();
          guest.vm.readStats(0, new Uint8Array(24));
          guest.vcpu.readStats(0, new Uint8Array(24));
          guest.vm.createDevice(7, 0)?.close();
          guest.vcpu.kick();
          await guest.vcpu.run();
          event.close();
          guest.close();
        };
        await cycle();
        const before = new Set(host.openDescriptors());
        for (let i = 0; i < 5; i++) await cycle();
        const left = host.openDescriptors().filter((each) => !before.has(each));
        if (left.length > 0) throw new Error("left open: " + left);`,
    },
    {
      title: "process.exit with a run pending",
      source: "const { vcpu } = host.makeGuest(host.programs.loops); vcpu.run(); await sleep(50); process.exit(3);",
      status: 3,
    },
    {
      title: "the end of the program, when the last run is kicked",
      source: "const { vcpu } = host.makeGuest(host.programs.loops); vcpu.run(); setTimeout(() => vcpu.kick(), 50);",
    },
    {
      title: "the end of the program with everything left open",
      source:
        "const { vcpu, system } = host.makeGuest(host.programs.stores); vcpu.runSync(); await vcpu.run(); system.eventfd(0).wait; ",
    },
    {
      title: "an exception with a run pending",
      source:
        "const { vcpu } = host.makeGuest(host.programs.loops); vcpu.run(); await sleep(50); throw new Error('meant');",
      status: 1,
    },
    {
      title: "process.exit while a Worker is inside runSync",
      source: `
        const { vcpu } = host.makeGuest(host.programs.loops);
        const worker = new Worker(${JSON.stringify(workerSource("parentPort.postMessage(0); for (;;) vcpu.runSync();"))},
          { eval: true, workerData: vcpu.handle() });
        worker.once("message", () => setTimeout(() => process.exit(4), 50));`,
      status: 4,
    },
    {
      title: "a Worker that exits with runs pending and descriptors open",
      source: `
        const { vcpu } = host.makeGuest(host.programs.loops);
        const worker = new Worker(${JSON.stringify(workerSource("vcpu.run(); system.eventfd(0).wait(); setTimeout(() => process.exit(0), 50);"))},
          { eval: true, workerData: vcpu.handle() });
        worker.once("exit", () => { vcpu.getMpState(); process.exitCode = 5; });`,
      status: 5,
    },
    {
      title: "guests that are forgotten, and collected while they run or after",
      nodeOptions: ["--expose-gc"],
      source: `
        const descriptors = () => host.openDescriptors().length;
        const forget = () => { for (let i = 0; i < 5; i++) host.makeGuest(host.programs.stores).vcpu.runSync(); };
        let kicks = [];
        const forgetRunning = () => { const { vcpu } = host.makeGuest(host.programs.loops); const run = vcpu.run(); kicks.push(new WeakRef(vcpu)); return run; };
        native.openNative().close();
        const before = descriptors();
        forget();
        const run = forgetRunning();
        for (let i = 0; i < 10; i++) { globalThis.gc(); await sleep(10); }
        const running = kicks[0].deref();
        if (running === undefined) throw new Error("a running vCPU was collected");
        running.kick();
        if (await run !== 4) throw new Error("not interrupted");
        for (let i = 0; i < 500 && descriptors() > before + 6; i++) { globalThis.gc(); await sleep(10); }
        if (descriptors() > before + 6) throw new Error(descriptors() + " descriptors, " + before + " before");`,
    },
    {
      title: "a buffer that is used after its guest was collected",
      nodeOptions: ["--expose-gc"],
      source: `
        const bytes = (() => { const { ram, vcpu } = host.makeGuest(host.programs.stores); vcpu.runSync(); return [new Uint8Array(ram.buffer), vcpu.runPage]; })();
        for (let i = 0; i < 10; i++) { globalThis.gc(); await sleep(10); }
        for (const each of bytes) { each.fill(7); if (each[each.length - 1] !== 7) throw new Error("lost"); }`,
    },
  ];
  for (const { title, source, nodeOptions, status = 0 } of endings) {
    it(`${title}: the process ends in good order`, () => {
      const outcome = runProgram(source, nodeOptions);

      assert.deepEqual({ status: outcome.status, signal: outcome.signal }, { status, signal: null }, outcome.stderr);
    });
  }
});
