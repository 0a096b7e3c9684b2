import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KVM_EXIT, KVM_MEM } from "../../lib/uapi/constants.js";
import { errno } from "../../lib/uapi/errno.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import { expectExit, Machine, RAM, refuses, set, x } from "./machine.js";
import { programs } from "./programs.js";

const PAGE = 4096n;
const { LOG_DIRTY_PAGES, READONLY, GUEST_MEMFD } = KVM_MEM;
const MANUAL_PROTECT = 168;

describe("the model's memory slots", () => {
  let machine: Machine;
  beforeEach(() => {
    machine = new Machine();
  });
  afterEach(() => machine.close());

  const region = (slot: number, flags: number, at: bigint, bytes: bigint, offset = 0n) =>
    machine.vm.setUserMemoryRegion(slot, flags, at, bytes, machine.ram, offset);
  const remove = (slot: number) => machine.vm.setUserMemoryRegion(slot, 0, 0n, 0n, null, 0n);

  it("are refused in the kernel's order", () => {
    refuses("EINVAL", () => region(1, 8, 1n, 1n));
    refuses("EINVAL", () => region(1, GUEST_MEMFD, RAM, PAGE));
    refuses("EINVAL", () => region(1, 0, 1n, PAGE));
    refuses("EINVAL", () => region(1, 0, 0n, 1n));
    refuses("EINVAL", () => region(1, 0, 0n, PAGE, 1n));
    refuses("EINVAL", () => region(1 << 16, 0, 0n, PAGE));
    refuses("EINVAL", () => region(32767, 0, 0n, PAGE));
    refuses("EINVAL", () => region(1, 0, (1n << 64n) - PAGE, PAGE));
    refuses("EINVAL", () => remove(1));
    refuses("EEXIST", () => region(1, 0, RAM + PAGE, PAGE));
    refuses("EFAULT", () => region(1, 0, (1n << 40n) - PAGE, 2n * PAGE));
    region(1, 0, (1n << 40n) - PAGE, PAGE);
    region(32766, READONLY, 0n, PAGE);
  });

  it("may move and change their logging, but not their memory, size or read-only flag", () => {
    region(1, 0, 0n, PAGE);
    region(1, 0, 0n, PAGE);

    refuses("EINVAL", () => region(1, 0, 0n, 2n * PAGE));
    refuses("EINVAL", () => region(1, 0, 0n, PAGE, PAGE));
    refuses("EINVAL", () => region(1, READONLY, 0n, PAGE));
    region(1, LOG_DIRTY_PAGES, 0n, PAGE);
    region(1, LOG_DIRTY_PAGES, PAGE, PAGE);
    refuses("EEXIST", () => region(1, 0, RAM, PAGE));
    region(2, 0, 0n, PAGE);
    remove(1);
    remove(2);
    refuses("EINVAL", () => remove(2));
  });

  it("must lie inside a mapping of their VM", () => {
    const other = new Machine();
    assert.throws(() => region(1, 0, 0n, 2n << 20n), RangeError);
    assert.throws(() => region(1, 0, 0n, PAGE, -PAGE), RangeError);
    assert.throws(() => machine.vm.setUserMemoryRegion(1, 0, 0n, PAGE, null, 0n), RangeError);
    assert.throws(() => machine.vm.setUserMemoryRegion(1, 0, 0n, PAGE, other.ram, 0n), TypeError);
    other.close();
  });

  it("can all be used at once", function () {
    this.timeout(20_000);
    machine.vm.setUserMemoryRegion(0, 0, 0n, 0n, null, 0n);
    for (let slot = 0; slot < 32767; slot++) region(slot, 0, BigInt(32766 - slot) * 2n * PAGE, PAGE);
    refuses("EINVAL", () => region(32767, 0, 1n << 39n, PAGE));
    refuses("EEXIST", () => machine.vm.setUserMemoryRegion(5, 0, 0n, PAGE, machine.ram, 0n));
  });

  it("keep the memory of a mapping that was closed until they are gone; then it is used where there is no other", () => {
    const small = new Machine({ memoryBytes: 16 << 20 });
    const pages = Array.from({ length: 8 }, () => small.vm.map({ kind: "anonymous", bytes: 1 << 20 }));
    small.vm.setUserMemoryRegion(1, 0, 0n, PAGE, pages[0]!, 0n);
    small.load(programs.writeRam);
    const vcpu = small.vcpu();
    set(vcpu, x(1), 0x55n);
    for (const mapping of pages) {
      mapping.close();
      mapping.close();
    }

    expectExit(vcpu, KVM_EXIT.MMIO);
    refuses("EBADF", () => small.vm.setUserMemoryRegion(2, 0, PAGE, PAGE, pages[1]!, 0n));
    refuses("ENOMEM", () => small.vm.map({ kind: "anonymous", bytes: 8 << 20 }));
    small.vm.setUserMemoryRegion(1, 0, 0n, 0n, null, 0n);
    const again = small.vm.map({ kind: "anonymous", bytes: 8 << 20 });
    assert.equal(again.offset, pages[0]!.offset);
    assert.ok(new Uint8Array(again.buffer, again.offset, again.bytes).every((byte) => byte === 0));
    small.close();
  });

  it("say ENOMEM where the model's memory ends", () => {
    const small = new Machine({ memoryBytes: 16 << 20 });
    refuses("ENOMEM", () => small.vm.map({ kind: "anonymous", bytes: 16 << 20 }));
    small.vm.map({ kind: "anonymous", bytes: 4 << 20 }).close();
    small.close();
  });

  it("log dirty pages by get, or by get and clear", () => {
    const bitmap = new Uint8Array(32);
    refuses("EINVAL", () => machine.vm.getDirtyLog(1 << 16, bitmap));
    refuses("ENOENT", () => machine.vm.getDirtyLog(0, bitmap));
    refuses("ENOENT", () => machine.vm.getDirtyLog(9, bitmap));
    refuses("ENOENT", () => machine.vm.clearDirtyLog(0, 0n, 64, bitmap));
    refuses("EINVAL", () => machine.vm.clearDirtyLog(0, 1n, 64, bitmap));

    machine.vm.enableCap(pack(structs.kvm_enable_cap, { cap: MANUAL_PROTECT, args: [3n] }));
    region(0, LOG_DIRTY_PAGES, RAM, 1n << 20n);
    assert.throws(() => machine.vm.getDirtyLog(0, bitmap.subarray(1)), RangeError);
    machine.vm.getDirtyLog(0, bitmap);
    assert.ok(bitmap.every((byte) => byte === 0xff));

    machine.vm.clearDirtyLog(0, 64n, 64, Uint8Array.of(0xfe, 0, 0, 0, 0, 0, 0, 0x80));
    machine.vm.getDirtyLog(0, bitmap);
    assert.deepEqual(
      [...bitmap.subarray(7, 17)],
      [0xff, 1, 255, 255, 255, 255, 255, 255, 0x7f, 0xff, 0xff].slice(0, 10),
    );
    refuses("EINVAL", () => machine.vm.clearDirtyLog(0, 64n, 65, bitmap));
    refuses("EINVAL", () => machine.vm.clearDirtyLog(0, 64n, 193, bitmap));
    refuses("EINVAL", () => machine.vm.clearDirtyLog(0, 320n, 0, bitmap));
  });

  it("copy a private file, and refuse to write to one", () => {
    const folder = mkdtempSync(join(tmpdir(), "model-"));
    const path = join(folder, "image");
    writeFileSync(path, Buffer.alloc(5000, 7));
    const file = { kind: "file", path, bytes: 8192, offset: 0, shared: false, writable: true } as const;

    const mapping = machine.vm.map(file);
    const bytes = new Uint8Array(mapping.buffer, mapping.offset, mapping.bytes);
    assert.deepEqual([bytes[4999], bytes[5000]], [7, 0]);
    refuses("EOPNOTSUPP", () => machine.vm.map({ ...file, shared: true }));
    refuses("ENOENT", () => machine.vm.map({ ...file, path: join(folder, "none") }));
    refuses("EINVAL", () => machine.vm.map({ ...file, offset: 1 }));
    refuses("EINVAL", () => machine.vm.map({ ...file, offset: 4096 }));
    refuses("ENODEV", () => machine.vm.map({ ...file, path: folder }));
    mapping.close();

    const readonly = machine.vm.map({ ...file, writable: false });
    machine.vm.setUserMemoryRegion(1, 0, 0n, PAGE, readonly, 0n);
    machine.load(programs.writeRam);
    const vcpu = machine.vcpu();
    assert.equal(vcpu.runSync(), errno("EFAULT"));
    rmSync(folder, { recursive: true });
  });

  it("have no second form on 6.1", () => {
    const old = new Machine({ kernel: "6.1" });
    const second = (m: Machine, flags: number) => m.vm.setUserMemoryRegion2(1, flags, 0n, PAGE, m.ram, 0n, 0, 0n);

    second(machine, 0);
    refuses("EINVAL", () => second(machine, GUEST_MEMFD));
    refuses("EINVAL", () => second(old, 0));
    old.close();
  });
});
