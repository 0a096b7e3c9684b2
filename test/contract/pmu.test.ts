// The PMU as the guest finds it: its registers, counters, events and interrupt. DDI 0487 D13;
// Documentation/virt/kvm/devices/vcpu.rst 1.

import assert from "node:assert/strict";
import { pc, sysReg } from "../../lib/arm64/registers.js";
import { type SysRegName, sysRegByName } from "../../lib/arm64/sysregs.js";
import { KVM_ARM_VCPU_GROUP as GROUP } from "../../lib/uapi/constants.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import type { Vcpu } from "../../lib/vcpu.js";
import { addImmediate, branchNonZero, mov64, mrs, msr, store, subsImmediate } from "../support/assemble.js";
import { type Host, needs, onEveryBackend, onHost } from "../support/backends.js";
import { completeExit, finish, makeGuest, RAM, runToExit } from "../support/guest.js";

const [PMU_INIT, PMU_FILTER, PMU_SET_COUNTERS] = [1n, 2n, 4n];
const ALL = 0xffff_ffff_ffff_ffffn;
/** PMCR_EL0: enable, and a long cycle counter. */
const [E, LC] = [1n, 0x40n];
const CYCLES = 0x8000_0000n;
const [SW_INCR, CPU_CYCLES, CHAIN] = [0n, 0x11n, 0x1en];

const RESULTS = 0x8_0000n;
const VECTORS = 0x1_0000n;
const CODE = 0x1000n;
/** What a read leaves that the guest may not make. */
const UNDEFINED = 0xdeadn;

type Step = readonly ["write", SysRegName, bigint] | readonly ["read", SysRegName] | readonly ["loop", number];

const words = (step: Step): readonly number[] => {
  if (step[0] === "loop") return [...mov64(2, BigInt(step[1])), subsImmediate(2, 2, 1), branchNonZero(2, -4)];
  if (step[0] === "write") return [...mov64(1, step[2]), msr(sysRegByName(step[1]).encoding, 1)];
  return [...mov64(1, UNDEFINED), mrs(1, sysRegByName(step[1]).encoding), store(8, 1, 20), addImmediate(20, 20, 8)];
};

/** The exception vector of the guest's own EL: skips the instruction. */
const skip = [mrs(10, [3, 0, 4, 0, 1]), addImmediate(10, 10, 4), msr([3, 0, 4, 0, 1], 10), 0xd69f_03e0];

interface Ran {
  readonly cpu: Vcpu;
  /** What the steps read, in their order. */
  readonly reads: readonly bigint[];
  /** kvm_run.s.regs.device_irq_level at each exit that its change made. */
  readonly levels: readonly bigint[];
}

/** A guest that takes the steps with a PMU. */
async function run(host: Host, steps: readonly Step[], prepare?: (cpu: Vcpu) => void): Promise<Ran> {
  const { ram, cpu } = makeGuest(host, [], { features: ["psci-0.2", "pmu-v3"] });
  const memory = new DataView(ram.bytes.buffer, ram.bytes.byteOffset, ram.bytes.byteLength);
  const put = (at: bigint, code: readonly number[]) => {
    for (const [n, word] of code.entries()) memory.setUint32(Number(at) + 4 * n, word, true);
  };
  put(CODE, [...mov64(20, RAM + RESULTS), ...steps.flatMap(words), ...finish]);
  put(VECTORS + 0x200n, skip);
  cpu.setReg(sysReg("VBAR_EL1"), RAM + VECTORS);
  cpu.setReg(pc, RAM + CODE);
  prepare?.(cpu);
  cpu.setAttr(GROUP.PMU_V3, PMU_INIT);
  const levels: bigint[] = [];
  for (;;) {
    const { reason } = await runToExit(cpu);
    if (reason === "mmio") break;
    levels.push(cpu.deviceIrqLevel);
  }
  completeExit(cpu);
  const count = steps.filter(([what]) => what === "read").length;
  const reads = Array.from({ length: count }, (_, n) => memory.getBigUint64(Number(RESULTS) + 8 * n, true));
  return { cpu, reads, levels };
}

/** Nothing counts, nothing overflowed, no interrupt is enabled, all counters are 0. */
const quiet: readonly Step[] = [
  ["write", "PMCNTENCLR_EL0", ALL],
  ["write", "PMINTENCLR_EL1", ALL],
  ["write", "PMOVSCLR_EL0", ALL],
  ["write", "PMCR_EL0", 6n],
];
const read = (...names: readonly SysRegName[]): Step[] => names.map((name) => ["read", name]);

onEveryBackend("the guest's PMU", (host) => {
  beforeEach(function () {
    needs(this, host, "ARM_PMU_V3");
  });
  const counters = (cpu: Vcpu) => Number((cpu.getReg(sysReg("PMCR_EL0")) >> 11n) & 0x1fn);

  it("has as many event counters as PMCR_EL0 says: the others are UNDEFINED", async () => {
    const { cpu, reads } = await run(host, read("PMCR_EL0", "PMEVCNTR0_EL0", "PMEVCNTR30_EL0", "PMEVTYPER30_EL0"));
    assert.equal((reads[0]! >> 11n) & 0x1fn, BigInt(counters(cpu)));
    assert.deepEqual(reads.slice(1), [0xdbad_c0den, UNDEFINED, UNDEFINED]);
  });

  it("sets and clears by its pairs of registers, for the counters that there are", async () => {
    const pairs = [
      ["PMCNTENSET_EL0", "PMCNTENCLR_EL0"],
      ["PMOVSSET_EL0", "PMOVSCLR_EL0"],
      ["PMINTENSET_EL1", "PMINTENCLR_EL1"],
    ] as const;
    const { cpu, reads } = await run(
      host,
      pairs.flatMap(([set, clear]): Step[] => [
        ["write", clear, ALL],
        ["write", set, ALL],
        ["read", clear],
        ["write", clear, 1n],
        ["read", set],
      ]),
    );
    const there = CYCLES | ((1n << BigInt(counters(cpu))) - 1n);
    assert.deepEqual(reads, [there, there & ~1n, there, there & ~1n, there, there & ~1n]);
  });

  it("keeps no reset bits in PMCR_EL0, and resets its counters by them", async () => {
    const { reads } = await run(host, [
      ...quiet,
      ["write", "PMCCNTR_EL0", 5n],
      ["write", "PMEVCNTR0_EL0", 6n],
      ["write", "PMCR_EL0", 2n],
      ...read("PMCCNTR_EL0", "PMEVCNTR0_EL0"),
      ["write", "PMCR_EL0", 4n],
      ...read("PMCCNTR_EL0", "PMCR_EL0"),
    ]);
    assert.deepEqual([reads[0], reads[1], reads[2], reads[3]! & 6n], [5n, 0n, 0n, 0n]);
  });

  it("counts software increments of the counters that are enabled and count them", async () => {
    const { reads } = await run(host, [
      ...quiet,
      ["write", "PMEVTYPER0_EL0", SW_INCR],
      ["write", "PMEVTYPER1_EL0", CPU_CYCLES],
      ["write", "PMEVTYPER2_EL0", SW_INCR],
      ["write", "PMCNTENSET_EL0", 3n],
      ["write", "PMSWINC_EL0", ALL],
      ["write", "PMCR_EL0", E],
      ["write", "PMCNTENCLR_EL0", 2n],
      ["write", "PMEVCNTR1_EL0", 0n],
      ["write", "PMSWINC_EL0", ALL],
      ["write", "PMSWINC_EL0", 1n],
      ...read("PMEVCNTR0_EL0", "PMEVCNTR1_EL0", "PMEVCNTR2_EL0"),
    ]);
    assert.deepEqual(reads, [2n, 0n, 0n]);
  });

  it("carries an overflow into the next counter that counts CHAIN", async () => {
    const { reads } = await run(host, [
      ...quiet,
      ["write", "PMEVTYPER0_EL0", SW_INCR],
      ["write", "PMEVTYPER1_EL0", CHAIN],
      ["write", "PMEVCNTR0_EL0", 0xffff_ffffn],
      ["write", "PMEVCNTR1_EL0", 7n],
      ["write", "PMCNTENSET_EL0", 3n],
      ["write", "PMCR_EL0", E],
      ["write", "PMSWINC_EL0", 1n],
      ...read("PMEVCNTR0_EL0", "PMEVCNTR1_EL0", "PMOVSSET_EL0"),
    ]);
    assert.deepEqual([reads[0]! & 0xffff_ffffn, reads[1], reads[2]], [0n, 8n, 1n]);
  });

  it("drives its interrupt while an overflow is pending whose interrupt is enabled", async () => {
    const { levels } = await run(host, [
      ...quiet,
      ["write", "PMEVTYPER0_EL0", SW_INCR],
      ["write", "PMEVCNTR0_EL0", 0xffff_ffffn],
      ["write", "PMCNTENSET_EL0", 1n],
      ["write", "PMINTENSET_EL1", 1n],
      ["write", "PMCR_EL0", E],
      ["write", "PMSWINC_EL0", 1n],
      ["loop", 1000],
      ["write", "PMOVSCLR_EL0", 1n],
    ]);
    assert.deepEqual(levels, [4n, 0n]);
  });

  it("counts cycles while the guest runs, at the levels that are not left out", async () => {
    const { reads } = await run(host, [
      ...quiet,
      ["write", "PMCCFILTR_EL0", 0n],
      ["write", "PMCNTENSET_EL0", CYCLES],
      ["write", "PMCR_EL0", E | LC],
      ["loop", 1000],
      ["read", "PMCCNTR_EL0"],
      ["write", "PMCCFILTR_EL0", 1n << 31n],
      ["read", "PMCCNTR_EL0"],
      ["loop", 1000],
      ["read", "PMCCNTR_EL0"],
    ]);
    assert.ok(reads[0]! >= 1000n);
    assert.equal(reads[1], reads[2]);
  });

  it("overflows in a short cycle counter, but for 6.1", async () => {
    const { reads } = await run(host, [
      ...quiet,
      ["write", "PMCCFILTR_EL0", 0n],
      ["write", "PMCCNTR_EL0", 0xffff_f000n],
      ["write", "PMCNTENSET_EL0", CYCLES],
      ["write", "PMCR_EL0", E],
      ["loop", 200_000],
      ...read("PMCCNTR_EL0", "PMOVSSET_EL0"),
    ]);
    assert.ok(reads[0]! > 0xffff_ffffn);
    assert.equal(reads[1], onHost(host, { "6.1": 0n, "6.12": CYCLES, "7.2": CYCLES }));
  });

  it("offers only the events that the filter leaves, and counts no others", async () => {
    const allow = (base_event: number) => (cpu: Vcpu) =>
      cpu.setAttr(GROUP.PMU_V3, PMU_FILTER, pack(structs.kvm_pmu_event_filter, { base_event, nevents: 1, action: 0 }));
    const steps: Step[] = [
      ...quiet,
      ["write", "PMCCFILTR_EL0", 0n],
      ["write", "PMCNTENSET_EL0", CYCLES],
      ["write", "PMCR_EL0", E | LC],
      ["loop", 1000],
      ...read("PMCCNTR_EL0", "PMCEID0_EL0"),
    ];
    const cycles = await run(host, steps, allow(0x11));
    const others = await run(host, steps, allow(0));
    assert.ok(cycles.reads[0]! > 0n);
    assert.deepEqual([cycles.reads[1], others.reads[0], others.reads[1]], [1n << 0x11n, 0n, 1n]);
  });

  it("reads no bits of PMSELR_EL0 and PMUSERENR_EL0 that they do not have, whatever userspace wrote", async () => {
    const names = ["PMSELR_EL0", "PMUSERENR_EL0"] as const;
    const { cpu, reads } = await run(host, [...quiet, ...read(...names)], (cpu) => {
      for (const name of names) cpu.setReg(sysReg(name), ALL);
    });
    assert.deepEqual(reads, [31n, 15n]);
    assert.deepEqual(
      names.map((name) => cpu.getReg(sysReg(name))),
      [ALL, ALL],
    );
  });

  it("writes PMSELR_EL0 as it is, and what there is of PMUSERENR_EL0", async () => {
    const { cpu } = await run(host, [...quiet, ["write", "PMSELR_EL0", ALL], ["write", "PMUSERENR_EL0", ALL]]);
    assert.deepEqual([cpu.getReg(sysReg("PMSELR_EL0")), cpu.getReg(sysReg("PMUSERENR_EL0"))], [ALL, 15n]);
  });

  it("reads on 6.1 no bits of an event's type that there are not, since 6.12 what userspace wrote", async () => {
    const names = ["PMEVTYPER0_EL0", "PMCCFILTR_EL0"] as const;
    const { reads } = await run(host, [...quiet, ...read(...names)], (cpu) => {
      for (const name of names) cpu.setReg(sysReg(name), ALL);
    });
    const expected = host.kernel === "6.1" ? 0xc800_ffffn : ALL;
    assert.deepEqual(reads, [expected, expected]);
  });

  it("selects the counter of PMXEVTYPER_EL0 and PMXEVCNTR_EL0 by PMSELR_EL0; 31 is the cycle counter", async () => {
    const { reads } = await run(host, [
      ...quiet,
      ["write", "PMSELR_EL0", 1n],
      ["write", "PMXEVCNTR_EL0", 0x123n],
      ["write", "PMSELR_EL0", 31n],
      ["write", "PMXEVTYPER_EL0", 1n << 30n],
      ["write", "PMSELR_EL0", 30n],
      ...read("PMEVCNTR1_EL0", "PMCCFILTR_EL0", "PMXEVCNTR_EL0"),
    ]);
    assert.deepEqual(reads, [0x123n, 1n << 30n, UNDEFINED]);
  });
});

onEveryBackend("the registers of the PMU", (host) => {
  beforeEach(function () {
    needs(this, host, "ARM_PMU_V3");
  });
  const vcpu = () => makeGuest(host, [], { features: ["pmu-v3"] }).cpu;

  it("set and clear by KVM_SET_ONE_REG on 6.12; assign on 7.2, and on 6.1 any bits", () => {
    const cpu = vcpu();
    const [set, clear] = [sysReg("PMCNTENSET_EL0"), sysReg("PMCNTENCLR_EL0")];
    const there = CYCLES | ((1n << ((cpu.getReg(sysReg("PMCR_EL0")) >> 11n) & 0x1fn)) - 1n);
    cpu.setReg(set, ALL);
    const all = cpu.getReg(clear);
    cpu.setReg(set, 1n);
    const one = cpu.getReg(set);
    cpu.setReg(clear, CYCLES);
    assert.deepEqual(
      [all, one, cpu.getReg(set)],
      onHost(host, {
        "6.1": [ALL, 1n, CYCLES],
        "6.12": [there, there, there & ~CYCLES],
        "7.2": [there, 1n, CYCLES],
      }),
    );
  });

  it("have 64 bits as the cycle counter, and 32 as an event counter of 6.1", () => {
    const cpu = vcpu();
    cpu.setReg(sysReg("PMCCNTR_EL0"), ALL);
    cpu.setReg(sysReg("PMEVCNTR0_EL0"), ALL);
    const long = ((cpu.getReg(sysReg("ID_AA64DFR0_EL1")) >> 8n) & 15n) >= 6n ? ALL : 0xffff_ffffn;
    assert.equal(cpu.getReg(sysReg("PMCCNTR_EL0")), ALL);
    assert.equal(cpu.getReg(sysReg("PMEVCNTR0_EL0")), onHost(host, { "6.1": 0xffff_ffffn, "6.12": long, "7.2": long }));
  });

  it("read 0 and ignore writes as PMSWINC_EL0", () => {
    const cpu = vcpu();
    cpu.setReg(sysReg("PMSWINC_EL0"), ALL);
    assert.equal(cpu.getReg(sysReg("PMSWINC_EL0")), 0n);
  });

  it("have as many counters as KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS says, where there is that", () => {
    const cpu = vcpu();
    const has = cpu.hasAttr(GROUP.PMU_V3, PMU_SET_COUNTERS);
    assert.equal(has, onHost(host, { "6.1": false, "6.12": false, "7.2": true }));
    if (!has) return;
    cpu.setAttr(GROUP.PMU_V3, PMU_SET_COUNTERS, 2);
    cpu.setReg(sysReg("PMCNTENSET_EL0"), ALL);
    assert.equal((cpu.getReg(sysReg("PMCR_EL0")) >> 11n) & 0x1fn, 2n);
    assert.equal(cpu.getReg(sysReg("PMCNTENSET_EL0")), CYCLES | 3n);
  });
});
