import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { errno } from "../../lib/uapi/errno.js";
import { addVcpu, type Guest, makeGuest, needsKvm, programs, refusalOf, x0Id } from "./host.js";

type Bad = never;

const gicV3 = 7;

describe("bad input to the addon", () => {
  before(function () {
    needsKvm(this);
  });

  let guest: Guest;
  beforeEach(() => {
    guest = makeGuest(programs.loops);
  });
  afterEach(() => {
    guest.close();
  });

  it("numbers that are none, or do not fit, are a TypeError or a RangeError", () => {
    const { vm, vcpu, system } = guest;
    for (const bad of ["1", null, undefined, {}, 1n, Symbol.iterator]) {
      assert.throws(() => vm.createVcpu(bad as Bad), TypeError);
      assert.throws(() => vm.irqLine(bad as Bad, 0), TypeError);
      assert.throws(() => vcpu.setMpState(bad as Bad), TypeError);
    }
    for (const bad of [Number.NaN, -1, 0.5, 2 ** 32, Number.POSITIVE_INFINITY]) {
      assert.throws(() => vm.createVcpu(bad), RangeError);
      assert.throws(() => system.checkExtension(bad), RangeError);
      assert.throws(() => system.eventfd(bad), RangeError);
    }
    for (const bad of [-1n, 2n ** 64n]) {
      assert.throws(() => system.createVm(bad), RangeError);
      assert.throws(() => vcpu.getOneReg(bad, new Uint8Array(8)), RangeError);
      assert.throws(() => vm.armSetDeviceAddr(0n, bad), RangeError);
    }
    for (const bad of [0, "0", null]) assert.throws(() => system.createVm(bad as Bad), TypeError);
  });

  it("bytes of another length, another kind, or detached are refused before the kernel is asked", () => {
    const { vm, vcpu } = guest;
    const detached = new Uint8Array(8);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    const wrongLength: (() => void)[] = [
      () => vcpu.getOneReg(x0Id, new Uint8Array(7)),
      () => vcpu.getOneReg(x0Id, new Uint8Array(16)),
      () => vcpu.getOneReg(x0Id, detached),
      () => vcpu.setOneReg(x0Id, new Uint8Array(0)),
      () => vcpu.getRegs(new BigUint64Array([x0Id, x0Id]), new Uint8Array(15), new Int32Array(1)),
      () => vcpu.getRegs(new BigUint64Array([x0Id]), new Uint8Array(8), new Int32Array(0)),
      () => vcpu.setVcpuEvents(new Uint8Array(63)),
      () => vm.enableCap(new Uint8Array(105)),
      () => vm.setGsiRouting(new Uint8Array(7)),
      () => vm.setGsiRouting(new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0])),
      () => vm.setGsiRouting(new Uint8Array(8).fill(255)),
      () => vm.armMteCopyTags(0n, 4096n, new Uint8Array(255), 0n),
      () => vm.armGetRegWritableMasks(0, new BigUint64Array(191)),
      () => vcpu.setSignalMask(new Uint8Array(129)),
    ];
    const wrongKind: (() => void)[] = [
      () => vcpu.getOneReg(x0Id, new Uint16Array(4) as Bad),
      () => vcpu.getOneReg(x0Id, [0] as Bad),
      () => vcpu.getRegs([x0Id] as Bad, new Uint8Array(8), new Int32Array(1)),
      () => vcpu.setVcpuEvents(null as Bad),
      () => vm.setUserMemoryRegion(1, 0, 0n, 4096n, {} as Bad, 0n),
      () => vm.setUserMemoryRegion(1, 0, 0n, 4096n, vm as Bad, 0n),
      () => vm.map({ kind: "other" } as Bad),
      () => vm.map({ kind: "anonymous", bytes: "4096" } as Bad),
    ];

    for (const call of wrongLength) assert.throws(call, RangeError, String(call));
    for (const call of wrongKind) assert.throws(call, TypeError, String(call));
  });

  it("an attribute's value that is too short is EFAULT and harms nothing", () => {
    const device = guest.vm.createDevice(gicV3, 0)!;
    const distributorAddress = { group: 0, attr: 2n };

    const short = refusalOf(() =>
      device.getDeviceAttr(distributorAddress.group, distributorAddress.attr, new Uint8Array(4)),
    );
    const none = refusalOf(() => device.getDeviceAttr(distributorAddress.group, distributorAddress.attr, null));
    const value = new Uint8Array(8);
    device.getDeviceAttr(distributorAddress.group, distributorAddress.attr, value);

    assert.deepEqual([short.errno, none.errno], [errno("EFAULT"), errno("EFAULT")]);
    assert.deepEqual(value, new Uint8Array(8).fill(255));
    device.close();
  });

  it("methods refuse objects that are not theirs, and classes are not constructors", () => {
    const addon = createRequire(import.meta.url)(
      fileURLToPath(new URL("../../../build/Release/kvm.node", import.meta.url)),
    );
    const { vm, vcpu } = guest;

    for (const name of ["SystemFd", "VmFd", "VcpuFd", "DeviceFd", "EventFd", "Mapping"]) {
      assert.throws(() => new addon[name](), TypeError);
      assert.throws(() => addon[name].prototype.close.call({}), TypeError);
      assert.throws(() => addon[name].prototype.close.call(new Proxy(vm, {})), TypeError);
    }
    assert.throws(() => addon.VcpuFd.prototype.runSync.call(vm), TypeError);
    assert.throws(() => addon.VmFd.prototype.close.call(vcpu), TypeError);
    assert.throws(() => Object.getOwnPropertyDescriptor(addon.VmFd.prototype, "closed")!.get!.call(vcpu), TypeError);
    assert.throws(() => Object.create(vm).closed, TypeError);
    assert.equal(vm.closed, false);
  });

  it("a handle that was made up, or of another kind, is ENOENT", () => {
    const { system, vm, vcpu } = guest;
    const made = [
      { backend: "kvm" },
      { backend: "kvm", kind: "vm", token: 99999n },
      { backend: "kvm", kind: "vm", token: -1n },
    ];

    for (const handle of [...made, { backend: "model", kind: "vm", token: 1n }, vcpu.handle()]) {
      assert.deepEqual(
        refusalOf(() => system.attachVm(handle)),
        { errno: errno("ENOENT"), call: "attachVm" },
      );
    }
    assert.equal(refusalOf(() => system.attachVcpu(vm.handle())).errno, errno("ENOENT"));
  });

  it("every verb of a closed descriptor is refused with EBADF, and closing again is harmless", () => {
    const { system, vm } = guest;
    const device = vm.createDevice(gicV3, 0)!;
    const vcpu = addVcpu(vm, 1);
    const event = system.eventfd(0);
    const other = system.createVm(0n);
    const second = system.attachVm(vm.handle());
    for (const open of [device, vcpu, event, other, second]) {
      open.close();
      open.close();
    }
    const bytes = (n: number) => new Uint8Array(n);
    const one = new BigUint64Array([x0Id]);
    const verbs: (() => unknown)[] = [
      () => device.setDeviceAttr(0, 0n, null),
      () => device.getDeviceAttr(0, 0n, null),
      () => device.hasDeviceAttr(0, 0n),
      () => event.signal(1n),
      () => event.take(),
      () => vcpu.handle(),
      () => vcpu.armVcpuInit(bytes(32)),
      () => vcpu.armVcpuFinalize(4),
      () => vcpu.getOneReg(x0Id, bytes(8)),
      () => vcpu.setOneReg(x0Id, bytes(8)),
      () => vcpu.getRegs(one, bytes(8), new Int32Array(1)),
      () => vcpu.setRegs(one, bytes(8), new Int32Array(1)),
      () => vcpu.getRegList(),
      () => vcpu.runSync(),
      () => vcpu.kick(),
      () => vcpu.getMpState(),
      () => vcpu.setMpState(0),
      () => vcpu.getVcpuEvents(bytes(64)),
      () => vcpu.setVcpuEvents(bytes(64)),
      () => vcpu.setGuestDebug(bytes(520)),
      () => vcpu.setSignalMask(null),
      () => vcpu.dirtyRing(4096),
      () => vcpu.readStats(0, bytes(24)),
      () => vcpu.setDeviceAttr(1, 0n, null),
      () => vcpu.getDeviceAttr(1, 0n, null),
      () => vcpu.hasDeviceAttr(1, 0n),
      () => other.handle(),
      () => other.checkExtension(0),
      () => other.enableCap(bytes(104)),
      () => other.createVcpu(0),
      () => other.createDevice(gicV3, 0),
      () => other.map({ kind: "anonymous", bytes: 4096 }),
      () => other.setUserMemoryRegion(0, 0, 0n, 0n, null, 0n),
      () => other.setUserMemoryRegion2(0, 0, 0n, 0n, null, 0n, 0, 0n),
      () => other.createGuestMemfd(bytes(64)),
      () => other.getDirtyLog(0, bytes(8)),
      () => other.clearDirtyLog(0, 0n, 64, bytes(8)),
      () => other.resetDirtyRings(),
      () => other.registerCoalescedMmio(bytes(16)),
      () => other.unregisterCoalescedMmio(bytes(16)),
      () => other.createIrqchip(),
      () => other.irqLine(0, 0),
      () => other.irqLineStatus(0, 0),
      () => other.setGsiRouting(bytes(8)),
      () => other.irqfd(bytes(32)),
      () => other.ioeventfd(bytes(64)),
      () => other.signalMsi(bytes(32)),
      () => other.armSetDeviceAddr(0n, 0n),
      () => other.armPreferredTarget(bytes(32)),
      () => other.armMteCopyTags(0n, 0n, bytes(0), 0n),
      () => other.armSetCounterOffset(bytes(16)),
      () => other.armGetRegWritableMasks(0, new BigUint64Array(192)),
      () => other.readStats(0, bytes(24)),
      () => other.setDeviceAttr(0, 0n, null),
      () => other.getDeviceAttr(0, 0n, null),
      () => other.hasDeviceAttr(0, 0n),
    ];

    for (const verb of verbs) assert.equal(refusalOf(verb).errno, errno("EBADF"), String(verb));
    assert.deepEqual(
      [device.closed, vcpu.closed, other.closed, second.closed, vm.closed],
      [true, true, true, true, false],
    );
    assert.equal(vm.checkExtension(3), 1);
  });

  it("run of a closed vCPU rejects, and waiting on a closed eventfd gives false", async () => {
    const { system, vcpu } = guest;
    const event = system.eventfd(0);
    event.close();
    vcpu.close();

    const error = await vcpu.run().catch((reason) => reason);

    assert.deepEqual([error.errno, error.call], [errno("EBADF"), "KVM_RUN"]);
    assert.equal(await event.wait(), false);
  });
});
