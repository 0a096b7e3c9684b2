// LPIs as a guest sees them. Documentation/virt/kvm/devices/arm-vgic-its.rst; IHI 0069, "LPIs".

import assert from "node:assert/strict";
import { pc, x } from "../../lib/arm64/registers.js";
import { KVM_ARM_VGIC_GROUP as GROUP } from "../../lib/uapi/constants.js";
import { daifClear, eret, isb, mov64, movz, msr, spin, store } from "../support/assemble.js";
import { needsDevice, onEveryBackend, onHost } from "../support/backends.js";
import { acknowledge, endOfInterrupt, takeInterrupt } from "../support/gic.js";
import { DEVICE, finish, RAM, runToFinish, runToMmio } from "../support/guest.js";
import { commands, FREE, GITS_CREADR, GITS_CWRITER, ITS, ItsGuest, TRANSLATER } from "../support/its.js";
import { setVectors } from "../support/vectors.js";

const { mapd, mapc, mapti, movi, movall, int, inv, invall } = commands;
const ENABLED = 0xa1;
const DISABLED = 0xa0;

onEveryBackend("LPIs in a guest", (host) => {
  beforeEach(function () {
    needsDevice(this, host, "vgic-its");
  });

  const setUp = (code: readonly number[] = []) => {
    const its = new ItsGuest(host, {
      code: [
        movz(0, 0xff),
        msr([3, 0, 4, 6, 0], 0), // msr icc_pmr_el1, x0
        movz(0, 1),
        msr([3, 0, 12, 12, 7], 0), // msr icc_igrpen1_el1, x0
        daifClear(2),
        ...code,
        spin,
      ],
    });
    setVectors(its.guest, { irq: [...takeInterrupt, ...finish] });
    its.guest.cpu.setReg(pc, RAM);
    its.gic.setAttr(GROUP.DIST_REGS, 0n, 0x12); // GICD_CTLR: ARE, EnableGrp1
    its.configure(8192, ENABLED);
    its.configure(8193, ENABLED);
    its.send(mapd(5, FREE, 5), mapc(0, 0), mapti(5, 3, 8192, 0), mapti(5, 4, 8193, 0));
    return its;
  };
  const taken = async ({ guest }: ItsGuest) => {
    await runToFinish(guest.cpu);
    return guest.cpu.getReg(x(0));
  };

  it("are taken when a message comes", async () => {
    const its = setUp();
    its.message(5, 4);
    assert.equal(await taken(its), 8193n);
    its.savePending();
    assert.deepEqual(its.pending(8193), [false]);
  });

  it("are taken when a message comes while the guest runs", async () => {
    const its = setUp();
    const run = taken(its);
    await new Promise((resolve) => setTimeout(resolve, 50));
    its.message(5, 3);
    assert.equal(await run, 8192n);
  });

  it("come from a route of a GSI", async () => {
    const its = setUp();
    const { vm } = its.guest;
    vm.setGsiRouting([{ gsi: 7, address: TRANSLATER, data: 4, deviceId: 5 }]);
    const eventFd = host.keep(host.kvm.createEventFd());
    vm.addIrqfd({ eventFd, gsi: 7 });
    eventFd.signal();
    assert.equal(await taken(its), 8193n);
  });

  it("that their configuration disables wait until INV or INVALL reads that it does not", async () => {
    for (const command of [inv(5, 3), invall(0)]) {
      const its = setUp();
      its.configure(8192, DISABLED);
      its.send(inv(5, 3));
      its.message(5, 3);
      its.configure(8192, ENABLED);
      its.message(5, 4);
      assert.equal(await taken(its), 8193n);
      its.send(command);
      its.guest.cpu.setReg(pc, RAM);
      assert.equal(await taken(its), 8192n);
    }
  });

  it("come once each, however many wait", async () => {
    const its = setUp();
    const { cpu } = its.guest;
    const count = 64;
    setVectors(its.guest, { irq: [...takeInterrupt, ...mov64(28, DEVICE), store(4, 0, 28), eret] });
    its.send(mapd(6, FREE + 0x1000n, 10));
    for (let n = 0; n < count; n++) {
      its.configure(9000 + n, ENABLED);
      its.send(mapti(6, n, 9000 + n, 0));
    }
    for (let n = 0; n < count; n++) its.message(6, n);
    const taken = new Set<number>();
    for (let n = 0; n < count; n++)
      taken.add(new DataView((await runToMmio(cpu)).data.slice().buffer).getUint32(0, true));
    assert.equal(taken.size, count);
    assert.equal(Math.min(...taken), 9000);
  });

  it("of higher priority come first", async () => {
    const its = setUp();
    its.configure(8193, 0x11);
    its.send(inv(5, 4));
    its.message(5, 3);
    its.message(5, 4);
    assert.equal(await taken(its), 8193n);
  });

  /** Two vCPUs; LPIs of one priority, mapped in this order to the first one's collection as events of device 5. */
  const mappedInOrder = [8195, 8193 + 4096, 8193, 8192] as const;
  const withTwo = (configuration: number) => {
    const code = mappedInOrder.flatMap((_, n) => [acknowledge(n + 1), endOfInterrupt(n + 1)]);
    const its = new ItsGuest(host, {
      vcpus: 2,
      code: [movz(0, 0xff), msr([3, 0, 4, 6, 0], 0), movz(0, 1), msr([3, 0, 12, 12, 7], 0), isb, ...code, ...finish],
    });
    its.gic.setAttr(GROUP.DIST_REGS, 0n, 0x12);
    its.send(mapc(0, 0), mapc(1, 1), mapd(5, FREE, 5));
    for (const [event, intid] of mappedInOrder.entries()) {
      its.configure(intid, configuration);
      its.send(mapti(5, event, intid, 0));
    }
    return its;
  };
  const takenBy = async ({ guest }: ItsGuest, n: number) => {
    const cpu = guest.cpus[n]!;
    cpu.setReg(pc, RAM);
    await runToFinish(cpu);
    return mappedInOrder.map((_, i) => Number(cpu.getReg(x(i + 1)))).filter((intid) => intid !== 1023);
  };

  it("of one priority come in the order in which they were sent", async () => {
    const its = withTwo(ENABLED);
    for (const event of [2, 0, 3, 1]) its.message(5, event);
    assert.deepEqual(await takenBy(its, 0), [8193, 8195, 8192, 12289]);
  });

  it("that INVALL enables come by their INTIDs; on 6.1, in the order in which they were mapped", async () => {
    const its = withTwo(DISABLED);
    for (const event of [2, 0, 3, 1]) its.message(5, event);
    for (const intid of mappedInOrder) its.configure(intid, ENABLED);
    its.send(invall(0));
    const byIntid = [...mappedInOrder].sort((a, b) => a - b);
    assert.deepEqual(
      await takenBy(its, 0),
      onHost<readonly number[]>(host, { "6.1": mappedInOrder, "6.12": byIntid, "7.2": byIntid }),
    );
  });

  for (const [by, move] of [
    ["MOVALL", [movall(0, 1)]],
    ["MOVI", [0, 1, 2, 3].map((event) => movi(5, event, 1))],
  ] as const) {
    it(`that wait at a vCPU when ${by} sends them to another go there when the first one has run`, async () => {
      const its = withTwo(ENABLED);
      for (const event of [2, 0, 3, 1]) its.message(5, event);
      its.send(...move);
      assert.deepEqual(await takenBy(its, 1), []);
      assert.deepEqual(await takenBy(its, 0), []);
      assert.deepEqual(await takenBy(its, 1), [8193, 8195, 8192, 12289]);
    });
  }

  it("that wait at a redistributor when its LPIs are disabled are pending on, on 7.2 no more", () => {
    const its = withTwo(ENABLED);
    its.configure(8193, DISABLED);
    its.send(inv(5, 2));
    for (const event of [0, 2]) its.message(5, event);
    its.redistributor(0, 0n, 0);
    its.savePending();
    assert.deepEqual(
      [its.pending(8195), its.pending(8193)],
      [
        [host.kernel !== "7.2", false],
        [true, false],
      ],
    );
  });

  it("come of a command that the guest itself writes, and a store to GITS_TRANSLATER comes to nothing", async () => {
    const its = setUp([
      ...mov64(1, TRANSLATER),
      movz(2, 4),
      store(4, 2, 1), // GITS_TRANSLATER
      ...mov64(1, ITS + GITS_CWRITER),
      movz(2, 0xa0),
      store(8, 2, 1), // GITS_CWRITER
    ]);
    for (const [i, word] of int(5, 3).entries()) its.put(RAM + 0x1_0000n + 0x80n + BigInt(8 * i), word);
    assert.equal(await taken(its), 8192n);
    assert.equal(its.read(GITS_CREADR), 0xa0n);
  });

  it("registers that the guest reads by halves and by bytes are halves, and zero", async () => {
    const its = setUp([...mov64(1, ITS), 0xb9400c22, 0xb9400823, 0x39402024, 0xf9400825, ...finish]);
    await runToFinish(its.guest.cpu);
    // ldr w2, [x1, #12]; ldr w3, [x1, #8]; ldrb w4, [x1, #8]; ldr x5, [x1, #16]
    assert.deepEqual(
      [2, 3, 4, 5].map((n) => its.guest.cpu.getReg(x(n))),
      [0n, 0x1_ef71n, 0n, 0n],
    );
  });
});
