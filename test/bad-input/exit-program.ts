// A program that ends in the way that its first argument names; the second is what Kvm.open is given.

import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Kvm, pc } from "../../lib/index.js";

const AT = 0x4000_0000n;

/** A guest that never ends: b . */
function makeSpinner(open: object) {
  const vm = Kvm.open(open).createVm();
  const memory = vm.addMemory({ at: AT, bytes: 4096 });
  memory.bytes.set([0, 0, 0, 0x14]);
  const cpu = vm.createVcpu();
  cpu.init();
  cpu.setReg(pc, AT);
  return cpu;
}

const scenarios: Readonly<Record<string, (open: object) => unknown>> = {
  "exit-while-running": (open) => {
    void makeSpinner(open).run();
    setTimeout(() => process.exit(7), 200);
  },
  "throw-while-running": (open) => {
    void makeSpinner(open).run();
    setTimeout(() => {
      throw new Error("on purpose");
    }, 200);
  },
  "exit-while-worker-runs": (open) => {
    // The main thread has opened the backend too, as a VMM's has.
    makeSpinner(open);
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: open });
    worker.on("message", () => setTimeout(() => process.exit(7), 200));
  },
  "leave-open": (open) => {
    const cpu = makeSpinner(open);
    cpu.immediateExit = true;
    cpu.runSync();
  },
  collect: async (open) => {
    for (let i = 0; i < 20; i++) {
      makeSpinner(open);
      globalThis.gc?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
  },
};

if (isMainThread) {
  const [, , scenario = "", open = "{}"] = process.argv;
  console.log("ready");
  await scenarios[scenario]?.(JSON.parse(open));
} else {
  const cpu = makeSpinner(workerData);
  parentPort?.postMessage("running");
  cpu.runSync();
}
