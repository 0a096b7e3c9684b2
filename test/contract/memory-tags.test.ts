// KVM_CAP_ARM_MTE and KVM_ARM_MTE_COPY_TAGS: Documentation/virt/kvm/api.rst 7.26, 4.130.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sysReg } from "../../lib/arm64/registers.js";
import { Kvm } from "../../lib/index.js";
import type { Vm } from "../../lib/vm.js";
import { skip } from "../skip.js";
import { type Host, needs, onEveryBackend, onHost } from "../support/backends.js";
import { RAM } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

const PAGE = 4096n;
const TMPFS = 0x0102_1994;
/** Memory over a file that is not on tmpfs. */
const ofOtherFiles = { "6.1": "OK", "6.12": "EINVAL", "7.2": "EINVAL" } as const;
const PAGE_TAGS = 256;
const UNKNOWN = 0x1de7_ec7e_dbad_c0den;

/** A host with MTE: on the model always to be had. */
function openWithMte(context: Mocha.Context, host: Host): Kvm {
  const { options } = host;
  if (options.model === undefined) {
    if (host.kvm.has("ARM_MTE") === 0) skip(context, "the host lacks the capability ARM_MTE");
    return host.kvm;
  }
  return host.keep(Kvm.open({ ...options, model: { ...options.model, host: `qemu-max-mte-${host.kernel}` } }));
}

const tagsOf = (vm: Vm, at: bigint, pages: bigint): Uint8Array => {
  const tags = new Uint8Array(Number(pages) * PAGE_TAGS).fill(0xa5);
  assert.equal(vm.copyMteTags({ direction: "from-guest", at, bytes: pages * PAGE, tags }), Number(pages * PAGE));
  return tags;
};
// One tag for a page: QEMU before 8 keeps no more than the last two of each (docs/testing.md, "the emulated host's own").
const pattern = (pages: bigint) => new Uint8Array(Number(pages) * PAGE_TAGS).map((_, n) => 0x37 + (n >> 8) * 3);

onEveryBackend("memory tags", (host) => {
  const taggedVm = (context: Mocha.Context): Vm => {
    const vm = host.keep(openWithMte(context, host).createVm());
    vm.enableCap("ARM_MTE");
    return vm;
  };
  const withMemory = (context: Mocha.Context) => {
    const vm = taggedVm(context);
    vm.addMemory({ at: RAM, bytes: 1 << 16 });
    return vm;
  };

  it("the capability is refused where the host lacks it", () => {
    const said = answer(() => host.keep(host.kvm.createVm()).enableCap("ARM_MTE"));
    assert.equal(said, host.kvm.has("ARM_MTE") === 0 ? "EINVAL" : "OK");
  });

  it("the capability is refused once the VM has a vCPU", function () {
    const vm = host.keep(openWithMte(this, host).createVm());
    host.keep(vm.createVcpu());
    assertRefused("EINVAL", () => vm.enableCap("ARM_MTE"));
  });

  it("a vCPU of a VM with tags lists their registers, which are UNKNOWN, and cannot be of 32 bits", function () {
    const vm = taggedVm(this);
    const cpu = host.keep(vm.createVcpu());
    assertRefused("EINVAL", () => cpu.init({ features: ["el1-32bit"] }));
    cpu.init();
    const registers = (["RGSR_EL1", "GCR_EL1", "TFSR_EL1", "TFSRE0_EL1"] as const).map(sysReg);
    assert.deepEqual(
      registers.map((id) => cpu.regList().includes(id) && cpu.getReg(id)),
      registers.map(() => UNKNOWN),
    );
    assert.equal((cpu.getReg(sysReg("ID_AA64PFR1_EL1")) >> 8n) & 15n, 3n);
  });

  it("a vCPU of a VM without tags has none of their registers", function () {
    const cpu = host.keep(host.keep(openWithMte(this, host).createVm()).createVcpu());
    cpu.init();
    assertRefused("ENOENT", () => cpu.getReg(sysReg("GCR_EL1")));
    assert.equal((cpu.getReg(sysReg("ID_AA64PFR1_EL1")) >> 8n) & 15n, 0n);
  });

  it("memory that was never tagged has tags of 0", function () {
    assert.deepEqual(tagsOf(withMemory(this), RAM, 2n), new Uint8Array(2 * PAGE_TAGS));
  });

  it("what was written can be read back: the lower four bits", function () {
    const vm = withMemory(this);
    assert.equal(vm.copyMteTags({ direction: "to-guest", at: RAM + PAGE, bytes: 2n * PAGE, tags: pattern(2n) }), 8192);
    assert.deepEqual(
      tagsOf(vm, RAM + PAGE, 2n),
      pattern(2n).map((tag) => tag & 15),
    );
    assert.deepEqual(tagsOf(vm, RAM, 1n), new Uint8Array(PAGE_TAGS));
  });

  it("nothing is 0 bytes", function () {
    assert.equal(
      withMemory(this).copyMteTags({ direction: "from-guest", at: RAM, bytes: 0n, tags: new Uint8Array() }),
      0,
    );
  });

  it("where the memory ends the copy is shorter, and where there is none it is EFAULT", function () {
    const vm = withMemory(this);
    const copy = (at: bigint, direction: "to-guest" | "from-guest") =>
      vm.copyMteTags({ direction, at, bytes: 4n * PAGE, tags: pattern(4n) });
    assert.equal(copy(RAM + 0xe000n, "from-guest"), 0x2000);
    assert.equal(copy(RAM + 0xe000n, "to-guest"), 0x2000);
    assertRefused("EFAULT", () => copy(RAM + 0x1_0000n, "from-guest"));
    assertRefused("EFAULT", () => copy(RAM - PAGE, "to-guest"));
  });

  it("part of a page is EINVAL, and since 6.12 more than fits in the answer", function () {
    const vm = withMemory(this);
    const copy = (at: bigint, bytes: bigint, tags = new Uint8Array(512)) =>
      vm.copyMteTags({ direction: "from-guest", at, bytes, tags });
    assertRefused("EINVAL", () => copy(RAM + 16n, PAGE));
    assertRefused("EINVAL", () => copy(RAM, 16n));
    const large = answer(() => copy(RAM, 0x8000_0000n, new Uint8Array(0x800_0000)));
    assert.equal(large, onHost(host, { "6.1": "OK", "6.12": "EINVAL", "7.2": "EINVAL" }));
  });

  it("a VM without the capability says EINVAL", function () {
    const vm = host.keep(openWithMte(this, host).createVm());
    vm.addMemory({ at: RAM, bytes: 1 << 16 });
    assertRefused("EINVAL", () => tagsOf(vm, RAM, 1n));
  });

  it("while writes are logged, tags can be read, and writing them is EBUSY since 6.12", function () {
    const vm = taggedVm(this);
    vm.addMemory({ at: RAM, bytes: 1 << 16, logDirty: true });
    assert.deepEqual(tagsOf(vm, RAM, 1n), new Uint8Array(PAGE_TAGS));
    const said = answer(() => vm.copyMteTags({ direction: "to-guest", at: RAM, bytes: PAGE, tags: pattern(1n) }));
    assert.equal(said, onHost(host, { "6.1": "OK", "6.12": "EBUSY", "7.2": "EBUSY" }));
  });

  /** A file of two pages, on a file system that keeps tags (tmpfs) or on one that does not. */
  const makeFile = (context: Mocha.Context, on: "tmpfs" | "another file system"): string => {
    const isTmpfs = (folder: string) => statfsSync(folder).type === TMPFS;
    const found = ["/dev/shm", tmpdir()]
      .filter((folder) => existsSync(folder))
      .find((folder) => isTmpfs(folder) === (on === "tmpfs"));
    const folder = mkdtempSync(join(found ?? tmpdir(), "kvm-arm64-"));
    host.keep({ [Symbol.dispose]: () => rmSync(folder, { recursive: true }) });
    if (found === undefined) {
      const { status } = spawnSync("mount", ["-t", on === "tmpfs" ? "tmpfs" : "ramfs", "none", folder]);
      if (status !== 0) skip(context, `the machine has no place for a file on ${on}`);
      host.keep({ [Symbol.dispose]: () => void spawnSync("umount", ["-l", folder]) });
    }
    const path = join(folder, "memory");
    writeFileSync(path, new Uint8Array(2 * Number(PAGE)));
    return path;
  };

  it("a slot over a file on tmpfs has tags", function () {
    const [file, vm] = [makeFile(this, "tmpfs"), taggedVm(this)];
    vm.addMemory({ at: RAM, bytes: Number(PAGE), from: { file } });
    assert.deepEqual(tagsOf(vm, RAM, 1n), new Uint8Array(PAGE_TAGS));
  });

  it("a slot over another file is EINVAL since 6.12: its pages cannot have tags", function () {
    const [file, vm] = [makeFile(this, "another file system"), taggedVm(this)];
    const said = answer(() => vm.addMemory({ at: RAM, bytes: Number(PAGE), from: { file } }));
    assert.equal(said, onHost(host, ofOtherFiles));
    vm.addMemory({ at: RAM + PAGE, bytes: Number(PAGE) });
  });

  it("a slot over another file that was there before the capability stays, and cannot be changed since 6.12", function () {
    const [file, vm] = [makeFile(this, "another file system"), host.keep(openWithMte(this, host).createVm())];
    const memory = vm.addMemory({ at: RAM, bytes: Number(PAGE), from: { file } });
    vm.enableCap("ARM_MTE");
    const said = answer(() => {
      memory.logDirty = true;
    });
    assert.equal(said, onHost(host, ofOtherFiles));
  });

  it("guest_memfd and tags exclude each other, whichever comes first", function () {
    needs(this, host, "GUEST_MEMFD");
    const [first, second] = [host.keep(openWithMte(this, host).createVm()), taggedVm(this)];
    const add = (vm: Vm) =>
      vm.addMemory({
        at: RAM,
        bytes: Number(PAGE),
        from: { guestMemfd: vm.createGuestMemfd({ bytes: PAGE, flags: 3n }) },
      });
    add(first);
    assertRefused("EINVAL", () => first.enableCap("ARM_MTE"));
    assertRefused("EINVAL", () => add(second));
  });

  it("memory that is read-only for the guest takes no tags", function () {
    const vm = taggedVm(this);
    vm.addMemory({ at: RAM, bytes: 1 << 16, readonly: true });
    assertRefused("EFAULT", () => vm.copyMteTags({ direction: "to-guest", at: RAM, bytes: PAGE, tags: pattern(1n) }));
    assert.deepEqual(tagsOf(vm, RAM, 1n), new Uint8Array(PAGE_TAGS));
  });
});
