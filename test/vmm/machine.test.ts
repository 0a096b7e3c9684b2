// What the machine does with guests that do not behave, on every backend.
import assert from "node:assert/strict";
import { x } from "../../lib/arm64/registers.js";
import { Machine, type MachineOptions, type Outcome, Pl011, RAM_AT } from "../../lib/vmm/index.js";
import { type Host, onEveryBackend } from "../support/backends.js";

type Threads = NonNullable<MachineOptions["threads"]>;

const SPIN = 0x1400_0000; // b .
const HVC = 0xd400_0002; // hvc #0

/** A machine whose CPU is at these instructions, at the start of its RAM. */
function machineWith(host: Host, threads: Threads, code: readonly number[], cpus = 1): Machine {
  const devices = [new Pl011({ send: () => {} })];
  const machine = host.keep(new Machine(host.kvm, { memoryBytes: 1 << 20, cpus, devices, threads }));
  const data = new Uint8Array(Uint32Array.from(code).buffer);
  machine.load({ format: "flat binary", entry: RAM_AT, segments: [{ at: RAM_AT, data, bytes: BigInt(data.length) }] });
  return machine;
}

/** PSCI function 0x84000000 + n by HVC, with x19 and x20. */
const psci = (n: number, x19 = 0, x20 = 0): number[] => [
  0xd2b0_8000, // mov x0, #0x84000000
  0xf280_0000 | (n << 5), // movk x0, #n
  0xd280_0013 | (x19 << 5), // mov x19, #x19
  0xd280_0014 | ((x20 & 0xffff) << 5), // mov x20, #…
  0xf2a0_0014 | ((x20 >>> 16) << 5), // movk x20, #…, lsl #16
  HVC,
];

for (const threads of ["this", "workers"] as const) {
  onEveryBackend(threads === "this" ? "a machine" : "a machine whose CPUs are in Workers", (host) => {
    const run = (code: readonly number[]): Promise<Outcome> => machineWith(host, threads, code).run();

    it("ends with status 0 when the guest gives none", async () => {
      assert.deepEqual(await run(psci(8, 7)), { event: "off", status: 0 });
    });

    it("ends with the status that the guest gives with the magic word", async () => {
      assert.deepEqual(await run(psci(8, 7, 0x7469_7865)), { event: "off", status: 7 });
    });

    it("finds the results of SYSTEM_OFF in x0 to x3, and its arguments no more", async () => {
      // mov x1, #7; mov x3, #9
      const machine = machineWith(host, threads, [0xd280_00e1, 0xd280_0123, ...psci(8)]);
      await machine.run();

      const left = machine.vcpus[0]?.getRegs([x(0), x(1), x(2), x(3)]);

      assert.deepEqual(left, [0xffff_ffff_ffff_fffan, 0n, 0n, 0n]);
    });

    it("ends when the guest asks for a reset", async () => {
      assert.deepEqual(await run(psci(9)), { event: "reset" });
    });

    it("says which address the guest accessed where nothing is", async () => {
      // mov x0, #0x10000000; str w1, [x0]
      const outcome = run([0xd2a2_0000, 0xb900_0001, SPIN]);

      await assert.rejects(outcome, {
        name: "MachineError",
        message: "the guest stored 4 bytes at 0x10000000, where nothing is, CPU 0 at pc 0x40000004",
      });
    });

    it("passes on what KVM_RUN refuses", async () => {
      // mov x0, #0x10000000; ldp x1, x2, [x0]: no syndrome
      await assert.rejects(run([0xd2a2_0000, 0xa940_0801, SPIN]), { name: "KvmError", code: "ENOSYS" });
    });

    it("can be stopped, with CPUs that run and CPUs that are off", async () => {
      const machine = machineWith(host, threads, [SPIN], 3);
      const ended = machine.run();
      setTimeout(() => machine.stop(), 20);

      assert.deepEqual(await ended, { event: "stopped" });
    });

    it("leaves the event loop free while a guest exits again and again", async () => {
      // mov x0, #0x9000000; 1: str w1, [x0]; b 1b
      const machine = machineWith(host, threads, [0xd2a1_2000, 0xb900_0001, 0x17ff_ffff], 2);
      const ended = machine.run();
      setTimeout(() => machine.stop(), 20);

      assert.deepEqual(await ended, { event: "stopped" });
    });

    it("stops before it starts when it is told so", async () => {
      const machine = machineWith(host, threads, [SPIN]);
      machine.stop();

      assert.deepEqual(await machine.run(), { event: "stopped" });
    });
  });
}
