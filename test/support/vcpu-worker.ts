// A thread that does what it is told with a VM and a vCPU of its parent.

import { parentPort, workerData } from "node:worker_threads";
import { Kvm, KvmError, pc, x } from "../../lib/index.js";

/** What the parent may ask for, one message for each answer. */
export type Task =
  | { readonly do: "run" }
  | { readonly do: "getX0" }
  | { readonly do: "setX0"; readonly value: bigint }
  | { readonly do: "createVcpu"; readonly id: number }
  | { readonly do: "close" };

const vm = Kvm.attachVm(workerData.vm);
const cpu = Kvm.attachVcpu(workerData.vcpu);

function perform(task: Task): unknown {
  switch (task.do) {
    case "run": {
      const exit = cpu.runSync();
      return exit.reason === "mmio" ? ["mmio", exit.address, exit.write] : [exit.reason];
    }
    case "getX0":
      return [cpu.getReg(x(0)), cpu.getReg(pc)];
    case "setX0":
      return cpu.setReg(x(0), task.value);
    case "createVcpu":
      return vm.createVcpu(task.id).handle;
    case "close":
      vm.close();
      return cpu.close();
  }
}

parentPort?.on("message", (task: Task) => {
  try {
    parentPort?.postMessage({ value: perform(task) });
  } catch (error) {
    parentPort?.postMessage({ code: error instanceof KvmError ? error.code : String(error) });
  }
});
parentPort?.postMessage({ value: "ready" });
