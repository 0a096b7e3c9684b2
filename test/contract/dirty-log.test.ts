// KVM_GET_DIRTY_LOG, KVM_CLEAR_DIRTY_LOG, manual protection. Documentation/virt/kvm/api.rst 4.8, 4.117, 7.19.

import assert from "node:assert/strict";
import { pc, x } from "../../lib/arm64/registers.js";
import { store, XZR } from "../support/assemble.js";
import { type Host, onEveryBackend } from "../support/backends.js";
import { finish, type Guest, type GuestOptions, loadWords, makeGuest, RAM, runToFinish } from "../support/guest.js";
import { assertRefused } from "../support/refusal.js";

const PAGE = 4096;
const LOGGED = 0x8000_0000n;
const PAGES = 130; // neither a multiple of 64 nor less

/** A guest with a slot that logs dirty pages beside the one that its code is in. */
function loggedGuest(host: Host, options: GuestOptions = {}) {
  const guest = makeGuest(host, [store(8, XZR, 1), ...finish], options);
  const logged = guest.vm.addMemory({ at: LOGGED, bytes: PAGES * PAGE, logDirty: true });
  return { ...guest, logged };
}

/** The guest stores to a page. */
async function touch({ cpu }: Pick<Guest, "cpu">, page: number): Promise<void> {
  cpu.setReg(pc, RAM);
  cpu.setReg(x(1), LOGGED + BigInt(page * PAGE));
  await runToFinish(cpu);
}

const manual = (args: bigint): GuestOptions => ({
  prepare: (vm) => vm.enableCap("MANUAL_DIRTY_LOG_PROTECT2", [args]),
});

onEveryBackend("the dirty log", (host) => {
  it("is empty at first, and has a bit for each page, in whole words of 64", () => {
    const { logged } = loggedGuest(host);
    assert.deepEqual(logged.dirtyLog(), new Uint8Array(24));
  });

  it("has the pages that the guest wrote, and getting it clears it", async () => {
    const guest = loggedGuest(host);
    for (const page of [0, 1, 64, 129]) await touch(guest, page);
    assert.deepEqual([...guest.logged.dirtyPages()], [0, 1, 64, 129]);
    assert.deepEqual([...guest.logged.dirtyPages()], []);
    await touch(guest, 64);
    assert.deepEqual([...guest.logged.dirtyPages()], [64]);
  });

  it("does not have what userspace wrote, nor what the guest read", async () => {
    const guest = loggedGuest(host);
    guest.logged.bytes.fill(1);
    assert.deepEqual([...guest.logged.dirtyPages()], []);
  });

  it("sees writes of a guest that had the page mapped before logging began", async () => {
    const guest = loggedGuest(host);
    guest.logged.logDirty = false;
    await touch(guest, 3);
    guest.logged.logDirty = true;
    assert.deepEqual([...guest.logged.dirtyPages()], []);
    await touch(guest, 3);
    assert.deepEqual([...guest.logged.dirtyPages()], [3]);
  });

  it("of a slot that does not log, or is not there, is ENOENT", () => {
    const { vm, ram, logged } = loggedGuest(host);
    assertRefused("ENOENT", () => ram.dirtyLog());
    assertRefused("ENOENT", () => vm.fd.getDirtyLog(77, new Uint8Array(8)));
    logged.logDirty = false;
    assertRefused("ENOENT", () => logged.dirtyLog());
  });

  it("of a slot number out of range is EINVAL", () => {
    const { vm } = loggedGuest(host);
    assertRefused("EINVAL", () => vm.fd.getDirtyLog(0x7fff, new Uint8Array(8)));
    assertRefused("EINVAL", () => vm.fd.getDirtyLog(0x1_0000, new Uint8Array(8)));
  });

  it("into a buffer that is too short is a RangeError: the kernel could not know", () => {
    const { vm, logged } = loggedGuest(host);
    assert.throws(() => vm.fd.getDirtyLog(logged.slot, new Uint8Array(16)), RangeError);
  });

  it("clearing names whole words, but for the end of the slot", () => {
    const { logged } = loggedGuest(host);
    const bits = new Uint8Array(24).fill(0xff);
    assertRefused("EINVAL", () => logged.clearDirtyLog(1, 64, bits));
    assertRefused("EINVAL", () => logged.clearDirtyLog(0, 63, bits));
    assertRefused("EINVAL", () => logged.clearDirtyLog(192, 64, bits));
    assertRefused("EINVAL", () => logged.clearDirtyLog(128, 64, bits));
    logged.clearDirtyLog(0, 64, bits);
    logged.clearDirtyLog(128, 2, bits);
    logged.clearDirtyLog(0, PAGES, bits);
  });

  it("clearing the log of a slot that has none is ENOENT", () => {
    const { ram } = loggedGuest(host);
    assertRefused("ENOENT", () => ram.clearDirtyLog(0, 64, new Uint8Array(8)));
  });

  it("with manual protection, getting does not clear, clearing does, page by page", async () => {
    const guest = loggedGuest(host, manual(1n));
    for (const page of [2, 70]) await touch(guest, page);
    assert.deepEqual([...guest.logged.dirtyPages()], [2, 70]);
    assert.deepEqual([...guest.logged.dirtyPages()], [2, 70]);
    const bits = new Uint8Array(8);
    bits[0] = 1 << 2;
    guest.logged.clearDirtyLog(0, 64, bits);
    assert.deepEqual([...guest.logged.dirtyPages()], [70]);
    await touch(guest, 2);
    assert.deepEqual([...guest.logged.dirtyPages()], [2, 70]);
  });

  it("with manual protection and all pages initially set, it begins full", () => {
    const { logged } = loggedGuest(host, manual(3n));
    assert.deepEqual(
      [...logged.dirtyPages()].slice(0, PAGES),
      Array.from({ length: PAGES }, (_, page) => page),
    );
  });

  it("MANUAL_DIRTY_LOG_PROTECT2 takes 0, 1 and 3, nothing else", () => {
    const vm = host.keep(host.kvm.createVm());
    for (const args of [0n, 1n, 3n]) vm.enableCap("MANUAL_DIRTY_LOG_PROTECT2", [args]);
    for (const args of [2n, 4n, 5n, 1n << 63n]) {
      assertRefused("EINVAL", () => vm.enableCap("MANUAL_DIRTY_LOG_PROTECT2", [args]));
    }
  });

  it("a guest's own code pages are logged when it writes to them", async () => {
    const { vm, cpu } = makeGuest(host);
    const code = vm.addMemory({ at: LOGGED, bytes: 64 * PAGE, logDirty: true });
    loadWords(code, 0, [store(8, XZR, 1), ...finish]);
    cpu.setReg(pc, LOGGED);
    cpu.setReg(x(1), LOGGED + 5n * BigInt(PAGE));
    await runToFinish(cpu);
    assert.deepEqual([...code.dirtyPages()], [5]);
  });
});
