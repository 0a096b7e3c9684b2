// Boots a KVM host, a Linux arm64 with virtualization on under qemu-system-aarch64, runs one command there and gives its
// exit status.

import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { startChild, withScratchFolder } from "../children.js";
import { FileTail, LineSplitter } from "../lines.js";
import { Missing } from "./cache.js";
import { type GuestContent, writeInitramfs } from "./initramfs.js";
import { type KernelSeries, kernelImage } from "./packages.js";

export interface Machine {
  readonly kernel: KernelSeries;
  /** As `-cpu` takes it. */
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  /** Memory tagging in the emulated machine. */
  readonly mte: "on" | "off";
  /** The interrupt controller of the emulated machine, and so what guests can have. */
  readonly gic: "2" | "3";
  /** The program to run. */
  readonly qemu: string;
  readonly timeoutSeconds: number;
  /** More of the kernel's command line: "kvm-arm.mode=nested". */
  readonly append: string;
}

export const defaultMachine: Machine = {
  kernel: "6.12",
  // QEMU's own pointer authentication algorithm boots three times faster than the architected one (measured, QEMU 7.2).
  cpu: "max,pauth-impdef=on",
  cpus: 2,
  memoryMiB: 2048,
  mte: "off",
  gic: "3",
  qemu: process.env["KVM_ARM64_QEMU"] ?? "qemu-system-aarch64",
  timeoutSeconds: 1200,
  append: "",
};

export interface Outcome {
  /** null: the host never said; it crashed, or ran out of time. */
  readonly status: number | null;
  readonly why: "ended" | "no status" | "timeout";
  readonly seconds: number;
  readonly kernelVersion: string;
}

export interface Streams {
  /** What the host prints on its console, in whole lines, the final marker left out. */
  readonly console: (line: string) => void;
  /** The lines of the report port, as they come. */
  readonly report?: (line: string) => void;
  /** Takes the files that the command left in /out, as a tar archive. */
  readonly outArchive?: string;
  /** Where to put the socket of the dialogue port, for who wants to talk with the command. */
  readonly dialogueSocket?: string;
  /** Ends the host at once. */
  readonly stop?: AbortSignal;
}

export function requireQemu(qemu: string): void {
  const { error } = spawnSync(qemu, ["--version"]);
  if (error) {
    throw new Missing(`${qemu} is not here: install QEMU for arm64 systems (Debian: qemu-system-arm; macOS: qemu)`);
  }
}

// No huge pages, and below one thread for all processors: docs/testing.md, "Node dies".
const kernelCommandLine = "console=ttyAMA0 quiet panic=-1 rdinit=/init transparent_hugepage=never";

function qemuArguments(machine: Machine, image: string, initramfs: string): string[] {
  const board = `virt,virtualization=on,gic-version=${machine.gic}${machine.mte === "on" ? ",mte=on" : ""}`;
  return [
    ...["-M", board, "-cpu", machine.cpu, "-smp", String(machine.cpus), "-m", String(machine.memoryMiB)],
    ...["-accel", "tcg,thread=single", "-display", "none", "-no-reboot", "-nic", "none"],
    ...["-kernel", image, "-initrd", initramfs, "-append", `${kernelCommandLine} ${machine.append}`.trim()],
  ];
}

const serialPort = (name: string, path: string): string[] => [
  ...["-chardev", `file,id=${name},path=${path}`],
  ...["-device", `pci-serial,chardev=${name}`],
];

const socketPort = (name: string, path: string): string[] => [
  ...["-chardev", `socket,id=${name},path=${path},server=on,wait=off`],
  ...["-device", `pci-serial,chardev=${name}`],
];

export async function boot(
  machine: Machine,
  content: Omit<GuestContent, "marker">,
  streams: Streams,
): Promise<Outcome> {
  requireQemu(machine.qemu);
  const { version, image } = await kernelImage(machine.kernel);
  return withScratchFolder(async (scratch) => {
    const marker = `kvm-arm64-status-${randomBytes(8).toString("hex")}`;
    const initramfs = join(scratch, "initramfs");
    const report = join(scratch, "report");
    await writeInitramfs(initramfs, { ...content, marker });
    const started = performance.now();
    const args = [
      ...qemuArguments(machine, image, initramfs),
      ...["-serial", content.command ? "stdio" : "mon:stdio"],
      ...serialPort("report", report),
      ...serialPort("out", streams.outArchive ?? join(scratch, "out")),
      ...(streams.dialogueSocket === undefined ? [] : socketPort("dialogue", streams.dialogueSocket)),
    ];
    const end = content.command ? await follow(machine, args, marker, report, streams) : await converse(machine, args);
    return { ...end, seconds: (performance.now() - started) / 1000, kernelVersion: version };
  });
}

type End = Pick<Outcome, "status" | "why">;

/** Runs QEMU with its console and report handed on line by line. */
function follow(machine: Machine, args: string[], marker: string, report: string, streams: Streams): Promise<End> {
  return new Promise((resolve, reject) => {
    const qemu = startChild(machine.qemu, args, { stdio: ["ignore", "pipe", "pipe"] });
    const lines = new LineSplitter();
    const reportLines = new LineSplitter();
    const reportTail = new FileTail(report);
    const poll = (): void => {
      for (const line of reportLines.push(reportTail.read())) streams.report?.(line);
    };
    let end: End = { status: null, why: "no status" };
    const take = (line: string): void => {
      if (end.why === "ended") return; // The kernel's farewell.
      const at = line.indexOf(marker);
      // What the command printed last may lack its newline.
      if (at !== 0) streams.console(at === -1 ? line : line.slice(0, at));
      if (at !== -1) end = { status: Number(line.slice(at + marker.length)), why: "ended" };
    };
    const timer = setTimeout(() => {
      end = { status: null, why: "timeout" };
      qemu.kill("SIGKILL");
    }, machine.timeoutSeconds * 1000);
    const poller = setInterval(poll, 200);
    streams.stop?.addEventListener("abort", () => qemu.kill("SIGKILL"));
    qemu.stdout?.on("data", (bytes: Buffer) => lines.push(bytes).forEach(take));
    qemu.stderr?.on("data", (bytes: Buffer) => process.stderr.write(bytes));
    qemu.on("error", reject);
    qemu.on("close", () => {
      clearTimeout(timer);
      clearInterval(poller);
      poll();
      lines.rest().forEach(take);
      resolve(end);
    });
  });
}

/** Runs QEMU on this terminal: ctrl-A x ends it. */
function converse(machine: Machine, args: string[]): Promise<End> {
  return new Promise((resolve, reject) => {
    const qemu = startChild(machine.qemu, args, { stdio: "inherit" });
    qemu.on("error", reject);
    qemu.on("close", (status) => resolve({ status, why: "ended" }));
  });
}
