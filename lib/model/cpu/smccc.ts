// Hypercalls by the SMC Calling Convention: which are refused, forwarded or answered. Arm DEN 0028;
// Documentation/virt/kvm/arm/{hypercalls,ptp_kvm,pvtime}.rst, devices/vm.rst.

import { KVM_EXIT, KVM_HYPERCALL_EXIT, KVM_SMCCC_FILTER } from "../../uapi/constants.js";
import { exit, putQuad } from "../exits.js";
import { bitmapCount, firmwareBitmap, workaround } from "../kvm/firmware-regs.js";
import type { VcpuState } from "../vcpu-state.js";
import { PSCI_0_1_BASE, psciCall } from "./psci.js";
import { filterAction } from "./smccc-filter.js";
import { beginStolenTime, hasStolenTime } from "./stolen-time.js";
import { counter, hostCounter } from "./timer.js";

export type Conduit = "hvc" | "smc";
/** The guest goes on, or waits as in WFI and then goes on, or userspace has an exit. */
export type CallOutcome = "resume" | "suspend" | "exit";

const NOT_SUPPORTED = -1n;
const SUCCESS = 0n;
const INVALID_PARAMETER = -2n;
/** What ARCH_FEATURES says of a workaround, by the level that its firmware register has. */
const WORKAROUND_ANSWERS = [NOT_SUPPORTED, SUCCESS, 1n] as const;
const WORKAROUND_2_ANSWERS = [NOT_SUPPORTED, NOT_SUPPORTED, NOT_SUPPORTED, -2n] as const;

const VERSION = 0x8000_0000;
const ARCH_FEATURES = 0x8000_0001;
const WORKAROUND_1 = 0x8000_8000;
const WORKAROUND_2 = 0x8000_7fff;
const WORKAROUND_3 = 0x8000_3fff;
const TRNG_VERSION = 0x8400_0050;
const TRNG_FEATURES = 0x8400_0051;
const TRNG_GET_UUID = 0x8400_0052;
const TRNG_RND32 = 0x8400_0053;
const TRNG_RND64 = 0xc400_0053;
const PV_TIME_FEATURES = 0xc500_0020;
const PV_TIME_ST = 0xc500_0021;
const VENDOR_FEATURES = 0x8600_0000;
const VENDOR_PTP = 0x8600_0001;
const VENDOR_UID = 0x8600_ff01;

const SMCCC_1_1 = 0x1_0001n;
const TRNG_1_0 = 0x1_0000n;
/** 0d21e000-4384-11eb-8070-5244554e5a4c, and the hypervisor's 28b46fb6-2ec5-11e9-a9ca-4b564d003a74, as words. */
const TRNG_UUID = [0x00e0_210dn, 0xeb11_8443n, 0x4452_7080n, 0x4c5a_4e55n] as const;
const VENDOR_UUID = [0xb66f_b428n, 0xe911_c52en, 0x564b_caa9n, 0x743a_004dn] as const;

/** Firmware feature bitmaps by their number: STD, STD_HYP, VENDOR_HYP, VENDOR_HYP_2. */
const STD = 0;
const STD_HYP = 1;
const VENDOR_HYP = 2;
const VENDOR_HYP_2 = 3;

type Result = readonly bigint[];

interface Service {
  /** The bit of a firmware feature bitmap that switches it; none: always there. */
  readonly bit?: readonly [bitmap: number, bit: bigint];
  readonly call: (vcpu: VcpuState) => Result;
}

// biome-ignore format: table
const services = new Map<number, Service>([
  [VERSION,          { call: () => [SMCCC_1_1] }],
  [ARCH_FEATURES,    { call: archFeatures }],
  [TRNG_VERSION,     { bit: [STD, 1n],        call: () => [TRNG_1_0] }],
  [TRNG_FEATURES,    { bit: [STD, 1n],        call: trngFeatures }],
  [TRNG_GET_UUID,    { bit: [STD, 1n],        call: () => TRNG_UUID }],
  [TRNG_RND32,       { bit: [STD, 1n],        call: (vcpu) => random(vcpu, 32) }],
  [TRNG_RND64,       { bit: [STD, 1n],        call: (vcpu) => random(vcpu, 64) }],
  [PV_TIME_FEATURES, { bit: [STD_HYP, 1n],    call: timeFeatures }],
  // All ones where there is no record: that is NOT_SUPPORTED.
  [PV_TIME_ST,       { bit: [STD_HYP, 1n],    call: (vcpu) => [beginStolenTime(vcpu)] }],
  [VENDOR_UID,       { bit: [VENDOR_HYP, 1n], call: () => VENDOR_UUID }],
  [VENDOR_FEATURES,  { bit: [VENDOR_HYP, 1n], call: vendorFeatures }],
  [VENDOR_PTP,       { bit: [VENDOR_HYP, 2n], call: preciseTime }],
]);

/** Fast calls of the standard secure services 0 to 0x1f, and KVM's own ids of PSCI 0.1. */
const isPsci = (functionId: number) =>
  (((functionId >>> 24) & 0x3f) === 4 && (functionId & 0xffff) <= 0x1f) ||
  (functionId >= PSCI_0_1_BASE && functionId <= PSCI_0_1_BASE + 3);

/**
 * An HVC for a workaround: KVM's exception vectors answer it, and nobody else hears of it. X1 is what they compared the
 * function id in.
 */
export function answerWorkaround(vcpu: VcpuState): boolean {
  const functionId = Number(vcpu.cpu.x(0) & 0xffff_ffffn);
  if (functionId !== WORKAROUND_1 && functionId !== WORKAROUND_2 && functionId !== WORKAROUND_3) return false;
  vcpu.cpu.setX(0, SUCCESS);
  vcpu.cpu.setX(1, 0n);
  return true;
}

/** One call. PC is beyond the instruction already. */
export function hypercall(vcpu: VcpuState, conduit: Conduit): CallOutcome {
  const functionId = Number(vcpu.cpu.x(0) & 0xffff_ffffn);
  const action = filterAction(vcpu.vm, functionId);
  if (action === KVM_SMCCC_FILTER.FWD_TO_USER) {
    exit(vcpu, KVM_EXIT.HYPERCALL, 72);
    putQuad(vcpu, "hypercall.nr", BigInt(functionId));
    putQuad(vcpu, "hypercall.flags", BigInt(conduit === "smc" ? KVM_HYPERCALL_EXIT.SMC : 0));
    return "exit";
  }
  if (action === KVM_SMCCC_FILTER.DENY) return answer(vcpu, [NOT_SUPPORTED]);
  const service = services.get(functionId);
  if (service !== undefined) return answer(vcpu, isOn(vcpu, service) ? service.call(vcpu) : [NOT_SUPPORTED]);
  if (!isPsci(functionId)) return answer(vcpu, [NOT_SUPPORTED]);
  const outcome = psciCall(vcpu, functionId);
  if (outcome === "exit") return "exit";
  if (outcome !== "suspend") return answer(vcpu, [outcome.x0]);
  answer(vcpu, [SUCCESS]);
  return "suspend";
}

const isOn = (vcpu: VcpuState, { bit }: Service) => bit === undefined || (firmwareBitmap(vcpu, bit[0]) & bit[1]) !== 0n;

/** X0 to X3; what is left out is 0. */
function answer(vcpu: VcpuState, values: Result): "resume" {
  for (let n = 0; n < 4; n++) vcpu.cpu.setX(n, BigInt.asUintN(64, values[n] ?? 0n));
  return "resume";
}

const argument = (vcpu: VcpuState) => Number(vcpu.cpu.x(1) & 0xffff_ffffn);

function archFeatures(vcpu: VcpuState): Result {
  switch (argument(vcpu)) {
    case WORKAROUND_1:
      return [WORKAROUND_ANSWERS[Number(workaround(vcpu, 1))]!];
    case WORKAROUND_2:
      return [WORKAROUND_2_ANSWERS[Number(workaround(vcpu, 2))]!];
    case WORKAROUND_3:
      return [WORKAROUND_ANSWERS[Number(workaround(vcpu, 3))]!];
    case PV_TIME_FEATURES:
      return [(firmwareBitmap(vcpu, STD_HYP) & 1n) === 0n ? NOT_SUPPORTED : SUCCESS];
    default:
      return [NOT_SUPPORTED];
  }
}

function timeFeatures(vcpu: VcpuState): Result {
  const known = [PV_TIME_FEATURES, PV_TIME_ST].includes(argument(vcpu));
  return [known && hasStolenTime(vcpu) ? SUCCESS : NOT_SUPPORTED];
}

function trngFeatures(vcpu: VcpuState): Result {
  const known = [TRNG_VERSION, TRNG_FEATURES, TRNG_GET_UUID, TRNG_RND32, TRNG_RND64];
  return [known.some((id) => BigInt(id) === vcpu.cpu.x(1)) ? SUCCESS : NOT_SUPPORTED];
}

/** X3 holds the lowest bits, then X2, then X1. */
function random(vcpu: VcpuState, width: 32 | 64): Result {
  const bits = BigInt(argument(vcpu));
  if (bits > BigInt(3 * width)) return [INVALID_PARAMETER];
  const words = crypto.getRandomValues(new BigUint64Array(3));
  const all = ((words[2]! << 128n) | (words[1]! << 64n) | words[0]!) & ((1n << bits) - 1n);
  const part = (n: number) => BigInt.asUintN(width, all >> BigInt(n * width));
  return [SUCCESS, part(2), part(1), part(0)];
}

function vendorFeatures(vcpu: VcpuState): Result {
  const second = bitmapCount(vcpu.vm) > VENDOR_HYP_2;
  return [firmwareBitmap(vcpu, VENDOR_HYP), 0n, second ? firmwareBitmap(vcpu, VENDOR_HYP_2) : 0n];
}

/** Wall clock and counter of one instant. */
function preciseTime(vcpu: VcpuState): Result {
  const which = argument(vcpu);
  if (which > 1) return [NOT_SUPPORTED];
  const before = hostCounter(vcpu.vm);
  const wall = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6));
  const cycles = BigInt.asUintN(
    64,
    counter(vcpu.vm, which === 0 ? "virtual" : "physical") - (hostCounter(vcpu.vm) - before),
  );
  return [wall >> 32n, wall & 0xffff_ffffn, cycles >> 32n, cycles & 0xffff_ffffn];
}
