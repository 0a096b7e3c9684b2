// The PMU's counters as the guest has them. DDI 0487 D13; Documentation/virt/kvm/devices/vcpu.rst 1.

import assert from "node:assert/strict";
import { pc, sysReg, x } from "../../lib/arm64/registers.js";
import { KVM_ARM_VCPU_GROUP as GROUP } from "../../lib/uapi/constants.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import type { Vcpu } from "../../lib/vcpu.js";
import { isb, mov64, movz, mrs, msr, nop } from "../support/assemble.js";
import { needs, onEveryBackend } from "../support/backends.js";
import { exceptionClass, finish, type Guest, makeGuest, RAM, runToExit, runToFinish } from "../support/guest.js";
import { setVectors } from "../support/vectors.js";

const PMCR = [3, 3, 9, 12, 0] as const;
const PMCNTENSET = [3, 3, 9, 12, 1] as const;
const PMCNTENCLR = [3, 3, 9, 12, 2] as const;
const PMOVSCLR = [3, 3, 9, 12, 3] as const;
const PMSWINC = [3, 3, 9, 12, 4] as const;
const PMCCNTR = [3, 3, 9, 13, 0] as const;
const PMOVSSET = [3, 3, 9, 14, 3] as const;
const PMINTENSET = [3, 0, 9, 14, 1] as const;
const PMINTENCLR = [3, 0, 9, 14, 2] as const;
const counter = (n: number) => [3, 3, 14, 8 + (n >> 3), n & 7] as const;
const eventType = (n: number) => [3, 3, 14, 12 + (n >> 3), n & 7] as const;

const CYCLES = 1n << 31n;
const [ENABLE, RESET_EVENTS] = [1, 2]; // PMCR_EL0.E, P
const PMU_LINE = 4n; // of device_irq_level
const [PMU_INIT, PMU_FILTER] = [1n, 2n];
const DENY = 1;

onEveryBackend("the PMU in the guest", (host) => {
  beforeEach(function () {
    needs(this, host, "ARM_PMU_V3");
  });

  const setUp = (code: readonly number[], prepare: (cpu: Vcpu) => void = () => {}): Guest => {
    const guest = makeGuest(host, [...code, ...finish], { features: ["pmu-v3"] });
    prepare(guest.cpu);
    guest.cpu.setAttr(GROUP.PMU_V3, PMU_INIT);
    setVectors(guest);
    guest.cpu.setReg(pc, RAM);
    return guest;
  };
  const countersOf = (cpu: Vcpu): bigint => (cpu.getReg(sysReg("PMCR_EL0")) >> 11n) & 0x1fn;
  const lower = (counters: bigint) => (cpu: Vcpu) =>
    cpu.setReg(sysReg("PMCR_EL0"), (cpu.getReg(sysReg("PMCR_EL0")) & ~(0x1fn << 11n)) | (counters << 11n));
  /** What is enabled and overflowed after INIT is UNKNOWN. */
  const clear = [...mov64(1, 2n ** 64n - 1n), msr(PMOVSCLR, 1), msr(PMINTENCLR, 1), msr(PMCNTENCLR, 1)];
  /** Counter 0 counts software increments, from a value on. */
  const counting = (from: bigint) => [
    ...clear,
    msr(eventType(0), 31), // SW_INCR
    ...mov64(1, from),
    msr(counter(0), 1),
    movz(2, 1),
    msr(PMCNTENSET, 2),
    movz(3, ENABLE),
    msr(PMCR, 3),
    isb,
  ];
  const increment = [movz(2, 1), msr(PMSWINC, 2), isb];

  it("PMCR_EL0.N is what userspace reads", async () => {
    const { cpu } = setUp([mrs(0, PMCR)]);
    await runToFinish(cpu);
    assert.equal((cpu.getReg(x(0)) >> 11n) & 0x1fn, countersOf(cpu));
  });

  for (const [name, set, clr] of [
    ["PMCNTEN", PMCNTENSET, PMCNTENCLR],
    ["PMINTEN", PMINTENSET, PMINTENCLR],
    ["PMOVS", PMOVSSET, PMOVSCLR],
  ] as const) {
    it(`${name} has a bit for each counter and one for the cycles, by SET and CLR`, async () => {
      const { cpu } = setUp([
        ...mov64(1, 2n ** 64n - 1n),
        msr(clr, 1),
        mrs(0, set),
        msr(set, 1),
        mrs(2, clr),
        msr(clr, 1),
        mrs(3, set),
      ]);
      const all = ((1n << countersOf(cpu)) - 1n) | CYCLES;
      await runToFinish(cpu);
      assert.deepEqual([cpu.getReg(x(0)), cpu.getReg(x(2)), cpu.getReg(x(3))], [0n, all, 0n]);
    });
  }

  it("with fewer counters by userspace, their bits are 0 and the others are UNDEFINED", async function () {
    needs(this, host, "ARM_SUPPORTED_REG_MASK_RANGES");
    const { cpu } = setUp(
      [...mov64(1, 2n ** 64n - 1n), msr(PMCNTENSET, 1), mrs(2, PMCNTENSET), mrs(3, counter(1)), mrs(4, counter(2))],
      lower(2n),
    );
    await runToFinish(cpu);
    assert.deepEqual([countersOf(cpu), cpu.getReg(x(2))], [2n, CYCLES | 3n]);
    assert.deepEqual([exceptionClass(cpu), cpu.getReg(x(4))], [0n, 0n]);
  });

  it("fewer counters stay over a second INIT", function () {
    needs(this, host, "ARM_SUPPORTED_REG_MASK_RANGES");
    const { cpu } = setUp([], lower(2n));
    cpu.init({ features: ["pmu-v3"] });
    assert.equal(countersOf(cpu), 2n);
  });

  it("counts software increments where it is enabled", async () => {
    const { cpu } = setUp([
      ...increment,
      ...counting(5n),
      ...increment,
      ...increment,
      mrs(0, counter(0)),
      movz(2, 1),
      msr(PMCNTENCLR, 2),
      isb,
      ...increment,
      mrs(4, counter(0)),
    ]);
    await runToFinish(cpu);
    assert.deepEqual([cpu.getReg(x(0)), cpu.getReg(x(4))], [7n, 7n]);
    assert.equal(cpu.getReg(sysReg("PMEVCNTR0_EL0")), 7n);
  });

  it("an overflow is in PMOVSSET_EL0, until it is cleared", async () => {
    const { cpu } = setUp([
      ...counting(0xffff_ffffn),
      ...increment,
      mrs(0, PMOVSSET),
      mrs(4, counter(0)),
      msr(PMOVSCLR, 2),
      mrs(5, PMOVSSET),
    ]);
    await runToFinish(cpu);
    assert.deepEqual([cpu.getReg(x(0)) & 1n, cpu.getReg(x(4)) & 0xffff_ffffn, cpu.getReg(x(5)) & 1n], [1n, 0n, 0n]);
  });

  it("an overflow with its interrupt enabled raises the line in the run page, without an interrupt controller", async () => {
    const { cpu } = setUp([...counting(0xffff_ffffn), movz(2, 1), msr(PMINTENSET, 2), ...increment, nop, nop]);
    const exit = await runToExit(cpu);
    assert.equal(exit.reason, "interrupted");
    assert.equal(cpu.deviceIrqLevel & PMU_LINE, PMU_LINE);
  });

  it("PMCR_EL0.P sets the event counters to 0", async () => {
    const { cpu } = setUp([
      ...counting(77n),
      movz(3, RESET_EVENTS | ENABLE),
      msr(PMCR, 3),
      isb,
      mrs(0, counter(0)),
      mrs(4, PMCR),
    ]);
    await runToFinish(cpu);
    assert.deepEqual([cpu.getReg(x(0)), cpu.getReg(x(4)) & 7n], [0n, BigInt(ENABLE)]);
  });

  it("software increments count even where the filter denies their event", async () => {
    const { cpu } = setUp([...counting(5n), ...increment, mrs(0, counter(0))], (one) =>
      one.setAttr(
        GROUP.PMU_V3,
        PMU_FILTER,
        pack(structs.kvm_pmu_event_filter, { base_event: 0, nevents: 1, action: DENY }),
      ),
    );
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), 6n);
  });

  it("the cycle counter stands still until it is enabled, and keeps what it was set to", async () => {
    const { cpu } = setUp([...mov64(1, 0x1234_5678n), msr(PMCNTENCLR, 2), msr(PMCCNTR, 1), isb, nop, mrs(0, PMCCNTR)]);
    cpu.setReg(x(2), 2n ** 64n - 1n);
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), 0x1234_5678n);
  });

  it("without the feature its registers are UNDEFINED", async () => {
    const guest = makeGuest(host, [mrs(0, PMCR), ...finish]);
    setVectors(guest);
    await runToFinish(guest.cpu);
    assert.equal(exceptionClass(guest.cpu), 0n);
  });
});
