// The command's arguments, files and messages. Guests run on the model; run.test.ts runs some on every backend.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expected, fileName, guestFile, guests } from "../guests/guests.js";
import { type Ended, kvmArm64 } from "./child.js";

const run = (...args: string[]): Promise<Ended> => kvmArm64("run", "--backend", "model", ...args);

const hello = guestFile(guests[0]!);
const helloText = "Hello from a guest at EL1.\n";

describe("kvm-arm64", function () {
  this.timeout(60_000);

  it("prints its usage, and that of each command", async () => {
    assert.match((await kvmArm64("--help")).stdout, /^usage: kvm-arm64 COMMAND/);
    for (const command of ["run", "doctor", "reg"]) {
      const { status, stdout } = await kvmArm64(command, "--help");
      assert.equal(status, 0);
      assert.match(stdout, new RegExp(`^usage: kvm-arm64 ${command} `));
    }
  });

  it("prints the version of the package", async () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };

    assert.equal((await kvmArm64("--version")).stdout, `${version}\n`);
  });

  it("ends with 125 and says what is wrong with its arguments", async () => {
    const none = await kvmArm64();
    const unknown = await kvmArm64("fly");
    const wrong = await run("--cpus", "none", hello);

    assert.deepEqual([none.status, unknown.status, wrong.status], [125, 125, 125]);
    assert.match(none.stderr, /^usage/);
    assert.match(unknown.stderr, /no command "fly"/);
    assert.match(wrong.stderr, /^kvm-arm64: --cpus none: a number from 1 to 512 is wanted\nkvm-arm64: see --help\n$/);
  });
});

describe("kvm-arm64 run", function () {
  this.timeout(60_000);
  let folder: string;
  const scratch = (name: string, bytes: Uint8Array): string => {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    return path;
  };
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "kvm-arm64-cli-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  // The machine of the command has no GIC and no disk, and its CPUs have no feature that must be asked for.
  for (const guest of guests.filter(({ gicv3, disk, pointerAuth }) => !(gicv3 || disk || pointerAuth))) {
    it(`streams what ${fileName(guest)} prints and ends with its status`, async () => {
      const ended = await run("--cpus", String(guest.cpus), guestFile(guest));

      assert.deepEqual(ended, { ...expected(guest), stderr: "" });
    });
  }

  it("plays the kernel that --kernel names", async () => {
    const guest = guests.find(({ until }) => until !== undefined)!;

    assert.deepEqual(await kvmArm64("run", "--kernel", "6.12", guestFile(guest)), {
      ...expected(guest, "6.12"),
      stderr: "",
    });
  });

  it("says why a file can not be loaded, and ends with 125", async () => {
    const cut = scratch("cut.elf", readFileSync(hello));
    truncateSync(cut, 5000);
    const foreign = Uint8Array.from(readFileSync(hello));
    foreign[18] = 62;
    const messages = {
      [cut]: "the ELF file is truncated: segment 0 ends at byte 7982, the file at 5000",
      [scratch("foreign.elf", foreign)]: "the ELF file is for x86-64, not for AArch64",
      [scratch("empty", new Uint8Array(0))]: "the file is empty",
      [scratch("huge.bin", new Uint8Array(2 << 20))]:
        "the program needs memory at 0x40080000–0x40280000, RAM is at 0x40000000–0x40200000: 3 MiB would do",
      [folder]: "EISDIR: illegal operation on a directory, read",
      [join(folder, "missing")]: `ENOENT: no such file or directory, open '${join(folder, "missing")}'`,
    };
    for (const [file, message] of Object.entries(messages)) {
      const { status, stdout, stderr } = await run("--memory", "2M", file);

      assert.deepEqual({ status, stdout, stderr }, { status: 125, stdout: "", stderr: `kvm-arm64: ${message}\n` });
    }
  });

  it("traces into a file", async () => {
    const file = join(folder, "trace.txt");

    const { stdout, stderr } = await run(`--trace=${file}`, hello);

    assert.deepEqual({ stdout, stderr }, { stdout: helloText, stderr: "" });
    assert.match(readFileSync(file, "utf8"), /^KVM_CHECK_EXTENSION[\s\S]*close\(kvm\) = 0\n$/);
  });

  it("gives the guest as much memory and as many CPUs as it is told", async () => {
    const { status, stderr } = await run("--memory", "2G", "--cpus", "512", "--report", hello);

    assert.equal(status, 0);
    assert.match(stderr, /machine {2}512 CPUs, 2 GiB at 0x40000000/);
    assert.equal(
      (await run("--memory", "8G", hello)).stderr,
      "kvm-arm64: the host has no 8192 MiB for the guest (ENOMEM): give the machine less memory\n",
    );
  });

  it("reports what happened", async () => {
    const { stdout, stderr } = await run("--report", hello);

    assert.equal(stdout, helloText);
    assert.match(stderr, /^backend {2}model \(the model was asked for\)\n/);
    assert.match(stderr, /hello.elf: ELF, 5934 bytes, entry 0x40080000\n/);
    assert.match(stderr, /the guest powered off with status 0, after [\d.]+ ms\n/);
    assert.match(stderr, /27 × PL011 loads, 27 × PL011 stores, 1 × system event shutdown\n/);
    assert.match(stderr, /vcpu 0 {3}pc 0x400[\da-f]+, .*EL1h/);
  });
});

describe("kvm-arm64 doctor", function () {
  this.timeout(60_000);

  it("says for this machine whether KVM can be used, and agrees with its JSON", async () => {
    const text = await kvmArm64("doctor");
    const json = await kvmArm64("doctor", "--json");
    const report = JSON.parse(json.stdout) as {
      usable: boolean;
      checks: { what: string; ok: boolean }[];
      backend: { backend: string; apiVersion: number; registers: number; capabilities: Record<string, number> };
    };

    assert.equal(text.status, report.usable ? 0 : 1);
    assert.equal(json.status, text.status);
    assert.equal(
      report.usable,
      report.checks.every(({ ok }) => ok),
    );
    assert.equal(report.backend.backend, report.usable ? "kvm" : "model");
    assert.equal(report.backend.apiVersion, 12);
    assert.ok(report.backend.registers > 200);
    assert.equal(report.backend.capabilities["ONE_REG"], 1);
    assert.match(text.stdout, report.usable ? /KVM can be used\./ : /NO .*\n[\s\S]*The model runs guests instead/);
  });

  it("refuses options that it does not have", async () => {
    assert.equal((await kvmArm64("doctor", "--loud")).status, 125);
  });
});

describe("kvm-arm64 reg", function () {
  this.timeout(60_000);

  it("explains several registers at once", async () => {
    const { status, stdout } = await kvmArm64("reg", "x7", "ESR_EL1=0x56000123");

    assert.equal(status, 0);
    assert.match(stdout, /^x7\n {2}id 0x603000000010000e, 64 bits\n\nESR_EL1 = 0x56000123 {2}SVC\n/);
  });

  it("gives JSON", async () => {
    const { stdout } = await kvmArm64("reg", "--json", "SCTLR_EL1=5");
    const [first] = JSON.parse(stdout) as [{ name: string; id: string; fields: { name: string; value: string }[] }];

    assert.deepEqual([first.name, first.id], ["SCTLR_EL1", "0x603000000013c080"]);
    assert.deepEqual(
      first.fields.filter(({ value }) => value !== "0x0").map(({ name }) => name),
      ["C", "M"],
    );
  });

  it("ends with 1 when something is no register", async () => {
    const { status, stdout, stderr } = await kvmArm64("reg", "x7", "SCTLR_EL9");

    assert.deepEqual({ status, stdout }, { status: 1, stdout: "" });
    assert.match(stderr, /SCTLR_EL9/);
  });
});
