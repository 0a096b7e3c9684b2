// KVM_ARM_VCPU_INIT and KVM_ARM_VCPU_FINALIZE: Documentation/virt/kvm/api.rst 4.82, 4.119.

import { Refused } from "../../errors.js";
import { KVM_ARM_TARGET_GENERIC_V8, KVM_MP_STATE } from "../../uapi/constants.js";
import { initIdRegisters, publishIdRegisters } from "../cpu/id-registers.js";
import { choosePmu } from "../cpu/pmu.js";
import { Feature } from "../vcpu-features.js";
import type { VcpuState } from "../vcpu-state.js";
import type { VmState } from "../vm-state.js";
import { resetVcpu } from "./reset.js";
import { followCaches } from "./traps.js";

const SVE = 4;
const FEATURE_WORDS = 7;

export function init(vcpu: VcpuState, bytes: Uint8Array): void {
  const call = "KVM_ARM_VCPU_INIT";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const words = Array.from({ length: FEATURE_WORDS }, (_, n) => view.getUint32(4 + 4 * n, true));
  const said = words[0]!;
  const { switches, host } = vcpu.vm.profile;
  if (view.getUint32(0, true) !== KVM_ARM_TARGET_GENERIC_V8) throw new Refused("EINVAL", call);
  const again = vcpu.get("initialised") === 1;
  // Kernels with features per vCPU go through them bit by bit: one that changed comes before one that is unknown.
  const changed = ((said ^ vcpu.get("features")) & switches.vcpuFeatureBits) !== 0;
  if (again && changed && !switches.featuresAreVmWide) throw new Refused("EINVAL", call);
  // What they had gone through when they refused stays, until an INIT comes through.
  const wanted = again || switches.featuresAreVmWide ? said : said | vcpu.get("features");
  if ((wanted & ~switches.vcpuFeatureBits) !== 0 || words.some((word, n) => n > 0 && word !== 0)) {
    if (!again && !switches.featuresAreVmWide) vcpu.put("features", wanted & switches.vcpuFeatureBits);
    throw new Refused("ENOENT", call);
  }
  const compared = switches.powerOffIsNoFeature ? wanted & ~Feature.powerOff : wanted;
  if (again && vcpu.get("features") !== compared) throw new Refused("EINVAL", call);
  vcpu.vm.locked(() => {
    const { vm } = vcpu;
    const taken = () =>
      (wanted & ~host.features) === 0 && fitTogether(vcpu, wanted) && host.takes(wanted, vcpu.has("MTE"));
    if (switches.featuresAreVmWide) {
      if (!taken()) throw new Refused("EINVAL", call);
      fixFeatures(vm, compared, call);
    } else {
      if (!again) vcpu.put("features", 0);
      // What is wrong besides comes after the width of the VM is settled.
      const width = wanted & Feature.el1_32bit;
      if (width !== 0 && ((host.features & width) === 0 || vcpu.has("MTE"))) throw new Refused("EINVAL", call);
      fixFeatures(vm, width, call);
      if (!taken()) throw new Refused("EINVAL", call);
    }
    if ((compared & Feature.pmuV3) !== 0 && vm.get("pmuType") === 0) choosePmu(vm, host.pmu?.types[0] ?? 0);
    initIdRegisters(vm, switches.featuresAreVmWide ? compared : 0);
  });
  vcpu.put("features", compared);
  vcpu.put("initialised", 1);
  if ((compared & Feature.sve) !== 0 && vcpu.get("finalized") === 0) vcpu.put("vls", host.vectorLengths);
  resetVcpu(vcpu, again ? "again" : "first");
  publishIdRegisters(vcpu);
  followCaches(vcpu);
  if (!(switches.initKeepsPending && vcpu.get("firstRunDone") === 1)) forgetPending(vcpu);
  vcpu.store("mpState", (wanted & Feature.powerOff) === 0 ? KVM_MP_STATE.RUNNABLE : KVM_MP_STATE.STOPPED);
}

/** What waits to be taken: HCR_EL2.VSE, VI and VF, which are no registers of the guest's. */
function forgetPending({ cpu }: VcpuState): void {
  cpu.pendingSError = null;
  cpu.setLine("irq", 0);
  cpu.setLine("fiq", 0);
}

/** The first INIT says what all vCPUs of the VM have: their features, or the width of their registers. */
function fixFeatures(vm: VmState, features: number, call: string): void {
  const fixed = vm.get("features");
  if (fixed === -1) vm.put("features", features);
  else if (fixed !== features) throw new Refused("EINVAL", call);
}

/** Both halves of pointer authentication or none; AArch32 goes with neither MTE nor EL2. */
function fitTogether(vcpu: VcpuState, wanted: number): boolean {
  const has = (feature: number) => (wanted & feature) !== 0;
  if (has(Feature.ptrauthAddress) !== has(Feature.ptrauthGeneric)) return false;
  return !has(Feature.el1_32bit) || !(vcpu.has("MTE") || has(Feature.hasEl2));
}

export function finalize(vcpu: VcpuState, feature: number): void {
  const call = "KVM_ARM_VCPU_FINALIZE";
  if (vcpu.get("initialised") === 0) throw new Refused("ENOEXEC", call);
  if (feature !== SVE || !vcpu.feature(Feature.sve)) throw new Refused("EINVAL", call);
  if (vcpu.get("finalized") === 1) throw new Refused("EPERM", call);
  vcpu.put("finalized", 1);
}
