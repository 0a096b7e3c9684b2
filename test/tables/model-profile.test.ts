import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { kernels, onKernel } from "../../lib/arm64/sysreg-row.js";
import { type SysRegName, sysRegs } from "../../lib/arm64/sysregs.js";
import { features, promised } from "../../lib/model/a64/features.js";
import { a64 } from "../../lib/model/a64/table.js";
import { madeUpClidr } from "../../lib/model/host/host.js";
import { todoCaps } from "../../lib/model/kvm/caps.js";
import { CONTROL_BYTES, VM_BYTES, vcpuCells, vcpuLayout, vmCells, vmLayout } from "../../lib/model/layout.js";
import { makeProfile, switchesOf } from "../../lib/model/profile.js";
import { caps } from "../../lib/uapi/caps.js";
import { docFile, remade } from "../../scripts/model-doc.js";

type Feature = keyof typeof features;

describe("the table of the model's kernels", () => {
  it("has a switch only where two kernels differ", () => {
    const [first, second, third] = kernels.map(switchesOf);
    const names = Object.keys(first!) as (keyof NonNullable<typeof first>)[];

    assert.ok(names.length > 15);
    assert.deepEqual(
      names.filter((name) => first![name] === second![name] && second![name] === third![name]),
      [],
    );
  });

  it("lists what is still to do by capabilities that kernels answer with more than 0", () => {
    for (const { cap, value, since } of todoCaps) {
      assert.ok(cap in caps && value > 0 && kernels.includes(since), cap);
    }
  });
});

describe("the model's CPU", () => {
  const profile = makeProfile();
  const read = (name: string) => profile.host.value(name as SysRegName);

  it("promises no instruction that the engine lacks", () => {
    const lacking = a64.filter((row) => row.run === null && row.needs.every((f) => promised(f as Feature, read)));
    assert.deepEqual(
      lacking.map(({ name }) => name),
      [],
    );
  });

  it("promises every feature whose instructions the engine has", () => {
    const complete = (Object.keys(features) as Feature[]).filter((feature) => {
      const rows = a64.filter((row) => (row.needs as readonly string[]).includes(feature));
      return rows.length > 0 && rows.every((row) => row.run !== null);
    });
    assert.deepEqual(
      complete.filter((feature) => !promised(feature, read)),
      [],
    );
  });

  it("has a value for every ID register that is not zero by class", () => {
    const odd = sysRegs.filter(
      (row) => row.kernels.includes("7.2") && onKernel(row.access, "7.2") === "raz" && read(row.name) !== 0n,
    );
    assert.deepEqual(
      odd.map(({ name }) => name),
      [],
    );
  });

  it("makes up a cache hierarchy for each kind of CTR_EL0", () => {
    const IDC = 1n << 28n;
    const DIC = 1n << 29n;
    assert.equal(madeUpClidr(0n, "no mte"), 0x0920_0003n);
    assert.equal(madeUpClidr(DIC, "no mte"), 0x0920_0002n);
    assert.equal(madeUpClidr(IDC, "no mte"), 0x0200_0021n);
    assert.equal(madeUpClidr(IDC | DIC, "no mte"), 0x0100_0004n);
    assert.equal(madeUpClidr(IDC, "mte"), 0x10_0200_0021n);
  });
});

describe("the layout of a VM's memory", () => {
  it("puts its parts one after the other, whole pages for the VM and whole lines for a vCPU", () => {
    for (const [layout, cells, bytes, unit] of [
      [vmLayout, vmCells, VM_BYTES, 4096],
      [vcpuLayout, vcpuCells, CONTROL_BYTES, 64],
    ] as const) {
      let next = 0;
      for (const [name, count] of layout) {
        assert.equal((cells as Record<string, number>)[name], next, name);
        next += count;
      }
      assert.ok(bytes >= next * 8 && bytes < next * 8 + unit && bytes % unit === 0);
    }
  });
});

describe("docs/model.md", () => {
  it("shows the tables as they are; remake it with: node dist/scripts/model-doc.js", () => {
    const text = readFileSync(docFile, "utf8");
    assert.equal(remade(text), text);
  });
});
