// The user-mode judge: test/a64/qemu/user-judge.c under qemu-aarch64. Records as that file lays them out.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Case, type Ending, MOST_WORDS, type Result } from "./case.js";

const QEMU = "qemu-aarch64";
/** Without pointer authentication, whose keys QEMU does not tell, and without SVE, for a signal frame of V registers. */
const CPU = "max,pauth=off,sve=off";

const INPUT_BYTES = 97 * 8 + (4 + MOST_WORDS) * 4;

/** From the compiled test to the binary in the source tree. */
export const judgePath = fileURLToPath(new URL("../../../../test/a64/qemu/bin/user-judge", import.meta.url));

/** Why QEMU's user mode cannot be asked, with what to install; null when it can. */
export function whyNoUserJudge(): string | null {
  const { error, status } = spawnSync(QEMU, ["--version"]);
  if (error === undefined && status === 0) return null;
  return "qemu-aarch64 does not start: install the package qemu-user";
}

const endings: Readonly<Record<number, Ending>> = { 4: "undefined", 5: "done", 7: "alignment", 11: "abort" };

/** What QEMU makes of each case. */
export function askUserJudge(cases: readonly Case[]): Result[] {
  const input = Buffer.alloc(cases.length * INPUT_BYTES);
  for (const [n, { x, sp, nzcv, v, code, passes }] of cases.entries()) {
    let at = n * INPUT_BYTES;
    for (const value of [...x, sp, nzcv, ...v.words]) at = input.writeBigUInt64LE(value, at);
    for (const word of [v.fpsr, v.fpcr, code.length]) at = input.writeUInt32LE(word >>> 0, at);
    for (const word of code) at = input.writeUInt32LE(word >>> 0, at);
    input.writeUInt32LE(passes, (n + 1) * INPUT_BYTES - 4);
  }
  const run = spawnSync(QEMU, ["-cpu", CPU, judgePath], { input, maxBuffer: 2 ** 30, timeout: 120_000 });
  if (run.error !== undefined || run.status !== 0) {
    throw new Error(`the user-mode judge failed: ${run.error?.message ?? `status ${run.status}`} ${run.stderr}`);
  }
  const output = run.stdout;
  const results: Result[] = [];
  let at = 0;
  const quad = () => {
    const value = output.readBigUInt64LE(at);
    at += 8;
    return value;
  };
  while (at < output.length) {
    const x = Array.from({ length: 31 }, quad);
    const [sp, nzcv, pc] = [quad(), quad(), quad()];
    at += 8; // si_addr: QEMU's user mode does not always know it
    const words = Array.from({ length: 64 }, quad);
    const v = { words, fpsr: output.readUInt32LE(at), fpcr: output.readUInt32LE(at + 4) };
    at += 8;
    const ending = endings[output.readUInt32LE(at)]!;
    const [passes, count] = [output.readUInt32LE(at + 4), output.readUInt32LE(at + 8)];
    at += 16;
    const passed = Array.from({ length: passes }, (_, i) => {
      const word = output.readUInt32LE(at + 4 * i);
      return [word & 0xffff, endings[word >>> 16]!] as const;
    });
    at += 4 * passes;
    const changes = Array.from({ length: count }, () => [Number(quad()), quad()] as const);
    results.push({ ending, x, sp, nzcv, v, pc, passed, changes });
  }
  if (results.length !== cases.length) throw new Error(`${cases.length} cases gave ${results.length} results`);
  return results;
}
