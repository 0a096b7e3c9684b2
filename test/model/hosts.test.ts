// What captured hosts promise their guests, with and without impersonation.

import assert from "node:assert/strict";
import { fieldsOf, isSafe, maskOf } from "../../lib/arm64/fields.js";
import { type SysRegName, sysRegs } from "../../lib/arm64/sysregs.js";
import { type features, promised } from "../../lib/model/a64/features.js";
import { a64 } from "../../lib/model/a64/table.js";
import { builtInHost } from "../../lib/model/host/built-in.js";
import { isIdRegister } from "../../lib/model/host/captured.js";
import { bundledHosts } from "../../lib/model/host/choice.js";
import { promisedByBoth } from "../../lib/model/host/engine-limits.js";
import type { Host } from "../../lib/model/host/host.js";
import { makeProfile } from "../../lib/model/profile.js";
import { Feature } from "../../lib/model/vcpu-features.js";

const idRegisters = sysRegs.map(({ name }) => name).filter(isIdRegister);

/** Every set of features that INIT takes. */
function combinations(host: Host): { features: number; mte: boolean }[] {
  return Array.from({ length: 0x200 }, (_, bits) => bits)
    .flatMap((bits) => [false, true].map((mte) => ({ features: bits, mte })))
    .filter(({ features: bits, mte }) => (bits & ~host.features) === 0 && host.takes(bits, mte) && (!mte || host.mte));
}

/** The instructions that a host promises in some combination and the engine lacks. */
function lacking(host: Host): string[] {
  const names = combinations(host).flatMap(({ features: bits, mte }) => {
    const read = (name: string) => host.limit(name as SysRegName, bits, mte);
    return a64.filter(
      (row) => row.run === null && row.needs.every((need) => promised(need as keyof typeof features, read)),
    );
  });
  return [...new Set(names.map(({ name }) => name))];
}

describe("a captured host", () => {
  for (const name of bundledHosts()) {
    it(`${name} promises its guests no instruction that the engine lacks, and nothing that it lacks itself`, () => {
      const { host, kernel } = makeProfile({ host: name });
      const { host: captured } = makeProfile({ host: name, impersonate: true });

      assert.deepEqual(lacking(host), []);
      assert.ok(name.endsWith(kernel));
      for (const { features: bits, mte } of combinations(host)) {
        for (const register of idRegisters) {
          const [ours, theirs] = [host.limit(register, bits, mte), captured.limit(register, bits, mte)];
          const engine = builtInHost.limit(register, bits, mte);
          const wrong = fieldsOf(register).filter((field) => {
            const part = (whole: bigint) => Number((whole & maskOf(field)) >> BigInt(field.lsb));
            const ordered = field.rule !== undefined && field.rule !== "exact";
            return !isSafe(field, part(ours), part(theirs)) && (ordered || part(ours) !== part(engine));
          });
          const what = `${register} with features 0x${bits.toString(16)}`;
          assert.deepEqual([what, ...wrong.map((field) => field.name)], [what]);
        }
      }
    });
  }

  it("keeps its own identity, caches and clock", () => {
    const { host } = makeProfile({ host: "qemu-neoverse-n1-6.12" });

    assert.equal(host.value("MIDR_EL1") >> 24n, 0x41n); // Arm Limited
    assert.equal(host.value("CNTFRQ_EL0"), 62_500_000n);
    assert.equal(host.counterHz, 62_500_000);
    assert.deepEqual([host.breakpoints, host.ipaBits], [builtInHost.breakpoints, 48]);
  });

  it("promises to the letter what it was captured with when it is impersonated", () => {
    const { host } = makeProfile({ host: "qemu-max-6.12", impersonate: true });

    assert.equal(host.limit("ID_AA64PFR0_EL1", 0, false), 0x1101_0010_2111_0222n);
    assert.equal(host.limit("ID_AA64PFR0_EL1", Feature.sve | Feature.psci02, false), 0x1101_0011_2111_0222n);
    assert.equal(host.vectorLengths, 0xffff);
    assert.ok(lacking(host).length > 0);
  });

  it("offers no feature of the vCPU whose instructions the engine lacks", () => {
    const within = makeProfile({ host: "qemu-max-7.2" }).host;

    assert.equal(within.features & ~(builtInHost.features | Feature.pmuV3), 0);
    assert.equal(within.vectorLengths === 0, (builtInHost.features & Feature.sve) === 0);
  });
});

describe("what a host and the engine both promise", () => {
  it("is the lower of two values in each field, 0b1111 below 0 where that means none", () => {
    assert.equal(promisedByBoth("ID_AA64PFR0_EL1", 0x0011_0022n, 0x00ff_0011n), 0x00ff_0011n);
    assert.equal(promisedByBoth("ID_AA64PFR0_EL1", 0x00ff_0011n, 0x0011_0022n), 0x00ff_0011n);
    assert.equal(promisedByBoth("ID_AA64ISAR0_EL1", 0x20_0000n, 0x30_0000n), 0x20_0000n);
  });

  it("leaves a register alone that is no promise, and of CTR_EL0 the sizes of lines", () => {
    assert.equal(promisedByBoth("MIDR_EL1", 0x413f_d0c1n, 0xf_a640n), 0x413f_d0c1n);
    assert.equal(promisedByBoth("CTR_EL0", 0xb444_c004n, 0x9033_c003n), 0x9444_c004n);
  });
});
