// Compiling for musl with a compiler that is configured for glibc. The addon uses headers of the C++ library and nothing
// of its object code, and names no C library to be linked with, since Node has one loaded. So what makes a file one for
// musl is whose headers describe the C library: here musl's own, and of the toolchain's only the kernel's and C++'s.

import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { Missing } from "./kvm/cache.js";
import { runtimePackages } from "./kvm/packages.js";

export interface Musl {
  /** Has musl's headers only. */
  readonly headers: string;
  /** crt1.o, crti.o, crtn.o. */
  readonly objects: string;
  /** The dynamic linker, which is the C library too. */
  readonly linker: string;
}

export async function muslForArm64(): Promise<Musl> {
  const [library, development] = await runtimePackages(["musl", "musl-dev"]);
  return {
    headers: join(development!.folder, "usr/include/aarch64-linux-musl"),
    objects: join(development!.folder, "usr/lib/aarch64-linux-musl"),
    linker: join(library!.folder, "lib/ld-musl-aarch64.so.1"),
  };
}

/** Compiler flags. `scratch`: where a folder with nothing but the kernel's headers can be made. */
export function muslCompileFlags(compiler: string, musl: Musl, scratch: string): string[] {
  const folders = includeFolders(compiler);
  // The toolchain has the kernel's headers and glibc's in one folder.
  const mixed = folders.find((folder) => /\/(aarch64-linux-gnu\/include|usr\/include)$/.test(folder));
  if (mixed === undefined) throw new Missing(`${compiler} does not say where the kernel's headers are`);
  const kernel = join(scratch, "kernel-headers");
  mkdirSync(kernel);
  for (const name of ["linux", "asm", "asm-generic"]) symlinkSync(join(mixed, name), join(kernel, name));
  const kept = folders.filter((folder) => /\/c\+\+\/|\/gcc[^/]*\/aarch64[^/]*\/[0-9.]+\/include$/.test(folder));
  return [
    "-nostdinc",
    ...[...kept.filter((folder) => folder.includes("/c++/")), musl.headers].flatMap((folder) => ["-isystem", folder]),
    ...[...kept.filter((folder) => !folder.includes("/c++/")), kernel].flatMap((folder) => ["-isystem", folder]),
    // libstdc++'s configuration is one for glibc: it asks features.h for the version, and its headers (of which nothing
    // that does so is used) name a type and functions of POSIX as glibc does.
    "-D'__GLIBC_PREREQ(major,minor)=0'",
    "-D__locale_t=locale_t",
    "-D'pthread_cond_clockwait(condition,mutex,clock,time)=pthread_cond_timedwait(condition,mutex,time)'",
    "-D'pthread_mutex_clocklock(mutex,clock,time)=pthread_mutex_timedlock(mutex,time)'",
  ];
}

/** Linker flags of a shared object: no start files and no library but the compiler's own. */
export const muslLinkFlags = ["-nostdlib", "-nostartfiles"] as const;

function includeFolders(compiler: string): string[] {
  const { stderr, status } = spawnSync(compiler, ["-E", "-v", "-x", "c++", "/dev/null"], { encoding: "utf8" });
  if (status !== 0)
    throw new Missing(`${compiler} is not here: install a compiler for arm64 Linux (Debian: g++-aarch64-linux-gnu)`);
  const list = /search starts here:\n #?([\s\S]*?)End of search list/.exec(
    stderr.replace(/#include "\.\.\." search starts here:\n/, ""),
  );
  return (list?.[1] ?? "")
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}
