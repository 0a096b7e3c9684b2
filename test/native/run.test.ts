import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { errno } from "../../lib/uapi/errno.js";
import { addVcpu, deviceAt, exitOf, makeGuest, needsKvm, pcId, programs, refusalOf, word, x0Id } from "./host.js";

const EINTR = errno("EINTR");
const EBUSY = errno("EBUSY");
const mmio = 6;

describe("running a vCPU on the addon", () => {
  before(function () {
    needsKvm(this);
  });

  it("runSync returns 0 and leaves the exit in the run page", () => {
    const guest = makeGuest(programs.stores);

    const result = guest.vcpu.runSync();

    const exit = exitOf(guest.vcpu);
    assert.deepEqual(
      [result, exit.exit_reason, exit["mmio.phys_addr"], exit["mmio.is_write"], exit["mmio.data"][0]],
      [0, mmio, deviceAt, 1, 65],
    );
    guest.close();
  });

  it("run resolves with what runSync gives, and the event loop goes on meanwhile", async () => {
    const guest = makeGuest(programs.loops);
    let ticks = 0;
    const timer = setInterval(() => {
      if (++ticks === 5) guest.vcpu.kick();
    }, 10);

    const result = await guest.vcpu.run();

    clearInterval(timer);
    assert.equal(result, EINTR);
    assert.ok(ticks >= 5, `${ticks} ticks`);
    guest.close();
  });

  it("six vCPUs run at the same time, more than libuv's pool has threads", async () => {
    const guest = makeGuest(programs.loops);
    const vcpus = [guest.vcpu, ...[1, 2, 3, 4, 5].map((id) => addVcpu(guest.vm, id))];
    const runs = vcpus.map((vcpu) => vcpu.run());
    await sleep(100);

    for (const vcpu of vcpus) vcpu.kick();

    assert.deepEqual(
      await Promise.all(runs),
      vcpus.map(() => EINTR),
    );
    for (const vcpu of vcpus) vcpu.close();
    guest.close();
  });

  it("a kick before the run ends the next run at once, and only that", () => {
    const guest = makeGuest(programs.stores);
    guest.vcpu.kick();
    guest.vcpu.kick();

    const results = [guest.vcpu.runSync(), guest.vcpu.runSync()];

    assert.deepEqual(results, [EINTR, 0]);
    guest.close();
  });

  it("a kick leaves the user's bit of immediate_exit alone", () => {
    const guest = makeGuest(programs.stores);
    guest.vcpu.runPage[1] = 1;
    guest.vcpu.kick();

    const result = guest.vcpu.runSync();

    assert.deepEqual([result, guest.vcpu.runPage[1]], [EINTR, 1]);
    guest.close();
  });

  it("every one of 300 runs that are kicked at random moments ends", async () => {
    const guest = makeGuest(programs.loops);
    const results: number[] = [];

    for (let i = 0; i < 300; i++) {
      const run = guest.vcpu.run();
      if (i % 3 === 1) await new Promise(setImmediate);
      guest.vcpu.kick();
      if (i % 7 === 0) guest.vcpu.kick();
      results.push(await run);
    }

    assert.deepEqual(new Set(results), new Set([EINTR]));
    guest.close();
  });

  it("while it runs every other verb and close are refused with EBUSY, and afterwards they work", async () => {
    const { vcpu, close } = makeGuest(programs.loops);
    const bytes = new Uint8Array(8);
    const verbs: (readonly [string, () => unknown])[] = [
      ["KVM_GET_ONE_REG", () => vcpu.getOneReg(x0Id, bytes)],
      ["KVM_SET_ONE_REG", () => vcpu.setOneReg(x0Id, bytes)],
      ["KVM_GET_ONE_REG", () => vcpu.getRegs(new BigUint64Array([x0Id]), bytes, new Int32Array(1))],
      ["KVM_SET_ONE_REG", () => vcpu.setRegs(new BigUint64Array([x0Id]), bytes, new Int32Array(1))],
      ["KVM_GET_REG_LIST", () => vcpu.getRegList()],
      ["KVM_RUN", () => vcpu.runSync()],
      ["KVM_ARM_VCPU_INIT", () => vcpu.armVcpuInit(new Uint8Array(32))],
      ["KVM_ARM_VCPU_FINALIZE", () => vcpu.armVcpuFinalize(4)],
      ["KVM_GET_MP_STATE", () => vcpu.getMpState()],
      ["KVM_SET_MP_STATE", () => vcpu.setMpState(0)],
      ["KVM_GET_VCPU_EVENTS", () => vcpu.getVcpuEvents(new Uint8Array(64))],
      ["KVM_SET_VCPU_EVENTS", () => vcpu.setVcpuEvents(new Uint8Array(64))],
      ["KVM_SET_GUEST_DEBUG", () => vcpu.setGuestDebug(new Uint8Array(520))],
      ["KVM_SET_SIGNAL_MASK", () => vcpu.setSignalMask(null)],
      ["mmap", () => vcpu.dirtyRing(4096)],
      ["KVM_GET_STATS_FD", () => vcpu.readStats(0, new Uint8Array(24))],
      ["KVM_SET_DEVICE_ATTR", () => vcpu.setDeviceAttr(1, 0n, null)],
      ["KVM_GET_DEVICE_ATTR", () => vcpu.getDeviceAttr(1, 0n, null)],
      ["KVM_HAS_DEVICE_ATTR", () => vcpu.hasDeviceAttr(1, 0n)],
      ["close", () => vcpu.close()],
    ];
    const run = vcpu.run();

    const refusals = verbs.map(([, verb]) => refusalOf(verb));
    const second = await vcpu.run().catch((error) => error);
    vcpu.kick();
    await run;

    assert.deepEqual(
      refusals,
      verbs.map(([call]) => ({ errno: EBUSY, call })),
    );
    assert.deepEqual([second.errno, second.call], [EBUSY, "KVM_RUN"]);
    vcpu.setOneReg(x0Id, word(7n));
    vcpu.getOneReg(x0Id, bytes);
    assert.equal(bytes[0], 7);
    close();
  });

  it("a signal mask that blocks everything does not keep a kick out", async () => {
    const guest = makeGuest(programs.loops);
    guest.vcpu.setSignalMask(new Uint8Array(8).fill(0xff));
    setTimeout(() => guest.vcpu.kick(), 50);

    const result = await guest.vcpu.run();

    assert.equal(result, EINTR);
    guest.close();
  });

  it("a run that the kernel refuses gives its errno", () => {
    const guest = makeGuest(programs.loops);
    const raw = guest.vm.createVcpu(1);

    const result = raw.runSync();

    assert.equal(result, errno("ENOEXEC"));
    raw.close();
    guest.close();
  });

  it("registers cross as a list, up to the first that is refused", () => {
    const guest = makeGuest(programs.loops);
    const ids = new BigUint64Array([pcId, 0x6030_0000_0010_0041n, pcId]);
    const values = new Uint8Array(24);
    const error = new Int32Array(1);

    const count = guest.vcpu.getRegs(ids, values, error);

    assert.equal(count, 1);
    assert.equal(error[0], errno("EINVAL"));
    assert.deepEqual(values.subarray(0, 8), word(0x4000_0000n));
    guest.close();
  });

  it("every register of the list is read in one call, as each is by itself", () => {
    const guest = makeGuest(programs.loops);
    const ids = guest.vcpu.getRegList();
    const sizes = [...ids].map((id) => 1 << Number((id >> 52n) & 15n));
    const values = new Uint8Array(sizes.reduce((sum, bytes) => sum + bytes, 0));
    const error = new Int32Array(1);

    const count = guest.vcpu.getRegs(ids, values, error);

    assert.equal(count, ids.length);
    assert.ok(ids.length > 200);
    const counters = [0x6030_0000_0013_df1an, 0x6030_0000_0013_df01n];
    let at = 0;
    for (const [i, id] of ids.entries()) {
      const bytes = sizes[i]!;
      const alone = new Uint8Array(bytes);
      guest.vcpu.getOneReg(id, alone);
      // Counters count between the two readings.
      if (!counters.includes(id))
        assert.deepEqual(alone, values.subarray(at, at + bytes), `register 0x${id.toString(16)}`);
      at += bytes;
    }
    guest.close();
  });
});
