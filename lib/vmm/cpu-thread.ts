// A vCPU that runs in a Worker of its own: on the model, several vCPUs then run at once. Its exits are answered here, where
// the devices are; the Worker waits meanwhile.
import { Worker } from "node:worker_threads";
import { type Exit, KvmError, type MmioExit, type Vcpu } from "../index.js";
import { Answer, type FromThread, type ThreadData } from "./cpu-protocol.js";

/** What runs a vCPU: `Vcpu` itself, or a thread. */
export interface CpuRunner {
  run(): Promise<Exit>;
}

const DATA_AT = 8;

export class CpuThread implements CpuRunner {
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  readonly #answer: Int32Array;
  readonly #data: Uint8Array;
  #settle: { resolve(exit: Exit): void; reject(error: Error): void } | undefined;

  constructor(vcpu: Vcpu) {
    const shared = new SharedArrayBuffer(16);
    this.#answer = new Int32Array(shared, 0, 1);
    this.#data = new Uint8Array(shared, DATA_AT);
    const workerData: ThreadData = { handle: vcpu.handle, answer: this.#answer, data: this.#data };
    // Of this process's options, such as --input-type, some are not for a Worker's file.
    this.#worker = new Worker(new URL("./cpu-worker.js", import.meta.url), { workerData, execArgv: [] });
    this.#worker.on("message", (message: FromThread) => this.#take(message));
    this.#worker.on("error", (error) => this.#settle?.reject(error));
    this.#ended = new Promise((resolve) => this.#worker.once("exit", () => resolve()));
  }

  /** Lets the thread go on from its last exit; resolves with the next. */
  run(): Promise<Exit> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#tell(Answer.run);
    });
  }

  /** Between two runs. */
  async end(): Promise<void> {
    this.#tell(Answer.end);
    await this.#ended;
  }

  #tell(answer: number): void {
    Atomics.store(this.#answer, 0, answer);
    Atomics.notify(this.#answer, 0);
  }

  #take(message: FromThread): void {
    if ("refused" in message) {
      const { errno, call, subject } = message.refused;
      this.#settle?.reject(new KvmError(errno, call, subject === undefined ? {} : { what: subject }));
    } else if (message.exit.reason === "mmio") {
      const { address, write, bytes } = message.exit;
      const exit: MmioExit = { reason: "mmio", address, write, data: this.#data.subarray(0, bytes) };
      this.#settle?.resolve(exit);
    } else this.#settle?.resolve(message.exit);
  }
}
