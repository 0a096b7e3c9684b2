// One CPU of test/a64/smp.test.ts on a thread of its own: runs until it makes a hypercall.

import { parentPort, workerData } from "node:worker_threads";
import { CpuState } from "../../lib/model/cpu/state.js";
import { Evaluator } from "../../lib/model/engine/evaluator.js";
import { RAM } from "./guest.js";

export interface CpuOnThread {
  readonly memory: WebAssembly.Memory;
  readonly base: number;
  readonly ramAt: number;
  readonly pairLock: number;
}

const { memory, base, ramAt, pairLock } = workerData as CpuOnThread;
const state = new CpuState(memory, base);
const bus = { generation: 0, pairLock, page: (ipa: bigint) => ramAt + Number(ipa - RAM) };
const evaluator = new Evaluator(state, bus, { counter: () => 0n, promises: () => true, has: () => false });
const stop = evaluator.run(1e9);
parentPort!.postMessage(stop.kind === "el2" ? stop.esr >>> 26 : stop.kind);
