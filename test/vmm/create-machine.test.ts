// A machine with console, by its API, with programs of a few instructions in place of a kernel.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type BootMachine, type CreateMachineOptions, createMachine } from "../../lib/vmm/index.js";
import { type Host, onEveryBackend } from "../support/backends.js";

// mov x1, #0x9000000; 1: ldr w2, [x1, #0x18]; tbnz w2, #4, 1b; ldr w2, [x1]; str w2, [x1]; b 1b
const ECHO = [0xd2a1_2001, 0xb940_1822, 0x3727_ffe2, 0xb940_0022, 0xb900_0022, 0x17ff_fffc];
// mov x0, #0x84000000; movk x0, #8; hvc #0
const OFF = [0xd2b0_8000, 0xf280_0100, 0xd400_0002];

function machineWith(host: Host, words: readonly number[], options: Partial<CreateMachineOptions> = {}): BootMachine {
  const kernel = new Uint8Array(Uint32Array.from(words).buffer);
  return host.keep(createMachine({ kernel, memoryBytes: 16 << 20, open: host.options, ...options }));
}

onEveryBackend("createMachine", (host) => {
  beforeEach(function () {
    this.currentTest?.timeout(60_000);
  });

  it("tells how the guest ended", async () => {
    const machine = machineWith(host, OFF);
    const exits: unknown[] = [];
    machine.on("exit", (outcome) => exits.push(outcome));

    const outcome = await machine.run();

    assert.deepEqual(
      [outcome, ...exits],
      [
        { event: "off", status: 0 },
        { event: "off", status: 0 },
      ],
    );
  });

  it("gives what the guest prints as events, and takes what it shall read", async () => {
    const machine = machineWith(host, ECHO);
    let printed = "";
    machine.on("console", (bytes) => {
      printed += Buffer.from(bytes).toString();
      if (printed.endsWith("\n")) machine.stop();
    });
    machine.send("hello\n");

    assert.deepEqual(await machine.run(), { event: "stopped" });
    assert.equal(printed, "hello\n");
  });

  it("has its console as a stream that ends with the run", async () => {
    const machine = machineWith(host, ECHO);
    const stream = machine.console;
    const ended = machine.run();
    stream.write("over the stream\n");

    let read = "";
    while (!read.endsWith("\n")) read += String((await once(stream, "data"))[0]);
    machine.stop();
    stream.resume();
    await once(stream, "end");

    assert.equal(read, "over the stream\n");
    assert.deepEqual(await ended, { event: "stopped" });
  });

  it("takes devices of its caller's, which the guest finds", async () => {
    const stores: number[] = [];
    const device = {
      name: "mine",
      at: 0x0b00_0000n,
      bytes: 0x1000,
      read: () => 0,
      write: (offset: number, value: number) => void stores.push(offset, value),
    };
    // mov x1, #0xb000000; mov w2, #7; str w2, [x1, #8]
    await machineWith(host, [0xd2a1_6001, 0x5280_00e2, 0xb900_0822, ...OFF], { devices: [device] }).run();

    assert.deepEqual(stores, [8, 7]);
  });

  it("refuses what cannot be, and leaves nothing open", () => {
    const refused = (options: Partial<CreateMachineOptions>, error: { name: string; message: RegExp }): void =>
      assert.throws(() => machineWith(host, OFF, options), error);

    refused({ memoryBytes: 1000 }, { name: "RangeError", message: /memoryBytes must be a multiple of 65536/ });
    refused({ memoryBytes: -65536 }, { name: "RangeError", message: /above 0, got -65536/ });
    refused({ memoryBytes: 65536 }, { name: "LoadError", message: /the program needs memory.*1 MiB would do/ });
    refused({ memoryBytes: 2 ** 50 }, { name: "MachineError", message: /has room for \d+ bytes of RAM/ });
    refused({ cpus: 10_000 }, { name: "MachineError", message: /at most \d+ CPUs, and 10000 are wanted/ });
    refused({ kernel: new Uint8Array(0) }, { name: "LoadError", message: /the file is empty/ });
    refused({ disks: [{ file: "/nowhere" }] }, { name: "MachineError", message: /disk \/nowhere cannot be opened/ });
  });
});
