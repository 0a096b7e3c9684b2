// What becomes of an interrupt in a vGICv3, as guest and userspace see it. Documentation/virt/kvm/devices/arm-vgic-v3.rst;
// IHI 0069 for the CPU interface.

import assert from "node:assert/strict";
import { pc, sysReg, x } from "../../lib/arm64/registers.js";
import type { Device } from "../../lib/device.js";
import {
  KVM_VGIC_ADDR_TYPE as ADDR,
  KVM_ARM_VGIC_CTRL as CTRL,
  KVM_ARM_VGIC_GROUP as GROUP,
} from "../../lib/uapi/constants.js";
import type { Vcpu } from "../../lib/vcpu.js";
import { mov64, movz, mrs, msr, store } from "../support/assemble.js";
import { type Host, needsDevice, onEveryBackend, onHost } from "../support/backends.js";
import { DISTRIBUTOR, makeGicGuest } from "../support/gic.js";
import { eventually, finish, loadWords, makeGuest, RAM, runToFinish } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

/** op0, op1, CRn, CRm, op2 of ICC_*_EL1. */
const ICC = {
  PMR: [3, 0, 4, 6, 0],
  DIR: [3, 0, 12, 11, 1],
  RPR: [3, 0, 12, 11, 3],
  SGI1R: [3, 0, 12, 11, 5],
  SGI0R: [3, 0, 12, 11, 7],
  IAR1: [3, 0, 12, 12, 0],
  EOIR1: [3, 0, 12, 12, 1],
  HPPIR1: [3, 0, 12, 12, 2],
  CTLR: [3, 0, 12, 12, 4],
  IGRPEN1: [3, 0, 12, 12, 7],
} as const;
type Icc = keyof typeof ICC;
const SPURIOUS = 1023n;

/** Userspace's ids of the same. */
const AP1R0 = 0xc648n;
const BPR0 = 0xc643n;
const BPR1 = 0xc663n;
const CTLR = 0xc664n;

const GICD = { CTLR: 0n, TYPER: 4n, IIDR: 8n, ISENABLER: 0x100n, ICENABLER: 0x180n, ISPENDR: 0x200n, ICPENDR: 0x280n };
const [ISACTIVER, IPRIORITYR, ICFGR, IROUTER] = [0x300n, 0x400n, 0xc00n, 0x6000n];
const SGI_BASE = 0x1_0000n;
const SPI = 40;
const BIT = 1 << (SPI % 32);
const WORD = BigInt(4 * (SPI >> 5));

const set = (register: Icc, value: bigint | number): number[] => [...mov64(0, BigInt(value)), msr(ICC[register], 0)];
const read = (register: Icc, to: number): number => mrs(to, ICC[register]);

interface Made extends ReturnType<typeof makeGicGuest> {
  /** Runs some words on a vCPU, and gives X1, X2 ... after them. */
  readonly does: (words: readonly number[], results?: number, cpu?: Vcpu) => Promise<bigint[]>;
}

async function setUp(host: Host, vcpus = 1): Promise<Made> {
  const made = makeGicGuest(host, { spi: SPI, vcpus });
  const does = async (words: readonly number[], results = 0, cpu = made.cpu) => {
    loadWords(made.ram, 0x4000, [...words, ...finish]);
    cpu.setReg(pc, RAM + 0x4000n);
    await runToFinish(cpu);
    return Array.from({ length: results }, (_, n) => cpu.getReg(x(n + 1)));
  };
  await does([...set("PMR", 0xf0), ...set("IGRPEN1", 1)]);
  return { ...made, does };
}

const raise = ({ vm }: Made, number = SPI) => vm.setIrqLine({ type: "spi", number }, true);
const lower = ({ vm }: Made, number = SPI) => vm.setIrqLine({ type: "spi", number }, false);
const makeLevel = ({ gic }: Made) => gic.setAttr(GROUP.DIST_REGS, ICFGR + BigInt(4 * (SPI >> 4)), 0);
const dist = (gic: Device, offset: bigint) => gic.getAttr(GROUP.DIST_REGS, offset, 32);
/** Latch, active, level of SPI. */
const stateOf = ({ gic }: Made) =>
  [dist(gic, GICD.ISPENDR + WORD), dist(gic, ISACTIVER + WORD), gic.getAttr(GROUP.LEVEL_INFO, 32n, 32)].map(
    (word) => (word & BIT) !== 0,
  );
const priorities = ({ gic }: Made) => gic.getAttr(GROUP.CPU_SYSREGS, AP1R0, 64);

onEveryBackend("without a GIC, the CPU interface of a host with a GICv3", (host) => {
  beforeEach(function () {
    needsDevice(this, host, "vgic-v3");
  });

  it("lets guests reach ICC_SRE_EL1, and on 6.1 the rest but the registers that make SGIs", async () => {
    const outcome = async (word: number) => {
      const { ram, cpu } = makeGuest(host, [word, ...finish]);
      loadWords(ram, 0x1200, [movz(5, 1), ...finish]);
      cpu.setReg(sysReg("VBAR_EL1"), RAM + 0x1000n);
      await runToFinish(cpu);
      return cpu.getReg(x(5)) === 1n ? "UNDEFINED" : cpu.getReg(x(1));
    };
    const open = host.kernel === "6.1";
    assert.equal(await outcome(mrs(1, [3, 0, 12, 12, 5])), 7n);
    assert.equal(await outcome(msr([3, 0, 12, 12, 5], 0)), 0n);
    assert.equal(await outcome(read("IAR1", 1)), open ? SPURIOUS : "UNDEFINED");
    assert.equal(await outcome(msr(ICC.DIR, 0)), open ? 0n : "UNDEFINED");
    assert.equal(await outcome(mrs(1, ICC.DIR)), "UNDEFINED");
    assert.equal(await outcome(msr(ICC.SGI1R, 0)), "UNDEFINED");
  });
});

onEveryBackend("an interrupt of a vGICv3", (host) => {
  beforeEach(function () {
    needsDevice(this, host, "vgic-v3");
  });

  it("that is an edge is pending until it is acknowledged, then active until it is ended", async () => {
    const made = await setUp(host);
    made.gic.setAttr(GROUP.DIST_REGS, IPRIORITYR + BigInt(SPI), 0x8080_8080);
    raise(made);
    assert.deepEqual(stateOf(made), [true, false, false]);
    assert.deepEqual(await made.does([read("HPPIR1", 1), read("IAR1", 2), read("RPR", 3), read("IAR1", 4)], 4), [
      BigInt(SPI),
      BigInt(SPI),
      0x80n,
      SPURIOUS,
    ]);
    assert.deepEqual([stateOf(made), priorities(made)], [[false, true, false], 0x1_0000n]);
    raise(made);
    assert.deepEqual(stateOf(made), [true, true, false]);
    assert.deepEqual(await made.does([read("HPPIR1", 1), ...set("EOIR1", SPI), read("HPPIR1", 2)], 2), [
      SPURIOUS,
      BigInt(SPI),
    ]);
    assert.deepEqual([stateOf(made), priorities(made)], [[true, false, false], 0n]);
  });

  it("that is a level comes again as long as its line is high", async () => {
    const made = await setUp(host);
    makeLevel(made);
    raise(made);
    assert.deepEqual(stateOf(made), [false, false, true]);
    assert.deepEqual(await made.does([read("IAR1", 1), ...set("EOIR1", SPI), read("HPPIR1", 2)], 2), [
      BigInt(SPI),
      BigInt(SPI),
    ]);
    assert.deepEqual(await made.does([read("IAR1", 1)], 1), [BigInt(SPI)]);
    lower(made);
    assert.deepEqual(await made.does([...set("EOIR1", SPI), read("HPPIR1", 1)], 1), [SPURIOUS]);
    assert.deepEqual(stateOf(made), [false, false, false]);
  });

  it("that is a level and was made pending by a write is so until it is ended", async () => {
    const made = await setUp(host);
    makeLevel(made);
    made.gic.setAttr(GROUP.DIST_REGS, GICD.ISPENDR + WORD, BIT);
    assert.deepEqual(await made.does([read("IAR1", 1)], 1), [BigInt(SPI)]);
    assert.deepEqual(stateOf(made), [true, true, false]);
    assert.deepEqual(await made.does([...set("EOIR1", SPI), read("IAR1", 1)], 1), [SPURIOUS]);
    assert.deepEqual(stateOf(made), [false, false, false]);
  });

  it("ended by the wrong number loses its priority and stays active", async () => {
    const made = await setUp(host);
    raise(made);
    assert.deepEqual(await made.does([read("IAR1", 1), ...set("EOIR1", SPI + 1), read("RPR", 2)], 2), [
      BigInt(SPI),
      0xffn,
    ]);
    assert.deepEqual([stateOf(made), priorities(made)], [[false, true, false], 0n]);
    await made.does(set("EOIR1", SPI));
    assert.deepEqual(stateOf(made), [false, true, false]);
  });

  it("is deactivated on its own with EOImode 1; on another vCPU since 7.2", async () => {
    const made = await setUp(host, 2);
    const [, other] = made.cpus as [Vcpu, Vcpu];
    raise(made);
    await made.does([...set("CTLR", 2), read("IAR1", 1), ...set("EOIR1", SPI)]);
    assert.deepEqual([stateOf(made), priorities(made)], [[false, true, false], 0n]);
    await made.does([...set("CTLR", 2), ...set("DIR", SPI)], 0, other);
    const still = onHost(host, { "6.1": true, "6.12": true, "7.2": false });
    assert.deepEqual(stateOf(made), [false, still, false]);
    await made.does(set("DIR", SPI));
    assert.deepEqual(stateOf(made), [false, false, false]);
  });

  it("of equal priority come in the order in which they came", async () => {
    const made = await setUp(host);
    for (const offset of [0x80n, GICD.ISENABLER]) {
      made.gic.setAttr(GROUP.DIST_REGS, offset + WORD, 3 << (SPI % 32)); // GICD_IGROUPR, GICD_ISENABLER
    }
    raise(made, SPI + 1);
    raise(made);
    assert.deepEqual(await made.does([read("IAR1", 1), ...set("EOIR1", SPI + 1), read("IAR1", 2)], 2), [
      BigInt(SPI + 1),
      BigInt(SPI),
    ]);
  });

  it("that comes while the distributor is off waits for more than the distributor", async () => {
    const made = await setUp(host);
    const { gic } = made;
    gic.setAttr(GROUP.DIST_REGS, GICD.CTLR, 0);
    raise(made);
    assert.deepEqual(await made.does([read("HPPIR1", 1)], 1), [SPURIOUS]);
    gic.setAttr(GROUP.DIST_REGS, GICD.CTLR, 2);
    assert.deepEqual(await made.does([read("HPPIR1", 1)], 1), [SPURIOUS]);
    gic.setAttr(GROUP.DIST_REGS, GICD.ISENABLER + WORD, BIT);
    assert.deepEqual(await made.does([read("HPPIR1", 1)], 1), [BigInt(SPI)]);
  });

  it("goes where GICD_IROUTER says, and nowhere where nobody is", async () => {
    const made = await setUp(host, 2);
    const [cpu, other] = made.cpus as [Vcpu, Vcpu];
    const route = (affinity: number) => made.gic.setAttr(GROUP.DIST_REGS, IROUTER + BigInt(8 * SPI), affinity);
    const pendingOn = async (one: Vcpu) =>
      (await made.does([...set("PMR", 0xf0), ...set("IGRPEN1", 1), read("HPPIR1", 1)], 1, one))[0];
    route(1);
    raise(made);
    assert.deepEqual([await pendingOn(cpu), await pendingOn(other)], [SPURIOUS, BigInt(SPI)]);
    made.gic.setAttr(GROUP.DIST_REGS, GICD.ICENABLER + WORD, BIT);
    await made.does([], 0, other);
    route(7);
    made.gic.setAttr(GROUP.DIST_REGS, GICD.ISENABLER + WORD, BIT);
    assert.deepEqual([await pendingOn(cpu), await pendingOn(other)], [SPURIOUS, SPURIOUS]);
  });

  it("of group 0 is raised by ICC_SGI0R_EL1, of group 1 by ICC_SGI1R_EL1, which raises both", async () => {
    const made = await setUp(host);
    made.gic.setAttr(GROUP.REDIST_REGS, SGI_BASE + 0x80n, 0xffff_fffd); // SGI 1 is of group 0
    const sgi = (intid: number) => (BigInt(intid) << 24n) | 1n;
    await made.does([
      ...set("SGI0R", sgi(1)),
      ...set("SGI0R", sgi(2)),
      ...set("SGI1R", sgi(3)),
      ...set("SGI1R", 2n | (4n << 24n)),
    ]);
    assert.equal(made.gic.getAttr(GROUP.REDIST_REGS, SGI_BASE + GICD.ISPENDR, 32), 0b1010);
  });

  it("of a PPI and of an SGI has its place in the redistributor's frame only", async () => {
    const { gic } = await setUp(host);
    for (const offset of [GICD.ISENABLER, GICD.ISPENDR, ICFGR]) {
      gic.setAttr(GROUP.DIST_REGS, offset, 0xffff_ffff);
      assert.equal(dist(gic, offset), 0);
    }
  });
});

onEveryBackend("the registers of a vGICv3", (host) => {
  beforeEach(function () {
    needsDevice(this, host, "vgic-v3");
  });
  const initialised = () => makeGicGuest(host).gic;

  it("say KVM, revision 3, a single security state with affinity routing", () => {
    const gic = initialised();
    assert.deepEqual(
      [dist(gic, GICD.CTLR), dist(gic, GICD.TYPER) & 0x1f, dist(gic, GICD.IIDR)],
      [0x50, 7, 0x4b00_343b],
    );
    assert.equal(dist(gic, 0xffe8n), 0x3b); // GICD_PIDR2
    assert.equal(dist(gic, 0x10n), -1 >>> 0); // GICD_STATUSR
  });

  it("take revisions 2 and 3, and nothing else of GICD_IIDR", () => {
    const gic = initialised();
    const take = (value: number) => answer(() => gic.setAttr(GROUP.DIST_REGS, GICD.IIDR, value));
    assert.deepEqual([0x4b00_043b, 0x4b00_143b, 0x4b00_243b, 0x4b00_443b, 0x4c00_343b, 0].map(take), [
      "EINVAL",
      "EINVAL",
      "OK",
      "EINVAL",
      "EINVAL",
      "EINVAL",
    ]);
    assert.equal(dist(gic, GICD.IIDR), 0x4b00_243b);
    assert.equal(gic.getAttr(GROUP.REDIST_REGS, 0n, 32), 0); // GICR_CTLR: neither CES nor IR
  });

  it("GICD_IIDR is open before the initialisation since 7.2", () => {
    const vm = host.keep(host.kvm.createVm());
    const gic = host.keep(vm.createDevice("vgic-v3"));
    host.keep(vm.createVcpu()).init();
    const said = [GICD.IIDR, 0xcn, GICD.TYPER].map((offset) => answer(() => void dist(gic, offset)));
    const closed = ["EBUSY", "EBUSY", "EBUSY"];
    assert.deepEqual(said, onHost(host, { "6.1": closed, "6.12": closed, "7.2": ["OK", "OK", "EBUSY"] }));
  });

  it("of restored pending bits are those that were written, of cleared ones none", () => {
    const gic = initialised();
    gic.setAttr(GROUP.DIST_REGS, GICD.ISPENDR + WORD, 0xf0);
    gic.setAttr(GROUP.DIST_REGS, GICD.ISPENDR + WORD, 0x03);
    assert.equal(dist(gic, GICD.ISPENDR + WORD), 0x03);
    gic.setAttr(GROUP.DIST_REGS, GICD.ICPENDR + WORD, 0xff);
    assert.deepEqual([dist(gic, GICD.ICPENDR + WORD), dist(gic, GICD.ISPENDR + WORD)], [0, 0x03]);
  });

  it("have five bits of priority, 24 of affinity, and a fixed configuration of private interrupts", () => {
    const gic = initialised();
    gic.setAttr(GROUP.DIST_REGS, IPRIORITYR + 32n, 0xffff_ffff);
    gic.setAttr(GROUP.DIST_REGS, IROUTER + 8n * 32n, 0xffff_ffff);
    gic.setAttr(GROUP.REDIST_REGS, SGI_BASE + ICFGR + 4n, 0xffff_ffff);
    assert.equal(dist(gic, IPRIORITYR + 32n) >>> 0, 0xf8f8_f8f8);
    assert.equal(dist(gic, IROUTER + 8n * 32n), 0xff_ffff);
    assert.equal(gic.getAttr(GROUP.REDIST_REGS, SGI_BASE + ICFGR + 4n, 32), 0);
  });

  it("of a redistributor are found by the affinity that the vCPU has now", () => {
    const { gic, cpus } = makeGicGuest(host, { vcpus: 2 });
    const other = cpus[1] as Vcpu;
    const typer = (affinity: bigint, half: bigint) =>
      gic.getAttr(GROUP.REDIST_REGS, (affinity << 32n) | (8n + half), 32);
    assert.deepEqual([typer(0n, 0n), typer(1n, 0n), typer(1n, 4n)], [0, 0x110, 1]);
    other.setReg(sysReg("MPIDR_EL1"), 0x8003_0201n);
    assertRefused("EINVAL", () => typer(1n, 0n));
    assert.deepEqual([typer(0x3_0201n, 0n), typer(0x3_0201n, 4n)], [0x110, 0x3_0201]);
  });

  it("of the CPU interface can be told of fewer bits than there are, not of more again", () => {
    const gic = initialised();
    const before = gic.getAttr(GROUP.CPU_SYSREGS, CTLR, 64);
    const fewer = before - 0x100n;
    gic.setAttr(GROUP.CPU_SYSREGS, CTLR, fewer | 3n);
    assert.equal(gic.getAttr(GROUP.CPU_SYSREGS, CTLR, 64), fewer | 3n);
    assertRefused("EINVAL", () => gic.setAttr(GROUP.CPU_SYSREGS, CTLR, before));
    assertRefused("EINVAL", () => gic.setAttr(GROUP.CPU_SYSREGS, AP1R0 + 1n, 0n));
  });

  it("keep binary points as written until the guest runs: the CPU has a least one, and CBPR a common one", async () => {
    const made = makeGicGuest(host, { code: finish });
    const { gic, cpu } = made;
    const points = () => [BPR0, BPR1].map((id) => gic.getAttr(GROUP.CPU_SYSREGS, id, 64));
    gic.setAttr(GROUP.CPU_SYSREGS, BPR0, 1n);
    assert.deepEqual(points(), [1n, 0n]);
    cpu.setReg(pc, RAM);
    await runToFinish(cpu);
    const [least, least1] = points() as [bigint, bigint];
    assert.equal(least > 1n && least1 === least + 1n, true);
    gic.setAttr(GROUP.CPU_SYSREGS, CTLR, gic.getAttr(GROUP.CPU_SYSREGS, CTLR, 64) | 1n);
    gic.setAttr(GROUP.CPU_SYSREGS, BPR0, 5n);
    gic.setAttr(GROUP.CPU_SYSREGS, BPR1, 3n);
    assert.deepEqual(points(), [5n, 6n]);
  });

  it("raise their binary points in a run that leaves at once, too; since 7.2 they do not", () => {
    const { gic, cpu } = makeGicGuest(host, { code: finish });
    const point = () => gic.getAttr(GROUP.CPU_SYSREGS, BPR0, 64);
    cpu.immediateExit = true;
    assert.equal(cpu.runSync().reason, "interrupted");
    assert.equal(point() > 0n, host.kernel !== "7.2");
  });

  it("of the distributor are reached through the first vCPU, whatever its id; without one they are EINVAL", () => {
    const made = (ids: readonly number[]) => {
      const vm = host.keep(host.kvm.createVm());
      const gic = host.keep(vm.createDevice("vgic-v3"));
      for (const id of ids) host.keep(vm.createVcpu(id)).init();
      gic.setAttr(GROUP.CTRL, BigInt(CTRL.INIT));
      return gic;
    };
    assert.equal(dist(made([1]), GICD.ISPENDR), 0);
    assert.equal(dist(made([0x1f, 3]), GICD.ISPENDR), 0);
    assertRefused("EINVAL", () => dist(made([]), GICD.ISPENDR));
  });

  it("that are unknown are ENOENT, and EFAULT before that where no value can be read", () => {
    const { gic } = makeGicGuest(host);
    assertRefused("ENOENT", () => gic.setAttr(GROUP.CPU_SYSREGS, 1n, 0n));
    assertRefused("EFAULT", () => gic.setAttr(GROUP.CPU_SYSREGS, 1n));
  });

  it("that a guest reads with the wrong size, or where there is none, are zero", async () => {
    const made = makeGicGuest(host, {});
    loadWords(made.ram, 0x4000, [
      ...mov64(2, DISTRIBUTOR),
      movz(3, 2),
      store(4, 3, 2), // GICD_CTLR
      mrs(1, [3, 0, 12, 12, 5]), // mrs x1, icc_sre_el1
      ...finish,
    ]);
    made.cpu.setReg(pc, RAM + 0x4000n);
    await runToFinish(made.cpu);
    assert.deepEqual([made.cpu.getReg(x(1)), dist(made.gic, GICD.CTLR)], [7n, 0x52]);
  });
});

onEveryBackend("an irqfd of a vGICv3", (host) => {
  beforeEach(function () {
    needsDevice(this, host, "vgic-v3");
  });
  const GSI = SPI - 32;
  /** The kernel delivers after the write returns. Nothing may come of this one. */
  const nothingComes = () => new Promise((resolve) => setTimeout(resolve, 50));

  it("raises the interrupt of its GSI and takes the counter", async () => {
    const made = await setUp(host);
    const eventFd = host.keep(host.kvm.createEventFd());
    made.vm.addIrqfd({ eventFd, gsi: GSI });
    eventFd.signal();
    await eventually(() => stateOf(made), [true, false, false]);
    assert.equal(eventFd.take(), 0n);
    made.vm.removeIrqfd({ eventFd, gsi: GSI });
    eventFd.signal();
    await nothingComes();
    assert.equal(eventFd.take(), 1n);
  });

  it("raises a level and leaves it; it counts what was signalled before", async () => {
    const made = await setUp(host);
    const eventFd = host.keep(host.kvm.createEventFd());
    eventFd.signal();
    made.vm.addIrqfd({ eventFd, gsi: GSI });
    await eventually(() => stateOf(made), [true, false, false]);
    assert.equal(eventFd.take(), 1n);
    made.gic.setAttr(GROUP.DIST_REGS, GICD.ISPENDR + WORD, 0);
    makeLevel(made);
    eventFd.signal();
    await eventually(() => stateOf(made), [false, false, true]);
  });

  it("that resamples lets go of its level when the guest has ended the interrupt, and says so", async () => {
    const made = await setUp(host);
    makeLevel(made);
    const [eventFd, resample] = [host.keep(host.kvm.createEventFd()), host.keep(host.kvm.createEventFd())];
    made.vm.addIrqfd({ eventFd, gsi: GSI, resample });
    eventFd.signal();
    await eventually(() => stateOf(made), [false, false, true]);
    assert.equal(resample.take(), 0n);
    await made.does([read("IAR1", 1)]);
    assert.deepEqual([stateOf(made), resample.take()], [[false, true, true], 0n]);
    await made.does(set("EOIR1", SPI));
    await eventually(() => stateOf(made), [false, false, false]);
    assert.equal(resample.take(), 1n);
  });

  it("goes where its route says, and nowhere without one", async () => {
    const made = await setUp(host);
    const eventFd = host.keep(host.kvm.createEventFd());
    made.vm.addIrqfd({ eventFd, gsi: 3 });
    made.vm.setGsiRouting([]);
    eventFd.signal();
    await nothingComes();
    assert.deepEqual([stateOf(made), eventFd.take()], [[false, false, false], 0n]);
    made.vm.setGsiRouting([{ gsi: 3, pin: GSI }]);
    eventFd.signal();
    await eventually(() => stateOf(made), [true, false, false]);
  });

  it("needs an initialised GIC: EAGAIN; is one for its eventfd, in other VMs too since 7.2: EBUSY", async () => {
    const vm = host.keep(host.kvm.createVm());
    const gic = host.keep(vm.createDevice("vgic-v3"));
    host.keep(vm.createVcpu()).init();
    const eventFd = host.keep(host.kvm.createEventFd());
    assertRefused("EAGAIN", () => vm.addIrqfd({ eventFd, gsi: 0 }));
    gic.setAttr(GROUP.CTRL, BigInt(CTRL.INIT));
    vm.addIrqfd({ eventFd, gsi: 0 });
    assertRefused("EBUSY", () => vm.addIrqfd({ eventFd, gsi: 1 }));
    const other = makeGicGuest(host).vm;
    assert.equal(
      answer(() => other.addIrqfd({ eventFd, gsi: 0 })),
      onHost(host, { "6.1": "OK", "6.12": "OK", "7.2": "EBUSY" }),
    );
  });

  it("regions of redistributors can follow the single one, by the next number", () => {
    const vm = host.keep(host.kvm.createVm());
    const gic = host.keep(vm.createDevice("vgic-v3"));
    host.keep(vm.createVcpu()).init();
    gic.setAttr(GROUP.ADDR, BigInt(ADDR.V3_REDIST), 0x080a_0000n);
    gic.setAttr(GROUP.ADDR, BigInt(ADDR.V3_REDIST_REGION), (1n << 52n) | 0x2000_0000n | 1n);
    assertRefused("EINVAL", () => gic.setAttr(GROUP.ADDR, BigInt(ADDR.V3_REDIST), 0x3000_0000n));
  });
});
