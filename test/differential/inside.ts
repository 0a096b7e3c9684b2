// A differential run on a machine with a genuine /dev/kvm: it shares the sequences out to child processes, one after the
// other, and judges what they found. Its report goes the way of the other tests' (scripts/test/report.ts).

import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openNative } from "../../lib/native.js";
import { type ReportLine, reportVariable, type TestEvent } from "../../scripts/test/report.js";
import type { Line } from "./chunk.js";
import { contractTest } from "./contract-test.js";
import { factsOf, runningKernel } from "./facts.js";
import { fromJson, type Sequence } from "./op.js";
import { judge } from "./promised.js";
import { servedFacts, writeCapture } from "./subject.js";

const { values } = parseArgs({
  options: {
    /** SEED:OPS, repeatable. */
    run: { type: "string", multiple: true },
    /** Of the only seed, this sequence alone. */
    only: { type: "string" },
    /** Ops of one child process. */
    chunk: { type: "string" },
    /** How often a sequence may be run to shrink it. */
    shrink: { type: "string" },
    /** Fails for what was not met. */
    coverage: { type: "boolean" },
  },
});

const chunkOps = Number(values.chunk ?? 10_000);
/** A sequence takes less than a second. */
const patienceMs = 120_000;
/** Node compiles nothing with its optimiser there: docs/testing.md, "Node dies". */
const capture = join(tmpdir(), `kvm-arm64-host-${process.pid}.json`);
const nodeFlags = ["--no-opt", "--disable-wasm-trap-handler", "--max-old-space-size=1024"];

/** Of more there is nothing to learn. */
const mostFailures = 500;

let tests = 0;
const path = process.env[reportVariable];
function tell(line: ReportLine): void {
  if (path) appendFileSync(path, `${JSON.stringify(line)}\n`);
}
function test(event: TestEvent): void {
  tests++;
  tell(event);
}

type Found = Extract<Line, { kind: "difference" }>;

interface Chunk {
  readonly seed: number;
  /** The first sequence that was not finished. */
  next: number;
  ops: number;
  readonly found: Found[];
  readonly coverage: Record<string, number>;
  readonly known: Record<string, number>;
  /** How it ended, if not as it should. */
  trouble: string | null;
}

const add = (to: Record<string, number>, from: Readonly<Record<string, number>>): void => {
  for (const [key, count] of Object.entries(from)) to[key] = (to[key] ?? 0) + count;
};

function runChunk(seed: number, from: number, ops: number): Promise<Chunk> {
  const chunk: Chunk = { seed, next: from, ops: 0, found: [], coverage: {}, known: {}, trouble: "it ended too early" };
  const program = join(dirname(fileURLToPath(import.meta.url)), "chunk.js");
  const args = [
    ...nodeFlags,
    program,
    "--seed",
    String(seed),
    "--from",
    String(from),
    "--ops",
    String(ops),
    "--shrink",
    values.shrink ?? "400",
    "--host",
    capture,
  ];
  if (values.only !== undefined) args.push("--only", values.only);
  return new Promise((resolve, reject) => {
    const child: ChildProcess = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    let rest = "";
    let complaint = "";
    const lose = (): void => {
      chunk.trouble = `sequence ${chunk.next} did not end within ${patienceMs / 1000} s`;
      child.kill("SIGKILL");
    };
    let timer = setTimeout(lose, patienceMs);
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      clearTimeout(timer);
      timer = setTimeout(lose, patienceMs);
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) take(chunk, JSON.parse(line));
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      complaint = (complaint + text).slice(-1000);
    });
    child.on("error", reject);
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      if (chunk.trouble === "it ended too early")
        chunk.trouble = `sequence ${chunk.next} ended the process: ${signal ?? status} ${complaint}`;
      resolve(chunk);
    });
  });
}

function take(chunk: Chunk, line: Line): void {
  if (line.kind === "begin") chunk.next = line.sequence;
  else if (line.kind === "difference") chunk.found.push(line);
  else if (line.kind === "done") {
    chunk.next = line.sequence + 1;
    chunk.ops += line.ops;
  } else {
    add(chunk.coverage, line.coverage);
    add(chunk.known, line.known);
    chunk.trouble = null;
  }
}

function describe(kernel: string, seed: number, found: Found): string {
  const { sequence, at, verb, what, reference, subject, shrunk } = found;
  const lines = [
    `seed ${seed}, sequence ${sequence}, op ${at}: ${verb}, ${what}: the kernel ${reference}, the model ${subject}`,
    `again: npm run test:differential -- --kernel ${kernel} --seed ${seed} --only ${sequence}`,
  ];
  if (shrunk === "") return lines.join("\n");
  const ops: Sequence = fromJson(shrunk);
  return [...lines, contractTest(ops, found)].join("\n");
}

async function main(): Promise<number> {
  const kernel = runningKernel();
  const coverage: Record<string, number> = {};
  const known: Record<string, number> = {};
  let failures = 0;
  let allOps = 0;
  const started = performance.now();
  writeCapture(capture, kernel);
  console.log(`this host was recorded in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  for (const run of values.run ?? ["1:10000"]) {
    const [seed = 1, wanted = 10_000] = run.split(":").map(Number);
    let from = 0;
    let ops = 0;
    let diedAt = -1;
    while (ops < wanted) {
      const begun = performance.now();
      const chunk = await runChunk(seed, from, Math.min(chunkOps, wanted - ops));
      const titles = [`differential ${kernel}`, `seed ${seed}: sequences ${from} to ${chunk.next - 1} agree`];
      const ms = performance.now() - begun;
      ops += chunk.ops;
      add(coverage, chunk.coverage);
      add(known, chunk.known);
      const errors = chunk.found.map((found) => describe(kernel, seed, found));
      for (const error of errors) console.log(`✖ ${error}`);
      if (chunk.trouble !== null) {
        console.log(`! seed ${seed}: ${chunk.trouble}`);
        // Node dies there now and then, of itself: only what dies twice at one place counts.
        if (diedAt === chunk.next) {
          errors.push(chunk.trouble);
          chunk.next++;
        } else diedAt = chunk.next;
      }
      console.log(
        `seed ${seed}: ${ops} ops, ${chunk.next} sequences, ${((chunk.ops / ms) * 1000).toFixed(0)} ops/s, ${chunk.found.length} differences`,
      );
      if (errors.length > 0) {
        failures += errors.length;
        test({ kind: "fail", titles, ms, error: errors.slice(0, 20).join("\n\n") });
      } else test({ kind: "pass", titles, ms });
      from = chunk.next;
      if (values.only !== undefined) break;
      if (failures >= mostFailures) break;
    }
    allOps += ops;
  }
  for (const [name, count] of Object.entries(known)) console.log(`known difference, ${count} times: ${name}`);
  const facts = servedFacts(factsOf(openNative(), kernel));
  for (const { title, missing } of judge(facts, coverage)) {
    if (missing.length > 0) console.log(`${title}: never met: ${missing.join(", ")}`);
    const titles = [`differential ${kernel}`, title];
    if (!values.coverage) continue;
    if (missing.length === 0) test({ kind: "pass", titles, ms: 0 });
    else {
      failures++;
      test({ kind: "fail", titles, ms: 0, error: `never met: ${missing.join(", ")}` });
    }
  }
  const seconds = (performance.now() - started) / 1000;
  console.log(`${allOps} ops, ${failures} failures, ${seconds.toFixed(0)} s, ${(allOps / seconds).toFixed(0)} ops/s`);
  tell({ kind: "end", tests });
  return failures === 0 ? 0 : 1;
}

process.exitCode = await main();
