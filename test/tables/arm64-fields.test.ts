import assert from "node:assert/strict";
import { controlLayouts, idLayouts } from "../../lib/arm64/field-layouts.js";
import type { Field, Kernel } from "../../lib/arm64/index.js";
import {
  acceptedIdValues,
  exceptionClasses,
  FEATURE_ID_SPACE_SIZE,
  featureIdEncoding,
  featureIdIndex,
  fieldsOf,
  findIdField,
  firmwareBitmaps,
  idFieldNames,
  kernels,
  maskOf,
  onKernel,
  packEncoding,
  sysRegByEncoding,
  sysRegByName,
  sysRegs,
} from "../../lib/arm64/index.js";

const layouts = { ...controlLayouts, ...idLayouts };

/** Names of the tables, with a member for each family. */
const names = Object.keys(layouts).map((name) => name.replace("#", "0"));

function idRegisters(): string[] {
  return sysRegs.filter((reg) => kernels.some((k) => /^id/.test(onKernel(reg.access, k)))).map((reg) => reg.name);
}

/** Mask bits that no field with a rule covers: writable by the mask, but not in truth. */
function pinned(name: string, kernel: Kernel): bigint {
  const row = sysRegByName(name);
  assert.ok(row);
  let mask = onKernel(row.userWritable, kernel);
  for (const field of fieldsOf(name)) if (enforced(field, mask, kernel)) mask &= ~maskOf(field);
  return mask;
}

function enforced(field: Field, mask: bigint, kernel: Kernel): boolean {
  const known = kernels.indexOf(field.since) <= kernels.indexOf(kernel);
  return field.rule !== undefined && known && (mask & maskOf(field)) === maskOf(field);
}

describe("the tables of fields", () => {
  it("are of system registers, or of PSTATE", () => {
    assert.deepEqual(
      names.filter((name) => name !== "PSTATE" && sysRegByName(name) === undefined),
      [],
    );
  });

  it("go from the highest bit to the lowest without an overlap", () => {
    const wrong = names.flatMap((name) => {
      const fields = fieldsOf(name);
      return fields
        .filter((field, i) => field.lsb + field.width > (fields[i - 1]?.lsb ?? 64))
        .map((field) => `${name}.${field.name} starts at ${field.lsb + field.width - 1}, too high`);
    });
    assert.deepEqual(wrong, []);
  });

  it("make a field wide where it has more than 32 bits, and only there", () => {
    const wrong = Object.entries(layouts).flatMap(([name, layout]) =>
      fieldsOf(name)
        .filter(({ name: field, width }) => {
          const spec = (layout as Record<string, unknown>)[field];
          const wide = typeof spec === "object" && spec !== null && "msb" in spec;
          return wide !== width > 32;
        })
        .map((field) => `${name}.${field.name}`),
    );
    assert.deepEqual(wrong, []);
  });

  it("name the fields of every ID register that KVM lets a VMM write", () => {
    const without = idRegisters().filter(
      (name) => fieldsOf(name).length === 0 && onKernel(sysRegByName(name)?.userWritable ?? 0n, "7.2") !== 0n,
    );
    assert.deepEqual(without, []);
  });

  it("hold each field of an ID register wholly inside the mask of a kernel, or wholly outside", () => {
    const split = idRegisters().flatMap((name) =>
      kernels.flatMap((kernel) => {
        const mask = onKernel(sysRegByName(name)?.userWritable ?? 0n, kernel);
        return fieldsOf(name)
          .filter((field) => (mask & maskOf(field)) !== 0n && (mask & maskOf(field)) !== maskOf(field))
          .map((field) => `${kernel} ${name}.${field.name}`);
      }),
    );
    assert.deepEqual(split, []);
  });

  it("leave pinned, of the masks of 7.2, the bits that the kernel leaves pinned", () => {
    const found = idRegisters()
      .map((name) => [name, pinned(name, "7.2")] as const)
      .filter(([, bits]) => bits !== 0n);
    assert.deepEqual(Object.fromEntries(found), {
      ID_PFR0_EL1: 0xf0f0_0000n,
      ID_DFR0_EL1: 0xf000_0000n,
      ID_ISAR0_EL1: 0xf000_0000n,
      ID_ISAR5_EL1: 0xf0f0_0000n,
      ID_ISAR6_EL1: 0xf000_0000n,
      MVFR2_EL1: 0xffff_ff00n,
      ID_PFR2_EL1: 0xffff_ff00n,
      ID_MMFR5_EL1: 0xffff_fff0n,
      ID_AA64PFR0_EL1: 0xf0_0000_0000_0000n,
      ID_AA64PFR1_EL1: 0xf_0000_0000n,
      ID_AA64FPFR0_EL1: 0xfcn,
      ID_AA64ISAR2_EL1: 0xffff_0f00_0000n,
      ID_AA64MMFR1_EL1: 0xf0f_0000_0000_0000n,
    });
  });

  it("give fields rules in 6.12 that its masks then let through", () => {
    // Since 7.2 the kernel has a rule for LS64; 6.12 advertised the bits without one.
    assert.equal(pinned("ID_AA64ISAR1_EL1", "6.12"), 0xf000_0000_0000_0000n);
    assert.equal(pinned("ID_AA64MMFR3_EL1", "6.12"), 0n);
    assert.equal(pinned("CTR_EL0", "6.12"), 0n);
  });

  it("give safe values that fit the fields", () => {
    const wrong = names.flatMap((name) =>
      fieldsOf(name).filter((field) => field.safe < 0 || field.safe >= 2 ** Math.min(field.width, 32)),
    );
    assert.deepEqual(wrong, []);
  });
});

describe("the other tables", () => {
  it("give no exception class code twice, and codes of 6 bits", () => {
    const codes = Object.values(exceptionClasses).map((one) => one.code);
    assert.equal(new Set(codes).size, codes.length);
    assert.ok(codes.every((code) => code >= 0 && code < 64));
  });

  it("keep the fields of a syndrome inside its 25 bits and apart", () => {
    const wrong = Object.entries(exceptionClasses).filter(([, { iss }]) => {
      let taken = 0;
      for (const place of Object.values(iss) as (number | readonly [number, number])[]) {
        const [msb, lsb] = typeof place === "number" ? [place, place] : place;
        const bits = (2 ** (msb - lsb + 1) - 1) * 2 ** lsb;
        if (msb > 24 || msb < lsb || (taken & bits) !== 0) return true;
        taken |= bits;
      }
      return false;
    });
    assert.deepEqual(
      wrong.map(([name]) => name),
      [],
    );
  });

  it("give each index of the feature-ID space one encoding, and back", () => {
    const indexes = Array.from({ length: FEATURE_ID_SPACE_SIZE }, (_, index) =>
      featureIdIndex(featureIdEncoding(index)),
    );
    assert.deepEqual(
      indexes,
      indexes.map((_, index) => index),
    );
  });

  it("hold in the feature-ID space every register with a writable mask", () => {
    const outside = sysRegs.filter(
      (reg) => /^(id|clidr|impid)/.test(onKernel(reg.access, "7.2")) && featureIdIndex(reg.encoding) < 0,
    );
    assert.deepEqual(
      outside.map((reg) => reg.name),
      [],
    );
    assert.equal(sysRegByEncoding(packEncoding(featureIdEncoding(129)))?.name, "CTR_EL0");
    assert.equal(sysRegByEncoding(packEncoding(featureIdEncoding(65)))?.name, "CLIDR_EL1");
  });

  it("name every bit of a firmware bitmap's maximum, and start inside it", () => {
    for (const { name, services, maximum, initial } of firmwareBitmaps) {
      const all = (1n << BigInt(services.length)) - 1n;
      assert.deepEqual([...new Set(Object.values(maximum))], [all], name);
      assert.equal(initial & ~all, 0n, name);
    }
  });
});

describe("the names of ID fields", () => {
  it("are found again, each with its place", () => {
    for (const name of idFieldNames) {
      const found = findIdField(name);
      assert.equal(`${found?.register}.${found?.field.name}`, name);
    }
    assert.ok(idFieldNames.length > 300);
  });

  it("are no other words", () => {
    for (const name of ["", ".", "ID_AA64ISAR0_EL1.", "SCTLR_EL1.M", "toString.length", "__proto__.x"]) {
      assert.equal(findIdField(name), undefined);
    }
  });

  it("accept their limit, whatever the rule", () => {
    for (const name of idFieldNames) {
      const { register, field } = findIdField(name) as NonNullable<ReturnType<typeof findIdField>>;
      const limits = field.width > 4 ? [] : Array.from({ length: 2 ** field.width }, (_, limit) => limit);
      for (const limit of limits)
        assert.ok(acceptedIdValues(register, field, limit)?.includes(limit), `${name} ${limit}`);
    }
  });
});
