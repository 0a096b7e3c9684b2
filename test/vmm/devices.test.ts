import assert from "node:assert/strict";
import { type Device, type DeviceHost, readDevice, writeDevice } from "../../lib/vmm/device.js";
import { Pl011 } from "../../lib/vmm/pl011.js";
import { Pl031 } from "../../lib/vmm/pl031.js";
import { Ram } from "../../lib/vmm/ram.js";

function load(device: Device, offset: number, bytes: number): number[] {
  const data = new Uint8Array(bytes).fill(0xee);
  readDevice(device, offset, data);
  return [...data];
}

/** A machine that looks at the interrupt line alone. */
const hostOf = (setInterrupt: (level: boolean) => void): DeviceHost => ({
  memory: new Ram({ at: 0n, bytes: new Uint8Array(16) }),
  setInterrupt,
  fail: (error) => assert.fail(error),
});

const ids = (device: Device): number[] => Array.from({ length: 8 }, (_, i) => device.read(0xfe0 + 4 * i));

describe("a device of 32-bit registers", () => {
  it("gives narrow loads their part of a register, and wide ones zeros behind it", () => {
    const clock = new Pl031();
    clock.write(4, 0x8765_4321);

    assert.deepEqual(load(clock, 4, 4), [0x21, 0x43, 0x65, 0x87]);
    assert.deepEqual(load(clock, 4, 2), [0x21, 0x43]);
    assert.deepEqual(load(clock, 6, 2), [0x65, 0x87]);
    assert.deepEqual(load(clock, 7, 1), [0x87]);
    assert.deepEqual(load(clock, 4, 8), [0x21, 0x43, 0x65, 0x87, 0, 0, 0, 0]);
  });

  it("takes stores of every width", () => {
    const clock = new Pl031();

    writeDevice(clock, 4, Uint8Array.of(0xff, 0xff, 0xff, 0xff));
    assert.equal(clock.read(4), 0xffff_ffff);
    writeDevice(clock, 4, Uint8Array.of(0x34, 0x92));
    assert.equal(clock.read(4), 0x9234);
    writeDevice(clock, 4, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    assert.equal(clock.read(4), 0x0403_0201);
  });
});

describe("PL011", () => {
  it("sends each byte that is stored to UARTDR", () => {
    const sent: number[] = [];
    const uart = new Pl011({ send: (byte) => sent.push(byte) });

    writeDevice(uart, 0, Uint8Array.of(0x48));
    writeDevice(uart, 0, Uint8Array.of(0x69, 0, 0, 0));

    assert.deepEqual(sent, [0x48, 0x69]);
  });

  it("is always ready to send, and says whether something was received", () => {
    const uart = new Pl011({ send: () => {} });
    assert.equal(uart.read(0x18), 0x90);

    uart.receive(Uint8Array.of(0x41, 0x42));

    assert.equal(uart.read(0x18), 0x80);
    assert.deepEqual([uart.read(0), uart.read(0), uart.read(0)], [0x41, 0x42, 0]);
    assert.equal(uart.read(0x18), 0x90);
  });

  it("raises the interrupts that are not masked, and UARTICR clears the one of sending", () => {
    const uart = new Pl011({ send: () => {} });
    uart.write(0, 0x41);
    uart.receive(Uint8Array.of(1));

    assert.deepEqual([uart.read(0x3c), uart.read(0x40)], [0x30, 0]);
    uart.write(0x38, 0x10);
    assert.equal(uart.read(0x40), 0x10);
    uart.write(0x44, 0x7ff);
    assert.equal(uart.read(0x3c), 0x10);
  });

  it("drives its interrupt line by what is raised and not masked", () => {
    const levels: boolean[] = [];
    const uart = new Pl011({ send: () => {} });
    uart.connect(hostOf((level) => levels.push(level)));
    const last = (): boolean | undefined => levels.at(-1);

    uart.write(0x38, 0x10);
    assert.equal(last(), false);
    uart.receive(Uint8Array.of(1, 2));
    assert.equal(last(), true);
    uart.read(0);
    assert.equal(last(), true);
    uart.read(0);
    assert.equal(last(), false);
    uart.write(0x38, 0x20);
    uart.write(0, 0x41);
    assert.equal(last(), true);
    uart.write(0x44, 0x20);
    assert.equal(last(), false);
  });

  it("keeps what it received until the receive interrupt is enabled, where it is told so", () => {
    const uart = new Pl011({ send: () => {}, receives: "with-interrupt" });
    uart.receive(Uint8Array.of(0x41));

    assert.deepEqual([uart.read(0x18), uart.read(0), uart.listening, uart.unread], [0x90, 0, false, true]);
    uart.write(0x38, 0x10);
    assert.deepEqual([uart.read(0x18), uart.read(0x40), uart.listening], [0x80, 0x10, true]);
    assert.deepEqual([uart.read(0), uart.unread], [0x41, false]);
  });

  it("has the reset values, the widths and the identification that DDI 0183 gives", () => {
    const uart = new Pl011({ send: () => {} });

    assert.deepEqual([uart.read(0x30), uart.read(0x34)], [0x300, 0x12]);
    uart.write(0x24, 0xffff_9234);
    uart.write(0x28, 0xff);
    assert.deepEqual([uart.read(0x24), uart.read(0x28)], [0x9234, 0x3f]);
    assert.deepEqual(ids(uart), [0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1]);
  });
});

describe("PL031", () => {
  it("counts seconds from what was loaded", () => {
    let now = 1_700_000_000;
    const clock = new Pl031({ hostSeconds: () => now });

    assert.equal(clock.read(0), 1_700_000_000);
    clock.write(8, 100);
    now += 5;
    assert.deepEqual([clock.read(0), clock.read(8), clock.read(0x0c)], [105, 100, 1]);
  });

  it("interrupts when the clock reaches what RTCMR says, until that is cleared", async () => {
    let level = false;
    const clock = new Pl031({ hostSeconds: () => 1_700_000_000 });
    clock.connect(
      hostOf((now) => {
        level = now;
      }),
    );

    clock.write(0x10, 1);
    clock.write(4, 1_700_000_000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual([level, clock.read(0x14), clock.read(0x18)], [true, 1, 1]);
    clock.write(0x10, 0);
    assert.deepEqual([level, clock.read(0x14), clock.read(0x18)], [false, 1, 0]);
    clock.write(0x1c, 1);
    assert.deepEqual([level, clock.read(0x14)], [false, 0]);
    clock.close();
  });

  it("has the identification that DDI 0224 gives", () => {
    assert.deepEqual(ids(new Pl031()), [0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1]);
  });
});
