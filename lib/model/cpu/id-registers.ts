// The feature ID registers of a VM: their limits, who may write what, and what the first run makes of them.
// Documentation/virt/kvm/api.rst 4.68 (KVM_SET_ONE_REG of ID registers) and 4.139.

import { onKernel } from "../../arm64/sysreg-row.js";
import { type SysRegName, sysRegByName, sysRegs } from "../../arm64/sysregs.js";
import type { ErrnoName } from "../../uapi/errno.js";
import { VmCap, vmCells } from "../layout.js";
import { Feature, idIndex, type VcpuState } from "../vcpu-state.js";
import type { VmState } from "../vm-state.js";
import { HAS_AARCH32_EL0, hostValue } from "./host.js";
import { accepts, idField, withIdField } from "./id-fields.js";

const PMU_IMP_DEF = 15;
const PMU_V3 = 3;
const DEBUG_V8 = 6;

/** What an ID register may promise at most, given the features of the VM. */
function limitOf(vm: VmState, name: SysRegName, features: number): bigint {
  const value = hostValue(vm.profile, name);
  if (name === "ID_AA64PFR0_EL1" && (features & Feature.sve) === 0) return withIdField(name, "SVE", value, 0);
  if (name === "ID_AA64ZFR0_EL1" && (features & Feature.sve) === 0) return 0n;
  return value;
}

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
  for (const { name } of vmWide) vm.quads[vmCells.idRegs + idIndex(name)] = limitOf(vm, name, features);
  vm.put("idReady", 1);
}

/** What KVM_GET_ONE_REG gives. */
export function getIdRegister(vcpu: VcpuState, name: SysRegName): bigint {
  const value = vcpu.idRegister(name);
  // Kernels that keep features per vCPU: one without SVE does not see its fields.
  if (name === "ID_AA64PFR0_EL1" && !vcpu.feature(Feature.sve)) return withIdField(name, "SVE", value, 0);
  return value;
}

/** KVM_SET_ONE_REG: the errno, or null when the value is taken. */
export function setIdRegister(vcpu: VcpuState, name: SysRegName, value: bigint): ErrnoName | null {
  const row = sysRegByName(name);
  const { kernel } = vcpu.vm.profile;
  const access = onKernel(row.access, kernel);
  const current = getIdRegister(vcpu, name);
  if (access === "id32" && !HAS_AARCH32_EL0) return null;
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
  const writable = onKernel(row.userWritable, kernel);
  if (!accepts(name, kernel, writable, limitOf(vcpu.vm, name, features), fixed)) return "EINVAL";
  vcpu.vm.quads[vmCells.idRegs + idIndex(name)] = fixed;
  return null;
}

/** MIDR_EL1, REVIDR_EL1, AIDR_EL1 where KVM_CAP_ARM_WRITABLE_IMP_ID_REGS exists. */
function setImplementation(vcpu: VcpuState, name: SysRegName, value: bigint): ErrnoName | null {
  const { vm } = vcpu;
  if (value === vcpu.idRegister(name)) return null;
  if ((vm.peek("caps") & VmCap.writableImp) === 0) return "EINVAL";
  if (vm.peek("ran") === 1) return "EBUSY";
  if ((value & ~onKernel(sysRegByName(name).userWritable, vm.profile.kernel)) !== 0n) return "EINVAL";
  vm.quads[vmCells.idRegs + idIndex(name)] = value;
  return null;
}

/** What some registers do to a value before it is judged. */
function preFix(vcpu: VcpuState, name: SysRegName, value: bigint): bigint | ErrnoName {
  const { profile } = vcpu.vm;
  const { switches } = profile;
  const host = hostValue(profile, name);
  const ignored = (field: string) =>
    idField(name, field, value) === idField(name, field, host) ? withIdField(name, field, value, 0) : value;
  switch (name) {
    case "ID_AA64PFR0_EL1":
      if (switches.pfr0NeedsEl0AndEl1 && (idField(name, "EL0", value) === 0 || idField(name, "EL1", value) === 0)) {
        return "EINVAL";
      }
      return switches.mpamFieldsIgnored ? ignored("MPAM") : value;
    case "ID_AA64PFR1_EL1":
      return switches.mpamFieldsIgnored ? ignored("MPAM_frac") : value;
    case "ID_AA64MMFR2_EL1":
      return switches.nvFieldIgnored ? ignored("NV") : value;
    case "ID_AA64DFR0_EL1": {
      if (!switches.debugVersionChecked) return value;
      if (idField(name, "DebugVer", value) < DEBUG_V8) return "EINVAL";
      return idField(name, "PMUVer", value) === PMU_IMP_DEF ? withIdField(name, "PMUVer", value, 0) : value;
    }
    case "ID_DFR0_EL1": {
      if (!switches.debugVersionChecked) return value;
      const monitor = idField(name, "PerfMon", value);
      if (monitor !== PMU_IMP_DEF && monitor !== 0 && monitor < PMU_V3) return "EINVAL";
      if (idField(name, "CopDbg", value) < DEBUG_V8) return "EINVAL";
      return monitor === PMU_IMP_DEF ? withIdField(name, "PerfMon", value, 0) : value;
    }
    case "CTR_EL0": {
      if (!switches.ctrL1IpWritable) return value;
      const policy = idField(name, "L1Ip", value);
      return policy === 0 || policy === 1 ? "EINVAL" : value;
    }
    default:
      return value;
  }
}

/** The GIC fields say what irqchip the VM has: none. When the VM first runs. */
export function settleGicFields(vm: VmState): void {
  const { switches } = vm.profile;
  const clear = (name: SysRegName, field: string) => {
    const at = vmCells.idRegs + idIndex(name);
    vm.quads[at] = withIdField(name, field, vm.quads[at]!, 0);
  };
  if (switches.gicFieldSettledAtFirstRun) clear("ID_AA64PFR0_EL1", "GIC");
  if (!switches.gicFieldsFollowIrqchip) return;
  clear("ID_AA64PFR2_EL1", "GCIE");
  clear("ID_PFR1_EL1", "GIC");
}

/** Puts what the guest reads by MRS into the CPU's own cells. */
export function publishIdRegisters(vcpu: VcpuState): void {
  for (const { name } of vmWide) vcpu.cpu.set(name, getIdRegister(vcpu, name));
}

/** KVM_ARM_GET_REG_WRITABLE_MASKS. */
export function writableMasks(vm: VmState, masks: BigUint64Array): void {
  masks.fill(0n);
  const { kernel } = vm.profile;
  for (const row of sysRegs) {
    if (row.encoding[0] !== 3 || row.encoding[2] !== 0 || ![0, 1, 3].includes(row.encoding[1])) continue;
    const access = onKernel(row.access, kernel);
    const reported = ["id", "impid", "clidr"].includes(access) || (access === "id32" && HAS_AARCH32_EL0);
    if (reported) masks[idIndex(row.name)] = onKernel(row.userWritable, kernel);
  }
}
