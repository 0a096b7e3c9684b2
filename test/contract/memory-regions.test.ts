// KVM_SET_USER_MEMORY_REGION: what is a slot, and in which order it is found to be none.
// Documentation/virt/kvm/api.rst 4.35, 4.140.

import assert from "node:assert/strict";
import { pc, sysReg, x } from "../../lib/arm64/registers.js";
import { KVM_MEM } from "../../lib/uapi/constants.js";
import { skip } from "../skip.js";
import { load } from "../support/assemble.js";
import { needs, onEveryBackend } from "../support/backends.js";
import { exceptionClass, finish, loadWords, makeGuest, RAM, runToExit, runToFinish } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

const PAGE = 4096n;
const MAPPED = 16 * 4096;

onEveryBackend("memory slots", (host) => {
  /** A VM of 40 bits, memory to give it, and the ioctl with defaults. */
  const setUp = (ipaBits = 0) => {
    const vm = host.keep(host.kvm.createVm({ ipaBits }));
    const mapping = vm.fd.map({ kind: "anonymous", bytes: MAPPED });
    const set = (slot: number, at: bigint, bytes: bigint, { flags = 0, offset = 0n } = {}) =>
      vm.fd.setUserMemoryRegion(slot, flags, at, bytes, mapping, offset);
    const remove = (slot: number) => vm.fd.setUserMemoryRegion(slot, 0, 0n, 0n, null, 0n);
    return { vm, mapping, set, remove };
  };

  for (let bit = 2; bit < 32; bit++) {
    it(`flag bit ${bit} is EINVAL`, () => {
      const { set } = setUp();
      assertRefused("EINVAL", () => set(0, RAM, PAGE, { flags: 2 ** bit }));
    });
  }

  it("a size that is no multiple of the page is EINVAL", () => {
    const { set } = setUp();
    assertRefused("EINVAL", () => set(0, RAM, PAGE + 1n));
    assertRefused("EINVAL", () => set(0, RAM, 1n));
  });

  it("a guest address that is no multiple of the page is EINVAL", () => {
    const { set } = setUp();
    assertRefused("EINVAL", () => set(0, RAM + 1n, PAGE));
    assertRefused("EINVAL", () => set(0, RAM + 0x800n, PAGE));
  });

  it("host memory that is not page aligned is EINVAL", () => {
    const { set } = setUp();
    assertRefused("EINVAL", () => set(0, RAM, PAGE, { offset: 1n }));
  });

  it("slot numbers end at NR_MEMSLOTS, and another address space is EINVAL", () => {
    const { vm, set } = setUp();
    const slots = vm.has("NR_MEMSLOTS");
    set(slots - 1, RAM, PAGE);
    assertRefused("EINVAL", () => set(slots, RAM + PAGE, PAGE));
    assertRefused("EINVAL", () => set(1 << 16, RAM + PAGE, PAGE));
    assertRefused("EINVAL", () => set(0xffff, RAM + PAGE, PAGE));
  });

  it("a guest address range that wraps is EINVAL", () => {
    const { set } = setUp();
    assertRefused("EINVAL", () => set(0, 2n ** 64n - PAGE, 2n * PAGE));
  });

  it("a range that ends beyond the VM's IPA size is EFAULT, one that ends there is a slot", () => {
    const { set } = setUp(32);
    set(0, 2n ** 32n - PAGE, PAGE);
    assertRefused("EFAULT", () => set(1, 2n ** 32n, PAGE));
    assertRefused("EFAULT", () => set(1, 2n ** 40n, PAGE));
  });

  it("of the misaligned, the overlapping and the too high, each is found before the next", () => {
    const { set } = setUp(32);
    set(0, 2n ** 32n - PAGE, PAGE);
    assertRefused("EINVAL", () => set(1, 2n ** 32n - PAGE, 2n * PAGE + 1n));
    assertRefused("EEXIST", () => set(1, 2n ** 32n - PAGE, 2n * PAGE));
  });

  it("an overlap with another slot is EEXIST, at its start, at its end, inside and around", () => {
    const { set } = setUp();
    set(0, RAM, 4n * PAGE);
    assertRefused("EEXIST", () => set(1, RAM - PAGE, 2n * PAGE));
    assertRefused("EEXIST", () => set(1, RAM + 3n * PAGE, 2n * PAGE));
    assertRefused("EEXIST", () => set(1, RAM + PAGE, PAGE));
    assertRefused("EEXIST", () => set(1, RAM - PAGE, 6n * PAGE));
    set(1, RAM - PAGE, PAGE);
    set(2, RAM + 4n * PAGE, PAGE);
  });

  it("the same host memory may be in several slots", () => {
    const { set } = setUp();
    set(0, RAM, PAGE);
    set(1, RAM + PAGE, PAGE);
  });

  it("deleting a slot that is not there is EINVAL, and so is deleting it twice", () => {
    const { set, remove } = setUp();
    assertRefused("EINVAL", () => remove(0));
    set(0, RAM, PAGE);
    remove(0);
    assertRefused("EINVAL", () => remove(0));
  });

  it("the same call again changes nothing", () => {
    const { set } = setUp();
    set(0, RAM, PAGE);
    set(0, RAM, PAGE);
  });

  it("another size of a slot that is there is EINVAL", () => {
    const { set } = setUp();
    set(0, RAM, PAGE);
    assertRefused("EINVAL", () => set(0, RAM, 2n * PAGE));
  });

  it("other host memory of a slot that is there is EINVAL", () => {
    const { set } = setUp();
    set(0, RAM, PAGE);
    assertRefused("EINVAL", () => set(0, RAM, PAGE, { offset: PAGE }));
  });

  it("READONLY can not be changed, LOG_DIRTY_PAGES can", () => {
    const { set } = setUp();
    set(0, RAM, PAGE);
    assertRefused("EINVAL", () => set(0, RAM, PAGE, { flags: KVM_MEM.READONLY }));
    set(0, RAM, PAGE, { flags: KVM_MEM.LOG_DIRTY_PAGES });
    set(0, RAM, PAGE);
    set(1, RAM + PAGE, PAGE, { flags: KVM_MEM.READONLY });
    assertRefused("EINVAL", () => set(1, RAM + PAGE, PAGE));
  });

  it("a slot moves to another address, but not onto another slot", () => {
    const { set } = setUp();
    set(0, RAM, PAGE);
    set(1, RAM + PAGE, PAGE);
    set(0, RAM + 4n * PAGE, PAGE);
    assertRefused("EEXIST", () => set(0, RAM + PAGE, PAGE));
    set(2, RAM, PAGE);
  });

  it("a moved slot may overlap where it was", () => {
    const { set } = setUp();
    set(0, RAM, 4n * PAGE);
    set(0, RAM + PAGE, 4n * PAGE);
  });

  it("a slot outside its mapping is a RangeError: the kernel could not know", () => {
    const { set } = setUp();
    assert.throws(() => set(0, RAM, BigInt(MAPPED) + PAGE), RangeError);
    assert.throws(() => set(0, RAM, PAGE, { offset: BigInt(MAPPED) }), RangeError);
  });

  it("hundreds of slots, of any numbers, can be there at once", () => {
    const { vm, mapping } = setUp();
    for (let i = 0; i < 500; i++) {
      vm.fd.setUserMemoryRegion(65 * i, 0, RAM + BigInt(i) * PAGE, PAGE, mapping, 0n);
    }
    assertRefused("EEXIST", () => vm.fd.setUserMemoryRegion(1, 0, RAM + 250n * PAGE, PAGE, mapping, 0n));
    assertRefused("EINVAL", () => vm.fd.setUserMemoryRegion(65, 0, RAM + PAGE, 2n * PAGE, mapping, 0n));
  });

  it("KVM_SET_USER_MEMORY_REGION2 makes slots as its elder does", function () {
    needs(this, host, "USER_MEMORY2");
    const { vm, mapping, set } = setUp();
    vm.fd.setUserMemoryRegion2(0, 0, RAM, PAGE, mapping, 0n, 0, 0n);
    assertRefused("EEXIST", () => set(1, RAM, PAGE));
    assertRefused("EINVAL", () => vm.fd.setUserMemoryRegion2(1, 8, RAM + PAGE, PAGE, mapping, 0n, 0, 0n));
  });

  it("KVM_SET_USER_MEMORY_REGION2 is an unknown ioctl to kernels without it", function () {
    const { vm, mapping } = setUp();
    if (vm.has("USER_MEMORY2")) skip(this, "the kernel has KVM_SET_USER_MEMORY_REGION2");
    assertRefused("EINVAL", () => vm.fd.setUserMemoryRegion2(0, 0, RAM, PAGE, mapping, 0n, 0, 0n));
  });

  it("GUEST_MEMFD is EINVAL where the kernel has none, and always with LOG_DIRTY_PAGES or READONLY", function () {
    needs(this, host, "USER_MEMORY2");
    const { vm, mapping } = setUp();
    const withFlags = (flags: number) =>
      answer(() => vm.fd.setUserMemoryRegion2(0, KVM_MEM.GUEST_MEMFD | flags, RAM, PAGE, mapping, 0n, 9999, 0n));
    assert.deepEqual([1, 2].map(withFlags), ["EINVAL", "EINVAL"]);
    assert.equal(withFlags(0), vm.has("GUEST_MEMFD") ? "EBADF" : "EINVAL");
  });
});

onEveryBackend("memory as the guest sees it", (host) => {
  const readWord = [
    load(8, 0, 1), // ldr x0, [x1]
    ...finish,
  ];

  it("what userspace writes into a slot, the guest reads", async () => {
    const { ram, cpu } = makeGuest(host, readWord);
    ram.bytes.set([1, 2, 3, 4, 5, 6, 7, 8], 0x8000);
    cpu.setReg(x(1), RAM + 0x8000n);
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), 0x0807_0605_0403_0201n);
  });

  it("a slot that was deleted is an MMIO exit", async () => {
    const { vm, cpu } = makeGuest(host, readWord);
    const more = vm.addMemory({ at: 0x8000_0000n, bytes: 4096 });
    cpu.setReg(x(1), 0x8000_0000n);
    more.remove();
    const exit = await runToExit(cpu);
    assert.equal(exit.reason === "mmio" && exit.address, 0x8000_0000n);
  });

  it("a slot that moved while the guest had it mapped is found at its new address only", async () => {
    const { vm, cpu } = makeGuest(host, [...readWord, load(8, 0, 1), ...finish]);
    const more = vm.addMemory({ at: 0x8000_0000n, bytes: 4096 });
    more.bytes.fill(7, 0, 8);
    cpu.setReg(x(1), 0x8000_0000n);
    await runToFinish(cpu);
    more.move(0x9000_0000n);
    const exit = await runToExit(cpu);
    assert.equal(exit.reason === "mmio" && exit.address, 0x8000_0000n);
  });

  it("two slots of the same host memory show the same bytes", async () => {
    const { vm, ram, cpu } = makeGuest(host, readWord);
    const mapping = vm.fd.map({ kind: "anonymous", bytes: 4096 });
    vm.fd.setUserMemoryRegion(10, 0, 0x8000_0000n, 4096n, mapping, 0n);
    vm.fd.setUserMemoryRegion(11, 0, 0x9000_0000n, 4096n, mapping, 0n);
    new Uint8Array(mapping.buffer, mapping.offset, 8).fill(9);
    cpu.setReg(x(1), 0x9000_0000n);
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), 0x0909_0909_0909_0909n);
    assert.equal(ram.slot, 0);
  });

  it("fetching where there is no memory is a synchronous exception of the guest, not an exit", async () => {
    const { cpu, ram } = makeGuest(host);
    const vectors = 0x800;
    loadWords(ram, vectors + 0x200, finish); // current EL, SP_EL1, synchronous
    cpu.setReg(sysReg("VBAR_EL1"), RAM + BigInt(vectors));
    cpu.setReg(pc, 0x1000n);
    await runToFinish(cpu);
    assert.equal(exceptionClass(cpu), 0x21n); // instruction abort, same EL
    assert.equal(cpu.getReg(sysReg("FAR_EL1")), 0x1000n);
  });

  it("an address beyond the VM's IPA size is an exception of the guest", async () => {
    const { cpu, ram } = makeGuest(host, readWord);
    loadWords(ram, 0xa00, finish);
    cpu.setReg(sysReg("VBAR_EL1"), RAM + 0x800n);
    cpu.setReg(x(1), 1n << 40n);
    await runToFinish(cpu);
    assert.equal(exceptionClass(cpu), 0x25n); // data abort, same EL
  });
});
