// Captures are files that nobody vouches for.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import type { HostCapture } from "../../lib/capture-format.js";
import { checkCapture, MOST_BYTES, parseCapture } from "../../lib/model/host/capture.js";
import { capturedHost } from "../../lib/model/host/captured.js";
import { openModel } from "../../lib/model/index.js";

const folder = new URL("../../../lib/model/host/captures/", import.meta.url);
const text = readFileSync(new URL("qemu-max-7.2.json", folder), "utf8");
const good: HostCapture = JSON.parse(text);
const parse = (json: string) => parseCapture(new TextEncoder().encode(json));

/** A capture in which the member at a path is another; undefined takes it away. */
function changed(path: readonly (string | number)[], value: unknown): unknown {
  const copy = structuredClone(good) as unknown as Record<string | number, unknown>;
  const last = path.at(-1) as string | number;
  const owner = path.slice(0, -1).reduce((at, key) => at[key] as typeof copy, copy);
  if (value === undefined) delete owner[last];
  else Object.defineProperty(owner, last, { value, enumerable: true, configurable: true });
  return copy;
}

const many = (count: number, one: (n: number) => readonly [string, unknown]) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => one(n)));

describe("a capture of a host", () => {
  it("is taken as it is when it is right", () => {
    assert.deepEqual(checkCapture(good), good);
    assert.deepEqual(parse(text), good);
  });

  // biome-ignore format: table
  const wrong: readonly (readonly [path: readonly (string | number)[], value: unknown, error: RegExp])[] = [
    [["format"], "kvm-arm64 host 2", /^RangeError: host\.format: must be "kvm-arm64 host 1"/],
    [["note"], 7, /^TypeError: host\.note: must be a string, got 7/],
    [["note"], "x".repeat(5000), /^RangeError: host\.note: must be at most 4096 characters/],
    [["kernel", "contract"], "5.10", /^RangeError: host\.kernel\.contract: must be "6\.1" or "6\.12" or "7\.2"/],
    [["kernel"], null, /^TypeError: host\.kernel: must be an object, got null/],
    [["kernel", "contract"], undefined, /^TypeError: host\.kernel\.contract: is missing/],
    [["more"], 1, /^RangeError: host\.more: no such member/],
    [["pageBytes"], 65536, /^RangeError: host\.pageBytes: must be an integer from 4096 to 4096, got 65536/],
    [["capabilities"], [], /^TypeError: host\.capabilities: must be an object, got an array/],
    [["capabilities", "ONE_REG"], "1", /^TypeError: host\.capabilities\.ONE_REG: must be a number/],
    [["capabilities", "NO_SUCH"], 1, /^RangeError: host\.capabilities\.NO_SUCH: no such name here/],
    [["capabilities", "__proto__"], {}, /^RangeError: host\.capabilities\.__proto__: no such name here/],
    [["capabilities", "MAX_VCPUS"], 1e9, /^RangeError: host\.capabilities\.MAX_VCPUS: must be an integer from 1 to 512/],
    [["capabilities", "ARM_VM_IPA_SIZE"], undefined, /^RangeError: host\.capabilities\.ARM_VM_IPA_SIZE: .* from 32 to 52, got 0/],
    [["vectorLengths"], [1, 1], /^RangeError: host\.vectorLengths: must ascend/],
    [["vectorLengths"], [], /^RangeError: host\.combinations\[2\]\.features: has sve/],
    [["vectorLengths"], Array(17).fill(1), /^RangeError: host\.vectorLengths: must have at most 16 items, has 17/],
    [["vectorLengths"], { length: 2 ** 40 }, /^TypeError: host\.vectorLengths: must be an array, got an object/],
    [["guest", "CNTFRQ_EL0"], "0x0", /^RangeError: host\.guest\.CNTFRQ_EL0: must be 1 to/],
    [["guest", "CNTFRQ_EL0"], undefined, /^RangeError: host\.guest\.CNTFRQ_EL0/],
    [["guest", "DCZID_EL0"], "0xf", /^RangeError: host\.guest\.DCZID_EL0: must be 0 to 9/],
    [["hiddenFields"], { "ID_AA64PFR0_EL1.MPAN": 1 }, /^RangeError: host\.hiddenFields\["ID_AA64PFR0_EL1\.MPAN"\]: no such name/],
    [["writableMasks", "CTR_EL0"], "0x1ffffffffffffffff", /^RangeError: host\.writableMasks\.CTR_EL0: must be 0x and at most 16/],
    [["combinations"], [], /^RangeError: host\.combinations\[0\]: must be the vCPU without features/],
    [["combinations"], Array(201).fill({ features: [] }), /^RangeError: host\.combinations: must have at most 200 items/],
    [["combinations", 3, "registers", "ID_AA64PFR0_EL1"], "1", /^RangeError: host\.combinations\[3\]\.registers\.ID_AA64PFR0_EL1: must be 0x/],
    [["combinations", 3, "registers", "ID_AA64PFR0_EL1"], 1, /^TypeError: host\.combinations\[3\]\.registers\.ID_AA64PFR0_EL1: must be a hexadecimal string/],
    [["combinations", 0, "registers", "MIDR_EL1"], null, /^RangeError: host\.combinations\[0\]\.registers\.MIDR_EL1: must be a value/],
    [["combinations", 0, "registers", "MIDR_EL1"], undefined, /^TypeError: host\.combinations\[0\]\.registers\.MIDR_EL1: is missing/],
    [["combinations", 0, "registers", "FPCR"], "0x100000000", /^RangeError: host\.combinations\[0\]\.registers\.FPCR: must be 0x and at most 8/],
    [["combinations", 0, "registers", "X0"], "0x0", /^RangeError: host\.combinations\[0\]\.registers\.X0: no such name/],
    [["combinations", 0, "registers", "constructor"], "0x0", /registers\.constructor: no such name/],
    [["combinations", 0, "registers"], many(1501, (n) => [`x${n}`, "0x0"]), /registers: must have at most 1500 members, has 1501/],
    [["combinations", 1, "features"], ["fast"], /^RangeError: host\.combinations\[1\]\.features\[0\]: must be "power-off" or/],
    [["combinations", 1, "features"], ["ptrauth-address"], /^RangeError: host\.combinations\[1\]\.features: must be made of/],
    [["combinations", 1, "features"], ["sve", "sve"], /^RangeError: host\.combinations\[1\]\.features: must be made of/],
    [["combinations", 2, "features"], ["pmu-v3"], /^RangeError: host\.combinations\[2\]: stands there twice/],
    [["combinations", 1, "mte"], false, /^TypeError: host\.combinations\[1\]\.mte: must be true/],
    [["devices", "vgic-v3", "registers", "DIST_REGS", "x y"], "0x0", /DIST_REGS\["x y"\]: no such name/],
    [["devices", "vgic-v3", "attributes", "ADDR", "ok"], "x".repeat(9000), /ADDR\.ok: must be at most 8192 characters/],
  ];
  for (const [path, value, error] of wrong) {
    it(`is refused with ${path.join(".")} = ${String(JSON.stringify(value)).slice(0, 40)}`, () => {
      const capture = changed(path, value);
      assert.throws(() => checkCapture(capture), error);
      assert.throws(() => openModel({ host: capture as HostCapture }), error);
    });
  }

  it("leaves nothing of itself in the prototypes of objects", () => {
    const polluted = text.replace('"format"', '"__proto__": { "polluted": 1 }, "format"');

    assert.throws(() => parse(polluted), /^RangeError: host\.__proto__: no such member/);
    assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  });

  it("is refused when it is no JSON, no UTF-8, or too large to look at", () => {
    assert.throws(() => parse("{"), /^TypeError: host: is no JSON/);
    assert.throws(() => parse(""), /^TypeError: host: is no JSON/);
    assert.throws(() => parseCapture(Uint8Array.of(0x22, 0xff, 0x22)), /^TypeError: host: is no JSON/);
    assert.throws(() => parse("[".repeat(MOST_BYTES)), /^TypeError: host: is no JSON/);
    assert.throws(() => parseCapture(new Uint8Array(MOST_BYTES + 1)), /^RangeError: host: .* at most 1048576 bytes/);
    assert.throws(() => parse("null"), /^TypeError: host: must be an object, got null/);
  });

  it("takes no longer than its size allows, whatever is in it", () => {
    const names = (length: number) => JSON.stringify(many(30_000, (n) => [`${n}`.padStart(length, "x"), "0x0"]));
    const hostile = [
      `{"combinations":[${"[".repeat(200_000)}${"]".repeat(200_000)}]}`,
      text.replace('"x0"', `"${"9".repeat(900_000)}"`),
      text.replace('"0x0"', `"0x${"0".repeat(900_000)}"`),
      names(20),
      text.replace('"capabilities": {', `"capabilities": ${names(10)}, "other": {`),
    ];
    const started = performance.now();
    for (const one of hostile) assert.throws(() => parse(one), /^(Type|Range)Error: host/);
    assert.ok(performance.now() - started < 5000);
  });

  it("is refused by TypeError or RangeError with a path, or plays, whatever is changed in it", () => {
    // Paths to everything in the capture.
    const paths: (string | number)[][] = [];
    const walk = (value: unknown, path: (string | number)[]): void => {
      if (path.length > 0) paths.push(path);
      if (Array.isArray(value)) for (const [n, one] of value.entries()) walk(one, [...path, n]);
      else if (typeof value === "object" && value !== null)
        for (const [key, one] of Object.entries(value)) walk(one, [...path, key]);
    };
    walk(good, []);
    const values = fc.oneof(
      fc.anything(),
      fc.constantFrom("0x0", "0xffffffffffffffff", "volatile", null, "EINVAL", "ok", -1, 2 ** 31, {}, []),
    );
    fc.assert(
      fc.property(fc.constantFrom(...paths), values, (path, value) => {
        let host: HostCapture;
        try {
          host = checkCapture(changed(path, value));
        } catch (error) {
          assert.ok(error instanceof TypeError || error instanceof RangeError, String(error));
          assert.match(error.message, /^host[.[:]/);
          return;
        }
        assert.ok(capturedHost(host).limit("ID_AA64PFR0_EL1", 0, false) >= 0n);
        const system = openModel({ host, impersonate: true, memoryBytes: 16 << 20 });
        const vm = system.createVm(0n);
        vm.close();
        system.close();
      }),
      { numRuns: 400 },
    );
  });
});

describe("a capture in a file", () => {
  let scratch: string;
  before(() => {
    scratch = mkdtempSync(join(tmpdir(), "kvm-arm64-capture-"));
  });
  after(() => rmSync(scratch, { recursive: true }));

  it("is read by path or by URL, and decides the kernel", () => {
    const file = join(scratch, "host.json");
    writeFileSync(file, text.replace('"contract": "7.2"', '"contract": "6.12"'));
    for (const host of [{ file }, { file: pathToFileURL(file) }]) {
      const vm = openModel({ host, kernel: "6.12" }).createVm(0n);
      // KVM_CAP_ARM_WRITABLE_IMP_ID_REGS is since 7.2.
      assert.equal(vm.checkExtension(239), 0);
      vm.close();
    }
    assert.throws(() => openModel({ host: { file }, kernel: "7.2" }), /RangeError: .*captured on 6\.12/);
  });

  it("is refused when it is no regular file, or too large, before it is read", () => {
    const file = join(scratch, "large.json");
    writeFileSync(file, "");
    truncateSync(file, 2 ** 40);
    assert.throws(() => openModel({ host: { file } }), /RangeError: model\.host\.file: .* at most 1048576 bytes/);
    assert.throws(() => openModel({ host: { file: "/dev/zero" } }), /TypeError: .* is no regular file/);
    assert.throws(() => openModel({ host: { file: scratch } }), /TypeError: .* is no regular file/);
    assert.throws(() => openModel({ host: { file: join(scratch, "none") } }), /ENOENT/);
    assert.throws(
      () => openModel({ host: { file: 7 } as unknown as { file: string } }),
      /TypeError: model\.host\.file/,
    );
  });

  it("may change afterwards: the VM's other threads play the host as it was", () => {
    const file = join(scratch, "changing.json");
    writeFileSync(file, text);
    const vm = openModel({ host: { file }, impersonate: true }).createVm(0n);
    const handle = structuredClone(vm.handle());
    writeFileSync(file, "no longer a capture");

    const again = openModel().attachVm(handle);
    assert.equal(again.checkExtension(165), 52); // KVM_CAP_ARM_VM_IPA_SIZE
    again.close();
    vm.close();
  });
});
