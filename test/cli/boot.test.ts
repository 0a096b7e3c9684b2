// `kvm-arm64 boot` on every backend, with programs of a few instructions in place of a kernel.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { onEveryBackend } from "../support/backends.js";
import { start } from "./child.js";

const SPIN = 0x1400_0000; // b .
const HVC = 0xd400_0002; // hvc #0
const UART = 0xd2a1_2001; // mov x1, #0x9000000
/** PSCI function 0x84000000 + n. */
const psci = (n: number): number[] => [0xd2b0_8000, 0xf280_0000 | (n << 5), HVC];
/** Stores the letter to the UART. */
const print = (letter: string): number[] => [UART, 0x5280_0002 | (letter.charCodeAt(0) << 5), 0xb900_0022];
/** Prints the first four bytes of the device tree that x0 points at. */
const PRINT_MAGIC = [UART, 0xb940_0003, ...[0, 8, 16, 24].flatMap((n) => [0x53007c62 | (n << 16), 0x3900_0022])];

onEveryBackend("kvm-arm64 boot", (host) => {
  const backend = ["--backend", host.backend === "kvm" ? "kvm" : `model-${host.kernel}`];
  const boot = (...args: string[]) => start("boot", ...backend, "--memory", "64M", ...args);
  let folder: string;
  const file = (name: string, content: Uint8Array): string => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  const code = (words: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "kvm-arm64-cli-boot-"));
  });
  after(() => rmSync(folder, { recursive: true }));
  beforeEach(function () {
    this.currentTest?.timeout(60_000);
  });

  it("prints what the guest prints, gives it a device tree, and ends with 0 when it powers off", async () => {
    const kernel = file("off", gzipSync(code([...PRINT_MAGIC, ...print("\n"), ...psci(8)])));

    const { status, stdout, stderr } = await boot("--kernel", kernel).ended;

    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: "\xd0\x0d\xfe\xed\n", stderr: "" });
  });

  it("ends with 126 when the guest asks for a reset", async () => {
    const { status, stderr } = await boot("--kernel", file("reset", code(psci(9)))).ended;

    assert.deepEqual({ status, stderr }, { status: 126, stderr: "kvm-arm64: the guest asked for a reset\n" });
  });

  it("goes on when the guest accesses what is not there: it gets an abort", async () => {
    // adr x0, vectors (0x800 on); msr vbar_el1, x0; str w0, [0x10000000]; …; at the vector of EL1h: print, power off.
    const words = new Array<number>(0x300 / 4 + 0x800 / 4).fill(SPIN);
    words.splice(0, 4, 0x1000_4000, 0xd518_c000, 0xd2a2_0001, 0xb900_0020);
    words.splice((0x800 + 0x200) / 4, 9, ...print("F"), ...print("\n"), ...psci(8));

    const { status, stdout } = await boot("--kernel", file("stray", code(words))).ended;

    assert.deepEqual({ status, stdout }, { status: 0, stdout: "F\n" });
  });

  it("gives up with 124 after --timeout", async () => {
    const { status, stderr } = await boot("--kernel", file("spin", code([SPIN])), "--timeout", "1").ended;

    assert.deepEqual({ status, stderr }, { status: 124, stderr: "kvm-arm64: the guest did not end within 1 s\n" });
  });

  for (const [signal, status] of [["SIGINT", 130] as const, ["SIGTERM", 143] as const]) {
    it(`ends with ${status} at ${signal}, whatever the guest does`, async () => {
      const child = boot("--kernel", file("chatty", code([...print("X"), ...print("\n"), SPIN])), "--cpus", "2");
      await child.printed("X");
      child.signal(signal);

      assert.equal((await child.ended).status, status);
    });
  }

  it("says what is wrong with files and sizes, and ends with 125", async () => {
    const kernel = file("k", code([SPIN]));
    const cut = file("cut.gz", gzipSync(new Uint8Array(100_000)));
    truncateSync(cut, 60);
    const intel = new Uint8Array(64);
    intel.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
    intel[18] = 62;
    const big = file("big", new Uint8Array(0));
    truncateSync(big, 80 << 20);
    const disk = file("disk", new Uint8Array(100));
    const tries: [args: string[], message: RegExp][] = [
      [["--kernel", join(folder, "none")], /ENOENT.*none/],
      [["--kernel", cut], /the compressed file is truncated/],
      [["--kernel", file("intel", intel)], /the ELF file is for x86-64, not for AArch64/],
      [["--kernel", kernel, "--initrd", big], /the initrd of 80 MiB does not fit.* give it 83 MiB or more/],
      [["--kernel", kernel, "--disk", disk], /disk .*disk has 100 bytes: a raw image has a multiple of 512/],
      [["--kernel", kernel, "--disk", join(folder, "none")], /disk .*none cannot be opened: ENOENT/],
    ];
    for (const [args, message] of tries) {
      const { status, stdout, stderr } = await boot(...args).ended;

      assert.deepEqual({ status, stdout }, { status: 125, stdout: "" });
      assert.match(stderr, message);
    }
  });
});
