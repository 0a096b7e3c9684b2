// Stage 2: what a guest's access finds at an intermediate physical address, and what comes of an access that finds
// nothing, or not enough. Documentation/virt/kvm/api.rst 5 (KVM_EXIT_MMIO, KVM_EXIT_ARM_NISV), 4.35.

import { KVM_DEV_TYPE, KVM_EXIT, KVM_MEM, PAGE_BYTES } from "../uapi/constants.js";
import type { ErrnoName } from "../uapi/errno.js";
import { run } from "../uapi/structs.js";
import { hasBigEndianData, reversed } from "./cpu/data-order.js";
import { Ec, Fsc } from "./cpu/exceptions.js";
import { Pstate } from "./cpu/state.js";
import type { Bus, BusAccess, BusRange } from "./engine/stop.js";
import type { EventFds } from "./eventfd.js";
import { exit, putQuad, putWord } from "./exits.js";
import { interruptEnded } from "./gic/irqfd.js";
import { accessIts } from "./gic/its.js";
import { accessFramesV2 } from "./gic/v2-mmio.js";
import { accessFrames } from "./gic/v3-mmio.js";
import { busIsEmpty, storeToBus } from "./kvm/buses.js";
import { pushDirty } from "./kvm/dirty-ring.js";
import { pendAbort, pendAddressSizeFault } from "./kvm/inject.js";
import { count } from "./kvm/stats.js";
import { VmCap, vmCells } from "./layout.js";
import { markDirty, SlotMap } from "./slots.js";
import type { VcpuState } from "./vcpu-state.js";
import type { VmState } from "./vm-state.js";

// ISS of a Data Abort (DDI 0487 D24.2.40).
const WNR = 1 << 6;
const S1PTW = 1 << 7;
const CM = 1 << 8;
const SF = 1 << 15;
const SSE = 1 << 21;
const ISV = 1 << 24;
const FSC = 0x3f;

/** The memory slots as the engine's bus. */
export class SlotBus implements Bus {
  readonly pairLock = vmCells.pairLock * 8;
  readonly slots: SlotMap;
  readonly #vcpu: VcpuState;
  readonly #vm: VmState;

  constructor(vcpu: VcpuState) {
    this.#vcpu = vcpu;
    this.#vm = vcpu.vm;
    this.slots = new SlotMap(vcpu.vm);
  }

  get generation(): number {
    return this.#vm.peek("slotGeneration");
  }

  page(ipa: bigint, access: BusAccess): number {
    const address = Number(ipa);
    const slot = this.slots.find(address);
    if (slot === undefined) return -Fsc.translation3;
    if (access === "write") {
      if ((slot.flags & KVM_MEM.READONLY) !== 0 || slot.hostReadonly === 1) return -Fsc.permission3;
      if (slot.dirty !== null) {
        if (this.#vm.get("ringBytes") > 0) pushDirty(this.#vcpu, slot, address);
        else markDirty(slot, address);
      }
    }
    const offset = slot.hostOffset + (address - slot.first);
    // Another thread may have grown the memory: the engine looks at its buffer after this.
    this.#vm.bufferTo(offset + PAGE_BYTES);
    return offset;
  }

  range(ipa: bigint): BusRange | null {
    const slot = this.slots.find(Number(ipa));
    if (slot === undefined) return null;
    const { first, end, hostOffset, flags, hostReadonly, dirty } = slot;
    const isWritten = (flags & KVM_MEM.READONLY) === 0 && hostReadonly === 0 && dirty === null;
    this.#vm.bufferTo(hostOffset + (end - first));
    return {
      first: first / PAGE_BYTES,
      pages: (end - first) / PAGE_BYTES,
      offset: hostOffset,
      access: isWritten ? ["read", "fetch", "write"] : ["read", "fetch"],
    };
  }
}

/** After an abort: the guest goes on, userspace has an exit, or KVM_RUN fails. */
export type AbortOutcome = "resume" | "exit" | ErrnoName;

/** What the engine tells of a stage 2 abort. `far`: the address that the guest used; `ipa`: with its low 12 bits. */
export interface Abort {
  readonly esr: number;
  readonly far: bigint;
  readonly ipa: bigint;
}

/** What comes of a stage 2 abort. */
export function guestAbort(vcpu: VcpuState, bus: SlotBus, eventFds: EventFds, abort: Abort): AbortOutcome {
  const { esr, far, ipa } = abort;
  const { vm } = vcpu;
  const access = esr >>> 26 === Ec.instructionAbortLower ? "instruction" : "data";
  if (ipa >> BigInt(vm.profile.host.ipaBits) !== 0n) {
    pendAddressSizeFault(vcpu, access, far);
    return "resume";
  }
  if (ipa >> BigInt(vm.get("ipaBits")) !== 0n || access === "instruction" || (esr & S1PTW) !== 0) {
    pendAbort(vcpu, access, far);
    return "resume";
  }
  const slot = bus.slots.find(Number(ipa));
  if (slot === undefined && (esr & CM) !== 0) {
    skipInstruction(vcpu);
    return "resume";
  }
  // The slot takes writes and the host's memory does not.
  if (slot !== undefined && (slot.flags & KVM_MEM.READONLY) === 0) return "EFAULT";
  if ((esr & ISV) === 0) return withoutSyndrome(vcpu, esr, ipa);
  return mmio(vcpu, eventFds, esr, ipa);
}

function withoutSyndrome(vcpu: VcpuState, esr: number, ipa: bigint): AbortOutcome {
  if ((vcpu.vm.peek("caps") & VmCap.nisv) === 0) return "ENOSYS";
  exit(vcpu, KVM_EXIT.ARM_NISV, 0);
  putQuad(vcpu, "arm_nisv.esr_iss", BigInt(esr & (CM | WNR | FSC)));
  putQuad(vcpu, "arm_nisv.fault_ipa", ipa);
  return "exit";
}

/** Between a register and the bytes of a device, which are little-endian: the lower `bytes` bytes. */
function inGuestOrder({ cpu }: VcpuState, value: bigint, bytes: number): bigint {
  return hasBigEndianData(cpu) ? reversed(value, bytes) : BigInt.asUintN(8 * bytes, value);
}

const accessBytes = (iss: number) => 1 << ((iss >>> 22) & 3);
const registerOf = (iss: number) => (iss >>> 16) & 31;

/** A load or store (`stored`) in a frame of the in-kernel interrupt controller; null: there is none. */
function accessGic(
  vcpu: VcpuState,
  eventFds: EventFds,
  ipa: bigint,
  bytes: number,
  stored: bigint | null,
): bigint | null {
  const { vm } = vcpu;
  if (vm.get("irqchip") !== KVM_DEV_TYPE.ARM_VGIC_V2) {
    return accessFrames(vcpu, ipa, bytes, stored) ?? accessIts(vcpu, ipa, bytes, stored);
  }
  const accessed = accessFramesV2(vcpu, ipa, bytes, stored);
  if (typeof accessed?.ended === "number") interruptEnded(vm, eventFds, accessed.ended);
  return accessed?.value ?? null;
}

function mmio(vcpu: VcpuState, eventFds: EventFds, esr: number, ipa: bigint): AbortOutcome {
  const bytes = accessBytes(esr);
  const write = (esr & WNR) !== 0;
  putQuad(vcpu, "mmio.phys_addr", ipa);
  putWord(vcpu, "mmio.len", bytes);
  vcpu.run.setUint8(run["mmio.is_write"], write ? 1 : 0);
  const stored = write ? inGuestOrder(vcpu, register(vcpu, registerOf(esr)), bytes) : null;
  const inFrame = accessGic(vcpu, eventFds, ipa, bytes, stored);
  if (inFrame !== null) {
    if (!write) putData(vcpu.run, inFrame, bytes);
    count(vcpu, "mmio_exit_kernel");
    vcpu.put("mmioIss", esr);
    completeMmio(vcpu);
    return "resume";
  }
  if (stored !== null) {
    if (!busIsEmpty(vcpu.vm) && storeToBus(vcpu.vm, eventFds, ipa, littleEndian(stored, bytes))) {
      count(vcpu, "mmio_exit_kernel");
      skipInstruction(vcpu);
      return "resume";
    }
    putData(vcpu.run, stored, bytes);
  }
  count(vcpu, "mmio_exit_user");
  vcpu.put("mmioIss", esr);
  vcpu.run.setUint32(run.exit_reason, KVM_EXIT.MMIO, true);
  return "exit";
}

function littleEndian(value: bigint, bytes: number): Uint8Array {
  const data = new Uint8Array(8);
  new DataView(data.buffer).setBigUint64(0, value, true);
  return data.subarray(0, bytes);
}

/** mmio.data: the bytes of the access, what is behind them stays. */
function putData(page: DataView, value: bigint, bytes: number): void {
  const at = run["mmio.data"];
  if (bytes === 8) {
    page.setBigUint64(at, value, true);
    return;
  }
  const word = Number(value & 0xffff_ffffn);
  if (bytes === 4) page.setUint32(at, word, true);
  else if (bytes === 2) page.setUint16(at, word, true);
  else page.setUint8(at, word);
}

/** Ends the load or store that userspace has answered. */
export function completeMmio(vcpu: VcpuState): void {
  const iss = vcpu.get("mmioIss");
  // An abort goes first; a later run that still finds KVM_EXIT_MMIO in its page ends the access then, whatever is at PC.
  if (iss === 0 || vcpu.peek("abortPending") === 1) return;
  vcpu.put("mmioIss", 0);
  if ((iss & WNR) === 0) {
    const bytes = accessBytes(iss);
    const data = inGuestOrder(vcpu, vcpu.run.getBigUint64(run["mmio.data"], true), bytes);
    setRegister(vcpu, registerOf(iss), extend(vcpu, iss, bytes, data));
  }
  skipInstruction(vcpu);
}

function extend(vcpu: VcpuState, iss: number, bytes: number, data: bigint): bigint {
  if ((iss & SSE) === 0 || !vcpu.vm.profile.switches.mmioSignExtends) return data;
  const extended = BigInt.asIntN(bytes * 8, data);
  return BigInt.asUintN((iss & SF) === 0 ? 32 : 64, extended);
}

const register = (vcpu: VcpuState, n: number) => (n === 31 ? 0n : vcpu.cpu.x(n));
function setRegister(vcpu: VcpuState, n: number, value: bigint): void {
  if (n !== 31) vcpu.cpu.setX(n, value);
}

/** The instruction at PC has been done by other means; so has a step of it. */
export function skipInstruction(vcpu: VcpuState): void {
  const { cpu } = vcpu;
  cpu.pc = BigInt.asUintN(64, cpu.pc + 4n);
  cpu.mode &= ~(Pstate.SS | Pstate.BTYPE);
  vcpu.put("skipped", 1);
}
