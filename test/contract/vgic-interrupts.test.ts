// Interrupts of a vGICv3 as the guest sees them: injection, priorities, states. GICv3 specification (IHI 0069);
// Documentation/virt/kvm/devices/arm-vgic-v3.rst.

import assert from "node:assert/strict";
import { pc, x } from "../../lib/arm64/registers.js";
import type { Device } from "../../lib/device.js";
import { KVM_ARM_VGIC_GROUP as GROUP } from "../../lib/uapi/constants.js";
import type { Vcpu } from "../../lib/vcpu.js";
import { branchZero, isb, load, mov64, movz, mrs, msr, nop, store, wfi } from "../support/assemble.js";
import { needsDevice, onEveryBackend } from "../support/backends.js";
import {
  acknowledge,
  DISTRIBUTOR,
  enableInterrupt,
  endOfInterrupt,
  makeGicGuest,
  REDISTRIBUTOR,
} from "../support/gic.js";
import { finish, type Guest, loadWords, RAM, runToFinish } from "../support/guest.js";

const SPURIOUS = 1023n;
const [A, B, C] = [40, 41, 42];

// Registers of the distributor, by INTID.
const bitWord = (base: bigint, intid: number): bigint => base + BigInt(4 * (intid >> 5));
const [ISPENDR, ICPENDR, ISACTIVER, ICACTIVER, ICENABLER] = [0x200n, 0x280n, 0x300n, 0x380n, 0x180n];
const priorityWord = (intid: number): bigint => 0x400n + BigInt(intid & ~3);
const configWord = (intid: number): bigint => 0xc00n + BigInt(4 * (intid >> 4));
const routeOf = (intid: number): bigint => 0x6000n + BigInt(8 * intid);

// The CPU interface.
const highestPending = (rt: number): number => mrs(rt, [3, 0, 12, 12, 2]); // icc_hppir1_el1
const runningPriority = (rt: number): number => mrs(rt, [3, 0, 12, 11, 3]); // icc_rpr_el1
const deactivate = (rt: number): number => msr([3, 0, 12, 11, 1], rt); // icc_dir_el1
const setPriorityMask = (rt: number): number => msr([3, 0, 4, 6, 0], rt); // icc_pmr_el1
const setControl = (rt: number): number => msr([3, 0, 12, 12, 4], rt); // icc_ctlr_el1
const setGroupEnable = (rt: number): number => msr([3, 0, 12, 12, 7], rt); // icc_igrpen1_el1
const sendSgi = (rt: number): number => msr([3, 0, 12, 11, 5], rt); // icc_sgi1r_el1
const sync = [isb, 0xd503_3f9f /* dsb sy */] as const;

type GicGuest = Guest & { readonly gic: Device };

onEveryBackend("interrupts of a vGICv3", (host) => {
  beforeEach(function () {
    needsDevice(this, host, "vgic-v3");
  });

  /** Interrupts A, B and C enabled, of priority 0xa0; the guest masks them and asks the CPU interface itself. */
  const setUp = (code: readonly number[], vcpus = 1): GicGuest => {
    const guest = makeGicGuest(host, { code: [...code, ...finish], vcpus });
    for (const intid of [A, B, C]) {
      enableInterrupt(guest.gic, intid);
      setPriority(guest.gic, intid, 0xa0);
    }
    guest.cpu.setReg(pc, RAM);
    return guest;
  };
  const bit = (intid: number): number => 2 ** (intid & 31);
  const dist = (gic: Device, offset: bigint): number => gic.getAttr(GROUP.DIST_REGS, offset, 32) >>> 0;
  const setDist = (gic: Device, offset: bigint, value: number) => gic.setAttr(GROUP.DIST_REGS, offset, value >>> 0);
  const setPriority = (gic: Device, intid: number, priority: number) => {
    const shift = 8 * (intid & 3);
    const others = dist(gic, priorityWord(intid)) & ~(0xff << shift);
    setDist(gic, priorityWord(intid), others | (priority << shift));
  };
  /** Userspace's write of GICD_ISPENDR says what 32 interrupts are. */
  const setPending = (gic: Device, ...intids: readonly number[]) =>
    setDist(
      gic,
      bitWord(ISPENDR, A),
      intids.reduce((bits, intid) => bits | bit(intid), 0),
    );
  const is = (gic: Device, base: bigint, intid: number): boolean =>
    (dist(gic, bitWord(base, intid)) & bit(intid)) !== 0;
  const setLevelTriggered = (gic: Device, intid: number) =>
    setDist(gic, configWord(intid), dist(gic, configWord(intid)) & ~(2 << (2 * (intid & 15))));
  const results = (cpu: Vcpu, count: number): bigint[] =>
    ([10, 11, 12, 13, 14, 15] as const).slice(0, count).map((n) => cpu.getReg(x(n)));

  it("where none is pending, acknowledging gives 1023", async () => {
    const { cpu } = setUp([highestPending(10), acknowledge(11)]);
    await runToFinish(cpu);
    assert.deepEqual(results(cpu, 2), [SPURIOUS, SPURIOUS]);
  });

  it("that userspace made pending comes once, and is neither pending nor active after its end", async () => {
    const { cpu, gic } = setUp([highestPending(10), acknowledge(11), endOfInterrupt(11), isb, acknowledge(12)]);
    setPending(gic, A);
    await runToFinish(cpu);
    assert.deepEqual(results(cpu, 3), [BigInt(A), BigInt(A), SPURIOUS]);
    assert.deepEqual([is(gic, ISPENDR, A), is(gic, ISACTIVER, A)], [false, false]);
  });

  it("is no longer pending when userspace writes GICD_ISPENDR without it", () => {
    const { gic } = setUp([]);
    setPending(gic, A, B);
    setPending(gic, B);
    assert.deepEqual([is(gic, ISPENDR, A), is(gic, ISPENDR, B)], [false, true]);
  });

  it("stays pending when userspace writes GICD_ICPENDR, which reads 0", () => {
    const { gic } = setUp([]);
    setPending(gic, A);
    setDist(gic, bitWord(ICPENDR, A), bit(A));
    assert.deepEqual([is(gic, ISPENDR, A), is(gic, ICPENDR, A)], [true, false]);
  });

  it("acknowledged and not ended is active", async () => {
    const { cpu, gic } = setUp([acknowledge(10)]);
    setPending(gic, A);
    await runToFinish(cpu);
    assert.deepEqual([is(gic, ISPENDR, A), is(gic, ISACTIVER, A)], [false, true]);
  });

  it("of a lower priority number comes first; of the same, the lower INTID", async () => {
    const one = (n: number) => [acknowledge(n), endOfInterrupt(n), isb];
    const { cpu, gic } = setUp([...one(10), ...one(11), ...one(12)]);
    setPriority(gic, C, 0x80);
    setPending(gic, A, B, C);
    await runToFinish(cpu);
    assert.deepEqual(results(cpu, 3), [BigInt(C), BigInt(A), BigInt(B)]);
  });

  it("preempts one of a higher priority number, not one of the same; the running priority follows", async () => {
    const pend = (intid: number) => [
      ...mov64(1, DISTRIBUTOR + bitWord(ISPENDR, intid)),
      ...mov64(2, BigInt(bit(intid))),
      store(4, 2, 1),
      ...sync,
    ];
    const { cpu, gic } = setUp([
      acknowledge(10), // A
      ...pend(C),
      acknowledge(11), // C has the same priority
      ...pend(B),
      acknowledge(12), // B preempts
      runningPriority(13),
      endOfInterrupt(12),
      isb,
      runningPriority(14),
      endOfInterrupt(10),
      isb,
      runningPriority(15),
    ]);
    setPriority(gic, B, 0x80);
    setPending(gic, A);
    await runToFinish(cpu);
    assert.deepEqual(results(cpu, 6), [BigInt(A), SPURIOUS, BigInt(B), 0x80n, 0xa0n, 0xffn]);
    assert.equal(is(gic, ISPENDR, C), true);
  });

  it("is held back by the priority mask, until that is higher", async () => {
    const { cpu, gic } = setUp([
      movz(0, 0xa0),
      setPriorityMask(0),
      isb,
      acknowledge(10),
      movz(0, 0xb0),
      setPriorityMask(0),
      isb,
      acknowledge(11),
    ]);
    setPending(gic, A);
    await runToFinish(cpu);
    assert.deepEqual(results(cpu, 2), [SPURIOUS, BigInt(A)]);
  });

  it("is held back while its group is disabled at the CPU interface", async () => {
    const { cpu, gic } = setUp([
      setGroupEnable(31),
      isb,
      acknowledge(10),
      movz(0, 1),
      setGroupEnable(0),
      isb,
      acknowledge(11),
    ]);
    setPending(gic, A);
    await runToFinish(cpu);
    assert.deepEqual(results(cpu, 2), [SPURIOUS, BigInt(A)]);
  });

  it("is held back while it is disabled, and stays pending", async () => {
    const { cpu, gic } = setUp([acknowledge(10)]);
    setDist(gic, bitWord(ICENABLER, A), bit(A));
    setPending(gic, A);
    await runToFinish(cpu);
    assert.deepEqual([results(cpu, 1), is(gic, ISPENDR, A)], [[SPURIOUS], true]);
    enableInterrupt(gic, A);
    cpu.setReg(pc, RAM);
    await runToFinish(cpu);
    assert.deepEqual(results(cpu, 1), [BigInt(A)]);
  });

  it("is held back while the distributor's group is disabled", async () => {
    const { cpu, gic } = setUp([acknowledge(10)]);
    setDist(gic, 0n, 0x10); // GICD_CTLR: ARE
    setPending(gic, A);
    await runToFinish(cpu);
    assert.deepEqual(results(cpu, 1), [SPURIOUS]);
  });

  it("that userspace made active does not come, until it is deactivated", async () => {
    const { cpu, gic } = setUp([acknowledge(10)]);
    setDist(gic, bitWord(ISACTIVER, A), bit(A));
    setPending(gic, A);
    await runToFinish(cpu);
    assert.deepEqual(results(cpu, 1), [SPURIOUS]);
    setDist(gic, bitWord(ICACTIVER, A), bit(A));
    cpu.setReg(pc, RAM);
    await runToFinish(cpu);
    assert.deepEqual(results(cpu, 1), [BigInt(A)]);
  });

  it("with split ends drops its priority at EOIR and stays active until DIR", async () => {
    const { cpu, gic } = setUp([
      movz(0, 2), // EOImode
      setControl(0),
      isb,
      acknowledge(10),
      endOfInterrupt(10),
      isb,
      runningPriority(11),
      ...mov64(1, DISTRIBUTOR + bitWord(ISACTIVER, A)),
      load(4, 12, 1),
      deactivate(10),
      ...sync,
      load(4, 13, 1),
    ]);
    setPending(gic, A);
    await runToFinish(cpu);
    assert.deepEqual(results(cpu, 4), [BigInt(A), 0xffn, BigInt(bit(A)), 0n]);
    assert.equal(is(gic, ISACTIVER, A), false);
  });

  it("by level comes again after its end, as long as its line is high", async () => {
    const { vm, cpu, gic } = setUp([
      acknowledge(10),
      endOfInterrupt(10),
      isb,
      nop,
      acknowledge(11),
      endOfInterrupt(11),
    ]);
    setLevelTriggered(gic, A);
    vm.setIrqLine({ type: "spi", number: A }, true);
    await runToFinish(cpu);
    assert.deepEqual(results(cpu, 2), [BigInt(A), BigInt(A)]);
    vm.setIrqLine({ type: "spi", number: A }, false);
    cpu.setReg(pc, RAM);
    await runToFinish(cpu);
    assert.deepEqual(results(cpu, 2), [SPURIOUS, SPURIOUS]);
  });

  it("by edge comes once for each rise of its line, also when it has fallen meanwhile", async () => {
    const { vm, cpu } = setUp([acknowledge(10), endOfInterrupt(10), isb, nop, acknowledge(11), endOfInterrupt(11)]);
    const line = { type: "spi", number: A } as const;
    vm.setIrqLine(line, true);
    vm.setIrqLine(line, false);
    await runToFinish(cpu);
    assert.deepEqual(results(cpu, 2), [BigInt(A), SPURIOUS]);
    vm.setIrqLine(line, true);
    cpu.setReg(pc, RAM);
    await runToFinish(cpu);
    assert.deepEqual(results(cpu, 2), [BigInt(A), SPURIOUS]);
  });

  it("by level, made pending by a write, comes once", async () => {
    const { cpu, gic } = setUp([acknowledge(10), endOfInterrupt(10), isb, nop, acknowledge(11)]);
    setLevelTriggered(gic, A);
    setPending(gic, A);
    await runToFinish(cpu);
    assert.deepEqual(results(cpu, 2), [BigInt(A), SPURIOUS]);
  });

  it("is taken back by the guest's write to GICD_ICPENDR", async () => {
    const { cpu, gic } = setUp([
      ...mov64(1, DISTRIBUTOR + bitWord(ICPENDR, A)),
      ...mov64(2, BigInt(bit(A))),
      store(4, 2, 1),
      ...sync,
      acknowledge(10),
    ]);
    setPending(gic, A);
    await runToFinish(cpu);
    assert.deepEqual([results(cpu, 1), is(gic, ISPENDR, A)], [[SPURIOUS], false]);
  });

  it("of the guest's own making: SGIs to itself, by number", async () => {
    const { cpu } = setUp([
      ...mov64(0, (5n << 24n) | 1n), // INTID 5 to Aff0 0
      sendSgi(0),
      ...sync,
      acknowledge(10),
      endOfInterrupt(10),
      isb,
      acknowledge(11),
    ]);
    await runToFinish(cpu);
    assert.deepEqual(results(cpu, 2), [5n, SPURIOUS]);
  });

  for (const [how, word] of [
    ["to one", (7n << 24n) | 2n],
    ["to all others", (7n << 24n) | (1n << 40n)],
  ] as const) {
    it(`between vCPUs: an SGI ${how} wakes one that waits, and does not come to its sender`, async () => {
      const { cpus, ram, gic } = setUp([...mov64(0, word), sendSgi(0), ...sync, acknowledge(10)], 2);
      const [sender, receiver] = cpus as [Vcpu, Vcpu];
      // SGIs are enabled in each redistributor; KVM's are from the start, in 7.2 and before.
      for (const affinity of [0n, 1n << 32n]) {
        gic.setAttr(GROUP.REDIST_REGS, affinity | 0x1_0080n, 0xffff_ffff);
        gic.setAttr(GROUP.REDIST_REGS, affinity | 0x1_0100n, 0xffff);
      }
      const at = 0x2000;
      loadWords(ram, at, [
        movz(0, 0xff),
        setPriorityMask(0),
        movz(0, 1),
        setGroupEnable(0),
        isb,
        wfi,
        acknowledge(10),
        ...finish,
      ]);
      receiver.setReg(pc, RAM + BigInt(at));
      const waiting = runToFinish(receiver);
      await runToFinish(sender);
      await waiting;
      assert.deepEqual([results(sender, 1), results(receiver, 1)], [[SPURIOUS], [7n]]);
    });
  }

  it("that is shared goes to the vCPU that its route names", async () => {
    const { cpus, gic } = setUp([acknowledge(10)], 2);
    const [first, second] = cpus as [Vcpu, Vcpu];
    setDist(gic, routeOf(A), 1);
    setPending(gic, A);
    second.setReg(pc, RAM);
    await runToFinish(first);
    await runToFinish(second);
    assert.deepEqual([results(first, 1), results(second, 1)], [[SPURIOUS], [BigInt(A)]]);
  });

  it("wakes a guest that waits, raised while it does", async () => {
    const { vm, cpu } = setUp([wfi, acknowledge(10), branchZero(31, 8), nop]);
    const done = runToFinish(cpu);
    await new Promise((resolve) => setTimeout(resolve, 20));
    vm.setIrqLine({ type: "spi", number: B }, true);
    await done;
    assert.deepEqual(results(cpu, 1), [BigInt(B)]);
  });

  it("are set up by the guest's own stores to the frames, which are no exits", async () => {
    const enabler = DISTRIBUTOR + bitWord(0x100n, 50);
    const { cpu, gic } = setUp([
      ...mov64(1, enabler),
      ...mov64(2, BigInt(bit(50))),
      store(4, 2, 1),
      load(4, 10, 1),
      ...mov64(1, REDISTRIBUTOR + 0x1_0100n), // GICR_ISENABLER0
      movz(2, 1 << 5),
      store(4, 2, 1),
      load(4, 11, 1),
      ...mov64(1, REDISTRIBUTOR + 8n), // GICR_TYPER
      load(8, 12, 1),
      ...mov64(1, DISTRIBUTOR + 4n), // GICD_TYPER
      load(4, 13, 1),
    ]);
    await runToFinish(cpu);
    const [enabled = 0n, private5 = 0n, redistributor = 0n, distributor = 0n] = results(cpu, 4);
    assert.equal((enabled >> 18n) & 1n, 1n);
    assert.equal((private5 >> 5n) & 1n, 1n);
    assert.equal(redistributor & 0x10n, 0x10n); // Last
    assert.equal(distributor & 31n, 7n); // 32 (7 + 1) interrupts
    assert.equal(dist(gic, bitWord(0x100n, 50)) & bit(50), bit(50));
  });
});
