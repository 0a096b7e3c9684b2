// A closed descriptor refuses every verb of the seam with EBADF, and closing twice does nothing.

import assert from "node:assert/strict";
import type { AttrFd, DeviceFd, VcpuFd, VmFd } from "../../lib/backend.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import { needsDevice, onEveryBackend } from "../support/backends.js";
import { assertRefused, assertRunRefused } from "../support/refusal.js";

/** A call of every verb: the compiler sees to it that none is left out. */
type Verbs<F, K extends keyof F = Exclude<keyof F, "close" | "closed" | "id" | "runPage" | "run">> = Readonly<
  Record<K, (fd: F) => unknown>
>;

const bytes = (size: number) => new Uint8Array(size);
const attr = <F extends VmFd | VcpuFd | DeviceFd>(): Verbs<F, keyof AttrFd> => ({
  setDeviceAttr: (fd) => fd.setDeviceAttr(0, 0n, bytes(8)),
  getDeviceAttr: (fd) => fd.getDeviceAttr(0, 0n, bytes(8)),
  hasDeviceAttr: (fd) => fd.hasDeviceAttr(0, 0n),
});

// biome-ignore format: table
const vmVerbs: Verbs<VmFd> = {
  ...attr<VmFd>(),
  handle: (fd) => fd.handle(),
  checkExtension: (fd) => fd.checkExtension(3),
  enableCap: (fd) => fd.enableCap(pack(structs.kvm_enable_cap, { cap: 177 })),
  createVcpu: (fd) => fd.createVcpu(1),
  createDevice: (fd) => fd.createDevice(7, 1),
  map: (fd) => fd.map({ kind: "anonymous", bytes: 4096 }),
  setUserMemoryRegion: (fd) => fd.setUserMemoryRegion(0, 0, 0n, 0n, null, 0n),
  setUserMemoryRegion2: (fd) => fd.setUserMemoryRegion2(0, 0, 0n, 0n, null, 0n, 0, 0n),
  createGuestMemfd: (fd) => fd.createGuestMemfd(pack(structs.kvm_create_guest_memfd, { size: 4096n })),
  getDirtyLog: (fd) => fd.getDirtyLog(0, bytes(8)),
  clearDirtyLog: (fd) => fd.clearDirtyLog(0, 0n, 64, bytes(8)),
  resetDirtyRings: (fd) => fd.resetDirtyRings(),
  registerCoalescedMmio: (fd) => fd.registerCoalescedMmio(pack(structs.kvm_coalesced_mmio_zone, { size: 8 })),
  unregisterCoalescedMmio: (fd) => fd.unregisterCoalescedMmio(pack(structs.kvm_coalesced_mmio_zone, { size: 8 })),
  createIrqchip: (fd) => fd.createIrqchip(),
  irqLine: (fd) => fd.irqLine(0, 0),
  irqLineStatus: (fd) => fd.irqLineStatus(0, 0),
  setGsiRouting: (fd) => fd.setGsiRouting(bytes(8)),
  irqfd: (fd) => fd.irqfd(pack(structs.kvm_irqfd, { flags: 1 })),
  ioeventfd: (fd) => fd.ioeventfd(pack(structs.kvm_ioeventfd, { flags: 4 })),
  signalMsi: (fd) => fd.signalMsi(bytes(32)),
  armSetDeviceAddr: (fd) => fd.armSetDeviceAddr(0n, 0n),
  armPreferredTarget: (fd) => fd.armPreferredTarget(bytes(32)),
  armMteCopyTags: (fd) => fd.armMteCopyTags(0n, 4096n, bytes(256), 0n),
  armSetCounterOffset: (fd) => fd.armSetCounterOffset(bytes(16)),
  armGetRegWritableMasks: (fd) => fd.armGetRegWritableMasks(0, new BigUint64Array(192)),
  readStats: (fd) => fd.readStats(0, bytes(24)),
};

// biome-ignore format: table
const vcpuVerbs: Verbs<VcpuFd> = {
  ...attr<VcpuFd>(),
  handle: (fd) => fd.handle(),
  armVcpuInit: (fd) => fd.armVcpuInit(pack(structs.kvm_vcpu_init, { target: 5 })),
  armVcpuFinalize: (fd) => fd.armVcpuFinalize(4),
  getOneReg: (fd) => fd.getOneReg(0x6030_0000_0010_0000n, bytes(8)),
  setOneReg: (fd) => fd.setOneReg(0x6030_0000_0010_0000n, bytes(8)),
  getRegs: (fd) => fd.getRegs(BigUint64Array.of(0x6030_0000_0010_0000n), bytes(8), new Int32Array(1)),
  setRegs: (fd) => fd.setRegs(BigUint64Array.of(0x6030_0000_0010_0000n), bytes(8), new Int32Array(1)),
  getRegList: (fd) => fd.getRegList(),
  runSync: (fd) => fd.runSync(),
  kick: (fd) => fd.kick(),
  getMpState: (fd) => fd.getMpState(),
  setMpState: (fd) => fd.setMpState(0),
  getVcpuEvents: (fd) => fd.getVcpuEvents(bytes(64)),
  setVcpuEvents: (fd) => fd.setVcpuEvents(bytes(64)),
  setGuestDebug: (fd) => fd.setGuestDebug(bytes(520)),
  setSignalMask: (fd) => fd.setSignalMask(null),
  dirtyRing: (fd) => fd.dirtyRing(4096),
  readStats: (fd) => fd.readStats(0, bytes(24)),
};

onEveryBackend("a closed descriptor", (host) => {
  for (const [name, verb] of Object.entries(vmVerbs)) {
    it(`of a VM refuses ${name} with EBADF`, () => {
      const { fd } = host.kvm.createVm();
      fd.close();
      fd.close();
      assert.equal(fd.closed, true);
      assertRefused("EBADF", () => verb(fd));
    });
  }

  for (const [name, verb] of Object.entries(vcpuVerbs)) {
    it(`of a vCPU refuses ${name} with EBADF`, () => {
      const fd = host.keep(host.kvm.createVm()).fd.createVcpu(0);
      fd.close();
      fd.close();
      assert.equal(fd.closed, true);
      assertRefused("EBADF", () => verb(fd));
    });
  }

  it("of a vCPU refuses run with EBADF", async () => {
    const fd = host.keep(host.kvm.createVm()).fd.createVcpu(0);
    fd.close();
    await assertRunRefused("EBADF", async () => fd.run());
  });

  it("of a vCPU still tells its id", () => {
    const fd = host.keep(host.kvm.createVm()).fd.createVcpu(6);
    fd.close();
    assert.equal(fd.id, 6);
  });

  for (const [name, verb] of Object.entries(attr<DeviceFd>())) {
    it(`of a device refuses ${name} with EBADF`, function () {
      needsDevice(this, host, "vgic-v3");
      const fd = host.keep(host.kvm.createVm()).fd.createDevice(7, 0) as DeviceFd;
      fd.close();
      fd.close();
      assert.equal(fd.closed, true);
      assertRefused("EBADF", () => verb(fd));
    });
  }

  it("of the system refuses every verb with EBADF, through the public API", () => {
    const kvm = host.open();
    kvm.close();
    kvm.close();
    assert.equal(kvm.closed, true);
    assertRefused("EBADF", () => kvm.createVm());
    assertRefused("EBADF", () => kvm.has("USER_MEMORY"));
    assertRefused("EBADF", () => kvm.apiVersion);
    assertRefused("EBADF", () => kvm.runPageBytes);
    assertRefused("EBADF", () => kvm.createEventFd());
  });
});
