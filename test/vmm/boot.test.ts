// A Debian kernel with busybox, to a shell that answers, on every backend for which the files are given:
// KVM_ARM64_BOOT_FILES is KERNEL:INITRD, set by scripts/test.ts where KVM_ARM64_REQUIRE asks for it.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BootMachine, createMachine, type Outcome } from "../../lib/vmm/index.js";
import { skip } from "../skip.js";
import { type Host, onEveryBackend } from "../support/backends.js";
import { Conversation } from "./conversation.js";

const [kernel, initrd] = (process.env["KVM_ARM64_BOOT_FILES"] ?? "").split(":");
/** Where the consoles' output is kept. */
const artifacts = process.env["KVM_ARM64_ARTIFACTS"] ?? "dist/artifacts";

const bootMs = 15 * 60_000;
const prompt = /\/ # /;
const md5 = (bytes: Uint8Array): string => createHash("md5").update(bytes).digest("hex");

onEveryBackend("a Linux kernel", (host: Host) => {
  let folder: string;
  beforeEach(function () {
    if (!kernel || !initrd) skip(this, "no kernel is given; KVM_ARM64_REQUIRE=boot and boot-model fetch one");
    // One kernel's KVM is as good as another's here, and a boot on the model takes long.
    if (host.backend === "model" && host.name !== "model-6.12") skip(this, "model-6.12 boots it");
    this.currentTest?.timeout(bootMs);
    folder = mkdtempSync(join(tmpdir(), "kvm-arm64-boot-"));
  });
  afterEach(() => {
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  /** Boots, talks, and gives how the guest ended. */
  async function boot(
    options: { readonly cpus: number; readonly disks?: readonly { file: string; access?: "read-only" }[] },
    talk: (guest: Conversation) => Promise<void>,
  ): Promise<Outcome> {
    const machine: BootMachine = host.keep(
      createMachine({
        kernel: kernel as string,
        initrd: initrd as string,
        append: "quiet",
        memoryBytes: 256 << 20,
        open: host.backend === "kvm" ? { backend: "kvm" } : { backend: "model", model: { kernel: host.kernel } },
        ...options,
      }),
    );
    const guest = new Conversation(machine);
    const talked = guest.hear(prompt).then(() => talk(guest));
    const ended = machine.run();
    try {
      // A guest that ends before all is said has not said what it should.
      await Promise.race([talked, ended.then(() => assert.fail(`the guest ended too early:\n${guest.transcript}`))]);
      guest.say("poweroff -f\n");
      return await ended;
    } finally {
      machine.stop();
      await ended;
      mkdirSync(artifacts, { recursive: true });
      writeFileSync(join(artifacts, `boot-${host.name}-${options.cpus}-cpus.txt`), guest.transcript);
    }
  }

  it("boots to a shell that answers, and powers off", async () => {
    const outcome = await boot({ cpus: 1 }, async (guest) => {
      assert.deepEqual(await guest.command("echo $((6 * 7))"), { output: "42\n", status: 0 });
      const { output } = await guest.command("cat /proc/interrupts");
      assert.match(output, /GICv\d +27 Level +arch_timer/);
      assert.match(output, /Level +uart-pl011/);
    });

    assert.deepEqual(outcome, { event: "off", status: 0 });
  });

  it("boots on four CPUs, with disks that keep what was flushed", async () => {
    const [written, read] = [join(folder, "written"), join(folder, "read")];
    const content = randomBytes(256 << 10);
    writeFileSync(written, new Uint8Array(1 << 20));
    writeFileSync(read, content);

    const disks = [{ file: written }, { file: read, access: "read-only" as const }];
    const outcome = await boot({ cpus: 4, disks }, async (guest) => {
      assert.equal((await guest.command("nproc")).output, "4\n");
      assert.match((await guest.command("md5sum /dev/vdb")).output, new RegExp(md5(content)));
      assert.equal((await guest.command("dd if=/dev/vdb of=/dev/vda bs=64k conv=fsync 2>/dev/null")).status, 0);
      // Before the guest ends: this is what a VMM that is killed now leaves behind.
      assert.equal(md5(readFileSync(written).subarray(0, content.length)), md5(content));
      assert.notEqual((await guest.command("dd if=/dev/zero of=/dev/vdb count=1 conv=fsync 2>/dev/null")).status, 0);
      assert.deepEqual(await guest.command("head -c 16 /dev/hwrng | wc -c"), { output: "16\n", status: 0 });
    });

    assert.deepEqual(outcome, { event: "off", status: 0 });
    assert.equal(md5(readFileSync(read)), md5(content));
  });
});
