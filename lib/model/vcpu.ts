/// <reference lib="es2024.sharedmemory" />
// The vCPU descriptor of the model: one verb for each ioctl.

import type { Handle, VcpuFd } from "../backend.js";
import { Refused } from "../errors.js";
import { KVM_GUESTDBG, KVM_MP_STATE } from "../uapi/constants.js";
import { errno } from "../uapi/errno.js";
import { letGo } from "./descriptors.js";
import type { EventFds } from "./eventfd.js";
import { irqfdSignalled } from "./gic/irqfd.js";
import { handleOf } from "./handle.js";
import { ringBytes } from "./kvm/dirty-ring.js";
import { getEvents, setEvents } from "./kvm/events.js";
import { finalize, init } from "./kvm/init.js";
import { check, manyRegs, oneReg, registerBytes } from "./kvm/one-reg.js";
import { registerList } from "./kvm/reg-list.js";
import { applyPendingReset } from "./kvm/reset.js";
import { readVcpuStats } from "./kvm/stats.js";
import { attributes } from "./kvm/vcpu-attributes.js";
import { Busy, vcpuCells } from "./layout.js";
import { type Pause, Runner } from "./run.js";
import { VcpuState } from "./vcpu-state.js";
import type { VmState } from "./vm-state.js";

const SIGSET_BYTES = 8;
const MP_STATES: readonly number[] = Object.values(KVM_MP_STATE);
const DEBUG_CONTROL = KVM_GUESTDBG.ENABLE | KVM_GUESTDBG.SINGLESTEP | KVM_GUESTDBG.USE_SW_BP | KVM_GUESTDBG.USE_HW;
const DEBUG_REGS = 8;
/** A sleeping vCPU must keep the process alive; the period itself does not matter. */
const KEEP_ALIVE_MS = 60_000;
/** Runs that end at once, one after the other, are promises only: without this the event loop would never turn. */
const MOST_MS_WITHOUT_TURN = 5;

/** Words of the control block that threads wait on. */
const BUSY = vcpuCells.busy * 2;
const WAKE = vcpuCells.wake * 2;

type Sleep = Extract<Pause, { kind: "sleep" }>;

export class ModelVcpu implements VcpuFd {
  readonly id: number;
  #vcpu: VcpuState | null;
  readonly #eventFds: EventFds;
  #runner: Runner | undefined;
  /** When this thread's event loop was last let go on. */
  #lastTurn = performance.now();

  private constructor(vcpu: VcpuState, eventFds: EventFds) {
    this.#vcpu = vcpu;
    this.#eventFds = eventFds;
    this.id = vcpu.get("id");
  }

  /** A descriptor of the vCPU whose block begins at `base`. */
  static attach(vm: VmState, eventFds: EventFds, base: number): ModelVcpu {
    vm.add("open", 1);
    eventFds.listen(vm.memory, (fd) => irqfdSignalled(vm, eventFds, fd));
    return new ModelVcpu(new VcpuState(vm, base), eventFds);
  }

  get closed(): boolean {
    return this.#vcpu === null;
  }

  get runPage(): Uint8Array {
    return this.#here("mmap").runPage;
  }

  /** Guest instructions that this descriptor has executed. */
  get executed(): number {
    return this.#runner?.executed ?? 0;
  }

  handle(): Handle {
    return handleOf(this.#here("handle").vm, this.#eventFds, "vcpu", this.id);
  }

  armVcpuInit(bytes: Uint8Array): void {
    this.#verb("KVM_ARM_VCPU_INIT", (vcpu) => init(vcpu, bytes));
  }

  armVcpuFinalize(feature: number): void {
    this.#verb("KVM_ARM_VCPU_FINALIZE", (vcpu) => finalize(vcpu, feature));
  }

  getOneReg(id: bigint, value: Uint8Array): void {
    this.#oneReg("get", id, value, "KVM_GET_ONE_REG");
  }

  setOneReg(id: bigint, value: Uint8Array): void {
    this.#oneReg("set", id, value, "KVM_SET_ONE_REG");
  }

  #oneReg(what: "get" | "set", id: bigint, value: Uint8Array, call: string): void {
    const bytes = registerBytes(id);
    if (value.length !== bytes) throw new RangeError(`${call}: value must be ${bytes} bytes, got ${value.length}`);
    this.#verb(call, (vcpu) => {
      applyPendingReset(vcpu);
      check(oneReg(vcpu, what, id, new DataView(value.buffer, value.byteOffset, bytes)), call);
    });
  }

  getRegs(ids: BigUint64Array, values: Uint8Array, errnoOut: Int32Array): number {
    return this.#manyRegs("get", ids, values, errnoOut);
  }

  setRegs(ids: BigUint64Array, values: Uint8Array, errnoOut: Int32Array): number {
    return this.#manyRegs("set", ids, values, errnoOut);
  }

  #manyRegs(what: "get" | "set", ids: BigUint64Array, values: Uint8Array, errnoOut: Int32Array): number {
    // A dead VM refuses the first register, not the list.
    if (ids.length > 0 && this.#here("getRegs").vm.peek("dead") === 1) {
      errnoOut[0] = errno("EIO");
      return 0;
    }
    return this.#verb(what === "get" ? "KVM_GET_ONE_REG" : "KVM_SET_ONE_REG", (vcpu) => {
      applyPendingReset(vcpu);
      return manyRegs(vcpu, what, ids, values, errnoOut);
    });
  }

  getRegList(): BigUint64Array {
    return this.#verb("KVM_GET_REG_LIST", registerList);
  }

  runSync(): number {
    if (this.#here("KVM_RUN").vm.peek("dead") === 1) return errno("EIO");
    const vcpu = this.#take("KVM_RUN", Busy.running);
    try {
      const steps = this.#runnerOf(vcpu).run();
      for (;;) {
        const step = steps.next();
        if (step.done === true) return step.value;
        if (step.value.kind === "sleep") sleepSync(vcpu, step.value);
      }
    } finally {
      release(vcpu);
    }
  }

  async run(): Promise<number> {
    if (this.#here("KVM_RUN").vm.peek("dead") === 1) return errno("EIO");
    const vcpu = this.#take("KVM_RUN", Busy.running);
    try {
      if (performance.now() - this.#lastTurn > MOST_MS_WITHOUT_TURN) await this.#turn();
      const steps = this.#runnerOf(vcpu).run();
      for (;;) {
        const step = steps.next();
        if (step.done === true) return step.value;
        if (step.value.kind === "sleep") await sleep(vcpu, step.value);
        else await this.#turn();
      }
    } finally {
      release(vcpu);
    }
  }

  /** Lets timers, signals and I/O of this thread have their turn. */
  async #turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#lastTurn = performance.now();
  }

  #runnerOf(vcpu: VcpuState): Runner {
    this.#runner ??= new Runner(vcpu, this.#eventFds);
    return this.#runner;
  }

  kick(): void {
    const vcpu = this.#here("kick");
    vcpu.store("kicked", 1);
    vcpu.cpu.kick();
    vcpu.wake();
  }

  getMpState(): number {
    return this.#verb("KVM_GET_MP_STATE", (vcpu) => vcpu.peek("mpState"));
  }

  setMpState(state: number): void {
    this.#verb("KVM_SET_MP_STATE", (vcpu) => {
      if (!MP_STATES.includes(state)) throw new Refused("EINVAL", "KVM_SET_MP_STATE");
      vcpu.store("mpState", state);
    });
  }

  getVcpuEvents(events: Uint8Array): void {
    this.#verb("KVM_GET_VCPU_EVENTS", (vcpu) => getEvents(vcpu, events));
  }

  setVcpuEvents(events: Uint8Array): void {
    this.#verb("KVM_SET_VCPU_EVENTS", (vcpu) => setEvents(vcpu, events));
  }

  setGuestDebug(debug: Uint8Array): void {
    this.#verb("KVM_SET_GUEST_DEBUG", (vcpu) => {
      const view = new DataView(debug.buffer, debug.byteOffset, debug.byteLength);
      const control = view.getUint32(0, true);
      if ((control & ~DEBUG_CONTROL) !== 0) throw new Refused("EINVAL", "KVM_SET_GUEST_DEBUG");
      const enabled = (control & KVM_GUESTDBG.ENABLE) !== 0;
      vcpu.put("debugControl", enabled ? control : 0);
      if (!enabled) vcpu.put("stepPending", 0);
      if ((control & KVM_GUESTDBG.USE_HW) === 0) return;
      for (let n = 0; n < 64; n++) vcpu.putQuad("debugRegs", view.getBigUint64(DEBUG_REGS + 8 * n, true), n);
    });
  }

  setSignalMask(sigset: Uint8Array | null): void {
    this.#verb("KVM_SET_SIGNAL_MASK", () => {
      if (sigset !== null && sigset.length !== SIGSET_BYTES) throw new Refused("EINVAL", "KVM_SET_SIGNAL_MASK");
    });
  }

  setDeviceAttr(group: number, attr: bigint, value: Uint8Array | null): void {
    this.#verb("KVM_SET_DEVICE_ATTR", (vcpu) => attributes.set(vcpu, group, attr, value));
  }

  getDeviceAttr(group: number, attr: bigint, value: Uint8Array | null): void {
    this.#verb("KVM_GET_DEVICE_ATTR", (vcpu) => attributes.get(vcpu, group, attr, value));
  }

  hasDeviceAttr(group: number, attr: bigint): void {
    this.#verb("KVM_HAS_DEVICE_ATTR", (vcpu) => attributes.has(vcpu, group, attr));
  }

  dirtyRing(bytes: number): Uint8Array {
    const vcpu = this.#here("mmap");
    // mmap(2) is no ioctl: it does not mind that the VM is dead.
    return vcpu.vm.peek("dead") === 1 ? ringOf(vcpu, bytes) : this.#verb("mmap", () => ringOf(vcpu, bytes));
  }

  readStats(offset: number, into: Uint8Array): number {
    const call = "KVM_GET_STATS_FD";
    const here = this.#here(call);
    // read(2) is no ioctl either.
    if (here.vm.peek("dead") === 1 && here.peek("statistics") === 1) return readVcpuStats(here, offset, into);
    return this.#verb(call, (vcpu) => {
      vcpu.put("statistics", 1);
      return readVcpuStats(vcpu, offset, into);
    });
  }

  close(): void {
    if (this.#vcpu === null) return;
    if (this.#vcpu.peek("busy") === Busy.running) throw new Refused("EBUSY", "close");
    letGo(this.#vcpu.vm, this.#eventFds);
    this.#vcpu = null;
    this.#runner = undefined;
  }

  #here(call: string): VcpuState {
    if (this.#vcpu === null) throw new Refused("EBADF", call);
    return this.#vcpu;
  }

  /** For ioctls: a dead VM refuses them all. */
  #open(call: string): VcpuState {
    const vcpu = this.#here(call);
    if (vcpu.vm.peek("dead") === 1) throw new Refused("EIO", call);
    return vcpu;
  }

  /** Runs `body` as the only verb of this vCPU. */
  #verb<T>(call: string, body: (vcpu: VcpuState) => T): T {
    const vcpu = this.#take(call, Busy.verb);
    try {
      return body(vcpu);
    } finally {
      release(vcpu);
    }
  }

  #take(call: string, as: number): VcpuState {
    const vcpu = this.#open(call);
    for (;;) {
      const before = Atomics.compareExchange(vcpu.words, BUSY, Busy.free, as);
      if (before === Busy.free) return vcpu;
      if (before === Busy.running) throw new Refused("EBUSY", call);
      // A verb of another thread: it is short, and wakes nobody.
      Atomics.wait(vcpu.words, BUSY, Busy.verb, 1);
    }
  }
}

function ringOf(vcpu: VcpuState, bytes: number): Uint8Array {
  const ring = ringBytes(vcpu);
  // The kernel maps any length; what lies behind the ring would be SIGBUS.
  if (ring === null || bytes === 0 || bytes > ring.length) throw new Refused("EINVAL", "mmap");
  return ring.subarray(0, bytes);
}

function release(vcpu: VcpuState): void {
  Atomics.store(vcpu.words, BUSY, Busy.free);
}

function sleepSync(vcpu: VcpuState, { seen, milliseconds }: Sleep): void {
  Atomics.wait(vcpu.words, WAKE, seen, milliseconds);
}

async function sleep(vcpu: VcpuState, { seen, milliseconds }: Sleep): Promise<void> {
  const alive = setInterval(() => {}, KEEP_ALIVE_MS);
  try {
    await Atomics.waitAsync(vcpu.words, WAKE, seen, milliseconds).value;
  } finally {
    clearInterval(alive);
  }
}
