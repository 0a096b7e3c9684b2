// How fast guests run: the same program on the model's engines and on QEMU's translator, one after the other in one run.
// `npm run bench` starts it; it compiles the program with the cross compiler of test/guests.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Kvm } from "../../lib/index.js";
import { Machine, Pl011, Pl031, parseProgram, RAM_AT } from "../../lib/vmm/index.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const compiler = "aarch64-linux-gnu-gcc";
const RAM_BYTES = 64 << 20;
const flags = [
  ..."-march=armv8-a -std=gnu17 -O2 -Wall -mgeneral-regs-only -mstrict-align -mno-outline-atomics".split(" "),
  ..."-ffreestanding -fno-pic -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables -nostdlib".split(" "),
  ..."-static -Iruntime -Iprograms -Wl,-T,runtime/guest.ld -Wl,--build-id=none -Wl,-n -Wl,-s -Wl,--no-warn-rwx-segments".split(
    " ",
  ),
];
const sources = "runtime/start.S runtime/runtime.c programs/workload-hash.c programs/workload-parts.c".split(" ");

/** Microseconds of each part, by name. */
type Figures = ReadonlyMap<string, number>;

function build(folder: string, repeat: number): string {
  const out = join(folder, `engines-${repeat}.elf`);
  const program = join(root, "scripts/bench/engines.c");
  const args = [...flags, `-DREPEAT=${repeat}`, "-o", out, ...sources, program];
  execFileSync(compiler, args, { cwd: join(root, "test/guests"), stdio: ["ignore", "inherit", "inherit"] });
  return out;
}

function figures(text: string, repeat: number): Figures {
  const lines = text.trim().split("\n");
  return new Map(lines.map((line) => line.split(" ")).map(([name, us]) => [name!, Number(us) / repeat]));
}

async function onModel(
  engine: "evaluator" | "interpreter" | "translator",
  elf: string,
  repeat: number,
): Promise<Figures> {
  const sent: number[] = [];
  using kvm = Kvm.open({ backend: "model", model: { engine } });
  const devices = [new Pl011({ send: (byte) => sent.push(byte) }), new Pl031()];
  const machine = new Machine(kvm, { memoryBytes: RAM_BYTES, cpus: 1, devices });
  machine.load(parseProgram(readFileSync(elf), { at: RAM_AT, bytes: RAM_BYTES }));
  await machine.run();
  return figures(Buffer.from(sent).toString("latin1"), repeat);
}

function onQemu(elf: string, repeat: number): Figures | null {
  const args = "-M virt -cpu cortex-a57 -m 128 -display none -nodefaults -serial stdio -kernel".split(" ");
  const run = spawnSync("qemu-system-aarch64", [...args, elf], { encoding: "latin1", timeout: 120_000 });
  return run.error ? null : figures(run.stdout, repeat);
}

const ONCE = 1;
const OFTEN = 20;

const folder = mkdtempSync(join(tmpdir(), "kvm-arm64-bench-"));
try {
  const [few, many] = [build(folder, ONCE), build(folder, OFTEN)];
  const evaluator = await onModel("evaluator", few, ONCE);
  const interpreter = await onModel("interpreter", many, OFTEN);
  const translator = await onModel("translator", many, OFTEN);
  const qemu = onQemu(many, OFTEN);
  console.log(
    "part          evaluator   interpreter   translator         QEMU   µs for one round; QEMU's time ÷ theirs",
  );
  for (const [part, us] of interpreter) {
    const theirs = qemu?.get(part);
    const translated = translator.get(part)!;
    const columns = [evaluator.get(part), us, translated, theirs].map((value) =>
      (value?.toFixed(0) ?? "-").padStart(12),
    );
    const ratios = [us, translated].map((ours) => (theirs ? (theirs / ours).toFixed(2) : "-").padStart(6));
    console.log(`${part.padEnd(10)} ${columns.join(" ")}   ${ratios.join(" ")}`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
