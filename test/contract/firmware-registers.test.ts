// Firmware pseudo-registers. Documentation/virt/kvm/arm/fw-pseudo-registers.rst.

import assert from "node:assert/strict";
import { firmware, firmwareFeatures } from "../../lib/arm64/registers.js";
import { type Host, onEveryBackend, onHost } from "../support/backends.js";
import { makeGuest } from "../support/guest.js";
import { answer, assertRefused } from "../support/refusal.js";

const psciVersions = { "6.1": 0x1_0001n, "6.12": 0x1_0001n, "7.2": 0x1_0003n } as const;

onEveryBackend("firmware registers", (host) => {
  const withPsci = () => makeGuest(host, [], { features: ["psci-0.2"] });

  it("PSCI_VERSION is the newest that the kernel has", () => {
    assert.equal(withPsci().cpu.getReg(firmware.psciVersion), onHost(host, psciVersions));
  });

  it("PSCI_VERSION is 0.1 without the feature psci-0.2, and can be nothing else", () => {
    const { cpu } = makeGuest(host);
    assert.equal(cpu.getReg(firmware.psciVersion), 1n);
    cpu.setReg(firmware.psciVersion, 1n);
    for (const other of [0n, 2n, 0x1_0000n, 0x1_0001n]) {
      assertRefused("EINVAL", () => cpu.setReg(firmware.psciVersion, other));
    }
  });

  it("PSCI_VERSION takes every version from 0.2 to the newest, and no other", () => {
    const { cpu } = withPsci();
    const newest = onHost(host, psciVersions);
    const said = (version: bigint) => answer(() => cpu.setReg(firmware.psciVersion, version));
    const versions = [2n, 0x1_0000n, 0x1_0001n, 0x1_0002n, 0x1_0003n];
    assert.deepEqual(
      versions.map(said),
      versions.map((version) => (version <= newest ? "OK" : "EINVAL")),
    );
    assert.deepEqual([0n, 1n, 3n, 0x1_0004n, 0x2_0000n].map(said), Array(5).fill("EINVAL"));
  });

  it("PSCI_VERSION is the same for the whole VM, and can change after a run", () => {
    const { cpus } = makeGuest(host, [], { features: ["psci-0.2"], vcpus: 2 });
    const [first, second] = cpus as [(typeof cpus)[0], (typeof cpus)[0]];
    first.immediateExit = true;
    first.runSync();
    first.setReg(firmware.psciVersion, 2n);
    assert.equal(second.getReg(firmware.psciVersion), 2n);
  });

  for (const name of ["workaround1", "workaround3"] as const) {
    it(`${name} takes its own value, and nothing above 2`, () => {
      const { cpu } = makeGuest(host);
      const level = cpu.getReg(firmware[name]);
      assert.ok(level <= 2n);
      cpu.setReg(firmware[name], level);
      assertRefused("EINVAL", () => cpu.setReg(firmware[name], 3n));
      assertRefused("EINVAL", () => cpu.setReg(firmware[name], 0x10n));
    });

    it(`${name} takes a lower level, which changes nothing`, () => {
      const { cpu } = makeGuest(host);
      const level = cpu.getReg(firmware[name]);
      cpu.setReg(firmware[name], 0n);
      assert.equal(cpu.getReg(firmware[name]), level);
    });
  }

  it("workaround2 is 0 or 3, takes its own value and no bits above 4", () => {
    const { cpu } = makeGuest(host);
    const level = cpu.getReg(firmware.workaround2);
    assert.ok(level === 0n || level === 3n);
    cpu.setReg(firmware.workaround2, level);
    assertRefused("EINVAL", () => cpu.setReg(firmware.workaround2, 0x20n));
  });
});

/** What each bitmap is in a new VM, and all that it can be. */
// biome-ignore format: table
const bitmaps = {
  std:        { initial: 1n, maximum: 1n, kernels: ["6.1", "6.12", "7.2"] },
  stdHyp:     { initial: 1n, maximum: 1n, kernels: ["6.1", "6.12", "7.2"] },
  vendorHyp:  { initial: 3n, maximum: 3n, kernels: ["6.1", "6.12", "7.2"] },
  vendorHyp2: { initial: 0n, maximum: 3n, kernels: ["7.2"] },
} as const;

const isThere = (host: Host, name: keyof typeof bitmaps): boolean =>
  (bitmaps[name].kernels as readonly string[]).includes(host.kernel);

onEveryBackend("firmware feature bitmaps", (host) => {
  for (const [name, { initial, maximum }] of Object.entries(bitmaps) as [
    keyof typeof bitmaps,
    (typeof bitmaps)["std"],
  ][]) {
    const id = firmwareFeatures[name];

    it(`${name} is listed exactly where it can be read, else ENOENT`, () => {
      const { cpu } = makeGuest(host);
      assert.equal(cpu.regList().includes(id), isThere(host, name));
      assert.equal(
        answer(() => cpu.getReg(id)),
        isThere(host, name) ? "OK" : "ENOENT",
      );
      assert.equal(
        answer(() => cpu.setReg(id, 0n)),
        isThere(host, name) ? "OK" : "ENOENT",
      );
    });

    if (!isThere(host, name)) continue;

    it(`${name} starts as ${initial}, can be cleared and set to ${maximum}`, () => {
      const { cpu } = makeGuest(host);
      assert.equal(cpu.getReg(id), initial);
      for (const value of [0n, maximum]) {
        cpu.setReg(id, value);
        assert.equal(cpu.getReg(id), value);
      }
    });

    it(`${name} with a bit above ${maximum} is EINVAL and changes nothing`, () => {
      const { cpu } = makeGuest(host);
      assertRefused("EINVAL", () => cpu.setReg(id, maximum + 1n));
      assertRefused("EINVAL", () => cpu.setReg(id, 1n << 63n));
      assert.equal(cpu.getReg(id), initial);
    });

    it(`${name} after a run takes its own value, is EBUSY for another, and EINVAL for a bit too many`, () => {
      const { cpu } = makeGuest(host);
      cpu.immediateExit = true;
      cpu.runSync();
      cpu.setReg(id, initial);
      assertRefused("EBUSY", () => cpu.setReg(id, initial ^ 1n));
      assertRefused("EINVAL", () => cpu.setReg(id, maximum + 1n));
    });

    it(`${name} is the same for the whole VM`, () => {
      const { cpus } = makeGuest(host, [], { vcpus: 2 });
      cpus[0]?.setReg(id, initial ^ 1n);
      assert.equal(cpus[1]?.getReg(id), initial ^ 1n);
    });

    it(`${name} survives a second INIT`, () => {
      const { cpu } = makeGuest(host);
      cpu.setReg(id, initial ^ 1n);
      cpu.init();
      assert.equal(cpu.getReg(id), initial ^ 1n);
    });
  }

  it("vcpu.firmwareFeatures() finds each bitmap, its value and its maximum, and changes nothing", () => {
    const { cpu } = makeGuest(host);
    const expected = (Object.keys(bitmaps) as (keyof typeof bitmaps)[])
      .filter((name) => isThere(host, name))
      .map((name) => [firmwareFeatures[name], bitmaps[name].initial, bitmaps[name].maximum]);
    for (const _ of [1, 2]) {
      const found = cpu.firmwareFeatures().map(({ id, current, maximum }) => [id, current, maximum]);
      assert.deepEqual(found, expected);
    }
  });

  it("vcpu.firmwareFeatures() finds the maximum after a run too", () => {
    const { cpu } = makeGuest(host);
    const before = cpu.firmwareFeatures().map(({ maximum }) => maximum);
    cpu.immediateExit = true;
    cpu.runSync();
    assert.deepEqual(
      cpu.firmwareFeatures().map(({ maximum }) => maximum),
      before,
    );
  });

  it("vcpu.firmwareFeatures() sets services by name", () => {
    const { cpu } = makeGuest(host);
    const vendor = cpu.firmwareFeatures().find(({ id }) => id === firmwareFeatures.vendorHyp);
    assert.ok(vendor);
    assert.deepEqual(
      vendor.services.map(({ enabled }) => enabled),
      [true, true],
    );
    const [first] = vendor.services;
    vendor.set([first?.name ?? ""]);
    assert.equal(cpu.getReg(firmwareFeatures.vendorHyp), 1n);
    vendor.set(3n);
    assert.equal(cpu.getReg(firmwareFeatures.vendorHyp), 3n);
  });

  it("vcpu.firmwareFeatures() refuses a service that the register does not have", () => {
    const { cpu } = makeGuest(host);
    const [std] = cpu.firmwareFeatures();
    assert.throws(() => std?.set(["no such service"]), TypeError);
  });
});
