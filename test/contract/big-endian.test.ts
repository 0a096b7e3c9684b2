// Big-endian data in memory: SCTLR_EL1.EE and E0E, the tables of stage 1, and what PSCI CPU_ON hands on. DDI 0487 B2.6.

import assert from "node:assert/strict";
import { pc, pstate, sysReg, x } from "../../lib/arm64/registers.js";
import type { Vcpu } from "../../lib/vcpu.js";
import { skip } from "../skip.js";
import {
  compareAndSwap,
  hvc,
  load,
  loadExclusive,
  mov64,
  store,
  storeExclusive,
  storePair,
} from "../support/assemble.js";
import { onEveryBackend } from "../support/backends.js";
import { DEVICE, finish, type Guest, makeGuest, RAM, runToFinish, runToMmio } from "../support/guest.js";
import { TABLE, turnMmuOn } from "../support/stage1.js";

const E0E = 1n << 24n;
const EE = 1n << 25n;
const DATA_OFFSET = 0x4000;
const DATA = RAM + BigInt(DATA_OFFSET);
const BYTES = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88];
const VALUE = 0x1122_3344_5566_7788n;
/** LDR Q0, [X1] · STR Q0, [X1, #16] · FMOV X2, D0 · FMOV X3, V0.D[1] */
const vectorCopy = [0x3dc0_0020, 0x3d80_0420, 0x9e66_0002, 0x9eae_0003];
/** LD1 {V0.4S}, [X1] · FMOV X2, D0 */
const loadWords = [0x4c40_7820, 0x9e66_0002];

const sctlr = sysReg("SCTLR_EL1");
const set = (cpu: Vcpu, bits: bigint) => cpu.setReg(sctlr, cpu.getReg(sctlr) | bits);

onEveryBackend("a big-endian guest", (host) => {
  beforeEach(function () {
    const { cpu } = makeGuest(host);
    if (((cpu.getReg(sysReg("ID_AA64MMFR0_EL1")) >> 8n) & 0xfn) === 0n) skip(this, "the host has no big-endian data");
  });

  const setUp = (code: readonly number[], bits = EE): Guest => {
    const guest = makeGuest(host, [...code, ...finish]);
    guest.cpu.setReg(x(1), DATA);
    guest.cpu.setReg(sysReg("CPACR_EL1"), 3n << 20n);
    guest.ram.bytes.set(BYTES, DATA_OFFSET);
    set(guest.cpu, bits);
    return guest;
  };
  const bytesAt = ({ ram }: Guest, offset: number, count: number) => [
    ...ram.bytes.subarray(DATA_OFFSET + offset, DATA_OFFSET + offset + count),
  ];

  it("stores a pair with each register's most significant byte first", async () => {
    const guest = setUp([storePair(2, 3, 1)]);
    guest.cpu.setReg(x(2), VALUE);
    guest.cpu.setReg(x(3), 1n);
    await runToFinish(guest.cpu);
    assert.deepEqual(bytesAt(guest, 0, 16), [...BYTES, 0, 0, 0, 0, 0, 0, 0, 1]);
  });

  it("reads and writes exclusively in its order", async () => {
    const guest = setUp([loadExclusive(2, 1), storeExclusive(4, 3, 1)]);
    guest.cpu.setReg(x(3), 2n);
    await runToFinish(guest.cpu);
    assert.deepEqual([guest.cpu.getReg(x(2)), guest.cpu.getReg(x(4))], [VALUE, 0n]);
    assert.deepEqual(bytesAt(guest, 0, 8), [0, 0, 0, 0, 0, 0, 0, 2]);
  });

  it("compares and swaps in its order", async function () {
    const guest = setUp([compareAndSwap(2, 3, 1)]);
    if (((guest.cpu.getReg(sysReg("ID_AA64ISAR0_EL1")) >> 20n) & 0xfn) === 0n) skip(this, "the host has no CAS");
    guest.cpu.setReg(x(2), VALUE);
    guest.cpu.setReg(x(3), 3n);
    await runToFinish(guest.cpu);
    assert.equal(guest.cpu.getReg(x(2)), VALUE);
    assert.deepEqual(bytesAt(guest, 0, 8), [0, 0, 0, 0, 0, 0, 0, 3]);
  });

  it("has a vector register's last byte first in memory", async () => {
    const guest = setUp(vectorCopy);
    await runToFinish(guest.cpu);
    assert.deepEqual([guest.cpu.getReg(x(2)), guest.cpu.getReg(x(3))], [0n, VALUE]);
    assert.deepEqual(bytesAt(guest, 16, 8), BYTES);
  });

  it("has the elements of a structure in their places, each in its order", async () => {
    const guest = setUp(loadWords);
    await runToFinish(guest.cpu);
    assert.equal(guest.cpu.getReg(x(2)), 0x5566_7788_1122_3344n);
  });

  it("has the order of EL0 by E0E alone", async () => {
    for (const [bits, read] of [
      [E0E, VALUE],
      [EE, 0x8877_6655_4433_2211n],
    ] as const) {
      const guest = makeGuest(host, [...mov64(5, DEVICE), load(8, 2, 1), store(1, 31, 5)]);
      guest.ram.bytes.set(BYTES, DATA_OFFSET);
      guest.cpu.setReg(x(1), DATA);
      guest.cpu.setReg(pstate, 0x3c0n);
      set(guest.cpu, bits);
      await runToMmio(guest.cpu);
      assert.equal(guest.cpu.getReg(x(2)), read);
    }
  });

  it("has an exit's data in the order of EL0 where that is what stores", async () => {
    const guest = makeGuest(host, [...mov64(5, DEVICE), ...mov64(2, 0x1122n), store(2, 2, 5)]);
    guest.cpu.setReg(pstate, 0x3c0n);
    set(guest.cpu, E0E);
    assert.deepEqual([...(await runToMmio(guest.cpu)).data], [0x11, 0x22]);
  });

  it("has big-endian tables", async () => {
    const guest = setUp([load(8, 2, 1)]);
    turnMmuOn(guest);
    const table = new DataView(guest.ram.bytes.buffer, guest.ram.bytes.byteOffset + Number(TABLE - RAM), 4096);
    for (let at = 0; at < 4096; at += 8) table.setBigUint64(at, table.getBigUint64(at, true), false);
    await runToFinish(guest.cpu);
    assert.equal(guest.cpu.getReg(x(2)), VALUE);
  });

  it("starts other vCPUs by PSCI with its own order", async () => {
    for (const [bits, expected] of [
      [EE, EE],
      [E0E, 0n],
    ] as const) {
      const { cpus } = makeGuest(host, [hvc(0), ...finish], { features: ["psci-0.2"], vcpus: 2 });
      const [first, second] = cpus as [Vcpu, Vcpu];
      second.init({ features: ["psci-0.2"] });
      second.mpState = "stopped";
      set(first, bits);
      first.setReg(x(0), 0xc400_0003n);
      first.setReg(x(1), 1n);
      first.setReg(x(2), RAM);
      first.setReg(x(3), 7n);
      first.setReg(pc, RAM);
      await runToFinish(first);
      assert.equal(first.getReg(x(0)), 0n);
      assert.deepEqual([second.getReg(x(0)), second.getReg(sctlr) & (EE | E0E)], [7n, expected]);
    }
  });
});
