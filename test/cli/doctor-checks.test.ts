import assert from "node:assert/strict";
import { type Check, checkHost, type Host } from "../../lib/cli/doctor-checks.js";

const healthy: Host = {
  platform: "linux",
  arch: "arm64",
  release: "6.12.1",
  device: { mode: 0o20660, gid: 104, character: true },
  openError: "",
  user: { name: "ada", groups: [1000, 104] },
  groupNames: new Map([[104, "kvm"]]),
  kernelHasKvm: true,
  hypervisor: undefined,
  insideContainer: false,
};

/** The one check that is not ok. */
function complaint(host: Partial<Host>, openError?: string): Check {
  const bad = checkHost({ ...healthy, ...host }, openError).filter((check) => !check.ok);
  assert.equal(bad.length, 1, JSON.stringify(bad));
  return bad[0] as Check;
}

describe("doctor", () => {
  it("finds nothing wrong where KVM works", () => {
    const checks = checkHost(healthy, undefined);

    assert.deepEqual(
      checks.map(({ what, ok }) => [what, ok]),
      [
        ["operating system", true],
        ["architecture", true],
        ["/dev/kvm", true],
        ["permission", true],
        ["addon", true],
      ],
    );
  });

  it("says that KVM is part of Linux elsewhere", () => {
    assert.match(complaint({ platform: "darwin" }).finding, /darwin: KVM is part of Linux/);
    assert.match(complaint({ platform: "darwin" }).help ?? "", /Mac/);
    assert.equal(complaint({ platform: "win32" }).help, undefined);
  });

  it("goes by the architecture, not by the file: x86 has a /dev/kvm too", () => {
    assert.match(complaint({ arch: "x64" }).finding, /x64: this package speaks arm64 KVM/);
  });

  it("tells a kernel without EL2 from a file that is missing", () => {
    assert.match(complaint({ device: "ENOENT", kernelHasKvm: false }).finding, /started at EL1/);
    assert.match(complaint({ device: "ENOENT", kernelHasKvm: false, hypervisor: "QEMU" }).help ?? "", /guest of QEMU/);
    assert.match(complaint({ device: "ENOENT" }).help ?? "", /mknod \/dev\/kvm c 10 232/);
    assert.match(complaint({ device: "ENOENT", insideContainer: true }).help ?? "", /docker run --device/);
    assert.match(complaint({ device: "EACCES" }).finding, /stat gives EACCES/);
  });

  it("says which group helps, or which udev rule", () => {
    const outside = { openError: "EACCES", user: { name: "ada", groups: [1000] } };

    assert.match(complaint(outside).help ?? "", /usermod -aG kvm ada/);
    assert.match(complaint({ ...outside, device: { mode: 0o20600, gid: 0, character: true } }).help ?? "", /udev rule/);
    assert.match(complaint({ openError: "EACCES" }).finding, /is in the group kvm, and still may not/);
    assert.match(complaint({ openError: "ENODEV" }).finding, /opening it gives ENODEV/);
    assert.match(complaint({ device: { mode: 0o100644, gid: 0, character: false } }).finding, /not a character device/);
  });

  it("says what the addon says where the file opens and KVM does not", () => {
    const check = complaint({}, "ENOEXEC: no addon");

    assert.deepEqual([check.what, check.finding], ["addon", "ENOEXEC: no addon"]);
  });
});
