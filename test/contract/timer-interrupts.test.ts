// The interrupt of the virtual timer is the virtual side of a physical one: what that changes in the GIC's registers.
// Documentation/virt/kvm/devices/arm-vgic-v3.rst; IHI 0069, "List register usage".

import assert from "node:assert/strict";
import { pc, x } from "../../lib/arm64/registers.js";
import { KVM_ARM_VGIC_GROUP as GROUP, KVM_ARM_VCPU_GROUP } from "../../lib/uapi/constants.js";
import { isb, load, mov64, movz, mrs, msr, store } from "../support/assemble.js";
import { needsDevice, onEveryBackend, onHost } from "../support/backends.js";
import { enableInterrupt, makeGicGuest, REDISTRIBUTOR } from "../support/gic.js";
import { finish, type Guest, loadWords, RAM, runToFinish } from "../support/guest.js";
import { assertRefused } from "../support/refusal.js";

const TIMER = 1 << 27;
const OTHER = 1 << 20;
const [ISPENDR, ISACTIVER, LEVELS] = [0x1_0200n, 0x1_0300n, 0n];
const CTL = [3, 3, 14, 3, 1] as const;
const HPPIR1 = [3, 0, 12, 12, 2] as const;

onEveryBackend("the interrupt of the virtual timer, in the registers of a vGICv3", (host) => {
  beforeEach(function () {
    needsDevice(this, host, "vgic-v3");
  });

  const runs = async ({ ram, cpu }: Guest, code: readonly number[]) => {
    loadWords(ram, 0x4000, [...code, ...finish]);
    cpu.setReg(pc, RAM + 0x4000n);
    await runToFinish(cpu);
  };
  /** A guest that ran, its timer off, with all of group 1 let through. */
  const setUp = async () => {
    const guest = makeGicGuest(host, { code: finish });
    enableInterrupt(guest.gic, 27);
    enableInterrupt(guest.gic, 20);
    guest.cpu.setReg(pc, RAM);
    await runToFinish(guest.cpu);
    const bits = (offset: bigint) => guest.gic.getAttr(GROUP.REDIST_REGS, offset, 32) & (TIMER | OTHER);
    const set = (offset: bigint) => guest.gic.setAttr(GROUP.REDIST_REGS, offset, TIMER | OTHER);
    const lines = () => guest.gic.getAttr(GROUP.LEVEL_INFO, LEVELS, 32) & (TIMER | OTHER);
    return { ...guest, bits, set, lines };
  };

  it("is not made active by userspace, as others are", async () => {
    const { set, bits } = await setUp();
    set(ISACTIVER);
    assert.equal(bits(ISACTIVER), OTHER);
  });

  it("reads as pending to the guest when its timer fires, whatever was set", async () => {
    const guest = await setUp();
    const frame = REDISTRIBUTOR + ISPENDR;
    await runs(guest, [...mov64(1, frame), ...mov64(2, BigInt(TIMER | OTHER)), store(4, 2, 1), load(4, 3, 1)]);
    assert.deepEqual([Number(guest.cpu.getReg(x(3))), guest.bits(ISPENDR)], [OTHER, TIMER | OTHER]);
  });

  it("ends with another INIT of its vCPU, and others do not", async () => {
    const { cpu, set, bits, vm, lines } = await setUp();
    set(ISPENDR);
    vm.setIrqLine({ type: "ppi", vcpu: 0, number: 20 }, true);
    cpu.init({ features: ["psci-0.2"] });
    assert.deepEqual([bits(ISPENDR), lines()], [OTHER, OTHER]);
  });

  it("that the guest was told of stays pending to the next exit, though its timer is turned off", async () => {
    const guest = await setUp();
    const turnedOff = [movz(2, 0), msr(CTL, 2), isb, mrs(4, HPPIR1)];
    const told = async () => {
      await runs(guest, [msr([3, 3, 14, 3, 2], 31), movz(2, 1), msr(CTL, 2), isb, mrs(3, HPPIR1), ...turnedOff]);
      assert.equal(guest.cpu.getReg(x(3)), 27n);
      return guest.cpu.getReg(x(4));
    };
    // The host may interrupt the guest between the two reads: that is an exit too.
    let last = await told();
    for (let again = 0; again < 20 && last !== 27n; again++) last = await told();
    assert.equal(last, 27n);
    await runs(guest, [mrs(3, HPPIR1)]);
    assert.equal(guest.cpu.getReg(x(3)), 1023n);
  });

  it("has its line looked up by a run that leaves at once, the first one too", () => {
    const { cpu, gic } = makeGicGuest(host);
    gic.setAttr(GROUP.LEVEL_INFO, LEVELS, TIMER | OTHER);
    cpu.immediateExit = true;
    assert.equal(cpu.runSync().reason, "interrupted");
    assert.equal(gic.getAttr(GROUP.LEVEL_INFO, LEVELS, 32), OTHER);
  });

  for (const [name, attr, shared, keeps] of [
    ["virtual", 0n, 30, { "6.1": false, "6.12": true, "7.2": true }],
    ["physical", 1n, 27, { "6.1": true, "6.12": false, "7.2": false }],
  ] as const) {
    const other = name === "virtual" ? "physical" : "virtual";
    it(`that both timers have is taken by the virtual one on 6.1, since 6.12 by the physical: giving the ${name} another helps or not`, () => {
      const { cpu } = makeGicGuest(host);
      cpu.setAttr(KVM_ARM_VCPU_GROUP.TIMER, attr, shared);
      cpu.immediateExit = true;
      assertRefused("EINVAL", () => cpu.runSync());
      cpu.setAttr(KVM_ARM_VCPU_GROUP.TIMER, attr, 19);
      if (onHost(host, keeps)) assert.equal(cpu.runSync().reason, "interrupted", `the ${other} timer has it already`);
      else assertRefused("EINVAL", () => cpu.runSync());
    });
  }
});
