// Attributes of a vCPU: PMU, timers, stolen time. Documentation/virt/kvm/devices/vcpu.rst.

import assert from "node:assert/strict";
import { pc, sysReg, x } from "../../lib/arm64/registers.js";
import type { Device } from "../../lib/device.js";
import { KVM_ARM_VCPU_GROUP as GROUP, KVM_ARM_VGIC_GROUP as VGIC } from "../../lib/uapi/constants.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import { hvc, isb, load, mov64, movz, mrs, msr } from "../support/assemble.js";
import { needs, needsDevice, onEveryBackend, onHost } from "../support/backends.js";
import { initialiseGic, makeGicGuest, REDISTRIBUTOR } from "../support/gic.js";
import { finish, loadWords, makeGuest, RAM, runToFinish } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

const [VTIMER, PTIMER] = [0n, 1n];
const [PMU_IRQ, PMU_INIT, PMU_FILTER, PMU_SET] = [0n, 1n, 2n, 3n];

onEveryBackend("vCPU attributes", (host) => {
  it("groups that nobody has are ENXIO", () => {
    const { cpu } = makeGuest(host);
    for (const group of [3, 99, 0xffff_ffff]) {
      assertRefused("ENXIO", () => cpu.setAttr(group, 0n, 0));
      assertRefused("ENXIO", () => cpu.getAttr(group, 0n, 32));
      assert.equal(cpu.hasAttr(group, 0n), false);
    }
  });

  it("the timers' interrupts are 27 and 30 until they are set", () => {
    const { cpu } = makeGuest(host);
    assert.deepEqual([cpu.getAttr(GROUP.TIMER, VTIMER, 32), cpu.getAttr(GROUP.TIMER, PTIMER, 32)], [27, 30]);
  });

  it("timers that there are none of are ENXIO", () => {
    const { cpu } = makeGuest(host);
    assert.deepEqual(
      [0n, 1n, 99n].map((attr) => cpu.hasAttr(GROUP.TIMER, attr)),
      [true, true, false],
    );
    assertRefused("ENXIO", () => cpu.getAttr(GROUP.TIMER, 99n, 32));
  });

  it("a timer's interrupt is a PPI, the same for every vCPU", function () {
    needsDevice(this, host, "vgic-v3");
    const { cpus, cpu } = makeGuest(host, [], { vcpus: 2, prepare: (vm) => host.keep(vm.createDevice("vgic-v3")) });
    for (const irq of [0, 15, 32, 1000]) assertRefused("EINVAL", () => cpu.setAttr(GROUP.TIMER, VTIMER, irq));
    assertRefused("EFAULT", () => cpu.setAttr(GROUP.TIMER, VTIMER));
    cpu.setAttr(GROUP.TIMER, VTIMER, 22);
    assert.equal(cpus[1]?.getAttr(GROUP.TIMER, VTIMER, 32), 22);
  });

  it("a timer's interrupt that another has is found at the first run", function () {
    needsDevice(this, host, "vgic-v3");
    const { cpu } = makeGicGuest(host);
    cpu.setAttr(GROUP.TIMER, VTIMER, 30);
    assertRefused("EINVAL", () => cpu.runSync());
  });

  it("the PMU of a vCPU without it is ENODEV to set, and ENXIO to ask", () => {
    const { cpu } = makeGuest(host);
    for (const attr of [PMU_IRQ, PMU_INIT]) {
      assertRefused("ENODEV", () => cpu.setAttr(GROUP.PMU_V3, attr, 23));
      assert.equal(cpu.hasAttr(GROUP.PMU_V3, attr), false);
    }
  });

  it("the PMU has its attributes, and is initialised once", function () {
    needs(this, host, "ARM_PMU_V3");
    const { cpu } = makeGuest(host, [], { features: ["pmu-v3"] });
    assert.deepEqual(
      [0n, 1n, 2n, 3n, 99n].map((attr) => cpu.hasAttr(GROUP.PMU_V3, attr)),
      [true, true, true, true, false],
    );
    cpu.setAttr(GROUP.PMU_V3, PMU_INIT);
    assertRefused("EBUSY", () => cpu.setAttr(GROUP.PMU_V3, PMU_INIT));
    assertRefused("EBUSY", () => cpu.setAttr(GROUP.PMU_V3, PMU_IRQ, 23));
  });

  it("the PMU is of the whole VM since 6.12: a vCPU without INIT has it, too", function () {
    needs(this, host, "ARM_PMU_V3");
    const { vm } = makeGuest(host, [], { features: ["pmu-v3"] });
    const other = host.keep(vm.createVcpu());
    assert.equal(
      answer(() => other.setAttr(GROUP.PMU_V3, PMU_INIT)),
      host.kernel === "6.1" ? "ENODEV" : "OK",
    );
    assert.equal(other.hasAttr(GROUP.PMU_V3, PMU_INIT), host.kernel !== "6.1");
  });

  it("the PMU's interrupt needs an in-kernel interrupt controller", function () {
    needs(this, host, "ARM_PMU_V3");
    const { cpu } = makeGuest(host, [], { features: ["pmu-v3"] });
    assertRefused("EINVAL", () => cpu.setAttr(GROUP.PMU_V3, PMU_IRQ, 23));
    assertRefused("EINVAL", () => cpu.getAttr(GROUP.PMU_V3, PMU_IRQ, 32));
  });

  it("the PMU's interrupt is set once, a PPI, and is ENXIO to read before", function () {
    needs(this, host, "ARM_PMU_V3");
    needsDevice(this, host, "vgic-v3");
    const { cpu } = makeGuest(host, [], {
      features: ["pmu-v3"],
      prepare: (vm) => host.keep(vm.createDevice("vgic-v3")),
    });
    assertRefused("ENXIO", () => cpu.getAttr(GROUP.PMU_V3, PMU_IRQ, 32));
    assertRefused("ENODEV", () => cpu.setAttr(GROUP.PMU_V3, PMU_INIT));
    assertRefused("EINVAL", () => cpu.setAttr(GROUP.PMU_V3, PMU_IRQ, 3));
    cpu.setAttr(GROUP.PMU_V3, PMU_IRQ, 23);
    assert.equal(cpu.getAttr(GROUP.PMU_V3, PMU_IRQ, 32), 23);
    assertRefused("EBUSY", () => cpu.setAttr(GROUP.PMU_V3, PMU_IRQ, 23));
  });

  it("a PMU that was not initialised makes the first run EINVAL", function () {
    needs(this, host, "ARM_PMU_V3");
    const { cpu } = makeGuest(host, [], { features: ["pmu-v3"] });
    assertRefused("EINVAL", () => cpu.runSync());
  });

  it("the PMU's event filter is a range and an action, until the first run", function () {
    needs(this, host, "ARM_PMU_V3");
    const { cpu } = makeGuest(host, [], { features: ["pmu-v3"] });
    const filter = (fields: object) =>
      cpu.setAttr(GROUP.PMU_V3, PMU_FILTER, pack(structs.kvm_pmu_event_filter, { nevents: 1, ...fields }));
    assertRefused("EINVAL", () => filter({ action: 2 }));
    assertRefused("EINVAL", () => filter({ base_event: 0xffff, nevents: 2 }));
    filter({ base_event: 0x11, action: 0 });
    cpu.setAttr(GROUP.PMU_V3, PMU_INIT);
    cpu.immediateExit = true;
    cpu.runSync();
    assertRefused("EBUSY", () => filter({ base_event: 0x12 }));
  });

  it("a PMU that the host does not have is ENXIO", function () {
    needs(this, host, "ARM_PMU_V3");
    const { cpu } = makeGuest(host, [], { features: ["pmu-v3"] });
    assertRefused("ENXIO", () => cpu.setAttr(GROUP.PMU_V3, PMU_SET, 0x7fff_0000));
  });

  it("the number of counters in PMCR_EL0 can be lowered and not raised", function () {
    needs(this, host, "ARM_PMU_V3");
    needs(this, host, "ARM_SUPPORTED_REG_MASK_RANGES");
    const { cpu } = makeGuest(host, [], { features: ["pmu-v3"] });
    const pmcr = cpu.getReg(sysReg("PMCR_EL0"));
    const counters = (pmcr >> 11n) & 0x1fn;
    assert.ok(counters > 0n);
    const withCounters = (n: bigint) => (pmcr & ~(0x1fn << 11n)) | (n << 11n);
    cpu.setReg(sysReg("PMCR_EL0"), withCounters(counters - 1n));
    assert.equal((cpu.getReg(sysReg("PMCR_EL0")) >> 11n) & 0x1fn, counters - 1n);
    cpu.setReg(sysReg("PMCR_EL0"), withCounters(31n));
    assert.equal((cpu.getReg(sysReg("PMCR_EL0")) >> 11n) & 0x1fn, counters - 1n);
  });

  it("stolen time is placed once, in a slot that can be written, aligned to 64 bytes", function () {
    needs(this, host, "STEAL_TIME");
    const { cpu, vm } = makeGuest(host);
    vm.addMemory({ at: 0xa000_0000n, bytes: 4096, readonly: true });
    assertRefused("EINVAL", () => cpu.setAttr(GROUP.PVTIME, 0n, 0xa000_0000n));
    assert.equal(cpu.getAttr(GROUP.PVTIME, 0n, 64), 2n ** 64n - 1n);
    assertRefused("EINVAL", () => cpu.setAttr(GROUP.PVTIME, 0n, RAM + 32n));
    assertRefused("EINVAL", () => cpu.setAttr(GROUP.PVTIME, 0n, 0x9000_0000n));
    assertRefused("EFAULT", () => cpu.setAttr(GROUP.PVTIME, 0n));
    assertRefused("ENXIO", () => cpu.setAttr(GROUP.PVTIME, 1n, RAM));
    cpu.setAttr(GROUP.PVTIME, 0n, RAM + 0x1000n);
    assert.equal(cpu.getAttr(GROUP.PVTIME, 0n, 64), RAM + 0x1000n);
    assertRefused("EEXIST", () => cpu.setAttr(GROUP.PVTIME, 0n, RAM + 0x2000n));
  });

  it("stolen time is told to the guest where it was placed", async function () {
    needs(this, host, "STEAL_TIME");
    const { cpu } = makeGuest(host, [hvc(0), ...finish], { features: ["psci-0.2"] });
    cpu.setAttr(GROUP.PVTIME, 0n, RAM + 0x1000n);
    cpu.setReg(x(0), 0xc500_0021n);
    cpu.setReg(pc, RAM);
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), RAM + 0x1000n);
  });

  it("stolen time is ENXIO where the host does not count it", () => {
    const { cpu } = makeGuest(host);
    const there = host.kvm.has("STEAL_TIME") !== 0;
    assert.equal(cpu.hasAttr(GROUP.PVTIME, 0n), there);
    assert.equal(
      answer(() => cpu.getAttr(GROUP.PVTIME, 0n, 64)),
      there ? "OK" : "ENXIO",
    );
  });
});

onEveryBackend("vCPU attributes with a GIC", (host) => {
  const withGic = (context: Mocha.Context, vcpus = 1) => {
    needsDevice(context, host, "vgic-v3");
    return makeGuest(host, [], {
      vcpus,
      features: ["psci-0.2", "pmu-v3"],
      prepare: (vm) => host.keep(vm.createDevice("vgic-v3")),
    });
  };

  it("the PMU's interrupt is a PPI that all vCPUs share, or an SPI that none shares", function () {
    needs(this, host, "ARM_PMU_V3");
    const [first, second] = withGic(this, 2).cpus;
    assertRefused("EFAULT", () => first?.setAttr(GROUP.PMU_V3, PMU_IRQ));
    for (const intid of [0, 15, 1020, 4096, -1]) {
      assertRefused("EINVAL", () => first?.setAttr(GROUP.PMU_V3, PMU_IRQ, intid));
    }
    first?.setAttr(GROUP.PMU_V3, PMU_IRQ, 23);
    assertRefused("EINVAL", () => second?.setAttr(GROUP.PMU_V3, PMU_IRQ, 24));
    second?.setAttr(GROUP.PMU_V3, PMU_IRQ, 40);
    assertRefused("EINVAL", () => second?.setAttr(GROUP.PMU_V3, PMU_IRQ, 40));
  });

  it("a vCPU without its PMU initialised does not run, and does when it is", function () {
    needs(this, host, "ARM_PMU_V3");
    needsDevice(this, host, "vgic-v3");
    const made: { gic?: Device } = {};
    const { cpu } = makeGuest(host, [], {
      features: ["psci-0.2", "pmu-v3"],
      prepare: (vm) => {
        made.gic = host.keep(vm.createDevice("vgic-v3"));
      },
    });
    initialiseGic(made.gic as Device);
    cpu.immediateExit = true;
    assertRefused("EINVAL", () => cpu.runSync());
    assertRefused("ENXIO", () => cpu.setAttr(GROUP.PMU_V3, PMU_INIT));
    cpu.setAttr(GROUP.PMU_V3, PMU_IRQ, 23);
    cpu.setAttr(GROUP.PMU_V3, PMU_INIT);
    assert.equal(cpu.runSync().reason, "interrupted");
  });

  it("a timer's interrupt stays after the first run: for all vCPUs, on 6.1 for those that ran", function () {
    needsDevice(this, host, "vgic-v3");
    const { cpus } = makeGicGuest(host, { vcpus: 2 });
    const [first, second] = cpus;
    if (first !== undefined) first.immediateExit = true;
    first?.runSync();
    const said = cpus.map((cpu) => answer(() => cpu.setAttr(GROUP.TIMER, VTIMER, 20)));
    const perVcpu = onHost(host, { "6.1": true, "6.12": false, "7.2": false });
    assert.deepEqual(said, ["EBUSY", perVcpu ? "OK" : "EBUSY"]);
    assert.equal(second?.getAttr(GROUP.TIMER, VTIMER, 32), perVcpu ? 20 : 27);
  });

  it("a first run that was refused without a GIC has enabled the timers: before 6.12 their interrupts are settled", function () {
    needsDevice(this, host, "vgic-v3");
    needs(this, host, "ARM_PMU_V3");
    const { vm, cpu } = makeGuest(host, [], { features: ["pmu-v3"] });
    // Its PMU was not initialised.
    assertRefused("EINVAL", () => cpu.runSync());
    host.keep(vm.createDevice("vgic-v3"));
    const said = answer(() => cpu.setAttr(GROUP.TIMER, VTIMER, 20));
    assert.equal(said, onHost(host, { "6.1": "EBUSY", "6.12": "OK", "7.2": "OK" }));
  });

  it("the timers of a vCPU whose id is not its place in the order of creation interrupt nobody before 6.12", async function () {
    needsDevice(this, host, "vgic-v3");
    const vm = host.keep(host.kvm.createVm());
    const ram = vm.addMemory({ at: RAM, bytes: 0x1_0000 });
    const gic = host.keep(vm.createDevice("vgic-v3"));
    const [, cpu] = [0, 2].map((id) => {
      const made = host.keep(vm.createVcpu(id));
      made.init();
      return made;
    });
    initialiseGic(gic);
    const placed = onHost(host, { "6.1": true, "6.12": false, "7.2": false });
    gic.setAttr(VGIC.DIST_REGS, 0n, 0x12); // GICD_CTLR: ARE, EnableGrp1
    for (const at of [0x1_0080n, 0x1_0100n]) gic.setAttr(VGIC.REDIST_REGS, (2n << 32n) | at, 1 << 27);
    const open = [movz(2, 0xff), msr([3, 0, 4, 6, 0], 2), movz(2, 1), msr([3, 0, 12, 12, 7], 2)];
    const fire = [msr([3, 3, 14, 3, 2], 31), movz(2, 1), msr([3, 3, 14, 3, 1], 2), isb];
    loadWords(ram, 0, [
      ...open,
      ...fire,
      ...mov64(1, REDISTRIBUTOR),
      load(4, 3, 1),
      mrs(3, [3, 0, 12, 12, 2]),
      ...finish,
    ]);
    cpu!.setReg(pc, RAM);
    await runToFinish(cpu!);
    assert.equal(cpu!.getReg(x(3)), placed ? 1023n : 27n);
  });

  it("timers that were enabled without a GIC interrupt nobody, though one is made", async function () {
    needsDevice(this, host, "vgic-v3");
    needs(this, host, "ARM_PMU_V3");
    const frame = REDISTRIBUTOR + 0x1_0200n;
    const fire = [msr([3, 3, 14, 3, 2], 31), movz(2, 1), msr([3, 3, 14, 3, 1], 2), isb];
    const code = [...fire, ...mov64(1, frame), load(4, 3, 1), ...finish];
    const { vm, cpu } = makeGuest(host, code, { features: ["pmu-v3"] });
    assertRefused("EINVAL", () => cpu.runSync());
    const gic = host.keep(vm.createDevice("vgic-v3"));
    initialiseGic(gic);
    cpu.setAttr(GROUP.PMU_V3, PMU_IRQ, 23);
    cpu.setAttr(GROUP.PMU_V3, PMU_INIT);
    cpu.setReg(pc, RAM);
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(3)), 0n);
  });
});

onEveryBackend("stolen time", (host) => {
  it("grows and never shrinks, from 0 when the guest asks where it is", async function () {
    needs(this, host, "STEAL_TIME");
    const { cpu, ram } = makeGuest(host, [hvc(0), ...finish], { features: ["psci-0.2"] });
    const record = new DataView(ram.bytes.buffer, ram.bytes.byteOffset + 0x1000, 64);
    record.setUint32(0, 7, true);
    cpu.setAttr(GROUP.PVTIME, 0n, RAM + 0x1000n);
    cpu.setReg(x(0), 0xc500_0021n);
    cpu.setReg(pc, RAM);
    await runToFinish(cpu);
    assert.deepEqual([record.getUint32(0, true), record.getUint32(4, true)], [0, 0]);
    const before = record.getBigUint64(8, true);
    cpu.setReg(x(0), 0xc500_0020n);
    cpu.setReg(x(1), 0xc500_0021n);
    cpu.setReg(pc, RAM);
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), 0n);
    assert.ok(record.getBigUint64(8, true) >= before);
  });
});
