// How long Debian's kernel takes to boot to a shell and power off: the model's engines and QEMU's translator, turn by turn in
// one run, each a process of its own. `npm run bench` starts it.
//   node dist/scripts/bench/boot.js [--qemu PROGRAM] [--kernel FILE --initrd FILE]

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { OpenOptions } from "../../lib/index.js";
import { createMachine } from "../../lib/vmm/index.js";
import { type BootFiles, bootFiles } from "../boot/initramfs.js";
import { Missing } from "../kvm/cache.js";

const ROUNDS = 3;
const MEMORY_MIB = 512;
/** Who got as far as that has booted. */
const GREETING = /Linux \S+, \d+ CPUs/;
const engines = ["interpreter", "translator"] as const;
const cpus = ["cortex-a72", "max,pauth-impdef=on"] as const;

const { values } = parseArgs({
  options: {
    qemu: { type: "string", default: "qemu-system-aarch64" },
    kernel: { type: "string" },
    initrd: { type: "string" },
    /** The process that is measured. */
    engine: { type: "string" },
  },
});

/** Boots on the model, and tells the console. */
async function guest({ kernel, initrd }: BootFiles, engine: string): Promise<void> {
  const open = { backend: "model", model: { engine } } as OpenOptions;
  using machine = createMachine({ kernel, initrd, append: "quiet once", memoryBytes: MEMORY_MIB << 20, open });
  machine.on("console", (bytes) => process.stdout.write(bytes));
  await machine.run();
}

/** Seconds; null: it did not boot. */
function seconds(program: string, args: readonly string[]): number | null {
  const began = performance.now();
  const { stdout } = spawnSync(program, args, {
    encoding: "latin1",
    timeout: 300_000,
    stdio: ["ignore", "pipe", "ignore"],
  });
  return GREETING.test(stdout ?? "") ? (performance.now() - began) / 1000 : null;
}

function qemuArguments(cpu: string, { kernel, initrd }: BootFiles): string[] {
  const machine = `-M virt,gic-version=3 -cpu ${cpu} -m ${MEMORY_MIB} -display none -nic none -serial stdio -no-reboot`;
  return [
    ...machine.split(" "),
    "-kernel",
    kernel,
    "-initrd",
    initrd,
    "-append",
    "console=ttyAMA0 quiet panic=-1 once",
  ];
}

async function files(): Promise<BootFiles> {
  const { kernel, initrd } = values;
  return kernel !== undefined && initrd !== undefined ? { kernel, initrd } : await bootFiles("6.12");
}

async function compare(): Promise<void> {
  const boot = await files();
  const script = fileURLToPath(import.meta.url);
  const ours = (engine: string) => [script, "--engine", engine, "--kernel", boot.kernel, "--initrd", boot.initrd];
  const contenders = [
    ...engines.map((name) => ({ name, program: process.execPath, args: ours(name) })),
    ...cpus.map((cpu) => ({ name: `QEMU ${cpu}`, program: values.qemu, args: qemuArguments(cpu, boot) })),
  ];
  const best = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const { name, program, args } of contenders) {
      const took = seconds(program, args);
      if (took !== null) best.set(name, Math.min(took, best.get(name) ?? Number.POSITIVE_INFINITY));
    }
  }
  const theirs = cpus.map((cpu) => best.get(`QEMU ${cpu}`));
  for (const { name } of contenders) {
    const took = best.get(name);
    const ratios = theirs.map((one) => (one === undefined || took === undefined ? "-" : (took / one).toFixed(2)));
    console.log(
      `boot of Debian's kernel: ${name.padEnd(24)} ${took?.toFixed(1) ?? "-"} s, QEMU's × ${ratios.join(" and ")}`,
    );
  }
}

try {
  if (values.engine === undefined) await compare();
  else await guest(await files(), values.engine);
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.log(`boot of Debian's kernel: not measured, ${error.message}`);
}
