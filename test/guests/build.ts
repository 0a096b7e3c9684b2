// npm run guests: remakes test/guests/bin with an arm64 cross compiler. AARCH64_CC names another one.
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { argv, env } from "node:process";
import { pathToFileURL } from "node:url";
import { compilerFile, fileName, type Guest, guests, guestsFolder } from "./guests.js";

const compiler = env["AARCH64_CC"] ?? "aarch64-linux-gnu-gcc";

// MMU off: every data access is to Device memory, so it must be aligned. No outlined atomics: there is no libgcc.
const flags = [
  ..."-std=gnu17 -O2 -Wall -Wextra -Werror -mgeneral-regs-only -mstrict-align -mno-outline-atomics".split(" "),
  ..."-ffreestanding -fno-pic -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables".split(" "),
  ..."-nostdlib -static -Iruntime -Wl,-T,runtime/guest.ld -Wl,--build-id=none -Wl,-n -Wl,-s".split(" "),
  "-Wl,--no-warn-rwx-segments",
];

/** First line of the compiler's --version, or undefined where it is not installed. */
export function compilerVersion(): string | undefined {
  try {
    return execFileSync(compiler, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).split(
      "\n",
    )[0];
  } catch {
    return undefined;
  }
}

/** Builds one guest into `folder`. Relative paths only, so that the bytes depend on the sources and the compiler alone. */
export function build(guest: Guest, folder: string): void {
  const out = join(folder, fileName(guest));
  const elf = guest.format === "elf" ? out : `${out}.elf`;
  const gcc = [
    `-march=${guest.march}`,
    ...flags,
    ...(guest.defines ?? []).map((name) => `-D${name}`),
    "-o",
    elf,
    ...guest.sources,
  ];
  execFileSync(compiler, gcc, { cwd: guestsFolder, stdio: ["ignore", "inherit", "inherit"] });
  chmodSync(elf, 0o644);
  if (guest.format === "elf") return;
  execFileSync(compiler.replace(/gcc$/, "objcopy"), ["-O", "binary", elf, out]);
  rmSync(elf);
}

/** Builds all guests into a new temporary folder and gives its path. */
export function buildAll(): string {
  const folder = mkdtempSync(join(tmpdir(), "kvm-arm64-guests-"));
  for (const guest of guests) build(guest, folder);
  return folder;
}

if (import.meta.url === pathToFileURL(argv[1] ?? "").href) {
  const version = compilerVersion();
  if (version === undefined) {
    console.error(`${compiler} is not installed (Debian: gcc-aarch64-linux-gnu); AARCH64_CC names another compiler`);
    process.exit(1);
  }
  for (const guest of guests) build(guest, join(guestsFolder, "bin"));
  writeFileSync(compilerFile, `${version}\n`);
  console.log(`${guests.length} guests built by ${version}`);
}
