// What stage 2 makes of the kinds of accesses: no memory, read-only slots, dirty logs. Documentation/virt/kvm/api.rst 5
// (KVM_EXIT_MMIO, KVM_EXIT_ARM_NISV), 4.8.

import assert from "node:assert/strict";
import { decode } from "../../lib/arm64/fields.js";
import { pc, sysReg, x } from "../../lib/arm64/registers.js";
import type { Vm } from "../../lib/vm.js";
import { skip } from "../skip.js";
import {
  addImmediate,
  branchNonZero,
  compareAndSwap,
  load,
  loadExclusive,
  loadPair,
  loadPost,
  mov64,
  msr,
  store,
  storeExclusive,
  storePair,
  storePost,
} from "../support/assemble.js";
import { onEveryBackend } from "../support/backends.js";
import { DEVICE, finish, loadWords, makeGuest, RAM, runToExit, runToFinish } from "../support/guest.js";
import { answerOf } from "../support/refusal.js";
import { ACCESS_FLAG, blockAt, OTHER_TABLE, putDescriptor, turnMmuOn } from "../support/stage1.js";

const zeroBlock = msr([1, 3, 7, 4, 1], 1); // dc zva, x1

/** Instructions on [X1] that write, without a syndrome. */
const silentStores: Readonly<Record<string, readonly number[]>> = {
  "STR with post-index": [storePost(0, 1, 8)],
  STP: [storePair(0, 2, 1)],
  CAS: [compareAndSwap(3, 0, 1)],
  "LDXR and STXR": [loadExclusive(3, 1), storeExclusive(4, 0, 1)],
  "DC ZVA": [zeroBlock],
};
const silentLoads: Readonly<Record<string, readonly number[]>> = {
  "LDR with post-index": [loadPost(0, 1, 8)],
  LDP: [loadPair(0, 2, 1)],
  LDXR: [loadExclusive(0, 1)],
};
const last = (code: readonly number[]): bigint => 4n * BigInt(code.length - 1);

onEveryBackend("accesses of every kind", (host) => {
  beforeEach(function () {
    if (!this.currentTest?.title.startsWith("CAS")) return;
    const { cpu } = makeGuest(host, [...finish]);
    const { Atomic } = decode("ID_AA64ISAR0_EL1", cpu.getReg(sysReg("ID_AA64ISAR0_EL1"))).fields;
    if (Atomic === 0) skip(this, "the CPU has no atomic instructions (FEAT_LSE)");
  });

  /** Memory is normal: exclusives, atomics and DC ZVA are not defined for others. */
  const setUp = (code: readonly number[], prepare: (vm: Vm) => void = () => {}) => {
    const guest = makeGuest(host, [...code, ...finish], { prepare });
    turnMmuOn(guest);
    guest.cpu.setReg(x(1), DEVICE);
    return guest;
  };

  for (const [what, code] of Object.entries({ ...silentLoads, ...silentStores })) {
    const first = what === "LDXR and STXR" ? code.slice(0, 1) : code;
    it(`${what} where there is no memory: the run is ENOSYS, PC at the instruction`, async () => {
      const { cpu } = setUp(first);
      assert.equal(await answerOf(() => runToExit(cpu)), "ENOSYS");
      assert.equal(cpu.getReg(pc), RAM);
    });

    it(`${what} where there is no memory: with ARM_NISV_TO_USER an exit, of a write as such`, async () => {
      const { cpu } = setUp(first, (vm) => vm.enableCap("ARM_NISV_TO_USER"));
      const exit = await runToExit(cpu);
      assert.equal(exit.reason, "arm-nisv");
      assert.equal(exit.address, DEVICE);
      // An atomic's fault is that of its read, where that would have faulted.
      const writes = ["STR with post-index", "STP", "DC ZVA"].includes(what);
      assert.equal((exit.syndrome >> 6n) & 1n, writes ? 1n : 0n);
    });
  }

  for (const [what, instruction] of [
    ["DC CVAC", msr([1, 3, 7, 10, 1], 1)],
    ["DC CIVAC", msr([1, 3, 7, 14, 1], 1)],
    ["DC CVAU", msr([1, 3, 7, 11, 1], 1)],
    ["IC IVAU", msr([1, 3, 7, 5, 1], 1)],
  ] as const) {
    it(`${what} where there is no memory does nothing`, async () => {
      const { cpu } = setUp([instruction]);
      await runToFinish(cpu);
    });
  }

  const READONLY = 0x8000_0000n;
  for (const [what, code] of Object.entries(silentStores)) {
    it(`${what} in a read-only slot: the run is ENOSYS, and its bytes stay`, async () => {
      const { vm, cpu } = setUp(code);
      const slot = vm.addMemory({ at: READONLY, bytes: 4096, readonly: true });
      slot.bytes.fill(0x77);
      cpu.setReg(x(1), READONLY);
      cpu.setReg(x(3), 0x7777_7777_7777_7777n); // what CAS compares with
      assert.equal(await answerOf(() => runToExit(cpu)), "ENOSYS");
      assert.equal(cpu.getReg(pc), RAM + last(code));
      assert.ok(slot.bytes.every((byte) => byte === 0x77));
    });
  }

  for (const [what, code] of Object.entries(silentLoads)) {
    it(`${what} in a read-only slot reads`, async () => {
      const { vm, cpu } = setUp(code);
      const slot = vm.addMemory({ at: READONLY, bytes: 4096, readonly: true });
      slot.bytes.fill(0x77);
      cpu.setReg(x(1), READONLY);
      await runToFinish(cpu);
      assert.equal(cpu.getReg(x(0)), 0x7777_7777_7777_7777n);
    });
  }

  const LOGGED = 0x8000_0000n;
  for (const [what, code, pages] of [
    ...Object.entries(silentStores)
      .filter(([name]) => name !== "LDXR and STXR")
      .map(([name, words]) => [name, words, [2]] as const),
    // The first STXR may fail: the fault that it takes clears the monitor.
    ["LDXR and STXR until it succeeds", [loadExclusive(3, 1), storeExclusive(4, 0, 1), branchNonZero(4, -8)], [2]],
    ["STR", [store(8, 0, 1)], [2]],
    ["a store over the end of a page", [addImmediate(1, 1, 0xffc), store(8, 0, 1)], [2, 3]],
    ["LDR", [load(8, 0, 1)], []],
    ["LDXR", [loadExclusive(0, 1)], []],
    ["DC CIVAC", [msr([1, 3, 7, 14, 1], 1)], []],
  ] as const) {
    it(`${what} marks ${pages.length === 0 ? "no page" : pages.length === 1 ? "its page" : "both pages"} dirty`, async () => {
      const { vm, cpu } = setUp(code);
      const slot = vm.addMemory({ at: LOGGED, bytes: 64 * 4096, logDirty: true });
      cpu.setReg(x(1), LOGGED + 2n * 4096n);
      await runToFinish(cpu);
      assert.deepEqual([...slot.dirtyPages()], pages);
    });
  }

  it("a table walk marks no page dirty", async () => {
    const code = [...mov64(1, 0xffff_ff80_4000_0000n), load(8, 0, 1)];
    const guest = makeGuest(host, [...code, ...finish], { memory: { logDirty: true } });
    turnMmuOn(guest, OTHER_TABLE);
    putDescriptor(guest, OTHER_TABLE, 1, blockAt(RAM));
    await runToFinish(guest.cpu);
    assert.deepEqual([...guest.ram.dirtyPages()], []);
  });

  it("a block without its access flag is the guest's own fault, not an exit", async () => {
    const code = [...mov64(1, 0xffff_ff80_4000_0000n), load(8, 0, 1)];
    const guest = makeGuest(host, [...code, ...finish]);
    turnMmuOn(guest, OTHER_TABLE);
    putDescriptor(guest, OTHER_TABLE, 1, blockAt(RAM) & ~ACCESS_FLAG);
    loadWords(guest.ram, 0xa00, finish);
    guest.cpu.setReg(sysReg("VBAR_EL1"), RAM + 0x800n);
    await runToFinish(guest.cpu);
    assert.equal(guest.cpu.getReg(pc), RAM + 0xa00n + 4n * BigInt(finish.length));
  });
});
