// The leg of the test run on this machine: mocha as test/mocharc.json configures it, its report read as it comes.

import { join } from "node:path";
import { startChild, withScratchFolder } from "../children.js";
import { FileTail, LineSplitter } from "../lines.js";
import type { Leg } from "./legs.js";
import { type LegResult, reportVariable, Tally } from "./report.js";

const timeoutMs = 45 * 60 * 1000;

const name = "this machine";

/** `mochaArguments`: from the command line, as mocha takes them. */
export const hostLeg = (projectFolder: string, mochaArguments: readonly string[]): Leg => ({
  name,
  run: (print) =>
    withScratchFolder((scratch) => runMocha(projectFolder, mochaArguments, join(scratch, "report"), print)),
});

function runMocha(
  projectFolder: string,
  mochaArguments: readonly string[],
  report: string,
  print: (line: string) => void,
): Promise<LegResult> {
  const tally = new Tally(print);
  const tail = new FileTail(report);
  const lines = new LineSplitter();
  const poll = (): void => {
    for (const line of lines.push(tail.read())) tally.line(line);
  };
  const started = performance.now();
  const mocha = join(projectFolder, "node_modules/mocha/bin/mocha.js");
  const reporter = join(projectFolder, "dist/scripts/test/reporter.js");
  return new Promise((resolve, reject) => {
    const run = startChild(
      process.execPath,
      [mocha, "--config", "test/mocharc.json", "--reporter", reporter, ...mochaArguments],
      { cwd: projectFolder, env: { ...process.env, [reportVariable]: report }, stdio: "inherit" },
    );
    const poller = setInterval(poll, 200);
    const timer = setTimeout(() => {
      tally.fail(name, `stopped after ${timeoutMs / 60_000} minutes`);
      run.kill("SIGKILL");
    }, timeoutMs);
    run.on("error", reject);
    run.on("close", (status) => {
      clearInterval(poller);
      clearTimeout(timer);
      poll();
      resolve(tally.result(name, (performance.now() - started) / 1000, status));
    });
  });
}
