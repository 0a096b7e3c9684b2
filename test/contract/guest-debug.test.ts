// KVM_SET_GUEST_DEBUG. Documentation/virt/kvm/api.rst 4.87.

import assert from "node:assert/strict";
import { elrEl1, pc, pstate, spsr, sysReg, x } from "../../lib/arm64/registers.js";
import { sysRegByName } from "../../lib/arm64/sysregs.js";
import { pack, structs } from "../../lib/uapi/structs.js";
import {
  addImmediate,
  branch,
  brk,
  daifClear,
  eret,
  hvc,
  load,
  mov64,
  msr,
  nop,
  smc,
  spin,
  storePair,
} from "../support/assemble.js";
import { onEveryBackend } from "../support/backends.js";
import {
  completeExit,
  DEVICE,
  finish,
  loadWords,
  makeGuest,
  RAM,
  runToExit,
  runToFinish,
  runToMmio,
} from "../support/guest.js";
import { assertRefused, assertRunRefused } from "../support/refusal.js";
import { setVectors, vectorAt } from "../support/vectors.js";

const [EC_BREAKPOINT, EC_STEP, EC_WATCHPOINT, EC_BRK] = [0x30n, 0x32n, 0x34n, 0x3cn]; // as taken from a lower exception level
const [STEPPED, NOT_STEPPED] = [0xcb00_0022n, 0xca00_0022n]; // ISV
const PSTATE_SS = 1n << 21n;
const ALL = 0xffff_ffff_ffff_ffffn;
const ENABLED_AT_EL1 = 0x1e7n; // BAS: all four bytes; PMC: EL1 and EL0; E

onEveryBackend("guest debug", (host) => {
  it("a single step is one instruction, then an exit", async () => {
    const { cpu } = makeGuest(host, [addImmediate(0, 0, 1), addImmediate(0, 0, 1), branch(8), nop, ...finish]);
    cpu.setGuestDebug({ singleStep: true });
    const at: bigint[] = [];
    for (const _ of [1, 2, 3]) {
      const exit = await runToExit(cpu);
      assert.deepEqual([exit.reason, exit.reason === "debug" && exit.syndrome >> 26n], ["debug", EC_STEP]);
      at.push(cpu.getReg(pc));
    }
    assert.deepEqual([at, cpu.getReg(x(0))], [[RAM + 4n, RAM + 8n, RAM + 16n], 2n]);
  });

  it("turned off, the guest runs on", async () => {
    const { cpu } = makeGuest(host, [nop, nop, nop, ...finish]);
    cpu.setGuestDebug({ singleStep: true });
    await runToExit(cpu);
    cpu.setGuestDebug();
    await runToFinish(cpu);
  });

  it("a step over an MMIO load is an MMIO exit, completed by the next run", async () => {
    const { cpu } = makeGuest(host, [load(4, 0, 1), nop, ...finish]);
    cpu.setReg(x(1), DEVICE);
    cpu.setGuestDebug({ singleStep: true });
    const exit = await runToMmio(cpu);
    exit.data.fill(1);
    const next = await runToExit(cpu);
    assert.equal(next.reason, "debug");
    assert.equal(cpu.getReg(x(0)), 0x0101_0101n);
  });

  it("a step that an instruction done by other means has used up says that none was stepped", async () => {
    const { cpu } = makeGuest(host, [load(4, 0, 1), smc(1), nop, ...finish]);
    cpu.setReg(x(1), DEVICE);
    await runToMmio(cpu);
    cpu.setGuestDebug({ singleStep: true });
    const seen: unknown[] = [];
    for (const _ of [1, 2, 3]) {
      const exit = await runToExit(cpu);
      seen.push(exit.reason === "debug" && exit.syndrome, cpu.getReg(pc));
    }
    assert.deepEqual(seen, [NOT_STEPPED, RAM + 4n, NOT_STEPPED, RAM + 8n, STEPPED, RAM + 12n]);
  });

  it("a step into an exception of the guest's stops at its vector", async () => {
    const guest = makeGuest(host, [0, nop]); // udf #0
    setVectors(guest, { synchronous: [nop, ...finish] });
    guest.cpu.setGuestDebug({ singleStep: true });
    const seen: unknown[] = [];
    for (const _ of [1, 2]) {
      // An exit is a view of the run page: it is read before the next run.
      const exit = await runToExit(guest.cpu);
      seen.push(exit.reason === "debug" && exit.syndrome, guest.cpu.getReg(pc));
    }
    const vector = vectorAt("synchronous");
    assert.deepEqual(seen, [NOT_STEPPED, vector, STEPPED, vector + 4n]);
  });

  it("a step over ERET is one as any other", async () => {
    const { cpu } = makeGuest(host, [eret, nop, nop, ...finish]);
    cpu.setReg(elrEl1, RAM + 8n);
    cpu.setReg(spsr("EL1"), 0x3c5n);
    cpu.setGuestDebug({ singleStep: true });
    const exit = await runToExit(cpu);
    assert.deepEqual([exit.reason === "debug" && exit.syndrome, cpu.getReg(pc)], [STEPPED, RAM + 8n]);
  });

  it("a step that ends otherwise leaves PSTATE.SS as it was", async () => {
    const { cpu } = makeGuest(host, [storePair(0, 0, 1), nop, ...finish]); // no syndrome
    cpu.setReg(x(1), DEVICE);
    cpu.setGuestDebug({ singleStep: true });
    await assertRunRefused("ENOSYS", () => cpu.run());
    assert.equal(cpu.getReg(pstate) & PSTATE_SS, 0n);
  });

  it("a step that is used up when userspace gets the vCPU back exits at once, though guest debug is asked for again", async () => {
    const { cpu } = makeGuest(host, [hvc(), nop, nop, ...finish], { features: ["psci-0.2"] });
    cpu.setReg(x(0), 0x8400_0008n); // SYSTEM_OFF
    cpu.setGuestDebug({ singleStep: true });
    assert.equal((await runToExit(cpu)).reason, "system-event");
    cpu.mpState = "runnable";
    cpu.setGuestDebug({ singleStep: true });
    const exit = await runToExit(cpu);
    assert.deepEqual([exit.reason === "debug" && exit.syndrome, cpu.getReg(pc)], [NOT_STEPPED, RAM + 4n]);
  });

  it("an access that a run completes, which leaves at once, uses up the next step since 7.2", async () => {
    const { cpu } = makeGuest(host, [load(4, 0, 1), nop, nop, ...finish]);
    cpu.setReg(x(1), DEVICE);
    await runToMmio(cpu);
    cpu.setGuestDebug({ singleStep: true });
    completeExit(cpu);
    const exit = await runToExit(cpu);
    const seen = [exit.reason === "debug" && exit.syndrome, cpu.getReg(pc)];
    assert.deepEqual(seen, host.kernel === "7.2" ? [NOT_STEPPED, RAM + 4n] : [STEPPED, RAM + 8n]);
  });

  it("PSTATE.SS of userspace's is back after each step, and gone when the guest runs without", async () => {
    const { cpu } = makeGuest(host, [nop, nop, ...finish]);
    cpu.setReg(pstate, 0x3c5n | PSTATE_SS);
    const seen: bigint[] = [];
    cpu.setGuestDebug({ singleStep: true });
    await runToExit(cpu);
    seen.push(cpu.getReg(pstate));
    cpu.setGuestDebug();
    await runToFinish(cpu);
    seen.push(cpu.getReg(pstate));
    assert.deepEqual(seen, [0x3c5n | PSTATE_SS, 0x3c5n]);
  });

  it("a kick leaves PSTATE.SS as it was", async () => {
    const { cpu } = makeGuest(host, [nop, ...finish]);
    cpu.setGuestDebug({ singleStep: true });
    cpu.kick();
    assert.equal((await runToExit(cpu)).reason, "interrupted");
    assert.equal(cpu.getReg(pstate), 0x3c5n);
  });

  it("an SError that a step unmasks is taken by the next one", async () => {
    const guest = makeGuest(host, [daifClear(4), nop, ...finish]);
    setVectors(guest);
    const { cpu } = guest;
    cpu.setEvents({ serrorPending: true });
    cpu.setGuestDebug({ singleStep: true });
    const seen: unknown[] = [];
    for (const _ of [1, 2]) {
      const exit = await runToExit(cpu);
      seen.push(exit.reason === "debug" && exit.syndrome, cpu.getReg(pc));
    }
    assert.deepEqual(seen, [STEPPED, RAM + 4n, NOT_STEPPED, vectorAt("serror")]);
  });

  it("BRK exits at the BRK, with its immediate", async () => {
    const { cpu } = makeGuest(host, [nop, brk(0x123), ...finish]);
    cpu.setGuestDebug({ softwareBreakpoints: true });
    const exit = await runToExit(cpu);
    assert.equal(exit.reason, "debug");
    assert.deepEqual([exit.syndrome >> 26n, exit.syndrome & 0xffffn, cpu.getReg(pc)], [EC_BRK, 0x123n, RAM + 4n]);
    cpu.setReg(pc, RAM + 8n);
    await runToFinish(cpu);
  });

  it("BRK exits whatever else is wanted", async () => {
    for (const wanted of [{}, { singleStep: true }, { breakpoints: [] }]) {
      const { cpu } = makeGuest(host, [brk(0x123)]);
      cpu.setGuestDebug(wanted);
      const exit = await runToExit(cpu);
      assert.equal(exit.reason === "debug" && exit.syndrome, 0xf200_0123n);
    }
  });

  const ownPoint = (point: "breakpoint" | "watchpoint") => {
    const guest = makeGuest(host, [load(8, 0, 1), ...finish]);
    const { cpu } = guest;
    cpu.setReg(x(1), RAM + 0x1000n);
    cpu.setReg(sysReg("MDSCR_EL1"), 1n << 15n); // MDE; without KDE the guest itself would have none of it
    const [value, control] = point === "breakpoint" ? [RAM, ENABLED_AT_EL1] : [RAM + 0x1000n, 0x1fffn];
    cpu.setReg(sysReg(point === "breakpoint" ? "DBGBVR0_EL1" : "DBGWVR0_EL1"), value);
    cpu.setReg(sysReg(point === "breakpoint" ? "DBGBCR0_EL1" : "DBGWCR0_EL1"), control);
    return cpu;
  };
  for (const point of ["breakpoint", "watchpoint"] as const) {
    it(`a ${point} of the guest's own exits, too, at any exception level; since 7.2 it is not there meanwhile`, async () => {
      const cpu = ownPoint(point);
      cpu.setGuestDebug({});
      if (host.kernel === "7.2") return runToFinish(cpu);
      const exit = await runToExit(cpu);
      const seen = exit.reason === "debug" && exit.syndrome >> 26n;
      assert.deepEqual([seen, cpu.getReg(pc)], [point === "breakpoint" ? EC_BREAKPOINT : EC_WATCHPOINT, RAM]);
    });

    it(`a ${point} of the guest's own is not there while userspace has its own`, async () => {
      const cpu = ownPoint(point);
      cpu.setGuestDebug({ breakpoints: [] });
      await runToFinish(cpu);
    });
  }

  it("what the guest writes to its watchpoints stays whole while userspace has its own; since 7.2 while it debugs at all", async () => {
    const control = host.kernel === "7.2" ? {} : { breakpoints: [] };
    const { cpu } = makeGuest(host, [...mov64(1, ALL), msr(sysRegByName("DBGWVR0_EL1").encoding, 1), ...finish]);
    cpu.setGuestDebug(control);
    await runToFinish(cpu);
    assert.equal(cpu.getReg(sysReg("DBGWVR0_EL1")), ALL);
  });

  it("the guest does not step itself meanwhile", async () => {
    const guest = makeGuest(host, [nop, nop, ...finish]);
    setVectors(guest, { synchronous: [spin] });
    const { cpu } = guest;
    cpu.setReg(sysReg("MDSCR_EL1"), 1n | (1n << 13n)); // SS, KDE
    cpu.setReg(pstate, 0x1c5n);
    cpu.setGuestDebug({});
    await runToFinish(cpu);
  });

  it("BRK is the guest's own without guest debug", async () => {
    const { cpu, ram } = makeGuest(host, [brk(0x123)]);
    loadWords(ram, 0xa00, finish);
    cpu.setReg(sysReg("VBAR_EL1"), RAM + 0x800n);
    await runToFinish(cpu);
    assert.deepEqual([cpu.getReg(sysReg("ESR_EL1")), cpu.getReg(elrEl1)], [0xf200_0123n, RAM]);
  });

  it("a hardware breakpoint exits before its instruction", async () => {
    const { cpu } = makeGuest(host, [nop, nop, addImmediate(0, 0, 1), ...finish]);
    cpu.setGuestDebug({ breakpoints: [{ control: ENABLED_AT_EL1, value: RAM + 8n }] });
    const exit = await runToExit(cpu);
    assert.equal(exit.reason, "debug");
    assert.deepEqual([exit.syndrome >> 26n, cpu.getReg(pc), cpu.getReg(x(0))], [EC_BREAKPOINT, RAM + 8n, 0n]);
  });

  it("a breakpoint and a watchpoint of EL0 only do not exit at EL1", async () => {
    const { cpu } = makeGuest(host, [nop, load(8, 0, 1), ...finish]);
    cpu.setReg(x(1), RAM + 0x1000n);
    const el0Only = 1n | (2n << 1n);
    cpu.setGuestDebug({
      breakpoints: [{ control: el0Only | (0xfn << 5n), value: RAM + 4n }],
      watchpoints: [{ control: el0Only | (3n << 3n) | (0xffn << 5n), value: RAM + 0x1000n }],
    });
    await runToFinish(cpu);
  });

  it("a watchpoint exits with the address of the access", async () => {
    const { cpu } = makeGuest(host, [nop, load(8, 0, 1), ...finish]);
    cpu.setReg(x(1), RAM + 0x1000n);
    const control = 1n | (3n << 1n) | (3n << 3n) | (0xffn << 5n); // E, EL1 and EL0, loads and stores, 8 bytes
    cpu.setGuestDebug({ watchpoints: [{ control, value: RAM + 0x1000n }] });
    const exit = await runToExit(cpu);
    assert.equal(exit.reason, "debug");
    assert.deepEqual([exit.syndrome >> 26n, exit.address, cpu.getReg(pc)], [EC_WATCHPOINT, RAM + 0x1000n, RAM + 4n]);
  });

  it("what it sets is not in the guest's own debug registers", () => {
    const { cpu } = makeGuest(host);
    cpu.setGuestDebug({ breakpoints: [{ control: ENABLED_AT_EL1, value: RAM }] });
    assert.deepEqual([cpu.getReg(sysReg("DBGBVR0_EL1")), cpu.getReg(sysReg("DBGBCR0_EL1"))], [0n, 0n]);
    assert.equal(cpu.getReg(sysReg("MDSCR_EL1")), 0n);
  });

  it("works before INIT", () => {
    host.keep(host.keep(host.kvm.createVm()).createVcpu()).setGuestDebug({ singleStep: true });
  });

  it("control bits that do not exist are EINVAL", () => {
    const fd = host.keep(host.kvm.createVm()).fd.createVcpu(0);
    for (const control of [4, 8, 1 << 18, 0x8000_0000]) {
      assertRefused("EINVAL", () => fd.setGuestDebug(pack(structs.kvm_guest_debug, { control })));
    }
    fd.close();
  });

  it("there are at least 2 breakpoints and 1 watchpoint", () => {
    assert.ok(host.kvm.has("GUEST_DEBUG_HW_BPS") >= 2);
    assert.ok(host.kvm.has("GUEST_DEBUG_HW_WPS") >= 1);
  });
});
