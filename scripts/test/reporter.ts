// A mocha reporter that writes the report of report.ts to the file that KVM_ARM64_REPORT names, line by line, so that
// what was reported before a crash is not lost.

import { closeSync, openSync, writeSync } from "node:fs";
import { inspect } from "node:util";
import { skipReasons } from "../../test/skip.js";
import { noReason, type ReportLine, reportVariable, type TestEvent } from "./report.js";

function titlesOf(runnable: Mocha.Runnable): string[] {
  const titles = [runnable.title];
  for (let suite = runnable.parent; suite && !suite.root; suite = suite.parent) titles.unshift(suite.title);
  return titles;
}

function skipReason(test: Mocha.Test): string {
  const own = skipReasons.get(test);
  if (own) return own;
  for (let suite = test.parent; suite; suite = suite.parent) {
    const reason = skipReasons.get(suite);
    if (reason) return reason;
  }
  return noReason;
}

function errorText(error: unknown): string {
  if (!(error instanceof Error)) return inspect(error);
  const stack = (error.stack ?? "").split("\n").filter((line) => !/node_modules|node:internal/.test(line));
  const text = stack.join("\n") || `${error.name}: ${error.message}`;
  return error.cause === undefined ? text : `${text}\ncause: ${errorText(error.cause)}`;
}

export default class Reporter {
  constructor(runner: Mocha.Runner) {
    const path = process.env[reportVariable];
    if (!path) throw new Error(`${reportVariable} must name the file for the report`);
    const file = openSync(path, "a");
    const write = (line: ReportLine): void => {
      // A serial port may take less at a time than it is given.
      const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    };
    let tests = 0;
    const tell = (event: TestEvent): void => {
      tests++;
      write(event);
    };
    runner.on("pass", (test) => tell({ kind: "pass", titles: titlesOf(test), ms: test.duration ?? 0 }));
    runner.on("pending", (test) => tell({ kind: "skip", titles: titlesOf(test), reason: skipReason(test) }));
    // Also for a hook that fails.
    runner.on("fail", (test, error) =>
      tell({ kind: "fail", titles: titlesOf(test), ms: test.duration ?? 0, error: errorText(error) }),
    );
    runner.on("end", () => {
      write({ kind: "end", tests });
      closeSync(file);
    });
  }
}
