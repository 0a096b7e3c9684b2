// What the evaluator tells its caller, and what it asks of it. The caller is EL2: everything that hardware would take
// there comes back as a `Stop` described by the architecture's own syndrome.

import type { Condition, Kernel } from "../../arm64/sysreg-row.js";
import type { Feature } from "../a64/features.js";

export type Stop =
  /**
   * An exception to EL2. PC is the preferred return address: of the instruction itself, but after it for HVC.
   * `far` and `ipa` are 0n where the architecture does not write FAR_EL2 and HPFAR_EL2; the cells of the state are set
   * too. `ipa` is the whole address, with the low 12 bits.
   */
  | { readonly kind: "el2"; readonly esr: number; readonly far: bigint; readonly ipa: bigint }
  /** So many instructions as asked for were executed. */
  | { readonly kind: "budget" }
  /** Somebody called `kick` on the state; the kick is taken. */
  | { readonly kind: "kicked" }
  /**
   * PC is at an instruction, `word`, that the ID registers promise and that this engine has not got.
   */
  | { readonly kind: "lacks"; readonly word: number; readonly name: string };

/** What a bus is asked for. */
export type BusAccess = "read" | "write" | "fetch";

/** Pages side by side that answer alike: `pages` from the one with number `first`, whose bytes begin at `offset`. */
export interface BusRange {
  readonly first: number;
  readonly pages: number;
  readonly offset: number;
  readonly access: readonly BusAccess[];
}

/** Guest memory as the machine sees it: intermediate physical addresses to bytes of the shared memory. */
export interface Bus {
  /**
   * Grows whenever an answer of `page` may have changed: slots, write protection, dirty logging. Looked at when `run`
   * begins and when `Attention.flush` is set in the state (from another thread).
   */
  readonly generation: number;
  /**
   * Offset in the memory of the 4 KiB page that holds `ipa` (aligned to 4 KiB), or a negative number: minus a fault
   * status code (`Fsc.translation3`: nothing there; `Fsc.permission3`: there, but not for this access). The answer is
   * kept until `generation` grows; "write" is asked at the first write, so that a dirty log sees it.
   */
  page(ipa: bigint, access: BusAccess): number;
  /** A range around a page, all of whose pages give an answer to these accesses without a need to be asked; null: none. */
  range?(ipa: bigint): BusRange | null;
  /** Byte offset of a zeroed 32-bit word shared by all CPUs of the VM: the lock of accesses of 128 bits. */
  readonly pairLock?: number;
}

/**
 * A timer of the guest's: the CPU's own; the same, but accesses are the hypervisor's, who adds ISTATUS whenever the
 * deadline is past; or all the hypervisor's, who keeps every bit of CTL, too.
 */
export type TimerIs = "direct" | "trapped" | "emulated";

/** The rest of the world. */
export interface Environment {
  /** CNTPCT_EL0 or CNTVCT_EL0, now. */
  counter(timer: "physical" | "virtual"): bigint;
  /** How the guest has it. Default: direct. */
  timerIs?(timer: "physical" | "virtual"): TimerIs;
  /** Whether the CPU's ID registers promise a feature. Asked once for each kind of instruction. */
  promises(feature: Feature): boolean;
  /** Whether a condition of a row of the system register table holds. */
  has(condition: Condition): boolean;
  /** The kernel whose treatment of trapped registers the guest sees. Default: the newest. */
  readonly kernel?: Kernel;
  /** How many numbered registers the CPU has; undefined: as many as the architecture knows. */
  readonly counts?: {
    readonly breakpoints: number;
    readonly watchpoints: number;
    readonly gic: { readonly priorityBits: number } | null;
  };
  /** The CPU has SVE, whether or not this vCPU has: CPACR_EL1.ZEN traps before the hypervisor does. */
  readonly cpuHasSve?: boolean;
  /** A system register that lives outside the CPU (the GIC's ICC_*), for `rt`: the value, or undefined if there is none.
   * "undefined": so is the access. */
  readRegister?(name: string, rt: number): bigint | "undefined" | undefined;
  /** Takes the write to such a register; false if there is none. */
  writeRegister?(name: string, value: bigint): boolean | "undefined";
  /** Called after the guest wrote a register whose cell has effects outside the CPU (timers, PMU). */
  registerWritten?(name: string): void;
  /** Whether an MRS, MSR or SYS that is allowed is done by the hypervisor: then it is no instruction that was stepped. */
  trapped?(id: number, access: "read" | "write"): boolean;
  /** A DC by set and way. */
  maintainedBySetWay?(): void;
  /** A TLBI: what other CPUs of the VM remember of translations goes, too, the next time that they look up; false: there are none. */
  invalidateOthers?(): boolean;
  /** A DSB after that: gives back control when they have. Calls `meanwhile` again and again, for they may wait for us. */
  awaitOthers?(meanwhile: () => void): void;
  /** SEV: sets the event register of every CPU of the VM. Without it, only this CPU's. */
  sendEvent?(): void;
  /**
   * With stage 1 off, data accesses are Device-nGnRnE, where hardware faults an unaligned access (DDI 0487 B2,
   * "Alignment support"). "allow" does as QEMU before 9.0 does. Default: "fault".
   */
  readonly unalignedDevice?: "fault" | "allow";
}

/** Thrown to leave a meaning early, after its exception or stop is settled. One object: no stack is captured. */
export const unwind = new Error("an instruction ended early");
