import assert from "node:assert/strict";
import { errno } from "../../lib/uapi/errno.js";
import { pack, structs, unpack } from "../../lib/uapi/structs.js";
import { deviceAt, makeGuest, needsKvm, programs, refusalOf, word } from "./host.js";

const gicV3 = 7;
const group = { address: 0, interrupts: 3, control: 4 } as const;

describe("devices, interrupts and eventfds on the addon", () => {
  before(function () {
    needsKvm(this);
  });

  it("a vGICv3 is set up by attributes, and takes interrupts by irqLine and irqfd", () => {
    const { vm, system, close } = makeGuest(programs.loops);
    const gic = vm.createDevice(gicV3, 0)!;
    gic.setDeviceAttr(group.address, 2n, word(0x800_0000n));
    gic.setDeviceAttr(group.address, 3n, word(0x80a_0000n));
    gic.setDeviceAttr(group.interrupts, 0n, new Uint8Array([64, 0, 0, 0]));
    gic.setDeviceAttr(group.control, 0n, null);
    const event = system.eventfd(0);
    const spi = (1 << 24) | 40;

    vm.irqLine(spi, 1);
    const status = vm.irqLineStatus(spi, 0);
    vm.irqfd(pack(structs.kvm_irqfd, { fd: event.fd, gsi: 1 }));
    event.signal(1n);

    assert.equal(status, spi);
    // A status is signed, and none is an errno.
    assert.equal(vm.irqLineStatus((spi | 0xf0ff_0000) >>> 0, 0), spi | 0xf0ff_0000);
    assert.equal(refusalOf(() => gic.hasDeviceAttr(99, 0n)).errno, errno("ENXIO"));
    assert.equal(vm.createDevice(gicV3, 1), null);
    assert.equal(refusalOf(() => vm.createDevice(4242, 0)).errno, errno("ENODEV"));
    event.close();
    gic.close();
    close();
  });

  it("an ioeventfd takes the guest's stores, and wait resolves without taking", async () => {
    const guest = makeGuest(programs.stores);
    const event = guest.system.eventfd(0);
    guest.vm.ioeventfd(pack(structs.kvm_ioeventfd, { addr: deviceAt, len: 1, fd: event.fd }));
    const run = guest.vcpu.run();

    const signalled = await event.wait();

    const count = event.take();
    guest.vcpu.kick();
    assert.equal(await run, errno("EINTR"));
    assert.equal(signalled, true);
    assert.ok(count > 0n);
    event.close();
    guest.close();
  });

  it("several that wait are told together, and close tells them false", async () => {
    const { system, close } = makeGuest(programs.loops);
    const event = system.eventfd(2);

    const first = await Promise.all([event.wait(), event.wait()]);
    const count = event.take();
    const waiting = [event.wait(), event.wait()];
    event.close();

    assert.deepEqual([first, count, await Promise.all(waiting)], [[true, true], 2n, [false, false]]);
    close();
  });

  it("coalesced MMIO goes to the ring beside the run page", async () => {
    const guest = makeGuest(programs.stores);
    guest.vm.registerCoalescedMmio(pack(structs.kvm_coalesced_mmio_zone, { addr: deviceAt, size: 4096 }));

    const result = guest.vcpu.runSync();

    const ring = new DataView(guest.vcpu.runPage.buffer, 4096);
    assert.equal(result, 0);
    // 170 entries less the one that stays free; Linux 6.1 reckons modulo 170 in 32 bits and stops at half.
    assert.ok([169, 85].includes(ring.getUint32(4, true)), `${ring.getUint32(4, true)} entries`);
    assert.equal(ring.getBigUint64(8, true), deviceAt);
    guest.close();
  });

  it("statistics are read from the VM and the vCPU through a descriptor that is opened once", () => {
    const { vm, vcpu, close } = makeGuest(programs.loops);
    const header = new Uint8Array(structs.kvm_stats_header.bytes);

    const counts = [vm, vcpu].flatMap((fd) => [fd.readStats(0, header), fd.readStats(0, header)]);

    const { name_size, num_desc, id_offset } = unpack(structs.kvm_stats_header, header);
    const id = new Uint8Array(name_size);
    vcpu.readStats(id_offset, id);
    assert.deepEqual(counts, [24, 24, 24, 24]);
    assert.ok(num_desc > 10);
    assert.match(new TextDecoder().decode(id), /^kvm-\d+\/vcpu-0\0/);
    close();
  });

  it("writable masks, events, MP state and debug state are read and written whole", () => {
    const { vm, vcpu, close } = makeGuest(programs.loops);
    const events = new Uint8Array(structs.kvm_vcpu_events.bytes);
    const masks = new BigUint64Array(192);
    const SUPPORTED_REG_MASK_RANGES = 230;

    vcpu.getVcpuEvents(events);
    vcpu.setVcpuEvents(events);
    vcpu.setMpState(5);
    vcpu.setGuestDebug(new Uint8Array(structs.kvm_guest_debug.bytes));
    const ranges = vm.checkExtension(SUPPORTED_REG_MASK_RANGES);
    const refused = ranges === 0 ? refusalOf(() => vm.armGetRegWritableMasks(0, masks)).errno : 0;
    if (ranges !== 0) vm.armGetRegWritableMasks(0, masks);

    assert.equal(vcpu.getMpState(), 5);
    assert.ok(ranges === 0 ? refused > 0 : masks.some((mask) => mask !== 0n));
    close();
  });
});
