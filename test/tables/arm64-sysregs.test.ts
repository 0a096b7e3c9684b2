import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { AccessClass, Condition, GuestAccess, Kernel, SysReg } from "../../lib/arm64/index.js";
import {
  formatEncoding,
  kernels,
  onKernel,
  packEncoding,
  sysRegByEncoding,
  sysRegById,
  sysRegByName,
  sysRegId,
  sysRegIndex,
  sysRegs,
  unpackEncoding,
} from "../../lib/arm64/index.js";

/** The lines of a list of registers: an id and a name each. */
function list(file: string): { id: bigint; name: string }[] {
  const text = readFileSync(new URL(`../../../test/${file}.txt`, import.meta.url), "utf8");
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [id = "", name = ""] = line.split(" ");
      return { id: BigInt(id), name };
    });
}

const since: Readonly<Record<Kernel, string>> = { "6.1": "EVERY", "6.12": "SINCE_6_12", "7.2": "SINCE_7_2" };

/** What a kernel can list, whatever the vCPU. */
const listed = (kernel: Kernel) => list(`arm64/lists/${kernel}`);

/** What real kernels listed, and the features of the vCPUs that they listed it for. */
const captured: Readonly<Record<string, readonly Condition[]>> = {
  "no-feature": [],
  pmu: ["PMU"],
  ptrauth: ["PTRAUTH"],
  sve: ["SVE"],
  all: ["PMU", "PTRAUTH", "SVE"],
};

/** The row to paste, with the least that can be known. */
function pasteable(name: string, id: bigint, kernel: Kernel): string {
  const encoding = unpackEncoding(Number(id & 0xffffn)).join(", ");
  return `  row("${name}", [${encoding}], "rw", ${since[kernel]}),`;
}

const describeRow = (reg: SysReg) => `${reg.name} ${formatEncoding(reg.encoding)}`;

function allows(more: GuestAccess, less: GuestAccess): boolean {
  return [...less].every((letter) => more.includes(letter));
}

describe("the table of system registers", () => {
  it("is sorted by encoding and names no encoding twice", () => {
    const wrong = sysRegs.filter((reg, i) => {
      const before = sysRegs[i - 1];
      return before !== undefined && packEncoding(before.encoding) >= packEncoding(reg.encoding);
    });
    assert.deepEqual(wrong.map(describeRow), []);
  });

  it("names no register twice, in any case of letters", () => {
    const names = sysRegs.map((reg) => reg.name.toLowerCase());
    assert.deepEqual(
      names.filter((name, i) => names.indexOf(name) !== i),
      [],
    );
  });

  it("has encodings that fit their fields", () => {
    const counts = [4, 8, 16, 16, 8];
    const wrong = sysRegs.filter((reg) => reg.encoding.some((part, i) => part < 0 || part >= (counts[i] ?? 0)));
    assert.deepEqual(wrong.map(describeRow), []);
  });

  it("spells names that are encodings as their encoding is", () => {
    const wrong = sysRegs.filter((reg) => /^S\d_/.test(reg.name) && reg.name !== formatEncoding(reg.encoding));
    assert.deepEqual(wrong.map(describeRow), []);
  });

  for (const kernel of kernels) {
    it(`has every register that Linux ${kernel} can list, by the same id and name`, () => {
      const missing = listed(kernel)
        .filter(({ id, name }) => {
          const reg = sysRegById(id);
          return reg?.name !== name || !reg.kernels.includes(kernel);
        })
        .map(({ id, name }) => pasteable(name, id, kernel));
      assert.deepEqual(missing, [], `lib/arm64/sysreg-table.ts lacks, or tells otherwise:\n${missing.join("\n")}`);
    });

    it(`says of no other register that Linux ${kernel} lists it`, () => {
      const ids = new Set(listed(kernel).map(({ id }) => id));
      const wrong = sysRegs.filter((reg) => reg.kernels.includes(kernel) && !ids.has(sysRegId(reg)));
      assert.deepEqual(wrong.map(describeRow), []);
    });
  }

  for (const kernel of kernels) {
    for (const [features, conditions] of Object.entries(captured)) {
      it(`lists what a real ${kernel} lists for a vCPU with ${features}`, () => {
        const real = list(`contract/blessed/${kernel}-${features}`)
          .map(({ id }) => id)
          .filter((id) => id >> 16n === 0x6030_0000_0013n);
        const ours = sysRegs
          .filter((reg) => reg.kernels.includes(kernel))
          .filter((reg) => onKernel(reg.when, kernel).every((condition) => conditions.includes(condition)))
          .map((reg) => sysRegId(reg) as bigint);
        assert.deepEqual(ours.toSorted(), real.toSorted());
      });
    }
  }

  it("counts as many registers of a plain vCPU as real kernels list", () => {
    // KVM_GET_REG_LIST: 75 core registers, 7 or 8 firmware registers, the caches, and the rest is the table.
    const plain = (kernel: Kernel) =>
      sysRegs.filter((reg) => reg.kernels.includes(kernel) && onKernel(reg.when, kernel).length === 0).length;
    assert.equal(75 + 7 + plain("6.1") + 3, 242); // 3 caches: the emulated host's own
    assert.equal(75 + 7 + plain("6.12") + 14, 259);
    assert.equal(75 + 8 + plain("7.2") + 14, 257);
  });

  it("counts as many registers of each feature as real kernels list", () => {
    const of = (condition: string, kernel: Kernel) =>
      sysRegs.filter(
        (reg) => reg.kernels.includes(kernel) && (onKernel(reg.when, kernel) as readonly string[]).includes(condition),
      ).length;
    assert.deepEqual(
      kernels.map((kernel) => ["PMU", "PTRAUTH", "MTE", "SVE", "EL2"].map((condition) => of(condition, kernel))),
      [
        [74, 10, 4, 1, 0],
        [74, 10, 4, 1, 0],
        [74, 10, 4, 2, 54],
      ],
    );
  });

  it("asks of a guest what 7.2 asks of a VMM, but for PMMIR_EL1, which kernels before it show to every guest", () => {
    const wrong = sysRegs.filter((reg) => reg.guestWhen !== onKernel(reg.when, "7.2") && reg.name !== "PMMIR_EL1");
    assert.deepEqual(wrong.map(describeRow), []);
    assert.deepEqual(sysRegByName("TCR2_EL1").guestWhen, ["TCRX"]);
    assert.deepEqual(onKernel(sysRegByName("TCR2_EL1").when, "6.12"), []);
  });

  it("gives an access class to the registers that a kernel lists, and to no others", () => {
    const wrong = sysRegs.filter((reg) =>
      reg.kernels.length === 0
        ? reg.access !== "none"
        : reg.kernels.some((kernel) => onKernel<AccessClass>(reg.access, kernel) === "none"),
    );
    assert.deepEqual(wrong.map(describeRow), []);
  });

  it("lets a higher exception level do what a lower one may", () => {
    const wrong = sysRegs.filter((reg) => !allows(reg.el1, reg.el0) || !allows(reg.el2, reg.el1));
    assert.deepEqual(wrong.map(describeRow), []);
  });

  it("lets op1 decide which exception level reaches a register", () => {
    // DDI 0487 C5.1.3: op1 0 to 2 is EL1, 3 is EL0, 4 and 5 are EL2, 6 is EL3.
    const wrong = sysRegs.filter(({ encoding: [, op1], el0, el1, el2 }) => {
      if (op1 === 6) return el2 !== "";
      if (op1 === 4 || op1 === 5) return el1 !== "" || el2 === "";
      return op1 === 3 ? el0 === "" : el0 !== "" || el1 === "";
    });
    assert.deepEqual(wrong.map(describeRow), []);
  });

  it("agrees in the suffix of a name with who may access the register", () => {
    const wrong = sysRegs.filter(({ name, el0, el1 }) => {
      if (/_EL[12]2?$|_EL02$/.test(name) && el0 !== "") return true;
      if (/_EL2$|_EL12$|_EL02$/.test(name) && el1 !== "") return true;
      return name.endsWith("_EL0") && name !== "SP_EL0" && el0 === "";
    });
    assert.deepEqual(wrong.map(describeRow), []);
  });

  it("gives ID registers to the guest to read only", () => {
    const ids: readonly AccessClass[] = ["id", "id32", "raz", "invariant", "impid", "clidr"];
    const wrong = sysRegs.filter(
      (reg) => kernels.some((k) => ids.includes(onKernel(reg.access, k))) && reg.el1 !== "r",
    );
    assert.deepEqual(wrong.map(describeRow), []);
  });

  it("keeps resets and masks within 64 bits", () => {
    const fits = (value: unknown) => typeof value !== "bigint" || (value >= 0n && value >> 64n === 0n);
    const wrong = sysRegs.filter(
      (reg) =>
        !fits(reg.guestWritable) ||
        kernels.some((k) => !fits(onKernel(reg.reset, k)) || !fits(onKernel(reg.userWritable, k))),
    );
    assert.deepEqual(wrong.map(describeRow), []);
  });

  it("only lets a kernel write more of an ID register than the kernel before, but for TME", () => {
    const narrowed = sysRegs.filter((reg) => {
      const [old, mid, now] = kernels.map((kernel) => onKernel(reg.userWritable, kernel)) as [bigint, bigint, bigint];
      return (old & ~mid) !== 0n || (mid & ~now) !== 0n;
    });
    assert.deepEqual(
      narrowed.map((reg) => reg.name),
      ["ID_AA64ISAR0_EL1"],
    );
  });

  it("finds each register by name, by encoding and by id", () => {
    for (const [i, reg] of sysRegs.entries()) {
      assert.equal(sysRegByName(reg.name), reg);
      assert.equal(sysRegByEncoding(packEncoding(reg.encoding)), reg);
      assert.equal(sysRegById(sysRegId(reg)), reg);
      assert.equal(sysRegIndex(reg.name), i);
    }
  });

  it("has no two registers of one id", () => {
    const ids = sysRegs.map(sysRegId);
    assert.equal(new Set(ids).size, ids.length);
  });

  it("knows that the timer ids are swapped", () => {
    const count = sysRegByName("CNTVCT_EL0");
    const compare = sysRegByName("CNTV_CVAL_EL0");
    assert.equal(sysRegId(count) & 0xffffn, BigInt(packEncoding(compare.encoding)));
    assert.equal(sysRegId(compare) & 0xffffn, BigInt(packEncoding(count.encoding)));
    assert.equal(sysRegById(0x6030_0000_0013_df1an), count);
    assert.equal(sysRegById(0x6030_0000_0013_df02n), compare);
  });

  it("puts no other id of the system register space elsewhere than its encoding", () => {
    const moved = sysRegs.filter(
      (reg) =>
        sysRegId(reg) >> 16n === 0x6030_0000_0013n && Number(sysRegId(reg) & 0xffffn) !== packEncoding(reg.encoding),
    );
    assert.deepEqual(
      moved.map((reg) => reg.name),
      ["CNTVCT_EL0", "CNTV_CVAL_EL0"],
    );
  });

  it("knows no register by the encodings of those that KVM has in the core space", () => {
    assert.equal(sysRegByEncoding(packEncoding([3, 0, 4, 0, 0]))?.name, "SPSR_EL1");
    assert.equal(sysRegById(0x6030_0000_0013_c200n), undefined);
    assert.equal(sysRegById(0x6030_0000_0010_0048n)?.name, "SPSR_EL1");
  });
});
