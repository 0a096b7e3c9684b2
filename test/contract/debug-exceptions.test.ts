// The guest's own debug registers, and userspace's single step beside them. DDI 0487 D2; api.rst 4.87.

import assert from "node:assert/strict";
import { elrEl1, pc, pstate, sysReg, x } from "../../lib/arm64/registers.js";
import { addImmediate, brk, eret, hvc, isb, load, mov64, mrs, msr, nop } from "../support/assemble.js";
import { onEveryBackend } from "../support/backends.js";
import { exceptionClass, finish, type Guest, makeGuest, RAM, runToExit, runToFinish } from "../support/guest.js";
import { setVectors, vectorAt } from "../support/vectors.js";

// As taken without a change of the exception level.
const [EC_BREAKPOINT, EC_STEP, EC_WATCHPOINT, EC_BRK] = [0x31n, 0x33n, 0x35n, 0x3cn];

const [SS, KDE, MDE] = [1n, 1n << 13n, 1n << 15n]; // of MDSCR_EL1
const EL1_DEBUG_UNMASKED = 0x1c5n; // A, I and F masked
const STEP = 1n << 21n; // PSTATE.SS

const ENABLED_AT_EL1 = 0x1e7n; // BAS: all four bytes; PMC: EL1 and EL0; E
const LINKED = 1n << 20n; // BT: address match, linked
const CONTEXT_ID = 3n << 20n; // BT: context match, linked
const EVERY_ACCESS = 1n | (3n << 1n) | (3n << 3n) | (0xffn << 5n); // E, EL1 and EL0, loads and stores, 8 bytes
const DATA = RAM + 0x4000n;

const OSLAR_EL1 = [2, 0, 1, 0, 4] as const;
const OSLSR_EL1 = [2, 0, 1, 1, 4] as const;

onEveryBackend("the guest's own debugging", (host) => {
  const setUp = (code: readonly number[]): Guest => {
    const guest = makeGuest(host, [...code, ...finish]);
    setVectors(guest);
    guest.cpu.setReg(pstate, EL1_DEBUG_UNMASKED);
    guest.cpu.setReg(sysReg("MDSCR_EL1"), KDE | MDE);
    return guest;
  };
  /** Two NOPs, then what sets X0. */
  const withBreakpoint = () => {
    const guest = setUp([nop, nop, addImmediate(0, 0, 1)]);
    guest.cpu.setReg(sysReg("DBGBVR0_EL1"), RAM + 8n);
    guest.cpu.setReg(sysReg("DBGBCR0_EL1"), ENABLED_AT_EL1);
    return guest;
  };

  it("a breakpoint is taken by the guest before its instruction, without an exit", async () => {
    const { cpu } = withBreakpoint();
    await runToFinish(cpu);
    assert.deepEqual([exceptionClass(cpu), cpu.getReg(elrEl1), cpu.getReg(x(0))], [EC_BREAKPOINT, RAM + 8n, 0n]);
  });

  for (const [what, change] of [
    ["PSTATE.D masks it", ({ cpu }: Guest) => cpu.setReg(pstate, 0x3c5n)],
    ["MDSCR_EL1.KDE is 0", ({ cpu }: Guest) => cpu.setReg(sysReg("MDSCR_EL1"), MDE)],
    ["MDSCR_EL1.MDE is 0", ({ cpu }: Guest) => cpu.setReg(sysReg("MDSCR_EL1"), KDE)],
    ["it is not enabled", ({ cpu }: Guest) => cpu.setReg(sysReg("DBGBCR0_EL1"), ENABLED_AT_EL1 - 1n)],
  ] as const) {
    it(`a breakpoint is not taken where ${what}`, async () => {
      const guest = withBreakpoint();
      change(guest);
      await runToFinish(guest.cpu);
      assert.equal(guest.cpu.getReg(x(0)), 1n);
    });
  }

  it("the guest's own writes of debug registers arm a breakpoint", async () => {
    const { cpu } = setUp([
      msr([2, 0, 0, 0, 4], 1), // msr dbgbvr0_el1, x1
      msr([2, 0, 0, 0, 5], 2), // msr dbgbcr0_el1, x2
      isb,
      nop,
      addImmediate(0, 0, 1),
    ]);
    cpu.setReg(x(1), RAM + 16n);
    cpu.setReg(x(2), ENABLED_AT_EL1);
    await runToFinish(cpu);
    assert.deepEqual([exceptionClass(cpu), cpu.getReg(elrEl1), cpu.getReg(x(0))], [EC_BREAKPOINT, RAM + 16n, 0n]);
    assert.equal(cpu.getReg(sysReg("DBGBVR0_EL1")), RAM + 16n);
  });

  for (const [contextId, taken] of [
    [0x77n, true],
    [0x78n, false],
  ] as const) {
    it(`a breakpoint that is linked to context 0x77 is ${taken ? "" : "not "}taken in 0x${contextId.toString(16)}`, async () => {
      const { cpu } = withBreakpoint();
      // The context-aware breakpoints are the last ones.
      const last = ((cpu.getReg(sysReg("ID_AA64DFR0_EL1")) >> 12n) & 0xfn) as 1n;
      cpu.setReg(sysReg("DBGBCR0_EL1"), ENABLED_AT_EL1 | LINKED | (last << 16n));
      cpu.setReg(sysReg(`DBGBVR${last}_EL1`), 0x77n);
      cpu.setReg(sysReg(`DBGBCR${last}_EL1`), ENABLED_AT_EL1 | CONTEXT_ID);
      cpu.setReg(sysReg("CONTEXTIDR_EL1"), contextId);
      await runToFinish(cpu);
      assert.equal(cpu.getReg(x(0)), taken ? 0n : 1n);
    });
  }

  it("a watchpoint is taken by the guest, with the address of the access", async () => {
    const { cpu } = setUp([nop, load(8, 0, 1)]);
    cpu.setReg(x(1), DATA);
    cpu.setReg(sysReg("DBGWVR0_EL1"), DATA);
    cpu.setReg(sysReg("DBGWCR0_EL1"), EVERY_ACCESS);
    await runToFinish(cpu);
    assert.deepEqual(
      [exceptionClass(cpu), cpu.getReg(sysReg("FAR_EL1")), cpu.getReg(elrEl1)],
      [EC_WATCHPOINT, DATA, RAM + 4n],
    );
  });

  it("a watchpoint for stores is not taken by a load", async () => {
    const { cpu } = setUp([load(8, 0, 1)]);
    cpu.setReg(x(1), DATA);
    cpu.setReg(sysReg("DBGWVR0_EL1"), DATA);
    cpu.setReg(sysReg("DBGWCR0_EL1"), EVERY_ACCESS & ~(1n << 3n)); // LSC: stores
    await runToFinish(cpu);
    assert.notEqual(cpu.getReg(pc), vectorAt("synchronous"));
    assert.notEqual(exceptionClass(cpu), EC_WATCHPOINT);
  });

  it("the guest steps itself: one instruction after ERET with SPSR_EL1.SS, then an exception", async () => {
    const target = RAM + 16n;
    const { cpu } = setUp([
      msr([3, 0, 4, 0, 1], 1), // msr elr_el1, x1
      msr([3, 0, 4, 0, 0], 2), // msr spsr_el1, x2
      eret,
      nop,
      addImmediate(0, 0, 1), // target
      addImmediate(0, 0, 1),
    ]);
    cpu.setReg(sysReg("MDSCR_EL1"), KDE | SS);
    cpu.setReg(pstate, 0x3c5n);
    cpu.setReg(x(1), target);
    cpu.setReg(x(2), EL1_DEBUG_UNMASKED | STEP);
    await runToFinish(cpu);
    assert.deepEqual([exceptionClass(cpu), cpu.getReg(elrEl1), cpu.getReg(x(0))], [EC_STEP, target + 4n, 1n]);
  });

  it("with the OS lock, breakpoints are not taken and BRK is; OSLSR_EL1 says that it is locked", async () => {
    const guest = withBreakpoint();
    const { cpu } = guest;
    cpu.setReg(pstate, 0x3c5n); // the breakpoint is at what follows
    setVectors(guest);
    cpu.setReg(sysReg("OSLSR_EL1"), cpu.getReg(sysReg("OSLSR_EL1")) | 2n);
    cpu.setReg(pstate, EL1_DEBUG_UNMASKED);
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), 1n);

    const other = setUp([
      ...mov64(0, 1n),
      msr(OSLAR_EL1, 0),
      isb,
      mrs(1, OSLSR_EL1),
      msr(OSLAR_EL1, 31),
      isb,
      mrs(2, OSLSR_EL1),
      ...mov64(0, 1n),
      msr(OSLAR_EL1, 0),
      isb,
      brk(7),
    ]);
    await runToFinish(other.cpu);
    assert.equal(exceptionClass(other.cpu), EC_BRK);
    assert.deepEqual([other.cpu.getReg(x(1)), other.cpu.getReg(x(2))], [0xan, 0x8n]);
    assert.equal(other.cpu.getReg(sysReg("OSLSR_EL1")), 0xan);
  });

  it("while userspace has hardware breakpoints of its own, the guest's are not taken", async () => {
    const { cpu } = withBreakpoint();
    cpu.setGuestDebug({ breakpoints: [{ control: 0n, value: 0n }] });
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), 1n);
    assert.deepEqual(
      [cpu.getReg(sysReg("DBGBVR0_EL1")), cpu.getReg(sysReg("DBGBCR0_EL1"))],
      [RAM + 8n, ENABLED_AT_EL1],
    );
  });
});

onEveryBackend("userspace's single step", (host) => {
  const steps = async ({ cpu }: Guest, count: number): Promise<bigint[]> => {
    const at: bigint[] = [];
    for (let i = 0; i < count; i++) {
      const exit = await runToExit(cpu);
      assert.equal(exit.reason, "debug");
      at.push(cpu.getReg(pc));
    }
    return at;
  };

  it("goes into the guest's exception handler, and back by ERET", async () => {
    const guest = makeGuest(host, [nop, 0xd400_0001 /* svc #0 */, nop, ...finish]);
    setVectors(guest, { synchronous: [eret] });
    guest.cpu.setGuestDebug({ singleStep: true });
    assert.deepEqual(await steps(guest, 4), [RAM + 4n, vectorAt("synchronous"), RAM + 8n, RAM + 12n]);
  });

  it("goes over instructions that KVM emulates: reading an ID register, a hypercall", async () => {
    const guest = makeGuest(host, [mrs(5, [3, 0, 0, 6, 0]), hvc(0), nop, ...finish], { features: ["psci-0.2"] });
    guest.cpu.setReg(x(0), 0x8000_0000n);
    guest.cpu.setGuestDebug({ singleStep: true });
    assert.deepEqual(await steps(guest, 3), [RAM + 4n, RAM + 8n, RAM + 12n]);
    assert.deepEqual(
      [guest.cpu.getReg(x(0)), guest.cpu.getReg(x(5))],
      [0x1_0001n, guest.cpu.getReg(sysReg("ID_AA64ISAR0_EL1"))],
    );
  });

  it("shows the guest no trace of itself: SPSR_EL1.SS and MDSCR_EL1.SS are 0", async () => {
    const guest = makeGuest(host, [mrs(0, [2, 0, 0, 2, 2]), 0xd400_0001 /* svc #0 */, ...finish]);
    setVectors(guest, { synchronous: [mrs(1, [3, 0, 4, 0, 0]), nop] });
    guest.cpu.setGuestDebug({ singleStep: true });
    await steps(guest, 3);
    assert.deepEqual([guest.cpu.getReg(x(0)) & SS, guest.cpu.getReg(x(1)) & STEP], [0n, 0n]);
  });

  it("turned off, leaves PSTATE without SS", async () => {
    const guest = makeGuest(host, [nop, nop, ...finish]);
    guest.cpu.setGuestDebug({ singleStep: true });
    await steps(guest, 1);
    guest.cpu.setGuestDebug();
    await runToFinish(guest.cpu);
    assert.equal(guest.cpu.getReg(pstate) & STEP, 0n);
  });
});
