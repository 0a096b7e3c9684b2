// What an emulated KVM host promises to the tests that run in it. scripts/kvm/leg.ts runs this inside; nowhere else.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { arch, cpus, release } from "node:os";

describe("an emulated KVM host", () => {
  it("is arm64 Linux with the kernel that was asked for", () => {
    assert.equal(arch(), "arm64");
    assert.match(release(), new RegExp(`^${process.env["KVM_ARM64_KERNEL"]?.replace(".", "\\.")}\\.`));
  });

  it("has a /dev/kvm that opens", () => {
    closeSync(openSync("/dev/kvm", "r+"));
  });

  it("starts its kernel at EL2, so that KVM works", () => {
    assert.match(execFileSync("dmesg", { encoding: "utf8" }), /kvm .*(VHE|nVHE) mode initialized successfully/);
  });

  it("has two processors, for vCPUs that run at the same time", () => {
    assert.ok(cpus().length >= 2);
  });

  it("gives huge pages for memory slots that want them", () => {
    writeFileSync("/proc/sys/vm/nr_hugepages", "4");
    assert.match(readFileSync("/proc/meminfo", "utf8"), /^HugePages_Total: +4$/m);
    assert.match(readFileSync("/proc/mounts", "utf8"), /^hugetlbfs \/dev\/hugepages hugetlbfs /m);
    writeFileSync("/proc/sys/vm/nr_hugepages", "0");
  });
});
