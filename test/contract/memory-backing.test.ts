// What can back a memory slot: anonymous memory, files, huge pages.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { x } from "../../lib/arm64/registers.js";
import { skip } from "../skip.js";
import { load, store } from "../support/assemble.js";
import { onEveryBackend } from "../support/backends.js";
import { finish, makeGuest, runToFinish, runToMmio } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

const AT = 0x8000_0000n;
const PAGE = 4096;

onEveryBackend("memory from a file", (host) => {
  const folder = () => {
    const path = mkdtempSync(join(tmpdir(), "kvm-arm64-"));
    host.keep({ [Symbol.dispose]: () => rmSync(path, { recursive: true }) });
    return path;
  };
  const makeFile = (bytes = 4 * PAGE) => {
    const path = join(folder(), "memory");
    writeFileSync(
      path,
      Uint8Array.from({ length: bytes }, (_, i) => i >> 12),
    );
    return path;
  };
  /** A guest that loads from AT into X0 and stores X2 there. */
  const setUp = () => {
    const guest = makeGuest(host, [load(8, 0, 1), store(8, 2, 1), ...finish]);
    guest.cpu.setReg(x(1), AT);
    guest.cpu.setReg(x(2), 0x7777_7777_7777_7777n);
    return guest;
  };

  it("shows the guest its bytes from the offset on", async () => {
    const { vm, cpu } = setUp();
    vm.addMemory({ at: AT, bytes: PAGE, from: { file: makeFile(), offset: 2 * PAGE } });
    await runToFinish(cpu);
    assert.equal(cpu.getReg(x(0)), 0x0202_0202_0202_0202n);
  });

  it("is a private copy: the guest's stores do not reach the file", async () => {
    const [path, { vm, cpu }] = [makeFile(), setUp()];
    const memory = vm.addMemory({ at: AT, bytes: PAGE, from: { file: path } });
    await runToFinish(cpu);
    assert.deepEqual([memory.bytes[0], readFileSync(path)[0]], [0x77, 0]);
  });

  it("shared, the guest's stores reach the file", async function () {
    const [path, { vm, cpu }] = [makeFile(), setUp()];
    const said = answer(() => vm.addMemory({ at: AT, bytes: PAGE, from: { file: path, shared: true } }));
    if (said === "EOPNOTSUPP" && host.backend === "model") skip(this, "the model can not map a file shared");
    assert.equal(said, "OK");
    await runToFinish(cpu);
    vm.close();
    cpu.close();
    assert.deepEqual([...readFileSync(path).subarray(0, 9)], [...Array(8).fill(0x77), 0]);
  });

  it("that is too short is EINVAL, that is not there ENOENT, that is a folder no memory", () => {
    const { vm } = setUp();
    const add = (file: string, bytes: number) => answer(() => vm.addMemory({ at: AT, bytes, from: { file } }));
    assert.equal(add(makeFile(), 8 * PAGE), "EINVAL");
    assert.equal(add("/no/such/file", PAGE), "ENOENT");
    assert.notEqual(add(folder(), PAGE), "OK");
  });

  it("at an offset that is no multiple of the page is EINVAL", () => {
    const { vm } = setUp();
    assertRefused("EINVAL", () => vm.addMemory({ at: AT, bytes: PAGE, from: { file: makeFile(), offset: 100 } }));
  });

  it("read-only on the host side, in a read-only slot, can be read and not written by the guest", async () => {
    const { vm, cpu } = setUp();
    vm.addMemory({ at: AT, bytes: PAGE, readonly: true, from: { file: makeFile(), offset: PAGE, writable: false } });
    const exit = await runToMmio(cpu);
    assert.deepEqual([exit.write, exit.address, cpu.getReg(x(0))], [true, AT, 0x0101_0101_0101_0101n]);
  });
});

onEveryBackend("memory as userspace holds it", (host) => {
  it("stays readable after the slot is removed and the VM is closed", () => {
    const vm = host.kvm.createVm();
    const memory = vm.addMemory({ at: AT, bytes: PAGE });
    memory.bytes.fill(5);
    memory.remove();
    vm.close();
    assert.equal(memory.bytes[PAGE - 1], 5);
  });

  it("is nobody else's after the slot is removed, whatever is made of the VM then", () => {
    const vm = host.keep(host.kvm.createVm());
    const memory = vm.addMemory({ at: AT, bytes: 4 * PAGE });
    memory.bytes.fill(5);
    memory.remove();
    const others = [0, 1, 2].map((n) => vm.addMemory({ at: BigInt(n * 16 * PAGE), bytes: 4 * PAGE, logDirty: true }));
    vm.createVcpu(0);
    assert.ok(memory.bytes.every((byte) => byte === 5));
    memory.bytes.fill(6);
    assert.ok(others.every(({ bytes }) => bytes.every((byte) => byte === 0)));
  });

  it("begins as zeros", () => {
    const memory = host.keep(host.kvm.createVm()).addMemory({ at: AT, bytes: 16 * PAGE });
    assert.ok(memory.bytes.every((byte) => byte === 0));
  });

  it("can not be given away to another thread", () => {
    const memory = host.keep(host.kvm.createVm()).addMemory({ at: AT, bytes: PAGE });
    const { buffer } = memory.bytes;
    // Whether it throws or copies is up to Node's version and to the kind of buffer.
    try {
      structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
    } catch (error) {
      assert.ok(error instanceof Error);
    }
    memory.bytes[0] = 7;
    assert.deepEqual([memory.bytes.length, memory.bytes[0]], [PAGE, 7]);
  });

  it("in huge pages is ENOMEM or EINVAL where the host has none to give", function () {
    const vm = host.keep(host.kvm.createVm());
    const said = answer(() => vm.addMemory({ at: AT, bytes: 2 << 20, from: { hugePageBytes: 2 << 20 } }));
    if (said === "OK") skip(this, "the host has huge pages to give");
    assert.ok(["ENOMEM", "EINVAL"].includes(said), said);
  });

  it("slot numbers that were freed are used again", () => {
    const vm = host.keep(host.kvm.createVm());
    const [first, second] = [vm.addMemory({ at: 0n, bytes: PAGE }), vm.addMemory({ at: 0x1_0000n, bytes: PAGE })];
    first.remove();
    const third = vm.addMemory({ at: 0x2_0000n, bytes: PAGE });
    assert.deepEqual([first.slot, second.slot, third.slot], [0, 1, 0]);
  });
});
