// The system-mode judge: test/a64/qemu/system-judge.c on qemu-system-aarch64. Records as that file lays them out.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readBack, SYSTEM_WORDS, type SystemCase, type SystemResult } from "./system-case.js";

const QEMU = "qemu-system-aarch64";
const CPU = "max,sve=off,sme=off";
const CASES = "0x48000000";

const INPUT_BYTES = 37 * 8 + (2 + SYSTEM_WORDS) * 4;

const judgePath = fileURLToPath(new URL("../../../../test/a64/qemu/bin/system-judge", import.meta.url));

/** Why QEMU's system mode cannot be asked, with what to install; null when it can. */
export function whyNoSystemJudge(): string | null {
  const { error, status } = spawnSync(QEMU, ["--version"]);
  if (error === undefined && status === 0) return null;
  return "qemu-system-aarch64 does not start: install the package qemu-system-arm";
}

/** What QEMU makes of each case. */
export function askSystemJudge(cases: readonly SystemCase[]): SystemResult[] {
  const input = Buffer.alloc(8 + cases.length * INPUT_BYTES);
  input.writeBigUInt64LE(BigInt(cases.length), 0);
  for (const [n, c] of cases.entries()) {
    let at = 8 + n * INPUT_BYTES;
    const quads = [...c.x, c.spEl0, c.spEl1, c.pstate, c.sctlr, c.cpacr, c.cntkctl];
    for (const value of quads) at = input.writeBigUInt64LE(value, at);
    at = input.writeUInt32LE(c.code.length, at);
    for (const word of c.code) at = input.writeUInt32LE(word >>> 0, at);
  }
  const folder = mkdtempSync(join(tmpdir(), "system-judge-"));
  try {
    writeFileSync(join(folder, "cases.bin"), input);
    const machine = [
      "-M",
      "virt",
      "-cpu",
      CPU,
      "-m",
      "256",
      "-nodefaults",
      "-nic",
      "none",
      "-display",
      "none",
      "-serial",
      "null",
      "-monitor",
      "none",
    ];
    const loader = `loader,file=cases.bin,addr=${CASES},force-raw=on`;
    const args = [
      ...machine,
      "-kernel",
      judgePath,
      "-device",
      loader,
      "-semihosting-config",
      "enable=on,target=native",
    ];
    const run = spawnSync(QEMU, args, { cwd: folder, timeout: 120_000 });
    if (run.error !== undefined || run.status !== 0) {
      throw new Error(`the system-mode judge failed: ${run.error?.message ?? `status ${run.status}`} ${run.stderr}`);
    }
    return parse(readFileSync(join(folder, "results.bin")), cases.length);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function parse(output: Buffer, count: number): SystemResult[] {
  const results: SystemResult[] = [];
  let at = 0;
  const quad = () => {
    const value = output.readBigUInt64LE(at);
    at += 8;
    return value;
  };
  while (at < output.length) {
    const x = Array.from({ length: 31 }, quad);
    const [spEl0, spEl1, elr, spsr, esr, far, vector, pstate] = Array.from({ length: 8 }, quad) as [
      bigint,
      bigint,
      bigint,
      bigint,
      bigint,
      bigint,
      bigint,
      bigint,
    ];
    const registers = readBack.map(quad);
    const changes = Array.from({ length: Number(quad()) }, () => [Number(quad()), quad()] as const);
    results.push({ x, spEl0, spEl1, elr, spsr, esr, far, vector, pstate, registers, changes });
  }
  if (results.length !== count) throw new Error(`${count} cases gave ${results.length} results`);
  return results;
}
