// KVM_EXIT_MMIO: widths, data, when a load is completed. Documentation/virt/kvm/api.rst 5, "KVM_EXIT_MMIO".

import assert from "node:assert/strict";
import { elrEl1, pc, sysReg, x } from "../../lib/arm64/registers.js";
import {
  load,
  loadPost,
  loadSigned,
  mov64,
  nop,
  store,
  storePair,
  storePost,
  type Width,
  XZR,
} from "../support/assemble.js";
import { onEveryBackend, onHost } from "../support/backends.js";
import {
  DEVICE,
  exceptionClass,
  finish,
  loadWords,
  makeGuest,
  RAM,
  runToExit,
  runToFinish,
  runToMmio,
} from "../support/guest.js";
import { answerOf } from "../support/refusal.js";

const toDevice = mov64(1, DEVICE); // x1 = DEVICE
const VALUE = 0x8877_6655_4433_2211n;

onEveryBackend("MMIO", (host) => {
  it("between an exclusive load and its store opens the monitor, and the store does nothing", async () => {
    const [ldxr, stxr] = [0xc85f_7c62, 0xc804_7c62]; // ldxr x2, [x3]; stxr w4, x2, [x3]
    const { cpu } = makeGuest(host, [...toDevice, ldxr, store(8, 0, 1), stxr, ldxr, 0xc805_7c62, ...finish]);
    cpu.setReg(x(3), RAM + 0x800n);
    await runToMmio(cpu);
    await runToFinish(cpu);
    assert.deepEqual([cpu.getReg(x(4)), cpu.getReg(x(5))], [1n, 0n]);
  });

  for (const width of [1, 2, 4, 8] as const satisfies readonly Width[]) {
    it(`a store of ${width} bytes exits with its bytes, and the guest goes on behind it`, async () => {
      const { cpu } = makeGuest(host, [...toDevice, store(width, 0, 1), ...finish]);
      cpu.setReg(x(0), VALUE);
      const exit = await runToMmio(cpu);
      assert.deepEqual([exit.write, exit.address, exit.data.length], [true, DEVICE, width]);
      assert.deepEqual([...exit.data], [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88].slice(0, width));
      await runToFinish(cpu);
    });

    it(`a load of ${width} bytes takes the exit's data, zero-extended`, async () => {
      const { cpu } = makeGuest(host, [...toDevice, load(width, 0, 1), ...finish]);
      cpu.setReg(x(0), 2n ** 64n - 1n);
      const exit = await runToMmio(cpu);
      assert.deepEqual([exit.write, exit.address, exit.data.length], [false, DEVICE, width]);
      exit.data.set([0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98].slice(0, width));
      await runToFinish(cpu);
      assert.equal(cpu.getReg(x(0)), 0x9897_9695_9493_9291n & ((1n << BigInt(8 * width)) - 1n));
    });
  }

  for (const [width, into, data, extended, zeroExtended] of [
    [1, 64, [0x80], 0xffff_ffff_ffff_ff80n, 0x80n],
    [1, 32, [0x80], 0xffff_ff80n, 0x80n],
    [2, 64, [0x01, 0x80], 0xffff_ffff_ffff_8001n, 0x8001n],
    [2, 32, [0x01, 0x80], 0xffff_8001n, 0x8001n],
    [4, 64, [0x01, 0, 0, 0x80], 0xffff_ffff_8000_0001n, 0x8000_0001n],
    [1, 64, [0x7f], 0x7fn, 0x7fn],
  ] as const) {
    it(`a signed load of ${width} bytes [${data}] into ${into} bits is extended by its sign since 7.2, by 0 before`, async () => {
      const { cpu } = makeGuest(host, [...toDevice, loadSigned(width, into, 0, 1), ...finish]);
      const exit = await runToMmio(cpu);
      exit.data.set(data);
      await runToFinish(cpu);
      assert.equal(cpu.getReg(x(0)), onHost(host, { "6.1": zeroExtended, "6.12": zeroExtended, "7.2": extended }));
    });
  }

  it("a load into XZR leaves every register as it was", async () => {
    const { cpu } = makeGuest(host, [...toDevice, load(8, XZR, 1), ...finish]);
    const exit = await runToMmio(cpu);
    exit.data.fill(0xff);
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), 0n);
  });

  it("the address has the low bits of the access", async () => {
    const { cpu } = makeGuest(host, [...toDevice, store(1, XZR, 1, 0xabc), ...finish]);
    const exit = await runToMmio(cpu);
    assert.equal(exit.address, DEVICE + 0xabcn);
  });

  it("PC moves on only when the run goes on", async () => {
    const code = [...toDevice, load(8, 0, 1), nop, ...finish];
    const { cpu } = makeGuest(host, code);
    const exit = await runToMmio(cpu);
    const at = RAM + 4n * BigInt(toDevice.length);
    assert.equal(cpu.getReg(pc), at);
    exit.data.fill(1);
    cpu.immediateExit = true;
    assert.equal(cpu.runSync().reason, "interrupted");
    assert.deepEqual([cpu.getReg(pc), cpu.getReg(x(0))], [at + 4n, 0x0101_0101_0101_0101n]);
  });

  it("a load is completed once, even if several runs end at once", async () => {
    const { cpu } = makeGuest(host, [...toDevice, load(8, 0, 1), ...finish]);
    const exit = await runToMmio(cpu);
    exit.data.fill(1);
    cpu.immediateExit = true;
    cpu.runSync();
    cpu.setReg(x(0), 5n);
    cpu.runSync();
    assert.equal(cpu.getReg(x(0)), 5n);
    cpu.immediateExit = false;
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), 5n);
  });

  it("an external abort that userspace injects takes the place of the load", async () => {
    const { cpu, ram } = makeGuest(host, [...toDevice, load(8, 0, 1), ...finish]);
    loadWords(ram, 0xa00, finish);
    cpu.setReg(sysReg("VBAR_EL1"), RAM + 0x800n);
    await runToMmio(cpu);
    cpu.setEvents({ externalAbortPending: true });
    await runToFinish(cpu);
    assert.deepEqual([cpu.getReg(x(0)), exceptionClass(cpu)], [0n, 0x25n]);
    assert.equal(cpu.getReg(elrEl1), RAM + 4n * BigInt(toDevice.length));
  });
});

/** Accesses whose syndrome does not say what they are. */
const withoutSyndrome: Readonly<Record<string, number>> = {
  "a load with post-index": loadPost(0, 1, 8),
  "a store with post-index": storePost(0, 1, 8),
  "a store of a pair": storePair(0, 2, 1),
};

onEveryBackend("accesses without a syndrome", (host) => {
  for (const [what, instruction] of Object.entries(withoutSyndrome)) {
    it(`${what}: the run is ENOSYS, and PC stays`, async () => {
      const { cpu } = makeGuest(host, [...toDevice, instruction, ...finish]);
      assert.equal(await answerOf(() => runToExit(cpu)), "ENOSYS");
      assert.equal(cpu.getReg(pc), RAM + 4n * BigInt(toDevice.length));
    });

    it(`${what}: with ARM_NISV_TO_USER it is an exit with the address, and PC stays`, async () => {
      const { cpu } = makeGuest(host, [...toDevice, instruction, ...finish], {
        prepare: (vm) => vm.enableCap("ARM_NISV_TO_USER"),
      });
      const exit = await runToExit(cpu);
      assert.equal(exit.reason, "arm-nisv");
      assert.equal(exit.address, DEVICE);
      assert.equal((exit.syndrome >> 24n) & 1n, 0n); // ISV
      assert.equal(cpu.getReg(pc), RAM + 4n * BigInt(toDevice.length));
    });
  }

  it("the exit's syndrome says whether it was a write", async () => {
    const syndromeOf = async (instruction: number) => {
      const { cpu } = makeGuest(host, [...toDevice, instruction, ...finish], {
        prepare: (vm) => vm.enableCap("ARM_NISV_TO_USER"),
      });
      const exit = await runToExit(cpu);
      return exit.reason === "arm-nisv" ? (exit.syndrome >> 6n) & 1n : exit.reason;
    };
    assert.deepEqual([await syndromeOf(loadPost(0, 1, 8)), await syndromeOf(storePost(0, 1, 8))], [0n, 1n]);
  });

  it("userspace can step over the instruction", async () => {
    const { cpu } = makeGuest(host, [...toDevice, loadPost(0, 1, 8), ...finish], {
      prepare: (vm) => vm.enableCap("ARM_NISV_TO_USER"),
    });
    await runToExit(cpu);
    cpu.setReg(pc, cpu.getReg(pc) + 4n);
    await runToFinish(cpu);
  });
});

onEveryBackend("a read-only slot", (host) => {
  const READONLY = 0x8000_0000n;
  const withSlot = (code: readonly number[]) => {
    const guest = makeGuest(host, code);
    const slot = guest.vm.addMemory({ at: READONLY, bytes: 4096, readonly: true });
    slot.bytes.fill(0x77);
    guest.cpu.setReg(x(1), READONLY + 8n);
    return { ...guest, slot };
  };

  it("is read without an exit", async () => {
    const { cpu } = withSlot([load(8, 0, 1), ...finish]);
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), 0x7777_7777_7777_7777n);
  });

  it("is an MMIO exit to write, and keeps its bytes", async () => {
    const { cpu, slot } = withSlot([load(8, 0, 1), store(4, XZR, 1), ...finish]);
    const exit = await runToMmio(cpu);
    assert.deepEqual([exit.write, exit.address, exit.data.length], [true, READONLY + 8n, 4]);
    await runToFinish(cpu);
    assert.equal(slot.bytes[8], 0x77);
  });

  it("is ENOSYS to write without a syndrome", async () => {
    const { cpu } = withSlot([storePost(0, 1, 8), ...finish]);
    assert.equal(await answerOf(() => runToExit(cpu)), "ENOSYS");
  });

  it("can be executed", async () => {
    const { cpu, slot } = withSlot([]);
    loadWords(slot, 0, finish);
    cpu.setReg(pc, READONLY);
    await runToFinish(cpu);
  });
});
