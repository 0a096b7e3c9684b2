// The timers' registers, their swapped ids, and the offset of the counters. Documentation/virt/kvm/api.rst 4.68, 4.138.

import assert from "node:assert/strict";
import { regId } from "../../lib/arm64/reg-id.js";
import { sysReg, x } from "../../lib/arm64/registers.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import type { Vcpu } from "../../lib/vcpu.js";
import { mrs } from "../support/assemble.js";
import { needs, onEveryBackend, onHost } from "../support/backends.js";
import { eventually, finish, makeGuest, runToFinish } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

const TIMER_CNT = regId(0x6030_0000_0013_df1an, 64);
const TIMER_CVAL = regId(0x6030_0000_0013_df02n, 64);
const TIMER_CTL = regId(0x6030_0000_0013_df19n, 64);
const PTIMER_CVAL = regId(0x6030_0000_0013_df12n, 64);
const PTIMER_CNT = regId(0x6030_0000_0013_df01n, 64);

/** More ticks than pass between two calls of a test, of a counter of at most 1 GHz. */
const SOON = 60_000_000_000n;
const FAR = 1n << 50n;

function leaveAtOnce(cpu: Vcpu): void {
  cpu.immediateExit = true;
  cpu.runSync();
  cpu.immediateExit = false;
}

onEveryBackend("timer registers", (host) => {
  it("the timer ids are swapped: the counter has the encoding of CNTV_CVAL_EL0, and the other way round", () => {
    const { cpu } = makeGuest(host);
    assert.deepEqual([sysReg("CNTVCT_EL0"), sysReg("CNTV_CVAL_EL0")], [TIMER_CNT, TIMER_CVAL]);
    cpu.setReg(TIMER_CVAL, 0x1234_5678_9abc_def0n);
    assert.equal(cpu.getReg(TIMER_CVAL), 0x1234_5678_9abc_def0n);
    const [first, second] = [cpu.getReg(TIMER_CNT), cpu.getReg(TIMER_CNT)];
    assert.ok(second > first && second - first < SOON);
  });

  it("the ids of the physical timer are not swapped; 6.1 does not have them", () => {
    const { cpu } = makeGuest(host);
    assert.deepEqual([sysReg("CNTPCT_EL0"), sysReg("CNTP_CVAL_EL0")], [PTIMER_CNT, PTIMER_CVAL]);
    const said = answer(() => cpu.setReg(PTIMER_CVAL, 5n));
    assert.equal(said, onHost(host, { "6.1": "ENOENT", "6.12": "OK", "7.2": "OK" }));
    if (said === "ENOENT") return;
    cpu.setReg(PTIMER_CVAL, 5n);
    assert.equal(cpu.getReg(PTIMER_CVAL), 5n);
  });

  it("the virtual counter starts near 0 with the VM's last vCPU", () => {
    const { cpu } = makeGuest(host);
    assert.ok(cpu.getReg(TIMER_CNT) < SOON);
  });

  it("setting the counter moves it for every vCPU of the VM", () => {
    const { cpus } = makeGuest(host, [], { vcpus: 2 });
    cpus[0]?.setReg(TIMER_CNT, FAR);
    const read = cpus[1]?.getReg(TIMER_CNT) ?? 0n;
    assert.ok(read >= FAR && read < FAR + SOON);
  });

  it("the guest reads the counter that was set", async () => {
    const { cpu } = makeGuest(host, [
      mrs(0, [3, 3, 14, 0, 2]), // mrs x0, cntvct_el0
      ...finish,
    ]);
    cpu.setReg(TIMER_CNT, FAR);
    await runToFinish(cpu);
    const read = cpu.getReg(x(0));
    assert.ok(read >= FAR && read < FAR + SOON);
  });

  it("a fresh TIMER_CTL reads 0 since 7.2, and ISTATUS before: its CVAL is past", () => {
    const { cpu } = makeGuest(host);
    assert.equal(cpu.getReg(TIMER_CTL), onHost(host, { "6.1": 4n, "6.12": 4n, "7.2": 0n }));
  });

  it("TIMER_CTL keeps ENABLE and IMASK", () => {
    const { cpu } = makeGuest(host);
    cpu.setReg(sysReg("CNTV_CVAL_EL0"), 2n ** 64n - 1n);
    cpu.setReg(TIMER_CTL, 3n);
    assert.equal(cpu.getReg(TIMER_CTL), 3n);
  });

  it("a run saves the three bits that the CPU has, and reads then say the ISTATUS of that time", () => {
    const { cpu } = makeGuest(host);
    cpu.setReg(TIMER_CVAL, 0n);
    cpu.setReg(TIMER_CTL, 0xf3n);
    const seen = [cpu.getReg(TIMER_CTL)];
    leaveAtOnce(cpu);
    seen.push(cpu.getReg(TIMER_CTL));
    cpu.setReg(TIMER_CVAL, FAR);
    seen.push(cpu.getReg(TIMER_CTL));
    leaveAtOnce(cpu);
    seen.push(cpu.getReg(TIMER_CTL));
    assert.deepEqual(seen, [host.kernel === "7.2" ? 0xf3n : 0xf7n, 7n, 7n, 3n]);
  });

  it("a second INIT puts TIMER_CTL back", () => {
    const { cpu } = makeGuest(host);
    cpu.setReg(TIMER_CVAL, 2n ** 64n - 1n);
    cpu.setReg(TIMER_CTL, 3n);
    cpu.init();
    assert.equal(cpu.getReg(TIMER_CTL) & 3n, 0n);
  });
});

onEveryBackend("KVM_ARM_SET_COUNTER_OFFSET", (host) => {
  beforeEach(function () {
    needs(this, host, "COUNTER_OFFSET");
  });

  it("offsets both counters of every vCPU", () => {
    const { vm, cpus } = makeGuest(host, [], { vcpus: 2 });
    vm.setCounterOffset(0n);
    const [virtual, physical] = [cpus[0]?.getReg(TIMER_CNT) ?? 0n, cpus[1]?.getReg(PTIMER_CNT) ?? 0n];
    assert.ok(physical >= virtual && physical - virtual < SOON);
    vm.setCounterOffset(2n ** 64n - FAR); // a counter far ahead
    const ahead = cpus[1]?.getReg(TIMER_CNT) ?? 0n;
    assert.ok(ahead - virtual >= FAR && ahead - virtual < FAR + SOON);
  });

  it("after it, setting a counter does nothing", () => {
    const { vm, cpu } = makeGuest(host);
    vm.setCounterOffset(0n);
    const before = cpu.getReg(TIMER_CNT);
    cpu.setReg(TIMER_CNT, before + FAR);
    cpu.setReg(PTIMER_CNT, before + FAR);
    assert.ok(cpu.getReg(TIMER_CNT) - before < SOON);
    assert.ok(cpu.getReg(PTIMER_CNT) - before < SOON);
  });

  it("reserved bits are EINVAL", () => {
    const { vm } = makeGuest(host);
    assertRefused("EINVAL", () => vm.fd.armSetCounterOffset(pack(structs.kvm_arm_counter_offset, { reserved: 1n })));
  });

  it("is EBUSY while a vCPU runs", async () => {
    const { vm, cpu } = makeGuest(host, [0x1400_0000]); // b .
    const run = cpu.run();
    try {
      await eventually(() => answer(() => vm.setCounterOffset(0n)), "EBUSY");
    } finally {
      cpu.kick();
      await run;
    }
  });
});

onEveryBackend("KVM_ARM_SET_COUNTER_OFFSET of a kernel without it", (host) => {
  it("is EINVAL, and works where the capability says so", () => {
    const { vm } = makeGuest(host);
    assert.equal(
      answer(() => vm.setCounterOffset(0n)),
      host.kvm.has("COUNTER_OFFSET") ? "OK" : "EINVAL",
    );
  });
});
