// The model's seam given what no VMM should give it: it refuses in words, and nothing breaks.

import assert from "node:assert/strict";
import { once } from "node:events";
import { inspect } from "node:util";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { pc, x } from "../../lib/arm64/registers.js";
import { type Kernel, kernels } from "../../lib/arm64/sysreg-row.js";
import type { SystemFd } from "../../lib/backend.js";
import { seam } from "../../lib/model/seam.js";
import { KVM_EXIT } from "../../lib/uapi/constants.js";
import { errno } from "../../lib/uapi/errno.js";
import { pack, run, structs } from "../../lib/uapi/structs.js";
import { skip } from "../skip.js";
import { addImmediate, spin } from "../support/assemble.js";
import { finish } from "../support/guest.js";
import { answer } from "../support/refusal.js";
import {
  AT,
  type Descriptor,
  goodArguments,
  MAPPING_BYTES,
  makeSeamSubject,
  type SeamSubject,
} from "./seam-subject.js";

const NO_DEVICE = "the model's host has no vGICv3";

type Verb = (...args: readonly unknown[]) => unknown;

const descriptors = Object.keys(goodArguments) as Descriptor[];
const checksOf = (
  descriptor: Descriptor,
): Readonly<Record<string, readonly (readonly [name: string, ...unknown[]])[]>> => seam[descriptor];
const verbOf = (subject: SeamSubject, descriptor: Descriptor, name: string): Verb => {
  const fd = subject[descriptor] as unknown as Record<string, Verb>;
  return (fd[name] as Verb).bind(fd);
};
const verbsOf = (fd: object): string[] =>
  Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(fd)))
    .filter(([name, { value }]) => name !== "constructor" && typeof value === "function")
    .map(([name]) => name)
    .sort();

/** Wrong for a number, a bigint, bytes or an object, whichever is wanted. */
const wrongFor = (good: unknown): readonly unknown[] => {
  const nothings = [undefined, null, "1", Symbol.iterator, true, () => {}];
  if (typeof good === "number")
    return [...nothings, 1n, {}, Number.NaN, 0.5, Number.POSITIVE_INFINITY, -(2 ** 40), 2 ** 60];
  if (typeof good === "bigint") return [...nothings, 1, {}, -1n, 2n ** 64n, 2n ** 200n];
  const objects = [...nothings, 1, 1n];
  if (good instanceof Uint8Array)
    return [...objects, {}, [1], new Uint16Array(good.length), new ArrayBuffer(8), new DataView(new ArrayBuffer(8))];
  if (ArrayBuffer.isView(good)) return [...objects, {}, [1n], new Uint8Array(8)];
  return [...objects];
};
/** Where null is a value: attributes without bytes, deletion of a slot, no signal mask. */
const nullIsGood = (name: string, argument: string): boolean =>
  ["value", "mapping", "sigset"].includes(argument) && name !== "getOneReg" && name !== "setOneReg";

function detached(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}

/** What a call came to: "OK", an errno's name, or the class of a slip; other errors are thrown. */
function outcome(call: () => unknown): string {
  try {
    return answer(call);
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) {
      // V8's own words are no answer.
      assert.doesNotMatch(
        error.message,
        /Cannot |undefined is not|is not (iterable|a function)|Invalid|outside the bounds|mix BigInt/,
      );
      return error.constructor.name;
    }
    throw error;
  }
}

/** A new VM of the system counts to 1 and exits: nothing that was shared is broken. */
function assertAlive(system: SystemFd): void {
  const vm = system.createVm(0n);
  const mapping = vm.map({ kind: "anonymous", bytes: 4096 });
  new Uint32Array(mapping.buffer, mapping.offset, 1024).set([addImmediate(0, 0, 1), ...finish]);
  vm.setUserMemoryRegion(0, 0, AT, 4096n, mapping, 0n);
  const vcpu = vm.createVcpu(0);
  vcpu.armVcpuInit(pack(structs.kvm_vcpu_init, { target: 5 }));
  const value = new Uint8Array(8);
  new DataView(value.buffer).setBigUint64(0, AT, true);
  vcpu.setOneReg(pc, value);
  assert.equal(vcpu.runSync(), 0);
  const page = new DataView(vcpu.runPage.buffer, vcpu.runPage.byteOffset);
  assert.equal(page.getUint32(run.exit_reason, true), KVM_EXIT.MMIO);
  vcpu.getOneReg(x(0), value);
  assert.equal(value[0], 1);
  vcpu.close();
  mapping.close();
  vm.close();
}

for (const kernel of kernels) {
  describe(`the seam of the model [model-${kernel}]`, () => {
    for (const descriptor of descriptors) {
      it(`every verb of ${descriptor} has good arguments, and a check of each`, function () {
        const subject = makeSeamSubject(kernel);
        const fd = subject[descriptor] ?? skip(this, NO_DEVICE);
        assert.deepEqual(verbsOf(fd), Object.keys(goodArguments[descriptor]).sort());
        for (const [name, good] of Object.entries(goodArguments[descriptor])) {
          assert.equal(checksOf(descriptor)[name]?.length ?? 0, good(subject).length, name);
        }
      });

      for (const [name, takes] of Object.entries(checksOf(descriptor))) {
        for (const [i, [argument]] of takes.entries()) {
          it(`${descriptor}.${name} with a wrong ${argument} says so`, function () {
            if (makeSeamSubject(kernel)[descriptor] === undefined) skip(this, NO_DEVICE);
            wrongArgument(kernel, descriptor, name, i);
          });
        }
      }
    }

    it("a mapping of another VM, or one that is closed, is refused", () => {
      const [one, other] = [makeSeamSubject(kernel), makeSeamSubject(kernel)];
      const set = (mapping: unknown) => () =>
        one.vm.setUserMemoryRegion(9, 0, 0x9000_0000n, 4096n, mapping as never, 0n);
      assert.equal(outcome(set(other.mapping)), "TypeError");
      assert.equal(outcome(set({ buffer: other.mapping.buffer, offset: 0, bytes: 4096, close() {} })), "TypeError");
      const closed = one.vm.map({ kind: "anonymous", bytes: 4096 });
      closed.close();
      closed.close();
      assert.equal(outcome(set(closed)), "EBADF");
    });

    it("handles that were made up, or of another kind, are refused", () => {
      const { system, vm, vcpu } = makeSeamSubject(kernel);
      const { memory } = vm.handle();
      for (const handle of [
        {},
        { backend: "model" },
        { ...vm.handle(), memory: {} },
        { ...vm.handle(), id: -1 },
        { ...vm.handle(), kind: "other" },
        { ...vm.handle(), options: null },
        { ...vm.handle(), eventFds: 1 },
        { backend: "model", kind: "vm", memory },
      ]) {
        assert.ok(
          ["TypeError", "RangeError", "ENOENT", "OK"].includes(outcome(() => system.attachVm(handle as never))),
          JSON.stringify(handle),
        );
      }
      assert.equal(
        outcome(() => system.attachVm(vcpu.handle())),
        "TypeError",
      );
      assert.equal(
        outcome(() => system.attachVcpu(vm.handle())),
        "TypeError",
      );
      for (const id of [-1, 1.5, 512, 2 ** 40, "0", null]) {
        assert.notEqual(
          outcome(() => system.attachVcpu({ ...vcpu.handle(), id } as never)),
          "OK",
          String(id),
        );
      }
      assertAlive(system);
    });

    it("closed, every descriptor says EBADF, and closing again does nothing", async () => {
      const subject = makeSeamSubject(kernel);
      const there = descriptors.filter((descriptor) => subject[descriptor] !== undefined);
      const calls = there.flatMap((descriptor) =>
        Object.entries(goodArguments[descriptor])
          .filter(([name]) => !["close", "wait", "run", "runSync"].includes(name))
          .map(([name, good]) => ({
            what: `${descriptor}.${name}`,
            verb: verbOf(subject, descriptor, name),
            args: good(subject),
          })),
      );
      for (const descriptor of ["event", "device", "vcpu", "vm", "system"] as const) {
        subject[descriptor]?.close();
        subject[descriptor]?.close();
      }
      for (const { what, verb, args } of calls)
        assert.equal(
          outcome(() => verb(...args)),
          "EBADF",
          what,
        );
      assert.equal(
        outcome(() => subject.vcpu.runSync()),
        "EBADF",
      );
      await assert.rejects(subject.vcpu.run(), { errno: errno("EBADF") });
      assert.equal(await subject.event.wait(), false);
    });

    it("of a VM that a failed first run killed, everything says EIO, and can be closed", function () {
      const subject = makeSeamSubject(kernel);
      if (subject.device === undefined) skip(this, NO_DEVICE);
      const refused = subject.vcpu.runSync();
      assert.ok(refused === errno("ENXIO") || refused === errno("EBUSY"), `${refused}`);
      for (const descriptor of ["vm", "vcpu", "device"] as const) {
        for (const [name, good] of Object.entries(goodArguments[descriptor])) {
          // mmap is no ioctl.
          if (["close", "wait", "run", "runSync", "handle", "kick", "map", "dirtyRing"].includes(name)) continue;
          const given = good(subject);
          const said = outcome(() => verbOf(subject, descriptor, name)(...given));
          // Lists of registers say it as an errno of the first register.
          const list = name === "getRegs" || name === "setRegs";
          assert.equal(said, list ? "OK" : "EIO", `${descriptor}.${name}`);
          if (list) assert.equal((given[2] as Int32Array)[0], errno("EIO"), `${descriptor}.${name}`);
        }
      }
      for (const descriptor of ["device", "vcpu", "vm"] as const) subject[descriptor]?.close();
      assertAlive(subject.system);
    });

    it("a vCPU that runs says EBUSY to every verb but kick, and its VM goes on answering", async () => {
      const { subject, vcpu } = makeSpinner(kernel);
      const running = vcpu.run();
      for (const [name, good] of Object.entries(goodArguments.vcpu)) {
        if (["kick", "handle", "run", "readStats"].includes(name)) continue;
        assert.equal(
          outcome(() => (vcpu as unknown as Record<string, Verb>)[name]?.(...good({ ...subject, vcpu }))),
          "EBUSY",
          name,
        );
      }
      await assert.rejects(vcpu.run(), { errno: errno("EBUSY") });
      for (const [name, good] of Object.entries(goodArguments.vm)) {
        if (name === "close") continue;
        outcome(() => verbOf(subject, "vm", name)(...good(subject)));
      }
      vcpu.kick();
      assert.equal(await running, errno("EINTR"));
      assertAlive(subject.system);
    });

    it("a vCPU that runs in another thread says EBUSY too, and a kick ends it", async () => {
      const { subject, vcpu } = makeSpinner(kernel);
      const worker = new Worker(new URL("./seam-worker.js", import.meta.url), {
        workerData: { handle: vcpu.handle(), kernel },
      });
      await once(worker, "message");
      while (answer(() => vcpu.getMpState()) !== "EBUSY") await new Promise((resolve) => setTimeout(resolve, 5));
      for (const [name, good] of Object.entries(goodArguments.vcpu)) {
        if (["kick", "handle", "run", "readStats"].includes(name)) continue;
        assert.equal(
          outcome(() => (vcpu as unknown as Record<string, Verb>)[name]?.(...good({ ...subject, vcpu }))),
          "EBUSY",
          name,
        );
      }
      const ended = once(worker, "message");
      vcpu.kick();
      assert.deepEqual(await ended, [errno("EINTR")]);
      await worker.terminate();
      assertAlive(subject.system);
    });

    it("verbs in any order with any values refuse, and neither break other VMs nor memory that is not theirs", () => {
      const victim = makeSeamSubject(kernel);
      new Uint8Array(victim.mapping.buffer, victim.mapping.offset, MAPPING_BYTES).fill(0x5a);
      fc.assert(
        fc.property(fc.array(anyCall, { minLength: 1, maxLength: 30 }), (calls) => {
          const subject = { ...makeSeamSubject(kernel), system: victim.system };
          for (const { descriptor, name, values } of calls) {
            if (subject[descriptor] === undefined) continue;
            const good = goodArguments[descriptor][name] as (subject: SeamSubject) => unknown[];
            const args = good(subject).map((value, i) => odd(value, values[i] as Odd));
            outcome(() => verbOf(subject, descriptor, name)(...args));
          }
          subject.vcpu.close();
          subject.vm.close();
        }),
        { numRuns: 60 },
      );
      const kept = new Uint8Array(victim.mapping.buffer, victim.mapping.offset, MAPPING_BYTES);
      assert.ok(kept.every((byte) => byte === 0x5a));
      assertAlive(victim.system);
    });
  });
}

function wrongArgument(kernel: Kernel, descriptor: Descriptor, name: string, i: number): void {
  const subject = makeSeamSubject(kernel);
  const good = (goodArguments[descriptor][name] as (subject: SeamSubject) => unknown[])(subject);
  const argument = checksOf(descriptor)[name]?.[i]?.[0] ?? "";
  const wrong = [
    ...wrongFor(good[i]),
    ...(needsBytes(name, argument) && good[i] instanceof Uint8Array ? [detached((good[i] as Uint8Array).length)] : []),
  ];
  for (const value of wrong) {
    if (value === null && nullIsGood(name, argument)) continue;
    const call = () => verbOf(subject, descriptor, name)(...good.with(i, value));
    assert.throws(
      call,
      (error: Error) => (error instanceof TypeError || error instanceof RangeError) && error.message.includes(argument),
      `${name}: ${argument} = ${inspect(value)}`,
    );
  }
  assertAlive(subject.system);
}

/** Bytes that may be too few for nobody: where none would be asked for. */
const needsBytes = (name: string, argument: string): boolean =>
  !["readStats", "setSignalMask"].includes(name) && argument !== "value"
    ? true
    : ["getOneReg", "setOneReg"].includes(name);

/** A vCPU in a VM without a GIC that goes round in circles. */
function makeSpinner(kernel: Kernel) {
  const subject = makeSeamSubject(kernel);
  const vm = subject.system.createVm(0n);
  const mapping = vm.map({ kind: "anonymous", bytes: 4096 });
  new Uint32Array(mapping.buffer, mapping.offset, 1).set([spin]);
  vm.setUserMemoryRegion(0, 0, AT, 4096n, mapping, 0n);
  const vcpu = vm.createVcpu(0);
  vcpu.armVcpuInit(pack(structs.kvm_vcpu_init, { target: 5 }));
  const value = new Uint8Array(8);
  new DataView(value.buffer).setBigUint64(0, AT, true);
  vcpu.setOneReg(pc, value);
  return { subject: { ...subject, vm, mapping }, vcpu };
}

interface Odd {
  readonly keep: boolean;
  readonly number: number;
  readonly word: bigint;
  readonly bytes: Uint8Array;
  readonly sameLength: boolean;
}
const anyOdd: fc.Arbitrary<Odd> = fc.record({
  keep: fc.boolean(),
  number: fc.oneof(fc.nat(64), fc.integer({ min: 0, max: 0xffff_ffff }), fc.constantFrom(2 ** 31, 0xffff_ffff, 4096)),
  word: fc.oneof(
    fc.bigInt(0n, 64n),
    fc.bigInt(0n, 2n ** 64n - 1n),
    fc.constantFrom(2n ** 63n, 2n ** 64n - 1n, 2n ** 32n, AT),
  ),
  bytes: fc.uint8Array({ maxLength: 600 }),
  sameLength: fc.boolean(),
});
const anyCall = fc
  .constantFrom(
    ...(["vm", "vcpu", "device", "event"] as const).flatMap((descriptor) =>
      Object.keys(goodArguments[descriptor])
        .filter((name) => !["close", "wait", "run", "runSync"].includes(name))
        .map((name) => ({ descriptor, name })),
    ),
  )
  .chain(({ descriptor, name }) =>
    fc.array(anyOdd, { minLength: 8, maxLength: 8 }).map((values) => ({ descriptor, name, values })),
  );

/** A value of the same kind that is odd. */
function odd(good: unknown, { keep, number, word, bytes, sameLength }: Odd): unknown {
  if (keep) return good;
  if (typeof good === "number") return number;
  if (typeof good === "bigint") return word;
  if (!(good instanceof Uint8Array)) return good;
  if (!sameLength) return bytes;
  const same = new Uint8Array(new SharedArrayBuffer(good.length));
  same.set(bytes.subarray(0, good.length));
  return same;
}
