// node dist/scripts/captures.js [--only PATTERN] [--qemu PROGRAM]: takes the bundled captures of hosts again, each from a
// genuine KVM on a host emulated by QEMU, into lib/model/host/captures/.

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { kernels } from "../lib/arm64/sysreg-row.js";
import { boot, defaultMachine, type Machine } from "./kvm/boot.js";
import { buildAddon } from "./kvm/build-addon.js";
import { Missing } from "./kvm/cache.js";
import { guestProject, projectFolder, reportPort } from "./kvm/initramfs.js";

interface Wanted {
  readonly name: string;
  readonly machine: Partial<Machine>;
  /** The oldest QEMU that can. */
  readonly qemu?: number;
  readonly kernels?: readonly Machine["kernel"][];
}

const max = defaultMachine.cpu;

// biome-ignore format: table
const wanted: readonly Wanted[] = [
  { name: "qemu-max",             machine: { cpu: max } },
  { name: "qemu-max-mte",         machine: { cpu: max, mte: "on" } },
  { name: "qemu-max-el2",         machine: { cpu: max, append: "kvm-arm.mode=nested" }, qemu: 10, kernels: ["7.2"] },
  { name: "qemu-neoverse-n1",     machine: { cpu: "neoverse-n1" } },
  { name: "qemu-neoverse-v1",     machine: { cpu: "neoverse-v1" }, qemu: 8 },
  { name: "qemu-cortex-a72",      machine: { cpu: "cortex-a72" } },
  { name: "qemu-cortex-a72-gic2", machine: { cpu: "cortex-a72", gic: "2" } },
];

export const capturesFolder = join(projectFolder, "lib/model/host/captures");

/** The names of all bundled captures. */
export const captureNames: readonly string[] = wanted.flatMap((one) =>
  (one.kernels ?? kernels).map((kernel) => `${one.name}-${kernel}`),
);

function versionOf(qemu: string): string {
  const { stdout, error } = spawnSync(qemu, ["--version"], { encoding: "utf8" });
  const version = /version (\d+\.\d+\.\d+)/.exec(stdout ?? "")?.[1];
  if (error || version === undefined) throw new Missing(`${qemu} is not here: install QEMU for arm64 systems`);
  return version;
}

async function take(name: string, machine: Machine, qemuVersion: string): Promise<void> {
  const board = `-M virt,virtualization=on,gic-version=${machine.gic}${machine.mte === "on" ? ",mte=on" : ""}`;
  const appended = machine.append === "" ? "" : `, kernel with ${machine.append}`;
  const note = `emulated: QEMU ${qemuVersion} ${board} -cpu ${machine.cpu} -smp ${machine.cpus}, Debian's cloud kernel${appended}`;
  const lines: string[] = [];
  const outcome = await boot(
    machine,
    {
      // A file first: what breaks off must not look like a capture.
      command: [
        "sh",
        "-c",
        `node dist/lib/cli/main.js capture --note "$NOTE" > /tmp/host.json && cat /tmp/host.json > ${reportPort}`,
      ],
      environment: { NOTE: note, NODE_OPTIONS: "--disable-wasm-trap-handler" },
      workingFolder: guestProject,
      additions: [],
      addon: await buildAddon("plain"),
    },
    { console: (line) => console.log(`    | ${line}`), report: (line) => lines.push(line) },
  );
  if (outcome.status !== 0) throw new Missing(`${name}: the host ended with ${outcome.status ?? outcome.why}`);
  const text = `${lines.join("\n")}\n`;
  JSON.parse(text);
  writeFileSync(join(capturesFolder, `${name}.json`), text);
  console.log(`${name}: ${text.length} bytes, ${outcome.seconds.toFixed(0)} s`);
}

async function main(): Promise<void> {
  const options = { only: { type: "string" }, qemu: { type: "string" } } as const;
  const { values } = parseArgs({ options });
  const qemu = values.qemu ?? defaultMachine.qemu;
  const version = versionOf(qemu);
  for (const one of wanted) {
    for (const kernel of one.kernels ?? kernels) {
      const name = `${one.name}-${kernel}`;
      if (values.only !== undefined && !new RegExp(values.only).test(name)) continue;
      if (Number.parseInt(version, 10) < (one.qemu ?? 0)) {
        console.log(`${name}: needs QEMU ${one.qemu}, this is ${version}; left as it is`);
        continue;
      }
      await take(name, { ...defaultMachine, ...one.machine, kernel, qemu }, version).catch((error: unknown) => {
        if (!(error instanceof Missing)) throw error;
        console.error(`kvm-arm64: ${error.message}`);
        process.exitCode = 1;
      });
    }
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main();
