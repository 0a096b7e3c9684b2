// External aborts and SErrors as the guest takes them. Documentation/virt/kvm/api.rst 4.32; DDI 0487 D1.3.

import assert from "node:assert/strict";
import { elrEl1, pc, pstate, sysReg, x } from "../../lib/arm64/registers.js";
import { skip } from "../skip.js";
import { daifClear, daifSet, isb, load, loadPost, mov64, movz, mrs, nop, store } from "../support/assemble.js";
import { onEveryBackend, onHost } from "../support/backends.js";
import {
  DEVICE,
  exceptionClass,
  finish,
  type Guest,
  type GuestOptions,
  makeGuest,
  RAM,
  runToExit,
  runToFinish,
  runToMmio,
} from "../support/guest.js";
import { OTHER_TABLE, putDescriptor, turnMmuOn } from "../support/stage1.js";
import { setVectors, vectorAt } from "../support/vectors.js";

const [EC_FETCH_ABORT, EC_DATA_ABORT, EC_SERROR] = [0x21n, 0x25n, 0x2fn];
const SYNCHRONOUS_EXTERNAL = 0x10n;
const ISR_EL1 = [3, 0, 12, 1, 0] as const;
const SERROR_UNMASKED = 0x2c5n; // D, I and F masked

onEveryBackend("external aborts", (host) => {
  const setUp = (code: readonly number[], options: GuestOptions = {}): Guest => {
    const guest = makeGuest(host, [...code, ...finish], options);
    setVectors(guest);
    return guest;
  };
  /** A synchronous external abort on a table walk, and what kernels say that do not tell it from others. */
  const onWalk = (level: bigint) =>
    onHost(host, { "6.1": SYNCHRONOUS_EXTERNAL, "6.12": SYNCHRONOUS_EXTERNAL, "7.2": 0x14n + level });
  const faultStatus = ({ cpu }: Guest) => cpu.getReg(sysReg("ESR_EL1")) & 0x3fn;

  it("in place of a store to MMIO is taken at the store", async () => {
    const guest = setUp([...mov64(1, DEVICE), store(8, 0, 1)]);
    await runToMmio(guest.cpu);
    guest.cpu.setEvents({ externalAbortPending: true });
    await runToFinish(guest.cpu);
    assert.equal(guest.cpu.getReg(pc), vectorAt("synchronous") + 4n * BigInt(finish.length));
    assert.deepEqual([exceptionClass(guest.cpu), faultStatus(guest)], [EC_DATA_ABORT, SYNCHRONOUS_EXTERNAL]);
    assert.equal(guest.cpu.getReg(elrEl1), RAM + 4n * BigInt(mov64(1, DEVICE).length));
  });

  it("taken by a run that leaves at once keeps the access waiting before 7.2: the next run ends it, whatever is at PC", async () => {
    const guest = setUp([...mov64(1, DEVICE), store(8, 0, 1), movz(2, 1), movz(3, 1)]);
    const { cpu } = guest;
    await runToMmio(cpu);
    cpu.setEvents({ externalAbortPending: true });
    cpu.immediateExit = true;
    cpu.runSync();
    cpu.immediateExit = false;
    assert.equal(cpu.getReg(pc), vectorAt("synchronous"));
    cpu.setReg(pc, RAM + 4n * BigInt(mov64(1, DEVICE).length + 1));
    await runToFinish(cpu);
    const first = onHost(host, { "6.1": 0n, "6.12": 0n, "7.2": 1n });
    assert.deepEqual([cpu.getReg(x(2)), cpu.getReg(x(3))], [first, 1n]);
  });

  it("is how userspace can answer an access without a syndrome", async () => {
    const guest = setUp([...mov64(1, DEVICE), loadPost(0, 1, 8)], {
      prepare: (vm) => vm.enableCap("ARM_NISV_TO_USER"),
    });
    assert.equal((await runToExit(guest.cpu)).reason, "arm-nisv");
    guest.cpu.setEvents({ externalAbortPending: true });
    await runToFinish(guest.cpu);
    assert.deepEqual([exceptionClass(guest.cpu), guest.cpu.getReg(x(1))], [EC_DATA_ABORT, DEVICE]);
    assert.equal(guest.cpu.getReg(elrEl1), RAM + 4n * BigInt(mov64(1, DEVICE).length));
  });

  it("goes to the vector for EL0 of a guest at EL0, and for SP_EL0 of one at EL1 with it", async () => {
    for (const [mode, vector] of [
      [0x3c0n, RAM + 0x800n + 0x400n],
      [0x3c4n, RAM + 0x800n],
    ] as const) {
      const guest = setUp([nop]);
      guest.cpu.setReg(pstate, mode);
      guest.cpu.setEvents({ externalAbortPending: true });
      const exit = guest.cpu;
      exit.immediateExit = true;
      exit.runSync();
      assert.equal(guest.cpu.getReg(pc), vector);
    }
  });

  it("of an SError that is not masked is taken at once", async () => {
    const guest = setUp([nop]);
    guest.cpu.setReg(pstate, SERROR_UNMASKED);
    guest.cpu.setEvents({ serrorPending: true });
    await runToFinish(guest.cpu);
    assert.deepEqual([exceptionClass(guest.cpu), guest.cpu.getReg(elrEl1)], [EC_SERROR, RAM]);
    assert.equal(guest.cpu.getEvents().serrorPending, false);
  });

  it("of an SError in place of an access to MMIO is taken at the access since 7.2, behind it before", async () => {
    const guest = setUp([...mov64(1, DEVICE), store(8, 0, 1), nop]);
    setVectors(guest, { serror: [movz(2, 1), movz(3, 1), ...finish] });
    const { cpu } = guest;
    cpu.setReg(pstate, SERROR_UNMASKED);
    await runToMmio(cpu);
    cpu.setEvents({ serrorPending: true });
    await runToFinish(cpu);
    const at = RAM + 4n * BigInt(mov64(1, DEVICE).length);
    assert.equal(cpu.getReg(elrEl1), onHost(host, { "6.1": at + 4n, "6.12": at + 4n, "7.2": at }));
    assert.deepEqual([exceptionClass(cpu), cpu.getReg(x(2)), cpu.getReg(x(3))], [EC_SERROR, 1n, 1n]);
  });

  it("of an SError that is masked is pending in ISR_EL1", async () => {
    const guest = setUp([mrs(0, ISR_EL1)]);
    guest.cpu.setEvents({ serrorPending: true });
    await runToFinish(guest.cpu);
    assert.equal((guest.cpu.getReg(x(0)) >> 8n) & 1n, 1n);
    assert.equal(guest.cpu.getEvents().serrorPending, true);
  });

  it("of both kinds at once takes the synchronous one first, and the SError when it is unmasked", async () => {
    const guest = setUp([nop]);
    setVectors(guest, { synchronous: [daifClear(4), isb, nop, nop] });
    guest.cpu.setReg(pstate, SERROR_UNMASKED);
    guest.cpu.setEvents({ serrorPending: true, externalAbortPending: true });
    await runToFinish(guest.cpu);
    assert.equal(exceptionClass(guest.cpu), EC_SERROR);
    const from = guest.cpu.getReg(elrEl1) - vectorAt("synchronous");
    assert.ok(from > 0n && from <= 12n, `taken ${from} bytes behind the vector`);
  });

  it("an SError is not taken while PSTATE.A is set again", async () => {
    const guest = setUp([daifSet(4), nop, mrs(0, [3, 3, 4, 2, 1])]); // mrs x0, daif
    guest.cpu.setEvents({ serrorPending: true });
    await runToFinish(guest.cpu);
    assert.equal((guest.cpu.getReg(x(0)) >> 8n) & 1n, 1n);
  });

  it("of a table walk where there is no memory has the level of the walk, since 7.2", async () => {
    const nowhere = 0x1_0000_0000n;
    const guest = setUp([load(8, 0, 1)]);
    turnMmuOn(guest, nowhere);
    guest.cpu.setReg(x(1), 0xffff_ff80_0000_1000n);
    await runToFinish(guest.cpu);
    assert.equal(exceptionClass(guest.cpu), EC_DATA_ABORT);
    assert.equal(guest.cpu.getReg(sysReg("FAR_EL1")), 0xffff_ff80_0000_1000n);
    assert.equal(faultStatus(guest), onWalk(1n));
  });

  it("of a table walk's second level where there is no memory has that level since 7.2, of a fetch too", async () => {
    const nowhere = 0x1_0000_0000n;
    const guest = setUp([load(8, 0, 1)]);
    turnMmuOn(guest, OTHER_TABLE);
    putDescriptor(guest, OTHER_TABLE, 0, nowhere | 3n); // a table
    guest.cpu.setReg(pc, 0xffff_ff80_0000_1000n);
    await runToFinish(guest.cpu);
    assert.deepEqual([exceptionClass(guest.cpu), faultStatus(guest)], [EC_FETCH_ABORT, onWalk(2n)]);
    assert.equal(guest.cpu.getReg(elrEl1), 0xffff_ff80_0000_1000n);
  });

  it("of a fetch where there is no memory is synchronous, at the address", async () => {
    const guest = setUp([nop]);
    guest.cpu.setReg(pc, DEVICE);
    await runToFinish(guest.cpu);
    assert.deepEqual([exceptionClass(guest.cpu), faultStatus(guest)], [EC_FETCH_ABORT, SYNCHRONOUS_EXTERNAL]);
    assert.equal(guest.cpu.getReg(elrEl1), DEVICE);
  });

  it("beyond the CPU's physical addresses an access is an address size fault, found by the guest itself", async () => {
    const guest = setUp([load(8, 0, 1)]);
    guest.cpu.setReg(x(1), 1n << 55n);
    await runToFinish(guest.cpu);
    assert.deepEqual([exceptionClass(guest.cpu), faultStatus(guest)], [EC_DATA_ABORT, 0n]);
  });

  it("beyond what stage 2 translates, but not the CPU, the kernel says so: on 6.1 with the sign of the syndrome", async function () {
    const guest = setUp([load(8, 0, 1)]);
    const stage2 = host.kvm.has("ARM_VM_IPA_SIZE");
    const cpuBits = [32, 36, 40, 42, 44, 48, 52][Number(guest.cpu.getReg(sysReg("ID_AA64MMFR0_EL1")) & 0xfn)] ?? 0;
    if (cpuBits <= stage2) skip(this, "a CPU with no more physical addresses than stage 2 has");
    guest.cpu.setReg(x(1), 1n << BigInt(stage2));
    await runToFinish(guest.cpu);
    assert.deepEqual([exceptionClass(guest.cpu), faultStatus(guest)], [EC_DATA_ABORT, 0n]);
    const high = guest.cpu.getReg(sysReg("ESR_EL1")) >> 32n;
    assert.equal(high, onHost(host, { "6.1": 0xffff_ffffn, "6.12": 0n, "7.2": 0n }));
  });
});
