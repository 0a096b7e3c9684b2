// A thread that runs a vCPU of its parent, on the seam.

import { parentPort, workerData } from "node:worker_threads";
import { openModel } from "../../lib/model/index.js";
import { seamOptions } from "./seam-subject.js";

const vcpu = openModel(seamOptions(workerData.kernel)).attachVcpu(workerData.handle);
parentPort?.postMessage("ready");
const ended = vcpu.runSync();
vcpu.close();
parentPort?.postMessage(ended);
