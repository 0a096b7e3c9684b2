import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { mov64, store } from "../support/assemble.js";
import type { Sequence } from "./op.js";
import { type Expectation, printedTest } from "./printed-test.js";

const project = fileURLToPath(new URL("../../../", import.meta.url));

const words = (...code: number[]) => new Uint8Array(Uint32Array.from(code).buffer);

/** Every kind of value, and a guest that stores to where nothing is. */
const sequence: Sequence = [
  { verb: "kvm.createVm", on: "kvm", args: [0n], makes: "vm0" },
  { verb: "kvm.eventfd", on: "kvm", args: [0], makes: "eventfd1" },
  { verb: "vm.irqfd", on: "vm0", args: [{ bytes: new Uint8Array(32), fds: [[0, "eventfd1"]] }] },
  { verb: "vm.map", on: "vm0", args: [0x1_0000], makes: "map2" },
  { verb: "vm.setUserMemoryRegion", on: "vm0", args: [0, 0, 0x4000_0000n, 0x1_0000n, { ref: "map2" }, 0n] },
  { verb: "vm.createVcpu", on: "vm0", args: [0], makes: "cpu3" },
  { verb: "cpu.armVcpuInit", on: "cpu3", args: [Uint8Array.from({ length: 32 }, (_, n) => (n === 0 ? 5 : 0))] },
  { verb: "cpu.setDeviceAttr", on: "cpu3", args: [1, 0n, null] },
  { verb: "cpu.launch", on: "cpu3", args: [words(...mov64(2, 0x0900_0000n), store(4, 1, 2)), new Uint8Array(64)] },
];

const launched: Expectation = {
  what: "run",
  reference: "at 32: 0000000900000000",
  subject: "at 32: 00",
  kernel: "6.12",
};

const config = ts.readConfigFile(join(project, "tsconfig.json"), ts.sys.readFile).config as { compilerOptions: object };
const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, project);
const name = `printed-${process.pid}`;

/** What the compiler has against a printed test, in the folder that it is meant for. */
function complaintsAbout(text: string): string[] {
  const path = join(project, `test/differential/${name}.test.ts`);
  writeFileSync(path, text);
  try {
    const program = ts.createProgram([path], { ...options, noEmit: true, incremental: false });
    return program
      .getSemanticDiagnostics(program.getSourceFile(path))
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
  } finally {
    rmSync(path);
  }
}

function run(text: string): { output: string; status: number | null } {
  const path = join(project, `dist/test/differential/${name}.js`);
  const compilerOptions = { ...options, module: ts.ModuleKind.ESNext };
  writeFileSync(path, ts.transpileModule(text, { compilerOptions }).outputText);
  try {
    const mocha = [join(project, "node_modules/mocha/bin/mocha.js"), "--no-config", path];
    const { stdout, stderr, status } = spawnSync(process.execPath, mocha, { encoding: "utf8" });
    return { output: stdout + stderr, status };
  } finally {
    rmSync(path);
  }
}

describe("printed tests", () => {
  it("compile as they are, and pass where the kernel's answer is given", function () {
    this.timeout(120_000);
    const text = printedTest(sequence, launched);
    assert.deepEqual(complaintsAbout(text), []);
    const { output, status } = run(text);
    assert.equal(status, 0, output);
    assert.match(output, /1 passing/);
  });

  it("fail where another answer is given: bytes, registers, errnos", function () {
    this.timeout(120_000);
    const wrong = { ...launched, reference: "at 32: 0100000900000000" };
    const register = { ...launched, what: "registers", reference: "x2 0x0000000009000001" };
    const answer = { ...launched, what: "answer", reference: "EINVAL" };
    for (const expectation of [wrong, register, answer]) {
      const { output, status } = run(printedTest(sequence, expectation));
      assert.equal(status, 1, output);
      assert.match(output, /AssertionError/);
    }
  });
});
