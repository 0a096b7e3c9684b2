// The timers as the guest has them. DDI 0487 D11; Documentation/virt/kvm/api.rst 4.138, 5 ("device_irq_level").

import assert from "node:assert/strict";
import { decode } from "../../lib/arm64/fields.js";
import { pc, sysReg, x } from "../../lib/arm64/registers.js";
import {
  add,
  addImmediate,
  branchBitZero,
  daifClear,
  isb,
  mov64,
  movz,
  mrs,
  msr,
  spin,
  sub,
  wfi,
  XZR,
} from "../support/assemble.js";
import { needs, needsDevice, onEveryBackend } from "../support/backends.js";
import { acknowledge, enableInterrupt, endOfInterrupt, makeGicGuest } from "../support/gic.js";
import { finish, makeGuest, RAM, runToExit, runToFinish, runUntil } from "../support/guest.js";
import { setVectors } from "../support/vectors.js";

/** More ticks than pass while a test runs, of a counter of at most 1 GHz. */
const SOON = 60_000_000_000n;
/** QEMU 7.2 goes round in circles over a deadline that wraps when the counter's offset is added. */
const FAR = 1n << 63n;
const [ENABLE, IMASK, ISTATUS] = [1n, 2n, 4n];

const timers = [
  { name: "virtual", crm: 3, counter: 2, intid: 27, level: 1n, attr: 0n, cval: "CNTV_CVAL_EL0", ctl: "CNTV_CTL_EL0" },
  { name: "physical", crm: 2, counter: 1, intid: 30, level: 2n, attr: 1n, cval: "CNTP_CVAL_EL0", ctl: "CNTP_CTL_EL0" },
] as const;

const timerRegisters = ({ crm, counter }: (typeof timers)[number]) =>
  ({
    tval: [3, 3, 14, crm, 0],
    ctl: [3, 3, 14, crm, 1],
    cval: [3, 3, 14, crm, 2],
    count: [3, 3, 14, 0, counter],
  }) as const;

for (const timer of timers) {
  const { tval, ctl, cval, count } = timerRegisters(timer);

  onEveryBackend(`the ${timer.name} timer in the guest`, (host) => {
    /** Sets CVAL and a masked, enabled timer; then the code. */
    const withDeadline = (deadline: bigint, code: readonly number[] = []) =>
      makeGuest(host, [
        ...mov64(1, deadline),
        msr(cval, 1),
        movz(2, 3), // ENABLE, IMASK
        msr(ctl, 2),
        isb,
        ...code,
        mrs(0, ctl),
        ...finish,
      ]);

    it("says ISTATUS of a deadline that is past, though its interrupt is masked", async () => {
      const { cpu } = withDeadline(0n);
      await runToFinish(cpu);
      assert.equal(cpu.getReg(x(0)), ENABLE | IMASK | ISTATUS);
    });

    for (const deadline of [1n << 52n, 1n << 56n, FAR]) {
      it(`does not say it of the deadline 0x${deadline.toString(16)}`, async () => {
        const { cpu } = withDeadline(deadline, [mrs(3, cval)]);
        await runToFinish(cpu);
        assert.deepEqual([cpu.getReg(x(0)), cpu.getReg(x(3))], [ENABLE | IMASK, deadline]);
      });
    }

    it("says it when the counter arrives at the deadline", async () => {
      const { cpu } = makeGuest(host, [
        mrs(1, count),
        ...mov64(3, 20_000n),
        add(1, 1, 3),
        msr(cval, 1),
        movz(2, 3),
        msr(ctl, 2),
        isb,
        mrs(0, ctl),
        branchBitZero(0, 2, -4),
        isb,
        mrs(4, count),
        ...finish,
      ]);
      await runToFinish(cpu);
      assert.ok(cpu.getReg(x(4)) >= cpu.getReg(x(1)));
    });

    it("has TVAL as 32 signed bits of the distance: written it sets CVAL, read it has no upper half", async () => {
      const { cpu } = makeGuest(host, [
        ...mov64(1, 0x1_8000_0000n), // only the lower half counts: -2^31
        isb,
        mrs(2, count),
        msr(tval, 1),
        isb,
        mrs(3, cval),
        mrs(4, tval),
        sub(5, 2, 3), // count - cval
        ...finish,
      ]);
      await runToFinish(cpu);
      const distance = BigInt.asIntN(64, cpu.getReg(x(5)));
      assert.ok(distance <= 1n << 31n && distance > (1n << 31n) - SOON, `${distance}`);
      assert.equal(cpu.getReg(x(4)) >> 32n, 0n);
    });

    it("without an interrupt controller ends the run when its line rises, and says so in the run page", async () => {
      const { cpu } = withDeadline(0n, [movz(2, 1), msr(ctl, 2), isb, spin]);
      const exit = await runToExit(cpu);
      assert.equal(exit.reason, "interrupted");
      assert.equal(cpu.deviceIrqLevel & timer.level, timer.level);
    });

    it("ends the run at once, not at the next exit", async () => {
      const { cpu } = withDeadline(0n, [movz(2, 1), msr(ctl, 2), isb, ...Array.from({ length: 200 }, () => isb)]);
      assert.equal((await runToExit(cpu)).reason, "interrupted");
    });

    it("turned off and on again ends no run where the CPU does it, for its line is looked at when the guest exits", async () => {
      const times = 20;
      const again = [movz(2, 1), msr(ctl, 2), isb, msr(ctl, XZR), isb];
      const { cpu } = withDeadline(0n, Array.from({ length: times }, () => again).flat());
      const vhe = decode("ID_AA64MMFR1_EL1", cpu.getReg(sysReg("ID_AA64MMFR1_EL1"))).fields.VH > 0;
      let ends = 0;
      while ((await runToExit(cpu)).reason === "interrupted") ends++;
      assert.ok(ends > 0);
      // Between the two, the host's own tick is an exit, too.
      assert.equal(ends > times, timer.name === "physical" && !vhe, `${ends}`);
    });

    it("masked again by IMASK, its line falls", async () => {
      const { cpu } = withDeadline(0n, [movz(2, 1), msr(ctl, 2), isb, movz(2, 3), msr(ctl, 2), isb]);
      let exit = await runToExit(cpu);
      while (exit.reason === "interrupted") exit = await runToExit(cpu);
      assert.equal(exit.reason, "mmio");
      assert.equal(cpu.deviceIrqLevel & timer.level, 0n);
    });
  });

  onEveryBackend(`the ${timer.name} timer's interrupt`, (host) => {
    beforeEach(function () {
      needsDevice(this, host, "vgic-v3");
    });

    /** Leaves the INTID in X0 and TIMER_CTL in X1. */
    const setUp = (code: readonly number[], intid: number = timer.intid) => {
      const guest = makeGicGuest(host, { code: [...code, ...finish] });
      if (intid !== timer.intid) guest.cpu.setAttr(1, timer.attr, intid);
      enableInterrupt(guest.gic, intid);
      setVectors(guest, {
        irq: [acknowledge(0), mrs(1, ctl), movz(2, 0), msr(ctl, 2), isb, endOfInterrupt(0), ...finish],
      });
      guest.cpu.setReg(pc, RAM);
      return guest;
    };
    const deadlineSoon = [mrs(1, count), addImmediate(1, 1, 2000), msr(cval, 1), movz(2, 1), msr(ctl, 2), isb] as const;

    it(`is ${timer.intid}, taken at the deadline`, async () => {
      const { cpu } = setUp([daifClear(2), ...deadlineSoon, spin]);
      await runToFinish(cpu);
      assert.deepEqual([cpu.getReg(x(0)), cpu.getReg(x(1))], [BigInt(timer.intid), ENABLE | ISTATUS]);
    });

    it("is not taken while IMASK is set, and is when it is cleared", async () => {
      const { cpu } = setUp([
        daifClear(2),
        msr(cval, 31),
        movz(2, 3),
        msr(ctl, 2),
        isb,
        mrs(5, ctl),
        movz(6, 1),
        msr(ctl, 6),
        isb,
        spin,
      ]);
      await runToFinish(cpu);
      assert.deepEqual([cpu.getReg(x(5)), cpu.getReg(x(6))], [ENABLE | IMASK | ISTATUS, 1n]);
      assert.equal(cpu.getReg(x(0)), BigInt(timer.intid));
    });

    it("wakes a guest that waits for it, masked by PSTATE.I too", async () => {
      const { cpu } = setUp([...deadlineSoon, wfi, mrs(3, ctl)]);
      await runToFinish(cpu);
      assert.equal(cpu.getReg(x(3)), ENABLE | ISTATUS);
    });

    it("of a deadline that is far away is not taken", async () => {
      const { cpu } = setUp([
        daifClear(2),
        ...mov64(1, FAR),
        msr(cval, 1),
        movz(2, 1),
        msr(ctl, 2),
        isb,
        movz(9, 9),
        wfi,
        spin,
      ]);
      await runUntil(cpu, () => cpu.getReg(x(9)) === 9n);
      assert.equal(cpu.getReg(x(0)), 1n); // what enables group 1
    });

    it("is the private interrupt that userspace chose", async () => {
      const { cpu } = setUp([daifClear(2), ...deadlineSoon, spin], 19);
      await runToFinish(cpu);
      assert.equal(cpu.getReg(x(0)), 19n);
    });
  });
}

onEveryBackend("the counters in the guest", (host) => {
  const readBoth = [
    isb,
    mrs(0, [3, 3, 14, 0, 1]), // mrs x0, cntpct_el0
    mrs(1, [3, 3, 14, 0, 2]), // mrs x1, cntvct_el0
    ...finish,
  ];

  it("wrap: behind 2^64 - 1 the virtual one is 0, and deadlines are ahead again", async () => {
    const { cpu } = makeGuest(host, [
      mrs(1, [3, 3, 14, 3, 1]), // mrs x1, cntv_ctl_el0
      mrs(0, [3, 3, 14, 0, 2]), // mrs x0, cntvct_el0
      ...finish,
    ]);
    cpu.setReg(sysReg("CNTV_CVAL_EL0"), 1n << 52n);
    cpu.setReg(sysReg("CNTV_CTL_EL0"), ENABLE | IMASK);
    cpu.setReg(sysReg("CNTVCT_EL0"), 2n ** 64n - 1n);
    await runToFinish(cpu);
    assert.ok(cpu.getReg(x(0)) < SOON);
    assert.equal(cpu.getReg(x(1)), ENABLE | IMASK);
  });

  it("a deadline that userspace moves the virtual counter beyond is past", async () => {
    const { cpu } = makeGuest(host, [mrs(1, [3, 3, 14, 3, 1]), ...finish]);
    cpu.setReg(sysReg("CNTV_CVAL_EL0"), 1n << 50n);
    cpu.setReg(sysReg("CNTV_CTL_EL0"), ENABLE | IMASK);
    await runToFinish(cpu);
    const before = cpu.getReg(x(1));
    cpu.setReg(sysReg("CNTVCT_EL0"), 1n << 51n);
    cpu.setReg(pc, RAM);
    await runToFinish(cpu);
    assert.deepEqual([before, cpu.getReg(x(1))], [ENABLE | IMASK, ENABLE | IMASK | ISTATUS]);
  });

  it("are the same with KVM_ARM_SET_COUNTER_OFFSET, and differ by the host's time without it", async function () {
    needs(this, host, "COUNTER_OFFSET");
    const { vm, cpu } = makeGuest(host, readBoth);
    const offset = 0n - (1n << 45n);
    vm.setCounterOffset(BigInt.asUintN(64, offset));
    await runToFinish(cpu);
    const [physical, virtual] = [cpu.getReg(x(0)), cpu.getReg(x(1))];
    assert.ok(virtual >= physical && virtual - physical < SOON);
    assert.ok(physical > 1n << 45n);
  });

  it("ISTATUS of the physical one does not need ENABLE where the kernel reads it for the guest", async () => {
    const ctl = [3, 3, 14, 2, 1] as const;
    const { vm, cpu } = makeGuest(host, [msr([3, 3, 14, 2, 2], 31), msr(ctl, 1), isb, mrs(0, ctl), ...finish]);
    cpu.setReg(x(1), 0xf8n | IMASK);
    const vhe = decode("ID_AA64MMFR1_EL1", cpu.getReg(sysReg("ID_AA64MMFR1_EL1"))).fields.VH > 0;
    const adds = decode("ID_AA64MMFR0_EL1", cpu.getReg(sysReg("ID_AA64MMFR0_EL1"))).fields.ECV > 1;
    await runToFinish(cpu);
    // A CPU without VHE has no physical timer for guests: all of it is the kernel's, which keeps every bit.
    assert.equal(cpu.getReg(x(0)), vhe ? IMASK : 0xf8n | IMASK | ISTATUS);
    if (host.kvm.has("COUNTER_OFFSET") === 0 || !vhe) return;
    vm.setCounterOffset(0x1000n);
    cpu.setReg(pc, RAM);
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), adds ? IMASK : IMASK | ISTATUS);
  });

  it("go on while the vCPU does not run", async () => {
    const { cpu } = makeGuest(host, readBoth);
    await runToFinish(cpu);
    const before = cpu.getReg(x(1));
    await new Promise((resolve) => setTimeout(resolve, 20));
    cpu.setReg(pc, RAM);
    await runToFinish(cpu);
    const hz = cpu.getReg(x(1)) - before;
    assert.ok(hz > 10_000n, `${hz} ticks in 20 ms`);
  });
});
