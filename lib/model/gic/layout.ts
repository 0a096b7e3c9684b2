// Where the state of an interrupt controller lies: cells of the VM's, cells of each vCPU's, and a record for each
// interrupt. docs/model.md prints the cells.

/** Interrupts of one vCPU: 16 SGIs and 16 PPIs. */
export const PRIVATE = 32;
/** INTIDs below the special ones: SGIs, PPIs and SPIs. */
export const MOST_INTIDS = 1020;
/** The first LPI. */
export const FIRST_LPI = 8192;
/** KVM_MAX_IRQ_ROUTES: GSIs, and entries of a routing table. */
export const ROUTES = 4096;
/** As many as there can be eventfds. */
export const IRQFDS = 4096;
/** Redistributor regions: the index of one has 12 bits. */
export const REGIONS = 4096;

/** Words of an interrupt's record. */
export const Field = {
  /** See Irq. */
  flags: 0,
  priority: 1,
  /** GICv2: the CPUs that sent a pending SGI, and the one that sent the active one. */
  sources: 2,
  /** GICD_IROUTER, or the targets of a GICv2. */
  route: 3,
  /** Place of the vCPU that it goes to, plus 1; 0: none. */
  target: 4,
  /** Place of the vCPU in whose queue it is, plus 1; 0: in none. */
  owner: 5,
  /** The next record of that queue; 0: the last. */
  next: 6,
  intid: 7,
} as const;
export const RECORD_WORDS = 8;
const RECORD_CELLS = RECORD_WORDS / 2;

/** Bits of a record's flags. */
export const Irq = {
  enabled: 1,
  /** Pending by itself: an edge, or a write to a register. */
  latch: 2,
  /** The input line is high. */
  line: 4,
  active: 8,
  /** Level-sensitive; otherwise edge-triggered. */
  level: 16,
  group1: 32,
  /** It was active when the guest was last entered. */
  entered: 128,
  /** An in-kernel device drives the line: userspace can not. */
  owned: 64,
  /** It is the virtual side of a physical interrupt: that of a timer. */
  physical: 256,
} as const;

// biome-ignore format: table
export const gicTable = [
  ["initialised", 1, "1: KVM_DEV_ARM_VGIC_CTRL_INIT succeeded"],
  ["mapped", 1, "1: its frames are in the guest's address space"],
  ["enabled", 1, "GICD_CTLR.EnableGrp1"],
  ["spis", 1, "shared interrupts; 0: not said yet"],
  ["revision", 1, "GICD_IIDR.Revision"],
  ["groupsWritable", 1, "1: userspace may set the groups of a GICv2's interrupts"],
  ["distributorBase", 1, "guest address, or -1"],
  ["cpuBase", 1, "guest address of a GICv2's CPU interface, or -1"],
  ["maintenance", 1, "INTID of KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ"],
  ["regionCount", 1, "redistributor regions"],
  ["regions", 2 * REGIONS, "base; redistributors (0: as many as vCPUs), those in use (words)"],
  ["routes", 3 * ROUTES, "by GSI: address; KVM_IRQ_ROUTING_*, flags (words); pin or data, device (words)"],
  ["irqfdCount", 1, "irqfds"],
  ["irqfds", 2 * IRQFDS, "eventfd, GSI (words); eventfd of resampling or -1 (word)"],
  ["shared", RECORD_CELLS * MOST_INTIDS, "records of the shared interrupts, by INTID"],
] as const;

// biome-ignore format: table
export const gicVcpuTable = [
  ["redistributorBase", 1, "guest address, or -1"],
  ["redistributorSlot", 1, "region, place in it (words)"],
  ["queue", 1, "word index of the first record that is pending or active here; 0: none"],
  ["pendbaser", 1, "GICR_PENDBASER"],
  ["lpisEnabled", 1, "GICR_CTLR.EnableLPIs"],
  ["priorityBits", 1, "ICC_CTLR_EL1.PRIbits + 1"],
  ["idBits", 1, "ICC_CTLR_EL1.IDbits"],
  ["pmr", 1, "ICC_PMR_EL1"],
  ["bpr0", 1, "ICC_BPR0_EL1"],
  ["bpr1", 1, "ICC_BPR1_EL1"],
  ["cbpr", 1, "ICC_CTLR_EL1.CBPR"],
  ["eoiMode", 1, "ICC_CTLR_EL1.EOImode"],
  ["ackControl", 1, "GICC_CTLR.AckCtl"],
  ["fiqEnable", 1, "GICC_CTLR.FIQEn"],
  ["group0", 1, "ICC_IGRPEN0_EL1"],
  ["group1", 1, "ICC_IGRPEN1_EL1"],
  ["active0", 4, "ICC_AP0R0_EL1 to ICC_AP0R3_EL1"],
  ["active1", 4, "ICC_AP1R0_EL1 to ICC_AP1R3_EL1"],
  ["private", RECORD_CELLS * PRIVATE, "records of the private interrupts, by INTID"],
] as const;

type Row = readonly [name: string, count: number, what: string];

function place<R extends readonly Row[]>(rows: R) {
  const first = {} as Record<R[number][0], number>;
  let cells = 0;
  for (const [name, count] of rows) {
    first[name as R[number][0]] = cells;
    cells += count;
  }
  return { first: first as Readonly<Record<R[number][0], number>>, cells };
}

const gic = place(gicTable);
const vcpu = place(gicVcpuTable);
export type GicCell = (typeof gicTable)[number][0];
export type GicVcpuCell = (typeof gicVcpuTable)[number][0];
/** First cell of each part. */
export const gicCells = gic.first;
export const gicVcpuCells = vcpu.first;
export const GIC_BYTES = gic.cells * 8;
export const GIC_VCPU_CELLS = vcpu.cells;
