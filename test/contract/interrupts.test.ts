// KVM_IRQ_LINE, KVM_SET_GSI_ROUTING, KVM_SIGNAL_MSI. Documentation/virt/kvm/api.rst 4.25, 4.52, 4.71.

import assert from "node:assert/strict";
import { pc, sysReg } from "../../lib/arm64/registers.js";
import { KVM_ARM_VGIC_GROUP } from "../../lib/uapi/constants.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import { branch, daifClear, spin, wfi } from "../support/assemble.js";
import { needsDevice, needsVcpus, onEveryBackend, onHost } from "../support/backends.js";
import { makeGicGuest } from "../support/gic.js";
import { finish, loadWords, makeGuest, RAM, runToFinish } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

onEveryBackend("KVM_IRQ_LINE without an in-kernel interrupt controller", (host) => {
  for (const [input, offset] of [
    ["irq", 0x280],
    ["fiq", 0x300],
  ] as const) {
    it(`drives the ${input} input of a vCPU`, async () => {
      const { vm, cpu, ram } = makeGuest(host, [daifClear(3), spin]);
      loadWords(ram, 0x800 + offset, finish);
      cpu.setReg(sysReg("VBAR_EL1"), RAM + 0x800n);
      vm.setIrqLine({ type: "cpu", vcpu: 0, input }, true);
      await runToFinish(cpu);
      assert.equal(cpu.getReg(pc) >= RAM + 0x800n + BigInt(offset), true);
    });
  }

  it("wakes a vCPU that waits for an interrupt, even masked", async () => {
    const { vm, cpu } = makeGuest(host, [wfi, ...finish]);
    vm.setIrqLine({ type: "cpu", vcpu: 0, input: "irq" }, true);
    await runToFinish(cpu);
  });

  it("wakes a vCPU that already waits", async () => {
    const { vm, cpu } = makeGuest(host, [wfi, ...finish]);
    const run = runToFinish(cpu);
    await new Promise((resolve) => setTimeout(resolve, 100));
    vm.setIrqLine({ type: "cpu", vcpu: 0, input: "irq" }, true);
    await run;
  });

  it("a line that was lowered again interrupts nobody", async () => {
    const { vm, cpu } = makeGuest(host, [daifClear(3), ...finish, branch(0)]);
    vm.setIrqLine({ type: "cpu", vcpu: 0, input: "irq" }, true);
    vm.setIrqLine({ type: "cpu", vcpu: 0, input: "irq" }, false);
    await runToFinish(cpu);
  });

  it("of a vCPU that is not there, an input above 1 or an unknown type is EINVAL", () => {
    const { vm } = makeGuest(host);
    assertRefused("EINVAL", () => vm.setIrqLine({ type: "cpu", vcpu: 9, input: "irq" }, true));
    assertRefused("EINVAL", () => vm.fd.irqLine(2, 1));
    assertRefused("EINVAL", () => vm.fd.irqLine(3 << 24, 1));
    assertRefused("EINVAL", () => vm.fd.irqLine(0xf << 24, 1));
  });

  it("of shared and private interrupts is ENXIO", () => {
    const { vm } = makeGuest(host);
    assertRefused("ENXIO", () => vm.setIrqLine({ type: "spi", number: 32 }, true));
    assertRefused("ENXIO", () => vm.setIrqLine({ type: "ppi", vcpu: 0, number: 20 }, true));
  });

  it("KVM_IRQ_LINE_STATUS does the same", () => {
    const { vm } = makeGuest(host);
    assert.equal(typeof vm.setIrqLineStatus({ type: "cpu", vcpu: 0, input: "irq" }, true), "number");
    assertRefused("ENXIO", () => vm.setIrqLineStatus({ type: "spi", number: 32 }, true));
  });

  it("the vCPU of a line is its id, also above 255; in 6.1 its place in the order of creation", function () {
    needsVcpus(this, host, 301);
    const vm = host.keep(host.kvm.createVm());
    host.keep(vm.createVcpu(300)).init();
    const said = (vcpu: number) => answer(() => vm.setIrqLine({ type: "cpu", vcpu, input: "irq" }, true));
    const [byId, byPlace] = [
      ["OK", "EINVAL", "EINVAL"],
      ["EINVAL", "EINVAL", "OK"],
    ];
    assert.deepEqual([300, 44, 0].map(said), onHost(host, { "6.1": byPlace, "6.12": byId, "7.2": byId }));
  });

  it("interrupts of in-kernel devices are levels in the run page", () => {
    assert.equal(makeGuest(host).cpu.deviceIrqLevel, 0n);
  });
});

onEveryBackend("KVM_IRQ_LINE with a vGICv3", (host) => {
  beforeEach(function () {
    needsDevice(this, host, "vgic-v3");
  });

  it("of CPU inputs is ENXIO", () => {
    const { vm } = makeGicGuest(host);
    assertRefused("ENXIO", () => vm.setIrqLine({ type: "cpu", vcpu: 0, input: "irq" }, true));
  });

  it("of a private interrupt goes by the vCPU's id; on 6.1 the one at its place has an id that is a place again", () => {
    const vm = host.keep(host.kvm.createVm());
    const gic = host.keep(vm.createDevice("vgic-v3"));
    for (const id of [1, 2, 0]) host.keep(vm.createVcpu(id)).init();
    gic.setAttr(4, 0n);
    const said = (vcpu: number) => answer(() => vm.setIrqLine({ type: "ppi", vcpu, number: 20 }, true));
    assert.deepEqual([0, 1, 2, 3].map(said), ["OK", "OK", "OK", "EINVAL"]);
    const few = host.keep(host.kvm.createVm());
    const other = host.keep(few.createDevice("vgic-v3"));
    for (const id of [0, 2]) host.keep(few.createVcpu(id)).init();
    other.setAttr(4, 0n);
    const second = answer(() => few.setIrqLine({ type: "ppi", vcpu: 1, number: 20 }, true));
    const third = answer(() => few.setIrqLine({ type: "ppi", vcpu: 2, number: 20 }, true));
    const byId = ["EINVAL", "OK"];
    assert.deepEqual([second, third], onHost(host, { "6.1": ["EINVAL", "EINVAL"], "6.12": byId, "7.2": byId }));
  });

  it("before it is initialised is EBUSY", () => {
    const vm = host.keep(host.kvm.createVm());
    host.keep(vm.createDevice("vgic-v3"));
    host.keep(vm.createVcpu()).init();
    assertRefused("EBUSY", () => vm.setIrqLine({ type: "spi", number: 32 }, true));
  });

  it("of numbers that are no shared or private interrupt is EINVAL", () => {
    const { vm } = makeGicGuest(host);
    for (const number of [0, 31, 256, 1020, 0xffff]) {
      assertRefused("EINVAL", () => vm.setIrqLine({ type: "spi", number }, true));
    }
    for (const number of [0, 15, 32]) {
      assertRefused("EINVAL", () => vm.setIrqLine({ type: "ppi", vcpu: 0, number }, true));
    }
    assertRefused("EINVAL", () => vm.setIrqLine({ type: "ppi", vcpu: 5, number: 20 }, true));
  });

  it("of the timer's interrupt is taken, and ignored once the vCPU ran: the timer then owns it", () => {
    const { vm, gic, cpu } = makeGicGuest(host);
    const levelAfterRaise = () => {
      vm.setIrqLine({ type: "ppi", vcpu: 0, number: 27 }, true);
      const levels = gic.getAttr(KVM_ARM_VGIC_GROUP.LEVEL_INFO, 0n, 32);
      vm.setIrqLine({ type: "ppi", vcpu: 0, number: 27 }, false);
      return (levels >>> 27) & 1;
    };
    const before = levelAfterRaise();
    cpu.immediateExit = true;
    cpu.runSync();
    assert.deepEqual([before, levelAfterRaise()], [1, 0]);
  });
});

onEveryBackend("KVM_SET_GSI_ROUTING", (host) => {
  it("needs no in-kernel interrupt controller", () => {
    const vm = host.keep(host.kvm.createVm());
    vm.setGsiRouting([]);
    vm.setGsiRouting([{ gsi: 0, pin: 5 }]);
  });

  it("takes routes to pins and messages", function () {
    needsDevice(this, host, "vgic-v3");
    const { vm } = makeGicGuest(host);
    vm.setGsiRouting([
      { gsi: 0, pin: 5 },
      { gsi: 1, pin: 0 },
      { gsi: 2, address: 0x1234_0040n, data: 7 },
      { gsi: 3, address: 0x1234_0040n, data: 7, deviceId: 9 },
    ]);
  });

  it("refuses GSIs, pins and chips that there are none of, and a GSI twice", function () {
    needsDevice(this, host, "vgic-v3");
    const { vm } = makeGicGuest(host);
    assertRefused("EINVAL", () => vm.setGsiRouting([{ gsi: 4096, pin: 0 }]));
    assertRefused("EINVAL", () => vm.setGsiRouting([{ gsi: 0, pin: 988 }]));
    assertRefused("EINVAL", () => vm.setGsiRouting([{ gsi: 0, pin: 0, irqchip: 1 }]));
    assertRefused("EINVAL", () =>
      vm.setGsiRouting([
        { gsi: 0, pin: 0 },
        { gsi: 0, pin: 1 },
      ]),
    );
  });

  it("flags are EINVAL", function () {
    needsDevice(this, host, "vgic-v3");
    const { vm } = makeGicGuest(host);
    assertRefused("EINVAL", () => vm.fd.setGsiRouting(pack(structs.kvm_irq_routing, { nr: 0, flags: 1 })));
  });
});

onEveryBackend("KVM_SIGNAL_MSI", (host) => {
  it("without an in-kernel interrupt controller is EINVAL", () => {
    const vm = host.keep(host.kvm.createVm());
    assertRefused("EINVAL", () => vm.signalMsi({ address: 0x1234n, data: 0 }));
  });

  it("without an ITS is ENODEV", function () {
    needsDevice(this, host, "vgic-v3");
    const { vm } = makeGicGuest(host);
    assert.equal(
      answer(() => vm.signalMsi({ address: 0x1234n, data: 0, deviceId: 1 })),
      "ENODEV",
    );
  });
});
