// PSCI (DEN0022) as KVM answers it, and what userspace sees of it.

import assert from "node:assert/strict";
import { firmware, pc, pstate, sysReg, x } from "../../lib/arm64/registers.js";
import type { Vcpu } from "../../lib/vcpu.js";
import { hvc, spin } from "../support/assemble.js";
import { onEveryBackend, onHost } from "../support/backends.js";
import { finish, makeGuest, RAM, runFor, runToExit, runToFinish, runUntil } from "../support/guest.js";
import { answer } from "../support/refusal.js";

const signed = (value: number): bigint => BigInt.asUintN(64, BigInt(value));
const SUCCESS = 0n;
const NOT_SUPPORTED = signed(-1);
const INVALID_PARAMETERS = signed(-2);
const ALREADY_ON = signed(-4);
const INTERNAL_FAILURE = signed(-6);

// biome-ignore format: table
const PSCI = {
  VERSION: 0x8400_0000n, CPU_SUSPEND: 0xc400_0001n, CPU_OFF: 0x8400_0002n, CPU_ON: 0xc400_0003n,
  AFFINITY_INFO: 0xc400_0004n, MIGRATE_INFO_TYPE: 0x8400_0006n, SYSTEM_OFF: 0x8400_0008n, SYSTEM_RESET: 0x8400_0009n,
  FEATURES: 0x8400_000an, SYSTEM_SUSPEND: 0xc400_000en, SYSTEM_RESET2: 0xc400_0012n, SYSTEM_OFF2: 0xc400_0015n,
} as const;

/** Registers for a call by the HVC at the start of the guest. */
function prepareCall(cpu: Vcpu, ...registers: readonly bigint[]): void {
  for (const n of [0, 1, 2, 3] as const) cpu.setReg(x(n), registers[n] ?? 0n);
  cpu.setReg(pc, RAM);
}

async function call(cpu: Vcpu, ...registers: readonly bigint[]): Promise<bigint> {
  prepareCall(cpu, ...registers);
  await runToFinish(cpu);
  return cpu.getReg(x(0));
}

onEveryBackend("PSCI", (host) => {
  const guest = (vcpus = 1) => makeGuest(host, [hvc(0), ...finish], { features: ["psci-0.2"], vcpus });
  /** Two vCPUs, of which the second is off. */
  const pair = () => {
    const made = guest(2);
    const [first, second] = made.cpus as [Vcpu, Vcpu];
    second.init({ features: ["psci-0.2"] });
    second.mpState = "stopped";
    return { ...made, first, second };
  };

  it("the version is what the firmware register says", async () => {
    const { cpu } = guest();
    assert.equal(await call(cpu, PSCI.VERSION), cpu.getReg(firmware.psciVersion));
    cpu.setReg(firmware.psciVersion, 2n);
    assert.equal(await call(cpu, PSCI.VERSION), 2n);
  });

  it("of 1.0, FEATURES tells which functions there are", async () => {
    const { cpu } = guest();
    for (const number of [
      PSCI.CPU_ON,
      PSCI.CPU_OFF,
      PSCI.SYSTEM_OFF,
      PSCI.SYSTEM_RESET,
      PSCI.SYSTEM_RESET2,
      PSCI.VERSION,
    ]) {
      assert.equal(await call(cpu, PSCI.FEATURES, number), SUCCESS);
    }
    assert.equal(await call(cpu, PSCI.FEATURES, 0x8400_001fn), NOT_SUPPORTED);
  });

  it("of 0.2, FEATURES and SYSTEM_RESET2 are NOT_SUPPORTED", async () => {
    const { cpu } = guest();
    cpu.setReg(firmware.psciVersion, 2n);
    assert.equal(await call(cpu, PSCI.FEATURES, PSCI.CPU_ON), NOT_SUPPORTED);
    assert.equal(await call(cpu, PSCI.SYSTEM_RESET2), NOT_SUPPORTED);
  });

  it("trusted OS migration is not required", async () => {
    assert.equal(await call(guest().cpu, PSCI.MIGRATE_INFO_TYPE), 2n);
  });

  it("AFFINITY_INFO tells which vCPUs are on", async () => {
    const { first, second } = pair();
    assert.deepEqual([await call(first, PSCI.AFFINITY_INFO, 0n), await call(first, PSCI.AFFINITY_INFO, 1n)], [0n, 1n]);
    second.mpState = "runnable";
    assert.equal(await call(first, PSCI.AFFINITY_INFO, 1n), 0n);
    assert.equal(await call(first, PSCI.AFFINITY_INFO, 9n), INVALID_PARAMETERS);
  });

  it("CPU_ON makes an off vCPU runnable, at the entry with the context in X0, interrupts masked", async () => {
    const { first, second } = pair();
    second.setReg(x(5), 5n);
    const entry = RAM + 4n; // finish
    assert.equal(await call(first, PSCI.CPU_ON, 1n, entry, 0x1234n), SUCCESS);
    assert.deepEqual([second.getReg(pc), second.getReg(x(0)), second.getReg(x(5))], [entry, 0x1234n, 0n]);
    assert.deepEqual([second.getReg(pstate), second.mpState], [0x3c5n, "runnable"]);
    await runToFinish(second);
  });

  it("CPU_ON of a vCPU that is on is ALREADY_ON, of one that is not there INVALID_PARAMETERS", async () => {
    const { first, second } = pair();
    second.mpState = "runnable";
    assert.equal(await call(first, PSCI.CPU_ON, 1n, RAM, 0n), ALREADY_ON);
    assert.equal(await call(first, PSCI.CPU_ON, 0n, RAM, 0n), ALREADY_ON);
    assert.equal(await call(first, PSCI.CPU_ON, 77n, RAM, 0n), INVALID_PARAMETERS);
  });

  it("CPU_ON finds its target by MPIDR_EL1 as it is", async () => {
    const { first, second } = pair();
    second.setReg(sysReg("MPIDR_EL1"), 0x8000_0302n);
    assert.equal(await call(first, PSCI.CPU_ON, 1n, RAM + 4n, 0n), INVALID_PARAMETERS);
    assert.equal(await call(first, PSCI.CPU_ON, 0x302n, RAM + 4n, 0n), SUCCESS);
  });

  it("CPU_ON finds, of vCPUs with its target's affinity, the first, and from 6.12 on the last: without INIT it is 0", async () => {
    const { vm, cpu } = makeGuest(host, [hvc(0), ...finish], { features: ["psci-0.2"] });
    const second = host.keep(vm.createVcpu(1));
    second.mpState = "stopped";
    const last = onHost(host, { "6.1": false, "6.12": true, "7.2": true });
    assert.equal(await call(cpu, PSCI.CPU_ON, 0n, RAM, 0n), last ? SUCCESS : ALREADY_ON);
    assert.equal(second.mpState, last ? "runnable" : "stopped");
  });

  it("CPU_ON finds a vCPU whose affinity another got later, from 6.12 on; the first of the two before", async () => {
    const { first, second } = pair();
    // The table of who is who is made at the first run.
    assert.equal(await call(first, PSCI.CPU_ON, 77n, RAM, 0n), INVALID_PARAMETERS);
    first.setReg(sysReg("MPIDR_EL1"), 0x8000_0001n);
    const table = onHost(host, { "6.1": false, "6.12": true, "7.2": true });
    assert.equal(await call(first, PSCI.CPU_ON, 1n, RAM + 4n, 0n), table ? SUCCESS : ALREADY_ON);
    assert.equal(second.mpState, table ? "runnable" : "stopped");
  });

  it("CPU_OFF stops the vCPU without an exit", async () => {
    const { cpu } = guest();
    prepareCall(cpu, PSCI.CPU_OFF);
    await runUntil(cpu, () => cpu.mpState === "stopped");
  });

  it("a vCPU that is off runs again when another turns it on, in the run that it waits in", async () => {
    const { first, second } = pair();
    const waiting = runToFinish(second);
    assert.equal(await call(first, PSCI.CPU_ON, 1n, RAM + 4n, 7n), SUCCESS);
    await waiting;
    assert.equal(second.getReg(x(0)), 7n);
  });

  it("CPU_SUSPEND waits for an interrupt, and then has succeeded", async () => {
    const { vm, cpu } = guest();
    prepareCall(cpu, PSCI.CPU_SUSPEND, 0n, RAM, 0n);
    assert.equal((await runFor(cpu, 200)).reason, "interrupted");
    vm.setIrqLine({ type: "cpu", vcpu: 0, input: "irq" }, true);
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), SUCCESS);
  });

  it("a VM that was reset runs again after another INIT", async () => {
    const { cpu } = guest();
    prepareCall(cpu, PSCI.SYSTEM_RESET);
    await runToExit(cpu);
    cpu.init({ features: ["psci-0.2"] });
    assert.equal(await call(cpu, PSCI.VERSION), cpu.getReg(firmware.psciVersion));
  });

  for (const [name, number, event] of [
    ["SYSTEM_OFF", PSCI.SYSTEM_OFF, "shutdown"],
    ["SYSTEM_RESET", PSCI.SYSTEM_RESET, "reset"],
  ] as const) {
    it(`${name} is a system event ${event}, all vCPUs stopped, X0 as if the call had failed`, async () => {
      const { first, second } = pair();
      second.mpState = "runnable";
      prepareCall(first, number);
      const exit = await runToExit(first);
      assert.equal(exit.reason, "system-event");
      assert.deepEqual([exit.event, exit.data], [event, [0n]]);
      assert.deepEqual([first.mpState, second.mpState], ["stopped", "stopped"]);
      assert.equal(first.getReg(x(0)), INTERNAL_FAILURE);
    });
  }

  it("after a system event the vCPU sleeps, until userspace makes it runnable: the call has then failed", async () => {
    const { cpu } = guest();
    prepareCall(cpu, PSCI.SYSTEM_OFF);
    await runToExit(cpu);
    assert.equal((await runFor(cpu, 200)).reason, "interrupted");
    cpu.mpState = "runnable";
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), INTERNAL_FAILURE);
  });

  it("SYSTEM_RESET2 is a reset whose data say so; types that are neither architectural nor the vendor's are INVALID_PARAMETERS", async () => {
    const { cpu } = guest();
    assert.equal(await call(cpu, PSCI.SYSTEM_RESET2, 1n), INVALID_PARAMETERS);
    prepareCall(cpu, PSCI.SYSTEM_RESET2, 0n, 0n);
    const exit = await runToExit(cpu);
    assert.equal(exit.reason, "system-event");
    assert.deepEqual([exit.event, exit.data], ["reset", [1n]]);
  });

  it("SYSTEM_OFF2, of 1.3, is a shutdown whose data say so", async () => {
    const { cpu } = guest();
    const features = await call(cpu, PSCI.FEATURES, PSCI.SYSTEM_OFF2);
    assert.equal(features, onHost(host, { "6.1": NOT_SUPPORTED, "6.12": NOT_SUPPORTED, "7.2": 1n }));
    if (features === NOT_SUPPORTED) return;
    assert.equal(await call(cpu, PSCI.SYSTEM_OFF2, 0n, 1n), INVALID_PARAMETERS);
    assert.equal(await call(cpu, PSCI.SYSTEM_OFF2, 2n), INVALID_PARAMETERS);
    prepareCall(cpu, PSCI.SYSTEM_OFF2, 1n);
    const exit = await runToExit(cpu);
    assert.equal(exit.reason, "system-event");
    assert.deepEqual([exit.event, exit.data], ["shutdown", [1n]]);
  });

  it("SYSTEM_SUSPEND is NOT_SUPPORTED until userspace enables it", async () => {
    const { cpu } = guest();
    assert.equal(await call(cpu, PSCI.FEATURES, PSCI.SYSTEM_SUSPEND), NOT_SUPPORTED);
    assert.equal(await call(cpu, PSCI.SYSTEM_SUSPEND), NOT_SUPPORTED);
  });

  it("SYSTEM_SUSPEND, enabled, is a system event with the registers as the guest left them", async () => {
    const { vm, cpu } = guest();
    vm.enableCap("ARM_SYSTEM_SUSPEND");
    assert.equal(await call(cpu, PSCI.FEATURES, PSCI.SYSTEM_SUSPEND), SUCCESS);
    prepareCall(cpu, PSCI.SYSTEM_SUSPEND, RAM + 4n, 0x77n);
    const exit = await runToExit(cpu);
    assert.equal(exit.reason, "system-event");
    assert.deepEqual([exit.event, exit.data], ["suspend", []]);
    assert.deepEqual([cpu.getReg(x(0)), cpu.getReg(x(1)), cpu.mpState], [PSCI.SYSTEM_SUSPEND, RAM + 4n, "runnable"]);
  });

  it("without the feature psci-0.2, functions of 0.1 are answered and those of 0.2 are not", async () => {
    const { cpu } = makeGuest(host, [hvc(0), ...finish]);
    assert.equal(await call(cpu, PSCI.VERSION), NOT_SUPPORTED);
    prepareCall(cpu, 0x95c1_ba5fn); // CPU_OFF of 0.1
    await runUntil(cpu, () => cpu.mpState === "stopped");
  });
});

onEveryBackend("KVM_SET_MP_STATE", (host) => {
  const makeVcpu = () => host.keep(host.keep(host.kvm.createVm()).createVcpu());

  it("takes runnable, stopped and suspended, before INIT too, and reads them back", () => {
    const cpu = makeVcpu();
    for (const state of ["stopped", "suspended", "runnable"] as const) {
      cpu.mpState = state;
      assert.equal(cpu.mpState, state);
    }
  });

  it("the states of other architectures are EINVAL", () => {
    const cpu = makeVcpu();
    for (const state of [1, 2, 3, 4, 6, 7, 8, 9, 11, 0xffff_ffff]) {
      assert.equal(
        answer(() => {
          cpu.mpState = state;
        }),
        "EINVAL",
      );
    }
  });

  it("a stopped vCPU sleeps in its run until it is kicked", async () => {
    const { cpu } = makeGuest(host, finish);
    cpu.mpState = "stopped";
    assert.equal((await runFor(cpu, 200)).reason, "interrupted");
    assert.equal(cpu.getReg(pc), RAM);
    cpu.mpState = "runnable";
    await runToFinish(cpu);
  });

  it("a suspended vCPU sleeps until an interrupt, and stays suspended", async () => {
    const { vm, cpu } = makeGuest(host, [spin]);
    cpu.mpState = "suspended";
    assert.equal((await runFor(cpu, 200)).reason, "interrupted");
    vm.setIrqLine({ type: "cpu", vcpu: 0, input: "irq" }, true);
    const exit = await runToExit(cpu);
    assert.deepEqual([exit.reason, exit.reason === "system-event" && exit.event], ["system-event", "wakeup"]);
    assert.equal(cpu.mpState, "suspended");
  });
});
