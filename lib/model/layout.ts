// Where everything of a VM lies in its shared memory. Cells of 64 bits from byte 0; a cell that holds a small number
// uses its lower 32 bits. docs/model.md prints this table.

import { GIC_VCPU_CELLS } from "./gic/layout.js";

/** Most memory slots: KVM_CAP_NR_MEMSLOTS. */
export const SLOTS = 32767;
/** Most vCPUs without a GIC: KVM_CAP_MAX_VCPUS. */
export const VCPUS = 512;
/** Non-ioeventfd devices on one bus (NR_IOBUS_DEVS). */
export const BUS_DEVICES = 1000;
/** Zones of both buses, and ioeventfds. */
export const IO_DEVICES = 2 * BUS_DEVICES + 4096;
export const SMCCC_FILTERS = 1024;
/** guest_memfds of a VM; as many as a process may usually have open. */
export const GUEST_MEMFDS = 1024;
export const ALLOCATIONS = 65536;
export const EXTENTS = 4096;

// biome-ignore format: table
const table = [
  ["lock", 1, "0 free, 1 held, 2 held and waited for"],
  ["open", 1, "descriptors of the VM and of its vCPUs"],
  ["affinityTable", 1, "1: affinities were tabulated, see affinity.ts"],
  ["affinityMask", 1, "the bits in which they differed then"],
  ["vmDescriptors", 1, "those of them that are the VM's own"],
  ["dead", 1, "1: a failed first run killed the VM"],
  ["statistics", 1, "1: the descriptor of KVM_GET_STATS_FD is there, and outlives the VM"],
  ["ran", 1, "1: some vCPU has passed its first-run preparation"],
  ["ipaBits", 1, "size of the IPA space"],
  ["vcpuCount", 1, "vCPUs ever created"],
  ["features", 1, "features[0] of the first INIT without POWER_OFF, or -1"],
  ["caps", 1, "bits of enabled capabilities, see VmCap"],
  ["dirtyManual", 1, "args[0] of KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2"],
  ["ringBytes", 1, "args[0] of KVM_CAP_DIRTY_LOG_RING_ACQ_REL; 0: no dirty rings"],
  ["splitChunk", 1, "KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE"],
  ["counterFixed", 1, "1: KVM_ARM_SET_COUNTER_OFFSET was used"],
  ["virtualOffset", 1, "CNTVCT_EL0 is the host's counter minus this"],
  ["physicalOffset", 1, "CNTPCT_EL0 is the host's counter minus this"],
  ["psciVersion", 1, "0: the newest that the kernel has"],
  ["firmwareBitmaps", 4, "KVM_REG_ARM_*_BMAP"],
  ["idReady", 1, "1: idRegs were set by the first INIT"],
  ["idRegs", 192, "by index of KVM_ARM_GET_REG_WRITABLE_MASKS"],
  ["gicAtMasks", 1, "ID_AA64PFR0_EL1.GIC as the masks of the registers of EL2 know it: before the first run settles it"],
  ["timerIntids", 4, "INTID of each timer, 0: not set"],
  ["timersOwned", 1, "1: some vCPU's timers own their interrupts"],
  ["pmuType", 1, "type of the host's PMU that the vCPUs use, 0: not chosen yet"],
  ["pmuCounters", 1, "event counters of every vCPU"],
  ["pmuFiltered", 1, "1: pmuFilter says which events are counted"],
  ["pmuFilter", 1024, "a bit for each event"],
  ["smcccCount", 1, "entries of smcccFilters"],
  ["smcccFilters", 2 * SMCCC_FILTERS, "first, last (words); action"],
  ["ring", 1, "coalesced MMIO ring: first, last (words)"],
  ["zoneCount", 1, "coalesced MMIO zones"],
  ["ioDeviceCount", 1, "coalesced MMIO zones and ioeventfds"],
  ["ioDevices", 4 * IO_DEVICES, "see kvm/io-bus.ts"],
  ["guestMemfdCount", 1, "guest_memfds"],
  ["guestMemfds", 3 * GUEST_MEMFDS, "bytes; descriptor, flags (words); allocation + 1"],
  ["pairLock", 1, "lock of 128-bit accesses"],
  ["irqchip", 1, "KVM_DEV_TYPE_ARM_VGIC_*, 0: no in-kernel interrupt controller"],
  ["gic", 1, "byte where its state begins, see gic/layout.ts"],
  ["gicLock", 1, "as lock, for interrupts"],
  ["its", 1, "word index of the last ITS made, see gic/its-nodes.ts; 0: none"],
  ["itsNodes", 1, "word index of the first free node"],
  ["lpis", 1, "word index of the buckets of LPIs; 0: none yet"],
  ["propbaser", 1, "GICR_PROPBASER, the same for all redistributors"],
  ["slotGeneration", 1, "changes whenever the slots do"],
  ["slotCount", 1, "slots in use"],
  ["slotOrder", (SLOTS + 1) / 2, "words: numbers of the slots in use, by guest address"],
  ["slots", 6 * SLOTS, "see slots.ts"],
  ["vcpus", VCPUS, "byte where the vCPU's block begins; 0: no such vCPU"],
  ["top", 1, "first page that was never allocated"],
  ["allocationCount", 1, "entries of allocations ever used"],
  ["allocationFree", 1, "head of the list of free entries, plus 1"],
  ["allocationsAside", 1, "head of the list of those that are free, but for views that JavaScript may have, plus 1"],
  ["allocations", 2 * ALLOCATIONS, "first page, pages (words); references, next free + 1 or -1: shown to JavaScript (words)"],
  ["tags", ALLOCATIONS / 2, "words: of each allocation, the one that holds its MTE tags, plus 1; 0: never tagged"],
  ["extentCount", 1, "free extents"],
  ["extents", EXTENTS, "first page, pages (words)"],
] as const satisfies readonly (readonly [name: string, count: number, what: string])[];

export type VmCell = (typeof table)[number][0];

export const vmLayout: readonly (readonly [name: VmCell, count: number, what: string])[] = table;

function place<N extends string>(rows: readonly (readonly [name: N, count: number, what: string])[]) {
  const first = {} as Record<N, number>;
  let next = 0;
  for (const [name, count] of rows) {
    first[name] = next;
    next += count;
  }
  return { first: first as Readonly<Record<N, number>>, count: next };
}

const vm = place(table);
/** First cell of each part of the VM's state. */
export const vmCells = vm.first;
/** Bytes of the VM's state, a multiple of a page. */
export const VM_BYTES = Math.ceil((vm.count * 8) / 4096) * 4096;

// biome-ignore format: table
const vcpuTable = [
  ["busy", 1, "0 free, 1 in a verb, 2 in KVM_RUN"],
  ["open", 1, "descriptors of this vCPU"],
  ["id", 1, "KVM_CREATE_VCPU's argument"],
  ["place", 1, "how many vCPUs were created before"],
  ["pstateHigh", 1, "bits 63:32 that userspace wrote to PSTATE; the guest's first instruction clears them"],
  ["initialised", 1, "1: KVM_ARM_VCPU_INIT succeeded once"],
  ["features", 1, "features[0] of the INIT, without POWER_OFF where that is no feature"],
  ["finalized", 1, "1: KVM_ARM_VCPU_FINALIZE(SVE) succeeded"],
  ["vls", 1, "vector lengths: bit vq - 1"],
  ["firstRunDone", 1, "1: prepared for running"],
  ["mpState", 1, "KVM_MP_STATE_*"],
  ["wake", 1, "counter; whoever gives a sleeper reason to look up adds 1 and notifies"],
  ["kicked", 1, "1: the current KVM_RUN, or the next, ends with EINTR"],
  ["resetPending", 1, "1: PSCI CPU_ON asked for a reset"],
  ["resetPc", 1, "PC after that reset"],
  ["resetX0", 1, "X0 after that reset"],
  ["resetBigEndian", 1, "1: SCTLR_EL1.EE is set after it"],
  ["mmioIss", 1, "ISS of the load or store that waits for userspace; 0: none"],
  ["abortPending", 1, "1: external abort to be taken at the next entry (kernels that do not commit at once)"],
  ["debugControl", 1, "KVM_SET_GUEST_DEBUG: control"],
  ["stepPending", 1, "1: an instruction was stepped by other means, its exit is still to come"],
  ["guestSs", 1, "PSTATE.SS of the guest's own, while userspace steps"],
  ["skipped", 1, "1: this KVM_RUN has done the instruction before PC by other means since it was last in the guest"],
  ["affinityIndex", 1, "those bits of its affinity"],
  ["thread", 1, "the thread that ran it last, and may remember more than it should: its id plus 1"],
  ["inGuest", 1, "1: its thread spends guest time, with what the engine remembers of memory"],
  ["cachesFollowed", 1, "1: writes of SCTLR_EL1 and its like are trapped, see kvm/traps.ts"],
  ["debugRegs", 64, "dbg_bcr, dbg_bvr, dbg_wcr, dbg_wvr"],
  ["dirtyRing", 1, "byte of the dirty ring"],
  ["ringPushed", 1, "entries ever pushed to it"],
  ["ringReset", 1, "entries ever reset"],
  ["ccsidrSet", 1, "1: ccsidr holds values of the VMM"],
  ["ccsidr", 14, "CCSIDR_EL1 by CSSELR value"],
  ["timerIntids", 4, "INTID of each timer where that is no matter of the VM, 0: not set"],
  ["timers", 1, "0, or what its first run made of its timers, see cpu/timer.ts"],
  ["timerLines", 2, "bits: the private interrupts that the virtual and the physical timer took for themselves"],
  ["pmuReady", 1, "1: KVM_ARM_VCPU_PMU_V3_INIT succeeded"],
  ["pmuIrq", 1, "INTID of its interrupt, 0: none"],
  ["pmuLine", 1, "the level that it drove its line to"],
  ["pmuStart", 1, "1: PMCR_EL0 is to take effect when the guest runs"],
  ["pmuCounts", 32, "what each counter counted since its cell was written; the last is the cycle counter"],
  ["pvtime", 1, "guest address of the stolen time plus 1, 0: none"],
  ["stolen", 1, "nanoseconds that the guest is yet to be told"],
  ["statistics", 1, "1: the descriptor of KVM_GET_STATS_FD is there, and outlives the VM"],
  ["stats", 111, "see kvm/stats.ts"],
  ["gic", GIC_VCPU_CELLS, "private interrupts and CPU interface, see gic/layout.ts"],
  ["engine", 1, "byte of what its engine remembers, see engine/wasm/record.ts; 0: nothing yet"],
  ["sve", 32 * 32 + 16 * 4 + 4, "Z0 to Z31 (256 bytes each, the lower 16 are V), P0 to P15, FFR"],
] as const satisfies readonly (readonly [name: string, count: number, what: string])[];

export type VcpuCell = (typeof vcpuTable)[number][0];
export const vcpuLayout: readonly (readonly [name: VcpuCell, count: number, what: string])[] = vcpuTable;

const vcpu = place(vcpuTable);
/** First cell of each part of a vCPU's control block. */
export const vcpuCells = vcpu.first;
/** A vCPU's block: its run pages, then the control block, then its CpuState. */
export const RUN_BYTES = 8192;
export const CONTROL_BYTES = Math.ceil((vcpu.count * 8) / 64) * 64;

/** Bits of the VM's `caps`. */
export const VmCap = { nisv: 1, suspend: 2, sea: 4, writableImp: 8, ringBitmap: 16, mte: 32 } as const;

/** Values of `busy`. */
export const Busy = { free: 0, verb: 1, running: 2 } as const;
