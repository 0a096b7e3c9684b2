// Memory slots that change while the guest runs. Documentation/virt/kvm/api.rst 4.35, 4.8.

import assert from "node:assert/strict";
import { pc, x } from "../../lib/arm64/registers.js";
import type { GuestMemory } from "../../lib/memory.js";
import type { Vcpu } from "../../lib/vcpu.js";
import { addImmediate, branch, branchZero, load, mov64, store } from "../support/assemble.js";
import { onEveryBackend } from "../support/backends.js";
import { DEVICE, finish, type Guest, makeGuest, RAM, runToFinish, runToMmio, untilRunning } from "../support/guest.js";

const SLOT = 0x8000_0000n;
const ELSEWHERE = 0x9000_0000n;
const FLAG = 0x8000;
const PAGES = 16;

/** Waits until `ready`, letting the guest run. */
async function until(ready: () => boolean): Promise<void> {
  for (let waited = 0; waited < 10_000; waited += 5) {
    if (ready()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail("it did not happen within 10 s");
}

/** Does things while a guest runs that has no exit of its own. */
async function whileRunning(cpu: Vcpu, body: () => Promise<void>): Promise<void> {
  const running = cpu.run();
  try {
    await body();
  } finally {
    cpu.kick();
    assert.equal((await running).reason, "interrupted");
  }
}

onEveryBackend("memory slots under a running guest", (host) => {
  /** A guest that has X1 at the slot. */
  const setUp = (code: readonly number[]): Guest & { readonly slot: GuestMemory } => {
    const guest = makeGuest(host, [...mov64(1, SLOT), ...code]);
    const slot = guest.vm.addMemory({ at: SLOT, bytes: PAGES * 4096 });
    return { ...guest, slot };
  };
  /** Loads from X1, and shows in RAM what it found. */
  const loadsForEver = [...mov64(4, RAM + BigInt(FLAG)), load(8, 0, 1), store(8, 0, 4), branch(-8)];
  const shown = ({ ram }: Guest) => new DataView(ram.bytes.buffer, ram.bytes.byteOffset + FLAG).getBigUint64(0, true);
  /** Counts in the first word of the slot, for ever. */
  const counts = [load(8, 0, 1), addImmediate(0, 0, 1), store(8, 0, 1), branch(-12)];
  const wordOf = ({ bytes }: GuestMemory) => new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);

  it("one that is deleted is an MMIO exit from then on", async () => {
    const guest = setUp(loadsForEver);
    const { cpu, slot } = guest;
    slot.bytes.fill(0x11);
    const exiting = runToMmio(cpu);
    await until(() => shown(guest) !== 0n);
    slot.remove();
    const exit = await exiting;
    assert.deepEqual([exit.write, exit.address], [false, SLOT]);
    assert.equal(cpu.getReg(x(0)), 0x1111_1111_1111_1111n);
  });

  it("one that is added is memory for the guest from then on", async () => {
    const { vm, ram, cpu } = makeGuest(host, [
      ...mov64(1, RAM + BigInt(FLAG)),
      ...mov64(2, ELSEWHERE),
      load(1, 3, 1),
      branchZero(3, -4),
      load(8, 0, 2),
      ...finish,
    ]);
    const done = runToFinish(cpu);
    await untilRunning(cpu);
    vm.addMemory({ at: ELSEWHERE, bytes: 4096 }).bytes.fill(0x22);
    ram.bytes[FLAG] = 1;
    await done;
    assert.equal(cpu.getReg(x(0)), 0x2222_2222_2222_2222n);
  });

  it("one that moves is an MMIO exit at its old address, and memory at its new one", async () => {
    const guest = setUp(loadsForEver);
    const { cpu, slot } = guest;
    slot.bytes.fill(0x33);
    const exiting = runToMmio(cpu);
    await until(() => shown(guest) !== 0n);
    slot.move(ELSEWHERE);
    const exit = await exiting;
    assert.equal(exit.address, SLOT);
    exit.data.fill(0x44);
    cpu.setReg(x(1), ELSEWHERE);
    slot.bytes.fill(0x55);
    await whileRunning(cpu, () => until(() => shown(guest) === 0x5555_5555_5555_5555n));
  });

  it("one that is deleted and added again, round after round, loses no store", async () => {
    const { vm, cpu, slot } = setUp(counts);
    let current = slot;
    let last = 0n;
    for (let round = 0; round < 5; round++) {
      const before = wordOf(current);
      const exiting = runToMmio(cpu);
      await until(() => wordOf(current) > before);
      const { bytes } = current;
      current.remove();
      const exit = await exiting;
      assert.equal(exit.address, SLOT);
      last = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
      // At the load, X0 is what was stored last; at the store, one less or more has happened.
      assert.equal(exit.write ? cpu.getReg(x(0)) - 1n : cpu.getReg(x(0)), last);
      current = vm.addMemory({ at: SLOT, bytes: PAGES * 4096 });
      if (!exit.write) exit.data.set(new Uint8Array(8));
      cpu.setReg(x(0), 0n);
    }
    assert.ok(last > 0n);
  });

  it("one that begins to log has the guest's pages from then on, round after round", async () => {
    const { cpu, slot } = setUp(counts);
    await whileRunning(cpu, async () => {
      await until(() => wordOf(slot) > 0n);
      slot.logDirty = true;
      for (let round = 0; round < 5; round++) await until(() => [...slot.dirtyPages()].includes(0));
      slot.logDirty = false;
      const before = wordOf(slot);
      await until(() => wordOf(slot) > before);
    });
  });

  it("a page that was cleared with manual protection comes again when it is written again", async () => {
    const guest = makeGuest(host, [...mov64(1, SLOT), ...counts], {
      prepare: (vm) => vm.enableCap("MANUAL_DIRTY_LOG_PROTECT2", [1n]),
    });
    const slot = guest.vm.addMemory({ at: SLOT, bytes: 64 * 4096, logDirty: true });
    await whileRunning(guest.cpu, async () => {
      for (let round = 0; round < 5; round++) {
        await until(() => [...slot.dirtyPages()].includes(0));
        slot.clearDirtyLog(0, 64, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0));
      }
    });
  });

  it("others that come and go do not disturb it, nor its MMIO", async () => {
    const { vm, cpu, slot } = setUp([
      ...mov64(2, DEVICE),
      ...[load(8, 0, 1), addImmediate(0, 0, 1), store(8, 0, 1)],
      load(4, 3, 2),
      branch(-16),
    ]);
    for (let round = 0; round < 10; round++) {
      const exit = await runToMmio(cpu);
      assert.deepEqual([exit.write, exit.address], [false, DEVICE]);
      exit.data.fill(round);
      const other = vm.addMemory({ at: ELSEWHERE, bytes: 4096 });
      if (round % 2 === 0) other.move(ELSEWHERE + 0x1000n);
      other.remove();
    }
    assert.equal(wordOf(slot), 10n);
  });

  it("one that is deleted takes effect for each vCPU of the VM", async () => {
    const guest = makeGuest(host, [...mov64(1, SLOT), ...loadsForEver], { vcpus: 2 });
    const slot = guest.vm.addMemory({ at: SLOT, bytes: 4096 });
    for (const cpu of guest.cpus) cpu.setReg(pc, RAM);
    const exiting = guest.cpus.map((cpu) => runToMmio(cpu));
    for (const cpu of guest.cpus) await untilRunning(cpu);
    slot.remove();
    for (const exit of await Promise.all(exiting)) assert.equal(exit.address, SLOT);
  });
});
