// eventfd(2), KVM_IOEVENTFD, KVM_IRQFD and coalesced MMIO. Documentation/virt/kvm/api.rst 4.59, 4.75, 4.116.

import assert from "node:assert/strict";
import { pc, x } from "../../lib/arm64/registers.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import { daifClear, mov64, spin, store, type Width, XZR } from "../support/assemble.js";
import { needsDevice, onEveryBackend, onHost } from "../support/backends.js";
import { makeGicGuest, takeInterrupt } from "../support/gic.js";
import { DEVICE, eventually, finish, makeGuest, RAM, runToFinish, runToMmio } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";
import { setVectors } from "../support/vectors.js";

onEveryBackend("an eventfd", (host) => {
  it("begins at its initial value, adds up signals, and gives the sum once", () => {
    const event = host.keep(host.kvm.createEventFd(3));
    event.signal();
    event.signal(10n);
    assert.deepEqual([event.take(), event.take()], [14n, 0n]);
  });

  it("waits until it is signalled", async () => {
    const event = host.keep(host.kvm.createEventFd());
    const waiting = event.wait();
    event.signal();
    assert.equal(await waiting, true);
    assert.equal(event.take(), 1n);
  });

  it("waits not at all when it is signalled already", async () => {
    const event = host.keep(host.kvm.createEventFd(1));
    assert.equal(await event.wait(), true);
  });

  it("ends waiting with false when it is closed", async () => {
    const event = host.kvm.createEventFd();
    const waiting = event.wait();
    event.close();
    assert.equal(await waiting, false);
  });

  it("refuses a value that would not fit", () => {
    const event = host.keep(host.kvm.createEventFd());
    event.signal(2n ** 64n - 2n);
    assertRefused("EAGAIN", () => event.signal(1n));
    assertRefused("EINVAL", () => event.signal(2n ** 64n - 1n));
  });

  it("is EBADF once closed, and closing twice does nothing", () => {
    const event = host.kvm.createEventFd();
    event.close();
    event.close();
    assertRefused("EBADF", () => event.signal());
    assertRefused("EBADF", () => event.take());
  });
});

onEveryBackend("an ioeventfd", (host) => {
  const setUp = (code: readonly number[] = []) => ({
    ...makeGuest(host, [...mov64(1, DEVICE), ...code, ...mov64(1, DEVICE + 0x1000n), store(4, XZR, 1)]),
    event: host.keep(host.kvm.createEventFd()),
  });
  const END = DEVICE + 0x1000n;

  for (const width of [1, 2, 4, 8] as const satisfies readonly Width[]) {
    it(`a store of ${width} bytes signals it instead of exiting`, async () => {
      const { vm, cpu, event } = setUp([store(width, XZR, 1), store(width, XZR, 1)]);
      vm.addIoEvent({ eventFd: event, at: DEVICE, bytes: width });
      assert.equal((await runToMmio(cpu)).address, END);
      assert.equal(event.take(), 2n);
    });
  }

  it("a store of another width, or beside it, exits", async () => {
    const { vm, cpu, event } = setUp([store(4, XZR, 1), store(8, XZR, 1, 8)]);
    vm.addIoEvent({ eventFd: event, at: DEVICE, bytes: 8 });
    assert.equal((await runToMmio(cpu)).address, DEVICE);
    assert.equal((await runToMmio(cpu)).address, DEVICE + 8n);
    assert.equal(event.take(), 0n);
  });

  it("of length 0, a store of any width signals it", async () => {
    const { vm, cpu, event } = setUp([store(1, XZR, 1), store(8, XZR, 1)]);
    vm.addIoEvent({ eventFd: event, at: DEVICE, bytes: 0 });
    assert.equal((await runToMmio(cpu)).address, END);
    assert.equal(event.take(), 2n);
  });

  it("with a value to match, only a store of that value signals it", async () => {
    const { vm, cpu, event } = setUp([store(4, 0, 1), store(4, 2, 1)]);
    vm.addIoEvent({ eventFd: event, at: DEVICE, bytes: 4, match: 0x1234_5678n });
    cpu.setReg(x(0), 0x1234_5678n);
    cpu.setReg(x(2), 0x1234_5679n);
    const exit = await runToMmio(cpu);
    assert.deepEqual([exit.address, exit.data[0], event.take()], [DEVICE, 0x79, 1n]);
  });

  it("removed, it signals no longer", async () => {
    const { vm, cpu, event } = setUp([store(4, XZR, 1)]);
    const io = { eventFd: event, at: DEVICE, bytes: 4 } as const;
    vm.addIoEvent(io);
    vm.removeIoEvent(io);
    assert.equal((await runToMmio(cpu)).address, DEVICE);
  });

  it("what collides with one that is there is EEXIST", () => {
    const { vm, event } = setUp();
    const add = (bytes: 0 | 4 | 8, match?: bigint) =>
      answer(() => vm.addIoEvent({ eventFd: event, at: DEVICE, bytes, ...(match === undefined ? {} : { match }) }));
    assert.deepEqual(
      [add(4, 1n), add(4, 1n), add(4, 2n), add(4), add(8), add(8)],
      ["OK", "EEXIST", "OK", "EEXIST", "OK", "EEXIST"],
    );
  });

  it("removing what is not there is ENOENT", () => {
    const { vm, event } = setUp();
    assertRefused("ENOENT", () => vm.removeIoEvent({ eventFd: event, at: DEVICE, bytes: 4 }));
  });

  it("lengths, flags, ranges and values that make no sense are EINVAL", () => {
    const { vm, event } = setUp();
    const raw = (fields: object) =>
      vm.fd.ioeventfd(pack(structs.kvm_ioeventfd, { addr: DEVICE, len: 4, fd: event.fd, ...fields }));
    assertRefused("EINVAL", () => raw({ len: 3 }));
    assertRefused("EINVAL", () => raw({ len: 16 }));
    assertRefused("EINVAL", () => raw({ flags: 0x20 }));
    assertRefused("EINVAL", () => raw({ addr: 2n ** 64n - 2n }));
    assertRefused("EINVAL", () => raw({ len: 0, flags: 1 }));
  });

  it("a descriptor that is none is EBADF", () => {
    const { vm } = setUp();
    assertRefused("EBADF", () => vm.fd.ioeventfd(pack(structs.kvm_ioeventfd, { addr: DEVICE, len: 4, fd: -1 })));
  });
});

onEveryBackend("a coalesced MMIO zone", (host) => {
  const setUp = (code: readonly number[]) =>
    makeGuest(host, [...mov64(1, DEVICE), ...code, ...mov64(1, END), store(4, XZR, 1)]);
  const END = DEVICE + 0x1000n;

  it("takes stores into the ring instead of exiting, oldest first", async () => {
    const { vm, cpu } = setUp([store(4, 0, 1), store(1, 2, 1, 7)]);
    vm.addCoalescedMmio({ at: DEVICE, bytes: 16 });
    cpu.setReg(x(0), 0x1122_3344n);
    cpu.setReg(x(2), 0x99n);
    assert.equal((await runToMmio(cpu)).address, END);
    const writes = cpu.takeCoalescedWrites().map(({ address, data }) => [address, [...data]]);
    assert.deepEqual(writes, [
      [DEVICE, [0x44, 0x33, 0x22, 0x11]],
      [DEVICE + 7n, [0x99]],
    ]);
    assert.deepEqual(cpu.takeCoalescedWrites(), []);
  });

  it("does not take a store that reaches beyond it", async () => {
    const { vm, cpu } = setUp([store(8, XZR, 1, 16)]);
    vm.addCoalescedMmio({ at: DEVICE, bytes: 20 });
    assert.equal((await runToMmio(cpu)).address, DEVICE + 16n);
  });

  it("exits when the ring is full, one entry staying free; 6.1 counts modulo 2^32 and finds it full at half", async () => {
    const capacity = Math.floor((4096 - 8) / 24);
    const room = onHost(host, { "6.1": 85, "6.12": capacity - 1, "7.2": capacity - 1 });
    const { vm, cpu } = setUp(Array(room + 1).fill(store(4, XZR, 1)));
    vm.addCoalescedMmio({ at: DEVICE, bytes: 16 });
    assert.equal((await runToMmio(cpu)).address, DEVICE);
    assert.equal(cpu.takeCoalescedWrites().length, room);
    assert.equal((await runToMmio(cpu)).address, END);
  });

  it("removed, stores exit again", async () => {
    const { vm, cpu } = setUp([store(4, XZR, 1)]);
    vm.addCoalescedMmio({ at: DEVICE, bytes: 16 });
    vm.removeCoalescedMmio({ at: DEVICE, bytes: 16 });
    assert.equal((await runToMmio(cpu)).address, DEVICE);
  });

  it("removing one that is not there does nothing", () => {
    setUp([]).vm.removeCoalescedMmio({ at: DEVICE, bytes: 16 });
  });

  it("pio above 1 is EINVAL", () => {
    const { vm } = setUp([]);
    assertRefused("EINVAL", () =>
      vm.fd.registerCoalescedMmio(pack(structs.kvm_coalesced_mmio_zone, { addr: DEVICE, size: 16, pio: 2 })),
    );
  });

  it("is the ring of the whole VM: every vCPU sees it", async () => {
    const { vm, cpu, cpus } = makeGuest(
      host,
      [...mov64(1, DEVICE), store(4, XZR, 1), ...mov64(1, END), store(4, XZR, 1)],
      { vcpus: 2 },
    );
    vm.addCoalescedMmio({ at: DEVICE, bytes: 16 });
    await runToMmio(cpu);
    assert.equal(cpus[1]?.takeCoalescedWrites().length, 1);
  });

  it("what was taken through one vCPU is gone for the others, when one of them was asked to run, though it may not", async () => {
    const { vm, cpu } = setUp([store(4, XZR, 1)]);
    vm.addCoalescedMmio({ at: DEVICE, bytes: 16 });
    const other = host.keep(vm.createVcpu(1));
    await runToMmio(cpu);
    assert.equal(cpu.takeCoalescedWrites().length, 1);
    assertRefused("ENOEXEC", () => other.runSync());
    assert.deepEqual(other.takeCoalescedWrites(), []);
  });
});

onEveryBackend("an irqfd", (host) => {
  it("is EAGAIN while there is no initialised interrupt controller", () => {
    const vm = host.keep(host.kvm.createVm());
    const eventFd = host.keep(host.kvm.createEventFd());
    assertRefused("EAGAIN", () => vm.addIrqfd({ eventFd, gsi: 0 }));
  });

  it("can be removed though it never was there", () => {
    const vm = host.keep(host.kvm.createVm());
    const eventFd = host.keep(host.kvm.createEventFd());
    vm.removeIrqfd({ eventFd, gsi: 5 });
  });

  it("with unknown flags is EINVAL", () => {
    const vm = host.keep(host.kvm.createVm());
    assertRefused("EINVAL", () => vm.fd.irqfd(pack(structs.kvm_irqfd, { fd: 0, gsi: 0, flags: 4 })));
  });

  it("of a descriptor that is none is EBADF, where there is an interrupt controller", function () {
    needsDevice(this, host, "vgic-v3");
    const { vm } = makeGicGuest(host);
    assertRefused("EBADF", () => vm.fd.irqfd(pack(structs.kvm_irqfd, { fd: 0x7fff_ffff, gsi: 0 })));
  });

  it("of an eventfd that is in one already is EBUSY, in another VM only since 7.2", function () {
    needsDevice(this, host, "vgic-v3");
    const [{ vm }, other] = [makeGicGuest(host), makeGicGuest(host)];
    const eventFd = host.keep(host.kvm.createEventFd());
    vm.addIrqfd({ eventFd, gsi: 1 });
    assertRefused("EBUSY", () => vm.addIrqfd({ eventFd, gsi: 2 }));
    const said = answer(() => other.vm.addIrqfd({ eventFd, gsi: 1 }));
    assert.equal(said, onHost(host, { "6.1": "OK", "6.12": "OK", "7.2": "EBUSY" }));
  });

  it("removed, its eventfd can be in another, and signalling it raises nothing", function () {
    needsDevice(this, host, "vgic-v3");
    const { vm, gic } = makeGicGuest(host);
    const eventFd = host.keep(host.kvm.createEventFd());
    vm.addIrqfd({ eventFd, gsi: 1 });
    vm.removeIrqfd({ eventFd, gsi: 1 });
    eventFd.signal();
    assert.equal(gic.getAttr(1, 0x204n, 32), 0); // GICD_ISPENDR1
    vm.addIrqfd({ eventFd, gsi: 2 });
  });

  it("removed, what was signalled before it was made is gone from the counter", function () {
    needsDevice(this, host, "vgic-v3");
    const { vm } = makeGicGuest(host);
    const eventFd = host.keep(host.kvm.createEventFd(3));
    vm.addIrqfd({ eventFd, gsi: 1 });
    vm.removeIrqfd({ eventFd, gsi: 1 });
    assert.equal(eventFd.take(), 0n);
  });

  it("follows the routes: a GSI that is routed to another pin raises that", async function () {
    needsDevice(this, host, "vgic-v3");
    const { vm, gic } = makeGicGuest(host);
    vm.setGsiRouting([{ gsi: 1, pin: 7 }]);
    const eventFd = host.keep(host.kvm.createEventFd());
    vm.addIrqfd({ eventFd, gsi: 1 });
    eventFd.signal();
    // The kernel takes it in a worker of its own.
    await eventually(() => gic.getAttr(1, 0x204n, 32), 1 << 7);
  });

  it("with a resample eventfd that is none is EBADF", function () {
    needsDevice(this, host, "vgic-v3");
    const { vm } = makeGicGuest(host);
    const eventFd = host.keep(host.kvm.createEventFd());
    const args = { fd: eventFd.fd, gsi: 1, flags: 2, resamplefd: 0x7fff_ffff };
    assertRefused("EBADF", () => vm.fd.irqfd(pack(structs.kvm_irqfd, args)));
    vm.addIrqfd({ eventFd, gsi: 1, resample: host.keep(host.kvm.createEventFd()) });
  });

  it("ends with its VM's descriptor, though a vCPU stays open, and takes what the counter has", function () {
    needsDevice(this, host, "vgic-v3");
    const { vm, cpu } = makeGicGuest(host);
    const eventFd = host.keep(host.kvm.createEventFd(1));
    vm.addIrqfd({ eventFd, gsi: 4 });
    vm.close();
    assert.equal(eventFd.take(), 0n);
    eventFd.signal();
    assert.equal(eventFd.take(), 1n);
    cpu.close();
  });

  it("raises the interrupt when it is signalled: GSI n is SPI n, INTID 32 + n", async function () {
    needsDevice(this, host, "vgic-v3");
    const gsi = 4;
    // The guest enables group 1, takes the interrupt and leaves INTID in X0.
    const guest = makeGicGuest(host, { spi: 32 + gsi, code: [daifClear(2), spin] });
    setVectors(guest, { irq: [...takeInterrupt, ...finish] });
    const { vm, cpu } = guest;
    cpu.setReg(pc, RAM);
    const eventFd = host.keep(host.kvm.createEventFd());
    vm.addIrqfd({ eventFd, gsi });
    eventFd.signal();
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), BigInt(32 + gsi));
  });
});
