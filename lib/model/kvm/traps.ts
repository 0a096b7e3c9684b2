// Which of the guest's MRS, MSR and SYS KVM traps and does itself: HCR_EL2, MDCR_EL2 and CNTHCTL_EL2 as it sets them. The
// guest sees the same register either way, but what is done for it is no instruction that the CPU stepped.

import { decode } from "../../arm64/fields.js";
import { type SysRegName, sysRegByEncoding, unpackEncoding } from "../../arm64/sysregs.js";
import { physicalCounterTrapped, timerIs } from "../cpu/timer.js";
import type { Host } from "../host/host.js";
import type { VcpuState } from "../vcpu-state.js";

/** Named by the bit that traps them. */
const TERR_TLOR_TACR = /^(ERRIDR_EL1|LOR(SA|EA|N|C|ID)_EL1|ACTLR_EL1)$/;
const TPM = /^PM/;
const TID1 = /^(REVIDR|AIDR|SMIDR)_EL1$/;
const TID4 = /^(CCSIDR|CLIDR|CSSELR)_EL1$/;
const TVM: ReadonlySet<string> = new Set<SysRegName>([
  "SCTLR_EL1",
  "TTBR0_EL1",
  "TTBR1_EL1",
  "TCR_EL1",
  "ESR_EL1",
  "FAR_EL1",
  "AFSR0_EL1",
  "AFSR1_EL1",
  "MAIR_EL1",
  "AMAIR_EL1",
  "CONTEXTIDR_EL1",
]);
/** Trapped with interrupts: HCR_EL2.IMO and FMO. */
const GENERATES_SGI = /^ICC_A?SGI[01]R_EL1$/;

/** SCTLR_EL1.M and C: the guest's caches are on. */
const CACHES = 5n;

/** ID_AA64MMFR2_EL1.FWB: what the guest's caches do needs no looking after. */
const followsCaches = (host: Host): boolean =>
  decode("ID_AA64MMFR2_EL1", host.value("ID_AA64MMFR2_EL1")).fields.FWB === 0;

/** After INIT and after maintenance by set and way, writes are trapped that could turn caches on … */
export function followCaches(vcpu: VcpuState): void {
  vcpu.put("cachesFollowed", followsCaches(vcpu.vm.profile.host) ? 1 : 0);
}

/** … until one of them finds them on. */
export function controlWritten(vcpu: VcpuState, name: string): void {
  if (vcpu.get("cachesFollowed") === 0 || !TVM.has(name)) return;
  if ((vcpu.cpu.get("SCTLR_EL1") & CACHES) === CACHES) vcpu.put("cachesFollowed", 0);
}

/** Whether an access that the guest may make is trapped. `id`: op0:op1:CRn:CRm:op2 in 16 bits. */
export function isTrapped(vcpu: VcpuState, id: number, access: "read" | "write"): boolean {
  const [op0, op1, crn, crm] = unpackEncoding(id);
  // Guest debug: MDCR_EL2.TDA, TDRA and TDOSA.
  if (op0 === 2) return true;
  // HCR_EL2.TSW.
  if (op0 === 1) return isSetWay(id);
  // HCR_EL2.TID3: all of the ID space, named or not.
  if (op1 === 0 && crn === 0 && crm !== 0) return true;
  const name = sysRegByEncoding(id)?.name;
  if (name === undefined) return false;
  const { profile } = vcpu.vm;
  const { revisionIdsTrapped, cacheIdsTrapped } = profile.switches;
  if (TVM.has(name)) return access === "write" && vcpu.get("cachesFollowed") === 1;
  if (name.startsWith("CNTP_")) return timerIs(vcpu.vm, "physical") !== "direct";
  if (name.startsWith("CNTPCT")) return physicalCounterTrapped(vcpu.vm);
  if (GENERATES_SGI.test(name) || TERR_TLOR_TACR.test(name) || TPM.test(name)) return true;
  if (TID1.test(name)) return revisionIdsTrapped;
  if (TID4.test(name)) return cacheIdsTrapped;
  // HCR_EL2.TID2, where the CPU has no TID4 to leave it out.
  return name === "CTR_EL0" && cacheIdsTrapped && !leavesCtr(vcpu);
}

function leavesCtr(vcpu: VcpuState): boolean {
  const { host } = vcpu.vm.profile;
  if (decode("ID_AA64MMFR2_EL1", host.value("ID_AA64MMFR2_EL1")).fields.EVT === 0) return false;
  return vcpu.idRegister("CTR_EL0") === host.value("CTR_EL0");
}

function isSetWay(id: number): boolean {
  const [, op1, crn, crm, op2] = unpackEncoding(id);
  return op1 === 0 && crn === 7 && op2 === 2 && (crm === 6 || crm === 10 || crm === 14);
}
