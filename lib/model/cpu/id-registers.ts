// The feature ID registers of a VM: their limits, who may write what, and what the first run makes of them.
// Documentation/virt/kvm/api.rst 4.68 (KVM_SET_ONE_REG of ID registers) and 4.139.

import { FEATURE_ID_SPACE_SIZE, featureIdIndex } from "../../arm64/feature-id-space.js";
import { acceptsIdValue, decode, encode } from "../../arm64/fields.js";
import { onKernel } from "../../arm64/sysreg-row.js";
import { type SysRegName, sysRegByName, sysRegs } from "../../arm64/sysregs.js";
import { KVM_DEV_TYPE } from "../../uapi/constants.js";
import type { ErrnoName } from "../../uapi/errno.js";
import { hasAarch32El0 } from "../host/host.js";
import { VmCap, vmCells } from "../layout.js";
import { Feature } from "../vcpu-features.js";
import type { VcpuState } from "../vcpu-state.js";
import type { VmState } from "../vm-state.js";

const PMU_IMP_DEF = 15;
const PMU_V3 = 3;
const DEBUG_V8 = 6;
const VIPT = 2;

/** What an ID register may promise at most, given the features of the VM. */
function limitOf(vm: VmState, name: SysRegName, features: number): bigint {
  const limit = vm.profile.host.limit(name, features, (vm.peek("caps") & VmCap.mte) !== 0);
  if (name !== "ID_AA64DFR0_EL1") return limit;
  const { PMUVer } = decode(name, limit).fields;
  return encode(name, { PMUVer: Math.min(PMUVer, vm.profile.switches.newestPmuVer) }, limit);
}

/** The cell of a register in the VM's state. */
const cellOf = (name: SysRegName) => vmCells.idRegs + featureIdIndex(sysRegByName(name).encoding);

/** The registers whose values are the VM's: those of access class id, id32, raz, impid or invariant. */
const vmWide = sysRegs.filter(
  ({ name, encoding: [op0, op1, crn, crm] }) =>
    op0 === 3 &&
    crn === 0 &&
    name !== "MPIDR_EL1" &&
    ((op1 === 0 && crm < 8) || ["AIDR_EL1", "CTR_EL0"].includes(name)),
);

/** The first INIT of the VM gives every ID register its limit. Inside `locked`. */
export function initIdRegisters(vm: VmState, features: number): void {
  if (vm.get("idReady") === 1) return;
  for (const { name } of vmWide) vm.quads[cellOf(name)] = limitOf(vm, name, features);
  vm.put("idReady", 1);
}

/** What KVM_GET_ONE_REG gives. */
export function getIdRegister(vcpu: VcpuState, name: SysRegName): bigint {
  const value = vcpu.idRegister(name);
  const { kernel, switches } = vcpu.vm.profile;
  const row = sysRegByName(name);
  if (switches.featuresAreVmWide || !["id", "id32"].includes(onKernel(row.access, kernel))) return value;
  // Kernels that keep features per vCPU: what can be written is the VM's, all else follows from the vCPU's features.
  const written = onKernel(row.userWritable, kernel);
  return (limitOf(vcpu.vm, name, vcpu.get("features")) & ~written) | (value & written);
}

/** KVM_SET_ONE_REG: the errno, or null when the value is taken. */
export function setIdRegister(vcpu: VcpuState, name: SysRegName, value: bigint): ErrnoName | null {
  const row = sysRegByName(name);
  const { kernel } = vcpu.vm.profile;
  const access = onKernel(row.access, kernel);
  const current = getIdRegister(vcpu, name);
  if (access === "id32" && !hasAarch32El0(vcpu.vm.profile.host)) return null;
  if (access === "invariant") return value === current ? null : "EINVAL";
  if (access === "impid") return setImplementation(vcpu, name, value);
  const fixed = preFix(vcpu, name, value);
  if (typeof fixed === "string") return fixed;
  if (vcpu.vm.profile.switches.idRegistersFreeze && vcpu.vm.peek("ran") === 1) {
    return fixed === current ? null : "EBUSY";
  }
  const features = vcpu.get("features");
  if (access === "raz" || (name === "ID_AA64ZFR0_EL1" && (features & Feature.sve) === 0)) {
    return fixed === 0n ? null : "EINVAL";
  }
  if (!acceptsIdValue(name, kernel, limitOf(vcpu.vm, name, features), fixed)) return "EINVAL";
  vcpu.vm.quads[cellOf(name)] = fixed;
  return null;
}

/** MIDR_EL1, REVIDR_EL1, AIDR_EL1 where KVM_CAP_ARM_WRITABLE_IMP_ID_REGS exists. */
function setImplementation(vcpu: VcpuState, name: SysRegName, value: bigint): ErrnoName | null {
  const { vm } = vcpu;
  if (value === vcpu.idRegister(name)) return null;
  if ((vm.peek("caps") & VmCap.writableImp) === 0) return "EINVAL";
  if (vm.peek("ran") === 1) return "EBUSY";
  if ((value & ~onKernel(sysRegByName(name).userWritable, vm.profile.kernel)) !== 0n) return "EINVAL";
  vm.quads[cellOf(name)] = value;
  return null;
}

/** What some registers do to a value before it is judged. */
function preFix(vcpu: VcpuState, name: SysRegName, value: bigint): bigint | ErrnoName {
  const { profile } = vcpu.vm;
  const { switches } = profile;
  const host = profile.host.value(name);
  switch (name) {
    case "ID_AA64PFR0_EL1": {
      const { EL0, EL1, EL2, MPAM } = decode(name, value).fields;
      if (switches.pfr0NeedsEl0AndEl1 && (EL0 === 0 || EL1 === 0)) return "EINVAL";
      if (EL2 === 0 && vcpu.feature(Feature.hasEl2)) return "EINVAL";
      const hosts = switches.mpamFieldsIgnored && MPAM === decode(name, host).fields.MPAM;
      return hosts ? encode(name, { MPAM: 0 }, value) : value;
    }
    case "ID_AA64PFR1_EL1": {
      const { MPAM_frac } = decode(name, value).fields;
      const hosts = switches.mpamFieldsIgnored && MPAM_frac === decode(name, host).fields.MPAM_frac;
      return hosts ? encode(name, { MPAM_frac: 0 }, value) : value;
    }
    case "ID_AA64MMFR2_EL1": {
      const hosts = switches.nvFieldIgnored && decode(name, value).fields.NV === decode(name, host).fields.NV;
      return hosts ? encode(name, { NV: 0 }, value) : value;
    }
    case "ID_AA64DFR0_EL1": {
      if (!switches.debugVersionChecked) return value;
      const { DebugVer, PMUVer } = decode(name, value).fields;
      if (DebugVer < DEBUG_V8) return "EINVAL";
      return PMUVer === PMU_IMP_DEF ? encode(name, { PMUVer: 0 }, value) : value;
    }
    case "ID_DFR0_EL1": {
      if (!switches.debugVersionChecked) return value;
      const { PerfMon, CopDbg } = decode(name, value).fields;
      if ((PerfMon !== 0 && PerfMon < PMU_V3) || CopDbg < DEBUG_V8) return "EINVAL";
      return PerfMon === PMU_IMP_DEF ? encode(name, { PerfMon: 0 }, value) : value;
    }
    case "CTR_EL0":
      // The policies before VIPT are gone from the architecture.
      return switches.ctrL1IpWritable && decode(name, value).fields.L1Ip < VIPT ? "EINVAL" : value;
    default:
      return value;
  }
}

/** The GIC fields say what irqchip the VM has: when the VM first runs, and where they follow it, when it is made. */
export function settleGicFields(vm: VmState): void {
  const { switches, host } = vm.profile;
  if (!switches.gicFieldSettledAtFirstRun || vm.get("idReady") === 0) return;
  const v3 = vm.get("irqchip") === KVM_DEV_TYPE.ARM_VGIC_V3;
  if (v3 && !switches.gicFieldsFollowIrqchip) return;
  const GIC = v3 ? 1 : 0;
  const change = (name: SysRegName, to: (value: bigint) => bigint) => {
    vm.quads[cellOf(name)] = to(vm.quads[cellOf(name)]!);
  };
  change("ID_AA64PFR0_EL1", (v) => encode("ID_AA64PFR0_EL1", { GIC }, v));
  if (hasAarch32El0(host)) change("ID_PFR1_EL1", (v) => encode("ID_PFR1_EL1", { GIC }, v));
  if (switches.gicFieldsFollowIrqchip) change("ID_AA64PFR2_EL1", (v) => encode("ID_AA64PFR2_EL1", { GCIE: 0 }, v));
}

/** Puts what the guest reads by MRS into the CPU's own cells. */
export function publishIdRegisters(vcpu: VcpuState): void {
  for (const { name } of vmWide) vcpu.cpu.set(name, getIdRegister(vcpu, name));
}

/** KVM_ARM_GET_REG_WRITABLE_MASKS. */
export function writableMasks(vm: VmState, masks: BigUint64Array): void {
  masks.fill(0n, 0, FEATURE_ID_SPACE_SIZE);
  const { kernel } = vm.profile;
  for (const row of sysRegs) {
    const index = featureIdIndex(row.encoding);
    const access = onKernel(row.access, kernel);
    const reported = ["id", "impid", "clidr"].includes(access) || (access === "id32" && hasAarch32El0(vm.profile.host));
    if (index >= 0 && reported) masks[index] = onKernel(row.userWritable, kernel);
  }
}
