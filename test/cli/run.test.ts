// `kvm-arm64 run` on every backend: status, trace, and the ways in which a run ends from outside.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expected, fileName, guestFile, guests } from "../guests/guests.js";
import { onEveryBackend } from "../support/backends.js";
import { start } from "./child.js";

const guestNamed = (name: string) => guests.find((guest) => fileName(guest) === name)!;

// mov x0, #0x9000000; mov w1, #'X'; 1: str w1, [x0]; b 1b. All tests run the same words: on an emulated host, QEMU 7.2 has
// been seen to execute what an earlier VM had at the same place.
const CHATTERS = [0xd2a1_2000, 0x5280_0b01, 0xb900_0001, 0x17ff_ffff];

onEveryBackend("kvm-arm64 run", (host) => {
  const backend = host.backend === "kvm" ? ["--backend", "kvm"] : ["--kernel", host.kernel];
  const run = (...args: string[]) => start("run", ...backend, ...args);
  let folder: string;
  const scratch = (name: string, words: readonly number[]): string => {
    const path = join(folder, name);
    writeFileSync(path, new Uint8Array(Uint32Array.from(words).buffer));
    return path;
  };
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "kvm-arm64-run-"));
  });
  after(() => rmSync(folder, { recursive: true }));
  beforeEach(function () {
    this.currentTest?.timeout(60_000);
  });

  it("streams what the guest prints and ends with its status", async () => {
    const guest = guestNamed("exit-status.elf");

    assert.deepEqual(await run(guestFile(guest)).ended, { ...expected(guest), stderr: "" });
  });

  it("traces each ioctl and each exit on stderr", async () => {
    const { status, stdout, stderr } = await run("--trace", guestFile(guestNamed("hello.elf"))).ended;
    const lines = stderr.trimEnd().split("\n");

    assert.deepEqual({ status, stdout }, { status: 0, stdout: "Hello from a guest at EL1.\n" });
    assert.match(lines[0] ?? "", /^KVM_CHECK_EXTENSION\(KVM_CAP_ARM_VM_IPA_SIZE\) = \d+$/);
    assert.match(lines[1] ?? "", /^KVM_CREATE_VM\(0x[\da-f]+\) = vm$/);
    const rest = [
      "KVM_SET_ONE_REG(vcpu 0, pc, 0x40080000) = 0",
      "KVM_RUN(vcpu 0) = 0 → MMIO read 0x9000018 len 4",
      'KVM_RUN(vcpu 0, mmio.data 0x90) = 0 → MMIO write 0x9000000 len 4 "H"',
      "KVM_RUN(vcpu 0) = 0 → SYSTEM_EVENT SHUTDOWN data [0x0]",
      "KVM_GET_ONE_REG(vcpu 0, x20, 0x74697865) = 0",
      "KVM_GET_ONE_REG(vcpu 0, x19, 0x0) = 0",
    ];
    assert.deepEqual(
      rest.filter((line) => !lines.includes(line)),
      [],
    );
    assert.equal(lines.at(-1), "close(kvm) = 0");
  });

  it("gives up with 124 after --timeout", async () => {
    const { status, stdout, stderr } = await run("--timeout", "1", scratch("chatters", CHATTERS)).ended;

    assert.equal(status, 124);
    assert.match(stdout, /^X+$/);
    assert.equal(stderr, "kvm-arm64: the guest did not end within 1 s\n");
  });

  for (const [signal, status] of [["SIGINT", 130] as const, ["SIGTERM", 143] as const]) {
    it(`ends with ${status} at ${signal}`, async () => {
      const child = run("--cpus", "2", scratch("chatters", CHATTERS));
      await child.printed("X");
      child.signal(signal);

      const ended = await child.ended;

      assert.deepEqual({ status: ended.status, stderr: ended.stderr }, { status, stderr: "" });
    });
  }

  it("ends quietly when nobody reads its output any more", async () => {
    const child = run(scratch("chatters", CHATTERS));
    await child.printed("X");
    child.closeStdout();

    const { status, stderr } = await child.ended;

    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
  });
});
