// Runs the vCPU of a handle in a Worker and posts what each run ended with.
import { parentPort, workerData } from "node:worker_threads";
import type { Handle } from "../../lib/backend.js";
import { openModel } from "../../lib/model/index.js";
import { page } from "./machine.js";

const { handle, runs } = workerData as { handle: Handle; runs: number };
const system = openModel();
const vcpu = system.attachVcpu(handle);
for (let n = 0; n < runs; n++) {
  parentPort!.postMessage("running");
  const result = vcpu.runSync();
  parentPort!.postMessage({ result, reason: page(vcpu).exit_reason });
}
vcpu.close();
system.close();
