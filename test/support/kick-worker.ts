// A thread that kicks a vCPU of its parent.

import { parentPort, workerData } from "node:worker_threads";
import { Kvm } from "../../lib/index.js";

const cpu = Kvm.attachVcpu(workerData.handle);
parentPort?.postMessage("ready");
setTimeout(() => cpu.kick(), workerData.afterMs);
