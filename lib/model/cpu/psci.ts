// The PSCI functions that KVM answers itself: Arm DEN 0022; Documentation/virt/kvm/arm/psci (fw-pseudo-registers.rst).

import { KVM_MP_STATE, KVM_SYSTEM_EVENT } from "../../uapi/constants.js";
import { AFFINITY, affinityOf, vcpuByAffinity } from "../affinity.js";
import { systemEvent } from "../exits.js";
import { PSCI_0_1, psciVersion } from "../kvm/firmware-regs.js";
import { VmCap } from "../layout.js";
import { allVcpus, type VcpuState, vcpusInOrder } from "../vcpu-state.js";
import { hasBigEndianData } from "./data-order.js";

/** What a call comes to: X0, or a wait like WFI with X0 0 after it, or an exit to userspace. */
export type PsciOutcome = { readonly x0: bigint } | "suspend" | "exit";

const SUCCESS = 0n;
const NOT_SUPPORTED = -1n;
const INVALID_PARAMS = -2n;
const ALREADY_ON = -4n;
const INTERNAL_FAILURE = -6n;

/** Bit 30 of a function id: 64-bit arguments. */
const SMC64 = 0x4000_0000;

const VERSION = 0x8400_0000;
const CPU_SUSPEND = 0x8400_0001;
const CPU_OFF = 0x8400_0002;
const CPU_ON = 0x8400_0003;
const AFFINITY_INFO = 0x8400_0004;
const MIGRATE_INFO_TYPE = 0x8400_0006;
const SYSTEM_OFF = 0x8400_0008;
const SYSTEM_RESET = 0x8400_0009;
const PSCI_FEATURES = 0x8400_000a;
const SYSTEM_SUSPEND = 0x8400_000e;
const SYSTEM_RESET2 = 0x8400_0012;
const SYSTEM_OFF2 = 0x8400_0015;
const SMCCC_VERSION = 0x8000_0000;
/** The functions of PSCI 0.1 have no standard ids: these are KVM's. */
export const PSCI_0_1_BASE = 0x95c1_ba5e;

const PSCI_1_0 = 0x1_0000;
const PSCI_1_1 = 0x1_0001;
const PSCI_1_3 = 0x1_0003;

/** MIGRATE_INFO_TYPE: no Trusted OS that would need migration. */
const TOS_MP = 2n;
const HIBERNATE_OFF = 1n;
const VENDOR_RESET = 0x8000_0000n;
/** Flags of a system event: it was asked for by SYSTEM_RESET2, or by SYSTEM_OFF2. */
const EVENT_RESET2 = 1n;
const EVENT_OFF2 = 1n;

interface PsciFunction {
  /** The first PSCI version that has it. */
  readonly since: number;
  /** There is a form with 64-bit arguments, too. */
  readonly wide: "32" | "both";
  /** What PSCI_FEATURES says; nothing: not told. */
  readonly features?: (vcpu: VcpuState) => bigint;
  readonly call: (vcpu: VcpuState, args: Arguments, version: number) => PsciOutcome;
}

type Arguments = readonly [bigint, bigint, bigint];

const result = (x0: bigint): PsciOutcome => ({ x0: BigInt.asUintN(64, x0) });
const told = () => SUCCESS;

const functions = new Map<number, PsciFunction>([
  [VERSION, { since: 2, wide: "32", features: told, call: (_vcpu, _args, version) => result(BigInt(version)) }],
  [CPU_SUSPEND, { since: 2, wide: "both", features: told, call: () => "suspend" }],
  [CPU_OFF, { since: 2, wide: "32", features: told, call: (vcpu) => result(powerOff(vcpu)) }],
  [CPU_ON, { since: 2, wide: "both", features: told, call: (vcpu, args) => result(cpuOn(vcpu, args)) }],
  [AFFINITY_INFO, { since: 2, wide: "both", features: told, call: (vcpu, args) => result(affinityInfo(vcpu, args)) }],
  [MIGRATE_INFO_TYPE, { since: 2, wide: "32", features: told, call: () => result(TOS_MP) }],
  [SYSTEM_OFF, { since: 2, wide: "32", features: told, call: (vcpu) => stop(vcpu, KVM_SYSTEM_EVENT.SHUTDOWN, 0n) }],
  [SYSTEM_RESET, { since: 2, wide: "32", features: told, call: (vcpu) => stop(vcpu, KVM_SYSTEM_EVENT.RESET, 0n) }],
  [
    PSCI_FEATURES,
    {
      since: PSCI_1_0,
      wide: "32",
      features: told,
      call: (vcpu, args, version) => result(features(vcpu, args, version)),
    },
  ],
  [
    SYSTEM_SUSPEND,
    {
      since: PSCI_1_0,
      wide: "both",
      features: (vcpu) => (maySuspend(vcpu) ? SUCCESS : NOT_SUPPORTED),
      call: (vcpu) => suspendSystem(vcpu),
    },
  ],
  [SYSTEM_RESET2, { since: PSCI_1_1, wide: "both", features: told, call: (vcpu, args) => reset2(vcpu, args) }],
  [
    SYSTEM_OFF2,
    { since: PSCI_1_3, wide: "both", features: () => HIBERNATE_OFF, call: (vcpu, args) => off2(vcpu, args) },
  ],
]);

function find(functionId: number, version: number): PsciFunction | undefined {
  const wide = (functionId & SMC64) !== 0;
  const found = functions.get((functionId & ~SMC64) >>> 0);
  return found === undefined || found.since > version || (wide && found.wide === "32") ? undefined : found;
}

/** A call whose function id nobody else answers. */
export function psciCall(vcpu: VcpuState, functionId: number): PsciOutcome {
  const version = psciVersion(vcpu);
  const args: Arguments = [vcpu.cpu.x(1), vcpu.cpu.x(2), vcpu.cpu.x(3)];
  if (version === PSCI_0_1) return oldCall(vcpu, functionId, args);
  const found = find(functionId, version);
  if (found === undefined) return result(NOT_SUPPORTED);
  return found.call(vcpu, (functionId & SMC64) === 0 ? narrow(vcpu, found, args) : args, version);
}

/** The 32-bit form of a call that has both sees no upper halves, and leaves none in the registers. */
function narrow(vcpu: VcpuState, { wide }: PsciFunction, args: Arguments): Arguments {
  const [x1, x2, x3] = args;
  const low: Arguments = [BigInt.asUintN(32, x1), BigInt.asUintN(32, x2), BigInt.asUintN(32, x3)];
  if (wide === "both") for (const [n, value] of low.entries()) vcpu.cpu.setX(n + 1, value);
  return low;
}

function oldCall(vcpu: VcpuState, functionId: number, args: Arguments): PsciOutcome {
  if (functionId === PSCI_0_1_BASE + 1) return result(powerOff(vcpu));
  if (functionId === PSCI_0_1_BASE + 2) return result(cpuOn(vcpu, args));
  return result(NOT_SUPPORTED);
}

function features(vcpu: VcpuState, [asked]: Arguments, version: number): bigint {
  if (Number(asked) === SMCCC_VERSION) return SUCCESS;
  return find(Number(asked), version)?.features?.(vcpu) ?? NOT_SUPPORTED;
}

function powerOff(vcpu: VcpuState): bigint {
  vcpu.store("mpState", KVM_MP_STATE.STOPPED);
  return SUCCESS;
}

function cpuOn(vcpu: VcpuState, [target, entry, context]: Arguments): bigint {
  const found = (target & ~AFFINITY) === 0n ? vcpuByAffinity(vcpu.vm, vcpusInOrder(vcpu.vm), target) : null;
  if (found === null) return INVALID_PARAMS;
  return vcpu.vm.locked(() => {
    if (found.peek("mpState") !== KVM_MP_STATE.STOPPED) {
      return psciVersion(vcpu) === PSCI_0_1 ? INVALID_PARAMS : ALREADY_ON;
    }
    found.putQuad("resetPc", entry);
    found.putQuad("resetX0", context);
    // The new CPU has the data order of the one that asks.
    found.put("resetBigEndian", hasBigEndianData(vcpu.cpu) ? 1 : 0);
    found.store("resetPending", 1);
    found.store("mpState", KVM_MP_STATE.RUNNABLE);
    found.wake();
    return SUCCESS;
  });
}

function affinityInfo(vcpu: VcpuState, [target, level]: Arguments): bigint {
  if ((target & ~AFFINITY) !== 0n || level > 3n) return INVALID_PARAMS;
  const shift = level === 3n ? 32n : 8n * level;
  const mask = (AFFINITY >> shift) << shift;
  const matching = allVcpus(vcpu.vm).filter((other) => (affinityOf(other) & mask) === (target & mask));
  if (matching.length === 0) return INVALID_PARAMS;
  return matching.some((other) => other.peek("mpState") !== KVM_MP_STATE.STOPPED) ? 0n : 1n;
}

/** What a call that ends the machine leaves in X0 to X3, should userspace let the guest go on. */
const FAILED = [INTERNAL_FAILURE, 0n, 0n, 0n] as const;
/** SYSTEM_RESET2 leaves X1 to X3 alone. */
const FAILED_RESET2 = [INTERNAL_FAILURE] as const;

/** Ends the machine: every vCPU stops, and userspace hears of it. */
function stop(vcpu: VcpuState, type: number, flags: bigint, results: readonly bigint[] = FAILED): PsciOutcome {
  for (const other of allVcpus(vcpu.vm)) {
    other.store("mpState", KVM_MP_STATE.STOPPED);
    other.cpu.kick();
    other.wake();
  }
  systemEvent(vcpu, type, [flags]);
  for (const [n, value] of results.entries()) vcpu.cpu.setX(n, BigInt.asUintN(64, value));
  return "exit";
}

const maySuspend = (vcpu: VcpuState) => (vcpu.vm.peek("caps") & VmCap.suspend) !== 0;

/** The registers stay as they are: userspace reads the arguments there and sets the result. */
function suspendSystem(vcpu: VcpuState): PsciOutcome {
  if (!maySuspend(vcpu)) return result(NOT_SUPPORTED);
  systemEvent(vcpu, KVM_SYSTEM_EVENT.SUSPEND, []);
  return "exit";
}

function reset2(vcpu: VcpuState, [argument]: Arguments): PsciOutcome {
  const type = BigInt.asUintN(32, argument);
  if (type !== 0n && type < VENDOR_RESET) return result(INVALID_PARAMS);
  return stop(vcpu, KVM_SYSTEM_EVENT.RESET, EVENT_RESET2, FAILED_RESET2);
}

function off2(vcpu: VcpuState, [type, cookie]: Arguments): PsciOutcome {
  if (type > HIBERNATE_OFF || cookie !== 0n) return result(INVALID_PARAMS);
  return stop(vcpu, KVM_SYSTEM_EVENT.SHUTDOWN, EVENT_OFF2);
}
