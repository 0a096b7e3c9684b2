// MMIO of a big-endian guest: the exit's bytes are in the order that the guest means. Documentation/virt/kvm/api.rst 5.

import assert from "node:assert/strict";
import { sysReg, x } from "../../lib/arm64/registers.js";
import { skip } from "../skip.js";
import { load, loadSigned, mov64, store } from "../support/assemble.js";
import { onEveryBackend, onHost } from "../support/backends.js";
import { DEVICE, makeGuest, RAM, runToMmio } from "../support/guest.js";

const EE = 1n << 25n; // SCTLR_EL1: data at EL1 is big-endian
const toDevice = mov64(1, DEVICE); // x1 = DEVICE
/** A store that ends the guest. */
const end = store(4, 31, 1, 0x100);

onEveryBackend("MMIO of a big-endian guest", (host) => {
  beforeEach(function () {
    const { cpu } = makeGuest(host);
    if (((cpu.getReg(sysReg("ID_AA64MMFR0_EL1")) >> 8n) & 0xfn) === 0n) skip(this, "the host has no big-endian data");
  });

  const setUp = (code: readonly number[]) => {
    const guest = makeGuest(host, [...toDevice, ...code, end]);
    guest.cpu.setReg(sysReg("SCTLR_EL1"), guest.cpu.getReg(sysReg("SCTLR_EL1")) | EE);
    return guest;
  };

  for (const [width, bytes] of [
    [1, [0x11]],
    [2, [0x22, 0x11]],
    [4, [0x44, 0x33, 0x22, 0x11]],
    [8, [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]],
  ] as const) {
    it(`a store of ${width} bytes has its most significant byte first`, async () => {
      const { cpu } = setUp([store(width, 0, 1)]);
      cpu.setReg(x(0), 0x8877_6655_4433_2211n);
      const exit = await runToMmio(cpu);
      assert.deepEqual([...exit.data], bytes);
    });

    it(`a load of ${width} bytes takes the first byte as the most significant`, async () => {
      const { cpu } = setUp([load(width, 0, 1)]);
      const exit = await runToMmio(cpu);
      exit.data.set(bytes);
      await runToMmio(cpu);
      assert.equal(cpu.getReg(x(0)), 0x8877_6655_4433_2211n & ((1n << BigInt(8 * width)) - 1n));
    });
  }

  for (const [width, into, data, extended, zeroExtended] of [
    [2, 64, [0x80, 0x01], 0xffff_ffff_ffff_8001n, 0x8001n],
    [2, 32, [0x80, 0x01], 0xffff_8001n, 0x8001n],
    [4, 64, [0x80, 0, 0, 0x01], 0xffff_ffff_8000_0001n, 0x8000_0001n],
    [2, 64, [0x01, 0x80], 0x180n, 0x180n],
  ] as const) {
    it(`a signed load of ${width} bytes [${data}] into ${into} bits is extended by its sign since 7.2, by 0 before`, async () => {
      const { cpu } = setUp([loadSigned(width, into, 0, 1)]);
      const exit = await runToMmio(cpu);
      exit.data.set(data);
      await runToMmio(cpu);
      assert.equal(cpu.getReg(x(0)), onHost(host, { "6.1": zeroExtended, "6.12": zeroExtended, "7.2": extended }));
    });
  }

  it("its instructions are little-endian all the same, and its memory is as it stores it", async () => {
    const { cpu, ram } = setUp([...mov64(2, RAM + 0x4000n), store(4, 0, 2)]);
    cpu.setReg(x(0), 0x1122_3344n);
    await runToMmio(cpu);
    assert.deepEqual([...ram.bytes.subarray(0x4000, 0x4004)], [0x11, 0x22, 0x33, 0x44]);
  });
});
