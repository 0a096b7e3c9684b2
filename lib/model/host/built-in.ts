// The host that the model is without a choice: the richest that it really implements. An ID register promises what the instruction table has,
// nothing more.

import { availableParallelism } from "node:os";
import { encode, type FieldedName, type FieldValues } from "../../arm64/fields.js";
import type { SysRegName } from "../../arm64/sysregs.js";
import { CLOCK_HZ } from "../cpu/timer.js";
import { VCPUS } from "../layout.js";
import { Feature } from "../vcpu-features.js";
import type { Host } from "./host.js";

/** Implementer 0 is reserved for software: no real CPU is claimed to be here. */
const MIDR = 0x000f_a640n;

/** Separate first-level caches, a unified second level; cleaning ends at the second, invalidation at the first. */
const CLIDR = 0x0a20_0023n;

/** Two breakpoints and two watchpoints: the least that the architecture allows. */
const BREAKPOINTS = 2;
const WATCHPOINTS = 2;

/** SW_INCR, INST_RETIRED and CPU_CYCLES: what the model counts. */
const EVENTS = 0x2_0101n;
/** The PMU's number among the event sources of the host. */
const PMU_TYPE = 8;

const POINTER_AUTHENTICATION = Feature.ptrauthAddress | Feature.ptrauthGeneric;

/** Bit 31 of CTR_EL0 is RES1. */
const CTR_RES1 = 1n << 31n;

/** Size of the physical address space, and its code in ID_AA64MMFR0_EL1.PARange. */
const PHYSICAL_BITS = 48;
const PARANGE_48 = 5;

/** Stage 2 block sizes of a host with 4 KiB pages: 4 KiB, 2 MiB, 1 GiB. */
const BLOCK_SIZES = 0x4020_1000;

type Values = Readonly<Partial<Record<SysRegName, bigint>>>;

function fields<N extends FieldedName & SysRegName>(register: N, values: Partial<FieldValues<N>>, rest = 0n): Values {
  return { [register]: BigInt(encode(register, values)) | rest };
}

// biome-ignore format: table
const values: Values = {
  MIDR_EL1: MIDR,
  CNTFRQ_EL0: BigInt(CLOCK_HZ),
  CLIDR_EL1: CLIDR,
  PMCEID0_EL0: EVENTS,
  ...fields("ID_AA64PFR0_EL1",  { EL0: 1, EL1: 1, EL2: 1, FP: 1, AdvSIMD: 1, GIC: 1, RAS: 1, DIT: 1, CSV2: 1, CSV3: 1 }),
  ...fields("ID_AA64PFR1_EL1",  { SSBS: 2, BT: 1 }),
  ...fields("ID_AA64DFR0_EL1",  { DebugVer: 8, PMUVer: 6, BRPs: BREAKPOINTS - 1, WRPs: WATCHPOINTS - 1, DoubleLock: 0xf }),
  ...fields("ID_AA64ISAR0_EL1", { AES: 2, SHA1: 1, SHA2: 2, CRC32: 1, Atomic: 2, RDM: 1, SHA3: 1, DP: 1, FHM: 1, TS: 2, TLB: 2, SM3: 1, SM4: 1, RNDR: 1 }),
  ...fields("ID_AA64ISAR1_EL1", { DPB: 2, APA: 5, GPA: 1, JSCVT: 1, FCMA: 1, LRCPC: 2, FRINTTS: 1, SB: 1, SPECRES: 1, I8MM: 1 }),
  ...fields("ID_AA64MMFR0_EL1", { PARange: PARANGE_48, ASIDBits: 2, BigEnd: 1, TGran16: 1, TGran64: 0 }),
  ...fields("ID_AA64MMFR1_EL1", { PAN: 2, LO: 1, VMIDBits: 2, VH: 1, HPDS: 1 }),
  ...fields("ID_AA64MMFR2_EL1", { UAO: 1, CnP: 1, IDS: 1 }),
  // DIC is 0: the guest must invalidate the instruction cache after it wrote code.
  ...fields("CTR_EL0",          { IDC: 1, CWG: 4, ERG: 4, DminLine: 4, L1Ip: 3, IminLine: 4 }, CTR_RES1),
};

/** CCSIDR_EL1 of the host's caches by CSSELR_EL1: 32 KiB and 32 KiB of 4 ways, 256 KiB of 8 ways, lines of 64 bytes. */
const CACHES: ReadonlyMap<number, number> = new Map([
  [0, 0x000f_e01a],
  [1, 0x000f_e01a],
  [2, 0x003f_e03a],
]);

const value = (register: SysRegName): bigint => values[register] ?? 0n;

/** Without the features there is no PMU, and no pointer authentication. */
function limit(register: SysRegName, features: number): bigint {
  const most = value(register);
  if (register === "ID_AA64DFR0_EL1" && (features & Feature.pmuV3) === 0) return encode(register, { PMUVer: 0 }, most);
  if (register === "ID_AA64ISAR1_EL1" && (features & POINTER_AUTHENTICATION) === 0) {
    return encode(register, { APA: 0, GPA: 0 }, most);
  }
  return most;
}

export const builtInHost: Host = {
  value,
  limit,
  takes: () => true,
  features: Feature.powerOff | Feature.psci02 | Feature.pmuV3 | POINTER_AUTHENTICATION,
  vectorLengths: 0,
  mte: false,
  stolenTime: true,
  breakpoints: BREAKPOINTS,
  watchpoints: WATCHPOINTS,
  ipaBits: PHYSICAL_BITS,
  counterHz: CLOCK_HZ,
  cpus: Math.min(availableParallelism(), VCPUS),
  maxVcpus: VCPUS,
  serrorEsr: true,
  // Not affected.
  workarounds: [2, 3, 2],
  blockSizes: BLOCK_SIZES,
  cacheablePfnmap: false,
  caches: CACHES,
  gic: { v2: false, v3: true, its: true, priorityBits: 5, idBits: 1, seis: 0, a3v: 1 },
  pmu: { counters: 6, types: [PMU_TYPE] },
};
