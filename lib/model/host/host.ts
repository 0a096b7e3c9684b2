// What the model needs to know of the machine and CPU that it plays: its host.

import { decode } from "../../arm64/fields.js";
import type { SysRegName } from "../../arm64/sysregs.js";
import { Feature } from "../vcpu-features.js";

/** The features of a vCPU that change what it has; the others only say how it starts. */
export const CHOSEN = ~(Feature.powerOff | Feature.psci02) & 0x1ff;

/** The host's interrupt controller, as KVM can virtualise it. */
export interface GicHost {
  /** Device types that KVM_CREATE_DEVICE makes. */
  readonly v2: boolean;
  readonly v3: boolean;
  readonly its: boolean;
  /** ICC_CTLR_EL1 of the CPU interface: PRIbits + 1, IDbits (0: 16, 1: 24), SEIS, A3V. */
  readonly priorityBits: number;
  readonly idBits: 0 | 1;
  readonly seis: 0 | 1;
  readonly a3v: 0 | 1;
}

/** The host's PMU (PMUv3), as KVM offers it to guests. */
export interface PmuHost {
  /** Event counters without the cycle counter: PMCR_EL0.N. */
  readonly counters: number;
  /** Ids of /sys/bus/event_source/devices/NAME/type that KVM_ARM_VCPU_PMU_V3_SET_PMU takes. */
  readonly types: readonly number[];
}

/** What a captured or a built-in machine says; the model asks the part of it that it serves (lib/model/served.ts). */
export interface Host {
  /** A register of the host, as KVM sanitises it for guests; 0n where nothing is said. */
  value(register: SysRegName): bigint;
  /**
   * What an ID register promises at most in a VM whose vCPUs were initialised with `features` (bits of features[0])
   * and whose KVM_CAP_ARM_MTE is enabled, or not.
   */
  limit(register: SysRegName, features: number, mte: boolean): bigint;
  /** Bits of features[0] that KVM_ARM_VCPU_INIT accepts here, in some combination. */
  readonly features: number;
  /** Whether it accepts them together. */
  takes(features: number, mte: boolean): boolean;
  /** SVE vector lengths: bit vq - 1. 0: no SVE. */
  readonly vectorLengths: number;
  /** KVM_CAP_ARM_MTE. */
  readonly mte: boolean;
  /** KVM_CAP_STEAL_TIME. */
  readonly stolenTime: boolean;
  readonly breakpoints: number;
  readonly watchpoints: number;
  /** KVM_CAP_ARM_VM_IPA_SIZE. */
  readonly ipaBits: number;
  /** CNTFRQ_EL0: ticks a second of the counter. */
  readonly counterHz: number;
  /** KVM_CAP_NR_VCPUS and KVM_CAP_MAX_VCPUS, as /dev/kvm answers them. */
  readonly cpus: number;
  readonly maxVcpus: number;
  /** KVM_CAP_ARM_INJECT_SERROR_ESR: the CPU has RAS. */
  readonly serrorEsr: boolean;
  /** KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1, 2 and 3 of a new vCPU. */
  readonly workarounds: readonly [number, number, number];
  /** KVM_CAP_ARM_SUPPORTED_BLOCK_SIZES, for kernels that have it. */
  readonly blockSizes: number;
  /** KVM_CAP_ARM_CACHEABLE_PFNMAP_SUPPORTED on a VM. */
  readonly cacheablePfnmap: boolean;
  /** CCSIDR_EL1 by CSSELR_EL1, for kernels that show the hardware's. */
  readonly caches: ReadonlyMap<number, number>;
  /** null: no GIC that can be virtualised. */
  readonly gic: GicHost | null;
  readonly pmu: PmuHost | null;
}

/** Whether EL0 can run AArch32. */
export const hasAarch32El0 = (host: Host): boolean =>
  decode("ID_AA64PFR0_EL1", host.value("ID_AA64PFR0_EL1")).fields.EL0 === 2;

const INSTRUCTION = 1n;
const DATA = 2n;
const UNIFIED = 4n;

/** Allocation tags and data in unified lines: 0b10, at the last level of coherency (CLIDR_EL1.Ttype<n>). */
const TAGS = 2n;

/** The cache hierarchy that KVM makes up from CTR_EL0 (DDI 0487 D24.2.28, CLIDR_EL1). */
export function madeUpClidr(ctr: bigint, mte: "mte" | "no mte"): bigint {
  const { IDC, DIC } = decode("CTR_EL0", ctr).fields;
  const needsClean = IDC === 0;
  const needsInvalidate = DIC === 0;
  const coherent = needsClean || !needsInvalidate ? 1n : 2n;
  let clidr = coherent << 24n;
  clidr |= needsClean ? DATA | (1n << 27n) | (1n << 21n) : UNIFIED << (3n * (coherent - 1n));
  if (mte === "mte") clidr |= TAGS << (31n + 2n * coherent);
  return needsInvalidate ? clidr | INSTRUCTION : clidr;
}
