import assert from "node:assert/strict";
import type { SystemFd, VmFd } from "../../lib/backend.js";
import { Refused } from "../../lib/errors.js";
import { openModel } from "../../lib/model/index.js";
import { type Difference, judgeAnswers } from "./compare.js";
import { Coverage } from "./coverage.js";
import { factsOf } from "./facts.js";
import { makeSequence } from "./generate/sequences.js";
import type { Op, Sequence } from "./op.js";
import { judge, promises } from "./promised.js";
import { referenceOf } from "./reference.js";
import { shrink } from "./shrink.js";

const model = (): SystemFd => openModel({ kernel: "6.12", memoryBytes: 64 << 20 });

/** A model whose VMs have some methods replaced. */
function planted(change: (vm: VmFd) => Partial<VmFd>): SystemFd {
  const system = model();
  return new Proxy(system, {
    get(target, name) {
      if (name === "createVm") {
        return (type: bigint) => {
          const vm = target.createVm(type);
          const changed = change(vm);
          return new Proxy(vm, {
            get: (inner, member) => {
              const value = (changed as Record<PropertyKey, unknown>)[member] ?? (inner as never)[member];
              return typeof value === "function" ? value.bind(inner) : value;
            },
          });
        };
      }
      const value = (target as never)[name];
      return typeof value === "function" ? (value as () => unknown).bind(target) : value;
    },
  });
}

interface Sides {
  readonly reference: SystemFd;
  readonly subject: SystemFd;
}

async function runSequence({ reference, subject }: Sides, sequence: Sequence): Promise<Difference | null> {
  const right = referenceOf(reference);
  const verdict = await judgeAnswers(right, subject, sequence, await right.ask(sequence, null));
  assert.equal(verdict.unsteady, null);
  return verdict.difference;
}

describe("comparison of two backends", () => {
  const facts = factsOf(model(), "6.12");

  it("finds no difference between the model and itself", async function () {
    this.timeout(60_000);
    const sides: Sides = { reference: model(), subject: model() };
    for (let number = 0; number < 12; number++) {
      const difference = await runSequence(sides, makeSequence(11, number, facts));
      assert.equal(
        difference,
        null,
        `sequence ${number}: ${JSON.stringify(difference, (_, v) => (typeof v === "bigint" ? String(v) : v))}`,
      );
    }
  });

  it("finds a planted difference, and shrinks it to what it takes", async function () {
    this.timeout(60_000);
    // The second slot of a VM is refused when it is read-only.
    const subject = planted((vm) => {
      let slots = 0;
      return {
        setUserMemoryRegion: (...args: Parameters<VmFd["setUserMemoryRegion"]>) => {
          if (slots > 0 && (args[1] & 2) !== 0) throw new Refused("EXDEV", "KVM_SET_USER_MEMORY_REGION");
          vm.setUserMemoryRegion(...args);
          slots++;
        },
      };
    });
    const sides: Sides = { reference: model(), subject };
    const fails = async (sequence: Sequence) => (await runSequence(sides, sequence))?.subject === "EXDEV";
    let failing: Sequence | undefined;
    for (let number = 0; number < 60 && failing === undefined; number++) {
      const sequence = makeSequence(3, number, facts);
      if (await fails(sequence)) failing = sequence;
    }
    assert.ok(failing);
    const shortest = await shrink(failing, fails, { most: 2000 });
    assert.deepEqual(
      shortest.map(({ verb }) => verb),
      // One mapping may serve both slots; which one it is, is not the shrinker's to change.
      [
        "kvm.createVm",
        "vm.map",
        "vm.setUserMemoryRegion",
        ...(shortest.length > 4 ? ["vm.map"] : []),
        "vm.setUserMemoryRegion",
      ],
    );
    assert.equal(shortest.at(-1)?.args[1], 2);
    const difference = await runSequence(sides, shortest);
    assert.deepEqual([difference?.at, difference?.what, difference?.subject], [shortest.length - 1, "answer", "EXDEV"]);
  });

  it("sees a difference in the bytes that a verb writes", async () => {
    const subject = planted((vm) => ({
      armPreferredTarget: (init: Uint8Array) => {
        vm.armPreferredTarget(init);
        init[5] = 1;
      },
    }));
    const sequence: Sequence = [
      { verb: "kvm.createVm", on: "kvm", args: [0n], makes: "vm0" },
      { verb: "vm.armPreferredTarget", on: "vm0", args: [] },
    ];
    const difference = await runSequence({ reference: model(), subject }, sequence);
    assert.deepEqual([difference?.at, difference?.what], [1, "bytes"]);
  });

  it("passes over ops on what was never made", async () => {
    const orphan: Op = { verb: "cpu.getMpState", on: "cpu9", args: [] };
    assert.equal(await runSequence({ reference: model(), subject: model() }, [orphan]), null);
  });
});

describe("shrinking", () => {
  it("keeps what the failure takes, in its order", async () => {
    const op = (verb: string, value: number): Op => ({ verb, on: "kvm", args: [value] });
    const sequence = Array.from({ length: 100 }, (_, n) => op(`v${n}`, n));
    const fails = (candidate: Sequence) => {
      const verbs = candidate.map(({ verb }) => verb);
      return verbs.includes("v20") && verbs.indexOf("v77") > verbs.indexOf("v20");
    };
    assert.deepEqual(await shrink(sequence, fails, { most: 5000 }), [op("v20", 0), op("v77", 0)]);
  });

  it("asks no more often than it may", async () => {
    let asked = 0;
    const sequence: Sequence = Array.from({ length: 50 }, () => ({ verb: "v", on: "kvm", args: [] }));
    await shrink(sequence, () => ++asked < 0, { most: 10 });
    assert.equal(asked, 10);
  });
});

describe("coverage of a differential run", () => {
  const facts = factsOf(model(), "6.12");

  it("counts ioctls, errnos and registers", () => {
    const coverage = new Coverage();
    const fine = { threw: null, value: 0, parts: [] };
    coverage.take({ verb: "cpu.setOneReg", on: "cpu1", args: [0x6030_0000_0010_0000n, new Uint8Array(8)] }, fine);
    coverage.take({ verb: "vm.createVcpu", on: "vm0", args: [1] }, { ...fine, threw: "EEXIST" });
    assert.deepEqual(coverage.counts(), {
      KVM_SET_ONE_REG: 1,
      "set 0x6030000000100000": 1,
      "KVM_CREATE_VCPU EEXIST": 1,
    });
  });

  it("misses everything in an empty run", () => {
    for (const { title, missing } of judge(facts, {})) assert.notEqual(missing.length, 0, title);
  });

  it("promises nothing twice", () => {
    const pairs = promises.flatMap(({ call, errnos }) => errnos.map((name) => `${call} ${name}`));
    assert.equal(new Set(pairs).size, pairs.length);
  });
});
