import assert from "node:assert/strict";
import type { HostChoice } from "../../lib/model/host/choice.js";
import { openModel } from "../../lib/model/index.js";
import { todoCaps } from "../../lib/model/kvm/caps.js";
import { caps } from "../../lib/uapi/caps.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import { bareHost, kernels, Machine, PSCI_0_2, RAM, refuses } from "./machine.js";

describe("the model's descriptors", () => {
  it("are numbers that the VM gives back with its last one: guest_memfds, and eventfds that only ioeventfds hold", () => {
    const { system, vm } = new Machine();
    const vcpu = vm.createVcpu(0);
    const memfd = vm.createGuestMemfd(pack(structs.kvm_create_guest_memfd, { size: 4096n, flags: 3n }));
    const event = system.eventfd(0);
    vm.ioeventfd(pack(structs.kvm_ioeventfd, { addr: 0x1000n, len: 4, fd: event.fd }));
    event.close();
    const next = () => {
      const other = system.eventfd(0);
      other.close();
      return other.fd;
    };

    vm.close();
    assert.equal([memfd, event.fd].includes(next()), false);
    vcpu.close();
    assert.equal(next(), memfd);
  });

  it("refuse every verb with EBADF once closed, and may be closed again", () => {
    const machine = new Machine();
    const vcpu = machine.vcpu();
    const { system, vm } = machine;
    const handles = [vm.handle(), vcpu.handle()] as const;
    machine.close();
    machine.close();

    const bytes = new Uint8Array(64);
    for (const verb of [
      () => system.getApiVersion(),
      () => system.createVm(0n),
      () => system.checkExtension(0),
      () => system.getVcpuMmapSize(),
      () => system.eventfd(0),
      () => system.attachVm(handles[0]),
      () => vm.checkExtension(0),
      () => vm.createVcpu(1),
      () => vm.createDevice(4, 0),
      () => vm.map({ kind: "anonymous", bytes: 4096 }),
      () => vm.setUserMemoryRegion(0, 0, RAM, 0n, null, 0n),
      () => vm.getDirtyLog(0, bytes),
      () => vm.irqLine(0, 0),
      () => vm.ioeventfd(bytes),
      () => vm.readStats(0, bytes),
      () => vm.handle(),
      () => vcpu.armVcpuInit(bytes),
      () => vcpu.getRegList(),
      () => vcpu.runSync(),
      () => vcpu.kick(),
      () => vcpu.getMpState(),
      () => vcpu.readStats(0, bytes),
      () => vcpu.handle(),
    ]) {
      refuses("EBADF", verb);
    }
    const another = openModel();
    refuses("ENOENT", () => another.attachVm(handles[0]));
    refuses("ENOENT", () => another.attachVcpu(handles[1]));
    assert.throws(() => another.attachVm(handles[1]), TypeError);
    assert.throws(() => another.attachVm({ backend: "kvm" }), TypeError);
    another.close();
  });

  it("keep a VM alive as long as one of its vCPUs is open", () => {
    const machine = new Machine();
    const vcpu = machine.vcpu();
    machine.vm.close();

    assert.equal(vcpu.getRegList().length, 257);
    const again = machine.system.attachVcpu(vcpu.handle());
    assert.equal(again.id, 0);
    again.close();
    machine.close();
  });

  it("make VMs with an IPA size from 32 bits to the host's limit", () => {
    const system = openModel();
    for (const type of [0n, 32n, 48n]) system.createVm(type).close();
    for (const type of [31n, 49n, 0x100n, 1n << 31n, 1n << 40n]) refuses("EINVAL", () => system.createVm(type));
    assert.equal(system.getApiVersion(), 12);
    assert.equal(system.getVcpuMmapSize(), 8192);
    system.close();
  });

  it("make 512 vCPUs, each id once", () => {
    const machine = new Machine();
    const all = Array.from({ length: 512 }, (_, id) => machine.vm.createVcpu(id));

    refuses("EINVAL", () => machine.vm.createVcpu(512));
    refuses("EINVAL", () => machine.vm.createVcpu(0));
    for (const vcpu of all) vcpu.close();
    machine.close();
    const other = new Machine();
    other.vcpu();
    refuses("EEXIST", () => other.vm.createVcpu(0));
    refuses("EINVAL", () => other.vm.createVcpu(512));
    other.close();
  });

  it("answer what a host without a GIC, a PMU, MTE and EL2 answers", () => {
    const machine = new Machine(bareHost());
    const { vm } = machine;
    const vcpu = machine.vcpu();

    for (const type of [5, 7, 8, 10, 16, 99]) refuses("ENODEV", () => vm.createDevice(type, 1));
    refuses("ENXIO", () => vm.createIrqchip());
    refuses("ENXIO", () => vm.armSetDeviceAddr(0n, 0n));
    refuses("ENODEV", () => vm.armSetDeviceAddr(1n << 16n, 0n));
    vm.setGsiRouting(new Uint8Array(8));
    const tooMany = new Uint8Array(8 + 4097 * 48);
    tooMany.set(pack(structs.kvm_irq_routing, { nr: 4097 }));
    refuses("EINVAL", () => vm.setGsiRouting(tooMany));
    refuses("EINVAL", () => vm.setGsiRouting(new Uint8Array(56).fill(1, 0, 1)));
    refuses("EINVAL", () => vm.signalMsi(new Uint8Array(32)));
    refuses("EINVAL", () => vm.armMteCopyTags(0n, 4096n, new Uint8Array(256), 0n));
    refuses("EINVAL", () => vm.resetDirtyRings());
    refuses("ENXIO", () => vm.irqLine(1 << 24, 1));
    refuses("ENXIO", () => vm.irqLine(2 << 24, 1));
    refuses("EINVAL", () => vm.irqLine(3 << 24, 1));
    refuses("EINVAL", () => vm.irqLine(1 << 16, 1));
    refuses("EINVAL", () => vm.irqLine(2, 1));
    assert.equal(vm.irqLineStatus(1, 0), 1);
    refuses("ENODEV", () => vcpu.setDeviceAttr(0, 0n, null));
    refuses("EINVAL", () => vcpu.getDeviceAttr(0, 0n, null));
    refuses("ENXIO", () => vcpu.hasDeviceAttr(0, 0n));
    refuses("EINVAL", () => vcpu.setDeviceAttr(1, 0n, new Uint8Array(4)));
    const intid = new Uint8Array(4);
    vcpu.getDeviceAttr(1, 1n, intid);
    assert.deepEqual([...intid], [30, 0, 0, 0]);
    refuses("EINVAL", () => vcpu.setSignalMask(new Uint8Array(4)));
    vcpu.setSignalMask(null);
    machine.close();
  });

  it("answer capabilities by kernel, and 0 for what the model has not got yet", () => {
    for (const kernel of kernels) {
      const machine = new Machine({ kernel });
      for (const { cap } of todoCaps) assert.equal(machine.vm.checkExtension(caps[cap]), 0);
      assert.equal(machine.vm.checkExtension(caps.NR_MEMSLOTS), 32767);
      assert.equal(machine.vm.checkExtension(caps.COUNTER_OFFSET), kernel === "6.1" ? 0 : 1);
      assert.equal(machine.vm.checkExtension(caps.ARM_WRITABLE_IMP_ID_REGS), kernel === "7.2" ? 1 : 0);
      assert.equal(machine.vm.checkExtension(9999), 0);
      assert.equal(machine.vm.checkExtension(caps.MSI_DEVID), 0);
      refuses("EINVAL", () => machine.system.checkExtension(caps.MSI_DEVID));
      machine.close();
    }
  });

  it("enable the capabilities that the kernel has, with arguments that it takes", () => {
    const machine = new Machine();
    const enable = (cap: number, arg = 0n, flags = 0) =>
      machine.vm.enableCap(pack(structs.kvm_enable_cap, { cap, flags, args: [arg] }));

    enable(caps.ARM_NISV_TO_USER, 5n);
    enable(caps.HALT_POLL, 0xffff_ffffn);
    refuses("EINVAL", () => enable(caps.HALT_POLL, 1n << 32n));
    refuses("EINVAL", () => enable(caps.ARM_NISV_TO_USER, 0n, 1));
    refuses("EINVAL", () => enable(caps.MANUAL_DIRTY_LOG_PROTECT2, 2n));
    refuses("EINVAL", () => enable(caps.ARM_EAGER_SPLIT_CHUNK_SIZE, 0n));
    refuses("EINVAL", () => enable(caps.ARM_MTE));
    refuses("EINVAL", () => enable(12345));
    machine.vm.setUserMemoryRegion(0, 0, RAM, 0n, null, 0n);
    refuses("EINVAL", () => enable(caps.ARM_EAGER_SPLIT_CHUNK_SIZE, 0x2000n));
    enable(caps.ARM_EAGER_SPLIT_CHUNK_SIZE, 0x20_0000n);
    assert.equal(machine.vm.checkExtension(caps.ARM_EAGER_SPLIT_CHUNK_SIZE), 0x20_0000);
    machine.close();
  });

  it("count with eventfds, and let irqfds in only with an interrupt controller", async () => {
    const machine = new Machine();
    const event = machine.system.eventfd(2);
    const irqfd = (fd: number, flags: number) => machine.vm.irqfd(pack(structs.kvm_irqfd, { fd, flags }));

    event.signal(3n);
    assert.equal(await event.wait(), true);
    assert.equal(event.take(), 5n);
    assert.equal(event.take(), 0n);
    const waiting = event.wait();
    event.signal(0xffff_ffff_ffff_fffen);
    assert.equal(await waiting, true);
    refuses("EAGAIN", () => event.signal(1n));
    refuses("EINVAL", () => event.signal(0xffff_ffff_ffff_ffffn));

    refuses("EINVAL", () => irqfd(event.fd, 4));
    refuses("EAGAIN", () => irqfd(event.fd, 0));
    irqfd(event.fd, 1);
    event.take();
    const closing = event.wait();
    event.close();
    event.close();
    assert.equal(await closing, false);
    refuses("EBADF", () => event.take());
    refuses("EBADF", () => irqfd(event.fd, 1));
    refuses("EBADF", () => machine.vm.ioeventfd(pack(structs.kvm_ioeventfd, { fd: event.fd, len: 4 })));
    machine.close();
  });

  it("check ioeventfds, and tell two that one store could mean apart", () => {
    const machine = new Machine();
    const event = machine.system.eventfd(0);
    const set = (args: Parameters<typeof pack<typeof structs.kvm_ioeventfd>>[1]) =>
      machine.vm.ioeventfd(pack(structs.kvm_ioeventfd, { fd: event.fd, addr: 0x1000n, len: 4, ...args }));

    refuses("EINVAL", () => set({ len: 3 }));
    refuses("EINVAL", () => set({ flags: 32 }));
    refuses("EINVAL", () => set({ addr: 0xffff_ffff_ffff_fffen }));
    refuses("EINVAL", () => set({ len: 0, flags: 1 }));
    refuses("EBADF", () => set({ fd: -1 }));
    refuses("ENOENT", () => set({ flags: 4 }));
    set({ flags: 1, datamatch: 1n });
    set({ flags: 1, datamatch: 2n });
    refuses("EEXIST", () => set({ flags: 1, datamatch: 2n }));
    refuses("EEXIST", () => set({}));
    refuses("EEXIST", () => set({ len: 0 }));
    set({ len: 8 });
    set({ flags: 5, datamatch: 2n });
    set({ flags: 1, datamatch: 2n });
    event.close();
    machine.close();
  });

  it("describe their statistics as the kernel does", () => {
    const machine = new Machine();
    const vcpu = machine.vcpu(PSCI_0_2);
    const file = new Uint8Array(8192);
    const bytes = vcpu.readStats(0, file);
    const view = new DataView(file.buffer);

    assert.deepEqual(
      [0, 4, 8, 12, 16].map((at) => view.getUint32(at, true)),
      [0, 48, 18, 24, 72],
    );
    const data = view.getUint32(20, true);
    assert.equal(bytes, data + 111 * 8);
    assert.equal(Buffer.from(file.subarray(24, 72)).toString().replace(/\0+$/, ""), `kvm-${process.pid}/vcpu-0`);
    const names = Array.from({ length: 18 }, (_, n) =>
      Buffer.from(file.subarray(72 + 64 * n + 16, 72 + 64 * n + 64))
        .toString()
        .replace(/\0+$/, ""),
    );
    assert.deepEqual([names[0], names[10], names[17]], ["halt_successful_poll", "blocking", "exits"]);
    const offsets = names.map((_, n) => view.getUint32(72 + 64 * n + 8, true));
    assert.deepEqual(offsets.slice(7, 12), [56, 312, 568, 824, 832]);

    const tail = new Uint8Array(16);
    assert.equal(vcpu.readStats(bytes - 8, tail), 8);
    assert.equal(machine.vm.readStats(0, file), 72 + 2 * 64 + 16);
    machine.close();
  });

  it("refuse options that do not exist", () => {
    assert.throws(() => openModel({ kernel: "5.10" as never }), RangeError);
    assert.throws(() => openModel({ host: "qemu-min-7.2" }), /^RangeError: model.host .*qemu-max-6.12.*"qemu-min-7.2"/);
    for (const host of [7, null, "../qemu-max-7.2", { file: null }, {}, []] as unknown as HostChoice[]) {
      assert.throws(() => openModel({ host }), /^(Type|Range)Error: (model\.)?host/);
    }
    assert.throws(() => openModel({ impersonate: true }), RangeError);
    assert.throws(() => openModel({ host: "qemu-max-6.12", kernel: "7.2" }), RangeError);
    assert.throws(() => openModel({ memoryBytes: 1 }), RangeError);
    assert.throws(() => openModel(null as never), TypeError);
  });
});
