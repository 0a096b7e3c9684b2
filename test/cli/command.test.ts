// The command as its users start it: a child process. Guests run on the model, so this needs no /dev/kvm.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execPath } from "node:process";
import { fileURLToPath } from "node:url";
import { expected, fileName, guestFile, guests } from "../guests/guests.js";

const program = fileURLToPath(new URL("../../lib/cli/main.js", import.meta.url));

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Started {
  readonly ended: Promise<Ended>;
  readonly pid: number;
  signal(name: NodeJS.Signals): void;
  closeStdout(): void;
  /** Resolves when the output has this in it. */
  printed(text: string): Promise<void>;
}

function start(...args: string[]): Started {
  const child = spawn(execPath, [program, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60_000,
    killSignal: "SIGKILL",
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("latin1").on("data", (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output.stderr += text;
  });
  return {
    pid: child.pid as number,
    ended: new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (status) => resolve({ status, ...output }));
    }),
    signal: (name) => void child.kill(name),
    closeStdout: () => child.stdout.destroy(),
    printed: (text) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!output.stdout.includes(text)) return;
          child.stdout.off("data", look);
          resolve();
        };
        child.stdout.on("data", look);
        look();
      }),
  };
}

const kvmArm64 = (...args: string[]): Promise<Ended> => start(...args).ended;
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

  for (const guest of guests) {
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
        "the program needs memory at 0x40080000–0x40280000, RAM is at 0x40000000–0x40200000",
      [folder]: "EISDIR: illegal operation on a directory, read",
      [join(folder, "missing")]: `ENOENT: no such file or directory, open '${join(folder, "missing")}'`,
    };
    for (const [file, message] of Object.entries(messages)) {
      const { status, stdout, stderr } = await run("--memory", "2M", file);

      assert.deepEqual({ status, stdout, stderr }, { status: 125, stdout: "", stderr: `kvm-arm64: ${message}\n` });
    }
  });

  it("traces each ioctl and each exit on stderr", async () => {
    const { status, stdout, stderr } = await run("--trace", hello);
    const lines = stderr.trimEnd().split("\n");

    assert.deepEqual({ status, stdout }, { status: 0, stdout: helloText });
    assert.deepEqual(lines.slice(0, 2), [
      "KVM_CHECK_EXTENSION(KVM_CAP_ARM_VM_IPA_SIZE) = 48",
      "KVM_CREATE_VM(0x28) = vm",
    ]);
    assert.ok(lines.includes("KVM_SET_ONE_REG(vcpu 0, pc, 0x40080000) = 0"));
    assert.ok(lines.includes("KVM_RUN(vcpu 0) = 0 → MMIO read 0x9000018 len 4"));
    assert.ok(lines.includes('KVM_RUN(vcpu 0, mmio.data 0x90) = 0 → MMIO write 0x9000000 len 4 "H"'));
    assert.ok(lines.includes("KVM_RUN(vcpu 0) = 0 → SYSTEM_EVENT SHUTDOWN data [0x0]"));
    assert.ok(lines.includes("KVM_GET_ONE_REG(vcpu 0, x20, 0x74697865) = 0"));
    assert.equal(lines.at(-1), "close(kvm) = 0");
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
      "kvm-arm64: ENOMEM: out of memory, mmap 8589934592 bytes\n",
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

  describe("of a guest that never ends", () => {
    // "X" to the UART, then b .
    const spin = Uint32Array.of(0xd2a1_2000, 0x5280_0b01, 0xb900_0001, 0x1400_0000);
    let file: string;
    before(() => {
      file = scratch("spin.bin", new Uint8Array(spin.buffer));
    });

    it("gives up with 124 after --timeout", async () => {
      const { status, stdout, stderr } = await run("--timeout", "0.3", file);

      assert.deepEqual({ status, stdout }, { status: 124, stdout: "X" });
      assert.equal(stderr, "kvm-arm64: the guest did not end within 0.3 s\n");
    });

    it("ends with 130 at Ctrl-C and 143 at SIGTERM", async () => {
      for (const [signal, status] of [
        ["SIGINT", 130],
        ["SIGTERM", 143],
      ] as const) {
        const child = start("run", "--backend", "model", "--cpus", "2", file);
        await child.printed("X");
        child.signal(signal);

        assert.deepEqual(await child.ended, { status, stdout: "X", stderr: "" });
      }
    });
  });

  it("ends quietly when nobody reads its output any more", async () => {
    // A guest that prints for ever.
    const words = Uint32Array.of(0xd2a1_2000, 0x5280_0b01, 0xb900_0001, 0x17ff_ffff);
    const child = start("run", "--backend", "model", scratch("chatter.bin", new Uint8Array(words.buffer)));
    await child.printed("X");
    child.closeStdout();

    const { status, stderr } = await child.ended;

    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
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
