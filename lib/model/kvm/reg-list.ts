// KVM_GET_REG_LIST: Documentation/virt/kvm/api.rst 4.83. The order is the kernel's.

import { ARCH_ARM64, makeId, type RegBits, Space } from "../../arm64/reg-id.js";
import { onKernel } from "../../arm64/sysreg-row.js";
import { type SysRegName, sysRegByName, sysRegId, sysRegs } from "../../arm64/sysregs.js";
import { Refused } from "../../errors.js";
import { Feature } from "../vcpu-features.js";
import type { VcpuState } from "../vcpu-state.js";
import { coreRegisters } from "./core-regs.js";
import { cachesOf } from "./demux-regs.js";
import { bitmapCount, FIRMWARE_COUNT } from "./firmware-regs.js";
import { sveRegisters } from "./sve-regs.js";

const id = (space: number, bytes: number, index: number) => makeId(ARCH_ARM64, (bytes * 8) as RegBits, space, index);

const timerOrder: readonly SysRegName[] = [
  "CNTV_CTL_EL0",
  "CNTVCT_EL0",
  "CNTV_CVAL_EL0",
  "CNTP_CTL_EL0",
  "CNTPCT_EL0",
  "CNTP_CVAL_EL0",
];

export function registerList(vcpu: VcpuState): BigUint64Array {
  if (vcpu.get("initialised") === 0) throw new Refused("ENOEXEC", "KVM_GET_REG_LIST");
  const sve = vcpu.feature(Feature.sve);
  if (sve && vcpu.get("finalized") === 0) throw new Refused("EPERM", "KVM_GET_REG_LIST");
  return BigUint64Array.from([
    ...coreRegisters(vcpu).map(({ word, bytes }) => id(Space.arm64Core, bytes, word)),
    ...(sve ? sveRegisters.map(({ index, bytes }) => id(Space.sve, bytes, index)) : []),
    ...Array.from({ length: FIRMWARE_COUNT }, (_, n) => id(Space.firmware, 8, n)),
    ...Array.from({ length: bitmapCount(vcpu.vm) }, (_, n) => id(Space.firmwareFeatures, 8, n)),
    ...systemRegisters(vcpu),
    ...cachesOf(vcpu).map((csselr) => id(Space.demux, 4, csselr)),
  ]);
}

function systemRegisters(vcpu: VcpuState): bigint[] {
  const { kernel, switches } = vcpu.vm.profile;
  const listed = sysRegs.filter(
    (row) => row.kernels.includes(kernel) && onKernel(row.when, kernel).every((condition) => vcpu.has(condition)),
  );
  if (!switches.invariantsListedFirst) return listed.map((row) => sysRegId(row));
  const access = (row: (typeof listed)[number]) => onKernel(row.access, kernel);
  return [
    ...timerOrder.map((name) => sysRegByName(name)).filter((row) => listed.includes(row)),
    ...listed.filter((row) => access(row) === "invariant"),
    ...listed.filter((row) => access(row) !== "invariant" && access(row) !== "timer"),
  ].map((row) => sysRegId(row));
}
