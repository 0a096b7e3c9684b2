// The host that the model plays: a kernel and a CPU. Where kernels differ, the difference is a switch with a name; code
// asks the switch, never the kernel.

import type { Kernel } from "../arm64/sysreg-row.js";
import { builtInHost } from "./host/built-in.js";
import { chosenHost, type HostChoice } from "./host/choice.js";
import type { Host } from "./host/host.js";
import { servedPart } from "./served.js";

const engines = ["auto", "evaluator", "interpreter", "translator"] as const;
export type EngineName = (typeof engines)[number];

export interface ModelOptions {
  /** Whose ABI to answer with: default the host's, without a host the newest. */
  readonly kernel?: Kernel;
  /** "max": all that the model implements. */
  readonly cpu?: "max";
  /**
   * The machine to play: a bundled capture by name ("qemu-neoverse-n1-6.12"), a file of `kvm-arm64 capture`, or what is
   * in one. Default: the richest that the model really implements.
   */
  readonly host?: HostChoice;
  /**
   * Shows guests the host's ID registers as they are, even where they promise instructions that the engine lacks: a
   * guest that executes one ends in KVM_EXIT_INTERNAL_ERROR, which names it. Default: what the engine lacks is not promised.
   */
  readonly impersonate?: boolean;
  /**
   * What runs guests. "evaluator": plain TypeScript; "interpreter": generated WebAssembly, and the evaluator for what it
   * has not got; "translator": the interpreter, and WebAssembly made of the guest's code where that is hot; "auto", the
   * default: the interpreter for guests that run for more than an instant. The guest sees no difference but the time it
   * takes.
   */
  readonly engine?: EngineName;
  /** Upper bound of one VM's linear memory: guest RAM, run pages, CPU states. 4 GiB - 64 KiB at most and by default. */
  readonly memoryBytes?: number;
}

// biome-ignore format: table
const table = {
  //                              6.1          6.12         7.2
  /** Bits of features[0] that KVM_ARM_VCPU_INIT knows; others are ENOENT. */
  vcpuFeatureBits:             [ 0x7f,        0x7f,        0x1ff       ],
  /** The first INIT fixes the features of the whole VM, not the register width alone. */
  featuresAreVmWide:           [ false,       true,        true        ],
  /** POWER_OFF is left out when features are compared with those of an earlier INIT. */
  powerOffIsNoFeature:         [ false,       true,        true        ],
  /** Bits that the machine type of KVM_CREATE_VM may have. */
  machineTypeBits:             [ 0xffn,       0xffn,       0x8000_00ffn ],
  /** KVM_SET_USER_MEMORY_REGION2 exists. */
  memoryRegion2:               [ false,       true,        true        ],
  /** KVM_CREATE_GUEST_MEMFD and KVM_MEM_GUEST_MEMFD exist. */
  guestMemfd:                  [ false,       false,       true        ],
  /** The VM descriptor has device attributes (the SMCCC filter). */
  vmAttributes:                [ false,       true,        true        ],
  /** The SMCCC filter says EINVAL to an empty range before it looks at anything else. */
  smcccFilterRejectsEmpty:     [ false,       false,       true        ],
  counterOffset:               [ false,       true,        true        ],
  writableMasks:               [ false,       true,        true        ],
  /** After the first run an ID register takes only its own value, and says EBUSY to others. */
  idRegistersFreeze:           [ false,       true,        true        ],
  /** ID_AA64PFR0_EL1.MPAM and ID_AA64PFR1_EL1.MPAM_frac equal to the host's are accepted and stored as 0. */
  mpamFieldsIgnored:           [ false,       true,        true        ],
  /** DebugVer and CopDbg below Armv8 are EINVAL; an IMPLEMENTATION DEFINED PMU is stored as none. */
  debugVersionChecked:         [ false,       true,        true        ],
  /** ID_AA64PFR0_EL1.EL0 and EL1 may not become 0. */
  pfr0NeedsEl0AndEl1:          [ false,       false,       true        ],
  /** CTR_EL0.L1Ip can be lowered to VIPT; the policies before it are EINVAL. */
  ctrL1IpWritable:             [ false,       false,       true        ],
  /** ID_AA64MMFR2_EL1.NV equal to the host's is accepted and stored as 0. */
  nvFieldIgnored:              [ false,       false,       true        ],
  /** ID_AA64PFR0_EL1.GIC and ID_PFR1_EL1.GIC are cleared at first run when the VM has no vGICv3. */
  gicFieldSettledAtFirstRun:   [ false,       true,        true        ],
  /** They are set to what the VM has, as is ID_AA64PFR2_EL1.GCIE, then and when it gets its GIC. */
  gicFieldsFollowIrqchip:      [ false,       false,       true        ],
  /** GICD_IIDR and GICD_TYPER2 can be set before KVM_DEV_ARM_VGIC_CTRL_INIT; so can KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ. */
  gicPresetRegisters:          [ false,       false,       true        ],
  /** A run that leaves at once, too, raises binary points to the CPU's least. */
  binaryPointsAtLoad:          [ true,        true,        false       ],
  /** What concerns every LPI takes them by INTID, not in the order in which they were mapped. */
  lpisByIntid:                 [ false,       true,        true        ],
  /** LPIs that wait at a vCPU when its redistributor's are disabled stay pending. */
  flushedLpisStayPending:      [ true,        true,        false       ],
  /** MAPC with a target that there is none of does nothing, though it unmaps the collection. */
  unmappingNeedsTarget:        [ true,        false,       false       ],
  /** Without a GIC, the guest reaches the CPU interface's registers of one CPU; since 6.12 ICC_SRE_EL1 alone. */
  cpuInterfaceUntrapped:       [ true,        false,       false       ],
  /** ICC_DIR_EL1 deactivates a shared interrupt that is active on another vCPU. */
  dirReachesOthers:            [ false,       false,       true        ],
  /** KVM_GET_VCPU_EVENTS and its SET refuse before INIT. */
  eventsNeedInit:              [ false,       false,       true        ],
  /** KVM_SET_VCPU_EVENTS takes the external abort first, and commits what it injects to the registers at once. */
  eventsCommitAtOnce:          [ false,       false,       true        ],
  /** An injected abort has the IL bit of what the CPU last trapped, not always 1. */
  injectedIlFollowsTrap:       [ true,        true,        false       ],
  /** An abort injected for a table walk of the guest says at which level. */
  abortOnWalkHasLevel:         [ false,       false,       true        ],
  /** ESR_EL1 of an injected abort is extended from 32 bits by its sign. */
  injectedEsrSigned:           [ true,        false,       false       ],
  /** CSSELR_EL1 is loaded into the CPU when a vCPU runs, and has then its four bits. */
  csselrIsLoaded:              [ true,        false,       false       ],
  /** The PMU moves its interrupt line when its level changes, not at every run. */
  pmuLineOnChange:             [ true,        true,        false       ],
  /** CCSIDR values are fabricated and can be written; before, they are the hardware's and invariant. */
  ccsidrFabricated:            [ false,       true,        true        ],
  /** Single step: PSTATE.SS changes between userspace's and the guest's with KVM_RUN, not at each entry to the guest. */
  stepKeptInRun:               [ false,       false,       true        ],
  /** KVM_SET_GUEST_DEBUG without KVM_GUESTDBG_USE_HW: the guest's own breakpoints and watchpoints exit, too. */
  ownPointsTaken:              [ true,        true,        false       ],
  /** The CPU has the guest's debug registers once the guest reads one, and never while userspace debugs or the OS Lock is on. */
  debugRegistersOwned:         [ false,       false,       true        ],
  /** Reads of CCSIDR_EL1, CLIDR_EL1, CSSELR_EL1 and CTR_EL0, and writes of CSSELR_EL1, are trapped. */
  cacheIdsTrapped:             [ false,       true,        true        ],
  /** Reads of REVIDR_EL1, AIDR_EL1 and SMIDR_EL1 are trapped. */
  revisionIdsTrapped:          [ false,       false,       true        ],
  /** Timers, then MIDR, REVIDR and the other invariants are listed before the system registers, not among them. */
  invariantsListedFirst:       [ true,        true,        false       ],
  /** TIMER_CTL reads with ISTATUS computed; otherwise it reads what was stored. */
  timerCtlReadsStatus:         [ true,        true,        false       ],
  /** Every INIT sets MPIDR_EL1, not the first only. */
  initResetsMpidr:             [ true,        false,       false       ],
  /** KVM_IRQ_LINE names a vCPU by its place in the order of creation, not by its id. */
  irqLineByPlace:              [ true,        false,       false       ],
  /** Affinities are looked up in a table that the first run makes: of several vCPUs with the same, the last. */
  affinityTable:               [ false,       true,        true        ],
  /** The end of a level is noticed (resampled) only if the guest left and came back between taking and ending it. */
  endNeedsExit:                [ false,       false,       true        ],
  /** KVM_IRQ_LINE of shared and private interrupts looks first whether the GIC is initialised. */
  irqLineNeedsGicFirst:        [ false,       false,       true        ],
  /** An eventfd can be the irqfd of one VM only. */
  irqfdIsExclusive:            [ false,       false,       true        ],
  /** The room in the coalesced MMIO ring is counted modulo 2^32 before it is modulo its size: it is full too early. */
  ringRoomWraps:               [ true,        false,       false       ],
  /** The number of event counters is the VM's, and masks what userspace writes; before, all PMU registers are cells. */
  pmuCountersVmWide:           [ false,       true,        true        ],
  /** Event counters of PMUv3.5 have 64 bits, CHAIN is always offered, and the VM's ID registers say which bits there are. */
  pmuLongCounters:             [ false,       true,        true        ],
  /** Userspace's writes to both forms of a PMU register, and to its counters, assign. */
  pmuSetsAssign:               [ false,       false,       true        ],
  /** A VM whose PMUVer is 0 shows its guest no PMU. */
  pmuFollowsPmuVer:            [ false,       false,       true        ],
  /** PMCR_EL0.C and P that userspace wrote reset the counters when the vCPU first runs. */
  pmuFirstRunResets:           [ true,        true,        false       ],
  /** A cycle counter of 32 bits (PMCR_EL0.LC is 0) overflows. */
  pmuShortCyclesOverflow:      [ false,       true,        true        ],
  /** KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS. */
  pmuSetsCounters:             [ false,       false,       true        ],
  /** The newest PMU version that a VM is offered (ID_AA64DFR0_EL1.PMUVer). */
  newestPmuVer:                [ 5,           6,           6           ],
  /** The INTIDs of timers are the VM's: a new vCPU has them, and they are settled when the first vCPU runs. */
  timerIntidsVmWide:           [ false,       true,        true        ],
  /** SMC is a conduit of hypercalls as HVC is; before, it is NOT_SUPPORTED whatever it asks. */
  smcIsConduit:                [ false,       true,        true        ],
  /** INIT of a vCPU that has run leaves a pending SError and the lines of KVM_IRQ_LINE as they are. */
  initKeepsPending:            [ false,       true,        true        ],
  /** INIT sets CVAL of the timers to 0. */
  initResetsCval:              [ false,       false,       true        ],
  /** Timers whose INTID is an attribute of the vCPU: virtual, physical, and those of EL2. */
  timerAttributes:             [ 2,           4,           4           ],
  psciVersion:                 [ 0x1_0001,    0x1_0001,    0x1_0003    ],
  /** The target of an ITS's collection is a vCPU's place in the order of creation, not its id. */
  itsTargetsByPlace:           [ true,        false,       false       ],
  /** Each ITS remembers for itself which messages went through, wherever in its frames they went. */
  itsCachesApart:              [ false,       true,        true        ],
  /** SAVE_TABLES leaves out a device whose entry has no place; before, it is EINVAL. */
  itsSkipsUnsavable:           [ false,       false,       true        ],
  /** Controls that an ITS does not have are ENXIO to set, too. */
  itsControlsChecked:          [ false,       false,       true        ],
  /** GICC_DIR is among the registers of a GICv2's CPU interface that userspace can ask for. */
  deactivateRegisterSaved:     [ false,       false,       true        ],
  /** An MTE VM takes no memory over a file that is not on tmpfs; before, none that is mapped shared and writable. */
  tagsNeedTmpfs:               [ false,       true,        true        ],
  /** KVM_ARM_MTE_COPY_TAGS to the guest is EBUSY while a slot's writes are logged. */
  tagsRefusedWhileLogged:      [ false,       true,        true        ],
  /** KVM_ARM_MTE_COPY_TAGS of more than INT_MAX bytes is EINVAL. */
  tagCopyBounded:              [ false,       true,        true        ],
  /** A signed load from MMIO comes back extended by its sign; before, the extension is undone by a mask. */
  mmioSignExtends:             [ false,       false,       true        ],
} as const satisfies Record<string, readonly [unknown, unknown, unknown]>;

type Widen<T> = T extends number ? number : T extends bigint ? bigint : T extends boolean ? boolean : never;

export type Switches = { readonly [K in keyof typeof table]: Widen<(typeof table)[K][number]> };

const columns: readonly Kernel[] = ["6.1", "6.12", "7.2"];

/** What one kernel says to each switch. */
export function switchesOf(kernel: Kernel): Switches {
  const column = columns.indexOf(kernel);
  return Object.fromEntries(Object.entries(table).map(([name, row]) => [name, row[column]])) as unknown as Switches;
}

export interface Profile {
  readonly kernel: Kernel;
  readonly host: Host;
  readonly memoryBytes: number;
  readonly engine: EngineName;
  readonly switches: Switches;
  /** What the profile was made from: crosses to other threads. */
  readonly options: ModelOptions;
}

const WASM_PAGE = 65536;
const MOST_MEMORY = 65535 * WASM_PAGE;

export function makeProfile(options: ModelOptions = {}): Profile {
  if (typeof options !== "object" || options === null) throw new TypeError("model options must be an object");
  const { impersonate = false } = options;
  if (typeof impersonate !== "boolean") throw new TypeError("model.impersonate must be a boolean");
  if (options.cpu !== undefined && options.cpu !== "max")
    throw new RangeError(`model.cpu must be max, got ${String(options.cpu)}`);
  const chosen = options.host === undefined ? null : chosenHost(options.host, impersonate ? "exact" : "within-engine");
  if (chosen === null && impersonate) throw new RangeError("model.impersonate needs a model.host to impersonate");
  const kernel = options.kernel ?? chosen?.kernel ?? "7.2";
  if (!columns.includes(kernel))
    throw new RangeError(`model.kernel must be ${columns.join(", ")}, got ${String(kernel)}`);
  if (chosen !== null && chosen.kernel !== kernel) {
    throw new RangeError(`model.kernel is ${kernel}, but model.host was captured on ${chosen.kernel}`);
  }
  const memoryBytes = options.memoryBytes ?? MOST_MEMORY;
  if (!Number.isInteger(memoryBytes) || memoryBytes < 16 * 2 ** 20 || memoryBytes > MOST_MEMORY) {
    throw new RangeError(
      `model.memoryBytes must be an integer from ${16 * 2 ** 20} to ${MOST_MEMORY}, got ${String(memoryBytes)}`,
    );
  }
  const engine = options.engine ?? "auto";
  if (!engines.includes(engine))
    throw new RangeError(`model.engine must be ${engines.join(", ")}, got ${String(engine)}`);
  return {
    kernel,
    engine,
    host: servedPart(chosen?.host ?? builtInHost),
    memoryBytes,
    switches: switchesOf(kernel),
    options: chosen === null ? options : { ...options, host: chosen.choice },
  };
}
