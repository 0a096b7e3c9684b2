// The guest programs, once: how each is built, run and judged. README.md says what they may rely on.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** test/guests of the sources; this module runs from dist/test/guests. */
export const guestsFolder = fileURLToPath(new URL("../../../test/guests/", import.meta.url));

export interface Guest {
  readonly name: string;
  /** Under test/guests. */
  readonly sources: readonly string[];
  /** Of the compiler; plain Armv8.0 unless the program is about more. */
  readonly march: string;
  /** Macros that the sources look at. */
  readonly defines?: readonly string[];
  readonly format: "elf" | "flat" | "image";
  readonly cpus: number;
  /** The machine has a GICv3: distributor at 0x08000000, redistributors from 0x080a0000. */
  readonly gicv3?: true;
  /** The CPUs have pointer authentication, where the host offers it. */
  readonly pointerAuth?: true;
  /** The machine has a virtio disk, of zeroes. */
  readonly disk?: true;
  /** What the machine ends with when all is well. */
  readonly status: number;
  /** Name of the file in test/guests/programs that has the console output. */
  readonly stdout: string;
  /** Where Linux up to a version answers otherwise: what it ends with, and prints, there. */
  readonly until?: { readonly kernel: "6.12"; readonly status: number; readonly stdout: string };
  /** About how many instructions it executes, under qemu-system-aarch64 -icount. */
  readonly instructions: number;
}

const runtime = ["runtime/start.S", "runtime/runtime.c"];

const program = (name: string, instructions: number, more: Partial<Guest> = {}): Guest => ({
  name,
  sources: [...runtime, `programs/${name}.c`],
  march: "armv8-a",
  format: "elf",
  cpus: 1,
  status: 0,
  stdout: `${name}.stdout`,
  instructions,
  ...more,
});

const smp = [...runtime, "programs/smp-counter.c"];
const translation = [...runtime, "programs/stage-1-translation.c"];
const workload = [...runtime, "programs/workload.c", "programs/workload-hash.c", "programs/workload-parts.c"];
const hello = [...runtime, "programs/hello.c"];

// biome-ignore format: table
export const guests: readonly Guest[] = [
  program("hello",                        368),
  program("hello",                        368,       { format: "flat" }),
  program("hello",                        369,       { format: "image", sources: ["runtime/header.S", ...hello] }),
  program("exit-status",                  310,       { status: 42 }),
  program("exceptions-reach-el1-vectors", 11_840),
  program("psci-services",                8_400,     { cpus: 2 }),
  program("mmio-sign-extension",          5_500,     { until: { kernel: "6.12", status: 5, stdout: "mmio-sign-extension.6.12.stdout" } }),
  program("timer-counter",                230_000),
  program("gicv3",                        50_000,    { cpus: 2, gicv3: true }),
  program("smp-counter",                  160_000,   { cpus: 4 }),
  program("smp-counter-lse",              160_000,   { cpus: 4, march: "armv8.1-a", sources: smp, stdout: "smp-counter.stdout" }),
  program("smp-counter-armv8.5",          160_000,   { cpus: 4, march: "armv8.5-a", defines: ["NEEDS_LRCPC2"], sources: smp, stdout: "smp-counter.stdout" }),
  program("smp-locks",                    150_000,   { cpus: 4 }),
  program("tlb-shootdown",                200_000,   { cpus: 4 }),
  program("stage-1-translation",          40_000,    { defines: ["GRANULE=12"] }),
  program("stage-1-translation-16k",      40_000,    { defines: ["GRANULE=14", "NEEDS_PAN"], sources: translation }),
  program("stage-1-translation-64k",      40_000,    { defines: ["GRANULE=16"], sources: translation }),
  program("self-debug",                   60_000),
  program("pointer-auth",                 18_000,    { march: "armv8.3-a", pointerAuth: true }),
  program("branch-targets",               25_000),
  program("disk-writer",                  50_000,    { disk: true }),
  program("workload",                     9_580_000, { sources: workload }),
  program("workload-crc",                 9_490_000, { sources: workload, march: "armv8.1-a", stdout: "workload.stdout" }),
];

const suffixes = { elf: "elf", flat: "bin", image: "Image" } as const;

/** Of the disk of a guest that has one. */
export const DISK_BYTES = 1 << 20;

/** Name of the built file: "hello.elf". */
export const fileName = (guest: Guest): string => `${guest.name}.${suffixes[guest.format]}`;

/** Path of the committed file. */
export const guestFile = (guest: Guest): string => `${guestsFolder}bin/${fileName(guest)}`;

/** What a guest prints and ends with; on the machine that the architecture describes unless a kernel is named. */
export function expected(guest: Guest, kernel?: "6.1" | "6.12" | "7.2"): { stdout: string; status: number } {
  const { stdout, status } =
    guest.until !== undefined && kernel !== undefined && kernel !== "7.2" ? guest.until : guest;
  return { stdout: readFileSync(`${guestsFolder}programs/${stdout}`, "latin1"), status };
}

/** The compiler that the committed files came from; another version may give other bytes. */
export const compilerFile = `${guestsFolder}bin/compiler.txt`;
