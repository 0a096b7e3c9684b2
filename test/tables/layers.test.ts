import assert from "node:assert/strict";
import { breaches, importsOf, layerOf, layers } from "../../scripts/check-layers.js";

const breach = (path: string, text: string): string[] => breaches([{ path, text }]);

describe("the layers of lib/", () => {
  it("are each stated once and with a reason", () => {
    assert.equal(new Set(layers.map(({ of }) => of)).size, layers.length);
    for (const { why } of layers) assert.ok(why.length > 0);
  });

  it("hold the file that fits best", () => {
    assert.equal(layerOf("model/a64/insn.ts").of, "model/a64/");
    assert.equal(layerOf("model/index.ts").of, "model/");
    assert.equal(layerOf("kvm.ts").of, "kvm.ts");
    assert.equal(layerOf("vcpu.ts").of, "");
  });

  it("see every form of import, and none in comments", () => {
    const text = `
      import { a,
        b } from "./1.js";
      import type { T } from "./2.js";
      import "./3.js";
      export * from "./4.js";
      export type { U } from "./5.js";
      // import { c } from "./no.js";
      /* import "./no.js"; */
      const url = "http://x";
      import x from "./6.js";
      const m = await import("./7.js");
      const r = require("./8.js");
      let t: typeof import("./9.js");
      export const from = "./no.js";
    `;
    assert.deepEqual(
      importsOf(text).map(({ target, kind }) => `${target} ${kind}`),
      [
        ...["./1.js value", "./2.js type", "./3.js value", "./4.js value", "./5.js type", "./6.js value"],
        ...["./7.js lazy", "./8.js lazy", "./9.js type"],
      ],
    );
  });

  for (const [path, text] of [
    ["arm64/core.ts", 'import { errno } from "../uapi/errno.js";'],
    ["uapi/errno.ts", 'import { x } from "../arm64/index.js";'],
    ["uapi/errno.ts", 'import { x } from "node:os";'],
    ["model/vm.ts", 'import { openNative } from "../native.js";'],
    ["model/vm.ts", 'import type { Vm } from "../vm.js";'],
    ["model/vm.ts", 'const { spawn } = await import("node:child_process");'],
    ["model/a64/add.ts", 'import type { CpuState } from "../cpu/state.js";'],
    ["model/a64/add.ts", 'import { x } from "../engine/evaluator.js";'],
    ["vcpu.ts", 'import { openModel } from "./model/index.js";'],
    ["vcpu.ts", 'import type { Kvm } from "./kvm.js";'],
    ["native.ts", 'import { Kvm } from "./kvm.js";'],
    ["kvm.ts", 'import lodash from "lodash";'],
    ["backend.ts", "export const x = 1;"],
  ] as const) {
    it(`do not let lib/${path} say: ${text}`, () => assert.equal(breach(path, text).length, 1));
  }

  for (const [path, text] of [
    ["model/a64/add.ts", 'import type { Machine } from "./machine.js";'],
    ["model/vm.ts", 'import { errno } from "../uapi/errno.js";'],
    ["vcpu.ts", 'import { Device } from "./device.js";'],
    ["cli/main.ts", 'import { readFileSync } from "node:fs";\nimport { Kvm } from "../index.js";'],
    ["backend.ts", "export interface X { readonly const: 1 }\nexport type Y = X;"],
  ] as const) {
    it(`let lib/${path} say: ${text.replaceAll("\n", " ")}`, () => assert.deepEqual(breach(path, text), []));
  }

  it("keep both backends out of what an import of the package loads", () => {
    const files = (load: string) => [
      { path: "index.ts", text: 'export { Kvm } from "./kvm.js";' },
      { path: "kvm.ts", text: load },
      { path: "native.ts", text: "" },
      { path: "model/index.ts", text: "" },
    ];
    assert.deepEqual(breaches(files('const m = load("./model/index.js"); const n = load("./native.js");')), []);
    assert.deepEqual(breaches(files('import type { M } from "./model/index.js";')), []);
    assert.deepEqual(breaches(files('import { openModel } from "./model/index.js";')), [
      "importing the package loads lib/model/index.ts (index.ts → kvm.ts → model/index.ts): backends are loaded when first used",
    ]);
  });
});
