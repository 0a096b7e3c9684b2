import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needsNpm, packInto, runNode, runNpm } from "./installed.js";

describe("the package, installed where there is no compiler and no Python", function () {
  this.timeout(180_000);
  let scratch = "";
  let folder = "";
  let tarball = "";

  before(function () {
    needsNpm(this);
    scratch = realpathSync(mkdtempSync(join(tmpdir(), "kvm-arm64-")));
    tarball = packInto(scratch);
    folder = installAnew("user", tarball);
  });

  after(() => {
    if (scratch !== "") rmSync(scratch, { recursive: true, force: true });
  });

  function installAnew(name: string, from: string): string {
    const into = join(scratch, name);
    mkdirSync(into);
    writeFileSync(join(into, "package.json"), JSON.stringify({ name: "user", private: true }));
    const outcome = runNpm(into, ["install", from]);
    assert.equal(outcome.status, 0, outcome.stderr);
    assert.equal(outcome.nodeGypRan, false);
    return into;
  }

  it("has what it needs, and nothing that only its makers need", () => {
    const has = (path: string): boolean => existsSync(join(folder, "node_modules/kvm-arm64", path));

    assert.deepEqual(
      [
        "dist/lib/index.js",
        "dist/lib/index.d.ts",
        "lib/model/host/captures/qemu-max-6.12.json",
        "binding.gyp",
        "native/addon.cc",
        "LICENSE",
      ].filter((path) => !has(path)),
      [],
    );
    assert.deepEqual(["dist/test", "dist/scripts", "lib/index.ts", ".ci", "node_modules"].filter(has), []);
  });

  it("has no runtime dependencies", () => {
    const manifest = JSON.parse(readFileSync(join(folder, "node_modules/kvm-arm64/package.json"), "utf8"));

    assert.equal(manifest.dependencies, undefined);
  });

  it("installs from a lockfile without running node-gyp", () => {
    rmSync(join(folder, "node_modules"), { recursive: true });

    const outcome = runNpm(folder, ["ci"]);

    assert.deepEqual([outcome.status, outcome.nodeGypRan], [0, false], outcome.stderr);
  });

  it("would run node-gyp from a lockfile without its install script, which this test would notice", function () {
    const npmMajor = Number(runNpm(folder, ["--version"]).stdout.split(".")[0]);
    // From then on npm runs no scripts of dependencies.
    if (npmMajor >= 12) this.skip();
    const altered = join(scratch, "altered");
    mkdirSync(altered);
    spawnSync("tar", ["-xzf", tarball, "-C", altered]);
    const manifest = join(altered, "package/package.json");
    const content = JSON.parse(readFileSync(manifest, "utf8"));
    delete content.scripts.install;
    writeFileSync(manifest, JSON.stringify(content));
    spawnSync("tar", ["-czf", join(scratch, "altered.tgz"), "-C", altered, "package"]);
    const user = join(scratch, "without");
    mkdirSync(user);
    writeFileSync(join(user, "package.json"), JSON.stringify({ name: "user", private: true }));
    runNpm(user, ["install", "--ignore-scripts", join(scratch, "altered.tgz")]);
    rmSync(join(user, "node_modules"), { recursive: true });

    const outcome = runNpm(user, ["ci"]);

    assert.equal(outcome.nodeGypRan, true, outcome.stderr);
  });

  it("import loads neither native code nor WebAssembly", () => {
    const program = `
      const used = [];
      process.dlopen = () => { used.push("dlopen"); throw new Error("dlopen"); };
      for (const name of ["Module", "Memory", "Instance", "compile", "instantiate"]) {
        WebAssembly[name] = new Proxy(WebAssembly[name], { apply: () => used.push(name), construct: () => (used.push(name), {}) });
      }
      const names = Object.keys(await import("kvm-arm64"));
      await import("kvm-arm64/arm64");
      console.log(JSON.stringify({ used, has: names.includes("Kvm") }));`;

    const outcome = runNode(folder, ["--input-type=module", "--eval", program]);

    assert.deepEqual(JSON.parse(outcome.stdout || "null"), { used: [], has: true }, outcome.stderr);
  });

  it("require gives the same module as import", () => {
    const program = `import("kvm-arm64").then((imported) => console.log(require("kvm-arm64").Kvm === imported.Kvm));`;

    const outcome = runNode(folder, ["--eval", program]);

    assert.equal(outcome.stdout.trim(), "true", outcome.stderr);
  });

  it("runs a guest on the model, by its command", () => {
    const command = join(folder, "node_modules/.bin/kvm-arm64");
    const guest = join(folder, "node_modules/kvm-arm64/test/guests/bin/hello.elf");

    const outcome = runNode(folder, [command, "run", "--backend", "model", guest]);

    assert.equal(outcome.status, 0, outcome.stderr);
    assert.match(outcome.stdout, /[Hh]ello/);
  });

  it("runs a guest on the model, by import", () => {
    const program = `
      import { Kvm } from "kvm-arm64";
      import { pc } from "kvm-arm64/arm64";
      const kvm = Kvm.open({ backend: "model" });
      const vm = kvm.createVm();
      const ram = vm.addMemory({ at: 0x40000000n, bytes: 65536 });
      ram.bytes.set(new Uint8Array(new Uint32Array([0xd2a12001, 0x52800820, 0x39000020]).buffer));
      const vcpu = vm.createVcpu();
      vcpu.init();
      vcpu.setReg(pc, 0x40000000n);
      const exit = vcpu.runSync();
      console.log(exit.reason, exit.address, exit.data[0]);`;

    const outcome = runNode(folder, ["--input-type=module", "--eval", program]);

    assert.equal(outcome.stdout.trim(), "mmio 150994944n 65", outcome.stderr);
  });

  it("runs a machine with two CPUs on the model, by import of the VMM kit", () => {
    const program = `
      import { createMachine } from "kvm-arm64/vmm";
      const kernel = new Uint8Array(new Uint32Array([0xd2b08000, 0xf2800100, 0xd4000002]).buffer); // PSCI SYSTEM_OFF
      const machine = createMachine({ kernel, cpus: 2, memoryBytes: 16 << 20, open: { backend: "model" } });
      const { event } = await machine.run();
      machine.close();
      console.log(event);`;

    const outcome = runNode(folder, ["--input-type=module", "--eval", program]);

    assert.equal(outcome.stdout.trim(), "off", outcome.stderr);
  });
});
