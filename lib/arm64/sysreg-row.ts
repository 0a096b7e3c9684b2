// What a row of the system register table says (lib/arm64/sysregs.ts), and the words to say it with.

/** The kernels whose behaviour the tables know. */
export const kernels = ["6.1", "6.12", "7.2"] as const;
export type Kernel = (typeof kernels)[number];

/** Whose contract a kernel release such as "6.12.57+deb13-arm64" keeps: of kernels in between, the older. */
export function contractOf(release: string): Kernel {
  const [major = 0, minor = 0] = release.split(/[.-]/).map(Number);
  const known = kernels.filter((kernel) => {
    const [knownMajor = 0, knownMinor = 0] = kernel.split(".").map(Number);
    return major > knownMajor || (major === knownMajor && minor >= knownMinor);
  });
  return known.at(-1) ?? kernels[0];
}

/** A fact that is the same on every kernel, or one for each. */
export type PerKernel<T> = T | Readonly<Record<Kernel, T>>;

/** The fact as it is on one kernel. */
export function onKernel<T>(fact: PerKernel<T>, kernel: Kernel): T {
  return typeof fact === "object" && fact !== null && "7.2" in fact ? (fact as Record<Kernel, T>)[kernel] : (fact as T);
}

/** What MRS ("r") and MSR ("w") may do at an exception level; "" is UNDEFINED. */
export type GuestAccess = "" | "r" | "w" | "rw";

/** op0, op1, CRn, CRm, op2. */
export type Encoding = readonly [op0: number, op1: number, crn: number, crm: number, op2: number];

/**
 * A feature that a register needs. Without it the register does not exist: ENOENT for KVM_GET_ONE_REG, UNDEFINED for
 * the guest.
 *
 * PMU, SVE, PTRAUTH, EL2: feature bits of the vCPU. MTE: capability of the VM. `noE2H0`: EL2 without HAS_EL2_E2H0.
 * The others are fields of the VM's own ID registers, as they stand now.
 */
export type Condition =
  | "PMU"
  | "SVE"
  | "PTRAUTH"
  | "MTE"
  | "EL2"
  | "noE2H0"
  | "TCRX"
  | "SCTLRX"
  | "S1PIE"
  | "S1POE"
  | "FPMR"
  | "FGT"
  | "FGT2"
  | "NV_frac"
  // These gate registers that no kernel lists.
  | "AMU"
  | "CCIDX"
  | "CSV2_2"
  | "DIT"
  | "ECV"
  | "GICv3"
  | "GICv5"
  | "LOR"
  | "LS64_ACCDATA"
  | "MPAM"
  | "MTE2"
  | "NMI"
  | "PAN"
  | "RAS"
  | "RNDR"
  | "SME"
  | "SPE"
  | "SSBS"
  | "TRF"
  | "UAO"
  | "VHE";

/**
 * How KVM_GET_ONE_REG and KVM_SET_ONE_REG treat a register.
 *
 * raw: a 64-bit cell, nothing checked · debug: the same, in the array of debug registers · id: VM-wide limit register,
 * writable within its mask until the VM ran · id32: the same, RAZ/WI on hosts without AArch32 EL0 · raz: reads 0,
 * accepts only 0 · raz-wi: reads 0, ignores writes · invariant: accepts only the value it has · impid: invariant until
 * KVM_CAP_ARM_WRITABLE_IMP_ID_REGS · timer: see Documentation/virt/kvm/api.rst 4.68 on the timer ids · pmreg: masked
 * to the counters there are · evcntr: an event counter, with its perf state · pmcr, oslsr, clidr: rules of their own ·
 * none: no such id
 */
export type AccessClass =
  | "raw"
  | "debug"
  | "id"
  | "id32"
  | "raz"
  | "raz-wi"
  | "invariant"
  | "impid"
  | "timer"
  | "pmreg"
  | "evcntr"
  | "pmcr"
  | "oslsr"
  | "clidr"
  | "none";

/**
 * The value after KVM_ARM_VCPU_INIT.
 *
 * A number · unknown: KVM's pattern `UNKNOWN` · host: what the host's CPU says, or its sanitised limit · none: no reset,
 * the cell keeps its value · mpidr: from the vCPU's id · clidr: a cache hierarchy made up from CTR_EL0 · pmcr: the number
 * of counters · counters: UNKNOWN in the bits of implemented counters · unknown-32: UNKNOWN in bits 31:0 · hcr: E2H
 * where it is RES1 · mdcr: the number of counters
 */
export type Reset =
  | bigint
  | "unknown"
  | "host"
  | "none"
  | "mpidr"
  | "clidr"
  | "pmcr"
  | "counters"
  | "unknown-32"
  | "hcr"
  | "mdcr";

/** What KVM puts into registers that are UNKNOWN on reset: nobody mistakes it for a real value. */
export const UNKNOWN = 0x1de7_ec7e_dbad_c0den;

/**
 * What a guest's access meets when KVM traps it for good: reads as zero and ignores writes, is UNDEFINED, or reads what
 * is there and ignores writes. "plain": the architecture's behaviour.
 */
export type GuestBehaviour = "plain" | "raz-wi" | "undefined" | "wi";

/** A row of the table. */
export interface SysReg<N extends string = string> {
  /** As in the Arm ARM, with the kernel's capitals. */
  readonly name: N;
  readonly encoding: Encoding;
  readonly el0: GuestAccess;
  readonly el1: GuestAccess;
  readonly el2: GuestAccess;
  readonly guest: PerKernel<GuestBehaviour>;
  /** The kernels that list the register when `when` holds; empty: only guests see it. */
  readonly kernels: readonly Kernel[];
  /** All of these must hold for KVM to have the id. */
  readonly when: PerKernel<readonly Condition[]>;
  /** All of these must hold, or a guest's access is UNDEFINED. */
  readonly guestWhen: readonly Condition[];
  readonly access: PerKernel<AccessClass>;
  readonly reset: PerKernel<Reset>;
  /** Bits that MSR changes; the rest keep their reset value. */
  readonly guestWritable: bigint;
  /** Bits that KVM_SET_ONE_REG may change; for ID registers what KVM_ARM_GET_REG_WRITABLE_MASKS reports. */
  readonly userWritable: PerKernel<bigint>;
  /** The id, where it does not follow from the encoding. */
  readonly userId: bigint | undefined;
}

export const EVERY = kernels;
export const SINCE_6_12 = ["6.12", "7.2"] as const;
export const SINCE_7_2 = ["7.2"] as const;
export const NEVER = [] as const;

const ALL_BITS = 0xffff_ffff_ffff_ffffn;

export type Said = Partial<Omit<SysReg, "name" | "encoding" | "el1" | "kernels">>;

/** A row: what is not said is the commonest. */
export function row<const N extends string>(
  name: N,
  encoding: Encoding,
  el1: GuestAccess,
  kernels: readonly Kernel[],
  said: Said = {},
): SysReg<N> {
  const when = said.when ?? NEVER;
  return {
    name,
    encoding,
    el0: said.el0 ?? "",
    el1,
    el2: said.el2 ?? el1,
    guest: said.guest ?? "plain",
    kernels,
    when,
    guestWhen: said.guestWhen ?? onKernel(when, "7.2"),
    access: said.access ?? (kernels.length > 0 ? "raw" : "none"),
    reset: said.reset ?? "none",
    guestWritable: said.guestWritable ?? ALL_BITS,
    userWritable: said.userWritable ?? ALL_BITS,
    userId: said.userId,
  };
}

type Upto = {
  4: 0 | 1 | 2 | 3;
  8: 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7;
  16: Upto[8] | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15;
  31: Upto[16] | 16 | 17 | 18 | 19 | 20 | 21 | 22 | 23 | 24 | 25 | 26 | 27 | 28 | 29 | 30;
};

type Numbered<P extends string, C extends keyof Upto> = P extends `${infer A}#${infer B}`
  ? `${A}${Upto[C]}${B}`
  : never;

/** A family of rows: "DBGBVR#_EL1" with 0, 1, 2, … for #. */
export function family<const P extends `${string}#${string}`, const C extends keyof Upto>(
  pattern: P,
  count: C,
  one: (n: number) => Encoding,
  el1: GuestAccess,
  kernels: readonly Kernel[],
  said: Said = {},
): SysReg<Numbered<P, C>>[] {
  return Array.from({ length: count }, (_, n) =>
    row(pattern.replace("#", String(n)) as Numbered<P, C>, one(n), el1, kernels, said),
  );
}
