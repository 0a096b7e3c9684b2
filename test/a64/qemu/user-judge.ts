// The user-mode judge: test/a64/qemu/user-judge.c under qemu-aarch64. Records as that file lays them out.

import { spawn, spawnSync } from "node:child_process";
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
export async function askUserJudge(cases: readonly Case[]): Promise<Result[]> {
  if (cases.length === 0) return [];
  const results = parse(await runJudge(encoded(cases)));
  if (results.length !== cases.length) throw new Error(`${cases.length} cases gave ${results.length} results`);
  return results;
}

function encoded(cases: readonly Case[]): Uint8Array {
  const input = new ArrayBuffer(cases.length * INPUT_BYTES);
  const [quads, words] = [new BigUint64Array(input), new Uint32Array(input)];
  for (const [n, { x, sp, nzcv, v, code, passes }] of cases.entries()) {
    const at = n * (INPUT_BYTES / 8);
    quads.set(x, at);
    quads[at + 31] = sp;
    quads[at + 32] = nzcv;
    quads.set(v.words, at + 33);
    const after = 2 * (at + 97);
    words[after] = v.fpsr;
    words[after + 1] = v.fpcr;
    words[after + 2] = code.length;
    words.set(code, after + 3);
    words[after + 3 + MOST_WORDS] = passes;
  }
  return new Uint8Array(input);
}

const TIMEOUT_MS = 900_000;

function runJudge(input: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const judge = spawn(QEMU, ["-cpu", CPU, judgePath], { timeout: TIMEOUT_MS });
    const [output, errors]: [Buffer[], Buffer[]] = [[], []];
    judge.stdout.on("data", (bytes: Buffer) => output.push(bytes));
    judge.stderr.on("data", (bytes: Buffer) => errors.push(bytes));
    // A judge that ends early says so by its status.
    judge.stdin.on("error", () => {});
    judge.on("error", reject);
    judge.on("close", (status, signal) => {
      if (status === 0) resolve(Buffer.concat(output));
      else reject(new Error(`the user-mode judge failed: ${signal ?? `status ${status}`} ${Buffer.concat(errors)}`));
    });
    judge.stdin.end(input);
  });
}

function parse(output: Buffer): Result[] {
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
  return results;
}
