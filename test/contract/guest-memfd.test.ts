// KVM_CREATE_GUEST_MEMFD and KVM_MEM_GUEST_MEMFD: memory that belongs to one VM. Documentation/virt/kvm/api.rst 4.140,
// 4.142.

import assert from "node:assert/strict";
import { pc, x } from "../../lib/arm64/registers.js";
import { KVM_MEM } from "../../lib/uapi/constants.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import type { Vm } from "../../lib/vm.js";
import { skip } from "../skip.js";
import { load, mov64, store } from "../support/assemble.js";
import { needs, onEveryBackend } from "../support/backends.js";
import { finish, loadWords, RAM, runToFinish } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

const PAGE = 4096n;
const MMAP = 1n;
const INIT_SHARED = 2n;
const BOTH = MMAP | INIT_SHARED;
const NO_DESCRIPTOR = 9999;

onEveryBackend("KVM_CREATE_GUEST_MEMFD", (host) => {
  it("is an unknown ioctl to kernels without it", function () {
    if (host.kvm.has("GUEST_MEMFD")) skip(this, "the kernel has KVM_CREATE_GUEST_MEMFD");
    const vm = host.keep(host.kvm.createVm());
    assert.equal(vm.has("GUEST_MEMFD_FLAGS"), 0);
    assertRefused("EINVAL", () => vm.createGuestMemfd({ bytes: PAGE }));
  });
});

onEveryBackend("guest_memfd", (host) => {
  beforeEach(function () {
    needs(this, host, "GUEST_MEMFD");
  });
  const makeVm = () => host.keep(host.kvm.createVm());
  /** A VM, a guest_memfd of it with 8 pages, and the ioctl with host memory that no guest sees. */
  const setUp = () => {
    const vm = makeVm();
    const fd = vm.createGuestMemfd({ bytes: 8n * PAGE, flags: BOTH });
    const mapping = vm.fd.map({ kind: "anonymous", bytes: 8 * 4096 });
    const bind = (slot: number, at: bigint, bytes: bigint, { memfd = fd, offset = 0n, flags = 0 } = {}) =>
      vm.fd.setUserMemoryRegion2(slot, KVM_MEM.GUEST_MEMFD | flags, at, bytes, mapping, 0n, memfd, offset);
    return { vm, fd, mapping, bind };
  };
  const remove = (vm: Vm, slot: number) => vm.fd.setUserMemoryRegion(slot, 0, 0n, 0n, null, 0n);

  it("the capabilities say that there is one, and its flags", () => {
    const vm = makeVm();
    assert.deepEqual([vm.has("GUEST_MEMFD"), vm.has("GUEST_MEMFD_FLAGS")], [1, Number(BOTH)]);
  });

  it("sizes that are 0, negative or no multiple of the page are EINVAL", () => {
    const vm = makeVm();
    for (const bytes of [0n, 1n, 4095n, 4097n, 1n << 63n, 2n ** 64n - 4096n]) {
      assertRefused("EINVAL", () => vm.createGuestMemfd({ bytes }));
    }
  });

  it("its pages come with their use: one that is larger than all memory can be made", () => {
    const vm = makeVm();
    assert.ok(vm.createGuestMemfd({ bytes: 1n << 62n }) >= 0);
  });

  it("flags are those of GUEST_MEMFD_FLAGS", () => {
    const vm = makeVm();
    for (const flags of [0n, MMAP, INIT_SHARED, BOTH]) vm.createGuestMemfd({ bytes: PAGE, flags });
    for (const flags of [4n, 1n << 63n]) assertRefused("EINVAL", () => vm.createGuestMemfd({ bytes: PAGE, flags }));
  });

  it("nobody looks at the reserved words", () => {
    const vm = makeVm();
    const args = pack(structs.kvm_create_guest_memfd, { size: PAGE, flags: BOTH });
    args.fill(0xff, 16);
    assert.ok(vm.fd.createGuestMemfd(args) >= 0);
  });

  it("memory of one can be a slot, once at a time", () => {
    const { vm, bind } = setUp();
    bind(0, RAM, 4n * PAGE);
    assertRefused("EEXIST", () => bind(1, RAM + 0x10_0000n, 2n * PAGE, { offset: 3n * PAGE }));
    bind(1, RAM + 0x10_0000n, 2n * PAGE, { offset: 4n * PAGE });
    remove(vm, 0);
    bind(2, RAM + 0x20_0000n, 4n * PAGE);
  });

  it("LOG_DIRTY_PAGES and READONLY with it are EINVAL, whatever the descriptor", () => {
    const { bind } = setUp();
    for (const flags of [KVM_MEM.LOG_DIRTY_PAGES, KVM_MEM.READONLY]) {
      assertRefused("EINVAL", () => bind(0, RAM, PAGE, { flags, memfd: NO_DESCRIPTOR }));
    }
  });

  it("KVM_SET_USER_MEMORY_REGION does not know the flag", () => {
    const { vm, mapping } = setUp();
    assertRefused("EINVAL", () => vm.fd.setUserMemoryRegion(0, KVM_MEM.GUEST_MEMFD, RAM, PAGE, mapping, 0n));
  });

  it("no descriptor is EBADF, one of something else EINVAL", () => {
    const { bind } = setUp();
    const event = host.keep(host.kvm.createEventFd());
    assertRefused("EBADF", () => bind(0, RAM, PAGE, { memfd: NO_DESCRIPTOR }));
    assertRefused("EBADF", () => bind(0, RAM, PAGE, { memfd: -1 }));
    assertRefused("EINVAL", () => bind(0, RAM, PAGE, { memfd: 0 }));
    assertRefused("EINVAL", () => bind(0, RAM, PAGE, { memfd: event.fd }));
  });

  it("one of another VM is EINVAL", () => {
    const { bind } = setUp();
    const memfd = makeVm().createGuestMemfd({ bytes: PAGE, flags: BOTH });
    assertRefused("EINVAL", () => bind(0, RAM, PAGE, { memfd }));
  });

  it("a range that is not inside it is EINVAL", () => {
    const { bind } = setUp();
    for (const offset of [8n * PAGE, 7n * PAGE, 1n << 63n, 2n ** 64n - PAGE]) {
      assertRefused("EINVAL", () => bind(0, RAM, 2n * PAGE, { offset }));
    }
  });

  it("a misaligned offset is EINVAL before the descriptor is looked at, and of no interest without the flag", () => {
    const { vm, mapping, bind } = setUp();
    assertRefused("EINVAL", () => bind(0, RAM, PAGE, { offset: 1n, memfd: NO_DESCRIPTOR }));
    vm.fd.setUserMemoryRegion2(0, 0, RAM, PAGE, mapping, 0n, NO_DESCRIPTOR, 1n);
  });

  it("an overlapping slot is found before the descriptor, the descriptor before the IPA size", () => {
    const { bind } = setUp();
    bind(0, RAM, PAGE);
    assertRefused("EEXIST", () => bind(1, RAM, PAGE, { memfd: NO_DESCRIPTOR }));
    assertRefused("EBADF", () => bind(1, 1n << 40n, PAGE, { memfd: NO_DESCRIPTOR }));
    assertRefused("EFAULT", () => bind(1, 1n << 40n, PAGE, { offset: PAGE }));
    bind(1, RAM + PAGE, PAGE, { offset: PAGE });
  });

  it("one that was made without MMAP is EINVAL on arm64, after the IPA size", () => {
    const { vm, bind } = setUp();
    const memfd = vm.createGuestMemfd({ bytes: 2n * PAGE, flags: INIT_SHARED });
    assertRefused("EINVAL", () => bind(0, RAM, PAGE, { memfd }));
    assertRefused("EFAULT", () => bind(0, 1n << 40n, PAGE, { memfd }));
  });

  it("its slot can be deleted and nothing else, not even set again as it is", () => {
    const { vm, mapping, bind } = setUp();
    const plain = (flags: number, at: bigint) => () => vm.fd.setUserMemoryRegion(0, flags, at, PAGE, mapping, 0n);
    bind(0, RAM, PAGE);
    assertRefused("EINVAL", () => bind(0, RAM, PAGE));
    assertRefused("EINVAL", () => bind(0, RAM + PAGE, PAGE));
    assertRefused("EINVAL", plain(0, RAM));
    assertRefused("EINVAL", plain(0, RAM + PAGE));
    assertRefused("EINVAL", plain(KVM_MEM.LOG_DIRTY_PAGES, RAM));
    assertRefused("EINVAL", plain(KVM_MEM.READONLY, RAM));
    vm.fd.setUserMemoryRegion2(0, KVM_MEM.GUEST_MEMFD, 0n, 0n, null, 0n, NO_DESCRIPTOR, 0n);
    assertRefused("EINVAL", () => remove(vm, 0));
  });

  it("a slot of other memory does not become one", () => {
    const { vm, mapping, bind } = setUp();
    vm.fd.setUserMemoryRegion(0, 0, RAM, PAGE, mapping, 0n);
    assertRefused("EINVAL", () => bind(0, RAM, PAGE));
  });

  it("its slot has no dirty log", () => {
    const { vm, bind } = setUp();
    bind(0, RAM, PAGE);
    assertRefused("ENOENT", () => vm.fd.getDirtyLog(0, new Uint8Array(8)));
  });

  it("can be mapped when it was made with MMAP, from a page on, up to its end", () => {
    const { vm, fd } = setUp();
    const map = (memfd: number, offset: number, bytes = 4096) =>
      answer(() => vm.fd.map({ kind: "guest-memfd", bytes, fd: memfd, offset }));
    const without = vm.createGuestMemfd({ bytes: PAGE, flags: INIT_SHARED });
    assert.deepEqual([map(fd, 0), map(fd, 7 * 4096)], ["OK", "OK"]);
    assert.deepEqual([map(fd, 100), map(fd, 8 * 4096), map(fd, 0, 9 * 4096)], ["EINVAL", "EINVAL", "EINVAL"]);
    assert.deepEqual([map(without, 0), map(NO_DESCRIPTOR, 0)], ["ENODEV", "EBADF"]);
  });

  it("without INIT_SHARED mapping it is EFAULT: to look at it would be SIGBUS", () => {
    const { vm } = setUp();
    const fd = vm.createGuestMemfd({ bytes: PAGE, flags: MMAP });
    assertRefused("EFAULT", () => vm.fd.map({ kind: "guest-memfd", bytes: 4096, fd, offset: 0 }));
  });

  it("two mappings of one place are the same bytes", () => {
    const { vm, fd } = setUp();
    const map = () => {
      const { buffer, offset } = vm.fd.map({ kind: "guest-memfd", bytes: 4096, fd, offset: 4096 });
      return new Uint8Array(buffer, offset, 4096);
    };
    const [first, second] = [map(), map()];
    first[5] = 77;
    assert.deepEqual([second[5], second[6]], [77, 0]);
  });

  it("a guest runs from it, and both see the other's bytes", async () => {
    const vm = makeVm();
    const fd = vm.createGuestMemfd({ bytes: 0x4000n, flags: BOTH });
    const ram = vm.addMemory({ at: RAM, bytes: 0x4000, from: { guestMemfd: fd } });
    loadWords(ram, 0, [...mov64(1, RAM + 0x2000n), load(8, 0, 1), store(8, 1, 1, 8), ...finish]);
    ram.bytes.fill(0x5a, 0x2000, 0x2008);
    const cpu = host.keep(vm.createVcpu());
    cpu.init();
    cpu.setReg(pc, RAM);
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), 0x5a5a_5a5a_5a5a_5a5an);
    assert.equal(new DataView(ram.bytes.buffer, ram.bytes.byteOffset).getBigUint64(0x2008, true), RAM + 0x2000n);
  });

  it("the guest's memory is that of the descriptor, not what userspace_addr points to", async () => {
    const { vm, fd, mapping, bind } = setUp();
    const shared = vm.fd.map({ kind: "guest-memfd", bytes: 8 * 4096, fd, offset: 0 });
    new Uint8Array(shared.buffer, shared.offset, 8 * 4096).fill(0x11);
    new Uint8Array(mapping.buffer, mapping.offset, 8 * 4096).fill(0x22);
    const ram = vm.addMemory({ at: RAM, bytes: 4096, slot: 7 });
    loadWords(ram, 0, [...mov64(1, RAM + 0x10_0000n), load(8, 0, 1), ...finish]);
    bind(0, RAM + 0x10_0000n, PAGE, { offset: 2n * PAGE });
    const cpu = host.keep(vm.createVcpu());
    cpu.init();
    cpu.setReg(pc, RAM);
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), 0x1111_1111_1111_1111n);
  });

  it("its number names no eventfd", () => {
    const { vm, fd } = setUp();
    assertRefused("EINVAL", () => vm.fd.ioeventfd(pack(structs.kvm_ioeventfd, { addr: 0x1000n, len: 4, fd })));
    assertRefused("EINVAL", () => vm.fd.irqfd(pack(structs.kvm_irqfd, { fd, flags: 1 })));
  });
});
