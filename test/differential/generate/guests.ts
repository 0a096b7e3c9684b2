// Guest programs: snippets of a few words, one after the other; lockstep puts the ending behind them. X26 and X27 are
// addresses, X28 belongs to the ending, X29 points to the data, X24 and X25 are for what must not be compared.

import { sysRegs } from "../../../lib/arm64/sysregs.js";
import {
  addImmediate,
  brk,
  daifClear,
  hvc,
  load,
  loadPost,
  loadSigned,
  mov64,
  movz,
  mrs,
  msr,
  nop,
  type SystemRegister,
  smc,
  store,
  storePair,
  storePost,
  type Width,
  XZR,
} from "../../support/assemble.js";
import { DATA, ENTRY, RAM } from "../guest-layout.js";
import { DIST, groupsOf, REDIST } from "./interrupts.js";
import type { CpuPlan, Maker, VmPlan } from "./maker.js";
import { RO_SLOT, RW_SLOT } from "./memory.js";
import { NEVER } from "./registers.js";

const DATA_POINTER = 29;
const ADDRESS = 26;
const SCRATCH = 24;

interface Snippet {
  readonly words: readonly number[];
  /** How many exits it has, as far as can be said. */
  readonly exits: number;
  /** What follows is not reached. */
  readonly last?: true;
}

const quiet = (...words: number[]): Snippet => ({ words, exits: 0 });
const word = (value: number): number => value >>> 0;

const widths: readonly Width[] = [1, 2, 4, 8];

// biome-ignore format: table
const threeRegisters = [
  0x8b00_0000, 0xcb00_0000, 0xab00_0000, 0xeb00_0000, 0x8a00_0000, 0xaa00_0000, 0xca00_0000, 0xea00_0000, 0x8a20_0000,
  0xaa20_0000, 0xca20_0000, 0x0b00_0000, 0x4b00_0000, 0x9ac0_0800, 0x9ac0_0c00, 0x9ac0_2000, 0x9ac0_2400, 0x9ac0_2800,
  0x9ac0_2c00, 0x1ac0_0800, 0x9a00_0000, 0xba00_0000, 0xda00_0000, 0x9a80_0000, 0x9a80_1400, 0xda80_b000, 0x9b00_7c00,
  0x9b40_7c00, 0x9bc0_7c00, 0x9b20_7c00, 0x1ac0_4000, 0x9ac0_4c00, 0x1ac0_5400, 0xd340_fc00, 0x9340_1c00, 0x93c0_1400,
];
// biome-ignore format: table
const twoRegisters = [0xdac0_1000, 0xdac0_1400, 0xdac0_0000, 0xdac0_0400, 0xdac0_0800, 0xdac0_0c00, 0x5ac0_1000];

function compute({ random }: Maker): Snippet {
  const words: number[] = [];
  for (let n = random.between(1, 4); n > 0; n--) {
    const [rd, rn, rm] = [random.below(8), random.below(8), random.below(8)];
    if (random.once(5)) words.push(word(random.pick(twoRegisters) | (rn << 5) | rd));
    else words.push(word(random.pick(threeRegisters) | (rm << 16) | (rn << 5) | rd));
  }
  return quiet(...words);
}

function memory({ random }: Maker): Snippet {
  const [rt, rs] = [random.below(8), random.below(8)];
  const at = random.once(2)
    ? mov64(ADDRESS, RW_SLOT + BigInt(8 * random.below(64)))
    : [addImmediate(ADDRESS, DATA_POINTER, 16 * random.below(64))];
  const width = random.pick(widths);
  const access = random.pick([
    [load(width, rt, ADDRESS)],
    [store(width, rt, ADDRESS)],
    [loadSigned(random.pick([1, 2]), random.pick([32, 64]), rt, ADDRESS)],
    [storePair(rt, rs, ADDRESS)],
    [loadPost(rt, ADDRESS, 8), storePost(rs, ADDRESS, 8)],
    [word(0xf820_0000 | (rs << 16) | (ADDRESS << 5) | rt)], // ldadd xs, xt, [x26]
    [word(0xf820_8000 | (rs << 16) | (ADDRESS << 5) | rt)], // swp
    [word(0xc8a0_7c00 | (rs << 16) | (ADDRESS << 5) | rt)], // cas
    [word(0xc85f_7c00 | (ADDRESS << 5) | rt), word(0xc818_7c00 | (ADDRESS << 5) | rs), 0xb5ff_ffd8], // ldxr, stxr w24, cbnz w24
    [word(0xc8df_fc00 | (ADDRESS << 5) | rt), word(0xc89f_fc00 | (ADDRESS << 5) | rs)], // ldar, stlr
  ]);
  return quiet(...at, ...access);
}

/**
 * Accesses to where there may be no memory, or a device of userspace's. All are aligned, and none is DC ZVA: with the MMU
 * off memory is Device memory, for which QEMU before 9 does not make the alignment faults of DDI 0487 B2.9. Nor is one any
 * other DC by address: to QEMU's CPUs those are NOP, where the architecture has a stage 2 abort with ISS.CM.
 */
function device({ random }: Maker): Snippet {
  const rt = random.below(8);
  const page = random.pick([
    0x0900_0000n,
    0x0900_0000n,
    0x0900_0100n,
    0x0900_1000n,
    0x0900_2000n,
    RO_SLOT,
    0x7000_0000n,
  ]);
  const at = mov64(ADDRESS, page + BigInt(8 * random.below(8)));
  const width = random.pick(widths);
  const access = random.pick([
    [load(width, rt, ADDRESS)],
    [store(width, rt, ADDRESS)],
    [store(width, rt, ADDRESS)],
    [store(width, XZR, ADDRESS)],
    [loadSigned(random.pick([1, 2]), random.pick([32, 64]), rt, ADDRESS)],
    [loadSigned(4, 64, rt, ADDRESS)],
    [loadPost(rt, ADDRESS, 8)],
    [storePair(rt, rt, ADDRESS)],
    [word(0xc85f_7c00 | (ADDRESS << 5) | rt)], // ldxr
    [word(0xf820_0000 | (ADDRESS << 5) | rt)], // ldadd
  ]);
  return { words: [...at, ...access], exits: 1 };
}

/** Beyond the IPA size, beyond the host's, in the middle of nowhere. */
function nowhere({ random }: Maker): Snippet {
  const address = random.pick([1n << 33n, 1n << 40n, 1n << 41n, 1n << 47n, 1n << 48n, 1n << 52n, 1n << 63n]);
  const access = random.pick([
    load(8, 1, ADDRESS),
    store(4, 1, ADDRESS),
    word(0xd61f_0000 | (ADDRESS << 5)),
    loadPost(2, ADDRESS, 8),
  ]);
  return { words: [...mov64(ADDRESS, address), access], exits: 1, last: true };
}

// biome-ignore format: table
const functions = [
  0x8400_0000, 0x8400_0003, 0xc400_0003, 0x8400_0004, 0xc400_0004, 0x8400_0005, 0x8400_0006, 0x8400_0007, 0x8400_0008,
  0x8400_0009, 0x8400_000a, 0x8400_000b, 0x8400_000d, 0x8400_000e, 0xc400_000e, 0x8400_000f, 0x8400_0010, 0x8400_0011,
  0x8400_0012, 0xc400_0012, 0x8400_0013, 0x8400_0014, 0x8400_0015, 0xc400_0015, 0x8400_0050, 0x8400_0051, 0x8400_0052,
  0x8000_0000, 0x8000_0001, 0x8000_8000, 0x8000_7fff, 0x8000_3fff, 0xc500_0020, 0xc500_0021, 0x8600_0000, 0x8600_ff01,
  0x8600_ff00, 0x8600_ff03, 0x8600_0040, 0x95c1_ba60, 0x95c1_ba61, 0x8500_0000, 0, 1, 0xffff_ffff,
];
/** Calls whose results nobody can foretell: the time, random numbers. */
// biome-ignore format: table
const unforeseeable = [0x8600_0001, 0x8400_0053, 0xc400_0053];

const SYSTEM_SUSPEND = [0x8400_000e, 0xc400_000e];
const CPU_ON = [0x8400_0003, 0xc400_0003, 0x95c1_ba60];

function call({ random }: Maker, vm: VmPlan): Snippet {
  const conduit = random.once(3)
    ? smc(random.once(3) ? random.below(4) : 0)
    : hvc(random.once(3) ? random.below(4) : 0);
  if (!vm.isDebugged && random.once(12)) {
    const id = random.pick(unforeseeable);
    const forget = [0, 1, 2, 3].map((n) => movz(n, 0));
    return { words: [...mov64(0, BigInt(id)), ...mov64(1, BigInt(random.below(3))), conduit, ...forget], exits: 0 };
  }
  const id = random.pick(functions);
  const target = vm.cpus.length > 0 && !random.once(6) ? random.pick(vm.cpus).id : random.below(4);
  const argument = random.pick([BigInt(random.pick(functions)), BigInt(target), 0n, 1n, 2n, 0x8000_0000n]);
  const first =
    CPU_ON.includes(id) || id === 0x8400_0004 || id === 0xc400_0004
      ? BigInt((target & 15) | ((target & 0xff0) << 4))
      : argument;
  // A vCPU that is turned on must end by itself.
  const second = CPU_ON.includes(id) || SYSTEM_SUSPEND.includes(id) ? RAM + BigInt(ENTRY) : BigInt(random.below(3));
  const words = [
    ...mov64(0, BigInt(id)),
    ...mov64(1, first),
    ...mov64(2, second),
    ...mov64(3, BigInt(random.below(100))),
  ];
  return { words: [...words, conduit], exits: 1 };
}

/** What would lead the guest astray, or reads the time. */
// biome-ignore format: table
const leftAlone = new Set(["SCTLR_EL1", "VBAR_EL1", "TCR_EL1", "TTBR0_EL1", "TTBR1_EL1", "CNTVCT_EL0", "CNTPCT_EL0", "CNTVCTSS_EL0",
  "CNTPCTSS_EL0", "CNTV_TVAL_EL0", "CNTP_TVAL_EL0", "CNTPS_TVAL_EL1", "CNTV_CTL_EL0", "CNTP_CTL_EL0", "PAR_EL1", "PMCCNTR_EL0", "RNDR", "RNDRRS", "PMXEVCNTR_EL0",
  "CNTV_CVAL_EL0", "CNTP_CVAL_EL0", "SCTLR2_EL1", "TCR2_EL1", "MAIR2_EL1", "SVCR", "FPCR", "FPSR", "FPMR", "HFGRTR_EL2"]);

/** Of the debug registers, QEMU before 8 lacks these: its UNDEFINED comes before KVM's trap. */
const leftAloneToo = /^(PMEVCNTR|DBGCLAIM|DBGPRCR|DBGDTR|DBGAUTHSTATUS|MDCCSR|OSDTR|OSECCR)/;

/** A capture does not say whether the host has SME, and kernels before 7.2 let guests meet it. */
const ofSme = /^(SMIDR|SMPRI|SMCR|TPIDR2|SVCR)/;

const isLeftAlone = (name: string): boolean => leftAlone.has(name) || leftAloneToo.test(name) || ofSme.test(name);

const guestRegisters = sysRegs.filter(({ name, encoding }) => !isLeftAlone(name) && encoding[0] >= 2);
const leftAloneEncodings = new Set(
  sysRegs.filter(({ name }) => isLeftAlone(name)).map(({ encoding }) => encoding.join(" ")),
);

/** Encodings whose values depend on the time. */
const timed = ([op0, op1, crn, crm]: SystemRegister): boolean =>
  op0 === 3 &&
  op1 === 3 &&
  ((crn === 14 && (crm <= 3 || crm >= 8)) || crn === 9 || crn === 13 || (crn === 2 && crm === 4) || crn === 4);

/**
 * 6.1 traps no ICC register of a VM without a GICv3 that works: they are those of the physical CPU, and what they hold is of whatever
 * VM was there before.
 */
const iccIsOthers = ({ facts }: Maker, vm: VmPlan): boolean => facts.kernel === "6.1" && !vm.gicIsWhole;

const isIcc = ([op0, op1, crn, crm]: SystemRegister): boolean =>
  op0 === 3 && op1 === 0 && (crn === 12 ? crm >= 8 : crn === 4 && crm === 6);

/** CTR_EL0: guests of 6.1 read the CPU's own, userspace what the kernel makes of it (IDC); a capture has only that. */
const isCtr = ([op0, op1, crn, crm, op2]: SystemRegister): boolean =>
  op0 === 3 && op1 === 3 && crn === 0 && crm === 0 && op2 === 1;

/** ICC_BPR0_EL1, ICC_BPR1_EL1. */
const isBinaryPoint = ([op0, op1, crn, crm, op2]: SystemRegister): boolean =>
  op0 === 3 && op1 === 0 && crn === 12 && ((crm === 8 && op2 === 3) || (crm === 12 && op2 === 3));

/** Whether this is ICC_IGRPEN<group>_EL1. */
const enablesGroup = ([op0, op1, crn, crm, op2]: SystemRegister, group: 0 | 1): boolean =>
  op0 === 3 && op1 === 0 && crn === 12 && crm === 12 && op2 === 6 + group;

/**
 * Groups that are not to be enabled, or disabled, are left alone. A binary point is written by itself (`interrupts`): QEMU
 * raises it to the least there is before it takes the three bits, not after.
 */
function writable(m: Maker, vm: VmPlan, register: SystemRegister): boolean {
  if (isBinaryPoint(register)) return false;
  const groups = groupsOf(m, vm);
  return !(groups === "group 1" && enablesGroup(register, 0)) && !(groups === "group 0" && enablesGroup(register, 1));
}

function someRegister(m: Maker, vm: VmPlan): SystemRegister {
  for (;;) {
    const register = anyRegister(m);
    if (isIcc(register) && iccIsOthers(m, vm)) continue;
    if (isCtr(register) && m.facts.kernel === "6.1") continue;
    return register;
  }
}

function anyRegister({ random }: Maker): SystemRegister {
  for (;;) {
    if (!random.once(8)) return random.pick(guestRegisters).encoding as SystemRegister;
    const encoding = [
      random.between(2, 3),
      random.below(8),
      random.below(16),
      random.below(16),
      random.below(8),
    ] as const;
    if (
      !leftAloneEncodings.has(encoding.join(" ")) &&
      !timed(encoding) &&
      encoding[2] !== 1 &&
      encoding[2] !== 2 &&
      !(encoding[2] === 12 && encoding[3] === 0)
    )
      return encoding;
  }
}

function system(m: Maker, vm: VmPlan): Snippet {
  const { random } = m;
  const register = someRegister(m, vm);
  const rt = random.below(8);
  const write = random.once(3) && writable(m, vm, register);
  return { words: [write ? msr(register, rt) : mrs(rt, register)], exits: random.once(3) ? 1 : 0 };
}

// No AT: with the MMU off QEMU 7.2 writes NS and no SH to PAR_EL1.
// biome-ignore format: table
const maintenance = [
  0xd50b_7a20, 0xd50b_7b20, 0xd50b_7e20, 0xd508_7620, 0xd508_7640, 0xd508_7a40, 0xd508_7e40, 0xd50b_7520, 0xd508_751f,
  0xd508_711f, 0xd508_871f, 0xd508_831f, 0xd508_8720, 0xd508_8760, 0xd508_8780, 0xd508_87a0, 0xd503_3f9f, 0xd503_3fdf, 0xd503_3bbf, 0xd503_203f, 0xd503_209f, 0xd503_20bf, 0xd503_201f,
];

function maintain({ random }: Maker): Snippet {
  const operation = random.pick(maintenance);
  // Those of a register take an address in the data.
  const register = (operation & 31) === 0 ? ADDRESS : 0;
  return quiet(addImmediate(ADDRESS, DATA_POINTER, 64 * random.below(8)), word(operation | register));
}

function gicFrame({ random }: Maker): Snippet {
  const [base, offset] = random.once(2)
    ? [
        DIST,
        random.pick([
          0, 4, 8, 0x80, 0x84, 0x100, 0x104, 0x180, 0x184, 0x200, 0x204, 0x280, 0x300, 0x304, 0x380, 0x400, 0x420,
          0x424, 0x800, 0xc00, 0xc08, 0xd04, 0xf00, 0x6100, 0x6108, 0xffe8, 0xffd0, 2,
        ]),
      ]
    : [
        REDIST + (random.once(4) ? 0x2_0000n : 0n),
        random.pick([
          0, 4, 8, 0xc, 0x10, 0x14, 0x70, 0x78, 0xffe8, 0x1_0080, 0x1_0100, 0x1_0180, 0x1_0200, 0x1_0280, 0x1_0300,
          0x1_0400, 0x1_0410, 0x1_0c00, 0x1_0c04, 0x1_0d00,
        ]),
      ];
  const width = random.weighted({ "4": 8, "8": 2, "1": 2, "2": 1 });
  const rt = random.below(8);
  const value = mov64(rt, random.pick([0n, 1n, 2n, 0xffn, 0xffff_ffffn, 0x8000_0000n, 0xa0a0_a0a0n, 0x13n]));
  const access = random.once(2)
    ? [load(Number(width) as Width, rt, ADDRESS)]
    : [...value, store(Number(width) as Width, rt, ADDRESS)];
  return { words: [...mov64(ADDRESS, base + BigInt(offset)), ...access], exits: 0 };
}

// biome-ignore format: table
const iccRegisters: readonly SystemRegister[] = [
  [3, 0, 4, 6, 0], [3, 0, 12, 8, 0], [3, 0, 12, 8, 1], [3, 0, 12, 8, 2], [3, 0, 12, 8, 3], [3, 0, 12, 8, 4], [3, 0, 12, 9, 0],
  [3, 0, 12, 11, 1], [3, 0, 12, 11, 3], [3, 0, 12, 11, 5], [3, 0, 12, 11, 6], [3, 0, 12, 11, 7], [3, 0, 12, 12, 0],
  [3, 0, 12, 12, 1], [3, 0, 12, 12, 2], [3, 0, 12, 12, 3], [3, 0, 12, 12, 4], [3, 0, 12, 12, 5], [3, 0, 12, 12, 6],
  [3, 0, 12, 12, 7],
];

function interrupts(m: Maker, vm: VmPlan): Snippet {
  const { random } = m;
  const rt = random.below(8);
  const open = [movz(rt, 0xff), msr([3, 0, 4, 6, 0], rt), movz(rt, 1), msr([3, 0, 12, 12, 7], rt), 0xd503_3fdf];
  switch (random.below(5)) {
    case 0:
      return quiet(...open);
    case 3:
      return quiet(movz(rt, random.below(8)), msr(random.pick(iccRegisters.filter(isBinaryPoint)), rt));
    case 1:
      return {
        words: [...(random.once(2) ? open : []), daifClear(random.pick([2, 3, 4, 7, 15])), 0xd503_3fdf, nop, nop],
        exits: 1,
      };
    case 2:
      return quiet(
        ...mov64(rt, random.pick([1n, 0x0500_0001n, 2n, 1n << 40n, 27n, 33n, 0xffffn])),
        msr(random.pick(iccRegisters.filter((register) => writable(m, vm, register))), rt),
      );
    default:
      return iccIsOthers(m, vm) ? quiet(...open) : quiet(mrs(rt, random.pick(iccRegisters)));
  }
}

/**
 * Timers whose condition is met, or never will be. Without a GIC an unmasked one would end the run, sooner or later: only
 * its condition is looked at.
 */
function timers({ random }: Maker, vm: VmPlan): Snippet {
  const crm = random.pick([2, 3]);
  const rt = random.below(8);
  const met = random.once(2);
  const cval = met ? [movz(rt, 0)] : mov64(rt, NEVER);
  const quiet = met && !vm.gicIsWhole;
  const control = [
    movz(rt, quiet ? random.pick([0, 2, 3]) : random.below(4)),
    msr([3, 3, 14, crm, 1], rt),
    0xd503_3fdf,
    mrs(rt, [3, 3, 14, crm, 1]),
  ];
  const now = [mrs(SCRATCH, [3, 3, 14, 0, random.pick([1, 2])]), movz(SCRATCH, 0)];
  const words = [msr([3, 3, 14, crm, 1], XZR), ...cval, msr([3, 3, 14, crm, 2], rt), ...control];
  return { words: [...words, ...(random.once(3) ? now : [])], exits: 0 };
}

/** No returns to AArch32 at EL0: what is at ENTRY is no program there, and may not end. */
function exception(m: Maker): Snippet {
  const { random } = m;
  const to = (address: bigint, spsr: bigint) => [
    ...mov64(ADDRESS, address),
    msr([3, 0, 4, 0, 1], ADDRESS), // elr_el1
    ...mov64(SCRATCH, spsr),
    msr([3, 0, 4, 0, 0], SCRATCH), // spsr_el1
    0xd69f_03e0, // eret
  ];
  const words = random.pick([
    [0xd400_0001 | (random.below(4) << 5)], // svc
    [brk(random.below(4))],
    [0], // udf
    [0xd420_0000], // hlt is 0xd440_0000
    [0xd440_0000],
    to(RAM + 2n, 0x3c5n),
    to(RAM + BigInt(ENTRY), 0x3c5n),
    to(RAM + BigInt(ENTRY), 0x3c0n),
    to(RAM + BigInt(ENTRY), random.pick([0x3c4n, 0x3c9n, 0x1d3n, 0x3c1n, 0x3cdn, (1n << 20n) | 0x3c5n])),
    [
      ...mov64(ADDRESS, RAM + BigInt(DATA) + 0x800n),
      ...mov64(1, 0xd400_0001n),
      store(4, 1, ADDRESS),
      ...to(RAM + BigInt(DATA) + 0x800n, 0x3c0n),
    ],
  ]);
  return { words: words.map(word), exits: 1, last: true };
}

const kinds = {
  compute: 8,
  memory: 10,
  device: 14,
  nowhere: 2,
  call: 12,
  system: 16,
  maintain: 4,
  gicFrame: 8,
  interrupts: 8,
  timers: 3,
  exception: 3,
} as const;

function snippet(m: Maker, vm: VmPlan): Snippet {
  switch (m.random.weighted(kinds)) {
    case "compute":
      return compute(m);
    case "memory":
      return memory(m);
    case "device":
      return device(m);
    case "nowhere":
      return nowhere(m);
    case "call":
      return call(m, vm);
    case "system":
      return system(m, vm);
    case "maintain":
      return maintain(m);
    case "gicFrame":
      return gicFrame(m);
    case "interrupts":
      return interrupts(m, vm);
    case "timers":
      return timers(m, vm);
    case "exception":
      return exception(m);
  }
}

/** A program and the runs that take it to its end, as a rule. Gives how many more runs it may need. */
export function launchOp(m: Maker, vm: VmPlan, cpu: CpuPlan): number {
  const { random } = m;
  const words: number[] = [];
  let exits = 1;
  for (let n = random.between(1, 5); n > 0; n--) {
    const { words: some, exits: more, last } = snippet(m, vm);
    words.push(...some);
    exits += more;
    if (last) break;
  }
  const values = new BigUint64Array(Array.from({ length: 8 }, () => random.value64()));
  m.emit("cpu.launch", cpu.name, new Uint8Array(Uint32Array.from(words).buffer), new Uint8Array(values.buffer));
  return exits;
}

export function runOp(m: Maker, cpu: CpuPlan): void {
  const { random } = m;
  if (random.once(10)) m.emit("cpu.runImmediate", cpu.name);
  else
    m.emit("cpu.run", cpu.name, random.once(2) ? new Uint8Array(new BigUint64Array([random.value64()]).buffer) : null);
}
