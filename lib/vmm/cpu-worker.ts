// The thread of a vCPU: cpu-thread.ts starts it.
import { parentPort, workerData } from "node:worker_threads";
import { type Exit, Kvm, KvmError } from "../index.js";
import { Answer, type FromThread, type ThreadData } from "./cpu-protocol.js";

const { handle, answer, data } = workerData as ThreadData;
const tell = (message: FromThread): void => parentPort?.postMessage(message);

/** Whether to go on. */
function told(): boolean {
  Atomics.wait(answer, 0, Answer.none);
  return Atomics.exchange(answer, 0, Answer.none) === Answer.run;
}

function report(exit: Exit): void {
  if (exit.reason !== "mmio") tell({ exit: { ...exit } });
  else {
    const { reason, address, write } = exit;
    data.set(exit.data);
    tell({ exit: { reason, address, write, bytes: exit.data.length } });
  }
}

using vcpu = Kvm.attachVcpu(handle);
let load: Uint8Array | undefined;
while (told()) {
  load?.set(data.subarray(0, load.length));
  load = undefined;
  try {
    const exit = vcpu.runSync();
    report(exit);
    if (exit.reason === "mmio" && !exit.write) load = exit.data;
  } catch (error) {
    // Anything else ends the thread, which the machine hears of.
    if (!(error instanceof KvmError)) throw error;
    tell({ refused: { errno: -error.errno, call: error.syscall, subject: error.subject } });
  }
}
