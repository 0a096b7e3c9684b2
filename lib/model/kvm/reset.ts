// The state of a vCPU after KVM_ARM_VCPU_INIT or a reset that PSCI asked for.

import { onKernel, UNKNOWN } from "../../arm64/sysreg-row.js";
import { sysRegs } from "../../arm64/sysregs.js";
import { EE } from "../cpu/data-order.js";
import { publishIdRegisters } from "../cpu/id-registers.js";
import { resetPmu } from "../cpu/pmu.js";
import { cells, Pstate } from "../cpu/state.js";
import { resetTimerInterrupts } from "../gic/lines.js";
import { madeUpClidr } from "../host/host.js";
import { vcpuCells } from "../layout.js";
import { Feature } from "../vcpu-features.js";
import type { VcpuState } from "../vcpu-state.js";

/** With all interrupts masked: EL1h, EL2h, or Supervisor mode of AArch32. */
function resetPstate(vcpu: VcpuState): bigint {
  if (vcpu.feature(Feature.el1_32bit)) return BigInt(Pstate.A | Pstate.I | Pstate.F | 0x13);
  return BigInt(Pstate.DAIF | (vcpu.feature(Feature.hasEl2) ? 9 : 5));
}

/** MPIDR_EL1 of a vCPU: 16 to a cluster, as a GICv3's SGIs can address them. */
function mpidr(id: number): bigint {
  return BigInt(((1 << 31) | (id & 15) | (((id >> 4) & 255) << 8) | (((id >> 12) & 255) << 16)) >>> 0);
}

/**
 * Resets the registers. What has no reset in KVM keeps its value: SP_EL1, ELR_EL1, SPSR_EL1; MPIDR_EL1 and
 * CLIDR_EL1 are made up the first time only.
 */
export function resetVcpu(vcpu: VcpuState, which: "first" | "again"): void {
  const { cpu, vm } = vcpu;
  for (let n = 0; n < 31; n++) cpu.setX(n, 0n);
  cpu.spEl0 = 0n;
  cpu.pc = 0n;
  cpu.pstate = resetPstate(vcpu);
  vcpu.put("pstateHigh", 0);
  for (let n = 1; n < 5; n++) cpu.setSpsr(n, 0n);
  cpu.quads.fill(0n, cells.v, cells.v + 64);
  vcpu.quads.fill(0n, vcpuCells.sve);
  cpu.fpsr = 0;
  cpu.fpcr = 0;
  cpu.clearExclusive();
  if (vm.profile.switches.eventsCommitAtOnce) vcpu.put("abortPending", 0);
  const { kernel, switches } = vm.profile;
  if (which === "first" || switches.initResetsMpidr) cpu.set("MPIDR_EL1", mpidr(vcpu.get("id")));
  for (const [index, row] of sysRegs.entries()) {
    const keepsCval = row.name.includes("_CVAL_") && !switches.initResetsCval && which === "again";
    if (keepsCval) continue;
    const value = resetValue(vcpu, row.name, onKernel(row.reset, kernel), which);
    if (value !== null) cpu.setSysreg(index, value);
  }
  // What the guest reads of the VM's ID registers is no matter of the CPU's reset.
  if (vcpu.get("firstRunDone") === 1) publishIdRegisters(vcpu);
  resetPmu(vcpu);
  resetTimerInterrupts(vcpu);
  if (vcpu.get("resetPending") === 0) return;
  vcpu.put("resetPending", 0);
  cpu.pc = vcpu.quad("resetPc");
  cpu.setX(0, vcpu.quad("resetX0"));
  if (vcpu.get("resetBigEndian") === 1) cpu.set("SCTLR_EL1", cpu.get("SCTLR_EL1") | BigInt(EE));
}

function resetValue(
  vcpu: VcpuState,
  name: (typeof sysRegs)[number]["name"],
  reset: (typeof sysRegs)[number]["reset"],
  which: "first" | "again",
): bigint | null {
  if (typeof reset === "bigint") return reset;
  switch (reset) {
    case "unknown":
      return UNKNOWN;
    case "unknown-32":
      return UNKNOWN & 0xffff_ffffn;
    case "host":
      return vcpu.vm.profile.host.value(name);
    case "clidr":
      return which === "first"
        ? madeUpClidr(vcpu.vm.profile.host.value("CTR_EL0"), vcpu.has("MTE") ? "mte" : "no mte")
        : null;
    case "mdcr":
      return BigInt(vcpu.feature(Feature.pmuV3) ? (vcpu.vm.profile.host.pmu?.counters ?? 0) : 0);
    default:
      // MPIDR_EL1 and the PMU's registers, see above; HCR_EL2.E2H, which is not RES1 on hosts that take EL2 vCPUs here.
      return null;
  }
}

/** A reset that PSCI CPU_ON asked for is done when somebody looks. */
export function applyPendingReset(vcpu: VcpuState): void {
  if (vcpu.peek("resetPending") === 1) resetVcpu(vcpu, "again");
}
