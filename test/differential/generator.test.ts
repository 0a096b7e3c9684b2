import assert from "node:assert/strict";
import type { VcpuFd, VmFd } from "../../lib/backend.js";
import { openModel } from "../../lib/model/index.js";
import { factsOf } from "./facts.js";
import { makeSequence } from "./generate/sequences.js";
import { FINISH, FINISH_BYTES, image } from "./guest-layout.js";
import { fromJson, isRef, isWithFds, type Sequence, toJson } from "./op.js";
import { Random } from "./random.js";
import { runVerbs, verbs } from "./verbs.js";

const SEQUENCES = 60;

describe("generator of differential sequences", () => {
  const facts = factsOf(openModel({ kernel: "6.12", memoryBytes: 64 << 20 }), "6.12");
  const sequences: Sequence[] = Array.from({ length: SEQUENCES }, (_, number) => makeSequence(7, number, facts));

  it("gives the same sequence for the same seed and number", () => {
    assert.deepEqual(makeSequence(7, 3, facts), sequences[3]);
    assert.notDeepEqual(makeSequence(8, 3, facts), sequences[3]);
  });

  it("makes sequences that survive JSON", () => {
    for (const sequence of sequences) assert.deepEqual(fromJson(toJson(sequence)), sequence);
  });

  it("uses only verbs that there are, and names only what an earlier op makes", () => {
    for (const sequence of sequences) {
      const made = new Set(["kvm"]);
      for (const { verb, on, args, makes } of sequence) {
        assert.ok(verb in verbs || runVerbs.includes(verb as never), verb);
        assert.ok(made.has(on), `${verb} on ${on}`);
        for (const value of args) {
          if (isRef(value)) assert.ok(made.has(value.ref), value.ref);
          if (value !== null && isWithFds(value)) for (const [, name] of value.fds) assert.ok(made.has(name), name);
        }
        if (makes !== undefined) made.add(makes);
      }
    }
  });

  it("puts no memory and no device where guests end", () => {
    for (const { verb, args } of sequences.flat()) {
      if (!verb.startsWith("vm.setUserMemoryRegion")) continue;
      const [, , at, bytes] = args as [number, number, bigint, bigint];
      assert.ok(at >= FINISH + FINISH_BYTES || at + bytes <= FINISH, `a slot at 0x${at.toString(16)}`);
    }
  });

  it("has a verb for every method of the seam", () => {
    const vm = openModel({}).createVm(0n);
    const methods = (object: VmFd | VcpuFd) =>
      Object.getOwnPropertyNames(Object.getPrototypeOf(object)).filter(
        (name) => typeof (object as never)[name] === "function",
      );
    // What identifies an object is behind attach; runs are made by running.ts; setRegs is how a guest is launched.
    const behind = ["constructor", "handle", "run", "runSync", "setRegs"];
    for (const name of methods(vm)) if (!behind.includes(name)) assert.ok(`vm.${name}` in verbs, `vm.${name}`);
    for (const name of methods(vm.createVcpu(0)))
      if (!behind.includes(name)) assert.ok(`cpu.${name}` in verbs, `cpu.${name}`);
  });

  it("reads and writes every register of the host in the sequences of 50,000 calls, whatever the seed", () => {
    const [read, written] = [new Set<bigint>(), new Set<bigint>()];
    for (let number = 0; number < 250; number++) {
      for (const { verb, args } of makeSequence(9, number, facts)) {
        if (verb === "cpu.getOneReg") read.add(args[0] as bigint);
        if (verb === "cpu.setOneReg" || verb === "cpu.alterReg") written.add(args[0] as bigint);
      }
    }
    for (const id of facts.registers) assert.ok(read.has(id) && written.has(id), id.toString(16));
  });

  it("lets every program end in a store to where guests end", () => {
    const bytes = image(Uint8Array.of(0x1f, 0x20, 0x03, 0xd5));
    const words = new Uint32Array(bytes.buffer);
    assert.equal(words[0], 0xd503_201f);
    assert.notEqual(words[1], 0, "the ending is right behind the code");
    for (let vector = 0; vector < 16; vector++) assert.notEqual(words[(0x800 + 0x80 * vector) / 4], 0);
  });
});

describe("random numbers of the differential tests", () => {
  it("are the same on every machine", () => {
    const random = new Random(1, 2);
    assert.deepEqual([random.word(), random.word(), random.word()], [new Random(1, 2).word(), ...skip(1, 2, 1, 2)]);
    assert.notEqual(new Random(1, 2).word(), new Random(1, 3).word());
  });

  it("choose by weight", () => {
    const random = new Random(5);
    const counts = { a: 0, b: 0 };
    for (let n = 0; n < 4000; n++) counts[random.weighted({ a: 3, b: 1 })]++;
    assert.ok(counts.a > 2700 && counts.a < 3300, String(counts.a));
  });
});

/** The numbers of a generator from the one at `from`. */
function skip(seed: number, stream: number, from: number, count: number): number[] {
  const random = new Random(seed, stream);
  for (let n = 0; n < from; n++) random.word();
  return Array.from({ length: count }, () => random.word());
}
