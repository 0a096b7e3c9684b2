// One vCPU of a guest program on a thread of its own: runs until the guest powers the machine off, or all is over. What it writes to the
// console goes to the parent.

import { parentPort, workerData } from "node:worker_threads";
import type { Handle } from "../../lib/backend.js";
import { Kvm } from "../../lib/kvm.js";

const UART = 0x0900_0000n;

const { handle, over } = workerData as { handle: Handle; over: Int32Array };
const cpu = Kvm.attachVcpu(handle);
while (Atomics.load(over, 0) === 0) {
  const exit = cpu.runSync();
  if (exit.reason === "mmio" && exit.address >> 12n === UART >> 12n) {
    if (!exit.write) exit.data.fill(0);
    else if (exit.address === UART) parentPort!.postMessage({ sent: exit.data[0] });
  } else if (exit.reason !== "interrupted") {
    parentPort!.postMessage({ ended: exit.reason === "system-event" ? exit.event : exit.reason });
    break;
  }
}
cpu.close();
