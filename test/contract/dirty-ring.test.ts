// The dirty ring. Documentation/virt/kvm/api.rst 8.29, 4.128.

import assert from "node:assert/strict";
import { pc, x } from "../../lib/arm64/registers.js";
import { structs, unpack } from "../../lib/uapi/structs.js";
import type { Vcpu } from "../../lib/vcpu.js";
import type { Vm } from "../../lib/vm.js";
import { addImmediate, branchNonZero, store, subsImmediate, XZR } from "../support/assemble.js";
import { needs, onEveryBackend } from "../support/backends.js";
import { finish, makeGuest, RAM, runToExit, runToFinish } from "../support/guest.js";
import { assertRefused } from "../support/refusal.js";

const LOGGED = 0x8000_0000n;
const RING_BYTES = 4096;
const ENTRY = structs.kvm_dirty_gfn;
const [DIRTY, RESET] = [1, 2];

/** Takes the entries that the guest has published, and marks them for reset. `from`: where the last harvest ended. */
function harvest(cpu: Vcpu, from = 0): { slot: number; page: bigint }[] {
  const ring = cpu.dirtyRing(RING_BYTES);
  const entries = RING_BYTES / ENTRY.bytes;
  const found: { slot: number; page: bigint }[] = [];
  for (let i = from; i < from + entries; i++) {
    const bytes = ring.subarray((i % entries) * ENTRY.bytes, ((i % entries) + 1) * ENTRY.bytes);
    const { flags, slot, offset } = unpack(ENTRY, bytes);
    if ((flags & DIRTY) === 0 || (flags & RESET) !== 0) break;
    found.push({ slot, page: offset });
    bytes[0] = RESET;
  }
  return found;
}

onEveryBackend("the dirty ring", (host) => {
  const withRing = (bytes = BigInt(RING_BYTES)) => {
    const vm = host.keep(host.kvm.createVm());
    vm.enableCap("DIRTY_LOG_RING_ACQ_REL", [bytes]);
    return vm;
  };

  it("resetting rings that there are none of is EINVAL", () => {
    assertRefused("EINVAL", () => host.keep(host.kvm.createVm()).resetDirtyRings());
  });

  it("the ring of x86 is EINVAL", () => {
    assertRefused("EINVAL", () => host.keep(host.kvm.createVm()).enableCap("DIRTY_LOG_RING", [4096n]));
  });

  it("sizes are powers of two, from a page to 65536 entries", function () {
    needs(this, host, "DIRTY_LOG_RING_ACQ_REL");
    for (const bytes of [0n, 2048n, 4097n, 5000n]) assertRefused("EINVAL", () => withRing(bytes));
    assertRefused("E2BIG", () => withRing(0x20_0000n));
    withRing(4096n);
    withRing(0x10_0000n);
  });

  it("it is enabled once, before the first vCPU", function () {
    needs(this, host, "DIRTY_LOG_RING_ACQ_REL");
    const vm = withRing();
    assertRefused("EINVAL", () => vm.enableCap("DIRTY_LOG_RING_ACQ_REL", [4096n]));
    const late = host.keep(host.kvm.createVm());
    host.keep(late.createVcpu());
    assertRefused("EINVAL", () => late.enableCap("DIRTY_LOG_RING_ACQ_REL", [4096n]));
  });

  it("with it, the bitmap is ENXIO, and can be had beside it before there is memory", function () {
    needs(this, host, "DIRTY_LOG_RING_ACQ_REL");
    const vm = withRing();
    const memory = vm.addMemory({ at: LOGGED, bytes: 4096, logDirty: true });
    assertRefused("ENXIO", () => memory.dirtyLog());
    assertRefused("ENXIO", () => memory.clearDirtyLog(0, 1, new Uint8Array(8)));
    assertRefused("EINVAL", () => vm.enableCap("DIRTY_LOG_RING_WITH_BITMAP"));
    const both = withRing();
    both.enableCap("DIRTY_LOG_RING_WITH_BITMAP");
    both.addMemory({ at: LOGGED, bytes: 4096, logDirty: true }).dirtyLog();
  });

  it("the bitmap beside it is EINVAL without it", function () {
    needs(this, host, "DIRTY_LOG_RING_WITH_BITMAP");
    assertRefused("EINVAL", () => host.keep(host.kvm.createVm()).enableCap("DIRTY_LOG_RING_WITH_BITMAP"));
  });

  it("the bitmap beside it is full with INITIALLY_SET, and vCPUs write into the ring alone", async function () {
    needs(this, host, "DIRTY_LOG_RING_WITH_BITMAP");
    const prepare = (vm: Vm) => {
      vm.enableCap("DIRTY_LOG_RING_ACQ_REL", [BigInt(RING_BYTES)]);
      vm.enableCap("DIRTY_LOG_RING_WITH_BITMAP");
      vm.enableCap("MANUAL_DIRTY_LOG_PROTECT2", [3n]);
    };
    const { vm, cpu } = makeGuest(host, [store(8, XZR, 1), ...finish], { prepare });
    const logged = vm.addMemory({ at: LOGGED, bytes: 3 * 4096, logDirty: true });
    cpu.setReg(x(1), LOGGED + 4096n);
    assert.deepEqual([...logged.dirtyPages()], [0, 1, 2]);
    logged.clearDirtyLog(0, 3, Uint8Array.of(0b110, 0, 0, 0, 0, 0, 0, 0));
    await runToFinish(cpu);
    assert.deepEqual([...logged.dirtyPages()], [0]);
    assert.deepEqual(harvest(cpu), [{ slot: logged.slot, page: 1n }]);
  });

  it("is mapped no further than it is long", function () {
    needs(this, host, "DIRTY_LOG_RING_ACQ_REL");
    const cpu = host.keep(withRing().createVcpu());
    assertRefused("EINVAL", () => cpu.dirtyRing(2 * RING_BYTES));
    assert.equal(cpu.dirtyRing(RING_BYTES).length, RING_BYTES);
  });

  it("each page that the guest writes is an entry; reset says how many were taken, and the page comes again", async function () {
    needs(this, host, "DIRTY_LOG_RING_ACQ_REL");
    const { vm, cpu } = makeGuest(host, [store(8, XZR, 1), ...finish], {
      prepare: (made) => made.enableCap("DIRTY_LOG_RING_ACQ_REL", [BigInt(RING_BYTES)]),
    });
    const logged = vm.addMemory({ at: LOGGED, bytes: 64 * 4096, logDirty: true });
    const touch = async (page: bigint) => {
      cpu.setReg(pc, RAM);
      cpu.setReg(x(1), LOGGED + page * 4096n);
      await runToFinish(cpu);
    };
    for (const page of [5n, 9n, 5n]) await touch(page);
    const entry = (page: bigint) => ({ slot: logged.slot, page });
    assert.deepEqual(harvest(cpu), [entry(5n), entry(9n)]);
    assert.equal(vm.resetDirtyRings(), 2);
    assert.equal(vm.resetDirtyRings(), 0);
    await touch(5n);
    assert.deepEqual(harvest(cpu, 2), [entry(5n)]);
  });

  it("a full ring ends the run, until it is harvested and reset", async function () {
    needs(this, host, "DIRTY_LOG_RING_WITH_BITMAP");
    const { vm, cpu } = makeGuest(
      host,
      [
        store(8, XZR, 1), // loop: str xzr, [x1]
        addImmediate(1, 1, 0x800), // half a page further, twice
        addImmediate(1, 1, 0x800),
        subsImmediate(2, 2, 1),
        branchNonZero(2, -16),
        ...finish,
      ],
      {
        prepare: (made) => {
          made.enableCap("DIRTY_LOG_RING_ACQ_REL", [BigInt(RING_BYTES)]);
          // Without the bitmap, KVM on arm64 may map 2 MiB at the first store, and then sees no other.
          made.enableCap("DIRTY_LOG_RING_WITH_BITMAP");
        },
        memory: { bytes: 4096 },
      },
    );
    vm.addMemory({ at: LOGGED, bytes: 512 * 4096, logDirty: true });
    cpu.setReg(x(1), LOGGED);
    cpu.setReg(x(2), 400n);
    let taken = 0;
    const pages = new Set<bigint>();
    const takeAll = () => {
      const entries = harvest(cpu, taken);
      taken += entries.length;
      for (const { page } of entries) pages.add(page);
    };
    let full = 0;
    let exit = await runToExit(cpu);
    while (exit.reason === "dirty-ring-full") {
      full++;
      takeAll();
      vm.resetDirtyRings();
      exit = await runToExit(cpu);
    }
    takeAll();
    assert.equal(exit.reason, "mmio");
    assert.deepEqual([pages.size, full >= 2], [400, true], `${full} times full`);
  });
});
