// What reaches the vCPUs of other threads, TLB maintenance and changes of memory slots: a request in their attention words,
// which their engines clear when they have forgotten what they remembered. A vCPU that spends no guest time looks there
// before it does again.

import { threadId } from "node:worker_threads";
import { Attention, cells } from "./cpu/state.js";
import { allVcpus, type VcpuState } from "./vcpu-state.js";
import type { VmState } from "./vm-state.js";

/** How long a wait may miss that a vCPU left the guest. */
const LOOK_AGAIN_MS = 0.2;
/** A thread that was ended in the guest never looks up. */
const GONE_MS = 10_000;

const ATTENTION = cells.attention * 2;

/** What one vCPU does about the others. */
export class Shootdown {
  readonly #vcpu: VcpuState;
  #others: readonly VcpuState[] = [];
  #known = 0;

  constructor(vcpu: VcpuState) {
    this.#vcpu = vcpu;
  }

  /** Guest time. The exchange is ordered before the engine's first look at the attention word. */
  inGuest<T>(run: () => T): T {
    // Elsewhere it may have changed its mind about what this thread remembers.
    if (this.#vcpu.exchange("thread", threadId + 1) !== threadId + 1) {
      Atomics.or(this.#vcpu.cpu.words, ATTENTION, Attention.flush);
    }
    this.#vcpu.exchange("inGuest", 1);
    try {
      return run();
    } finally {
      this.#vcpu.store("inGuest", 0);
    }
  }

  /** Asks every other vCPU to forget its translations; false: there is none. */
  request(): boolean {
    const others = this.#rest();
    request(others);
    return others.length > 0;
  }

  /** Waits until every other vCPU has, or is out of the guest. */
  await(meanwhile: () => void): void {
    awaitAll(this.#rest(), meanwhile);
  }

  #rest(): readonly VcpuState[] {
    const count = this.#vcpu.vm.peek("vcpuCount");
    if (count !== this.#known) {
      this.#known = count;
      this.#others = allVcpus(this.#vcpu.vm).filter(({ base }) => base !== this.#vcpu.base);
    }
    return this.#others;
  }
}

/** Every vCPU looks again at what it remembers of memory: afterwards none uses what it remembered before. Outside all locks. */
export function forgetAll(vm: VmState): void {
  const vcpus = allVcpus(vm);
  request(vcpus);
  // Who asks is not in the guest.
  awaitAll(
    vcpus.filter((vcpu) => vcpu.peek("thread") !== threadId + 1),
    () => {},
  );
}

function request(vcpus: readonly VcpuState[]): void {
  for (const { cpu } of vcpus) Atomics.or(cpu.words, ATTENTION, Attention.flush);
}

function awaitAll(vcpus: readonly VcpuState[], meanwhile: () => void): void {
  for (const vcpu of vcpus) {
    const { words } = vcpu.cpu;
    const began = performance.now();
    for (;;) {
      const attention = Atomics.load(words, ATTENTION);
      if ((attention & Attention.flush) === 0 || vcpu.peek("inGuest") === 0) break;
      // It may be waiting for us.
      meanwhile();
      Atomics.wait(words, ATTENTION, attention, LOOK_AGAIN_MS);
      if (performance.now() - began < GONE_MS) continue;
      vcpu.store("inGuest", 0);
      break;
    }
  }
}
