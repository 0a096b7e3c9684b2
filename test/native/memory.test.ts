import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { caps } from "../../lib/uapi/caps.js";
import { KVM_MEM } from "../../lib/uapi/constants.js";
import { errno } from "../../lib/uapi/errno.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import { skip } from "../skip.js";
import { addVcpu, makeGuest, needsKvm, programs, ramAt, refusalOf } from "./host.js";

const page = 4096;
const EINVAL = errno("EINVAL");

describe("guest memory on the addon", () => {
  before(function () {
    needsKvm(this);
  });

  it("its ArrayBuffer outlives the mapping, the slot, the vCPU and the VM", () => {
    const guest = makeGuest(programs.stores);
    guest.vcpu.runSync();

    guest.close();

    assert.equal(guest.code[0], programs.stores[0]);
    guest.code[0] = 1;
    assert.equal(guest.code[0], 1);
    assert.equal(guest.vcpu.runPage.length, 8192);
    guest.vcpu.runPage[0] = 1;
  });

  it("a slot keeps a closed mapping alive for the guest", () => {
    const guest = makeGuest(programs.stores);
    guest.ram.close();

    const result = guest.vcpu.runSync();

    assert.equal(result, 0);
    guest.close();
  });

  it("a closed mapping makes no new slot", () => {
    const guest = makeGuest(programs.loops);
    guest.ram.close();

    const refusal = refusalOf(() => guest.vm.setUserMemoryRegion(1, 0, 0x8000_0000n, 4096n, guest.ram, 0n));

    assert.deepEqual(refusal, { errno: errno("EBADF"), call: "KVM_SET_USER_MEMORY_REGION" });
    guest.close();
  });

  it("a slot that reaches out of its mapping is a RangeError, whatever the numbers", () => {
    const { vm, ram, close } = makeGuest(programs.loops);
    const outside: [bytes: bigint, offset: bigint][] = [
      [0x11000n, 0n],
      [0x10000n, 0x1000n],
      [0x1000n, 0x10000n],
      [0x1000n, 2n ** 64n - 0x1000n],
      [2n ** 64n - 0x1000n, 0x2000n],
    ];

    for (const [bytes, offset] of outside) {
      assert.throws(() => vm.setUserMemoryRegion(1, 0, 0x8000_0000n, bytes, ram, offset), RangeError);
      assert.throws(() => vm.setUserMemoryRegion2(1, 0, 0x8000_0000n, bytes, ram, offset, 0, 0n), RangeError);
    }
    assert.throws(() => vm.setUserMemoryRegion(1, 0, 0x8000_0000n, 4096n, null, 0n), RangeError);
    close();
  });

  it("a misaligned slot is the kernel's to refuse", () => {
    const { vm, ram, close } = makeGuest(programs.loops);

    const refusals = [
      refusalOf(() => vm.setUserMemoryRegion(1, 0, 0x8000_0000n, 4096n, ram, 8n)),
      refusalOf(() => vm.setUserMemoryRegion(1, 0, 0x8000_0000n, 100n, ram, 0n)),
      refusalOf(() => vm.setUserMemoryRegion(7, 0, 0n, 0n, null, 0n)),
    ];

    assert.deepEqual(
      refusals,
      refusals.map(() => ({ errno: EINVAL, call: "KVM_SET_USER_MEMORY_REGION" })),
    );
    close();
  });

  it("a slot can be deleted, moved, and made anew", () => {
    const { vm, vcpu, ram, close } = makeGuest(programs.stores);
    vm.setUserMemoryRegion(0, 0, 0x8000_0000n, 0x10000n, ram, 0n);
    vm.setUserMemoryRegion(0, 0, 0n, 0n, null, 0n);
    vm.setUserMemoryRegion(0, 0, ramAt, 0x8000n, ram, 0n);

    const result = vcpu.runSync();

    assert.equal(result, 0);
    close();
  });

  it("guest memory can not be transferred to another thread", () => {
    const { ram, vcpu, close } = makeGuest(programs.loops);

    for (const buffer of [ram.buffer, vcpu.runPage.buffer] as ArrayBuffer[]) {
      // Node 20 copies, newer ones throw; neither takes the memory away.
      try {
        structuredClone(buffer, { transfer: [buffer] });
      } catch (error) {
        assert.equal((error as Error).name, "DataCloneError");
      }
    }

    assert.deepEqual([ram.buffer.byteLength, vcpu.runPage.length], [0x10000, 8192]);
    close();
  });

  it("a file seen shared gets what is written, a private one does not", () => {
    const folder = mkdtempSync(join(tmpdir(), "kvm-arm64-"));
    const path = join(folder, "memory");
    writeFileSync(path, new Uint8Array(4 * page));
    const { vm, close } = makeGuest(programs.loops);

    const shared = vm.map({ kind: "file", bytes: page, path, offset: page, shared: true, writable: true });
    const mine = vm.map({ kind: "file", bytes: page, path, offset: 0, shared: false, writable: true });
    new Uint8Array(shared.buffer)[1] = 5;
    new Uint8Array(mine.buffer)[1] = 6;

    const content = readFileSync(path);
    assert.deepEqual([content[page + 1], content[1]], [5, 0]);
    shared.close();
    mine.close();
    close();
    rmSync(folder, { recursive: true });
  });

  it("a file that is too short is refused with EINVAL, since pages beyond its end are SIGBUS", () => {
    const folder = mkdtempSync(join(tmpdir(), "kvm-arm64-"));
    const path = join(folder, "memory");
    writeFileSync(path, new Uint8Array(page));
    const { vm, close } = makeGuest(programs.loops);
    const map = (offset: number, bytes: number) => () =>
      vm.map({ kind: "file", bytes, path, offset, shared: true, writable: true });

    const refusals = [refusalOf(map(0, 2 * page)), refusalOf(map(page, page))];

    assert.deepEqual(refusals, [
      { errno: EINVAL, call: "mmap" },
      { errno: EINVAL, call: "mmap" },
    ]);
    assert.equal(
      refusalOf(() => vm.map({ kind: "file", bytes: page, path: `${path}x`, offset: 0, shared: true, writable: false }))
        .errno,
      errno("ENOENT"),
    );
    close();
    rmSync(folder, { recursive: true });
  });

  it("memory in huge pages comes from the host's pool, and is refused with ENOMEM without one", () => {
    const { vm, vcpu, close } = makeGuest(programs.loops);
    const huge = { kind: "hugetlb", bytes: 2 << 20, pageBytes: 2 << 20 } as const;
    assert.equal(refusalOf(() => vm.map(huge)).errno, errno("ENOMEM"));
    writeFileSync("/proc/sys/vm/nr_hugepages", "2");

    const ram = vm.map(huge);
    new Uint32Array(ram.buffer).set(programs.stores);
    vm.setUserMemoryRegion(0, 0, 0n, 0n, null, 0n);
    vm.setUserMemoryRegion(0, 0, ramAt, BigInt(huge.bytes), ram, 0n);
    const result = vcpu.runSync();

    assert.equal(result, 0);
    ram.close();
    close();
    writeFileSync("/proc/sys/vm/nr_hugepages", "0");
  });

  it("the dirty log tells which pages the guest wrote, and a bitmap that is too short is a RangeError", () => {
    const guest = makeGuest([
      0xd2a80001, // movz x1, #0x4000, lsl #16
      0x91400c21, // add x1, x1, #3, lsl #12
      0x39000020, // strb w0, [x1]
      0xd2a12001, // movz x1, #0x900, lsl #16
      0x39000020, // strb w0, [x1]
    ]);
    const logDirty = 1;
    guest.vm.setUserMemoryRegion(0, logDirty, ramAt, 0x10000n, guest.ram, 0n);
    const bitmap = new Uint8Array(8);

    guest.vcpu.runSync();
    guest.vm.getDirtyLog(0, bitmap);

    assert.equal(bitmap[0], 1 << 3);
    assert.throws(() => guest.vm.getDirtyLog(0, new Uint8Array(7)), RangeError);
    assert.throws(() => guest.vm.clearDirtyLog(0, 0n, 16, new Uint8Array(7)), RangeError);
    guest.close();
  });

  it("the dirty ring needs the capability, and is no longer than that says", function () {
    const ring = makeGuest(programs.loops).system.createVm(0n);
    const ACQ_REL = 223;
    const longest = ring.checkExtension(ACQ_REL);
    if (longest === 0) skip(this, "this kernel has no dirty ring for arm64 (Linux 6.3 and newer do)");
    const cap = new Uint8Array(104);
    new DataView(cap.buffer).setUint32(0, ACQ_REL, true);
    new DataView(cap.buffer).setUint32(8, 65536, true);
    ring.enableCap(cap);
    const vcpu = ring.createVcpu(0);

    const entries = vcpu.dirtyRing(65536);

    assert.equal(entries.length, 65536);
    assert.equal(entries[0], 0);
    assert.equal(ring.resetDirtyRings(), 0);
    assert.deepEqual(
      refusalOf(() => ring.createVcpu(1).dirtyRing(131072)),
      { errno: EINVAL, call: "mmap" },
    );
    vcpu.close();
    entries[0] = 1;
    ring.close();
  });

  it("guest_memfd backs a slot and is seen through a mapping of it, no further than it is long", function () {
    const { system, close } = makeGuest(programs.loops);
    const vm = system.createVm(0n);
    const mmapAndShared = 3n;
    if (vm.checkExtension(caps.GUEST_MEMFD) === 0)
      skip(this, "this kernel has no guest_memfd (Linux 6.18 and newer do)");
    const fd = vm.createGuestMemfd(pack(structs.kvm_create_guest_memfd, { size: 0x10000n, flags: mmapAndShared }));
    const map = (offset: number, bytes: number) => vm.map({ kind: "guest-memfd", fd, offset, bytes });

    const ram = map(0, 0x10000);
    new Uint32Array(ram.buffer).set(programs.stores);
    vm.setUserMemoryRegion2(0, KVM_MEM.GUEST_MEMFD, ramAt, 0x10000n, ram, 0n, fd, 0n);
    const vcpu = addVcpu(vm, 0);
    const result = vcpu.runSync();

    assert.equal(result, 0);
    assert.deepEqual(
      [refusalOf(() => map(0, 0x11000)), refusalOf(() => map(0x10000, page))].map(({ errno }) => errno),
      [EINVAL, EINVAL],
    );
    for (const each of [vcpu, vm, ram]) each.close();
    close();
  });
});
