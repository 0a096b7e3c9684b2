// Why KVM_RUN returned: the bytes of struct kvm_run, read on demand. Documentation/virt/kvm/api.rst 5, "The kvm_run
// structure". An exit is a live view of the run page: it is good until the vCPU runs again.
import { KVM_DEBUG_ARCH_HSR_HIGH_VALID, KVM_EXIT, KVM_HYPERCALL_EXIT, KVM_SYSTEM_EVENT } from "./uapi/constants.js";
import { errno } from "./uapi/errno.js";
import { run } from "./uapi/structs.js";

export type SystemEvent = "shutdown" | "reset" | "crash" | "wakeup" | "suspend" | "unknown";

/** The guest loaded from or stored to an address that no memory slot backs. */
export interface MmioExit {
  readonly reason: "mmio";
  readonly write: boolean;
  readonly address: bigint;
  /** 1, 2, 4 or 8 bytes in guest order. For a load (`write` false), fill it before the next run. */
  readonly data: Uint8Array;
}
/** PSCI SYSTEM_OFF, SYSTEM_RESET, SYSTEM_SUSPEND, or a wake-up. */
export interface SystemEventExit {
  readonly reason: "system-event";
  readonly event: SystemEvent;
  /** kvm_run.system_event.type, for an event that is "unknown". */
  readonly type: number;
  /** kvm_run.system_event.data: bit 0 of the first word tells SYSTEM_RESET2 and SYSTEM_OFF2. */
  readonly data: readonly bigint[];
}
/** A call that the SMCCC filter forwards. Its arguments are in x0…x7, its results go there too. */
export interface HypercallExit {
  readonly reason: "hypercall";
  readonly number: bigint;
  readonly conduit: "hvc" | "smc";
  readonly flags: bigint;
}
/** A guest debug event. */
export interface DebugExit {
  readonly reason: "debug";
  /** ESR_EL2 of the debug exception. */
  readonly syndrome: bigint;
  /** FAR_EL2: meaningful for watchpoints only. */
  readonly address: bigint;
}
/** KVM_RUN failed with EFAULT on guest_memfd memory. */
export interface MemoryFaultExit {
  readonly reason: "memory-fault";
  readonly address: bigint;
  readonly bytes: bigint;
  readonly flags: bigint;
}
/** A data abort without a syndrome, or a 64-byte load or store. The PC still points at the instruction. */
export interface NisvExit {
  readonly reason: "arm-nisv" | "arm-ldst64b";
  readonly syndrome: bigint;
  readonly address: bigint;
}
/** A synchronous external abort that the host could not handle. */
export interface SeaExit {
  readonly reason: "arm-sea";
  readonly flags: bigint;
  readonly syndrome: bigint;
  /** The guest virtual address. */
  readonly virtualAddress: bigint;
  /** Valid when bit 0 of `flags` is set. */
  readonly address: bigint;
}
export interface FailEntryExit {
  readonly reason: "fail-entry";
  readonly code: bigint;
  readonly cpu: number;
}
export interface InternalErrorExit {
  readonly reason: "internal-error";
  readonly suberror: number;
  readonly data: readonly bigint[];
}
/** The dirty ring is full: harvest it, `vm.resetDirtyRings()`, run again. */
export interface DirtyRingFullExit {
  readonly reason: "dirty-ring-full";
}
/** A signal, `kick()` or `immediateExit` ended the run. */
export interface InterruptedExit {
  readonly reason: "interrupted";
}
/** A reason that is newer than this library: `code` is kvm_run.exit_reason. */
export interface UnknownExit {
  readonly reason: "unknown";
  readonly code: number;
}

export type Exit =
  | MmioExit
  | SystemEventExit
  | HypercallExit
  | DebugExit
  | MemoryFaultExit
  | NisvExit
  | SeaExit
  | FailEntryExit
  | InternalErrorExit
  | DirtyRingFullExit
  | InterruptedExit
  | UnknownExit;

const events: Record<number, SystemEvent> = {
  [KVM_SYSTEM_EVENT.SHUTDOWN]: "shutdown",
  [KVM_SYSTEM_EVENT.RESET]: "reset",
  [KVM_SYSTEM_EVENT.CRASH]: "crash",
  [KVM_SYSTEM_EVENT.WAKEUP]: "wakeup",
  [KVM_SYSTEM_EVENT.SUSPEND]: "suspend",
};

const interrupted: InterruptedExit = Object.freeze({ reason: "interrupted" });
const dirtyRingFull: DirtyRingFullExit = Object.freeze({ reason: "dirty-ring-full" });

const EINTR = errno("EINTR");
const EFAULT = errno("EFAULT");
const EINVAL = errno("EINVAL");

const MMIO = KVM_EXIT.MMIO;
const EXIT_REASON = run.exit_reason / 4;
const MMIO_ADDRESS = run["mmio.phys_addr"] / 8;
const MMIO_DATA = run["mmio.data"];
const MMIO_LEN = run["mmio.len"] / 4;
const MMIO_IS_WRITE = run["mmio.is_write"];

/** The run page by its 8, 32 and 64-bit words: elements of typed arrays cost less than reads of a DataView (measured). */
interface Words {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly u64: BigUint64Array;
}

class LiveMmioExit implements MmioExit {
  readonly reason = "mmio";
  readonly #words: Words;
  /** The first n bytes of the data, for each n. */
  readonly #data: readonly Uint8Array[];

  constructor(words: Words) {
    this.#words = words;
    this.#data = Array.from({ length: 9 }, (_, n) => words.u8.subarray(MMIO_DATA, MMIO_DATA + n));
  }

  get write(): boolean {
    return this.#words.u8[MMIO_IS_WRITE] !== 0;
  }

  get address(): bigint {
    return this.#words.u64[MMIO_ADDRESS] as bigint;
  }

  get data(): Uint8Array {
    return this.#data[this.#words.u32[MMIO_LEN] as number] ?? (this.#data[8] as Uint8Array);
  }
}

/**
 * Reads exits from a run page. Exits are made once and reused: a loop of MMIO exits allocates nothing here but the
 * address that it asks for.
 */
export class ExitReader {
  readonly #page: DataView;
  readonly #u32: Uint32Array;
  readonly #exits = new Map<number, Exit>();
  readonly #mmio: MmioExit;

  constructor(page: Uint8Array) {
    this.#page = new DataView(page.buffer, page.byteOffset, page.byteLength);
    this.#u32 = new Uint32Array(page.buffer, page.byteOffset, page.byteLength / 4);
    const u64 = new BigUint64Array(page.buffer, page.byteOffset, page.byteLength / 8);
    this.#mmio = new LiveMmioExit({ u8: page, u32: this.#u32, u64 });
  }

  /**
   * The exit of a KVM_RUN that gave `positiveErrno` (0: success). Undefined when the errno is a refusal and no exit:
   * EINTR is an exit; EFAULT is one with KVM_EXIT_MEMORY_FAULT, EINVAL with KVM_EXIT_FAIL_ENTRY.
   */
  read(positiveErrno: number): Exit | undefined {
    const reason = this.#u32[EXIT_REASON] as number;
    if (positiveErrno === 0) return reason === MMIO ? this.#mmio : this.#decode(reason);
    if (positiveErrno === EINTR) return interrupted;
    if (positiveErrno === EFAULT && reason === KVM_EXIT.MEMORY_FAULT) return this.#decode(reason);
    if (positiveErrno === EINVAL && reason === KVM_EXIT.FAIL_ENTRY) return this.#decode(reason);
    return undefined;
  }

  #decode(reason: number): Exit {
    let exit = this.#exits.get(reason);
    if (exit === undefined) {
      exit = makeExit(this.#page, reason);
      this.#exits.set(reason, exit);
    }
    return exit;
  }
}

function words(page: DataView, at: number, count: number): bigint[] {
  return Array.from({ length: Math.min(count, 16) }, (_, i) => page.getBigUint64(at + 8 * i, true));
}

/** A live view of the exit union for one reason. */
function makeExit(page: DataView, exitReason: number): Exit {
  const u32 = (member: keyof typeof run) => page.getUint32(run[member], true);
  const u64 = (member: keyof typeof run) => page.getBigUint64(run[member], true);
  switch (exitReason) {
    case KVM_EXIT.SYSTEM_EVENT:
      return {
        reason: "system-event",
        get event() {
          return events[u32("system_event.type")] ?? "unknown";
        },
        get type() {
          return u32("system_event.type");
        },
        get data() {
          return words(page, run["system_event.data"], u32("system_event.ndata"));
        },
      };
    case KVM_EXIT.HYPERCALL:
      return {
        reason: "hypercall",
        get number() {
          return u64("hypercall.nr");
        },
        get flags() {
          return u64("hypercall.flags");
        },
        get conduit() {
          return u64("hypercall.flags") & BigInt(KVM_HYPERCALL_EXIT.SMC) ? "smc" : "hvc";
        },
      };
    case KVM_EXIT.DEBUG:
      return {
        reason: "debug",
        get syndrome() {
          const high = page.getUint16(run.flags, true) & KVM_DEBUG_ARCH_HSR_HIGH_VALID;
          return BigInt(u32("debug.arch.hsr")) | (high ? BigInt(u32("debug.arch.hsr_high")) << 32n : 0n);
        },
        get address() {
          return u64("debug.arch.far");
        },
      };
    case KVM_EXIT.MEMORY_FAULT:
      return {
        reason: "memory-fault",
        get address() {
          return u64("memory_fault.gpa");
        },
        get bytes() {
          return u64("memory_fault.size");
        },
        get flags() {
          return u64("memory_fault.flags");
        },
      };
    case KVM_EXIT.ARM_NISV:
    case KVM_EXIT.ARM_LDST64B:
      return {
        reason: exitReason === KVM_EXIT.ARM_NISV ? "arm-nisv" : "arm-ldst64b",
        get syndrome() {
          return u64("arm_nisv.esr_iss");
        },
        get address() {
          return u64("arm_nisv.fault_ipa");
        },
      };
    case KVM_EXIT.ARM_SEA:
      return {
        reason: "arm-sea",
        get flags() {
          return u64("arm_sea.flags");
        },
        get syndrome() {
          return u64("arm_sea.esr");
        },
        get virtualAddress() {
          return u64("arm_sea.gva");
        },
        get address() {
          return u64("arm_sea.gpa");
        },
      };
    case KVM_EXIT.FAIL_ENTRY:
      return {
        reason: "fail-entry",
        get code() {
          return u64("fail_entry.hardware_entry_failure_reason");
        },
        get cpu() {
          return u32("fail_entry.cpu");
        },
      };
    case KVM_EXIT.INTERNAL_ERROR:
      return {
        reason: "internal-error",
        get suberror() {
          return u32("internal.suberror");
        },
        get data() {
          return words(page, run["internal.data"], u32("internal.ndata"));
        },
      };
    case KVM_EXIT.DIRTY_RING_FULL:
      return dirtyRingFull;
    case KVM_EXIT.INTR:
      return interrupted;
    default:
      return { reason: "unknown", code: exitReason };
  }
}
