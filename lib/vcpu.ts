// A vCPU. One method, one ioctl; Documentation/virt/kvm/api.rst.

import {
  bytes as bytesArgument,
  describe,
  flag,
  integer,
  oneOf,
  options as optionsArgument,
  record,
  u32,
  u64,
} from "./arguments.js";
import { bytesOf, type RegBits, type RegId, type RegValue } from "./arm64/reg-id.js";
import { type VcpuFeature, vcpuFeatureBit } from "./arm64/vcpu-features.js";
import type { Handle, VcpuFd } from "./backend.js";
import { type AttrBits, type AttrValue, getAttr, getAttrBytes, hasAttr, setAttr } from "./device.js";
import { isRefusal, KvmError, refuse } from "./errors.js";
import { type Exit, ExitReader } from "./exit.js";
import { type FirmwareFeatureRegister, readFirmwareFeatures } from "./firmware-features.js";
import { IdHistory, type IdRegister, readIdRegisters } from "./id-registers.js";
import {
  type Cell,
  cellAt,
  checkId,
  makeCell,
  readValue,
  registerSubject,
  sizeField,
  totalBytes,
  writeValue,
} from "./register-values.js";
import { readStatistics, type Statistics } from "./stats.js";
import { KVM_ARM_TARGET_GENERIC_V8, KVM_GUESTDBG, KVM_MP_STATE } from "./uapi/constants.js";
import { errno } from "./uapi/errno.js";
import { pack, run, structs, unpack } from "./uapi/structs.js";

/** Of KVM_RUN: not initialised, SVE not finalized, and what is wrong with the VM's interrupt controller. */
const NEVER_RAN: readonly number[] = (["ENOEXEC", "EPERM", "ENXIO", "EBUSY", "EINVAL"] as const).map(errno);

export const mpStates = {
  runnable: KVM_MP_STATE.RUNNABLE,
  stopped: KVM_MP_STATE.STOPPED,
  suspended: KVM_MP_STATE.SUSPENDED,
} as const;

/** KVM_MP_STATE_*: whether the vCPU runs, is off (PSCI CPU_OFF), or waits for a wake-up (PSCI CPU_SUSPEND). */
export type MpState = keyof typeof mpStates;

/** struct kvm_vcpu_events. */
export interface VcpuEvents {
  /** An SError is pending for the guest. It can not be withdrawn. */
  readonly serrorPending?: boolean;
  /** Its syndrome, ISS bits 24:0; only where the capability ARM_INJECT_SERROR_ESR is 1. */
  readonly serrorEsr?: bigint | undefined;
  /** Inject a synchronous external data abort now. Reads back as false. */
  readonly externalAbortPending?: boolean;
}

/** struct kvm_guest_debug. Without any, guest debug is off. */
export interface GuestDebug {
  readonly singleStep?: boolean;
  /** BRK instructions exit. */
  readonly softwareBreakpoints?: boolean;
  /** DBGBCR/DBGBVR pairs, at most 16. */
  readonly breakpoints?: readonly DebugRegister[];
  /** DBGWCR/DBGWVR pairs, at most 16. */
  readonly watchpoints?: readonly DebugRegister[];
}

export interface DebugRegister {
  readonly control: bigint;
  readonly value: bigint;
}

export interface InitOptions {
  /** Default: KVM_ARM_TARGET_GENERIC_V8, what KVM_ARM_PREFERRED_TARGET gives. */
  readonly target?: number;
  /** Feature names, or bit numbers for those that this library does not know. */
  readonly features?: readonly (VcpuFeature | number)[];
}

/** A write that the guest made into a coalesced MMIO zone. */
export interface CoalescedWrite {
  readonly address: bigint;
  readonly data: Uint8Array;
}

export class Vcpu implements Disposable {
  /** The id given to KVM_CREATE_VCPU. */
  readonly id: number;
  readonly #fd: VcpuFd;
  readonly #page: Uint8Array;
  readonly #exits: ExitReader;
  /** Where registers are read to and written from, one for each size field of an id. */
  readonly #cells: readonly Cell[] = Array.from({ length: 9 }, (_, size) => makeCell(1 << size));

  readonly #history: IdHistory;
  #initialised = false;

  /** Made by `vm.createVcpu` or `Kvm.attachVcpu`. */
  constructor(fd: VcpuFd, history = new IdHistory("attached")) {
    this.#fd = fd;
    this.#history = history;
    this.id = fd.id;
    this.#page = fd.runPage;
    this.#exits = new ExitReader(this.#page);
  }

  /** KVM_ARM_VCPU_INIT. May be repeated with the same features: the vCPU is reset. */
  init(options?: InitOptions): void {
    const { target = KVM_ARM_TARGET_GENERIC_V8, features = [] } = optionsArgument("init", options);
    if (!Array.isArray(features)) throw new TypeError(`features must be an array, got ${describe(features)}`);
    const words = [0, 0, 0, 0, 0, 0, 0];
    for (const feature of features) {
      const bit = featureBit(feature);
      words[bit >> 5] = ((words[bit >> 5] as number) | (1 << (bit & 31))) >>> 0;
    }
    const init = pack(structs.kvm_vcpu_init, { target: u32("target", target), features: words });
    try {
      this.#fd.armVcpuInit(init);
    } catch (error) {
      refuse(error, { what: `features [${features.join(", ")}]` });
    }
    this.#initialised = true;
  }

  /** Whether `init` has succeeded on this object. */
  get initialised(): boolean {
    return this.#initialised;
  }

  /** KVM_ARM_VCPU_FINALIZE. After it, SVE's vector lengths are fixed and its registers exist. */
  finalize(feature: VcpuFeature | number): void {
    const bit = typeof feature === "number" ? integer("feature", feature, 0, 0x7fff_ffff) : vcpuFeatureBit(feature);
    try {
      this.#fd.armVcpuFinalize(bit);
    } catch (error) {
      refuse(error, { what: String(feature) });
    }
  }

  /**
   * KVM_GET_ONE_REG. Gives a number up to 32 bits, a bigint for 64, little-endian bytes (a copy) above.
   * ENOENT: no such register here; EPERM: SVE is not finalized; ENOEXEC: the vCPU is not initialised.
   */
  getReg<B extends RegBits>(id: RegId<B>): RegValue<B> {
    const cell = this.#cellFor("getReg", id);
    try {
      this.#fd.getOneReg(id, cell.bytes);
    } catch (error) {
      refuseRegister(error, "getReg", id);
    }
    const value = cell.quad === undefined ? readValue(cell, 0, cell.bytes.length) : cell.quad[0];
    return value as RegValue<B>;
  }

  /** KVM_SET_ONE_REG. TypeError: the value does not fit the register's width. */
  setReg<B extends RegBits>(id: RegId<B>, value: NoInfer<RegValue<B>>): void {
    const cell = this.#cellFor("setReg", id);
    writeValue(cell, value, id);
    this.#history.wrote(id);
    try {
      this.#fd.setOneReg(id, cell.bytes);
    } catch (error) {
      refuseRegister(error, "setReg", id);
    }
  }

  /** KVM_GET_REG_LIST: every register that this vCPU has, in the kernel's order. */
  regList(): RegId[] {
    try {
      return Array.from(this.#fd.getRegList()) as RegId[];
    } catch (error) {
      refuse(error);
    }
  }

  /** KVM_GET_ONE_REG of a whole list with one crossing into the backend. The first refusal is thrown. */
  getRegs(ids: readonly RegId[]): RegValue[] {
    const list = idList("getRegs", ids);
    const values = makeCell(totalBytes(list));
    this.getRegBytes(list, values.bytes);
    let at = 0;
    return ids.map((id) => {
      const size = bytesOf(id);
      at += size;
      return readValue(values, at - size, size);
    });
  }

  /** KVM_SET_ONE_REG of a whole list, in order, with one crossing into the backend. Those before a refusal are set. */
  setRegs(registers: readonly (readonly [id: RegId, value: RegValue])[]): void {
    if (!Array.isArray(registers)) {
      throw new TypeError(`registers must be an array of [id, value] pairs, got ${describe(registers)}`);
    }
    const list = idList(
      "setRegs",
      registers.map((pair) => (Array.isArray(pair) ? pair[0] : pair)),
    );
    const values = new Uint8Array(totalBytes(list));
    let at = 0;
    for (const [id, value] of registers) {
      const size = bytesOf(id);
      writeValue(cellAt(values, at, size), value, id);
      at += size;
    }
    this.setRegBytes(list, values);
  }

  /** As `getRegs`, without decoding: the values packed one after the other, each as wide as its id says. */
  getRegBytes(ids: BigUint64Array, into: Uint8Array): void {
    this.#many("getRegs", ids, into);
  }

  /** As `setRegs`, from values packed one after the other. */
  setRegBytes(ids: BigUint64Array, from: Uint8Array): void {
    if (ids instanceof BigUint64Array) for (const id of ids) this.#history.wrote(id);
    this.#many("setRegs", ids, from);
  }

  /**
   * The firmware feature bitmaps that the vCPU lists (KVM_REG_ARM_FW_FEAT_BMAP): their services, which are offered to
   * the guest, and which could be. Empty on kernels before 5.19.
   */
  firmwareFeatures(): FirmwareFeatureRegister[] {
    return readFirmwareFeatures(this);
  }

  /**
   * Every feature-ID register that the vCPU has, by field: what it is, how high it could be, and what KVM would take.
   * Limits are what this process read before it wrote; of a vCPU from `Kvm.attachVcpu` none is known.
   */
  idRegisters(): IdRegister[] {
    return readIdRegisters(this, this.#history);
  }

  /**
   * KVM_RUN on the calling thread. The exit is a live view of the run page, good until the next run.
   * KvmError: ENOEXEC before `init`, EPERM before `finalize`, ENOSYS, EFAULT, EIO: see the message.
   */
  runSync(): Exit {
    let result: number;
    try {
      result = this.#fd.runSync();
    } catch (error) {
      refuse(error, this.#subject());
    }
    return this.#ended(result);
  }

  /** KVM_RUN away from the event loop; otherwise as `runSync`. */
  async run(): Promise<Exit> {
    let result: number;
    try {
      result = await this.#fd.run();
    } catch (error) {
      refuse(error, this.#subject());
    }
    return this.#ended(result);
  }

  /** Makes the current run, or else the next one, end with `{ reason: "interrupted" }`. From any thread, at any time. */
  kick(): void {
    try {
      this.#fd.kick();
    } catch (error) {
      refuse(error, this.#subject());
    }
  }

  /** struct kvm_run and the coalesced MMIO ring, shared with KVM. */
  get runPage(): Uint8Array {
    return this.#page;
  }

  /** kvm_run.immediate_exit: while set, a run completes a pending MMIO and ends at once as interrupted. */
  get immediateExit(): boolean {
    return ((this.#page[run.immediate_exit] as number) & 1) !== 0;
  }

  set immediateExit(on: boolean) {
    flag("immediateExit", on);
    Atomics[on ? "or" : "and"](this.#page, run.immediate_exit, on ? 1 : 0xfe);
  }

  /** kvm_run.s.regs.device_irq_level: the lines of in-kernel devices, of a VM without in-kernel interrupt controller. */
  get deviceIrqLevel(): bigint {
    return new DataView(this.#page.buffer, this.#page.byteOffset).getBigUint64(run["s.regs.device_irq_level"], true);
  }

  /** KVM_GET_MP_STATE, KVM_SET_MP_STATE. A number for a state that this library does not know. */
  get mpState(): MpState | number {
    try {
      const state = this.#fd.getMpState();
      return (Object.keys(mpStates) as MpState[]).find((name) => mpStates[name] === state) ?? state;
    } catch (error) {
      return refuse(error, this.#subject());
    }
  }

  set mpState(state: MpState | number) {
    const number = typeof state === "number" ? u32("mpState", state) : mpStates[oneOf("mpState", state, mpStates)];
    try {
      this.#fd.setMpState(number);
    } catch (error) {
      refuse(error, { what: String(state) });
    }
  }

  /** KVM_GET_VCPU_EVENTS. */
  getEvents(): Required<VcpuEvents> {
    const bytes = new Uint8Array(structs.kvm_vcpu_events.bytes);
    try {
      this.#fd.getVcpuEvents(bytes);
    } catch (error) {
      refuse(error, this.#subject());
    }
    const events = unpack(structs.kvm_vcpu_events, bytes);
    return {
      serrorPending: events["exception.serror_pending"] !== 0,
      serrorEsr: events["exception.serror_has_esr"] !== 0 ? events["exception.serror_esr"] : undefined,
      externalAbortPending: events["exception.ext_dabt_pending"] !== 0,
    };
  }

  /** KVM_SET_VCPU_EVENTS. */
  setEvents(events: VcpuEvents): void {
    const { serrorPending = false, serrorEsr, externalAbortPending = false } = record("setEvents: events", events);
    const bytes = pack(structs.kvm_vcpu_events, {
      "exception.serror_pending": flag("serrorPending", serrorPending) ? 1 : 0,
      "exception.serror_has_esr": serrorEsr === undefined ? 0 : 1,
      "exception.serror_esr": serrorEsr === undefined ? 0n : u64("serrorEsr", serrorEsr),
      "exception.ext_dabt_pending": flag("externalAbortPending", externalAbortPending) ? 1 : 0,
    });
    try {
      this.#fd.setVcpuEvents(bytes);
    } catch (error) {
      refuse(error, this.#subject());
    }
  }

  /** KVM_SET_GUEST_DEBUG; no argument turns guest debug off. */
  setGuestDebug(debug?: GuestDebug): void {
    const {
      singleStep = false,
      softwareBreakpoints = false,
      breakpoints,
      watchpoints,
    } = optionsArgument("setGuestDebug", debug);
    const hardware = breakpoints !== undefined || watchpoints !== undefined;
    const control =
      (debug ? KVM_GUESTDBG.ENABLE : 0) |
      (flag("singleStep", singleStep) ? KVM_GUESTDBG.SINGLESTEP : 0) |
      (flag("softwareBreakpoints", softwareBreakpoints) ? KVM_GUESTDBG.USE_SW_BP : 0) |
      (hardware ? KVM_GUESTDBG.USE_HW : 0);
    const [dbg_bcr, dbg_bvr] = debugRegisters("breakpoints", breakpoints);
    const [dbg_wcr, dbg_wvr] = debugRegisters("watchpoints", watchpoints);
    const bytes = pack(structs.kvm_guest_debug, {
      control,
      "arch.dbg_bcr": dbg_bcr,
      "arch.dbg_bvr": dbg_bvr,
      "arch.dbg_wcr": dbg_wcr,
      "arch.dbg_wvr": dbg_wvr,
    });
    try {
      this.#fd.setGuestDebug(bytes);
    } catch (error) {
      refuse(error, this.#subject());
    }
  }

  /** KVM_SET_SIGNAL_MASK: the 8 bytes of a sigset_t, or null to clear it. */
  setSignalMask(sigset: Uint8Array | null): void {
    if (sigset !== null) bytesArgument("sigset", sigset, { atLeast: 0 });
    try {
      this.#fd.setSignalMask(sigset);
    } catch (error) {
      refuse(error, this.#subject());
    }
  }

  /** KVM_SET_DEVICE_ATTR on the vCPU: KVM_ARM_VCPU_PMU_V3_CTRL 0, _TIMER_CTRL 1, _PVTIME_CTRL 2. */
  setAttr(group: number, attr: bigint, value?: AttrValue): void {
    setAttr(this.#fd, `vCPU ${this.id}`, group, attr, value);
  }

  /** KVM_GET_DEVICE_ATTR of a 32-bit or 64-bit attribute. */
  getAttr<B extends 32 | 64>(group: number, attr: bigint, bits: B): AttrBits<B> {
    return getAttr(this.#fd, `vCPU ${this.id}`, group, attr, bits);
  }

  /** KVM_GET_DEVICE_ATTR of an attribute of any size; 0 passes a null pointer. */
  getAttrBytes(group: number, attr: bigint, size: number): Uint8Array {
    return getAttrBytes(this.#fd, `vCPU ${this.id}`, group, attr, size);
  }

  /** KVM_HAS_DEVICE_ATTR. */
  hasAttr(group: number, attr: bigint): boolean {
    return hasAttr(this.#fd, `vCPU ${this.id}`, group, attr);
  }

  /** Takes the writes out of the coalesced MMIO ring, oldest first. All vCPUs of a VM share one ring. */
  takeCoalescedWrites(): CoalescedWrite[] {
    const ring = this.#page.subarray(this.#page.length / 2);
    const view = new DataView(ring.buffer, ring.byteOffset, ring.byteLength);
    const entry = structs.kvm_coalesced_mmio;
    const capacity = Math.floor((ring.length - 8) / entry.bytes);
    const writes: CoalescedWrite[] = [];
    let first = view.getUint32(0, true);
    while (first !== view.getUint32(4, true)) {
      const write = unpack(entry, ring.subarray(8 + (first % capacity) * entry.bytes));
      writes.push({ address: write.phys_addr, data: write.data.slice(0, Math.min(write.len, 8)) });
      first = (first + 1) % capacity;
      view.setUint32(0, first, true);
    }
    return writes;
  }

  /** The dirty ring, `size` bytes as given to the capability DIRTY_LOG_RING_ACQ_REL: entries of struct kvm_dirty_gfn. */
  dirtyRing(size: number): Uint8Array {
    integer("bytes", size, 1, 0x7fff_ffff);
    try {
      return this.#fd.dirtyRing(size);
    } catch (error) {
      refuse(error, this.#subject());
    }
  }

  /** KVM_GET_STATS_FD and what it reads. */
  statistics(): Statistics {
    try {
      return readStatistics((offset, into) => this.#fd.readStats(offset, into));
    } catch (error) {
      refuse(error, this.#subject());
    }
  }

  /** For `Kvm.attachVcpu` on another thread of this process; `postMessage` and `workerData` carry it. */
  get handle(): Handle {
    try {
      return this.#fd.handle();
    } catch (error) {
      return refuse(error, this.#subject());
    }
  }

  get closed(): boolean {
    return this.#fd.closed;
  }

  /** A second call does nothing. EBUSY: the vCPU is running. */
  close(): void {
    try {
      this.#fd.close();
    } catch (error) {
      refuse(error, this.#subject());
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #subject(): { what: string } {
    return { what: `vCPU ${this.id}` };
  }

  #ended(result: number): Exit {
    // What refuses before the first run's preparations, or in them, leaves the VM as one that never ran.
    if (!NEVER_RAN.includes(result)) this.#history.ran = true;
    const exit = this.#exits.read(result);
    if (exit === undefined) throw new KvmError(result, "KVM_RUN", this.#subject());
    return exit;
  }

  #cellFor(what: string, id: bigint): Cell {
    if (typeof id !== "bigint") checkId(what, id);
    const cell = this.#cells[sizeField(id)];
    if (cell === undefined) checkId(what, id);
    return cell as Cell;
  }

  #many(verb: "getRegs" | "setRegs", ids: BigUint64Array, values: Uint8Array): void {
    if (!(ids instanceof BigUint64Array)) throw new TypeError(`ids must be a BigUint64Array, got ${describe(ids)}`);
    bytesArgument("values", values, { exactly: totalBytes(ids) });
    const refused = new Int32Array(1);
    let done: number;
    try {
      done = this.#fd[verb](ids, values, refused);
    } catch (error) {
      refuse(error, this.#subject());
    }
    if (done < ids.length) {
      const call = verb === "getRegs" ? "KVM_GET_ONE_REG" : "KVM_SET_ONE_REG";
      const positiveErrno = refused[0] as number;
      throw new KvmError(positiveErrno, call, registerSubject(ids[done] as bigint, positiveErrno, call));
    }
  }
}

function refuseRegister(error: unknown, what: string, id: bigint): never {
  checkId(what, id);
  refuse(error, isRefusal(error) ? registerSubject(id, error.errno, error.call) : {});
}

function idList(what: string, ids: readonly unknown[]): BigUint64Array {
  if (!Array.isArray(ids)) throw new TypeError(`${what}: ids must be an array, got ${describe(ids)}`);
  for (const id of ids) checkId(what, id);
  return BigUint64Array.from(ids as readonly bigint[]);
}

const featureBit = (feature: VcpuFeature | number): number =>
  typeof feature === "number" ? integer("feature", feature, 0, 223) : vcpuFeatureBit(feature);

/** The controls and the values of a list of pairs. */
function debugRegisters(what: string, list: readonly DebugRegister[] = []): [controls: bigint[], values: bigint[]] {
  if (!Array.isArray(list)) throw new TypeError(`${what} must be an array, got ${describe(list)}`);
  if (list.length > 16) throw new RangeError(`${what} must be at most 16, got ${list.length}`);
  const pairs = list.map((one: DebugRegister, i) => record(`${what}[${i}]`, one));
  return [
    pairs.map(({ control }, i) => u64(`${what}[${i}].control`, control)),
    pairs.map(({ value }, i) => u64(`${what}[${i}].value`, value)),
  ];
}
